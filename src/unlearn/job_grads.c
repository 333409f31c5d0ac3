/* job_grads.c - the gradient of a step before it is taken: mixed, masked, clipped, weighted. */
#include <math.h>
#include <string.h>

#include "unlearn/gradients.h"

static size_t n_params(const struct ob_job *job)
{
    return job->model->net->n_params;
}

void ob_job_keep_grad(struct ob_job *job, float *out)
{
    memcpy(out, job->grads, n_params(job) * sizeof(*out));
    ob_job_zero_grad(job);
}

void ob_job_mix_grad(struct ob_job *job, double w, const float *other, double w_other)
{
    const struct ob_backend *k = job->ctx->backend;

    k->scale(job->ctx, job->grads, n_params(job), (float)w);
    k->axpy(job->ctx, job->grads, other, n_params(job), (float)w_other);
}

struct ob_dots ob_job_grad_dots(const struct ob_job *job, const float *other)
{
    const struct ob_backend *k = job->ctx->backend;
    size_t n = n_params(job);

    return (struct ob_dots){ .own = k->dot(job->ctx, job->grads, job->grads, n),
                             .other = k->dot(job->ctx, other, other, n),
                             .both = k->dot(job->ctx, job->grads, other, n) };
}

void ob_job_mask_grad(struct ob_job *job, const uint8_t *mask)
{
    for (size_t i = 0; i < n_params(job); i++)
        if (!mask[i])
            job->grads[i] = 0;
}

static bool moves(const struct ob_job *job, int view)
{
    const struct ob_view *v = &job->model->net->view[view < 0 ? 0 : view];

    return view >= 0 && memchr(job->mask + v->offset, 1, v->size);
}

void ob_job_freeze(struct ob_job *job)
{
    const struct ob_net *n = job->model->net;
    int at = 0;

    while (at < n->n_nodes - 1 && !moves(job, n->node[at].weight) && !moves(job, n->node[at].bias))
        at++;
    job->exec->first = at;
}

void ob_job_clip_grad(struct ob_job *job, double most)
{
    const struct ob_backend *k = job->ctx->backend;
    double norm = sqrt(k->dot(job->ctx, job->grads, job->grads, n_params(job)));

    if (most / (norm + 1e-6) < 1)
        k->scale(job->ctx, job->grads, n_params(job), (float)(most / (norm + 1e-6)));
}

int ob_job_losses(double *loss, struct ob_job *job, const struct ob_batch *b, struct ob_err *err)
{
    int c = ob_job_n_classes(job);

    OB_TRY(ob_exec_forward(job->exec, &job->model->w, b->x, b->n, job->mode, err));
    for (int i = 0; i < b->n; i++)
        loss[i] = ob_loss_ce(NULL, job->exec->logits + (size_t)i * (size_t)c, &b->y[i], 1, c, 1.0f,
                             NULL);
    return OB_OK;
}

void ob_job_add_weighted_grad(struct ob_job *job, const struct ob_batch *b, const double *weight,
                              double scale)
{
    int c = ob_job_n_classes(job), n_right = 0;
    double loss = 0;

    memset(job->dlogits, 0, (size_t)b->n * (size_t)c * sizeof(float));
    for (int i = 0; i < b->n; i++) {
        size_t at = (size_t)i * (size_t)c;
        int right;

        loss += ob_loss_ce(job->dlogits + at, job->exec->logits + at, &b->y[i], 1, c,
                           (float)(scale * weight[i]), &right);
        n_right += right;
    }
    ob_exec_backward(job->exec, &job->model->w, job->dlogits, job->grads, NULL);
    obi_job_count(job, b->n, loss / b->n, n_right);
}
