/* tensors.c - what safetensors and PyTorch's files have in common: names, elements, messages. */
#include "nn/tensors.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "base/mem.h"

int obi_tensor_fail(struct ob_err *err, const struct ob_tensors *t, const char *label,
                    const char *fmt, ...)
{
    char why[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    return ob_fail(err, OB_EFORMAT, "'%s': tensor '%s': %s", t->file.path, label, why);
}

void obi_tensor_label(char out[64], const char *name)
{
    size_t n = strnlen(name, 63);

    for (size_t i = 0; i < n; i++)
        out[i] = name[i] >= ' ' && name[i] <= '~' && name[i] != '\'' ? name[i] : '?';
    out[n] = 0;
    if (name[n])
        memcpy(out + n - 3, "...", 3);
}

void obi_tensors_release(struct ob_tensors *t)
{
    json_decref(t->header);
    ob_zip_release(&t->zip);
    ob_free(t->names);
    ob_free(t->t);
    ob_file_release(&t->file);
    *t = (struct ob_tensors){ 0 };
}

struct ob_tensor *obi_tensors_find(const struct ob_tensors *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (!strcmp(t->t[i].name, name))
            return &t->t[i];
    return NULL;
}

const char *obi_tensors_meta(const struct ob_tensors *t, const char *key)
{
    return json_string_value(json_object_get(json_object_get(t->header, "__metadata__"), key));
}

/* Takes `prefix` away where every name has it; did they? */
static bool strip(struct ob_tensors *t, const char *prefix)
{
    size_t n = strlen(prefix);

    for (size_t i = 0; i < t->n; i++)
        if (strncmp(t->t[i].name, prefix, n) || !t->t[i].name[n])
            return false;
    for (size_t i = 0; i < t->n; i++)
        t->t[i].name += n;
    return t->n > 0;
}

void obi_tensors_strip(struct ob_tensors *t)
{
    while (strip(t, "module.") || strip(t, "_orig_mod."))
        ;
    for (size_t i = 0; i < t->n; i++)
        obi_tensor_label(t->t[i].label, t->t[i].name);
}

/* ---- elements ---- */

size_t obi_tensor_item(const char *dtype)
{
    static const struct {
        const char *name;
        size_t size;
    } known[] = { { "F32", 4 }, { "I64", 8 }, { "F16", 2 }, { "BF16", 2 }, { "F64", 8 },
                  { "I32", 4 }, { "I16", 2 }, { "I8", 1 },  { "U8", 1 },   { "BOOL", 1 },
                  { "U16", 2 }, { "U32", 4 }, { "U64", 8 } };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strcmp(known[i].name, dtype))
            return known[i].size;
    return 0;
}

static float from_bits(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

enum { F32, F16, BF16, F64 };

static float read_float(int kind, const unsigned char *p)
{
    uint32_t low = (uint32_t)p[0] | (uint32_t)p[1] << 8;
    double x;

    switch (kind) {
    case F16:
        return ob_from_half((uint16_t)low);
    case BF16: /* the upper half of a float */
        return from_bits(low << 16);
    case F64:
        memcpy(&x, p, sizeof(x));
        return (float)x;
    default:
        return from_bits(low | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
    }
}

static bool contiguous(const struct ob_tensor *x, size_t *size)
{
    bool is = true;

    *size = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        if (x->shape[i] != 1 && x->stride[i] != (int64_t)*size)
            is = false;
        *size *= (size_t)x->shape[i];
    }
    return is;
}

/* Where the element at `index` lies, in elements; steps on to the next, row by row. */
static size_t next(int64_t index[OB_TENSOR_RANK], const struct ob_tensor *x)
{
    int64_t at = 0;

    for (int i = 0; i < x->rank; i++)
        at += index[i] * x->stride[i];
    for (int i = x->rank - 1; i >= 0 && ++index[i] == x->shape[i]; i--)
        index[i] = 0;
    return (size_t)at;
}

bool obi_tensor_floats(float *out, const struct ob_tensor *x)
{
    static const char *const name[] = { "F32", "F16", "BF16", "F64" };
    int64_t index[OB_TENSOR_RANK] = { 0 };
    size_t n, item = obi_tensor_item(x->dtype);
    bool row_by_row = contiguous(x, &n);
    int kind = 0;

    while (kind < 4 && strcmp(name[kind], x->dtype))
        kind++;
    if (kind == 4)
        return false;
    if (kind == F32 && row_by_row) {
        if (n)
            memcpy(out, x->data, n * item);
        return true;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = read_float(kind, x->data + (row_by_row ? i : next(index, x)) * item);
    return true;
}

bool obi_tensor_ints(int64_t *out, const struct ob_tensor *x)
{
    int64_t index[OB_TENSOR_RANK] = { 0 };
    bool wide = !strcmp(x->dtype, "I64");
    size_t n;

    if (!wide && strcmp(x->dtype, "I32"))
        return false;
    contiguous(x, &n);
    for (size_t i = 0; i < n; i++) {
        const unsigned char *p = x->data + next(index, x) * (wide ? 8 : 4);
        int32_t narrow;

        if (wide) {
            memcpy(&out[i], p, 8);
        } else {
            memcpy(&narrow, p, 4);
            out[i] = narrow;
        }
    }
    return true;
}
