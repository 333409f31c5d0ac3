/* kernel_pool.c - pooling, option-A shortcuts, and the way from planes to C-H-W order. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "backend/cpu/simd.h"

/* The largest pixel of a window of one plane. */
OB_INLINE v8 largest(const float *x, struct ob_window row, struct ob_window column, int w)
{
    v8 best = v_load(x + 8 * ((size_t)row.first * (size_t)w + (size_t)column.first));

    for (int i = row.first; i < row.end; i++)
        for (int j = column.first; j < column.end; j++)
            best = v_larger(best, v_load(x + 8 * ((size_t)i * (size_t)w + (size_t)j)));
    return best;
}

static void max(float *z, const float *x, const struct ob_node *from, const struct ob_node *to)
{
    int c8 = (to->c + 7) / 8, h = from->h, w = from->w;

    for (int b = 0; b < c8; b++, x += 8 * (size_t)h * (size_t)w)
        for (int i = 0; i < to->h; i++)
            for (int j = 0; j < to->w; j++, z += 8)
                v_store(z, largest(x, ob_max_window(to, i, h), ob_max_window(to, j, w), w));
}

/* Of equal pixels the first gets the gradient; where nothing was a number, none. */
static void max_back(float *dx, const float *dz, const float *x, const struct ob_node *from,
                     const struct ob_node *to, int add)
{
    int c8 = (to->c + 7) / 8, h = from->h, w = from->w;
    size_t plane = 8 * (size_t)h * (size_t)w;

    if (!add)
        memset(dx, 0, sizeof(float) * plane * (size_t)c8);
    for (int b = 0; b < c8; b++, x += plane, dx += plane)
        for (int i = 0; i < to->h; i++)
            for (int j = 0; j < to->w; j++, dz += 8) {
                struct ob_window row = ob_max_window(to, i, h), column = ob_max_window(to, j, w);
                v8 best = largest(x, row, column, w), g = v_load(dz);
                i8 open = best == best;

                for (int u = row.first; u < row.end; u++)
                    for (int v = column.first; v < column.end; v++) {
                        size_t o = 8 * ((size_t)u * (size_t)w + (size_t)v);
                        i8 m = open & (v_load(x + o) == best);

                        open &= ~m;
                        v_store(dx + o, v_load(dx + o) + v_keep(g, m));
                    }
            }
}

OB_INLINE float share(struct ob_window row, struct ob_window column)
{
    return (float)((row.end - row.first) * (column.end - column.first));
}

static void avg(float *z, const float *x, const struct ob_node *from, const struct ob_node *to)
{
    int c8 = (to->c + 7) / 8, h = from->h, w = from->w;

    for (int b = 0; b < c8; b++, x += 8 * (size_t)h * (size_t)w)
        for (int i = 0; i < to->h; i++)
            for (int j = 0; j < to->w; j++, z += 8) {
                struct ob_window row = ob_avg_window(i, to->h, h);
                struct ob_window column = ob_avg_window(j, to->w, w);
                v8 s = v_splat(0);

                for (int u = row.first; u < row.end; u++)
                    for (int v = column.first; v < column.end; v++)
                        s += v_load(x + 8 * ((size_t)u * (size_t)w + (size_t)v));
                v_store(z, s / v_splat(share(row, column)));
            }
}

/* Windows may overlap: every share is added. */
static void avg_back(float *dx, const float *dz, const struct ob_node *from,
                     const struct ob_node *to, int add)
{
    int c8 = (to->c + 7) / 8, h = from->h, w = from->w;
    size_t plane = 8 * (size_t)h * (size_t)w;

    if (!add)
        memset(dx, 0, sizeof(float) * plane * (size_t)c8);
    for (int b = 0; b < c8; b++, dx += plane)
        for (int i = 0; i < to->h; i++)
            for (int j = 0; j < to->w; j++, dz += 8) {
                struct ob_window row = ob_avg_window(i, to->h, h);
                struct ob_window column = ob_avg_window(j, to->w, w);
                v8 g = v_load(dz) / v_splat(share(row, column));

                for (int u = row.first; u < row.end; u++)
                    for (int v = column.first; v < column.end; v++) {
                        float *p = dx + 8 * ((size_t)u * (size_t)w + (size_t)v);

                        v_store(p, v_load(p) + g);
                    }
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
