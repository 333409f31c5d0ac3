/*
 * neggrad_plus.c - NegGrad+: go down on the retain set and up on the forget set.
 *
 *     loss = alpha (CE(retain batch) + proximal |theta - theta_0|^2) - (1 - alpha) CE(forget batch)
 *
 * An epoch is one pass over the retain set; the forget set goes round and round beside it. Each
 * batch has a forward pass and batch-norm statistics of its own. theta_0 is where the step starts.
 */
#include <string.h>

#include "base/mem.h"
#include "run/memory.h"
#include "unlearn/job.h"

enum { BATCHNORM_TRAIN, BATCHNORM_FROZEN };

struct neggrad_plus {
    double alpha, proximal, ceiling;
    int batchnorm;
    float *start; /* theta_0; NULL without the proximal term */
};

static const struct ob_option options[] = {
    { .name = "alpha",
      .help = "weight of the retain loss",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct neggrad_plus, alpha),
      .def = 0.97,
      .max = 1,
      .range = "0.85 to 0.99" },
    { .name = "proximal",
      .help = "weight of the squared distance from the start",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct neggrad_plus, proximal),
      .max = 1e6 },
    { .name = "batchnorm",
      .help = "train: the batch's statistics; frozen: the running ones, which stay",
      .type = OB_OPT_CHOICE,
      .offset = offsetof(struct neggrad_plus, batchnorm),
      .def = BATCHNORM_TRAIN,
      .choices = "train,frozen" },
    OB_CEILING_OPTION(struct neggrad_plus, ceiling),
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON(5, "5", 0.01, "0.01 to 0.05") };

static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    const struct neggrad_plus *s = state;

    (void)err;
    ob_memory_add_weights(need, job->model->net, s->proximal > 0, 0);
    return OB_OK;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct neggrad_plus *s = state;
    size_t n = ob_model_n_params(job->model);

    ob_job_set_n_steps(job, (int64_t)ob_job_n_retain_batches(job) * job->common.epochs);
    if (s->batchnorm == BATCHNORM_FROZEN)
        job->mode = OB_MODE_EVAL;
    if (s->proximal == 0)
        return OB_OK;
    OB_TRY(ob_block_new(&s->start, n, err));
    memcpy(s->start, job->model->w.params, n * sizeof(float));
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
        OB_TRY(ob_job_add_ascent_grad(job, &forget, (float)(1 - s->alpha), s->ceiling, err));
        if (s->start)
            ob_job_add_distance_grad(job, s->start, (float)(s->alpha * s->proximal));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

static void end(void *state, struct ob_job *job)
{
    struct neggrad_plus *s = state;

    (void)job;
    ob_free(s->start);
    s->start = NULL;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    uint64_t forget = ob_job_round_images(job, job->forget, ob_job_batches(job, job->retain));

    (void)state;
    out->images = (uint64_t)job->common.epochs * (job->retain->n + forget);
}

const struct ob_method ob_method_neggrad_plus = {
    .name = "neggrad-plus",
    .title = "NegGrad+",
    .cite = "Kurmanji et al. 2023",
    .formula = "loss = alpha (CE(retain batch) + proximal |theta - theta_0|^2)\n"
               "       - (1 - alpha) CE(forget batch)\n"
               "ceiling > 0: the last term is the mean of min(CE of an example, ceiling)",
    .differs =
        "Zhao et al. 2024 call alpha beta. The loss has no lower end: small alpha diverges,\n"
        "in their code as here, unless a ceiling (ours) is set. Cadet et al. 2024 keep close\n"
        "to the start and leave batch-norm alone: alpha=0.95:proximal=X:batchnorm=frozen.",
    .limits = "It must end in time: past some point both sets suffer. No guarantee.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET,
    .state_size = sizeof(struct neggrad_plus),
    .options = options,
    .common = common,
    .room = room,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
