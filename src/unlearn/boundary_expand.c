/*
 * boundary_expand.c - Boundary Expand: the forget set becomes a class of its own, which then goes.
 *
 *     loss = CE(student with class C more, C) over the forget set; afterwards row C is taken out
 */
#include <math.h>

#include "base/rng.h"
#include "unlearn/job.h"

enum { ROW_LINEAR, ROW_XAVIER };

struct boundary_expand {
    int row;
};

static const struct ob_option options[] = {
    { .name = "row",
      .help = "the new row's start: uniform as of a linear layer, or Xavier normal and bias 0",
      .type = OB_OPT_CHOICE,
      .offset = offsetof(struct boundary_expand, row),
      .def = ROW_LINEAR,
      .choices = "linear,xavier" },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON(10, "10 to 20", 0.01, "1e-4 to 0.01") };

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct boundary_expand *s = state;
    struct ob_rng r = ob_rng(job->seed, OB_RNG_INIT, 0, 1);
    struct ob_extra_row row;
    double bound, deviation;

    (void)err;
    ob_job_extra_row(job, &row);
    bound = 1 / sqrt((double)row.n);
    deviation = sqrt(2 / (double)(row.n + (size_t)ob_job_n_classes(job)));
    for (size_t i = 0; i < row.n; i++)
        row.weight[i] = s->row == ROW_XAVIER ? (float)(deviation * ob_rng_normal(&r))
                                             : (float)(bound * (2 * ob_rng_uniform(&r) - 1));
    if (row.bias)
        *row.bias = s->row == ROW_XAVIER ? 0 : (float)(bound * (2 * ob_rng_uniform(&r) - 1));
    return OB_OK;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct ob_batch b;

    (void)state;
    (void)e;
    while (ob_job_next_forget_once(job, &b)) {
        for (int i = 0; i < b.n; i++)
            job->labels[i] = ob_job_n_classes(job) - 1;
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &b, job->labels, 1, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

const struct ob_method ob_method_boundary_expand = {
    .name = "boundary-expand",
    .title = "Boundary Expand, a class of its own that goes",
    .cite = "Chen et al. 2023",
    .formula = "loss = CE(student with one class more, that class) on the forget set\n"
               "afterwards the class is taken out again",
    .differs = "The code released with Zhao et al. 2024 starts the row as any linear layer\n"
               "(row=linear) and leaves it in, so that the model has a class too many; that of\n"
               "Zhou et al. 2025 draws it Xavier normal (row=xavier, the variance 2 / (features +\n"
               "classes + 1)), takes it out at the end as here, and runs the first batch of every\n"
               "epoch in eval mode, which is not done here. The forget set alone is read.",
    .needs = OB_NEED_FORGET | OB_EXTRA_CLASS,
    .state_size = sizeof(struct boundary_expand),
    .options = options,
    .common = common,
    .cost = ob_job_cost_forget,
    .begin = begin,
    .epoch = epoch,
};
