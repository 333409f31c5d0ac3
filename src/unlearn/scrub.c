/*
 * scrub.c - SCRUB: away from the teacher on the forget set, close to it on the retain set.
 *
 *     e < msteps:  loss = -KL_T(teacher || student)              over the forget set
 *     then always: loss = gamma CE + beta KL_T(teacher || student)  over the retain set
 *
 * KL_T is on softmax(logits / T), times T^2, mean over the batch. The teacher is the step's
 * starting model in eval mode; one optimiser serves both passes.
 */
#include "unlearn/scrub.h"

static const struct ob_option options[] = { OB_SCRUB_OPTIONS, { 0 } };
static const struct ob_option common[] = { OB_COMMON(5, "5", 0.005, "0.005") };

/* Epochs that start with a pass over the forget set: the released code has e <= msteps, e from 0. */
static int n_max_steps(const struct ob_scrub *s)
{
    return s->msteps + (s->variant == OB_SCRUB_RELEASED);
}

int ob_scrub_begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct ob_scrub *s = state;
    int64_t epochs = job->common.epochs, up = n_max_steps(s) < epochs ? n_max_steps(s) : epochs;

    (void)err;
    ob_job_set_n_steps(job, (int64_t)ob_job_n_forget_batches(job) * up +
                                (int64_t)ob_job_n_retain_batches(job) * epochs);
    return OB_OK;
}

static int step(const struct ob_scrub *s, struct ob_job *job, const struct ob_batch *b, double ce,
                double kl, struct ob_err *err)
{
    ob_job_zero_grad(job);
    OB_TRY(ob_job_add_kl_grad(job, b, (float)ce, (float)kl, (float)s->temperature, err));
    return ob_job_step(job, err);
}

int ob_scrub_epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct ob_scrub *s = state;
    struct ob_batch b;

    while (e < n_max_steps(s) && ob_job_next_forget_once(job, &b))
        OB_TRY(step(s, job, &b, 0, -1, err));
    while (ob_job_next_retain(job, &b))
        OB_TRY(step(s, job, &b, s->gamma, s->beta, err));
    return OB_OK;
}

void ob_scrub_cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    int up = n_max_steps(state), epochs = job->common.epochs;

    out->images = (uint64_t)(up < epochs ? up : epochs) * job->forget->n +
                  (uint64_t)epochs * job->retain->n;
    out->images_forward = out->images;
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
               "makes one epoch of ascent more (variant=released); by default msteps is their\n"
               "number, as in the paper's own code. Our beta is called alpha there. No learning\n"
               "rate decay; the rewind is a method of its own, scrub-r.",
    .limits = "How many epochs go up decides between too little and too much. No guarantee.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_NEED_TEACHER,
    .state_size = sizeof(struct ob_scrub),
    .options = options,
    .common = common,
    .cost = ob_scrub_cost,
    .begin = ob_scrub_begin,
    .epoch = ob_scrub_epoch,
};
