/*
 * sisa_train.c - trains shards and slices, or only those that a deletion touches.
 *
 * Bourtoule et al. 2021: the training part is cut into shards, each trains a model of its own; a
 * shard is cut into slices, its model trains on the first, then on the first two, and so on, and
 * its state is kept where each slice ends. To delete an example is to go back to the slice before
 * it and to train from there without it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir.h"
#include "base/io.h"
#include "base/mem.h"
#include "run/checkpoint.h"
#include "run/memory.h"
#include "run/sisa.h"

struct work {
    struct ob_sisa *s;
    const char *from; /* another folder whose slices may be taken over, or NULL */
    const struct ob_data *d;
    const struct ob_split *split;
    struct ob_sisa_done *done;
    struct ob_cost *cost;
    struct ob_recipe recipe; /* of a shard: its epochs are those of all slices */
};

struct shard {
    int k;
    struct ob_model *m;
    struct ob_optim optim;
    char key[65]; /* of the last slice that is whole */
    bool trained; /* a slice of it, in this run */
};

/* ---- one slice ---- */

struct slice {
    int j;
    struct ob_ids *use;
    char *settings, *path, *checkpoint;
    char key[65];
    struct ob_cost cost;
};

static void slice_release(struct slice *c)
{
    ob_ids_free(c->use);
    free(c->settings);
    ob_free(c->path);
    ob_free(c->checkpoint);
}

static int slice_open(struct slice *c, const struct work *w, const struct shard *h,
                      struct ob_err *err)
{
    OB_TRY(ob_sisa_examples(&c->use, w->s, h->k, c->j, err));
    OB_TRY(ob_sisa_key(&c->settings, c->key, h->key, w->s, h->k, c->j, c->use, err));
    OB_TRY(ob_sisa_slice_path(&c->path, w->s->dir, h->k, c->j, "npz", err));
    return ob_sisa_slice_path(&c->checkpoint, w->s->dir, h->k, c->j, "ckpt", err);
}

static struct ob_checkpoint state_of(const struct work *w, struct shard *h, struct slice *c)
{
    return (struct ob_checkpoint){ .settings = c->settings,
                                   .model = h->m,
                                   .optim = &h->optim,
                                   .cost = &c->cost,
                                   .n_epochs = w->recipe.epochs,
                                   .epoch = ob_sisa_epochs(w->s, c->j + 1) };
}

/* Takes over what is there and rests on the same; *found says whether. */
static int take_over(bool *found, const struct work *w, struct shard *h, struct slice *c,
                     const char *path, struct ob_err *err)
{
    struct ob_checkpoint state = state_of(w, h, c);
    struct ob_err why = { 0 };
    int rc = ob_checkpoint_read(&state, path, &why);

    *found = !rc;
    if (!rc && state.epoch != ob_sisa_epochs(w->s, c->j + 1)) /* the model is what it holds now */
        return ob_fail(err, OB_EFORMAT, "'%s' is damaged: it stands at epoch %d; remove it", path,
                       state.epoch);
    if (rc && rc != OB_ENOTFOUND && rc != OB_EFORMAT)
        return ob_fail(err, rc, "%s", why.msg);
    return OB_OK;
}

static int save(const struct work *w, struct shard *h, struct slice *c, struct ob_err *err)
{
    struct ob_checkpoint state = state_of(w, h, c);

    OB_TRY(ob_checkpoint_write(&state, c->path, err));
    return ob_file_remove(c->checkpoint, err);
}

static int keep(bool *found, struct work *w, struct shard *h, struct slice *c, struct ob_err *err)
{
    char *path;
    int rc;

    OB_TRY(take_over(found, w, h, c, c->path, err));
    if (*found) /* a kill may have come between the two */
        return ob_file_remove(c->checkpoint, err);
    if (!w->from)
        return OB_OK;
    OB_TRY(ob_sisa_slice_path(&path, w->from, h->k, c->j, "npz", err));
    rc = take_over(found, w, h, c, path, err);
    ob_free(path);
    return !rc && *found ? save(w, h, c, err) : rc;
}

static int train(struct work *w, struct shard *h, struct slice *c, struct ob_err *err)
{
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;
    struct ob_train_part part = { .first = ob_sisa_epochs(w->s, c->j),
                                  .end = ob_sisa_epochs(w->s, c->j + 1),
                                  .optim = &h->optim };

    c->cost = (struct ob_cost){ .loss = NAN, .accuracy = NAN };
    o.recipe = w->recipe;
    o.seed = ob_sisa_seed(w->s, h->k);
    o.checkpoint = c->checkpoint;
    o.resume = 1;
    if (c->use->n && part.end > part.first)
        OB_TRY(ob_train_part(&c->cost, h->m, w->d, w->split, c->use, &o, &part, err));
    h->trained = true;
    w->done->slices_trained++;
    w->cost->images += c->cost.images;
    w->cost->images_resumed += c->cost.images_resumed;
    w->cost->loss = c->cost.loss;
    w->cost->accuracy = c->cost.accuracy;
    return save(w, h, c, err);
}

static int one_slice(struct work *w, struct shard *h, int j, struct ob_err *err)
{
    struct slice c = { .j = j };
    bool found;
    int rc;

    OB_GO(ob_ctx_stop(w->s->ctx, err));
    OB_GO(slice_open(&c, w, h, err));
    OB_GO(keep(&found, w, h, &c, err));
    if (found)
        w->done->slices_kept++;
    else
        OB_GO(train(w, h, &c, err));
    memcpy(h->key, c.key, sizeof(h->key));
out:
    slice_release(&c);
    return rc;
}

/* ---- one shard ---- */

int ob_sisa_fresh(struct ob_model **out, const struct ob_sisa *s, int shard,
                  const struct ob_data *d, struct ob_err *err)
{
    const struct ob_data_info *i = &d->info;

    OB_TRY(ob_model_new(out, s->ctx, s->o.arch, i->channels, i->height, i->width, i->n_classes,
                        ob_sisa_seed(s, shard), err));
    return ob_model_set_normalize(*out, s->o.normalize, d, err);
}

static int shard_open(struct shard *h, const struct work *w, struct ob_err *err)
{
    const struct ob_recipe *r = &w->s->o.recipe;

    OB_TRY(ob_sisa_fresh(&h->m, w->s, h->k, w->d, err));
    return ob_optim_init(&h->optim, w->s->ctx, r->optimizer, h->m->net->n_params, r->momentum,
                         r->weight_decay, err);
}

/* The same file whether the shard was trained or taken over. */
static int shard_save(const struct work *w, struct shard *h, struct ob_err *err)
{
    char *path;
    int rc;

    OB_TRY(ob_train_record(h->m, w->d, w->split, &w->recipe, ob_sisa_seed(w->s, h->k), err));
    OB_TRY(ob_model_set_meta(h->m, "sisa", h->key, err));
    OB_TRY(ob_sisa_model_path(&path, w->s, h->k, err));
    rc = ob_model_save(h->m, path, err);
    ob_free(path);
    return rc;
}

static int one_shard(struct work *w, int k, struct ob_err *err)
{
    struct shard h = { .k = k };
    int rc;

    OB_GO(shard_open(&h, w, err));
    for (int j = 0; j < w->s->o.slices; j++) {
        rc = one_slice(w, &h, j, err);
        if (rc && rc != OB_ECANCELLED)
            ob_err_prefix(err, "shard %d, slice %d: ", k, j);
        if (rc)
            goto out;
    }
    rc = shard_save(w, &h, err);
    w->done->shards_trained += h.trained;
out:
    ob_optim_release(&h.optim);
    ob_model_free(h.m);
    return rc;
}

/* ---- before work starts ---- */

int ob_sisa_check_room(const struct ob_sisa *s, const struct ob_data *d, struct ob_err *err)
{
    const struct ob_recipe *r = &s->o.recipe;
    size_t most = s->n / (size_t)s->o.shards + 1;
    int batch = (size_t)r->batch < most ? r->batch : (int)most;
    size_t blocks = strcmp(r->optimizer, "sgd") ? 5 : 3; /* gradients, moments here and there */
    struct ob_memory need = { 0 };
    struct ob_model *m = NULL;
    int rc;

    OB_GO(ob_sisa_fresh(&m, s, 0, d, err));
    OB_GO(ob_memory_add_exec(&need, s->ctx, m->net, batch, OB_EXEC_TRAIN, err));
    ob_memory_add_weights(&need, m->net, blocks, 1);
    ob_memory_add_batch(&need, m->net, batch, 1);
    rc = ob_memory_check(&need, s->ctx, batch, "training a shard", err);
out:
    ob_model_free(m);
    return rc;
}

/* What a killed run left: half-written files. */
static int sweep(const struct ob_sisa *s, struct ob_err *err)
{
    struct ob_dir there = { 0 };
    int rc = ob_dir_read(&there, s->dir, err);

    for (size_t i = 0; i < there.n && !rc; i++) {
        const char *name = there.entry[i].name;
        char *path = NULL;

        if (!strstr(name, ".tmp.") || (strncmp(name, "shard-", 6) && strncmp(name, "model-", 6) &&
                                       strncmp(name, "sisa.", 5) && strncmp(name, "parts.", 6)))
            continue;
        rc = ob_sisa_path(&path, s->dir, name, err);
        if (!rc)
            rc = ob_file_remove(path, err);
        ob_free(path);
    }
    ob_dir_release(&there);
    return rc;
}

/* The folder is made, or is one of the same settings that leaves the same examples out. */
static int open_folder(const struct ob_sisa *s, struct ob_err *err)
{
    struct ob_sisa *there;
    struct ob_dir found = { 0 };
    int rc;

    OB_TRY(ob_mkdirs(s->dir, err));
    if (ob_sisa_is(s->dir)) {
        OB_TRY(ob_sisa_open(&there, s->ctx, s->dir, err));
        rc = ob_sisa_same(there, s, true, err);
        ob_sisa_free(there);
        return rc ? rc : sweep(s, err);
    }
    OB_TRY(sweep(s, err));
    OB_TRY(ob_dir_read(&found, s->dir, err));
    rc = found.n ? ob_fail(err, OB_EEXIST,
                           "'%s' is not empty and holds no shards; give another folder", s->dir)
                 : ob_sisa_write(s, err);
    ob_dir_release(&found);
    return rc;
}

static int run(struct work *w, struct ob_err *err)
{
    struct ob_sisa_done *done = w->done;

    w->recipe = w->s->o.recipe;
    w->recipe.epochs = ob_sisa_epochs(w->s, w->s->o.slices);
    *done = (struct ob_sisa_done){ .shards = w->s->o.shards,
                                   .slices = w->s->o.slices,
                                   .n_left_out = w->s->excluded->n };
    OB_TRY(ob_sisa_check_room(w->s, w->d, err));
    OB_TRY(open_folder(w->s, err));
    OB_TRY(ob_sisa_write_parts(w->s, err));
    for (int k = 0; k < w->s->o.shards; k++)
        OB_TRY(one_shard(w, k, err));
    return OB_OK;
}

int ob_sisa_train(struct ob_cost *cost, struct ob_sisa_done *done, struct ob_ctx *ctx,
                  const char *dir, const struct ob_data *d, const struct ob_split *split,
                  const struct ob_ids *exclude, const struct ob_sisa_opts *o, struct ob_err *err)
{
    struct ob_sisa_done own_done;
    struct ob_cost own_cost;
    struct work w = {
        .d = d, .split = split, .done = done ? done : &own_done, .cost = cost ? cost : &own_cost
    };
    double start = ob_now();
    int rc;

    *w.cost = (struct ob_cost){ .loss = NAN, .accuracy = NAN };
    OB_TRY(ob_sisa_new(&w.s, ctx, dir, d, split, exclude, o, err));
    rc = run(&w, err);
    w.cost->seconds = ob_now() - start;
    ob_sisa_free(w.s);
    return rc;
}

/* ---- forgetting ---- */

int ob_sisa_forget(struct ob_cost *cost, struct ob_sisa_done *done, struct ob_ctx *ctx,
                   const char *from, const char *dir, const struct ob_data *d,
                   const struct ob_split *split, const struct ob_ids *forget, struct ob_err *err)
{
    struct ob_sisa_done own_done;
    struct ob_cost own_cost;
    struct work w = { .from = from,
                      .d = d,
                      .split = split,
                      .done = done ? done : &own_done,
                      .cost = cost ? cost : &own_cost };
    struct ob_sisa *old = NULL;
    struct ob_ids *left_out = NULL;
    double start = ob_now();
    int rc;

    *w.cost = (struct ob_cost){ .loss = NAN, .accuracy = NAN };
    OB_GO(ob_sisa_open(&old, ctx, from, err));
    OB_GO(ob_ids_union(&left_out, old->excluded, forget, err));
    OB_GO(ob_sisa_new(&w.s, ctx, dir, d, split, left_out, &old->o, err));
    OB_GO(ob_sisa_same(old, w.s, false, err));
    OB_GO(run(&w, err));
out:
    w.cost->seconds = ob_now() - start;
    ob_ids_free(left_out);
    ob_sisa_free(w.s);
    ob_sisa_free(old);
    return rc;
}
