/* bank_train.c - trains the models of a bank, side by side, one thread each. */
#include "score/bank.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "base/dir.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/rng.h"
#include "run/memory.h"

int ob_bank_subset(uint8_t *in, const struct ob_bank *b, int k, struct ob_err *err)
{
    struct ob_rng r = ob_rng(b->seed, OB_RNG_BANK, (uint32_t)k, 0);
    size_t n = (size_t)floor(b->subset * (double)b->n_part + 0.5), at = 0;
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

static uint64_t seed_of(const struct ob_bank *b, int k)
{
    struct ob_rng r = ob_rng(b->seed, OB_RNG_BANK, (uint32_t)k, 1);
    uint64_t high = ob_rng_u32(&r);

    return high << 32 | ob_rng_u32(&r);
}

/* ---- all models at work ---- */

struct pool {
    struct ob_bank *b;
    const struct ob_data *d;
    const struct ob_split *split;
    const struct ob_bank_opts *o;
    int *missing;
    size_t n_missing, n_done; /* n_done: of the bank, before this call */
    pthread_mutex_t lock;
    /* under the lock */
    struct ob_err err; /* the first failure: everybody stops */
    uint64_t images, images_forward;
    size_t per_model, reported; /* images; models' worth of them */
};

struct worker { /* one model */
    struct pool *p;
    int k;
    uint64_t seen; /* images of it so far */
};

static int failed(struct pool *p)
{
    int code;

    pthread_mutex_lock(&p->lock);
    code = p->err.code;
    pthread_mutex_unlock(&p->lock);
    return code;
}

static void fail(struct pool *p, const struct ob_err *err)
{
    pthread_mutex_lock(&p->lock);
    if (!p->err.code)
        p->err = *err;
    pthread_mutex_unlock(&p->lock);
}

static int on_stop(void *arg)
{
    struct worker *w = arg;
    const struct ob_ctx_opts *o = &w->p->b->ctx->opts;

    return failed(w->p) || (o->stop && o->stop(o->arg));
}

/* Models stand at different points, so what is told is how many models' worth of images is done. */
static void report(struct pool *p)
{
    struct ob_progress now = { .task = "bank",
                               .unit = "model",
                               .n_epochs = (int)(p->n_done + p->n_missing),
                               .total = p->per_model,
                               .loss = NAN,
                               .accuracy = NAN };

    for (; p->images >= (p->reported + 1) * p->per_model; p->reported++) {
        now.epoch = (int)(p->n_done + p->reported);
        now.done = p->per_model;
        ob_progress(p->b->ctx, &now);
    }
    now.epoch = (int)(p->n_done + p->reported);
    now.done = (size_t)(p->images - p->reported * p->per_model);
    if (now.done)
        ob_progress(p->b->ctx, &now);
}

static void on_progress(void *arg, const struct ob_progress *now)
{
    struct worker *w = arg;
    uint64_t seen = (uint64_t)now->epoch * now->total + now->done;

    pthread_mutex_lock(&w->p->lock);
    w->p->images += seen - w->seen;
    report(w->p);
    pthread_mutex_unlock(&w->p->lock);
    w->seen = seen;
}

/* ---- one model ---- */

static int open_model(struct ob_model **m, struct ob_ctx *ctx, const struct pool *p, int k,
                      struct ob_err *err)
{
    const struct ob_data_info *i = &p->d->info;

    OB_TRY(ob_model_new(m, ctx, p->o->arch, i->channels, i->height, i->width, i->n_classes,
                        seed_of(p->b, k), err));
    return ob_model_set_normalize(*m, p->o->normalize, p->d, err);
}

static int train(struct ob_cost *cost, struct ob_model *m, struct pool *p, int k, const uint8_t *in,
                 struct ob_err *err)
{
    const struct ob_ids *row = p->b->row[0];
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;
    struct ob_ids *use = NULL;
    uint32_t *list;
    size_t n = 0;
    int rc;

    o.recipe = p->o->recipe;
    o.seed = seed_of(p->b, k);
    OB_TRY(ob_alloc(list, row->n, err));
    for (size_t i = 0; i < row->n; i++)
        if (in[i])
            list[n++] = row->id[i];
    OB_GO(ob_ids_new(&use, list, n, row->limit, err));
    rc = ob_train(cost, m, p->d, p->split, use, &o, err);
out:
    ob_ids_free(use);
    ob_free(list);
    return rc;
}

static int keep(struct pool *p, int k, const struct ob_model *m, const uint8_t *in,
                struct ob_err *err)
{
    float *logits[2] = { NULL, NULL };
    char *path = NULL;
    int rc;

    for (int part = 0; part < 2; part++) {
        const struct ob_ids *row = p->b->row[part];

        OB_GO(ob_alloc(logits[part], row->n * (size_t)p->b->info.n_classes, err));
        OB_GO(ob_predict(logits[part], NULL, m, p->d, (enum ob_part)part, row, err));
    }
    if (p->o->keep_weights) {
        OB_GO(ob_bank_model_path(&path, p->b, k, "safetensors", err));
        OB_GO(ob_model_save(m, path, err));
    }
    rc = ob_bank_model_write(p->b, k, in, (const float *const *)logits, err);
out:
    ob_free(path);
    ob_free(logits[0]);
    ob_free(logits[1]);
    return rc;
}

static int note_time(struct pool *p, int k, const struct ob_cost *cost, struct ob_err *err)
{
    char line[80], *path;
    int rc;

    snprintf(line, sizeof(line), "%d %.3f %llu\n", k, cost->seconds,
             (unsigned long long)cost->images);
    OB_TRY(ob_bank_path(&path, p->b, "times.txt", err));
    rc = ob_file_append(path, line, err);
    ob_free(path);
    return rc;
}

static int one_model(struct pool *p, struct worker *w, struct ob_ctx *ctx, struct ob_err *err)
{
    struct ob_model *m = NULL;
    struct ob_cost cost;
    uint8_t *in;
    int rc;

    OB_TRY(ob_alloc(in, p->b->info.n_train, err));
    OB_GO(ob_bank_subset(in, p->b, w->k, err));
    OB_GO(open_model(&m, ctx, p, w->k, err));
    OB_GO(train(&cost, m, p, w->k, in, err));
    OB_GO(keep(p, w->k, m, in, err));
    OB_GO(note_time(p, w->k, &cost, err));
    pthread_mutex_lock(&p->lock);
    p->images_forward += p->b->info.n_train + p->b->info.n_test;
    pthread_mutex_unlock(&p->lock);
out:
    ob_model_free(m);
    ob_free(in);
    return rc;
}

static void work(void *arg, size_t i, int worker)
{
    struct pool *p = arg;
    struct worker w = { p, p->missing[i], 0 };
    struct ob_ctx_opts o = p->b->ctx->opts;
    struct ob_err err = { 0 };
    struct ob_ctx *ctx = NULL;
    int rc;

    (void)worker;
    if (failed(p))
        return;
    o.n_threads = 1;
    o.log = NULL;
    o.progress = on_progress;
    o.stop = on_stop;
    o.arg = &w;
    rc = ob_ctx_new(&ctx, &o, &err);
    if (!rc)
        rc = one_model(p, &w, ctx, &err);
    ob_ctx_free(ctx);
    if (rc == OB_EDIVERGED)
        snprintf(err.msg, sizeof(err.msg), "model %d: its loss or a weight stopped being finite",
                 w.k);
    if (rc)
        fail(p, &err);
}

/* ---- before work starts ---- */

static int find_missing(struct pool *p, struct ob_err *err)
{
    OB_TRY(ob_alloc(p->missing, (size_t)(p->o->end - p->o->first), err));
    for (int k = p->o->first; k < p->o->end; k++) {
        struct ob_err why = { 0 };
        int rc = ob_bank_check(p->b, k, &why);

        OB_TRY(ob_ctx_stop(p->b->ctx, err));
        if (!rc) {
            p->n_done++;
            continue;
        }
        if (rc == OB_EFORMAT || rc == OB_EVERSION)
            ob_log(p->b->ctx, OB_LOG_WARN, "model %d is trained again: %s", k, why.msg);
        else if (rc != OB_ENOTFOUND)
            return ob_fail(err, rc, "%s", why.msg);
        p->missing[p->n_missing++] = k;
    }
    return OB_OK;
}

/* What a killed run left of models that are to be trained: half-written files. */
static int sweep(struct pool *p, struct ob_err *err)
{
    struct ob_dir there = { 0 };
    int rc = ob_dir_read(&there, p->b->dir, err);

    for (size_t i = 0; i < there.n && !rc; i++) {
        const char *name = there.entry[i].name;
        char *path = NULL;
        int k;

        if (sscanf(name, "model-%5d.", &k) != 1 || !strstr(name, ".tmp.") || k < p->o->first ||
            k >= p->o->end)
            continue;
        rc = ob_bank_path(&path, p->b, name, err);
        if (!rc)
            rc = ob_file_remove(path, err);
        ob_free(path);
    }
    ob_dir_release(&there);
    return rc;
}

static int check_room(struct pool *p, int jobs, struct ob_err *err)
{
    const struct ob_recipe *r = &p->o->recipe;
    int n = (int)floor(p->b->subset * (double)p->b->n_part + 0.5);
    int batch = r->batch < n ? r->batch : n;
    struct ob_ctx_opts o = p->b->ctx->opts;
    struct ob_memory need = { 0 };
    struct ob_model *m = NULL;
    struct ob_ctx *ctx;
    int rc;

    o.n_threads = 1;
    OB_TRY(ob_ctx_new(&ctx, &o, err));
    OB_GO(open_model(&m, ctx, p, p->missing[0], err));
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

int ob_bank_train(struct ob_cost *cost, struct ob_ctx *ctx, const char *dir,
                  const struct ob_data *d, const struct ob_split *split,
                  const struct ob_bank_opts *o, struct ob_err *err)
{
    struct pool p = { .d = d, .split = split, .o = o };
    double start = ob_now();
    int jobs = o->n_jobs > 0 ? o->n_jobs : ctx->n_threads, rc;

    if (cost)
        *cost = (struct ob_cost){ .loss = NAN, .accuracy = NAN };
    OB_TRY(ob_bank_make(&p.b, ctx, dir, d, split, o, err));
    pthread_mutex_init(&p.lock, NULL);
    OB_GO(find_missing(&p, err));
    OB_GO(sweep(&p, err));
    if (!p.n_missing)
        goto out;
    jobs = (size_t)jobs < p.n_missing ? jobs : (int)p.n_missing;
    p.per_model = (size_t)floor(p.b->subset * (double)p.b->n_part + 0.5) * (size_t)o->recipe.epochs;
    OB_GO(check_room(&p, jobs, err));
    ob_par_for(jobs, p.n_missing, work, &p);
    if (p.err.code) {
        if (err && !err->code)
            *err = p.err;
        rc = p.err.code;
    }
out:
    if (cost) {
        cost->images = p.images;
        cost->images_forward = p.images_forward;
        cost->seconds = ob_now() - start;
    }
    pthread_mutex_destroy(&p.lock);
    ob_free(p.missing);
    ob_bank_free(p.b);
    return rc;
}
