/* vectors.c - vector operations of the backends: cpu against ref, masks, threads. */
#include "contract/backends.h"

#define N 200003 /* several pieces and a tail */

struct blocks {
    float *p, *g, *m, *v;
    uint8_t *mask;
};

static struct blocks blocks_new(void)
{
    struct blocks b = { numbers(N, 1, 0, 1), numbers(N, 2, 0, 1), numbers(N, 3, 0, 1),
                        numbers(N, 4, 0, 1), NULL };

    must(ob_alloc(b.mask, N, err));
    for (size_t i = 0; i < N; i++) {
        b.v[i] = fabsf(b.v[i]);
        b.mask[i] = i % 3 == 1;
        if (i % 5 == 0)
            b.g[i] = 0;
    }
    return b;
}

static void blocks_release(struct blocks *b)
{
    ob_free(b->p);
    ob_free(b->g);
    ob_free(b->m);
    ob_free(b->v);
    ob_free(b->mask);
}

enum what { FILL, AXPY, SCALE, SIGN, SGD, SGD_FIRST, SGD_MASK, ADAM, ADAMW, ADAM_MASK, N_WHAT };

static void apply(struct ob_ctx *ctx, struct blocks *b, enum what what)
{
    struct ob_sgd sgd = { .lr = 0.05f, .momentum = 0.9f, .weight_decay = 0.01f };
    struct ob_adam adam = { .lr = 0.01f,
                            .beta1 = 0.9f,
                            .beta2 = 0.99f,
                            .eps = 1e-6f,
                            .weight_decay = 0.1f,
                            .decoupled = what == ADAMW,
                            .step = 3 };
    const struct ob_backend *k = ctx->backend;

    sgd.first = what == SGD_FIRST;
    sgd.mask = what == SGD_MASK ? b->mask : NULL;
    adam.mask = what == ADAM_MASK ? b->mask : NULL;
    switch (what) {
    case FILL:
        k->fill(ctx, b->p, N, 3.5f);
        break;
    case AXPY:
        k->axpy(ctx, b->p, b->g, N, -0.3f);
        break;
    case SCALE:
        k->scale(ctx, b->p, N, 0.7f);
        break;
    case SIGN:
        k->add_sign(ctx, b->p, b->g, N, 0.1f);
        break;
    case SGD:
    case SGD_FIRST:
    case SGD_MASK:
        k->sgd(ctx, b->p, b->g, b->m, N, &sgd);
        break;
    default:
        k->adam(ctx, b->p, b->g, b->m, b->v, N, &adam);
    }
}

static const char *const isas[] = { "baseline", "avx2", "avx512" };

static struct ob_ctx *cpu(int isa, int n_threads)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_ctx *ctx;

    o.isa = isas[isa];
    o.n_threads = n_threads;
    return ob_ctx_new(&ctx, &o, NULL) ? NULL : ctx;
}

static void cpu_as_ref(void **state)
{
    (void)state;
    for (int isa = 0; isa < 2; isa++)
        for (int what = 0; what < N_WHAT; what++) {
            struct blocks a = blocks_new(), b = blocks_new();
            struct ob_ctx *ref = context("ref", NULL, 1), *ctx = cpu(isa, 2);

            if (ctx) {
                apply(ref, &a, (enum what)what);
                apply(ctx, &b, (enum what)what);
                near(isas[isa], "parameters", b.p, a.p, N, 5e-7, 0);
                near(isas[isa], "velocity", b.m, a.m, N, 5e-7, 0);
                near(isas[isa], "squares", b.v, a.v, N, 5e-7, 0);
            }
            blocks_release(&a);
            blocks_release(&b);
            ob_ctx_free(ref);
            ob_ctx_free(ctx);
        }
}

/* Neither a masked parameter nor what the optimiser keeps of it moves; the others all do. */
static void masked_stay(void **state)
{
    (void)state;
    for (int isa = 0; isa < 2; isa++)
        for (int k = 0; k < 2; k++) {
            struct blocks a = blocks_new(), b = blocks_new();
            struct ob_ctx *ctx = cpu(isa, 2);

            if (ctx) {
                apply(ctx, &b, k ? ADAM_MASK : SGD_MASK);
                for (size_t i = 0; i < N; i++) {
                    assert_int_equal(a.p[i] != b.p[i], a.mask[i]);
                    assert_int_equal(a.m[i] != b.m[i], a.mask[i]);
                }
            }
            blocks_release(&a);
            blocks_release(&b);
            ob_ctx_free(ctx);
        }
}

static void sums(void **state)
{
    struct blocks b = blocks_new();
    double dot = 0, sum = 0;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        dot += (double)b.p[i] * (double)b.g[i];
        sum += fabs((double)b.p[i]);
    }
    for (int isa = 0; isa < 2; isa++) {
        struct ob_ctx *ctx = cpu(isa, 2);

        if (ctx) {
            assert_true(fabs(ctx->backend->dot(ctx, b.p, b.g, N) - dot) < 1e-9 * sum);
            assert_true(fabs(ctx->backend->sum_abs(ctx, b.p, N) - sum) < 1e-9 * sum);
            assert_true(ctx->backend->dot(ctx, b.p, b.g, 0) == 0);
        }
        ob_ctx_free(ctx);
    }
    blocks_release(&b);
}

static void any_number_of_threads(void **state)
{
    static const int counts[] = { 1, 2, 3, 7 };

    (void)state;
    for (int isa = 0; isa < 2; isa++) {
        float first[2] = { 0 };
        double sum[2] = { 0 };

        for (int t = 0; t < 4; t++) {
            struct blocks b = blocks_new();
            struct ob_ctx *ctx = cpu(isa, counts[t]);

            for (int what = AXPY; ctx && what < N_WHAT; what++)
                apply(ctx, &b, (enum what)what);
            if (ctx) {
                double dot = ctx->backend->dot(ctx, b.p, b.g, N);
                double abs = ctx->backend->sum_abs(ctx, b.p, N);

                if (t) {
                    assert_memory_equal(&sum[0], &dot, sizeof(dot));
                    assert_memory_equal(&sum[1], &abs, sizeof(abs));
                    assert_memory_equal(first, b.p, sizeof(first));
                }
                sum[0] = dot;
                sum[1] = abs;
                memcpy(first, b.p, sizeof(first));
            }
            blocks_release(&b);
            ob_ctx_free(ctx);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_as_ref),
        cmocka_unit_test(masked_stay),
        cmocka_unit_test(sums),
        cmocka_unit_test(any_number_of_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
