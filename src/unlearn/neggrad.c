/*
 * neggrad.c - NegGrad: go up the loss on the forget set, without looking at the rest.
 *
 *     loss = -CE(forget batch)
 *
 * which has no lower end: with a ceiling each example's share is -min(CE, ceiling).
 */
#include "unlearn/job.h"

struct neggrad {
    double ceiling;
};

static const struct ob_option options[] = { OB_CEILING_OPTION(struct neggrad, ceiling), { 0 } };

static const struct ob_option common[] = { OB_COMMON(10, "10", 1e-4, "1e-4 to 0.1") };

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct neggrad *s = state;
    struct ob_batch forget;

    (void)e;
    while (ob_job_next_forget_once(job, &forget)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ascent_grad(job, &forget, 1, s->ceiling, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

const struct ob_method ob_method_neggrad = {
    .name = "neggrad",
    .title = "NegGrad, gradient ascent",
    .cite = "Golatkar et al. 2020",
    .formula = "loss = -CE(forget batch)\n"
               "ceiling > 0: -mean of min(CE of an example, ceiling)",
    .differs = "The paper says 10 epochs, the released instructions 5; 10 is the default here.\n"
               "Weight decay still pulls weights towards 0, as in the released code.\n"
               "Neither has a ceiling: the loss falls without end, and too large a rate or too\n"
               "many epochs ruin the model. ceiling=X, ours, lets go of an example once its cross\n"
               "entropy is above X; log(number of classes) is that of a guess.",
    .limits = "Its loss has no lower end and nothing holds the retain set: it must end in time. No "
              "guarantee.",
    .needs = OB_NEED_FORGET,
    .state_size = sizeof(struct neggrad),
    .options = options,
    .common = common,
    .cost = ob_job_cost_forget,
    .epoch = epoch,
};
