/* u_evaluate.c - judging: identities, sums over parts, and every number counted again by hand. */
#include "common.h"

#include <math.h>

#include "base/mem.h"
#include "judge/judge.h"
#include "nn/model.h"

#define N_MODELS 3

struct room {
    struct ob_ctx *ctx;
    struct ob_data *d;
    struct ob_split *split;
    struct ob_model *m[N_MODELS];
    struct ob_ids *forget, *retain, *part[2];
};

static struct ob_ids *ids_from(const uint32_t *id, size_t n, size_t limit)
{
    struct ob_ids *s;

    assert_int_equal(ob_ids_new(&s, id, n, limit, NULL), OB_OK);
    return s;
}

static int room_open(void **state)
{
    struct room *r = calloc(1, sizeof(*r));
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    const struct ob_data_info *i;
    const uint32_t *train;

    o.n_threads = 2;
    must(ob_ctx_new(&r->ctx, &o, err));
    must(ob_data_open(&r->d, r->ctx, "synth:longtail,train=60,test=30,classes=3", err));
    must(ob_split_new(&r->split, r->d, 0.1, 1, err));
    i = ob_data_info(r->d);
    for (uint64_t k = 0; k < N_MODELS; k++) {
        must(ob_model_new(&r->m[k], r->ctx, "cnn,width=0.25", i->channels, i->height, i->width,
                          i->n_classes, k + 1, err));
        must(ob_model_set_normalize(r->m[k], NULL, r->d, err));
    }
    train = ob_ids_list(ob_split_train(r->split));
    r->part[0] = ids_from(train, 8, 60);
    r->part[1] = ids_from(train + 8, 19, 60);
    must(ob_ids_union(&r->forget, r->part[0], r->part[1], err));
    must(ob_ids_minus(&r->retain, ob_split_train(r->split), r->forget, err));
    *state = r;
    return 0;
}

static int room_close(void **state)
{
    struct room *r = *state;

    for (int k = 0; k < N_MODELS; k++)
        ob_model_free(r->m[k]);
    for (int k = 0; k < 2; k++)
        ob_ids_free(r->part[k]);
    ob_ids_free(r->forget);
    ob_ids_free(r->retain);
    ob_split_free(r->split);
    ob_data_free(r->d);
    ob_ctx_free(r->ctx);
    free(r);
    return 0;
}

/* Judges model 0 against n_against others, with both parts. */
static struct ob_eval *judge(struct room *r, const struct ob_model *const *against, size_t n)
{
    struct ob_eval_set set[2] = { { "low", r->part[0] }, { "high", r->part[1] } };
    struct ob_eval *e;

    must(ob_evaluate(&e, r->m[0], against, n, r->d, r->split, r->forget, set, 2, err));
    return e;
}

static void same(double a, double b)
{
    if (!(fabs(a - b) <= 1e-12))
        fail_msg("%.17g is not %.17g", a, b);
}

static void against_itself(void **state)
{
    struct room *r = *state;
    const struct ob_model *against[] = { r->m[0], r->m[0] };
    struct ob_eval *e = judge(r, against, 2);

    assert_int_equal(e->n_forget, 27);
    assert_int_equal(e->n_val, 6);
    assert_int_equal(e->n_retain, 27);
    assert_int_equal(e->n_test, 30);
    assert_int_equal(e->n_against, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct ob_eval_against *a = &e->against[i];

        same(a->tow, 1);
        same(a->tow_mia, 1);
        same(a->tow_parts, 1);
        same(a->tow_worst, 1);
        same(a->gap_forget + a->gap_retain + a->gap_test + a->gap_mia, 0);
        same(a->disagree_forget + a->disagree_retain + a->disagree_test, 0);
        same(a->accuracy_forget, e->accuracy_forget);
        same(a->accuracy_val, e->accuracy_val);
        same(a->mia, e->mia);
        same(a->part_gap[0] + a->part_gap[1], 0);
    }
    same(e->tow, 1);
    same(e->tow_mia, 1);
    same(e->tow_parts, 1);
    same(e->tow_worst, 1);
    same(e->floor_tow, 1);
    same(e->floor_tow_mia, 1);
    same(e->floor_gap_forget + e->floor_gap_retain + e->floor_gap_test + e->floor_gap_mia, 0);
    ob_eval_free(e);
}

static void parts_make_the_whole(void **state)
{
    struct room *r = *state;
    struct ob_eval *e = judge(r, NULL, 0);

    assert_int_equal(e->n_parts, 2);
    assert_string_equal(e->parts[0].name, "low");
    assert_string_equal(e->parts[1].name, "high");
    assert_int_equal(e->parts[0].n, 8);
    assert_int_equal(e->parts[1].n, 19);
    same((8 * e->parts[0].accuracy + 19 * e->parts[1].accuracy) / 27, e->accuracy_forget);
    assert_true(isnan(e->tow) && isnan(e->tow_mia) && isnan(e->tow_parts) && isnan(e->tow_worst));
    assert_true(isnan(e->floor_tow) && isnan(e->floor_gap_mia));
    assert_false(isnan(e->mia));
    ob_eval_free(e);
}

/* ---- counted again, plainly ---- */

static float *logits_of(struct room *r, int k, enum ob_part part, const struct ob_ids *ids)
{
    float *z = calloc(ob_ids_n(ids) * 3, sizeof(*z));

    must(ob_predict(z, NULL, r->m[k], r->d, part, ids, err));
    return z;
}

static int guess(const float *z)
{
    return z[1] > z[0] ? (z[2] > z[1] ? 2 : 1) : z[2] > z[0] ? 2 : 0;
}

static double accuracy(struct room *r, int k, enum ob_part part, const struct ob_ids *ids)
{
    float *z = logits_of(r, k, part, ids);
    size_t n = ob_ids_n(ids), right = 0;

    for (size_t i = 0; i < n; i++)
        right += guess(z + 3 * i) == ob_data_label(r->d, part, ob_ids_list(ids)[i]);
    free(z);
    return (double)right / (double)n;
}

static double disagree(struct room *r, int a, int b, enum ob_part part, const struct ob_ids *ids)
{
    float *x = logits_of(r, a, part, ids), *y = logits_of(r, b, part, ids);
    size_t n = ob_ids_n(ids), differ = 0;

    for (size_t i = 0; i < n; i++)
        differ += guess(x + 3 * i) != guess(y + 3 * i);
    free(x);
    free(y);
    return (double)differ / (double)n;
}

static double *confidences(struct room *r, int k, enum ob_part part, const struct ob_ids *ids)
{
    float *z = logits_of(r, k, part, ids);
    double *p = calloc(ob_ids_n(ids), sizeof(*p));

    for (size_t i = 0; i < ob_ids_n(ids); i++) {
        int y = ob_data_label(r->d, part, ob_ids_list(ids)[i]);
        double sum = 0;

        for (int c = 0; c < 3; c++)
            sum += exp((double)z[3 * i + (size_t)c] - z[3 * i + (size_t)y]);
        p[i] = 1 / sum;
    }
    free(z);
    return p;
}

/* All 27 retained examples against the first 27 of 30 test examples. */
static double mia(struct room *r, int k)
{
    double *in = confidences(r, k, OB_TRAIN, r->retain);
    double *out = confidences(r, k, OB_TEST, ob_data_ids(r->d, OB_TEST));
    double *target = confidences(r, k, OB_TRAIN, r->forget), share;

    must(ob_attack_svc(&share, in, 27, out, 27, target, 27, err));
    free(in);
    free(out);
    free(target);
    return share;
}

/* On the retain set: its confidences then differ from those of the forget set. */
static void train(struct room *r, int k, int epochs)
{
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;

    ob_recipe_default(&o.recipe, r->d, "cnn");
    o.recipe.epochs = epochs;
    o.recipe.lr = 0.05;
    o.recipe.batch = 16;
    o.seed = 1;
    must(ob_train(NULL, r->m[k], r->d, r->split, r->retain, &o, err));
}

static void counted_again(void **state)
{
    struct room *r = *state;
    const struct ob_model *against[] = { r->m[1], r->m[2] };
    const struct ob_ids *test = ob_data_ids(r->d, OB_TEST);
    struct ob_eval *e;
    double keep = 0, tow = 0, tow_mia = 0, tow_parts = 0, tow_worst = 0;

    train(r, 0, 12);
    e = judge(r, against, 2);
    same(e->accuracy_forget, accuracy(r, 0, OB_TRAIN, r->forget));
    same(e->accuracy_retain, accuracy(r, 0, OB_TRAIN, r->retain));
    same(e->accuracy_val, accuracy(r, 0, OB_TRAIN, ob_split_val(r->split)));
    same(e->accuracy_test, accuracy(r, 0, OB_TEST, test));
    same(e->mia, mia(r, 0));
    for (int k = 1; k <= 2; k++) {
        const struct ob_eval_against *a = &e->against[k - 1];
        double f = fabs(accuracy(r, k, OB_TRAIN, r->forget) - e->accuracy_forget);
        double t = fabs(accuracy(r, k, OB_TEST, test) - e->accuracy_test);
        double h = fabs(accuracy(r, k, OB_TRAIN, r->retain) - e->accuracy_retain);
        double low = fabs(accuracy(r, k, OB_TRAIN, r->part[0]) - e->parts[0].accuracy);
        double high = fabs(accuracy(r, k, OB_TRAIN, r->part[1]) - e->parts[1].accuracy);

        same(a->gap_forget, f);
        same(a->gap_retain, h);
        same(a->gap_test, t);
        same(a->mia, mia(r, k));
        same(a->gap_mia, fabs(mia(r, k) - e->mia));
        same(a->part_gap[0], low);
        same(a->part_gap[1], high);
        same(a->part_accuracy[1], accuracy(r, k, OB_TRAIN, r->part[1]));
        keep = (1 - h) * (1 - t);
        same(a->tow, (1 - f) * keep);
        same(a->tow_mia, (1 - a->gap_mia) * keep);
        same(a->tow_parts, (1 - (low + high) / 2) * keep);
        same(a->tow_worst, (1 - fmax(low, high)) * keep);
        same(a->disagree_forget, disagree(r, 0, k, OB_TRAIN, r->forget));
        same(a->disagree_retain, disagree(r, 0, k, OB_TRAIN, r->retain));
        same(a->disagree_test, disagree(r, 0, k, OB_TEST, test));
        tow += a->tow / 2;
        tow_mia += a->tow_mia / 2;
        tow_parts += a->tow_parts / 2;
        tow_worst += a->tow_worst / 2;
    }
    assert_true(keep < 1); /* or nothing was tested */
    same(e->tow, tow);
    same(e->tow_mia, tow_mia);
    same(e->tow_parts, tow_parts);
    same(e->tow_worst, tow_worst);
    ob_eval_free(e);
}

/* The floor of R1, R2, M is the mean over their three pairs. */
static void floor_over_pairs(void **state)
{
    struct room *r = *state;
    const struct ob_model *all[] = { r->m[0], r->m[1], r->m[2] }, *rest[] = { r->m[1], r->m[2] };
    struct ob_eval *three = judge(r, all, 3), *two = judge(r, rest, 2);

    same(three->floor_tow, (two->against[0].tow + two->against[1].tow + two->floor_tow) / 3);
    same(three->floor_tow_mia,
         (two->against[0].tow_mia + two->against[1].tow_mia + two->floor_tow_mia) / 3);
    same(three->floor_gap_forget,
         (two->against[0].gap_forget + two->against[1].gap_forget + two->floor_gap_forget) / 3);
    same(three->floor_gap_retain,
         (two->against[0].gap_retain + two->against[1].gap_retain + two->floor_gap_retain) / 3);
    same(three->floor_gap_test,
         (two->against[0].gap_test + two->against[1].gap_test + two->floor_gap_test) / 3);
    same(three->floor_gap_mia,
         (two->against[0].gap_mia + two->against[1].gap_mia + two->floor_gap_mia) / 3);
    assert_true(two->floor_tow < 1);
    ob_eval_free(three);
    ob_eval_free(two);
}

static void accuracies_only(void **state)
{
    struct room *r = *state;
    const struct ob_model *against[] = { r->m[1] };
    struct ob_eval *e;

    must(ob_evaluate(&e, r->m[0], against, 1, r->d, NULL, NULL, NULL, 0, err));
    assert_int_equal(e->n_forget, 0);
    assert_int_equal(e->n_retain, 60);
    assert_int_equal(e->n_val, 0);
    assert_true(isnan(e->accuracy_forget) && isnan(e->accuracy_val) && isnan(e->mia));
    assert_true(isnan(e->tow) && isnan(e->against[0].tow_parts));
    assert_true(isnan(e->against[0].gap_forget) && isnan(e->against[0].disagree_forget));
    same(e->accuracy_retain, accuracy(r, 0, OB_TRAIN, ob_data_ids(r->d, OB_TRAIN)));
    assert_false(isnan(e->against[0].gap_retain));
    ob_eval_free(e);
}

static void refuse(struct room *r, const struct ob_model *against, const struct ob_ids *forget,
                   const struct ob_ids *part, int code)
{
    struct ob_eval_set set = { "part", part };
    struct ob_err err = { 0 };
    struct ob_eval *e;

    assert_int_equal(ob_evaluate(&e, r->m[0], &against, against != NULL, r->d, r->split, forget,
                                 &set, part != NULL, &err),
                     code);
    assert_null(e);
    assert_true(err.msg[0] != 0);
}

static void refusals(void **state)
{
    struct room *r = *state;
    const struct ob_data_info *i = ob_data_info(r->d);
    const uint32_t *val = ob_ids_list(ob_split_val(r->split));
    struct ob_ids *outside = ids_from(val, 1, 60);
    struct ob_model *wide;

    refuse(r, NULL, ob_split_train(r->split), NULL, OB_EFORMAT); /* nothing retained */
    refuse(r, NULL, outside, NULL, OB_EFORMAT);                  /* a validation example */
    refuse(r, NULL, r->part[0], r->part[1], OB_EFORMAT);         /* a part of something else */
    refuse(r, NULL, NULL, r->part[1], OB_EINVAL);
    must(ob_model_new(&wide, r->ctx, "mlp,width=0.1", i->channels, i->height, i->width, 4, 1, err));
    refuse(r, wide, r->forget, NULL, OB_EFORMAT); /* four classes */
    ob_model_free(wide);
    ob_ids_free(outside);
}

/* Wherever memory runs out: that status, no result, nothing lost (the sanitizer watches). */
static void out_of_memory(void **state)
{
    struct room *r = *state;
    struct ob_eval_set set = { "low", r->part[0] };
    const struct ob_model *against = r->m[1];
    int rc = OB_ENOMEM;
    size_t n;

    for (n = 1; rc && n < 5000; n += 1 + n / 16) { /* every early one, and a sample of the rest */
        struct ob_eval *e;

        obi_mem_fail_at(n);
        rc = ob_evaluate(&e, r->m[0], &against, 1, r->d, r->split, r->forget, &set, 1, NULL);
        obi_mem_fail_at(0);
        assert_true(rc == OB_OK || rc == OB_ENOMEM);
        assert_true((rc == OB_OK) == (e != NULL));
        ob_eval_free(e);
    }
    assert_int_equal(rc, OB_OK);
    assert_true(n > 20);
}

/* A retrained model that kept other validation examples away cannot be compared. */
static void another_split(void **state)
{
    struct room *r = *state;
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;
    struct ob_split *other;
    struct ob_eval *e;
    const struct ob_model *against = r->m[2];

    ob_recipe_default(&o.recipe, r->d, "cnn");
    o.recipe.epochs = 1;
    o.seed = 1;
    must(ob_split_new(&other, r->d, 0.1, 2, err));
    must(ob_train(NULL, r->m[1], r->d, other, ob_split_train(other), &o, err));
    refuse(r, r->m[1], r->forget, NULL, OB_EFORMAT);
    ob_split_free(other);
    train(r, 2, 1);
    must(ob_evaluate(&e, r->m[0], &against, 1, r->d, r->split, r->forget, NULL, 0, err));
    ob_eval_free(e);
}

#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_open, room_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(against_itself),   IN_ROOM(parts_make_the_whole), IN_ROOM(counted_again),
        IN_ROOM(floor_over_pairs), IN_ROOM(accuracies_only),      IN_ROOM(refusals),
        IN_ROOM(another_split),    IN_ROOM(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
