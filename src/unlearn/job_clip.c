/* job_clip.c - scales what is too long down to a norm. */
#include <math.h>

#include "unlearn/job.h"

double ob_job_clip(const struct ob_job *job, float *x, size_t n, double most)
{
    const struct ob_backend *k = job->ctx->backend;
    double norm = sqrt(k->dot(job->ctx, x, x, n));

    if (norm > most)
        k->scale(job->ctx, x, n, (float)(most / norm));
    return norm;
}
