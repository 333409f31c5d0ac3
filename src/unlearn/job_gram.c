/*
 * job_gram.c - dot products of examples' gradients, and systems in them.
 *
 * With G the gradients of n examples as columns, K = G^T G: (K + s I) c = b gives
 * (G G^T + s I)^-1 v = (v - G c) / s for b = G^T v. K is made in blocks of rows, the rest of the
 * gradients taken again for each; or never, and only its products by two passes.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/par.h"
#include "unlearn/gradients.h"

enum { PIECE = 1 << 14, PASS = 128 }; /* floats that stay in cache; examples of a weighted pass */

int ob_gram_open(struct ob_gram *g, struct ob_sweep *s, const struct ob_ids *ids,
                 struct ob_err *err)
{
    int rc;

    *g = (struct ob_gram){ .sweep = s, .ids = ids, .n = ids->n };
    OB_GO(ob_alloc(g->diagonal, g->n, err));
    OB_GO(ob_alloc(g->b, g->n, err));
out:
    if (rc)
        ob_gram_close(g);
    return rc;
}

void ob_gram_close(struct ob_gram *g)
{
    ob_free(g->diagonal);
    ob_free(g->b);
    *g = (struct ob_gram){ 0 };
}

static const struct ob_backend *backend(const struct ob_gram *g)
{
    return g->sweep->job->ctx->backend;
}

static size_t n_params(const struct ob_gram *g)
{
    return g->sweep->job->model->net->n_params;
}

static void zero(const struct ob_gram *g)
{
    backend(g)->fill(g->sweep->job->ctx, g->sweep->grads, n_params(g), 0.0f);
}

static double dot(const struct ob_gram *g, const float *x, const float *y)
{
    return backend(g)->dot(g->sweep->job->ctx, x, y, n_params(g));
}

/* ---- one example after the other ---- */

int ob_gram_dots(struct ob_gram *g, double *a, const float *u, double *b, const float *v,
                 struct ob_err *err)
{
    struct ob_sweep *s = g->sweep;
    struct ob_batch one;

    OB_TRY(ob_sweep_start(s, g->ids, 1, OB_AUG_NONE, err));
    for (size_t i = 0;; i++) {
        OB_TRY(ob_sweep_next(s, &one, err));
        if (!one.n)
            return OB_OK;
        zero(g);
        OB_TRY(ob_sweep_add_ce(s, &one, NULL, NULL, err));
        a[i] = dot(g, s->grads, u);
        if (b)
            b[i] = dot(g, s->grads, v ? v : s->grads);
    }
}

int ob_gram_measure(struct ob_gram *g, const float *v, struct ob_err *err)
{
    double sum = 0;

    for (size_t i = 0; i < n_params(g); i++)
        sum += (double)v[i] * v[i];
    g->v_norm = sqrt(sum);
    return ob_gram_dots(g, g->b, v, g->diagonal, NULL, err);
}

int ob_gram_combine(struct ob_gram *g, const double *c, struct ob_err *err)
{
    struct ob_sweep *s = g->sweep;
    struct ob_batch b;
    size_t at = 0;

    zero(g);
    OB_TRY(ob_sweep_start(s, g->ids, PASS, OB_AUG_NONE, err));
    for (;;) {
        OB_TRY(ob_sweep_next(s, &b, err));
        if (!b.n)
            return OB_OK;
        OB_TRY(ob_sweep_add_ce(s, &b, NULL, c + at, err));
        at += (size_t)b.n;
    }
}

/* ---- K, block by block ---- */

struct rows {
    float *room;   /* `most` gradients one behind the other */
    size_t stride; /* floats between two, a multiple of 16 */
    size_t first, n;
};

static int fill_rows(struct rows *r, const struct ob_gram *g, struct ob_err *err)
{
    struct ob_sweep *s = g->sweep;
    float *own = s->grads;
    struct ob_ids *part;
    struct ob_batch b;
    int rc;

    OB_TRY(ob_ids_new(&part, g->ids->id + r->first, r->n, g->ids->limit, err));
    OB_GO(ob_sweep_start(s, part, 1, OB_AUG_NONE, err));
    for (size_t i = 0; i < r->n; i++) {
        OB_GO(ob_sweep_next(s, &b, err));
        s->grads = r->room + i * r->stride;
        zero(g);
        OB_GO(ob_sweep_add_ce(s, &b, NULL, NULL, err));
    }
out:
    s->grads = own;
    ob_ids_free(part);
    return rc;
}

struct product {
    const struct ob_gram *g;
    const struct rows *x, *y;
    double *k;
    size_t at, n; /* the piece of each gradient */
};

static void add_products(void *arg, size_t i, int worker)
{
    const struct product *p = arg;
    struct ob_ctx *ctx = p->g->sweep->job->ctx;
    double *k = p->k + (p->x->first + i) * p->g->n + p->y->first;

    (void)worker;
    for (size_t j = 0; j < p->y->n; j++)
        k[j] += backend(p->g)->dot(ctx, p->x->room + i * p->x->stride + p->at,
                                   p->y->room + j * p->y->stride + p->at, p->n);
}

/* Piece by piece, so that each is read from memory once for all pairs. */
static void multiply(double *k, const struct ob_gram *g, const struct rows *x, const struct rows *y)
{
    struct product p = { .g = g, .x = x, .y = y, .k = k };

    for (p.at = 0; p.at < n_params(g); p.at += PIECE) {
        p.n = n_params(g) - p.at < PIECE ? n_params(g) - p.at : PIECE;
        ob_par_for(g->sweep->job->ctx->n_threads, x->n, add_products, &p);
    }
}

static struct rows rows_at(float *room, size_t stride, const struct ob_gram *g, size_t first,
                           size_t most)
{
    return (struct rows){ room, stride, first, g->n - first < most ? g->n - first : most };
}

static int fill_matrix(double *k, const struct ob_gram *g, float *room, size_t stride, size_t block,
                       struct ob_err *err)
{
    for (size_t i = 0; i < g->n; i += block) {
        struct rows x = rows_at(room, stride, g, i, block);

        OB_TRY(fill_rows(&x, g, err));
        multiply(k, g, &x, &x);
        for (size_t j = i + block; j < g->n; j += block) {
            struct rows y = rows_at(room + block * stride, stride, g, j, block);

            OB_TRY(fill_rows(&y, g, err));
            multiply(k, g, &x, &y);
        }
    }
    for (size_t i = 0; i < g->n; i++) /* the lower half */
        for (size_t j = 0; j < i; j++)
            k[i * g->n + j] = k[j * g->n + i];
    return OB_OK;
}

/* ---- solving ---- */

/* A = L L^T in the lower half of `a`, then A x = x; false: not positive definite. */
static bool cholesky(double *a, double *x, size_t n)
{
    for (size_t j = 0; j < n; j++)
        for (size_t i = j; i < n; i++) {
            double sum = a[i * n + j];

            for (size_t k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > 0))
                return false;
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            x[i] -= a[i * n + k] * x[k];
        x[i] /= a[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            x[i] -= a[k * n + i] * x[k];
        x[i] /= a[i * n + i];
    }
    return true;
}

uint64_t ob_gram_images(size_t n, size_t block)
{
    uint64_t images = 0;

    for (size_t i = 0; i < n; i += block)
        images += n - i;
    return images;
}

size_t ob_gram_room(size_t n_params, size_t n, size_t block)
{
    size_t stride = (n_params + 15) / 16 * 16;

    return 2 * (block < n ? block : n) * stride * sizeof(float) + n * n * sizeof(double);
}

int ob_gram_solve(double *c, struct ob_gram *g, double shift, size_t block, struct ob_err *err)
{
    size_t stride = (n_params(g) + 15) / 16 * 16, total;
    float *room = NULL;
    double *k = NULL;
    int rc = OB_OK;

    block = block < g->n ? block : g->n;
    if (!ob_mul(&total, 2 * block, stride))
        return ob_fail(err, OB_ENOMEM, "out of memory");
    OB_GO(ob_block_new(&room, total, err));
    OB_GO(ob_alloc(k, g->n * g->n, err));
    OB_GO(fill_matrix(k, g, room, stride, block, err));
    for (size_t i = 0; i < g->n; i++)
        k[i * g->n + i] += shift;
    memcpy(c, g->b, g->n * sizeof(*c));
    if (!cholesky(k, c, g->n))
        rc = ob_fail(err, OB_EDIVERGED, "the gradients' dot products are not finite");
out:
    ob_free(room);
    ob_free(k);
    return rc;
}

static double inner(const double *x, const double *y, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* out = K p: one pass for the sum of gradients, one for the products with it. */
static int apply(double *out, struct ob_gram *g, float *u, const double *p, struct ob_err *err)
{
    OB_TRY(ob_gram_combine(g, p, err));
    memcpy(u, g->sweep->grads, n_params(g) * sizeof(*u));
    return ob_gram_dots(g, out, u, NULL, NULL, err);
}

/*
 * Conjugate gradients from c = 0. With r = b - (K + shift I) c, what x = (v - sum_i c_i g_i) / lambda
 * leaves of F x = v is |sum_i r_i g_i| / shift, and |sum_i r_i g_i|^2 = r K r <= |r| |K r|; K r needs no pass of
 * its own, as r is the difference of two directions. One step more than needed is taken: K of its direction is there.
 */
static int iterate(double *c, double *room, float *u, struct ob_gram *g, double shift,
                   double tolerance, int most, double *left, struct ob_err *err)
{
    size_t n = g->n;
    double *r = room, *p = room + n, *kp = room + 2 * n, *kr = room + 3 * n;
    double rr = inner(g->b, g->b, n), ratio = 0;

    memcpy(r, g->b, n * sizeof(*r));
    memset(p, 0, n * sizeof(*p));
    memset(kp, 0, n * sizeof(*kp));
    memset(c, 0, n * sizeof(*c));
    *left = rr > 0 ? INFINITY : 0;
    for (int t = 0; t<most && * left> tolerance; t++) {
        double step, next;

        for (size_t i = 0; i < n; i++) {
            p[i] = r[i] + ratio * p[i];
            kr[i] = -ratio * kp[i];
        }
        OB_TRY(apply(kp, g, u, p, err));
        for (size_t i = 0; i < n; i++)
            kr[i] += kp[i];
        *left = sqrt(sqrt(rr * inner(kr, kr, n))) / (shift * g->v_norm);
        step = rr / (inner(p, kp, n) + shift * inner(p, p, n));
        for (size_t i = 0; i < n; i++) {
            c[i] += step * p[i];
            r[i] -= step * (kp[i] + shift * p[i]);
        }
        next = inner(r, r, n);
        if (!isfinite(next))
            return ob_fail(err, OB_EDIVERGED, "conjugate gradients are no longer finite");
        ratio = next / rr;
        rr = next;
        if (rr == 0)
            *left = 0;
    }
    return OB_OK;
}

int ob_gram_iterate(double *c, struct ob_gram *g, double shift, double tolerance, int most,
                    double *left, struct ob_err *err)
{
    double *room = NULL;
    float *u = NULL;
    int rc;

    OB_GO(ob_alloc(room, 4 * g->n, err));
    OB_GO(ob_block_new(&u, n_params(g), err));
    rc = iterate(c, room, u, g, shift, tolerance, most, left, err);
out:
    ob_free(room);
    ob_free(u);
    return rc;
}
