/* report_words.c - what a record shows, in sentences that are chosen by its numbers. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "judge/judge.h"
#include "work/plot.h"
#include "work/report.h"

/* Below this much of accuracy a part needs no work, or is as it should be. */
static const double small = .05, visible = .03, notable = .01;

double obi_metric(const struct ob_record *r, const struct ob_rec_result *x, int metric)
{
    switch (metric) {
    case OB_M_TOW:
        return x->tow;
    case OB_M_TOW_MIA:
        return x->tow_mia;
    case OB_M_TOW_PARTS:
        return x->tow_parts;
    case OB_M_TOW_WORST:
        return x->tow_worst;
    case OB_M_FORGET:
        return x->forget;
    case OB_M_RETAIN:
        return x->retain;
    case OB_M_TEST:
        return x->test;
    case OB_M_MIA:
        return x->mia;
    case OB_M_IMAGES:
        return x->images;
    default:
        metric -= OB_M_PART;
        return metric >= 0 && (size_t)metric < r->n_parts ? x->part[metric] : NAN;
    }
}

size_t obi_way_values(const struct ob_record *r, size_t w, int metric, double *out)
{
    for (size_t i = 0; i < r->n_seeds; i++)
        out[i] = obi_metric(r, &r->seed[i].way[w], metric);
    return r->n_seeds;
}

size_t obi_retrained_values(const struct ob_record *r, int metric, double *out)
{
    for (size_t i = 0; i < r->n_seeds; i++) {
        const struct ob_rec_seed *s = &r->seed[i];

        out[i] = 0;
        for (size_t k = 0; k < s->n_retrained; k++)
            out[i] += obi_metric(r, &s->retrained[k], metric) / (double)s->n_retrained;
    }
    return r->n_seeds;
}

double obi_mean(const double *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return n ? sum / (double)n : NAN;
}

size_t obi_role(const struct ob_record *r, const char *role)
{
    size_t i = 0;

    while (i < r->n_ways && strcmp(r->way[i].role, role))
        i++;
    return i;
}

void obi_count(struct ob_str *out, double n)
{
    char s[40];
    int len = snprintf(s, sizeof(s), "%.0f", n);

    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0 && s[i - 1] != '-')
            ob_str_add(out, ",");
        ob_str_addn(out, s + i, 1);
    }
}

static double way_mean(const struct ob_record *r, size_t w, int metric)
{
    double x[OB_REC_SEEDS];

    return obi_mean(x, obi_way_values(r, w, metric, x));
}

static double target_mean(const struct ob_record *r, int metric)
{
    double x[OB_REC_SEEDS];

    return obi_mean(x, obi_retrained_values(r, metric, x));
}

/* A way that unlearns: neither the floor nor doing nothing. */
static bool works(const struct ob_record *r, size_t w)
{
    return strcmp(r->way[w].role, "floor") && strcmp(r->way[w].role, "nothing");
}

static void title(struct ob_str *out, const struct ob_record *r, size_t w)
{
    ob_str_add(out, "<b>");
    ob_html_escape(out, r->way[w].title);
    ob_str_add(out, "</b>");
}

/* ---- two ways compared, seed by seed ---- */

struct verdict {
    double a, b, mean, half; /* means of both, of the difference, and half its 95 % interval */
    size_t n, n_ahead;       /* seeds in which a is ahead */
    int sign;                /* 1: a clearly higher, -1: clearly lower, 0: cannot be told */
};

static struct verdict compare(const struct ob_record *r, size_t a, size_t b, int metric)
{
    double x[OB_REC_SEEDS], y[OB_REC_SEEDS];
    struct verdict v = { .n = r->n_seeds };
    struct ob_interval t;

    obi_way_values(r, a, metric, x);
    obi_way_values(r, b, metric, y);
    v.a = obi_mean(x, v.n);
    v.b = obi_mean(y, v.n);
    for (size_t i = 0; i < v.n; i++) {
        x[i] -= y[i];
        v.n_ahead += x[i] > 0;
    }
    ob_interval(&t, x, v.n);
    v.mean = t.mean;
    v.half = t.half;
    if (v.n > 1 && isfinite(v.half))
        v.sign = v.mean > v.half ? 1 : v.mean < -v.half ? -1 : 0;
    return v;
}

static void detail(struct ob_str *out, const struct verdict *v, const char *measure)
{
    ob_str_addf(out, "%s&nbsp;%.3f against %.3f", measure, v->a, v->b);
    if (v->n > 1)
        ob_str_addf(out, " (%s%.3f&nbsp;±&nbsp;%.3f, ahead in %zu of %zu seeds)",
                    v->mean < 0 ? "−" : "+", fabs(v->mean), v->half, v->n_ahead, v->n);
}

struct question {            /* is way `a` better than way `b`? */
    const char *ask, *a, *b; /* roles */
};

static const struct question questions[] = {
    { "Does it help to cut the forget set by memorization?", "rum", "whole" },
    { "Is a cut by memorization better than a random one?", "rum", "random" },
    { "Does it help to choose a method for each part?", "full", "rum" },
    { "Is full RUM better than one method on everything?", "full", "whole" },
    { "Does it help to leave the easy parts alone?", "easy-off", "rum" },
    { "Is plain fine-tuning better than full RUM?", "finetune", "full" },
};

static void say_sign(struct ob_str *out, const char *by_measure, int sign)
{
    ob_str_addf(out, "%s, %s", by_measure,
                sign > 0   ? "yes"
                : sign < 0 ? "no"
                           : "these seeds cannot tell");
}

/* Yes or no without more only where both measures say so. */
static void say_signs(struct ob_str *out, const struct ob_record *r, int accuracy, int membership)
{
    ob_str_add(out, "<b>");
    if (r->n_seeds < 2) {
        ob_str_add(out, "One seed cannot tell");
    } else if (accuracy == membership) {
        ob_str_add(out, accuracy > 0 ? "Yes" : accuracy < 0 ? "No" : "These seeds cannot tell");
    } else {
        say_sign(out, "By accuracy", accuracy);
        say_sign(out, "; by membership", membership);
    }
    ob_str_add(out, ".</b>");
}

static void answer(struct ob_str *out, const struct ob_record *r, const struct question *q)
{
    size_t a = obi_role(r, q->a), b = obi_role(r, q->b);
    struct verdict tow, mia;

    if (a == r->n_ways || b == r->n_ways)
        return;
    tow = compare(r, a, b, OB_M_TOW);
    mia = compare(r, a, b, OB_M_TOW_MIA);
    ob_str_addf(out, "<dt>%s</dt><dd>", q->ask);
    say_signs(out, r, tow.sign, mia.sign);
    ob_str_add(out, "<small>");
    title(out, r, a);
    ob_str_add(out, " against ");
    title(out, r, b);
    ob_str_add(out, ": ");
    detail(out, &tow, "ToW");
    ob_str_add(out, "; ");
    detail(out, &mia, "ToW-MIA");
    ob_str_add(out, ".</small></dd>\n");
}

/* ---- what there is to forget ---- */

static void join(struct ob_str *out, size_t i, size_t n)
{
    if (i)
        ob_str_add(out, i + 1 == n ? " and " : ", ");
}

static void list_parts(struct ob_str *out, const struct ob_record *r, const bool *in)
{
    size_t n = 0, i = 0;

    for (size_t k = 0; k < r->n_parts; k++)
        n += in[k];
    for (size_t k = 0; k < r->n_parts; k++)
        if (in[k]) {
            join(out, i++, n);
            ob_str_addf(out, "<span class=\"part\"><span class=\"chip f%zu\"></span><b>", k % 8);
            ob_html_escape(out, r->part_name[k]);
            ob_str_add(out, "</b></span>");
        }
}

static void say_work(struct ob_str *out, const struct ob_record *r)
{
    bool idle[OB_REC_PARTS] = { false }, work[OB_REC_PARTS] = { false };
    size_t n_idle = 0, nothing = obi_role(r, "nothing");

    if (nothing == r->n_ways)
        return;
    ob_str_add(out, "<dt>What is there to forget?</dt><dd>A model that never saw these examples "
                    "still gets ");
    for (size_t k = 0; k < r->n_parts; k++) {
        double gap = fabs(way_mean(r, nothing, OB_M_PART + (int)k) -
                          target_mean(r, OB_M_PART + (int)k));

        idle[k] = gap < small;
        work[k] = !idle[k];
        n_idle += idle[k];
        join(out, k, r->n_parts);
        ob_str_addf(out, "%.0f&nbsp;%% of ", 100 * target_mean(r, OB_M_PART + (int)k));
        ob_html_escape(out, r->part_name[k]);
    }
    ob_str_add(out, " right; the original gets ");
    for (size_t k = 0; k < r->n_parts; k++) {
        join(out, k, r->n_parts);
        ob_str_addf(out, "%.0f&nbsp;%%", 100 * way_mean(r, nothing, OB_M_PART + (int)k));
    }
    ob_str_add(out, ". ");
    if (n_idle && n_idle < r->n_parts) {
        ob_str_add(out, "So nothing needs doing for ");
        list_parts(out, r, idle);
        ob_str_add(out, ": a retrained model knows them anyway. The work is in ");
        list_parts(out, r, work);
        ob_str_add(out, ".");
    } else {
        ob_str_add(out, n_idle ? "So by accuracy there is next to nothing to forget."
                               : "So every part needs work.");
    }
    ob_str_add(out, "</dd>\n");
}

/* ---- who is closest ---- */

static size_t best(const struct ob_record *r, int metric)
{
    size_t at = r->n_ways;

    for (size_t w = 0; w < r->n_ways; w++)
        if (works(r, w) && (at == r->n_ways || way_mean(r, w, metric) > way_mean(r, at, metric)))
            at = w;
    return at;
}

static void say_best_by(struct ob_str *out, const struct ob_record *r, int metric,
                        const char *measure)
{
    size_t top = best(r, metric), nothing = obi_role(r, "nothing"), floor = obi_role(r, "floor");
    size_t tied[OB_REC_WAYS], n = 0;

    ob_str_addf(out, "By %s: ", measure);
    title(out, r, top);
    ob_str_addf(out, ", at %.3f", way_mean(r, top, metric));
    if (nothing < r->n_ways)
        ob_str_addf(out, " (doing nothing: %.3f", way_mean(r, nothing, metric));
    if (nothing < r->n_ways && floor < r->n_ways)
        ob_str_addf(out, "; two retrained models, one against the other: %.3f",
                    way_mean(r, floor, metric));
    ob_str_add(out, nothing < r->n_ways ? "). " : ". ");
    if (r->n_seeds < 2)
        return;
    for (size_t w = 0; w < r->n_ways; w++)
        if (works(r, w) && w != top && !compare(r, w, top, metric).sign)
            tied[n++] = w;
    if (!n)
        ob_str_add(out, "All others are clearly behind. ");
    if (n && n < 4) {
        ob_str_add(out, "Not clearly behind it: ");
        for (size_t i = 0; i < n; i++) {
            join(out, i, n);
            title(out, r, tied[i]);
        }
        ob_str_add(out, ". ");
    } else if (n) {
        ob_str_addf(out, "%zu others are not clearly behind it. ", n);
    }
}

static void say_best(struct ob_str *out, const struct ob_record *r)
{
    if (best(r, OB_M_TOW) == r->n_ways)
        return;
    ob_str_add(out, "<dt>Which way comes closest to retraining?</dt><dd>");
    say_best_by(out, r, OB_M_TOW, "accuracy (ToW)");
    say_best_by(out, r, OB_M_TOW_MIA, "membership (ToW-MIA)");
    ob_str_add(out, "</dd>\n");
}

/* ---- what one number hides ---- */

static size_t widest(const struct ob_record *r, int a, int b, double *gap)
{
    size_t at = r->n_ways;

    *gap = 0;
    for (size_t w = 0; w < r->n_ways; w++) {
        double d = way_mean(r, w, a) - way_mean(r, w, b);

        if (works(r, w) && d > *gap) {
            *gap = d;
            at = w;
        }
    }
    return at;
}

static void say_exposed(struct ob_str *out, const struct ob_record *r)
{
    double gap, mia;
    size_t w = widest(r, OB_M_TOW, OB_M_TOW_MIA, &gap);

    if (w == r->n_ways || gap < visible)
        return;
    mia = way_mean(r, w, OB_M_MIA);
    ob_str_add(out,
               "<dt>Does the membership attack see what accuracy does not?</dt><dd><b>Yes.</b> ");
    title(out, r, w);
    ob_str_addf(out,
                " scores %.3f by accuracy but %.3f by membership: the attack calls %.0f&nbsp;%% of "
                "the forgotten examples strangers, where a retrained model has %.0f&nbsp;%%. ",
                way_mean(r, w, OB_M_TOW), way_mean(r, w, OB_M_TOW_MIA), 100 * mia,
                100 * target_mean(r, OB_M_MIA));
    ob_str_add(out, mia > target_mean(r, OB_M_MIA)
                        ? "Forgetting more than a retrained model would is a trace too."
                        : "It has forgotten less than it seems.");
    ob_str_add(out, "</dd>\n");
}

static void say_cancel(struct ob_str *out, const struct ob_record *r)
{
    double gap;
    size_t w = widest(r, OB_M_TOW, OB_M_TOW_PARTS, &gap);
    size_t n = 0;

    if (w == r->n_ways || gap < visible)
        return;
    ob_str_add(out, "<dt>Does one number over the whole set hide something?</dt><dd><b>Yes.</b> ");
    title(out, r, w);
    ob_str_add(out, " is off in opposite directions: ");
    for (size_t k = 0; k < r->n_parts; k++) {
        double is = way_mean(r, w, OB_M_PART + (int)k), want = target_mean(r, OB_M_PART + (int)k);

        if (fabs(is - want) < notable)
            continue;
        if (n++)
            ob_str_add(out, ", ");
        ob_str_addf(out, "%s of ", is < want ? "too much forgotten" : "too little forgotten");
        ob_html_escape(out, r->part_name[k]);
        ob_str_addf(out, " (%.0f&nbsp;%% right, retrained %.0f&nbsp;%%)", 100 * is, 100 * want);
    }
    ob_str_addf(out,
                "%s errors that cancel in ToW (%.3f) do not in the mean over the parts "
                "(%.3f).</dd>\n",
                n ? ". These" : "small", way_mean(r, w, OB_M_TOW), way_mean(r, w, OB_M_TOW_PARTS));
}

static void say_cost(struct ob_str *out, const struct ob_record *r)
{
    double lo = INFINITY, hi = 0, full = target_mean(r, OB_M_IMAGES);

    for (size_t w = 0; w < r->n_ways; w++) {
        double share = way_mean(r, w, OB_M_IMAGES) / full;

        if (!works(r, w) || !(share > 0))
            continue;
        lo = fmin(lo, share);
        hi = fmax(hi, share);
    }
    if (!isfinite(lo))
        return;
    ob_str_addf(out, "<dt>What does it cost?</dt><dd>Between %.0f&nbsp;%% and %.0f&nbsp;%% of ",
                100 * lo, 100 * hi);
    ob_str_add(out, "retraining, counted in training images (a retraining takes ");
    obi_count(out, full);
    ob_str_add(out, "). All ways were given the same number of epochs.</dd>\n");
}

static void say_noise(struct ob_str *out, const struct ob_record *r)
{
    size_t floor = obi_role(r, "floor");

    ob_str_addf(out, "<dt>How sure is this?</dt><dd>%zu seed%s: ", r->n_seeds,
                r->n_seeds == 1 ? "" : "s");
    if (r->n_seeds < 2)
        ob_str_add(out, "one run shows what can happen, not what usually happens. ");
    else
        ob_str_add(out, "a difference is called clear where the 95&nbsp;% interval of the "
                        "differences within seeds leaves out zero. ");
    if (floor < r->n_ways)
        ob_str_addf(out,
                    "Two retrained models differ from each other by %.3f in ToW and %.3f in "
                    "ToW-MIA; a way that is that close to one has nothing left to gain. ",
                    1 - way_mean(r, floor, OB_M_TOW), 1 - way_mean(r, floor, OB_M_TOW_MIA));
    ob_str_add(out, "One data set, one small network: see "
                    "<code>docs/results/first-run.md</code> for the full study.</dd>\n");
}

void obi_findings(struct ob_str *out, const struct ob_record *r)
{
    ob_str_add(out, "<dl class=\"findings\">\n");
    say_work(out, r);
    say_best(out, r);
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        answer(out, r, &questions[i]);
    say_exposed(out, r);
    say_cancel(out, r);
    say_cost(out, r);
    say_noise(out, r);
    ob_str_add(out, "</dl>\n");
}
