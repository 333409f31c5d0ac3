/*
 * assd.c - adaptive selective synaptic dampening: alpha follows from the size of the request.
 *
 *     r_i = I_S / I_D over all weights;  q = 100 - ln(1 + 100 |S| / (|S| + |R|))
 *     alpha = the q-th percentile of r, linear between neighbours;  then as SSD
 */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "unlearn/gradients.h"
#include "unlearn/magnitude.h"

struct assd {
    double lambda;
    struct ob_importance how;
};

static const struct ob_option options[] = { { .name = "lambda",
                                              .help = "how much of a dampened weight stays",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct assd, lambda),
                                              .def = 1,
                                              .max = 1e12,
                                              .range = "0.1, 1" },
                                            OB_IMPORTANCE_OPTIONS(struct assd, how),
                                            { 0 } };

static int batch(const void *state, const struct ob_model *m)
{
    (void)m;
    return ob_importance_batch(&((const struct assd *)state)->how);
}

static double percent(const struct ob_job *job)
{
    double n_s = (double)job->forget->n, n_r = (double)job->retain->n;

    return 100 - log(1 + 100 * n_s / (n_s + n_r));
}

/* The q-th percentile of the m largest of n numbers that are 0 or more; the others are 0. */
static int percentile(double *out, const float *x, size_t n, size_t m, double q, struct ob_err *err)
{
    double place = (double)(m - 1) * q / 100, below = floor(place);
    size_t k = m - (size_t)below; /* from the top, where the largest is number 1 */
    float low, high;

    OB_TRY(ob_magnitude_kth(&low, x, n, k, err));
    OB_TRY(ob_magnitude_kth(&high, x, n, k > 1 ? k - 1 : 1, err));
    *out = (double)low + (place - below) * ((double)high - (double)low);
    return OB_OK;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct assd *s = state;
    size_t n = job->model->net->n_params, m;
    float *forget = NULL, *ratio = NULL;
    double alpha = 0;
    char text[96];
    int rc;

    (void)e;
    OB_GO(ob_block_new(&forget, n, err));
    OB_GO(ob_block_new(&ratio, n, err));
    OB_GO(ob_job_importances(forget, ratio, job, &s->how, OB_IMPORTANCE_CE, err));
    ob_job_drop_rounding(ratio, job, OB_IMPORTANCE_CE); /* how many there are decides the place */
    m = ob_job_relative(ratio, job, forget);
    if (m)
        OB_GO(percentile(&alpha, ratio, n, m, percent(job), err));
    snprintf(text, sizeof(text), "{\"alpha\":%.9g,\"percentile\":%.6g}", alpha, percent(job));
    ob_job_report(job, text);
    ob_job_dampen(job, ratio, alpha, s->lambda);
out:
    ob_free(forget);
    ob_free(ratio);
    return rc;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    const struct assd *s = state;

    out->images = ob_importance_images(&s->how, job);
}

const struct ob_method ob_method_assd = {
    .name = "assd",
    .title = "adaptive selective synaptic dampening",
    .cite = "Schoepf et al. 2024",
    .formula = "I as in ssd; r = I_S / I_D of all weights together, without those that neither\n"
               "moves;  q = 100 - ln(1 + 100 |S| / (|S| + |R|))\n"
               "alpha = the q-th percentile of r, linear between neighbours\n"
               "theta *= min(1, lambda / r) where r > alpha",
    .differs =
        "The authors' notebook takes the retain set for D and does not set eval mode; here D\n"
        "is R and S together, in eval mode, as in later code. importance=batch squares the\n"
        "gradient of a batch's mean, as those do, but no batch holds examples of both sets; by\n"
        "default each example's gradient is squared. An importance below 1e-10 of its\n"
        "tensor's largest is rounding, and 0.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_ONE_SHOT,
    .state_size = sizeof(struct assd),
    .options = options,
    .batch = batch,
    .room = ob_importance_room,
    .cost = cost,
    .epoch = epoch,
};
