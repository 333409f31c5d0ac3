/* u_select.c - every rule of selection, with ties, holes and refusals. */
#include "common.h"

#include <math.h>
#include <unistd.h>

#include "base/mem.h"
#include "score/score.h"

#define N 12
#define NO NAN

/*                             0    1    2    3   4    5    6    7    8   9   10   11 */
static const float tied[N] = { .1f, .9f, .1f, NO, .5f, .5f, .1f, .9f, 0, .7f, NO, .4f };

struct room {
    struct ob_ctx ctx;
    struct ob_data d;
    int32_t label[N];
    struct ob_ids *pool;
    struct ob_scores *s;
    int warnings;
};

static void hear(void *arg, int level, const char *line)
{
    struct room *r = arg;

    (void)line;
    r->warnings += level == OB_LOG_WARN;
}

/* Training file of N examples of three classes; the pool is all but example 8. */
static void room_open(struct room *r, const char *kind, const float *value)
{
    uint32_t id[N];
    size_t n = 0;

    memset(r, 0, sizeof(*r));
    r->ctx.opts.log = hear;
    r->ctx.opts.arg = r;
    r->d.ctx = &r->ctx;
    r->d.info.n_file[OB_TRAIN] = r->d.info.n[OB_TRAIN] = N;
    r->d.info.n_classes = 4;
    r->d.ex[OB_TRAIN].n = N;
    r->d.ex[OB_TRAIN].label = r->label;
    for (uint32_t i = 0; i < N; i++) {
        r->label[i] = (int32_t)(i % 3);
        if (i != 8)
            id[n++] = i;
    }
    assert_int_equal(ob_ids_new(&r->pool, id, n, N, NULL), OB_OK);
    assert_int_equal(ob_scores_new(&r->s, kind, "file", N, NULL), OB_OK);
    memcpy(r->s->value, value, N * sizeof(float));
    ob_scores_count(r->s);
}

static void room_close(struct room *r)
{
    ob_ids_free(r->pool);
    ob_scores_free(r->s);
}

static struct ob_select_opts ask(struct room *r, const char *rule, size_t n)
{
    return (struct ob_select_opts){ .size = sizeof(struct ob_select_opts),
                                    .rule = rule,
                                    .n = n,
                                    .scores = r->s,
                                    .center = NAN,
                                    .seed = 1 };
}

static void expect(struct room *r, const struct ob_select_opts *o, size_t n, const uint32_t *id)
{
    struct ob_ids *got;
    struct ob_err err = { 0 };

    if (ob_select(&got, &r->d, r->pool, o, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(ob_ids_n(got), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ob_ids_list(got)[i], id[i]);
    ob_ids_free(got);
}

static void refuse(struct room *r, const struct ob_select_opts *o, int code)
{
    struct ob_ids *got;
    struct ob_err err = { 0 };

    assert_int_equal(ob_select(&got, &r->d, r->pool, o, &err), code);
    assert_null(got);
    assert_int_equal(err.code, code);
    assert_true(err.msg[0] != 0);
}

#define EXPECT(o, ...)                                                                             \
    expect(&r, &(o), sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t),                       \
           (uint32_t[]){ __VA_ARGS__ })

static void low_and_high(void **state)
{
    struct room r;
    struct ob_select_opts o;

    (void)state;
    room_open(&r, "confidence", tied);
    o = ask(&r, "low", 2);
    EXPECT(o, 0, 2); /* of the three at .1 the lower ids; 8 is not in the pool */
    o = ask(&r, "low", 4);
    EXPECT(o, 0, 2, 6, 11);
    o = ask(&r, "high", 1);
    EXPECT(o, 1);
    o = ask(&r, "high", 4);
    EXPECT(o, 1, 4, 7, 9); /* of the two at .5 the lower id */
    room_close(&r);
}

static void medium(void **state)
{
    struct room r;
    struct ob_select_opts o;
    /* Range 0 .. 4, middle 2, median 1. */
    static const float wide[N] = { 0, 0, 1, 1, 1, 1.5f, 2.5f, 3, 9, 4, NO, 2 };

    (void)state;
    room_open(&r, "confidence", wide); /* 9 is outside the pool and moves no centre */
    o = ask(&r, "medium", 1);
    EXPECT(o, 11);
    o = ask(&r, "medium", 3);
    EXPECT(o, 5, 6, 11);
    o = ask(&r, "medium", 2);
    EXPECT(o, 5, 11); /* 1.5 and 2.5 are equally near: the lower id */
    o.center = 4;
    EXPECT(o, 7, 9);
    room_close(&r);
    room_open(&r, "memorization", wide); /* 0.5, whatever the range */
    o = ask(&r, "medium", 5);
    EXPECT(o, 0, 1, 2, 3, 4);
    room_close(&r);
}

static void mix(void **state)
{
    struct room r;
    struct ob_select_opts o;

    (void)state;
    room_open(&r, "unknown", tied);
    o = ask(&r, "mix", 3);
    EXPECT(o, 0, 1, 4);
    o = ask(&r, "mix", 6);
    EXPECT(o, 0, 1, 2, 4, 5, 7);
    /* All nine with a score: high takes 4 before medium, which has the rest. */
    o = ask(&r, "mix", 9);
    EXPECT(o, 0, 1, 2, 4, 5, 6, 7, 9, 11);
    o = ask(&r, "mix", 7);
    refuse(&r, &o, OB_EINVAL);
    o = ask(&r, "mix", 12);
    refuse(&r, &o, OB_EFORMAT);
    room_close(&r);
}

/* Where low, high and medium want the same example, low has it first, then high. */
static void mix_order(void **state)
{
    struct room r;
    struct ob_select_opts o;
    static const float few[N] = { NO, 1, 1, 1, 1, NO, NO, NO, NO, 1, 2, NO };

    (void)state;
    room_open(&r, "unknown", few);
    o = ask(&r, "mix", 3);
    EXPECT(o, 1, 2, 10); /* low 1, high 10, medium 2: .5 from the middle, lowest id left */
    o = ask(&r, "mix", 6);
    EXPECT(o, 1, 2, 3, 4, 9, 10);
    room_close(&r);
}

/* Ascending by distance; raw files hold the distance, others its negative. */
static void entangled(void **state)
{
    static const float distance[N] = { 3, 7, 3, NO, 1, 11, 2, 9, 100, 8, 4, 10 };
    /* of the pool, by distance: 4 6 0 2 10 1 9 7 11 5: ten; floor(0.2 n) = 2, floor(0.8 n) = 8 */
    static const struct {
        const char *rule;
        size_t n;
        uint32_t id[2];
    } want[] = { { "low-entanglement", 1, { 5 } },
                 { "medium-entanglement", 1, { 11 } },
                 { "high-entanglement", 2, { 0, 2 } } };

    (void)state;
    for (int raw = 0; raw < 2; raw++) {
        float value[N];
        struct room r;

        for (int i = 0; i < N; i++)
            value[i] = raw ? distance[i] : -distance[i];
        room_open(&r, "centroid-distance", value);
        r.s->info.raw = raw;
        for (int k = 0; k < 3; k++) {
            struct ob_select_opts o = {
                .size = sizeof(o), .rule = want[k].rule, .n = want[k].n, .scores = r.s
            };
            struct ob_ids *ids;

            must(ob_select(&ids, &r.d, r.pool, &o, err));
            assert_int_equal(ids->n, want[k].n);
            assert_memory_equal(ids->id, want[k].id, want[k].n * sizeof(uint32_t));
            ob_ids_free(ids);
            o.n = 9;
            if (k)
                must_fail(ob_select(&ids, &r.d, r.pool, &o, err), OB_EINVAL, "there are no 9");
        }
        strcpy(r.s->kind, "margin");
        must_fail(
            ob_select(&(struct ob_ids *){ NULL }, &r.d, r.pool,
                      &(struct ob_select_opts){ .rule = "low-entanglement", .n = 2, .scores = r.s },
                      err),
            OB_EINVAL, "centroid-distance");
        room_close(&r);
    }
}

static void classes(void **state)
{
    struct room r;
    struct ob_select_opts o;

    (void)state;
    room_open(&r, "unknown", tied);
    o = ask(&r, "class", 0);
    o.scores = NULL;
    o.label = (const int[]){ 2 };
    o.n_labels = 1;
    EXPECT(o, 2, 5, 11); /* 8 is not in the pool */
    o.n = 2;
    EXPECT(o, 2, 5);
    o.n = 4;
    refuse(&r, &o, OB_EFORMAT);
    o.n = 0;
    o.label = (const int[]){ 3 }; /* known, but empty */
    refuse(&r, &o, OB_EFORMAT);
    o.label = (const int[]){ 4 };
    refuse(&r, &o, OB_EFORMAT);
    o.label = (const int[]){ -1 };
    refuse(&r, &o, OB_EFORMAT);
    o.label = (const int[]){ 2, 0 };
    o.n_labels = 2;
    EXPECT(o, 0, 2, 3, 5, 6, 9, 11);
    o.n = 3;
    EXPECT(o, 0, 2, 3); /* by number, not class after class */
    o.n = 0;
    o.label = (const int[]){ 2, 2 };
    refuse(&r, &o, OB_EINVAL);
    o.n_labels = 0;
    refuse(&r, &o, OB_EINVAL);
    room_close(&r);
}

/* The number is the rank. `released`: groups of floor(30 / 15) = 2, of which 3, 12 and 14. */
static void entangled_mix(void **state)
{
    enum { ALL = 30 };
    static const struct {
        const char *rule;
        int released;
        size_t n;
        uint32_t count, id[6];
    } want[] = { { "mix-entanglement", 0, 6, 6, { 6, 7, 24, 25, 28, 29 } },
                 { "mix-entanglement", 1, 6, 6, { 6, 7, 24, 25, 28, 29 } },
                 { "mix-entanglement", 1, 3, 3, { 6, 24, 28 } },
                 { "high-entanglement", 1, 0, 2, { 6, 7 } },
                 { "medium-entanglement", 1, 0, 2, { 24, 25 } },
                 { "low-entanglement", 1, 1, 1, { 28 } },
                 { "low-entanglement", 0, 1, 1, { 29 } } };
    struct room r;
    struct ob_ids *pool;
    struct ob_scores *s;
    struct ob_select_opts o;
    uint32_t id[ALL];

    (void)state;
    room_open(&r, "centroid-distance", tied);
    r.d.info.n_file[OB_TRAIN] = ALL;
    must(ob_scores_new(&s, "centroid-distance", "model", ALL, err));
    for (uint32_t i = 0; i < ALL; i++) {
        id[i] = i;
        s->value[i] = -(float)i; /* the distance is the number */
    }
    must(ob_ids_new(&pool, id, ALL, ALL, err));
    for (size_t k = 0; k < sizeof(want) / sizeof(want[0]); k++) {
        struct ob_ids *ids;

        o = (struct ob_select_opts){
            .rule = want[k].rule, .n = want[k].n, .released = want[k].released, .scores = s
        };
        must(ob_select(&ids, &r.d, pool, &o, err));
        assert_int_equal(ids->n, want[k].count);
        assert_memory_equal(ids->id, want[k].id, ids->n * sizeof(uint32_t));
        ob_ids_free(ids);
    }
    o = (struct ob_select_opts){ .rule = "mix-entanglement", .n = 12, .scores = s };
    must_fail(ob_select(&(struct ob_ids *){ NULL }, &r.d, pool, &o, err), OB_EINVAL, "overlap");
    o = (struct ob_select_opts){ .rule = "low-entanglement", .n = 3, .released = 1, .scores = s };
    must_fail(ob_select(&(struct ob_ids *){ NULL }, &r.d, pool, &o, err), OB_EINVAL,
              "in the group");
    o.released = 0;
    o.n = 0;
    must_fail(ob_select(&(struct ob_ids *){ NULL }, &r.d, pool, &o, err), OB_EINVAL, "0 examples");
    ob_ids_free(pool);
    ob_scores_free(s);
    room_close(&r);
}

/* As the published code cuts Tiny-ImageNet: a hundred groups, three of them a level. */
static void entangled_tiny(void **state)
{
    enum { ALL = 450 };
    static const uint32_t first[3] = { 97 * 4, 49 * 4, 0 };
    static const char *const rule[3] = { "low-entanglement", "medium-entanglement",
                                         "high-entanglement" };
    struct room r;
    struct ob_ids *pool;
    struct ob_scores *s;
    uint32_t id[ALL];

    (void)state;
    room_open(&r, "centroid-distance", tied);
    r.d.info.name = "tiny-imagenet";
    r.d.info.n_file[OB_TRAIN] = ALL;
    must(ob_scores_new(&s, "centroid-distance", "model", ALL, err));
    for (uint32_t i = 0; i < ALL; i++) {
        id[i] = i;
        s->value[i] = -(float)i;
    }
    must(ob_ids_new(&pool, id, ALL, ALL, err));
    for (int k = 0; k < 3; k++) {
        struct ob_select_opts o = { .rule = rule[k], .released = 1, .scores = s };
        struct ob_ids *ids;

        must(ob_select(&ids, &r.d, pool, &o, err));
        assert_int_equal(ids->n, 12);
        assert_int_equal(ids->id[0], first[k]);
        assert_int_equal(ids->id[11], first[k] + 11);
        ob_ids_free(ids);
    }
    ob_ids_free(pool);
    ob_scores_free(s);
    room_close(&r);
}

static struct ob_groups *groups_of(const char *text)
{
    struct ob_groups *g;
    char path[200];

    must(ob_file_write(scratch_file(path, sizeof(path), "g.txt"), text, strlen(text), err));
    must(ob_groups_read(&g, path, N, err));
    unlink(path);
    return g;
}

static void groups(void **state)
{
    struct ob_groups *g = groups_of("ben\nanna\nben\n\nanna\ncarl\nben\r\nd\ncarl\nd\n\nanna");
    struct room r;
    struct ob_select_opts o;
    struct ob_ids *ids;
    size_t seen[4] = { 0 };

    (void)state;
    room_open(&r, "unknown", tied);
    assert_int_equal(ob_groups_n(g), 4);
    assert_string_equal(ob_groups_name(g, 2), "carl");
    assert_int_equal(ob_groups_of(g, 3), -1);
    assert_int_equal(ob_groups_find(g, "an"), -1);
    o = ask(&r, "group", 0);
    o.groups = g;
    o.group = (const int[]){ ob_groups_find(g, "ben") };
    o.n_groups = 1;
    EXPECT(o, 0, 2, 6);
    o.group = (const int[]){ 2, 0 }; /* carl and anna; 8 is not in the pool */
    o.n_groups = 2;
    EXPECT(o, 1, 4, 5, 11);
    o.n = 2;
    refuse(&r, &o, OB_EINVAL);
    o = ask(&r, "random-groups", 0);
    o.groups = g;
    o.n_groups = 1;
    for (o.seed = 0; o.seed < 200; o.seed++) {
        must(ob_select(&ids, &r.d, r.pool, &o, err));
        seen[ob_groups_of(g, ids->id[0])]++;
        ob_ids_free(ids);
    }
    for (int k = 0; k < 4; k++)
        assert_in_range(seen[k], 30, 70); /* 50, with a deviation of 6 */
    o.n_groups = 5;
    refuse(&r, &o, OB_EFORMAT);
    o.n_groups = 4;
    EXPECT(o, 0, 1, 2, 4, 5, 6, 7, 9, 11);
    r.d.info.n_file[OB_TRAIN] = N + 1;
    refuse(&r, &o, OB_EFORMAT);
    ob_groups_free(g);
    room_close(&r);
    g = groups_of("a\na\na\na\na\na\na\na\nonly\na\na\na\n");
    room_open(&r, "unknown", tied);
    o = ask(&r, "group", 0);
    o.groups = g;
    o.group = (const int[]){ 1 }; /* 8 alone, which is not in the pool */
    o.n_groups = 1;
    refuse(&r, &o, OB_EFORMAT);
    ob_groups_free(g);
    room_close(&r);
}

static void mislabeled(void **state)
{
    /* the labels are 0 1 2 0 1 2 0 1 2 0 1 2 */
    static const int32_t other[N] = { 0, 2, 2, -1, 0, 2, 1, 1, 0, 0, 2, 1 };
    struct room r;
    struct ob_select_opts o;
    struct ob_ids *a, *b;
    int differ = 0;

    (void)state;
    room_open(&r, "unknown", tied);
    o = ask(&r, "mislabeled", 0);
    refuse(&r, &o, OB_EINVAL);
    o.other_label = other;
    EXPECT(o, 1, 4, 6, 10, 11); /* 8 is not in the pool, of 3 nothing is known */
    o.share = 0.5;              /* floor(2.5 + 0.5) */
    must(ob_select(&a, &r.d, r.pool, &o, err));
    assert_int_equal(ob_ids_n(a), 3);
    for (o.seed = 1; o.seed < 9; o.seed++) {
        must(ob_select(&b, &r.d, r.pool, &o, err));
        for (size_t i = 0; i < 3; i++)
            assert_true(other[ob_ids_list(b)[i]] != (int32_t)(ob_ids_list(b)[i] % 3));
        differ += !ob_ids_equal(a, b);
        ob_ids_free(b);
    }
    assert_true(differ >= 5);
    ob_ids_free(a);
    o.share = 1.5;
    refuse(&r, &o, OB_EINVAL);
    o.share = 0.01;
    refuse(&r, &o, OB_EFORMAT);
    o.share = 0;
    o.n = 6;
    refuse(&r, &o, OB_EFORMAT);
    o.n = 2;
    must(ob_select(&a, &r.d, r.pool, &o, err));
    assert_int_equal(ob_ids_n(a), 2);
    ob_ids_free(a);
    room_close(&r);
}

static void random_sets(void **state)
{
    struct room r;
    struct ob_select_opts o;
    struct ob_ids *a, *b;
    int differ = 0;

    (void)state;
    room_open(&r, "unknown", tied);
    o = ask(&r, "random", 5);
    o.scores = NULL;
    assert_int_equal(ob_select(&a, &r.d, r.pool, &o, NULL), OB_OK);
    assert_int_equal(ob_ids_n(a), 5);
    assert_false(ob_ids_has(a, 8));
    for (o.seed = 1; o.seed < 9; o.seed++) {
        assert_int_equal(ob_select(&b, &r.d, r.pool, &o, NULL), OB_OK);
        if (o.seed == 1)
            assert_true(ob_ids_equal(a, b));
        differ += !ob_ids_equal(a, b);
        ob_ids_free(b);
    }
    assert_true(differ >= 6);
    ob_ids_free(a);
    o.n = N;
    refuse(&r, &o, OB_EFORMAT);
    o.n = N - 1; /* nothing would be left */
    refuse(&r, &o, OB_EFORMAT);
    room_close(&r);
}

static void refusals(void **state)
{
    struct room r;
    struct ob_select_opts o;

    (void)state;
    room_open(&r, "unknown", tied);
    o = ask(&r, "lowest", 2);
    refuse(&r, &o, OB_EINVAL);
    o = ask(&r, "low", 0);
    refuse(&r, &o, OB_EINVAL);
    o = ask(&r, "low", 10); /* nine have a score */
    refuse(&r, &o, OB_EFORMAT);
    o = ask(&r, "low", 2);
    o.scores = NULL;
    refuse(&r, &o, OB_EINVAL);
    o = ask(&r, "low", 2);
    r.d.info.n_file[OB_TRAIN] = N + 1; /* scores of another file */
    refuse(&r, &o, OB_EFORMAT);
    room_close(&r);
}

static void other_data_are_said(void **state)
{
    struct room r;
    struct ob_select_opts o;

    (void)state;
    room_open(&r, "confidence", tied);
    strcpy(r.d.info.hash, "abc");
    assert_int_equal(ob_strdup(&r.s->origin, "{\"data\": \"abc\"}", NULL), OB_OK);
    o = ask(&r, "low", 2);
    EXPECT(o, 0, 2);
    assert_int_equal(r.warnings, 0);
    r.d.info.hash[0] = 'x';
    EXPECT(o, 0, 2);
    assert_int_equal(r.warnings, 1);
    room_close(&r);
}

static void raw_scores_are_said(void **state)
{
    struct room r;
    struct ob_select_opts o;

    (void)state;
    room_open(&r, "confidence", tied);
    o = ask(&r, "low", 2);
    EXPECT(o, 0, 2);
    assert_int_equal(r.warnings, 0);
    r.s->info.raw = 1;
    EXPECT(o, 0, 2);
    assert_int_equal(r.warnings, 1);
    room_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(low_and_high),
        cmocka_unit_test(medium),
        cmocka_unit_test(mix),
        cmocka_unit_test(mix_order),
        cmocka_unit_test(entangled),
        cmocka_unit_test(entangled_mix),
        cmocka_unit_test(entangled_tiny),
        cmocka_unit_test(classes),
        cmocka_unit_test(groups),
        cmocka_unit_test(mislabeled),
        cmocka_unit_test(random_sets),
        cmocka_unit_test(refusals),
        cmocka_unit_test(raw_scores_are_said),
        cmocka_unit_test(other_data_are_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
