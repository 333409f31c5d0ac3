/*
 * ssd.c - selective synaptic dampening: what matters far more to the forget set shrinks.
 *
 *     I_i = mean over examples of (d CE / d theta_i)^2, eval mode; over S, and over D = R and S
 *     theta_i *= min(1, lambda I_D / I_S)        where I_S > alpha I_D
 *
 * Two passes, no training. Every parameter counts, batch-norm's and biases as well.
 */
#include "unlearn/gradients.h"

struct ssd {
    double alpha, lambda;
    struct ob_importance how;
};

static const struct ob_option options[] = { { .name = "alpha",
                                              .help = "how much more a weight must matter to S",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct ssd, alpha),
                                              .def = 10,
                                              .max = 1e12,
                                              .range = "5 to 50" },
                                            { .name = "lambda",
                                              .help = "how much of such a weight stays",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct ssd, lambda),
                                              .def = 1,
                                              .max = 1e12,
                                              .range = "0.1, 1" },
                                            OB_IMPORTANCE_OPTIONS(struct ssd, how),
                                            { 0 } };

static int batch(const void *state, const struct ob_model *m)
{
    (void)m;
    return ob_importance_batch(&((const struct ssd *)state)->how);
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct ssd *s = state;

    (void)e;
    return ob_job_dampen_by(job, &s->how, OB_IMPORTANCE_CE, s->alpha, s->lambda, err);
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    const struct ssd *s = state;

    out->images = ob_importance_images(&s->how, job);
}

const struct ob_method ob_method_ssd = {
    .name = "ssd",
    .title = "selective synaptic dampening",
    .cite = "Foster et al. 2024",
    .formula = "I = mean over examples of (d CE / d theta)^2, eval mode, for S and for R and S\n"
               "together (I_D)\n"
               "theta *= min(1, lambda I_D / I_S) where I_S > alpha I_D",
    .differs =
        "The released code squares the gradient of a batch's mean, so that the result\n"
        "depends on the size of batches; importance=batch does that, in batches that hold\n"
        "either forget or retain examples (there one may hold both). The square of each\n"
        "example's gradient, the default, does not depend on it; it takes one gradient per\n"
        "example. An I_S below 1e-10 of its tensor's largest is rounding, and 0, no reason to\n"
        "shrink. Since D holds S, I_S / I_D is at most |D| / |S|: a larger alpha selects\n"
        "nothing.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_ONE_SHOT,
    .state_size = sizeof(struct ssd),
    .options = options,
    .batch = batch,
    .room = ob_importance_room,
    .cost = cost,
    .epoch = epoch,
};
