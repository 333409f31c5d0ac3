/*
 * random_label.c - learn wrong answers for the forget set, right ones for the rest.
 *
 *     loss = CE(batch of S and R together; labels of S uniform over all classes)
 *
 * drawn anew in each epoch; a draw may hit the true class.
 */
#include "unlearn/job.h"

static const struct ob_option common[] = { OB_COMMON(10, "10", 0.1, "0.01 to 0.1") };

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct ob_batch b;

    (void)state;
    (void)e;
    while (ob_job_next_both(job, &b)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &b, ob_job_random_labels(job, &b), 1.0f, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

const struct ob_method ob_method_random_label = {
    .name = "random-label",
    .title = "random labels",
    .cite = "Graves et al. 2021",
    .formula = "loss = CE(forget and retain set shuffled as one)\n"
               "labels of the forget set: uniform over all classes, new in each epoch",
    .differs = "The code released with Zhao et al. 2024 draws labels on CIFAR-10 only and trains\n"
               "with true labels on other data; here they are drawn on every data set.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET,
    .common = common,
    .epoch = epoch,
};
