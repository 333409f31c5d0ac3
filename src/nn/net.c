/* net.c - builds the list of nodes and the table of views of a network. */
#include "nn/net.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define MAX_CHANNELS (1 << 24) /* of a node; keeps every int product below 2^31 */

static int fail(struct ob_net *n, int code)
{
    if (!n->failed)
        n->failed = code;
    return -1;
}

/* The node numbered `i`, or NULL once something failed. */
static const struct ob_node *at(struct ob_net *n, int i)
{
    if (n->failed)
        return NULL;
    if (i < 0 || i >= n->n_nodes) {
        fail(n, OB_EBUG);
        return NULL;
    }
    return &n->node[i];
}

static int add_node(struct ob_net *n, struct ob_node d)
{
    struct ob_err err = { 0 };

    if (n->failed)
        return -1;
    if (d.c < 1 || d.h < 1 || d.w < 1 || d.c > MAX_CHANNELS)
        return fail(n, OB_EINVAL);
    if (ob_grow(n->node, (size_t)n->n_nodes, (size_t)n->n_nodes + 1, &err))
        return fail(n, err.code);
    n->node[n->n_nodes] = d;
    return n->n_nodes++;
}

/* A node that reads a and b and has the shape of a. */
static struct ob_node like(const struct ob_node *a, enum ob_op op, int in0, int in1)
{
    return (struct ob_node){
        .op = op,
        .in = { in0, in1 },
        .c = a->c,
        .h = a->h,
        .w = a->w,
        .weight = -1,
        .bias = -1,
        .mean = -1,
        .var = -1,
        .count = -1,
    };
}

static size_t *block_size(struct ob_net *n, enum ob_block block)
{
    return block == OB_PARAM ? &n->n_params : block == OB_BUFFER ? &n->n_buffers : &n->n_counts;
}

static int add_view(struct ob_net *n, const char *name, const char *part, struct ob_view v)
{
    struct ob_err err = { 0 };
    size_t *end = block_size(n, v.block);
    int len;

    if (n->failed)
        return -1;
    len = snprintf(v.name, sizeof(v.name), "%s.%s", name, part);
    if (len < 0 || (size_t)len >= sizeof(v.name))
        return fail(n, OB_EBUG);
    v.offset = *end;
    v.size = 1;
    for (int i = 0; i < v.rank; i++)
        if (!ob_mul(&v.size, v.size, (size_t)v.shape[i]))
            return fail(n, OB_ENOMEM);
    if (!ob_add(end, *end, v.size))
        return fail(n, OB_ENOMEM);
    if (ob_grow(n->view, (size_t)n->n_views, (size_t)n->n_views + 1, &err))
        return fail(n, err.code);
    n->view[n->n_views] = v;
    return n->n_views++;
}

static int add_vector(struct ob_net *n, const char *name, const char *part, enum ob_block block,
                      int size, enum ob_init init, int fan)
{
    return add_view(
        n, name, part,
        (struct ob_view){ .block = block, .rank = 1, .shape = { size }, .init = init, .fan = fan });
}

int ob_net_begin(struct ob_net **out, const char *arch, int channels, int height, int width,
                 int n_classes, struct ob_err *err)
{
    struct ob_node input = { .op = OB_OP_INPUT, .c = channels, .h = height, .w = width };
    struct ob_net *n;

    *out = NULL;
    OB_TRY(ob_alloc(n, 1, err));
    snprintf(n->arch, sizeof(n->arch), "%s", arch);
    n->channels = channels;
    n->height = height;
    n->width = width;
    n->n_classes = n_classes;
    input = like(&input, OB_OP_INPUT, -1, -1);
    add_node(n, input);
    input.op = OB_OP_NORMALIZE;
    input.in[0] = 0;
    input.mean = add_vector(n, "normalize", "mean", OB_BUFFER, channels, OB_INIT_ZERO, 0);
    input.var = add_vector(n, "normalize", "std", OB_BUFFER, channels, OB_INIT_ONE, 0);
    add_node(n, input);
    *out = n;
    return OB_OK;
}

int ob_net_conv(struct ob_net *n, const char *name, int in, int out_channels, int kernel,
                int stride, int pad, int bias, enum ob_init init, int fan_out)
{
    const struct ob_node *a = at(n, in);
    struct ob_node d;
    int area = kernel * kernel;

    if (!a)
        return -1;
    if (a->h + 2 * pad < kernel || a->w + 2 * pad < kernel)
        return fail(n, OB_EINVAL);
    d = like(a, OB_OP_CONV, in, -1);
    d.c = out_channels;
    d.h = (a->h + 2 * pad - kernel) / stride + 1;
    d.w = (a->w + 2 * pad - kernel) / stride + 1;
    d.kernel = kernel;
    d.stride = stride;
    d.pad = pad;
    d.weight = add_view(n, name, "weight",
                        (struct ob_view){ .block = OB_PARAM,
                                          .rank = 4,
                                          .shape = { out_channels, a->c, kernel, kernel },
                                          .init = init,
                                          .fan = (fan_out ? out_channels : a->c) * area });
    if (bias)
        d.bias = add_vector(n, name, "bias", OB_PARAM, out_channels, OB_INIT_ZERO, 0);
    return add_node(n, d);
}

int ob_net_batchnorm(struct ob_net *n, const char *name, int in)
{
    const struct ob_node *a = at(n, in);
    struct ob_node d;

    if (!a)
        return -1;
    d = like(a, OB_OP_BATCHNORM, in, -1);
    d.weight = add_vector(n, name, "weight", OB_PARAM, a->c, OB_INIT_ONE, 0);
    d.bias = add_vector(n, name, "bias", OB_PARAM, a->c, OB_INIT_ZERO, 0);
    d.mean = add_vector(n, name, "running_mean", OB_BUFFER, a->c, OB_INIT_ZERO, 0);
    d.var = add_vector(n, name, "running_var", OB_BUFFER, a->c, OB_INIT_ONE, 0);
    d.count = add_view(n, name, "num_batches_tracked", (struct ob_view){ .block = OB_COUNT });
    return add_node(n, d);
}

int ob_net_relu(struct ob_net *n, int in)
{
    const struct ob_node *a = at(n, in);

    return a ? add_node(n, like(a, OB_OP_RELU, in, -1)) : -1;
}

int ob_net_add(struct ob_net *n, int a, int b)
{
    const struct ob_node *x = at(n, a), *y = at(n, b);

    if (!x || !y)
        return -1;
    if (x->c != y->c || x->h != y->h || x->w != y->w)
        return fail(n, OB_EBUG);
    return add_node(n, like(x, OB_OP_ADD, a, b));
}

int ob_net_maxpool(struct ob_net *n, int in, int kernel, int stride, int pad)
{
    const struct ob_node *a = at(n, in);
    struct ob_node d;

    if (!a)
        return -1;
    if (2 * pad > kernel) /* a window could lie outside altogether */
        return fail(n, OB_EBUG);
    if (a->h + 2 * pad < kernel || a->w + 2 * pad < kernel)
        return fail(n, OB_EINVAL);
    d = like(a, OB_OP_MAXPOOL, in, -1);
    d.kernel = kernel;
    d.stride = stride;
    d.pad = pad;
    d.h = (a->h + 2 * pad - kernel) / stride + 1;
    d.w = (a->w + 2 * pad - kernel) / stride + 1;
    return add_node(n, d);
}

int ob_net_avgpool(struct ob_net *n, int in, int side)
{
    const struct ob_node *a = at(n, in);
    struct ob_node d;

    if (!a)
        return -1;
    d = like(a, OB_OP_AVGPOOL, in, -1);
    d.h = d.w = side;
    return add_node(n, d);
}

int ob_net_shortcut(struct ob_net *n, int in, int out_channels, int stride)
{
    const struct ob_node *a = at(n, in);
    struct ob_node d;

    if (!a)
        return -1;
    if (out_channels < a->c)
        return fail(n, OB_EBUG);
    d = like(a, OB_OP_SHORTCUT, in, -1);
    d.c = out_channels;
    d.h = (a->h + stride - 1) / stride;
    d.w = (a->w + stride - 1) / stride;
    d.kernel = 1;
    d.stride = stride;
    d.front = (out_channels - a->c) / 2;
    return add_node(n, d);
}

int ob_net_flatten(struct ob_net *n, int in)
{
    const struct ob_node *a = at(n, in);
    struct ob_node d;
    size_t size;

    if (!a)
        return -1;
    size = ob_node_size(a);
    if (size > MAX_CHANNELS)
        return fail(n, OB_EINVAL);
    d = like(a, OB_OP_FLATTEN, in, -1);
    d.c = (int)size;
    d.h = d.w = 1;
    return add_node(n, d);
}

int ob_net_linear(struct ob_net *n, const char *name, int in, int out, enum ob_init init)
{
    const struct ob_node *a = at(n, in);
    struct ob_node d;

    if (!a)
        return -1;
    if (a->h != 1 || a->w != 1)
        return fail(n, OB_EBUG);
    d = like(a, OB_OP_LINEAR, in, -1);
    d.c = out;
    d.weight = add_view(
        n, name, "weight",
        (struct ob_view){
            .block = OB_PARAM, .rank = 2, .shape = { out, a->c }, .init = init, .fan = a->c });
    d.bias = add_vector(n, name, "bias", OB_PARAM, out,
                        init == OB_INIT_SMALL ? OB_INIT_ZERO : OB_INIT_UNIFORM, a->c);
    return add_node(n, d);
}

int ob_net_end(struct ob_net **n, int features, struct ob_err *err)
{
    struct ob_net *net = *n;
    int rc = net->failed;

    if (!rc && ((size_t)net->n_classes != ob_node_size(&net->node[net->n_nodes - 1]) ||
                !at(net, features)))
        rc = OB_EBUG;
    if (!rc) {
        net->features = net->pooled = features;
        net->hidden = net->node[net->n_nodes - 1].in[0];
        return OB_OK;
    }
    *n = NULL;
    if (rc == OB_ENOMEM)
        ob_fail(err, rc, "out of memory for the network '%s'", net->arch);
    else if (rc == OB_EINVAL)
        ob_fail(err, rc, "'%s' cannot take images of %d x %d x %d", net->arch, net->channels,
                net->height, net->width);
    else
        ob_fail(err, rc, "broken promise: the network '%s' does not fit together", net->arch);
    ob_net_free(net);
    return rc;
}

void ob_net_free(struct ob_net *n)
{
    if (!n)
        return;
    ob_free(n->node);
    ob_free(n->view);
    ob_free(n);
}

double ob_net_macs(const struct ob_net *n)
{
    double sum = 0;

    for (int i = 0; i < n->n_nodes; i++) {
        const struct ob_node *d = &n->node[i];

        if (d->op == OB_OP_CONV || d->op == OB_OP_LINEAR)
            sum += (double)n->view[d->weight].size * d->h * d->w;
    }
    return sum;
}

int ob_net_n_features(const struct ob_net *n)
{
    return (int)ob_node_size(&n->node[n->features]);
}

int ob_net_find(const struct ob_net *n, const char *name)
{
    for (int i = 0; i < n->n_views; i++)
        if (!strcmp(n->view[i].name, name))
            return i;
    return -1;
}
