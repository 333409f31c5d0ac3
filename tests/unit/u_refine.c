/* u_refine.c - a forget set cut by score: ties, remainders, cuts, names, order, methods. */
#include "common.h"

#include <math.h>

#include "base/mem.h"
#include "score/score.h"
#include "unlearn/plan.h"

#define N 20

struct room {
    struct ob_ctx ctx;
    struct ob_data d;
    struct ob_ids *train, *forget;
    struct ob_scores *s;
    char warning[300];
    int n_warnings;
};

static void hear(void *arg, int level, const char *line)
{
    struct room *r = arg;

    r->n_warnings += level == OB_LOG_WARN;
    snprintf(r->warning, sizeof(r->warning), "%s", line);
}

/* Forgets 2..9 (8 examples) of 0..19. Scores: 4 and 6 tie at the low end, 3 and 9 at the top. */
static void room_open(struct room *r)
{
    static const float score[] = { .5f, .9f, .1f, .6f, .1f, .4f, .3f, .9f };
    uint32_t id[N];

    memset(r, 0, sizeof(*r));
    r->ctx.opts.log = hear;
    r->ctx.opts.arg = r;
    r->d.ctx = &r->ctx;
    snprintf(r->d.info.hash, sizeof(r->d.info.hash), "abc");
    r->d.info.n_file[OB_TRAIN] = N;
    for (uint32_t i = 0; i < N; i++)
        id[i] = i;
    must(ob_ids_new(&r->train, id, N, N, err));
    must(ob_ids_new(&r->forget, id + 2, 8, N, err));
    must(ob_scores_new(&r->s, "confidence", "file", N, err));
    for (int i = 0; i < 8; i++)
        r->s->value[2 + i] = score[i];
    ob_scores_count(r->s);
}

static void room_close(struct room *r)
{
    ob_ids_free(r->train);
    ob_ids_free(r->forget);
    ob_scores_free(r->s);
}

static struct ob_plan *refine(struct room *r, const struct ob_refine_opts *o)
{
    struct ob_plan *p;

    must(ob_refine(&p, &r->d, NULL, r->train, r->forget, r->s, o, err));
    return p;
}

/* Step i of the plan: "low none 4,6,5 17" = name, method, forget set, size of retain. */
static void step_is(const struct ob_plan *p, size_t i, const char *wanted)
{
    struct ob_method_info info;
    struct ob_step s;
    char text[300];
    int n;

    ob_plan_step(p, i, &s);
    ob_method_info(s.method, &info);
    n = snprintf(text, sizeof(text), "%s %s%s%s ", s.name, info.name, *s.settings ? ":" : "",
                 s.settings);
    for (size_t k = 0; k < ob_ids_n(s.forget); k++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%u", k ? "," : "",
                      ob_ids_list(s.forget)[k]);
    snprintf(text + n, sizeof(text) - (size_t)n, " %zu", ob_ids_n(s.retain));
    assert_string_equal(text, wanted);
}

static void test_thirds(void **state)
{
    struct ob_refine_opts o = { .size = sizeof(o) };
    struct room r;
    struct ob_plan *p;

    (void)state;
    room_open(&r);
    p = refine(&r, &o);
    assert_int_equal(ob_plan_n(p), 3);
    step_is(p, 0, "low none 4,6,8 17"); /* .1 .1 .3: the remainder goes to the low parts */
    step_is(p, 1, "medium finetune 2,5,7 14");
    step_is(p, 2, "high salun 3,9 12");
    assert_string_equal(ob_plan_data(p), "abc");
    assert_true(ob_ids_equal(ob_plan_forget(p), r.forget));
    ob_plan_free(p);
    o.high_to_low = 1; /* another order, the same methods */
    p = refine(&r, &o);
    step_is(p, 0, "high salun 3,9 18");
    step_is(p, 1, "medium finetune 2,5,7 15");
    step_is(p, 2, "low none 4,6,8 12");
    ob_plan_free(p);
    room_close(&r);
}

static void test_other_numbers(void **state)
{
    struct ob_refine_opts o = { .size = sizeof(o), .n_parts = 5, .methods = "finetune:lr=0.05" };
    struct room r;
    struct ob_plan *p;

    (void)state;
    room_open(&r);
    p = refine(&r, &o);
    assert_int_equal(ob_plan_n(p), 5);
    step_is(p, 0, "part1 finetune:lr=0.05 4,6 18"); /* the tie is cut at the lower id */
    step_is(p, 1, "part2 finetune:lr=0.05 7,8 16");
    step_is(p, 2, "part3 finetune:lr=0.05 2,5 14");
    step_is(p, 3, "part4 finetune:lr=0.05 3 13"); /* ties at the top as well */
    step_is(p, 4, "part5 finetune:lr=0.05 9 12");
    ob_plan_free(p);
    o.n_parts = 2;
    o.methods = "retrain:schedule=step:60,120,x0.2:epochs=3,none";
    p = refine(&r, &o);
    step_is(p, 0, "part1 retrain:schedule=step:60,120,x0.2:epochs=3 4,6,7,8 16");
    step_is(p, 1, "part2 none 2,3,5,9 12");
    ob_plan_free(p);
    room_close(&r);
}

static void test_cuts(void **state)
{
    static const double two[] = { .3, .9 }, empty[] = { 0.05, .6 };
    struct ob_refine_opts o = { .size = sizeof(o), .cuts = two, .n_cuts = 2 };
    struct room r;
    struct ob_plan *p;

    (void)state;
    room_open(&r);
    p = refine(&r, &o);
    step_is(p, 0, "low none 4,6 18");
    step_is(p, 1, "medium finetune 2,5,7,8 14"); /* .3 equals the cut and goes up */
    step_is(p, 2, "high salun 3,9 12");          /* so does .9, as the float that it is */
    ob_plan_free(p);
    assert_int_equal(r.n_warnings, 0);
    o.cuts = empty;
    p = refine(&r, &o);
    assert_int_equal(ob_plan_n(p), 2);
    step_is(p, 0, "medium finetune 2,4,6,7,8 15");
    step_is(p, 1, "high salun 3,5,9 12");
    ob_plan_free(p);
    assert_int_equal(r.n_warnings, 1);
    assert_non_null(strstr(r.warning, "'low' is empty"));
    assert_non_null(strstr(r.warning, "'none'"));
    room_close(&r);
}

static void refused(struct room *r, const struct ob_refine_opts *o, int status, const char *word)
{
    struct ob_plan *p = (void *)1;

    must_fail(ob_refine(&p, &r->d, NULL, r->train, r->forget, r->s, o, err), status, word);
    assert_null(p);
}

/* Cells: what a cut of the one and a cut of the other have in common. */
static void test_cells(void **state)
{
    static const float other[] = { 8, 1, 2, 3, 4, 5, 6, 7 }; /* of 2..9 */
    static const double cut[] = { .3 };
    struct ob_refine_opts o = {
        .size = sizeof(o), .n_parts = 2, .n_parts_2 = 3, .methods = "finetune"
    };
    struct room r;
    struct ob_scores *second;
    struct ob_plan *p;

    (void)state;
    room_open(&r);
    must(ob_scores_new(&second, "margin", "file", N, err));
    for (int i = 0; i < 8; i++)
        second->value[2 + i] = other[i];
    o.scores_2 = second;
    p = refine(&r, &o); /* 4 6 8 7 | 2 5 3 9, and 3 4 5 | 6 7 8 | 9 2 */
    assert_int_equal(ob_plan_n(p), 4);
    step_is(p, 0, "part1-low finetune 4 19");
    step_is(p, 1, "part1-medium finetune 6,7,8 16");
    step_is(p, 2, "part2-low finetune 3,5 14");
    step_is(p, 3, "part2-high finetune 2,9 12");
    assert_int_equal(r.n_warnings, 2);
    assert_non_null(strstr(r.warning, "'part2-medium' is empty"));
    ob_plan_free(p);
    o.n_parts = 0;
    o.cuts = cut;
    o.n_cuts = 1;
    o.n_parts_2 = 2;
    o.high_to_low = 1;
    o.methods = "none,finetune,salun,neggrad"; /* from the lowest cell up */
    p = refine(&r, &o);                        /* 4 6 | 2 3 5 7 8 9, and 3 4 5 6 | 7 8 9 2 */
    step_is(p, 0, "part2-part2 neggrad 2,7,8,9 16");
    step_is(p, 1, "part2-part1 salun 3,5 14");
    step_is(p, 2, "part1-part1 none 4,6 12");
    ob_plan_free(p);
    o.by = "class";
    refused(&r, &o, OB_EINVAL, "takes no second one");
    o.by = "cells";
    o.scores_2 = NULL;
    refused(&r, &o, OB_EINVAL, "takes no second one");
    o.by = NULL;
    o.scores_2 = second;
    o.n_parts_2 = 200;
    refused(&r, &o, OB_EINVAL, "1 to 256 parts, not 400");
    o.n_parts_2 = 2;
    second->value[5] = NAN;
    refused(&r, &o, OB_EFORMAT, "id 5");
    ob_scores_free(second);
    room_close(&r);
}

static void test_classes(void **state)
{
    static const int32_t label[N] = { 0, 0, 2, 1, 2, 1, 2, 1, 1, 4 };
    static char names[5][32] = { "zero", "one", "two", "three", "a name of thirty-one characters" };
    struct ob_refine_opts o = { .size = sizeof(o), .by = "class" };
    struct room r;
    struct ob_plan *p;

    (void)state;
    room_open(&r);
    r.d.info.n_classes = 5;
    r.d.class_name = names;
    r.d.ex[OB_TRAIN].label = (int32_t *)label;
    must(ob_refine(&p, &r.d, NULL, r.train, r.forget, NULL, &o, err));
    step_is(p, 0, "one none 3,5,7,8 16");
    step_is(p, 1, "two finetune 2,4,6 13");
    step_is(p, 2, "a name of thirty-one characters salun 9 12");
    ob_plan_free(p);
    o.n_parts = 2;
    refused(&r, &o, OB_EINVAL, "as many parts as classes");
    o = (struct ob_refine_opts){ .by = "size" };
    refused(&r, &o, OB_EINVAL, "no parts by 'size'");
    o = (struct ob_refine_opts){ .by = "clusters" };
    refused(&r, &o, OB_EINVAL, "a model is needed");
    room_close(&r);
}

static void test_random(void **state)
{
    struct ob_refine_opts o = { .size = sizeof(o), .random = 1, .seed = 3 };
    struct ob_plan *a, *b, *c;
    struct room r;

    (void)state;
    room_open(&r);
    must(ob_refine(&a, &r.d, NULL, r.train, r.forget, NULL, &o, err));
    must(ob_refine(&b, &r.d, NULL, r.train, r.forget, NULL, &o, err));
    o.seed = 4;
    must(ob_refine(&c, &r.d, NULL, r.train, r.forget, NULL, &o, err));
    assert_string_equal(a->step[0].name, "random1");
    assert_string_equal(a->step[2].name, "random3");
    assert_int_equal(a->step[0].forget->n, 3);
    assert_int_equal(a->step[2].forget->n, 2);
    assert_true(ob_ids_equal(a->step[0].forget, b->step[0].forget));
    assert_true(ob_ids_equal(a->step[1].forget, b->step[1].forget));
    assert_false(ob_ids_equal(a->step[0].forget, c->step[0].forget) &&
                 ob_ids_equal(a->step[1].forget, c->step[1].forget));
    assert_true(ob_ids_equal(c->forget, r.forget));
    ob_plan_free(a);
    ob_plan_free(b);
    ob_plan_free(c);
    room_close(&r);
}

/* Raw scores, and those of other data, would cut in a way that nobody meant. */
static void test_warned(void **state)
{
    struct ob_refine_opts o = { .size = sizeof(o) };
    struct room r;

    (void)state;
    room_open(&r);
    must(ob_strdup(&r.s->origin, "{\"data\": \"abc\"}", err));
    ob_plan_free(refine(&r, &o));
    assert_int_equal(r.n_warnings, 0);
    r.s->info.raw = 1;
    ob_plan_free(refine(&r, &o));
    assert_int_equal(r.n_warnings, 1);
    assert_non_null(strstr(r.warning, "raw"));
    r.s->info.raw = 0;
    r.d.info.hash[0] = 'x';
    ob_plan_free(refine(&r, &o));
    assert_int_equal(r.n_warnings, 2);
    assert_non_null(strstr(r.warning, "other data"));
    room_close(&r);
}

static void test_refused(void **state)
{
    static const double down[] = { .6, .3 }, nan_cut[] = { NAN };
    struct ob_refine_opts o = { .size = sizeof(o) }, x;
    struct ob_scores *all;
    struct room r;

    (void)state;
    room_open(&r);
    all = r.s;
    x = (struct ob_refine_opts){ .n_parts = 2 };
    refused(&r, &x, OB_EINVAL, "for 3 parts");
    x.methods = "none,none,none";
    refused(&r, &x, OB_EINVAL, "3 methods for 2 parts");
    x.methods = "none,nonee";
    refused(&r, &x, OB_EINVAL, "did you mean 'none'");
    x.methods = "none,";
    refused(&r, &x, OB_EINVAL, "there is no method ''");
    x.methods = "none,finetune:lr=0";
    refused(&r, &x, OB_EINVAL, "lr is '0'");
    x = (struct ob_refine_opts){ .n_parts = 9, .methods = "none" };
    refused(&r, &x, OB_EFORMAT, "9 parts of 8 examples");
    x = (struct ob_refine_opts){ .cuts = down, .n_cuts = 2 };
    refused(&r, &x, OB_EINVAL, "cut 2");
    x = (struct ob_refine_opts){ .cuts = nan_cut, .n_cuts = 1, .methods = "none" };
    refused(&r, &x, OB_EINVAL, "cut 1");
    x = (struct ob_refine_opts){ .cuts = down, .n_cuts = 1, .n_parts = 3 };
    refused(&r, &x, OB_EINVAL, "1 cuts make 2 parts, not 3");
    x = (struct ob_refine_opts){ .cuts = down, .n_cuts = 1, .random = 1 };
    refused(&r, &x, OB_EINVAL, "no cuts");
    x = (struct ob_refine_opts){ .n_parts = -1 };
    refused(&r, &x, OB_EINVAL, "parts");
    r.s = NULL;
    refused(&r, &o, OB_EINVAL, "no scores");
    r.s = all;
    r.s->value[7] = NAN;
    refused(&r, &o, OB_EFORMAT, "id 7");
    r.s->info.n = N - 1;
    refused(&r, &o, OB_EFORMAT, "19 examples");
    room_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thirds),  cmocka_unit_test(test_other_numbers),
        cmocka_unit_test(test_cuts),    cmocka_unit_test(test_random),
        cmocka_unit_test(test_cells),   cmocka_unit_test(test_classes),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_warned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
