/* kmeans.c - clusters of points: Lloyd's steps from several starts, the best of them kept. */
#include "base/kmeans.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/par.h"
#include "base/rng.h"

#define MAX_STEPS 300

struct work {
    const float *x;
    size_t n, f, k;
    int n_threads;
    double *center;
    uint32_t *of;
    double *d2; /* by point: squared distance to its centre; of a start: to the nearest so far */
    size_t *count;
};

static double distance2(const float *x, const double *center, size_t f)
{
    double sum = 0;

    for (size_t i = 0; i < f; i++)
        sum += ((double)x[i] - center[i]) * ((double)x[i] - center[i]);
    return sum;
}

static void assign(void *arg, size_t i, int worker)
{
    struct work *w = arg;

    (void)worker;
    w->d2[i] = INFINITY;
    for (size_t k = 0; k < w->k; k++) {
        double d = distance2(w->x + i * w->f, w->center + k * w->f, w->f);

        if (d < w->d2[i]) {
            w->d2[i] = d;
            w->of[i] = (uint32_t)k;
        }
    }
}

static void assign_all(struct work *w)
{
    ob_par_for(w->n_threads, w->n, assign, w);
    memset(w->count, 0, w->k * sizeof(*w->count));
    for (size_t i = 0; i < w->n; i++)
        w->count[w->of[i]]++;
}

/* An empty cluster takes the point that lies farthest from its own centre. */
static void fill_empty(struct work *w)
{
    for (size_t k = 0; k < w->k; k++) {
        size_t far = w->n;

        for (size_t i = 0; !w->count[k] && i < w->n; i++)
            if (w->count[w->of[i]] > 1 && (far == w->n || w->d2[i] > w->d2[far]))
                far = i;
        if (far == w->n)
            continue;
        w->count[w->of[far]]--;
        w->of[far] = (uint32_t)k;
        w->count[k] = 1;
        w->d2[far] = 0;
    }
}

static void move_centers(struct work *w)
{
    memset(w->center, 0, w->k * w->f * sizeof(*w->center));
    for (size_t i = 0; i < w->n; i++)
        for (size_t j = 0; j < w->f; j++)
            w->center[w->of[i] * w->f + j] += (double)w->x[i * w->f + j];
    for (size_t k = 0; k < w->k; k++)
        for (size_t j = 0; j < w->f; j++)
            w->center[k * w->f + j] /= (double)w->count[k];
}

static int lloyd(struct work *w, double *inertia, struct ob_err *err)
{
    uint32_t *before;

    OB_TRY(ob_alloc(before, w->n, err));
    assign_all(w);
    fill_empty(w);
    for (int step = 0; step < MAX_STEPS; step++) {
        memcpy(before, w->of, w->n * sizeof(*before));
        move_centers(w);
        assign_all(w);
        fill_empty(w);
        if (!memcmp(before, w->of, w->n * sizeof(*before)))
            break;
    }
    *inertia = 0;
    for (size_t i = 0; i < w->n; i++)
        *inertia += distance2(w->x + i * w->f, w->center + w->of[i] * w->f, w->f);
    ob_free(before);
    return OB_OK;
}

static int begin(struct work *w, uint32_t *of, double *center, const float *x, size_t n, size_t f,
                 const struct ob_kmeans_opts *o, struct ob_err *err)
{
    *w = (struct work){
        .x = x, .n = n, .f = f, .k = o->k, .n_threads = o->n_threads, .center = center, .of = of
    };
    if (!o->k || o->k > n)
        return ob_fail(err, OB_EINVAL, "%zu clusters of %zu points", o->k, n);
    OB_TRY(ob_alloc(w->d2, n, err));
    return ob_alloc(w->count, o->k, err);
}

static void end(struct work *w)
{
    ob_free(w->d2);
    ob_free(w->count);
}

int ob_kmeans_from(uint32_t *of, double *center, double *inertia, const float *x, size_t n,
                   size_t f, const struct ob_kmeans_opts *o, struct ob_err *err)
{
    struct work w;
    int rc = begin(&w, of, center, x, n, f, o, err);

    if (!rc)
        rc = lloyd(&w, inertia, err);
    end(&w);
    return rc;
}

/* ---- starts ---- */

static void put_center(struct work *w, size_t k, size_t point)
{
    for (size_t j = 0; j < w->f; j++)
        w->center[k * w->f + j] = (double)w->x[point * w->f + j];
}

/* A point, by its squared distance to the nearest centre; where all are 0, the first one. */
static size_t draw(const struct work *w, struct ob_rng *r)
{
    double total = 0, at;
    size_t last = 0;

    for (size_t i = 0; i < w->n; i++)
        total += w->d2[i];
    at = (double)ob_rng_uniform(r) * total;
    for (size_t i = 0; i < w->n; i++) {
        if (!(w->d2[i] > 0))
            continue;
        last = i;
        at -= w->d2[i];
        if (at < 0)
            break;
    }
    return last;
}

/* The sum that would be left with `point` as the next centre. */
static double left_with(const struct work *w, size_t point)
{
    double *center = w->center + (w->k - 1) * w->f, sum = 0; /* the last one comes last */

    for (size_t j = 0; j < w->f; j++)
        center[j] = (double)w->x[point * w->f + j];
    for (size_t i = 0; i < w->n; i++)
        sum += fmin(w->d2[i], distance2(w->x + i * w->f, center, w->f));
    return sum;
}

/* Of a few draws the one that leaves least (the greedy variant of the paper's last section). */
static size_t next_center(struct work *w, struct ob_rng *r)
{
    int n_draws = 2 + (int)log((double)w->k);
    double least = INFINITY;
    size_t best = 0;

    for (int i = 0; i < n_draws; i++) {
        size_t point = draw(w, r);
        double left = left_with(w, point);

        if (left < least) {
            least = left;
            best = point;
        }
    }
    return best;
}

static void seed_centers(struct work *w, uint64_t seed, int start)
{
    struct ob_rng r = ob_rng(seed, OB_RNG_CLUSTERS, (uint32_t)start, 0);

    put_center(w, 0, ob_rng_below(&r, (uint32_t)w->n));
    for (size_t i = 0; i < w->n; i++)
        w->d2[i] = distance2(w->x + i * w->f, w->center, w->f);
    for (size_t k = 1; k < w->k; k++) {
        put_center(w, k, next_center(w, &r));
        for (size_t i = 0; i < w->n; i++)
            w->d2[i] = fmin(w->d2[i], distance2(w->x + i * w->f, w->center + k * w->f, w->f));
    }
}

int ob_kmeans(uint32_t *of, double *center, double *inertia, const float *x, size_t n, size_t f,
              const struct ob_kmeans_opts *o, struct ob_err *err)
{
    double *own_center = NULL, own_inertia = INFINITY;
    uint32_t *own_of = NULL;
    struct work w;
    int rc;

    *inertia = INFINITY;
    OB_GO(begin(&w, of, center, x, n, f, o, err));
    OB_GO(ob_alloc(own_of, n, err));
    OB_GO(ob_alloc(own_center, o->k * f, err));
    w.of = own_of;
    w.center = own_center;
    for (int start = 0; start < o->starts; start++) {
        seed_centers(&w, o->seed, start);
        OB_GO(lloyd(&w, &own_inertia, err));
        if (!(own_inertia < *inertia))
            continue;
        *inertia = own_inertia;
        memcpy(of, own_of, n * sizeof(*of));
        memcpy(center, own_center, o->k * f * sizeof(*center));
    }
out:
    ob_free(own_center);
    ob_free(own_of);
    end(&w);
    return rc;
}
