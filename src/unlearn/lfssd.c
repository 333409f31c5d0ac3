/*
 * lfssd.c - label-free selective synaptic dampening: importances without labels.
 *
 *     I_i = mean over examples of |d |z(x)|^2 / d theta_i|, z the logits, eval mode; over S and D
 *     theta_i *= min(1, lambda I_D / I_S)        where I_S > alpha I_D
 */
#include "unlearn/gradients.h"

struct lfssd {
    double alpha, lambda;
    struct ob_importance how;
};

static const struct ob_option options[] = { { .name = "alpha",
                                              .help = "how much more a weight must matter to S",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct lfssd, alpha),
                                              .def = 3.5,
                                              .max = 1e12,
                                              .range = "3.5 to 10" },
                                            { .name = "lambda",
                                              .help = "how much of such a weight stays",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct lfssd, lambda),
                                              .def = 1,
                                              .max = 1e12,
                                              .range = "1" },
                                            OB_IMPORTANCE_OPTIONS(struct lfssd, how),
                                            { 0 } };

static int batch(const void *state, const struct ob_model *m)
{
    (void)m;
    return ob_importance_batch(&((const struct lfssd *)state)->how);
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct lfssd *s = state;

    (void)e;
    return ob_job_dampen_by(job, &s->how, OB_IMPORTANCE_NORM, s->alpha, s->lambda, err);
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    const struct lfssd *s = state;

    out->images = ob_importance_images(&s->how, job);
}

const struct ob_method ob_method_lfssd = {
    .name = "lfssd",
    .title = "label-free selective synaptic dampening",
    .cite = "Foster et al. 2024, Loss-Free Machine Unlearning",
    .formula =
        "I = mean over examples of |d |logits|^2 / d theta|, eval mode, for S and for R and\n"
        "S together (I_D)\n"
        "theta *= min(1, lambda I_D / I_S) where I_S > alpha I_D",
    .differs =
        "The released code takes the gradient of a batch's mean, which depends on the size\n"
        "of batches; importance=batch does that, but no batch holds examples of both sets. An I_S "
        "below 1e-5 of its tensor's largest\n"
        "is rounding, and 0, no reason to shrink. alpha is 3.5 for random forget sets, 5 to 10\n"
        "for classes.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_ONE_SHOT,
    .state_size = sizeof(struct lfssd),
    .options = options,
    .batch = batch,
    .room = ob_importance_room,
    .cost = cost,
    .epoch = epoch,
};
