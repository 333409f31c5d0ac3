/*
 * backend.h - what every backend promises.
 *
 * A backend compiles a network for a largest batch into an executable that owns its activations,
 * in whatever layout is fastest, and allocates once. Nothing is allocated per step.
 *
 * forward: x is n x C x H x W floats (0..1), 1 <= n <= batch. OB_MODE_TRAIN: batch-norm normalises
 *   with the batch's biased variance and updates the running statistics in `w` (momentum 0.1,
 *   unbiased variance; with one value per channel the biased one) and its counts. OB_MODE_EVAL:
 *   running statistics, no update. Afterwards logits (n x classes) and features (n x n_features,
 *   C-H-W order) can be read until the next forward.
 * backward: of the last forward, in its mode, with the same weights. ADDS d(loss)/d(params) into
 *   `grads` (the layout of params). `dx` (n x C x H x W, overwritten; with respect to the input
 *   before normalisation) only where compiled with OB_EXEC_INPUT_GRAD, else NULL.
 *   Only where compiled with OB_EXEC_TRAIN. Without dx it may leave out the nodes before `first`:
 *   nobody trains those, and their part of `grads` means nothing.
 *
 * Results are the same bytes for any number of threads, in each backend.
 */
#ifndef OB_BACKEND_BACKEND_H
#define OB_BACKEND_BACKEND_H

#include "base/ctx.h"
#include "nn/model.h"

enum ob_exec_flag { OB_EXEC_TRAIN = 1, OB_EXEC_INPUT_GRAD = 2 };
enum ob_mode { OB_MODE_EVAL, OB_MODE_TRAIN };

struct ob_exec { /* each backend's own struct begins with this one */
    const struct ob_backend *backend;
    const struct ob_net *net; /* borrowed */
    int batch, n_threads;
    int first; /* 0 unless the caller sets it */
    unsigned flags;
    const float *logits, *features; /* after forward */
};

/* One SGD/Adam step etc. over a block, elementwise; see run/optim.h for what the numbers mean. */
struct ob_sgd {
    float lr, momentum, weight_decay;
    int first;           /* the buffer is taken as the gradient: PyTorch's first step */
    const uint8_t *mask; /* NULL, or one byte per element: 0 = does not move at all */
};
struct ob_adam {
    float lr, beta1, beta2, eps, weight_decay;
    int decoupled; /* AdamW */
    int64_t step;  /* 1-based */
    const uint8_t *mask;
};

struct ob_backend {
    const char *name;
    /* Fills *isa (15 characters at most). want: NULL, "baseline", "avx2" ... */
    int (*start)(const char *want, char isa[16], struct ob_err *err);
    int (*compile)(struct ob_exec **out, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                   unsigned flags, struct ob_err *err);
    /* The bytes that compile() would take, without taking them. */
    int (*measure)(size_t *bytes, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                   unsigned flags, struct ob_err *err);
    void (*forward)(struct ob_exec *e, const struct ob_weights *w, const float *x, int n,
                    enum ob_mode mode);
    void (*backward)(struct ob_exec *e, const struct ob_weights *w, const float *dlogits,
                     float *grads, float *dx);
    /* Forgets weights kept in the backend's own layout and the forward state. */
    void (*free)(struct ob_exec *e);

    /* ---- vectors: n floats on 64-byte boundaries. The same bytes for any number of threads. ---- */
    void (*fill)(struct ob_ctx *ctx, float *x, size_t n, float value);
    void (*axpy)(struct ob_ctx *ctx, float *y, const float *x, size_t n, float a); /* y += a x */
    void (*scale)(struct ob_ctx *ctx, float *x, size_t n, float a);
    double (*dot)(struct ob_ctx *ctx, const float *x, const float *y, size_t n);
    double (*sum_abs)(struct ob_ctx *ctx, const float *x, size_t n);
    void (*add_sign)(struct ob_ctx *ctx, float *y, const float *x, size_t n,
                     float a); /* y += a sign(x), sign(0)=0 */
    void (*sgd)(struct ob_ctx *ctx, float *params, const float *grads, float *velocity, size_t n,
                const struct ob_sgd *o);
    void (*adam)(struct ob_ctx *ctx, float *params, const float *grads, float *m, float *v,
                 size_t n, const struct ob_adam *o);
};

extern const struct ob_backend ob_backend_ref, ob_backend_cpu;

/* Conveniences in backends.c; ctx->backend is used. ob_exec_forward returns OB_EDIVERGED when a
 * logit is not finite. */
int ob_exec_new(struct ob_exec **out, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                unsigned flags, struct ob_err *err);
int ob_exec_measure(size_t *bytes, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                    unsigned flags, struct ob_err *err);
int ob_exec_forward(struct ob_exec *e, const struct ob_weights *w, const float *x, int n,
                    enum ob_mode mode, struct ob_err *err);
void ob_exec_backward(struct ob_exec *e, const struct ob_weights *w, const float *dlogits,
                      float *grads, float *dx);
void ob_exec_free(struct ob_exec *e);

#endif
