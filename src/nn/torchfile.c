/* torchfile.c - reads the state dict out of a file that PyTorch saved. */
#include "nn/torchfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/pickle.h"

/* What deflated entries may unpack to. PyTorch stores them; weights that somebody packed anew hardly
 * shrink, so more than this is no model. */
#define MOST_UNPACKED(n) (16 * (n) + ((size_t)1 << 20))
#define MAX_NAME 1024 /* bytes of the name of an archive */
#define FORMAT 10     /* the newest NAME/version that PyTorch's own reader takes */

bool obi_torch_is_zip(const struct ob_file *f)
{
    return f->n >= 4 && !memcmp(f->data, "PK\3\4", 4);
}

bool obi_torch_is_old(const struct ob_file *f)
{
    return f->n >= 2 && f->data[0] == 0x80 && f->data[1] >= 2 && f->data[1] <= 5;
}

int obi_torch_old(const struct ob_file *f, struct ob_err *err)
{
    return ob_fail(err, OB_EFORMAT,
                   "'%s' is a PyTorch pickle of before version 1.6, which is not read; where "
                   "you trust it, a newer PyTorch saves it anew: "
                   "torch.save(torch.load(OLD, map_location=\"cpu\"), NEW)",
                   f->path);
}

/* ---- the archive ---- */

struct archive {
    struct ob_tensors *t;
    const char *name; /* of the archive: every entry begins with it and a slash */
    size_t n_name;
    struct ob_pickle k;
};

static struct ob_zip_entry *find(const struct archive *a, const char *entry, const char *key,
                                 size_t n_key)
{
    char full[MAX_NAME + 80];
    int n = snprintf(full, sizeof(full), "%.*s/%s%.*s", (int)a->n_name, a->name, entry, (int)n_key,
                     key);

    return n > 0 && (size_t)n < sizeof(full) ? ob_zip_find(&a->t->zip, full, (size_t)n) : NULL;
}

/* The one entry NAME/data.pkl. */
static int find_pickle(struct archive *a, struct ob_zip_entry **out, struct ob_err *err)
{
    static const char end[] = "/data.pkl";
    const size_t n_end = sizeof(end) - 1;
    struct ob_zip *z = &a->t->zip;

    *out = NULL;
    for (size_t i = 0; i < z->n; i++) {
        struct ob_zip_entry *e = &z->entry[i];

        if (e->n_name <= n_end || memcmp(e->name + e->n_name - n_end, end, n_end))
            continue;
        if (*out)
            return ob_fail(err, OB_EFORMAT, "'%s' holds more than one 'data.pkl'", z->path);
        *out = e;
    }
    if (!*out)
        return ob_fail(err, OB_EFORMAT,
                       "'%s' is a zip archive, but not one that PyTorch saved: no 'data.pkl' in it",
                       z->path);
    a->name = (*out)->name;
    a->n_name = (*out)->n_name - n_end;
    if (a->n_name > MAX_NAME || memchr(a->name, 0, a->n_name))
        return ob_fail(err, OB_EFORMAT, "'%s' has entries with strange names", z->path);
    return OB_OK;
}

/* What stands beside the pickle and says how to read the rest. */
static int check_kind(const struct archive *a, struct ob_err *err)
{
    struct ob_zip *z = &a->t->zip;
    struct ob_zip_entry *e;

    if (find(a, "constants.pkl", "", 0))
        return ob_fail(err, OB_EFORMAT,
                       "'%s' is a TorchScript archive, a program; in Python, "
                       "torch.save(torch.jit.load(FILE).state_dict(), NEW) saves its tensors",
                       z->path);
    e = find(a, "byteorder", "", 0);
    if (e) {
        OB_TRY(ob_zip_data(z, e, err));
        if (e->size != 6 || memcmp(e->data, "little", 6))
            return ob_fail(err, OB_EFORMAT, "'%s' was saved on a machine of another byte order",
                           z->path);
    }
    e = find(a, "version", "", 0);
    if (e) {
        char text[8] = "";

        OB_TRY(ob_zip_data(z, e, err));
        memcpy(text, e->data, e->size < 7 ? e->size : 7);
        if (strtol(text, NULL, 10) > FORMAT)
            return ob_fail(err, OB_EVERSION, "'%s' was saved by a newer PyTorch (format %.6s)",
                           z->path, text);
    }
    return OB_OK;
}

/* ---- the state dict in it ---- */

/* NULL where nothing stands under `name`. In Python the last of two would count. */
static int lookup(const struct ob_pickle_value **out, const struct archive *a,
                  const struct ob_pickle_value *dict, const char *name, struct ob_err *err)
{
    const struct ob_pickle *k = &a->k;
    uint32_t at = dict->first;

    *out = NULL;
    for (uint32_t i = 0; i < dict->n; i++, at = k->item[at].next) {
        if (!obi_pickle_is(&k->value[k->item[at].key], name))
            continue;
        if (*out)
            return ob_fail(err, OB_EFORMAT, "'%s': '%s' stands there twice", a->t->file.path, name);
        *out = &k->value[k->item[at].value];
    }
    return OB_OK;
}

static int choose(const struct archive *a, const struct ob_pickle_value **out, struct ob_err *err)
{
    static const char *const under[] = { "state_dict", "model", "net", "model_state_dict" };
    const struct ob_pickle_value *root = &a->k.value[a->k.root];
    const char *path = a->t->file.path, *found = NULL;

    *out = root;
    if (root->kind != OB_PICKLE_DICT)
        return ob_fail(err, OB_EFORMAT, "'%s' holds no state dict (a dict of tensors)", path);
    for (size_t i = 0; i < sizeof(under) / sizeof(under[0]); i++) {
        const struct ob_pickle_value *v;

        OB_TRY(lookup(&v, a, root, under[i], err));
        if (!v || v->kind != OB_PICKLE_DICT)
            continue;
        if (found)
            return ob_fail(err, OB_EFORMAT,
                           "'%s' holds both '%s' and '%s': which is meant? Save one of them alone",
                           path, found, under[i]);
        found = under[i];
        *out = v;
    }
    return OB_OK;
}

/* ---- names ---- */

/* Copies the names, each with a zero behind it. */
static int copy_names(struct ob_tensors *t, const struct ob_pickle *k,
                      const struct ob_pickle_value *dict, struct ob_err *err)
{
    const struct ob_pickle_value *key;
    size_t n = 0;
    uint32_t at = dict->first;
    char *p;

    for (uint32_t i = 0; i < dict->n; i++, at = k->item[at].next) {
        key = &k->value[k->item[at].key];
        if (key->kind != OB_PICKLE_TEXT || memchr(key->as.text, 0, key->n))
            return ob_fail(err, OB_EFORMAT, "'%s': entry %u of its state dict has no proper name",
                           t->file.path, i);
        n += key->n + 1;
    }
    OB_TRY(ob_alloc(t->names, n, err));
    p = t->names;
    at = dict->first;
    for (uint32_t i = 0; i < dict->n; i++, at = k->item[at].next) {
        key = &k->value[k->item[at].key];
        memcpy(p, key->as.text, key->n);
        t->t[i].name = p;
        p += key->n + 1;
    }
    return OB_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_unique(const struct ob_tensors *t, struct ob_err *err)
{
    const char **name;
    int rc = OB_OK;

    OB_TRY(ob_alloc(name, t->n, err));
    for (size_t i = 0; i < t->n; i++)
        name[i] = t->t[i].name;
    qsort(name, t->n, sizeof(*name), by_name);
    for (size_t i = 1; i < t->n && !rc; i++)
        if (!strcmp(name[i], name[i - 1])) {
            char label[64];

            obi_tensor_label(label, name[i]);
            rc = obi_tensor_fail(err, t, label, "its name stands there twice");
        }
    ob_free(name);
    return rc;
}

/* ---- tensors ---- */

static int read_tensor(struct archive *a, struct ob_tensor *x, const struct ob_pickle_value *v,
                       struct ob_err *err)
{
    struct ob_tensors *t = a->t;
    struct ob_pickle_tensor p;
    struct ob_zip_entry *e;
    size_t item;

    if (v->kind != OB_PICKLE_TENSOR)
        return ob_fail(
            err, OB_EFORMAT,
            "'%s': '%s' is not a tensor, so this is no state dict, and none stands under "
            "'state_dict', 'model' or 'net'",
            t->file.path, x->label);
    if (obi_pickle_tensor(&p, &a->k, v) || p.rank > OB_TENSOR_RANK)
        return obi_tensor_fail(err, t, x->label, "%d dimensions, at most %d are known", p.rank,
                               OB_TENSOR_RANK);
    snprintf(x->dtype, sizeof(x->dtype), "%s", p.dtype);
    x->rank = p.rank;
    for (int i = 0; i < p.rank; i++) {
        x->shape[i] = p.shape[i];
        x->stride[i] = p.stride[i];
    }
    e = find(a, "data/", p.key, p.n_key);
    if (!e)
        return obi_tensor_fail(err, t, x->label, "its data ('data/%.*s') is not in the file",
                               (int)p.n_key, p.key);
    OB_TRY(ob_zip_data(&t->zip, e, err));
    item = obi_tensor_item(p.dtype);
    if (e->size % item || e->size / item != (size_t)p.numel)
        return obi_tensor_fail(err, t, x->label, "%zu bytes of data, its storage needs %lld of %zu",
                               e->size, (long long)p.numel, item);
    x->data = e->data + (size_t)p.offset * item;
    return OB_OK;
}

static int read_tensors(struct archive *a, const struct ob_pickle_value *dict, struct ob_err *err)
{
    struct ob_tensors *t = a->t;
    uint32_t at = dict->first;

    if (!dict->n)
        return ob_fail(err, OB_EFORMAT, "'%s': no tensors in it", t->file.path);
    if (dict->n > OB_TENSORS_MAX)
        return ob_fail(err, OB_EFORMAT, "'%s': more than %d tensors", t->file.path, OB_TENSORS_MAX);
    OB_TRY(ob_alloc(t->t, dict->n, err));
    t->n = dict->n;
    OB_TRY(copy_names(t, &a->k, dict, err));
    obi_tensors_strip(t);
    OB_TRY(check_unique(t, err));
    for (size_t i = 0; i < t->n; i++, at = a->k.item[at].next)
        OB_TRY(read_tensor(a, &t->t[i], &a->k.value[a->k.item[at].value], err));
    return OB_OK;
}

int obi_torch_read(struct ob_tensors *t, struct ob_err *err)
{
    struct archive a = { .t = t };
    const struct ob_pickle_value *dict;
    struct ob_zip_entry *e;
    int rc;

    OB_GO(ob_zip_parse(&t->zip, t->file.data, t->file.n, t->file.path, "a zip archive",
                       MOST_UNPACKED(t->file.n), err));
    OB_GO(find_pickle(&a, &e, err));
    OB_GO(check_kind(&a, err));
    if (e->size > OB_PICKLE_FILE)
        OB_GO(ob_fail(err, OB_EFORMAT, "'%s': a pickle of %zu bytes, at most %zu are read",
                      t->file.path, e->size, OB_PICKLE_FILE));
    OB_GO(ob_zip_data(&t->zip, e, err));
    OB_GO(obi_pickle_read(&a.k, e->data, e->size, t->file.path, err));
    OB_GO(choose(&a, &dict, err));
    rc = read_tensors(&a, dict, err);
out:
    obi_pickle_release(&a.k);
    return rc;
}
