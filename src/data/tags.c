/*
 * tags.c - what another file says of each training example: the group that it belongs to, or a second label.
 *
 * A text file with a line for each example of the training file, in order; or an integer array of one
 * dimension, FILE.npy, or FILE.npz:NAME for one of several.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/npy.h"
#include "base/str.h"
#include "data/data.h"

#define MAX_FILE ((size_t)1 << 28)
#define MAX_NAME 63

struct tag { /* a piece of the file's bytes, or of `digits` */
    const char *text;
    size_t n;
    uint32_t id;
};

struct tags {
    const char *path;
    size_t n;
    struct tag *tag; /* by example */
    struct ob_file file;
    struct ob_npz npz;
    char (*digits)[24]; /* of an array */
    const char *place;  /* what stands before the number in messages */
    size_t first;       /* the number of example 0 there */
};

static void release(struct tags *t)
{
    ob_free(t->tag);
    ob_free(t->digits);
    ob_file_release(&t->file);
    ob_npz_release(&t->npz);
}

static int wrong_count(const struct tags *t, size_t found, struct ob_err *err)
{
    return ob_fail(
        err, OB_EFORMAT,
        "'%s' has %zu %s, but the training file has %zu examples: one is needed for each", t->path,
        found, t->place[0] == 'l' ? "lines" : "entries", t->n);
}

static int take_lines(struct tags *t, struct ob_err *err)
{
    const char *p = (const char *)t->file.data, *end = p + t->file.n;
    size_t found = 0;

    t->place = "line";
    t->first = 1;
    for (; p < end; found++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop ? stop : end) - p);

        if (found < t->n)
            t->tag[found] = (struct tag){ p, n && p[n - 1] == '\r' ? n - 1 : n, (uint32_t)found };
        p = stop ? stop + 1 : end;
    }
    return found == t->n ? OB_OK : wrong_count(t, found, err);
}

static int take_array(struct tags *t, const struct ob_npy *a, struct ob_err *err)
{
    t->place = "entry";
    if (a->rank != 1 || !ob_npy_is_int(a))
        return ob_fail(err, OB_EFORMAT, "'%s': not a list of integers (type %s, %d dimensions)",
                       t->path, a->type, a->rank);
    if (a->n != t->n)
        return wrong_count(t, a->n, err);
    OB_TRY(ob_alloc(t->digits, t->n, err));
    for (size_t i = 0; i < t->n; i++) {
        int n = snprintf(t->digits[i], sizeof(t->digits[i]), "%lld", (long long)ob_npy_int(a, i));

        t->tag[i] = (struct tag){ t->digits[i], (size_t)n, (uint32_t)i };
    }
    return OB_OK;
}

/* "a/b.npz:name" */
static int read_archive(struct tags *t, const char *colon, struct ob_err *err)
{
    struct ob_npy a;
    char *path;
    int rc;

    OB_TRY(ob_strdup(&path, t->path, err));
    path[colon - t->path] = 0;
    OB_GO(ob_file_read(&t->npz.file, path, MAX_FILE, false, err));
    OB_GO(ob_npz_open(&t->npz, MAX_FILE, err));
    rc = ob_npz_take(&a, &t->npz, colon + 1, err);
    if (rc == OB_ENOTFOUND)
        rc = ob_fail(err, OB_EFORMAT, "'%s' has no array '%s'", path, colon + 1);
    OB_GO(rc);
    rc = take_array(t, &a, err);
out:
    ob_free(path);
    return rc;
}

static int read_tags(struct tags *t, struct ob_err *err)
{
    const char *colon = strrchr(t->path, ':');
    struct ob_npy a;

    OB_TRY(ob_alloc(t->tag, t->n, err));
    if (colon && colon - t->path > 4 && !strncmp(colon - 4, ".npz", 4))
        return read_archive(t, colon, err);
    OB_TRY(ob_file_read(&t->file, t->path, MAX_FILE, false, err));
    if (t->file.n < 6 || memcmp(t->file.data, "\x93NUMPY", 6))
        return take_lines(t, err);
    OB_TRY(ob_npy_parse(&a, t->file.data, t->file.n, t->path, err));
    return take_array(t, &a, err);
}

/* ---- groups ---- */

struct ob_groups {
    size_t n_examples, n;
    int32_t *of; /* by example; -1: none */
    char (*name)[MAX_NAME + 1];
};

void ob_groups_free(struct ob_groups *g)
{
    if (!g)
        return;
    ob_free(g->of);
    ob_free(g->name);
    ob_free(g);
}

size_t ob_groups_n(const struct ob_groups *g)
{
    return g->n;
}

size_t ob_groups_size(const struct ob_groups *g)
{
    return g->n_examples;
}

const char *ob_groups_name(const struct ob_groups *g, size_t i)
{
    return g->name[i];
}

int ob_groups_of(const struct ob_groups *g, uint32_t id)
{
    return id < g->n_examples ? g->of[id] : -1;
}

int ob_groups_find(const struct ob_groups *g, const char *name)
{
    for (size_t i = 0; i < g->n; i++)
        if (!strcmp(g->name[i], name))
            return (int)i;
    return -1;
}

static int by_text(const void *a, const void *b)
{
    const struct tag *p = a, *q = b;
    int order = memcmp(p->text, q->text, p->n < q->n ? p->n : q->n);

    if (order || p->n != q->n)
        return order ? order : p->n < q->n ? -1 : 1;
    return p->id < q->id ? -1 : p->id > q->id;
}

static int check_name(const struct tags *t, const struct tag *g, struct ob_err *err)
{
    if (g->n > MAX_NAME)
        return ob_fail(err, OB_EFORMAT, "'%s', %s %zu: the name is longer than %d bytes", t->path,
                       t->place, g->id + t->first, MAX_NAME);
    for (size_t i = 0; i < g->n; i++)
        if ((unsigned char)g->text[i] < ' ')
            return ob_fail(err, OB_EFORMAT, "'%s', %s %zu: no name: it has a control character",
                           t->path, t->place, g->id + t->first);
    return OB_OK;
}

static bool is_none(const struct tags *t, const struct tag *g)
{
    return !g->n || (t->digits && g->text[0] == '-');
}

/* Numbers the names in the order of their bytes. */
static int number_groups(struct ob_groups *g, struct tags *t, struct ob_err *err)
{
    const struct tag *last = NULL;

    for (size_t i = 0; i < t->n; i++)
        OB_TRY(check_name(t, &t->tag[i], err));
    qsort(t->tag, t->n, sizeof(*t->tag), by_text);
    OB_TRY(ob_alloc(g->of, t->n, err));
    OB_TRY(ob_alloc(g->name, t->n, err));
    for (size_t i = 0; i < t->n; i++) {
        const struct tag *tag = &t->tag[i];

        g->of[tag->id] = -1;
        if (is_none(t, tag))
            continue;
        if (!last || tag->n != last->n || memcmp(tag->text, last->text, tag->n))
            memcpy(g->name[g->n++], tag->text, tag->n);
        last = tag;
        g->of[tag->id] = (int32_t)g->n - 1;
    }
    if (!g->n)
        return ob_fail(err, OB_EFORMAT, "'%s': no example has a group", t->path);
    return OB_OK;
}

int ob_groups_read(struct ob_groups **out, const char *path, size_t n, struct ob_err *err)
{
    struct tags t = { .path = path, .n = n };
    struct ob_groups *g = NULL;
    int rc;

    *out = NULL;
    OB_GO(read_tags(&t, err));
    OB_GO(ob_alloc(g, 1, err));
    g->n_examples = n;
    rc = number_groups(g, &t, err);
out:
    release(&t);
    if (rc)
        ob_groups_free(g);
    else
        *out = g;
    return rc;
}

/* ---- labels ---- */

static int take_label(int32_t *out, const struct tags *t, size_t i, int n_classes,
                      struct ob_err *err)
{
    char text[25] = "";
    int64_t label;

    memcpy(text, t->tag[i].text, t->tag[i].n < 24 ? t->tag[i].n : 24);
    if (!text[0])
        label = -1;
    else if (!ob_str_int(text, &label) || label < -1 || label >= n_classes)
        return ob_fail(err, OB_EFORMAT,
                       "'%s', %s %zu: '%s' is no label: 0 to %d, or -1 where it is not known",
                       t->path, t->place, i + t->first, text, n_classes - 1);
    *out = (int32_t)label;
    return OB_OK;
}

int ob_labels_read(int32_t **out, const char *path, size_t n, int n_classes, struct ob_err *err)
{
    struct tags t = { .path = path, .n = n };
    int rc;

    *out = NULL;
    OB_GO(read_tags(&t, err));
    OB_GO(ob_alloc(*out, n, err));
    for (size_t i = 0; i < n; i++)
        OB_GO(take_label(&(*out)[i], &t, i, n_classes, err));
out:
    release(&t);
    if (rc) {
        ob_free(*out);
        *out = NULL;
    }
    return rc;
}
