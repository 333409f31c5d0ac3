/* conv.c - a convolution or linear layer over a batch: forwards, and both ways backwards. */
#include <string.h>

#include "backend/cpu/exec.h"
#include "base/par.h"

struct job {
    struct exec *e;
    struct step *s;
    const struct ob_weights *w;
    float *grads;
    int first; /* image of the slab, if there is one */
    int per;   /* images of a task */
};

/* ---- weights into the kernels' layout, once per set of weights, in training before each use ---- */

struct pack_job {
    struct exec *e;
    const struct ob_gemm *g;
    const float *from;
};

static int n_pairs(const struct ob_gemm *g)
{
    return (g->n_out + 1) / 2;
}

static void pack_pair(void *arg, size_t i, int worker)
{
    struct pack_job *j = arg;

    (void)worker;
    j->e->k->conv->pack_weights(j->g, j->from, (int)i);
}

static void pack(struct exec *e, struct conv *c, const float *params, int back)
{
    const struct ob_net *net = e->base.net;
    const struct ob_node *d = &net->node[c->node];

    if (!back && c->bias)
        memcpy(c->bias, view_of(net, params, d->bias), sizeof(float) * (size_t)d->c);
    if (c->wino) {
        ob_wino_weights(e, c, params, back);
        return;
    }
    for (int p = 0; p < (back ? c->n_back : 1); p++) {
        const struct ob_gemm *g = back ? &c->back[p] : &c->fwd;
        struct pack_job j = { e, g, view_of(net, params, d->weight) };

        ob_par_for(threads_for(e->base.n_threads, ob_gemm_filters(g)), (size_t)n_pairs(g),
                   pack_pair, &j);
    }
}

void ob_conv_pack(struct exec *e, const struct ob_weights *w)
{
    if (e->base.flags & OB_EXEC_TRAIN || (e->stamp == w->stamp && e->params == w->params))
        return;
    for (int i = 0; i < e->n_step; i++)
        if (e->step[i].conv)
            pack(e, e->step[i].conv, w->params, 0);
    e->stamp = w->stamp;
    e->params = w->params;
}

/* ---- forwards ---- */

static float *scratch_of(struct exec *e, int worker)
{
    return e->scratch + (size_t)worker * e->scratch_worker;
}

/* The input of `n` images from `first` on, as the offsets of the plan want it. */
static const float *input(struct exec *e, struct conv *c, int first, int n, float *scratch)
{
    const struct ob_node *d = &e->base.net->node[c->node], *x = &e->base.net->node[c->in];
    const struct value *v = &e->value[c->in];

    if (c->dense)
        return c->packed + (size_t)first * c->x_image;
    if (!c->pad_x)
        return v->x + (size_t)first * v->image;
    for (int i = 0; i < n; i++)
        e->k->conv->pad(scratch + (size_t)i * c->x_image, v->x + (size_t)(first + i) * v->image,
                        v->c8, x->h, x->w, d->pad, c->in_h, c->in_w);
    return scratch;
}

static void pack_input(struct exec *e, struct conv *c, const struct ob_weights *w, int image)
{
    static const float none[4] = { 0, 0, 0, 0 }, one[4] = { 1, 1, 1, 1 };
    const struct ob_net *net = e->base.net;
    const struct ob_node *d = &net->node[c->node], *x = &net->node[c->in];
    int raw = x->op == OB_OP_INPUT;

    e->k->conv->pad_input(c->packed + (size_t)image * c->x_image,
                          e->x + (size_t)image * ob_node_size(x), x->c, x->h, x->w, d->pad,
                          raw ? none : view_of(net, w->buffers, x->mean),
                          raw ? one : view_of(net, w->buffers, x->var));
}

static void forward_group(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    struct conv *c = j->s->conv;
    struct norm *m = j->s->norm;
    struct value *v = &e->value[c->node], *z = &e->value[j->s->out];
    int per = group_images(c, e->n), first = j->first + (int)i * per;
    int n = e->n - first < per ? e->n - first : per;
    float *scratch = scratch_of(e, worker), *y = v->x + (size_t)first * v->image;
    const struct ob_node *d = &e->base.net->node[c->node];

    for (int k = 0; c->dense && k < n; k++)
        pack_input(e, c, j->w, first + k);
    if (m && e->mode == OB_MODE_EVAL && !(e->base.flags & OB_EXEC_TRAIN))
        y = scratch + e->scratch_x; /* nobody asks for it again: stays in the cache */
    if (c->wino && c->wino->slab)
        ob_wino_slab_output(e, c, y, first - j->first, n);
    else if (c->wino)
        ob_wino_product(e, c, 0, y, e->value[c->in].x + (size_t)first * e->value[c->in].image,
                        n * c->wino->tiles, scratch, 0);
    else
        e->k->conv->gemm(&c->fwd, y, input(e, c, first, n, scratch), n * c->fwd.n_px, c->bias, 0);
    if (!m)
        return;
    if (e->mode == OB_MODE_TRAIN) {
        double *part = e->part + (size_t)(first / per) * 16 * (size_t)v->c8;

        e->k->norm->stats(part, part + 8 * v->c8, y, n, v->c8, v->hw);
        return;
    }
    for (int k = 0; k < n; k++) {
        const struct value *r = m->residual >= 0 ? &e->value[m->residual] : NULL;

        e->k->norm->apply(z->x + (size_t)(first + k) * z->image, y + (size_t)k * v->image,
                          r ? r->x + (size_t)(first + k) * r->image : NULL, &m->k, v->c8, d->h,
                          d->w, m->flags);
    }
}

void ob_conv_forward(struct exec *e, struct step *s, const struct ob_weights *w)
{
    struct job j = { .e = e, .s = s, .w = w };
    struct conv *c = s->conv;
    int per = group_images(c, e->n), n_groups = (e->n + per - 1) / per;
    int slab = c->wino && c->wino->slab ? c->wino->slab : e->n;

    if (s->norm)
        ob_norm_begin(e, s->norm, w);
    if (e->base.flags & OB_EXEC_TRAIN)
        pack(e, c, w->params, 0);
    for (; j.first < e->n; j.first += slab) {
        int end = j.first + slab < e->n ? j.first + slab : e->n;

        if (c->wino && c->wino->slab)
            ob_wino_slab(e, c, j.first, end);
        ob_par_for(e->base.n_threads, (size_t)((end - j.first + per - 1) / per), forward_group, &j);
    }
    if (s->norm && e->mode == OB_MODE_TRAIN) {
        ob_norm_finish(e, s->norm, w, n_groups, per);
        ob_norm_apply(e, s);
    }
}

/* ---- backwards ---- */

/* The gradient of the convolution's output, padded as planned. */
const float *ob_conv_output_gradient(struct exec *e, struct step *s, int first, int n, float *to)
{
    struct conv *c = s->conv;
    struct norm *m = s->norm;
    const struct ob_node *d = &e->base.net->node[c->node];
    const struct value *v = &e->value[c->node], *z = &e->value[s->out];
    size_t row = 8 * (size_t)c->dy_w, plane = row * (size_t)c->dy_h;

    if (!m && !c->pad_dy)
        return v->g + (size_t)first * v->image;
    for (int i = 0; i < n; i++) {
        float *dy = to + (size_t)i * c->dy_image;
        size_t at = (size_t)(first + i);

        if (!m) {
            e->k->conv->pad(dy, v->g + at * v->image, v->c8, d->h, d->w, c->lo, c->dy_h, c->dy_w);
            continue;
        }
        e->k->conv->border(dy, v->c8, d->h, d->w, c->lo, c->dy_h, c->dy_w);
        e->k->norm->back_apply(dy + (size_t)c->lo * (row + 8), row, plane, v->x + at * v->image,
                               z->x + at * z->image, z->g + at * z->image, &m->k, v->c8, d->h, d->w,
                               s->handed ? m->flags & ~OB_NORM_RELU : m->flags);
    }
    return to;
}

/* What one group of images gives beside the gradient of the weights. */
static void backward_group(struct job *j, int first, int n, const float *dy, double *bias)
{
    struct exec *e = j->e;
    struct conv *c = j->s->conv;
    const struct ob_node *d = &e->base.net->node[c->node];
    struct value *in = &e->value[c->in];
    size_t row = 8 * (size_t)c->dy_w;

    for (int k = 0; c->bias && k < n; k++)
        e->k->conv->sum_pixels(bias, dy + (size_t)k * c->dy_image + (size_t)c->lo * (row + 8),
                               e->value[c->node].c8, d->h, d->w, row, row * (size_t)c->dy_h);
    for (int p = 0; j->s->need[0] && p < c->n_back; p++)
        e->k->conv->gemm(&c->back[p], in->g + (size_t)first * in->image, dy, n * c->back[p].n_px,
                         NULL, j->s->add[0]);
}

static double *bias_part(struct exec *e, const struct conv *c, size_t task)
{
    size_t n = 8 * (size_t)e->value[c->node].c8;

    return memset(e->part + task * n, 0, sizeof(double) * n);
}

static void backward_chunk(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    struct conv *c = j->s->conv;
    int first = (int)i * j->per, end = first + j->per < e->n ? first + j->per : e->n;
    float *scratch = scratch_of(e, worker), *dw = e->dw + i * c->n_dw;
    double *bias = bias_part(e, c, i);

    memset(dw, 0, sizeof(float) * c->n_dw);
    for (; first < end; first += c->group) {
        int n = end - first < c->group ? end - first : c->group;
        const float *x = input(e, c, first, n, scratch);
        const float *dy = ob_conv_output_gradient(e, j->s, first, n, scratch + e->scratch_x);

        e->k->conv->gemm_dw(&c->dw, dw, x, dy, n * c->fwd.n_px);
        backward_group(j, first, n, dy, bias);
    }
}

/* Adds the chunks' gradients of one pair of planes, in order. */
static void join_pair(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    struct conv *c = j->s->conv;
    const struct ob_net *net = e->base.net;
    const struct ob_node *d = &net->node[c->node];
    int n_chunks = (e->n + j->per - 1) / j->per, first = 16 * (int)i;
    int lanes = d->c - first < 16 ? d->c - first : 16;
    float *to = j->grads + net->view[d->weight].offset + (size_t)first * c->fwd.src_channel;

    (void)worker;
    for (int k = 0; k < c->dw.n_k; k++) {
        const float *from = e->dw + (i * (size_t)c->dw.n_k + (size_t)k) * 16;
        double sum[16] = { 0 };

        for (int n = 0; n < n_chunks; n++, from += c->n_dw)
            for (int l = 0; l < 16; l++)
                sum[l] += (double)from[l];
        for (int l = 0; l < lanes; l++)
            to[(size_t)c->k_src[k] + (size_t)l * c->fwd.src_channel] += (float)sum[l];
    }
}

/* ---- many weights: x and dy wait for all images, then pair after pair of planes ---- */

/* Gradients first: the image of a dense convolution may end anywhere. */
static float *kept_dy(const struct conv *c, int image)
{
    return c->waiting + (size_t)image * c->dy_image;
}

static float *kept_x(const struct exec *e, const struct conv *c, int image)
{
    return kept_dy(c, e->base.batch) + (size_t)image * c->x_image;
}

static void keep_group(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    struct conv *c = j->s->conv;
    int first = (int)i * c->group, n = e->n - first < c->group ? e->n - first : c->group;
    const float *dy;

    (void)worker;
    input(e, c, first, n, kept_x(e, c, first));
    dy = ob_conv_output_gradient(e, j->s, first, n, kept_dy(c, first));
    backward_group(j, first, n, dy, bias_part(e, c, i));
}

static void weigh_pair(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    struct conv *c = j->s->conv;
    const struct value *in = &e->value[c->in], *v = &e->value[c->node];
    int plain_x = !c->dense && !c->pad_x, plain_dy = !j->s->norm && !c->pad_dy;
    struct ob_gemm_dw g = c->dw;
    float *dw = e->dw + i * (size_t)g.n_k * 16;

    g.n_out = g.n_out - 2 * (int)i < 2 ? 1 : 2;
    memset(dw, 0, sizeof(float) * 16 * (size_t)g.n_k);
    for (int first = 0; first < e->n; first += c->group) {
        int n = e->n - first < c->group ? e->n - first : c->group;
        const float *x = c->dense  ? c->packed + (size_t)first * c->x_image
                         : plain_x ? in->x + (size_t)first * in->image
                                   : kept_x(e, c, first);
        const float *dy = plain_dy ? v->g + (size_t)first * v->image : kept_dy(c, first);

        e->k->conv->gemm_dw(&g, dw, x, dy + 2 * i * g.dy_plane, n * c->fwd.n_px);
    }
    join_pair(arg, i, worker);
}

/* ---- either way ---- */

static void join_bias(struct job *j, int n_tasks)
{
    struct exec *e = j->e;
    const struct ob_node *d = &e->base.net->node[j->s->conv->node];
    size_t stride = 8 * (size_t)e->value[j->s->conv->node].c8;

    for (int c = 0; c < d->c; c++) {
        double sum = 0;

        for (int n = 0; n < n_tasks; n++)
            sum += e->part[(size_t)n * stride + (size_t)c];
        j->grads[e->base.net->view[d->bias].offset + (size_t)c] += (float)sum;
    }
}

void ob_conv_backward(struct exec *e, struct step *s, const struct ob_weights *w, float *grads)
{
    struct conv *c = s->conv;
    int by_pair = ob_conv_by_pair(c), n_tasks, pairs = n_pairs(&c->fwd);
    struct job j = { .e = e, .s = s, .grads = grads };

    if (s->need[0])
        pack(e, c, w->params, 1);
    if (c->wino) {
        ob_wino_backward(e, s, grads);
        return;
    }
    j.per = by_pair ? e->n : chunk_images(e->n);
    n_tasks = by_pair ? (e->n + c->group - 1) / c->group : (e->n + j.per - 1) / j.per;
    if (by_pair) {
        ob_par_for(e->base.n_threads, (size_t)n_tasks, keep_group, &j);
        ob_par_for(e->base.n_threads, (size_t)pairs, weigh_pair, &j);
    } else {
        ob_par_for(e->base.n_threads, (size_t)n_tasks, backward_chunk, &j);
        ob_par_for(threads_for(e->base.n_threads, c->n_dw * (size_t)n_tasks), (size_t)pairs,
                   join_pair, &j);
    }
    if (c->bias)
        join_bias(&j, n_tasks);
}
