/*
 * events.c - learning events: what the training forward passes say of each example, for free.
 *
 * Zhao et al. 2024, appendix on proxies: per epoch one value per example, from the forward pass of
 * its training step (train-mode batch-norm, before the update); the score is the mean over epochs.
 *
 * File: .npz with ids int64; confidence, max_confidence, neg_entropy, accuracy, loss float32 (means
 * over epochs, one per id); epochs and n (examples in the training file), int64 scalars; data, the
 * hash of the data set (64 hex digits as bytes), where it is known.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/npy.h"
#include "run/train.h"

#define MAX_BYTES ((size_t)1 << 32)
#define MAX_FILE 100000000 /* examples; scores are as many floats, whatever a small file claims */

int ob_events_new(struct ob_events **out, const struct ob_ids *ids, size_t n_file,
                  struct ob_err *err)
{
    struct ob_events *e;
    int rc;

    *out = NULL;
    OB_TRY(ob_alloc(e, 1, err));
    e->n_file = n_file;
    OB_GO(ob_ids_new(&e->own_ids, ids->id, ids->n, ids->limit, err));
    e->ids = e->own_ids;
    OB_GO(ob_alloc(e->confidence, ids->n, err));
    OB_GO(ob_alloc(e->max_confidence, ids->n, err));
    OB_GO(ob_alloc(e->neg_entropy, ids->n, err));
    OB_GO(ob_alloc(e->accuracy, ids->n, err));
    OB_GO(ob_alloc(e->loss, ids->n, err));
    *out = e;
    return OB_OK;
out:
    ob_events_free(e);
    return rc;
}

void ob_events_free(struct ob_events *e)
{
    if (!e)
        return;
    ob_ids_free(e->own_ids);
    ob_free(e->confidence);
    ob_free(e->max_confidence);
    ob_free(e->neg_entropy);
    ob_free(e->accuracy);
    ob_free(e->loss);
    ob_free(e);
}

static void add_one(struct ob_events *e, size_t i, const float *z, int y, int c)
{
    double max = z[ob_argmax(z, c)], sum = 0, weighted = 0, log_sum;

    for (int k = 0; k < c; k++) {
        double q = exp(z[k] - max);

        sum += q;
        weighted += q * (z[k] - max);
    }
    log_sum = log(sum);
    e->confidence[i] += exp(z[y] - max) / sum;
    e->max_confidence[i] += 1 / sum;
    e->neg_entropy[i] += weighted / sum - log_sum; /* sum p log p, without a log of zero */
    e->accuracy[i] += ob_argmax(z, c) == y;
    e->loss[i] += log_sum - (z[y] - max);
}

void ob_events_add(struct ob_events *e, const struct ob_batch *b, const float *logits, int c)
{
    for (int i = 0; i < b->n; i++)
        add_one(e, ob_ids_rank(e->ids, b->id[i]), logits + (size_t)i * (size_t)c, b->y[i], c);
}

/* The five arrays with their names in files, in one list. */
static void arrays(const struct ob_events *e, const char *name[5], double *value[5])
{
    static const char *const names[5] = { "confidence", "max_confidence", "neg_entropy", "accuracy",
                                          "loss" };
    double *const values[5] = { e->confidence, e->max_confidence, e->neg_entropy, e->accuracy,
                                e->loss };

    for (int i = 0; i < 5; i++) {
        name[i] = names[i];
        value[i] = values[i];
    }
}

int ob_events_write(const struct ob_events *e, const char *path, struct ob_err *err)
{
    size_t n = e->ids->n;
    int64_t *ids = NULL, epochs = e->epochs, n_file = (int64_t)e->n_file;
    float *mean[5] = { NULL };
    const char *name[5];
    double *value[5];
    struct ob_npz_item item[9];
    size_t n_items = 8;
    int rc;

    arrays(e, name, value);
    OB_GO(ob_alloc(ids, n, err));
    for (size_t i = 0; i < n; i++)
        ids[i] = e->ids->id[i];
    item[0] = (struct ob_npz_item){ "ids", "<i8", { n }, 1, ids };
    for (int k = 0; k < 5; k++) {
        OB_GO(ob_alloc(mean[k], n, err));
        for (size_t i = 0; i < n; i++)
            mean[k][i] = (float)(value[k][i] / (double)(epochs ? epochs : 1));
        item[1 + k] = (struct ob_npz_item){ name[k], "<f4", { n }, 1, mean[k] };
    }
    item[6] = (struct ob_npz_item){ "epochs", "<i8", { 0 }, 0, &epochs };
    item[7] = (struct ob_npz_item){ "n", "<i8", { 0 }, 0, &n_file };
    if (e->data[0])
        item[n_items++] = (struct ob_npz_item){ "data", "|u1", { strlen(e->data) }, 1, e->data };
    rc = ob_npz_write(path, item, n_items, err);
out:
    ob_free(ids);
    for (int k = 0; k < 5; k++)
        ob_free(mean[k]);
    return rc;
}

static int read_scalar(int64_t *out, const struct ob_npz *z, const char *name, int64_t max,
                       const char *path, struct ob_err *err)
{
    const struct ob_npy *a = ob_npz_find(z, name);

    if (!a || a->n != 1 || !ob_npy_is_int(a))
        return ob_fail(err, OB_EFORMAT, "'%s': no whole number '%s'; is it an events file?", path,
                       name);
    *out = ob_npy_int(a, 0);
    if (*out < 1 || *out > max)
        return ob_fail(err, OB_EFORMAT, "'%s': '%s' is %lld", path, name, (long long)*out);
    return OB_OK;
}

static int read_ids(struct ob_ids **out, const struct ob_npz *z, size_t limit, const char *path,
                    struct ob_err *err)
{
    const struct ob_npy *a = ob_npz_find(z, "ids");
    uint32_t *id;
    int rc = OB_OK;

    if (!a || a->rank != 1 || !ob_npy_is_int(a) || !a->n)
        return ob_fail(err, OB_EFORMAT, "'%s': no array 'ids' of whole numbers", path);
    OB_TRY(ob_alloc(id, a->n, err));
    for (size_t i = 0; i < a->n && !rc; i++) {
        int64_t x = ob_npy_int(a, i);

        if (x < 0 || (size_t)x >= limit)
            rc = ob_fail(err, OB_EFORMAT, "'%s': id %lld at %zu is out of range (0..%zu)", path,
                         (long long)x, i, limit - 1);
        else if (i && x <= (int64_t)id[i - 1])
            rc = ob_fail(err, OB_EFORMAT, "'%s': ids are not ascending at %zu", path, i);
        else
            id[i] = (uint32_t)x;
    }
    if (!rc)
        rc = ob_ids_new(out, id, a->n, limit, err);
    ob_free(id);
    return rc;
}

/* Older files do not say which data they are of. */
static int read_data(char hash[65], const struct ob_npz *z, const char *path, struct ob_err *err)
{
    const struct ob_npy *a = ob_npz_find(z, "data");

    if (!a)
        return OB_OK;
    if (strcmp(a->type, "|u1") || a->rank != 1 || a->n != 64)
        return ob_fail(err, OB_EFORMAT, "'%s': 'data' is not the hash of a data set", path);
    memcpy(hash, a->data, 64);
    for (int i = 0; i < 64; i++)
        if (!strchr("0123456789abcdef", hash[i]) || !hash[i])
            return ob_fail(err, OB_EFORMAT, "'%s': 'data' is not the hash of a data set", path);
    return OB_OK;
}

int ob_events_read(struct ob_events **out, const char *path, struct ob_err *err)
{
    struct ob_npz z = { 0 };
    struct ob_ids *ids = NULL;
    struct ob_events *e = NULL;
    int64_t n_file, epochs;
    const char *name[5];
    double *value[5];
    int rc;

    *out = NULL;
    OB_GO(ob_npz_read(&z, path, MAX_BYTES, err));
    OB_GO(read_scalar(&n_file, &z, "n", MAX_FILE, path, err));
    OB_GO(read_scalar(&epochs, &z, "epochs", INT32_MAX, path, err));
    OB_GO(read_ids(&ids, &z, (size_t)n_file, path, err));
    OB_GO(ob_events_new(&e, ids, (size_t)n_file, err));
    e->epochs = epochs;
    OB_GO(read_data(e->data, &z, path, err));
    arrays(e, name, value);
    for (int k = 0; k < 5; k++) {
        const struct ob_npy *a = ob_npz_find(&z, name[k]);

        if (!a || a->rank != 1 || a->n != ids->n) {
            rc = ob_fail(err, OB_EFORMAT, "'%s': no array '%s' of %zu numbers", path, name[k],
                         ids->n);
            goto out;
        }
        for (size_t i = 0; i < a->n; i++)
            value[k][i] = ob_npy_double(a, i) * (double)epochs;
    }
    *out = e;
    e = NULL;
out:
    ob_events_free(e);
    ob_ids_free(ids);
    ob_npz_release(&z);
    return rc;
}
