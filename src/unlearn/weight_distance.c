/*
 * weight_distance.c - fine-tuning that is paid for moving away from the original weights.
 *
 *     loss = CE(retain batch) - weight d,   d = sqrt(mean_i (theta_i - theta_o,i)^2 + 1e-8)
 *
 * over all parameters; theta_o is the model that the plan starts from, in every step of it. At
 * theta_o itself the gradient of d is 0: the first step is fine-tuning's.
 */
#include <math.h>

#include "base/mem.h"
#include "run/memory.h"
#include "unlearn/job.h"

struct weight_distance {
    double weight, bound;
    float *away; /* theta - theta_o */
};

static const struct ob_option options[] = {
    { .name = "weight",
      .help = "weight of the distance",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct weight_distance, weight),
      .def = 1,
      .max = 1e6,
      .range = "1" },
    { .name = "bound",
      .help = "distance from which on nothing is paid any more; 0: there is none",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct weight_distance, bound),
      .max = 1e6 },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON_AS(100, "100", 1e-5, "1e-5", 128, 0,
                                                        OB_COMMON_ADAM) };

static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    (void)state;
    (void)err;
    ob_memory_add_weights(need, job->model->net, 1, 0);
    return OB_OK;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct weight_distance *s = state;

    return ob_block_new(&s->away, ob_model_n_params(job->model), err);
}

static void end(void *state, struct ob_job *job)
{
    struct weight_distance *s = state;

    (void)job;
    ob_free(s->away);
}

/* Adds -weight (theta - theta_o) / (P d), the gradient of -weight d. */
static void add_distance_grad(const struct weight_distance *s, struct ob_job *job)
{
    const struct ob_backend *k = job->ctx->backend;
    size_t n = ob_model_n_params(job->model);
    double d;

    k->fill(job->ctx, s->away, n, 0.0f);
    k->axpy(job->ctx, s->away, job->model->w.params, n, 1.0f);
    k->axpy(job->ctx, s->away, job->first->w.params, n, -1.0f);
    d = sqrt(k->dot(job->ctx, s->away, s->away, n) / (double)n + 1e-8);
    if (!s->bound || d < s->bound)
        k->axpy(job->ctx, job->grads, s->away, n, (float)(-s->weight / ((double)n * d)));
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct ob_batch retain;

    (void)e;
    while (ob_job_next_retain(job, &retain)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &retain, NULL, 1.0f, err));
        add_distance_grad(state, job);
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

const struct ob_method ob_method_weight_distance = {
    .name = "weight-distance",
    .title = "fine-tuning away from the weights",
    .cite = "Siddiqui et al. 2025",
    .formula = "loss = CE(retain batch) - weight d\n"
               "d = sqrt(mean over all weights of (theta - theta_o)^2 + 1e-8)\n"
               "theta_o: the model that the plan starts from, in every step",
    .differs =
        "The released code takes 100 passes over all examples' worth of batches, with flips\n"
        "and shifts; here an epoch is one pass over the retain set, augment=crop-flip adds\n"
        "those (with zeros at the edge, there its reflection). The distance has no upper end, and "
        "a large weight diverges. bound, which\n"
        "the paper does not have, ends the pull at that distance d; it is off by default.",
    .limits = "It moves away in any direction that the retain set allows, not in that of the "
              "forget set. No guarantee.",
    .needs = OB_NEED_RETAIN | OB_NEED_FIRST,
    .state_size = sizeof(struct weight_distance),
    .options = options,
    .common = common,
    .room = room,
    .cost = ob_job_cost_retain,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
