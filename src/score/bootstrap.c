/*
 * bootstrap.c - intervals of a correlation from resamples of the examples: Efron, "Bootstrap methods: another
 * look at the jackknife", Annals of Statistics 1979.
 *
 * A resample says how often each example is in it. Its ranks come from one order of all examples, made once:
 * those that are taken k times, or tie, share the mean of the places that they fill.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/par.h"
#include "base/rng.h"
#include "score/score.h"

struct order {
    const double *x;
    double mean;
    uint32_t *at; /* examples, ascending */
};

struct item {
    double x;
    uint32_t i;
};

static int by_value(const void *a, const void *b)
{
    const struct item *p = a, *q = b;

    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    return p->i < q->i ? -1 : p->i > q->i;
}

static int make_order(struct order *o, const double *x, size_t n, struct ob_err *err)
{
    struct item *item;

    *o = (struct order){ .x = x };
    OB_TRY(ob_alloc(o->at, n, err));
    OB_TRY(ob_alloc(item, n, err));
    for (size_t i = 0; i < n; i++) {
        item[i] = (struct item){ x[i], (uint32_t)i };
        o->mean += x[i] / (double)n;
    }
    qsort(item, n, sizeof(*item), by_value);
    for (size_t i = 0; i < n; i++)
        o->at[i] = item[i].i;
    ob_free(item);
    return OB_OK;
}

/* rank[i] of each example in a sample that has it count[i] times, less their mean. */
static void ranks_of(double *rank, const struct order *o, const uint32_t *count, size_t n,
                     double middle)
{
    double before = 0;

    for (size_t i = 0, j; i < n; i = j) {
        double together = 0;

        for (j = i; j < n && o->x[o->at[j]] == o->x[o->at[i]]; j++)
            together += count[o->at[j]];
        for (size_t k = i; k < j; k++)
            rank[o->at[k]] = before + (together + 1) / 2 - middle;
        before += together;
    }
}

static double ratio(double xx, double yy, double xy)
{
    double r = xx > 0 && yy > 0 ? xy / sqrt(xx) / sqrt(yy) : (double)NAN;

    return r > 1 ? 1 : r < -1 ? -1 : r;
}

/* Of ranks whose mean is 0. */
static double spearman(const double *x, const double *y, const uint32_t *count, size_t n)
{
    double xx = 0, yy = 0, xy = 0;

    for (size_t i = 0; i < n; i++) {
        xx += count[i] * x[i] * x[i];
        yy += count[i] * y[i] * y[i];
        xy += count[i] * x[i] * y[i];
    }
    return ratio(xx, yy, xy);
}

/* Around the means of all examples first, so that little is lost when that of the sample goes off. */
static double pearson(const struct order *a, const struct order *b, const uint32_t *count, size_t n)
{
    double total = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;

    for (size_t i = 0; i < n; i++) {
        double u = a->x[i] - a->mean, v = b->x[i] - b->mean, c = count[i];

        total += c;
        x += c * u;
        y += c * v;
        xx += c * u * u;
        yy += c * v * v;
        xy += c * u * v;
    }
    return ratio(xx - x * x / total, yy - y * y / total, xy - x * y / total);
}

static double total_of(const uint32_t *count, size_t n)
{
    double total = 0;

    for (size_t i = 0; i < n; i++)
        total += count[i];
    return total;
}

int ob_correlate_counts(double *rho, double *r, const double *x, const double *y,
                        const uint32_t *count, size_t n, struct ob_err *err)
{
    double *rank[2] = { NULL, NULL };
    struct order order[2] = { { 0 } };
    int rc;

    for (int k = 0; k < 2; k++) {
        OB_GO(make_order(&order[k], k ? y : x, n, err));
        OB_GO(ob_alloc(rank[k], n, err));
        ranks_of(rank[k], &order[k], count, n, (total_of(count, n) + 1) / 2);
    }
    *rho = spearman(rank[0], rank[1], count, n);
    *r = pearson(&order[0], &order[1], count, n);
out:
    for (int k = 0; k < 2; k++) {
        ob_free(order[k].at);
        ob_free(rank[k]);
    }
    return rc;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double ob_percentile(double *x, size_t n, double q)
{
    double at = q * (double)(n - 1), below = floor(at);
    size_t i = (size_t)below;

    qsort(x, n, sizeof(*x), by_size);
    return i + 1 < n ? x[i] + (at - below) * (x[i + 1] - x[i]) : x[n - 1];
}

/* ---- resamples, side by side ---- */

struct room { /* of one worker */
    uint32_t *count;
    double *rank[2];
};

struct resampling {
    struct order order[2];
    size_t n;
    uint64_t seed;
    struct room *room;
    double *spearman, *pearson; /* by resample */
};

static void resample(void *arg, size_t b, int worker)
{
    struct resampling *s = arg;
    struct room *w = &s->room[worker];
    struct ob_rng r = ob_rng(s->seed, OB_RNG_BOOTSTRAP, (uint32_t)b, 0);

    memset(w->count, 0, s->n * sizeof(*w->count));
    for (size_t i = 0; i < s->n; i++)
        w->count[ob_rng_below(&r, (uint32_t)s->n)]++;
    for (int k = 0; k < 2; k++)
        ranks_of(w->rank[k], &s->order[k], w->count, s->n, ((double)s->n + 1) / 2);
    s->spearman[b] = spearman(w->rank[0], w->rank[1], w->count, s->n);
    s->pearson[b] = pearson(&s->order[0], &s->order[1], w->count, s->n);
}

/* Of the resamples in which both sides vary; NaN where there are none. */
static void interval(double *low, double *high, double *r, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (!isnan(r[i]))
            r[kept++] = r[i];
    *low = kept ? ob_percentile(r, kept, 0.025) : (double)NAN;
    *high = kept ? ob_percentile(r, kept, 0.975) : (double)NAN;
}

static int alloc_room(struct resampling *s, int n_threads, int resamples, struct ob_err *err)
{
    OB_TRY(ob_alloc(s->spearman, (size_t)resamples, err));
    OB_TRY(ob_alloc(s->pearson, (size_t)resamples, err));
    OB_TRY(ob_alloc(s->room, (size_t)n_threads, err));
    for (int t = 0; t < n_threads; t++) {
        OB_TRY(ob_alloc(s->room[t].count, s->n, err));
        OB_TRY(ob_alloc(s->room[t].rank[0], s->n, err));
        OB_TRY(ob_alloc(s->room[t].rank[1], s->n, err));
    }
    return OB_OK;
}

static void release(struct resampling *s, int n_threads)
{
    for (int t = 0; s->room && t < n_threads; t++) {
        ob_free(s->room[t].count);
        ob_free(s->room[t].rank[0]);
        ob_free(s->room[t].rank[1]);
    }
    ob_free(s->room);
    ob_free(s->spearman);
    ob_free(s->pearson);
    ob_free(s->order[0].at);
    ob_free(s->order[1].at);
}

int ob_scores_bootstrap(struct ob_compare *out, struct ob_ctx *ctx, const struct ob_scores *a,
                        const struct ob_scores *b, int resamples, uint64_t seed, struct ob_err *err)
{
    struct resampling s = { .seed = seed };
    double *x = NULL, *y = NULL;
    int n_threads = ob_ctx_n_threads(ctx), rc;

    if (resamples < 1)
        return ob_fail(err, OB_EINVAL, "%d resamples; there has to be one at least", resamples);
    OB_TRY(ob_scores_compare(out, a, b, err));
    OB_GO(ob_alloc(x, a->info.n, err));
    OB_GO(ob_alloc(y, a->info.n, err));
    s.n = ob_scores_pairs(x, y, a, b);
    OB_GO(make_order(&s.order[0], x, s.n, err));
    OB_GO(make_order(&s.order[1], y, s.n, err));
    OB_GO(alloc_room(&s, n_threads, resamples, err));
    ob_par_for(n_threads, (size_t)resamples, resample, &s);
    OB_GO(ob_ctx_stop(ctx, err));
    interval(&out->spearman_low, &out->spearman_high, s.spearman, (size_t)resamples);
    interval(&out->pearson_low, &out->pearson_high, s.pearson, (size_t)resamples);
    ob_compare_correct(out);
out:
    release(&s, n_threads);
    ob_free(x);
    ob_free(y);
    return rc;
}
