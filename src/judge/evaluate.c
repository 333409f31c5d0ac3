/*
 * evaluate.c - one model judged: accuracies, membership inference, closeness to retrained models.
 *
 * Every model answers for every example once; all numbers come from those answers.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/par.h"
#include "judge/judge.h"
#include "nn/model.h"

/* Everything that is known of one model. The sets are rows of the training part. */
struct judged {
    struct ob_answers train, val, test;
    double forget_accuracy, retain_accuracy, val_accuracy, test_accuracy;
    double mia;
    double *part_accuracy;
};

struct court {
    const struct ob_data *data;
    const struct ob_ids *train, *val, *test; /* val may be NULL */
    struct ob_rows forget, retain;           /* forget.n = 0: none is given */
    struct ob_rows *part;
    size_t n_parts;
    struct judged *judged; /* the model, then the retrained ones */
    size_t n_judged;
    struct ob_err *fault; /* of the attack on each */
};

/* ---- the sets ---- */

/* A retrained model must have been kept from the same validation part: another split would put
 * examples that it never saw into "retain". A model without a split is taken as it is. */
static int check_split(const struct court *c, const struct ob_model *m, size_t i,
                       struct ob_err *err)
{
    struct ob_split *s;
    int same;

    if (!ob_model_has_split(m))
        return OB_OK;
    OB_TRY(ob_model_split(&s, m, c->data, 0, 0, err));
    same = ob_ids_equal(ob_split_train(s), c->train);
    ob_split_free(s);
    if (!same)
        return ob_fail(err, OB_EFORMAT,
                       "retrained model %zu was trained with another split; only models that share "
                       "their validation part can be compared",
                       i + 1);
    return OB_OK;
}

static int find_retain(struct court *c, const struct ob_ids *forget, struct ob_err *err)
{
    struct ob_ids *retain = NULL;
    int rc;

    if (!forget)
        return ob_rows_make(&c->retain, c->train, c->train, "the training part", err);
    OB_TRY(ob_ids_check_forget(forget, c->train, NULL, err));
    OB_TRY(ob_rows_make(&c->forget, c->train, forget, "the forget set", err));
    OB_TRY(ob_ids_minus(&retain, c->train, forget, err));
    rc = ob_rows_make(&c->retain, c->train, retain, "the retain set", err);
    ob_ids_free(retain);
    return rc;
}

static int find_parts(struct court *c, const struct ob_ids *forget, const struct ob_eval_set *parts,
                      size_t n_parts, struct ob_err *err)
{
    if (!n_parts)
        return OB_OK;
    if (!forget)
        return ob_fail(err, OB_EINVAL, "parts of a forget set need the forget set");
    OB_TRY(ob_alloc(c->part, n_parts, err));
    c->n_parts = n_parts;
    for (size_t k = 0; k < n_parts; k++) {
        const struct ob_ids *s = parts[k].ids;

        if (!s->n)
            return ob_fail(err, OB_EFORMAT, "part '%s' holds no example", parts[k].name);
        for (size_t i = 0; i < s->n; i++)
            if (!ob_ids_has(forget, s->id[i]))
                return ob_fail(err, OB_EFORMAT, "example %u of part '%s' is not in the forget set",
                               (unsigned)s->id[i], parts[k].name);
        OB_TRY(ob_rows_make(&c->part[k], c->train, s, parts[k].name, err));
    }
    return OB_OK;
}

/* ---- one model ---- */

static int examine(struct court *c, struct judged *j, const struct ob_model *m, struct ob_err *err)
{
    OB_TRY(ob_answers_make(&j->train, m, c->data, OB_TRAIN, c->train, err));
    OB_TRY(ob_answers_make(&j->test, m, c->data, OB_TEST, c->test, err));
    if (c->val)
        OB_TRY(ob_answers_make(&j->val, m, c->data, OB_TRAIN, c->val, err));
    OB_TRY(ob_alloc(j->part_accuracy, c->n_parts, err));
    j->forget_accuracy = ob_accuracy(&j->train, &c->forget);
    j->retain_accuracy = ob_accuracy(&j->train, &c->retain);
    j->val_accuracy = ob_accuracy(&j->val, NULL);
    j->test_accuracy = ob_accuracy(&j->test, NULL);
    j->mia = NAN;
    for (size_t k = 0; k < c->n_parts; k++)
        j->part_accuracy[k] = ob_accuracy(&j->train, &c->part[k]);
    return OB_OK;
}

/* n = min(|R|, |T|) retained and test examples, the first ones in file order. */
static int attack(const struct court *c, struct judged *j, struct ob_err *err)
{
    size_t n = c->retain.n < j->test.n ? c->retain.n : j->test.n;
    double *member = NULL, *target = NULL;
    int rc;

    OB_GO(ob_alloc(member, n, err));
    OB_GO(ob_alloc(target, c->forget.n, err));
    for (size_t i = 0; i < n; i++)
        member[i] = j->train.confidence[c->retain.row[i]];
    for (size_t i = 0; i < c->forget.n; i++)
        target[i] = j->train.confidence[c->forget.row[i]];
    rc = ob_attack_svc(&j->mia, member, n, j->test.confidence, n, target, c->forget.n, err);
out:
    ob_free(member);
    ob_free(target);
    return rc;
}

static void attack_one(void *arg, size_t i, int worker)
{
    struct court *c = arg;

    (void)worker;
    attack(c, &c->judged[i], &c->fault[i]);
}

/* The attacks are independent of each other; each is one thread's work. */
static int attack_all(struct court *c, int n_threads, struct ob_err *err)
{
    if (!c->forget.n || !c->test->n)
        return OB_OK;
    OB_TRY(ob_alloc(c->fault, c->n_judged, err));
    ob_par_for(n_threads, c->n_judged, attack_one, c);
    for (size_t i = 0; i < c->n_judged; i++)
        if (c->fault[i].code)
            return ob_fail(err, c->fault[i].code, "%s", c->fault[i].msg);
    return OB_OK;
}

/* ---- two models ---- */

struct pair {
    double forget, retain, test, mia; /* gaps */
    double tow, tow_mia;
};

static struct pair compare(const struct judged *a, const struct judged *b)
{
    struct pair p = {
        .forget = fabs(a->forget_accuracy - b->forget_accuracy),
        .retain = fabs(a->retain_accuracy - b->retain_accuracy),
        .test = fabs(a->test_accuracy - b->test_accuracy),
        .mia = fabs(a->mia - b->mia),
    };

    p.tow = ob_tow(p.forget, p.retain, p.test);
    p.tow_mia = ob_tow(p.mia, p.retain, p.test);
    return p;
}

static int fill_against(struct ob_eval_against *out, const struct court *c, const struct judged *m,
                        const struct judged *r, struct ob_err *err)
{
    struct pair p = compare(m, r);

    *out = (struct ob_eval_against){
        .accuracy_forget = r->forget_accuracy,
        .accuracy_retain = r->retain_accuracy,
        .accuracy_val = r->val_accuracy,
        .accuracy_test = r->test_accuracy,
        .mia = r->mia,
        .gap_forget = p.forget,
        .gap_retain = p.retain,
        .gap_test = p.test,
        .gap_mia = p.mia,
        .tow = p.tow,
        .tow_mia = p.tow_mia,
        .tow_parts = NAN,
        .tow_worst = NAN,
        .disagree_forget = ob_disagreement(&m->train, &r->train, &c->forget),
        .disagree_retain = ob_disagreement(&m->train, &r->train, &c->retain),
        .disagree_test = ob_disagreement(&m->test, &r->test, NULL),
    };
    if (!c->n_parts)
        return OB_OK;
    OB_TRY(ob_alloc(out->part_accuracy, c->n_parts, err));
    OB_TRY(ob_alloc(out->part_gap, c->n_parts, err));
    for (size_t k = 0; k < c->n_parts; k++) {
        out->part_accuracy[k] = r->part_accuracy[k];
        out->part_gap[k] = fabs(m->part_accuracy[k] - r->part_accuracy[k]);
    }
    out->tow_parts = ob_tow_parts(out->part_gap, c->n_parts, p.retain, p.test);
    out->tow_worst = ob_tow_worst(out->part_gap, c->n_parts, p.retain, p.test);
    return OB_OK;
}

/* What two honest retrainings differ by: no method can be asked for less. */
static void fill_floor(struct ob_eval *e, const struct judged *r, size_t n)
{
    struct pair sum = { 0 };
    double pairs = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            struct pair p = compare(&r[i], &r[k]);

            pairs += 1;
            sum.forget += p.forget;
            sum.retain += p.retain;
            sum.test += p.test;
            sum.mia += p.mia;
            sum.tow += p.tow;
            sum.tow_mia += p.tow_mia;
        }
    /* 0 / 0 with fewer than two models: NaN, as promised */
    e->floor_gap_forget = sum.forget / pairs;
    e->floor_gap_retain = sum.retain / pairs;
    e->floor_gap_test = sum.test / pairs;
    e->floor_gap_mia = sum.mia / pairs;
    e->floor_tow = sum.tow / pairs;
    e->floor_tow_mia = sum.tow_mia / pairs;
}

/* ---- the whole ---- */

static void fill_means(struct ob_eval *e)
{
    double n = (double)e->n_against; /* 0 / 0 is NaN, as promised */

    e->tow = e->tow_mia = e->tow_parts = e->tow_worst = 0;
    for (size_t i = 0; i < e->n_against; i++) {
        e->tow += e->against[i].tow;
        e->tow_mia += e->against[i].tow_mia;
        e->tow_parts += e->against[i].tow_parts;
        e->tow_worst += e->against[i].tow_worst;
    }
    e->tow /= n;
    e->tow_mia /= n;
    e->tow_parts /= n;
    e->tow_worst /= n;
}

static void fill_model(struct ob_eval *e, const struct court *c)
{
    const struct judged *m = &c->judged[0];

    e->n_forget = c->forget.n;
    e->n_retain = c->retain.n;
    e->n_val = m->val.n;
    e->n_test = m->test.n;
    e->accuracy_forget = m->forget_accuracy;
    e->accuracy_retain = m->retain_accuracy;
    e->accuracy_val = m->val_accuracy;
    e->accuracy_test = m->test_accuracy;
    e->mia = m->mia;
}

static int fill(struct ob_eval *e, const struct court *c, const struct ob_eval_set *parts,
                struct ob_err *err)
{
    fill_model(e, c);
    OB_TRY(ob_alloc(e->parts, c->n_parts, err));
    e->n_parts = c->n_parts;
    for (size_t k = 0; k < c->n_parts; k++) {
        strncpy(e->parts[k].name, parts[k].name, sizeof(e->parts[k].name) - 1);
        e->parts[k].n = c->part[k].n;
        e->parts[k].accuracy = c->judged[0].part_accuracy[k];
    }
    OB_TRY(ob_alloc(e->against, c->n_judged - 1, err));
    e->n_against = c->n_judged - 1;
    for (size_t i = 0; i < e->n_against; i++)
        OB_TRY(fill_against(&e->against[i], c, &c->judged[0], &c->judged[i + 1], err));
    fill_means(e);
    fill_floor(e, c->judged + 1, e->n_against);
    return OB_OK;
}

static void court_release(struct court *c)
{
    for (size_t i = 0; i < c->n_judged; i++) {
        ob_answers_release(&c->judged[i].train);
        ob_answers_release(&c->judged[i].val);
        ob_answers_release(&c->judged[i].test);
        ob_free(c->judged[i].part_accuracy);
    }
    for (size_t k = 0; k < c->n_parts; k++)
        ob_rows_release(&c->part[k]);
    ob_rows_release(&c->forget);
    ob_rows_release(&c->retain);
    ob_free(c->part);
    ob_free(c->judged);
    ob_free(c->fault);
}

int ob_evaluate(struct ob_eval **out, const struct ob_model *m,
                const struct ob_model *const *against, size_t n_against, const struct ob_data *d,
                const struct ob_split *split, const struct ob_ids *forget,
                const struct ob_eval_set *parts, size_t n_parts, struct ob_err *err)
{
    struct court c = {
        .data = d,
        .train = split ? ob_split_train(split) : ob_data_ids(d, OB_TRAIN),
        .val = split ? ob_split_val(split) : NULL,
        .test = ob_data_ids(d, OB_TEST),
    };
    struct ob_eval *e = NULL;
    int rc;

    *out = NULL;
    OB_GO(find_retain(&c, forget, err));
    OB_GO(find_parts(&c, forget, parts, n_parts, err));
    for (size_t i = 0; i < n_against; i++)
        OB_GO(check_split(&c, against[i], i, err));
    OB_GO(ob_alloc(c.judged, n_against + 1, err));
    c.n_judged = n_against + 1;
    for (size_t i = 0; i < c.n_judged; i++) {
        rc = examine(&c, &c.judged[i], i ? against[i - 1] : m, err);
        if (rc && i)
            ob_err_prefix(err, "retrained model %zu: ", i);
        if (rc)
            goto out;
    }
    OB_GO(attack_all(&c, m->ctx->n_threads, err));
    OB_GO(ob_alloc(e, 1, err));
    OB_GO(fill(e, &c, parts, err));
    *out = e;
    e = NULL;
out:
    ob_eval_free(e);
    court_release(&c);
    return rc;
}

void ob_eval_free(struct ob_eval *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n_against; i++) {
        ob_free(e->against[i].part_accuracy);
        ob_free(e->against[i].part_gap);
    }
    ob_free(e->against);
    ob_free(e->parts);
    ob_free(e);
}
