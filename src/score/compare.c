/* compare.c - do two scores agree? Rank and linear correlation, with 95 % intervals, and corrected for noise. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "score/score.h"

struct item {
    double x;
    size_t i;
};

static int by_value(const void *a, const void *b)
{
    const struct item *p = a, *q = b;

    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    return p->i < q->i ? -1 : p->i > q->i;
}

int ob_ranks(double *rank, const double *x, size_t n, struct ob_err *err)
{
    struct item *order;

    OB_TRY(ob_alloc(order, n, err));
    for (size_t i = 0; i < n; i++)
        order[i] = (struct item){ x[i], i };
    qsort(order, n, sizeof(*order), by_value);
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && order[j].x == order[i].x; j++)
            ;
        for (size_t k = i; k < j; k++) /* ranks i+1 .. j share their mean */
            rank[order[k].i] = (double)(i + 1 + j) / 2;
    }
    ob_free(order);
    return OB_OK;
}

/* NaN where one side does not vary. */
static double pearson(const double *x, const double *y, size_t n)
{
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0, r;

    for (size_t i = 0; i < n; i++) {
        mx += x[i];
        my += y[i];
    }
    mx /= (double)n;
    my /= (double)n;
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    if (xx <= 0 || yy <= 0)
        return NAN;
    r = xy / sqrt(xx) / sqrt(yy);
    return r > 1 ? 1 : r < -1 ? -1 : r;
}

/* Fisher: atanh(r) is nearly normal with variance 1 / (n - 3). */
static void interval(double *low, double *high, double r, size_t n)
{
    double half = n > 3 ? 1.959963984540054 / sqrt((double)(n - 3)) : NAN;

    *low = tanh(atanh(r) - half);
    *high = tanh(atanh(r) + half);
}

void ob_compare_correct(struct ob_compare *c)
{
    const double *r = c->reliability;
    double by = isnan(r[0]) && isnan(r[1])
                    ? (double)NAN
                    : sqrt((isnan(r[0]) ? 1 : r[0]) * (isnan(r[1]) ? 1 : r[1]));

    c->spearman_corrected = c->spearman / by;
    c->spearman_corrected_low = c->spearman_low / by;
    c->spearman_corrected_high = c->spearman_high / by;
    c->pearson_corrected = c->pearson / by;
    c->pearson_corrected_low = c->pearson_low / by;
    c->pearson_corrected_high = c->pearson_high / by;
}

size_t ob_scores_pairs(double *x, double *y, const struct ob_scores *a, const struct ob_scores *b)
{
    size_t n = 0;

    for (size_t i = 0; i < a->info.n; i++) {
        if (isnan(a->value[i]) || isnan(b->value[i]))
            continue;
        x[n] = a->value[i];
        y[n++] = b->value[i];
    }
    return n;
}

int ob_scores_compare(struct ob_compare *out, const struct ob_scores *a, const struct ob_scores *b,
                      struct ob_err *err)
{
    double *x = NULL, *y = NULL, *rank_x = NULL, *rank_y = NULL;
    size_t n;
    int rc;

    *out = (struct ob_compare){ 0 };
    if (a->info.n != b->info.n)
        return ob_fail(err, OB_EFORMAT,
                       "scores of two different training files: %zu and %zu examples", a->info.n,
                       b->info.n);
    OB_GO(ob_alloc(x, a->info.n, err));
    OB_GO(ob_alloc(y, a->info.n, err));
    n = ob_scores_pairs(x, y, a, b);
    if (n < 2) {
        rc = ob_fail(err, OB_EFORMAT, "%s scored in both files; nothing to compare",
                     n ? "only one example is" : "no example is");
        goto out;
    }
    OB_GO(ob_alloc(rank_x, n, err));
    OB_GO(ob_alloc(rank_y, n, err));
    OB_GO(ob_ranks(rank_x, x, n, err));
    OB_GO(ob_ranks(rank_y, y, n, err));
    out->n = n;
    out->pearson = pearson(x, y, n);
    out->spearman = pearson(rank_x, rank_y, n);
    interval(&out->pearson_low, &out->pearson_high, out->pearson, n);
    interval(&out->spearman_low, &out->spearman_high, out->spearman, n);
    out->reliability[0] = ob_scores_reliability(a);
    out->reliability[1] = ob_scores_reliability(b);
    ob_compare_correct(out);
out:
    ob_free(x);
    ob_free(y);
    ob_free(rank_x);
    ob_free(rank_y);
    return rc;
}
