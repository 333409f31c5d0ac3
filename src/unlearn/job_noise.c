/* job_noise.c - Gaussian noise on weights, the same bytes for any number of threads. */
#include "base/par.h"
#include "base/rng.h"
#include "unlearn/job.h"

enum { CHUNK = 4096 }; /* weights of one stream; never changes: results depend on it */

struct noise {
    uint64_t seed;
    uint32_t draw;
    float *x;
    size_t n;
    double sigma;
};

static void add_chunk(void *arg, size_t i, int worker)
{
    const struct noise *a = arg;
    struct ob_rng r = ob_rng(a->seed, OB_RNG_NOISE, a->draw, (uint32_t)i);
    size_t end = (i + 1) * CHUNK < a->n ? (i + 1) * CHUNK : a->n;

    (void)worker;
    for (size_t k = i * CHUNK; k < end; k++)
        a->x[k] = (float)(a->x[k] + a->sigma * ob_rng_normal(&r));
}

void ob_job_add_noise(const struct ob_job *job, float *x, size_t n, uint32_t draw, double sigma)
{
    struct noise a = { job->seed, draw, x, n, sigma };

    ob_par_for(job->ctx->n_threads, (n + CHUNK - 1) / CHUNK, add_chunk, &a);
}
