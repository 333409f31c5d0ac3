/* compare.h - a network on the backend cpu, with each instruction set, beside ref. */
#ifndef TESTS_COMPARE_H
#define TESTS_COMPARE_H

#include "contract/backends.h"

static const char *const isas[] = { "baseline", "avx2", "avx512" };
#define N_ISA (int)(sizeof(isas) / sizeof(isas[0]))

static inline int has_isa(const char *isa)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_ctx *ctx;
    int rc;

    o.isa = isa;
    rc = ob_ctx_new(&ctx, &o, NULL);
    assert_true(rc == OB_OK || rc == OB_ENOTSUP);
    ob_ctx_free(ctx);
    return rc == OB_OK;
}

/* ---- cpu against ref ---- */

/* Both modes, each instruction set; frees `x` and the network. */
static inline void compare_on(const char *test, struct ob_net *net, float *x, int batch,
                              double value, double gradient)
{
    float *dlogits = numbers((size_t)(batch * net->n_classes), 2, 0, 1);
    struct ob_weights w = weights_of(net, 3, 1);
    struct ob_ctx *ref = context("ref", NULL, 2);

    for (int mode = 0; mode < 2; mode++) {
        struct outcome want = run(ref, net, &w, x, dlogits, batch, batch, (enum ob_mode)mode);

        for (int i = 0; i < N_ISA; i++) {
            char name[128];
            struct ob_ctx *ctx;
            struct outcome got;

            if (!has_isa(isas[i]))
                continue;
            snprintf(name, sizeof(name), "%s, %s, %s", test, isas[i], mode ? "train" : "eval");
            ctx = context("cpu", isas[i], 2);
            got = run(ctx, net, &w, x, dlogits, batch, batch, (enum ob_mode)mode);
            near_outcome(name, net, &got, &want, value, gradient);
            release_outcome(&got);
            ob_ctx_free(ctx);
        }
        release_outcome(&want);
    }
    ob_ctx_free(ref);
    release_weights(&w);
    ob_free(x);
    ob_free(dlogits);
    ob_net_free(net);
}

static inline void compare(const char *test, struct ob_net *net, int batch, double value,
                           double gradient)
{
    size_t pixels = (size_t)(batch * net->channels * net->height * net->width);

    /* images with which no ReLU and no pool is within rounding of a tie */
    compare_on(test, net, numbers(pixels, 21, 0.4f, 0.3f), batch, value, gradient);
}

/* ---- small networks around one convolution ---- */

enum part {
    STEM = 1, /* a 1 x 1 convolution in front: the input is not the image */
    BIAS = 2,
    NORM = 4,
    SKIP = 8, /* adds the convolution's own output: it has two readers */
    RELU = 16,
    POOL = 32,  /* 2 x 2, stride 2 */
    POOL3 = 64, /* 3 x 3, stride 2 */
    AVERAGE = 128,
    BRANCH = 256,     /* adds a second, normalised branch */
    POOL_PAD = 512,   /* 3 x 3, stride 2, padding 1 */
    AVERAGE_2 = 1024, /* to 2 x 2 */
    ALL = 2047
};

struct shape {
    int channels, h, w, batch, c, o, kernel, stride, pad;
    unsigned parts;
};

static inline int size_after(int h, const struct shape *s)
{
    return (h + 2 * s->pad - s->kernel) / s->stride + 1;
}

static inline struct ob_net *build(const struct shape *s)
{
    int x = 1, y, side = size_after(s->h < s->w ? s->h : s->w, s);
    struct ob_net *n;

    must(ob_net_begin(&n, "test", s->channels, s->h, s->w, 3, err));
    if (s->parts & STEM)
        x = ob_net_conv(n, "stem", x, s->c, 1, 1, 0, 0, OB_INIT_KAIMING, 1);
    y = x;
    x = ob_net_conv(n, "conv", y, s->o, s->kernel, s->stride, s->pad, !!(s->parts & BIAS),
                    OB_INIT_KAIMING, 1);
    if (s->parts & BRANCH)
        y = ob_net_batchnorm(
            n, "bn2",
            ob_net_conv(n, "conv2", y, s->o, s->kernel, s->stride, s->pad, 0, OB_INIT_KAIMING, 1));
    else
        y = x;
    if (s->parts & NORM)
        x = ob_net_batchnorm(n, "bn", x);
    if (s->parts & (SKIP | BRANCH))
        x = ob_net_add(n, x, y);
    if (s->parts & RELU)
        x = ob_net_relu(n, x);
    if ((s->parts & POOL) && side >= 2)
        x = ob_net_maxpool(n, x, 2, 2, 0);
    else if ((s->parts & POOL3) && side >= 3)
        x = ob_net_maxpool(n, x, 3, 2, 0);
    else if (s->parts & POOL_PAD)
        x = ob_net_maxpool(n, x, 3, 2, 1);
    if (s->parts & AVERAGE_2)
        x = ob_net_flatten(n, ob_net_avgpool(n, x, 2));
    else
        x = s->parts & AVERAGE ? ob_net_avgpool(n, x, 1) : ob_net_flatten(n, x);
    ob_net_linear(n, "fc", x, 3, OB_INIT_UNIFORM);
    must(ob_net_end(&n, x, err));
    return n;
}

#endif
