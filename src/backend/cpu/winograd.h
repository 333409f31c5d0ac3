/*
 * winograd.h - what the transforms of Winograd's convolutions share.
 *
 * A transform is one-dimensional: so many vectors in, so many out. It is applied to the columns of
 * a tile, then to its rows. All arguments from `n_in` on are constants where inlined.
 */
#ifndef OB_CPU_WINOGRAD_H
#define OB_CPU_WINOGRAD_H

#include "backend/cpu/kernels.h"
#include "backend/cpu/simd.h"

#define OB_WINO_MOST 9 /* vectors that a transform takes or gives */

typedef void (*ob_line)(v8 *to, const v8 *from);

/* ---- the way over the tiles: image after image, row after row ---- */

struct walk {
    int ty, tx;
    size_t image; /* floats before it */
};

OB_INLINE struct walk walk_to(const struct ob_wino_map *m, int tile)
{
    int per = m->tiles_h * m->tiles_w;

    return (struct walk){ tile % per / m->tiles_w, tile % m->tiles_w,
                          (size_t)(tile / per) * m->image };
}

OB_INLINE void walk_on(struct walk *at, const struct ob_wino_map *m)
{
    if (++at->tx < m->tiles_w)
        return;
    at->tx = 0;
    if (++at->ty < m->tiles_h)
        return;
    at->ty = 0;
    at->image += m->image;
}

/* Rows of a tile are too short for the processor to notice that they are read one after another,
 * so the same tile of the next plane is asked for in good time. */
OB_INLINE void fetch_tile(const float *plane, const struct ob_wino_map *m, const struct walk *at,
                          const int write, const int step)
{
    const float *p = plane + m->plane + (size_t)(step * at->ty) * m->row + 8 * step * at->tx;

#pragma GCC unroll 8
    for (int r = 0; r < step; r++, p += m->row)
        for (int c = 0; c < 8 * step; c += 16)
            if (write) /* clang takes literals only */
                __builtin_prefetch(p + c, 1, 3);
            else
                __builtin_prefetch(p + c, 0, 3);
}

/* ---- pixels in ---- */

static const float ob_wino_zeros[8 * OB_WINO_MOST] __attribute__((aligned(32)));

/* The n_in x n_in pixels from (y, x) on; those outside of the image are zero. */
OB_INLINE void read_tile(float *v, size_t point, const float *plane, const struct ob_wino_map *m,
                         int y, int x, const int n_in, const int n_out, ob_line f, const int inside)
{
    const float *row[OB_WINO_MOST];
    v8 t[OB_WINO_MOST][OB_WINO_MOST];

#pragma GCC unroll 9
    for (int r = 0; r < n_in; r++) {
        int in = inside || (y + r >= 0 && y + r < m->h);

        row[r] = in ? plane + (ptrdiff_t)(y + r) * (ptrdiff_t)m->row + 8 * (ptrdiff_t)x
                    : ob_wino_zeros;
    }
#pragma GCC unroll 9
    for (int c = 0; c < n_in; c++) {
        v8 d[OB_WINO_MOST], o[OB_WINO_MOST];
        int in = inside || (x + c >= 0 && x + c < m->w);

#pragma GCC unroll 9
        for (int r = 0; r < n_in; r++)
            d[r] = in ? v_load(row[r] + 8 * c) : v_splat(0);
        f(o, d);
#pragma GCC unroll 9
        for (int r = 0; r < n_out; r++)
            t[r][c] = o[r];
    }
#pragma GCC unroll 9
    for (int r = 0; r < n_out; r++) {
        v8 o[OB_WINO_MOST];

        f(o, t[r]);
#pragma GCC unroll 9
        for (int c = 0; c < n_out; c++)
            v_store(v + (size_t)(n_out * r + c) * point, o[c]);
    }
}

/* Tiles are `step` pixels apart and reach `before` pixels up and to the left. */
OB_INLINE void read_tiles(float *v, size_t point, size_t plane, const float *x,
                          const struct ob_wino_map *m, int first, int n, const int n_in,
                          const int n_out, ob_line f, const int step, const int before)
{
    for (int b = 0; b < m->c8; b++) {
        struct walk at = walk_to(m, first);

        for (int t = 0; t < n; t++, walk_on(&at, m)) {
            const float *from = x + at.image + (size_t)b * m->plane;
            float *to = v + (size_t)b * plane + 8 * t;
            int top = step * at.ty - before, left = step * at.tx - before;

            fetch_tile(from, m, &at, 0, step);
            if (top >= 0 && left >= 0 && top + n_in <= m->h && left + n_in <= m->w)
                read_tile(to, point, from, m, top, left, n_in, n_out, f, 1);
            else
                read_tile(to, point, from, m, top, left, n_in, n_out, f, 0);
        }
    }
}

/* ---- pixels out ---- */

/* h, w: how many of the pixels there are */
OB_INLINE void write_tile(float *to, size_t row, const float *v, size_t point, int h, int w,
                          v8 bias, int add, const int n_in, const int n_out, ob_line f)
{
    v8 t[OB_WINO_MOST][OB_WINO_MOST];

#pragma GCC unroll 9
    for (int c = 0; c < n_in; c++) {
        v8 d[OB_WINO_MOST], o[OB_WINO_MOST];

#pragma GCC unroll 9
        for (int r = 0; r < n_in; r++)
            d[r] = v_load(v + (size_t)(n_in * r + c) * point);
        f(o, d);
#pragma GCC unroll 9
        for (int r = 0; r < n_out; r++)
            t[r][c] = o[r];
    }
#pragma GCC unroll 9
    for (int r = 0; r < n_out; r++) {
        v8 o[OB_WINO_MOST];

        if (r >= h)
            break;
        f(o, t[r]);
#pragma GCC unroll 9
        for (int c = 0; c < n_out; c++) {
            float *p = to + (size_t)r * row + 8 * c;

            if (c < w)
                v_store(p, add ? v_load(p) + o[c] : o[c] + bias);
        }
    }
}

OB_INLINE void write_tiles(float *y, const struct ob_wino_map *m, const float *v, size_t point,
                           size_t plane, int first, int n, const float *bias, int add,
                           const int n_in, const int n_out, ob_line f)
{
    for (int b = 0; b < m->c8; b++) {
        struct walk at = walk_to(m, first);
        v8 more = bias ? v_load(bias + 8 * b) : v_splat(0);

        for (int t = 0; t < n; t++, walk_on(&at, m)) {
            int h = m->h - n_out * at.ty, w = m->w - n_out * at.tx;
            float *base = y + at.image + (size_t)b * m->plane;
            float *to = base + (size_t)(n_out * at.ty) * m->row + 8 * n_out * at.tx;
            const float *from = v + (size_t)b * plane + 8 * t;

            fetch_tile(base, m, &at, 1, n_out);
            if (h >= n_out && w >= n_out)
                write_tile(to, m->row, from, point, n_out, n_out, more, add, n_in, n_out, f);
            else
                write_tile(to, m->row, from, point, h, w, more, add, n_in, n_out, f);
        }
    }
}

/* ---- filters ---- */

/* Columns of up to 8 filters of 3 x 3, given as [tap][16]. */
OB_INLINE void filter_columns(v8 t[OB_WINO_MOST][3], const float *g, const int n_out, ob_line f)
{
    for (int c = 0; c < 3; c++) {
        v8 o[OB_WINO_MOST],
            d[3] = { v_load(g + 16 * c), v_load(g + 16 * (3 + c)), v_load(g + 16 * (6 + c)) };

        f(o, d);
        for (int r = 0; r < n_out; r++)
            t[r][c] = o[r];
    }
}

/* Up to 16 filters that lie `lane` floats apart; u: [16] (nv = 2) or [8]. */
OB_INLINE void filter_tile(float *u, size_t point, const float *w, size_t lane, int n_lanes,
                           int flip, const int nv, const int n_out, ob_line f, const int stream)
{
    float g[9][16] __attribute__((aligned(32))) = { { 0 } };
    v8 t[2][OB_WINO_MOST][3];

    for (int l = 0; l < n_lanes; l++)
        for (int k = 0; k < 9; k++)
            g[flip ? 8 - k : k][l] = w[(size_t)l * lane + (size_t)k];
    for (int b = 0; b < nv; b++)
        filter_columns(t[b], g[0] + 8 * b, n_out, f);
    for (int r = 0; r < n_out; r++) {
        v8 o[2][OB_WINO_MOST];

        for (int b = 0; b < nv; b++)
            f(o[b], t[b][r]);
        for (int c = 0; c < n_out; c++)
            for (int b = 0; b < nv; b++) {
                float *to = u + (size_t)(n_out * r + c) * point + 8 * b;

                if (stream)
                    v_stream(to, o[b][c]);
                else
                    v_store(to, o[b][c]);
            }
    }
}

#define STREAMED ((size_t)1 << 21) /* floats of filters that do not stay in the caches */

OB_INLINE void filter_tiles(float *u, const struct ob_wino_filters *s, const float *w, int pair,
                            const int n_out, ob_line f)
{
    int n_lanes = s->n_out - 16 * pair < 16 ? s->n_out - 16 * pair : 16;
    int n_k = (s->n_in + 7) / 8 * 8, stream = s->point * (size_t)(n_out * n_out) > STREAMED;

    w += 16 * (size_t)pair * s->out_step;
    u += (size_t)pair * (size_t)n_k * 16;
    for (int k = 0; k < n_k; k++, w += s->in_step) {
        int lanes = k < s->n_in ? n_lanes : 0;

        if (n_lanes <= 8)
            filter_tile(u + 8 * k, s->point, w, s->out_step, lanes, s->flip, 1, n_out, f, 0);
        else if (stream)
            filter_tile(u + 16 * k, s->point, w, s->out_step, lanes, s->flip, 2, n_out, f, 1);
        else
            filter_tile(u + 16 * k, s->point, w, s->out_step, lanes, s->flip, 2, n_out, f, 0);
    }
    if (stream)
        v_stream_end();
}

/* The way back, from n_in x n_in points to 3 x 3 taps; adds to the gradients of the filters. */
OB_INLINE void filter_tiles_back(float *dw, const struct ob_wino_filters *s, const float *du,
                                 int pair, const int n_in, ob_line f)
{
    int n_lanes = s->n_out - 16 * pair < 16 ? s->n_out - 16 * pair : 16;

    dw += 16 * (size_t)pair * s->out_step;
    du += (size_t)pair * (size_t)s->n_in * 16;
    for (int k = 0; k < s->n_in; k++)
        for (int b = 0; 8 * b < n_lanes; b++) {
            const float *from = du + 16 * k + 8 * b;
            float *to = dw + (size_t)k * s->in_step + 8 * (size_t)b * s->out_step;
            v8 t[3][OB_WINO_MOST], o[9];

            for (int c = 0; c < n_in; c++) {
                v8 u[OB_WINO_MOST], sum[3];

                for (int r = 0; r < n_in; r++)
                    u[r] = v_load(from + (size_t)(n_in * r + c) * s->point);
                f(sum, u);
                for (int r = 0; r < 3; r++)
                    t[r][c] = sum[r];
            }
            for (int r = 0; r < 3; r++)
                f(o + 3 * r, t[r]);
            for (int l = 0; l < 8 && 8 * b + l < n_lanes; l++)
                for (int i = 0; i < 9; i++)
                    to[(size_t)l * s->out_step + (size_t)i] += o[i][l];
        }
}

#endif
