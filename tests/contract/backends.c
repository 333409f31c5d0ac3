/* backends.c - every operation in many shapes: cpu against ref, ref against differences. */
#include "contract/compare.h"

struct pool {
    int h, w, kernel, stride, pad, side; /* side: an average pool */
    int norm;                            /* behind a batch-norm with ReLU: may be fused */
};

static void check_pool(const struct pool *p)
{
    struct ob_net *n;
    char name[96];
    int x;

    must(ob_net_begin(&n, "test", 3, 8, 8, 3, err));
    n->height = n->node[0].h = n->node[1].h = p->h; /* maps smaller than any image */
    n->width = n->node[0].w = n->node[1].w = p->w;
    x = ob_net_conv(n, "stem", 1, 11, 1, 1, 0, 0, OB_INIT_KAIMING, 1);
    if (p->norm)
        x = ob_net_relu(n, ob_net_batchnorm(n, "bn", x));
    x = p->side ? ob_net_avgpool(n, x, p->side)
                : ob_net_maxpool(n, x, p->kernel, p->stride, p->pad);
    x = ob_net_flatten(n, x);
    ob_net_linear(n, "fc", x, 3, OB_INIT_UNIFORM);
    must(ob_net_end(&n, x, err));
    snprintf(name, sizeof(name), "map %dx%d, kernel %d/%d+%d, side %d, norm %d", p->h, p->w,
             p->kernel, p->stride, p->pad, p->side, p->norm);
    compare(name, n, 4, 2e-5, 2e-5);
}

static void max_pools(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * 3 * 3 * 8; i++) {
        struct pool p = { .kernel = 2 + i % 3,
                          .stride = 1 + i / 3 % 3,
                          .pad = i / 9 % 3,
                          .h = 1 + i / 27,
                          .w = 9 - i / 27,
                          .norm = i % 2 };

        if (2 * p.pad <= p.kernel && p.h + 2 * p.pad >= p.kernel && p.w + 2 * p.pad >= p.kernel)
            check_pool(&p);
    }
}

static void average_pools(void **state)
{
    (void)state;
    for (int i = 0; i < 4 * 9; i++) {
        struct pool p = { .side = 1 + i % 4, .h = 1 + i / 4, .w = 1 + (i * 5 + 2) % 9 };

        check_pool(&p);
    }
}

/* Shortcuts of option A, nodes read twice, and an input that several read. */
static void residual_block(void **state)
{
    static const int widths[] = { 4, 8, 16 };

    (void)state;
    for (int i = 0; i < 6; i++) {
        int c = widths[i % 3], stride = 1 + i / 3, x, y, z;
        struct ob_net *n;

        must(ob_net_begin(&n, "test", 3, 11, 14, 4, err));
        x = ob_net_conv(n, "conv1", 1, c, 3, 1, 1, 0, OB_INIT_KAIMING, 1);
        x = ob_net_relu(n, ob_net_batchnorm(n, "bn1", x));
        y = ob_net_conv(n, "conv2", x, 2 * c, 3, stride, 1, 0, OB_INIT_KAIMING, 1);
        y = ob_net_relu(n, ob_net_batchnorm(n, "bn2", y));
        z = ob_net_conv(n, "conv3", y, 2 * c, 3, 1, 1, 0, OB_INIT_KAIMING, 1);
        z = ob_net_batchnorm(n, "bn3", z);
        y = ob_net_relu(n, ob_net_add(n, z, ob_net_shortcut(n, x, 2 * c, stride)));
        z = ob_net_batchnorm(n, "bn4",
                             ob_net_conv(n, "conv4", y, 2 * c, 3, 1, 1, 0, OB_INIT_KAIMING, 1));
        y = ob_net_add(n, z, y);
        x = ob_net_add(n, ob_net_avgpool(n, y, 1), ob_net_avgpool(n, ob_net_relu(n, y), 1));
        ob_net_linear(n, "fc", x, 4, OB_INIT_UNIFORM);
        must(ob_net_end(&n, x, err));
        compare("residual block", n, 3, 2e-5, 2e-5);
    }
}

/* The image goes to a pool, a batch-norm and a flatten: blocked without a convolution. */
static void without_convolution(void **state)
{
    struct ob_net *n;
    int x, y;

    (void)state;
    must(ob_net_begin(&n, "test", 3, 9, 10, 4, err));
    x = ob_net_flatten(n, ob_net_maxpool(n, ob_net_batchnorm(n, "bn", 1), 3, 3, 0));
    y = ob_net_relu(n, ob_net_linear(n, "fc1", ob_net_flatten(n, 1), 27, OB_INIT_UNIFORM));
    x = ob_net_add(n, x, y);
    ob_net_linear(n, "fc2", x, 4, OB_INIT_UNIFORM);
    must(ob_net_end(&n, y, err));
    compare("without convolution", n, 5, 2e-5, 2e-5);
}

static void whole_networks(void **state)
{
    static const struct {
        const char *arch;
        int channels, h, w, batch;
        double value, gradient;
    } nets[] = {
        { "cnn", 1, 28, 28, 5, 2e-5, 2e-4 },
        { "cnn,width=0.5", 3, 17, 13, 11, 2e-5, 2e-4 },
        { "cnn,width=0.25", 1, 8, 8, 2, 2e-5, 2e-4 },
        { "resnet20", 3, 16, 16, 2, 2e-5, 2e-4 },
        { "resnet20,width=0.5", 1, 13, 9, 5, 2e-5, 2e-4 },
        { "mlp", 1, 12, 12, 70, 2e-5, 2e-4 },
        { "resnet18,width=0.25", 3, 17, 12, 4, 1e-4, 5e-2 },
        { "resnet18,stem=imagenet,width=0.125", 1, 45, 52, 5, 1e-4, 5e-2 },
        { "resnet50,width=0.125", 1, 13, 16, 4, 1e-4, 5e-2 },
        { "resnet50,stem=imagenet,width=0.125", 3, 40, 37, 4, 1e-4, 5e-2 },
        { "vgg16,width=0.125", 3, 33, 50, 3, 1e-4, 5e-2 },
        { "vgg16,head=lth,width=0.125", 1, 28, 28, 5, 1e-4, 5e-2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
        struct ob_net *net;

        must(ob_net_new(&net, nets[i].arch, nets[i].channels, nets[i].h, nets[i].w, 10, err));
        /* deep networks enlarge rounding; a ReLU that falls the other way is worth up to 5e-2 */
        compare(nets[i].arch, net, nets[i].batch, nets[i].value, nets[i].gradient);
    }
}

/* ---- ref against central differences ---- */

static double value_of(struct ob_exec *e, const struct ob_weights *w, const float *x,
                       const float *dlogits, int n, enum ob_mode mode)
{
    struct outcome o = run_on(e, w, x, dlogits, n, mode);
    double s = 0;

    for (size_t i = 0; i < o.n_logits; i++)
        s += (double)o.logits[i] * (double)dlogits[i];
    release_outcome(&o);
    return s;
}

/* (f(at + eps d) - f(at - eps d)) / 2 eps against g d, along a random d. */
static void check_slope(const char *what, struct ob_exec *e, const struct ob_weights *w,
                        const float *x, const float *dlogits, int n, enum ob_mode mode, float *at,
                        const float *g, const float *g0, size_t size)
{
    float *d = numbers(size, 17, 0, 1), *keep = copy_of(at, size);
    double slope = 0, eps = 1e-3, f[2], scale = 0;

    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < size; i++)
            at[i] = keep[i] + (float)((side ? eps : -eps) * (double)d[i]);
        f[side] = value_of(e, w, x, dlogits, n, mode);
    }
    memcpy(at, keep, sizeof(float) * size);
    for (size_t i = 0; i < size; i++) {
        double gi = (double)g[i] - (g0 ? (double)g0[i] : 0);

        slope += gi * (double)d[i];
        scale += gi * gi;
    }
    if (!(fabs((f[1] - f[0]) / (2 * eps) - slope) <= 0.01 * sqrt(scale) + 2e-3))
        fail_msg("%s: %s: slope %.6g, gradient says %.6g", mode ? "train" : "eval", what,
                 (f[1] - f[0]) / (2 * eps), slope);
    ob_free(d);
    ob_free(keep);
}

static void differences(struct ob_net *net, int n)
{
    float *x = numbers((size_t)(n * net->channels * net->height * net->width), 1, 0.4f, 0.3f);
    float *dlogits = numbers((size_t)(n * net->n_classes), 2, 0, 0.5f);
    float *g0 = numbers(net->n_params, 5, 0, 1e-3f);
    struct ob_ctx *ctx = context("ref", NULL, 2);
    struct ob_weights w = weights_of(net, 3, 1);
    struct ob_exec *e;

    must(ob_exec_new(&e, ctx, net, n, OB_EXEC_TRAIN | OB_EXEC_INPUT_GRAD, err));
    for (int mode = 0; mode < 2; mode++) {
        enum ob_mode m = (enum ob_mode)mode;
        struct outcome o = run_on(e, &w, x, dlogits, n, m);

        for (int i = 0; i < net->n_views; i++) {
            const struct ob_view *v = &net->view[i];

            if (v->block == OB_PARAM)
                check_slope(v->name, e, &w, x, dlogits, n, m, w.params + v->offset,
                            o.grads + v->offset, g0 + v->offset, v->size);
        }
        check_slope("dx", e, &w, x, dlogits, n, m, x, o.dx, NULL, o.n_dx);
        release_outcome(&o);
    }
    ob_exec_free(e);
    release_weights(&w);
    ob_ctx_free(ctx);
    ob_free(x);
    ob_free(dlogits);
    ob_free(g0);
    ob_net_free(net);
}

static void ref_is_the_derivative(void **state)
{
    static const struct shape shapes[] = {
        { 3, 8, 9, 2, 3, 4, 3, 2, 1, BIAS | AVERAGE },
        { 1, 9, 8, 3, 4, 5, 5, 1, 2, STEM | BIAS | NORM | AVERAGE },
        { 3, 8, 8, 2, 4, 4, 3, 3, 0, STEM | NORM | SKIP },
        { 1, 8, 8, 3, 2, 3, 3, 1, 1, STEM | NORM | BRANCH | RELU | POOL },
        { 3, 9, 9, 2, 2, 3, 1, 1, 0, RELU | POOL3 },
        { 3, 9, 10, 2, 2, 3, 7, 2, 3, POOL_PAD },
        { 3, 8, 9, 2, 3, 4, 3, 2, 1, BIAS | AVERAGE_2 },
    };
    struct ob_net *n;
    int x, y;

    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        differences(build(&shapes[i]), shapes[i].batch);
    must(ob_net_begin(&n, "test", 3, 8, 9, 3, err));
    x = ob_net_conv(n, "conv1", 1, 4, 3, 1, 1, 0, OB_INIT_KAIMING, 1);
    y = ob_net_batchnorm(n, "bn", ob_net_conv(n, "conv2", x, 6, 3, 2, 1, 0, OB_INIT_KAIMING, 1));
    x = ob_net_avgpool(n, ob_net_add(n, y, ob_net_shortcut(n, x, 6, 2)), 1);
    ob_net_linear(n, "fc", x, 3, OB_INIT_UNIFORM);
    must(ob_net_end(&n, x, err));
    differences(n, 3);
}

/* ---- promises of an executable ---- */

/* Runs `fn` on each backend and instruction set there is. */
static void on_each(void (*fn)(const char *backend, const char *isa))
{
    fn("ref", NULL);
    for (int i = 0; i < N_ISA; i++)
        if (has_isa(isas[i]))
            fn("cpu", isas[i]);
}

/* Everything that a pass leaves behind, with one thread and with others. */
static void same_on_threads(const char *backend, const char *isa, const char *arch, int h, int w,
                            int n)
{
    static const int counts[] = { 1, 2, 3, 7 };
    float *x = numbers((size_t)(n * 3 * h * w), 1, 0.4f, 0.3f);
    float *dlogits = numbers((size_t)(n * 5), 2, 0, 1);
    struct outcome first = { 0 };
    struct ob_weights weights;
    struct ob_net *net;

    must(ob_net_new(&net, arch, 3, h, w, 5, err));
    weights = weights_of(net, 3, 1);
    for (int t = 0; t < 4; t++) {
        struct ob_ctx *ctx = context(backend, isa, counts[t]);
        struct outcome o = run(ctx, net, &weights, x, dlogits, n, n, OB_MODE_TRAIN);

        if (t) {
            same_outcome(net, &o, &first);
            release_outcome(&o);
        } else {
            first = o;
        }
        ob_ctx_free(ctx);
    }
    release_outcome(&first);
    release_weights(&weights);
    ob_net_free(net);
    ob_free(x);
    ob_free(dlogits);
}

static void threads(const char *backend, const char *isa)
{
    static const char *const large[] = {
        "resnet18,width=0.25",  "resnet18,stem=imagenet,width=0.25",
        "resnet50,width=0.125", "resnet50,stem=imagenet,width=0.125",
        "vgg16,width=0.125",    "vgg16,head=lth,width=0.125",
    };

    same_on_threads(backend, isa, "cnn,width=0.5", 10, 11, 19);
    same_on_threads(backend, isa, "resnet20,width=0.5", 10, 11, 19);
    same_on_threads(backend, isa, "mlp", 10, 11, 19);
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
        same_on_threads(backend, isa, large[i], 18, 25, i ? 5 : 19);
    if (isa) { /* several slabs of images; then weight gradients by pairs of planes */
        same_on_threads(backend, isa, "resnet18", 32, 32, 7);
        same_on_threads(backend, isa, "mlp", 28, 28, 19);
        same_on_threads(backend, isa, "resnet50,width=0.5", 8, 8, 9); /* 1 x 1, on maps too */
    }
}

static void any_number_of_threads(void **state)
{
    (void)state;
    on_each(threads);
}

/* A smaller batch, other weights, other modes in between: nothing of before shows. */
static void reuse(const char *backend, const char *isa)
{
    struct ob_ctx *ctx = context(backend, isa, 2);
    float *x = numbers((size_t)(9 * 3 * 12 * 8), 1, 0.4f, 0.3f);
    float *dlogits = numbers((size_t)(9 * 4), 2, 0, 1);
    struct ob_weights w[2];
    struct ob_net *net;
    struct ob_exec *e;

    must(ob_net_new(&net, "cnn,width=0.25", 3, 12, 8, 4, err));
    w[0] = weights_of(net, 3, 1);
    w[1] = weights_of(net, 8, 2);
    must(ob_exec_new(&e, ctx, net, 9, OB_EXEC_TRAIN | OB_EXEC_INPUT_GRAD, err));
    for (int i = 0; i < 12; i++) {
        int n = i % 3 ? 9 - i / 2 : 9;
        enum ob_mode mode = i % 5 < 2 ? OB_MODE_EVAL : OB_MODE_TRAIN;
        struct ob_weights *use = &w[i / 2 % 2]; /* each twice in turn */
        struct outcome a, b;

        if (i % 2) { /* changed in place: a new stamp says so */
            use->params[i] += 0.25f;
            use->stamp = (uint64_t)(10 + i);
        }
        a = run_on(e, use, x, dlogits, n, mode);
        b = run(ctx, net, use, x, dlogits, n, n, mode);
        same_outcome(net, &a, &b);
        release_outcome(&a);
        release_outcome(&b);
    }
    ob_exec_free(e);
    release_weights(&w[0]);
    release_weights(&w[1]);
    ob_net_free(net);
    ob_free(x);
    ob_free(dlogits);
    ob_ctx_free(ctx);
}

static void nothing_of_before_shows(void **state)
{
    (void)state;
    on_each(reuse);
}

/* Inference only: the same numbers as an executable that can train, in both modes. */
static void inference(struct ob_ctx *ctx, const char *arch, const float *x)
{
    struct ob_weights w;
    struct ob_net *net;
    struct ob_exec *a, *b;

    must(ob_net_new(&net, arch, 3, 16, 16, 4, err));
    w = weights_of(net, 3, 1);
    must(ob_exec_new(&a, ctx, net, 5, 0, err));
    must(ob_exec_new(&b, ctx, net, 5, OB_EXEC_TRAIN, err));
    for (int mode = 0; mode < 2; mode++) {
        must(ob_exec_forward(a, &w, x, 5, (enum ob_mode)mode, err));
        must(ob_exec_forward(b, &w, x, 5, (enum ob_mode)mode, err));
        assert_memory_equal(a->logits, b->logits, sizeof(float) * 5 * 4);
    }
    ob_exec_free(a);
    ob_exec_free(b);
    release_weights(&w);
    ob_net_free(net);
}

static void inferences(const char *backend, const char *isa)
{
    static const char *const archs[] = { "resnet20,width=0.5", "resnet18,width=0.125",
                                         "resnet50,width=0.125", "vgg16,width=0.125",
                                         "cnn,width=0.25" };
    struct ob_ctx *ctx = context(backend, isa, 2);
    float *x = numbers((size_t)(5 * 3 * 16 * 16), 1, 0.4f, 0.3f);

    for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++)
        inference(ctx, archs[i], x);
    ob_free(x);
    ob_ctx_free(ctx);
}

static void inference_is_the_same(void **state)
{
    (void)state;
    on_each(inferences);
}

/* Of the nodes from `first` on the gradients are those of a whole pass; the stem gets none. */
static void from_node(struct ob_exec *e, const struct ob_weights *w, const float *x,
                      const float *dlogits, int first)
{
    const struct ob_net *net = e->net;
    struct outcome whole, part;
    float *before;

    e->first = 0;
    whole = run_on(e, w, x, dlogits, 5, OB_MODE_TRAIN);
    e->first = first;
    part = run_on(e, w, x, dlogits, 5, OB_MODE_TRAIN);
    for (int i = first; i < net->n_nodes; i++)
        for (int k = 0; k < 2; k++) {
            int at = k ? net->node[i].bias : net->node[i].weight;

            if (at >= 0)
                assert_memory_equal(part.grads + net->view[at].offset,
                                    whole.grads + net->view[at].offset,
                                    sizeof(float) * net->view[at].size);
        }
    before = numbers(net->n_params, 5, 0, 1e-3f);
    if (first > net->n_nodes / 2)
        assert_memory_equal(part.grads, before, sizeof(float) * net->view[0].size);
    ob_free(before);
    release_outcome(&part);
    release_outcome(&whole);
}

static void partial_backward(const char *backend, const char *isa)
{
    static const char *const archs[] = { "resnet18,width=0.125", "resnet20,width=0.5",
                                         "vgg16,width=0.125", "cnn,width=0.25" };
    struct ob_ctx *ctx = context(backend, isa, 1);
    float *x = numbers((size_t)(5 * 3 * 16 * 16), 1, 0.4f, 0.3f);
    float *dlogits = numbers(5 * 4, 2, 0, 1);

    for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++) {
        struct ob_weights w;
        struct ob_net *net;
        struct ob_exec *e;

        must(ob_net_new(&net, archs[i], 3, 16, 16, 4, err));
        w = weights_of(net, 3, 1);
        must(ob_exec_new(&e, ctx, net, 5, OB_EXEC_TRAIN, err));
        for (int first = 1; first < net->n_nodes; first += 3)
            from_node(e, &w, x, dlogits, first);
        ob_exec_free(e);
        release_weights(&w);
        ob_net_free(net);
    }
    ob_free(x);
    ob_free(dlogits);
    ob_ctx_free(ctx);
}

static void frozen_front_costs_nothing(void **state)
{
    (void)state;
    on_each(partial_backward);
}

/* What is not a number reaches the logits through every ReLU and pool. */
static void divergence(const char *backend, const char *isa)
{
    static const char *const archs[] = { "cnn,width=0.25",
                                         "resnet20,width=0.5",
                                         "mlp",
                                         "resnet18,stem=imagenet,width=0.125",
                                         "vgg16,width=0.125",
                                         "vgg16,head=lth,width=0.125" };
    struct ob_ctx *ctx = context(backend, isa, 2);
    float *x = numbers((size_t)(3 * 3 * 34 * 34), 1, 0.4f, 0.3f);

    for (int i = 0; i < 12; i++) {
        struct ob_weights w;
        struct ob_net *net;
        struct ob_exec *e;

        must(ob_net_new(&net, archs[i / 2], 3, 34, 34, 4,
                        err)); /* maps of 2 x 2: all weights count */
        w = weights_of(net, 3, 1);
        must(ob_exec_new(&e, ctx, net, 3, OB_EXEC_TRAIN, err));
        for (size_t at = 0; at < net->n_params; at += net->n_params / 7) {
            float keep = w.params[at];

            w.params[at] = NAN;
            w.stamp = ob_ctx_stamp(ctx);
            must_fail(ob_exec_forward(e, &w, x, 3, i % 2 ? OB_MODE_TRAIN : OB_MODE_EVAL, err),
                      OB_EDIVERGED, "finite");
            w.params[at] = keep;
            for (size_t k = 0; k < net->n_buffers; k++)
                w.buffers[k] = 1;
        }
        ob_exec_free(e);
        release_weights(&w);
        ob_net_free(net);
    }
    ob_free(x);
    ob_ctx_free(ctx);
}

static void divergence_shows(void **state)
{
    (void)state;
    on_each(divergence);
}

/* Channels past the last, of an image or of a flattened map, keep nothing of a forward before. */
static void recovery(const char *backend, const char *isa)
{
    struct ob_ctx *ctx = context(backend, isa, 2);
    float *x = numbers((size_t)(3 * 3 * 11 * 11), 1, 0.4f, 0.3f);

    for (int i = 0; i < 8; i++) {
        struct ob_weights w[2];
        struct ob_net *net;
        struct ob_exec *e;
        float logits[3 * 4];

        if (i / 4) {
            int y;

            must(ob_net_begin(&net, "test", 3, 11, 11, 4, err));
            y = ob_net_conv(net, "conv", ob_net_batchnorm(net, "bn", 1), 13, 3, 1, 1, 0,
                            OB_INIT_KAIMING, 1);
            y = ob_net_flatten(net, ob_net_relu(net, y));
            ob_net_linear(net, "fc", y, 4, OB_INIT_UNIFORM);
            must(ob_net_end(&net, y, err));
        } else {
            must(ob_net_new(&net, "mlp", 3, 11, 11, 4, err));
        }
        w[0] = weights_of(net, 3, 1);
        w[1] = weights_of(net, 3, 2);
        for (size_t k = 0; k < net->n_params; k++)
            w[1].params[k] = NAN;
        must(ob_exec_new(&e, ctx, net, 3, i & 1 ? OB_EXEC_TRAIN : 0, err));
        must(ob_exec_forward(e, &w[0], x, 3, OB_MODE_EVAL, err));
        memcpy(logits, e->logits, sizeof(logits));
        must_fail(ob_exec_forward(e, &w[1], x, 3, i & 2 ? OB_MODE_TRAIN : OB_MODE_EVAL, err),
                  OB_EDIVERGED, "finite");
        must(ob_exec_forward(e, &w[0], x, 3, OB_MODE_EVAL, err));
        assert_memory_equal(e->logits, logits, sizeof(logits));
        ob_exec_free(e);
        release_weights(&w[0]);
        release_weights(&w[1]);
        ob_net_free(net);
    }
    ob_free(x);
    ob_ctx_free(ctx);
}

static void divergence_leaves_nothing(void **state)
{
    (void)state;
    on_each(recovery);
}

/* Without memory a compile fails in words, at whichever allocation, and leaks nothing. */
static void out_of_memory(void **state)
{
    struct ob_ctx *ctx = context("cpu", NULL, 2);
    struct ob_net *net;
    struct ob_exec *e;
    int rc = OB_ENOMEM;

    (void)state;
    must(ob_net_new(&net, "cnn,width=0.25", 1, 8, 8, 3, err));
    for (size_t i = 1; rc; i++) {
        struct ob_err err = { 0 };

        obi_mem_fail_at(i);
        rc = ob_exec_new(&e, ctx, net, 3, OB_EXEC_TRAIN, &err);
        obi_mem_fail_at(0);
        assert_true(rc == OB_OK || (rc == OB_ENOMEM && !e && err.msg[0]));
        assert_true(i < 1000);
    }
    ob_exec_free(e);
    ob_net_free(net);
    ob_ctx_free(ctx);
}

static void instruction_sets(void **state)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_ctx *ctx = context("cpu", "baseline", 1);

    (void)state;
    assert_string_equal(ob_ctx_isa(ctx), "baseline");
    ob_ctx_free(ctx);
    o.isa = "avx3";
    must_fail(ob_ctx_new(&ctx, &o, err), OB_EINVAL, "'avx3'");
    assert_null(ctx);
}

static void too_large(void **state)
{
    struct ob_ctx *ctx = context("cpu", NULL, 1);
    struct ob_exec *e;
    struct ob_net *net;

    (void)state; /* 3 x 256 x 256 x 65536 weights: more than their offsets can tell */
    must(ob_net_begin(&net, "large", 3, 256, 256, 65536, err));
    must(ob_net_end(&net, ob_net_linear(net, "fc", ob_net_flatten(net, 1), 65536, OB_INIT_UNIFORM),
                    err));
    must_fail(ob_exec_new(&e, ctx, net, 1, OB_EXEC_TRAIN, err), OB_ENOTSUP, "too large");
    assert_null(e);
    ob_net_free(net);
    ob_ctx_free(ctx);
}

static void too_many_threads(void **state)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_ctx *ctx;

    (void)state;
    o.n_threads = 1025;
    must_fail(ob_ctx_new(&ctx, &o, err), OB_EINVAL, "1025 threads");
    o.n_threads = -1;
    must_fail(ob_ctx_new(&ctx, &o, err), OB_EINVAL, "-1 threads");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residual_block),
        cmocka_unit_test(max_pools),
        cmocka_unit_test(average_pools),
        cmocka_unit_test(without_convolution),
        cmocka_unit_test(whole_networks),
        cmocka_unit_test(ref_is_the_derivative),
        cmocka_unit_test(any_number_of_threads),
        cmocka_unit_test(nothing_of_before_shows),
        cmocka_unit_test(inference_is_the_same),
        cmocka_unit_test(frozen_front_costs_nothing),
        cmocka_unit_test(divergence_shows),
        cmocka_unit_test(divergence_leaves_nothing),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(instruction_sets),
        cmocka_unit_test(too_large),
        cmocka_unit_test(too_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
