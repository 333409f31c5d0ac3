/*
 * refine.c - cuts a forget set into parts by score and gives each its method.
 *
 * Ranks by score, ascending, ties to the lower id. Equal parts differ by one example at most, the
 * lowest-scored ones being larger; or cuts at given scores, a score equal to a cut going up.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "unlearn/plan.h"

struct ranked {
    uint32_t id;
    float score;
};

struct refining {
    struct ob_ctx *ctx; /* for the log */
    const struct ob_refine_opts *o;
    size_t n_parts;
    struct ranked *rank;
    size_t n;
    size_t *end;   /* by part: rank behind its last */
    char **method; /* n_parts or 1 */
    size_t n_methods;
};

/* ---- what was asked for ---- */

static int count_parts(struct refining *r, struct ob_err *err)
{
    const struct ob_refine_opts *o = r->o;
    size_t by_cuts = o->n_cuts + 1;

    if (o->n_parts < 0 || o->n_parts > OB_PLAN_STEPS || by_cuts > OB_PLAN_STEPS)
        return ob_fail(err, OB_EINVAL, "there may be 1 to %d parts", OB_PLAN_STEPS);
    if (o->cuts && o->random)
        return ob_fail(err, OB_EINVAL, "random parts have no cuts");
    if (o->cuts && o->n_parts && by_cuts != (size_t)o->n_parts)
        return ob_fail(err, OB_EINVAL, "%zu cuts make %zu parts, not %d", o->n_cuts, by_cuts,
                       o->n_parts);
    for (size_t i = 0; o->cuts && i < o->n_cuts; i++)
        if (!isfinite(o->cuts[i]) || (i && o->cuts[i] <= o->cuts[i - 1]))
            return ob_fail(err, OB_EINVAL, "cut %zu (%g) is not a number above the one before",
                           i + 1, o->cuts[i]);
    r->n_parts = o->cuts ? by_cuts : o->n_parts ? (size_t)o->n_parts : 3;
    return OB_OK;
}

/* Whether the piece after a comma belongs to a schedule: "step:60,120,x0.2". */
static bool goes_on(const char *piece)
{
    return (*piece >= '0' && *piece <= '9') ||
           (*piece == 'x' && strchr(".0123456789", piece[1]) && piece[1]);
}

static const char *method_end(const char *p)
{
    while ((p = strchr(p, ',')) && goes_on(p + 1))
        p++;
    return p;
}

static int split_methods(struct refining *r, struct ob_err *err)
{
    const char *p = r->o->methods ? r->o->methods : "none,finetune,salun", *end;

    OB_TRY(ob_alloc(r->method, OB_PLAN_STEPS, err));
    do {
        end = method_end(p);
        if (r->n_methods == OB_PLAN_STEPS)
            return ob_fail(err, OB_EINVAL, "more than %d methods", OB_PLAN_STEPS);
        OB_TRY(ob_strdup(&r->method[r->n_methods], p, err));
        if (end)
            r->method[r->n_methods][end - p] = 0;
        r->n_methods++;
        p = end ? end + 1 : p;
    } while (end);
    if (r->n_methods == 1 || r->n_methods == r->n_parts)
        return OB_OK;
    if (!r->o->methods)
        return ob_fail(err, OB_EINVAL,
                       "the usual methods are for 3 parts, these are %zu: name one method, or one "
                       "for each part",
                       r->n_parts);
    return ob_fail(err, OB_EINVAL, "%zu methods for %zu parts: name one, or one for each part",
                   r->n_methods, r->n_parts);
}

static int check_methods(const struct refining *r, struct ob_err *err)
{
    for (size_t i = 0; i < r->n_methods; i++) {
        struct ob_plan_step s = { 0 };

        OB_TRY(obi_plan_set_method(&s, r->method[i], err));
    }
    return OB_OK;
}

/* ---- ranking and cutting ---- */

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int rank(struct refining *r, const struct ob_data *d, const struct ob_ids *forget,
                const struct ob_scores *scores, struct ob_err *err)
{
    const float *value = ob_scores_value(scores);

    OB_TRY(ob_scores_check(scores, d, err));
    if (ob_scores_info(scores)->n != forget->limit)
        return ob_fail(err, OB_EFORMAT, "there are %zu scores, but %zu training examples",
                       ob_scores_info(scores)->n, forget->limit);
    for (size_t i = 0; i < forget->n; i++) {
        r->rank[i] = (struct ranked){ .id = forget->id[i], .score = value[forget->id[i]] };
        if (isnan(r->rank[i].score))
            return ob_fail(err, OB_EFORMAT, "id %u, which is to be forgotten, has no score",
                           forget->id[i]);
    }
    qsort(r->rank, r->n, sizeof(*r->rank), by_score);
    return OB_OK;
}

static int rank_at_random(struct refining *r, const struct ob_ids *forget, struct ob_err *err)
{
    struct ob_rng rng = ob_rng(r->o->seed, OB_RNG_PARTS, 0, 0);
    uint32_t *id;

    OB_TRY(ob_alloc(id, forget->n, err));
    memcpy(id, forget->id, forget->n * sizeof(*id));
    ob_rng_shuffle(&rng, id, forget->n);
    for (size_t i = 0; i < forget->n; i++)
        r->rank[i] = (struct ranked){ .id = id[i] };
    ob_free(id);
    return OB_OK;
}

static void cut_at_scores(struct refining *r)
{
    size_t at = 0;

    for (size_t i = 0; i < r->n_parts; i++) {
        while (at < r->n && (i == r->n_parts - 1 || r->rank[at].score < (float)r->o->cuts[i]))
            at++;
        r->end[i] = at;
    }
}

static int cut_equal(struct refining *r, struct ob_err *err)
{
    size_t each = r->n / r->n_parts, more = r->n % r->n_parts, at = 0;

    if (!each)
        return ob_fail(err, OB_EFORMAT, "%zu parts of %zu examples", r->n_parts, r->n);
    for (size_t i = 0; i < r->n_parts; i++) {
        at += each + (i < more);
        r->end[i] = at;
    }
    return OB_OK;
}

/* ---- the plan ---- */

static void name_part(const struct refining *r, size_t part, char name[32])
{
    static const char *const three[] = { "low", "medium", "high" };

    if (r->o->random)
        snprintf(name, 32, "random%zu", part + 1);
    else if (r->n_parts == 3)
        snprintf(name, 32, "%s", three[part]);
    else
        snprintf(name, 32, "part%zu", part + 1);
}

static int fill_step(struct ob_plan_step *s, const struct refining *r, size_t part, size_t limit,
                     struct ob_err *err)
{
    size_t start = part ? r->end[part - 1] : 0, n = r->end[part] - start;
    uint32_t *id;
    int rc;

    name_part(r, part, s->name);
    OB_TRY(obi_plan_set_method(s, r->method[r->n_methods == 1 ? 0 : part], err));
    OB_TRY(ob_alloc(id, n, err));
    for (size_t i = 0; i < n; i++)
        id[i] = r->rank[start + i].id;
    rc = ob_ids_new(&s->forget, id, n, limit, err);
    ob_free(id);
    return rc;
}

static bool is_empty(const struct refining *r, size_t part)
{
    return r->end[part] == (part ? r->end[part - 1] : 0);
}

static int make_plan(struct ob_plan **out, const struct refining *r, const struct ob_data *d,
                     const struct ob_model *model, const struct ob_ids *train, struct ob_err *err)
{
    size_t n = 0, step = 0;

    for (size_t i = 0; i < r->n_parts; i++)
        n += !is_empty(r, i);
    OB_TRY(obi_plan_new(out, n, d, model, err));
    for (size_t k = 0; k < r->n_parts; k++) {
        size_t part = r->o->high_to_low ? r->n_parts - 1 - k : k;
        char name[32];

        if (!is_empty(r, part)) {
            OB_TRY(fill_step(&(*out)->step[step++], r, part, train->limit, err));
            continue;
        }
        name_part(r, part, name);
        ob_log(r->ctx, OB_LOG_WARN, "part '%s' is empty: it is left out, and '%s' with it", name,
               r->method[r->n_methods == 1 ? 0 : part]);
    }
    return obi_plan_close(*out, train, err);
}

static void release(struct refining *r)
{
    for (size_t i = 0; i < r->n_methods; i++)
        ob_free(r->method[i]);
    ob_free(r->method);
    ob_free(r->rank);
    ob_free(r->end);
}

int ob_refine(struct ob_plan **out, const struct ob_data *d, const struct ob_model *model,
              const struct ob_ids *train, const struct ob_ids *forget,
              const struct ob_scores *scores, const struct ob_refine_opts *o, struct ob_err *err)
{
    struct refining r = { .ctx = d->ctx, .o = o, .n = forget->n };
    int rc;

    *out = NULL;
    if (!scores && !o->random)
        return ob_fail(err, OB_EINVAL, "there are no scores to cut by");
    OB_TRY(count_parts(&r, err));
    OB_GO(split_methods(&r, err));
    OB_GO(check_methods(&r, err));
    OB_GO(ob_ids_check_forget(forget, train, NULL, err));
    OB_GO(ob_alloc(r.rank, r.n, err));
    OB_GO(ob_alloc(r.end, r.n_parts, err));
    OB_GO(o->random ? rank_at_random(&r, forget, err) : rank(&r, d, forget, scores, err));
    if (o->cuts)
        cut_at_scores(&r);
    else
        OB_GO(cut_equal(&r, err));
    rc = make_plan(out, &r, d, model, train, err);
    if (rc) {
        ob_plan_free(*out);
        *out = NULL;
    }
out:
    release(&r);
    return rc;
}
