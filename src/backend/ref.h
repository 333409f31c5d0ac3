/* ref.h - what the files of the backend `ref` share. */
#ifndef OB_BACKEND_REF_H
#define OB_BACKEND_REF_H

#include "backend/backend.h"

/*
 * Activations are N-C-H-W floats, one array per node. Gradients of activations are doubles, so
 * that a node with several readers adds them up without rounding; sums run in double, and what
 * goes into an activation, a statistic or a parameter's gradient is rounded to float once.
 */
struct ref_exec {
    struct ob_exec base;
    struct ref_node *node;
    float *floats;   /* all activations */
    double *doubles; /* all gradients, statistics and scratch */
    int n;           /* images of the last forward */
    enum ob_mode mode;
};

struct ref_node {
    float *y;      /* batch x c x h x w */
    double *dy;    /* the same shape; NULL: not needed */
    double *mean;  /* batch-norm: the mean that the last forward took away, by channel */
    double *scale; /* batch-norm: 1 / sqrt(var + eps) */
    double *plane; /* conv: one h x w plane per worker */
    int needed;    /* is dy? */
};

/* One node of one pass. */
struct ref_step {
    struct ref_exec *e;
    const struct ob_weights *w;
    int node;
    float *grads;
};

/* `i` is an example or a channel; outputs of different i are different places. */
typedef void ref_fn(void *step, size_t i, int worker);

struct ref_op {
    ref_fn *forward;  /* by example, or by channel where by_channel */
    ref_fn *backward; /* dy -> gradients of the inputs; by example, or channel where by_channel */
    ref_fn *params;   /* dy -> gradients of the parameters, by output channel */
    int by_channel;
};
extern const struct ref_op ref_conv, ref_linear, ref_batchnorm; /* ref_layers.c */

static inline const struct ob_node *ref_node(const struct ref_step *s)
{
    return &s->e->base.net->node[s->node];
}

/* The node that is read as input k. */
static inline const struct ob_node *ref_source(const struct ref_step *s, int k)
{
    return &s->e->base.net->node[ref_node(s)->in[k]];
}

static inline float *ref_y(const struct ref_step *s, size_t example)
{
    return s->e->node[s->node].y + example * ob_node_size(ref_node(s));
}

static inline const double *ref_dy(const struct ref_step *s, size_t example)
{
    return s->e->node[s->node].dy + example * ob_node_size(ref_node(s));
}

static inline const float *ref_x(const struct ref_step *s, int k, size_t example)
{
    return s->e->node[ref_node(s)->in[k]].y + example * ob_node_size(ref_source(s, k));
}

/* Where to add the gradient of input k; NULL: nobody needs it. */
static inline double *ref_dx(const struct ref_step *s, int k, size_t example)
{
    double *dy = s->e->node[ref_node(s)->in[k]].dy;

    return dy ? dy + example * ob_node_size(ref_source(s, k)) : NULL;
}

/* A view of the parameters, of their gradients, of the buffers; NULL for view -1. */
static inline const float *ref_param(const struct ref_step *s, int view)
{
    return view < 0 ? NULL : s->w->params + s->e->base.net->view[view].offset;
}

static inline float *ref_grad(const struct ref_step *s, int view)
{
    return view < 0 ? NULL : s->grads + s->e->base.net->view[view].offset;
}

static inline float *ref_buffer(const struct ref_step *s, int view)
{
    return s->w->buffers + s->e->base.net->view[view].offset;
}

/* ---- ref_vector.c ---- */
void ref_fill(struct ob_ctx *ctx, float *x, size_t n, float value);
void ref_axpy(struct ob_ctx *ctx, float *y, const float *x, size_t n, float a);
void ref_scale(struct ob_ctx *ctx, float *x, size_t n, float a);
double ref_dot(struct ob_ctx *ctx, const float *x, const float *y, size_t n);
double ref_sum_abs(struct ob_ctx *ctx, const float *x, size_t n);
void ref_add_sign(struct ob_ctx *ctx, float *y, const float *x, size_t n, float a);
void ref_sgd(struct ob_ctx *ctx, float *params, const float *grads, float *velocity, size_t n,
             const struct ob_sgd *o);
void ref_adam(struct ob_ctx *ctx, float *params, const float *grads, float *m, float *v, size_t n,
              const struct ob_adam *o);

#endif
