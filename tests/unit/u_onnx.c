/* u_onnx.c - ONNX files taken apart again: every value is made before it is read, every weight is
 * there with its bytes, and nothing else is. Whether they compute the same is for onnxruntime to
 * say (tests/interop). */
#include "bytes.h"
#include "nn/model.h"

static struct ob_ctx ctx;
static char path[128];

static int setup(void **state)
{
    (void)state;
    scratch_file(path, sizeof(path), "m.onnx");
    return 0;
}

/* ---- Protocol Buffers ---- */

struct span {
    const unsigned char *p;
    size_t n;
};

static uint64_t varint(struct span *s)
{
    uint64_t x = 0;

    for (int shift = 0;; shift += 7) {
        unsigned char c;

        assert_true(s->n > 0 && shift < 64);
        c = *s->p++;
        s->n--;
        x |= (uint64_t)(c & 127) << shift;
        if (c < 128)
            return x;
    }
}

/* The next field: its number, and its number or bytes. 0: none is left. */
static int field(struct span *s, uint64_t *number, struct span *bytes)
{
    uint64_t tag;

    *number = 0;
    *bytes = (struct span){ 0 };
    if (!s->n)
        return 0;
    tag = varint(s);
    if ((tag & 7) == 0) {
        *number = varint(s);
    } else if ((tag & 7) == 2) {
        bytes->n = varint(s);
        assert_true(bytes->n <= s->n);
    } else {
        assert_int_equal(tag & 7, 5);
        bytes->n = 4;
        assert_true(s->n >= 4);
    }
    bytes->p = s->p;
    s->p += bytes->n;
    s->n -= bytes->n;
    return (int)(tag >> 3);
}

/* The i-th field `wanted` of a message. */
static int find(struct span s, int wanted, int i, uint64_t *number, struct span *bytes)
{
    int is;

    while ((is = field(&s, number, bytes)))
        if (is == wanted && !i--)
            return 1;
    return 0;
}

static int text(struct span s, int wanted, int i, char out[128])
{
    struct span bytes;
    uint64_t number;

    if (!find(s, wanted, i, &number, &bytes))
        return 0;
    assert_true(bytes.n < 128);
    memcpy(out, bytes.p, bytes.n);
    out[bytes.n] = 0;
    return 1;
}

/* ---- graphs ---- */

enum { MODEL_GRAPH = 7, MODEL_OPSET = 8, GRAPH_NODE = 1, GRAPH_TENSOR = 5 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_OP = 4, TENSOR_DIM = 1, TENSOR_NAME = 8, TENSOR_RAW };

struct names {
    char s[700][128];
    int n;
};

static int has(const struct names *names, const char *name)
{
    for (int i = 0; i < names->n; i++)
        if (!strcmp(names->s[i], name))
            return 1;
    return 0;
}

static void add_name(struct names *names, const char *name)
{
    if (has(names, name))
        fail_msg("'%s' is there twice", name);
    assert_true(names->n < 700);
    snprintf(names->s[names->n++], 128, "%.127s", name);
}

/* A tensor that is a view of the model has its bytes. 1: it is one. */
static int check_tensor(const struct ob_model *m, struct span t, const char *name)
{
    int view = ob_net_find(m->net, name);
    struct span raw, ignored;
    uint64_t size = 1, dim, number;
    const struct ob_view *v;
    const float *want;

    assert_true(find(t, TENSOR_RAW, 0, &number, &raw));
    for (int i = 0; find(t, TENSOR_DIM, i, &dim, &ignored); i++)
        size *= dim;
    if (view < 0) { /* int64 or float */
        assert_true(raw.n == size * 8 || raw.n == size * 4);
        return 0;
    }
    v = &m->net->view[view];
    assert_int_equal(size, v->size);
    assert_int_equal(raw.n, v->size * sizeof(float));
    want = (v->block == OB_PARAM ? m->w.params : m->w.buffers) + v->offset;
    assert_memory_equal(raw.p, want, raw.n);
    return 1;
}

/* How many nodes there are of operator `op` (NULL: all). */
static int check(const struct ob_model *m, int plain, const char *op)
{
    struct bytes b = bytes_read(path);
    struct span model = { b.p, b.n }, graph, x;
    struct names *names = calloc(1, sizeof(*names));
    uint64_t number;
    int views = 0, n = 0;
    char name[128] = "";

    assert_true(find(model, MODEL_OPSET, 0, &number, &x) && find(x, 2, 0, &number, &x));
    assert_int_equal(number, 13);
    assert_true(find(model, MODEL_GRAPH, 0, &number, &graph));
    add_name(names, "image");
    for (int i = 0; find(graph, GRAPH_TENSOR, i, &number, &x); i++) {
        assert_true(text(x, TENSOR_NAME, 0, name));
        add_name(names, name);
        views += check_tensor(m, x, name);
    }
    assert_int_equal(views, m->net->n_views - (int)m->net->n_counts - (plain ? 2 : 0));
    for (int i = 0; find(graph, GRAPH_NODE, i, &number, &x); i++) {
        for (int k = 0; text(x, NODE_INPUT, k, name); k++)
            if (!has(names, name))
                fail_msg("'%s' is read before it is made", name);
        assert_true(text(x, NODE_OP, 0, name));
        n += !op || !strcmp(op, name);
        assert_true(text(x, NODE_OUTPUT, 0, name));
        add_name(names, name);
    }
    assert_string_equal(name, "logits");
    free(names);
    free(b.p);
    return n;
}

/* ---- tests ---- */

static void graph(const char *arch, int c, int h, int w, const char *op, int n_op, int n)
{
    struct ob_export_opts plain = OB_EXPORT_OPTS_INIT;
    struct ob_model *m;

    plain.no_normalize = 1;
    must(ob_model_new(&m, &ctx, arch, c, h, w, 5, 1, err));
    must(ob_model_export(m, path, NULL, err));
    if (check(m, 0, op) != n_op || check(m, 0, NULL) != n)
        fail_msg("%s: %d nodes of %s and %d in all", arch, check(m, 0, op), op, check(m, 0, NULL));
    must(ob_model_export(m, path, &plain, err));
    assert_int_equal(check(m, 1, NULL), n - 2);
    ob_model_free(m);
}

static void graphs(void **state)
{
    (void)state;
    graph("mlp,width=0.1", 1, 8, 8, "Gemm", 3, 8);
    graph("cnn,width=0.25", 3, 9, 17, "MaxPool", 3, 16);
    graph("resnet20,width=0.5", 3, 16, 12, "Slice", 2, 2 + 19 * 2 + 19 + 9 + 2 * 2 + 3);
    graph("resnet18,width=0.125", 3, 32, 32, "Conv", 20, 2 + 20 * 2 + 17 + 8 + 3);
    graph("resnet18,stem=imagenet,width=0.125", 3, 64, 64, "MaxPool", 1,
          2 + 20 * 2 + 17 + 8 + 3 + 1);
    graph("resnet50,width=0.125", 3, 16, 16, "BatchNormalization", 53, 2 + 53 * 2 + 49 + 16 + 3);
    graph("vgg16,width=0.125", 3, 64, 64, "AveragePool", 1, 2 + 13 * 3 + 4 + 2 + 5);
    graph("vgg16,width=0.125", 3, 32, 48, "MatMul", 2, 2 + 13 * 3 + 4 + 3 + 5);
    graph("vgg16,head=lth,width=0.125", 1, 28, 28, "GlobalAveragePool", 1, 2 + 13 * 3 + 4 + 2 + 1);
}

/* Every architecture that there is, and will be. */
static void every_architecture(void **state)
{
    (void)state;
    for (size_t i = 0; ob_arch_at(i); i++) {
        struct ob_model *m;
        char arch[64];

        snprintf(arch, sizeof(arch), "%s,width=0.1", ob_arch_at(i));
        must(ob_model_new(&m, &ctx, arch, 3, 32, 32, 10, 1, err));
        must(ob_model_export(m, path, NULL, err));
        assert_true(check(m, 0, NULL) > 5);
        ob_model_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphs),
        cmocka_unit_test(every_architecture),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
