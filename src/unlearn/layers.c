/* layers.c - the layers of any network by what they are: convolutions, linear layers, batch-norms. */
#include "unlearn/layers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"

static unsigned kind_of(const struct ob_node *d)
{
    switch (d->op) {
    case OB_OP_CONV:
        return OB_LAYER_CONV;
    case OB_OP_LINEAR:
        return OB_LAYER_LINEAR;
    case OB_OP_BATCHNORM:
        return OB_LAYER_NORM;
    default:
        return 0;
    }
}

int ob_layer_next(const struct ob_net *n, int at, unsigned kinds)
{
    for (at++; at < n->n_nodes; at++)
        if (kind_of(&n->node[at]) & kinds)
            return at;
    return -1;
}

int ob_layer_first(const struct ob_net *n)
{
    int at = ob_layer_next(n, -1, OB_LAYER_CONV);

    return at >= 0 ? at : ob_layer_next(n, -1, OB_LAYER_LINEAR);
}

int ob_layer_classifier(const struct ob_net *n)
{
    int last = -1;

    for (int at = -1; (at = ob_layer_next(n, at, OB_LAYER_LINEAR)) >= 0;)
        last = at;
    return last;
}

int ob_layer_norm_after(const struct ob_net *n, int at)
{
    for (int i = -1; (i = ob_layer_next(n, i, OB_LAYER_NORM)) >= 0;)
        if (n->node[i].in[0] == at)
            return i;
    return -1;
}

int ob_layer_check_conv(const struct ob_net *n, const char *what, struct ob_err *err)
{
    if (ob_layer_next(n, -1, OB_LAYER_CONV) >= 0)
        return OB_OK;
    return ob_fail(err, OB_EINVAL, "%s works on convolutions, and '%s' has none", what, n->arch);
}

float *ob_layer_values(struct ob_model *m, int view, size_t *size)
{
    const struct ob_view *v = &m->net->view[view];

    if (size)
        *size = v->size;
    return m->w.params + v->offset;
}

/* ---- stages ---- */

/* "layer3.1.conv2.weight" -> 3; 0: another name. */
static int named_stage(const struct ob_view *v)
{
    int stage, after = 0;

    return sscanf(v->name, "layer%d.%n", &stage, &after) == 1 && after ? stage : 0;
}

static bool has_named_stages(const struct ob_net *n)
{
    for (int i = 0; i < n->n_views; i++)
        if (named_stage(&n->view[i]))
            return true;
    return false;
}

int ob_layer_stage(const struct ob_net *n, int at)
{
    const struct ob_node *d = &n->node[at];
    int stage = 1;

    if (!(kind_of(d) & (OB_LAYER_CONV | OB_LAYER_NORM)))
        return 0;
    if (has_named_stages(n))
        return named_stage(&n->view[d->weight]);
    for (int i = 0; i < at; i++)
        stage += n->node[i].op == OB_OP_MAXPOOL;
    return stage;
}

int ob_layer_n_stages(const struct ob_net *n)
{
    int most = 0;

    for (int at = -1; (at = ob_layer_next(n, at, OB_LAYER_CONV)) >= 0;)
        if (ob_layer_stage(n, at) > most)
            most = ob_layer_stage(n, at);
    return most;
}

/* ---- the last of them ---- */

static unsigned counted(const struct ob_last *l)
{
    return OB_LAYER_CONV | (l->include_fc ? OB_LAYER_LINEAR : 0u);
}

bool ob_last_has(const struct ob_last *l, const struct ob_net *n, int at)
{
    unsigned kind = kind_of(&n->node[at]);
    int after = 0;

    if (!kind || (kind == OB_LAYER_LINEAR && !l->include_fc))
        return false;
    if (l->unit == OB_LAST_STAGE && kind == OB_LAYER_LINEAR)
        return true;
    if (l->unit == OB_LAST_STAGE)
        return ob_layer_stage(n, at) > 0 && ob_layer_stage(n, at) > ob_layer_n_stages(n) - l->k;
    for (int i = at; (i = ob_layer_next(n, i, counted(l))) >= 0;)
        after++;
    return after < l->k;
}

int ob_last_check(const struct ob_last *l, const struct ob_net *n, struct ob_err *err)
{
    if (l->unit == OB_LAST_STAGE && !ob_layer_n_stages(n))
        return ob_fail(err, OB_EINVAL, "unit=stage: '%s' has no stages; use unit=layer", n->arch);
    if (ob_layer_next(n, -1, counted(l)) < 0)
        return ob_fail(err, OB_EINVAL, "include-fc=no: '%s' has linear layers alone; use yes",
                       n->arch);
    return OB_OK;
}

void ob_last_mask(uint8_t *mask, const struct ob_last *l, const struct ob_net *n)
{
    memset(mask, 0, n->n_params);
    for (int at = -1; (at = ob_layer_next(n, at, ~0u)) >= 0;) {
        const int own[] = { n->node[at].weight, n->node[at].bias };

        for (int i = 0; i < 2 && ob_last_has(l, n, at); i++)
            if (own[i] >= 0)
                memset(mask + n->view[own[i]].offset, 1, n->view[own[i]].size);
    }
}

/* ---- new values ---- */

int64_t ob_layer_fan_in(const struct ob_net *n, int at)
{
    const struct ob_view *v = &n->view[n->node[at].weight];

    return (int64_t)v->size / v->shape[0];
}

int64_t ob_layer_fan_out(const struct ob_net *n, int at)
{
    const struct ob_view *v = &n->view[n->node[at].weight];

    return (int64_t)v->size / v->shape[1];
}

static void fill(struct ob_model *m, int view, float value)
{
    size_t size;
    float *x = view < 0 ? NULL : ob_layer_values(m, view, &size);

    for (size_t i = 0; x && i < size; i++)
        x[i] = value;
}

static void draw_normal(struct ob_model *m, int view, double deviation, struct ob_rng r)
{
    size_t size;
    float *x = ob_layer_values(m, view, &size);

    for (size_t i = 0; i < size; i++)
        x[i] = (float)deviation * ob_rng_normal(&r);
}

static void draw_uniform(struct ob_model *m, int view, double bound, struct ob_rng r)
{
    size_t size;
    float *x = ob_layer_values(m, view, &size);

    for (size_t i = 0; i < size; i++)
        x[i] = (float)bound * (2 * ob_rng_uniform(&r) - 1);
}

static double uniform_bound(const struct ob_net *n, int at, enum ob_redraw rule)
{
    double in = (double)ob_layer_fan_in(n, at), out = (double)ob_layer_fan_out(n, at);

    if (rule == OB_REDRAW_DEFAULT)
        return 1 / sqrt(in);
    return sqrt(6 / (n->node[at].op == OB_OP_CONV ? out : in + out));
}

void ob_layer_redraw(struct ob_model *m, int at, enum ob_redraw rule, uint64_t seed, uint32_t round)
{
    const struct ob_node *d = &m->net->node[at];
    struct ob_rng r = ob_rng(seed, OB_RNG_REDRAW, round, (uint32_t)d->weight);
    struct ob_rng r_bias = ob_rng(seed, OB_RNG_REDRAW, round, (uint32_t)d->bias);

    fill(m, d->bias, 0);
    if (d->op == OB_OP_BATCHNORM)
        fill(m, d->weight, 1);
    else if (rule == OB_REDRAW_NORMAL)
        draw_normal(m, d->weight, sqrt(2 / (double)ob_layer_fan_in(m->net, at)), r);
    else
        draw_uniform(m, d->weight, uniform_bound(m->net, at, rule), r);
    if (d->op != OB_OP_BATCHNORM && rule == OB_REDRAW_DEFAULT && d->bias >= 0)
        draw_uniform(m, d->bias, uniform_bound(m->net, at, rule), r_bias);
    ob_model_touch(m);
}

void ob_layer_reset(struct ob_model *m, int at, uint64_t seed)
{
    const struct ob_node *d = &m->net->node[at];

    ob_model_init_view(m, d->weight, seed);
    if (d->bias >= 0)
        ob_model_init_view(m, d->bias, seed);
    ob_model_touch(m);
}

void ob_layer_add_noise(struct ob_model *m, int view, double deviation, uint64_t seed,
                        uint32_t round)
{
    struct ob_rng r = ob_rng(seed, OB_RNG_JITTER, round, (uint32_t)view);
    size_t size;
    float *x = ob_layer_values(m, view, &size);

    for (size_t i = 0; i < size; i++)
        x[i] += (float)deviation * ob_rng_normal(&r);
    ob_model_touch(m);
}
