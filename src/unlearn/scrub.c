/*
 * scrub.c - SCRUB: away from the teacher on the forget set, close to it on the retain set.
 *
 *     e < msteps:  loss = -KL_T(teacher || student)              over the forget set
 *     then always: loss = gamma CE + beta KL_T(teacher || student)  over the retain set
 *
 * KL_T is on softmax(logits / T), times T^2, mean over the batch. The teacher is the step's
 * starting model in eval mode; one optimiser serves both passes.
 */
#include "unlearn/job.h"

struct scrub {
    int msteps;
    double temperature, beta, gamma;
};

static const struct ob_option options[] = {
    { .name = "msteps",
      .help = "epochs that start with a pass over the forget set",
      .type = OB_OPT_INT,
      .offset = offsetof(struct scrub, msteps),
      .def = 4,
      .max = 100000 },
    { .name = "temperature",
      .help = "softens both distributions",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct scrub, temperature),
      .def = 4,
      .min = 0.001,
      .max = 1000 },
    { .name = "beta",
      .help = "weight of KL on the retain set",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct scrub, beta),
      .def = 0.5,
      .max = 1e6 },
    { .name = "gamma",
      .help = "weight of CE on the retain set",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct scrub, gamma),
      .def = 1,
      .max = 1e6 },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON(5, "5", 0.005, "0.005") };

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct scrub *s = state;
    int64_t epochs = job->common.epochs, up = s->msteps < epochs ? s->msteps : epochs;

    (void)err;
    ob_job_set_n_steps(job, (int64_t)ob_job_n_forget_batches(job) * up +
                                (int64_t)ob_job_n_retain_batches(job) * epochs);
    return OB_OK;
}

static int step(const struct scrub *s, struct ob_job *job, const struct ob_batch *b, double ce,
                double kl, struct ob_err *err)
{
    ob_job_zero_grad(job);
    OB_TRY(ob_job_add_kl_grad(job, b, (float)ce, (float)kl, (float)s->temperature, err));
    return ob_job_step(job, err);
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct scrub *s = state;
    struct ob_batch b;

    while (e < s->msteps && ob_job_next_forget_once(job, &b))
        OB_TRY(step(s, job, &b, 0, -1, err));
    while (ob_job_next_retain(job, &b))
        OB_TRY(step(s, job, &b, s->gamma, s->beta, err));
    return OB_OK;
}

const struct ob_method ob_method_scrub = {
    .name = "scrub",
    .title = "SCRUB",
    .cite = "Kurmanji et al. 2023",
    .formula = "first, while e < msteps: loss = -KL_T(teacher || student) on the forget set\n"
               "then:                    loss = gamma CE + beta KL_T(teacher || student) on the "
               "retain set\n"
               "KL_T(t || s) = T^2 / B sum p_t log(p_t / p_s), p = softmax(logits / T)",
    .differs = "The code released with Zhao et al. 2024 compares e <= msteps with e from 0, which\n"
               "makes one epoch of ascent more; here msteps is their number, as in the paper's\n"
               "own code. Our beta is called alpha there. No learning rate decay, no rewind.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_NEED_TEACHER,
    .state_size = sizeof(struct scrub),
    .options = options,
    .common = common,
    .begin = begin,
    .epoch = epoch,
};
