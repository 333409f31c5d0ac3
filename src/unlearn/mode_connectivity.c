/*
 * mode_connectivity.c - fine-tuning off the straight path of low loss to the original model.
 *
 *     loss = CE(retain batch; theta) + weight max(-CE(retain and forget batch; mid), -bound)
 *     mid = (theta + theta_o) / 2
 *
 * (Siddiqui et al. 2025, after Lubana et al. 2023.) theta_o is the model that the plan starts from,
 * in every step of it. The gradient flows through theta alone, so the second term's is half of that
 * at mid. Running statistics are averaged too; those of the pass at mid are dropped.
 */
#include <string.h>

#include "base/mem.h"
#include "run/memory.h"
#include "unlearn/job.h"

struct mode_connectivity {
    double weight, bound;
    struct ob_model *mid;
    struct ob_exec *exec; /* for a retain and a forget batch as one */
    float *x, *grads, *dlogits;
    int32_t *y;
};

static const struct ob_option options[] = {
    { .name = "weight",
      .help = "weight of the loss half way",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct mode_connectivity, weight),
      .def = 0.001,
      .max = 1e6,
      .range = "0.001" },
    { .name = "bound",
      .help = "loss half way from which on it is high enough",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct mode_connectivity, bound),
      .def = 50,
      .max = 1e6,
      .range = "50" },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON_AS(100, "100", 1e-5, "1e-5", 128, 0,
                                                        OB_COMMON_ADAM) };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Examples of a retain and a forget batch together. */
static int both_batches(const struct ob_job *job)
{
    size_t batch = (size_t)job->common.batch;

    return (int)(least(batch, job->retain->n) + least(batch, job->forget->n));
}

static size_t image_floats(const struct ob_job *job)
{
    const struct ob_net *net = job->model->net;

    return (size_t)(net->channels * net->height * net->width);
}

static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    const struct ob_net *net = job->model->net;
    int batch = both_batches(job);

    (void)state;
    OB_TRY(ob_memory_add_exec(need, job->ctx, net, batch, OB_EXEC_TRAIN, err));
    ob_memory_add_weights(need, net, 1, 1);
    ob_memory_add_batch(need, net, batch, 1);
    return OB_OK;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct mode_connectivity *s = state;
    const struct ob_net *net = job->model->net;
    int batch = both_batches(job);
    size_t n = (size_t)batch;

    ob_job_set_n_steps(job, (int64_t)ob_job_n_retain_batches(job) * job->common.epochs);
    OB_TRY(ob_model_clone(&s->mid, job->model, err));
    OB_TRY(ob_exec_new(&s->exec, job->ctx, net, batch, OB_EXEC_TRAIN, err));
    OB_TRY(ob_block_new(&s->x, n * image_floats(job), err));
    OB_TRY(ob_block_new(&s->grads, net->n_params, err));
    OB_TRY(ob_block_new(&s->dlogits, n * (size_t)net->n_classes, err));
    return ob_alloc(s->y, n, err);
}

static void end(void *state, struct ob_job *job)
{
    struct mode_connectivity *s = state;

    (void)job;
    ob_exec_free(s->exec);
    ob_model_free(s->mid);
    ob_free(s->x);
    ob_free(s->grads);
    ob_free(s->dlogits);
    ob_free(s->y);
}

/* Two batches as one. */
static int join(struct mode_connectivity *s, const struct ob_job *job, const struct ob_batch *a,
                const struct ob_batch *b)
{
    size_t image = image_floats(job), n = (size_t)a->n;

    memcpy(s->x, a->x, n * image * sizeof(float));
    memcpy(s->x + n * image, b->x, (size_t)b->n * image * sizeof(float));
    memcpy(s->y, a->y, n * sizeof(*s->y));
    memcpy(s->y + n, b->y, (size_t)b->n * sizeof(*s->y));
    return a->n + b->n;
}

/* Adds the gradient of weight max(-CE at mid, -bound). */
static int add_mid_grad(struct mode_connectivity *s, struct ob_job *job, int n, struct ob_err *err)
{
    const struct ob_backend *k = job->ctx->backend;
    int c = job->model->net->n_classes;
    size_t n_params = job->model->net->n_params;
    double loss;

    ob_job_average(job, s->mid, job->model, job->first);
    OB_TRY(ob_exec_forward(s->exec, &s->mid->w, s->x, n, OB_MODE_TRAIN, err));
    memset(s->dlogits, 0, (size_t)n * (size_t)c * sizeof(float));
    loss = ob_loss_ce(s->dlogits, s->exec->logits, s->y, n, c, (float)(-s->weight), NULL);
    job->cost.images += (uint64_t)n;
    if (loss >= s->bound)
        return OB_OK;
    k->fill(job->ctx, s->grads, n_params, 0.0f);
    ob_exec_backward(s->exec, &s->mid->w, s->dlogits, s->grads, NULL);
    k->axpy(job->ctx, job->grads, s->grads, n_params, 0.5f);
    return OB_OK;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct mode_connectivity *s = state;
    struct ob_batch retain, forget;

    (void)e;
    while (ob_job_next_retain(job, &retain)) {
        ob_job_next_forget(job, &forget);
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &retain, NULL, 1.0f, err));
        OB_TRY(add_mid_grad(s, job, join(s, job, &retain, &forget), err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    uint64_t forget = ob_job_round_images(job, job->forget, ob_job_batches(job, job->retain));

    (void)state;
    out->images = (uint64_t)job->common.epochs * (2 * job->retain->n + forget);
}

const struct ob_method ob_method_mode_connectivity = {
    .name = "mode-connectivity",
    .title = "fine-tuning off the path to the original",
    .cite = "Siddiqui et al. 2025",
    .formula =
        "loss = CE(retain batch; theta) + weight max(-CE(retain and forget batch; mid), -bound)\n"
        "mid = (theta + theta_o) / 2; the gradient flows through theta alone\n"
        "theta_o: the model that the plan starts from, in every step",
    .differs =
        "The released code takes 100 passes over all examples' worth of batches, with flips\n"
        "and shifts; here an epoch is one pass over the retain set, the forget set beside\n"
        "it round and round, and augment=crop-flip adds those (with zeros at the edge, there its\n"
        "reflection).",
    .limits = "It watches one point of one path back to the original. No guarantee.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_NEED_FIRST,
    .state_size = sizeof(struct mode_connectivity),
    .options = options,
    .common = common,
    .room = room,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
