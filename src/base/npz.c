/*
 * npz.c - numpy's .npz: a zip archive of .npy arrays (APPNOTE.TXT of PKWARE, the plain part of it).
 *
 * The directory at the end says what there is; the local heads are only checked against it. Written
 * entries are stored, dated 1980-01-01, and carry nothing else that could differ between two runs.
 */
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/npyhead.h"
#include "base/unpack.h"

#define LOCAL 0x04034b50u
#define CENTRAL 0x02014b50u
#define END 0x06054b50u
#define N_LOCAL 30
#define N_CENTRAL 46
#define N_END 22
#define MAX_ENTRIES 1024
#define DATE 0x21 /* 1980-01-01 */

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

/* ---- reading ---- */

struct entry { /* a row of the directory */
    const unsigned char *name;
    size_t n_name, start, end; /* of the local head and data in the file */
    size_t packed, size;
    uint32_t crc, method, flags;
};

struct archive {
    const unsigned char *p;
    size_t directory; /* where the directory starts: entries lie before it */
    const char *path;
    struct entry *row;
    size_t n;
};

static int damaged(const struct archive *a, const char *what, struct ob_err *err)
{
    return ob_fail(err, OB_EFORMAT, "'%s' is damaged: %s", a->path, what);
}

static int find_directory(struct archive *a, struct ob_reader *directory, size_t n,
                          struct ob_err *err)
{
    size_t at = n, size;
    const unsigned char *e;

    if (n < 4 || u32(a->p) != (n == N_END ? END : LOCAL))
        return ob_fail(err, OB_EFORMAT, "'%s' is not a .npz archive", a->path);
    /* the last record may have a comment behind it, of up to 65,535 bytes */
    for (size_t back = N_END; back <= n && back <= N_END + 65535 && at == n; back++)
        if (u32(a->p + n - back) == END && u16(a->p + n - back + 20) == back - N_END)
            at = n - back;
    if (at == n)
        return ob_fail(err, OB_EFORMAT, "'%s' is cut short: a .npz archive without its directory",
                       a->path);
    e = a->p + at;
    a->n = u16(e + 10);
    size = u32(e + 12);
    a->directory = u32(e + 16);
    if (u32(e + 4) || u16(e + 8) != a->n)
        return damaged(a, "a part of a larger archive", err);
    if (a->directory > at || size != at - a->directory)
        return damaged(a, "its directory does not lie where it should", err);
    if (a->n > MAX_ENTRIES || a->n * N_CENTRAL > size)
        return damaged(a, "it claims too many entries", err);
    *directory = (struct ob_reader){ a->p + a->directory, size, 0 };
    return OB_OK;
}

static int read_row(struct archive *a, struct entry *e, struct ob_reader *r, struct ob_err *err)
{
    const unsigned char *p, *rest;

    if (!ob_take(r, &p, N_CENTRAL) || u32(p) != CENTRAL)
        return damaged(a, "its directory", err);
    e->flags = u16(p + 8);
    e->method = u16(p + 10);
    e->crc = u32(p + 16);
    e->packed = u32(p + 20);
    e->size = u32(p + 24);
    e->n_name = u16(p + 28);
    e->start = u32(p + 42);
    if (!ob_take(r, &e->name, e->n_name) || !ob_take(r, &rest, u16(p + 30) + u16(p + 32)))
        return damaged(a, "its directory", err);
    if (e->packed == UINT32_MAX || e->size == UINT32_MAX || e->start == UINT32_MAX)
        return ob_fail(err, OB_EFORMAT, "'%s' has entries of 4 GiB or more, which are not read",
                       a->path);
    if ((e->flags & 1) || (e->method != 0 && e->method != 8))
        return ob_fail(err, OB_EFORMAT,
                       "'%s' has an entry that is encrypted or packed by method %u", a->path,
                       e->method);
    if (e->method == 0 && e->packed != e->size)
        return damaged(a, "an entry of two sizes", err);
    return OB_OK;
}

/* Checks the local head against the row; e->start moves on to the data. */
static int check_local(const struct archive *a, struct entry *e, struct ob_err *err)
{
    const unsigned char *p = a->p + e->start;
    size_t head;

    if (e->start > a->directory || a->directory - e->start < N_LOCAL || u32(p) != LOCAL)
        return damaged(a, "an entry does not lie where the directory says", err);
    head = N_LOCAL + u16(p + 26) + u16(p + 28);
    if (a->directory - e->start < head || a->directory - e->start - head < e->packed)
        return damaged(a, "an entry reaches beyond the end", err);
    if (u16(p + 26) != e->n_name || memcmp(p + N_LOCAL, e->name, e->n_name) ||
        u16(p + 8) != e->method || (u16(p + 6) & 9) != (e->flags & 9))
        return damaged(a, "an entry and the directory differ", err);
    if (!(e->flags & 8) &&
        (u32(p + 14) != e->crc || (u32(p + 22) != e->size && u32(p + 22) != UINT32_MAX) ||
         (u32(p + 18) != e->packed && u32(p + 18) != UINT32_MAX)))
        return damaged(a, "an entry and the directory differ", err);
    e->end = e->start + head + e->packed;
    return OB_OK;
}

static int check_apart(const struct archive *a, struct ob_err *err)
{
    for (size_t i = 0; i < a->n; i++)
        for (size_t j = 0; j < i; j++) {
            const struct entry *x = &a->row[i], *y = &a->row[j];

            if (x->start < y->end && y->start < x->end)
                return damaged(a, "entries overlap", err);
            if (x->n_name == y->n_name && !memcmp(x->name, y->name, x->n_name))
                return damaged(a, "a name stands there twice", err);
        }
    return OB_OK;
}

static int take_name(const struct archive *a, struct ob_npz_entry *out, const struct entry *e,
                     struct ob_err *err)
{
    if (e->n_name < 5 || e->n_name >= sizeof(out->name) + 4 ||
        memcmp(e->name + e->n_name - 4, ".npy", 4) || memchr(e->name, 0, e->n_name))
        return ob_fail(err, OB_EFORMAT, "'%s' has an entry that is no .npy array", a->path);
    for (size_t i = 0; i < e->n_name; i++)
        if (e->name[i] < ' ' || e->name[i] > '~')
            return ob_fail(err, OB_EFORMAT, "'%s' has an entry with a strange name", a->path);
    memcpy(out->name, e->name, e->n_name - 4);
    return OB_OK;
}

static int take_entry(const struct archive *a, struct ob_npz_entry *out, const struct entry *e,
                      size_t *budget, struct ob_err *err)
{
    const unsigned char *data = a->p + e->end - e->packed;
    char name[200];
    struct ob_bytes b;
    size_t n = strlen(a->path), skip = n > 100 ? n - 100 : 0;

    OB_TRY(take_name(a, out, e, err));
    memcpy(name, a->path + skip, n - skip);
    name[n - skip] = '/';
    memcpy(name + n - skip + 1, out->name, strlen(out->name) + 1);
    if (e->method == 8) {
        int rc;

        if (e->size > *budget)
            return ob_fail(err, OB_EFORMAT, "'%s' unpacks to more than is taken", name);
        *budget -= e->size;
        rc = ob_unpack_deflate(&b, data, e->packed, e->size, name, err);
        out->own = b.data;
        if (rc)
            return rc;
        data = b.data;
    }
    if (crc32_z(crc32_z(0, NULL, 0), data, e->size) != e->crc)
        return ob_fail(err, OB_EFORMAT, "'%s' is damaged: its checksum differs", name);
    return ob_npy_parse(&out->array, data, e->size, name, err);
}

static int read_entries(struct ob_npz *out, struct archive *a, size_t max, struct ob_err *err)
{
    struct ob_reader directory;

    OB_TRY(find_directory(a, &directory, out->file.n, err));
    OB_TRY(ob_alloc(a->row, a->n, err));
    OB_TRY(ob_alloc(out->entry, a->n, err));
    for (size_t i = 0; i < a->n; i++) {
        OB_TRY(read_row(a, &a->row[i], &directory, err));
        OB_TRY(check_local(a, &a->row[i], err));
    }
    if (directory.left)
        return damaged(a, "its directory", err);
    OB_TRY(check_apart(a, err));
    for (size_t i = 0; i < a->n; i++) {
        out->n = i + 1;
        OB_TRY(take_entry(a, &out->entry[i], &a->row[i], &max, err));
    }
    return OB_OK;
}

int ob_npz_read(struct ob_npz *out, const char *path, size_t max, struct ob_err *err)
{
    struct archive a = { .path = path };
    int rc;

    *out = (struct ob_npz){ 0 };
    OB_TRY(ob_file_read(&out->file, path, max, false, err));
    a.p = out->file.data;
    rc = read_entries(out, &a, max, err);
    ob_free(a.row);
    if (rc)
        ob_npz_release(out);
    return rc;
}

void ob_npz_release(struct ob_npz *z)
{
    for (size_t i = 0; i < z->n; i++)
        ob_free(z->entry[i].own);
    ob_free(z->entry);
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

struct written {
    char head[OBI_NPY_HEAD];
    size_t n_head, n_data, start;
    uint32_t crc;
};

/* What the local head and the row of the directory share: version to name length. */
static void write_shared(struct ob_writer *w, const struct ob_npz_item *item,
                         const struct written *e)
{
    ob_write_u16le(w, 20); /* version that can read it */
    ob_write_u16le(w, 0);  /* flags */
    ob_write_u16le(w, 0);  /* stored */
    ob_write_u16le(w, 0);  /* midnight */
    ob_write_u16le(w, DATE);
    ob_write_u32le(w, e->crc);
    ob_write_u32le(w, (uint32_t)(e->n_head + e->n_data));
    ob_write_u32le(w, (uint32_t)(e->n_head + e->n_data));
    ob_write_u16le(w, (uint16_t)(strlen(item->name) + 4));
    ob_write_u16le(w, 0); /* extra field */
}

static void write_entry(struct ob_writer *w, const struct ob_npz_item *item, struct written *e)
{
    e->start = ob_writer_pos(w);
    ob_write_u32le(w, LOCAL);
    write_shared(w, item, e);
    ob_write(w, item->name, strlen(item->name));
    ob_write(w, ".npy", 4);
    ob_write(w, e->head, e->n_head);
    ob_write(w, item->data, e->n_data);
}

static void write_row(struct ob_writer *w, const struct ob_npz_item *item, const struct written *e)
{
    ob_write_u32le(w, CENTRAL);
    ob_write_u16le(w, 20); /* version that made it */
    write_shared(w, item, e);
    ob_write_u16le(w, 0); /* comment */
    ob_write_u16le(w, 0); /* disk */
    ob_write_u16le(w, 0); /* attributes */
    ob_write_u32le(w, 0);
    ob_write_u32le(w, (uint32_t)e->start);
    ob_write(w, item->name, strlen(item->name));
    ob_write(w, ".npy", 4);
}

static void write_end(struct ob_writer *w, size_t n, size_t directory)
{
    size_t size = ob_writer_pos(w) - directory;

    ob_write_u32le(w, END);
    ob_write_u32le(w, 0);
    ob_write_u16le(w, (uint16_t)n);
    ob_write_u16le(w, (uint16_t)n);
    ob_write_u32le(w, (uint32_t)size);
    ob_write_u32le(w, (uint32_t)directory);
    ob_write_u16le(w, 0);
}

/* Heads, checksums, and whether everything has room in an archive of 32-bit sizes. */
static int prepare(struct written *e, const struct ob_npz_item *item, size_t n, const char *path,
                   struct ob_err *err)
{
    size_t total = N_END;

    for (size_t i = 0; i < n; i++) {
        uLong crc = crc32_z(0, NULL, 0);
        size_t name = strlen(item[i].name);

        OB_ASSERT(err, name < sizeof(((struct ob_npz_entry *)NULL)->name));
        OB_TRY(obi_npy_head(e[i].head, &e[i].n_head, &e[i].n_data, item[i].type, item[i].shape,
                            item[i].rank, err));
        if (!ob_add(&total, total, e[i].n_data) ||
            !ob_add(&total, total, e[i].n_head + 2 * name + 8 + N_LOCAL + N_CENTRAL) ||
            total >= UINT32_MAX)
            return ob_fail(err, OB_EINVAL, "cannot write '%s': more than 4 GiB", path);
        crc = crc32_z(crc, (const unsigned char *)e[i].head, e[i].n_head);
        if (e[i].n_data) /* zlib takes NULL for "start again" */
            crc = crc32_z(crc, item[i].data, e[i].n_data);
        e[i].crc = (uint32_t)crc;
    }
    return OB_OK;
}

int ob_npz_write(const char *path, const struct ob_npz_item *item, size_t n, struct ob_err *err)
{
    struct ob_writer *w = NULL;
    struct written *e;
    size_t directory;
    int rc;

    OB_ASSERT(err, n <= MAX_ENTRIES);
    OB_TRY(ob_alloc(e, n, err));
    OB_GO(prepare(e, item, n, path, err));
    OB_GO(ob_writer_open(&w, path, err));
    for (size_t i = 0; i < n; i++)
        write_entry(w, &item[i], &e[i]);
    directory = ob_writer_pos(w);
    for (size_t i = 0; i < n; i++)
        write_row(w, &item[i], &e[i]);
    write_end(w, n, directory);
    rc = ob_writer_commit(w, err);
out:
    ob_free(e);
    return rc;
}
