/* train.c - the training loop: batches, loss, events, optimiser, checkpoints. */
#include "run/train.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/ranks.h"
#include "run/checkpoint.h"
#include "run/divide.h"
#include "run/memory.h"
#include "run/provenance.h"
#include "run/recipe.h"

struct training {
    struct ob_ctx *ctx;
    struct ob_model *model;
    const struct ob_train_opts *opts;
    const struct ob_recipe *recipe;
    const struct ob_train_part *part; /* or NULL */
    struct ob_ranks *ranks;           /* NULL: one process */
    int most_threads;
    struct ob_divided divided; /* where batches are taken in sub-batches */
    struct ob_schedule schedule;
    struct ob_loader *loader;
    struct ob_exec *exec;
    struct ob_optim optim;
    struct ob_events *events;
    float *grads, *dlogits;
    char *settings; /* what a checkpoint must agree on */
    struct ob_cost *cost;
    int epoch;    /* epochs done */
    int end;      /* and to do, in all */
    size_t batch; /* batches done of the next epoch; right answers and losses in those */
    size_t n_right;
    double loss_sum;
};

static void release(struct training *t)
{
    ob_loader_free(t->loader);
    ob_divided_release(&t->divided);
    ob_exec_free(t->exec);
    ob_optim_release(&t->optim);
    ob_events_free(t->events);
    ob_free(t->grads);
    ob_free(t->dlogits);
    free(t->settings);
}

static int settings_text(struct training *t, const struct ob_data *d, const struct ob_ids *use,
                         struct ob_err *err)
{
    char recipe[400], start[65], used[65];
    struct ob_hash h;
    json_t *o;

    OB_TRY(ob_recipe_text(recipe, sizeof(recipe), t->recipe, err));
    OB_TRY(ob_model_digest(t->model, start, err));
    ob_hash_init(&h);
    for (size_t i = 0; i < use->n; i++)
        ob_hash_u64(&h, use->id[i]);
    ob_hash_hex(&h, used);
    o = json_loads(recipe, 0, NULL);
    if (o) {
        json_object_set_new(o, "seed", json_integer((json_int_t)t->opts->seed));
        json_object_set_new(o, "arch", json_string(t->model->net->arch));
        json_object_set_new(o, "start", json_string(start));
        json_object_set_new(o, "data", json_string(d->info.hash));
        json_object_set_new(o, "examples", json_string(used));
        json_object_set_new(o, "events", json_boolean(t->opts->events != NULL));
        json_object_set_new(o, "backend", json_string(t->ctx->backend->name));
        json_object_set_new(o, "isa", json_string(t->ctx->arithmetic));
        if (t->part)
            json_object_set_new(o, "part", json_pack("[i,i]", t->part->first, t->part->end));
        t->settings = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
        json_decref(o);
    }
    return t->settings ? OB_OK : ob_fail(err, OB_ENOMEM, "out of memory");
}

static int record_events(struct training *t, const struct ob_data *d, const struct ob_ids *use,
                         struct ob_err *err)
{
    OB_TRY(ob_events_new(&t->events, use, d->ex[OB_TRAIN].n, err));
    memcpy(t->events->data, d->info.hash, sizeof(t->events->data));
    return OB_OK;
}

/* Examples that go through the network together. */
static int together(const struct training *t, int batch)
{
    int sub = t->recipe->sub_batch;

    return sub && sub < batch ? sub : batch;
}

static bool resumes(const struct training *t)
{
    return t->opts->checkpoint && t->opts->resume && ob_file_exists(t->opts->checkpoint);
}

/* A checkpoint is in memory as a whole while it is read; activations and gradients, which come after
 * it, can take its place. */
static void add_checkpoint(struct ob_memory *need, const struct training *t)
{
    size_t file = resumes(t) ? ob_file_size(t->opts->checkpoint) : 0;
    size_t after = need->activations + t->model->net->n_params * sizeof(float);

    need->rest += file > after ? file - after : 0;
}

/* Before anything is taken. */
static int check_room(struct training *t, const struct ob_ids *use, int batch, struct ob_err *err)
{
    const struct ob_net *net = t->model->net;
    size_t blocks = strcmp(t->recipe->optimizer, "sgd") ? 3 : 2; /* gradients, moments */
    struct ob_memory need = { 0 };

    OB_TRY(ob_memory_add_exec(&need, t->ctx, net, together(t, batch), OB_EXEC_TRAIN, err));
    if (t->recipe->sub_batch)
        ob_divided_memory(&need, net, t->ranks, together(t, batch));
    ob_memory_add_weights(&need, net, blocks, 0);
    ob_memory_add_batch(&need, net, batch, 1);
    if (t->opts->events)
        need.rest += use->n * OB_EVENT_BYTES;
    add_checkpoint(&need, t);
    return ob_memory_check(&need, t->ctx, batch, "training", err);
}

static void copy_optim(struct ob_optim *to, const struct ob_optim *from)
{
    memcpy(to->m, from->m, to->n * sizeof(*to->m));
    if (to->v)
        memcpy(to->v, from->v, to->n * sizeof(*to->v));
    to->n_steps = from->n_steps;
}

/* What the training has of its own between two batches, as a checkpoint keeps it. */
static int prepare_state(struct training *t, const struct ob_data *d, const struct ob_ids *use,
                         int batch, struct ob_err *err)
{
    const struct ob_recipe *r = t->recipe;
    struct ob_loader_opts lo = { .batch = batch, .shuffle = 1, .seed = t->opts->seed };

    OB_TRY(ob_schedule_parse(&t->schedule, r->schedule, err));
    OB_TRY(ob_augment_parse(r->augment, &lo.augment, err));
    OB_TRY(check_room(t, use, batch, err));
    OB_TRY(ob_loader_new(&t->loader, d, t->opts->part, use, &lo, err));
    OB_TRY(ob_optim_init(&t->optim, t->ctx, r->optimizer, t->model->net->n_params, r->momentum,
                         r->weight_decay, err));
    if (t->opts->events)
        OB_TRY(record_events(t, d, use, err));
    t->end = r->epochs;
    if (t->part) {
        t->epoch = t->part->first;
        t->end = t->part->end;
        copy_optim(&t->optim, t->part->optim);
    }
    return OB_OK;
}

static int restore(struct training *t, struct ob_err *err)
{
    struct ob_checkpoint c = { .settings = t->settings,
                               .model = t->model,
                               .optim = &t->optim,
                               .events = t->events,
                               .cost = t->cost,
                               .n_epochs = t->end,
                               .n_batches = ob_loader_n_batches(t->loader) };

    if (!resumes(t))
        return OB_OK;
    OB_TRY(ob_checkpoint_read(&c, t->opts->checkpoint, err));
    t->epoch = c.epoch;
    t->batch = c.batch;
    t->n_right = c.n_right;
    t->loss_sum = c.loss_sum;
    ob_log(t->ctx, OB_LOG_INFO, "going on after epoch %d of %d ('%s')", c.epoch, t->recipe->epochs,
           t->opts->checkpoint);
    return OB_OK;
}

/* What each batch writes anew. */
static int prepare_work(struct training *t, int batch, struct ob_err *err)
{
    const struct ob_net *net = t->model->net;

    t->most_threads = t->ctx->n_threads;
    OB_TRY(ob_exec_new(&t->exec, t->ctx, net, together(t, batch), OB_EXEC_TRAIN, err));
    if (t->recipe->sub_batch)
        OB_TRY(ob_divided_init(&t->divided, t->exec, t->ranks, together(t, batch), err));
    OB_TRY(ob_block_new(&t->grads, net->n_params, err));
    return ob_block_new(&t->dlogits, (size_t)batch * (size_t)net->n_classes, err);
}

/* The checkpoint is read, and let go of, before the large blocks are taken. */
static int prepare(struct training *t, const struct ob_data *d, const struct ob_ids *use,
                   struct ob_err *err)
{
    int batch = (size_t)t->recipe->batch < use->n ? t->recipe->batch : (int)use->n;

    OB_TRY(prepare_state(t, d, use, batch, err));
    OB_TRY(restore(t, err));
    return prepare_work(t, batch, err);
}

/* Forward, loss, backward of one batch: its gradient. */
static int derive(struct training *t, const struct ob_batch *b, double *loss, int *right,
                  struct ob_err *err)
{
    const struct ob_backend *k = t->ctx->backend;
    struct ob_model *m = t->model;
    int c = m->net->n_classes;

    if (t->recipe->sub_batch)
        return ob_divided_step(&t->divided, m, b, t->grads, t->events, loss, right, err);
    OB_TRY(ob_exec_forward(t->exec, &m->w, b->x, b->n, OB_MODE_TRAIN, err));
    if (t->events)
        ob_events_add(t->events, b, t->exec->logits, c);
    memset(t->dlogits, 0, (size_t)b->n * (size_t)c * sizeof(float));
    *loss = ob_loss_ce(t->dlogits, t->exec->logits, b->y, b->n, c, 1.0f, right);
    k->fill(t->ctx, t->grads, m->net->n_params, 0.0f);
    ob_exec_backward(t->exec, &m->w, t->dlogits, t->grads, NULL);
    return OB_OK;
}

static int learn(struct training *t, const struct ob_batch *b, double lr, double *loss, int *right,
                 struct ob_err *err)
{
    OB_TRY(derive(t, b, loss, right, err));
    ob_optim_step(&t->optim, t->model->w.params, t->grads, lr);
    ob_model_touch(t->model);
    return OB_OK;
}

static int save(struct training *t, struct ob_err *err)
{
    struct ob_checkpoint c = { .settings = t->settings,
                               .model = t->model,
                               .optim = &t->optim,
                               .events = t->events,
                               .cost = t->cost,
                               .epoch = t->epoch,
                               .batch = t->batch,
                               .n_right = t->n_right,
                               .loss_sum = t->loss_sum };

    return t->opts->checkpoint && !ob_ranks_me(t->ranks)
               ? ob_checkpoint_write(&c, t->opts->checkpoint, err)
               : OB_OK;
}

/* A bank's model takes the threads that others have no more use for; no byte depends on it. */
static void take_threads(struct training *t)
{
    int n;

    if (!t->ctx->threads_now)
        return;
    n = t->ctx->threads_now(t->ctx->threads_arg);
    t->exec->n_threads = t->ctx->n_threads = n < t->most_threads ? n : t->most_threads;
}

/* The batches that are left of this epoch. */
static int batches(struct training *t, size_t *n_seen, struct ob_err *err)
{
    double lr = ob_schedule_at(&t->schedule, t->recipe->lr, t->epoch, t->recipe->epochs);
    struct ob_progress p = { .task = "train",
                             .epoch = t->epoch,
                             .n_epochs = t->recipe->epochs,
                             .total = ob_loader_n(t->loader) };
    struct ob_batch b;

    ob_loader_start(t->loader, (uint32_t)t->epoch);
    for (size_t i = 0; ob_loader_next(t->loader, &b); i++) {
        double loss;
        int right;

        p.done += (size_t)b.n;
        if (i < t->batch)
            continue; /* done before the interruption */
        OB_TRY(ob_ranks_agree(t->ranks, ob_ctx_stop(t->ctx, err), err));
        take_threads(t);
        OB_TRY(learn(t, &b, lr, &loss, &right, err));
        t->batch++;
        t->loss_sum += loss * b.n;
        t->n_right += (size_t)right;
        t->cost->images += (size_t)b.n;
        p.loss = t->loss_sum / (double)p.done;
        p.accuracy = (double)t->n_right / (double)p.done;
        ob_progress(t->ctx, &p);
    }
    *n_seen = p.done;
    return OB_OK;
}

static int one_epoch(struct training *t, struct ob_err *err)
{
    size_t n;
    int rc = batches(t, &n, err);

    if (rc == OB_ECANCELLED)
        save(t, NULL); /* being interrupted is what we report, also where this fails */
    OB_TRY(rc);
    OB_TRY(ob_model_check_finite(t->model, err));
    t->cost->loss = t->loss_sum / (double)n;
    t->cost->accuracy = (double)t->n_right / (double)n;
    t->epoch++;
    t->batch = t->n_right = 0;
    t->loss_sum = 0;
    if (t->events)
        t->events->epochs = t->epoch;
    return OB_OK;
}

static int epochs(struct training *t, struct ob_err *err)
{
    int every = t->opts->checkpoint_every > 0 ? t->opts->checkpoint_every : 1, waited = 0;
    double best = INFINITY;

    while (t->epoch < t->end && (!t->opts->patience || waited < t->opts->patience)) {
        OB_TRY(one_epoch(t, err));
        waited = t->cost->loss < best ? 0 : waited + 1;
        best = fmin(best, t->cost->loss);
        if (t->opts->on_epoch)
            t->opts->on_epoch(t->opts->arg, t->epoch - 1, t->cost->loss, t->cost->accuracy);
        if (t->epoch % every == 0 || t->epoch == t->end)
            OB_TRY(ob_ranks_agree(t->ranks, save(t, err), err));
    }
    return OB_OK;
}

int ob_train_record(struct ob_model *m, const struct ob_data *d, const struct ob_split *split,
                    const struct ob_recipe *r, uint64_t seed, struct ob_err *err)
{
    char text[400], number[24];

    OB_TRY(ob_recipe_text(text, sizeof(text), r, err));
    OB_TRY(ob_model_set_meta(m, "recipe", text, err));
    snprintf(number, sizeof(number), "%llu", (unsigned long long)seed);
    OB_TRY(ob_model_set_meta(m, "seed", number, err));
    return ob_model_record_data(m, d, split, err);
}

/* Ranks that went apart would wait for each other for ever, or end with a model that is nobody's. */
static int start_together(struct training *t, int rc, struct ob_err *err)
{
    char place[48], digest[65];
    struct ob_hash h;

    OB_TRY(ob_ranks_agree(t->ranks, rc, err));
    OB_TRY(ob_ranks_same(t->ranks, "the instruction set", t->ctx->arithmetic,
                         "OB_ISA and OB_CONV make them the same", err));
    ob_hash_init(&h);
    ob_hash_str(&h, t->settings);
    ob_hash_hex(&h, digest);
    OB_TRY(ob_ranks_same(t->ranks, "the digest of settings and data", digest,
                         "all need the same command and the same files", err));
    snprintf(place, sizeof(place), "epoch %d, batch %zu", t->epoch, t->batch);
    return ob_ranks_same(t->ranks, "the checkpoint", place, "all need to see the same file", err);
}

static int open_training(struct training *t, const struct ob_data *d, const struct ob_ids *use,
                         struct ob_err *err)
{
    OB_TRY(ob_recipe_check(t->recipe, err));
    OB_TRY(ob_model_check_single(t->model, err));
    OB_TRY(ob_model_check_shape(t->model, d, err));
    if (!use->n)
        return ob_fail(err, OB_EFORMAT, "no example is left to train on");
    if (t->opts->checkpoint && (t->opts->patience || t->opts->part != OB_TRAIN))
        return ob_fail(err, OB_EINVAL,
                       "a training with patience, or on the test file, has no "
                       "checkpoint");
    OB_TRY(settings_text(t, d, use, err));
    return prepare(t, d, use, err);
}

int ob_train(struct ob_cost *cost, struct ob_model *m, const struct ob_data *d,
             const struct ob_split *split, const struct ob_ids *use, const struct ob_train_opts *o,
             struct ob_err *err)
{
    return ob_train_part(cost, m, d, split, use, o, NULL, err);
}

int ob_train_part(struct ob_cost *cost, struct ob_model *m, const struct ob_data *d,
                  const struct ob_split *split, const struct ob_ids *use,
                  const struct ob_train_opts *o, const struct ob_train_part *part,
                  struct ob_err *err)
{
    struct ob_recipe recipe = o->recipe;
    struct training t = { .ctx = m->ctx,
                          .model = m,
                          .opts = o,
                          .recipe = &recipe,
                          .part = part,
                          .ranks = m->ctx->opts.ranks };
    struct ob_cost own;
    double start = ob_now();
    int rc;

    if (o->events)
        *o->events = NULL;
    t.cost = cost ? cost : &own;
    *t.cost = (struct ob_cost){ .loss = NAN, .accuracy = NAN };
    ob_recipe_share(&recipe, t.ranks);
    OB_GO(start_together(&t, open_training(&t, d, use, err), err));
    OB_GO(epochs(&t, err));
    OB_GO(ob_train_record(m, d, split, &recipe, o->seed, err));
    if (part)
        copy_optim(part->optim, &t.optim);
    if (o->events) {
        *o->events = t.events;
        t.events = NULL;
    }
out:
    t.cost->seconds = ob_now() - start;
    release(&t);
    return rc;
}

int ob_train_done(const struct ob_train_opts *o, struct ob_err *err)
{
    return o->checkpoint ? ob_file_remove(o->checkpoint, err) : OB_OK;
}
