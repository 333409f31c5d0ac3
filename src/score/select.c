/*
 * select.c - forget sets by score, by class, or at random; deterministic, ties to the lower id.
 *
 * low: the n smallest scores; high: the n largest; medium: the n nearest to the centre; mix: n/3
 * low, then n/3 high, then n/3 medium of what is left. By entanglement: what lies far from the mean
 * embedding overlaps least with the rest. An example without a score is never taken.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "score/score.h"

struct item {
    double key; /* small first */
    double score;
    uint32_t id;
};

static int by_key(const void *a, const void *b)
{
    const struct item *p = a, *q = b;

    if (p->key != q->key)
        return p->key < q->key ? -1 : 1;
    return p->id < q->id ? -1 : p->id > q->id;
}

enum level { LOW, MEDIUM, HIGH };

static double key_of(enum level level, double score, double center)
{
    return level == LOW ? score : level == HIGH ? -score : fabs(score - center);
}

/* Moves the best k of `item` to its front. */
static void sort_by(struct item *item, size_t n, enum level level, double center)
{
    for (size_t i = 0; i < n; i++)
        item[i].key = key_of(level, item[i].score, center);
    qsort(item, n, sizeof(*item), by_key);
}

/* Those of `pool` that have a score; returns how many. */
static size_t eligible(struct item *item, const struct ob_ids *pool, const struct ob_scores *s)
{
    size_t n = 0;

    for (size_t i = 0; i < pool->n; i++)
        if (!isnan(s->value[pool->id[i]]))
            item[n++] = (struct item){ .score = s->value[pool->id[i]], .id = pool->id[i] };
    return n;
}

/* Memorization is a difference of probabilities and has a middle of its own; every other score is
 * cut midway between its smallest and largest value. */
static double center_of(const struct item *item, size_t n, const struct ob_select_opts *o)
{
    double low = INFINITY, high = -INFINITY;

    if (!isnan(o->center))
        return o->center;
    if (!strcmp(o->scores->kind, "memorization"))
        return 0.5;
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, item[i].score);
        high = fmax(high, item[i].score);
    }
    return low + (high - low) / 2;
}

static void pick(struct item *item, size_t n, const struct ob_select_opts *o)
{
    double center = center_of(item, n, o);
    size_t third = o->n / 3;

    if (!strcmp(o->rule, "mix")) {
        sort_by(item, n, LOW, center);
        sort_by(item + third, n - third, HIGH, center);
        sort_by(item + 2 * third, n - 2 * third, MEDIUM, center);
        return;
    }
    sort_by(item, n,
            !strcmp(o->rule, "low")    ? LOW
            : !strcmp(o->rule, "high") ? HIGH
                                       : MEDIUM,
            center);
}

/* The items of the rule to the front; `n` of them. The nearest to the centroid have the highest scores,
 * whatever the file's sign: a raw one holds the distance itself. */
static int pick_entangled(struct item *item, size_t n, const struct ob_select_opts *o,
                          struct ob_err *err)
{
    static const struct {
        const char *rule;
        double from;
    } blocks[] = { { "medium-entanglement", 0.8 }, { "high-entanglement", 0.2 } };
    size_t from = n - o->n;

    for (size_t i = 0; i < 2; i++)
        if (!strcmp(o->rule, blocks[i].rule))
            from = (size_t)floor(blocks[i].from * (double)n);
    if (from + o->n > n)
        return ob_fail(err, OB_EINVAL, "from rank %zu of %zu there are no %zu examples", from, n,
                       o->n);
    sort_by(item, n, o->scores->info.raw ? LOW : HIGH, 0);
    memmove(item, item + from, o->n * sizeof(*item));
    return OB_OK;
}

static int is_entangled(const char *rule)
{
    return strstr(rule, "-entanglement") != NULL;
}

static int check_scores(const struct ob_data *d, const struct ob_select_opts *o, struct ob_err *err)
{
    if (!o->scores)
        return ob_fail(err, OB_EINVAL, "a forget set by level needs scores");
    if (is_entangled(o->rule) && strcmp(o->scores->kind, "centroid-distance"))
        return ob_fail(err, OB_EINVAL, "a set by entanglement is chosen by centroid-distance");
    if (!strcmp(o->rule, "mix") && o->n % 3)
        return ob_fail(err, OB_EINVAL,
                       "a mixed forget set has three equal parts: %zu is not a "
                       "multiple of 3",
                       o->n);
    return ob_scores_check(o->scores, d, err);
}

/* The ids of the rule, in any order, in id[] (room for the pool). */
static int select_level(uint32_t *id, size_t *n_out, const struct ob_data *d,
                        const struct ob_ids *pool, const struct ob_select_opts *o,
                        struct ob_err *err)
{
    struct item *item;
    size_t n;
    int rc = OB_OK;

    OB_TRY(check_scores(d, o, err));
    OB_TRY(ob_alloc(item, pool->n, err));
    n = eligible(item, pool, o->scores);
    if (o->n > n) {
        rc = ob_fail(err, OB_EFORMAT, "%zu examples asked for, but only %zu have a score", o->n, n);
        goto out;
    }
    if (is_entangled(o->rule))
        OB_GO(pick_entangled(item, n, o, err));
    else
        pick(item, n, o);
    for (size_t i = 0; i < o->n; i++)
        id[i] = item[i].id;
    *n_out = o->n;
out:
    ob_free(item);
    return rc;
}

static int select_random(uint32_t *id, size_t *n_out, const struct ob_ids *pool,
                         const struct ob_select_opts *o, struct ob_err *err)
{
    struct ob_rng r = ob_rng(o->seed, OB_RNG_SELECT, 0, 0);

    if (o->n > pool->n)
        return ob_fail(err, OB_EFORMAT, "%zu examples asked for, but there are only %zu", o->n,
                       pool->n);
    memcpy(id, pool->id, pool->n * sizeof(*id));
    ob_rng_shuffle(&r, id, pool->n);
    *n_out = o->n;
    return OB_OK;
}

static int select_class(uint32_t *id, size_t *n_out, const struct ob_data *d,
                        const struct ob_ids *pool, const struct ob_select_opts *o,
                        struct ob_err *err)
{
    int n_classes = ob_data_info(d)->n_classes;
    size_t n = 0;

    if (o->label < 0 || o->label >= n_classes)
        return ob_fail(err, OB_EFORMAT, "no class %d; the data set has classes 0 to %d", o->label,
                       n_classes - 1);
    for (size_t i = 0; i < pool->n; i++)
        if (ob_data_label(d, OB_TRAIN, pool->id[i]) == o->label)
            id[n++] = pool->id[i];
    if (!n || o->n > n)
        return ob_fail(err, OB_EFORMAT, "%zu examples asked for, but class %d has %zu",
                       o->n ? o->n : 1, o->label, n);
    *n_out = o->n ? o->n : n;
    return OB_OK;
}

static int check_rule(const struct ob_select_opts *o, struct ob_err *err)
{
    static const char *const rules[] = { "low",
                                         "medium",
                                         "high",
                                         "mix",
                                         "random",
                                         "class",
                                         "low-entanglement",
                                         "medium-entanglement",
                                         "high-entanglement" };
    bool known = false;

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        known = known || (o->rule && !strcmp(o->rule, rules[i]));
    if (!known)
        return ob_fail(err, OB_EINVAL,
                       "no rule '%s'; there are low, medium, high, mix, random, class, and "
                       "low-, medium- and high-entanglement",
                       o->rule ? o->rule : "");
    if (!o->n && strcmp(o->rule, "class"))
        return ob_fail(err, OB_EINVAL, "a forget set of 0 examples");
    return OB_OK;
}

int ob_select(struct ob_ids **out, const struct ob_data *d, const struct ob_ids *pool,
              const struct ob_select_opts *o, struct ob_err *err)
{
    uint32_t *id = NULL;
    size_t n = 0;
    int rc;

    *out = NULL;
    OB_TRY(check_rule(o, err));
    OB_TRY(ob_alloc(id, pool->n, err));
    if (!strcmp(o->rule, "random"))
        rc = select_random(id, &n, pool, o, err);
    else if (!strcmp(o->rule, "class"))
        rc = select_class(id, &n, d, pool, o, err);
    else
        rc = select_level(id, &n, d, pool, o, err);
    if (rc)
        goto out;
    OB_GO(ob_ids_new(out, id, n, pool->limit, err));
    rc = ob_ids_check_forget(*out, pool, NULL, err);
out:
    ob_free(id);
    if (rc) {
        ob_ids_free(*out);
        *out = NULL;
    }
    return rc;
}
