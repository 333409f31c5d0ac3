/*
 * msg.c - MSG: draw anew the weights of convolutions that the forget set hardly moves, then repair.
 *
 *     g = sum over batches of a sample of R of grad CE  -  sum over batches of S of grad CE
 *     per convolution: the n = round(share P_l) weights of smallest |g| <- N(0, 2 / fan_out)
 *     loss = CE(retain batch), gradient of the convolutions' other weights times `rest`
 *
 * The sample has as many examples as S. Batches are forwarded in train mode, the sample first. The
 * factor on a gradient comes before weight decay and momentum. Epoch e of E, from 1, has the rate
 * lr e / A up to A = (E + 1) div 2, then lr (E + 1 - e) / (E + 1 - A).
 */
#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "run/memory.h"
#include "unlearn/job.h"
#include "unlearn/layers.h"
#include "unlearn/magnitude.h"

struct msg {
    double share, rest;
    uint8_t *fresh; /* one byte per parameter: drawn anew */
};

static const struct ob_option options[] = {
    { .name = "share",
      .help = "of each convolution's weights that are drawn anew",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct msg, share),
      .def = 0.3,
      .max = 1,
      .range = "0.3" },
    { .name = "rest",
      .help = "factor on the gradient of their other weights",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct msg, rest),
      .def = 0.1,
      .max = 1,
      .range = "0.1" },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON_OF(5, "5", 0.001, "0.001", 64, 0.9, 5e-4,
                                                        OB_CONSTANT, OB_COMMON_SGD) };

static int check(const void *state, const struct ob_model *m, struct ob_err *err)
{
    (void)state;
    return ob_layer_check_conv(m->net, "'msg'", err);
}

static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    (void)state;
    (void)err;
    need->weights += job->model->net->n_params; /* bytes of `fresh` */
    return OB_OK;
}

/* Adds sign * the sum over batches of the gradient of their mean CE. */
static int add_gradients(struct ob_job *job, const struct ob_ids *ids, float sign, uint32_t own,
                         struct ob_err *err)
{
    struct ob_loader *l;
    struct ob_batch b;
    int rc = OB_OK;

    OB_TRY(ob_job_loader(&l, job, ids, 1, own, err));
    ob_loader_start(l, 0);
    while (ob_loader_next(l, &b)) {
        OB_GO(ob_ctx_stop(job->ctx, err));
        OB_GO(ob_job_add_ce_grad(job, &b, NULL, sign, err));
    }
out:
    ob_loader_free(l);
    return rc;
}

static int measure(struct ob_job *job, struct ob_err *err)
{
    struct ob_ids *sample;
    int rc;

    ob_job_zero_grad(job);
    OB_TRY(ob_job_choose_retain(&sample, job, job->forget->n, err));
    OB_GO(add_gradients(job, sample, 1, 0, err));
    OB_GO(add_gradients(job, job->forget, -1, 1, err));
    for (size_t i = 0; i < job->model->net->n_params; i++)
        if (!isfinite(job->grads[i]))
            rc = ob_fail(err, OB_EDIVERGED, "the gradient is not finite");
out:
    ob_ids_free(sample);
    return rc;
}

/* New values where |g| is smallest. */
static int renew(struct msg *s, struct ob_job *job, int at, struct ob_err *err)
{
    struct ob_model *m = job->model;
    int view = m->net->node[at].weight;
    const struct ob_view *v = &m->net->view[view];
    size_t size, k = (size_t)rint(s->share * (double)v->size); /* halves to even */
    float *w = ob_layer_values(m, view, &size);
    float deviation = (float)sqrt(2 / (double)ob_layer_fan_out(m->net, at));
    struct ob_rng r = ob_rng(job->seed, OB_RNG_REDRAW, 0, (uint32_t)view);

    OB_TRY(
        ob_magnitude_mark(s->fresh + v->offset, job->grads + v->offset, size, k, OB_SMALLEST, err));
    for (size_t i = 0; i < size; i++) {
        float fresh = deviation * ob_rng_normal(&r);

        if (s->fresh[v->offset + i])
            w[i] = fresh;
    }
    return OB_OK;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct msg *s = state;
    const struct ob_net *n = job->model->net;

    OB_TRY(ob_alloc(s->fresh, n->n_params, err));
    OB_TRY(measure(job, err));
    for (int at = -1; (at = ob_layer_next(n, at, OB_LAYER_CONV)) >= 0;)
        OB_TRY(renew(s, job, at, err));
    ob_model_touch(job->model);
    ob_job_set_n_steps(job, (int64_t)ob_job_n_retain_batches(job) * job->common.epochs);
    return OB_OK;
}

static void hold_back(const struct msg *s, struct ob_job *job)
{
    const struct ob_net *n = job->model->net;
    float rest = (float)s->rest;

    for (int at = -1; (at = ob_layer_next(n, at, OB_LAYER_CONV)) >= 0;) {
        const struct ob_view *v = &n->view[n->node[at].weight];

        for (size_t i = v->offset; i < v->offset + v->size; i++)
            job->grads[i] *= s->fresh[i] ? 1 : rest;
    }
}

static double up_and_down(int e, int n)
{
    int top = (n + 1) / 2;

    return e <= top ? (double)e / top : (double)(n + 1 - e) / (n + 1 - top);
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct msg *s = state;
    struct ob_batch retain;

    job->lr_factor = up_and_down(e + 1, job->common.epochs);
    while (ob_job_next_retain(job, &retain)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &retain, NULL, 1.0f, err));
        hold_back(s, job);
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

static void end(void *state, struct ob_job *job)
{
    struct msg *s = state;

    (void)job;
    ob_free(s->fresh);
    s->fresh = NULL;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    size_t f = job->forget->n, r = job->retain->n;

    ob_job_cost_retain(state, job, out);
    out->images += f + (f < r ? f : r); /* both gradients that the mask is made from */
}

const struct ob_method ob_method_msg = {
    .name = "msg",
    .title = "MSG, masked small gradients",
    .cite = "NeurIPS 2023 unlearning challenge; 2nd in the port of Cadet et al. 2024",
    .formula = "g = sum over batches of grad CE of |S| examples of R, minus the same of S\n"
               "in each convolution the share of weights of smallest |g| <- N(0, 2 / fan-out)\n"
               "then loss = CE(retain batch); the gradient of the convolutions' other weights is "
               "times `rest`\n"
               "rate of epoch e = 1 ... E: lr e / A up to A = (E + 1) div 2, then lr (E + 1 - e) / "
               "(E + 1 - A)",
    .differs = "Known from the port in DeepUnlearn alone. Of equal gradients those of lower index "
               "are drawn anew\n"
               "(there it is left open), and biases of convolutions stay (there they are made "
               "anew; its network\n"
               "has none).",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_ONE_SHOT | OB_NEED_CONV,
    .state_size = sizeof(struct msg),
    .options = options,
    .common = common,
    .check = check,
    .room = room,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
