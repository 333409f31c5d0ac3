/*
 * zip.c - zip archives (APPNOTE.TXT of PKWARE, the plain part of it), read and written.
 *
 * The directory at the end says what there is; the local heads are only checked against it. Written
 * entries are stored, dated 1980-01-01, and carry nothing else that could differ between two runs.
 */
#include "base/zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/unpack.h"

#define LOCAL 0x04034b50u
#define CENTRAL 0x02014b50u
#define END 0x06054b50u
#define END64 0x06064b50u
#define LOCATOR64 0x07064b50u
#define N_LOCAL 30
#define N_CENTRAL 46
#define N_END 22
#define N_END64 56
#define N_LOCATOR64 20
#define MAX_ENTRIES 65535
#define DATE 0x21 /* 1980-01-01 */

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static uint64_t u64(const unsigned char *p)
{
    return u32(p) | (uint64_t)u32(p + 4) << 32;
}

/* ---- the directory ---- */

static int damaged(const struct ob_zip *z, const char *what, struct ob_err *err)
{
    return ob_fail(err, OB_EFORMAT, "'%s' is damaged: %s", z->path, what);
}

struct end {
    uint64_t n, size, directory;
    size_t at; /* where the directory must end */
};

/* The larger numbers of the record before the last one, where there is one (zip64). PyTorch writes
 * it always. */
static int read_end64(struct end *e, const struct ob_zip *z, size_t at, struct ob_err *err)
{
    const unsigned char *p = z->p;
    uint64_t place;

    if (at < N_LOCATOR64 + N_END64 || u32(p + at - N_LOCATOR64) != LOCATOR64)
        return OB_OK;
    at -= N_LOCATOR64;
    place = u64(p + at + 8);
    if (place > at - N_END64 || u32(p + place) != END64 || u64(p + place + 4) != at - place - 12 ||
        u64(p + place + 24) != u64(p + place + 32))
        return damaged(z, "its end", err);
    if ((e->n != UINT16_MAX && e->n != u64(p + place + 32)) ||
        (e->size != UINT32_MAX && e->size != u64(p + place + 40)) ||
        (e->directory != UINT32_MAX && e->directory != u64(p + place + 48)))
        return damaged(z, "its two ends differ", err);
    e->n = u64(p + place + 32);
    e->size = u64(p + place + 40);
    e->directory = u64(p + place + 48);
    e->at = (size_t)place;
    return OB_OK;
}

static int find_directory(struct ob_zip *z, struct ob_reader *directory, size_t n, const char *kind,
                          struct ob_err *err)
{
    const unsigned char *p = z->p;
    struct end e = { .at = n };

    if (n < 4 || u32(p) != (n == N_END ? END : LOCAL))
        return ob_fail(err, OB_EFORMAT, "'%s' is not %s", z->path, kind);
    /* the last record may have a comment behind it, of up to 65,535 bytes */
    for (size_t back = N_END; back <= n && back <= N_END + 65535 && e.at == n; back++)
        if (u32(p + n - back) == END && u16(p + n - back + 20) == back - N_END)
            e.at = n - back;
    if (e.at == n)
        return ob_fail(err, OB_EFORMAT, "'%s' is cut short: %s without its directory", z->path,
                       kind);
    p += e.at;
    if (u32(p + 4) || u16(p + 8) != u16(p + 10))
        return damaged(z, "a part of a larger archive", err);
    e.n = u16(p + 10);
    e.size = u32(p + 12);
    e.directory = u32(p + 16);
    OB_TRY(read_end64(&e, z, e.at, err));
    if (e.directory > e.at || e.size != e.at - e.directory)
        return damaged(z, "its directory does not lie where it should", err);
    if (e.n > MAX_ENTRIES || e.n * N_CENTRAL > e.size)
        return damaged(z, "it claims too many entries", err);
    z->n = (size_t)e.n;
    z->directory = (size_t)e.directory;
    *directory = (struct ob_reader){ z->p + z->directory, (size_t)e.size, 0 };
    return OB_OK;
}

static int read_row(const struct ob_zip *z, struct ob_zip_entry *e, struct ob_reader *r,
                    struct ob_err *err)
{
    const unsigned char *p, *name, *rest;

    if (!ob_take(r, &p, N_CENTRAL) || u32(p) != CENTRAL)
        return damaged(z, "its directory", err);
    e->flags = u16(p + 8);
    e->method = u16(p + 10);
    e->crc = u32(p + 16);
    e->packed = u32(p + 20);
    e->size = u32(p + 24);
    e->n_name = u16(p + 28);
    e->start = u32(p + 42);
    if (!ob_take(r, &name, e->n_name) || !ob_take(r, &rest, u16(p + 30) + u16(p + 32)))
        return damaged(z, "its directory", err);
    e->name = (const char *)name;
    if (e->packed == UINT32_MAX || e->size == UINT32_MAX || e->start == UINT32_MAX)
        return ob_fail(err, OB_EFORMAT, "'%s' has entries of 4 GiB or more, which are not read",
                       z->path);
    if ((e->flags & 1) || (e->method != 0 && e->method != 8))
        return ob_fail(err, OB_EFORMAT,
                       "'%s' has an entry that is encrypted or packed by method %u", z->path,
                       e->method);
    if (e->method == 0 && e->packed != e->size)
        return damaged(z, "an entry of two sizes", err);
    return OB_OK;
}

/* Checks the local head against the row, and finds where the entry ends. */
static int check_local(const struct ob_zip *z, struct ob_zip_entry *e, struct ob_err *err)
{
    const unsigned char *p = z->p + e->start;
    size_t head;

    if (e->start > z->directory || z->directory - e->start < N_LOCAL || u32(p) != LOCAL)
        return damaged(z, "an entry does not lie where the directory says", err);
    head = N_LOCAL + u16(p + 26) + u16(p + 28);
    if (z->directory - e->start < head || z->directory - e->start - head < e->packed)
        return damaged(z, "an entry reaches beyond the end", err);
    if (u16(p + 26) != e->n_name || memcmp(p + N_LOCAL, e->name, e->n_name) ||
        u16(p + 8) != e->method || (u16(p + 6) & 9) != (e->flags & 9))
        return damaged(z, "an entry and the directory differ", err);
    if (!(e->flags & 8) &&
        (u32(p + 14) != e->crc || (u32(p + 22) != e->size && u32(p + 22) != UINT32_MAX) ||
         (u32(p + 18) != e->packed && u32(p + 18) != UINT32_MAX)))
        return damaged(z, "an entry and the directory differ", err);
    e->end = e->start + head + e->packed;
    return OB_OK;
}

static int by_start(const void *a, const void *b)
{
    const struct ob_zip_entry *x = *(struct ob_zip_entry *const *)a,
                              *y = *(struct ob_zip_entry *const *)b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static int compare_names(const char *a, size_t n_a, const char *b, size_t n_b)
{
    int order;

    if (n_a != n_b)
        return n_a < n_b ? -1 : 1;
    order = memcmp(a, b, n_a);
    return order < 0 ? -1 : order > 0;
}

static int by_name(const void *a, const void *b)
{
    const struct ob_zip_entry *x = *(struct ob_zip_entry *const *)a,
                              *y = *(struct ob_zip_entry *const *)b;

    return compare_names(x->name, x->n_name, y->name, y->n_name);
}

/* No two entries share a byte or a name. Leaves z->by_name in the order of names. */
static int check_apart(struct ob_zip *z, struct ob_err *err)
{
    OB_TRY(ob_alloc(z->by_name, z->n, err));
    for (size_t i = 0; i < z->n; i++)
        z->by_name[i] = &z->entry[i];
    qsort(z->by_name, z->n, sizeof(*z->by_name), by_start);
    for (size_t i = 1; i < z->n; i++)
        if (z->by_name[i]->start < z->by_name[i - 1]->end)
            return damaged(z, "entries overlap", err);
    qsort(z->by_name, z->n, sizeof(*z->by_name), by_name);
    for (size_t i = 1; i < z->n; i++)
        if (!by_name(&z->by_name[i], &z->by_name[i - 1]))
            return damaged(z, "a name stands there twice", err);
    return OB_OK;
}

int ob_zip_parse(struct ob_zip *out, const unsigned char *p, size_t n, const char *path,
                 const char *kind, size_t max, struct ob_err *err)
{
    struct ob_reader directory;

    *out = (struct ob_zip){ .path = path, .p = p, .budget = max };
    OB_TRY(find_directory(out, &directory, n, kind, err));
    OB_TRY(ob_alloc(out->entry, out->n, err));
    for (size_t i = 0; i < out->n; i++) {
        OB_TRY(read_row(out, &out->entry[i], &directory, err));
        OB_TRY(check_local(out, &out->entry[i], err));
    }
    if (directory.left)
        return damaged(out, "its directory", err);
    return check_apart(out, err);
}

void ob_zip_release(struct ob_zip *z)
{
    for (size_t i = 0; z->entry && i < z->n; i++)
        ob_free(z->entry[i].own);
    ob_free(z->entry);
    ob_free(z->by_name);
    *z = (struct ob_zip){ 0 };
}

/* ---- the content ---- */

struct ob_zip_entry *ob_zip_find(const struct ob_zip *z, const char *name, size_t n_name)
{
    size_t low = 0, high = z->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct ob_zip_entry *e = z->by_name[middle];
        int order = compare_names(name, n_name, e->name, e->n_name);

        if (!order)
            return e;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

#define LABEL 200

/* "m.pt/archive/data/0", the end of a long path, no odd characters of the entry's. */
static const char *label(char out[LABEL], const struct ob_zip *z, const struct ob_zip_entry *e)
{
    size_t n = strlen(z->path), skip = n > 100 ? n - 100 : 0, k = 0;

    memcpy(out, z->path + skip, n - skip);
    n -= skip;
    out[n++] = '/';
    for (; k < e->n_name && n < LABEL - 1; k++)
        out[n++] = e->name[k] >= ' ' && e->name[k] <= '~' && e->name[k] != '\'' ? e->name[k] : '?';
    out[n] = 0;
    return out;
}

int ob_zip_data(struct ob_zip *z, struct ob_zip_entry *e, struct ob_err *err)
{
    const unsigned char *data = z->p + e->end - e->packed;
    char name[LABEL];

    if (e->data)
        return OB_OK;
    label(name, z, e);
    if (e->method == 8) {
        struct ob_bytes b;
        int rc;

        if (e->size > z->budget)
            return ob_fail(err, OB_EFORMAT, "'%s' unpacks to more than is taken", name);
        z->budget -= e->size;
        rc = ob_unpack_deflate(&b, data, e->packed, e->size, name, err);
        e->own = b.data;
        if (rc)
            return rc;
        data = b.data;
    }
    if (crc32_z(crc32_z(0, NULL, 0), data, e->size) != e->crc)
        return ob_fail(err, OB_EFORMAT, "'%s' is damaged: its checksum differs", name);
    e->data = data;
    return OB_OK;
}

/* ---- writing ---- */

struct written {
    size_t size, start, extra;
    uint32_t crc;
};

/* What the local head and the row of the directory share: version to length of the name. */
static void write_shared(struct ob_writer *w, const struct ob_zip_item *item,
                         const struct written *e)
{
    ob_write_u16le(w, 20); /* version that can read it */
    ob_write_u16le(w, 0);  /* flags */
    ob_write_u16le(w, 0);  /* stored */
    ob_write_u16le(w, 0);  /* midnight */
    ob_write_u16le(w, DATE);
    ob_write_u32le(w, e->crc);
    ob_write_u32le(w, (uint32_t)e->size);
    ob_write_u32le(w, (uint32_t)e->size);
    ob_write_u16le(w, (uint16_t)strlen(item->name));
}

static void write_entry(struct ob_writer *w, const struct ob_zip_item *item,
                        const struct written *e)
{
    ob_write_u32le(w, LOCAL);
    write_shared(w, item, e);
    ob_write_u16le(w, (uint16_t)e->extra);
    ob_write(w, item->name, strlen(item->name));
    if (e->extra) {
        ob_write(w, "FB", 2);
        ob_write_u16le(w, (uint16_t)(e->extra - 4));
        for (size_t i = 4; i < e->extra; i++)
            ob_write(w, "Z", 1);
    }
    for (int k = 0; k < 2; k++)
        ob_write(w, item->part[k].data, item->part[k].n);
}

static void write_row(struct ob_writer *w, const struct ob_zip_item *item, const struct written *e)
{
    ob_write_u32le(w, CENTRAL);
    ob_write_u16le(w, 20); /* version that made it */
    write_shared(w, item, e);
    ob_write_u16le(w, 0); /* extra field */
    ob_write_u16le(w, 0); /* comment */
    ob_write_u16le(w, 0); /* disk */
    ob_write_u16le(w, 0); /* attributes */
    ob_write_u32le(w, 0);
    ob_write_u32le(w, (uint32_t)e->start);
    ob_write(w, item->name, strlen(item->name));
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

/* Places and checksums, and whether everything has room in an archive of 32-bit sizes. */
static int prepare(struct written *e, const struct ob_zip_item *item, size_t n, size_t align,
                   const char *path, struct ob_err *err)
{
    size_t at = 0, directory = N_END;

    for (size_t i = 0; i < n; i++) {
        uLong crc = crc32_z(0, NULL, 0);
        size_t name = strlen(item[i].name);

        e[i].start = at;
        at += N_LOCAL + name;
        if (align)
            e[i].extra = 4 + (align - (at + 4) % align) % align;
        at += e[i].extra;
        for (int k = 0; k < 2; k++) {
            if (!ob_add(&e[i].size, e[i].size, item[i].part[k].n) || e[i].size >= UINT32_MAX)
                return ob_fail(err, OB_EINVAL, "cannot write '%s': more than 4 GiB", path);
            if (item[i].part[k].n) /* zlib takes NULL for "start again" */
                crc = crc32_z(crc, item[i].part[k].data, item[i].part[k].n);
        }
        e[i].crc = (uint32_t)crc;
        at += e[i].size;
        directory += N_CENTRAL + name;
        if (at + directory >= UINT32_MAX)
            return ob_fail(err, OB_EINVAL, "cannot write '%s': more than 4 GiB", path);
    }
    return OB_OK;
}

int ob_zip_write(const char *path, const struct ob_zip_item *item, size_t n, size_t align,
                 struct ob_err *err)
{
    struct ob_writer *w;
    struct written *e;
    size_t directory;
    int rc;

    OB_ASSERT(err, n <= MAX_ENTRIES && align <= 4096);
    OB_TRY(ob_alloc(e, n, err));
    OB_GO(prepare(e, item, n, align, path, err));
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
