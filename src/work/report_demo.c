/* report_demo.c - the page of the demo: what was done and why, figures, words, how to go on. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "work/plot.h"
#include "work/report.h"

static void para(struct ob_str *out, const char *html)
{
    ob_str_addf(out, "<p>%s</p>\n", html);
}

static void lead(struct ob_str *out, const struct ob_record *r)
{
    double train[OB_REC_SEEDS];

    for (size_t i = 0; i < r->n_seeds; i++)
        train[i] = r->seed[i].train;
    ob_str_add(out, "<header><p class=\"brand\">oubli</p><h1>How to make a trained network forget"
                    "</h1>\n<p class=\"lead\">A small image classifier learned ");
    obi_count(out, r->n_train);
    ob_str_add(out, " pictures");
    if (*r->data_name) {
        ob_str_add(out, " from ");
        ob_html_escape(out, r->data_name);
    }
    ob_str_add(out, ". Then it was asked to forget ");
    obi_count(out, r->n_forget);
    ob_str_add(out,
               " of them. This page shows the ways that were tried, and how close each comes to "
               "a network that never saw those pictures.</p>\n<ul class=\"facts\"><li><b>");
    obi_count(out, r->n_train);
    ob_str_add(out, "</b> training images</li><li><b>");
    obi_count(out, r->n_test);
    ob_str_add(out, "</b> test images</li><li><b>");
    obi_count(out, r->n_forget);
    ob_str_addf(out,
                "</b> to forget</li><li><b>%zu</b> seed%s</li><li><b>%.1f&nbsp;%%</b> learned by "
                "the original</li></ul></header>\n",
                r->n_seeds, r->n_seeds == 1 ? "" : "s", 100 * obi_mean(train, r->n_seeds));
}

static void why(struct ob_str *out)
{
    ob_str_add(out, "<h2>Why</h2>\n");
    para(out,
         "A network keeps traces of what it was trained on. When somebody withdraws a picture, "
         "deleting the file is not enough: the network has to forget it too. The sure way is to "
         "train again from nothing without that picture. It is exact, and it costs a whole "
         "training. <em>Unlearning</em> starts from the network that is there and tries to arrive "
         "at the same place for less.");
    para(out,
         "The goal is not that the network gets the forgotten pictures wrong. A network that "
         "never saw one more ordinary sneaker knows it for a sneaker all the same. The goal is to "
         "<em>behave like the retrained network</em>: on the forgotten examples, on the retained "
         "ones, and on new ones.");
    para(out,
         "Examples differ in how much of them had to be learned by heart. <em>RUM</em> sorts the "
         "forget set by that <em>memorization</em>, cuts it into parts, and unlearns one part "
         "after the other, each with a method that suits it; for a part that needs nothing, that "
         "method may be to do nothing.");
}

static void what(struct ob_str *out, const struct ob_record *r)
{
    ob_str_add(out,
               "<h2>What was done</h2>\n<ol class=\"steps\">\n<li><b>Train</b> the original on "
               "all training images, and note at every step how sure the network is of each "
               "example's label.</li>\n<li><b>Score</b> memorization: one minus the mean of that "
               "confidence. High means: learned late or never, so probably by heart.</li>\n"
               "<li><b>Select</b> what to forget: ");
    for (size_t k = 0; k < r->n_parts; k++) {
        ob_str_addf(out, "%s<span class=\"chip f%zu\"></span>",
                    k ? k + 1 == r->n_parts ? " and " : ", " : "", k % 8);
        obi_count(out, r->part_n[k]);
        ob_str_add(out, " of ");
        ob_html_escape(out, r->part_name[k]);
    }
    ob_str_add(out,
               " memorization.</li>\n<li><b>Retrain</b> from nothing without them: the target. "
               "Once more with another seed, to see how much two retrained networks differ."
               "</li>\n<li><b>Forget</b> in several ways, each starting from the same original."
               "</li>\n<li><b>Judge</b> each by how far it is from the retrained networks.</li>\n"
               "</ol>\n");
}

/* ---- examples ---- */

static void one_example(struct ob_str *out, const struct ob_record *r,
                        const struct ob_rec_example *x)
{
    ob_str_addf(out,
                "<figure><img alt=\"\" width=\"%.0f\" height=\"%.0f\" "
                "src=\"data:image/png;base64,%s\"><figcaption>",
                r->width, r->height, x->png);
    ob_html_escape(out, x->class_name);
    if (x->score > 0 && x->score < .001)
        ob_str_add(out, "<small>&lt; 0.001</small></figcaption></figure>");
    else
        ob_str_addf(out, "<small>%.3f</small></figcaption></figure>", x->score);
}

static void examples(struct ob_str *out, const struct ob_record *r)
{
    size_t n = 0;

    for (size_t k = 0; k < r->n_parts; k++)
        n += r->n_examples[k];
    if (!n)
        return;
    ob_str_add(out,
               "<h2>What there is to forget</h2>\n<p>Some examples of each part, with the label "
               "they carry in the data and their score.</p>\n");
    for (size_t k = 0; k < r->n_parts; k++) {
        double x[OB_REC_SEEDS];

        ob_str_addf(out, "<h3><span class=\"chip f%zu\"></span>", k % 8);
        ob_html_escape(out, r->part_name[k]);
        ob_str_addf(
            out,
            " <small>a retrained network gets %.0f&nbsp;%% of this part right</small></h3>\n"
            "<div class=\"examples\">",
            100 * obi_mean(x, obi_retrained_values(r, OB_M_PART + (int)k, x)));
        for (size_t i = 0; i < r->n_examples[k]; i++)
            one_example(out, r, &r->example[k][i]);
        ob_str_add(out, "</div>\n");
    }
}

/* ---- figures ---- */

static void figure(struct ob_str *out, const char *title)
{
    ob_str_add(out, "<figure class=\"plot\"><h3>");
    ob_html_escape(out, title);
    ob_str_add(out, "</h3>");
}

static void figure_end(struct ob_str *out, const char *caption)
{
    ob_str_addf(out, "<figcaption>%s</figcaption></figure>\n", caption);
}

static void curve(struct ob_str *out, const struct ob_record *r)
{
    struct ob_plot_series s[OB_REC_SEEDS] = { 0 };
    double x[OB_REC_EPOCHS], low = 1, last = 1;
    struct ob_plot_lines p = { .title = "Accuracy on the training part after each epoch",
                               .x_label = "epoch",
                               .y_label = "training accuracy",
                               .percent = true,
                               .y_hi = 1,
                               .series = s,
                               .n_series = r->n_seeds };

    for (size_t i = 0; i < OB_REC_EPOCHS; i++)
        x[i] = (double)i + 1;
    for (size_t i = 0; i < r->n_seeds; i++) {
        const struct ob_rec_seed *seed = &r->seed[i];

        s[i] = (struct ob_plot_series){ .colour = 0,
                                        .thin = r->n_seeds > 1,
                                        .x = x,
                                        .y = seed->curve_accuracy,
                                        .n = seed->n_epochs };
        last = fmax(last, (double)seed->n_epochs);
        for (size_t e = 0; e < seed->n_epochs; e++)
            low = fmin(low, seed->curve_accuracy[e]);
    }
    p.x_lo = last > 1 ? 1 : 0;
    p.x_hi = last;
    p.y_lo = floor(low * 10) / 10;
    if (p.y_lo > .9)
        p.y_lo = .9;
    figure(out, "The original learns its examples");
    ob_plot_lines(out, &p);
    figure_end(out, r->n_seeds > 1
                        ? "One line per seed. Only a network that ends near 100&nbsp;% has "
                          "memorized what it cannot explain."
                        : "Only a network that ends near 100&nbsp;% has memorized what it "
                          "cannot explain.");
}

static void histogram(struct ob_str *out, const struct ob_record *r)
{
    const struct ob_rec_seed *s = &r->seed[0];
    struct ob_plot_region g[OB_REC_PARTS];
    struct ob_plot_hist p = { .title = "Memorization scores of the training examples",
                              .x_label = "memorization score",
                              .y_label = "examples (logarithmic)",
                              .lo = s->bin_lo,
                              .hi = s->bin_hi,
                              .count = s->bin,
                              .n_bins = s->n_bins,
                              .region = g,
                              .n_region = r->n_parts };

    for (size_t k = 0; k < r->n_parts; k++)
        g[k] = (struct ob_plot_region){ r->part_name[k], (int)k, s->part_lo[k], s->part_hi[k],
                                        s->part_bin[k] };
    figure(out, "Most examples are easy");
    ob_plot_hist(out, &p);
    figure_end(out, "Scores in the first seed. Shaded: the range of each part of the forget set.");
}

static int way_colour(const struct ob_record *r, size_t w)
{
    const char *role = r->way[w].role;

    if (!strcmp(role, "floor") || !strcmp(role, "nothing"))
        return 4;
    return !strncmp(role, "rum", 3) || !strcmp(role, "full") || !strcmp(role, "easy-off") ? 3 : 7;
}

static void rows(struct ob_str *out, const struct ob_record *r, int metric, const char *name,
                 const char *caption)
{
    static const double room = .02;
    struct ob_plot_row row[OB_REC_WAYS];
    double v[OB_REC_WAYS][OB_REC_SEEDS], low = 1;
    struct ob_plot_rows p = { .title = name,
                              .x_label = "1 = like the retrained network",
                              .hi = 1,
                              .row = row,
                              .n_row = r->n_ways };

    for (size_t w = 0; w < r->n_ways; w++) {
        struct ob_interval t;
        size_t n = obi_way_values(r, w, metric, v[w]);

        ob_interval(&t, v[w], n);
        row[w] = (struct ob_plot_row){ r->way[w].title, way_colour(r, w),  v[w], n,
                                       t.mean,          n > 1 ? t.sd : NAN };
        for (size_t i = 0; i < n; i++)
            low = fmin(low, v[w][i]);
    }
    p.lo = fmax(0, floor((low - room) * 20) / 20);
    figure(out, name);
    ob_plot_rows(out, &p);
    figure_end(out, caption);
}

/* The parts' accuracies from the original through the steps of way w, averaged over the seeds. */
static void steps_of(struct ob_str *out, const struct ob_record *r, size_t w)
{
    double x[OB_REC_STEPS + 1], y[OB_REC_PARTS][OB_REC_STEPS + 1] = { { 0 } };
    struct ob_plot_series s[OB_REC_PARTS];
    struct ob_plot_level level[OB_REC_PARTS];
    const struct ob_rec_result *first = &r->seed[0].way[w];
    const char *name[OB_REC_STEPS + 1] = { "original" };
    char label[OB_REC_STEPS][40];
    size_t n = first->n_steps;
    struct ob_plot_lines p = { .title = r->way[w].title,
                               .percent = true,
                               .x_hi = (double)n,
                               .y_hi = 1,
                               .x_name = name,
                               .n_x_name = n + 1,
                               .series = s,
                               .n_series = r->n_parts,
                               .level = level,
                               .n_level = r->n_parts,
                               .height = 150 };

    for (size_t i = 0; i <= n; i++)
        x[i] = (double)i;
    for (size_t i = 0; i < n; i++) {
        snprintf(label[i], sizeof(label[i]), "%s", first->step[i].method);
        name[i + 1] = label[i];
    }
    for (size_t k = 0; k < r->n_parts; k++) {
        double t[OB_REC_SEEDS];

        for (size_t j = 0; j < r->n_seeds; j++) {
            const struct ob_rec_seed *seed = &r->seed[j];

            y[k][0] += seed->original.part[k] / (double)r->n_seeds;
            for (size_t i = 0; i < n; i++)
                y[k][i + 1] += seed->way[w].step[i].part[k] / (double)r->n_seeds;
        }
        s[k] = (struct ob_plot_series){ r->part_name[k], (int)k, true, false, x, y[k], n + 1 };
        level[k] = (struct ob_plot_level){ (int)k, obi_mean(t, obi_retrained_values(
                                                                   r, OB_M_PART + (int)k, t)) };
    }
    figure(out, r->way[w].title);
    ob_plot_lines(out, &p);
    ob_str_add(out, "</figure>\n");
}

static bool has_steps(const struct ob_record *r, size_t w)
{
    for (size_t j = 0; j < r->n_seeds; j++)
        if (r->seed[j].way[w].n_steps < 2 || r->seed[j].way[w].n_steps != r->seed[0].way[w].n_steps)
            return false;
    return true;
}

static void steps(struct ob_str *out, const struct ob_record *r)
{
    ob_str_add(out,
               "<h2>Step by step</h2>\n<p>Accuracy on each part after each step of the ways that "
               "take several; below the axis stands the method of the step. The dashed lines are "
               "the retrained network's level: where a line ends on its dashed line, that part is "
               "as it should be. Steps retain what later steps will forget, so a part may stay "
               "or even come back until its turn.</p>\n<div class=\"figures\">\n");
    for (size_t w = 0; w < r->n_ways; w++)
        if (has_steps(r, w))
            steps_of(out, r, w);
    ob_str_add(out, "</div>\n");
}

/* ---- words, and how to go on ---- */

static void definitions(struct ob_str *out)
{
    ob_str_add(
        out,
        "<h2>What the columns mean</h2>\n<dl class=\"terms\">\n"
        "<dt>low, medium, high</dt><dd>Accuracy on that part of the forget set.</dd>\n"
        "<dt>retain</dt><dd>Accuracy on the training examples that are kept.</dd>\n"
        "<dt>test</dt><dd>Accuracy on images that no network here was trained on.</dd>\n"
        "<dt>called non-member</dt><dd>Share of the forget set which a membership attack takes for "
        "images the network never saw. The attack is a support vector machine on the "
        "probability of the right label, trained on retained against test images.</dd>\n"
        "<dt>ToW</dt><dd>Tug of war: (1&nbsp;−&nbsp;gap on forget) × (1&nbsp;−&nbsp;gap on "
        "retain) × (1&nbsp;−&nbsp;gap on test), a gap being the difference in accuracy from the "
        "retrained network. 1 is a perfect match.</dd>\n"
        "<dt>ToW-MIA</dt><dd>The same with the gap in “called non-member” in place of the gap on "
        "forget.</dd>\n"
        "<dt>ToW, mean of parts</dt><dd>ToW with the mean of the parts’ gaps in place of the gap "
        "on forget, so that errors of opposite sign do not cancel.</dd>\n"
        "<dt>ToW, worst part</dt><dd>The same with the largest of the parts’ gaps.</dd>\n"
        "<dt>Cost</dt><dd>Training images processed, as a share of one retraining.</dd>\n"
        "</dl>\n<p>RUM, ToW and ToW-MIA: Zhao, Kurmanji, Bărbulescu, Triantafillou, "
        "Triantafillou, <cite>What makes unlearning hard and what to do about it</cite>, NeurIPS "
        "2024.</p>\n");
}

static void own_data(struct ob_str *out)
{
    ob_str_add(out,
               "<h2>With your own data</h2>\n<p>Six commands do it. Put your data set in place of "
               "<code>cifar10:DIR</code> (<code>oubli data --help</code> names the formats) and "
               "the numbers of the examples to forget, one a line, into <code>ids.txt</code>."
               "</p>\n<pre><code>");
    ob_str_add(
        out,
        "oubli train    --data cifar10:DIR --arch resnet20 --events e.npz -o original.safetensors\n"
        "oubli score    confidence --events e.npz -o scores.npy\n"
        "oubli rum      --data cifar10:DIR --model original.safetensors --forget ids.txt \\\n"
        "               --scores scores.npy --methods none,finetune,salun "
        "-o unlearned.safetensors\n"
        "oubli train    --data cifar10:DIR --arch resnet20 --exclude ids.txt \\\n"
        "               -o retrained.safetensors\n"
        "oubli evaluate --data cifar10:DIR --model unlearned.safetensors --forget ids.txt \\\n"
        "               --against retrained.safetensors\n"
        "oubli predict  --data cifar10:DIR --model unlearned.safetensors -o logits.npy\n");
    ob_str_add(
        out, "</code></pre>\n<p>The fourth and the fifth are there to check: in earnest one wants "
             "to be spared the retraining, and checks once, on data of the same kind.</p>\n");
}

static void row(struct ob_str *out, const char *name, const char *value)
{
    ob_str_addf(out, "<dt>%s</dt><dd>", name);
    ob_html_escape(out, value);
    ob_str_add(out, "</dd>");
}

static void about(struct ob_str *out, const struct ob_record *r)
{
    struct ob_str s = { 0 };

    ob_str_add(out, "<footer><h2>About this run</h2>\n<dl class=\"terms\">");
    row(out, "Data", r->data_spec);
    ob_str_addf(&s, "%.16s…", r->data_hash);
    row(out, "Hash of the data", ob_str_text(&s));
    ob_str_release(&s);
    ob_str_addf(&s, "%s, ", r->arch);
    obi_count(&s, r->n_params);
    ob_str_add(&s, " parameters");
    row(out, "Network", ob_str_text(&s));
    ob_str_release(&s);
    ob_str_addf(&s, "SGD, %g epochs, rate %g (%s), momentum %g, weight decay %g, batches of %g",
                r->epochs, r->lr, r->schedule, r->momentum, r->weight_decay, r->batch);
    row(out, "Training", ob_str_text(&s));
    ob_str_release(&s);
    ob_str_addf(&s, "%g epochs in all for each way, rate %g (%s within each step), batches of %g",
                r->unlearn_epochs, r->unlearn_lr, r->unlearn_schedule, r->unlearn_batch);
    row(out, "Unlearning", ob_str_text(&s));
    ob_str_release(&s);
    for (size_t i = 0; i < r->n_seeds; i++)
        ob_str_addf(&s, "%s%lld", i ? ", " : "", r->seed[i].seed);
    row(out, "Seeds", ob_str_text(&s));
    ob_str_release(&s);
    row(out, "Program", r->version);
    ob_str_add(out,
               "</dl>\n<p>A demonstration, small enough for a few minutes. The same seeds give the "
               "same numbers on the same kind of processor, whatever the number of threads. The "
               "full study, with more data sets, methods and seeds, is in "
               "<code>docs/results/first-run.md</code>.</p></footer>\n");
}

void obi_report_demo(struct ob_str *out, const struct ob_record *r)
{
    lead(out, r);
    why(out);
    what(out, r);
    examples(out, r);
    ob_str_add(out, "<div class=\"figures\">\n");
    histogram(out, r);
    curve(out, r);
    ob_str_add(out, "</div>\n<h2>What came out</h2>\n");
    obi_findings(out, r);
    ob_str_add(out, "<div class=\"figures\">\n");
    rows(out, r, OB_M_TOW, "ToW: closeness by accuracy",
         r->n_seeds > 1 ? "A dot per seed; the bar is the mean, the line one standard deviation to "
                          "either side."
                        : "One seed.");
    rows(out, r, OB_M_TOW_MIA, "ToW-MIA: closeness by membership",
         "<span class=\"chip f3\"></span>cut by memorization <span class=\"chip f7\"></span>not "
         "<span class=\"chip f4\"></span>for comparison");
    ob_str_add(out, "</div>\n<h2>The numbers</h2>\n");
    obi_report_tables(out, r);
    steps(out, r);
    definitions(out);
    own_data(out);
    about(out, r);
}
