/*
 * neggrad.c - NegGrad: go up the loss on the forget set, without looking at the rest.
 *
 *     loss = -CE(forget batch)
 */
#include "unlearn/job.h"

static const struct ob_option common[] = { OB_COMMON(5, "10", 1e-4, "1e-4 to 0.1") };

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct ob_batch forget;

    (void)state;
    (void)e;
    while (ob_job_next_forget_once(job, &forget)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &forget, NULL, -1.0f, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

const struct ob_method ob_method_neggrad = {
    .name = "neggrad",
    .title = "NegGrad, gradient ascent",
    .cite = "Golatkar et al. 2020",
    .formula = "loss = -CE(forget batch)",
    .differs = "The paper says 10 epochs, the released instructions 5; 5 is the default here.\n"
               "Weight decay still pulls weights towards 0, as in the released code.",
    .needs = OB_NEED_FORGET,
    .common = common,
    .epoch = epoch,
};
