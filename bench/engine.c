/* engine.c - images per second of the engine, and the machine's multiply-add peak. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/rng.h"

/*
 *   engine NET CxHxW BATCH THREADS train|infer [SECONDS]     peak MiB; images/s, median over steps
 *   engine macs NET CxHxW                                    multiply-adds of one forward pass
 *   engine peak THREADS                                      GFLOP/s
 *
 * A training step is forward, cross entropy, backward, SGD with momentum and weight decay, on images
 * that are in memory. OB_ISA chooses the instruction set. bench/peer_torch.py takes the same words.
 */
#define CLASSES 10

static void die(const struct ob_err *err)
{
    fprintf(stderr, "engine: %s\n", err->msg);
    exit(1);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- peak: enough independent chains of multiply-adds to fill the pipes ---- */

#define CHAINS 12
#define ROUNDS 2000000

#if defined(__x86_64__)
#include <immintrin.h>
#define LANES 8

__attribute__((target("avx2,fma"))) static void chains(void *arg, size_t i, int worker)
{
    float *out = arg;
    __m256 a = _mm256_set1_ps(1), b = _mm256_set1_ps(0.999f), c[CHAINS];

    (void)worker;
    for (int k = 0; k < CHAINS; k++)
        c[k] = _mm256_set1_ps((float)k);
    for (int r = 0; r < ROUNDS; r++)
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; k++)
            c[k] = _mm256_fmadd_ps(c[k], b, a);
    for (int k = 1; k < CHAINS; k++)
        c[0] = _mm256_add_ps(c[0], c[k]);
    _mm256_storeu_ps(out + 16 * i, c[0]);
}

static int has_chains(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#else
#define LANES 1

static void chains(void *arg, size_t i, int worker)
{
    (void)arg, (void)i, (void)worker;
}

static int has_chains(void)
{
    return 0;
}
#endif

static double peak(int n_threads)
{
    float out[16 * 256];
    double best = 0;
    size_t n = (size_t)n_threads < 256 ? (size_t)n_threads : 256;

    for (int i = 0; i < 7 && has_chains(); i++) {
        double t = seconds();

        ob_par_for(n_threads, n, chains, out);
        t = (double)n * ROUNDS * CHAINS * 2 * LANES / (seconds() - t) / 1e9;
        best = t > best ? t : best;
    }
    return best;
}

/* ---- steps ---- */

struct setup {
    struct ob_ctx *ctx;
    struct ob_model *model;
    struct ob_exec *exec;
    float *x, *grads, *velocity, *dlogits;
    int32_t *y;
    int batch;
};

static void open_setup(struct setup *s, const char *arch, const int shape[3], int batch,
                       int n_threads, int train)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_err err = { 0 };
    size_t n = (size_t)(batch * shape[0] * shape[1] * shape[2]), n_params;
    struct ob_rng r = ob_rng(1, OB_RNG_TEST, 0, 0);

    o.n_threads = n_threads;
    o.isa = getenv("OB_ISA");
    o.general_conv = getenv("OB_CONV") != NULL;
    s->batch = batch;
    if (ob_ctx_new(&s->ctx, &o, &err) ||
        ob_model_new(&s->model, s->ctx, arch, shape[0], shape[1], shape[2], CLASSES, 1, &err) ||
        ob_exec_new(&s->exec, s->ctx, s->model->net, batch, train ? OB_EXEC_TRAIN : 0, &err) ||
        ob_block_new(&s->x, n, &err))
        die(&err);
    n_params = train ? s->model->net->n_params : 0; /* inference needs none of these */
    if (ob_block_new(&s->grads, n_params, &err) || ob_block_new(&s->velocity, n_params, &err) ||
        ob_block_new(&s->dlogits, (size_t)(batch * CLASSES), &err) ||
        ob_alloc(s->y, (size_t)batch, &err))
        die(&err);
    for (size_t i = 0; i < n; i++)
        s->x[i] = ob_rng_uniform(&r);
    for (int i = 0; i < batch; i++)
        s->y[i] = (int32_t)ob_rng_below(&r, CLASSES);
}

static void close_setup(struct setup *s)
{
    ob_exec_free(s->exec);
    ob_model_free(s->model);
    ob_free(s->x);
    ob_free(s->grads);
    ob_free(s->velocity);
    ob_free(s->dlogits);
    ob_free(s->y);
    ob_ctx_free(s->ctx);
}

static void step(struct setup *s, int train)
{
    struct ob_sgd o = { .lr = 0.01f, .momentum = 0.9f, .weight_decay = 5e-4f };
    const struct ob_backend *b = s->ctx->backend;
    size_t n = s->model->net->n_params;
    struct ob_err err = { 0 };

    if (ob_exec_forward(s->exec, &s->model->w, s->x, s->batch, train ? OB_MODE_TRAIN : OB_MODE_EVAL,
                        &err))
        die(&err);
    if (!train)
        return;
    b->fill(s->ctx, s->grads, n, 0);
    b->fill(s->ctx, s->dlogits, (size_t)(s->batch * CLASSES), 0);
    ob_loss_ce(s->dlogits, s->exec->logits, s->y, s->batch, CLASSES, 1, NULL);
    ob_exec_backward(s->exec, &s->model->w, s->dlogits, s->grads, NULL);
    b->sgd(s->ctx, s->model->w.params, s->grads, s->velocity, n, &o);
    ob_model_touch(s->model);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double rate(struct setup *s, int train, double limit)
{
    double t[1000], start = seconds();
    int n = 0;

    step(s, train);
    while (n < 1000 && (!n || seconds() - start < limit)) {
        double t0 = seconds();

        step(s, train);
        t[n++] = seconds() - t0;
    }
    qsort(t, (size_t)n, sizeof(t[0]), by_size);
    return s->batch / t[n / 2];
}

static int usage(void)
{
    fprintf(stderr, "engine NET CxHxW BATCH THREADS train|infer [SECONDS] | macs NET CxHxW | "
                    "peak THREADS\n");
    return 2;
}

static int macs(const char *arch, const int shape[3])
{
    struct ob_arch_info info;
    struct ob_err err = { 0 };

    if (ob_arch_describe(&info, arch, shape[0], shape[1], shape[2], CLASSES, &err))
        die(&err);
    printf("%.0f\n", info.macs);
    return 0;
}

int main(int argc, char **argv)
{
    struct setup s;
    struct rusage use;
    double images;
    int shape[3], train;

    if (argc == 3 && !strcmp(argv[1], "peak")) {
        printf("%.1f\n", peak(atoi(argv[2])));
        return 0;
    }
    if (argc < 4 ||
        sscanf(argv[argc == 4 ? 3 : 2], "%dx%dx%d", &shape[0], &shape[1], &shape[2]) != 3)
        return usage();
    if (argc == 4)
        return macs(argv[2], shape);
    if (argc < 6)
        return usage();
    train = !strcmp(argv[5], "train");
    open_setup(&s, argv[1], shape, atoi(argv[3]), atoi(argv[4]), train);
    images = rate(&s, train, argc > 6 ? atof(argv[6]) : 3);
    getrusage(RUSAGE_SELF, &use);
    printf("%.0f %.1f\n", (double)use.ru_maxrss / 1024, images);
    close_setup(&s);
    return 0;
}
