/* rng.c - counter-based random numbers (Salmon et al. 2011, Random123). */
#include "base/rng.h"

#include <Random123/philox.h>
#include <math.h>

struct ob_rng ob_rng(uint64_t seed, enum ob_purpose purpose, uint32_t a, uint32_t b)
{
    struct ob_rng r = { .key = { (uint32_t)seed, (uint32_t)(seed >> 32) },
                        .ctr = { 0, (uint32_t)purpose, a, b } };

    return r;
}

uint32_t ob_rng_u32(struct ob_rng *r)
{
    if (!r->left) {
        philox4x32_ctr_t c = { { r->ctr[0], r->ctr[1], r->ctr[2], r->ctr[3] } };
        philox4x32_key_t k = { { r->key[0], r->key[1] } };

        c = philox4x32(c, k);
        for (int i = 0; i < 4; i++)
            r->out[i] = c.v[i];
        r->ctr[0]++;
        r->left = 4;
    }
    return r->out[4 - r->left--];
}

uint32_t ob_rng_below(struct ob_rng *r, uint32_t n)
{
    uint32_t limit = UINT32_MAX - UINT32_MAX % n, x;

    do
        x = ob_rng_u32(r);
    while (x >= limit);
    return x % n;
}

float ob_rng_uniform(struct ob_rng *r)
{
    return (float)(ob_rng_u32(r) >> 8) * 0x1p-24f;
}

float ob_rng_normal(struct ob_rng *r)
{
    double u = (ob_rng_u32(r) + 0.5) * 0x1p-32, v = ob_rng_u32(r) * 0x1p-32;

    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

void ob_rng_shuffle(struct ob_rng *r, uint32_t *x, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = ob_rng_below(r, (uint32_t)i);
        uint32_t t = x[i - 1];

        x[i - 1] = x[j];
        x[j] = t;
    }
}
