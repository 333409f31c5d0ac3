/* memorization.c - memorization and consistency of each example, from the models of a bank. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "score/bank.h"

#define HALVINGS 20

struct counts { /* of one example over some models: in its subset or not, right or not */
    int n[2], right[2];
};

static struct counts count(const struct ob_bank_bits *bits, size_t row, const uint64_t *of)
{
    struct counts c = { { 0, 0 }, { 0, 0 } };

    for (size_t w = 0; w < bits->words; w++) {
        uint64_t in = bits->included[row * bits->words + w],
                 right = bits->right[0][row * bits->words + w];

        c.n[1] += __builtin_popcountll(in & of[w]);
        c.n[0] += __builtin_popcountll(~in & of[w]);
        c.right[1] += __builtin_popcountll(in & right & of[w]);
        c.right[0] += __builtin_popcountll(~in & right & of[w]);
    }
    return c;
}

static double share(const struct counts *c, int in)
{
    return c->n[in] ? (double)c->right[in] / c->n[in] : (double)NAN;
}

static double memorization(const struct counts *c)
{
    return share(c, 1) - share(c, 0);
}

/* Of a share, with one right and one wrong answer added: else a few models that agree would leave
 * no doubt at all (Agresti and Caffo, The American Statistician 2000). */
static double variance(const struct counts *c, int in)
{
    double n = c->n[in], p = (c->right[in] + 1) / (n + 2);

    return n > 0 ? p * (1 - p) / (n > 1 ? n - 1 : 1) : (double)NAN;
}

/* ---- how well halves of the bank agree ---- */

static void fill(uint64_t *of, int n)
{
    for (int m = 0; m < n; m++)
        of[m / 64] |= (uint64_t)1 << (m % 64);
}

/* Half of the models into each set; an odd one out into neither. */
static int halve(uint64_t *half[2], const struct ob_bank_bits *bits, const struct ob_bank *b,
                 int round, struct ob_err *err)
{
    struct ob_rng r = ob_rng(b->seed, OB_RNG_BANK, (uint32_t)round, 2);
    uint32_t *model;

    OB_TRY(ob_alloc(model, (size_t)bits->n, err));
    for (int m = 0; m < bits->n; m++)
        model[m] = (uint32_t)m;
    ob_rng_shuffle(&r, model, (size_t)bits->n);
    for (int side = 0; side < 2; side++) {
        memset(half[side], 0, bits->words * sizeof(**half));
        for (int m = 0; m < bits->n / 2; m++) {
            uint32_t k = model[side * (bits->n / 2) + m];

            half[side][k / 64] |= (uint64_t)1 << (k % 64);
        }
    }
    ob_free(model);
    return OB_OK;
}

static double pearson_of_halves(const struct ob_bank_bits *bits, const struct ob_bank *b,
                                uint64_t *const half[2])
{
    double n = 0, sum[2] = { 0, 0 }, square[2] = { 0, 0 }, both = 0;

    for (size_t i = 0; i < b->info.n_train; i++) {
        struct counts c0 = count(bits, i, half[0]), c1 = count(bits, i, half[1]);
        double x = memorization(&c0), y = memorization(&c1);

        if (!b->in_part[i] || isnan(x) || isnan(y))
            continue;
        n++;
        sum[0] += x;
        sum[1] += y;
        square[0] += x * x;
        square[1] += y * y;
        both += x * y;
    }
    return (both - sum[0] * sum[1] / n) /
           sqrt((square[0] - sum[0] * sum[0] / n) * (square[1] - sum[1] * sum[1] / n));
}

static int reliability(struct ob_reliability *r, const struct ob_bank_bits *bits,
                       const struct ob_bank *b, struct ob_err *err)
{
    uint64_t *half[2] = { NULL, NULL };
    int rc = OB_OK;

    *r = (struct ob_reliability){ .n_models = bits->n, .half = NAN, .whole = NAN };
    if (bits->n < 4)
        return OB_OK;
    OB_GO(ob_alloc(half[0], bits->words, err));
    OB_GO(ob_alloc(half[1], bits->words, err));
    r->half = 0;
    for (int round = 0; round < HALVINGS; round++) {
        OB_GO(ob_ctx_stop(b->ctx, err));
        OB_GO(halve(half, bits, b, round, err));
        r->half += pearson_of_halves(bits, b, half) / HALVINGS;
    }
    r->whole = 2 * r->half / (1 + r->half);
out:
    ob_free(half[0]);
    ob_free(half[1]);
    return rc;
}

/* ---- score files ---- */

static int describe(struct ob_scores *s, const struct ob_bank *b, const struct ob_bank_bits *bits,
                    const struct ob_reliability *r, struct ob_err *err)
{
    json_t *settings = json_loads(b->identity, 0, NULL), *origin;

    origin = json_pack("{s:s, s:i, s:O, s:O}", "bank", b->key, "models", bits->n, "data",
                       json_object_get(settings, "data"), "settings", settings);
    if (origin && isfinite(r->whole)) {
        json_object_set_new(origin, "half_reliability", json_real(r->half));
        json_object_set_new(origin, "reliability", json_real(r->whole));
    }
    json_decref(settings);
    return ob_scores_set_origin(s, origin, err);
}

/* A gradient costs three forward passes. */
static double cost(const struct ob_bank *b, int n_models)
{
    json_t *settings = json_loads(b->identity, 0, NULL);
    double epochs = json_number_value(json_object_get(settings, "epochs"));

    json_decref(settings);
    return n_models * (3 * epochs * floor(b->subset * (double)b->n_part + 0.5) +
                       (double)(b->info.n_train + b->info.n_test));
}

static void score_rows(struct ob_scores *s, float *error, const struct ob_bank *b,
                       const struct ob_bank_bits *bits, const uint64_t *all, int raw)
{
    int is_mem = !strcmp(s->kind, "memorization");

    for (size_t i = 0; i < b->info.n_train; i++) {
        struct counts c = count(bits, i, all);
        uint32_t id = b->row[0]->id[i];
        double out = share(&c, 0);

        if (!b->in_part[i])
            continue;
        s->value[id] = (float)(is_mem ? memorization(&c) : raw ? out : 1 - out);
        if (error)
            error[id] = (float)sqrt(variance(&c, 0) + (is_mem ? variance(&c, 1) : 0));
    }
}

static int score(struct ob_scores **out, float **error, struct ob_reliability *r,
                 const struct ob_bank *b, const struct ob_bank_bits *bits, const char *kind,
                 int raw, struct ob_err *err)
{
    struct ob_reliability own;
    uint64_t *all = NULL;
    int rc;

    OB_GO(ob_alloc(all, bits->words, err));
    fill(all, bits->n);
    OB_GO(ob_scores_new(out, kind, "bank", b->info.n_file, err));
    if (error) {
        OB_GO(ob_alloc(*error, b->info.n_file, err));
        for (size_t i = 0; i < b->info.n_file; i++)
            (*error)[i] = NAN;
    }
    r = r ? r : &own;
    *r = (struct ob_reliability){ .n_models = bits->n, .half = NAN, .whole = NAN };
    if (!strcmp(kind, "memorization"))
        OB_GO(reliability(r, bits, b, err));
    score_rows(*out, error ? *error : NULL, b, bits, all, raw);
    (*out)->info.raw = raw && strcmp(kind, "memorization");
    (*out)->info.images = cost(b, bits->n);
    ob_scores_count(*out);
    rc = describe(*out, b, bits, r, err);
out:
    ob_free(all);
    return rc;
}

int ob_bank_scores(struct ob_scores **out, float **error, struct ob_reliability *r,
                   const struct ob_bank *b, const char *kind, int raw, struct ob_err *err)
{
    struct ob_bank_bits bits;
    int rc;

    *out = NULL;
    if (error)
        *error = NULL;
    if (strcmp(kind, "memorization") && strcmp(kind, "consistency"))
        return ob_fail(err, OB_EINVAL,
                       "a bank has no score '%s'; there are memorization and consistency", kind);
    OB_TRY(ob_bank_bits_read(&bits, b, err));
    rc = score(out, error, r, b, &bits, kind, raw, err);
    ob_bank_bits_release(&bits);
    if (rc) {
        ob_scores_free(*out);
        *out = NULL;
        if (error) {
            ob_free(*error);
            *error = NULL;
        }
    }
    return rc;
}
