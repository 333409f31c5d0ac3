/* ids.c - sets of example numbers: sorted, no duplicates, below a known limit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/npy.h"
#include "data/data.h"

#define MAX_FILE ((size_t)1 << 28)

/* ---- making sets ---- */

static int alloc_ids(struct ob_ids **out, size_t n, size_t limit, struct ob_err *err)
{
    struct ob_ids *s;

    *out = NULL;
    OB_TRY(ob_alloc(s, 1, err));
    s->limit = limit;
    if (ob_alloc(s->id, n, err)) {
        ob_free(s);
        return OB_ENOMEM;
    }
    *out = s;
    return OB_OK;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

int ob_ids_new(struct ob_ids **out, const uint32_t *id, size_t n, size_t limit, struct ob_err *err)
{
    struct ob_ids *s;
    bool sorted = true;

    *out = NULL;
    for (size_t i = 0; i < n; i++) {
        if (id[i] >= limit)
            return ob_fail(err, OB_EFORMAT, "example %u is out of range (there are %zu)", id[i],
                           limit);
        sorted = sorted && (!i || id[i - 1] < id[i]);
    }
    OB_TRY(alloc_ids(&s, n, limit, err));
    s->n = n;
    if (n)
        memcpy(s->id, id, n * sizeof(*id));
    if (n && !sorted)
        qsort(s->id, n, sizeof(*s->id), by_number);
    for (size_t i = 1; i < n; i++)
        if (s->id[i] == s->id[i - 1]) {
            int rc = ob_fail(err, OB_EFORMAT, "example %u stands there twice", s->id[i]);

            ob_ids_free(s);
            return rc;
        }
    *out = s;
    return OB_OK;
}

void ob_ids_free(struct ob_ids *s)
{
    if (!s)
        return;
    ob_free(s->id);
    ob_free(s->line);
    ob_free(s);
}

size_t ob_ids_n(const struct ob_ids *s)
{
    return s->n;
}

const uint32_t *ob_ids_list(const struct ob_ids *s)
{
    return s->id;
}

static size_t first_not_below(const struct ob_ids *s, uint32_t id)
{
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (s->id[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int ob_ids_has(const struct ob_ids *s, uint32_t id)
{
    size_t i = first_not_below(s, id);

    return i < s->n && s->id[i] == id;
}

int ob_ids_minus(struct ob_ids **out, const struct ob_ids *a, const struct ob_ids *b,
                 struct ob_err *err)
{
    size_t j = 0;

    OB_TRY(alloc_ids(out, a->n, a->limit, err));
    for (size_t i = 0; i < a->n; i++) {
        while (j < b->n && b->id[j] < a->id[i])
            j++;
        if (j == b->n || b->id[j] != a->id[i])
            (*out)->id[(*out)->n++] = a->id[i];
    }
    return OB_OK;
}

int ob_ids_union(struct ob_ids **out, const struct ob_ids *a, const struct ob_ids *b,
                 struct ob_err *err)
{
    size_t room, i = 0, j = 0;
    struct ob_ids *s;

    *out = NULL;
    if (!ob_add(&room, a->n, b->n))
        return ob_fail(err, OB_ENOMEM, "out of memory");
    OB_TRY(alloc_ids(&s, room, a->limit > b->limit ? a->limit : b->limit, err));
    while (i < a->n || j < b->n) {
        if (j == b->n || (i < a->n && a->id[i] < b->id[j])) {
            s->id[s->n++] = a->id[i++];
        } else {
            i += i < a->n && a->id[i] == b->id[j];
            s->id[s->n++] = b->id[j++];
        }
    }
    *out = s;
    return OB_OK;
}

int ob_ids_equal(const struct ob_ids *a, const struct ob_ids *b)
{
    return a->n == b->n && (!a->n || !memcmp(a->id, b->id, a->n * sizeof(*a->id)));
}

/* "'ids.txt', line 7: ", as far as it is known. */
static void say_where(char *out, size_t room, const struct ob_ids *s, size_t i, const char *path)
{
    if (!path)
        out[0] = 0;
    else if (s->line && i < s->n)
        snprintf(out, room, "'%s', %s %u: ", path, s->place, s->line[i]);
    else
        snprintf(out, room, "'%s': ", path);
}

int ob_ids_check_forget(const struct ob_ids *s, const struct ob_ids *whole, const char *path,
                        struct ob_err *err)
{
    char where[300];
    size_t j = 0;

    say_where(where, sizeof(where), s, s->n, path);
    if (!s->n)
        return ob_fail(err, OB_EFORMAT, "%sthe set is empty: there is nothing to forget", where);
    for (size_t i = 0; i < s->n; i++) {
        while (j < whole->n && whole->id[j] < s->id[i])
            j++;
        if (j < whole->n && whole->id[j] == s->id[i])
            continue;
        say_where(where, sizeof(where), s, i, path);
        return ob_fail(err, OB_EFORMAT, "%sexample %u is not in the training part (%zu examples)",
                       where, s->id[i], whole->n);
    }
    if (s->n >= whole->n)
        return ob_fail(err, OB_EFORMAT,
                       "%sthe set is the whole training part: no retained example is left", where);
    return OB_OK;
}

/* ---- reading ---- */

struct found {
    uint32_t *id, *line;
    size_t n, room, limit;
    unsigned char *seen; /* a bit per example, so that "twice" names the line */
    const char *path, *place;
};

static int add_found(struct found *f, uint64_t id, size_t line, struct ob_err *err)
{
    unsigned char bit = (unsigned char)(1 << (id & 7));

    if (id >= f->limit)
        return ob_fail(err, OB_EFORMAT, "'%s', %s %zu: example %llu is out of range (0 to %zu)",
                       f->path, f->place, line, (unsigned long long)id,
                       f->limit ? f->limit - 1 : 0);
    if (f->seen[id >> 3] & bit)
        return ob_fail(err, OB_EFORMAT, "'%s', %s %zu: example %llu stands there twice", f->path,
                       f->place, line, (unsigned long long)id);
    f->seen[id >> 3] |= bit;
    if (f->n == f->room) {
        size_t more = f->room ? f->room * 2 : 256;

        OB_TRY(ob_grow(f->id, f->room, more, err));
        OB_TRY(ob_grow(f->line, f->room, more, err));
        f->room = more;
    }
    f->line[f->n] = (uint32_t)line;
    f->id[f->n++] = (uint32_t)id;
    return OB_OK;
}

static int not_a_number(const struct found *f, const unsigned char *p, size_t n, size_t line,
                        struct ob_err *err)
{
    char shown[25];
    size_t k = n < 24 ? n : 24;

    for (size_t i = 0; i < k; i++)
        shown[i] = p[i] >= ' ' && p[i] < 127 ? (char)p[i] : '?';
    shown[k] = 0;
    return ob_fail(err, OB_EFORMAT, "'%s', line %zu: '%s%s' is not an example number", f->path,
                   line, shown, k < n ? "..." : "");
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static int read_line(struct found *f, const unsigned char *p, size_t n, size_t line,
                     struct ob_err *err)
{
    const unsigned char *comment = memchr(p, '#', n);
    uint64_t id = 0;

    if (comment)
        n = (size_t)(comment - p);
    while (n && is_blank(p[n - 1]))
        n--;
    for (; n && is_blank(*p); n--)
        p++;
    if (!n)
        return OB_OK;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return not_a_number(f, p, n, line, err);
        if (id < UINT32_MAX)
            id = id * 10 + (uint64_t)(p[i] - '0');
    }
    return add_found(f, id, line, err);
}

static int read_text(struct found *f, const struct ob_file *file, struct ob_err *err)
{
    const unsigned char *p = file->data, *end = p + file->n;

    f->place = "line";
    for (size_t line = 1; p < end; line++) {
        const unsigned char *stop = memchr(p, '\n', (size_t)(end - p));

        if (!stop)
            stop = end;
        OB_TRY(read_line(f, p, (size_t)(stop - p), line, err));
        p = stop < end ? stop + 1 : end;
    }
    return OB_OK;
}

static int read_npy(struct found *f, const struct ob_file *file, struct ob_err *err)
{
    struct ob_npy a;

    f->place = "entry";
    OB_TRY(ob_npy_parse(&a, file->data, file->n, f->path, err));
    if (a.rank != 1 || !ob_npy_is_int(&a))
        return ob_fail(err, OB_EFORMAT, "'%s': not a list of integers (type %s, %d dimensions)",
                       f->path, a.type, a.rank);
    for (size_t i = 0; i < a.n; i++) {
        int64_t id = ob_npy_int(&a, i);

        if (id < 0)
            return ob_fail(err, OB_EFORMAT, "'%s', entry %zu: %lld is not an example number",
                           f->path, i, (long long)id);
        OB_TRY(add_found(f, (uint64_t)id, i, err));
    }
    return OB_OK;
}

/* Keeps where each example stood, for messages that come later. */
static int keep_lines(struct ob_ids *s, const struct found *f, struct ob_err *err)
{
    OB_TRY(ob_alloc(s->line, s->n, err));
    s->place = f->place;
    for (size_t i = 0; i < f->n; i++)
        s->line[first_not_below(s, f->id[i])] = f->line[i];
    return OB_OK;
}

int ob_ids_read(struct ob_ids **out, const char *path, size_t limit, struct ob_err *err)
{
    struct found f = { .limit = limit, .path = path };
    struct ob_file file;
    int rc;

    *out = NULL;
    OB_GO(ob_file_read(&file, path, MAX_FILE, false, err));
    OB_GO(ob_alloc(f.seen, limit / 8 + 1, err));
    if (file.n >= 6 && !memcmp(file.data, "\x93NUMPY", 6))
        OB_GO(read_npy(&f, &file, err));
    else
        OB_GO(read_text(&f, &file, err));
    if (!f.n) {
        rc = ob_fail(err, OB_EFORMAT, "'%s' holds no example number: the set is empty", path);
        goto out;
    }
    OB_GO(ob_ids_new(out, f.id, f.n, limit, err));
    rc = keep_lines(*out, &f, err);
    if (rc) {
        ob_ids_free(*out);
        *out = NULL;
    }
out:
    ob_free(f.id);
    ob_free(f.line);
    ob_free(f.seen);
    ob_file_release(&file);
    return rc;
}

/* ---- writing ---- */

static int write_npy(const struct ob_ids *s, const char *path, struct ob_err *err)
{
    int64_t *wide;
    int rc;

    OB_TRY(ob_alloc(wide, s->n, err));
    for (size_t i = 0; i < s->n; i++)
        wide[i] = s->id[i];
    rc = ob_npy_write(path, "<i8", &s->n, 1, wide, err);
    ob_free(wide);
    return rc;
}

static void write_note(struct ob_writer *w, const char *note)
{
    while (note && *note) {
        size_t n = strcspn(note, "\n");

        ob_write(w, "# ", 2);
        ob_write(w, note, n);
        ob_write(w, "\n", 1);
        note += n + (note[n] == '\n');
    }
}

int ob_ids_write(const struct ob_ids *s, const char *path, const char *note, struct ob_err *err)
{
    size_t n = strlen(path);
    struct ob_writer *w;

    if (n > 4 && !strcmp(path + n - 4, ".npy")) /* no room for a note there */
        return write_npy(s, path, err);
    OB_TRY(ob_writer_open(&w, path, err));
    write_note(w, note);
    for (size_t i = 0; i < s->n; i++)
        ob_writef(w, "%u\n", s->id[i]);
    return ob_writer_commit(w, err);
}

size_t ob_ids_rank(const struct ob_ids *s, uint32_t id)
{
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (s->id[mid] < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}
