/* select_sets.c - forget sets without scores: at random, whole classes, whole groups, what is mislabeled. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "score/select.h"

/* What is drawn: `a` of (seed, OB_RNG_SELECT, a, 0). 1 is the sample of the discrepancy. */
enum drawn { DRAWN_EXAMPLES = 0, DRAWN_GROUPS = 2, DRAWN_MISLABELED = 3 };

static void shuffle(uint32_t *x, size_t n, uint64_t seed, enum drawn what)
{
    struct ob_rng r = ob_rng(seed, OB_RNG_SELECT, what, 0);

    ob_rng_shuffle(&r, x, n);
}

int ob_select_random(struct ob_picked *out, const struct ob_data *d, const struct ob_ids *pool,
                     const struct ob_select_opts *o, struct ob_err *err)
{
    (void)d;
    if (o->n > pool->n)
        return ob_fail(err, OB_EFORMAT, "%zu examples asked for, but there are only %zu", o->n,
                       pool->n);
    memcpy(out->id, pool->id, pool->n * sizeof(*out->id));
    shuffle(out->id, pool->n, o->seed, DRAWN_EXAMPLES);
    out->n = o->n;
    return OB_OK;
}

/* ---- classes ---- */

static int check_classes(const struct ob_data *d, const struct ob_select_opts *o,
                         struct ob_err *err)
{
    int n_classes = ob_data_info(d)->n_classes;

    if (!o->n_labels)
        return ob_fail(err, OB_EINVAL, "no class is named");
    for (size_t i = 0; i < o->n_labels; i++) {
        if (o->label[i] < 0 || o->label[i] >= n_classes)
            return ob_fail(err, OB_EFORMAT, "no class %d; the data set has classes 0 to %d",
                           o->label[i], n_classes - 1);
        for (size_t k = 0; k < i; k++)
            if (o->label[k] == o->label[i])
                return ob_fail(err, OB_EINVAL, "class %d is named twice", o->label[i]);
    }
    return OB_OK;
}

int ob_select_class(struct ob_picked *out, const struct ob_data *d, const struct ob_ids *pool,
                    const struct ob_select_opts *o, struct ob_err *err)
{
    OB_TRY(check_classes(d, o, err));
    for (size_t k = 0; k < o->n_labels; k++) {
        size_t before = out->n;

        for (size_t i = 0; i < pool->n; i++)
            if (ob_data_label(d, OB_TRAIN, pool->id[i]) == o->label[k])
                out->id[out->n++] = pool->id[i];
        if (out->n == before)
            return ob_fail(err, OB_EFORMAT, "class %d has no examples in the training part",
                           o->label[k]);
    }
    if (o->n > out->n)
        return ob_fail(err, OB_EFORMAT, "%zu examples asked for, but %s %zu", o->n,
                       o->n_labels == 1 ? "the class has" : "the classes have", out->n);
    if (!o->n)
        return OB_OK;
    out->n = 0; /* the first of them, whichever class they are of */
    for (size_t i = 0; i < pool->n && out->n < o->n; i++)
        for (size_t k = 0; k < o->n_labels; k++)
            if (ob_data_label(d, OB_TRAIN, pool->id[i]) == o->label[k]) {
                out->id[out->n++] = pool->id[i];
                break;
            }
    return OB_OK;
}

/* ---- groups ---- */

static int check_groups(const struct ob_data *d, const struct ob_select_opts *o, struct ob_err *err)
{
    if (!o->groups || !o->n_groups)
        return ob_fail(err, OB_EINVAL, o->groups ? "no group is asked for" : "there are no groups");
    if (o->n)
        return ob_fail(err, OB_EINVAL, "a group is forgotten whole; it has no size to choose");
    if (ob_groups_size(o->groups) != ob_data_info(d)->n_file[OB_TRAIN])
        return ob_fail(err, OB_EFORMAT, "groups of %zu examples, but the training file has %zu",
                       ob_groups_size(o->groups), ob_data_info(d)->n_file[OB_TRAIN]);
    return OB_OK;
}

/* How many examples of each group are in the pool. */
static int count_groups(size_t **count, const struct ob_groups *g, const struct ob_ids *pool,
                        struct ob_err *err)
{
    OB_TRY(ob_alloc(*count, ob_groups_n(g), err));
    for (size_t i = 0; i < pool->n; i++) {
        int of = ob_groups_of(g, pool->id[i]);

        if (of >= 0)
            (*count)[of]++;
    }
    return OB_OK;
}

static void take_groups(struct ob_picked *out, const struct ob_ids *pool, const struct ob_groups *g,
                        const bool *is_chosen)
{
    for (size_t i = 0; i < pool->n; i++) {
        int of = ob_groups_of(g, pool->id[i]);

        if (of >= 0 && is_chosen[of])
            out->id[out->n++] = pool->id[i];
    }
}

int ob_select_groups(struct ob_picked *out, const struct ob_data *d, const struct ob_ids *pool,
                     const struct ob_select_opts *o, struct ob_err *err)
{
    bool *is_chosen = NULL;
    size_t *count = NULL;
    int rc;

    OB_GO(check_groups(d, o, err));
    OB_GO(count_groups(&count, o->groups, pool, err));
    OB_GO(ob_alloc(is_chosen, ob_groups_n(o->groups), err));
    for (size_t i = 0; i < o->n_groups; i++) {
        int of = o->group[i];

        OB_GO(of < 0 || (size_t)of >= ob_groups_n(o->groups)
                  ? ob_fail(err, OB_EINVAL, "no group %d", of)
                  : OB_OK);
        OB_GO(!count[of]
                  ? ob_fail(err, OB_EFORMAT, "group '%s' has no examples in the training part",
                            ob_groups_name(o->groups, (size_t)of))
                  : OB_OK);
        is_chosen[of] = true;
    }
    take_groups(out, pool, o->groups, is_chosen);
out:
    ob_free(is_chosen);
    ob_free(count);
    return rc;
}

/* Every group that has an example in the pool has the same chance, whatever its size. */
int ob_select_random_groups(struct ob_picked *out, const struct ob_data *d,
                            const struct ob_ids *pool, const struct ob_select_opts *o,
                            struct ob_err *err)
{
    bool *is_chosen = NULL;
    size_t *count = NULL, n = 0;
    uint32_t *order = NULL;
    int rc;

    OB_GO(check_groups(d, o, err));
    OB_GO(count_groups(&count, o->groups, pool, err));
    OB_GO(ob_alloc(is_chosen, ob_groups_n(o->groups), err));
    OB_GO(ob_alloc(order, ob_groups_n(o->groups), err));
    for (size_t i = 0; i < ob_groups_n(o->groups); i++)
        if (count[i])
            order[n++] = (uint32_t)i;
    OB_GO(o->n_groups > n
              ? ob_fail(err, OB_EFORMAT,
                        "%zu groups asked for, but only %zu have examples in the training part",
                        o->n_groups, n)
              : OB_OK);
    shuffle(order, n, o->seed, DRAWN_GROUPS);
    for (size_t i = 0; i < o->n_groups; i++)
        is_chosen[order[i]] = true;
    take_groups(out, pool, o->groups, is_chosen);
out:
    ob_free(order);
    ob_free(is_chosen);
    ob_free(count);
    return rc;
}

/* ---- labels that another file contradicts ---- */

static int how_many(size_t *n, size_t all, const struct ob_select_opts *o, struct ob_err *err)
{
    if (o->n && o->share > 0)
        return ob_fail(err, OB_EINVAL, "either a share of the mislabeled examples or a number");
    if (!(o->share >= 0 && o->share <= 1))
        return ob_fail(err, OB_EINVAL, "a share of %g; it lies between 0 and 1", o->share);
    *n = o->n ? o->n : o->share > 0 ? (size_t)floor(o->share * (double)all + 0.5) : all;
    if (*n > all || !*n)
        return ob_fail(err, OB_EFORMAT,
                       "%zu mislabeled examples asked for; in the training part there are %zu", *n,
                       all);
    return OB_OK;
}

int ob_select_mislabeled(struct ob_picked *out, const struct ob_data *d, const struct ob_ids *pool,
                         const struct ob_select_opts *o, struct ob_err *err)
{
    size_t n = 0, all = 0;

    if (!o->other_label)
        return ob_fail(err, OB_EINVAL, "there are no other labels to compare with");
    for (size_t i = 0; i < pool->n; i++) {
        int32_t other = o->other_label[pool->id[i]];

        if (other >= 0 && other != ob_data_label(d, OB_TRAIN, pool->id[i]))
            out->id[all++] = pool->id[i];
    }
    OB_TRY(how_many(&n, all, o, err));
    if (n < all)
        shuffle(out->id, all, o->seed, DRAWN_MISLABELED);
    out->n = n;
    return OB_OK;
}
