/*
 * golden.h - numbers that C and Python make alike, and distances to what Python stored.
 *
 * The same as tools/goldenlib.py, where the generator and the short form of large arrays are
 * described.
 */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <math.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "base/npy.h"
#include "common.h"

#define GOLDEN_DIR "tests/golden/network/"
#define GOLDEN_EXACT 256
#define GOLDEN_SUMS 64

static inline uint64_t golden_key(const char *name)
{
    uint64_t h = 0xcbf29ce484222325;

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3;
    return h;
}

static inline uint64_t golden_bits(uint64_t key, size_t i)
{
    uint64_t z = key + (i + 1) * 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static inline void golden_uniform(float *x, const char *name, size_t n, double low, double high)
{
    uint64_t key = golden_key(name);

    for (size_t i = 0; i < n; i++)
        x[i] = (float)(low + (high - low) * ((double)(golden_bits(key, i) >> 40) / (1 << 24)));
}

static inline int golden_ends(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && !strcmp(name + n - m, end);
}

/* What stands in the view called `name`, of `v`'s shape. */
static inline void golden_view(float *x, const char *name, const struct ob_view *v)
{
    double low = -0.1, high = 0.1;

    if (golden_ends(name, "normalize.mean")) {
        low = 0.3;
        high = 0.5;
    } else if (golden_ends(name, "normalize.std")) {
        low = 0.2;
        high = 0.3;
    } else if (golden_ends(name, "running_mean")) {
        low = -0.3;
        high = 0.3;
    } else if (golden_ends(name, "running_var")) {
        low = 0.5;
        high = 1.5;
    } else if (v->rank > 1) {
        high = sqrt(6.0 / (double)(v->size / (size_t)v->shape[0]));
        low = -high;
    } else if (strstr(name, "layer") && golden_ends(name, ".bn3.weight")) {
        low = 0.1;
        high = 0.4;
    } else if (golden_ends(name, "weight")) {
        low = 0.5;
        high = 1.5;
    }
    golden_uniform(x, name, v->size, low, high);
}

/* The 64 sums with signs. By byte of the signs first: eight additions a number, not 64. */
static inline void golden_sums(double sum[GOLDEN_SUMS], const float *a, size_t n, uint64_t key)
{
    double by_byte[8][256] = { { 0 } };

    for (size_t i = 0; i < n; i++) {
        uint64_t bits = golden_bits(key, i);

        for (int b = 0; b < 8; b++)
            by_byte[b][bits >> 8 * b & 255] += (double)a[i];
    }
    for (int j = 0; j < GOLDEN_SUMS; j++)
        for (int v = 0; v < 256; v++)
            sum[j] += v >> j % 8 & 1 ? -by_byte[j / 8][v] : by_byte[j / 8][v];
}

/*
 * Relative distance ||a - b|| / ||b|| to the stored array `key` of the archive; `name` is the one
 * that its signs come from. Infinite where something is not finite. Fails where `key` is missing
 * or does not fit.
 */
static inline double golden_distance(const struct ob_npz *z, const char *key, const char *name,
                                     const float *a, size_t n)
{
    const struct ob_npy *want = ob_npz_find(z, key);
    double sum[GOLDEN_SUMS] = { 0 }, square = 0, norm = 0;

    if (!want || want->n != (n > GOLDEN_EXACT ? GOLDEN_SUMS + 1 : n))
        fail_msg("'%s' is missing or has the wrong size (%zu)", key, n);
    if (n <= GOLDEN_EXACT) {
        for (size_t i = 0; i < n; i++) {
            double b = ob_npy_double(want, i), d = a[i] - b;

            square += d * d;
            norm += b * b;
        }
        norm = sqrt(norm);
    } else {
        golden_sums(sum, a, n, golden_key(name));
        for (int j = 0; j < GOLDEN_SUMS; j++) {
            double d = sum[j] - ob_npy_double(want, (size_t)j);

            square += d * d / GOLDEN_SUMS;
        }
        norm = ob_npy_double(want, GOLDEN_SUMS);
    }
    square = sqrt(square) / (norm > 0 ? norm : 1);
    return isfinite(square) ? square : INFINITY;
}

struct golden_backend {
    const char *title, *name, *isa;
    int general;         /* 3 x 3 convolutions without Winograd's algorithm */
    double node, logits; /* bounds on relative distances */
};

static const struct golden_backend golden_backends[] = {
    { "ref", "ref", NULL, 0, 1e-6, 2e-6 },
    { "cpu, baseline", "cpu", "baseline", 0, 2e-5, 2e-4 },
    { "cpu, avx2", "cpu", "avx2", 0, 2e-5, 2e-4 },
    { "cpu, avx512", "cpu", "avx512", 0, 2e-5, 2e-4 },
    { "cpu, general path", "cpu", NULL, 1, 5e-6, 2e-5 },
    { "cpu, general path, baseline", "cpu", "baseline", 1, 5e-6, 2e-5 },
};
#define GOLDEN_BACKENDS (sizeof(golden_backends) / sizeof(golden_backends[0]))

/* NULL where this machine does not have it. */
static inline struct ob_ctx *golden_ctx(const struct golden_backend *b)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_err err = { 0 };
    struct ob_ctx *ctx;
    int rc;

    o.backend = b->name;
    o.isa = b->isa;
    o.general_conv = b->general;
    o.n_threads = 2;
    rc = ob_ctx_new(&ctx, &o, &err);
    if (rc == OB_ENOTSUP && b->isa && strcmp(b->isa, "baseline")) {
        print_message("%s: not on this machine\n", b->title);
        return NULL;
    }
    if (rc)
        fail_msg("%s", err.msg);
    return ctx;
}

#endif
