/*
 * modelfile.c - models in safetensors files, with PyTorch's names and shapes.
 *
 * Metadata: arch ("cnn,width=0.5"), classes ("10"), input ("3,32,32": channels, height, width),
 * digest (ob_model_digest() of the weights; a file whose weights have another is refused), oubli
 * (version of the program), oubli_format (1), and whatever ob_model_set_meta() was given. All of
 * it may be missing. Entries of the header stand in state_dict order; in the data the int64 counts
 * come first, so that everything is aligned. Equal models give equal bytes.
 */
#include "nn/modelfile.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "nn/infer.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weights are written as they lie");

/* ---- writing ---- */

static int put(json_t *object, const char *key, json_t *value, struct ob_err *err)
{
    if (json_object_set_new(object, key, value))
        return ob_fail(err, OB_ENOMEM, "out of memory");
    return OB_OK;
}

static int put_text(json_t *object, const char *key, const char *text, struct ob_err *err)
{
    json_t *value = json_string(text);

    if (!value)
        return ob_fail(err, OB_EINVAL, "metadata '%s' is not UTF-8 text", key);
    return put(object, key, value, err);
}

static int put_meta(json_t *root, const struct ob_model *m, bool plain, struct ob_err *err)
{
    json_t *meta = json_object();
    char digest[65];
    size_t i = 0;

    OB_TRY(put(root, "__metadata__", meta, err));
    OB_TRY(ob_model_digest(m, digest, err));
    for (; i < m->n_meta && strcmp(m->meta[i].key, "digest") < 0; i++)
        OB_TRY(put_text(meta, m->meta[i].key, m->meta[i].value, err));
    if (!plain)
        OB_TRY(put_text(meta, "digest", digest, err));
    for (; i < m->n_meta; i++)
        OB_TRY(put_text(meta, m->meta[i].key, m->meta[i].value, err));
    return OB_OK;
}

static int put_view(json_t *root, const struct ob_model *m, const struct ob_view *v,
                    size_t *float_end, struct ob_err *err)
{
    json_t *shape = json_array();
    size_t bytes, begin;

    obi_model_view(m, v, &bytes);
    begin = v->block == OB_COUNT ? v->offset * sizeof(int64_t) : *float_end;
    if (v->block != OB_COUNT)
        *float_end += bytes;
    for (int i = 0; i < v->rank; i++)
        if (json_array_append_new(shape, json_integer(v->shape[i]))) {
            json_decref(shape);
            return ob_fail(err, OB_ENOMEM, "out of memory");
        }
    return put(root, v->name,
               json_pack("{s:s, s:o, s:[I,I]}", "dtype", v->block == OB_COUNT ? "I64" : "F32",
                         "shape", shape, "data_offsets", (json_int_t)begin,
                         (json_int_t)(begin + bytes)),
               err);
}

/* The header as text, to be freed with ob_free(). */
static int make_header(char **out, const struct ob_model *m, bool plain, struct ob_err *err)
{
    json_t *root = json_object();
    size_t float_end = m->net->n_counts * sizeof(int64_t);
    int rc;

    *out = NULL;
    OB_GO(root ? OB_OK : ob_fail(err, OB_ENOMEM, "out of memory"));
    OB_GO(put_meta(root, m, plain, err));
    for (int i = 0; i < m->net->n_views; i++)
        if (!plain || !obi_view_is_normalize(m->net, i))
            OB_GO(put_view(root, m, &m->net->view[i], &float_end, err));
    *out = json_dumps(root, JSON_COMPACT);
    if (!*out)
        rc = ob_fail(err, OB_ENOMEM, "out of memory");
out:
    json_decref(root);
    return rc;
}

static void write_views(struct ob_writer *w, const struct ob_model *m, bool plain, bool counts)
{
    for (int i = 0; i < m->net->n_views; i++) {
        const struct ob_view *v = &m->net->view[i];
        size_t bytes;
        const void *data = obi_model_view(m, v, &bytes);

        if ((v->block == OB_COUNT) == counts && !(plain && obi_view_is_normalize(m->net, i)))
            ob_write(w, data, bytes);
    }
}

bool obi_view_is_normalize(const struct ob_net *net, int view)
{
    return view == net->node[1].mean || view == net->node[1].var;
}

int obi_model_write(const struct ob_model *m, const char *path, bool plain, struct ob_err *err)
{
    struct ob_writer *w;
    char *header;
    size_t n;
    int rc;

    OB_TRY(ob_model_check_single(m, err));
    OB_TRY(ob_model_check_finite(m, err));
    OB_TRY(make_header(&header, m, plain, err));
    n = strlen(header);
    if (n + 8 > OB_TENSORS_HEADER || m->n_meta >= OB_TENSORS_MAX)
        OB_GO(ob_fail(err, OB_EINVAL, "'%s': too much metadata for a model file", path));
    OB_GO(ob_writer_open(&w, path, err));
    ob_write_u64le(w, (n + 7) / 8 * 8);
    ob_write(w, header, n);
    ob_write(w, "       ", (n + 7) / 8 * 8 - n);
    write_views(w, m, plain, true);
    write_views(w, m, plain, false);
    rc = ob_writer_commit(w, err);
out:
    ob_free(header);
    return rc;
}

int ob_model_save(const struct ob_model *m, const char *path, struct ob_err *err)
{
    return obi_model_write(m, path, false, err);
}

/* ---- reading ---- */

/* What is read, and whether it may be of another program: then other float types and PyTorch's own
 * files are taken too. */
struct source {
    struct ob_tensors t;
    const struct ob_load_opts *o;
    bool foreign;
};

static int check_format(const struct ob_tensors *t, struct ob_err *err)
{
    const char *text = obi_tensors_meta(t, "oubli_format");
    int64_t format;

    if (!text)
        return OB_OK;
    if (!ob_str_int(text, &format) || format < 1)
        return ob_fail(err, OB_EFORMAT, "'%s': metadata 'oubli_format' is not a version",
                       t->file.path);
    if (format > OB_MODEL_FORMAT)
        return ob_fail(err, OB_EVERSION,
                       "'%s' was written by a newer release (model format %lld, this one knows %d)",
                       t->file.path, (long long)format, OB_MODEL_FORMAT);
    return OB_OK;
}

static void shape_text(char out[64], int rank, const int64_t *shape)
{
    int n = 0;

    snprintf(out, 64, "a single number");
    for (int i = 0; i < rank && n < 63; i++)
        n += snprintf(out + n, (size_t)(64 - n), "%s%lld", i ? "x" : "", (long long)shape[i]);
}

/* A tensor that need not be there: the caller gives the normalisation, and counts start at 0. */
static bool may_miss(const struct ob_net *net, int view, const struct ob_tensors *t,
                     const struct ob_load_opts *o)
{
    const struct ob_node *normalize = &net->node[1];

    if (view == normalize->mean || view == normalize->var)
        return o->normalize && !obi_tensors_find(t, "normalize.mean") &&
               !obi_tensors_find(t, "normalize.std");
    return net->view[view].block == OB_COUNT;
}

static int check_dtype(const struct ob_tensor *x, const struct ob_view *v, const struct source *s,
                       struct ob_err *err)
{
    static const char *const floats[] = { "F32", "F16", "BF16", "F64" }, *const counts[] = {
        "I64", "I32"
    };
    bool is_count = v->block == OB_COUNT;
    const char *const *known = is_count ? counts : floats;

    for (int i = 0; i < (is_count ? 2 : 4); i++)
        if (!strcmp(x->dtype, known[i]) && (!i || s->foreign))
            return OB_OK;
    for (int i = 1; i < (is_count ? 2 : 4); i++)
        if (!strcmp(x->dtype, known[i]))
            return obi_tensor_fail(
                err, &s->t, x->label,
                "dtype %s is not read, %s is needed; 'oubli convert' makes it so", x->dtype,
                known[0]);
    return obi_tensor_fail(err, &s->t, x->label, "dtype %s is not read, %s is needed", x->dtype,
                           known[0]);
}

static int check_tensor(const struct ob_tensor *x, const struct ob_view *v, const char *arch,
                        const struct source *s, struct ob_err *err)
{
    bool same = x->rank == v->rank;
    char has[64], needs[64];

    for (int i = 0; same && i < v->rank; i++)
        same = x->shape[i] == v->shape[i];
    if (!same) {
        shape_text(has, x->rank, x->shape);
        shape_text(needs, v->rank, v->shape);
        return obi_tensor_fail(err, &s->t, x->label, "its shape is %s, in '%s' it is %s", has, arch,
                               needs);
    }
    return check_dtype(x, v, s, err);
}

/* Missing, misshapen and surplus tensors. */
static int check_tensors(const struct ob_net *net, struct source *s, struct ob_err *err)
{
    struct ob_tensors *t = &s->t;
    const struct ob_load_opts *o = s->o;

    if (!o->normalize && !obi_tensors_find(t, "normalize.mean") &&
        !obi_tensors_find(t, "normalize.std"))
        return ob_fail(err, OB_EINVAL,
                       "'%s' does not say how its images are normalised (no 'normalize.mean'): a "
                       "normalisation such as 'cifar10' or 'none' has to be given (--normalize)",
                       t->file.path);
    for (int i = 0; i < net->n_views; i++) {
        const struct ob_view *v = &net->view[i];
        struct ob_tensor *x = obi_tensors_find(t, v->name);

        if (!x && may_miss(net, i, t, o))
            continue;
        if (!x)
            return obi_tensor_fail(err, t, v->name, "missing, '%s' needs it", net->arch);
        OB_TRY(check_tensor(x, v, net->arch, s, err));
        x->used = 1;
    }
    for (size_t i = 0; i < t->n; i++)
        if (!t->t[i].used)
            return obi_tensor_fail(err, t, t->t[i].label, "'%s' has no such tensor", net->arch);
    return OB_OK;
}

static int check_values(const struct ob_model *m, int view, const struct ob_tensors *t,
                        struct ob_err *err)
{
    const struct ob_view *v = &m->net->view[view];
    size_t bytes, n = strlen(v->name);
    const void *data = obi_model_view(m, v, &bytes);
    const float *x = data;
    bool is_var = n > 12 && !strcmp(v->name + n - 12, ".running_var");

    if (v->block == OB_COUNT && m->w.counts[v->offset] < 0)
        return obi_tensor_fail(err, t, v->name, "a negative count");
    if (v->block == OB_COUNT)
        return OB_OK;
    for (size_t i = 0; i < v->size; i++) {
        if (!isfinite(x[i]))
            return obi_tensor_fail(err, t, v->name, "value %zu is not finite", i);
        if (is_var && x[i] < 0)
            return obi_tensor_fail(err, t, v->name, "value %zu is negative, a variance is not", i);
        if (view == m->net->node[1].var && x[i] <= 0)
            return obi_tensor_fail(err, t, v->name, "value %zu is not above 0", i);
    }
    return OB_OK;
}

static int read_view(struct ob_model *m, const struct ob_view *v, const struct ob_tensor *x,
                     struct ob_err *err)
{
    bool done = v->block == OB_COUNT    ? obi_tensor_ints(m->w.counts + v->offset, x)
                : v->block == OB_BUFFER ? obi_tensor_floats(m->w.buffers + v->offset, x)
                                        : obi_tensor_floats(m->w.params + v->offset, x);

    OB_ASSERT(err, done);
    return OB_OK;
}

static int fill(struct ob_model *m, const struct source *s, struct ob_err *err)
{
    const struct ob_node *normalize = &m->net->node[1];
    const struct ob_view *view = m->net->view;
    bool narrowed = false;

    if (s->o->normalize)
        OB_TRY(ob_model_normalize_values(s->o->normalize, m->net->channels,
                                         m->w.buffers + view[normalize->mean].offset,
                                         m->w.buffers + view[normalize->var].offset, err));
    for (int i = 0; i < m->net->n_views; i++) {
        const struct ob_tensor *x = obi_tensors_find(&s->t, view[i].name);

        if (x)
            OB_TRY(read_view(m, &view[i], x, err));
        narrowed |= x && !strcmp(x->dtype, "F64");
        OB_TRY(check_values(m, i, &s->t, err));
    }
    if (narrowed)
        ob_log(m->ctx, OB_LOG_INFO, "'%s': its float64 tensors are narrowed to float32",
               s->t.file.path);
    ob_model_touch(m);
    return OB_OK;
}

/* What is written into the metadata of an imported model should not be a silent guess. */
static void note_size(const struct ob_model *m, const struct source *s)
{
    if (s->foreign && !obi_tensors_meta(&s->t, "input") && !(s->o->height && s->o->width))
        ob_log(m->ctx, OB_LOG_INFO,
               "'%s' does not say the size of its images: %d x %d taken; --size says another",
               s->t.file.path, m->net->height, m->net->width);
}

static int check_digest(const struct ob_model *m, const struct ob_tensors *t, struct ob_err *err)
{
    const char *said = obi_tensors_meta(t, "digest");
    char is[65];

    if (!said)
        return OB_OK;
    OB_TRY(ob_model_digest(m, is, err));
    if (strcmp(said, is))
        return ob_fail(err, OB_EFORMAT,
                       "'%s': its weights are not those that were written (the digest differs)",
                       t->file.path);
    return OB_OK;
}

static int copy_meta(struct ob_model *m, const struct ob_tensors *t, struct ob_err *err)
{
    json_t *meta = json_object_get(t->header, "__metadata__"), *value;
    const char *key;

    json_object_foreach(meta, key, value) if (!obi_meta_is_derived(key))
        OB_TRY(ob_model_set_meta(m, key, json_string_value(value), err));
    return OB_OK;
}

static int load(struct ob_model **out, struct ob_ctx *ctx, const char *path,
                const struct ob_load_opts *o, bool foreign, struct ob_err *err)
{
    struct ob_load_opts none = OB_LOAD_OPTS_INIT;
    struct source s = { .o = o ? o : &none, .foreign = foreign };
    struct ob_model *m = NULL;
    struct ob_net *net = NULL;
    int rc;

    *out = NULL;
    OB_GO(obi_tensors_read(&s.t, ctx, path, foreign, err));
    OB_GO(check_format(&s.t, err));
    OB_GO(obi_infer_net(&net, &s.t, s.o, err));
    rc = check_tensors(net, &s, err);
    if (rc) {
        ob_net_free(net);
        goto out;
    }
    OB_GO(obi_model_of_net(&m, ctx, net, err));
    OB_GO(fill(m, &s, err));
    OB_GO(check_digest(m, &s.t, err));
    OB_GO(copy_meta(m, &s.t, err));
    note_size(m, &s);
    *out = m;
out:
    if (rc)
        ob_model_free(m);
    obi_tensors_release(&s.t);
    return rc;
}

int ob_model_load(struct ob_model **out, struct ob_ctx *ctx, const char *path,
                  const struct ob_load_opts *o, struct ob_err *err)
{
    return load(out, ctx, path, o, false, err);
}

int ob_model_import(struct ob_model **out, struct ob_ctx *ctx, const char *path,
                    const struct ob_load_opts *o, struct ob_err *err)
{
    return load(out, ctx, path, o, true, err);
}
