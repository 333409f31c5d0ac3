/* backends.h - one run of a network on a backend, and how two runs are compared. */
#ifndef TESTS_BACKENDS_H
#define TESTS_BACKENDS_H

#include <math.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "base/rng.h"
#include "common.h"

/* Everything that a pass leaves behind. */
struct outcome {
    float *logits, *features, *grads, *dx, *buffers;
    int64_t *counts;
    size_t n_logits, n_features, n_dx;
};

static inline struct ob_ctx *context(const char *backend, const char *isa, int n_threads)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_ctx *ctx;

    o.backend = backend;
    o.isa = isa;
    o.n_threads = n_threads;
    must(ob_ctx_new(&ctx, &o, err));
    return ctx;
}

static inline float *numbers(size_t n, uint32_t what, float mean, float scale)
{
    struct ob_rng r = ob_rng(11, OB_RNG_TEST, what, 0);
    float *x;

    must(ob_block_new(&x, n, err));
    for (size_t i = 0; i < n; i++)
        x[i] = mean + scale * ob_rng_normal(&r);
    return x;
}

static inline float *copy_of(const float *x, size_t n)
{
    float *y;

    must(ob_block_new(&y, n, err));
    memcpy(y, x, n * sizeof(*x));
    return y;
}

/* Weights that make every term count: scales near one, shifts, variances that are positive. */
static inline struct ob_weights weights_of(const struct ob_net *net, uint32_t what, uint64_t stamp)
{
    struct ob_weights w = { .stamp = stamp };

    w.params = numbers(net->n_params, what, 0, 1);
    w.buffers = numbers(net->n_buffers, what + 1, 0, 0.3f);
    must(ob_alloc(w.counts, net->n_counts, err));
    for (int i = 0; i < net->n_views; i++) {
        const struct ob_view *v = &net->view[i];
        int scale = strstr(v->name, "running_var") || strstr(v->name, "normalize.std");
        float *x = (v->block == OB_PARAM ? w.params : w.buffers) + v->offset;

        for (size_t k = 0; k < v->size && v->block != OB_COUNT; k++) {
            if (v->block == OB_PARAM && v->rank > 1)
                x[k] *= 1.2f / sqrtf((float)(v->size / (size_t)v->shape[0]));
            else if (v->block == OB_PARAM)
                x[k] = 0.3f * x[k] + (strstr(v->name, "weight") ? 1 : 0);
            else if (scale)
                x[k] = 0.5f + fabsf(x[k]);
        }
    }
    return w;
}

static inline void release_weights(struct ob_weights *w)
{
    ob_free(w->params);
    ob_free(w->buffers);
    ob_free(w->counts);
}

/* Forward and backward of `n` images on an executable; running statistics of `w` stay. */
static inline struct outcome run_on(struct ob_exec *e, const struct ob_weights *w, const float *x,
                                    const float *dlogits, int n, enum ob_mode mode)
{
    const struct ob_net *net = e->net;
    size_t pixels = (size_t)(net->channels * net->height * net->width);
    struct outcome o = { .n_logits = (size_t)(n * net->n_classes),
                         .n_features = (size_t)(n * ob_net_n_features(net)),
                         .n_dx = (size_t)n * pixels };
    struct ob_weights moving = *w;

    o.buffers = moving.buffers = copy_of(w->buffers, net->n_buffers);
    must(ob_alloc(o.counts, net->n_counts, err));
    moving.counts = o.counts;
    must(ob_exec_forward(e, &moving, x, n, mode, err));
    o.logits = copy_of(e->logits, o.n_logits);
    o.features = copy_of(e->features, o.n_features);
    o.grads = numbers(net->n_params, 5, 0, 1e-3f); /* gradients are added to what is there */
    must(ob_block_new(&o.dx, o.n_dx, err));
    ob_exec_backward(e, &moving, dlogits, o.grads, e->flags & OB_EXEC_INPUT_GRAD ? o.dx : NULL);
    return o;
}

static inline struct outcome run(struct ob_ctx *ctx, const struct ob_net *net,
                                 const struct ob_weights *w, const float *x, const float *dlogits,
                                 int n, int batch, enum ob_mode mode)
{
    struct ob_exec *e;
    struct outcome o;

    must(ob_exec_new(&e, ctx, net, batch, OB_EXEC_TRAIN | OB_EXEC_INPUT_GRAD, err));
    o = run_on(e, w, x, dlogits, n, mode);
    ob_exec_free(e);
    return o;
}

static inline void release_outcome(struct outcome *o)
{
    ob_free(o->logits);
    ob_free(o->features);
    ob_free(o->grads);
    ob_free(o->dx);
    ob_free(o->buffers);
    ob_free(o->counts);
}

static inline double norm_of(const float *x, size_t n)
{
    double s = 0;

    for (size_t i = 0; i < n; i++)
        s += (double)x[i] * (double)x[i];
    return sqrt(s);
}

/* ||a - b|| <= bound ||b|| + floor; a NaN is never near. */
static inline void near(const char *test, const char *what, const float *a, const float *b,
                        size_t n, double bound, double floor)
{
    double s = 0, size = norm_of(b, n);

    for (size_t i = 0; i < n; i++)
        s += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    if (!(sqrt(s) <= bound * size + floor))
        fail_msg("%s: %s: distance %.3g, size %.3g", test, what, sqrt(s), size);
}

/* Gradients view by view; a view whose gradient cancels out is measured by the largest one. */
static inline void near_outcome(const char *test, const struct ob_net *net, const struct outcome *a,
                                const struct outcome *b, double value, double gradient)
{
    double floor = 0;

    near(test, "logits", a->logits, b->logits, a->n_logits, value, 0);
    near(test, "features", a->features, b->features, a->n_features, value, 0);
    near(test, "buffers", a->buffers, b->buffers, net->n_buffers, value, 0);
    near(test, "dx", a->dx, b->dx, a->n_dx, gradient, 0);
    for (int i = 0; i < net->n_views; i++)
        if (net->view[i].block == OB_PARAM)
            floor = fmax(floor, norm_of(b->grads + net->view[i].offset, net->view[i].size));
    for (int i = 0; i < net->n_views; i++) {
        const struct ob_view *v = &net->view[i];

        if (v->block == OB_PARAM)
            near(test, v->name, a->grads + v->offset, b->grads + v->offset, v->size, gradient,
                 1e-6 * floor);
    }
    assert_memory_equal(a->counts, b->counts, sizeof(*a->counts) * net->n_counts);
}

static inline void same_outcome(const struct ob_net *net, const struct outcome *a,
                                const struct outcome *b)
{
    assert_memory_equal(a->logits, b->logits, sizeof(float) * a->n_logits);
    assert_memory_equal(a->features, b->features, sizeof(float) * a->n_features);
    assert_memory_equal(a->dx, b->dx, sizeof(float) * a->n_dx);
    assert_memory_equal(a->grads, b->grads, sizeof(float) * net->n_params);
    assert_memory_equal(a->buffers, b->buffers, sizeof(float) * net->n_buffers);
    assert_memory_equal(a->counts, b->counts, sizeof(*a->counts) * net->n_counts);
}

#endif
