/* kernel_winograd_small.c - 3 x 3 convolutions of stride 1 on maps of at most 2 x 2: 9 products. */
#include "backend/cpu/winograd.h"

/*
 * In one dimension, with padding 1, y0 = w1 x0 + w2 x1 and y1 = w0 x0 + w1 x1: the padding meets a tap
 * of each. Both share w1 (x0 + x1), so three products are enough:
 *
 *   y0 = w1 (x0 + x1) + (w2 - w1) x1,    y1 = w1 (x0 + x1) + (w0 - w1) x0
 *
 * and nine in two dimensions, where the nine taps of four pixels are 36. A map is one tile.
 */

OB_INLINE void times_bt(v8 *o, const v8 *x)
{
    o[0] = x[0];
    o[1] = x[0] + x[1];
    o[2] = x[1];
}

OB_INLINE void times_at(v8 *o, const v8 *m)
{
    o[0] = m[1] + m[2];
    o[1] = m[1] + m[0];
}

OB_INLINE void times_a(v8 *o, const v8 *y)
{
    o[0] = y[1];
    o[1] = y[0] + y[1];
    o[2] = y[0];
}

OB_INLINE void times_g(v8 *o, const v8 *g)
{
    o[0] = g[0] - g[1];
    o[1] = g[1];
    o[2] = g[2] - g[1];
}

OB_INLINE void times_gt(v8 *o, const v8 *u)
{
    o[0] = u[0];
    o[1] = u[1] - (u[0] + u[2]);
    o[2] = u[2];
}

static void input(float *v, size_t point, size_t plane, const float *x, const struct ob_wino_map *m,
                  int first, int n)
{
    read_tiles(v, point, plane, x, m, first, n, 2, 3, times_bt, 2, 0);
}

static void gradient(float *v, size_t point, size_t plane, const float *dy,
                     const struct ob_wino_map *m, int first, int n)
{
    read_tiles(v, point, plane, dy, m, first, n, 2, 3, times_a, 2, 0);
}

static void output(float *y, const struct ob_wino_map *m, const float *v, size_t point,
                   size_t plane, int first, int n, const float *bias, int add)
{
    write_tiles(y, m, v, point, plane, first, n, bias, add, 3, 2, times_at);
}

static void filters(float *u, const struct ob_wino_filters *f, const float *w, int pair)
{
    filter_tiles(u, f, w, pair, 3, times_g);
}

static void filters_back(float *dw, const struct ob_wino_filters *f, const float *du, int pair)
{
    filter_tiles_back(dw, f, du, pair, 3, times_gt);
}

const struct ob_wino_kernels OB_K(ob_wino_kernels_small) = {
    .side = { 3, 3 },
    .input = { input, input },
    .output = { output, output },
    .gradient = gradient,
    .filters = filters,
    .filters_back = filters_back,
};
