/* bank.c - opens the folder of a bank: what all its models share. */
#include "score/bank.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/identity.h"

#define MAX_JSON ((size_t)1 << 16)
#define MAX_EXAMPLES ((size_t)1 << 31)
#define MAX_FILE 100000000 /* examples in the training file */

int ob_bank_path(char **out, const struct ob_bank *b, const char *name, struct ob_err *err)
{
    struct ob_str s = { 0 };
    int rc;

    ob_str_addf(&s, "%s/%s", b->dir, name);
    rc = ob_str_check(&s, err);
    if (!rc)
        rc = ob_strdup(out, ob_str_text(&s), err);
    ob_str_release(&s);
    return rc;
}

int ob_bank_model_path(char **out, const struct ob_bank *b, int k, const char *ending,
                       struct ob_err *err)
{
    char name[48];

    snprintf(name, sizeof(name), "model-%05d.%s", k, ending);
    return ob_bank_path(out, b, name, err);
}

void ob_bank_take_key(struct ob_bank *b)
{
    struct ob_hash h;

    ob_hash_init(&h);
    ob_hash_str(&h, b->identity);
    ob_hash_hex(&h, b->key);
}

void ob_bank_free(struct ob_bank *b)
{
    if (!b)
        return;
    for (int part = 0; part < 2; part++) {
        ob_ids_free(b->row[part]);
        ob_free(b->label[part]);
    }
    ob_free(b->in_part);
    ob_free(b->wanted);
    ob_free(b->identity);
    ob_free(b->arch);
    ob_free(b->dir);
    ob_free(b);
}

const struct ob_bank_info *ob_bank_info(const struct ob_bank *b)
{
    return &b->info;
}

int ob_bank_new(struct ob_bank **out, struct ob_ctx *ctx, const char *dir, struct ob_err *err)
{
    OB_TRY(ob_alloc(*out, 1, err));
    (*out)->ctx = ctx;
    (*out)->info.seconds = NAN;
    OB_TRY(ob_alloc((*out)->wanted, OB_BANK_MODELS, err));
    return ob_strdup(&(*out)->dir, dir, err);
}

static int bad(const struct ob_bank *b, const char *what, struct ob_err *err)
{
    return ob_fail(err, OB_EFORMAT, "'%s' is no bank of models, or a damaged one: %s", b->dir,
                   what);
}

static int take_json(struct ob_bank *b, json_t *root, struct ob_err *err)
{
    json_t *identity = json_object_get(root, "settings"), *models = json_object_get(root, "models");
    json_t *arch = json_object_get(identity, "arch"), *seed = json_object_get(identity, "seed");
    json_t *subset = json_object_get(identity, "subset");
    const char *key = json_string_value(json_object_get(root, "key"));
    json_int_t version = json_integer_value(json_object_get(root, "oubli_bank"));

    if (version > OB_BANK_VERSION)
        return ob_fail(err, OB_EVERSION, "'%s' is from a newer release (version %lld)", b->dir,
                       (long long)version);
    if (version != OB_BANK_VERSION || !json_is_string(arch) || !json_is_integer(seed) ||
        !json_is_number(subset) || !json_is_integer(models) || json_integer_value(models) < 1 ||
        json_integer_value(models) > OB_BANK_MODELS || !key)
        return bad(b, "bank.json is not what 'bank train' writes", err);
    OB_TRY(ob_identity_text(&b->identity, identity, err));
    OB_TRY(ob_strdup(&b->arch, json_string_value(arch), err));
    b->info.arch = b->arch;
    b->info.n_models = (int)json_integer_value(models);
    b->seed = (uint64_t)json_integer_value(seed);
    b->subset = json_number_value(subset);
    ob_bank_take_key(b);
    return strcmp(key, b->key) ? bad(b, "bank.json was changed", err) : OB_OK;
}

static int read_json(struct ob_bank *b, struct ob_err *err)
{
    struct ob_file f = { 0 };
    char *path = NULL;
    json_t *root = NULL;
    int rc;

    OB_GO(ob_bank_path(&path, b, "bank.json", err));
    OB_GO(ob_file_read(&f, path, MAX_JSON, false, err));
    root = json_loadb((const char *)f.data, f.n, JSON_REJECT_DUPLICATES, NULL);
    rc = json_is_object(root) ? take_json(b, root, err) : bad(b, "bank.json is no JSON", err);
out:
    json_decref(root);
    ob_file_release(&f);
    ob_free(path);
    return rc;
}

static const struct ob_npy *ints(const struct ob_npz *z, const char *name, size_t n)
{
    const struct ob_npy *a = ob_npz_find(z, name);

    return a && a->rank == 1 && ob_npy_is_int(a) && a->n && (!n || a->n == n) ? a : NULL;
}

static int take_rows(struct ob_bank *b, const struct ob_npz *z, int part, struct ob_err *err)
{
    static const char *const ids[] = { "train", "test" }, *const labels[] = { "train_label",
                                                                              "test_label" };
    const struct ob_npy *id = ints(z, ids[part], 0),
                        *label = id ? ints(z, labels[part], id->n) : NULL;
    uint32_t *list;
    int rc = OB_OK;

    if (!label)
        return bad(b, "examples.npz lacks its numbers or labels", err);
    OB_TRY(ob_alloc(list, id->n, err));
    OB_GO(ob_alloc(b->label[part], id->n, err));
    for (size_t i = 0; i < id->n; i++) {
        int64_t x = ob_npy_int(id, i), y = ob_npy_int(label, i);

        if (x < 0 || x >= MAX_FILE || (i && x <= (int64_t)list[i - 1]) || y < 0 || y > 65535) {
            rc = bad(b, "examples.npz has numbers or labels out of order or range", err);
            goto out;
        }
        list[i] = (uint32_t)x;
        b->label[part][i] = (int32_t)y;
        b->info.n_classes = y + 1 > b->info.n_classes ? (int)y + 1 : b->info.n_classes;
    }
    rc = ob_ids_new(&b->row[part], list, id->n, MAX_FILE, err);
out:
    ob_free(list);
    return rc;
}

static int take_sizes(struct ob_bank *b, const struct ob_npz *z, struct ob_err *err)
{
    const struct ob_npy *part = ints(z, "part", b->row[0]->n), *n = ob_npz_find(z, "n");
    const struct ob_npy *classes = ob_npz_find(z, "classes");
    int64_t n_file = n && n->n == 1 && ob_npy_is_int(n) ? ob_npy_int(n, 0) : 0;
    int64_t c = classes && classes->n == 1 && ob_npy_is_int(classes) ? ob_npy_int(classes, 0) : 0;

    if (!part || c < b->info.n_classes || c > 65536 || n_file > MAX_FILE ||
        n_file <= (int64_t)b->row[0]->id[b->row[0]->n - 1])
        return bad(b, "examples.npz lacks sizes that fit its rows", err);
    OB_TRY(ob_alloc(b->in_part, b->row[0]->n, err));
    for (size_t i = 0; i < b->row[0]->n; i++) {
        b->in_part[i] = ob_npy_int(part, i) != 0;
        b->n_part += b->in_part[i];
    }
    b->info.n_file = (size_t)n_file;
    b->info.n_classes = (int)c;
    b->info.n_train = b->row[0]->n;
    b->info.n_test = b->row[1]->n;
    return OB_OK;
}

static int read_examples(struct ob_bank *b, struct ob_err *err)
{
    struct ob_npz z = { 0 };
    char *path = NULL;
    int rc;

    OB_GO(ob_bank_path(&path, b, "examples.npz", err));
    OB_GO(ob_npz_read(&z, path, MAX_EXAMPLES, err));
    OB_GO(take_rows(b, &z, 0, err));
    OB_GO(take_rows(b, &z, 1, err));
    rc = take_sizes(b, &z, err);
out:
    ob_npz_release(&z);
    ob_free(path);
    return rc;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Seconds of a model, in the middle. Only a help: lines that are not whole do not count. */
static void read_times(struct ob_bank *b)
{
    struct ob_file f = { 0 };
    double *seconds = NULL, s;
    size_t n = 0;
    char *path = NULL;

    if (ob_bank_path(&path, b, "times.txt", NULL) ||
        ob_file_read(&f, path, OB_BANK_TIMES, false, NULL) || ob_alloc(seconds, f.n / 4 + 1, NULL))
        goto out;
    for (size_t i = 0, end; i < f.n; i = end + 1) {
        char line[80] = "";
        int k;

        for (end = i; end < f.n && f.data[end] != '\n'; end++)
            ;
        if (end == f.n || end - i >= sizeof(line))
            continue;
        memcpy(line, f.data + i, end - i);
        if (sscanf(line, "%d %lf", &k, &s) == 2 && s > 0 && n < f.n / 4)
            seconds[n++] = s;
    }
    qsort(seconds, n, sizeof(*seconds), by_size);
    b->info.seconds = n ? seconds[n / 2] : (double)NAN;
out:
    ob_free(seconds);
    ob_file_release(&f);
    ob_free(path);
}

/* A model that is there counts as asked for, whatever became of the note of it. */
static int count_models(struct ob_bank *b, struct ob_err *err)
{
    struct ob_dir there = { 0 };
    int rc = ob_dir_read(&there, b->dir, err);

    for (size_t i = 0; i < there.n; i++) {
        const char *name = there.entry[i].name;
        int k, n = 0;

        if (sscanf(name, "model-%5d.npz%n", &k, &n) == 1 && n && !name[n] && k >= 0)
            ob_bank_mark_wanted(b, k, k + 1);
    }
    ob_dir_release(&there);
    return rc;
}

int ob_bank_open(struct ob_bank **out, struct ob_ctx *ctx, const char *dir, struct ob_err *err)
{
    int rc;

    *out = NULL;
    OB_GO(ob_bank_new(out, ctx, dir, err));
    OB_GO(read_json(*out, err));
    OB_GO(read_examples(*out, err));
    OB_GO(ob_bank_read_wanted(*out, err));
    OB_GO(count_models(*out, err));
    read_times(*out);
    return OB_OK;
out:
    ob_bank_free(*out);
    *out = NULL;
    return rc;
}
