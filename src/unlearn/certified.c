/*
 * certified.c - noisy fine-tuning with a promise in (epsilon, delta), then fine-tuning without noise.
 *
 *     theta <- clip_c0(theta)
 *     `steps` times, on batches of the retain set alone, eta = noise-lr:
 *       gradient:  theta <- theta - eta (clip_c1(g) + lambda theta) + sigma N(0, 1)
 *       model:     theta <- clip_c2(theta - eta (g + lambda theta)) + sigma N(0, 1)
 *       both:      theta <- clip_c2(theta - eta (clip_c1(g) + lambda theta) + sigma N(0, 1))
 *     then loss = CE(retain batch), by a fresh optimiser
 *
 * clip_c(x) = x min(1, c / |x|) over all parameters as one; g is the batch's mean gradient. After
 * Koloskova et al. 2025, but the noise comes from accounting.c: the user says epsilon and delta.
 * What comes after the noise depends on the noisy weights and the retain set alone, so it costs
 * nothing more. Running statistics would: those of the noisy steps tell of weights on the way, which
 * the promise does not cover. They are estimated anew where the noise ends.
 */
#include <stdio.h>

#include "run/memory.h"
#include "unlearn/accounting.h"
#include "unlearn/job.h"

enum { STEPS_OTHERWISE = 100, STEPS_MOST = 10000000 };
/* Normal numbers of 32 random bits end at 6.76 sigma. For n weights that may lie d apart this leaves out
 * about phi(6.76) sqrt(n) d / sigma: 1.5e-7 for ten million and d = sigma. */
#define DELTA_LEAST 1e-6

enum { BATCHNORM_ESTIMATE, BATCHNORM_REFUSE };

struct certified {
    double epsilon, delta, c0, c1, c2, lambda, noise_lr;
    int clip, steps, batchnorm;
    struct ob_noisy noisy;
    double norm, at_first, clipped, noised; /* of the weights; accuracies on the retain set */
};

#define FLOAT(field, text, ...)                                                                    \
    {                                                                                              \
        .help = text, .type = OB_OPT_FLOAT, .offset = offsetof(struct certified, field),           \
        __VA_ARGS__                                                                                \
    }
static const struct ob_option options[] = {
    FLOAT(epsilon, "asked for: how much likelier any outcome may be, as a logarithm",
          .name = "epsilon", .def = 1, .min = 0.001, .max = 100, .range = "0.1 to 100"),
    FLOAT(delta, "asked for: probability left out of that", .name = "delta", .def = 1e-5,
          .min = DELTA_LEAST, .max = 0.1, .range = "1e-5"),
    { .name = "clip",
      .help = "what is clipped in the noisy steps",
      .type = OB_OPT_CHOICE,
      .offset = offsetof(struct certified, clip),
      .choices = "gradient,model,both" },
    FLOAT(c0, "norm that the weights are clipped to at first", .name = "c0", .def = 0.001,
          .min = 1e-12, .max = 1e6, .range = "0.01 to 30"),
    FLOAT(c1, "norm that gradients are clipped to", .name = "c1", .def = 0.001, .min = 1e-12,
          .max = 1e6, .when = "clip=gradient|both"),
    FLOAT(c2, "norm that the weights are clipped to in each step", .name = "c2", .def = 0.001,
          .min = 1e-12, .max = 1e6, .when = "clip=model|both"),
    FLOAT(lambda, "pull of the noisy steps towards 0", .name = "lambda", .max = 1e6),
    FLOAT(noise_lr, "learning rate of the noisy steps", .name = "noise-lr", .def = 0.1,
          .min = 1e-12, .max = 1e6),
    { .name = "steps",
      .help = "noisy steps; 0: as many as c0, c1 and lambda ask for, 100 with clip=model or both",
      .type = OB_OPT_INT,
      .offset = offsetof(struct certified, steps),
      .max = STEPS_MOST },
    { .name = "batch-norm",
      .help = "running statistics: estimated anew from the retain set, or models with them refused",
      .type = OB_OPT_CHOICE,
      .offset = offsetof(struct certified, batchnorm),
      .choices = "estimate,refuse" },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON_OF(10, NULL, 0.1, "0.1", 256, 0, 5e-4,
                                                        OB_CONSTANT, OB_COMMON_SGD) };

/* ---- how much noise, and for how long ---- */

static int solve(struct ob_noisy *n, const struct certified *s, struct ob_err *err)
{
    double steps = STEPS_OTHERWISE;

    *n = (struct ob_noisy){ .clip = (enum ob_noisy_clip)s->clip,
                            .epsilon = s->epsilon,
                            .delta = s->delta,
                            .c0 = s->c0,
                            .c1 = s->c1,
                            .c2 = s->c2,
                            .eta = s->noise_lr,
                            .lambda = s->lambda };
    if (s->clip == OB_NOISY_GRADIENT)
        steps = ob_noisy_least_steps(n);
    if (s->steps)
        steps = s->steps;
    if (steps > STEPS_MOST)
        return ob_fail(err, OB_EINVAL,
                       "c0 %g, c1 %g and noise-lr %g ask for %.3g noisy steps, more than %d", s->c0,
                       s->c1, s->noise_lr, steps, STEPS_MOST);
    n->steps = (int64_t)steps;
    return ob_noisy_solve(n, err);
}

static int check(const void *state, const struct ob_model *m, struct ob_err *err)
{
    const struct certified *s = state;
    struct ob_noisy n;

    if (s->batchnorm == BATCHNORM_REFUSE && ob_job_has_batchnorm(m))
        return ob_fail(err, OB_EINVAL,
                       "'%s' has batch-norm, whose running statistics outlive the noise, and "
                       "batch-norm=refuse was asked for",
                       ob_model_arch(m));
    return solve(&n, s, err);
}

/* A second loader, for accuracies and running statistics; the sums of these. */
static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    const struct ob_net *net = job->model->net;
    size_t batch = (size_t)job->common.batch;

    (void)state;
    (void)err;
    ob_memory_add_batch(need, net, (int)(batch < job->retain->n ? batch : job->retain->n), 0);
    need->rest += net->n_buffers * sizeof(double);
    return OB_OK;
}

/* ---- the noisy steps ---- */

static void move(const struct certified *s, struct ob_job *job, int64_t t)
{
    const struct ob_backend *k = job->ctx->backend;
    size_t n = ob_model_n_params(job->model);
    float *w = job->model->w.params;

    if (s->clip != OB_NOISY_MODEL)
        ob_job_clip(job, job->grads, n, s->c1);
    k->scale(job->ctx, w, n, (float)(1 - s->noise_lr * s->lambda));
    k->axpy(job->ctx, w, job->grads, n, (float)-s->noise_lr);
    if (s->clip == OB_NOISY_MODEL)
        ob_job_clip(job, w, n, s->c2);
    ob_job_add_noise(job, w, n, (uint32_t)t, s->noisy.sigma);
    if (s->clip == OB_NOISY_BOTH)
        ob_job_clip(job, w, n, s->c2);
    ob_model_touch(job->model);
}

static int noisy_steps(const struct certified *s, struct ob_job *job, struct ob_err *err)
{
    struct ob_batch b;

    job->progress.total = (size_t)s->noisy.steps * job->retain->n / ob_job_n_retain_batches(job);
    for (int64_t t = 0; t < s->noisy.steps; t++) {
        OB_TRY(ob_ctx_stop(job->ctx, err));
        ob_job_next_retain_on(job, &b);
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &b, NULL, 1.0f, err));
        move(s, job, t);
        job->progress.done += (size_t)b.n;
        ob_progress(job->ctx, &job->progress);
    }
    return OB_OK;
}

/* ---- what is told ---- */

static void tell(const struct certified *s, struct ob_job *job, double at_last)
{
    char clip[3][80];

    snprintf(clip[OB_NOISY_GRADIENT], sizeof(clip[0]), "gradients clipped to %g", s->c1);
    snprintf(clip[OB_NOISY_MODEL], sizeof(clip[0]), "weights clipped to %g", s->c2);
    snprintf(clip[OB_NOISY_BOTH], sizeof(clip[0]), "gradients clipped to %g, weights to %g", s->c1,
             s->c2);
    ob_job_note(job, "certified: epsilon %g, delta %g, by %lld steps with noise of sigma %.6g, %s",
                s->epsilon, s->delta, (long long)s->noisy.steps, s->noisy.sigma, clip[s->clip]);
    ob_job_note(job,
                "accuracy on the retain set: %.2f %% at first, %.2f %% with the weights clipped to "
                "%g from %.4g, %.2f %% after the noise, %.2f %% at last",
                100 * s->at_first, 100 * s->clipped, s->c0, s->norm, 100 * s->noised,
                100 * at_last);
    ob_job_note(job,
                "compared are this run and the same one from any other weights of norm %g at "
                "most; how close the result is to retraining is not said",
                s->c0);
    ob_job_note(job,
                "it holds if clip norms, rates, steps and epochs were chosen without looking at "
                "the forget set,");
    ob_job_note(job, "if nothing else of the old model is used%s,",
                ob_job_has_batchnorm(job->model)
                    ? " (batch-norm's running statistics were estimated anew)"
                    : "");
    ob_job_note(job,
                "if the seed is random and stays secret (who knows it can take the noise away; "
                "the file says neither it nor the digest of the model it was made of),");
    ob_job_note(job, "if the accuracies and the norm above, which are of the old model, are not "
                     "published with it,");
    ob_job_note(job, "and as far as the noise (Philox 4x32-10, single precision) is Gaussian");
}

/* ---- the method ---- */

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct certified *s = state;
    struct ob_model *m = job->model;

    OB_TRY(solve(&s->noisy, s, err));
    s->steps = (int)s->noisy.steps; /* reported with the settings */
    OB_TRY(ob_job_accuracy(&s->at_first, job, job->model, job->retain, err));
    s->norm = ob_job_clip(job, m->w.params, ob_model_n_params(m), s->c0);
    ob_model_touch(m);
    OB_TRY(ob_job_accuracy(&s->clipped, job, job->model, job->retain, err));
    OB_TRY(noisy_steps(s, job, err));
    OB_TRY(ob_job_estimate_batchnorm(job, err));
    OB_TRY(ob_job_accuracy(&s->noised, job, job->model, job->retain, err));
    if (!job->common.epochs)
        tell(s, job, s->noised);
    return OB_OK;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct ob_batch retain;
    double at_last;

    while (ob_job_next_retain(job, &retain)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &retain, NULL, 1.0f, err));
        OB_TRY(ob_job_step(job, err));
    }
    if (e + 1 < job->common.epochs)
        return OB_OK;
    OB_TRY(ob_job_accuracy(&at_last, job, job->model, job->retain, err));
    tell(state, job, at_last);
    return OB_OK;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    uint64_t looks = 3 + (job->common.epochs > 0) + ob_job_has_batchnorm(job->model);
    struct ob_noisy n;

    if (solve(&n, state, NULL))
        return; /* check() has said so */
    ob_job_cost_retain(state, job, out);
    out->images += ob_job_round_images(job, job->retain, (size_t)n.steps);
    out->images_forward = looks * job->retain->n;
}

const struct ob_method ob_method_certified = {
    .name = "certified",
    .title = "certified noisy fine-tuning",
    .cite = "Koloskova et al. 2025",
    .formula =
        "theta <- clip_c0(theta), then so many steps on the retain set, eta = noise-lr:\n"
        "clip=gradient: theta <- theta - eta (clip_c1(g) + lambda theta) + sigma N(0, 1)\n"
        "clip=model:    theta <- clip_c2(theta - eta (g + lambda theta)) + sigma N(0, 1)\n"
        "clip=both:     theta <- clip_c2(theta - eta (clip_c1(g) + lambda theta) + sigma N(0, 1))\n"
        "then loss = CE(retain batch), without noise\n"
        "sigma is the smallest that keeps to epsilon and delta:\n"
        "gradient: k = (rho^T 2 c0 + 2 eta c1 sum_t rho^t)^2 / (2 sigma^2 sum_t rho^2t), "
        "rho = 1 - eta lambda,\n"
        "          epsilon = min_{a>1} a k + ln((a-1)/a) - (ln delta + ln a)/(a-1)\n"
        "model, both: delta_{t+1} = delta_t G(ln(1 + (e^epsilon - 1)/delta_t), r), delta_0 = 1,\n"
        "          G(e, r) = Q(e/r - r/2) - e^e Q(e/r + r/2), Q the normal's upper tail,\n"
        "          r = 2 c2 / sigma; both: 2 (c2 + eta c1) / sigma",
    .differs =
        "The noise is not the released code's: its conversion from Renyi divergence to\n"
        "(epsilon, delta) leaves the order out, which makes 7.1 into 1 at delta 1e-5, and its\n"
        "variance for lambda = 0 is half of what lambda -> 0 tends to. There the clip norms\n"
        "may follow the weights that are to be forgotten; here they are numbers. There the\n"
        "networks have no batch-norm, and all recipes have lambda > 0. The default norms are "
        "ours.\n"
        "Steps are given and sigma follows; there, with clipped weights, sigma is given and the\n"
        "steps follow. Left out: noise on the first weights (delta_0 < 1), noise that falls from\n"
        "step to step, a last clip, and noise on the result alone. One-cycle rates of the\n"
        "fine-tuning: schedule=linear or cosine is the nearest. Clipping all weights to a small "
        "norm takes nearly everything\n"
        "out of a deep network: most of the accuracy comes from the last phase.",
    .limits = "It does not say how close the result is to retraining, and knows only what its "
              "notes list.",
    .constraints = "noise-lr times lambda is below 1\n"
                   "c0 is at most c2 with clip=both\n"
                   "steps=0 with clip=gradient: c0, c1, noise-lr and lambda ask for 10000000 noisy "
                   "steps at most",
    .needs = OB_NEED_RETAIN | OB_ONE_SHOT | OB_SECRET_SEED,
    .state_size = sizeof(struct certified),
    .options = options,
    .common = common,
    .check = check,
    .room = room,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
};
