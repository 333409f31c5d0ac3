/* u_scores.c - score files and what stands beside them; scores from learning events. */
#include "common.h"

#include <math.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/npy.h"
#include "run/train.h"
#include "score/score.h"

struct folder {
    char npy[160], json[160];
};

static int open_folder(void **state)
{
    struct folder *f = calloc(1, sizeof(*f));

    scratch_file(f->npy, sizeof(f->npy), "s.npy");
    scratch_file(f->json, sizeof(f->json), "s.json");
    *state = f;
    return 0;
}

static int close_folder(void **state)
{
    struct folder *f = *state;

    unlink(f->npy);
    unlink(f->json);
    free(f);
    return 0;
}

static struct ob_scores *example(void)
{
    struct ob_scores *s;
    static const float value[] = { 0.25f, NAN, 1, -3, NAN };

    assert_int_equal(ob_scores_new(&s, "margin", "model", 5, NULL), OB_OK);
    assert_true(isnan(s->value[4]));
    assert_int_equal(s->info.n_scored, 0);
    memcpy(s->value, value, sizeof(value));
    ob_scores_count(s);
    s->info.images = 3;
    assert_int_equal(ob_strdup(&s->origin, "{\"model\": \"abc\", \"data\": \"def\"}", NULL), OB_OK);
    return s;
}

static char *text_of(const char *path)
{
    struct ob_file f;
    char *text = calloc(1, 4096);

    assert_int_equal(ob_file_read(&f, path, 4095, false, NULL), OB_OK);
    memcpy(text, f.data, f.n);
    ob_file_release(&f);
    return text;
}

static void there_and_back(void **state)
{
    struct folder *f = *state;
    struct ob_scores *s = example(), *t;
    const struct ob_scores_info *i;

    s->info.raw = 1;
    assert_int_equal(ob_scores_write(s, f->npy, NULL), OB_OK);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_OK);
    i = ob_scores_info(t);
    assert_string_equal(i->kind, "margin");
    assert_string_equal(i->source, "model");
    assert_int_equal(i->n, 5);
    assert_int_equal(i->n_scored, 3);
    assert_int_equal(i->raw, 1);
    assert_true(i->images == 3);
    assert_string_equal(t->origin, "{\"data\":\"def\",\"model\":\"abc\"}");
    for (int k = 0; k < 5; k++)
        assert_true(t->value[k] == s->value[k] || (isnan(t->value[k]) && isnan(s->value[k])));
    ob_scores_free(s);
    ob_scores_free(t);
}

static void same_bytes_again(void **state)
{
    struct folder *f = *state;
    struct ob_scores *s = example(), *t;
    char *first, *second;

    assert_int_equal(ob_scores_write(s, f->npy, NULL), OB_OK);
    first = text_of(f->json);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_OK);
    assert_int_equal(ob_scores_write(t, f->npy, NULL), OB_OK);
    second = text_of(f->json);
    assert_non_null(strstr(first, "\"model\": \"abc\""));
    assert_string_equal(first, second);
    ob_scores_free(s);
    ob_scores_free(t);
    free(first);
    free(second);
}

static void without_description(void **state)
{
    struct folder *f = *state;
    struct ob_scores *s = example(), *t;

    assert_int_equal(ob_scores_write(s, f->npy, NULL), OB_OK);
    assert_int_equal(unlink(f->json), 0);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_OK);
    assert_string_equal(t->info.kind, "unknown");
    assert_string_equal(t->info.source, "file");
    assert_int_equal(t->info.n_scored, 3);
    ob_scores_free(s);
    ob_scores_free(t);
}

/* Something else's description: the kind counts. */
static void foreign_description(void **state)
{
    struct folder *f = *state;
    struct ob_scores *s = example(), *t;
    static const char good[] = "{\"kind\": \"memorization\", \"by\": \"hand\"}";
    static const char bad[] = "{\"kind\": 3}";

    assert_int_equal(ob_scores_write(s, f->npy, NULL), OB_OK);
    assert_int_equal(ob_file_write(f->json, good, strlen(good), NULL), OB_OK);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_OK);
    assert_string_equal(t->info.kind, "memorization");
    ob_scores_free(t);
    assert_int_equal(ob_file_write(f->json, bad, strlen(bad), NULL), OB_OK);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_EFORMAT);
    assert_null(t);
    ob_scores_free(s);
}

/* A description of other values than those beside it is refused, and so is one from the future. */
static void strangers(void **state)
{
    struct folder *f = *state;
    struct ob_scores *s = example(), *t;
    struct ob_err err = { 0 };
    char *text, *at;

    assert_int_equal(ob_scores_write(s, f->npy, NULL), OB_OK);
    s->value[0] += 1;
    assert_int_equal(ob_npy_write_f32(f->npy, s->value, &s->info.n, 1, NULL), OB_OK);
    assert_int_equal(ob_scores_read(&t, f->npy, &err), OB_EFORMAT);
    assert_non_null(strstr(err.msg, "s.json"));
    s->value[0] -= 1;
    assert_int_equal(ob_npy_write_f32(f->npy, s->value, &s->info.n, 1, NULL), OB_OK);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_OK);
    ob_scores_free(t);
    text = text_of(f->json);
    at = strstr(text, "\"oubli_scores\": 1");
    assert_non_null(at);
    at[strlen("\"oubli_scores\": ")] = '2';
    assert_int_equal(ob_file_write(f->json, text, strlen(text), NULL), OB_OK);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_EVERSION);
    free(text);
    ob_scores_free(s);
}

static void arrays_that_are_no_scores(void **state)
{
    struct folder *f = *state;
    struct ob_scores *t;
    size_t two[] = { 2, 2 }, four = 4, none = 0;
    int64_t whole[] = { 1, 2, 3, 4 };
    double wide[] = { 1, 2.5, NAN, -1 };
    float flat[] = { 1, 2, INFINITY, 4 };

    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_ENOTFOUND);
    assert_int_equal(ob_npy_write(f->npy, "<i8", &four, 1, whole, NULL), OB_OK);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_EFORMAT);
    assert_int_equal(ob_npy_write(f->npy, "<f4", two, 2, flat, NULL), OB_OK);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_EFORMAT);
    assert_int_equal(ob_npy_write(f->npy, "<f4", &four, 1, flat, NULL), OB_OK);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_EFORMAT);
    assert_int_equal(ob_npy_write(f->npy, "<f4", &none, 1, flat, NULL), OB_OK);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_EFORMAT);
    assert_null(t);
    assert_int_equal(ob_npy_write(f->npy, "<f8", &four, 1, wide, NULL), OB_OK);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_OK);
    assert_true(t->value[1] == 2.5f && isnan(t->value[2]));
    ob_scores_free(t);
}

/* Whatever step of writing fails, there is nothing, or (when only the folder could not be synced)
 * the whole pair. */
static void failing_disk(void **state)
{
    struct folder *f = *state;
    struct ob_scores *s = example(), *t;
    int rc = OB_EIO;

    for (size_t n = 1; rc && n < 100; n++) {
        unlink(f->npy);
        unlink(f->json);
        obi_io_fail_at(n);
        rc = ob_scores_write(s, f->npy, NULL);
        obi_io_fail_at(0);
        if (!rc)
            break;
        assert_int_equal(rc, OB_EIO);
        assert_int_equal(ob_file_exists(f->json), ob_file_exists(f->npy));
        if (ob_file_exists(f->npy)) {
            assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_OK);
            ob_scores_free(t);
        }
    }
    assert_int_equal(rc, OB_OK);
    assert_int_equal(ob_scores_read(&t, f->npy, NULL), OB_OK);
    ob_scores_free(t);
    ob_scores_free(s);
}

/* The same over an older pair: that one, or the new one, is read back. */
static void failing_disk_over_old(void **state)
{
    struct folder *f = *state;
    struct ob_scores *s = example(), *old = example(), *t;
    int rc = OB_EIO, n_old = 0;

    old->value[0] = 100;
    for (size_t n = 1; rc && n < 100; n++) {
        assert_int_equal(ob_scores_write(old, f->npy, NULL), OB_OK);
        obi_io_fail_at(n);
        rc = ob_scores_write(s, f->npy, NULL);
        obi_io_fail_at(0);
        if (!rc)
            break;
        if (ob_scores_read(&t, f->npy, NULL))
            continue; /* the array was replaced, its folder could not be synced */
        assert_true(t->value[0] == 100);
        ob_scores_free(t);
        n_old++;
    }
    assert_int_equal(rc, OB_OK);
    assert_true(n_old >= 5);
    ob_scores_free(s);
    ob_scores_free(old);
}

/* ---- from events ---- */

static struct ob_events *events(int64_t epochs)
{
    uint32_t id[] = { 1, 4 };
    struct ob_ids *ids;
    struct ob_events *e;

    assert_int_equal(ob_ids_new(&ids, id, 2, 6, NULL), OB_OK);
    assert_int_equal(ob_events_new(&e, ids, 6, NULL), OB_OK);
    e->epochs = epochs;
    e->confidence[0] = 3;
    e->confidence[1] = 1;
    e->max_confidence[0] = 3.5;
    e->max_confidence[1] = 2;
    e->neg_entropy[0] = -0.5;
    e->neg_entropy[1] = -6;
    e->accuracy[0] = 4;
    e->accuracy[1] = 1;
    if (!e->own_ids)
        e->own_ids = ids; /* borrowed: now its own */
    else
        ob_ids_free(ids);
    return e;
}

static void from_events(void **state)
{
    static const struct {
        const char *kind;
        float low, high, raw_low, raw_high;
    } expect[] = {
        { "confidence", 0.25f, 0.75f, 0.75f, 0.25f },
        { "max-confidence", 0.125f, 0.5f, 0.875f, 0.5f },
        { "entropy", 0.125f, 1.5f, -0.125f, -1.5f },
        { "accuracy", 0, 0.75f, 1, 0.25f },
    };
    struct ob_events *e = events(4);
    struct ob_scores *s;

    (void)state;
    for (size_t k = 0; k < 4; k++) {
        assert_int_equal(ob_scores_from_events(&s, e, expect[k].kind, 0, NULL), OB_OK);
        assert_string_equal(s->info.kind, expect[k].kind);
        assert_string_equal(s->info.source, "events");
        assert_int_equal(s->info.n, 6);
        assert_int_equal(s->info.n_scored, 2);
        assert_int_equal(s->info.raw, 0);
        assert_true(s->info.images == 0);
        assert_string_equal(s->origin, "{\"epochs\":4}");
        assert_true(isnan(s->value[0]) && isnan(s->value[2]));
        assert_true(s->value[1] == expect[k].low && s->value[4] == expect[k].high);
        ob_scores_free(s);
        assert_int_equal(ob_scores_from_events(&s, e, expect[k].kind, 1, NULL), OB_OK);
        assert_int_equal(s->info.raw, 1);
        assert_true(s->value[1] == expect[k].raw_low && s->value[4] == expect[k].raw_high);
        ob_scores_free(s);
    }
    assert_int_equal(ob_scores_from_events(&s, e, "margin", 0, NULL), OB_EINVAL);
    assert_null(s);
    ob_events_free(e);
    e = events(0);
    assert_int_equal(ob_scores_from_events(&s, e, "confidence", 0, NULL), OB_EFORMAT);
    ob_events_free(e);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, open_folder, close_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(there_and_back),      WITH_FOLDER(same_bytes_again),
        WITH_FOLDER(without_description), WITH_FOLDER(foreign_description),
        WITH_FOLDER(strangers),           WITH_FOLDER(arrays_that_are_no_scores),
        WITH_FOLDER(failing_disk),        WITH_FOLDER(failing_disk_over_old),
        cmocka_unit_test(from_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
