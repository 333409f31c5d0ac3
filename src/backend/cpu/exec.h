/*
 * exec.h - a network compiled for the CPU: a list of steps over activations in one arena.
 *
 * A step is a convolution (a linear layer is one: 1 x 1 on a map of one pixel), or a batch-norm,
 * each with what is fused to it, or one of the small operations. Steps run in order forwards and
 * in reverse backwards. Which gradient lies where, and whether a step adds to it or is the first
 * to write it, is settled when compiling.
 */
#ifndef OB_CPU_EXEC_H
#define OB_CPU_EXEC_H

#include "backend/cpu/kernels.h"

/* The activation of a node and its gradient; both may be absent. `image`: floats of one image. */
struct value {
    float *x, *g;
    size_t image;
    int c8, hw;
    int slot; /* of the gradient, in inference of the activation; -1: none */
    int lent; /* x lies there, too, until the way back */
};

/* What Winograd's algorithm needs of a convolution. */
struct wino {
    const struct ob_wino_kernels *k;
    struct ob_wino_map x, y;
    /* [0] forwards, [1] backwards to the data */
    int *at[2]; /* by product: the point that it adds to, that it reads */
    struct ob_wino_filters filters[2];
    struct ob_gemm product[2];
    size_t point[2]; /* floats of [0] one product of x, [1] one point of y: of a block of tiles */
    struct ob_gemm_dw dw;
    size_t du_point;  /* floats of one product of the weight gradient */
    int tiles, block; /* of one image; of one product at once */
    int slab; /* many channels: images that make a block, for all threads; 0: each its own */
    int32_t *tile_off, *plane_off, *k_off;
};

static inline size_t ob_wino_products(const struct wino *w)
{
    return (size_t)(w->k->side[0] * w->k->side[0]);
}

static inline size_t ob_wino_points(const struct wino *w)
{
    return (size_t)(w->k->side[1] * w->k->side[1]);
}

/* Geometry of a convolution, packed weights, and tables of offsets for `group` images. */
struct conv {
    int node, in;
    int group;          /* images of one task: maps of a few pixels go together */
    int dense;          /* few input channels: pixels interleaved, normalised, padded; kept */
    int pad_x, pad_dy;  /* whether a padded copy is needed */
    int in_h, in_w;     /* of the padded input */
    int lo, dy_h, dy_w; /* padded output gradient: image at (lo, lo) */
    size_t x_image, dy_image;
    struct ob_gemm fwd;
    struct ob_gemm *back; /* by phase of the stride; none where no gradient is asked for */
    int n_back;
    struct ob_gemm_dw dw;
    int32_t *k_off, *k_src, *dy_off;
    size_t n_dw; /* floats of the weight gradient in its blocked layout */
    float *bias; /* padded; NULL: none */
    /* packed or transformed, forwards and backwards; in training all convolutions share the memory */
    float *filters[2];
    float *packed;     /* dense: the batch's input */
    int slot;          /* of `waiting`; -1: none */
    float *waiting;    /* x and dy of the batch, for a weight gradient made pair by pair */
    struct wino *wino; /* NULL: the general path, which the tables above are for */
};

struct norm {
    int node, in, residual; /* residual: -1: none */
    int flags;
    struct ob_norm_coef k;
    double *scale; /* 1 / sqrt(var + eps) */
};

enum kind { CONV, NORM, RELU, ADD, MAXPOOL, AVGPOOL, SHORTCUT, FLATTEN, IMPORT };

struct step {
    enum kind kind;
    int in[2], out;    /* nodes; in[1] of ADD, or the residual */
    int need[2];       /* a gradient is to be made */
    int add[2];        /* to what another step wrote there */
    int handed;        /* the residual's gradient is the output's, masked in place */
    struct conv *conv; /* CONV */
    struct norm *norm; /* NORM; CONV: NULL or what follows */
};

struct exec {
    struct ob_exec base;
    struct ob_ctx *ctx;
    const struct ob_kernels *k;
    struct value *value; /* by node */
    struct step *step;
    int n_step;
    float *arena, *logits, *features;
    float **slot;   /* memory that gradients share, and activations that are not kept: slots.c */
    float *scratch; /* one piece per worker: padded input, padded output gradient */
    size_t scratch_x, scratch_worker;
    float *dw;           /* of the convolution at work: weight gradients by chunk of images */
    float *filters;      /* training: of the convolution at work */
    float *kept;         /* of a slab the tiles */
    double *part;        /* partial sums by task, then by channel */
    const float *x;      /* during a call */
    const float *params; /* inference: whose weights are packed */
    uint64_t stamp;
    int n; /* of the last forward */
    enum ob_mode mode;
};

#define OB_CHUNKS 32 /* of a batch, at most, for gradients of weights */

/* How many images make one chunk; depends on the batch only. */
static inline int chunk_images(int n)
{
    int least = (n + OB_CHUNKS - 1) / OB_CHUNKS, per = n / 8 < 8 ? n / 8 : 8;

    per = per < 1 ? 1 : per;
    return per > least ? per : least;
}

/* Images of one task: where a few would take all images of the batch, fewer, for the threads'
 * sake. Depends on the batch only. */
static inline int group_images(const struct conv *c, int n)
{
    int quarter = (n + 3) / 4;

    return c->wino && quarter < c->group ? quarter : c->group;
}

/* Loops that touch few floats stay on one thread: waking others, and waiting for them beside
 * other programs, costs more. Which thread does what never changes results. */
#define OB_WORTH_THREADS ((size_t)1 << 17)

static inline int threads_for(int n_threads, size_t n_floats)
{
    return n_floats < OB_WORTH_THREADS ? 1 : n_threads;
}

/* Weight gradients of this many floats are not made by chunks of images, which would each need one
 * of their own, but pair after pair of planes from x and dy of the whole batch. */
static inline int ob_conv_by_pair(const struct conv *c)
{
    return c->n_dw > (size_t)1 << 17;
}

/* Floats of one image that wait for them. */
static inline size_t ob_conv_waiting(const struct conv *c)
{
    return c->dy_image + (c->pad_x && !c->dense ? c->x_image : 0);
}

static inline const float *view_of(const struct ob_net *net, const float *block, int view)
{
    return block + net->view[view].offset;
}

static inline size_t ob_gemm_filters(const struct ob_gemm *g)
{
    return (size_t)((g->n_out + 1) / 2) * (size_t)(g->n_run * g->run) * 16;
}

/* plan.c */
int ob_conv_plan(struct conv **out, const struct ob_net *net, int node, int dense, int need_dx,
                 const struct ob_wino_kernels *const *wino, int batch,
                 struct ob_err *err); /* wino NULL: the general path only */
void ob_conv_free(struct conv *c);
size_t ob_conv_filters(const struct conv *c, int back); /* floats of c->filters[back] */

/* winograd_plan.c */
int ob_wino_suits(const struct ob_node *d, int dense); /* enum ob_wino_variant; -1: none */
int ob_wino_plan(struct conv *c, const struct ob_wino_kernels *k, const struct ob_node *d,
                 const struct ob_node *x, int batch, struct ob_err *err);
void ob_wino_free(struct wino *w);
size_t ob_wino_scratch(const struct wino *w); /* floats: of a worker, of filters, ... */
size_t ob_wino_filter_floats(const struct wino *w, int back);
size_t ob_wino_slab_floats(const struct wino *w, int train);
size_t ob_wino_gradient_floats(const struct wino *w, int n_chunks);
/* winograd.c */
void ob_wino_weights(struct exec *e, const struct conv *c, const float *params, int back);
void ob_wino_product(struct exec *e, const struct conv *c, int back, float *to, const float *from,
                     int n_tiles, float *scratch, int add);
/* many channels: the products of images first..end-1; then, by group, y of n images from `image` of
 * the slab on */
void ob_wino_slab(struct exec *e, struct conv *c, int first, int end);
void ob_wino_slab_output(struct exec *e, const struct conv *c, float *y, int image, int n);
void ob_wino_backward(struct exec *e, struct step *s, float *grads);

/* conv.c, norm.c, small.c: one step for the whole batch */
void ob_conv_pack(struct exec *e, const struct ob_weights *w); /* for inference */
void ob_conv_forward(struct exec *e, struct step *s, const struct ob_weights *w);
void ob_conv_backward(struct exec *e, struct step *s, const struct ob_weights *w, float *grads);
/* dy of n images from `first` on; where it has to be made, in `to` */
const float *ob_conv_output_gradient(struct exec *e, struct step *s, int first, int n, float *to);
void ob_norm_begin(struct exec *e, struct norm *m, const struct ob_weights *w);
void ob_norm_finish(struct exec *e, struct norm *m, const struct ob_weights *w, int n_tasks,
                    int per);
void ob_norm_apply(struct exec *e, struct step *s);
void ob_norm_forward(struct exec *e, struct step *s, const struct ob_weights *w);
void ob_norm_sums(struct exec *e, struct step *s, const struct ob_weights *w, float *grads);
void ob_norm_backward(struct exec *e, struct step *s, const struct ob_weights *w, float *grads);
void ob_small_forward(struct exec *e, struct step *s, const struct ob_weights *w);
void ob_small_backward(struct exec *e, struct step *s);
void ob_export_output(struct exec *e);
void ob_import_dlogits(struct exec *e, const float *dlogits);
void ob_export_dx(struct exec *e, const struct ob_weights *w, float *dx);

/* compile.c */
int ob_cpu_compile(struct ob_exec **out, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                   unsigned flags, struct ob_err *err);
int ob_cpu_measure(size_t *bytes, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                   unsigned flags, struct ob_err *err);
void ob_cpu_free(struct ob_exec *e);
/* exec.c */
void ob_cpu_forward(struct ob_exec *e, const struct ob_weights *w, const float *x, int n,
                    enum ob_mode mode);
void ob_cpu_backward(struct ob_exec *e, const struct ob_weights *w, const float *dlogits,
                     float *grads, float *dx);
/* vec.c */
void ob_cpu_fill(struct ob_ctx *ctx, float *x, size_t n, float value);
void ob_cpu_axpy(struct ob_ctx *ctx, float *y, const float *x, size_t n, float a);
void ob_cpu_scale(struct ob_ctx *ctx, float *x, size_t n, float a);
double ob_cpu_dot(struct ob_ctx *ctx, const float *x, const float *y, size_t n);
double ob_cpu_sum_abs(struct ob_ctx *ctx, const float *x, size_t n);
void ob_cpu_add_sign(struct ob_ctx *ctx, float *y, const float *x, size_t n, float a);
void ob_cpu_sgd(struct ob_ctx *ctx, float *params, const float *grads, float *velocity, size_t n,
                const struct ob_sgd *o);
void ob_cpu_adam(struct ob_ctx *ctx, float *params, const float *grads, float *m, float *v,
                 size_t n, const struct ob_adam *o);

#endif
