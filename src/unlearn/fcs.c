/*
 * fcs.c - FCS: flatten the forget set's outputs, then make them alike to every retained example's.
 *
 *     first, one pass over S:  loss = KL(1/C || softmax(z)),                        rate lr-uniform
 *     each round, over S beside batches of R:  M = z_S z_R^T / T,
 *         loss = mean over all entries of -log softmax(M) along R,                  rate lr-forget
 *     then one pass over R:  loss = CE,                                             rate lr
 *
 * z are the raw logits; z_R counts as constant. Three optimisers over all weights, each with a
 * momentum of its own and the first two without weight decay; lr-forget falls by a cosine over the
 * steps of all rounds to 1e-6. The pass over S ends early where R has fewer batches. Retained
 * batches are forwarded first, in train mode.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "run/memory.h"
#include "unlearn/job.h"

#define FLOOR 1e-6

struct fcs {
    double lr_uniform, lr_forget, temperature;
    struct ob_optim optim;    /* of the forget part */
    struct ob_loader *beside; /* batches of R in it */
    float *z_r;               /* their logits */
    double *row;              /* a row of M */
    int64_t step;
};

static const struct ob_option options[] = {
    { .name = "lr-uniform",
      .help = "learning rate of the first pass over the forget set",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct fcs, lr_uniform),
      .def = 0.005,
      .min = 1e-12,
      .max = 1e6,
      .range = "0.005" },
    { .name = "lr-forget",
      .help = "of the forget set's passes in the rounds",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct fcs, lr_forget),
      .def = 3e-4,
      .min = 1e-12,
      .max = 1e6,
      .range = "3e-4" },
    { .name = "temperature",
      .help = "divides the products of logits",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct fcs, temperature),
      .def = 1.15,
      .min = 0.001,
      .max = 1000,
      .range = "1.15" },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON_OF(
    8, "8 rounds", 0.004, "0.001 batch / 64", 256, 0.9, 1e-2, OB_CONSTANT, OB_COMMON_SGD) };

static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    (void)state;
    (void)err;
    ob_memory_add_weights(need, job->model->net, 1, 0);
    ob_memory_add_batch(need, job->model->net, job->common.batch, 3);
    return OB_OK;
}

/* ---- the first pass ---- */

/* Adds d/dlogits of KL(1/C || softmax): (p - 1/C) / n. */
static void add_uniform_grad(float *d, const float *z, int n, int c, double *p)
{
    for (int i = 0; i < n; i++, d += c, z += c) {
        ob_softmax(p, z, c);
        for (int k = 0; k < c; k++)
            d[k] += (float)((p[k] - 1.0 / c) / n);
    }
}

static int flatten(struct fcs *s, struct ob_job *job, struct ob_loader *l, double *p,
                   struct ob_err *err)
{
    int c = ob_job_n_classes(job), n_right;
    struct ob_batch b;
    double loss;

    ob_loader_start(l, 0);
    while (ob_loader_next(l, &b)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_forward(job, &b, err));
        loss = ob_loss_ce(NULL, job->exec->logits, b.y, b.n, c, 1, &n_right);
        add_uniform_grad(job->dlogits, job->exec->logits, b.n, c, p);
        ob_job_backward(job, &b, loss, n_right);
        OB_TRY(ob_job_step_by(job, &s->optim, s->lr_uniform, err));
    }
    return ob_model_check_finite(job->model, err);
}

static int new_optimizer(struct fcs *s, struct ob_job *job, struct ob_err *err)
{
    ob_optim_release(&s->optim);
    return ob_optim_init(&s->optim, job->ctx, "sgd", job->model->net->n_params,
                         job->common.momentum, 0, err);
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct fcs *s = state;
    size_t c = (size_t)ob_job_n_classes(job), batch = (size_t)job->common.batch;
    size_t n = batch < job->retain->n ? batch : job->retain->n;
    struct ob_loader *l;
    double *p;
    int rc;

    OB_TRY(ob_job_loader(&s->beside, job, job->retain, 1, 0, err));
    OB_TRY(ob_block_new(&s->z_r, n * c, err));
    OB_TRY(ob_alloc(s->row, n, err));
    OB_TRY(new_optimizer(s, job, err));
    OB_TRY(ob_job_loader(&l, job, job->forget, 1, 1, err));
    OB_GO(ob_alloc(p, c, err));
    rc = flatten(s, job, l, p, err);
    ob_free(p);
out:
    ob_loader_free(l);
    OB_TRY(rc);
    ob_job_set_n_steps(job, (int64_t)ob_job_n_retain_batches(job) * job->common.epochs);
    return new_optimizer(s, job, err);
}

/* ---- the rounds ---- */

/* Adds d/dz_S of the mean of -log softmax(z_S z_R^T / T) along R: row i gets
 * sum_j (n_r q_ij - 1) z_Rj / (n n_r T), q a row of the softmax. */
static void add_contrast_grad(float *d, const float *z, int n, const float *z_r, int n_r, int c,
                              double t, double *row)
{
    for (int i = 0; i < n; i++, d += c, z += c) {
        double top = -INFINITY, whole = 0;

        for (int j = 0; j < n_r; j++) {
            row[j] = 0;
            for (int k = 0; k < c; k++)
                row[j] += (double)z[k] * z_r[j * c + k] / t;
            top = row[j] > top ? row[j] : top;
        }
        for (int j = 0; j < n_r; j++)
            whole += row[j] = exp(row[j] - top);
        for (int j = 0; j < n_r; j++) {
            double share = (n_r * row[j] / whole - 1) / ((double)n * n_r * t);

            for (int k = 0; k < c; k++)
                d[k] += (float)(share * z_r[j * c + k]);
        }
    }
}

static double forget_rate(const struct fcs *s, const struct ob_job *job)
{
    double total = (double)ob_job_n_forget_batches(job) * job->common.epochs;
    double low = s->lr_forget < FLOOR ? s->lr_forget : FLOOR;

    return low +
           (s->lr_forget - low) * (1 + cos(3.14159265358979323846 * (double)s->step / total)) / 2;
}

static int push_together(struct fcs *s, struct ob_job *job, const struct ob_batch *forget,
                         const struct ob_batch *retain, struct ob_err *err)
{
    int c = ob_job_n_classes(job), n_right;
    double loss;

    OB_TRY(ob_job_forward(job, retain, err));
    job->cost.images_forward += (uint64_t)retain->n;
    memcpy(s->z_r, job->exec->logits, (size_t)retain->n * (size_t)c * sizeof(float));
    ob_job_zero_grad(job);
    OB_TRY(ob_job_forward(job, forget, err));
    loss = ob_loss_ce(NULL, job->exec->logits, forget->y, forget->n, c, 1, &n_right);
    add_contrast_grad(job->dlogits, job->exec->logits, forget->n, s->z_r, retain->n, c,
                      s->temperature, s->row);
    ob_job_backward(job, forget, loss, n_right);
    OB_TRY(ob_job_step_by(job, &s->optim, forget_rate(s, job), err));
    s->step++;
    return OB_OK;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct fcs *s = state;
    struct ob_batch forget, retain;

    ob_loader_start(s->beside, (uint32_t)e);
    while (ob_job_next_forget_once(job, &forget) && ob_loader_next(s->beside, &retain))
        OB_TRY(push_together(s, job, &forget, &retain, err));
    return ob_job_epoch_retain(state, job, e, err);
}

static void end(void *state, struct ob_job *job)
{
    struct fcs *s = state;

    (void)job;
    ob_optim_release(&s->optim);
    ob_loader_free(s->beside);
    ob_free(s->z_r);
    ob_free(s->row);
    s->beside = NULL;
    s->z_r = NULL;
    s->row = NULL;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    uint64_t rounds = (uint64_t)job->common.epochs;
    size_t f = ob_job_batches(job, job->forget), r = ob_job_batches(job, job->retain);
    size_t n = f < r ? f : r;

    (void)state;
    out->images = job->forget->n +
                  rounds * (ob_job_round_images(job, job->forget, n) + job->retain->n);
    out->images_forward = rounds * ob_job_round_images(job, job->retain, n);
}

const struct ob_method ob_method_fcs = {
    .name = "fcs",
    .title = "FCS, flatten, contrast, repair",
    .cite = "NeurIPS 2023 unlearning challenge, Fanchuan; 1st in the port of Cadet et al. 2024",
    .formula = "first, one pass over S:   loss = KL(1/C || softmax(z)) at lr-uniform\n"
               "each round, S beside R:   M = z_S z_R^T / temperature, z the logits, z_R constant\n"
               "                          loss = mean over all entries of -log softmax(M) along R, "
               "at lr-forget\n"
               "then one pass over R:     loss = CE(retain batch) at lr\n"
               "three SGD optimisers, the first two without weight decay; lr-forget falls by a "
               "cosine per step to 1e-6\n"
               "epochs: rounds",
    .differs =
        "The port in DeepUnlearn and the author's account agree on the loss; batches of 64 "
        "forget examples\n"
        "in the contest, here one `batch` for both sets as in the port. Retained batches go "
        "through the network\n"
        "before those of S, which matters to running statistics alone. Whether it came first "
        "or second in the\n"
        "contest is told in both ways. lr does not follow batch.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_ONE_SHOT,
    .state_size = sizeof(struct fcs),
    .options = options,
    .common = common,
    .room = room,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
