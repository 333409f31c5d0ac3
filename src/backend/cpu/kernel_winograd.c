/* kernel_winograd.c - Winograd's F(4x4, 3x3): 3 x 3 convolutions of stride 1 as 36 products. */
#include "backend/cpu/winograd.h"

/*
 * Y = A^T [ (G g G^T) . (B^T d B) ] A with the points 0, 1, -1, 2, -2 and infinity (Lavin and Gray,
 * "Fast Algorithms for Convolutional Neural Networks", CVPR 2016); the gradient of the filters is
 * G^T [ (B^T d B) . (A dY A^T) ] G. Gradients of the input are a convolution with turned filters.
 */

OB_INLINE void times_bt(v8 *o, const v8 *d)
{
    v8 even = d[4] - v_splat(4) * d[2], odd = d[3] - v_splat(4) * d[1];
    v8 even2 = d[4] - d[2], odd2 = v_splat(2) * (d[3] - d[1]);

    o[0] = v_splat(4) * d[0] + (d[4] - v_splat(5) * d[2]);
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = v_splat(4) * d[1] + (d[5] - v_splat(5) * d[3]);
}

OB_INLINE void times_at(v8 *o, const v8 *m)
{
    v8 a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];

    o[0] = m[0] + a + c;
    o[1] = v_splat(2) * d + b;
    o[2] = v_splat(4) * c + a;
    o[3] = v_splat(8) * d + b + m[5];
}

OB_INLINE void times_a(v8 *o, const v8 *y)
{
    v8 even = y[0] + y[2], odd = y[1] + y[3];
    v8 even2 = v_splat(4) * y[2] + y[0], odd2 = v_splat(8) * y[3] + (y[1] + y[1]);

    o[0] = y[0];
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = y[3];
}

OB_INLINE void times_g(v8 *o, const v8 *g)
{
    v8 even = v_splat(-1.f / 6) * (g[0] + g[2]), odd = v_splat(-1.f / 6) * g[1];
    v8 even2 = v_splat(1.f / 24) * g[0] + v_splat(1.f / 6) * g[2];
    v8 odd2 = v_splat(1.f / 12) * g[1];

    o[0] = v_splat(.25f) * g[0];
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = g[2];
}

OB_INLINE void times_gt(v8 *o, const v8 *u)
{
    v8 a = u[1] + u[2], b = u[1] - u[2], c = u[3] + u[4], d = u[3] - u[4];

    o[0] = v_splat(.25f) * u[0] + (v_splat(1.f / 24) * c - v_splat(1.f / 6) * a);
    o[1] = v_splat(1.f / 12) * d - v_splat(1.f / 6) * b;
    o[2] = v_splat(1.f / 6) * (c - a) + u[5];
}

static void input(float *v, size_t point, size_t plane, const float *x, const struct ob_wino_map *m,
                  int first, int n)
{
    read_tiles(v, point, plane, x, m, first, n, 6, 6, times_bt, 4, 1);
}

static void gradient(float *v, size_t point, size_t plane, const float *dy,
                     const struct ob_wino_map *m, int first, int n)
{
    read_tiles(v, point, plane, dy, m, first, n, 4, 6, times_a, 4, 0);
}

static void output(float *y, const struct ob_wino_map *m, const float *v, size_t point,
                   size_t plane, int first, int n, const float *bias, int add)
{
    write_tiles(y, m, v, point, plane, first, n, bias, add, 6, 4, times_at);
}

static void filters(float *u, const struct ob_wino_filters *f, const float *w, int pair)
{
    filter_tiles(u, f, w, pair, 6, times_g);
}

static void filters_back(float *dw, const struct ob_wino_filters *f, const float *du, int pair)
{
    filter_tiles_back(dw, f, du, pair, 6, times_gt);
}

const struct ob_wino_kernels OB_K(ob_wino_kernels) = {
    .side = { 6, 6 },
    .input = { input, input },
    .output = { output, output },
    .gradient = gradient,
    .filters = filters,
    .filters_back = filters_back,
};
