/*
 * template.c - copy me; not built into the library. One line on what the method does.
 *
 *     loss = strength CE(retain batch)           the formula, with the paper's equation number
 *
 * To add a method: copy this file, declare the struct in method.h, add one line to methods.c, add
 * a golden case to tools/golden_methods.py and tests/golden/methods.c. The contract suite finds
 * the method by itself.
 */
#include "unlearn/job.h"

struct yours {
    double strength; /* filled from `options` before begin() */
    int n_epochs;    /* what the method itself remembers; zero at first */
};

static const struct ob_option options[] = {
    { .name = "strength",
      .help = "weight of the loss",
      .type = OB_OPT_FLOAT, /* a double; INT and CHOICE: an int */
      .offset = offsetof(struct yours, strength),
      .def = 1,
      .max = 1000,            /* where the formula has a meaning */
      .range = "0.1 to 10" }, /* what the paper tried; for the help */
    { 0 }
};
/* epochs, lr, batch ...: defaults of the first two, and the paper's ranges */
static const struct ob_option common[] = { OB_COMMON(5, "5 to 10", 0.01, NULL) };

/* Once before the epochs. Whatever it gets hold of, end() gives back. */
static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    (void)state;
    (void)err;
    /* only where an epoch is not one pass over what `needs` says: */
    ob_job_set_n_steps(job, (int64_t)ob_job_n_retain_batches(job) * job->common.epochs);
    return OB_OK;
}

/* Epoch e, from 0. Pass on every failure: the driver cleans up. */
static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct yours *s = state;
    struct ob_batch retain;

    while (ob_job_next_retain(job, &retain)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &retain, NULL, (float)s->strength, err));
        OB_TRY(ob_job_step(job, err));
    }
    s->n_epochs = e + 1;
    return OB_OK;
}

/* Runs exactly once if begin() was called, after success and after failure. */
static void end(void *state, struct ob_job *job)
{
    (void)state;
    (void)job;
}

const struct ob_method ob_method_template = {
    .name = "template",
    .title = "a few words for the table of methods",
    .cite = "Author et al. 2026",
    .formula = "loss = strength CE(retain batch)",
    .differs = "where the paper and its released code differ, and what is done here; or NULL",
    .limits = "what it cannot do; or NULL",
    .needs = OB_NEED_RETAIN,
    .state_size = sizeof(struct yours),
    .options = options,
    .common = common,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
