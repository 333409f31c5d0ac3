/*
 * sfr_on.c - SFR-on: ascent where the forget set matters more, descent on the retain set.
 *
 *     mask_i = 1 where (I_S + 1e-15) / (I_R + 1e-15) >= gamma, at the step's starting model
 *     each every-th of T iterations: loss = -a_t sum_x w_x CE_x over a forget batch, gradient masked,
 *         then clipped to norm clip; w_x ~ 1 / (CE_x^power + 1e-15), sum 1, not differentiated;
 *         a_t = alpha (1 + cos(pi t / T)) / 2
 *     always:  loss = CE(retain batch);  then theta = (1 - average) theta_before + average theta
 *
 * I: mean over batches (importance=sample: examples) of the squared gradient of CE, eval mode. One
 * optimiser serves both; the rate follows the iterations.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "unlearn/gradients.h"

struct sfr_on {
    double gamma, alpha, power, clip, average, bound;
    int every, importance;
    int64_t t, n; /* iterations done, and in all */
    uint8_t *mask;
    float *before; /* parameters before the iteration */
    double *loss, *weight;
};

static const struct ob_option options[] = {
    { .name = "alpha",
      .help = "weight of the ascent at the start",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct sfr_on, alpha),
      .def = 25,
      .max = 1e6,
      .range = "25 to 500" },
    { .name = "gamma",
      .help = "how much more a weight must matter to S to be in the mask",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct sfr_on, gamma),
      .def = 1,
      .max = 1e12,
      .range = "1" },
    { .name = "power",
      .help = "examples weigh as 1 / CE^power",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct sfr_on, power),
      .def = 0.5,
      .max = 10,
      .range = "0.5, 0.6" },
    { .name = "every",
      .help = "iterations from one step of ascent to the next",
      .type = OB_OPT_INT,
      .offset = offsetof(struct sfr_on, every),
      .def = 5,
      .min = 1,
      .max = 100000,
      .range = "1, 5" },
    { .name = "clip",
      .help = "norm of the ascent's gradient at most",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct sfr_on, clip),
      .def = 7,
      .min = 1e-6,
      .max = 1e6,
      .range = "7" },
    { .name = "average",
      .help = "how much of an iteration's change is kept",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct sfr_on, average),
      .def = 1,
      .max = 1,
      .range = "1" },
    { .name = "importance",
      .help = "mean over examples or over batches of the squared gradient",
      .type = OB_OPT_CHOICE,
      .offset = offsetof(struct sfr_on, importance),
      .choices = "sample,batch",
      .def = OB_UNIT_BATCH },
    { .name = "bound",
      .help = "examples of a larger CE take no part in the ascent; 0: no bound",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct sfr_on, bound),
      .max = 1e6 },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON_WITH(4, "4.3", 0.01, "0.01", 128, 5e-4,
                                                          OB_COMMON_SGD, OB_COSINE) };

static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    (void)state;
    (void)err;
    ob_memory_add_weights(need, job->model->net, 2, 0); /* importances; then the mask, `before` */
    return OB_OK;
}

static int make_mask(struct sfr_on *s, struct ob_job *job, struct ob_err *err)
{
    struct ob_importance how = { .unit = s->importance,
                                 .batch = job->common.batch,
                                 .augment = job->common.augment };
    size_t n = ob_model_n_params(job->model);
    float *forget = NULL, *retain = NULL;
    struct ob_sweep sweep = { 0 };
    int rc;

    OB_GO(ob_block_new(&forget, n, err));
    OB_GO(ob_block_new(&retain, n, err));
    OB_GO(ob_sweep_open(&sweep, job, ob_importance_batch(&how), err));
    OB_GO(ob_job_importance(forget, &sweep, job->forget, &how, OB_IMPORTANCE_CE, err));
    ob_job_drop_rounding(forget, job, OB_IMPORTANCE_CE);
    OB_GO(ob_job_importance(retain, &sweep, job->retain, &how, OB_IMPORTANCE_CE, err));
    ob_job_drop_rounding(retain, job, OB_IMPORTANCE_CE); /* what is 0 in both stays in the mask */
    for (size_t i = 0; i < n; i++)
        s->mask[i] = ((double)forget[i] + 1e-15) / ((double)retain[i] + 1e-15) >= s->gamma;
out:
    ob_sweep_close(&sweep);
    ob_free(forget);
    ob_free(retain);
    return rc;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct sfr_on *s = state;
    size_t n = ob_model_n_params(job->model), batch = (size_t)job->common.batch;

    if (batch > job->forget->n)
        batch = job->forget->n;
    s->n = (int64_t)ob_job_n_retain_batches(job) * job->common.epochs;
    ob_job_set_n_steps(job, s->n);
    OB_TRY(ob_alloc(s->loss, batch, err));
    OB_TRY(ob_alloc(s->weight, batch, err));
    OB_TRY(ob_alloc(s->mask, n, err));
    if (job->common.epochs)
        OB_TRY(make_mask(s, job, err));
    return ob_block_new(&s->before, n, err);
}

static void end(void *state, struct ob_job *job)
{
    struct sfr_on *s = state;

    (void)job;
    ob_free(s->loss);
    ob_free(s->weight);
    ob_free(s->mask);
    ob_free(s->before);
}

/* False: every example is past the bound. */
static bool weigh(const struct sfr_on *s, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++) {
        s->weight[i] = 1 / (pow(s->loss[i], s->power) + 1e-15);
        if (s->bound > 0 && s->loss[i] > s->bound)
            s->weight[i] = 0;
        sum += s->weight[i];
    }
    for (int i = 0; i < n; i++)
        s->weight[i] /= sum;
    return sum > 0;
}

static int ascend(const struct sfr_on *s, struct ob_job *job, struct ob_err *err)
{
    double a = s->alpha * (1 + cos(acos(-1) * (double)s->t / (double)s->n)) / 2;
    struct ob_batch b;

    ob_job_next_forget(job, &b);
    OB_TRY(ob_job_losses(s->loss, job, &b, err));
    if (!weigh(s, b.n)) {
        job->cost.images_forward += (uint64_t)b.n;
        return OB_OK;
    }
    ob_job_zero_grad(job);
    ob_job_add_weighted_grad(job, &b, s->weight, -a);
    ob_job_mask_grad(job, s->mask);
    ob_job_clip_grad(job, s->clip);
    return ob_job_step_beside(job, err);
}

static void average(const struct sfr_on *s, struct ob_job *job)
{
    const struct ob_backend *k = job->ctx->backend;
    struct ob_model *m = job->model;
    size_t n = m->net->n_params;

    k->scale(job->ctx, m->w.params, n, (float)s->average);
    k->axpy(job->ctx, m->w.params, s->before, n, (float)(1 - s->average));
    ob_model_touch(m);
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct sfr_on *s = state;
    struct ob_batch b;

    (void)e;
    while (ob_job_next_retain(job, &b)) {
        if (s->average < 1)
            memcpy(s->before, job->model->w.params,
                   ob_model_n_params(job->model) * sizeof(*s->before));
        if (s->t % s->every == 0)
            OB_TRY(ascend(s, job, err));
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &b, NULL, 1.0f, err));
        OB_TRY(ob_job_step(job, err));
        if (s->average < 1)
            average(s, job);
        s->t++;
    }
    return OB_OK;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    const struct sfr_on *s = state;
    uint64_t each = ob_job_batches(job, job->retain), before = 0;

    if (!job->common.epochs)
        return;
    out->images = job->forget->n + job->retain->n; /* for the mask */
    for (int e = 0; e < job->common.epochs; e++) {
        uint64_t after = (each * ((uint64_t)e + 1) + (uint64_t)s->every - 1) / (uint64_t)s->every;

        out->images += job->retain->n + ob_job_round_images(job, job->forget, after - before);
        before = after;
    }
}

const struct ob_method ob_method_sfr_on = {
    .name = "sfr-on",
    .title = "SFR-on, masked and weighted ascent beside descent",
    .cite = "Huang et al. 2024",
    .formula = "mask: (I_S + 1e-15) / (I_R + 1e-15) >= gamma, I as in ssd, by importance\n"
               "each every-th of T iterations: loss = -a_t sum w CE over a forget batch,\n"
               "  w ~ 1 / (CE^power + 1e-15) with sum 1, a_t = alpha (1 + cos(pi t / T)) / 2,\n"
               "  gradient masked, then clipped to norm clip\n"
               "always: loss = CE(retain batch), not masked, not clipped\n"
               "theta = (1 - average) theta_before + average theta",
    .differs =
        "Fast and slow weights are one model: average is 1 in the released recipe, which\n"
        "keeps all of a change. There 1500 iterations are counted, 4.3 passes over 45,000\n"
        "images in batches of 128; here epochs passes over the retain set are T iterations.\n"
        "Masked weights still decay and follow momentum, as there. An I below 1e-10 of its\n"
        "tensor's largest is rounding, and 0. Images are augmented there, while measuring\n"
        "too, and forget batches are shuffled anew each time round; here by augment=, and\n"
        "once in an epoch. The ascent has no lower\n"
        "end: bound, ours and off, leaves out examples whose CE is above it.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET,
    .state_size = sizeof(struct sfr_on),
    .options = options,
    .common = common,
    .room = room,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
