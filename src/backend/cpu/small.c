/* small.c - the operations without weights, and the way in and out of an executable. */
#include <string.h>

#include "backend/cpu/exec.h"
#include "base/par.h"

struct job {
    struct exec *e;
    struct step *s;
    const struct ob_weights *w;
    const float *dlogits;
    float *dx;
};

/* Raw or normalised images into planes; channels past the last are zero already. */
static void import_image(struct exec *e, int node, const struct ob_weights *w, size_t i)
{
    const struct ob_net *net = e->base.net;
    const struct ob_node *d = &net->node[node];
    const struct value *v = &e->value[node];
    const float *from = e->x + i * ob_node_size(d);
    float *to = v->x + i * v->image;

    for (int c = 0; c < d->c; c++) {
        int raw = d->op == OB_OP_INPUT;
        float mean = raw ? 0 : view_of(net, w->buffers, d->mean)[c];
        float std = raw ? 1 : view_of(net, w->buffers, d->var)[c];
        float *plane = to + (c / 8) * 8 * v->hw + c % 8;

        for (int p = 0; p < v->hw; p++)
            plane[8 * p] = (*from++ - mean) / std;
    }
}

static void forward_image(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    struct step *s = j->s;
    const struct ob_node *to = &e->base.net->node[s->out];
    const struct ob_node *from = s->in[0] >= 0 ? &e->base.net->node[s->in[0]] : NULL;
    const struct value *a = s->in[0] >= 0 ? &e->value[s->in[0]] : NULL;
    const struct value *z = &e->value[s->out];
    const float *x = a && a->x ? a->x + i * a->image : NULL;
    float *out = z->x + i * z->image;

    (void)worker;
    /* These write no channels past the last, where another value's may have been: even times
     * zero, a NaN would show. */
    if (to->c % 8 && (s->kind == FLATTEN || s->kind == IMPORT))
        e->k->vec->fill(out, z->image, 0);
    switch (s->kind) {
    case RELU:
        e->k->vec->relu(out, x, z->image);
        break;
    case ADD:
        e->k->vec->sum(out, x, e->value[s->in[1]].x + i * z->image, z->image);
        break;
    case MAXPOOL:
        e->k->pool->max(out, x, from, to);
        break;
    case AVGPOOL:
        e->k->pool->avg(out, x, from, to);
        break;
    case SHORTCUT:
        e->k->pool->shortcut(out, x, from, to);
        break;
    case FLATTEN:
        e->k->pool->flatten(out, x, from->c, a->hw);
        break;
    default:
        import_image(e, s->out, j->w, i);
    }
}

void ob_small_forward(struct exec *e, struct step *s, const struct ob_weights *w)
{
    struct job j = { .e = e, .s = s, .w = w };
    size_t n = (size_t)e->n * e->value[s->out].image;

    ob_par_for(threads_for(e->base.n_threads, n), (size_t)e->n, forward_image, &j);
}

static void backward_image(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    struct step *s = j->s;
    const struct ob_node *from = &e->base.net->node[s->in[0]], *to = &e->base.net->node[s->out];
    const struct value *a = &e->value[s->in[0]], *z = &e->value[s->out];
    const float *dz = z->g + i * z->image;
    float *dx = a->g + i * a->image;

    (void)worker;
    switch (s->kind) {
    case RELU:
        e->k->vec->relu_back(dx, dz, z->x + i * z->image, z->image, s->add[0]);
        break;
    case ADD:
        if (s->need[1])
            e->k->vec->copy(e->value[s->in[1]].g + i * z->image, dz, z->image, s->add[1]);
        if (s->need[0])
            e->k->vec->copy(dx, dz, z->image, s->add[0]);
        break;
    case MAXPOOL:
        e->k->pool->max_back(dx, dz, a->x + i * a->image, from, to, s->add[0]);
        break;
    case AVGPOOL:
        e->k->pool->avg_back(dx, dz, from, to, s->add[0]);
        break;
    case SHORTCUT:
        e->k->pool->shortcut_back(dx, dz, from, to, s->add[0]);
        break;
    case FLATTEN:
        e->k->pool->unflatten(dx, dz, from->c, a->hw, s->add[0]);
        break;
    default:
        break;
    }
}

void ob_small_backward(struct exec *e, struct step *s)
{
    struct job j = { .e = e, .s = s };
    size_t n = (size_t)e->n * e->value[s->in[0] >= 0 ? s->in[0] : s->out].image;

    if (s->need[0] || s->need[1])
        ob_par_for(threads_for(e->base.n_threads, n), (size_t)e->n, backward_image, &j);
}

/* ---- in and out ---- */

static void export_rows(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    const struct ob_net *net = e->base.net;
    const struct ob_node *last = &net->node[net->n_nodes - 1], *f = &net->node[net->features];
    const struct value *z = &e->value[net->n_nodes - 1], *v = &e->value[net->features];

    (void)worker;
    e->k->pool->flatten(e->logits + i * ob_node_size(last), z->x + i * z->image, last->c, z->hw);
    e->k->pool->flatten(e->features + i * ob_node_size(f), v->x + i * v->image, f->c, v->hw);
}

void ob_export_output(struct exec *e)
{
    struct job j = { .e = e };
    size_t n = (size_t)e->n * e->value[e->base.net->features].image;

    ob_par_for(threads_for(e->base.n_threads, n), (size_t)e->n, export_rows, &j);
}

void ob_import_dlogits(struct exec *e, const float *dlogits)
{
    const struct ob_node *d = &e->base.net->node[e->base.net->n_nodes - 1];
    const struct value *z = &e->value[e->base.net->n_nodes - 1];

    for (size_t i = 0; i < (size_t)e->n; i++)
        e->k->pool->unflatten(z->g + i * z->image, dlogits + i * ob_node_size(d), d->c, z->hw, 0);
}

static void export_image(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    const struct ob_net *net = e->base.net;
    const struct ob_node *x = &net->node[0];
    float *dx = j->dx + i * ob_node_size(x);

    (void)worker;
    memset(dx, 0, sizeof(float) * ob_node_size(x));
    for (int node = 0; node < net->n_nodes; node++) {
        const struct ob_node *d = &net->node[node];
        const struct value *v = &e->value[node];

        if ((d->op != OB_OP_INPUT && d->op != OB_OP_NORMALIZE) || !v->g)
            continue;
        for (int c = 0; c < d->c; c++) {
            float std = d->op == OB_OP_INPUT ? 1 : view_of(net, j->w->buffers, d->var)[c];
            const float *plane = v->g + i * v->image + (c / 8) * 8 * v->hw + c % 8;

            for (int p = 0; p < v->hw; p++)
                dx[c * v->hw + p] += plane[8 * p] / std;
        }
    }
}

void ob_export_dx(struct exec *e, const struct ob_weights *w, float *dx)
{
    struct job j = { .e = e, .w = w, .dx = dx };

    ob_par_for(e->base.n_threads, (size_t)e->n, export_image, &j);
}
