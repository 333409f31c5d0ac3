/* job_cost.c - what a step will take, before anything is done: images whose gradient is taken. */
#include "unlearn/job.h"

size_t ob_job_batches(const struct ob_job *job, const struct ob_ids *ids)
{
    size_t batch = (size_t)job->common.batch;

    return ids->n / batch + (ids->n % batch != 0);
}

void ob_job_cost_retain(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    (void)state;
    out->images = (uint64_t)job->common.epochs * job->retain->n;
}

void ob_job_cost_forget(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    (void)state;
    out->images = (uint64_t)job->common.epochs * job->forget->n;
}

void ob_job_cost_both(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    (void)state;
    out->images = (uint64_t)job->common.epochs * (job->retain->n + job->forget->n);
}

uint64_t ob_job_round_images(const struct ob_job *job, const struct ob_ids *ids, size_t n_batches)
{
    size_t batches = ob_job_batches(job, ids);

    return n_batches / batches * ids->n + n_batches % batches * (size_t)job->common.batch;
}
