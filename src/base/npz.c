/* npz.c - numpy's .npz: a zip archive of .npy arrays. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/npyhead.h"
#include "base/zip.h"

#define MAX_ENTRIES 1024

/* ---- reading ---- */

static int take_name(const struct ob_npz *z, struct ob_npz_entry *out, const struct ob_zip_entry *e,
                     struct ob_err *err)
{
    if (e->n_name < 5 || e->n_name >= sizeof(out->name) + 4 ||
        memcmp(e->name + e->n_name - 4, ".npy", 4) || memchr(e->name, 0, e->n_name))
        return ob_fail(err, OB_EFORMAT, "'%s' has an entry that is no .npy array", z->file.path);
    for (size_t i = 0; i < e->n_name; i++)
        if (e->name[i] < ' ' || e->name[i] > '~')
            return ob_fail(err, OB_EFORMAT, "'%s' has an entry with a strange name", z->file.path);
    memcpy(out->name, e->name, e->n_name - 4);
    return OB_OK;
}

static int parse(struct ob_npy *out, struct ob_npz *z, struct ob_zip_entry *e, const char *array,
                 struct ob_err *err)
{
    size_t n = strlen(z->file.path), skip = n > 100 ? n - 100 : 0;
    char name[200];

    OB_TRY(ob_zip_data(&z->zip, e, err));
    snprintf(name, sizeof(name), "%s/%.64s", z->file.path + skip, array);
    return ob_npy_parse(out, e->data, e->size, name, err);
}

int ob_npz_open(struct ob_npz *z, size_t max, struct ob_err *err)
{
    return ob_zip_parse(&z->zip, z->file.data, z->file.n, z->file.path, "a .npz archive", max, err);
}

static struct ob_zip_entry *entry_of(const struct ob_npz *z, const char *name)
{
    char full[80];
    int n = snprintf(full, sizeof(full), "%s.npy", name);

    return n > 0 && (size_t)n < sizeof(full) ? ob_zip_find(&z->zip, full, (size_t)n) : NULL;
}

size_t ob_npz_size(const struct ob_npz *z, const char *name)
{
    const struct ob_zip_entry *e = entry_of(z, name);

    return e ? e->size : 0;
}

int ob_npz_take(struct ob_npy *out, struct ob_npz *z, const char *name, struct ob_err *err)
{
    struct ob_zip_entry *e = entry_of(z, name);

    return e ? parse(out, z, e, name, err) : OB_ENOTFOUND;
}

static int read_entries(struct ob_npz *out, size_t max, struct ob_err *err)
{
    struct ob_zip *zip = &out->zip;

    OB_TRY(ob_npz_open(out, max, err));
    if (zip->n > MAX_ENTRIES)
        return ob_fail(err, OB_EFORMAT, "'%s' has %zu arrays, at most %d are read", out->file.path,
                       zip->n, MAX_ENTRIES);
    OB_TRY(ob_alloc(out->entry, zip->n, err));
    for (size_t i = 0; i < zip->n; i++) {
        struct ob_npz_entry *e = &out->entry[i];

        OB_TRY(take_name(out, e, &zip->entry[i], err));
        OB_TRY(parse(&e->array, out, &zip->entry[i], e->name, err));
    }
    out->n = zip->n;
    return OB_OK;
}

int ob_npz_read(struct ob_npz *out, const char *path, size_t max, struct ob_err *err)
{
    int rc;

    *out = (struct ob_npz){ 0 };
    OB_TRY(ob_file_read(&out->file, path, max, false, err));
    rc = read_entries(out, max, err);
    if (rc)
        ob_npz_release(out);
    return rc;
}

void ob_npz_release(struct ob_npz *z)
{
    ob_free(z->entry);
    ob_zip_release(&z->zip);
    ob_file_release(&z->file);
    *z = (struct ob_npz){ 0 };
}

const struct ob_npy *ob_npz_find(const struct ob_npz *z, const char *name)
{
    for (size_t i = 0; i < z->n; i++)
        if (!strcmp(z->entry[i].name, name))
            return &z->entry[i].array;
    return NULL;
}

/* ---- writing ---- */

struct named_head {
    char name[sizeof(((struct ob_npz_entry *)NULL)->name) + 4];
    char head[OBI_NPY_HEAD];
};

static int make_item(struct ob_zip_item *out, struct named_head *h, const struct ob_npz_item *item,
                     struct ob_err *err)
{
    int n = snprintf(h->name, sizeof(h->name), "%s.npy", item->name);

    OB_ASSERT(err, n > 4 && (size_t)n < sizeof(h->name));
    out->name = h->name;
    out->part[0].data = h->head;
    out->part[1].data = item->data;
    return obi_npy_head(h->head, &out->part[0].n, &out->part[1].n, item->type, item->shape,
                        item->rank, err);
}

int ob_npz_write(const char *path, const struct ob_npz_item *item, size_t n, struct ob_err *err)
{
    struct ob_zip_item *z = NULL;
    struct named_head *h;
    int rc;

    OB_ASSERT(err, n <= MAX_ENTRIES);
    OB_TRY(ob_alloc(h, n, err));
    OB_GO(ob_alloc(z, n, err));
    for (size_t i = 0; i < n; i++)
        OB_GO(make_item(&z[i], &h[i], &item[i], err));
    rc = ob_zip_write(path, z, n, 0, err);
out:
    ob_free(z);
    ob_free(h);
    return rc;
}
