/*
 * entanglement.c - how much two sets of examples overlap in the embedding of a model.
 *
 * Entanglement score (Zhao et al. 2024, section 4.1), phi the embedding, mu_R and mu_S the means of retain
 * and forget set, mu that of both together:
 *
 *          mean_R |phi - mu_R|^2 + mean_S |phi - mu_S|^2
 *     ES = ---------------------------------------------
 *             (|mu_R - mu|^2 + |mu_S - mu|^2) / 2
 *
 * The released code takes (mu_R + mu_S) / 2 for mu. Maximum mean discrepancy (Gretton et al., JMLR 2012,
 * eq. 5, biased): mean k over S x S + mean k over R x R - 2 mean k over S x R, with k(x, y) =
 * exp(-gamma |x - y|^2).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/par.h"
#include "base/rng.h"
#include "base/room.h"
#include "score/score.h"

/* ---- sums over examples: in double, in the order of the examples ---- */

struct embedding {
    const float *phi; /* rows of f, by rank in ids */
    const struct ob_ids *ids;
    size_t f;
};

static const float *row_of(const struct embedding *e, uint32_t id)
{
    return e->phi + ob_ids_rank(e->ids, id) * e->f;
}

static void mean_of(double *mean, const struct embedding *e, const struct ob_ids *set)
{
    memset(mean, 0, e->f * sizeof(*mean));
    for (size_t i = 0; i < set->n; i++) {
        const float *x = row_of(e, set->id[i]);

        for (size_t k = 0; k < e->f; k++)
            mean[k] += (double)x[k];
    }
    for (size_t k = 0; k < e->f; k++)
        mean[k] /= (double)set->n;
}

static double distance2(const float *x, const double *mean, size_t f)
{
    double sum = 0;

    for (size_t k = 0; k < f; k++)
        sum += ((double)x[k] - mean[k]) * ((double)x[k] - mean[k]);
    return sum;
}

static double spread(const struct embedding *e, const struct ob_ids *set, const double *mean)
{
    double sum = 0;

    for (size_t i = 0; i < set->n; i++)
        sum += distance2(row_of(e, set->id[i]), mean, e->f);
    return sum / (double)set->n;
}

static int entanglement(struct ob_entanglement *out, const struct embedding *e,
                        const struct ob_entangle_set *s, struct ob_err *err)
{
    double *mean[2] = { NULL, NULL }, p, q, delta = 0, inside;
    int rc;

    OB_GO(ob_alloc(mean[0], e->f, err));
    OB_GO(ob_alloc(mean[1], e->f, err));
    mean_of(mean[0], e, s->retain);
    mean_of(mean[1], e, s->forget);
    for (size_t k = 0; k < e->f; k++)
        delta += (mean[0][k] - mean[1][k]) * (mean[0][k] - mean[1][k]);
    inside = spread(e, s->retain, mean[0]) + spread(e, s->forget, mean[1]);
    p = (double)s->retain->n / (double)(s->retain->n + s->forget->n);
    q = 1 - p;
    out->n_retain = s->retain->n;
    out->n_forget = s->forget->n;
    /* mu = p mu_R + q mu_S, so |mu_R - mu| = q |delta| and |mu_S - mu| = p |delta| */
    out->es = inside / (delta * (p * p + q * q) / 2);
    out->es_released = inside / (delta / 4);
out:
    ob_free(mean[0]);
    ob_free(mean[1]);
    return rc;
}

/* ---- maximum mean discrepancy, over a sample of each set ---- */

struct sample {
    const float **x; /* n[0] of the forget set, then n[1] of the retain set */
    size_t n[2], f;
    float *d2; /* squared distances of all pairs i < j, row by row */
};

static size_t pair_at(const struct sample *s, size_t i, size_t j)
{
    size_t n = s->n[0] + s->n[1];

    return i * n - i * (i + 1) / 2 + (j - i - 1);
}

static void distances_from(void *arg, size_t i, int worker)
{
    struct sample *s = arg;

    (void)worker;
    for (size_t j = i + 1; j < s->n[0] + s->n[1]; j++) {
        double sum = 0;

        for (size_t k = 0; k < s->f; k++) {
            double d = (double)s->x[i][k] - (double)s->x[j][k];

            sum += d * d;
        }
        s->d2[pair_at(s, i, j)] = (float)sum;
    }
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* 1 / (2 sigma^2), sigma the median distance of two examples. */
static int median_gamma(double *gamma, const struct sample *s, struct ob_err *err)
{
    size_t n = s->n[0] + s->n[1], n_pairs = n * (n - 1) / 2;
    double median;
    float *d;

    OB_TRY(ob_alloc(d, n_pairs, err));
    memcpy(d, s->d2, n_pairs * sizeof(*d));
    qsort(d, n_pairs, sizeof(*d), by_size);
    median = ((double)d[(n_pairs - 1) / 2] + (double)d[n_pairs / 2]) / 2;
    *gamma = 1 / (2 * median);
    ob_free(d);
    return OB_OK;
}

static double mmd2(const struct sample *s, double gamma)
{
    double sum[3] = { (double)s->n[0], (double)s->n[1], 0 }; /* of each with itself: k = 1 */
    double n0 = (double)s->n[0], n1 = (double)s->n[1];

    for (size_t i = 0; i < s->n[0] + s->n[1]; i++)
        for (size_t j = i + 1; j < s->n[0] + s->n[1]; j++) {
            double k = exp(-gamma * (double)s->d2[pair_at(s, i, j)]);

            if (j < s->n[0])
                sum[0] += 2 * k;
            else if (i >= s->n[0])
                sum[1] += 2 * k;
            else
                sum[2] += k;
        }
    return sum[0] / (n0 * n0) + sum[1] / (n1 * n1) - 2 * sum[2] / (n0 * n1);
}

/* `most` of a set, drawn at random; 0: all. */
static int draw(const float **x, size_t *n, const struct embedding *e, const struct ob_ids *set,
                size_t most, uint64_t seed, uint32_t what, struct ob_err *err)
{
    struct ob_rng r = ob_rng(seed, OB_RNG_SELECT, 1, what);
    uint32_t *id;

    OB_TRY(ob_alloc(id, set->n, err));
    memcpy(id, set->id, set->n * sizeof(*id));
    if (most && most < set->n)
        ob_rng_shuffle(&r, id, set->n);
    *n = most && most < set->n ? most : set->n;
    for (size_t i = 0; i < *n; i++)
        x[i] = row_of(e, id[i]);
    ob_free(id);
    return OB_OK;
}

static int discrepancy(struct ob_entanglement *out, struct ob_ctx *ctx, const struct embedding *e,
                       const struct ob_entangle_set *set, const struct ob_entangle_opts *o,
                       struct ob_err *err)
{
    struct sample s = { .f = e->f };
    size_t n, n_pairs;
    int rc;

    OB_GO(ob_alloc(s.x, set->forget->n + set->retain->n, err));
    OB_GO(draw(s.x, &s.n[0], e, set->forget, o->sample, o->seed, 0, err));
    OB_GO(draw(s.x + s.n[0], &s.n[1], e, set->retain, o->sample, o->seed, 1, err));
    n = s.n[0] + s.n[1];
    if (!ob_mul(&n_pairs, n, n - 1)) {
        rc = ob_fail(err, OB_ENOMEM, "out of memory (%zu examples)", n);
        goto out;
    }
    OB_GO(ob_room_check(ctx, n_pairs * sizeof(float), "the distances of all pairs", NULL,
                        "take a smaller sample", err));
    OB_GO(ob_alloc(s.d2, n_pairs / 2, err));
    ob_par_for(ctx->n_threads, n, distances_from, &s);
    OB_GO(ob_ctx_stop(ctx, err));
    OB_GO(median_gamma(&out->gamma, &s, err));
    out->n_sample[0] = s.n[0];
    out->n_sample[1] = s.n[1];
    out->mmd2 = mmd2(&s, out->gamma);
    out->mmd2_gamma1 = mmd2(&s, 1);
out:
    ob_free(s.d2);
    ob_free(s.x);
    return rc;
}

/* ---- of a model ---- */

static int embed(struct embedding *e, float **phi, const struct ob_model *m,
                 const struct ob_data *d, const struct ob_ids *ids, struct ob_err *err)
{
    size_t n;

    e->ids = ids;
    e->f = (size_t)ob_model_n_features(m);
    if (!ob_mul(&n, ids->n, e->f))
        return ob_fail(err, OB_ENOMEM, "out of memory (%zu examples)", ids->n);
    OB_TRY(ob_room_check(m->ctx, n * sizeof(float), "the embedding of all examples", NULL,
                         "use fewer of them (train= of the data set)", err));
    OB_TRY(ob_alloc(*phi, n, err));
    e->phi = *phi;
    return ob_predict(NULL, *phi, m, d, OB_TRAIN, ids, err);
}

static int check_set(const struct ob_ids *ids, const struct ob_entangle_set *s, struct ob_err *err)
{
    const struct ob_ids *both[2] = { s->forget, s->retain };

    for (int k = 0; k < 2; k++) {
        if (!both[k]->n)
            return ob_fail(err, OB_EINVAL, "an empty set has no entanglement");
        for (size_t i = 0; i < both[k]->n; i++)
            if (!ob_ids_has(ids, both[k]->id[i]))
                return ob_fail(err, OB_EFORMAT, "example %u is not in the training part",
                               (unsigned)both[k]->id[i]);
    }
    return OB_OK;
}

int ob_entangle_embedded(struct ob_entanglement *out, struct ob_ctx *ctx, const float *phi,
                         size_t f, const struct ob_ids *ids, const struct ob_entangle_set *set,
                         size_t n, const struct ob_entangle_opts *o, struct ob_err *err)
{
    struct embedding e = { phi, ids, f };

    for (size_t i = 0; i < n; i++) {
        OB_TRY(entanglement(&out[i], &e, &set[i], err));
        OB_TRY(discrepancy(&out[i], ctx, &e, &set[i], o, err));
    }
    return OB_OK;
}

int ob_entangle(struct ob_entanglement *out, const struct ob_model *m, const struct ob_data *d,
                const struct ob_ids *ids, const struct ob_entangle_set *set, size_t n,
                const struct ob_entangle_opts *o, struct ob_err *err)
{
    struct embedding e;
    float *phi = NULL;
    int rc;

    for (size_t i = 0; i < n; i++)
        OB_TRY(check_set(ids, &set[i], err));
    OB_GO(embed(&e, &phi, m, d, ids, err));
    rc = ob_entangle_embedded(out, m->ctx, phi, e.f, ids, set, n, o, err);
out:
    ob_free(phi);
    return rc;
}

/* Euclidean distance to the mean embedding of `ids`, by rank. */
int ob_centroid_distances(double *out, const struct ob_model *m, const struct ob_data *d,
                          const struct ob_ids *ids, struct ob_err *err)
{
    struct embedding e;
    float *phi = NULL;
    double *mean = NULL;
    int rc;

    OB_GO(embed(&e, &phi, m, d, ids, err));
    OB_GO(ob_alloc(mean, e.f, err));
    mean_of(mean, &e, ids);
    for (size_t i = 0; i < ids->n; i++)
        out[i] = sqrt(distance2(phi + i * e.f, mean, e.f));
out:
    ob_free(mean);
    ob_free(phi);
    return rc;
}
