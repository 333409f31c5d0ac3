/*
 * onnx.c - writes a network as an ONNX graph (onnx.proto3 of onnx.ai; numbers of fields are its).
 *
 * One ONNX node per node of the network, but for normalisation (Sub, Div), option-A shortcuts (Slice,
 * Pad), and average pools whose windows are not all of one size: those are two products with a matrix
 * of weights, one along each axis. Values are called like their layers.
 */
#include "nn/onnx.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "nn/modelfile.h"
#include "nn/protobuf.h"

#define IR_VERSION 7
#define OPSET 13
#define MOST ((size_t)INT32_MAX)
#define EPSILON 1e-5f

enum { MODEL_IR = 1, MODEL_PRODUCER, MODEL_PRODUCER_VERSION, MODEL_GRAPH = 7, MODEL_OPSET };
enum { MODEL_METADATA = 14, ENTRY_KEY = 1, ENTRY_VALUE, OPSET_DOMAIN = 1, OPSET_VERSION };
enum { GRAPH_NODE = 1, GRAPH_NAME, GRAPH_TENSOR = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT };
enum { NODE_INPUT = 1, NODE_OUTPUT, NODE_NAME, NODE_OP, NODE_ATTRIBUTE };
enum {
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_FLOAT,
    ATTRIBUTE_INT,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_TYPE = 20
};
enum { IS_FLOAT = 1, IS_INT, IS_INTS = 7 };
enum { TENSOR_DIM = 1, TENSOR_TYPE, TENSOR_NAME = 8, TENSOR_RAW, TYPE_FLOAT = 1, TYPE_INT64 = 7 };
enum { VALUE_NAME = 1, VALUE_TYPE, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE };
enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_NAME };

struct name {
    char s[96];
};

struct graph {
    const struct ob_model *m;
    const struct ob_net *net;
    bool plain;
    struct ob_pb nodes, tensors;
    struct name *value; /* what each node of the network gives */
    void **own;         /* blocks that were made for tensors */
    size_t n_own;
    struct ob_err *err;
};

/* ---- tensors ---- */

static void add_tensor(struct graph *g, const char *name, int type, int rank, const int64_t *shape,
                       const void *data, size_t n)
{
    struct ob_pb t = { 0 };

    for (int i = 0; i < rank; i++)
        obi_pb_int(&t, TENSOR_DIM, shape[i]);
    obi_pb_int(&t, TENSOR_TYPE, type);
    obi_pb_text(&t, TENSOR_NAME, name);
    obi_pb_hole(&t, TENSOR_RAW, data, n);
    obi_pb_message(&g->tensors, GRAPH_TENSOR, &t);
}

/* Adds the weights of a view and gives their name; "" where there is no view. */
static const char *add_view(struct graph *g, int view)
{
    const struct ob_view *v;
    const void *data;
    size_t n;

    if (view < 0)
        return "";
    v = &g->net->view[view];
    data = obi_model_view(g->m, v, &n);
    add_tensor(g, v->name, TYPE_FLOAT, v->rank, v->shape, data, n);
    return v->name;
}

/* A zeroed block that lives until the file is written. */
static void *make_block(struct graph *g, size_t n)
{
    char *block;

    if (ob_alloc(block, n, NULL) || ob_grow(g->own, g->n_own, g->n_own + 1, NULL)) {
        ob_free(block);
        g->nodes.failed = 1;
        return NULL;
    }
    g->own[g->n_own++] = block;
    return block;
}

static void add_numbers(struct graph *g, const char *name, const int64_t *x, int n)
{
    size_t bytes = (size_t)n * sizeof(*x);
    int64_t *copy = make_block(g, bytes), shape = n;

    if (!copy)
        return;
    memcpy(copy, x, bytes);
    add_tensor(g, name, TYPE_INT64, 1, &shape, copy, bytes);
}

/* ---- nodes: begun, given attributes, ended ---- */

static struct ob_pb begin(const char *op, const char *name, const char *in0, const char *in1,
                          const char *in2)
{
    const char *const in[] = { in0, in1, in2 };
    struct ob_pb n = { 0 };

    for (int i = 0; i < 3; i++)
        if (in[i] && in[i][0])
            obi_pb_text(&n, NODE_INPUT, in[i]);
    obi_pb_text(&n, NODE_OUTPUT, name);
    obi_pb_text(&n, NODE_NAME, name);
    obi_pb_text(&n, NODE_OP, op);
    return n;
}

static void add_int(struct ob_pb *n, const char *name, int64_t x)
{
    struct ob_pb a = { 0 };

    obi_pb_text(&a, ATTRIBUTE_NAME, name);
    obi_pb_int(&a, ATTRIBUTE_INT, x);
    obi_pb_int(&a, ATTRIBUTE_TYPE, IS_INT);
    obi_pb_message(n, NODE_ATTRIBUTE, &a);
}

static void add_ints(struct ob_pb *n, const char *name, int64_t x, int64_t y, int times)
{
    struct ob_pb a = { 0 };

    obi_pb_text(&a, ATTRIBUTE_NAME, name);
    for (int i = 0; i < times; i++) {
        obi_pb_int(&a, ATTRIBUTE_INTS, x);
        obi_pb_int(&a, ATTRIBUTE_INTS, y);
    }
    obi_pb_int(&a, ATTRIBUTE_TYPE, IS_INTS);
    obi_pb_message(n, NODE_ATTRIBUTE, &a);
}

static void add_window(struct ob_pb *n, const struct ob_node *d)
{
    add_ints(n, "kernel_shape", d->kernel, d->kernel, 1);
    add_ints(n, "strides", d->stride, d->stride, 1);
    add_ints(n, "pads", d->pad, d->pad, 2);
}

static void end(struct graph *g, struct ob_pb *n)
{
    obi_pb_message(&g->nodes, GRAPH_NODE, n);
}

static void simple(struct graph *g, const char *op, const char *name, const char *in0,
                   const char *in1, const char *in2)
{
    struct ob_pb n = begin(op, name, in0, in1, in2);

    end(g, &n);
}

/* ---- the nodes that are more than one ---- */

static struct name part_name(const char *name, const char *part)
{
    struct name out;

    snprintf(out.s, sizeof(out.s), "%.70s.%s", name, part);
    return out;
}

/* (x - mean) / std, as two vectors of one number per channel. */
static void normalize(struct graph *g, const struct ob_node *d, const char *name, const char *x)
{
    struct name shifted = part_name(name, "shifted");

    for (int i = 0; i < 2; i++) {
        const struct ob_view *v = &g->net->view[i ? d->var : d->mean];
        const int64_t shape[3] = { d->c, 1, 1 };
        size_t n;
        const void *data = obi_model_view(g->m, v, &n);

        add_tensor(g, v->name, TYPE_FLOAT, 3, shape, data, n);
    }
    simple(g, "Sub", shifted.s, x, g->net->view[d->mean].name, NULL);
    simple(g, "Div", name, shifted.s, g->net->view[d->var].name, NULL);
}

static void shortcut(struct graph *g, const struct ob_node *d, const char *name, const char *x)
{
    const struct ob_node *from = &g->net->node[d->in[0]];
    const int64_t start[2] = { 0, 0 }, stop[2] = { from->h, from->w }, axis[2] = { 2, 3 },
                  stride[2] = { d->stride, d->stride },
                  pad[8] = { 0, d->front, 0, 0, 0, d->c - from->c - d->front, 0, 0 };
    const struct name sliced = part_name(name, "sliced"), starts = part_name(name, "starts"),
                      ends = part_name(name, "ends"), axes = part_name(name, "axes"),
                      steps = part_name(name, "steps"), pads = part_name(name, "pads");
    struct ob_pb n = begin("Slice", sliced.s, x, starts.s, ends.s);

    add_numbers(g, starts.s, start, 2);
    add_numbers(g, ends.s, stop, 2);
    add_numbers(g, axes.s, axis, 2);
    add_numbers(g, steps.s, stride, 2);
    add_numbers(g, pads.s, pad, 8);
    obi_pb_text(&n, NODE_INPUT, axes.s);
    obi_pb_text(&n, NODE_INPUT, steps.s);
    end(g, &n);
    simple(g, "Pad", name, sliced.s, pads.s, NULL);
}

/* Row i of n has 1/size in each of the places of window i over `length`. Transposed: length x n. */
static void add_means(struct graph *g, const char *name, int n, int length, bool transposed)
{
    const int64_t shape[2] = { transposed ? length : n, transposed ? n : length };
    size_t bytes = (size_t)n * (size_t)length * sizeof(float);
    float *x = make_block(g, bytes);

    for (int i = 0; i < n && x; i++) {
        struct ob_window w = ob_avg_window(i, n, length);

        for (int k = w.first; k < w.end; k++)
            x[transposed ? k * n + i : i * length + k] = 1 / (float)(w.end - w.first);
    }
    if (x)
        add_tensor(g, name, TYPE_FLOAT, 2, shape, x, bytes);
}

static void avgpool(struct graph *g, const struct ob_node *d, const char *name, const char *x)
{
    const struct ob_node *from = &g->net->node[d->in[0]];
    struct name along = part_name(name, "along"), rows = part_name(name, "rows"),
                columns = part_name(name, "columns");
    struct ob_pb n;

    if (d->h == 1 && d->w == 1) {
        simple(g, "GlobalAveragePool", name, x, NULL, NULL);
    } else if (from->h % d->h == 0 && from->w % d->w == 0) {
        n = begin("AveragePool", name, x, NULL, NULL);
        add_ints(&n, "kernel_shape", from->h / d->h, from->w / d->w, 1);
        add_ints(&n, "strides", from->h / d->h, from->w / d->w, 1);
        end(g, &n);
    } else {
        add_means(g, columns.s, d->w, from->w, true);
        add_means(g, rows.s, d->h, from->h, false);
        simple(g, "MatMul", along.s, x, columns.s, NULL);
        simple(g, "MatMul", name, rows.s, along.s, NULL);
    }
}

/* ---- the network ---- */

static void batchnorm(struct graph *g, const struct ob_node *d, const char *name, const char *x)
{
    const char *weight = add_view(g, d->weight), *bias = add_view(g, d->bias);
    struct ob_pb n = begin("BatchNormalization", name, x, weight, bias), a = { 0 };

    obi_pb_text(&n, NODE_INPUT, add_view(g, d->mean));
    obi_pb_text(&n, NODE_INPUT, add_view(g, d->var));
    obi_pb_text(&a, ATTRIBUTE_NAME, "epsilon");
    obi_pb_float(&a, ATTRIBUTE_FLOAT, EPSILON);
    obi_pb_int(&a, ATTRIBUTE_TYPE, IS_FLOAT);
    obi_pb_message(&n, NODE_ATTRIBUTE, &a);
    end(g, &n);
}

static void windowed(struct graph *g, const struct ob_node *d, const char *op, const char *name,
                     const char *x)
{
    const char *weight = add_view(g, d->weight), *bias = add_view(g, d->bias);
    struct ob_pb n = begin(op, name, x, weight, bias);

    add_window(&n, d);
    end(g, &n);
}

static void linear(struct graph *g, const struct ob_node *d, const char *name, const char *x)
{
    const char *weight = add_view(g, d->weight), *bias = add_view(g, d->bias);
    struct ob_pb n = begin("Gemm", name, x, weight, bias);

    add_int(&n, "transB", 1); /* weights are out x in */
    end(g, &n);
}

/* "layer1.0.conv1" where it has weights, else "relu7"; the last one is the result. */
static void name_node(struct graph *g, int i)
{
    static const char *const kind[] = { "image",    "normalize", "conv",    "batchnorm",
                                        "relu",     "add",       "maxpool", "avgpool",
                                        "shortcut", "flatten",   "linear" };
    const struct ob_node *d = &g->net->node[i];
    char *out = g->value[i].s;
    const size_t room = sizeof(g->value[i].s);

    if (i == g->net->n_nodes - 1)
        snprintf(out, room, "logits");
    else if (d->op == OB_OP_INPUT || (d->op == OB_OP_NORMALIZE && g->plain))
        snprintf(out, room, "image");
    else if (d->op == OB_OP_NORMALIZE)
        snprintf(out, room, "normalize");
    else if (d->weight >= 0)
        snprintf(out, room, "%.*s", (int)strlen(g->net->view[d->weight].name) - 7,
                 g->net->view[d->weight].name); /* without ".weight" */
    else
        snprintf(out, room, "%s%d", kind[d->op], i);
}

static int add_node(struct graph *g, int i)
{
    const struct ob_node *d = &g->net->node[i];
    const char *name = g->value[i].s, *x = d->in[0] >= 0 ? g->value[d->in[0]].s : NULL;
    struct ob_pb n;

    switch (d->op) {
    case OB_OP_INPUT:
        return OB_OK;
    case OB_OP_NORMALIZE:
        if (!g->plain)
            normalize(g, d, name, x);
        return OB_OK;
    case OB_OP_CONV:
        windowed(g, d, "Conv", name, x);
        return OB_OK;
    case OB_OP_BATCHNORM:
        batchnorm(g, d, name, x);
        return OB_OK;
    case OB_OP_RELU:
        simple(g, "Relu", name, x, NULL, NULL);
        return OB_OK;
    case OB_OP_ADD:
        simple(g, "Add", name, x, g->value[d->in[1]].s, NULL);
        return OB_OK;
    case OB_OP_MAXPOOL:
        windowed(g, d, "MaxPool", name, x);
        return OB_OK;
    case OB_OP_AVGPOOL:
        avgpool(g, d, name, x);
        return OB_OK;
    case OB_OP_SHORTCUT:
        shortcut(g, d, name, x);
        return OB_OK;
    case OB_OP_FLATTEN:
        n = begin("Flatten", name, x, NULL, NULL);
        add_int(&n, "axis", 1);
        end(g, &n);
        return OB_OK;
    case OB_OP_LINEAR:
        linear(g, d, name, x);
        return OB_OK;
    }
    return ob_fail(g->err, OB_EBUG, "broken promise: node %d cannot be written as ONNX", i);
}

/* ---- the file ---- */

/* A float tensor whose first dimension is any batch. */
static void add_value(struct ob_pb *graph, int field, const char *name, const int64_t *shape,
                      int rank)
{
    struct ob_pb value = { 0 }, type = { 0 }, tensor = { 0 }, dims = { 0 };

    for (int i = 0; i < rank; i++) {
        struct ob_pb dim = { 0 };

        if (i)
            obi_pb_int(&dim, DIM_VALUE, shape[i]);
        else
            obi_pb_text(&dim, DIM_NAME, "batch");
        obi_pb_message(&dims, SHAPE_DIM, &dim);
    }
    obi_pb_int(&tensor, TENSOR_ELEMENT, TYPE_FLOAT);
    obi_pb_message(&tensor, TENSOR_SHAPE, &dims);
    obi_pb_message(&type, TYPE_TENSOR, &tensor);
    obi_pb_text(&value, VALUE_NAME, name);
    obi_pb_message(&value, VALUE_TYPE, &type);
    obi_pb_message(graph, field, &value);
}

static void put_model(struct ob_pb *out, struct graph *g)
{
    const struct ob_net *net = g->net;
    const int64_t image[4] = { 0, net->channels, net->height, net->width },
                  logits[2] = { 0, net->n_classes };
    struct ob_pb graph = { 0 }, opset = { 0 };

    obi_pb_append(&graph, &g->nodes);
    obi_pb_text(&graph, GRAPH_NAME, net->arch);
    obi_pb_append(&graph, &g->tensors);
    add_value(&graph, GRAPH_INPUT, "image", image, 4);
    add_value(&graph, GRAPH_OUTPUT, "logits", logits, 2);
    obi_pb_int(out, MODEL_IR, IR_VERSION);
    obi_pb_text(out, MODEL_PRODUCER, "oubli");
    obi_pb_text(out, MODEL_PRODUCER_VERSION, OB_VERSION);
    obi_pb_message(out, MODEL_GRAPH, &graph);
    obi_pb_text(&opset, OPSET_DOMAIN, "");
    obi_pb_int(&opset, OPSET_VERSION, OPSET);
    obi_pb_message(out, MODEL_OPSET, &opset);
    for (size_t i = 0; i < g->m->n_meta; i++) {
        struct ob_pb entry = { 0 };

        obi_pb_text(&entry, ENTRY_KEY, g->m->meta[i].key);
        obi_pb_text(&entry, ENTRY_VALUE, g->m->meta[i].value);
        obi_pb_message(out, MODEL_METADATA, &entry);
    }
}

static int write_file(struct ob_pb *model, const char *path, struct ob_err *err)
{
    struct ob_writer *w;

    OB_TRY(obi_pb_check(model, err));
    if (obi_pb_size(model) > MOST)
        return ob_fail(err, OB_ENOTSUP, "cannot write '%s': an ONNX file holds 2 GiB at most",
                       path);
    OB_TRY(ob_writer_open(&w, path, err));
    obi_pb_write(w, model);
    return ob_writer_commit(w, err);
}

int obi_onnx_write(const struct ob_model *m, const char *path, bool plain, struct ob_err *err)
{
    struct graph g = { .m = m, .net = m->net, .plain = plain, .err = err };
    struct ob_pb model = { 0 };
    int rc;

    OB_GO(ob_model_check_finite(m, err));
    OB_GO(ob_alloc(g.value, (size_t)m->net->n_nodes, err));
    for (int i = 0; i < m->net->n_nodes; i++)
        name_node(&g, i);
    for (int i = 0; i < m->net->n_nodes; i++)
        OB_GO(add_node(&g, i));
    put_model(&model, &g);
    rc = write_file(&model, path, err);
out:
    obi_pb_release(&model);
    obi_pb_release(&g.nodes);
    obi_pb_release(&g.tensors);
    for (size_t i = 0; i < g.n_own; i++)
        ob_free(g.own[i]);
    ob_free(g.own);
    ob_free(g.value);
    return rc;
}
