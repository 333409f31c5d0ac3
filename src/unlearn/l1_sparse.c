/*
 * l1_sparse.c - fine-tuning with a pull towards few weights that fades out.
 *
 *     loss = CE(retain batch) + alpha_e sum |theta|,   alpha_e = alpha (1 - e / E)
 *
 * over all weights, batch-norm and biases too; e counts epochs from 0.
 */
#include "unlearn/job.h"

struct l1_sparse {
    double alpha;
};

static const struct ob_option options[] = { { .name = "alpha",
                                              .help = "weight of the L1 norm in the first epoch",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct l1_sparse, alpha),
                                              .def = 1e-5,
                                              .max = 1000,
                                              .range = "1e-6 to 1e-4" },
                                            { 0 } };
static const struct ob_option common[] = { OB_COMMON(10, "10", 0.02, "0.005 to 0.1") };

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct l1_sparse *s = state;
    float alpha = (float)(s->alpha * (1 - (double)e / job->common.epochs));
    struct ob_batch retain;

    while (ob_job_next_retain(job, &retain)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &retain, NULL, 1.0f, err));
        ob_job_add_l1_grad(job, alpha);
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

const struct ob_method ob_method_l1_sparse = {
    .name = "l1-sparse",
    .title = "fine-tuning with L1",
    .cite = "Jia et al. 2023",
    .formula = "loss = CE(retain batch) + alpha_e sum |theta|\n"
               "alpha_e = alpha (1 - e / E), e = 0 ... E - 1",
    .limits =
        "Nothing in its loss speaks of the forget set: what goes, goes in passing. No guarantee.",
    .needs = OB_NEED_RETAIN,
    .state_size = sizeof(struct l1_sparse),
    .options = options,
    .common = common,
    .cost = ob_job_cost_retain,
    .epoch = epoch,
};
