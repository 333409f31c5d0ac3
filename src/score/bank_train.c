/* bank_train.c - trains the models of a bank, side by side, on one rank or many. */
#include "score/bank.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "base/dir.h"
#include "base/mem.h"
#include "base/ranks.h"
#include "base/rng.h"
#include "run/memory.h"
#include "score/bank_pool.h"

#define MOST_THREADS 8 /* of one model: each takes memory, whether it is needed in the end or not */

static size_t subset_size(const struct ob_bank *b)
{
    return (size_t)floor(b->subset * (double)b->n_part + 0.5);
}

int ob_bank_subset(uint8_t *in, const struct ob_bank *b, int k, struct ob_err *err)
{
    struct ob_rng r = ob_rng(b->seed, OB_RNG_BANK, (uint32_t)k, 0);
    size_t n = subset_size(b), at = 0;
    uint32_t *row;

    OB_TRY(ob_alloc(row, b->n_part, err));
    memset(in, 0, b->info.n_train);
    for (size_t i = 0; i < b->info.n_train; i++)
        if (b->in_part[i])
            row[at++] = (uint32_t)i;
    ob_rng_shuffle(&r, row, b->n_part);
    for (size_t i = 0; i < n; i++)
        in[row[i]] = 1;
    ob_free(row);
    return OB_OK;
}

uint64_t ob_bank_seed(const struct ob_bank *b, int k)
{
    struct ob_rng r = ob_rng(b->seed, OB_RNG_BANK, (uint32_t)k, 1);
    uint64_t high = ob_rng_u32(&r);

    return high << 32 | ob_rng_u32(&r);
}

/* ---- all models at work ---- */

struct training {
    struct ob_bank *b;
    const struct ob_data *d;
    const struct ob_split *split;
    const struct ob_bank_opts *o;
    struct ob_pool pool;
    int *missing;               /* rank 0 */
    size_t n_missing, n_done;   /* n_done: of the bank, before this call */
    size_t per_model, reported; /* images; models' worth of them */
};

struct worker { /* one model */
    struct training *t;
    int k;
    uint64_t seen; /* images of it so far */
};

static int on_stop(void *arg)
{
    struct worker *w = arg;
    const struct ob_ctx_opts *o = &w->t->b->ctx->opts;

    return ob_pool_has_failed(&w->t->pool) || (o->stop && o->stop(o->arg));
}

/* Models stand at different points, so what is told is how many models' worth of images is done. */
static void report(void *arg, uint64_t images)
{
    struct training *t = arg;
    struct ob_progress now = { .task = "bank",
                               .unit = "model",
                               .n_epochs = (int)(t->n_done + t->n_missing),
                               .total = t->per_model,
                               .loss = NAN,
                               .accuracy = NAN };

    for (; images >= (t->reported + 1) * t->per_model; t->reported++) {
        now.epoch = (int)(t->n_done + t->reported);
        now.done = t->per_model;
        ob_progress(t->b->ctx, &now);
    }
    now.epoch = (int)(t->n_done + t->reported);
    now.done = (size_t)(images - t->reported * t->per_model);
    if (now.done)
        ob_progress(t->b->ctx, &now);
}

static void on_progress(void *arg, const struct ob_progress *now)
{
    struct worker *w = arg;
    uint64_t seen = (uint64_t)now->epoch * now->total + now->done;

    ob_pool_count(&w->t->pool, seen - w->seen, 0);
    w->seen = seen;
}

static int most_threads(const struct ob_ctx *ctx)
{
    return ctx->n_threads < MOST_THREADS ? ctx->n_threads : MOST_THREADS;
}

static int threads_now(void *arg)
{
    return ob_pool_threads(arg);
}

/* ---- one model ---- */

static int open_model(struct ob_model **m, struct ob_ctx *ctx, const struct training *t, int k,
                      struct ob_err *err)
{
    const struct ob_data_info *i = &t->d->info;

    OB_TRY(ob_model_new(m, ctx, t->o->arch, i->channels, i->height, i->width, i->n_classes,
                        ob_bank_seed(t->b, k), err));
    return ob_model_set_normalize(*m, t->o->normalize, t->d, err);
}

static int train(struct ob_cost *cost, struct ob_model *m, struct training *t, int k,
                 const uint8_t *in, struct ob_err *err)
{
    const struct ob_ids *row = t->b->row[0];
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;
    struct ob_ids *use = NULL;
    uint32_t *list;
    size_t n = 0;
    int rc;

    o.recipe = t->o->recipe;
    o.seed = ob_bank_seed(t->b, k);
    OB_TRY(ob_alloc(list, row->n, err));
    for (size_t i = 0; i < row->n; i++)
        if (in[i])
            list[n++] = row->id[i];
    OB_GO(ob_ids_new(&use, list, n, row->limit, err));
    rc = ob_train(cost, m, t->d, t->split, use, &o, err);
out:
    ob_ids_free(use);
    ob_free(list);
    return rc;
}

static int keep(struct training *t, int k, const struct ob_model *m, const uint8_t *in,
                struct ob_err *err)
{
    float *logits[2] = { NULL, NULL };
    char *path = NULL;
    int rc, there;

    for (int part = 0; part < 2; part++) {
        const struct ob_ids *row = t->b->row[part];

        OB_GO(ob_alloc(logits[part], row->n * (size_t)t->b->info.n_classes, err));
        OB_GO(ob_predict(logits[part], NULL, m, t->d, (enum ob_part)part, row, err));
    }
    OB_GO(ob_bank_weights_path(&path, &there, t->b, k, err));
    if (t->o->keep_weights || there) /* those that are there may be what was damaged */
        OB_GO(ob_model_save(m, path, err));
    rc = ob_bank_model_write(t->b, k, in, (const float *const *)logits, err);
out:
    ob_free(path);
    ob_free(logits[0]);
    ob_free(logits[1]);
    return rc;
}

static int note_time(struct training *t, int k, const struct ob_cost *cost, struct ob_err *err)
{
    char line[80], *path;
    int rc;

    snprintf(line, sizeof(line), "%d %.3f %llu\n", k, cost->seconds,
             (unsigned long long)cost->images);
    OB_TRY(ob_bank_path(&path, t->b, "times.txt", err));
    rc = ob_file_append(path, line, err);
    ob_free(path);
    return rc;
}

static int one_model(struct training *t, int k, struct ob_ctx *ctx, struct ob_err *err)
{
    struct ob_model *m = NULL;
    struct ob_cost cost;
    uint8_t *in;
    int rc;

    OB_TRY(ob_alloc(in, t->b->info.n_train, err));
    OB_GO(ob_bank_subset(in, t->b, k, err));
    OB_GO(open_model(&m, ctx, t, k, err));
    OB_GO(train(&cost, m, t, k, in, err));
    OB_GO(keep(t, k, m, in, err));
    OB_GO(note_time(t, k, &cost, err));
    ob_pool_count(&t->pool, 0, t->b->info.n_train + t->b->info.n_test);
out:
    ob_model_free(m);
    ob_free(in);
    return rc;
}

static int work(void *arg, int k, struct ob_err *err)
{
    struct worker w = { arg, k, 0 };
    struct ob_ctx_opts o = w.t->b->ctx->opts;
    struct ob_ctx *ctx;
    int rc;

    o.n_threads = most_threads(w.t->b->ctx);
    o.ranks = NULL;
    o.log = NULL;
    o.progress = on_progress;
    o.stop = on_stop;
    o.arg = &w;
    OB_TRY(ob_ctx_new(&ctx, &o, err));
    ctx->threads_now = threads_now;
    ctx->threads_arg = &w.t->pool;
    rc = one_model(w.t, k, ctx, err);
    ob_ctx_free(ctx);
    if (rc == OB_EDIVERGED)
        snprintf(err->msg, sizeof(err->msg), "model %d: its loss or a weight stopped being finite",
                 k);
    return rc;
}

/* ---- before work starts ---- */

/* As ob_bank_check, and OB_EFORMAT where weights are to be kept and are not there. */
static int check_model(const struct training *t, int k, struct ob_err *why)
{
    char *path;
    int there;

    OB_TRY(ob_bank_check(t->b, k, why));
    if (!t->o->keep_weights)
        return OB_OK;
    OB_TRY(ob_bank_weights_path(&path, &there, t->b, k, why));
    ob_free(path);
    return there ? OB_OK : ob_fail(why, OB_EFORMAT, "its weights were not kept");
}

static int find_missing(struct training *t, struct ob_err *err)
{
    OB_TRY(ob_alloc(t->missing, (size_t)(t->o->end - t->o->first), err));
    for (int k = t->o->first; k < t->o->end; k++) {
        struct ob_err why = { 0 };
        int rc = check_model(t, k, &why);

        OB_TRY(ob_ctx_stop(t->b->ctx, err));
        if (!rc) {
            t->n_done++;
            continue;
        }
        if (rc == OB_EFORMAT || rc == OB_EVERSION)
            ob_log(t->b->ctx, OB_LOG_WARN, "model %d is trained again: %s", k, why.msg);
        else if (rc != OB_ENOTFOUND)
            return ob_fail(err, rc, "%s", why.msg);
        t->missing[t->n_missing++] = k;
    }
    return OB_OK;
}

/* What a killed run left of models that are to be trained: half-written files. */
static int sweep(struct training *t, struct ob_err *err)
{
    struct ob_dir there = { 0 };
    int rc = ob_dir_read(&there, t->b->dir, err);

    for (size_t i = 0; i < there.n && !rc; i++) {
        const char *name = there.entry[i].name;
        char *path = NULL;
        int k;

        if (sscanf(name, "model-%5d.", &k) != 1 || !strstr(name, ".tmp.") || k < t->o->first ||
            k >= t->o->end)
            continue;
        rc = ob_bank_path(&path, t->b, name, err);
        if (!rc)
            rc = ob_file_remove(path, err);
        ob_free(path);
    }
    ob_dir_release(&there);
    return rc;
}

static int check_room(struct training *t, int jobs, struct ob_err *err)
{
    const struct ob_recipe *r = &t->o->recipe;
    int n = (int)subset_size(t->b);
    int batch = r->batch < n ? r->batch : n;
    struct ob_ctx_opts o = t->b->ctx->opts;
    struct ob_memory need = { 0 };
    struct ob_model *m = NULL;
    struct ob_ctx *ctx;
    int rc;

    o.n_threads = most_threads(t->b->ctx);
    OB_TRY(ob_ctx_new(&ctx, &o, err));
    OB_GO(open_model(&m, ctx, t, t->o->first, err));
    OB_GO(ob_memory_add_exec(&need, ctx, m->net, batch, OB_EXEC_TRAIN, err));
    ob_memory_add_weights(&need, m->net, strcmp(r->optimizer, "sgd") ? 3 : 2, 1);
    ob_memory_add_batch(&need, m->net, batch, 1);
    need.activations *= (size_t)jobs;
    need.weights *= (size_t)jobs;
    need.rest *= (size_t)jobs;
    rc = ob_memory_check(&need, ctx, batch, "training so many models side by side", err);
out:
    ob_model_free(m);
    ob_ctx_free(ctx);
    return rc;
}

/* Rank 0 makes the folder and looks what is missing; the others find it made. */
static int open_bank(struct training *t, struct ob_ctx *ctx, const char *dir, struct ob_err *err)
{
    struct ob_ranks *r = ctx->opts.ranks;
    size_t n[2];
    int rc = OB_OK;

    if (!ob_ranks_me(r)) {
        rc = ob_bank_make(&t->b, ctx, dir, t->d, t->split, t->o, err);
        if (!rc)
            rc = find_missing(t, err);
        if (!rc)
            rc = sweep(t, err);
    }
    OB_TRY(ob_ranks_agree(r, rc, err));
    if (ob_ranks_me(r))
        rc = ob_bank_make(&t->b, ctx, dir, t->d, t->split, t->o, err);
    OB_TRY(ob_ranks_agree(r, rc, err));
    n[0] = t->n_missing;
    n[1] = t->n_done;
    ob_ranks_spread(r, n, sizeof(n));
    t->n_missing = n[0];
    t->n_done = n[1];
    return ob_ranks_same(r, "the instruction set", ctx->arithmetic,
                         "OB_ISA and OB_CONV make them the same, and so the models' bytes", err);
}

static int train_missing(struct training *t, struct ob_ctx *ctx, struct ob_err *err)
{
    size_t n_ranks = (size_t)ob_ranks_n(ctx->opts.ranks), n = subset_size(t->b);
    size_t most = (t->n_missing + n_ranks - 1) / n_ranks; /* few are shared out evenly */
    int jobs = t->o->n_jobs > 0 ? t->o->n_jobs : ctx->n_threads;

    t->per_model = n * (size_t)t->o->recipe.epochs;
    t->pool = (struct ob_pool){ .ctx = ctx,
                                .n_jobs = (size_t)jobs < most ? jobs : (int)most,
                                .todo = t->missing,
                                .n_todo = ob_ranks_me(ctx->opts.ranks) ? 0 : t->n_missing,
                                .work = work,
                                .report = report,
                                .arg = t };
    OB_TRY(ob_ranks_agree(ctx->opts.ranks, check_room(t, t->pool.n_jobs, err), err));
    return ob_pool_run(&t->pool, err);
}

int ob_bank_train(struct ob_cost *cost, struct ob_ctx *ctx, const char *dir,
                  const struct ob_data *d, const struct ob_split *split,
                  const struct ob_bank_opts *o, struct ob_err *err)
{
    struct training t = { .d = d, .split = split, .o = o };
    double start = ob_now();
    int rc = open_bank(&t, ctx, dir, err);

    if (!rc && t.n_missing)
        rc = train_missing(&t, ctx, err);
    if (cost)
        *cost = (struct ob_cost){ .images = t.pool.images,
                                  .images_forward = t.pool.images_forward,
                                  .seconds = ob_now() - start,
                                  .loss = NAN,
                                  .accuracy = NAN };
    ob_free(t.missing);
    ob_bank_free(t.b);
    return rc;
}
