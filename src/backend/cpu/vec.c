/* vec.c - vector operations over blocks, cut into pieces by length only. */
#include "backend/cpu/exec.h"
#include "base/par.h"

#define PIECE ((size_t)1 << 14)
#define PIECES 512 /* partial sums of one reduction; longer blocks have longer pieces */

struct job {
    const struct ob_kernels *k;
    float *y, *z;
    const float *x, *x2;
    float *p;
    size_t n, piece;
    float a;
    const struct ob_sgd *sgd;
    const struct ob_adam *adam;
    double *part;
};

static struct job start(struct ob_ctx *ctx, size_t n)
{
    struct job j = { .n = n, .piece = PIECE };

    while ((n + j.piece - 1) / j.piece > PIECES)
        j.piece *= 2;
    ob_kernels_find(&j.k, ctx->isa, NULL);
    return j;
}

static void run(struct ob_ctx *ctx, struct job *j, void (*fn)(void *arg, size_t i, int worker))
{
    ob_par_for(threads_for(ctx->n_threads, j->n), (j->n + j->piece - 1) / j->piece, fn, j);
}

#define PART(j, i)                                                                                 \
    size_t at = (i) * (j)->piece, n = (j)->n - at < (j)->piece ? (j)->n - at : (j)->piece;         \
    (void)worker

static void fill_piece(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    PART(j, i);

    j->k->vec->fill(j->y + at, n, j->a);
}

void ob_cpu_fill(struct ob_ctx *ctx, float *x, size_t n, float value)
{
    struct job j = start(ctx, n);

    j.y = x;
    j.a = value;
    run(ctx, &j, fill_piece);
}

static void axpy_piece(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    PART(j, i);

    j->k->vec->axpy(j->y + at, j->x + at, n, j->a);
}

void ob_cpu_axpy(struct ob_ctx *ctx, float *y, const float *x, size_t n, float a)
{
    struct job j = start(ctx, n);

    j.y = y;
    j.x = x;
    j.a = a;
    run(ctx, &j, axpy_piece);
}

static void scale_piece(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    PART(j, i);

    j->k->vec->scale(j->y + at, n, j->a);
}

void ob_cpu_scale(struct ob_ctx *ctx, float *x, size_t n, float a)
{
    struct job j = start(ctx, n);

    j.y = x;
    j.a = a;
    run(ctx, &j, scale_piece);
}

static double total(struct ob_ctx *ctx, struct job *j, void (*fn)(void *arg, size_t i, int worker))
{
    double part[PIECES] = { 0 }, sum = 0;

    j->part = part;
    run(ctx, j, fn);
    for (size_t i = 0; i < PIECES; i++)
        sum += part[i];
    return sum;
}

static void dot_piece(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    PART(j, i);

    j->part[i] = j->k->vec->dot(j->x + at, j->x2 + at, n);
}

double ob_cpu_dot(struct ob_ctx *ctx, const float *x, const float *y, size_t n)
{
    struct job j = start(ctx, n);

    j.x = x;
    j.x2 = y;
    return total(ctx, &j, dot_piece);
}

static void sum_abs_piece(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    PART(j, i);

    j->part[i] = j->k->vec->sum_abs(j->x + at, n);
}

double ob_cpu_sum_abs(struct ob_ctx *ctx, const float *x, size_t n)
{
    struct job j = start(ctx, n);

    j.x = x;
    return total(ctx, &j, sum_abs_piece);
}

static void add_sign_piece(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    PART(j, i);

    j->k->vec->add_sign(j->y + at, j->x + at, n, j->a);
}

void ob_cpu_add_sign(struct ob_ctx *ctx, float *y, const float *x, size_t n, float a)
{
    struct job j = start(ctx, n);

    j.y = y;
    j.x = x;
    j.a = a;
    run(ctx, &j, add_sign_piece);
}

static void sgd_piece(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    PART(j, i);

    j->k->vec->sgd(j->p + at, j->x + at, j->y + at, j->sgd->mask ? j->sgd->mask + at : NULL, n,
                   j->sgd);
}

void ob_cpu_sgd(struct ob_ctx *ctx, float *params, const float *grads, float *velocity, size_t n,
                const struct ob_sgd *o)
{
    struct job j = start(ctx, n);

    j.p = params;
    j.x = grads;
    j.y = velocity;
    j.sgd = o;
    run(ctx, &j, sgd_piece);
}

static void adam_piece(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    PART(j, i);

    j->k->vec->adam(j->p + at, j->x + at, j->y + at, j->z + at,
                    j->adam->mask ? j->adam->mask + at : NULL, n, j->adam);
}

void ob_cpu_adam(struct ob_ctx *ctx, float *params, const float *grads, float *m, float *v,
                 size_t n, const struct ob_adam *o)
{
    struct job j = start(ctx, n);

    j.p = params;
    j.x = grads;
    j.y = m;
    j.z = v;
    j.adam = o;
    run(ctx, &j, adam_piece);
}
