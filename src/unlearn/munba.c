/*
 * munba.c - MUNBa: forgetting and retaining bargain over each step (Nash).
 *
 *     L_r = CE(retain batch), L_f = CE(forget batch, labels random)
 *     step along w_r grad L_r + w_f grad L_f, w = 1 / (|grad L| sqrt(1 + cos)), clipped to norm 1
 *
 * These w solve the bargain in closed form (Wu and Harandi 2025); the direction is the sum of the two
 * unit gradients. The forget set is dealt once an epoch, beside as many retain batches; then the rest
 * of the retain set, plainly.
 */
#include <math.h>

#include "base/mem.h"
#include "unlearn/gradients.h"

struct munba {
    int variant;
    float *retain; /* the gradient of that half of a step */
};

static const struct ob_option options[] = {
    { .name = "variant",
      .help = "the bargain's solution, or the released single precision with its fallback",
      .type = OB_OPT_CHOICE,
      .offset = offsetof(struct munba, variant),
      .choices = "exact,released" },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON(10, "10", 0.01, "0.01") };

static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    (void)state;
    (void)err;
    ob_memory_add_weights(need, job->model->net, 1, 0);
    return OB_OK;
}

static size_t n_batches(const struct ob_job *job)
{
    size_t r = ob_job_n_retain_batches(job), f = ob_job_n_forget_batches(job);

    return r > f ? r : f;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct munba *s = state;

    ob_job_set_n_steps(job, (int64_t)n_batches(job) * job->common.epochs);
    return ob_block_new(&s->retain, ob_model_n_params(job->model), err);
}

static void end(void *state, struct ob_job *job)
{
    struct munba *s = state;

    (void)job;
    ob_free(s->retain);
}

/* The weight of one gradient; where the two point apart no step serves both. */
static double bargain(double square, double one_plus_cos)
{
    return square > 0 && one_plus_cos > 1e-9 ? 1 / (sqrt(square) * sqrt(one_plus_cos)) : 0;
}

void ob_munba_exact(struct ob_dots d, double *w_r, double *w_f)
{
    double norms = sqrt(d.own) * sqrt(d.other);
    double one_plus_cos = norms > 0 ? 1 + d.both / norms : 1;

    *w_r = bargain(d.other, one_plus_cos);
    *w_f = bargain(d.own, one_plus_cos);
}

void ob_munba_released(struct ob_dots d, double *w_r, double *w_f)
{
    float a = (float)d.other, b = (float)d.both, c = (float)d.own, r, f;

    r = sqrtf((a * c - b * sqrtf(a * c)) / (a * a * c - a * b * b + 1e-8f));
    f = (1 - a * r * r) / (b * r + 1e-8f);
    if (!(r > 0 && f > 0)) { /* also where r is not a number */
        r = 1;
        f = 0.1f;
    }
    *w_r = (double)r;
    *w_f = (double)f;
}

static void (*const weights[])(struct ob_dots d, double *w_r, double *w_f) = {
    ob_munba_exact, ob_munba_released /* as the choices of `variant` */
};

/* One step; without `forget`, of the retain set only. */
static int step(const struct munba *s, struct ob_job *job, const struct ob_batch *retain,
                const struct ob_batch *forget, struct ob_err *err)
{
    double w_r, w_f;

    ob_job_zero_grad(job);
    OB_TRY(ob_job_add_ce_grad(job, retain, NULL, 1.0f, err));
    if (forget) {
        ob_job_keep_grad(job, s->retain);
        OB_TRY(ob_job_add_ce_grad(job, forget, ob_job_random_labels(job, forget, OB_DRAW_ANY), 1.0f,
                                  err));
        weights[s->variant](ob_job_grad_dots(job, s->retain), &w_r, &w_f);
        ob_job_mix_grad(job, w_f, s->retain, w_r);
        ob_job_clip_grad(job, 1);
    }
    return ob_job_step(job, err);
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct munba *s = state;
    size_t n = n_batches(job), n_mixed = ob_job_n_forget_batches(job);
    struct ob_batch retain, forget;

    (void)e;
    for (size_t i = 0; i < n; i++) {
        if (!ob_job_next_retain(job, &retain))
            ob_job_wrap_retain(job, &retain);
        if (i < n_mixed)
            ob_job_next_forget(job, &forget);
        OB_TRY(step(s, job, &retain, i < n_mixed ? &forget : NULL, err));
    }
    return OB_OK;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    size_t r = ob_job_batches(job, job->retain), f = ob_job_batches(job, job->forget);
    uint64_t retain = ob_job_round_images(job, job->retain, r > f ? r : f);

    (void)state;
    out->images = (uint64_t)job->common.epochs * (retain + job->forget->n);
}

const struct ob_method ob_method_munba = {
    .name = "munba",
    .title = "MUNBa, a Nash bargain between forgetting and retaining",
    .cite = "Wu and Harandi 2025",
    .formula = "g_r = grad CE(retain batch), g_f = grad CE(forget batch, labels random)\n"
               "step along w_r g_r + w_f g_f, clipped to norm 1, w = 1 / (|g| sqrt(1 + cos(g_r, "
               "g_f)))\n"
               "while the forget set lasts, once an epoch; then CE of the rest of the retain set",
    .differs =
        "The released code computes w_r and w_f in single precision with 1e-8 in the\n"
        "denominators, which swamps small gradients, and falls back to L_r + 0.1 L_f\n"
        "where one is not positive; variant=released does that. Where the gradients point apart\n"
        "(1 + cos <= 1e-9) no step serves both, and both weights are 0. It stops where the forget "
        "set\n"
        "has more batches than the retain set; here the retain set goes round again. Its L1\n"
        "term, off there, and the decay of the learning rate at epochs 91 and 136 are left out, as "
        "no recipe gets there.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET,
    .state_size = sizeof(struct munba),
    .options = options,
    .common = common,
    .room = room,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
