/*
 * neggrad_plus.c - NegGrad+: go down on the retain set and up on the forget set.
 *
 *     loss = alpha CE(retain batch) - (1 - alpha) CE(forget batch)
 *
 * An epoch is one pass over the retain set; the forget set goes round and round beside it. Each
 * batch has a forward pass and batch-norm statistics of its own.
 */
#include "unlearn/job.h"

struct neggrad_plus {
    double alpha;
};

static const struct ob_option options[] = { { .name = "alpha",
                                              .help = "weight of the retain loss",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct neggrad_plus, alpha),
                                              .def = 0.97,
                                              .max = 1,
                                              .range = "0.85 to 0.99" },
                                            { 0 } };
static const struct ob_option common[] = { OB_COMMON(5, "5", 0.01, "0.01 to 0.05") };

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    (void)state;
    (void)err;
    ob_job_set_n_steps(job, (int64_t)ob_job_n_retain_batches(job) * job->common.epochs);
    return OB_OK;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct neggrad_plus *s = state;
    struct ob_batch retain, forget;

    (void)e;
    while (ob_job_next_retain(job, &retain)) {
        ob_job_next_forget(job, &forget);
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &retain, NULL, (float)s->alpha, err));
        OB_TRY(ob_job_add_ce_grad(job, &forget, NULL, (float)(s->alpha - 1), err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

const struct ob_method ob_method_neggrad_plus = {
    .name = "neggrad-plus",
    .title = "NegGrad+",
    .cite = "Kurmanji et al. 2023",
    .formula = "loss = alpha CE(retain batch) - (1 - alpha) CE(forget batch)",
    .differs = "Zhao et al. 2024 call alpha beta. The loss has no lower end: small alpha diverges.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET,
    .state_size = sizeof(struct neggrad_plus),
    .options = options,
    .common = common,
    .begin = begin,
    .epoch = epoch,
};
