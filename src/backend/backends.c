/* backends.c - the one list of backends, and the context that picks one. */
#include "backend/backend.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/par.h"
#include "base/ranks.h"

static const struct ob_backend *const all[] = { &ob_backend_cpu, &ob_backend_ref };

/* OpenMP ends the process where the system has no room for so many. */
#define MAX_THREADS 1024

static const struct ob_backend *find(const char *name)
{
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (!strcmp(all[i]->name, name))
            return all[i];
    return NULL;
}

/* Names that some build knows: "no such thing" and "not here" are different mistakes. */
static int check_isa(const char *isa, struct ob_err *err)
{
    static const char *const known[] = { "baseline", "avx2", "avx512" };

    for (size_t i = 0; isa && i < sizeof(known) / sizeof(known[0]); i++)
        if (!strcmp(isa, known[i]))
            return OB_OK;
    if (isa)
        return ob_fail(err, OB_EINVAL,
                       "no instruction set '%s'; there are baseline, avx2 and avx512", isa);
    return OB_OK;
}

int ob_ctx_new(struct ob_ctx **out, const struct ob_ctx_opts *o, struct ob_err *err)
{
    struct ob_ctx *ctx;
    int rc;

    *out = NULL;
    if (o->n_threads < 0 || o->n_threads > MAX_THREADS)
        return ob_fail(err, OB_EINVAL, "%d threads: 1 to %d can be had, or 0 for all cores",
                       o->n_threads, MAX_THREADS);
    OB_TRY(check_isa(o->isa, err));
    OB_TRY(ob_alloc(ctx, 1, err));
    /* what a caller of an older header does not have stays zero */
    memcpy(&ctx->opts, o, o->size < sizeof(*o) ? o->size : sizeof(*o));
    ctx->n_threads = o->n_threads ? o->n_threads : ob_par_cores();
    if (!o->n_threads && ctx->opts.ranks)
        ctx->n_threads = ctx->opts.ranks->n_cores;
    if (ctx->n_threads > MAX_THREADS)
        ctx->n_threads = MAX_THREADS;
    ctx->backend = find(o->backend ? o->backend : "cpu");
    if (!ctx->backend) {
        rc = ob_fail(err, OB_EINVAL, "no backend '%s'; there are cpu and ref", o->backend);
        ob_free(ctx);
        return rc;
    }
    rc = ctx->backend->start(o->isa, ctx->isa, err);
    if (rc) {
        ob_free(ctx);
        return rc;
    }
    snprintf(ctx->arithmetic, sizeof(ctx->arithmetic), "%s%s", ctx->isa,
             ctx->opts.general_conv && ctx->backend == &ob_backend_cpu ? " with OB_CONV=general"
                                                                       : "");
    *out = ctx;
    return OB_OK;
}

void ob_ctx_free(struct ob_ctx *ctx)
{
    ob_free(ctx);
}

int ob_exec_new(struct ob_exec **out, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                unsigned flags, struct ob_err *err)
{
    *out = NULL;
    return ctx->backend->compile(out, ctx, net, batch, flags, err);
}

int ob_exec_measure(size_t *bytes, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                    unsigned flags, struct ob_err *err)
{
    *bytes = 0;
    return ctx->backend->measure(bytes, ctx, net, batch, flags, err);
}

int ob_exec_forward(struct ob_exec *e, const struct ob_weights *w, const float *x, int n,
                    enum ob_mode mode, struct ob_err *err)
{
    size_t n_logits;

    OB_ASSERT(err, n >= 1 && n <= e->batch);
    e->backend->forward(e, w, x, n, mode);
    n_logits = (size_t)n * (size_t)e->net->n_classes;
    for (size_t i = 0; i < n_logits; i++)
        if (!isfinite(e->logits[i]))
            return ob_fail(err, OB_EDIVERGED,
                           "the network's output is no longer finite; try a smaller lr");
    return OB_OK;
}

void ob_exec_backward(struct ob_exec *e, const struct ob_weights *w, const float *dlogits,
                      float *grads, float *dx)
{
    e->backend->backward(e, w, dlogits, grads, dx);
}

void ob_exec_free(struct ob_exec *e)
{
    if (e)
        e->backend->free(e);
}
