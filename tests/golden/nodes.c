/* nodes.c - each kind of node, alone and fused, against PyTorch in float64, on equal inputs. */
#include "golden.h"

#define MAX_OPS 12
#define MAX_CASES 150

struct op {
    char word[12];
    int arg[5];
};

struct a_case {
    char name[32], flags[8];
    int n, c, h, w, n_ops;
    struct op op[MAX_OPS];
};

/* ---- reading the table ---- */

static void parse_op(struct a_case *k, const char *text)
{
    struct op *o = &k->op[k->n_ops++];

    assert_true(k->n_ops < MAX_OPS);
    *o = (struct op){ 0 };
    assert_true(sscanf(text, "%11[a-z0-9]:%d,%d,%d,%d,%d", o->word, &o->arg[0], &o->arg[1],
                       &o->arg[2], &o->arg[3], &o->arg[4]) >= 1);
}

static void parse(struct a_case *k, char *line)
{
    char *at;

    *k = (struct a_case){ 0 };
    snprintf(k->name, sizeof(k->name), "%s", strtok_r(line, " \n", &at));
    snprintf(k->flags, sizeof(k->flags), "%s", strtok_r(NULL, " \n", &at));
    assert_int_equal(sscanf(strtok_r(NULL, " \n", &at), "%dx%dx%dx%d", &k->n, &k->c, &k->h, &k->w),
                     4);
    for (char *word; (word = strtok_r(NULL, " \n", &at));)
        parse_op(k, word);
    at = k->op[k->n_ops - 1].word;
    if (strcmp(at, "flatten") && strcmp(at, "linear"))
        parse_op(k, "flatten");
}

static int read_cases(struct a_case *cases)
{
    FILE *f = fopen(GOLDEN_DIR "nodes.txt", "r");
    char line[200];
    int n = 0;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        if (line[0] != '#' && line[0] != '\n') {
            assert_true(n < MAX_CASES);
            parse(&cases[n++], line);
        }
    fclose(f);
    return n;
}

/* ---- from a case to a network ---- */

static int is(const struct op *o, const char *word)
{
    return !strcmp(o->word, word);
}

static int add_op(struct ob_net *n, const struct op *o, const char *name, int x)
{
    const int *a = o->arg;

    if (is(o, "conv"))
        return ob_net_conv(n, name, x, a[0], a[1], a[2], a[3], a[4], OB_INIT_ZERO, 0);
    if (is(o, "linear"))
        return ob_net_linear(n, name, x, a[0], OB_INIT_ZERO);
    if (is(o, "maxpool"))
        return ob_net_maxpool(n, x, a[0], a[1], a[2]);
    if (is(o, "shortcut"))
        return ob_net_shortcut(n, x, a[0], a[1]);
    if (is(o, "bn"))
        return ob_net_batchnorm(n, name, x);
    if (is(o, "relu"))
        return ob_net_relu(n, x);
    if (is(o, "add1"))
        return ob_net_add(n, x, 1);
    if (is(o, "avgpool"))
        return ob_net_avgpool(n, x, a[0] ? a[0] : 1);
    assert_true(is(o, "flatten"));
    return ob_net_flatten(n, x);
}

/* A network whose input may have any size: the table of views is made to fit. */
static struct ob_net *build(const struct a_case *k)
{
    struct ob_net *n;
    int x = 1;

    must(ob_net_begin(&n, "test", 3, 8, 8, 2, err));
    n->channels = n->node[0].c = n->node[1].c = k->c;
    n->height = n->node[0].h = n->node[1].h = k->h;
    n->width = n->node[0].w = n->node[1].w = k->w;
    n->view[0].shape[0] = n->view[1].shape[0] = k->c;
    n->view[0].size = n->view[1].size = n->view[1].offset = (size_t)k->c;
    n->n_buffers = 2 * (size_t)k->c;
    for (int i = 0; i < k->n_ops; i++) {
        char name[32];

        snprintf(name, sizeof(name), "%d", i);
        x = add_op(n, &k->op[i], name, x);
    }
    assert_int_equal(n->failed, 0);
    n->n_classes = (int)ob_node_size(&n->node[x]);
    must(ob_net_end(&n, x, err));
    return n;
}

static void fill_weights(const struct a_case *k, const struct ob_net *n, struct ob_weights *w)
{
    for (int i = 0; i < n->n_views; i++) {
        const struct ob_view *v = &n->view[i];
        float *x = (v->block == OB_PARAM ? w->params : w->buffers) + v->offset;
        char name[100];

        snprintf(name, sizeof(name), "%s/%s", k->name, v->name);
        if (v->block != OB_COUNT)
            golden_view(x, name, v);
    }
    if (strchr(k->flags, 'n'))
        return;
    for (int c = 0; c < k->c; c++) {
        w->buffers[c] = 0;
        w->buffers[k->c + c] = 1;
    }
}

/* ---- one case in one mode ---- */

struct run {
    const struct a_case *k;
    const struct golden_backend *b;
    const struct ob_npz *stored;
    enum ob_mode mode;
    double worst;
    int n_bad;
};

/* Of tens of thousands of values in front of a ReLU one may be zero but for rounding. */
#define FLIP 5e-3

static void compare(struct run *r, const char *part, const float *a, size_t n)
{
    int value = !strcmp(part, "y") || strstr(part, "running");
    double bound = strchr(r->k->flags, 'f') && !value ? FLIP : r->b->node, d;
    char key[100];

    snprintf(key, sizeof(key), "%s.%s.%s", r->k->name, r->mode ? "train" : "eval", part);
    d = golden_distance(r->stored, key, part, a, n);
    if (d > r->worst)
        r->worst = d;
    if (!(d <= bound)) {
        print_error("%s: %s is off by %.2e\n", r->b->title, key, d);
        r->n_bad++;
    }
}

static float *block(size_t n)
{
    float *x;

    must(ob_block_new(&x, n, err));
    return x;
}

static void inputs(const struct a_case *k, float *x, size_t n_x, float *dy, size_t n_y)
{
    char name[64];

    snprintf(name, sizeof(name), "%s/x", k->name);
    golden_uniform(x, name, n_x, -1, 1);
    if (strchr(k->flags, 'q'))
        for (size_t i = 0; i < n_x; i++)
            x[i] = floorf(x[i] * 4) / 4;
    snprintf(name, sizeof(name), "%s/dy", k->name);
    golden_uniform(dy, name, n_y, -1, 1);
}

static void compare_views(struct run *r, const struct ob_net *net, const float *grads,
                          const struct ob_weights *w)
{
    for (int i = 0; i < net->n_views; i++) {
        const struct ob_view *v = &net->view[i];

        if (v->block == OB_PARAM)
            compare(r, v->name, grads + v->offset, v->size);
        else if (v->block == OB_BUFFER && strstr(v->name, "running"))
            compare(r, v->name, w->buffers + v->offset, v->size);
        else if (v->block == OB_COUNT)
            assert_int_equal(w->counts[v->offset], r->mode == OB_MODE_TRAIN);
    }
}

static void run_case(struct run *r, struct ob_ctx *ctx)
{
    struct ob_net *net = build(r->k);
    struct ob_weights w = { .params = block(net->n_params), .buffers = block(net->n_buffers) };
    size_t n = (size_t)r->k->n, n_x = n * ob_node_size(&net->node[0]);
    size_t n_y = n * (size_t)net->n_classes;
    float *x = block(n_x), *dx = block(n_x), *dy = block(n_y), *grads = block(net->n_params);
    struct ob_exec *e;

    must(ob_alloc(w.counts, net->n_counts, err));
    w.stamp = ob_ctx_stamp(ctx);
    fill_weights(r->k, net, &w);
    inputs(r->k, x, n_x, dy, n_y);
    /* room for more images than there are: partial batches must work */
    must(ob_exec_new(&e, ctx, net, r->k->n + 1, OB_EXEC_TRAIN | OB_EXEC_INPUT_GRAD, err));
    must(ob_exec_forward(e, &w, x, r->k->n, r->mode, err));
    compare(r, "y", e->logits, n_y);
    ob_exec_backward(e, &w, dy, grads, dx);
    compare(r, "dx", dx, n_x);
    compare_views(r, net, grads, &w);
    ob_exec_free(e);
    ob_net_free(net);
    float *all[] = { w.params, w.buffers, x, dx, dy, grads };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        ob_free(all[i]);
    ob_free(w.counts);
}

static void nodes(void **state)
{
    const struct golden_backend *b = *state;
    struct ob_ctx *ctx = golden_ctx(b);
    struct a_case cases[MAX_CASES];
    struct ob_npz stored = { 0 };
    struct run r = { .b = b, .stored = &stored };
    int n = read_cases(cases), done = 0;

    if (!ctx)
        skip();
    must(ob_npz_read(&stored, GOLDEN_DIR "nodes.npz", 1 << 24, err));
    for (int i = 0; i < n; i++) {
        r.k = &cases[i];
        for (r.mode = OB_MODE_EVAL; r.mode <= OB_MODE_TRAIN; r.mode++)
            if (strchr(r.k->flags, r.mode == OB_MODE_TRAIN ? 't' : 'e')) {
                run_case(&r, ctx);
                done++;
            }
    }
    print_message("%s: %d cases, off by %.1e at most (bound %.0e)\n", b->title, done, r.worst,
                  b->node);
    ob_npz_release(&stored);
    ob_ctx_free(ctx);
    assert_true(done >= 40);
    assert_int_equal(r.n_bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(nodes, (void *)&golden_backends[0]),
        cmocka_unit_test_prestate(nodes, (void *)&golden_backends[1]),
        cmocka_unit_test_prestate(nodes, (void *)&golden_backends[2]),
        cmocka_unit_test_prestate(nodes, (void *)&golden_backends[3]),
        cmocka_unit_test_prestate(nodes, (void *)&golden_backends[4]),
        cmocka_unit_test_prestate(nodes, (void *)&golden_backends[5]),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
