/*
 * select.c - forget sets by score and by entanglement; the list of all rules. Ties go to the lower id.
 *
 * low: the n smallest scores; high: the n largest; medium: the n nearest to the centre; mix: n/3
 * low, then n/3 high, then n/3 medium of what is left. By entanglement: what lies far from the mean
 * embedding overlaps least with the rest. An example without a score is never taken.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "score/select.h"

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

/* The best first. */
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

/* ---- by entanglement: blocks of the order by distance to the mean embedding ---- */

struct block {
    const char *rule;
    double from;          /* the paper's: share of the examples before it; the last of them: 1 */
    size_t group, groups; /* the released code's: number of its group, and of how many */
    size_t tiny;          /* and for Tiny-ImageNet: the first of three groups of a hundred */
};
static const struct block blocks[] = { { "low-entanglement", 1, 14, 15, 97 },
                                       { "medium-entanglement", 0.8, 12, 15, 49 },
                                       { "high-entanglement", 0.2, 3, 15, 0 } };

/* Where n of `all` begin; *end: where what they are taken from ends. */
static size_t block_from(const struct block *b, size_t all, size_t n, bool released, bool is_tiny,
                         size_t *end)
{
    size_t each = all / (is_tiny ? 100 : b->groups);
    size_t from = b->from == 1 ? all - n : (size_t)floor(b->from * (double)all);

    *end = all;
    if (!released)
        return from;
    from = each * (is_tiny ? b->tiny : b->group);
    *end = from + each * (is_tiny ? 3 : 1);
    return from;
}

static int take_block(struct ob_picked *out, const struct item *item, size_t all, size_t n,
                      const struct block *b, bool released, bool is_tiny, struct ob_err *err)
{
    size_t end, from;

    if (n > all)
        return ob_fail(err, OB_EFORMAT, "%zu examples asked for, but only %zu have a score", n,
                       all);
    from = block_from(b, all, n, released, is_tiny, &end);
    n = n ? n : end - from;
    if (!n || from + n > end)
        return ob_fail(err, OB_EINVAL, "from rank %zu of %zu there are no %zu examples%s", from,
                       all, n, released ? " in the group" : "");
    for (size_t i = 0; i < n; i++)
        out->id[out->n++] = item[from + i].id;
    return OB_OK;
}

/* What two blocks both have would be there twice. */
static int check_apart(const struct ob_select_opts *o, size_t all, struct ob_err *err)
{
    size_t third = o->n / 3, high = (size_t)floor(0.2 * (double)all),
           medium = (size_t)floor(0.8 * (double)all);

    if (o->released || (high + third <= medium && medium + 2 * third <= all))
        return OB_OK;
    return ob_fail(err, OB_EINVAL, "%zu of %zu: the three blocks of a mixed set would overlap",
                   o->n, all);
}

/* The nearest to the centroid have the highest scores, whatever the file's sign: a raw one holds the
 * distance itself. */
static int pick_entangled(struct ob_picked *out, struct item *item, size_t all,
                          const struct ob_data *d, const struct ob_select_opts *o,
                          struct ob_err *err)
{
    bool is_tiny = d->info.name && !strcmp(d->info.name, "tiny-imagenet");
    bool is_mix = !strcmp(o->rule, "mix-entanglement");

    if (is_mix)
        OB_TRY(check_apart(o, all, err));
    sort_by(item, all, o->scores->info.raw ? LOW : HIGH, 0);
    for (size_t k = 0; k < sizeof(blocks) / sizeof(blocks[0]); k++)
        if (is_mix || !strcmp(o->rule, blocks[k].rule))
            OB_TRY(take_block(out, item, all, is_mix ? o->n / 3 : o->n, &blocks[k], o->released,
                              is_tiny, err));
    return OB_OK;
}

static int is_entangled(const char *rule)
{
    return strstr(rule, "-entanglement") != NULL;
}

/* ---- the rules ---- */

static int check_scores(const struct ob_data *d, const struct ob_select_opts *o, struct ob_err *err)
{
    if (!o->scores)
        return ob_fail(err, OB_EINVAL, "a forget set by level needs scores");
    if (is_entangled(o->rule) && strcmp(o->scores->kind, "centroid-distance"))
        return ob_fail(err, OB_EINVAL, "a set by entanglement is chosen by centroid-distance");
    if (!strncmp(o->rule, "mix", 3) && o->n % 3)
        return ob_fail(err, OB_EINVAL,
                       "a mixed forget set has three equal parts: %zu is not a "
                       "multiple of 3",
                       o->n);
    return ob_scores_check(o->scores, d, err);
}

static int select_level(struct ob_picked *out, const struct ob_data *d, const struct ob_ids *pool,
                        const struct ob_select_opts *o, struct ob_err *err)
{
    struct item *item;
    size_t n;
    int rc;

    OB_TRY(check_scores(d, o, err));
    OB_TRY(ob_alloc(item, pool->n, err));
    n = eligible(item, pool, o->scores);
    if (is_entangled(o->rule)) {
        rc = pick_entangled(out, item, n, d, o, err);
        goto out;
    }
    OB_GO(o->n > n ? ob_fail(err, OB_EFORMAT, "%zu examples asked for, but only %zu have a score",
                             o->n, n)
                   : OB_OK);
    pick(item, n, o);
    for (size_t i = 0; i < o->n; i++)
        out->id[out->n++] = item[i].id;
out:
    ob_free(item);
    return rc;
}

static const struct rule {
    const char *name;
    ob_select_fn *pick;
    bool can_be_all; /* n 0: all that there are */
} rules[] = {
    { "low", select_level, false },
    { "medium", select_level, false },
    { "high", select_level, false },
    { "mix", select_level, false },
    { "low-entanglement", select_level, true },
    { "medium-entanglement", select_level, true },
    { "high-entanglement", select_level, true },
    { "mix-entanglement", select_level, false },
    { "random", ob_select_random, false },
    { "class", ob_select_class, true },
    { "group", ob_select_groups, true },
    { "random-groups", ob_select_random_groups, true },
    { "mislabeled", ob_select_mislabeled, true },
};

static int find_rule(const struct rule **out, const struct ob_select_opts *o, struct ob_err *err)
{
    *out = NULL;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (o->rule && !strcmp(o->rule, rules[i].name))
            *out = &rules[i];
    if (!*out)
        return ob_fail(err, OB_EINVAL,
                       "no rule '%s'; there are low, medium, high, mix, each also with "
                       "-entanglement, random, class, group, random-groups and mislabeled",
                       o->rule ? o->rule : "");
    if (!o->n && !((*out)->can_be_all && (o->released || !is_entangled(o->rule))))
        return ob_fail(err, OB_EINVAL, "a forget set of 0 examples");
    return OB_OK;
}

int ob_select(struct ob_ids **out, const struct ob_data *d, const struct ob_ids *pool,
              const struct ob_select_opts *o, struct ob_err *err)
{
    struct ob_picked picked = { 0 };
    const struct rule *rule;
    int rc;

    *out = NULL;
    OB_TRY(find_rule(&rule, o, err));
    OB_TRY(ob_alloc(picked.id, pool->n, err));
    OB_GO(rule->pick(&picked, d, pool, o, err));
    OB_GO(ob_ids_new(out, picked.id, picked.n, pool->limit, err));
    rc = ob_ids_check_forget(*out, pool, NULL, err);
out:
    ob_free(picked.id);
    if (rc) {
        ob_ids_free(*out);
        *out = NULL;
    }
    return rc;
}
