/* kernel_winograd_2.c - 3 x 3 convolutions of stride 2 by Winograd's algorithm, as 81 products. */
#include "backend/cpu/winograd.h"

/*
 * In one dimension, with padding 1, y[i] = w0 x[2i-1] + w2 x[2i+1] + w1 x[2i]: two taps on the odd
 * pixels and one on the even ones, F(4, 2) each with the points 0, 1, -1, 2 and infinity. The one
 * tap, taken as the second of two, vanishes at the point 0; so of 4 outputs there are 5 products
 * for the odd pixels and 4 for the even ones (0..4 and 5..8 below), and in two dimensions 81
 * instead of 144, which are added up at 25 points.
 *
 * Gradients of the input: dx[2i+1] = w2 dy[i] + w0 dy[i+1], dx[2i] = w1 dy[i]: 25 points of dy, 81
 * products, where the one tap is the first of two and vanishes at infinity.
 */

/* B^T d; `even`: from the second number on, without the point 0 */
OB_INLINE void times_bt(v8 *o, const v8 *d)
{
    o[0] = v_splat(2) * (d[0] - d[2]) + (d[3] - d[1]);
    o[1] = d[3] - d[2] - v_splat(2) * d[1];
    o[2] = v_splat(2) * d[1] + (d[3] - v_splat(3) * d[2]);
    o[3] = d[3] - d[1];
    o[4] = v_splat(2) * (d[1] - d[3]) + (d[4] - d[2]);
}

OB_INLINE void split_bt(v8 *o, const v8 *r) /* of nine pixels from an odd one on */
{
    v8 odd[5] = { r[0], r[2], r[4], r[6], r[8] }, even[5] = { v_splat(0), r[1], r[3], r[5], r[7] };
    v8 e[5];

    times_bt(o, odd);
    times_bt(e, even);
    for (int i = 0; i < 4; i++)
        o[5 + i] = e[1 + i];
}

OB_INLINE void times_at(v8 *o, const v8 *m)
{
    v8 a = m[1] + m[2], b = m[1] - m[2];

    o[0] = m[0] + a + m[3];
    o[1] = v_splat(2) * m[3] + b;
    o[2] = v_splat(4) * m[3] + a;
    o[3] = v_splat(8) * m[3] + b + m[4];
}

OB_INLINE void join_at(v8 *o, const v8 *m) /* eight pixels from an even one on */
{
    v8 last[5] = { m[5], m[6], m[7], m[8], v_splat(0) }, odd[4], even[4];

    times_at(odd, m);
    times_at(even, last);
    for (int i = 0; i < 4; i++) {
        o[2 * i] = even[i];
        o[2 * i + 1] = odd[i];
    }
}

OB_INLINE void times_a(v8 *o, const v8 *y)
{
    v8 even = y[0] + y[2], odd = y[1] + y[3];

    o[0] = y[0];
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = y[0] + v_splat(4) * y[2] + (v_splat(8) * y[3] + (y[1] + y[1]));
    o[4] = y[3];
}

OB_INLINE void two_taps(v8 *o, v8 a, v8 b)
{
    o[0] = v_splat(.5f) * a;
    o[1] = v_splat(-.5f) * (a + b);
    o[2] = v_splat(1.f / 6) * (b - a);
    o[3] = v_splat(1.f / 6) * a + v_splat(1.f / 3) * b;
    o[4] = b;
}

OB_INLINE void times_g(v8 *o, const v8 *g)
{
    two_taps(o, g[0], g[2]);
    o[5] = v_splat(-.5f) * g[1];
    o[6] = v_splat(1.f / 6) * g[1];
    o[7] = v_splat(1.f / 3) * g[1];
    o[8] = g[1];
}

OB_INLINE void times_g_turned(v8 *o, const v8 *g) /* taps are turned already */
{
    two_taps(o, g[0], g[2]);
    o[5] = v_splat(.5f) * g[1];
    o[6] = v_splat(-.5f) * g[1];
    o[7] = v_splat(-1.f / 6) * g[1];
    o[8] = v_splat(1.f / 6) * g[1];
}

OB_INLINE void times_gt(v8 *o, const v8 *u)
{
    o[0] = v_splat(.5f) * (u[0] - u[1]) + v_splat(1.f / 6) * (u[3] - u[2]);
    o[1] = v_splat(1.f / 6) * u[6] - v_splat(.5f) * u[5] + (v_splat(1.f / 3) * u[7] + u[8]);
    o[2] = v_splat(1.f / 6) * u[2] - v_splat(.5f) * u[1] + (v_splat(1.f / 3) * u[3] + u[4]);
}

static void input(float *v, size_t point, size_t plane, const float *x, const struct ob_wino_map *m,
                  int first, int n)
{
    read_tiles(v, point, plane, x, m, first, n, 9, 9, split_bt, 8, 1);
}

static void back_input(float *v, size_t point, size_t plane, const float *dy,
                       const struct ob_wino_map *m, int first, int n)
{
    read_tiles(v, point, plane, dy, m, first, n, 5, 5, times_bt, 4, 0);
}

static void gradient(float *v, size_t point, size_t plane, const float *dy,
                     const struct ob_wino_map *m, int first, int n)
{
    read_tiles(v, point, plane, dy, m, first, n, 4, 5, times_a, 4, 0);
}

static void output(float *y, const struct ob_wino_map *m, const float *v, size_t point,
                   size_t plane, int first, int n, const float *bias, int add)
{
    write_tiles(y, m, v, point, plane, first, n, bias, add, 5, 4, times_at);
}

static void back_output(float *dx, const struct ob_wino_map *m, const float *v, size_t point,
                        size_t plane, int first, int n, const float *bias, int add)
{
    write_tiles(dx, m, v, point, plane, first, n, bias, add, 9, 8, join_at);
}

static void filters(float *u, const struct ob_wino_filters *f, const float *w, int pair)
{
    if (f->flip)
        filter_tiles(u, f, w, pair, 9, times_g_turned);
    else
        filter_tiles(u, f, w, pair, 9, times_g);
}

static void filters_back(float *dw, const struct ob_wino_filters *f, const float *du, int pair)
{
    filter_tiles_back(dw, f, du, pair, 9, times_gt);
}

const struct ob_wino_kernels OB_K(ob_wino_kernels_2) = {
    .side = { 9, 5 },
    .input = { input, back_input },
    .output = { output, back_output },
    .gradient = gradient,
    .filters = filters,
    .filters_back = filters_back,
};
