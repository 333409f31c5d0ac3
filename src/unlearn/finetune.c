/*
 * finetune.c - go on training on the retain set alone.
 *
 *     loss = CE(retain batch)
 */
#include "unlearn/job.h"

static const struct ob_option common[] = { OB_COMMON(10, "10", 0.01, "0.01 to 0.1") };

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

const struct ob_method ob_method_finetune = {
    .name = "finetune",
    .title = "fine-tuning",
    .cite = "Zhao et al. 2024",
    .formula = "loss = CE(retain batch)",
    .needs = OB_NEED_RETAIN,
    .common = common,
    .epoch = epoch,
};
