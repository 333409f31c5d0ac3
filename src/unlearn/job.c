/* job.c - what methods are made of: batches, gradients, steps of the optimiser. */
#include "unlearn/job.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "run/memory.h"

enum { STREAM_RETAIN = 1, STREAM_FORGET, STREAM_BOTH, STREAM_OWN = 8 }; /* loaders shuffle apart */

/* by enum ob_common_schedule */
static const char *const schedules[] = { "constant", "linear", "cosine", "cosine" };
static const char *const optimizers[] = { "sgd", "adam", "adamw" };

/* ---- opening and closing ---- */

static bool reads(const struct ob_job *job, unsigned needs)
{
    return (job->method->needs & needs) == needs;
}

int ob_job_most_examples(const struct ob_job *job)
{
    size_t n = job->retain->n + job->forget->n;

    return (size_t)job->common.batch < n ? job->common.batch : (int)n;
}

static int new_loader(struct ob_loader **out, const struct ob_job *job, const struct ob_ids *ids,
                      int shuffle, uint32_t stream, struct ob_err *err)
{
    struct ob_loader_opts o = { .batch = ob_job_most_examples(job),
                                .shuffle = shuffle,
                                .augment = (enum ob_augment)job->common.augment,
                                .seed = job->seed,
                                .stream = stream };

    if ((size_t)o.batch > ids->n)
        o.batch = (int)ids->n;
    return ob_loader_new(out, job->data, OB_TRAIN, ids, &o, err);
}

/* Those that read the retain set, or so much of it. */
static int open_retain(struct ob_job *job, const struct ob_ids *retain, struct ob_err *err)
{
    if (reads(job, OB_NEED_RETAIN))
        OB_TRY(new_loader(&job->retain_loader, job, retain, 1, STREAM_RETAIN, err));
    if (!reads(job, OB_NEED_RETAIN | OB_NEED_FORGET))
        return OB_OK;
    OB_TRY(ob_ids_union(&job->both, retain, job->forget, err));
    return new_loader(&job->both_loader, job, job->both, 1, STREAM_BOTH, err);
}

static void close_retain(struct ob_job *job)
{
    ob_loader_free(job->retain_loader);
    ob_loader_free(job->both_loader);
    ob_ids_free(job->both);
    job->retain_loader = job->both_loader = NULL;
    job->both = NULL;
}

static int open_loaders(struct ob_job *job, struct ob_err *err)
{
    if (reads(job, OB_NEED_FORGET))
        OB_TRY(new_loader(&job->forget_loader, job, job->forget, 1, STREAM_FORGET, err));
    return open_retain(job, job->retain, err);
}

/* One pass an epoch over what the method reads, both sets together if both. */
static void expect_steps(struct ob_job *job)
{
    const struct ob_loader *whole = job->both_loader     ? job->both_loader
                                    : job->retain_loader ? job->retain_loader
                                                         : job->forget_loader;

    ob_job_set_n_steps(job, (int64_t)ob_loader_n_batches(whole) * job->common.epochs);
}

int ob_job_use_retain(struct ob_job *job, const struct ob_ids *ids, struct ob_err *err)
{
    ob_ids_free(job->drawn);
    job->drawn = NULL;
    OB_TRY(ob_ids_new(&job->drawn, ids->id, ids->n, ids->limit, err));
    close_retain(job);
    OB_TRY(open_retain(job, job->drawn, err));
    expect_steps(job);
    return OB_OK;
}

int ob_job_draw_retain(struct ob_job *job, double share, struct ob_err *err)
{
    const struct ob_ids *all = job->retain;
    size_t n = (size_t)floor(share * (double)all->n);
    struct ob_rng r = ob_rng(job->seed, OB_RNG_RETAIN, 0, 0);
    struct ob_ids *some;
    uint32_t *id;
    int rc;

    OB_TRY(ob_alloc(id, all->n, err));
    memcpy(id, all->id, all->n * sizeof(*id));
    ob_rng_shuffle(&r, id, all->n);
    rc = ob_ids_new(&some, id, n ? n : 1, all->limit, err);
    ob_free(id);
    OB_TRY(rc);
    rc = ob_job_use_retain(job, some, err);
    ob_ids_free(some);
    return rc;
}

unsigned obi_job_exec_flags(const struct ob_job *job)
{
    return OB_EXEC_TRAIN | (reads(job, OB_NEED_IMAGES) ? OB_EXEC_INPUT_GRAD : 0u);
}

static int open_images(struct ob_job *job, int batch, struct ob_err *err)
{
    const struct ob_net *net = job->model->net;
    size_t n = (size_t)batch * (size_t)(net->channels * net->height * net->width);

    if (!reads(job, OB_NEED_IMAGES))
        return OB_OK;
    OB_TRY(ob_block_new(&job->dx, n, err));
    return ob_block_new(&job->moved, n, err);
}

static int open_blocks(struct ob_job *job, int batch, struct ob_err *err)
{
    const struct ob_net *net = job->model->net;
    size_t n_logits = (size_t)batch * (size_t)net->n_classes;

    OB_TRY(ob_exec_new(&job->exec, job->ctx, net, batch, obi_job_exec_flags(job), err));
    OB_TRY(open_images(job, batch, err));
    OB_TRY(ob_block_new(&job->grads, net->n_params, err));
    OB_TRY(ob_block_new(&job->dlogits, n_logits, err));
    OB_TRY(ob_alloc(job->labels, (size_t)batch, err));
    if (job->teacher) {
        OB_TRY(ob_exec_new(&job->teacher_exec, job->ctx, net, batch, 0, err));
        OB_TRY(ob_block_new(&job->teacher_logits, n_logits, err));
        OB_TRY(ob_block_new(&job->target, n_logits, err));
    }
    if (!reads(job, OB_NEED_MASK))
        return OB_OK;
    OB_TRY(ob_alloc(job->mask, net->n_params, err));
    memset(job->mask, 1, net->n_params);
    return OB_OK;
}

static size_t batches_of(const struct ob_loader *l)
{
    return l ? ob_loader_n_batches(l) : 0;
}

int ob_job_open(struct ob_job *job, struct ob_err *err)
{
    const struct ob_common *c = &job->common;
    int rc;

    job->cost = (struct ob_cost){ .loss = NAN, .accuracy = NAN };
    job->mode = OB_MODE_TRAIN;
    job->lr_factor = 1;
    if (!job->method->common)
        return OB_OK;
    OB_GO(ob_schedule_parse(&job->schedule, schedules[c->schedule], err));
    OB_GO(open_loaders(job, err));
    if (reads(job, OB_EXTRA_CLASS))
        OB_GO(obi_job_widen(job, err));
    OB_GO(open_blocks(job, ob_job_most_examples(job), err));
    OB_GO(ob_optim_init(&job->optim, job->ctx, optimizers[c->optimizer], job->model->net->n_params,
                        c->momentum, c->weight_decay, err));
    job->optim.mask = job->mask;
    job->progress.n_epochs = c->epochs;
    expect_steps(job);
out:
    if (rc)
        ob_job_close(job);
    return rc;
}

void ob_job_close(struct ob_job *job)
{
    ob_exec_free(job->exec);
    ob_exec_free(job->teacher_exec);
    ob_loader_free(job->forget_loader);
    close_retain(job);
    ob_ids_free(job->drawn);
    ob_optim_release(&job->optim);
    ob_free(job->grads);
    ob_free(job->dlogits);
    ob_free(job->teacher_logits);
    ob_free(job->target);
    ob_free(job->dx);
    ob_free(job->moved);
    obi_job_narrow(job);
    ob_free(job->labels);
    ob_free(job->mask);
    job->exec = job->teacher_exec = NULL;
    job->forget_loader = NULL;
    job->drawn = NULL;
    job->grads = job->dlogits = job->teacher_logits = job->target = NULL;
    job->dx = job->moved = NULL;
    job->labels = NULL;
    job->mask = NULL;
}

/* ---- epochs and batches ---- */

void ob_job_start_epoch(struct ob_job *job, int e)
{
    job->epoch = e;
    job->lr_factor = 1;
    job->loss_sum = 0;
    job->n_seen = job->n_right = 0;
    job->retain_started = job->forget_started = false;
    job->progress.epoch = e;
    job->progress.done = job->progress.total = 0;
    if (job->retain_loader)
        ob_loader_start(job->retain_loader, (uint32_t)e);
    if (job->forget_loader)
        ob_loader_start(job->forget_loader, (uint32_t)e);
    if (job->both_loader)
        ob_loader_start(job->both_loader, (uint32_t)e);
}

int ob_job_end_epoch(struct ob_job *job, struct ob_err *err)
{
    if (job->n_seen) {
        job->cost.loss = job->loss_sum / (double)job->n_seen;
        job->cost.accuracy = (double)job->n_right / (double)job->n_seen;
    }
    return ob_model_check_finite(job->model, err);
}

static void expect_retain(struct ob_job *job)
{
    if (job->retain_loader && !job->retain_started)
        job->progress.total += ob_loader_n(job->retain_loader);
    job->retain_started = true;
}

/* Epochs number the orders; those of second passes come after them all. */
void ob_job_again_retain(struct ob_job *job)
{
    job->retain_started = false;
    ob_loader_start(job->retain_loader, (uint32_t)(job->common.epochs + job->epoch));
}

bool ob_job_next_retain(struct ob_job *job, struct ob_batch *b)
{
    expect_retain(job);
    if (!ob_loader_next(job->retain_loader, b))
        return false;
    job->progress.done += (size_t)b->n;
    return true;
}

void ob_job_wrap_retain(struct ob_job *job, struct ob_batch *b)
{
    ob_loader_start(job->retain_loader, (uint32_t)job->epoch);
    ob_loader_next(job->retain_loader, b);
}

void ob_job_next_retain_on(struct ob_job *job, struct ob_batch *b)
{
    if (job->rounds && ob_loader_next(job->retain_loader, b))
        return;
    ob_loader_start(job->retain_loader, (uint32_t)job->rounds++);
    ob_loader_next(job->retain_loader, b);
}

bool ob_job_next_forget_once(struct ob_job *job, struct ob_batch *b)
{
    if (!job->forget_started)
        job->progress.total += job->forget->n;
    job->forget_started = true;
    expect_retain(job); /* that pass comes as well */
    if (!ob_loader_next(job->forget_loader, b))
        return false;
    job->progress.done += (size_t)b->n;
    return true;
}

void ob_job_next_forget(struct ob_job *job, struct ob_batch *b)
{
    if (ob_loader_next(job->forget_loader, b))
        return;
    ob_loader_start(job->forget_loader, (uint32_t)job->epoch);
    ob_loader_next(job->forget_loader, b);
}

bool ob_job_next_both(struct ob_job *job, struct ob_batch *b)
{
    job->progress.total = job->both->n;
    if (!ob_loader_next(job->both_loader, b))
        return false;
    job->progress.done += (size_t)b->n;
    return true;
}

/* ---- gradients ---- */

void ob_job_zero_grad(struct ob_job *job)
{
    job->ctx->backend->fill(job->ctx, job->grads, job->model->net->n_params, 0.0f);
}

void obi_job_count(struct ob_job *job, int n, double loss, int n_right)
{
    job->cost.images += (uint64_t)n;
    job->n_seen += (uint64_t)n;
    job->n_right += (uint64_t)n_right;
    job->loss_sum += loss * n;
}

int ob_job_forward(struct ob_job *job, const struct ob_batch *b, struct ob_err *err)
{
    size_t bytes = (size_t)b->n * (size_t)ob_job_n_classes(job) * sizeof(float);

    OB_TRY(ob_exec_forward(job->exec, &job->model->w, b->x, b->n, job->mode, err));
    memset(job->dlogits, 0, bytes);
    return OB_OK;
}

void ob_job_backward(struct ob_job *job, const struct ob_batch *b, double loss, int n_right)
{
    ob_exec_backward(job->exec, &job->model->w, job->dlogits, job->grads, NULL);
    obi_job_count(job, b->n, loss, n_right);
}

int ob_job_add_ce_grad(struct ob_job *job, const struct ob_batch *b, const int32_t *y, float scale,
                       struct ob_err *err)
{
    int c = ob_job_n_classes(job), n_right;
    double loss;

    OB_TRY(ob_job_forward(job, b, err));
    loss = ob_loss_ce(job->dlogits, job->exec->logits, y ? y : b->y, b->n, c, scale, &n_right);
    ob_job_backward(job, b, loss, n_right);
    return OB_OK;
}

int ob_job_add_ascent_grad(struct ob_job *job, const struct ob_batch *b, float scale,
                           double ceiling, struct ob_err *err)
{
    struct ob_model *m = job->model;
    int c = m->net->n_classes, n_right = 0;
    double loss = 0;

    OB_TRY(ob_exec_forward(job->exec, &m->w, b->x, b->n, job->mode, err));
    memset(job->dlogits, 0, (size_t)b->n * (size_t)c * sizeof(float));
    for (int i = 0; i < b->n; i++) {
        const float *z = job->exec->logits + (size_t)i * (size_t)c;
        double own = ob_loss_ce(NULL, z, b->y + i, 1, c, 1, NULL);

        if (ceiling == 0 || own < ceiling)
            ob_loss_ce(job->dlogits + (size_t)i * (size_t)c, z, b->y + i, 1, c,
                       -scale / (float)b->n, NULL);
        loss += own / b->n;
        n_right += ob_argmax(z, c) == b->y[i];
    }
    ob_exec_backward(job->exec, &m->w, job->dlogits, job->grads, NULL);
    obi_job_count(job, b->n, loss, n_right);
    return OB_OK;
}

void ob_job_add_l1_grad(struct ob_job *job, float alpha)
{
    struct ob_model *m = job->model;

    job->ctx->backend->add_sign(job->ctx, job->grads, m->w.params, m->net->n_params, alpha);
}

void ob_job_add_distance_grad(struct ob_job *job, const float *from, float weight)
{
    const struct ob_backend *b = job->ctx->backend;
    size_t n = job->model->net->n_params;

    b->axpy(job->ctx, job->grads, job->model->w.params, n, 2 * weight);
    b->axpy(job->ctx, job->grads, from, n, -2 * weight);
}

void ob_job_mask_gradients(struct ob_job *job)
{
    job->gradients_masked = true;
    job->optim.mask = NULL;
}

/* What the rate is for the next step. */
static double scheduled_rate(const struct ob_job *job)
{
    const struct ob_common *c = &job->common;
    double lr = c->lr * job->lr_factor;

    if (c->schedule == OB_COSINE_EPOCH)
        return ob_schedule_at(&job->schedule, lr, job->epoch, c->epochs);
    return ob_schedule_at(&job->schedule, lr, job->step, job->n_steps);
}

int ob_job_step_beside(struct ob_job *job, struct ob_err *err)
{
    return ob_job_step_by(job, &job->optim, scheduled_rate(job), err);
}

int ob_job_step(struct ob_job *job, struct ob_err *err)
{
    OB_TRY(ob_job_step_beside(job, err));
    job->step++;
    return OB_OK;
}

int ob_job_step_by(struct ob_job *job, struct ob_optim *o, double lr, struct ob_err *err)
{
    struct ob_model *m = job->model;

    OB_TRY(ob_ctx_stop(job->ctx, err));
    for (size_t i = 0; job->gradients_masked && i < m->net->n_params; i++)
        job->grads[i] = job->mask[i] ? job->grads[i] : 0;
    ob_optim_step(o, m->w.params, job->grads, lr);
    ob_model_touch(m);
    job->progress.loss = job->n_seen ? job->loss_sum / (double)job->n_seen : NAN;
    job->progress.accuracy = job->n_seen ? (double)job->n_right / (double)job->n_seen : NAN;
    ob_progress(job->ctx, &job->progress);
    return OB_OK;
}

void ob_job_reset_optimizer(struct ob_job *job)
{
    struct ob_optim *o = &job->optim;

    job->ctx->backend->fill(job->ctx, o->m, o->n, 0);
    if (o->v)
        job->ctx->backend->fill(job->ctx, o->v, o->n, 0);
    o->n_steps = 0;
}

int ob_job_loader(struct ob_loader **out, const struct ob_job *job, const struct ob_ids *ids,
                  int shuffle, uint32_t own, struct ob_err *err)
{
    return new_loader(out, job, ids, shuffle, STREAM_OWN + own, err);
}

int ob_job_choose_retain(struct ob_ids **out, const struct ob_job *job, size_t n,
                         struct ob_err *err)
{
    const struct ob_ids *all = job->retain;
    struct ob_rng r = ob_rng(job->seed, OB_RNG_CHOOSE, 0, 0);
    uint32_t *id;
    int rc;

    OB_TRY(ob_alloc(id, all->n, err));
    memcpy(id, all->id, all->n * sizeof(*id));
    ob_rng_shuffle(&r, id, all->n);
    rc = ob_ids_new(out, id, n < all->n ? n : all->n, all->limit, err);
    ob_free(id);
    return rc;
}

void ob_job_count_classes(size_t *count, const struct ob_job *job)
{
    memset(count, 0, (size_t)ob_job_n_classes(job) * sizeof(*count));
    for (size_t i = 0; i < job->retain->n; i++)
        count[ob_data_label(job->data, OB_TRAIN, job->retain->id[i])]++;
}

int ob_job_epoch_retain(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct ob_batch retain;

    (void)state;
    (void)e;
    while (ob_job_next_retain(job, &retain)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &retain, NULL, 1.0f, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

/* ---- what methods ask and say ---- */

void ob_job_report(struct ob_job *job, const char *json)
{
    if (strlen(json) < sizeof(job->report))
        memcpy(job->report, json, strlen(json) + 1);
}

int ob_job_n_classes(const struct ob_job *job)
{
    return job->model->net->n_classes;
}

size_t ob_job_n_retain_batches(const struct ob_job *job)
{
    return batches_of(job->retain_loader);
}

size_t ob_job_n_forget_batches(const struct ob_job *job)
{
    return batches_of(job->forget_loader);
}

size_t ob_job_n_both_batches(const struct ob_job *job)
{
    return batches_of(job->both_loader);
}

void ob_job_set_n_steps(struct ob_job *job, int64_t n)
{
    job->n_steps = n;
}
