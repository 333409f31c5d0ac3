/* u_report.c - a page from a record; damaged records; names that try to be markup. */
#include "common.h"

#include <unistd.h>

#include <jansson.h>

#include "base/io.h"
#include "work/report.h"

static const char fixture[] = "tests/data/demo-record.json";

struct paths {
    char json[160], html[160];
};

static int setup(void **state)
{
    struct paths *p = calloc(1, sizeof(*p));

    if (!p)
        return -1;
    scratch_file(p->json, sizeof(p->json), "r.json");
    scratch_file(p->html, sizeof(p->html), "r.html");
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct paths *p = *state;

    unlink(p->json);
    unlink(p->html);
    free(p);
    return 0;
}

static json_t *record(void)
{
    json_t *root = json_load_file(fixture, 0, NULL);

    assert_non_null(root);
    return root;
}

/* The page made from `root` (which is released); the caller frees it. */
static char *page(struct paths *p, json_t *root)
{
    struct ob_err err = { 0 };
    struct ob_file f;
    char *text;

    assert_int_equal(json_dump_file(root, p->json, 0), 0);
    json_decref(root);
    assert_int_equal(ob_report_html(p->json, p->html, &err), OB_OK);
    assert_int_equal(ob_file_read(&f, p->html, 1 << 24, false, NULL), OB_OK);
    text = calloc(1, f.n + 1);
    assert_non_null(text);
    memcpy(text, f.data, f.n);
    ob_file_release(&f);
    return text;
}

/* The record is refused with `code`, the message has `word`, and no page is written. */
static void refused(struct paths *p, json_t *root, int code, const char *word)
{
    struct ob_err err = { 0 };

    assert_int_equal(json_dump_file(root, p->json, 0), 0);
    json_decref(root);
    assert_int_equal(ob_report_html(p->json, p->html, &err), code);
    if (!strstr(err.msg, word))
        fail_msg("'%s' does not name '%s'", err.msg, word);
    assert_null(strchr(err.msg, '\n'));
    assert_false(ob_file_exists(p->html));
}

static void whole(void **state)
{
    json_t *root = record(), *way;
    char *text = page(*state, json_deep_copy(root));
    size_t i;

    assert_memory_equal(text, "<!DOCTYPE html>", 15);
    json_array_foreach(json_object_get(root, "ways"), i, way)
        assert_non_null(strstr(text, json_string_value(json_object_get(way, "title"))));
    assert_non_null(strstr(text, "<svg"));
    assert_non_null(strstr(text, "data:image/png;base64,"));
    assert_non_null(strstr(text, "Trouser"));
    assert_non_null(strstr(text, "6,000"));
    /* nothing is fetched and nothing runs */
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "http:"));
    assert_null(strstr(text, "https:"));
    assert_null(strstr(text, "nan"));
    free(text);
    json_decref(root);
}

static json_t *way_of(json_t *root, size_t seed, const char *id)
{
    json_t *ways = json_object_get(json_array_get(json_object_get(root, "seeds"), seed), "ways"),
           *w;
    size_t i;

    json_array_foreach(ways, i,
                       w) if (!strcmp(json_string_value(json_object_get(w, "id")), id)) return w;
    fail_msg("no way '%s'", id);
    return NULL;
}

/* RUM against the whole set: by `tow` and `mia` ahead in every seed, by about that much. */
static json_t *with_difference(double tow, double mia)
{
    json_t *root = record();

    for (size_t s = 0; s < 3; s++) {
        json_t *a = way_of(root, s, "rum"), *b = way_of(root, s, "whole");

        json_object_set_new(b, "tow", json_real(.7 + .01 * (double)s));
        json_object_set_new(a, "tow", json_real(.7 + .011 * (double)s + tow));
        json_object_set_new(b, "tow_mia", json_real(.6 - .01 * (double)s));
        json_object_set_new(a, "tow_mia", json_real(.6 - .012 * (double)s + mia));
    }
    return root;
}

static void check_answer(struct paths *p, double tow, double mia, const char *answer,
                         const char *words)
{
    static const char question[] = "Does it help to cut the forget set by memorization?";
    char *text = page(p, with_difference(tow, mia)), *at = strstr(text, question), *end;

    assert_non_null(at);
    end = strstr(at, "</dd>");
    assert_non_null(end);
    *end = 0;
    assert_non_null(strstr(at, answer));
    assert_non_null(strstr(at, words));
    free(text);
}

static void words_follow_numbers(void **state)
{
    check_answer(*state, .2, .3, "<b>Yes.</b>", "ahead in 3 of 3 seeds");
    check_answer(*state, -.2, -.3, "<b>No.</b>", "ahead in 0 of 3 seeds");
    check_answer(*state, -.2, .3, "<b>By accuracy, no; by membership, yes.</b>", "");
    check_answer(*state, 0, 0, "<b>These seeds cannot tell.</b>", "");
    check_answer(*state, .2, 0, "<b>By accuracy, yes; by membership, these seeds cannot tell.</b>",
                 "");
    /* the means, the difference, and how often it was ahead */
    check_answer(*state, .2, .3, "Yes.", "ToW&nbsp;0.911 against 0.710 (+0.201");
}

static void one_seed(void **state)
{
    json_t *root = record(), *seeds = json_object_get(root, "seeds");
    char *text;

    while (json_array_size(seeds) > 1)
        json_array_remove(seeds, 1);
    text = page(*state, root);
    assert_non_null(strstr(text, "one run shows what can happen"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "clearly behind"));
    free(text);
}

static void markup(void **state)
{
    json_t *root = record(), *way = json_array_get(json_object_get(root, "ways"), 2);
    json_t *e = json_array_get(
        json_object_get(json_array_get(json_object_get(root, "examples"), 0), "items"), 0);
    char *text;

    json_object_set_new(way, "title", json_string("<script>alert(1)</script>"));
    json_object_set_new(way, "about", json_string("a & \"b\" <i>"));
    json_object_set_new(e, "class", json_string("<img src=x>"));
    json_object_set_new(json_array_get(json_object_get(root, "parts"), 0), "name",
                        json_string("<b>low"));
    text = page(*state, root);
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "<img src=x"));
    assert_null(strstr(text, "<b>low"));
    assert_null(strstr(text, "<i>"));
    assert_non_null(strstr(text, "&lt;script&gt;alert(1)"));
    assert_non_null(strstr(text, "a &amp; &quot;b&quot; &lt;i&gt;"));
    free(text);
}

static void damaged(void **state)
{
    json_t *root, *x;

    root = record();
    json_object_del(json_object_get(json_object_get(root, "settings"), "recipe"), "lr");
    refused(*state, root, OB_EFORMAT, "settings.recipe.lr' is missing");
    root = record();
    json_object_set_new(way_of(root, 1, "full"), "tow", json_real(1.5));
    refused(*state, root, OB_EFORMAT, "seeds[1].ways[5].tow' is 1.5");
    root = record();
    json_object_set_new(way_of(root, 0, "rum"), "id", json_string("mur"));
    refused(*state, root, OB_EFORMAT, "seeds[0].ways[4].id");
    root = record();
    json_array_remove(json_object_get(way_of(root, 2, "rum"), "parts"), 0);
    refused(*state, root, OB_EFORMAT, "seeds[2].ways[4].parts");
    root = record();
    json_object_set_new(root, "oubli_report", json_integer(2));
    refused(*state, root, OB_EVERSION, "version 2");
    root = record();
    json_object_set_new(root, "kind", json_string("else"));
    refused(*state, root, OB_EFORMAT, "kind");
    root = record();
    x = json_array_get(
        json_object_get(json_array_get(json_object_get(root, "examples"), 1), "items"), 0);
    json_object_set_new(x, "png", json_string("abc\" onload=\"x"));
    refused(*state, root, OB_EFORMAT, "examples[1].items[0].png' is not base64");
    root = record();
    json_array_clear(json_object_get(root, "seeds"));
    refused(*state, root, OB_EFORMAT, "seeds");
    refused(*state, json_array(), OB_EFORMAT, "no record");
    refused(*state, json_object(), OB_EFORMAT, "no record");
}

/* Every cut of the file is refused in one line; every value replaced by null or by a list of itself
 * is refused or changes nothing that matters, and never crashes. */
static void cut_and_spoilt(void **state)
{
    struct paths *p = *state;
    struct ob_file f;
    struct ob_err err;

    assert_int_equal(ob_file_read(&f, fixture, 1 << 24, false, NULL), OB_OK);
    for (size_t n = 0; n < f.n; n += 97) {
        err = (struct ob_err){ 0 };
        assert_int_equal(ob_file_write(p->json, f.data, n, NULL), OB_OK);
        assert_int_equal(ob_report_html(p->json, p->html, &err), OB_EFORMAT);
        assert_false(ob_file_exists(p->html));
    }
    for (size_t i = 0; i < f.n; i += 53) {
        unsigned char old = f.data[i];
        struct ob_record r;

        f.data[i] = old == '[' ? '{' : old == '"' ? ' ' : (unsigned char)(old ^ 16);
        assert_int_equal(ob_file_write(p->json, f.data, f.n, NULL), OB_OK);
        err = (struct ob_err){ 0 };
        if (obi_record_read(&r, p->json, &err))
            assert_true(err.code == OB_EFORMAT || err.code == OB_EVERSION);
        obi_record_release(&r);
        f.data[i] = old;
    }
    ob_file_release(&f);
    err = (struct ob_err){ 0 };
    unlink(p->json);
    assert_int_equal(ob_report_html(p->json, p->html, &err), OB_ENOTFOUND);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = { CASE(whole),    CASE(words_follow_numbers),
                                        CASE(one_seed), CASE(markup),
                                        CASE(damaged),  CASE(cut_and_spoilt) };

    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
