/*
 * prmq.c - PRMQ: prune nearly all weights, draw them anew, repair towards the teacher's entropy.
 *
 *     the share of smallest |w| among weights and biases of convolutions and linear layers <- 0
 *     every weight (not bias) of theirs that is 0 <- U(-b, b), b = 1 / sqrt(fan_in)
 *     loss = sum w_y CE / sum w_y + mean over the batch of (H(student) - H(teacher))^2
 *     at the end: parameters and batch-norm statistics are rounded to half precision
 *
 * w_y = n_y^-0.1, n_y the number of retained examples of class y; H is the entropy of the softmax in
 * nats. Of the last epoch only the share `last-pass` is trained, and one batch: with n batches an
 * epoch floor(n (epochs - 1 + last-pass)) + 1 steps in all, never more than whole epochs.
 */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/mem.h"
#include "base/rng.h"
#include "run/memory.h"
#include "unlearn/job.h"
#include "unlearn/layers.h"
#include "unlearn/magnitude.h"

struct prmq {
    double share, entropy, last_pass;
    double *weight; /* by class */
    int64_t n_steps;
};

static const struct ob_option options[] = {
    { .name = "share",
      .help = "of weights and biases that are pruned",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct prmq, share),
      .def = 0.99,
      .max = 1,
      .range = "0.99" },
    { .name = "entropy",
      .help = "weight of the squared difference of entropies",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct prmq, entropy),
      .def = 1,
      .max = 1e6,
      .range = "1" },
    { .name = "last-pass",
      .help = "share of the last epoch that is trained",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct prmq, last_pass),
      .def = 0.2,
      .max = 1,
      .range = "0.2" },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON_OF(4, "3.2 in all", 5e-4, "5e-4", 64, 0.9,
                                                        5e-4, OB_CONSTANT, OB_COMMON_SGD) };

static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    (void)state;
    (void)err;
    ob_memory_add_weights(need, job->model->net, 1, 0); /* while it prunes */
    need->weights += job->model->net->n_params;
    return OB_OK;
}

/* ---- pruning ---- */

/* Copies the prunable values to `x` (back: from it) in the order of layers; returns how many. */
static size_t gather(float *x, struct ob_model *m, bool back)
{
    const struct ob_net *n = m->net;
    size_t at = 0, size;

    for (int i = -1; (i = ob_layer_next(n, i, OB_LAYER_CONV | OB_LAYER_LINEAR)) >= 0;) {
        const int own[] = { n->node[i].weight, n->node[i].bias };

        for (int k = 0; k < 2; k++) {
            float *w = own[k] < 0 ? NULL : ob_layer_values(m, own[k], &size);

            if (w && back)
                memcpy(w, x + at, size * sizeof(*w));
            else if (w)
                memcpy(x + at, w, size * sizeof(*w));
            at += w ? size : 0;
        }
    }
    return at;
}

static int prune(struct ob_model *m, double share, struct ob_err *err)
{
    uint8_t *mask = NULL;
    float *x;
    size_t n;
    int rc;

    OB_TRY(ob_block_new(&x, m->net->n_params, err));
    OB_GO(ob_alloc(mask, m->net->n_params, err));
    n = gather(x, m, false);
    OB_GO(ob_magnitude_mark(mask, x, n, (size_t)rint(share * (double)n), OB_SMALLEST, err));
    for (size_t i = 0; i < n; i++)
        x[i] = mask[i] ? 0 : x[i];
    gather(x, m, true);
out:
    ob_free(mask);
    ob_free(x);
    return rc;
}

static void fill_zeros(struct ob_job *job)
{
    struct ob_model *m = job->model;
    const struct ob_net *n = m->net;
    size_t size;

    for (int at = -1; (at = ob_layer_next(n, at, OB_LAYER_CONV | OB_LAYER_LINEAR)) >= 0;) {
        int view = n->node[at].weight;
        float *w = ob_layer_values(m, view, &size);
        float bound = (float)(1 / sqrt((double)ob_layer_fan_in(n, at)));
        struct ob_rng r = ob_rng(job->seed, OB_RNG_REDRAW, 0, (uint32_t)view);

        for (size_t i = 0; i < size; i++) {
            float fresh = bound * (2 * ob_rng_uniform(&r) - 1);

            if (w[i] == 0)
                w[i] = fresh;
        }
    }
    ob_model_touch(m);
}

/* In all; n: batches of an epoch. */
static int64_t steps_of(const struct prmq *s, int epochs, size_t n)
{
    double passes = epochs - 1 + s->last_pass;
    int64_t steps = passes < 0 ? 0 : (int64_t)floor((double)n * passes) + 1;

    return steps < (int64_t)n * epochs ? steps : (int64_t)n * epochs;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct prmq *s = state;
    size_t c = (size_t)ob_job_n_classes(job), *count;

    OB_TRY(ob_alloc(s->weight, c, err));
    OB_TRY(ob_alloc(count, c, err));
    ob_job_count_classes(count, job);
    for (size_t k = 0; k < c; k++)
        s->weight[k] = count[k] ? pow((double)count[k], -0.1) : 0;
    ob_free(count);
    s->n_steps = steps_of(s, job->common.epochs, ob_job_n_retain_batches(job));
    ob_job_set_n_steps(job, s->n_steps);
    OB_TRY(prune(job->model, s->share, err));
    fill_zeros(job);
    return OB_OK;
}

/* ---- repairing ---- */

/* Adds d/dlogits of scale * the mean over the batch of (H(student) - H(teacher))^2, in double:
 * dH / dz_k = -p_k (ln p_k + H). */
static void add_entropy_grad(float *d, const float *student, const float *teacher, int n, int c,
                             double scale, double *room)
{
    double *p = room, *q = room + c;

    for (int i = 0; i < n; i++, d += c, student += c, teacher += c) {
        double hs = 0, ht = 0;

        ob_softmax(p, student, c);
        ob_softmax(q, teacher, c);
        for (int k = 0; k < c; k++) {
            hs -= p[k] > 0 ? p[k] * log(p[k]) : 0;
            ht -= q[k] > 0 ? q[k] * log(q[k]) : 0;
        }
        for (int k = 0; k < c; k++)
            if (p[k] > 0)
                d[k] -= (float)(2 * scale / n * (hs - ht) * p[k] * (log(p[k]) + hs));
    }
}

/* Adds d/dlogits of the weighted CE. */
static void add_weighted_grad(float *d, const float *logits, const struct ob_batch *b, int c,
                              const double *weight, double *p)
{
    double sum = 0;

    for (int i = 0; i < b->n; i++)
        sum += weight[b->y[i]];
    for (int i = 0; i < b->n; i++, d += c, logits += c) {
        double share = weight[b->y[i]] / sum;

        ob_softmax(p, logits, c);
        for (int k = 0; k < c; k++)
            d[k] += (float)(share * (p[k] - (k == b->y[i])));
    }
}

static int train_batch(const struct prmq *s, struct ob_job *job, const struct ob_batch *b,
                       double *room, struct ob_err *err)
{
    int c = ob_job_n_classes(job), n_right;
    const float *teacher, *logits;
    double loss;

    ob_job_zero_grad(job);
    OB_TRY(ob_job_teach(&teacher, job, job->teacher, b, err));
    OB_TRY(ob_job_forward(job, b, err));
    logits = job->exec->logits;
    loss = ob_loss_ce(NULL, logits, b->y, b->n, c, 1, &n_right);
    add_weighted_grad(job->dlogits, logits, b, c, s->weight, room);
    add_entropy_grad(job->dlogits, logits, teacher, b->n, c, s->entropy, room);
    ob_job_backward(job, b, loss, n_right);
    return ob_job_step(job, err);
}

static void round_to_half(struct ob_model *m)
{
    const struct ob_net *n = m->net;
    int normalize[] = { n->node[1].mean, n->node[1].var };

    for (size_t i = 0; i < n->n_params; i++)
        m->w.params[i] = ob_from_half(ob_to_half(m->w.params[i]));
    for (int k = 0; k < n->n_views; k++) {
        const struct ob_view *v = &n->view[k];

        if (v->block != OB_BUFFER || k == normalize[0] || k == normalize[1])
            continue; /* the constants of the images are not of the network */
        for (size_t i = v->offset; i < v->offset + v->size; i++)
            m->w.buffers[i] = ob_from_half(ob_to_half(m->w.buffers[i]));
    }
    ob_model_touch(m);
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct prmq *s = state;
    struct ob_batch retain;
    double *scratch;
    int rc = OB_OK;

    OB_TRY(ob_alloc(scratch, 2 * (size_t)ob_job_n_classes(job), err));
    while (job->step < s->n_steps && ob_job_next_retain(job, &retain))
        OB_GO(train_batch(s, job, &retain, scratch, err));
    if (e == job->common.epochs - 1)
        round_to_half(job->model);
out:
    ob_free(scratch);
    return rc;
}

static void end(void *state, struct ob_job *job)
{
    struct prmq *s = state;

    (void)job;
    ob_free(s->weight);
    s->weight = NULL;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    size_t n = ob_job_batches(job, job->retain);

    out->images = ob_job_round_images(job, job->retain,
                                      (size_t)steps_of(state, job->common.epochs, n));
    out->images_forward = out->images; /* the teacher's */
}

const struct ob_method ob_method_prmq = {
    .name = "prmq",
    .title = "PRMQ, prune, draw anew, match entropies, quantise",
    .cite = "NeurIPS 2023 unlearning challenge; 4th in the port of Cadet et al. 2024",
    .formula = "the share of smallest |w| among weights and biases of convolutions and linear "
               "layers, taken together, <- 0\n"
               "their weights (not biases) that are 0 <- U(+-1 / sqrt(fan-in))\n"
               "loss = sum w_y CE / sum w_y + entropy mean (H(student) - H(teacher))^2 on the "
               "retain set, w_y = n_y^-0.1\n"
               "steps: floor(n (epochs - 1 + last-pass)) + 1, n: batches of an epoch\n"
               "at the end parameters and batch-norm statistics are rounded to half precision",
    .differs = "Known from the port in DeepUnlearn alone. A weight too large for half precision "
               "(65504) ends the run\n"
               "as diverged. The constants that images are normalised with are not rounded. With "
               "epochs=0 nothing\n"
               "is rounded. The forget set is not read.",
    .needs = OB_NEED_RETAIN | OB_NEED_TEACHER | OB_ONE_SHOT,
    .state_size = sizeof(struct prmq),
    .options = options,
    .common = common,
    .room = room,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
