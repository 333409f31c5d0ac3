/*
 * kernels.h - the loops that the engine spends its time in, once per instruction set.
 *
 * Activations are [image][ceil(C/8)][H][W][8]: "planes" of H x W pixels of eight channels.
 * Channels past C are zero everywhere. Kernels run on one thread.
 */
#ifndef OB_CPU_KERNELS_H
#define OB_CPU_KERNELS_H

#include "backend/backend.h"

/*
 * One implicit matrix product: out[pixel][channel] = sum_k x[in_off[pixel] + off(k)] w[k][channel].
 * k runs over n_run runs of `run` neighbouring floats; pixels and channels are independent.
 */
struct ob_gemm {
    int n_run, run;
    int n_out;                 /* planes of eight output channels */
    int n_px;                  /* pixels of one image; tables hold `group` images */
    size_t out_plane;          /* floats from one plane of the output to the next */
    int32_t *run_off;          /* [n_run] */
    int32_t *in_off, *out_off; /* [group * n_px] */
    int32_t *src;              /* [n_run * run] of the weight of channel 0, or -1: zero */
    size_t src_channel;        /* from there to that of the next output channel */
    int n_channels;
    float *w; /* packed: pairs of planes, each [n_run * run][16] ([8] if odd) */
};

/* Gradient of weights: dw[k][channel] += sum_pixel x[in_off[pixel] + k_off[k]] dy[pixel][channel] */
struct ob_gemm_dw {
    int n_k, n_out;
    size_t dy_plane;
    const int32_t *k_off, *in_off, *dy_off;
};

struct ob_conv_kernels {
    /* bias: n_out * 8 floats or NULL; add: to what is in y */
    void (*gemm)(const struct ob_gemm *g, float *y, const float *x, int n_px, const float *bias,
                 int add);
    void (*gemm_dw)(const struct ob_gemm_dw *g, float *dw, const float *x, const float *dy,
                    int n_px);
    void (*pack_weights)(const struct ob_gemm *g, const float *w, int pair);
    /* c8 planes h x w at (lo, lo) of planes ph x pw: the zeros around, and the copy with them */
    void (*border)(float *to, int c8, int h, int w, int lo, int ph, int pw);
    void (*pad)(float *to, const float *from, int c8, int h, int w, int lo, int ph, int pw);
    /* n-c-h-w floats into rows of interleaved pixels: (x - mean) / std, zeros around */
    void (*pad_input)(float *to, const float *from, int c, int h, int w, int pad, const float *mean,
                      const float *scale);
    /* sum[c] += sum over the pixels inside; double of n planes * 8 */
    void (*sum_pixels)(double *sum, const float *x, int c8, int h, int w, size_t row, size_t plane);
};

/*
 * Winograd's algorithm: a convolution of 3 x 3 with padding 1 as so many matrix products of
 * transformed tiles, of 4 x 4 outputs each (or the whole small map), whose sums stand at so many
 * points. Products are numbered a * side + b by rows and columns, points likewise. Transformed images are [product or
 * point][plane][tile][8], with the strides given; tiles are counted over images, rows, columns.
 */
struct ob_wino_map { /* images that are read or written */
    int h, w, c8;
    int tiles_h, tiles_w;
    size_t row, plane, image; /* floats */
};

/* Filters: n_out x n_in of 3 x 3. Transformed ones are [product], then as ob_gemm's `w`. */
struct ob_wino_filters {
    int n_out, n_in, flip;    /* flip: turned, for the way back */
    size_t out_step, in_step; /* between filters in the weights */
    size_t point;
};

/* small: stride 1 on maps of at most 2 x 2 */
enum ob_wino_variant { OB_WINO, OB_WINO_2, OB_WINO_SMALL, OB_WINO_VARIANTS };

struct ob_wino_kernels {
    int side[2]; /* products, points of a row; of a tile, their squares */
    /* forwards: x to products, points to y; backwards: dy to points, products to dx.
     * bias: c8 * 8 floats or NULL; add: to what is in y */
    void (*input[2])(float *v, size_t point, size_t plane, const float *x,
                     const struct ob_wino_map *m, int first, int n);
    void (*output[2])(float *y, const struct ob_wino_map *m, const float *v, size_t point,
                      size_t plane, int first, int n, const float *bias, int add);
    /* dy to points, for the gradient of the filters */
    void (*gradient)(float *v, size_t point, size_t plane, const float *dy,
                     const struct ob_wino_map *m, int first, int n);
    void (*filters)(float *u, const struct ob_wino_filters *f, const float *w, int pair);
    /* du: [product][pair][n_in][16]; adds to dw */
    void (*filters_back)(float *dw, const struct ob_wino_filters *f, const float *du, int pair);
};

enum ob_norm_flag { OB_NORM_RELU = 1, OB_NORM_POOL = 2, OB_NORM_MASK = 4, OB_NORM_ADD = 8 };

/* Per channel, padded to whole planes. z = (y - mean) a + beta; backward dy = g ga + (y - mean) gb + gc */
struct ob_norm_coef {
    float *mean, *a, *beta, *ga, *gb, *gc;
};

struct ob_norm_kernels {
    /* of n images: sums, and squared distances from the images' own mean */
    void (*stats)(double *sum, double *m2, const float *y, int n, int c8, int hw);
    /* one image; r: residual or NULL; POOL: 2 x 2 after the ReLU */
    void (*apply)(float *z, const float *y, const float *r, const struct ob_norm_coef *k, int c8,
                  int h, int w, int flags);
    /* one image: s1 += sum g, s2 += sum g (y - mean), g = dz masked by z > 0. MASK: g into dz as
     * well; r: g into r, ADD: onto what is there */
    void (*back_sums)(double *s1, double *s2, const float *y, const float *z, float *dz, float *r,
                      const struct ob_norm_coef *k, int c8, int h, int w, int flags);
    /* one image: dy into planes with their own row and plane lengths; ADD: onto what is there */
    void (*back_apply)(float *dy, size_t row, size_t plane, const float *y, const float *z,
                       const float *dz, const struct ob_norm_coef *k, int c8, int h, int w,
                       int flags);
};

struct ob_pool_kernels { /* all: one image; add: onto what is in the gradient */
    void (*max)(float *z, const float *x, const struct ob_node *from, const struct ob_node *to);
    void (*max_back)(float *dx, const float *dz, const float *x, const struct ob_node *from,
                     const struct ob_node *to, int add);
    void (*avg)(float *z, const float *x, const struct ob_node *from, const struct ob_node *to);
    void (*avg_back)(float *dx, const float *dz, const struct ob_node *from,
                     const struct ob_node *to, int add);
    void (*shortcut)(float *z, const float *x, const struct ob_node *from,
                     const struct ob_node *to);
    void (*shortcut_back)(float *dx, const float *dz, const struct ob_node *from,
                          const struct ob_node *to, int add);
    /* blocked to C-H-W order and back; row may not be padded */
    void (*flatten)(float *z, const float *x, int c, int hw);
    void (*unflatten)(float *x, const float *z, int c, int hw, int add);
};

struct ob_vec_kernels { /* n floats each */
    void (*relu)(float *z, const float *x, size_t n);
    void (*relu_back)(float *dx, const float *dz, const float *z, size_t n, int add);
    void (*sum)(float *z, const float *x, const float *y, size_t n);
    void (*copy)(float *z, const float *x, size_t n, int add);
    void (*fill)(float *x, size_t n, float a);
    void (*axpy)(float *y, const float *x, size_t n, float a);
    void (*scale)(float *x, size_t n, float a);
    double (*dot)(const float *x, const float *y, size_t n);
    double (*sum_abs)(const float *x, size_t n);
    void (*add_sign)(float *y, const float *x, size_t n, float a);
    void (*sgd)(float *p, const float *g, float *v, const uint8_t *mask, size_t n,
                const struct ob_sgd *o);
    void (*adam)(float *p, const float *g, float *m, float *v, const uint8_t *mask, size_t n,
                 const struct ob_adam *o);
};

struct ob_kernels {
    const char *isa;
    const struct ob_conv_kernels *conv;
    const struct ob_wino_kernels *wino[OB_WINO_VARIANTS];
    const struct ob_norm_kernels *norm;
    const struct ob_pool_kernels *pool;
    const struct ob_vec_kernels *vec;
};

#define OB_KERNELS(isa)                                                                            \
    extern const struct ob_conv_kernels ob_conv_kernels_##isa;                                     \
    extern const struct ob_wino_kernels ob_wino_kernels_##isa, ob_wino_kernels_2_##isa,            \
        ob_wino_kernels_small_##isa;                                                               \
    extern const struct ob_norm_kernels ob_norm_kernels_##isa;                                     \
    extern const struct ob_pool_kernels ob_pool_kernels_##isa;                                     \
    extern const struct ob_vec_kernels ob_vec_kernels_##isa;
OB_KERNELS(baseline)
OB_KERNELS(avx2)
OB_KERNELS(avx512)

/* `want`: a name that ob_ctx_new() knows, or NULL: the best. OB_ENOTSUP: not on this machine or in this
 * build. */
int ob_kernels_find(const struct ob_kernels **out, const char *want, struct ob_err *err);

#endif
