/* job_measure.c - what methods ask of a model before they train: gradients of the forget set. */
#include <math.h>
#include <string.h>

#include "unlearn/job.h"

/* Batches of a set of examples in ascending order, as they are. */
static int plain_loader(struct ob_loader **out, const struct ob_job *job, const struct ob_ids *ids,
                        struct ob_err *err)
{
    struct ob_loader_opts o = { .batch = ob_job_most_examples(job), .seed = job->seed };

    if ((size_t)o.batch > ids->n)
        o.batch = (int)ids->n;
    return ob_loader_new(out, job->data, OB_TRAIN, ids, &o, err);
}

int ob_job_accuracy(double *share, struct ob_job *job, const struct ob_model *m,
                    const struct ob_ids *ids, struct ob_err *err)
{
    int c = m->net->n_classes, rc = OB_OK;
    struct ob_loader *l;
    struct ob_batch b;
    size_t right = 0;

    OB_TRY(plain_loader(&l, job, ids, err));
    while (ob_loader_next(l, &b)) {
        OB_GO(ob_ctx_stop(job->ctx, err));
        OB_GO(ob_exec_forward(job->exec, &m->w, b.x, b.n, OB_MODE_EVAL, err));
        for (int i = 0; i < b.n; i++)
            right += ob_argmax(job->exec->logits + (size_t)i * (size_t)c, c) == b.y[i];
        job->cost.images_forward += (uint64_t)b.n;
    }
    *share = (double)right / (double)ids->n;
out:
    ob_loader_free(l);
    return rc;
}

static int check_gradient(const float *g, size_t n, struct ob_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(g[i]))
            return ob_fail(err, OB_EDIVERGED, "the gradient of the forget set is not finite");
    return OB_OK;
}

int ob_job_forget_gradient(struct ob_job *job, const struct ob_model *at, float *out,
                           struct ob_err *err)
{
    size_t n = at->net->n_params, row = (size_t)at->net->n_classes;
    struct ob_loader *l;
    struct ob_batch b;
    int rc = OB_OK;

    OB_TRY(plain_loader(&l, job, job->forget, err));
    job->ctx->backend->fill(job->ctx, out, n, 0.0f);
    ob_loader_start(l, 0);
    while (ob_loader_next(l, &b)) {
        float share = (float)b.n / (float)job->forget->n;

        OB_GO(ob_ctx_stop(job->ctx, err));
        OB_GO(ob_exec_forward(job->exec, &at->w, b.x, b.n, OB_MODE_EVAL, err));
        memset(job->dlogits, 0, (size_t)b.n * row * sizeof(float));
        ob_loss_ce(job->dlogits, job->exec->logits, b.y, b.n, (int)row, share, NULL);
        ob_exec_backward(job->exec, &at->w, job->dlogits, out, NULL);
        job->cost.images += (uint64_t)b.n;
    }
    OB_GO(check_gradient(out, n, err));
out:
    ob_loader_free(l);
    return rc;
}

/* One batch: its gradient of -CE goes into job->grads and on to `out`; `at` follows it. */
static int ascend(struct ob_job *job, struct ob_model *at, struct ob_optim *optim,
                  const struct ob_batch *b, double lr, float *out, struct ob_err *err)
{
    const struct ob_backend *backend = job->ctx->backend;
    size_t n = at->net->n_params;
    int c = at->net->n_classes;

    OB_TRY(ob_ctx_stop(job->ctx, err));
    OB_TRY(ob_exec_forward(job->exec, &at->w, b->x, b->n, OB_MODE_EVAL, err));
    memset(job->dlogits, 0, (size_t)b->n * (size_t)c * sizeof(float));
    ob_loss_ce(job->dlogits, job->exec->logits, b->y, b->n, c, -1, NULL);
    ob_job_zero_grad(job);
    ob_exec_backward(job->exec, &at->w, job->dlogits, job->grads, NULL);
    backend->axpy(job->ctx, out, job->grads, n, 1);
    ob_optim_step(optim, at->w.params, job->grads, lr);
    ob_model_touch(at);
    job->cost.images += (uint64_t)b->n;
    return OB_OK;
}

int ob_job_ascent_gradient(struct ob_job *job, const struct ob_model *at, double lr, float *out,
                           struct ob_err *err)
{
    size_t n = at->net->n_params;
    struct ob_optim optim = { 0 };
    struct ob_model *moving;
    struct ob_batch b;
    int rc;

    OB_TRY(ob_model_clone(&moving, at, err));
    OB_GO(ob_optim_init(&optim, job->ctx, "sgd", n, job->common.momentum, job->common.weight_decay,
                        err));
    job->ctx->backend->fill(job->ctx, out, n, 0.0f);
    ob_loader_start(job->forget_loader, 0);
    while (ob_loader_next(job->forget_loader, &b))
        OB_GO(ascend(job, moving, &optim, &b, lr, out, err));
    OB_GO(check_gradient(out, n, err));
out:
    ob_optim_release(&optim);
    ob_model_free(moving);
    return rc;
}
