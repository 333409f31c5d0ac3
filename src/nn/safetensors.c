/* safetensors.c - takes a safetensors file apart; nothing in it is trusted. */
#include "nn/tensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void make_label(char *out, size_t room, const char *name)
{
    size_t n = strnlen(name, room - 1);

    for (size_t i = 0; i < n; i++)
        out[i] = name[i] >= ' ' && name[i] <= '~' && name[i] != '\'' ? name[i] : '?';
    out[n] = 0;
    if (name[n])
        memcpy(out + n - 3, "...", 3);
}

static size_t item_size(const char *dtype)
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

/* ---- one entry of the header ---- */

static int read_shape(struct ob_tensor *x, size_t *bytes, const json_t *shape,
                      const struct ob_tensors *t, struct ob_err *err)
{
    if (!json_is_array(shape))
        return obi_tensor_fail(err, t, x->label, "its shape is not a list");
    if (json_array_size(shape) > OB_TENSOR_RANK)
        return obi_tensor_fail(err, t, x->label, "%zu dimensions, at most %d are known",
                               json_array_size(shape), OB_TENSOR_RANK);
    x->rank = (int)json_array_size(shape);
    *bytes = item_size(x->dtype);
    for (int i = 0; i < x->rank; i++) {
        const json_t *v = json_array_get(shape, (size_t)i);

        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return obi_tensor_fail(err, t, x->label, "its shape is not made of whole numbers");
        x->shape[i] = json_integer_value(v);
        if (!ob_mul(bytes, *bytes, (size_t)x->shape[i]))
            return obi_tensor_fail(err, t, x->label, "its shape is too large to be true");
    }
    return OB_OK;
}

static int read_range(struct ob_tensor *x, size_t bytes, size_t data, const json_t *range,
                      const struct ob_tensors *t, struct ob_err *err)
{
    const json_t *begin = json_array_get(range, 0), *end = json_array_get(range, 1);

    if (json_array_size(range) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return obi_tensor_fail(err, t, x->label, "its data_offsets are not two whole numbers");
    if (json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin) ||
        (size_t)json_integer_value(end) > data)
        return obi_tensor_fail(err, t, x->label, "its data lies outside the file");
    x->begin = (size_t)json_integer_value(begin);
    x->end = (size_t)json_integer_value(end);
    if (x->end - x->begin != bytes)
        return obi_tensor_fail(err, t, x->label, "%zu bytes of data, its shape needs %zu",
                               x->end - x->begin, bytes);
    return OB_OK;
}

static int read_entry(struct ob_tensor *x, const char *name, json_t *v, size_t data,
                      const struct ob_tensors *t, struct ob_err *err)
{
    const char *dtype;
    json_t *shape, *range;
    size_t bytes;

    x->name = name;
    make_label(x->label, sizeof(x->label), name);
    if (json_unpack_ex(v, NULL, JSON_STRICT, "{s:s, s:o, s:o}", "dtype", &dtype, "shape", &shape,
                       "data_offsets", &range))
        return obi_tensor_fail(err, t, x->label,
                               "not described by dtype, shape and data_offsets alone");
    if (!item_size(dtype)) {
        make_label(x->dtype, sizeof(x->dtype), dtype);
        return obi_tensor_fail(err, t, x->label, "unknown dtype '%s'", x->dtype);
    }
    snprintf(x->dtype, sizeof(x->dtype), "%s", dtype);
    OB_TRY(read_shape(x, &bytes, shape, t, err));
    return read_range(x, bytes, data, range, t, err);
}

/* ---- the whole header ---- */

static int by_place(const void *a, const void *b)
{
    const struct ob_tensor *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int check_tiles(const struct ob_tensors *t, size_t data, struct ob_err *err)
{
    size_t end = 0;

    for (size_t i = 0; i < t->n; i++) {
        if (t->t[i].begin != end)
            return obi_tensor_fail(err, t, t->t[i].label,
                                   "its data begins at byte %zu, the one before ends at %zu",
                                   t->t[i].begin, end);
        end = t->t[i].end;
    }
    if (end != data)
        return ob_fail(err, OB_EFORMAT,
                       "'%s': %zu bytes of data, but its tensors take %zu; cut off or damaged",
                       t->file.path, data, end);
    return OB_OK;
}

static int check_meta(const struct ob_tensors *t, json_t *meta, struct ob_err *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(meta) || json_object_size(meta) > OB_TENSORS_MAX)
        return ob_fail(err, OB_EFORMAT, "'%s': its metadata is not an object of at most %d texts",
                       t->file.path, OB_TENSORS_MAX);
    json_object_foreach(meta, key, value)
    {
        char label[64];

        make_label(label, sizeof(label), key);
        if (!json_is_string(value))
            return ob_fail(err, OB_EFORMAT, "'%s': metadata '%s' is not a text", t->file.path,
                           label);
    }
    return OB_OK;
}

static int read_entries(struct ob_tensors *t, size_t data, struct ob_err *err)
{
    const char *key;
    json_t *value;

    if (json_object_size(t->header) > OB_TENSORS_MAX)
        return ob_fail(err, OB_EFORMAT, "'%s': more than %d tensors", t->file.path, OB_TENSORS_MAX);
    OB_TRY(ob_alloc(t->t, json_object_size(t->header), err));
    json_object_foreach(t->header, key, value)
    {
        if (!strcmp(key, "__metadata__")) {
            OB_TRY(check_meta(t, value, err));
            continue;
        }
        OB_TRY(read_entry(&t->t[t->n], key, value, data, t, err));
        t->n++;
    }
    if (!t->n)
        return ob_fail(err, OB_EFORMAT, "'%s': no tensors in it", t->file.path);
    qsort(t->t, t->n, sizeof(*t->t), by_place);
    return check_tiles(t, data, err);
}

/* PyTorch's own files are pickles, alone or inside a zip archive. */
static int is_pickle(const struct ob_file *f)
{
    if (f->n >= 4 && !memcmp(f->data, "PK\3\4", 4))
        return 1;
    return f->n >= 2 && f->data[0] == 0x80 && f->data[1] >= 2 && f->data[1] <= 5;
}

static int not_ours(const struct ob_file *f, struct ob_err *err)
{
    if (!f->n)
        return ob_fail(err, OB_EFORMAT, "'%s' is empty", f->path);
    if (is_pickle(f))
        return ob_fail(err, OB_EFORMAT,
                       "'%s' is a PyTorch pickle, which can run code; in Python, "
                       "safetensors.torch.save_file(model.state_dict(), \"model.safetensors\") "
                       "writes what is read here",
                       f->path);
    return ob_fail(err, OB_EFORMAT, "'%s' is not a safetensors file, or it is cut off", f->path);
}

static int parse_header(struct ob_tensors *t, const unsigned char *text, size_t n,
                        struct ob_err *err)
{
    json_error_t e;

    t->header = json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, &e);
    if (!t->header && json_error_code(&e) == json_error_duplicate_key)
        return ob_fail(err, OB_EFORMAT, "'%s': a name stands twice in its header (byte %d)",
                       t->file.path, e.position + 8);
    if (!t->header)
        return ob_fail(err, OB_EFORMAT, "'%s': its header is not JSON (byte %d)", t->file.path,
                       e.position + 8);
    return OB_OK;
}

int obi_tensors_read(struct ob_tensors *out, const char *path, struct ob_err *err)
{
    struct ob_reader r;
    const unsigned char *header;
    uint64_t n;

    *out = (struct ob_tensors){ 0 };
    OB_TRY(ob_file_read(&out->file, path, OB_TENSORS_FILE, false, err));
    r = (struct ob_reader){ .p = out->file.data, .left = out->file.n };
    if (!ob_take_u64le(&r, &n) || n < 2 || n > r.left || *r.p != '{')
        return not_ours(&out->file, err);
    if (n > OB_TENSORS_HEADER)
        return ob_fail(err, OB_EFORMAT, "'%s': a header of %" PRIu64 " bytes, at most %d are read",
                       path, n, OB_TENSORS_HEADER);
    ob_take(&r, &header, (size_t)n);
    OB_TRY(parse_header(out, header, (size_t)n, err));
    out->data = r.p;
    return read_entries(out, r.left, err);
}

void obi_tensors_release(struct ob_tensors *t)
{
    json_decref(t->header);
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
