/* kernel_winograd.c - the transforms of Winograd's F(4x4, 3x3) convolution, eight channels a time. */
#include "backend/cpu/kernels.h"
#include "backend/cpu/simd.h"

/*
 * Y = A^T [ (G g G^T) . (B^T d B) ] A with the points 0, 1, -1, 2, -2 and infinity (Lavin and Gray,
 * "Fast Algorithms for Convolutional Neural Networks", CVPR 2016). The functions below are one
 * column of these matrices' products; each is applied to columns, then to rows.
 */

OB_INLINE void times_bt(v8 o[6], v8 d0, v8 d1, v8 d2, v8 d3, v8 d4, v8 d5) /* B^T d */
{
    v8 even = d4 - v_splat(4) * d2, odd = d3 - v_splat(4) * d1;
    v8 even2 = d4 - d2, odd2 = v_splat(2) * (d3 - d1);

    o[0] = v_splat(4) * d0 + (d4 - v_splat(5) * d2);
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = v_splat(4) * d1 + (d5 - v_splat(5) * d3);
}

OB_INLINE void times_at(v8 o[4], const v8 m[6]) /* A^T m */
{
    v8 a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];

    o[0] = m[0] + a + c;
    o[1] = v_splat(2) * d + b;
    o[2] = v_splat(4) * c + a;
    o[3] = v_splat(8) * d + b + m[5];
}

OB_INLINE void times_a(v8 o[6], v8 y0, v8 y1, v8 y2, v8 y3) /* A y */
{
    v8 even = y0 + y2, odd = y1 + y3;
    v8 even2 = v_splat(4) * y2 + y0, odd2 = v_splat(8) * y3 + (y1 + y1);

    o[0] = y0;
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = y3;
}

OB_INLINE void times_g(v8 o[6], v8 g0, v8 g1, v8 g2) /* G g */
{
    v8 even = v_splat(-1.f / 6) * (g0 + g2), odd = v_splat(-1.f / 6) * g1;
    v8 even2 = v_splat(1.f / 24) * g0 + v_splat(1.f / 6) * g2, odd2 = v_splat(1.f / 12) * g1;

    o[0] = v_splat(.25f) * g0;
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = g2;
}

OB_INLINE void times_gt(v8 o[3], const v8 u[6]) /* G^T u */
{
    v8 a = u[1] + u[2], b = u[1] - u[2], c = u[3] + u[4], d = u[3] - u[4];

    o[0] = v_splat(.25f) * u[0] + (v_splat(1.f / 24) * c - v_splat(1.f / 6) * a);
    o[1] = v_splat(1.f / 12) * d - v_splat(1.f / 6) * b;
    o[2] = v_splat(1.f / 6) * (c - a) + u[5];
}

/* ---- a walk over tiles, image after image, row after row ---- */

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

static const float zeros[8 * 6] __attribute__((aligned(32)));

/* Rows of a tile are too short for the processor to notice that they are read one after another,
 * so the same tile of the next plane is asked for in good time. */
OB_INLINE void fetch_tile(const float *plane, const struct ob_wino_map *m, int ty, int tx,
                          const int write)
{
    const float *p = plane + m->plane + 4 * (size_t)ty * m->row + 32 * (size_t)tx;

#pragma GCC unroll 4
    for (int r = 0; r < 4; r++, p += m->row) {
        __builtin_prefetch(p, write, 3);
        __builtin_prefetch(p + 16, write, 3);
    }
}

/* ---- images ---- */

/* B^T d B of the 6 x 6 pixels around a tile of 4 x 4; what lies outside of the image is zero. */
OB_INLINE void input_tile(float *v, size_t point, const float *plane, const struct ob_wino_map *m,
                          int ty, int tx, const int inside)
{
    const float *row[6];
    v8 t[6][6];
    int y = 4 * ty - 1, x = 4 * tx - 1;

    for (int r = 0; r < 6; r++) {
        int in = inside || (y + r >= 0 && y + r < m->h);

        row[r] = in ? plane + (ptrdiff_t)(y + r) * (ptrdiff_t)m->row + 8 * (ptrdiff_t)x : zeros;
    }
#pragma GCC unroll 6
    for (int c = 0; c < 6; c++) {
        v8 o[6];

        if (inside || (x + c >= 0 && x + c < m->w))
            times_bt(o, v_load(row[0] + 8 * c), v_load(row[1] + 8 * c), v_load(row[2] + 8 * c),
                     v_load(row[3] + 8 * c), v_load(row[4] + 8 * c), v_load(row[5] + 8 * c));
        else
            o[0] = o[1] = o[2] = o[3] = o[4] = o[5] = v_splat(0);
#pragma GCC unroll 6
        for (int r = 0; r < 6; r++)
            t[r][c] = o[r];
    }
#pragma GCC unroll 6
    for (int r = 0; r < 6; r++) {
        v8 o[6];

        times_bt(o, t[r][0], t[r][1], t[r][2], t[r][3], t[r][4], t[r][5]);
#pragma GCC unroll 6
        for (int c = 0; c < 6; c++)
            v_store(v + (size_t)(6 * r + c) * point, o[c]);
    }
}

static void input(float *v, size_t point, size_t plane, const float *x, const struct ob_wino_map *m,
                  int first, int n)
{
    for (int b = 0; b < m->c8; b++) {
        struct walk at = walk_to(m, first);

        for (int t = 0; t < n; t++, walk_on(&at, m)) {
            const float *from = x + at.image + (size_t)b * m->plane;
            float *to = v + (size_t)b * plane + 8 * t;

            fetch_tile(from, m, at.ty, at.tx, 0);
            if (at.ty > 0 && at.tx > 0 && 4 * at.ty + 5 <= m->h && 4 * at.tx + 5 <= m->w)
                input_tile(to, point, from, m, at.ty, at.tx, 1);
            else
                input_tile(to, point, from, m, at.ty, at.tx, 0);
        }
    }
}

/* A dy A^T of a tile of 4 x 4 output gradients. */
OB_INLINE void gradient_tile(float *v, size_t point, const float *plane,
                             const struct ob_wino_map *m, int ty, int tx, const int inside)
{
    const float *row[4];
    v8 t[6][4];

    for (int r = 0; r < 4; r++)
        row[r] = inside || 4 * ty + r < m->h
                     ? plane + (size_t)(4 * ty + r) * m->row + 32 * (size_t)tx
                     : zeros;
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        v8 o[6];

        if (inside || 4 * tx + c < m->w)
            times_a(o, v_load(row[0] + 8 * c), v_load(row[1] + 8 * c), v_load(row[2] + 8 * c),
                    v_load(row[3] + 8 * c));
        else
            o[0] = o[1] = o[2] = o[3] = o[4] = o[5] = v_splat(0);
#pragma GCC unroll 6
        for (int r = 0; r < 6; r++)
            t[r][c] = o[r];
    }
#pragma GCC unroll 6
    for (int r = 0; r < 6; r++) {
        v8 o[6];

        times_a(o, t[r][0], t[r][1], t[r][2], t[r][3]);
#pragma GCC unroll 6
        for (int c = 0; c < 6; c++)
            v_store(v + (size_t)(6 * r + c) * point, o[c]);
    }
}

static void gradient(float *v, size_t point, size_t plane, const float *dy,
                     const struct ob_wino_map *m, int first, int n)
{
    for (int b = 0; b < m->c8; b++) {
        struct walk at = walk_to(m, first);

        for (int t = 0; t < n; t++, walk_on(&at, m)) {
            const float *from = dy + at.image + (size_t)b * m->plane;
            float *to = v + (size_t)b * plane + 8 * t;

            if (4 * at.ty + 4 <= m->h && 4 * at.tx + 4 <= m->w)
                gradient_tile(to, point, from, m, at.ty, at.tx, 1);
            else
                gradient_tile(to, point, from, m, at.ty, at.tx, 0);
        }
    }
}

/* A^T v A into the pixels of a tile that are inside of the image. */
OB_INLINE void output_tile(float *to, size_t row, const float *v, size_t point, int h, int w,
                           v8 bias, int add)
{
    v8 t[4][6];

#pragma GCC unroll 6
    for (int c = 0; c < 6; c++) {
        v8 m[6], o[4];

#pragma GCC unroll 6
        for (int r = 0; r < 6; r++)
            m[r] = v_load(v + (size_t)(6 * r + c) * point);
        times_at(o, m);
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++)
            t[r][c] = o[r];
    }
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
        v8 o[4];

        if (r >= h)
            break;
        times_at(o, t[r]);
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) {
            float *p = to + (size_t)r * row + 8 * c;

            if (c < w)
                v_store(p, add ? v_load(p) + o[c] : o[c] + bias);
        }
    }
}

static void output(float *y, const struct ob_wino_map *m, const float *v, size_t point,
                   size_t plane, int first, int n, const float *bias, int add)
{
    for (int b = 0; b < m->c8; b++) {
        struct walk at = walk_to(m, first);
        v8 more = bias ? v_load(bias + 8 * b) : v_splat(0);

        for (int t = 0; t < n; t++, walk_on(&at, m)) {
            int h = m->h - 4 * at.ty, w = m->w - 4 * at.tx;
            float *to = y + at.image + (size_t)b * m->plane + 4 * (size_t)at.ty * m->row +
                        32 * (size_t)at.tx;
            const float *from = v + (size_t)b * plane + 8 * t;

            fetch_tile(y + at.image + (size_t)b * m->plane, m, at.ty, at.tx, 1);
            if (h >= 4 && w >= 4)
                output_tile(to, m->row, from, point, 4, 4, more, add);
            else
                output_tile(to, m->row, from, point, h, w, more, add);
        }
    }
}

/* ---- weights ---- */

/* G g G^T of up to 16 filters, which differ by `lane` floats; u: [lanes]. */
OB_INLINE void weight_tile(float *u, size_t point, const float *w, size_t lane, int n_lanes,
                           int flip, const int nv)
{
    float g[9][16] __attribute__((aligned(32))) = { { 0 } };

    for (int l = 0; l < n_lanes; l++)
        for (int k = 0; k < 9; k++)
            g[flip ? 8 - k : k][l] = w[(size_t)l * lane + (size_t)k];
    for (int b = 0; b < nv; b++) {
        v8 t[6][3];

        for (int c = 0; c < 3; c++) {
            v8 o[6];

            times_g(o, v_load(g[c] + 8 * b), v_load(g[3 + c] + 8 * b), v_load(g[6 + c] + 8 * b));
            for (int r = 0; r < 6; r++)
                t[r][c] = o[r];
        }
        for (int r = 0; r < 6; r++) {
            v8 o[6];

            times_g(o, t[r][0], t[r][1], t[r][2]);
            for (int c = 0; c < 6; c++)
                v_store(u + (size_t)(6 * r + c) * point + 8 * b, o[c]);
        }
    }
}

static void weights(float *u, const struct ob_wino_filters *f, const float *w, int pair)
{
    int n_lanes = f->n_out - 16 * pair < 16 ? f->n_out - 16 * pair : 16;
    int n_k = (f->n_in + 7) / 8 * 8;

    w += 16 * (size_t)pair * f->out_step;
    u += (size_t)pair * (size_t)n_k * 16;
    for (int k = 0; k < n_k; k++) {
        int lanes = k < f->n_in ? n_lanes : 0;

        if (n_lanes > 8)
            weight_tile(u + 16 * k, f->point, w + (size_t)k * f->in_step, f->out_step, lanes,
                        f->flip, 2);
        else
            weight_tile(u + 8 * k, f->point, w + (size_t)k * f->in_step, f->out_step, lanes,
                        f->flip, 1);
    }
}

/* dg = G^T du G, added to the gradients of the filters. */
static void weights_back(float *dw, const struct ob_wino_filters *f, const float *du, int pair)
{
    int n_lanes = f->n_out - 16 * pair < 16 ? f->n_out - 16 * pair : 16;

    dw += 16 * (size_t)pair * f->out_step;
    du += (size_t)pair * (size_t)f->n_in * 16;
    for (int k = 0; k < f->n_in; k++)
        for (int b = 0; 8 * b < n_lanes; b++) {
            const float *from = du + 16 * k + 8 * b;
            float *to = dw + (size_t)k * f->in_step + 8 * (size_t)b * f->out_step;
            v8 t[3][6], o[9];

            for (int c = 0; c < 6; c++) {
                v8 u[6], s[3];

                for (int r = 0; r < 6; r++)
                    u[r] = v_load(from + (size_t)(6 * r + c) * f->point);
                times_gt(s, u);
                for (int r = 0; r < 3; r++)
                    t[r][c] = s[r];
            }
            for (int r = 0; r < 3; r++)
                times_gt(o + 3 * r, t[r]);
            for (int l = 0; l < 8 && 8 * b + l < n_lanes; l++)
                for (int i = 0; i < 9; i++)
                    to[(size_t)l * f->out_step + (size_t)i] += o[i][l];
        }
}

const struct ob_wino_kernels OB_K(ob_wino_kernels) = {
    .input = input,
    .gradient = gradient,
    .output = output,
    .weights = weights,
    .weights_back = weights_back,
};
