/* u_plan.c - plans: written and read again, and refused where they make no sense. */
#include "common.h"

#include "data/data.h"
#include "unlearn/plan.h"

#define N_TRAIN 20

static struct ob_ids *range(uint32_t from, uint32_t to)
{
    uint32_t id[64];
    struct ob_ids *s;

    for (uint32_t i = from; i < to; i++)
        id[i - from] = i;
    must(ob_ids_new(&s, id, to - from, N_TRAIN + 2, err));
    return s;
}

/* Example numbers 0..21 exist; 20 and 21 are not in the training part. */
static struct ob_ids *train(void)
{
    return range(0, N_TRAIN);
}

static const char *write_text(const char *text)
{
    static char path[256];

    scratch_file(path, sizeof(path), "plan.json");
    must(ob_file_write(path, text, strlen(text), err));
    return path;
}

static void read_fails(const char *text, int status, const char *word)
{
    const char *path = write_text(text);
    struct ob_ids *t = train();
    struct ob_plan *p = (void *)1;

    must_fail(ob_plan_read(&p, path, NULL, t, err), status, word);
    assert_null(p);
    ob_ids_free(t);
}

static struct ob_plan *read_plan(const char *text)
{
    const char *path = write_text(text);
    struct ob_ids *t = train();
    struct ob_plan *p;

    must(ob_plan_read(&p, path, NULL, t, err));
    ob_ids_free(t);
    return p;
}

static const char good[] =
    "{\"oubli_plan\":1,\"data\":\"d0\",\"model\":\"m0\",\"steps\":["
    "{\"name\":\"low\",\"method\":\"none\",\"forget\":[3,1]},"
    "{\"name\":\"high\",\"method\":\"salun\",\"settings\":{\"share\":0.3,\"epochs\":2,"
    "\"mask-at\":\"original\"},\"forget\":[7,5],"
    "\"retain\":[19,18,17,16,15,14,13,12,11,10,9,8,6,4,2,0]},"
    "{\"name\":\"all of it\",\"method\":\"retrain\",\"settings\":{\"schedule\":"
    "\"step:60,120,x0.2\",\"lr\":1e-05,\"seed\":\"18446744073709551615\"},\"forget\":[0]}]}";

static void test_read(void **state)
{
    static const uint32_t all[] = { 0, 1, 3, 5, 7 };
    struct ob_plan *p = read_plan(good);
    struct ob_step s;

    (void)state;
    assert_int_equal(ob_plan_n(p), 3);
    assert_string_equal(ob_plan_data(p), "d0");
    assert_string_equal(ob_plan_model(p), "m0");
    ob_plan_step(p, 0, &s);
    assert_string_equal(s.name, "low");
    assert_ptr_equal(s.method, ob_method_find("none"));
    assert_int_equal(ob_ids_n(s.retain), N_TRAIN - 2);
    assert_true(ob_ids_has(s.retain, 5)); /* its turn comes later */
    assert_false(ob_ids_has(s.retain, 1));
    ob_plan_step(p, 1, &s);
    assert_string_equal(s.settings, "share=0.3:epochs=2:mask-at=original");
    assert_int_equal(ob_ids_list(s.forget)[0], 5);
    ob_plan_step(p, 2, &s);
    assert_int_equal(ob_ids_n(s.retain), N_TRAIN - 5);
    assert_int_equal(ob_ids_n(ob_plan_forget(p)), 5);
    assert_memory_equal(ob_ids_list(ob_plan_forget(p)), all, sizeof(all));
    ob_plan_free(p);
}

static void test_round_trip(void **state)
{
    struct ob_plan *a = read_plan(good), *b;
    struct ob_ids *t = train();
    char path[256], again[256], x[65], y[65];

    (void)state;
    must(ob_plan_write(a, scratch_file(path, sizeof(path), "a.json"), err));
    must(ob_plan_read(&b, path, NULL, t, err));
    must(obi_plan_digest(a, x, err));
    must(obi_plan_digest(b, y, err));
    assert_string_equal(x, y);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(a->step[i].settings, b->step[i].settings);
    assert_string_equal(ob_plan_model(b), "m0");
    must(ob_plan_write(b, scratch_file(again, sizeof(again), "b.json"), err));
    /* another order of steps or another setting is another plan */
    snprintf(b->step[1].settings, sizeof(b->step[1].settings), "share=0.31:epochs=2");
    must(obi_plan_digest(b, y, err));
    assert_string_not_equal(x, y);
    ob_plan_free(a);
    ob_plan_free(b);
    ob_ids_free(t);
}

static void test_settings_in_force_count(void **state)
{
    struct ob_plan *a = read_plan("{\"oubli_plan\":1,\"steps\":[{\"name\":\"a\",\"method\":"
                                  "\"finetune\",\"forget\":[1]}]}");
    char x[65], y[65];

    (void)state;
    must(obi_plan_digest(a, x, err));
    snprintf(a->step[0].settings, sizeof(a->step[0].settings), "lr=0.01");
    must(obi_plan_digest(a, y, err));
    assert_string_equal(x, y);
    assert_string_equal(ob_plan_model(a), "");
    ob_plan_free(a);
}

#define PLAN(steps) "{\"oubli_plan\":1,\"steps\":[" steps "]}"
#define STEP(name, forget) "{\"name\":\"" name "\",\"method\":\"none\",\"forget\":[" forget "]}"

static void test_refused(void **state)
{
    (void)state;
    read_fails("", OB_EFORMAT, "not a plan");
    read_fails("[]", OB_EFORMAT, "not a plan");
    read_fails("{\"oubli_plan\":2,\"steps\":[]}", OB_EVERSION, "version 2");
    read_fails("{\"oubli_plan\":1,\"oubli_plan\":1}", OB_EFORMAT, "line 1");
    read_fails("{\"oubli_plan\":1}", OB_EFORMAT, "no list 'steps'");
    read_fails(PLAN(""), OB_EFORMAT, "0 steps");
    read_fails(PLAN("7"), OB_EFORMAT, "step 1: it is not an object");
    read_fails("{\"oubli_plan\":1,\"stpes\":[]}", OB_EFORMAT, "'stpes'");
    read_fails(PLAN("{\"name\":\"a\",\"method\":\"none\",\"forget\":[1],\"settigns\":{}}"),
               OB_EFORMAT, "'settigns'");
    read_fails(PLAN("{\"method\":\"none\",\"forget\":[1]}"), OB_EFORMAT, "no 'name'");
    read_fails(PLAN("{\"name\":\"a\",\"forget\":[1]}"), OB_EFORMAT, "no 'method'");
    read_fails(PLAN(STEP("a", "1") "," STEP("b", "2,1")), OB_EFORMAT,
               "step 2 ('b') forgets id 1, which step 1 ('a') forgets already");
    read_fails(PLAN(STEP("a", "1") "," STEP("a", "2")), OB_EFORMAT, "both named 'a'");
    read_fails(PLAN(STEP("a", "")), OB_EFORMAT, "forgets nothing");
    read_fails(PLAN(STEP("a", "1,1")), OB_EFORMAT, "step 1 ('a')");
    read_fails(PLAN(STEP("a", "20")), OB_EFORMAT, "id 20, which is not in the training part");
    read_fails(PLAN(STEP("a", "22")), OB_EFORMAT, "not an id from 0 to 21");
    read_fails(PLAN(STEP("a", "-1")), OB_EFORMAT, "not an id");
    read_fails(PLAN(STEP("a", "1.0")), OB_EFORMAT, "not an id");
    read_fails(PLAN(STEP("a", "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19")), OB_EFORMAT,
               "nothing to retain");
    read_fails(PLAN("{\"name\":\"a\",\"method\":\"non\",\"forget\":[1]}"), OB_EFORMAT,
               "did you mean 'none'");
    read_fails(PLAN("{\"name\":\"a\",\"method\":\"finetune\",\"settings\":{\"lr\":-1},"
                    "\"forget\":[1]}"),
               OB_EFORMAT, "step 1 ('a'): lr is '-1'");
    read_fails(PLAN("{\"name\":\"a\",\"method\":\"finetune\",\"settings\":{\"lr\":[1]},"
                    "\"forget\":[1]}"),
               OB_EFORMAT, "neither a number nor a text");
    read_fails(PLAN("{\"name\":\"a\",\"method\":\"none\",\"forget\":[1],\"retain\":[0,2,3]}"),
               OB_EFORMAT, "id 4 should be in it");
    read_fails(PLAN("{\"name\":\"a\",\"method\":\"none\",\"forget\":[1],\"retain\":"
                    "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]}"),
               OB_EFORMAT, "id 1 should not be in it");
}

static void test_cut_anywhere(void **state)
{
    char path[256], text[sizeof(good)];
    struct ob_ids *t = train();

    (void)state;
    scratch_file(path, sizeof(path), "cut.json");
    for (size_t n = 0; n + 1 < sizeof(good); n++) {
        struct ob_plan *p;

        memcpy(text, good, n);
        must(ob_file_write(path, text, n, err));
        assert_int_not_equal(ob_plan_read(&p, path, NULL, t, NULL), OB_OK);
        assert_null(p);
    }
    ob_ids_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_settings_in_force_count),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
