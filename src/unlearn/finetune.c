/*
 * finetune.c - go on training on the retain set alone.
 *
 *     loss = CE(retain batch)
 */
#include "unlearn/job.h"

static const struct ob_option common[] = { OB_COMMON(10, "10", 0.01, "0.01 to 0.1") };

const struct ob_method ob_method_finetune = {
    .name = "finetune",
    .title = "fine-tuning",
    .cite = "Zhao et al. 2024",
    .formula = "loss = CE(retain batch)",
    .limits =
        "Nothing in its loss speaks of the forget set: what goes, goes in passing. No guarantee.",
    .needs = OB_NEED_RETAIN,
    .common = common,
    .cost = ob_job_cost_retain,
    .epoch = ob_job_epoch_retain,
};
