/*
 * influence.c - influence unlearning: one Newton-like step away from the forget set.
 *
 *     v = |S| / (|S| + |R|) (mean gradient of S - mean gradient of R)      eval mode, CE
 *     correct:   F = 1/N sum_i g_i g_i^T + lambda I, theta += alpha lambda F^-1 v
 *                (step=raw: alpha F^-1 v), lambda = tau sum_i |g_i|^2 / (N min(N, P))
 *     released:  theta += alpha (v - c g_0)
 *
 * g_i: gradients of N single retain examples, P weights. By Woodbury's identity lambda F^-1 v =
 * v - sum_i c_i g_i with (K + N lambda I) c = b, K_ij = g_i . g_j, b_i = g_i . v: either K is made
 * (solver=gram), or only its products (solver=cg); the sum is one weighted backward pass.
 *
 * The released recursion (N a constant, o_0 = g_0, then for each next g: k -= k.g / (N + o.g) o,
 * o -= o.g / (N + o.g) o, from k = v) only ever rescales o, so k = v - c g_0 needs two scalars.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "unlearn/gradients.h"

enum { CORRECT, RELEASED };
enum { GRAM, CG };
enum { NORMALISED, RAW };
enum { FIRST, RANDOM };
enum { PASS = 128 }; /* examples of a batch for mean gradients */

struct influence {
    int variant, solver, samples, block, iterations, step, order;
    double alpha, tau, tolerance;
};

#define CHOICE(field, text, list, word, condition)                                                 \
    {                                                                                              \
        .name = word, .help = text, .type = OB_OPT_CHOICE,                                         \
        .offset = offsetof(struct influence, field), .choices = list, .when = condition            \
    }
static const struct ob_option options[] = {
    { .name = "alpha",
      .help = "length of the step",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct influence, alpha),
      .def = 1,
      .max = 1e6,
      .range = "1 to 100" },
    CHOICE(variant, "the inverse Fisher matrix, or what the released code computes",
           "correct,released", "variant", NULL),
    { .name = "samples",
      .help = "N, single retain examples (released: its constant is two less)",
      .type = OB_OPT_INT,
      .offset = offsetof(struct influence, samples),
      .def = 1002,
      .min = 3,
      .max = 20000,
      .range = "1002" },
    CHOICE(order, "which: those of the smallest numbers, or any", "first,random", "order", NULL),
    CHOICE(solver, "all products of gradients, or conjugate gradients", "gram,cg", "solver",
           "variant=correct"),
    CHOICE(step, "lambda F^-1 v, which tends to v as tau grows, or F^-1 v", "normalised,raw",
           "step", "variant=correct"),
    { .name = "tau",
      .help = "damping, as a share of the mean eigenvalue",
      .when = "variant=correct",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct influence, tau),
      .def = 1,
      .min = 1e-9,
      .max = 1e9,
      .range = "0.1, 1, 10" },
    { .name = "block",
      .help = "gradients held at a time, twice; fewer cost time",
      .when = "variant=correct,solver=gram",
      .type = OB_OPT_INT,
      .offset = offsetof(struct influence, block),
      .def = 32,
      .min = 1,
      .max = 20000 },
    { .name = "tolerance",
      .help = "|F x - v| / |v| to stop at",
      .when = "variant=correct,solver=cg",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct influence, tolerance),
      .def = 1e-6,
      .max = 1 },
    { .name = "iterations",
      .help = "at most so many",
      .when = "variant=correct,solver=cg",
      .type = OB_OPT_INT,
      .offset = offsetof(struct influence, iterations),
      .def = 200,
      .min = 1,
      .max = 100000 },
    { 0 }
};

static int batch(const void *state, const struct ob_model *m)
{
    (void)state;
    (void)m;
    return PASS;
}

static size_t n_samples(const struct influence *o, const struct ob_job *job)
{
    return (size_t)o->samples < job->retain->n ? (size_t)o->samples : job->retain->n;
}

static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    const struct influence *o = state;
    const struct ob_net *net = job->model->net;

    (void)err;
    ob_memory_add_weights(need, net, 1, 0); /* v and one more, one of them in place of moments */
    if (o->variant == CORRECT && o->solver == GRAM)
        need->rest += ob_gram_room(net->n_params, n_samples(o, job), (size_t)o->block);
    return OB_OK;
}

static int samples(struct ob_ids **out, const struct influence *o, const struct ob_job *job,
                   struct ob_err *err)
{
    const struct ob_ids *all = job->retain;
    size_t n = n_samples(o, job);

    if (o->order == RANDOM)
        return ob_job_draw(out, job, all, n, err);
    return ob_ids_new(out, all->id, n, all->limit, err);
}

/* ---- v ---- */

/* Adds weight * the mean gradient of the set to s->grads. */
static int add_mean(struct ob_sweep *s, const struct ob_ids *ids, double weight, struct ob_err *err)
{
    double each[PASS];
    struct ob_batch b;

    for (int i = 0; i < PASS; i++)
        each[i] = weight / (double)ids->n;
    OB_TRY(ob_sweep_start(s, ids, PASS, OB_AUG_NONE, err));
    for (;;) {
        OB_TRY(ob_sweep_next(s, &b, err));
        if (!b.n)
            return OB_OK;
        OB_TRY(ob_sweep_add_ce(s, &b, NULL, each, err));
    }
}

static int direction(float *v, struct ob_sweep *s, struct ob_err *err)
{
    const struct ob_job *job = s->job;
    double share = (double)job->forget->n / (double)(job->forget->n + job->retain->n);
    size_t n = job->model->net->n_params;

    job->ctx->backend->fill(job->ctx, s->grads, n, 0.0f);
    OB_TRY(add_mean(s, job->forget, share, err));
    OB_TRY(add_mean(s, job->retain, -share, err));
    memcpy(v, s->grads, n * sizeof(*v));
    return OB_OK;
}

/* theta += scale (v - s->grads) */
static void move(struct ob_sweep *s, const float *v, double scale)
{
    struct ob_model *m = s->job->model;
    const struct ob_backend *k = s->job->ctx->backend;

    k->axpy(s->job->ctx, m->w.params, v, m->net->n_params, (float)scale);
    k->axpy(s->job->ctx, m->w.params, s->grads, m->net->n_params, (float)-scale);
    ob_model_touch(m);
}

/* ---- the correct step ---- */

static double mean_eigenvalue(const struct ob_gram *g)
{
    double n = (double)g->n, p = (double)g->sweep->job->model->net->n_params, trace = 0;

    for (size_t i = 0; i < g->n; i++)
        trace += g->diagonal[i];
    return trace / (n * fmin(n, p));
}

static int solve(double *c, const struct influence *o, struct ob_gram *g, double lambda,
                 struct ob_err *err)
{
    double left = 0;

    if (o->solver == GRAM)
        return ob_gram_solve(c, g, (double)g->n * lambda, (size_t)o->block, err);
    OB_TRY(ob_gram_iterate(c, g, (double)g->n * lambda, o->tolerance, o->iterations, &left, err));
    if (left > o->tolerance)
        ob_log(g->sweep->job->ctx, OB_LOG_WARN,
               "influence: a residual of %.2g after %d iterations (tolerance %g)", left,
               o->iterations, o->tolerance);
    return OB_OK;
}

static int correct(const struct influence *o, struct ob_sweep *s, const struct ob_ids *ids,
                   const float *v, struct ob_err *err)
{
    struct ob_gram g;
    double *c = NULL, lambda;
    char text[64];
    int rc;

    OB_TRY(ob_gram_open(&g, s, ids, err));
    OB_GO(ob_alloc(c, g.n, err));
    OB_GO(ob_gram_measure(&g, v, err));
    lambda = o->tau * mean_eigenvalue(&g);
    snprintf(text, sizeof(text), "{\"lambda\":%.9g}", lambda);
    ob_job_report(s->job, text);
    if (!(lambda > 0))
        OB_GO(ob_fail(err, OB_EDIVERGED, "all gradients of the retain examples are 0"));
    OB_GO(solve(c, o, &g, lambda, err));
    OB_GO(ob_gram_combine(&g, c, err));
    move(s, v, o->step == RAW ? o->alpha / lambda : o->alpha);
out:
    ob_gram_close(&g);
    ob_free(c);
    return rc;
}

/* ---- what the released code computes ---- */

/* c of k = v - c g_0, from a_t = g_0 . g_t and b_t = v . g_t, t = 1 ... n - 1. */
static int two_scalars(double *c, const double *a, const double *b, size_t n, double constant,
                       struct ob_err *err)
{
    double scale = 1;

    *c = 0;
    for (size_t t = 1; t < n; t++) {
        double down = constant + scale * a[t];

        if (!(down > 0))
            return ob_fail(err, OB_EDIVERGED,
                           "the released recursion divides by %.3g at example %zu", down, t);
        *c += scale * (b[t] - *c * a[t]) / down;
        scale *= constant / down;
    }
    return OB_OK;
}

static int released(const struct influence *o, struct ob_sweep *s, const struct ob_ids *ids,
                    const float *v, struct ob_err *err)
{
    size_t n = s->job->model->net->n_params;
    double *a = NULL, c, only[2] = { 1, 0 };
    struct ob_gram g, first = { 0 };
    struct ob_ids *one = NULL;
    float *g0 = NULL;
    int rc;

    OB_TRY(ob_gram_open(&g, s, ids, err));
    OB_GO(ob_alloc(a, g.n, err));
    OB_GO(ob_block_new(&g0, n, err));
    OB_GO(ob_ids_new(&one, ids->id, 1, ids->limit, err));
    OB_GO(ob_gram_open(&first, s, one, err));
    OB_GO(ob_gram_combine(&first, only, err));
    memcpy(g0, s->grads, n * sizeof(*g0));
    OB_GO(ob_gram_dots(&g, a, g0, g.b, v, err));
    OB_GO(two_scalars(&c, a, g.b, g.n, o->samples - 2, err));
    only[0] = c;
    OB_GO(ob_gram_combine(&first, only, err));
    move(s, v, o->alpha);
out:
    ob_gram_close(&g);
    ob_gram_close(&first);
    ob_ids_free(one);
    ob_free(g0);
    ob_free(a);
    return rc;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct influence *o = state;
    struct ob_sweep s = { 0 };
    struct ob_ids *ids = NULL;
    float *v = NULL;
    int rc;

    (void)e;
    OB_GO(samples(&ids, o, job, err));
    OB_GO(ob_block_new(&v, job->model->net->n_params, err));
    OB_GO(ob_sweep_open(&s, job, PASS, err));
    OB_GO(direction(v, &s, err));
    rc = (o->variant == CORRECT ? correct : released)(o, &s, ids, v, err);
out:
    ob_sweep_close(&s);
    ob_free(v);
    ob_ids_free(ids);
    return rc;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    const struct influence *o = state;
    uint64_t n = n_samples(o, job);

    out->images = job->forget->n + job->retain->n + n;
    if (o->variant == RELEASED)
        out->images += 2; /* the first one, twice */
    else if (o->solver == GRAM)
        out->images += n + ob_gram_images(n, (size_t)o->block);
    else
        out->images += n + 2 * n * (uint64_t)o->iterations; /* at most */
}

const struct ob_method ob_method_influence = {
    .name = "influence",
    .title = "influence unlearning, WoodFisher",
    .cite = "Izzo et al. 2021, Jia et al. 2023",
    .formula =
        "v = |S| / (|S| + |R|) (mean gradient of S - mean gradient of R), eval mode\n"
        "correct:  F = 1/N sum g_i g_i^T + lambda I over N retain examples,\n"
        "          lambda = tau sum |g_i|^2 / (N min(N, P)), P weights\n"
        "          theta += alpha lambda F^-1 v, by (K + N lambda I) c = b, K_ij = g_i.g_j,\n"
        "          b_i = g_i.v, lambda F^-1 v = v - sum c_i g_i\n"
        "released: theta += alpha (v - c g_0)",
    .differs =
        "The released recursion carries one vector, which stays a multiple of the first\n"
        "example's gradient g_0: the step is alpha (v - c g_0), hardly more than v.\n"
        "variant=released computes just that, with c from two scalars. The default solves\n"
        "the system; normalised by lambda, so that alpha keeps its meaning and the step\n"
        "tends to v as tau grows (step=raw is F^-1 v itself, with alpha 1). solver=gram\n"
        "takes about N + N^2 / (2 block) gradients of single examples, solver=cg 2 N for each\n"
        "iteration and no memory for them. N is the number of examples that there are (in the\n"
        "released form's constant, the one that was asked for).",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_ONE_SHOT,
    .state_size = sizeof(struct influence),
    .options = options,
    .batch = batch,
    .room = room,
    .cost = cost,
    .epoch = epoch,
};
