/*
 * weight_distortion.c - damages all weights once, then fine-tunes on the retain set.
 *
 *     noise:    theta <- theta + sigma N(0, 1)
 *     shrink:   theta <- factor theta               (the paper's attenuation)
 *     dropout:  theta_i <- 0 with probability rate
 *     then loss = CE(retain batch)
 *
 * Batch-norm's and biases too; running statistics stay. The paper: Siddiqui et al. 2025.
 */
#include "base/rng.h"
#include "unlearn/job.h"

enum { DAMAGE_NOISE, DAMAGE_SHRINK, DAMAGE_DROPOUT };

struct weight_distortion {
    int damage;
    double sigma, factor, rate;
};

static const struct ob_option options[] = { { .name = "damage",
                                              .help = "what is done to the weights",
                                              .type = OB_OPT_CHOICE,
                                              .offset = offsetof(struct weight_distortion, damage),
                                              .choices = "noise,shrink,dropout" },
                                            { .name = "sigma",
                                              .help = "standard deviation of the noise",
                                              .when = "damage=noise",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct weight_distortion, sigma),
                                              .def = 0.02,
                                              .max = 1000,
                                              .range = "0.02" },
                                            { .name = "factor",
                                              .help = "what weights are multiplied by",
                                              .when = "damage=shrink",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct weight_distortion, factor),
                                              .def = 0.5,
                                              .max = 1,
                                              .range = "0.5" },
                                            { .name = "rate",
                                              .help = "probability that a weight becomes 0",
                                              .when = "damage=dropout",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct weight_distortion, rate),
                                              .def = 0.2,
                                              .max = 1,
                                              .range = "0.2" },
                                            { 0 } };
static const struct ob_option common[] = { OB_COMMON_AS(100, "100", 1e-5, "1e-5", 128, 0,
                                                        OB_COMMON_ADAM) };

static void drop(const struct ob_job *job, float *x, size_t n, double rate)
{
    struct ob_rng r = ob_rng(job->seed, OB_RNG_NOISE, 0, 0);

    for (size_t i = 0; i < n; i++)
        if (ob_rng_uniform(&r) < rate)
            x[i] = 0;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct weight_distortion *s = state;
    size_t n = ob_model_n_params(job->model);
    float *x = job->model->w.params;

    (void)err;
    if (s->damage == DAMAGE_NOISE)
        ob_job_add_noise(job, x, n, 0, s->sigma);
    else if (s->damage == DAMAGE_SHRINK)
        job->ctx->backend->scale(job->ctx, x, n, (float)s->factor);
    else
        drop(job, x, n, s->rate);
    ob_model_touch(job->model);
    return OB_OK;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct ob_batch retain;

    (void)state;
    (void)e;
    while (ob_job_next_retain(job, &retain)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &retain, NULL, 1.0f, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

const struct ob_method ob_method_weight_distortion = {
    .name = "weight-distortion",
    .title = "damaged weights, then fine-tuning",
    .cite = "Siddiqui et al. 2025",
    .formula = "once, all weights:  noise: theta + sigma N(0, 1)   shrink: factor theta\n"
               "                    dropout: each 0 with probability rate\n"
               "then loss = CE(retain batch)",
    .differs =
        "The released code takes 100 passes over all examples' worth of batches, with flips\n"
        "and shifts; here an epoch is one pass over the retain set, augment=crop-flip adds\n"
        "those (with zeros at the edge, there its reflection). shrink is the paper's weight "
        "attenuation, dropout its weight dropout.",
    .limits = "It damages what serves the retain set as well, and fine-tuning must mend it. No "
              "guarantee.",
    .needs = OB_NEED_RETAIN | OB_ONE_SHOT,
    .state_size = sizeof(struct weight_distortion),
    .options = options,
    .common = common,
    .cost = ob_job_cost_retain,
    .begin = begin,
    .epoch = epoch,
};
