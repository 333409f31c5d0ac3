/*
 * fisher.c - Fisher forgetting: noise where the retain set does not mind it.
 *
 *     F = mean over batches b of R of sum_y mean_b(p_y) (d CE(b, y) / d theta)^2, eval mode
 *     var = alpha min(1 / (F + 1e-8), 1e3)           (1e2 where the first dimension is the classes)
 *     theta += sqrt(var) N(0, 1)
 *
 * With rank > 1, var is its mean over dimension 1. It is ten times as large where the rank is 1, and
 * `head` times where the first dimension is the classes and the rank is more. variant=sample takes
 * each example as a batch. variant=label: F = mean of (d log p_y / d theta + 1e-8)^2 over examples and
 * their own labels, theta += min(sqrt(alpha / F), 1e-3) N(0, 1), ten times where the last dimension
 * is 10. Golatkar et al. 2020; the variants are those of released codes.
 */
#include <math.h>

#include "base/mem.h"
#include "unlearn/gradients.h"

enum { VARIANT_SAMPLE, VARIANT_BATCH, VARIANT_LABEL };

struct fisher {
    int variant, batch, samples, class_row;
    double alpha, head;
};

static const struct ob_option options[] = {
    { .name = "alpha",
      .help = "size of the noise",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct fisher, alpha),
      .def = 1e-6,
      .max = 1e6,
      .range = "1e-9 to 1e-6" },
    { .name = "variant",
      .help = "gradients for all classes, of each example or of each batch; or for its own label",
      .type = OB_OPT_CHOICE,
      .offset = offsetof(struct fisher, variant),
      .choices = "sample,batch,label" },
    { .name = "batch",
      .help = "examples of a batch",
      .when = "variant=batch",
      .type = OB_OPT_INT,
      .offset = offsetof(struct fisher, batch),
      .def = 32,
      .min = 1,
      .max = 65536,
      .range = "32, 64, 128" },
    { .name = "samples",
      .help = "examples of the retain set, drawn at random, to measure on; 0: all",
      .type = OB_OPT_INT,
      .offset = offsetof(struct fisher, samples),
      .max = 1e9 },
    { .name = "head",
      .help = "factor on the variance of weights whose first dimension is the classes",
      .when = "variant=sample|batch",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct fisher, head),
      .def = 10,
      .max = 1e6,
      .range = "1, 10" },
    { .name = "class-row",
      .help = "reset: the forgotten class's row, where the first dimension is the classes, is "
              "drawn around 0",
      .when = "variant=sample|batch",
      .type = OB_OPT_CHOICE,
      .offset = offsetof(struct fisher, class_row),
      .choices = "keep,reset" },
    { 0 }
};

static int unit(const struct fisher *s)
{
    return s->variant == VARIANT_BATCH ? s->batch : 1;
}

static int batch(const void *state, const struct ob_model *m)
{
    (void)m;
    return unit(state);
}

/* The class that all of the forget set has, or -1. */
static int one_class(const struct ob_job *job)
{
    int c = ob_data_label(job->data, OB_TRAIN, job->forget->id[0]);

    for (size_t i = 1; i < job->forget->n; i++)
        if (ob_data_label(job->data, OB_TRAIN, job->forget->id[i]) != c)
            return -1;
    return c;
}

static int check_job(const void *state, const struct ob_job *job, struct ob_err *err)
{
    const struct fisher *s = state;

    if (s->class_row && s->variant != VARIANT_LABEL && one_class(job) < 0)
        return ob_fail(err, OB_EINVAL,
                       "class-row=reset is for a forget set of one class, this one has more");
    return OB_OK;
}

/* ---- the diagonal ---- */

static double mean_probability(const float *logits, int n, int c, int y, double *p)
{
    double sum = 0;

    for (int i = 0; i < n; i++) {
        ob_softmax(p, logits + (size_t)i * (size_t)c, c);
        sum += p[y];
    }
    return sum / n;
}

/* For every class as if it were the label of the whole batch. */
static int add_classes(float *f, struct ob_sweep *s, const struct ob_batch *b, int32_t *label,
                       double *p, struct ob_err *err)
{
    int c = ob_job_n_classes(s->job);

    for (int y = 0; y < c; y++) {
        for (int i = 0; i < b->n; i++)
            label[i] = y;
        OB_TRY(ob_sweep_add_ce(s, b, label, NULL, err));
        ob_sweep_fold(
            f, s, (struct ob_fold){ .weight = mean_probability(s->exec->logits, b->n, c, y, p) });
    }
    return OB_OK;
}

static int measure(float *f, const struct fisher *o, struct ob_sweep *s, const struct ob_ids *ids,
                   struct ob_err *err)
{
    int32_t *label = NULL;
    double *p = NULL;
    size_t n = 0;
    struct ob_batch b;
    int rc;

    OB_GO(ob_alloc(label, (size_t)s->batch, err));
    OB_GO(ob_alloc(p, (size_t)ob_job_n_classes(s->job), err));
    OB_GO(ob_sweep_start(s, ids, s->batch, OB_AUG_NONE, err));
    for (;; n++) {
        OB_GO(ob_sweep_next(s, &b, err));
        if (!b.n)
            break;
        if (o->variant == VARIANT_LABEL) {
            OB_GO(ob_sweep_add_ce(s, &b, NULL, NULL, err));
            ob_sweep_fold(f, s, (struct ob_fold){ .weight = 1, .shift = -1e-8 });
        } else {
            OB_GO(add_classes(f, s, &b, label, p, err));
        }
    }
    s->job->ctx->backend->scale(s->job->ctx, f, s->job->model->net->n_params, 1 / (float)n);
out:
    ob_free(label);
    ob_free(p);
    return rc;
}

/* ---- from the diagonal to the standard deviation, in place ---- */

static double variance(double f, const struct fisher *o, bool is_head)
{
    return o->alpha * fmin(1 / (f + 1e-8), is_head ? 1e2 : 1e3);
}

/* The mean over dimension 1, of size `in`; `inner` elements behind it. */
static void spread(float *f, const struct ob_view *v)
{
    size_t in = (size_t)v->shape[1], inner = v->size / (size_t)v->shape[0] / in;

    for (size_t o = 0; o < (size_t)v->shape[0]; o++)
        for (size_t k = 0; k < inner; k++) {
            float *x = f + o * in * inner + k;
            double sum = 0;

            for (size_t i = 0; i < in; i++)
                sum += (double)x[i * inner];
            for (size_t i = 0; i < in; i++)
                x[i * inner] = (float)(sum / (double)in);
        }
}

/* `reset`: the class whose row starts from 0, or -1. */
static void deviate(float *f, float *params, const struct ob_view *v, const struct fisher *o,
                    int n_classes, int reset)
{
    bool is_head = v->rank && v->shape[0] == n_classes;
    double factor = v->rank == 1 ? 10 : is_head ? o->head : 1;
    size_t row = is_head ? v->size / (size_t)n_classes : 0;

    for (size_t i = 0; i < v->size; i++)
        f[i] = (float)variance((double)f[i], o, is_head);
    if (v->rank > 1)
        spread(f, v);
    for (size_t i = 0; is_head && reset >= 0 && i < row; i++) {
        f[(size_t)reset * row + i] = 1e-4f;
        params[(size_t)reset * row + i] = 0;
    }
    for (size_t i = 0; i < v->size; i++)
        f[i] = (float)sqrt(factor * (double)f[i]);
}

static void deviate_by_label(float *f, const struct ob_view *v, double alpha)
{
    double factor = v->rank && v->shape[v->rank - 1] == 10 ? 10 : 1; /* sic */

    for (size_t i = 0; i < v->size; i++)
        f[i] = (float)(factor * fmin(sqrt(alpha / (double)f[i]), 1e-3));
}

static void add_noise(float *sigma, float *noise, const struct fisher *o, struct ob_job *job)
{
    struct ob_model *m = job->model;
    int reset = o->class_row ? one_class(job) : -1;
    size_t n = m->net->n_params;

    for (int i = 0; i < m->net->n_views; i++) {
        const struct ob_view *v = &m->net->view[i];

        if (v->block != OB_PARAM)
            continue;
        if (o->variant == VARIANT_LABEL)
            deviate_by_label(sigma + v->offset, v, o->alpha);
        else
            deviate(sigma + v->offset, m->w.params + v->offset, v, o, m->net->n_classes, reset);
    }
    job->ctx->backend->fill(job->ctx, noise, n, 0.0f);
    ob_job_add_noise(job, noise, n, 0, 1);
    for (size_t i = 0; i < n; i++)
        m->w.params[i] += sigma[i] * noise[i];
    ob_model_touch(m);
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct fisher *o = state;
    struct ob_sweep s = { 0 };
    struct ob_ids *drawn = NULL;
    float *f = NULL;
    int rc;

    (void)e;
    OB_GO(ob_job_draw(&drawn, job, job->retain, (size_t)o->samples, err));
    OB_GO(ob_block_new(&f, job->model->net->n_params, err));
    OB_GO(ob_sweep_open(&s, job, unit(o), err));
    OB_GO(measure(f, o, &s, drawn, err));
    add_noise(f, s.grads, o, job);
out:
    ob_sweep_close(&s);
    ob_free(f);
    ob_ids_free(drawn);
    return rc;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    const struct fisher *o = state;
    uint64_t n = job->retain->n, classes = (uint64_t)ob_job_n_classes(job);

    if (o->samples && (uint64_t)o->samples < n)
        n = (uint64_t)o->samples;
    out->images = o->variant == VARIANT_LABEL ? n : n * classes;
}

const struct ob_method ob_method_fisher = {
    .name = "fisher",
    .title = "Fisher forgetting",
    .cite = "Golatkar et al. 2020",
    .formula =
        "F = mean over R of sum over classes y of p_y (d CE(x, y) / d theta)^2, eval mode\n"
        "var = alpha min(1 / (F + 1e-8), 1e3), 1e2 where the first dimension is the classes;\n"
        "its mean over dimension 1; times 10 for vectors, times head for other tensors "
        "whose first is the classes\n"
        "theta += sqrt(var) N(0, 1)",
    .differs =
        "There are three released versions. sample: as above, that of SCRUB and SSD (the\n"
        "latter's script for random sets has head=1). batch: of the mean gradient of a\n"
        "batch and its mean p_y, later code of Zhao et al. 2024; its class mode is\n"
        "class-row=reset: mean 0 and variance 1e-4 (then the factors) in the row of the\n"
        "class. label: F = mean of (d log p / d theta + 1e-8)^2 for the true label, theta +=\n"
        "min(sqrt(alpha / F), 1e-3) N(0, 1), ten times where the last dimension is 10, which\n"
        "is the last bias of ten classes. Their default alpha of 0.2 destroys the model. One\n"
        "gradient per example and class; with samples=N of N examples only.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_ONE_SHOT,
    .needs_if = "a forget set of one class (class-row=reset)",
    .state_size = sizeof(struct fisher),
    .options = options,
    .batch = batch,
    .cost = cost,
    .check_job = check_job,
    .epoch = epoch,
};
