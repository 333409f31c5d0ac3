/* checkpoint.c - a training that was interrupted goes on with the same bytes. */
#include "run/checkpoint.h"

#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "base/npy.h"

#define MAX_BYTES ((size_t)1 << 36)
#define MAX_ITEMS 16

/* The blocks of a checkpoint, in one list: names, types, places. */
struct block {
    const char *name, *type;
    size_t n, item;
    void *place;
};

static size_t list_blocks(struct block b[MAX_ITEMS], const struct ob_checkpoint *c)
{
    const struct ob_net *net = c->model->net;
    const struct ob_weights *w = &c->model->w;
    size_t k = 0;

    b[k++] = (struct block){ "params", "<f4", net->n_params, 4, w->params };
    b[k++] = (struct block){ "buffers", "<f4", net->n_buffers, 4, w->buffers };
    b[k++] = (struct block){ "counts", "<i8", net->n_counts, 8, w->counts };
    b[k++] = (struct block){ "m", "<f4", c->optim->n, 4, c->optim->m };
    if (c->optim->v)
        b[k++] = (struct block){ "v", "<f4", c->optim->n, 4, c->optim->v };
    if (c->events) {
        size_t n = c->events->ids->n;

        b[k++] = (struct block){ "confidence", "<f8", n, 8, c->events->confidence };
        b[k++] = (struct block){ "max_confidence", "<f8", n, 8, c->events->max_confidence };
        b[k++] = (struct block){ "neg_entropy", "<f8", n, 8, c->events->neg_entropy };
        b[k++] = (struct block){ "accuracy", "<f8", n, 8, c->events->accuracy };
        b[k++] = (struct block){ "loss", "<f8", n, 8, c->events->loss };
    }
    return k;
}

int ob_checkpoint_write(const struct ob_checkpoint *c, const char *path, struct ob_err *err)
{
    int64_t state[5] = { c->epoch, (int64_t)c->batch, (int64_t)c->n_right, c->optim->n_steps,
                         (int64_t)c->cost->images };
    double running[3] = { c->cost->loss, c->cost->accuracy, c->loss_sum };
    struct ob_npz_item item[MAX_ITEMS];
    struct block b[MAX_ITEMS];
    size_t n = list_blocks(b, c), k = 0;

    item[k++] = (struct ob_npz_item){ "settings", "|u1", { strlen(c->settings) }, 1, c->settings };
    item[k++] = (struct ob_npz_item){ "state", "<i8", { 5 }, 1, state };
    item[k++] = (struct ob_npz_item){ "running", "<f8", { 3 }, 1, running };
    for (size_t i = 0; i < n; i++)
        item[k++] = (struct ob_npz_item){ b[i].name, b[i].type, { b[i].n }, 1, b[i].place };
    return ob_npz_write(path, item, k, err);
}

/* Says which of the settings differ, as "lr is 0.1 there and 0.2 here". */
static int refuse(const char *path, const char *there, size_t n_there, const char *here,
                  struct ob_err *err)
{
    json_t *a = json_loadb(there, n_there, JSON_REJECT_DUPLICATES, NULL);
    json_t *b = json_loads(here, JSON_REJECT_DUPLICATES, NULL);
    const char *key = "settings", *k;
    char *x = NULL, *y = NULL;
    json_t *value;
    int rc;

    json_object_foreach(b, k, value)
    {
        if (json_equal(json_object_get(a, k), value))
            continue;
        key = k;
        x = json_dumps(json_object_get(a, k),
                       JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
        y = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
        break;
    }
    rc = ob_fail(err, OB_EFORMAT,
                 "'%s' is of another training: %s is %.60s there and %.60s here; "
                 "remove it, or go on with its settings",
                 path, key, x ? x : "missing", y ? y : "other");
    free(x);
    free(y);
    json_decref(a);
    json_decref(b);
    return rc;
}

static int check_block(const struct ob_npy *a, const struct block *b, const char *path,
                       struct ob_err *err)
{
    if (!a || a->n != b->n || strcmp(a->type, b->type))
        return ob_fail(err, OB_EFORMAT, "'%s': '%s' is missing or has another size", path, b->name);
    return OB_OK;
}

/* A position that no training with these settings can have reached is damage. */
static int check_position(const struct ob_checkpoint *c, const struct ob_npy *state,
                          const char *path, struct ob_err *err)
{
    int64_t epoch = ob_npy_int(state, 0), batch = ob_npy_int(state, 1);

    if (epoch < 0 || epoch > c->n_epochs || batch < 0 ||
        (uint64_t)batch >= (uint64_t)c->n_batches + 1 || (epoch == c->n_epochs && batch) ||
        ob_npy_int(state, 2) < 0 || ob_npy_int(state, 3) < 0 || ob_npy_int(state, 4) < 0)
        return ob_fail(err, OB_EFORMAT,
                       "'%s' is damaged: it stands at epoch %lld, batch %lld of %d times %zu", path,
                       (long long)epoch, (long long)batch, c->n_epochs, c->n_batches);
    return OB_OK;
}

int ob_checkpoint_read(struct ob_checkpoint *c, const char *path, struct ob_err *err)
{
    const struct block head[2] = { { "state", "<i8", 5, 8, NULL },
                                   { "running", "<f8", 3, 8, NULL } };
    const struct ob_npy *settings, *state, *running;
    struct block b[MAX_ITEMS];
    size_t n = list_blocks(b, c);
    struct ob_npz z = { 0 };
    int rc;

    OB_GO(ob_npz_read(&z, path, MAX_BYTES, err));
    settings = ob_npz_find(&z, "settings");
    state = ob_npz_find(&z, "state");
    running = ob_npz_find(&z, "running");
    if (!settings || strcmp(settings->type, "|u1")) {
        rc = ob_fail(err, OB_EFORMAT, "'%s' is not a checkpoint", path);
        goto out;
    }
    if (settings->n != strlen(c->settings) || memcmp(settings->data, c->settings, settings->n)) {
        rc = refuse(path, (const char *)settings->data, settings->n, c->settings, err);
        goto out;
    }
    OB_GO(check_block(state, &head[0], path, err));
    OB_GO(check_block(running, &head[1], path, err));
    OB_GO(check_position(c, state, path, err));
    for (size_t i = 0; i < n; i++)
        OB_GO(check_block(ob_npz_find(&z, b[i].name), &b[i], path, err));

    for (size_t i = 0; i < n; i++)
        memcpy(b[i].place, ob_npz_find(&z, b[i].name)->data, b[i].n * b[i].item);
    c->epoch = (int)ob_npy_int(state, 0);
    c->batch = (size_t)ob_npy_int(state, 1);
    c->n_right = (size_t)ob_npy_int(state, 2);
    c->optim->n_steps = ob_npy_int(state, 3);
    c->cost->images = (uint64_t)ob_npy_int(state, 4);
    c->cost->images_resumed = c->cost->images;
    c->cost->loss = ob_npy_double(running, 0);
    c->cost->accuracy = ob_npy_double(running, 1);
    c->loss_sum = ob_npy_double(running, 2);
    if (c->events)
        c->events->epochs = c->epoch;
    ob_model_touch(c->model);
out:
    ob_npz_release(&z);
    return rc;
}
