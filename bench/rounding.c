/* rounding.c - what convolutions lose to float32, layer by layer, on both paths of the engine. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "base/rng.h"

/*
 *   rounding [BATCH]     a table in Markdown
 *
 * ||a - b|| / ||b|| of the output, the gradient of the input and that of the weights, where b is the
 * backend 'ref', which sums in double and rounds once. Inputs are those of a ReLU, weights as He et
 * al. draw them, output gradients normal.
 */

struct layer {
    int in, out, size, stride; /* 3 x 3; pixels a side */
};

static const struct layer layers[] = {
    { 64, 64, 32, 1 },   { 64, 128, 32, 2 }, { 128, 128, 16, 1 }, { 128, 256, 16, 2 },
    { 256, 256, 8, 1 },  { 256, 512, 8, 2 }, { 512, 512, 4, 1 },  { 64, 128, 16, 1 },
    { 128, 256, 8, 1 },  { 256, 512, 4, 1 }, { 512, 512, 2, 1 },  { 128, 128, 32, 2 },
    { 256, 256, 16, 2 }, { 512, 512, 8, 2 }, { 16, 16, 32, 1 },   { 16, 32, 32, 2 },
    { 32, 32, 16, 1 },   { 32, 64, 16, 2 },  { 64, 64, 8, 1 },    { 32, 64, 16, 1 },
    { 64, 128, 8, 1 },   { 512, 512, 8, 1 }, { 64, 64, 56, 1 },   { 128, 128, 14, 1 },
};
#define N_LAYERS (sizeof(layers) / sizeof(layers[0]))

struct result {
    float *y, *dx, *dw;
};

static struct ob_err err;

static void must(int rc)
{
    if (rc) {
        fprintf(stderr, "rounding: %s\n", err.msg);
        exit(1);
    }
}

static float *normal(size_t n, uint32_t what, float scale, int relu)
{
    struct ob_rng r = ob_rng(3, OB_RNG_TEST, what, 0);
    float *x;

    must(ob_block_new(&x, n, &err));
    for (size_t i = 0; i < n; i++) {
        x[i] = scale * ob_rng_normal(&r);
        if (relu && x[i] < 0)
            x[i] = 0;
    }
    return x;
}

static float *copy(const float *from, size_t n)
{
    float *to;

    must(ob_block_new(&to, n, &err));
    memcpy(to, from, n * sizeof(*to));
    return to;
}

static struct result run(const char *backend, int general, const struct ob_net *net,
                         const struct ob_weights *w, const float *x, const float *dy, int n)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct result r;
    struct ob_ctx *ctx;
    struct ob_exec *e;

    o.backend = backend;
    o.isa = strcmp(backend, "ref") ? getenv("OB_ISA") : NULL;
    o.general_conv = general;
    must(ob_ctx_new(&ctx, &o, &err));
    must(ob_exec_new(&e, ctx, net, n, OB_EXEC_TRAIN | OB_EXEC_INPUT_GRAD, &err));
    must(ob_exec_forward(e, w, x, n, OB_MODE_TRAIN, &err));
    r.y = copy(e->logits, (size_t)n * (size_t)net->n_classes);
    must(ob_block_new(&r.dx, (size_t)n * ob_node_size(&net->node[0]), &err));
    must(ob_block_new(&r.dw, net->n_params, &err));
    ob_exec_backward(e, w, dy, r.dw, r.dx);
    ob_exec_free(e);
    ob_ctx_free(ctx);
    return r;
}

static void release(struct result *r)
{
    ob_free(r->y);
    ob_free(r->dx);
    ob_free(r->dw);
}

static double distance(const float *a, const float *b, size_t n)
{
    double d = 0, size = 0;

    for (size_t i = 0; i < n; i++) {
        d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return sqrt(d / size);
}

static void show(const struct layer *l, int n)
{
    int side = (l->size - 1) / l->stride + 1, x, classes = l->out * side * side;
    size_t n_x = (size_t)n * (size_t)(l->in * l->size * l->size), n_y = (size_t)n * (size_t)classes;
    struct ob_weights w = { .stamp = 1 };
    struct result exact, got[2];
    struct ob_net *net;
    float *in = normal(n_x, 1, 1, 1), *dy = normal(n_y, 2, 1, 0);

    must(ob_net_begin(&net, "layer", l->in, l->size, l->size, classes, &err));
    x = ob_net_conv(net, "conv", 1, l->out, 3, l->stride, 1, 0, OB_INIT_KAIMING, 1);
    x = ob_net_flatten(net, x);
    must(ob_net_end(&net, x, &err));
    w.params = normal(net->n_params, 3, sqrtf(2.f / (float)(9 * l->in)), 0);
    w.buffers = normal(net->n_buffers, 4, 0, 0);
    must(ob_alloc(w.counts, net->n_counts + 1, &err));
    for (int c = 0; c < l->in; c++)
        w.buffers[l->in + c] = 1;
    exact = run("ref", 0, net, &w, in, dy, n);
    for (int i = 0; i < 2; i++)
        got[i] = run("cpu", !i, net, &w, in, dy, n);
    printf("| %d to %d, %d x %d, stride %d |", l->in, l->out, l->size, l->size, l->stride);
    for (int i = 0; i < 2; i++)
        printf(" %.1e | %.1e | %.1e |", distance(got[i].y, exact.y, n_y),
               distance(got[i].dx, exact.dx, n_x), distance(got[i].dw, exact.dw, net->n_params));
    printf("\n");
    fflush(stdout);
    release(&exact);
    release(&got[0]);
    release(&got[1]);
    ob_free(w.params);
    ob_free(w.buffers);
    ob_free(w.counts);
    ob_free(in);
    ob_free(dy);
    ob_net_free(net);
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 8;

    if (n < 1 || n > 1024) {
        fprintf(stderr, "rounding [BATCH]: 1 to 1024 images\n");
        return 2;
    }
    printf("| 3 x 3 convolution, batch %d | general: y | dx | dw | Winograd: y | dx | dw |\n"
           "|---|---|---|---|---|---|---|\n",
           n);
    for (size_t i = 0; i < N_LAYERS; i++)
        show(&layers[i], n);
    return 0;
}
