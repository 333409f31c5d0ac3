/* steps.c - makes a plan from options, shows it, carries it out and tells what it cost. */
#include "steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CUTS = 64, SHOWN_IDS = 20 };

/* ---- making ---- */

static int is_by(const struct refine_args *r, const char *what)
{
    return r->by && !strcmp(r->by, what);
}

int refine_by_scores(const struct refine_args *r)
{
    return !r->random && (!r->by || is_by(r, "scores"));
}

/* --by, and what goes with each of its words. */
static int check_by(struct cmd *c, const struct refine_args *r)
{
    const char *by = r->by;

    if (by && strcmp(by, "scores") && strcmp(by, "entanglement") && strcmp(by, "class") &&
        strcmp(by, "clusters"))
        return cmd_fail(c, OB_EINVAL, "--by is scores, entanglement, class or clusters, not '%s'",
                        by);
    if (by && r->random)
        return cmd_fail(c, OB_EINVAL, "either --by or --parts-random");
    if (by && !is_by(r, "scores") && r->scores)
        return cmd_fail(c, OB_EINVAL, "--by %s takes no --scores", by);
    if (is_by(r, "class") && (r->cuts || cmd_given(c, "parts")))
        return cmd_fail(c, OB_EINVAL,
                        "--by class makes a part of each class, without --parts and "
                        "--cuts");
    if (is_by(r, "clusters") && r->cuts)
        return cmd_fail(c, OB_EINVAL, "--by clusters has no cuts; --parts says how many");
    return OB_OK;
}

static int check_second(struct cmd *c, const struct refine_args *r)
{
    int has_parts = cmd_given(c, "parts-2");

    if (!r->scores_2 && (has_parts || r->cuts_2))
        return cmd_fail(c, OB_EINVAL, "--parts-2 and --cuts-2 go with --scores-2");
    if (!r->scores_2)
        return OB_OK;
    if (!r->scores && !is_by(r, "entanglement"))
        return cmd_fail(c, OB_EINVAL, "--scores-2 goes with --scores or --by entanglement");
    if (r->cuts_2 && has_parts)
        return cmd_fail(c, OB_EINVAL, "--cuts-2 goes without --parts-2");
    if (has_parts && r->parts_2 < 1)
        return cmd_fail(c, OB_EINVAL, "--parts-2 is at least 1");
    return input_check(c, r->scores_2);
}

int refine_check(struct cmd *c, const struct refine_args *r)
{
    if (r->order && strcmp(r->order, "low-high") && strcmp(r->order, "high-low"))
        return cmd_fail(c, OB_EINVAL, "--order is low-high or high-low, not '%s'", r->order);
    if (r->cuts && (cmd_given(c, "parts") || r->random))
        return cmd_fail(c, OB_EINVAL, "--cuts goes without --parts and --parts-random");
    if (cmd_given(c, "parts") && r->parts < 1)
        return cmd_fail(c, OB_EINVAL, "--parts is at least 1");
    TRY(check_by(c, r));
    TRY(check_second(c, r));
    return input_check(c, r->scores);
}

static int read_cuts(struct cmd *c, const char *option, const char *text, double *cut, size_t *n)
{
    for (const char *p = text; p; p = strchr(p, ',')) {
        p += *p == ',';
        if (*n == MOST_CUTS ||
            !parse_double(cmd_textf(c, "%.*s", (int)strcspn(p, ","), p), &cut[*n]))
            return cmd_fail(c, OB_EINVAL, "--%s takes at most %d numbers, as in 0.2,0.7, not '%s'",
                            option, MOST_CUTS, text);
        if (*n && !(cut[*n] > cut[*n - 1]))
            return cmd_fail(c, OB_EINVAL, "--%s must rise: %s", option, text);
        (*n)++;
    }
    return OB_OK;
}

int refine_scores(struct cmd *c, struct ob_scores **out, const struct refine_args *r,
                  const struct inputs *in)
{
    *out = NULL;
    if (r->scores)
        return ob_scores_read(out, r->scores, &c->err);
    if (!is_by(r, "entanglement"))
        return OB_OK;
    return ob_scores_from_model(out, in->model, in->data, ob_split_train(in->split),
                                "centroid-distance", 0, &c->err);
}

int refine_make(struct cmd *c, struct ob_plan **out, const struct refine_args *r,
                const struct inputs *in, const struct ob_ids *forget,
                const struct ob_scores *scores, double *images)
{
    struct ob_refine_opts o = { .size = sizeof(o), .n_parts = r->parts, .seed = c->seed };
    struct ob_scores *second = NULL;
    double cut[MOST_CUTS], cut_2[MOST_CUTS];
    int status;

    if (r->cuts)
        GO(read_cuts(c, "cuts", r->cuts, cut, &o.n_cuts));
    if (r->cuts_2)
        GO(read_cuts(c, "cuts-2", r->cuts_2, cut_2, &o.n_cuts_2));
    if (r->scores_2)
        GO(ob_scores_read(&second, r->scores_2, &c->err));
    o.cuts = r->cuts ? cut : NULL;
    o.cuts_2 = r->cuts_2 ? cut_2 : NULL;
    o.scores_2 = second;
    o.n_parts_2 = r->parts_2;
    o.by = is_by(r, "class") || is_by(r, "clusters") ? r->by : NULL;
    o.high_to_low = r->order && !strcmp(r->order, "high-low");
    o.random = r->random;
    o.methods = r->methods; /* NULL: the usual ones */
    GO(ob_refine(out, in->data, in->model, ob_split_train(in->split), forget, scores, &o, &c->err));
    if (images && is_by(r, "clusters"))
        *images += (double)ob_ids_n(forget);
    if (images && is_by(r, "entanglement"))
        *images += ob_scores_info(scores)->images;
out:
    ob_scores_free(second);
    return status;
}

/* ---- showing ---- */

static const char *method_name(const struct ob_method *m)
{
    struct ob_method_info i;

    ob_method_info(m, &i);
    return i.name;
}

json_t *plan_json(const struct ob_plan *p)
{
    json_t *steps = json_array();

    for (size_t i = 0; i < ob_plan_n(p); i++) {
        struct ob_step s;
        json_t *j = json_object();

        ob_plan_step(p, i, &s);
        put_text(j, "name", s.name);
        put_text(j, "method", method_name(s.method));
        put_count(j, "forget", ob_ids_n(s.forget));
        put_count(j, "retain", ob_ids_n(s.retain));
        json_object_set_new(j, "settings", json_settings(s.settings));
        json_array_append_new(steps, j);
    }
    return steps;
}

void plan_print(const struct ob_plan *p)
{
    struct table *t = table_new("rllrrl");

    table_cell(t, "step");
    table_cell(t, "part");
    table_cell(t, "method");
    table_cell(t, "forget");
    table_cell(t, "retain");
    table_cell(t, "settings");
    for (size_t i = 0; i < ob_plan_n(p); i++) {
        struct ob_step s;

        ob_plan_step(p, i, &s);
        table_cell(t, "%zu", i + 1);
        table_cell(t, "%s", s.name);
        table_cell(t, "%s", method_name(s.method));
        table_cell(t, "%zu", ob_ids_n(s.forget));
        table_cell(t, "%zu", ob_ids_n(s.retain));
        table_cell(t, "%s", s.settings[0] ? s.settings : "as they come");
    }
    table_print(t, stdout);
}

/* ---- carrying out ---- */

/* The forget ids that no method acted on. */
static int untouched(struct cmd *c, struct ob_ids **out, const struct ob_data *d,
                     const struct ob_plan *p)
{
    size_t limit = ob_data_info(d)->n_file[OB_TRAIN];

    *out = NULL;
    for (size_t i = 0; i < ob_plan_n(p); i++) {
        struct ob_ids *both = NULL;
        struct ob_step s;

        ob_plan_step(p, i, &s);
        if (strcmp(method_name(s.method), "none"))
            continue;
        if (*out)
            TRY(ob_ids_union(&both, *out, s.forget, &c->err));
        else
            TRY(ob_ids_new(&both, ob_ids_list(s.forget), ob_ids_n(s.forget), limit, &c->err));
        ob_ids_free(*out);
        *out = both;
    }
    return OB_OK;
}

static int check_model(struct cmd *c, const struct inputs *in, const struct ob_plan *p)
{
    char digest[65];

    TRY(ob_model_digest(in->model, digest, &c->err));
    if (!ob_plan_model(p)[0] || !strcmp(ob_plan_model(p), digest))
        return OB_OK;
    return cmd_fail(c, OB_EFORMAT,
                    "the plan was made for another model (digest %.12s..., this one has %.12s...); "
                    "--any-model takes this one all the same",
                    ob_plan_model(p), digest);
}

/* The lines of a text as an array. */
static json_t *json_lines(const char *text)
{
    json_t *lines = json_array();

    for (const char *p = text; *p; p += *p == '\n') {
        size_t n = strcspn(p, "\n");

        json_array_append_new(lines, json_stringn(p, n));
        p += n;
    }
    return lines;
}

static json_t *step_json(const struct ob_step_result *r)
{
    json_t *j = json_object();

    put_text(j, "name", r->name);
    put_text(j, "method", method_name(r->method));
    put_count(j, "forget", r->n_forget);
    put_count(j, "retain", r->n_retain);
    put_count(j, "images", r->cost.images);
    put_count(j, "images_forward", r->cost.images_forward);
    put_number(j, "seconds", r->cost.seconds);
    json_object_set_new(j, "settings", json_settings(r->settings));
    if (r->report[0])
        json_object_set_new(j, "report", json_loads(r->report, 0, NULL));
    if (r->notes[0])
        json_object_set_new(j, "notes", json_lines(r->notes));
    if (r->resumed)
        json_object_set_new(j, "resumed", json_true());
    return j;
}

/* ---- not carrying out ---- */

static int dry_json(struct cmd *c, const struct ob_cost *cost, const struct ob_step_result *r,
                    size_t n, const struct ob_ids *left)
{
    json_t *j = json_object(), *steps = json_array();

    json_object_set_new(j, "dry_run", json_true());
    for (size_t i = 0; i < n; i++) {
        json_t *s = step_json(&r[i]);

        if (!r[i].predicted) { /* not known: absent */
            json_object_del(s, "seconds");
            json_object_del(s, "images");
            json_object_del(s, "images_forward");
        }
        json_array_append_new(steps, s);
    }
    put_number(j, "seconds", cost->seconds);
    put_count(j, "images", cost->images);
    put_count(j, "images_forward", cost->images_forward);
    json_object_set_new(j, "steps", steps);
    json_object_set_new(j, "untouched", left ? json_ids(left) : json_array());
    return print_json(c, j);
}

static void dry_table(const struct ob_step_result *r, size_t n)
{
    struct table *t = table_new("rllrrrrrl");
    static const char *const head[] = { "step",   "part",    "method", "forget",  "retain",
                                        "images", "forward", "time",   "settings" };

    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
        table_cell(t, "%s", head[i]);
    for (size_t i = 0; i < n; i++) {
        table_cell(t, "%zu", i + 1);
        table_cell(t, "%s", r[i].name);
        table_cell(t, "%s", method_name(r[i].method));
        table_cell(t, "%zu", r[i].n_forget);
        table_cell(t, "%zu", r[i].n_retain);
        if (r[i].predicted) {
            table_cell(t, "%llu", (unsigned long long)r[i].cost.images);
            table_cell(t, "%llu", (unsigned long long)r[i].cost.images_forward);
            table_cell(t, "%.1f s", r[i].cost.seconds);
        } else {
            table_cell(t, "not known");
            table_cell(t, "not known");
            table_cell(t, "not known");
        }
        table_cell(t, "%s", r[i].settings);
    }
    table_print(t, stdout);
    printf("\nnothing was done (--dry-run); an image is one example's gradient, once; times from "
           "one batch here\n");
}

static int result_json(struct cmd *c, const struct steps_run *how, const struct ob_cost *cost,
                       const struct ob_step_result *r, size_t n, const struct ob_ids *left)
{
    json_t *j = json_object(), *final = json_object(), *steps = json_array();

    put_text(j, "output", how->output);
    put_number(j, "seconds", cost->seconds);
    put_count(j, "images", cost->images);
    put_count(j, "images_forward", cost->images_forward);
    put_number(j, "images_per_second", images_per_second(cost));
    put_count(j, "peak_bytes", ob_peak_bytes());
    put_number(final, "loss", cost->loss);
    put_number(final, "accuracy", cost->accuracy);
    json_object_set_new(j, "final", final);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(steps, step_json(&r[i]));
    json_object_set_new(j, "steps", steps);
    json_object_set_new(j, "untouched", left ? json_ids(left) : json_array());
    return print_json(c, j);
}

static void print_untouched(const struct ob_ids *left)
{
    size_t n = left ? ob_ids_n(left) : 0;

    if (!n)
        return;
    printf("\nno method acted on %zu of the forget ids (parts with method none):", n);
    for (size_t i = 0; i < n && i < SHOWN_IDS; i++)
        printf(" %u", ob_ids_list(left)[i]);
    printf("%s\n", n > SHOWN_IDS ? " ..." : "");
}

/* What the methods have to say, each line moved in under its step. */
static void print_notes(const struct ob_step_result *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!r[i].notes[0])
            continue;
        printf("\n%s (step %zu):\n", method_name(r[i].method), i + 1);
        for (const char *p = r[i].notes; *p; p += *p == '\n') {
            int letters = (int)strcspn(p, "\n");

            printf("  %.*s\n", letters, p);
            p += letters;
        }
    }
}

static void result_table(const struct steps_run *how, const struct ob_plan *p,
                         const struct ob_cost *cost, const struct ob_step_result *r, size_t n,
                         const struct ob_ids *left)
{
    struct table *t = table_new("rllrrrrl");
    static const char *const head[] = { "step",   "part",    "method", "forget",
                                        "images", "forward", "time",   "settings" };

    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
        table_cell(t, "%s", head[i]);
    for (size_t i = 0; i < n; i++) {
        struct ob_step s;

        table_cell(t, "%zu", i + 1);
        table_cell(t, "%s", r[i].name);
        table_cell(t, "%s", method_name(r[i].method));
        table_cell(t, "%zu", r[i].n_forget);
        table_cell(t, "%llu", (unsigned long long)r[i].cost.images);
        table_cell(t, "%llu", (unsigned long long)r[i].cost.images_forward);
        table_cell(t, "%.1f s", r[i].cost.seconds);
        ob_plan_step(p, i, &s);
        table_cell(t, "%s%s", s.settings[0] ? s.settings : "as they come",
                   r[i].resumed ? " (kept from before)" : "");
    }
    table_print(t, stdout);
    for (size_t i = 0; i < n; i++)
        if (r[i].report[0])
            printf("\nstep %zu (%s): %s\n", i + 1, method_name(r[i].method), r[i].report);
    print_notes(r, n);
    print_untouched(left);
    printf("\nmodel  %s\n", how->output);
    print_cost("cost   ", cost);
}

/* The training part is that of the split: what was left out or forgotten before counts as retained
 * and may be learned again. */
static void note_past(struct cmd *c, const struct inputs *in)
{
    const char *exclude = ob_model_meta(in->model, "exclude");
    const char *method = ob_model_meta(in->model, "method");

    if (exclude && exclude[0])
        cmd_warn(c, "the model was trained without some examples; they count as retained here, "
                    "unless they are in the forget set again");
    if (method && strcmp(method, "none"))
        cmd_warn(c,
                 "the model has forgotten before (%s); those examples count as retained here, "
                 "unless they are in the forget set again",
                 method);
}

/* The default seed is everybody's. */
static void note_seed(struct cmd *c, const struct ob_plan *p)
{
    for (size_t i = 0; i < ob_plan_n(p) && !cmd_given(c, "seed"); i++) {
        struct ob_method_info info;
        struct ob_step step;

        ob_plan_step(p, i, &step);
        ob_method_info(step.method, &info);
        if (info.secret_seed) {
            cmd_warn(c,
                     "'%s' promises nothing with the default seed, which everybody knows; give "
                     "a --seed drawn at random and keep it secret",
                     info.name);
            return;
        }
    }
}

int steps_run(struct cmd *c, struct inputs *in, const struct ob_plan *p,
              const struct steps_run *how)
{
    size_t n = ob_plan_n(p);
    struct ob_step_result *r = cmd_alloc(c, n + 1, sizeof(*r));
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_ids *left = NULL;
    struct ob_cost cost = { .loss = NAN, .accuracy = NAN };
    int status;

    o.seed = c->seed;
    o.keep_steps = how->keep_steps;
    o.any_model = how->any_model;
    o.dry_run = how->dry_run;
    snprintf(c->hint, sizeof(c->hint), "%s",
             how->keep_steps ? "the same command goes on after the last whole step"
             : n > 1         ? "nothing was kept; with --keep-steps DIR whole steps are"
                             : "nothing was kept; the same command starts again");
    if (!how->any_model)
        TRY(check_model(c, in, p));
    note_past(c, in);
    note_seed(c, p);
    GO(untouched(c, &left, in->data, p));
    GO(ob_rum(r, &cost, in->model, in->data, in->split, p, &o, &c->err));
    cost.images_forward += (uint64_t)how->images_scored;
    if (how->dry_run) {
        if (c->json)
            status = dry_json(c, &cost, r, n, left);
        else
            dry_table(r, n);
        goto out;
    }
    GO(ob_model_save(in->model, how->output, &c->err));
    progress_clear(c->progress);
    if (c->json)
        GO(result_json(c, how, &cost, r, n, left));
    else
        result_table(how, p, &cost, r, n, left);
out:
    ob_ids_free(left);
    return status;
}
