/*
 * random_label.c - learn wrong answers for the forget set, right ones for the rest.
 *
 *     loss = CE(batch of S and R together; labels of S uniform over all classes)
 *
 * drawn anew in each epoch; a draw may hit the true class, unless labels=wrong.
 */
#include "unlearn/job.h"

struct random_label {
    int labels;
};

static const struct ob_option options[] = { OB_DRAW_OPTION(struct random_label, labels), { 0 } };

static const struct ob_option common[] = { OB_COMMON(10, "10", 0.1, "0.01 to 0.1") };

static int check(const void *state, const struct ob_model *m, struct ob_err *err)
{
    const struct random_label *s = state;

    return ob_job_check_draw((enum ob_draw)s->labels, m, err);
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    enum ob_draw from = (enum ob_draw)((const struct random_label *)state)->labels;
    struct ob_batch b;

    (void)e;
    while (ob_job_next_both(job, &b)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &b, ob_job_random_labels(job, &b, from), 1.0f, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

const struct ob_method ob_method_random_label = {
    .name = "random-label",
    .title = "random labels",
    .cite = "Graves et al. 2021",
    .formula = "loss = CE(forget and retain set shuffled as one)\n"
               "labels of the forget set: uniform over all classes, new in each epoch\n"
               "labels=wrong: uniform over all classes but the true one",
    .differs = "The code released with Zhao et al. 2024 draws labels on CIFAR-10 only and trains\n"
               "with true labels on other data, a slip that is not rebuilt; here they are drawn on "
               "every data set.\n"
               "There as here a draw may hit the true class, once in as many draws as there are\n"
               "classes; other code never does: labels=wrong.",
    .limits = "It aims at random answers, not at those of a model that never saw the examples. No "
              "guarantee.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET,
    .state_size = sizeof(struct random_label),
    .options = options,
    .check = check,
    .common = common,
    .cost = ob_job_cost_both,
    .epoch = epoch,
};
