/*
 * ref.c - the backend `ref`: plain, obvious loops, the oracle of the tests.
 *
 * Reproducible for any number of threads: work is shared out by example or by channel, and each
 * sum runs in one thread and in one order.
 */
#include "backend/ref.h"

#include <string.h>

#include "base/mem.h"
#include "base/par.h"

/* ---- nodes without parameters ---- */

static void normalize_forward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s);
    const float *mean = ref_buffer(s, d->mean), *std = ref_buffer(s, d->var), *x = ref_x(s, 0, i);
    float *y = ref_y(s, i);

    (void)worker;
    for (int c = 0; c < d->c; c++)
        for (int p = 0; p < d->h * d->w; p++)
            *y++ = (float)(((double)*x++ - mean[c]) / std[c]);
}

static void normalize_backward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s);
    const float *std = ref_buffer(s, d->var);
    const double *dy = ref_dy(s, i);
    double *dx = ref_dx(s, 0, i);

    (void)worker;
    for (int c = 0; c < d->c; c++)
        for (int p = 0; p < d->h * d->w; p++)
            *dx++ += *dy++ / std[c];
}

/* Not a number stays one, so that a diverged network is noticed. */
static void relu_forward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    size_t n = ob_node_size(ref_node(s));

    (void)worker;
    for (size_t k = 0; k < n; k++)
        ref_y(s, i)[k] = ref_x(s, 0, i)[k] < 0 ? 0 : ref_x(s, 0, i)[k];
}

static void relu_backward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    size_t n = ob_node_size(ref_node(s));

    (void)worker;
    for (size_t k = 0; k < n; k++)
        if (ref_y(s, i)[k] > 0)
            ref_dx(s, 0, i)[k] += ref_dy(s, i)[k];
}

static void add_forward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    size_t n = ob_node_size(ref_node(s));

    (void)worker;
    for (size_t k = 0; k < n; k++)
        ref_y(s, i)[k] = ref_x(s, 0, i)[k] + ref_x(s, 1, i)[k];
}

static void add_backward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    size_t n = ob_node_size(ref_node(s));

    (void)worker;
    for (int side = 0; side < 2; side++)
        if (ref_dx(s, side, i))
            for (size_t k = 0; k < n; k++)
                ref_dx(s, side, i)[k] += ref_dy(s, i)[k];
}

/* The place in the input of the largest value under output (c, oy, ox); ties: the first. */
static size_t largest(const struct ref_step *s, const float *x, int c, int oy, int ox)
{
    const struct ob_node *d = ref_node(s), *in = ref_source(s, 0);
    struct ob_window row = ob_max_window(d, oy, in->h), column = ob_max_window(d, ox, in->w);
    size_t plane = (size_t)c * (size_t)in->h * (size_t)in->w;
    size_t best = plane + (size_t)(row.first * in->w + column.first);

    for (int y = row.first; y < row.end; y++)
        for (int px = column.first; px < column.end; px++) {
            size_t p = plane + (size_t)(y * in->w + px);

            if (x[p] > x[best] || x[p] != x[p])
                best = p;
        }
    return best;
}

static void maxpool_forward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s);
    const float *x = ref_x(s, 0, i);
    float *y = ref_y(s, i);

    (void)worker;
    for (int c = 0; c < d->c; c++)
        for (int oy = 0; oy < d->h; oy++)
            for (int ox = 0; ox < d->w; ox++)
                *y++ = x[largest(s, x, c, oy, ox)];
}

static void maxpool_backward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s);
    const float *x = ref_x(s, 0, i);
    const double *dy = ref_dy(s, i);

    (void)worker;
    for (int c = 0; c < d->c; c++)
        for (int oy = 0; oy < d->h; oy++)
            for (int ox = 0; ox < d->w; ox++)
                ref_dx(s, 0, i)[largest(s, x, c, oy, ox)] += *dy++;
}

static void avgpool_forward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s), *in = ref_source(s, 0);
    const float *x = ref_x(s, 0, i);
    float *y = ref_y(s, i);

    (void)worker;
    for (int c = 0; c < d->c; c++, x += in->h * in->w)
        for (int oy = 0; oy < d->h; oy++)
            for (int ox = 0; ox < d->w; ox++) {
                struct ob_window row = ob_avg_window(oy, d->h, in->h);
                struct ob_window column = ob_avg_window(ox, d->w, in->w);
                double sum = 0;

                for (int py = row.first; py < row.end; py++)
                    for (int px = column.first; px < column.end; px++)
                        sum += x[py * in->w + px];
                *y++ = (float)(sum / ((row.end - row.first) * (column.end - column.first)));
            }
}

static void avgpool_backward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s), *in = ref_source(s, 0);
    const double *dy = ref_dy(s, i);
    double *dx = ref_dx(s, 0, i);

    (void)worker;
    for (int c = 0; c < d->c; c++, dx += in->h * in->w)
        for (int oy = 0; oy < d->h; oy++)
            for (int ox = 0; ox < d->w; ox++, dy++) {
                struct ob_window row = ob_avg_window(oy, d->h, in->h);
                struct ob_window column = ob_avg_window(ox, d->w, in->w);
                double share = *dy / ((row.end - row.first) * (column.end - column.first));

                for (int py = row.first; py < row.end; py++)
                    for (int px = column.first; px < column.end; px++)
                        dx[py * in->w + px] += share;
            }
}

/* The place in the output that takes input pixel (c, y, x), both multiples of the stride. */
static size_t shortcut_place(const struct ob_node *d, int c, int y, int x)
{
    return ((size_t)(c + d->front) * (size_t)d->h + (size_t)(y / d->stride)) * (size_t)d->w +
           (size_t)(x / d->stride);
}

static void shortcut_forward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s), *in = ref_source(s, 0);
    const float *x = ref_x(s, 0, i);

    (void)worker;
    memset(ref_y(s, i), 0, ob_node_size(d) * sizeof(float));
    for (int c = 0; c < in->c; c++)
        for (int py = 0; py < in->h; py++)
            for (int px = 0; px < in->w; px++, x++)
                if (py % d->stride == 0 && px % d->stride == 0)
                    ref_y(s, i)[shortcut_place(d, c, py, px)] = *x;
}

static void shortcut_backward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s), *in = ref_source(s, 0);
    double *dx = ref_dx(s, 0, i);

    (void)worker;
    for (int c = 0; c < in->c; c++)
        for (int py = 0; py < in->h; py++)
            for (int px = 0; px < in->w; px++, dx++)
                if (py % d->stride == 0 && px % d->stride == 0)
                    *dx += ref_dy(s, i)[shortcut_place(d, c, py, px)];
}

static void flatten_forward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;

    (void)worker;
    memcpy(ref_y(s, i), ref_x(s, 0, i), ob_node_size(ref_node(s)) * sizeof(float));
}

static void flatten_backward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    size_t n = ob_node_size(ref_node(s));

    (void)worker;
    for (size_t k = 0; k < n; k++)
        ref_dx(s, 0, i)[k] += ref_dy(s, i)[k];
}

static const struct ref_op normalize = { normalize_forward, normalize_backward, NULL, 0 };
static const struct ref_op relu = { relu_forward, relu_backward, NULL, 0 };
static const struct ref_op add = { add_forward, add_backward, NULL, 0 };
static const struct ref_op maxpool = { maxpool_forward, maxpool_backward, NULL, 0 };
static const struct ref_op avgpool = { avgpool_forward, avgpool_backward, NULL, 0 };
static const struct ref_op shortcut = { shortcut_forward, shortcut_backward, NULL, 0 };
static const struct ref_op flatten = { flatten_forward, flatten_backward, NULL, 0 };

static const struct ref_op *const ops[] = {
    [OB_OP_NORMALIZE] = &normalize,
    [OB_OP_CONV] = &ref_conv,
    [OB_OP_BATCHNORM] = &ref_batchnorm,
    [OB_OP_RELU] = &relu,
    [OB_OP_ADD] = &add,
    [OB_OP_MAXPOOL] = &maxpool,
    [OB_OP_AVGPOOL] = &avgpool,
    [OB_OP_SHORTCUT] = &shortcut,
    [OB_OP_FLATTEN] = &flatten,
    [OB_OP_LINEAR] = &ref_linear,
};

/* ---- the executable ---- */

static int start(const char *want, char isa[16], struct ob_err *err)
{
    (void)want; /* plain C: the same for every instruction set */
    (void)err;
    memcpy(isa, "ref", 4);
    return OB_OK;
}

static void destroy(struct ob_exec *exec)
{
    struct ref_exec *e = (struct ref_exec *)exec;

    ob_free(e->node);
    ob_free(e->floats);
    ob_free(e->doubles);
    ob_free(e);
}

/* Takes room out of a block; counts only while the block is not there yet. */
static void *take(void *block, size_t *used, size_t n, size_t size)
{
    void *p = block ? (char *)block + *used * size : NULL;

    *used += n;
    return p;
}

/* Somebody must know d(loss)/d(output) where parameters, or an input whose gradient is asked for,
 * lie at or below a node. */
static int needs_gradient(const struct ref_exec *e, int i)
{
    const struct ob_node *d = &e->base.net->node[i];

    if (!(e->base.flags & OB_EXEC_TRAIN))
        return 0;
    if (d->op == OB_OP_INPUT)
        return (e->base.flags & OB_EXEC_INPUT_GRAD) != 0;
    if (d->weight >= 0)
        return 1;
    return e->node[d->in[0]].needed || (d->in[1] >= 0 && e->node[d->in[1]].needed);
}

/* Gives each node its places in the two blocks and says how large these are. */
static void lay_out(struct ref_exec *e, size_t *n_floats, size_t *n_doubles)
{
    *n_floats = *n_doubles = 0;
    for (int i = 0; i < e->base.net->n_nodes; i++) {
        const struct ob_node *d = &e->base.net->node[i];
        struct ref_node *r = &e->node[i];
        size_t size = ob_node_size(d) * (size_t)e->base.batch;
        size_t area = (size_t)d->h * (size_t)d->w;

        r->needed = needs_gradient(e, i);
        r->y = take(e->floats, n_floats, size, sizeof(float));
        if (r->needed)
            r->dy = take(e->doubles, n_doubles, size, sizeof(double));
        if (d->op == OB_OP_BATCHNORM) {
            r->mean = take(e->doubles, n_doubles, (size_t)d->c, sizeof(double));
            r->scale = take(e->doubles, n_doubles, (size_t)d->c, sizeof(double));
        }
        if (d->op == OB_OP_CONV)
            r->plane = take(e->doubles, n_doubles, area * (size_t)e->base.n_threads,
                            sizeof(double));
    }
}

static int compile(struct ob_exec **out, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                   unsigned flags, struct ob_err *err)
{
    struct ref_exec *e;
    size_t n_floats, n_doubles;
    int rc;

    *out = NULL;
    OB_ASSERT(err, batch >= 1);
    OB_TRY(ob_alloc(e, 1, err));
    e->base = (struct ob_exec){ .backend = ctx->backend,
                                .net = net,
                                .batch = batch,
                                .n_threads = ctx->n_threads,
                                .flags = flags };
    OB_GO(ob_alloc(e->node, (size_t)net->n_nodes, err));
    lay_out(e, &n_floats, &n_doubles);
    OB_GO(ob_block_new(&e->floats, n_floats, err));
    OB_GO(ob_alloc(e->doubles, n_doubles, err));
    lay_out(e, &n_floats, &n_doubles);
    e->base.logits = e->node[net->n_nodes - 1].y;
    e->base.features = e->node[net->features].y;
    *out = &e->base;
out:
    if (rc)
        destroy(&e->base);
    return rc;
}

static int measure(size_t *bytes, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                   unsigned flags, struct ob_err *err)
{
    struct ref_exec e = {
        .base = { .net = net, .batch = batch, .n_threads = ctx->n_threads, .flags = flags }
    };
    size_t n_floats, n_doubles;

    OB_TRY(ob_alloc(e.node, (size_t)net->n_nodes, err));
    lay_out(&e, &n_floats, &n_doubles);
    ob_free(e.node);
    *bytes = n_floats * sizeof(float) + n_doubles * sizeof(double);
    return OB_OK;
}

static void forward(struct ob_exec *exec, const struct ob_weights *w, const float *x, int n,
                    enum ob_mode mode)
{
    struct ref_exec *e = (struct ref_exec *)exec;
    const struct ob_net *net = exec->net;

    e->n = n;
    e->mode = mode;
    memcpy(e->node[0].y, x, (size_t)n * ob_node_size(&net->node[0]) * sizeof(float));
    for (int i = 1; i < net->n_nodes; i++) {
        const struct ref_op *op = ops[net->node[i].op];
        struct ref_step s = { .e = e, .w = w, .node = i };
        int pieces = op->by_channel ? net->node[i].c : n;

        ob_par_for(exec->n_threads, (size_t)pieces, op->forward, &s);
    }
}

static void node_backward(struct ref_exec *e, const struct ob_weights *w, int i, float *grads)
{
    const struct ob_node *d = &e->base.net->node[i];
    const struct ref_op *op = ops[d->op];
    struct ref_step s = { .e = e, .w = w, .node = i, .grads = grads };
    int pieces = op->by_channel ? d->c : e->n;

    if (!e->node[i].needed)
        return;
    /* add and batch-norm look by themselves who needs something */
    if (op->by_channel || d->op == OB_OP_ADD || ref_dx(&s, 0, 0))
        ob_par_for(e->base.n_threads, (size_t)pieces, op->backward, &s);
    if (op->params)
        ob_par_for(e->base.n_threads, (size_t)d->c, op->params, &s);
}

static void backward(struct ob_exec *exec, const struct ob_weights *w, const float *dlogits,
                     float *grads, float *dx)
{
    struct ref_exec *e = (struct ref_exec *)exec;
    const struct ob_net *net = exec->net;
    int last = net->n_nodes - 1;
    size_t n = (size_t)e->n;

    for (int i = 0; i < net->n_nodes; i++)
        if (e->node[i].needed)
            memset(e->node[i].dy, 0, n * ob_node_size(&net->node[i]) * sizeof(double));
    for (size_t k = 0; k < n * ob_node_size(&net->node[last]); k++)
        e->node[last].dy[k] = dlogits[k];
    for (int i = last; i > 0 && (dx || i >= exec->first); i--)
        node_backward(e, w, i, grads);
    if (dx)
        for (size_t k = 0; k < n * ob_node_size(&net->node[0]); k++)
            dx[k] = (float)e->node[0].dy[k];
}

const struct ob_backend ob_backend_ref = {
    .name = "ref",
    .start = start,
    .compile = compile,
    .measure = measure,
    .forward = forward,
    .backward = backward,
    .free = destroy,
    .fill = ref_fill,
    .axpy = ref_axpy,
    .scale = ref_scale,
    .dot = ref_dot,
    .sum_abs = ref_sum_abs,
    .add_sign = ref_add_sign,
    .sgd = ref_sgd,
    .adam = ref_adam,
};
