/* job_average.c - the mean of two models, running statistics of batch-norm too. */
#include "unlearn/job.h"

static void average(const struct ob_job *job, float *to, const float *a, const float *b, size_t n)
{
    const struct ob_backend *k = job->ctx->backend;

    k->fill(job->ctx, to, n, 0.0f);
    k->axpy(job->ctx, to, a, n, 0.5f);
    k->axpy(job->ctx, to, b, n, 0.5f);
}

void ob_job_average(const struct ob_job *job, struct ob_model *to, const struct ob_model *a,
                    const struct ob_model *b)
{
    average(job, to->w.params, a->w.params, b->w.params, to->net->n_params);
    average(job, to->w.buffers, a->w.buffers, b->w.buffers, to->net->n_buffers);
    ob_model_touch(to);
}
