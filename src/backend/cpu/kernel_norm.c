/* kernel_norm.c - batch normalisation with what follows it: residual, ReLU, 2 x 2 max-pool. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "backend/cpu/simd.h"

static void stats(double *sum, double *m2, const float *y, int n, int c8, int hw)
{
    size_t image = (size_t)c8 * (size_t)hw * 8;

    for (int b = 0; b < c8; b++) {
        v8 s0 = v_splat(0), s1 = s0, q0 = s0, q1 = s0, mean;

        for (int i = 0; i < n; i++) {
            const float *p = y + (size_t)i * image + (size_t)b * (size_t)hw * 8;
            int j = 0;

            for (; j + 2 <= hw; j += 2) {
                s0 += v_load(p + 8 * j);
                s1 += v_load(p + 8 * j + 8);
            }
            if (j < hw)
                s0 += v_load(p + 8 * j);
        }
        s0 += s1;
        mean = s0 / v_splat((float)(n * hw));
        for (int i = 0; i < n; i++) {
            const float *p = y + (size_t)i * image + (size_t)b * (size_t)hw * 8;
            int j = 0;

            for (; j + 2 <= hw; j += 2) {
                v8 d0 = v_load(p + 8 * j) - mean, d1 = v_load(p + 8 * j + 8) - mean;

                q0 += d0 * d0;
                q1 += d1 * d1;
            }
            if (j < hw) {
                v8 d0 = v_load(p + 8 * j) - mean;

                q0 += d0 * d0;
            }
        }
        q0 += q1;
        for (int c = 0; c < 8; c++) {
            sum[8 * b + c] = (double)s0[c];
            m2[8 * b + c] = (double)q0[c];
        }
    }
}

OB_INLINE void apply_plain(float *z, const float *y, const float *r, v8 mean, v8 a, v8 beta,
                           size_t hw, const int residual, const int relu)
{
    for (size_t j = 0; j < 8 * hw; j += 8) {
        v8 v = (v_load(y + j) - mean) * a + beta;

        if (residual)
            v += v_load(r + j);
        v_store(z + j, relu ? v_relu(v) : v);
    }
}

static void apply_pool(float *z, const float *y, v8 mean, v8 a, v8 beta, int h, int w)
{
    for (int i = 0; i + 2 <= h; i += 2)
        for (int j = 0; j + 2 <= w; j += 2, z += 8) {
            const float *p = y + 8 * ((size_t)i * (size_t)w + (size_t)j), *q = p + 8 * (size_t)w;
            v8 v0 = (v_load(p) - mean) * a + beta, v1 = (v_load(p + 8) - mean) * a + beta;
            v8 v2 = (v_load(q) - mean) * a + beta, v3 = (v_load(q + 8) - mean) * a + beta;

            v_store(z, v_relu(v_larger(v_larger(v0, v1), v_larger(v2, v3))));
        }
}

static void apply(float *z, const float *y, const float *r, const struct ob_norm_coef *k, int c8,
                  int h, int w, int flags)
{
    size_t hw = (size_t)h * (size_t)w, plane = 8 * hw;

    for (int b = 0; b < c8; b++, y += plane) {
        v8 mean = v_load(k->mean + 8 * b), a = v_load(k->a + 8 * b), beta = v_load(k->beta + 8 * b);

        if (flags & OB_NORM_POOL) {
            apply_pool(z, y, mean, a, beta, h, w);
            z += 8 * (size_t)(h / 2) * (size_t)(w / 2);
            continue;
        }
        if (r && (flags & OB_NORM_RELU))
            apply_plain(z, y, r, mean, a, beta, hw, 1, 1);
        else if (r)
            apply_plain(z, y, r, mean, a, beta, hw, 1, 0);
        else if (flags & OB_NORM_RELU)
            apply_plain(z, y, r, mean, a, beta, hw, 0, 1);
        else
            apply_plain(z, y, r, mean, a, beta, hw, 0, 0);
        z += plane;
        r = r ? r + plane : NULL;
    }
}

/* The position in a 2 x 2 window that a gradient goes to: the first of the largest, if positive. */
struct window {
    i8 m[4];
};

OB_INLINE struct window choose(const v8 v[4])
{
    struct window m;
    v8 best = v_larger(v_larger(v[0], v[1]), v_larger(v[2], v[3]));
    i8 open = v_positive(best);

#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        m.m[k] = open & (v[k] == best);
        open &= ~m.m[k];
    }
    return m;
}

OB_INLINE void load_window(v8 d[4], v8 v[4], const float *p, size_t row, v8 mean, v8 a, v8 beta)
{
    d[0] = v_load(p) - mean;
    d[1] = v_load(p + 8) - mean;
    d[2] = v_load(p + row) - mean;
    d[3] = v_load(p + row + 8) - mean;
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++)
        v[k] = d[k] * a + beta;
}

static void sums_pool(v8 s[2], const float *y, const float *dz, v8 mean, v8 a, v8 beta, int h,
                      int w)
{
    for (int i = 0; i + 2 <= h; i += 2)
        for (int j = 0; j + 2 <= w; j += 2, dz += 8) {
            v8 d[4], v[4], g = v_load(dz), at = v_splat(0);
            struct window m;

            load_window(d, v, y + 8 * ((size_t)i * (size_t)w + (size_t)j), 8 * (size_t)w, mean, a,
                        beta);
            m = choose(v);
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++)
                at += v_keep(d[k], m.m[k]);
            s[0] += v_keep(g, m.m[0] | m.m[1] | m.m[2] | m.m[3]);
            s[1] += g * at;
        }
}

OB_INLINE void sums_plain(v8 s[2], const float *y, const float *z, float *dz, float *r, v8 mean,
                          size_t hw, int flags, const int relu)
{
    for (size_t j = 0; j < 8 * hw; j += 8) {
        v8 g = v_load(dz + j);

        if (relu)
            g = v_keep(g, v_positive(v_load(z + j)));
        s[0] += g;
        s[1] += g * (v_load(y + j) - mean);
        if (relu && (flags & OB_NORM_MASK))
            v_store(dz + j, g);
        if (r)
            v_store(r + j, flags & OB_NORM_ADD ? v_load(r + j) + g : g);
    }
}

static void back_sums(double *s1, double *s2, const float *y, const float *z, float *dz, float *r,
                      const struct ob_norm_coef *k, int c8, int h, int w, int flags)
{
    size_t hw = (size_t)h * (size_t)w, plane = 8 * hw;
    size_t out = flags & OB_NORM_POOL ? 8 * (size_t)(h / 2) * (size_t)(w / 2) : plane;

    for (int b = 0; b < c8; b++) {
        v8 s[2] = { v_splat(0), v_splat(0) }, mean = v_load(k->mean + 8 * b);

        if (flags & OB_NORM_POOL)
            sums_pool(s, y, dz, mean, v_load(k->a + 8 * b), v_load(k->beta + 8 * b), h, w);
        else if (flags & OB_NORM_RELU)
            sums_plain(s, y, z, dz, r, mean, hw, flags, 1);
        else
            sums_plain(s, y, z, dz, r, mean, hw, flags, 0);
        for (int c = 0; c < 8; c++) {
            s1[8 * b + c] += (double)s[0][c];
            s2[8 * b + c] += (double)s[1][c];
        }
        y += plane;
        dz += out;
        z += out;
        r = r ? r + plane : NULL;
    }
}

struct back { /* of one plane */
    v8 mean, a, beta, ga, gb, gc;
};

OB_INLINE void put(float *to, v8 x, const int add)
{
    v_store(to, add ? v_load(to) + x : x);
}

OB_INLINE void back_plain(float *dy, size_t row, const float *y, const float *z, const float *dz,
                          struct back k, int h, int w, const int relu, const int add)
{
    for (int i = 0; i < h; i++, dy += row)
        for (int j = 0; j < 8 * w; j += 8, y += 8, z += 8, dz += 8) {
            v8 g = v_load(dz);

            if (relu)
                g = v_keep(g, v_positive(v_load(z)));
            put(dy + j, g * k.ga + ((v_load(y) - k.mean) * k.gb + k.gc), add);
        }
}

OB_INLINE void back_pool(float *dy, size_t row, const float *y, const float *dz, struct back k,
                         int h, int w, const int add)
{
    size_t in = 8 * (size_t)w;

    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            const float *p = y + (size_t)i * in + 8 * (size_t)j;
            float *to = dy + (size_t)i * row + 8 * (size_t)j;

            if (i == (h & ~1) || j == (w & ~1)) { /* outside every window */
                put(to, (v_load(p) - k.mean) * k.gb + k.gc, add);
            } else if (!(i & 1) && !(j & 1)) {
                v8 d[4], v[4], g = v_load(dz) * k.ga;
                struct window m;

                load_window(d, v, p, in, k.mean, k.a, k.beta);
                m = choose(v);
                put(to, v_keep(g, m.m[0]) + (d[0] * k.gb + k.gc), add);
                put(to + 8, v_keep(g, m.m[1]) + (d[1] * k.gb + k.gc), add);
                put(to + row, v_keep(g, m.m[2]) + (d[2] * k.gb + k.gc), add);
                put(to + row + 8, v_keep(g, m.m[3]) + (d[3] * k.gb + k.gc), add);
                dz += 8;
            }
        }
}

static void back_apply(float *dy, size_t row, size_t plane, const float *y, const float *z,
                       const float *dz, const struct ob_norm_coef *k, int c8, int h, int w,
                       int flags)
{
    size_t in = 8 * (size_t)h * (size_t)w;
    size_t out = flags & OB_NORM_POOL ? 8 * (size_t)(h / 2) * (size_t)(w / 2) : in;

    for (int b = 0; b < c8; b++, dy += plane, y += in, z += out, dz += out) {
        struct back t = { v_load(k->mean + 8 * b), v_load(k->a + 8 * b),  v_load(k->beta + 8 * b),
                          v_load(k->ga + 8 * b),   v_load(k->gb + 8 * b), v_load(k->gc + 8 * b) };

        if (flags & OB_NORM_POOL) {
            if (flags & OB_NORM_ADD)
                back_pool(dy, row, y, dz, t, h, w, 1);
            else
                back_pool(dy, row, y, dz, t, h, w, 0);
        } else if (flags & OB_NORM_ADD) {
            if (flags & OB_NORM_RELU)
                back_plain(dy, row, y, z, dz, t, h, w, 1, 1);
            else
                back_plain(dy, row, y, z, dz, t, h, w, 0, 1);
        } else if (flags & OB_NORM_RELU) {
            back_plain(dy, row, y, z, dz, t, h, w, 1, 0);
        } else {
            back_plain(dy, row, y, z, dz, t, h, w, 0, 0);
        }
    }
}

const struct ob_norm_kernels OB_K(ob_norm_kernels) = {
    .stats = stats,
    .apply = apply,
    .back_sums = back_sums,
    .back_apply = back_apply,
};
