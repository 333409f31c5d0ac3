/* u_plot.c - ticks, escaping, and figures whose tags close and whose marks stand where they must. */
#include "common.h"

#include <math.h>

#include "work/plot.h"

static void check_ticks(double lo, double hi, int want, double first, double step, int n)
{
    double f, s;

    assert_int_equal(ob_plot_ticks(lo, hi, want, &f, &s), n);
    assert_true(fabs(f - first) < 1e-9);
    assert_true(fabs(s - step) < 1e-9);
}

static void ticks(void **state)
{
    double f, s;

    (void)state;
    check_ticks(0, 1, 5, 0, .2, 6);
    check_ticks(.63, 1, 5, .7, .1, 4);
    check_ticks(0, 20, 6, 0, 5, 5);
    check_ticks(-3, 7, 5, -2, 2, 5);
    check_ticks(.101, .299, 4, .15, .05, 3);
    assert_int_equal(ob_plot_ticks(1, 1, 5, &f, &s), 0);
    assert_int_equal(ob_plot_ticks(2, 1, 5, &f, &s), 0);
    assert_int_equal(ob_plot_ticks(0, NAN, 5, &f, &s), 0);
    assert_int_equal(ob_plot_ticks(0, INFINITY, 5, &f, &s), 0);
    assert_int_equal(ob_plot_ticks(-1.5e308, 1.5e308, 5, &f, &s), 0);
}

static void check_escape(const char *in, const char *want)
{
    struct ob_str s = { 0 };

    ob_html_escape(&s, in);
    assert_string_equal(ob_str_text(&s), want);
    ob_str_release(&s);
}

static void escaping(void **state)
{
    (void)state;
    check_escape("", "");
    check_escape("a<b> & \"c\" 'd'", "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
    check_escape("for\xc3\xaat \xe2\x82\xac", "for\xc3\xaat \xe2\x82\xac");
    check_escape("x\xff\xc3", "x\xef\xbf\xbd\xef\xbf\xbd");
    check_escape("\x01\x7f", "\xef\xbf\xbd\xef\xbf\xbd");
    check_escape("\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd");
}

/* Every tag that opens closes, in order; quotes of attributes are even. */
static void check_tags(const char *s)
{
    char open[16][16];
    size_t depth = 0;

    for (; *s; s++) {
        size_t n = 0, quotes = 0;
        const char *end = s;

        if (*s != '<')
            continue;
        while (*end != '>') {
            assert_int_not_equal(*end, 0);
            quotes += *end++ == '"';
        }
        assert_int_equal(quotes % 2, 0);
        if (s[1] == '/') {
            assert_true(depth > 0);
            depth--;
            n = strlen(open[depth]);
            assert_memory_equal(s + 2, open[depth], n);
            assert_ptr_equal(s + 2 + n, end);
        } else if (end[-1] != '/') {
            while (s[1 + n] != ' ' && s[1 + n] != '>')
                n++;
            assert_true(n < 16 && depth < 16);
            memcpy(open[depth], s + 1, n);
            open[depth++][n] = 0;
        }
        s = end;
    }
    assert_int_equal(depth, 0);
}

static size_t count(const char *s, const char *word)
{
    size_t n = 0;

    while ((s = strstr(s, word))) {
        n++;
        s++;
    }
    return n;
}

static void lines(void **state)
{
    const double x[4] = { 0, 1, 2, 3 }, y[4] = { 0, .5, NAN, 1 };
    const char *names[4] = { "start", "a<b", "c", "d" };
    struct ob_plot_series s[2] = { { "one & two", 1, true, false, x, y, 4 },
                                   { NULL, 2, false, true, x, y, 2 } };
    struct ob_plot_level level[2] = { { 0, .25 }, { 1, NAN } };
    struct ob_plot_lines p = { .title = "t",
                               .x_label = "epoch",
                               .y_label = "y",
                               .x_hi = 3,
                               .y_hi = 1,
                               .percent = true,
                               .x_name = names,
                               .n_x_name = 4,
                               .series = s,
                               .n_series = 2,
                               .level = level,
                               .n_level = 2,
                               .height = 100 };
    struct ob_str out = { 0 };
    const char *t;

    (void)state;
    ob_plot_lines(&out, &p);
    t = ob_str_text(&out);
    check_tags(t);
    assert_int_equal(ob_str_check(&out, NULL), OB_OK);
    assert_int_equal(count(t, "<circle"), 3); /* the point that is no number is left out */
    assert_int_equal(count(t, "level s"), 1);
    assert_non_null(strstr(t, "one &amp; two"));
    assert_non_null(strstr(t, "a&lt;b"));
    assert_non_null(strstr(t, ">100%<"));
    assert_null(strstr(t, "nan"));
    /* left and right end of the area; the middle of its height, 142 - 50 */
    assert_non_null(strstr(t, "M46.0 142.0L166.7 92.0M408.0 42.0"));
    ob_str_release(&out);
}

static void histogram(void **state)
{
    const double all[4] = { 99, 9, 0, 1 }, part[4] = { 9, 0, 0, 0 };
    struct ob_plot_region r[1] = { { "low", 0, 0, .1, part } };
    struct ob_plot_hist p = { .title = "h",
                              .x_label = "score",
                              .y_label = "n",
                              .hi = 1,
                              .count = all,
                              .n_bins = 4,
                              .region = r,
                              .n_region = 1 };
    struct ob_str out = { 0 };
    const char *t;

    (void)state;
    ob_plot_hist(&out, &p);
    t = ob_str_text(&out);
    check_tags(t);
    assert_int_equal(count(t, "class=\"bar\""), 3); /* empty bins draw nothing */
    assert_int_equal(count(t, "class=\"region f0\""), 1);
    /* log10(1 + 9) of log10(1 + 99), of an area 180 high with a little room above */
    assert_non_null(strstr(t, "height=\"87.4\" class=\"bar\""));
    assert_non_null(strstr(t, "height=\"87.4\" class=\"f0\""));
    assert_non_null(strstr(t, ">low<"));
    ob_str_release(&out);
}

static void rows(void **state)
{
    const double v[3] = { .5, .75, NAN };
    struct ob_plot_row r[2] = { { "<way>", 3, v, 3, .625, .1 }, { "none", 1, v, 0, NAN, NAN } };
    struct ob_plot_rows p = { .title = "r", .x_label = "ToW", .hi = 1, .row = r, .n_row = 2 };
    struct ob_str out = { 0 };
    const char *t;

    (void)state;
    ob_plot_rows(&out, &p);
    t = ob_str_text(&out);
    check_tags(t);
    assert_int_equal(count(t, "<circle"), 2);
    assert_int_equal(count(t, "class=\"mean"), 1);
    assert_int_equal(count(t, "class=\"spread"), 1);
    assert_non_null(strstr(t, "&lt;way&gt;"));
    assert_null(strstr(t, "nan"));
    ob_str_release(&out);
}

static void no_memory(void **state)
{
    struct ob_plot_rows p = { .title = "r", .hi = 1 };
    struct ob_str out = { .failed = 1 };

    (void)state;
    ob_plot_rows(&out, &p);
    assert_int_equal(ob_str_check(&out, NULL), OB_ENOMEM);
    ob_str_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(ticks), cmocka_unit_test(escaping),
                                        cmocka_unit_test(lines), cmocka_unit_test(histogram),
                                        cmocka_unit_test(rows),  cmocka_unit_test(no_memory) };

    return cmocka_run_group_tests_name("plot", tests, NULL, NULL);
}
