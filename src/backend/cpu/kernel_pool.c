/* kernel_pool.c - pooling, option-A shortcuts, and the way from planes to C-H-W order. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "backend/cpu/simd.h"

static void max(float *z, const float *x, int c8, int h, int w, int kernel, int stride)
{
    int oh = (h - kernel) / stride + 1, ow = (w - kernel) / stride + 1;

    for (int b = 0; b < c8; b++, x += (size_t)h * (size_t)w * 8)
        for (int i = 0; i < oh; i++)
            for (int j = 0; j < ow; j++, z += 8) {
                const float *p = x + 8 * ((size_t)(i * stride) * (size_t)w + (size_t)(j * stride));
                v8 best = v_load(p);

                for (int u = 0; u < kernel; u++)
                    for (int v = 0; v < kernel; v++) {
                        v8 t = v_load(p + 8 * ((size_t)u * (size_t)w + (size_t)v));

                        best = v_larger(best, t);
                    }
                v_store(z, best);
            }
}

static void max_back(float *dx, const float *dz, const float *x, int c8, int h, int w, int kernel,
                     int stride, int add)
{
    int oh = (h - kernel) / stride + 1, ow = (w - kernel) / stride + 1;
    size_t plane = (size_t)h * (size_t)w * 8;

    if (!add)
        memset(dx, 0, sizeof(float) * plane * (size_t)c8);
    for (int b = 0; b < c8; b++, x += plane, dx += plane)
        for (int i = 0; i < oh; i++)
            for (int j = 0; j < ow; j++, dz += 8) {
                size_t at = 8 * ((size_t)(i * stride) * (size_t)w + (size_t)(j * stride));
                v8 best = v_load(x + at), g = v_load(dz);
                i8 open = best == best;

                for (int u = 0; u < kernel; u++)
                    for (int v = 0; v < kernel; v++) {
                        v8 t = v_load(x + at + 8 * ((size_t)u * (size_t)w + (size_t)v));

                        best = v_larger(best, t);
                    }
                for (int u = 0; u < kernel; u++)
                    for (int v = 0; v < kernel; v++) {
                        size_t o = at + 8 * ((size_t)u * (size_t)w + (size_t)v);
                        i8 m = open & (v_load(x + o) == best);

                        open &= ~m;
                        v_store(dx + o, v_load(dx + o) + v_keep(g, m));
                    }
            }
}

static void avg(float *z, const float *x, int c8, int hw)
{
    for (int b = 0; b < c8; b++, z += 8) {
        v8 s = v_splat(0);

        for (int j = 0; j < hw; j++, x += 8)
            s += v_load(x);
        v_store(z, s / v_splat((float)hw));
    }
}

static void avg_back(float *dx, const float *dz, int c8, int hw, int add)
{
    for (int b = 0; b < c8; b++, dz += 8) {
        v8 g = v_load(dz) / v_splat((float)hw);

        for (int j = 0; j < hw; j++, dx += 8)
            v_store(dx, add ? v_load(dx) + g : g);
    }
}

/* Where channel c of pixel (i, j) is. */
OB_INLINE size_t at(int c, int i, int j, int h, int w)
{
    return 8 * (((size_t)(c / 8) * (size_t)h + (size_t)i) * (size_t)w + (size_t)j) +
           (size_t)(c % 8);
}

static void shortcut(float *z, const float *x, const struct ob_node *from, const struct ob_node *to)
{
    int c8 = (to->c + 7) / 8;

    memset(z, 0, sizeof(float) * 8 * (size_t)c8 * (size_t)to->h * (size_t)to->w);
    for (int c = 0; c < from->c; c++)
        for (int i = 0; i < to->h; i++)
            for (int j = 0; j < to->w; j++)
                z[at(c + to->front, i, j, to->h, to->w)] =
                    x[at(c, i * to->stride, j * to->stride, from->h, from->w)];
}

static void shortcut_back(float *dx, const float *dz, const struct ob_node *from,
                          const struct ob_node *to, int add)
{
    int c8 = (from->c + 7) / 8;

    if (!add)
        memset(dx, 0, sizeof(float) * 8 * (size_t)c8 * (size_t)from->h * (size_t)from->w);
    for (int c = 0; c < from->c; c++)
        for (int i = 0; i < to->h; i++)
            for (int j = 0; j < to->w; j++)
                dx[at(c, i * to->stride, j * to->stride, from->h, from->w)] +=
                    dz[at(c + to->front, i, j, to->h, to->w)];
}

static void flatten(float *z, const float *x, int c, int hw)
{
    for (int k = 0; k < c; k++) {
        const float *p = x + 8 * (size_t)(k / 8) * (size_t)hw + k % 8;

        for (int j = 0; j < hw; j++)
            *z++ = p[8 * j];
    }
}

static void unflatten(float *x, const float *z, int c, int hw, int add)
{
    int c8 = (c + 7) / 8;

    if (!add && c % 8)
        memset(x, 0, sizeof(float) * 8 * (size_t)c8 * (size_t)hw);
    for (int k = 0; k < c; k++) {
        float *p = x + 8 * (size_t)(k / 8) * (size_t)hw + k % 8;

        for (int j = 0; j < hw; j++, z++)
            p[8 * j] = add ? p[8 * j] + *z : *z;
    }
}

const struct ob_pool_kernels OB_K(ob_pool_kernels) = {
    .max = max,
    .max_back = max_back,
    .avg = avg,
    .avg_back = avg_back,
    .shortcut = shortcut,
    .shortcut_back = shortcut_back,
    .flatten = flatten,
    .unflatten = unflatten,
};
