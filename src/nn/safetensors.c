/* safetensors.c - takes a safetensors file apart; nothing in it is trusted. */
#include "nn/tensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/room.h"
#include "nn/torchfile.h"

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
    *bytes = obi_tensor_item(x->dtype);
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
    obi_tensor_label(x->label, name);
    if (json_unpack_ex(v, NULL, JSON_STRICT, "{s:s, s:o, s:o}", "dtype", &dtype, "shape", &shape,
                       "data_offsets", &range))
        return obi_tensor_fail(err, t, x->label,
                               "not described by dtype, shape and data_offsets alone");
    if (!obi_tensor_item(dtype)) {
        char label[64];

        obi_tensor_label(label, dtype);
        return obi_tensor_fail(err, t, x->label, "unknown dtype '%s'", label);
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

        obi_tensor_label(label, key);
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

static int not_ours(const struct ob_file *f, struct ob_err *err)
{
    if (!f->n)
        return ob_fail(err, OB_EFORMAT, "'%s' is empty", f->path);
    if (obi_torch_is_zip(f))
        return ob_fail(
            err, OB_EFORMAT,
            "'%s' is an archive as PyTorch saves it; 'oubli convert' makes a model of it, and "
            "executes nothing in it",
            f->path);
    if (obi_torch_is_old(f))
        return obi_torch_old(f, err);
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

/* The data of a tensor begins at its place, row after row. */
static void set_places(struct ob_tensors *t, const unsigned char *data)
{
    for (size_t i = 0; i < t->n; i++) {
        struct ob_tensor *x = &t->t[i];
        int64_t stride = 1;

        x->data = data + x->begin;
        for (int k = x->rank - 1; k >= 0 && x->begin < x->end; k--) {
            x->stride[k] = stride;
            stride *= x->shape[k];
        }
    }
}

static int check_room(const struct ob_ctx *ctx, const char *path, struct ob_err *err)
{
    char what[240];

    snprintf(what, sizeof(what), "reading '%.200s'", path);
    return ob_room_check(ctx, ob_file_size(path), what, NULL, "OB_MEMORY=off tries it all the same",
                         err);
}

int obi_tensors_read(struct ob_tensors *out, const struct ob_ctx *ctx, const char *path,
                     bool foreign, struct ob_err *err)
{
    struct ob_reader r;
    const unsigned char *header;
    uint64_t n;

    *out = (struct ob_tensors){ 0 };
    OB_TRY(check_room(ctx, path, err));
    OB_TRY(ob_file_read(&out->file, path, OB_TENSORS_FILE, false, err));
    if (foreign && obi_torch_is_zip(&out->file))
        return obi_torch_read(out, err);
    r = (struct ob_reader){ .p = out->file.data, .left = out->file.n };
    if (!ob_take_u64le(&r, &n) || n < 2 || n > r.left || *r.p != '{')
        return not_ours(&out->file, err);
    if (n > OB_TENSORS_HEADER)
        return ob_fail(err, OB_EFORMAT, "'%s': a header of %" PRIu64 " bytes, at most %d are read",
                       path, n, OB_TENSORS_HEADER);
    ob_take(&r, &header, (size_t)n);
    OB_TRY(parse_header(out, header, (size_t)n, err));
    OB_TRY(read_entries(out, r.left, err));
    set_places(out, r.p);
    if (foreign)
        obi_tensors_strip(out);
    return OB_OK;
}
