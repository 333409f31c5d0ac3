/* model.c - a network with weights: making, copying, identity, metadata. */
#include "nn/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/room.h"
#include "nn/modelfile.h"

#define DEFAULT_MEAN 0.5f
#define DEFAULT_STD 0.25f

/* ---- making ---- */

static int set(struct ob_model *m, const char *key, const char *value, struct ob_err *err);

/* What follows from the network stands in the metadata too, for whoever reads the file. */
static int set_derived(struct ob_model *m, struct ob_err *err)
{
    char text[64];

    OB_TRY(set(m, "arch", m->net->arch, err));
    snprintf(text, sizeof(text), "%d", m->net->n_classes);
    OB_TRY(set(m, "classes", text, err));
    snprintf(text, sizeof(text), "%d,%d,%d", m->net->channels, m->net->height, m->net->width);
    OB_TRY(set(m, "input", text, err));
    OB_TRY(set(m, "oubli", OB_VERSION, err));
    return set(m, "oubli_format", OB_STR(OB_MODEL_FORMAT), err);
}

/* Before the first byte: a network that is too wide by a factor is a slip of the pen. */
static int check_room(const struct ob_ctx *ctx, const struct ob_net *net, struct ob_err *err)
{
    size_t bytes;
    char what[160];

    if (!ob_add(&bytes, net->n_params, net->n_buffers) || !ob_mul(&bytes, bytes, sizeof(float)))
        bytes = SIZE_MAX;
    snprintf(what, sizeof(what), "'%.128s'", net->arch);
    return ob_room_check(ctx, bytes, what, "its weights alone",
                         "a narrower network needs less; OB_MEMORY=off tries it all the same", err);
}

int obi_model_of_net(struct ob_model **out, struct ob_ctx *ctx, struct ob_net *net,
                     struct ob_err *err)
{
    struct ob_model *m;
    int rc;

    *out = NULL;
    rc = check_room(ctx, net, err);
    if (!rc)
        rc = ob_alloc(m, 1, err);
    if (rc) {
        ob_net_free(net);
        return rc;
    }
    m->ctx = ctx;
    m->net = net;
    OB_GO(ob_block_new(&m->w.params, net->n_params, err));
    OB_GO(ob_block_new(&m->w.buffers, net->n_buffers, err));
    OB_GO(ob_alloc(m->w.counts, net->n_counts, err));
    OB_GO(set_derived(m, err));
    ob_model_touch(m);
    *out = m;
out:
    if (rc)
        ob_model_free(m);
    return rc;
}

int ob_model_new(struct ob_model **out, struct ob_ctx *ctx, const char *arch, int channels,
                 int height, int width, int n_classes, uint64_t seed, struct ob_err *err)
{
    struct ob_net *net;
    const struct ob_node *normalize;

    *out = NULL;
    OB_TRY(ob_net_new(&net, arch, channels, height, width, n_classes, err));
    OB_TRY(obi_model_of_net(out, ctx, net, err));
    normalize = &net->node[1];
    for (int c = 0; c < channels; c++) {
        (*out)->w.buffers[net->view[normalize->mean].offset + (size_t)c] = DEFAULT_MEAN;
        (*out)->w.buffers[net->view[normalize->var].offset + (size_t)c] = DEFAULT_STD;
    }
    ob_model_init(*out, seed);
    return OB_OK;
}

static void init_view(float *x, const struct ob_view *v, struct ob_rng r)
{
    double fan = v->fan > 0 ? v->fan : 1;
    float deviation = (float)sqrt(2 / fan), bound = (float)(1 / sqrt(fan));

    for (size_t i = 0; i < v->size; i++)
        switch (v->init) {
        case OB_INIT_ZERO:
            x[i] = 0;
            break;
        case OB_INIT_ONE:
            x[i] = 1;
            break;
        case OB_INIT_KAIMING:
            x[i] = deviation * ob_rng_normal(&r);
            break;
        case OB_INIT_UNIFORM:
            x[i] = bound * (2 * ob_rng_uniform(&r) - 1);
            break;
        case OB_INIT_SMALL:
            x[i] = 0.01f * ob_rng_normal(&r);
            break;
        }
}

void ob_model_init_view(struct ob_model *m, int view, uint64_t seed)
{
    const struct ob_view *v = &m->net->view[view];

    init_view(m->w.params + v->offset, v, ob_rng(seed, OB_RNG_INIT, (uint32_t)view, 0));
}

void ob_model_init(struct ob_model *m, uint64_t seed)
{
    const struct ob_node *normalize = &m->net->node[1];

    for (int i = 0; i < m->net->n_views; i++) {
        const struct ob_view *v = &m->net->view[i];
        struct ob_rng r = ob_rng(seed, OB_RNG_INIT, (uint32_t)i, 0);

        if (v->block == OB_COUNT)
            m->w.counts[v->offset] = 0;
        else if (v->block == OB_PARAM)
            ob_model_init_view(m, i, seed);
        else if (i != normalize->mean && i != normalize->var)
            init_view(m->w.buffers + v->offset, v, r);
    }
    ob_model_touch(m);
}

static int same_network(const struct ob_model *a, const struct ob_model *b)
{
    return !strcmp(a->net->arch, b->net->arch) && a->net->n_params == b->net->n_params &&
           a->net->n_buffers == b->net->n_buffers && a->net->n_counts == b->net->n_counts;
}

void ob_model_copy_weights(struct ob_model *to, const struct ob_model *from)
{
    const struct ob_net *n = to->net;

    if (to == from || !same_network(to, from))
        return;
    memcpy(to->w.params, from->w.params, n->n_params * sizeof(float));
    memcpy(to->w.buffers, from->w.buffers, n->n_buffers * sizeof(float));
    if (n->n_counts)
        memcpy(to->w.counts, from->w.counts, n->n_counts * sizeof(*to->w.counts));
    ob_model_touch(to);
}

int ob_model_clone(struct ob_model **out, const struct ob_model *m, struct ob_err *err)
{
    const struct ob_net *n = m->net;
    struct ob_net *net;
    int rc = OB_OK;

    *out = NULL;
    OB_TRY(ob_model_check_single(m, err));
    OB_TRY(ob_net_new(&net, n->arch, n->channels, n->height, n->width, n->n_classes, err));
    OB_TRY(obi_model_of_net(out, m->ctx, net, err));
    for (size_t i = 0; i < m->n_meta; i++)
        OB_GO(set(*out, m->meta[i].key, m->meta[i].value, err));
    ob_model_copy_weights(*out, m);
out:
    if (rc) {
        ob_model_free(*out);
        *out = NULL;
    }
    return rc;
}

void ob_model_free(struct ob_model *m)
{
    if (!m)
        return;
    for (int k = 0; k < m->n_shards; k++)
        ob_model_free(m->shard[k]);
    ob_free(m->shard);
    for (size_t i = 0; i < m->n_meta; i++) {
        ob_free(m->meta[i].key);
        ob_free(m->meta[i].value);
    }
    ob_free(m->meta);
    ob_free(m->w.params);
    ob_free(m->w.buffers);
    ob_free(m->w.counts);
    ob_net_free(m->net);
    ob_free(m);
}

void ob_model_touch(struct ob_model *m)
{
    m->w.stamp = ob_ctx_stamp(m->ctx);
}

int ob_model_check_single(const struct ob_model *m, struct ob_err *err)
{
    if (!m->sharded)
        return OB_OK;
    return ob_fail(
        err, OB_EINVAL,
        "the model is a folder of shards: it can be evaluated, asked for predictions, and "
        "made to forget by the method 'sisa', nothing else");
}

/* ---- looking ---- */

const char *ob_model_arch(const struct ob_model *m)
{
    return m->net->arch;
}

int ob_model_n_classes(const struct ob_model *m)
{
    return m->net->n_classes;
}

int ob_model_n_features(const struct ob_model *m)
{
    return ob_net_n_features(m->net);
}

int ob_model_set_embedding(struct ob_model *m, const char *which, struct ob_err *err)
{
    if (!strcmp(which, "pooled"))
        m->net->features = m->net->pooled;
    else if (!strcmp(which, "hidden"))
        m->net->features = m->net->hidden;
    else
        return ob_fail(err, OB_EINVAL, "no embedding '%s'; there are pooled and hidden", which);
    return OB_OK;
}

const char *ob_model_embedding(const struct ob_model *m)
{
    return m->net->features == m->net->pooled ? "pooled" : "hidden";
}

size_t ob_model_n_params(const struct ob_model *m)
{
    return m->net->n_params;
}

const float *ob_model_params(const struct ob_model *m)
{
    return m->w.params;
}

const float *ob_model_buffers(const struct ob_model *m)
{
    return m->w.buffers;
}

size_t ob_model_n_buffers(const struct ob_model *m)
{
    return m->net->n_buffers;
}

void ob_model_input(const struct ob_model *m, int *channels, int *height, int *width)
{
    if (channels)
        *channels = m->net->channels;
    if (height)
        *height = m->net->height;
    if (width)
        *width = m->net->width;
}

const void *obi_model_view(const struct ob_model *m, const struct ob_view *v, size_t *bytes)
{
    *bytes = v->size * (v->block == OB_COUNT ? sizeof(int64_t) : sizeof(float));
    if (v->block == OB_COUNT)
        return m->w.counts + v->offset;
    return (v->block == OB_PARAM ? m->w.params : m->w.buffers) + v->offset;
}

static void hash_weights(struct ob_hash *h, const struct ob_model *m)
{
    for (int i = 0; i < m->net->n_views; i++) {
        const struct ob_view *v = &m->net->view[i];
        size_t bytes;
        const void *data = obi_model_view(m, v, &bytes);

        ob_hash_str(h, v->name);
        ob_hash_u64(h, (uint64_t)v->rank);
        for (int k = 0; k < v->rank; k++)
            ob_hash_u64(h, (uint64_t)v->shape[k]);
        ob_hash_add(h, data, bytes);
    }
}

int ob_model_digest(const struct ob_model *m, char hex[65], struct ob_err *err)
{
    struct ob_hash h;

    (void)err;
    ob_hash_init(&h);
    hash_weights(&h, m);
    for (int k = 0; k < m->n_shards; k++)
        hash_weights(&h, m->shard[k]);
    ob_hash_hex(&h, hex);
    return OB_OK;
}

int ob_model_check_finite(const struct ob_model *m, struct ob_err *err)
{
    for (int i = 0; i < m->net->n_views; i++) {
        const struct ob_view *v = &m->net->view[i];
        size_t bytes;
        const float *x = v->block == OB_COUNT ? NULL : obi_model_view(m, v, &bytes);

        for (size_t k = 0; x && k < v->size; k++)
            if (!isfinite(x[k]))
                return ob_fail(err, OB_EDIVERGED, "weight %zu of '%s' is not finite", k, v->name);
    }
    return OB_OK;
}

/* ---- metadata: sorted by key, so that files are the same bytes ---- */

/* The place of `key`, or where it would stand. */
static size_t place(const struct ob_model *m, const char *key, int *found)
{
    size_t i = 0;

    while (i < m->n_meta && strcmp(m->meta[i].key, key) < 0)
        i++;
    *found = i < m->n_meta && !strcmp(m->meta[i].key, key);
    return i;
}

const char *ob_model_meta(const struct ob_model *m, const char *key)
{
    int found;
    size_t i = place(m, key, &found);

    return found ? m->meta[i].value : NULL;
}

static int set(struct ob_model *m, const char *key, const char *value, struct ob_err *err)
{
    struct ob_meta new = { 0 };
    int found, rc = OB_OK;
    size_t i = place(m, key, &found);

    OB_GO(ob_strdup(&new.value, value, err));
    if (found) {
        ob_free(m->meta[i].value);
        m->meta[i].value = new.value;
        return OB_OK;
    }
    OB_GO(ob_strdup(&new.key, key, err));
    OB_GO(ob_grow(m->meta, m->n_meta, m->n_meta + 1, err));
    memmove(m->meta + i + 1, m->meta + i, (m->n_meta - i) * sizeof(*m->meta));
    m->meta[i] = new;
    m->n_meta++;
out:
    if (rc) {
        ob_free(new.key);
        ob_free(new.value);
    }
    return rc;
}

static void drop(struct ob_model *m, const char *key)
{
    int found;
    size_t i = place(m, key, &found);

    if (!found)
        return;
    ob_free(m->meta[i].key);
    ob_free(m->meta[i].value);
    m->n_meta--;
    memmove(m->meta + i, m->meta + i + 1, (m->n_meta - i) * sizeof(*m->meta));
}

bool obi_meta_is_derived(const char *key)
{
    static const char *const derived[] = { "arch",  "classes", "digest",
                                           "input", "oubli",   "oubli_format" };

    for (size_t i = 0; i < sizeof(derived) / sizeof(derived[0]); i++)
        if (!strcmp(key, derived[i]))
            return true;
    return false;
}

int ob_model_set_meta(struct ob_model *m, const char *key, const char *value, struct ob_err *err)
{
    const char *now = ob_model_meta(m, key);

    if (obi_meta_is_derived(key)) {
        if (now && value && !strcmp(now, value))
            return OB_OK;
        return ob_fail(err, OB_EINVAL, "metadata '%s' follows from the model", key);
    }
    if (!value) {
        drop(m, key);
        return OB_OK;
    }
    return set(m, key, value, err);
}
