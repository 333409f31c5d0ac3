/*
 * parts.c - which part each example of a forget set belongs to.
 *
 * By score: ranks, ascending, ties to the lower id. Equal parts differ by one example at most, the lowest-scored
 * ones being larger; or cuts at given scores, a score equal to a cut going up. By two scores: each cuts the
 * whole set by itself, and a part is what two cuts have in common. By class. By clusters of the model's
 * embedding. At random.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/kmeans.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/room.h"
#include "unlearn/refine.h"

#define STARTS 10 /* of k-means */

struct ranked {
    uint32_t id;
    float score;
    size_t at; /* in the forget set */
};

struct cutting { /* how one score cuts */
    int n_parts; /* 0: 3, or as many as the cuts make */
    const double *cut;
    size_t n_cuts;
};

static struct cutting first_cutting(const struct ob_refine_opts *o)
{
    return (struct cutting){ o->n_parts, o->cuts, o->n_cuts };
}

static struct cutting second_cutting(const struct ob_refine_opts *o)
{
    return (struct cutting){ o->n_parts_2, o->cuts_2, o->n_cuts_2 };
}

/* ---- how many parts ---- */

static int count_cut(size_t *n, const struct cutting *c, struct ob_err *err)
{
    size_t by_cuts = c->n_cuts + 1;

    if (c->n_parts < 0 || c->n_parts > OB_PLAN_STEPS || by_cuts > OB_PLAN_STEPS)
        return ob_fail(err, OB_EINVAL, "there may be 1 to %d parts", OB_PLAN_STEPS);
    if (c->cut && c->n_parts && by_cuts != (size_t)c->n_parts)
        return ob_fail(err, OB_EINVAL, "%zu cuts make %zu parts, not %d", c->n_cuts, by_cuts,
                       c->n_parts);
    for (size_t i = 0; c->cut && i < c->n_cuts; i++)
        if (!isfinite(c->cut[i]) || (i && c->cut[i] <= c->cut[i - 1]))
            return ob_fail(err, OB_EINVAL, "cut %zu (%g) is not a number above the one before",
                           i + 1, c->cut[i]);
    *n = c->cut ? by_cuts : c->n_parts ? (size_t)c->n_parts : 3;
    return OB_OK;
}

static int alloc_names(struct ob_refining *r, struct ob_err *err)
{
    if (r->n_parts > OB_PLAN_STEPS)
        return ob_fail(err, OB_EINVAL, "there may be 1 to %d parts, not %zu", OB_PLAN_STEPS,
                       r->n_parts);
    return ob_alloc(r->name, r->n_parts, err);
}

static void name_level(char out[16], size_t part, size_t n_parts)
{
    static const char *const three[] = { "low", "medium", "high" };

    if (n_parts == 3)
        snprintf(out, 16, "%s", three[part]);
    else
        snprintf(out, 16, "part%u", (unsigned)part + 1);
}

static int plan_scores(struct ob_refining *r, struct ob_err *err)
{
    struct cutting c = first_cutting(r->o);

    if (!r->scores)
        return ob_fail(err, OB_EINVAL, "there are no scores to cut by");
    OB_TRY(count_cut(&r->n_parts, &c, err));
    OB_TRY(alloc_names(r, err));
    for (size_t i = 0; i < r->n_parts; i++)
        name_level(r->name[i], i, r->n_parts);
    return OB_OK;
}

static int plan_cells(struct ob_refining *r, struct ob_err *err)
{
    struct cutting c = first_cutting(r->o), c2 = second_cutting(r->o);
    size_t n, n2;

    if (!r->scores)
        return ob_fail(err, OB_EINVAL, "there are no scores to cut by");
    OB_TRY(count_cut(&n, &c, err));
    OB_TRY(count_cut(&n2, &c2, err));
    r->n_parts = n * n2;
    OB_TRY(alloc_names(r, err));
    for (size_t i = 0; i < r->n_parts; i++) {
        char a[16], b[16];

        name_level(a, i / n2, n);
        name_level(b, i % n2, n2);
        snprintf(r->name[i], sizeof(r->name[i]), "%.15s-%.15s", a, b);
    }
    return OB_OK;
}

static int plan_numbered(struct ob_refining *r, const char *word, struct ob_err *err)
{
    struct cutting c = first_cutting(r->o);

    if (r->o->cuts)
        return ob_fail(err, OB_EINVAL, "%s parts have no cuts", word);
    OB_TRY(count_cut(&r->n_parts, &c, err));
    OB_TRY(alloc_names(r, err));
    for (size_t i = 0; i < r->n_parts; i++)
        snprintf(r->name[i], sizeof(r->name[i]), "%.15s%u", word, (unsigned)i + 1);
    return OB_OK;
}

static int plan_random(struct ob_refining *r, struct ob_err *err)
{
    return plan_numbered(r, "random", err);
}

static int plan_clusters(struct ob_refining *r, struct ob_err *err)
{
    if (!r->model)
        return ob_fail(err, OB_EINVAL, "clusters are of a model's embedding: a model is needed");
    return plan_numbered(r, "cluster", err);
}

/* Numbers the classes that the forget set has, ascending; number[] has room for all. */
static int number_classes(uint32_t **number, size_t *n, const struct ob_refining *r,
                          struct ob_err *err)
{
    size_t n_classes = (size_t)r->d->info.n_classes;

    *n = 0;
    OB_TRY(ob_alloc(*number, n_classes, err));
    for (size_t i = 0; i < r->forget->n; i++)
        (*number)[ob_data_label(r->d, OB_TRAIN, r->forget->id[i])] = 1;
    for (size_t k = 0; k < n_classes; k++)
        (*number)[k] = (*number)[k] ? (uint32_t)(*n)++ : UINT32_MAX;
    return OB_OK;
}

static int plan_classes(struct ob_refining *r, struct ob_err *err)
{
    uint32_t *number = NULL;
    int rc;

    if (r->o->cuts || r->o->n_parts)
        return ob_fail(err, OB_EINVAL, "by class there are as many parts as classes");
    OB_GO(number_classes(&number, &r->n_parts, r, err));
    OB_GO(alloc_names(r, err));
    for (int k = 0; k < r->d->info.n_classes; k++)
        if (number[k] != UINT32_MAX)
            snprintf(r->name[number[k]], sizeof(*r->name), "%s", ob_data_class_name(r->d, k));
out:
    ob_free(number);
    return rc;
}

/* ---- by score ---- */

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int rank(struct ranked *out, const struct ob_refining *r, const struct ob_scores *scores,
                struct ob_err *err)
{
    const float *value = ob_scores_value(scores);
    const struct ob_ids *forget = r->forget;

    OB_TRY(ob_scores_check(scores, r->d, err));
    if (ob_scores_info(scores)->n != forget->limit)
        return ob_fail(err, OB_EFORMAT, "there are %zu scores, but %zu training examples",
                       ob_scores_info(scores)->n, forget->limit);
    for (size_t i = 0; i < forget->n; i++) {
        out[i] = (struct ranked){ forget->id[i], value[forget->id[i]], i };
        if (isnan(out[i].score))
            return ob_fail(err, OB_EFORMAT, "id %u, which is to be forgotten, has no score",
                           forget->id[i]);
    }
    qsort(out, forget->n, sizeof(*out), by_score);
    return OB_OK;
}

/* part[] of each rank: n_parts equal ones. */
static int cut_equal(uint32_t *part, size_t n, size_t n_parts, struct ob_err *err)
{
    size_t each = n / n_parts, more = n % n_parts, at = 0;

    if (!each)
        return ob_fail(err, OB_EFORMAT, "%zu parts of %zu examples", n_parts, n);
    for (size_t k = 0; k < n_parts; k++)
        for (size_t end = at + each + (k < more); at < end; at++)
            part[at] = (uint32_t)k;
    return OB_OK;
}

/* Adds `times` the part of each example by one score to part[]. */
static int add_parts(struct ob_refining *r, const struct ob_scores *scores, const struct cutting *c,
                     uint32_t times, struct ob_err *err)
{
    size_t n = r->forget->n, n_parts = 0;
    struct ranked *ranked = NULL;
    uint32_t *part = NULL;
    int rc;

    OB_GO(count_cut(&n_parts, c, err));
    OB_GO(ob_alloc(ranked, n, err));
    OB_GO(ob_alloc(part, n, err));
    OB_GO(rank(ranked, r, scores, err));
    if (!c->cut)
        OB_GO(cut_equal(part, n, n_parts, err));
    for (size_t i = 0, k = 0; c->cut && i < n; i++) {
        while (k < c->n_cuts && ranked[i].score >= (float)c->cut[k])
            k++;
        part[i] = (uint32_t)k;
    }
    for (size_t i = 0; i < n; i++)
        r->part[ranked[i].at] += times * part[i];
out:
    ob_free(part);
    ob_free(ranked);
    return rc;
}

static int divide_by_score(struct ob_refining *r, struct ob_err *err)
{
    struct cutting c = first_cutting(r->o);

    return add_parts(r, r->scores, &c, 1, err);
}

static int divide_by_cell(struct ob_refining *r, struct ob_err *err)
{
    struct cutting c = first_cutting(r->o), c2 = second_cutting(r->o);
    size_t n2;

    OB_TRY(count_cut(&n2, &c2, err));
    OB_TRY(add_parts(r, r->scores, &c, (uint32_t)n2, err));
    return add_parts(r, r->o->scores_2, &c2, 1, err);
}

/* ---- otherwise ---- */

static int divide_by_class(struct ob_refining *r, struct ob_err *err)
{
    uint32_t *number = NULL;
    size_t n;
    int rc;

    OB_GO(number_classes(&number, &n, r, err));
    for (size_t i = 0; i < r->forget->n; i++)
        r->part[i] = number[ob_data_label(r->d, OB_TRAIN, r->forget->id[i])];
out:
    ob_free(number);
    return rc;
}

static int divide_at_random(struct ob_refining *r, struct ob_err *err)
{
    struct ob_rng rng = ob_rng(r->o->seed, OB_RNG_PARTS, 0, 0);
    size_t n = r->forget->n;
    uint32_t *id = NULL, *part = NULL;
    int rc;

    OB_GO(ob_alloc(id, n, err));
    OB_GO(ob_alloc(part, n, err));
    memcpy(id, r->forget->id, n * sizeof(*id));
    ob_rng_shuffle(&rng, id, n);
    OB_GO(cut_equal(part, n, r->n_parts, err));
    for (size_t i = 0; i < n; i++)
        r->part[ob_ids_rank(r->forget, id[i])] = part[i];
out:
    ob_free(part);
    ob_free(id);
    return rc;
}

struct far {
    double distance2;
    size_t cluster;
};

static int by_distance(const void *a, const void *b)
{
    const struct far *x = a, *y = b;

    if (x->distance2 != y->distance2)
        return x->distance2 > y->distance2 ? -1 : 1;
    return x->cluster < y->cluster ? -1 : x->cluster > y->cluster;
}

/* Cluster 1 is the one whose centre is farthest from the mean of the forget set: the least entangled with
 * the others. */
static int order_clusters(struct ob_refining *r, const double *center, const float *phi, size_t f,
                          struct ob_err *err)
{
    struct far *far = NULL;
    uint32_t *number = NULL;
    double *mean = NULL;
    int rc;

    OB_GO(ob_alloc(far, r->n_parts, err));
    OB_GO(ob_alloc(number, r->n_parts, err));
    OB_GO(ob_alloc(mean, f, err));
    for (size_t i = 0; i < r->forget->n; i++)
        for (size_t j = 0; j < f; j++)
            mean[j] += (double)phi[i * f + j] / (double)r->forget->n;
    for (size_t k = 0; k < r->n_parts; k++) {
        far[k].cluster = k;
        for (size_t j = 0; j < f; j++)
            far[k].distance2 += (center[k * f + j] - mean[j]) * (center[k * f + j] - mean[j]);
    }
    qsort(far, r->n_parts, sizeof(*far), by_distance);
    for (size_t k = 0; k < r->n_parts; k++)
        number[far[k].cluster] = (uint32_t)k;
    for (size_t i = 0; i < r->forget->n; i++)
        r->part[i] = number[r->part[i]];
out:
    ob_free(mean);
    ob_free(number);
    ob_free(far);
    return rc;
}

static int divide_by_cluster(struct ob_refining *r, struct ob_err *err)
{
    size_t f = (size_t)ob_model_n_features(r->model), n = r->forget->n, room;
    struct ob_kmeans_opts o = { .k = r->n_parts,
                                .starts = STARTS,
                                .seed = r->o->seed,
                                .n_threads = ob_ctx_n_threads(r->d->ctx) };
    double *center = NULL, inertia;
    float *phi = NULL;
    int rc;

    if (r->n_parts > n)
        return ob_fail(err, OB_EFORMAT, "%zu parts of %zu examples", r->n_parts, n);
    if (!ob_mul(&room, n, f))
        return ob_fail(err, OB_ENOMEM, "out of memory (%zu examples)", n);
    OB_TRY(ob_room_check(r->d->ctx, room * sizeof(float), "the embedding of the forget set", NULL,
                         "divide it by something else", err));
    OB_GO(ob_alloc(phi, room, err));
    OB_GO(ob_alloc(center, r->n_parts * f, err));
    OB_GO(ob_predict(NULL, phi, r->model, r->d, OB_TRAIN, r->forget, err));
    OB_GO(ob_kmeans(r->part, center, &inertia, phi, n, f, &o, err));
    rc = order_clusters(r, center, phi, f, err);
out:
    ob_free(center);
    ob_free(phi);
    return rc;
}

/* ---- the ways ---- */

static const struct way {
    const char *name;
    int (*plan)(struct ob_refining *r, struct ob_err *err);
    int (*divide)(struct ob_refining *r, struct ob_err *err);
} ways[] = {
    { "scores", plan_scores, divide_by_score },  { "cells", plan_cells, divide_by_cell },
    { "class", plan_classes, divide_by_class },  { "clusters", plan_clusters, divide_by_cluster },
    { "random", plan_random, divide_at_random },
};

static const struct way *find_way(const struct ob_refine_opts *o)
{
    const char *name = o->random ? "random" : o->by ? o->by : "scores";

    if (o->scores_2 && !strcmp(name, "scores"))
        name = "cells";
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (!strcmp(ways[i].name, name))
            return &ways[i];
    return NULL;
}

int obi_divide_plan(struct ob_refining *r, struct ob_err *err)
{
    const struct way *way = find_way(r->o);

    if (!way)
        return ob_fail(err, OB_EINVAL,
                       "no parts by '%s'; there are scores, class, clusters, random", r->o->by);
    if (!strcmp(way->name, "cells") != (r->o->scores_2 != NULL))
        return ob_fail(err, OB_EINVAL, "two scores make cells; '%s' takes no second one",
                       way->name);
    return (way->plan)(r, err);
}

int obi_divide(struct ob_refining *r, struct ob_err *err)
{
    OB_TRY(ob_alloc(r->part, r->forget->n, err));
    return (find_way(r->o)->divide)(r, err);
}

void obi_divide_release(struct ob_refining *r)
{
    ob_free(r->name);
    ob_free(r->part);
}
