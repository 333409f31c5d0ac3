/* npy.c - numpy's .npy arrays (NEP 1): six bytes of magic, version, a Python dictionary, the data. */
#include "base/npy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "base/mem.h"
#include "base/npyhead.h"

#define MAX_HEAD ((size_t)1 << 16)

/* ---- types ---- */

static const char *const types[] = { "|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4",
                                     "<i8", "<u8", "<f2", "<f4", "<f8", NULL };

int obi_npy_item(const char *type)
{
    for (int i = 0; types[i]; i++)
        if (!strcmp(types[i], type))
            return type[2] - '0';
    return 0;
}

static int take_type(struct ob_npy *a, const char *text, const char *name, struct ob_err *err)
{
    const char *bare = text + (*text && strchr("<>|=", *text));
    bool one_byte = strlen(bare) == 2 && bare[1] == '1';

    if (bare[0] == 'O')
        return ob_fail(err, OB_EFORMAT, "'%s' holds Python objects (a pickle), which are not read",
                       name);
    if (text[0] == '>' && !one_byte)
        return ob_fail(err, OB_EFORMAT, "'%s' is big-endian ('%s'): save it little-endian", name,
                       text);
    if (strlen(bare) == 2) {
        snprintf(a->type, sizeof(a->type), "%c%.2s", one_byte ? '|' : '<', bare);
        a->item = obi_npy_item(a->type);
    }
    if (!a->item || (text[0] == '|' && !one_byte))
        return ob_fail(err, OB_EFORMAT, "'%s' has elements of type '%.20s', which is not read",
                       name, text);
    return OB_OK;
}

/* ---- the dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } ---- */

struct head {
    const unsigned char *p, *end;
    struct ob_npy *out;
    int have; /* a bit per key */
};

static void skip_blanks(struct head *h)
{
    while (h->p < h->end && (*h->p == ' ' || *h->p == '\n' || *h->p == '\t'))
        h->p++;
}

static bool accept(struct head *h, const char *word)
{
    size_t n = strlen(word);

    skip_blanks(h);
    if ((size_t)(h->end - h->p) < n || memcmp(h->p, word, n))
        return false;
    h->p += n;
    return true;
}

static bool take_text(struct head *h, char *out, size_t room)
{
    unsigned char quote;
    size_t n = 0;

    skip_blanks(h);
    if (h->p == h->end || (*h->p != '\'' && *h->p != '"'))
        return false;
    quote = *h->p++;
    while (h->p < h->end && *h->p != quote) {
        if (n + 1 == room || *h->p < ' ' || *h->p > '~' || *h->p == '\\')
            return false;
        out[n++] = (char)*h->p++;
    }
    out[n] = 0;
    if (h->p == h->end)
        return false;
    h->p++;
    return true;
}

static bool take_size(struct head *h, size_t *out)
{
    const unsigned char *start;

    skip_blanks(h);
    start = h->p;
    *out = 0;
    while (h->p < h->end && *h->p >= '0' && *h->p <= '9') {
        if (!ob_mul(out, *out, 10) || !ob_add(out, *out, (size_t)(*h->p - '0')))
            return false;
        h->p++;
    }
    return h->p > start;
}

/* () or (3,) or (3, 4) or (3, 4,) */
static int take_shape(struct head *h, const char *name, struct ob_err *err)
{
    struct ob_npy *a = h->out;
    bool comma = true;

    if (!accept(h, "("))
        goto bad;
    while (!accept(h, ")")) {
        if (a->rank == OB_NPY_RANK)
            return ob_fail(err, OB_EFORMAT, "'%s' has more than %d dimensions", name, OB_NPY_RANK);
        if (!comma || !take_size(h, &a->shape[a->rank]))
            goto bad;
        a->rank++;
        comma = accept(h, ",");
    }
    if (a->rank != 1 || comma) /* (3) is a number, not a shape */
        return OB_OK;
bad:
    return ob_fail(err, OB_EFORMAT, "'%s' is damaged: no shape in its head", name);
}

static int take_order(struct head *h, bool *fortran, const char *name, struct ob_err *err)
{
    *fortran = accept(h, "True");
    if (!*fortran && !accept(h, "False"))
        return ob_fail(err, OB_EFORMAT, "'%s' is damaged: no order in its head", name);
    return OB_OK;
}

static int take_pair(struct head *h, bool *fortran, const char *name, struct ob_err *err)
{
    static const char *const keys[] = { "descr", "fortran_order", "shape" };
    char key[32], type[32];
    int k = 0;

    if (!take_text(h, key, sizeof(key)) || !accept(h, ":"))
        return ob_fail(err, OB_EFORMAT, "'%s' is damaged: its head is not a dictionary", name);
    while (k < 3 && strcmp(keys[k], key))
        k++;
    if (k == 3 || (h->have & 1 << k))
        return ob_fail(err, OB_EFORMAT, "'%s' is damaged: '%s' in its head", name, key);
    h->have |= 1 << k;
    if (k == 1)
        return take_order(h, fortran, name, err);
    if (k == 2)
        return take_shape(h, name, err);
    if (accept(h, "["))
        return ob_fail(err, OB_EFORMAT, "'%s' is an array of records, which is not read", name);
    if (!take_text(h, type, sizeof(type)))
        return ob_fail(err, OB_EFORMAT, "'%s' is damaged: no element type in its head", name);
    return take_type(h->out, type, name, err);
}

static int parse_head(struct ob_npy *out, const unsigned char *p, size_t n, const char *name,
                      struct ob_err *err)
{
    struct head h = { p, p + n, out, 0 };
    bool fortran = false;

    if (!accept(&h, "{"))
        return ob_fail(err, OB_EFORMAT, "'%s' is damaged: its head is not a dictionary", name);
    while (!accept(&h, "}")) {
        OB_TRY(take_pair(&h, &fortran, name, err));
        if (!accept(&h, ",")) {
            if (!accept(&h, "}"))
                return ob_fail(err, OB_EFORMAT, "'%s' is damaged: its head has no end", name);
            break;
        }
    }
    skip_blanks(&h);
    if (h.have != 7 || h.p != h.end)
        return ob_fail(err, OB_EFORMAT, "'%s' is damaged: its head is not complete", name);
    if (fortran && out->rank > 1)
        return ob_fail(err, OB_EFORMAT,
                       "'%s' is in Fortran order: save numpy.ascontiguousarray() of it", name);
    return OB_OK;
}

static int take_head(struct ob_reader *r, size_t *n, const char *name, struct ob_err *err)
{
    const unsigned char *p;
    uint16_t small;
    uint32_t large;
    bool ok;

    if (!ob_take(r, &p, 8) || memcmp(p, "\x93NUMPY", 6))
        return ob_fail(err, OB_EFORMAT, "'%s' is not a .npy array", name);
    if (p[6] < 1 || p[6] > 3 || p[7])
        return ob_fail(err, OB_EFORMAT, "'%s' is .npy version %d.%d; 1.0 to 3.0 are read", name,
                       p[6], p[7]);
    if (p[6] == 1) {
        ok = ob_take_u16le(r, &small);
        *n = ok ? small : 0;
    } else {
        ok = ob_take_u32le(r, &large);
        *n = ok ? large : 0;
    }
    if (!ok || *n > r->left || *n > MAX_HEAD)
        return ob_fail(err, OB_EFORMAT, "'%s' is cut short, or its head claims too much", name);
    return OB_OK;
}

int ob_npy_parse(struct ob_npy *out, const void *data, size_t n, const char *name,
                 struct ob_err *err)
{
    struct ob_reader r = { data, n, 0 };
    const unsigned char *head;
    size_t n_head = 0, bytes;

    *out = (struct ob_npy){ .n = 1 };
    OB_TRY(take_head(&r, &n_head, name, err));
    ob_take(&r, &head, n_head);
    OB_TRY(parse_head(out, head, n_head, name, err));
    for (int i = 0; i < out->rank; i++)
        if (!ob_mul(&out->n, out->n, out->shape[i]))
            return ob_fail(err, OB_EFORMAT, "'%s' claims an impossible shape", name);
    if (!ob_mul(&bytes, out->n, (size_t)out->item) || bytes != r.left)
        return ob_fail(err, OB_EFORMAT, "'%s': %zu elements of %d bytes claimed, %zu bytes there",
                       name, out->n, out->item, r.left);
    out->data = r.p;
    return OB_OK;
}

/* ---- elements ---- */

static uint64_t raw(const struct ob_npy *a, size_t i)
{
    const unsigned char *p = a->data + i * (size_t)a->item;
    uint64_t x = 0;

    for (int k = 0; k < a->item; k++)
        x |= (uint64_t)p[k] << (8 * k);
    return x;
}

double ob_npy_double(const struct ob_npy *a, size_t i)
{
    uint64_t x = raw(a, i);
    uint32_t x32 = (uint32_t)x;
    float f;
    double d;

    if (a->type[1] == 'u')
        return (double)x;
    if (a->type[1] != 'f')
        return (double)ob_npy_int(a, i);
    if (a->item == 2)
        return (double)ob_from_half((uint16_t)x);
    if (a->item == 4) {
        memcpy(&f, &x32, 4);
        return (double)f;
    }
    memcpy(&d, &x, 8);
    return d;
}

int64_t ob_npy_int(const struct ob_npy *a, size_t i)
{
    uint64_t x = raw(a, i);

    switch (a->type[1]) {
    case 'i':
        if (a->item < 8 && x >> (8 * a->item - 1)) /* negative */
            x |= UINT64_MAX << (8 * a->item);
        return x <= INT64_MAX ? (int64_t)x : -(int64_t)(UINT64_MAX - x) - 1;
    case 'b':
        return x != 0;
    default: /* unsigned: what has no room counts as too large */
        return x <= INT64_MAX ? (int64_t)x : INT64_MAX;
    }
}

int ob_npy_is_int(const struct ob_npy *a)
{
    return a->type[1] == 'i' || a->type[1] == 'u';
}

/* ---- writing ---- */

int obi_npy_head(char out[OBI_NPY_HEAD], size_t *n_head, size_t *n_data, const char *type,
                 const size_t *shape, int rank, struct ob_err *err)
{
    size_t n = 10, bytes = (size_t)obi_npy_item(type);

    OB_ASSERT(err, bytes && rank >= 0 && rank <= OB_NPY_RANK);
    n += (size_t)snprintf(out + n, OBI_NPY_HEAD - n,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
    for (int i = 0; i < rank; i++) {
        n += (size_t)snprintf(out + n, OBI_NPY_HEAD - n, i ? ", %zu" : "%zu", shape[i]);
        if (!ob_mul(&bytes, bytes, shape[i]))
            return ob_fail(err, OB_EINVAL, "an array too large to write");
    }
    n += (size_t)snprintf(out + n, OBI_NPY_HEAD - n, rank == 1 ? ",), }" : "), }");
    while (n % 64 != 63)
        out[n++] = ' ';
    out[n++] = '\n';
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = (char)((n - 10) & 255);
    out[9] = (char)((n - 10) >> 8);
    *n_head = n;
    *n_data = bytes;
    return OB_OK;
}

int ob_npy_write(const char *path, const char *type, const size_t *shape, int rank,
                 const void *data, struct ob_err *err)
{
    char head[OBI_NPY_HEAD];
    size_t n_head, n_data;
    struct ob_writer *w;

    OB_TRY(obi_npy_head(head, &n_head, &n_data, type, shape, rank, err));
    OB_TRY(ob_writer_open(&w, path, err));
    ob_write(w, head, n_head);
    ob_write(w, data, n_data);
    return ob_writer_commit(w, err);
}

int ob_npy_write_f32(const char *path, const float *x, const size_t *shape, int rank,
                     struct ob_err *err)
{
    if (rank < 0 || rank > OB_NPY_RANK)
        return ob_fail(err, OB_EINVAL, "an array of %d dimensions; 0 to %d can be written", rank,
                       OB_NPY_RANK);
    return ob_npy_write(path, "<f4", shape, rank, x, err);
}
