/* kernel_conv.c - the blocked, implicit matrix products of convolution and linear layers. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "backend/cpu/simd.h"

/* Rows of the register block: with two planes of channels, accumulators and operands just fit
 * into the registers (32 of 16 floats with AVX-512, 16 of 8 with AVX2, 16 of 4 without). */
#ifdef __AVX512F__
#define ROWS 12
#elif defined(__AVX2__)
#define ROWS 6
#else
#define ROWS 2
#endif
#define DW_PIXELS 256 /* pixels per pass of a weight gradient: keeps dy in the first cache */

/* `rows` pixels times `nv` planes. All arguments from `rows` on are constants where inlined. */
OB_INLINE void tile(const struct ob_gemm *g, float *y, const float *x, const float *w,
                    const int32_t *in_off, const int32_t *out_off, const float *bias, int add,
                    const int rows, const int nv, const int run)
{
    const float *px[ROWS];
    v8 acc[ROWS][2];

#pragma GCC unroll 12
    for (int p = 0; p < rows; p++) {
        px[p] = x + in_off[p];
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++)
            acc[p][v] = bias ? v_load(bias + 8 * v) : v_splat(0);
    }
    for (int r = 0; r < g->n_run; r++) {
        const ptrdiff_t o = g->run_off[r];

#pragma GCC unroll 8
        for (int c = 0; c < run; c++, w += 8 * nv) {
            v8 w0 = v_load(w), w1 = nv > 1 ? v_load(w + 8) : w0;

#pragma GCC unroll 12
            for (int p = 0; p < rows; p++) {
                v8 b = v_splat(px[p][o + c]);

                acc[p][0] += b * w0;
                if (nv > 1)
                    acc[p][1] += b * w1;
            }
        }
    }
#pragma GCC unroll 12
    for (int p = 0; p < rows; p++) {
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++) {
            float *to = y + out_off[p] + (size_t)v * g->out_plane;

            v_store(to, add ? v_load(to) + acc[p][v] : acc[p][v]);
        }
    }
}

#ifdef __AVX512F__
/* Two planes in one register. */
OB_INLINE void tile_pair(const struct ob_gemm *g, float *y, const float *x, const float *w,
                         const int32_t *in_off, const int32_t *out_off, const float *bias, int add,
                         const int rows, const int run)
{
    const float *px[ROWS];
    v16 acc[ROWS];

#pragma GCC unroll 12
    for (int p = 0; p < rows; p++) {
        px[p] = x + in_off[p];
        acc[p] = bias ? v16_loadu(bias) : v16_splat(0);
    }
    for (int r = 0; r < g->n_run; r++) {
        const ptrdiff_t o = g->run_off[r];

#pragma GCC unroll 8
        for (int c = 0; c < run; c++, w += 16) {
            v16 w0 = v16_loadu(w);

#pragma GCC unroll 12
            for (int p = 0; p < rows; p++)
                acc[p] += v16_splat(px[p][o + c]) * w0;
        }
    }
#pragma GCC unroll 12
    for (int p = 0; p < rows; p++) {
        float *to = y + out_off[p], *to1 = to + g->out_plane;
        v8 a = v16_low(acc[p]), b = v16_high(acc[p]);

        v_store(to, add ? v_load(to) + a : a);
        v_store(to1, add ? v_load(to1) + b : b);
    }
}
#else
OB_INLINE void tile_pair(const struct ob_gemm *g, float *y, const float *x, const float *w,
                         const int32_t *in_off, const int32_t *out_off, const float *bias, int add,
                         const int rows, const int run)
{
    tile(g, y, x, w, in_off, out_off, bias, add, rows, 2, run);
}
#endif

OB_INLINE void piece(const struct ob_gemm *g, float *y, const float *x, const float *w, int p,
                     const float *bias, int add, const int rows, const int nv, const int run)
{
    if (nv == 2)
        tile_pair(g, y, x, w, g->in_off + p, g->out_off + p, bias, add, rows, run);
    else
        tile(g, y, x, w, g->in_off + p, g->out_off + p, bias, add, rows, 1, run);
}

OB_INLINE void column(const struct ob_gemm *g, float *y, const float *x, const float *w, int n_px,
                      const float *bias, int add, const int nv, const int run)
{
    int p = 0;

    for (; p + ROWS <= n_px; p += ROWS)
        piece(g, y, x, w, p, bias, add, ROWS, nv, run);
#if ROWS > 8
    for (; p + 8 <= n_px; p += 8)
        piece(g, y, x, w, p, bias, add, 8, nv, run);
#endif
#if ROWS > 2
    for (; p + 4 <= n_px; p += 4)
        piece(g, y, x, w, p, bias, add, 4, nv, run);
    for (; p + 2 <= n_px; p += 2)
        piece(g, y, x, w, p, bias, add, 2, nv, run);
#endif
    if (p < n_px)
        piece(g, y, x, w, p, bias, add, 1, nv, run);
}

static void column_2(const struct ob_gemm *g, float *y, const float *x, const float *w, int n_px,
                     const float *bias, int add)
{
    if (g->run == 8)
        column(g, y, x, w, n_px, bias, add, 2, 8);
    else
        column(g, y, x, w, n_px, bias, add, 2, g->run);
}

static void column_1(const struct ob_gemm *g, float *y, const float *x, const float *w, int n_px,
                     const float *bias, int add)
{
    if (g->run == 8)
        column(g, y, x, w, n_px, bias, add, 1, 8);
    else
        column(g, y, x, w, n_px, bias, add, 1, g->run);
}

static void gemm(const struct ob_gemm *g, float *y, const float *x, int n_px, const float *bias,
                 int add)
{
    size_t step = (size_t)g->n_run * (size_t)g->run * 16;

    for (int b = 0; b < g->n_out; b += 2) {
        float *to = y + (size_t)b * g->out_plane;
        const float *w = g->w + (size_t)(b / 2) * step, *bi = bias ? bias + 8 * b : NULL;

        if (b + 1 < g->n_out)
            column_2(g, to, x, w, n_px, bi, add);
        else
            column_1(g, to, x, w, n_px, bi, add);
    }
}

/* `rows` inputs times `nv` planes of output gradients, over pixels. */
OB_INLINE void tile_dw(const struct ob_gemm_dw *g, float *dw, const float *x, const float *dy,
                       const int32_t *k_off, int p0, int p1, const int rows, const int nv)
{
    const float *in[ROWS];
    const float *dy1 = dy + g->dy_plane;
    v8 acc[ROWS][2];

#pragma GCC unroll 12
    for (int k = 0; k < rows; k++) {
        in[k] = x + k_off[k];
        acc[k][0] = acc[k][1] = v_splat(0);
    }
#pragma GCC unroll 2
    for (int p = p0; p < p1; p++) {
        const ptrdiff_t o = g->in_off[p], d = g->dy_off[p];
        v8 d0 = v_load(dy + d), d1 = nv > 1 ? v_load(dy1 + d) : d0;

#pragma GCC unroll 12
        for (int k = 0; k < rows; k++) {
            v8 b = v_splat(in[k][o]);

            acc[k][0] += b * d0;
            if (nv > 1)
                acc[k][1] += b * d1;
        }
    }
#pragma GCC unroll 12
    for (int k = 0; k < rows; k++) {
        float *to = dw + 16 * k;

        v_store(to, v_load(to) + acc[k][0]);
        if (nv > 1)
            v_store(to + 8, v_load(to + 8) + acc[k][1]);
    }
}

#ifdef __AVX512F__
OB_INLINE void tile_dw_pair(const struct ob_gemm_dw *g, float *dw, const float *x, const float *dy,
                            const int32_t *k_off, int p0, int p1, const int rows)
{
    const float *in[ROWS], *dy1 = dy + g->dy_plane;
    v16 acc[ROWS];

#pragma GCC unroll 12
    for (int k = 0; k < rows; k++) {
        in[k] = x + k_off[k];
        acc[k] = v16_splat(0);
    }
#pragma GCC unroll 2
    for (int p = p0; p < p1; p++) {
        const ptrdiff_t o = g->in_off[p], d = g->dy_off[p];
        v16 both = v16_join(v_load(dy + d), v_load(dy1 + d));

#pragma GCC unroll 12
        for (int k = 0; k < rows; k++)
            acc[k] += v16_splat(in[k][o]) * both;
    }
#pragma GCC unroll 12
    for (int k = 0; k < rows; k++) {
        float *to = dw + 16 * k;

        v_store(to, v_load(to) + v16_low(acc[k]));
        v_store(to + 8, v_load(to + 8) + v16_high(acc[k]));
    }
}
#else
OB_INLINE void tile_dw_pair(const struct ob_gemm_dw *g, float *dw, const float *x, const float *dy,
                            const int32_t *k_off, int p0, int p1, const int rows)
{
    tile_dw(g, dw, x, dy, k_off, p0, p1, rows, 2);
}
#endif

OB_INLINE void piece_dw(const struct ob_gemm_dw *g, float *dw, const float *x, const float *dy,
                        int k, int p0, int p1, const int rows, const int nv)
{
    if (nv == 2)
        tile_dw_pair(g, dw + 16 * k, x, dy, g->k_off + k, p0, p1, rows);
    else
        tile_dw(g, dw + 16 * k, x, dy, g->k_off + k, p0, p1, rows, 1);
}

OB_INLINE void column_dw(const struct ob_gemm_dw *g, float *dw, const float *x, const float *dy,
                         int p0, int p1, const int nv)
{
    int k = 0;

    for (; k + ROWS <= g->n_k; k += ROWS)
        piece_dw(g, dw, x, dy, k, p0, p1, ROWS, nv);
#if ROWS > 3
    for (; k + 4 <= g->n_k; k += 4)
        piece_dw(g, dw, x, dy, k, p0, p1, 4, nv);
    for (; k + 3 <= g->n_k; k += 3)
        piece_dw(g, dw, x, dy, k, p0, p1, 3, nv);
#endif
    for (; k < g->n_k; k++)
        piece_dw(g, dw, x, dy, k, p0, p1, 1, nv);
}

static void gemm_dw(const struct ob_gemm_dw *g, float *dw, const float *x, const float *dy,
                    int n_px)
{
    for (int p = 0; p < n_px; p += DW_PIXELS) {
        int end = p + DW_PIXELS < n_px ? p + DW_PIXELS : n_px;

        for (int b = 0; b < g->n_out; b += 2) {
            float *to = dw + (size_t)(b / 2) * (size_t)g->n_k * 16;
            const float *from = dy + (size_t)b * g->dy_plane;

            if (b + 1 < g->n_out)
                column_dw(g, to, x, from, p, end, 2);
            else
                column_dw(g, to, x, from, p, end, 1);
        }
    }
}

static void pack_weights(const struct ob_gemm *g, const float *w, int pair)
{
    int n_k = g->n_run * g->run, nv = 2 * pair + 1 < g->n_out ? 2 : 1, lanes = 8 * nv;
    float *to = g->w + (size_t)pair * (size_t)n_k * 16;
    int first = 16 * pair, n = g->n_channels - first < lanes ? g->n_channels - first : lanes;
    const float *from = w + (size_t)first * g->src_channel;

    for (int k = 0; k < n_k; k++, to += lanes) {
        int src = g->src[k], c = 0;

        if (src >= 0)
            for (; c < n; c++)
                to[c] = from[(size_t)src + (size_t)c * g->src_channel];
        for (; c < lanes; c++)
            to[c] = 0;
    }
}

static void border(float *to, int c8, int h, int w, int lo, int ph, int pw)
{
    size_t row = (size_t)pw * 8;

    for (int b = 0; b < c8; b++) {
        memset(to, 0, sizeof(float) * row * (size_t)lo);
        to += row * (size_t)lo;
        for (int i = 0; i < h; i++, to += row) {
            for (int j = 0; j < lo; j++)
                v_store(to + 8 * j, v_splat(0));
            for (int j = lo + w; j < pw; j++)
                v_store(to + 8 * j, v_splat(0));
        }
        memset(to, 0, sizeof(float) * row * (size_t)(ph - lo - h));
        to += row * (size_t)(ph - lo - h);
    }
}

static void pad(float *to, const float *from, int c8, int h, int w, int lo, int ph, int pw)
{
    size_t row = (size_t)pw * 8;

    border(to, c8, h, w, lo, ph, pw);
    for (int b = 0; b < c8; b++, to += row * (size_t)ph)
        for (int i = 0; i < h; i++, from += 8 * w) {
            float *t = to + row * (size_t)(lo + i) + 8 * lo;

            for (int j = 0; j < w; j++)
                v_store(t + 8 * j, v_load(from + 8 * j));
        }
}

static void pad_input(float *to, const float *from, int c, int h, int w, int pad_,
                      const float *mean, const float *scale)
{
    int row = (w + 2 * pad_) * c;

    memset(to, 0, sizeof(float) * (size_t)row * (size_t)(h + 2 * pad_));
    for (int k = 0; k < c; k++)
        for (int i = 0; i < h; i++) {
            float *t = to + (size_t)(i + pad_) * (size_t)row + pad_ * c + k;
            const float *f = from + ((size_t)k * (size_t)h + (size_t)i) * (size_t)w;

            for (int j = 0; j < w; j++)
                t[j * c] = (f[j] - mean[k]) / scale[k];
        }
}

static void sum_pixels(double *sum, const float *x, int c8, int h, int w, size_t row, size_t plane)
{
    for (int b = 0; b < c8; b++, x += plane, sum += 8) {
        v8 s = v_splat(0);

        for (int i = 0; i < h; i++)
            for (int j = 0; j < w; j++)
                s += v_load(x + (size_t)i * row + 8 * j);
        for (int c = 0; c < 8; c++)
            sum[c] += (double)s[c];
    }
}

const struct ob_conv_kernels OB_K(ob_conv_kernels) = {
    .gemm = gemm,
    .gemm_dw = gemm_dw,
    .pack_weights = pack_weights,
    .border = border,
    .pad = pad,
    .pad_input = pad_input,
    .sum_pixels = sum_pixels,
};
