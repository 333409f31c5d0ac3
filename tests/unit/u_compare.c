/* u_compare.c - ranks, correlations and their intervals by hand. */
#include "common.h"

#include <math.h>

#include "base/mem.h"
#include "score/score.h"

static void close_to(double a, double b, double bound)
{
    if (!(fabs(a - b) <= bound))
        fail_msg("%.12g is not %.12g", a, b);
}

static struct ob_scores *scores(const float *x, size_t n)
{
    struct ob_scores *s;

    assert_int_equal(ob_scores_new(&s, "unknown", "file", n, NULL), OB_OK);
    memcpy(s->value, x, n * sizeof(*x));
    ob_scores_count(s);
    return s;
}

static int compare(struct ob_compare *c, const float *x, size_t nx, const float *y, size_t ny,
                   struct ob_err *err)
{
    struct ob_scores *a = scores(x, nx), *b = scores(y, ny);
    int rc = ob_scores_compare(c, a, b, err);

    ob_scores_free(a);
    ob_scores_free(b);
    return rc;
}

static void ranks(void **state)
{
    double x[] = { 3, 1, 3, -2, 3, 0, -0.0 }, rank[7];
    double expect[] = { 6, 4, 6, 1, 6, 2.5, 2.5 };

    (void)state;
    assert_int_equal(ob_ranks(rank, x, 7, NULL), OB_OK);
    for (int i = 0; i < 7; i++)
        close_to(rank[i], expect[i], 0);
    assert_int_equal(ob_ranks(rank, x, 0, NULL), OB_OK);
}

/* x = 1..5, y = 2 1 4 3 5: sum of d^2 is 4, rho = 1 - 6 * 4 / (5 * 24) = 0.8, r the same. */
static void by_hand(void **state)
{
    float x[] = { 1, NAN, 2, 3, 4, 5, 7 }, y[] = { 2, 9, 1, 4, 3, 5, NAN };
    double half = 1.959963984540054 / sqrt(2), z = atanh(0.8);
    struct ob_compare c;

    (void)state;
    assert_int_equal(compare(&c, x, 7, y, 7, NULL), OB_OK);
    assert_int_equal(c.n, 5);
    close_to(c.spearman, 0.8, 1e-15);
    close_to(c.pearson, 0.8, 1e-15);
    close_to(c.spearman_low, tanh(z - half), 1e-12);
    close_to(c.spearman_high, tanh(z + half), 1e-12);
    close_to(c.pearson_low, tanh(z - half), 1e-12);
}

static void perfect(void **state)
{
    float x[] = { 1, 2, 3, 4 }, up[] = { 1, 10, 100, 1000 }, down[] = { 4, 3, 2, 1 };
    struct ob_compare c;

    (void)state;
    assert_int_equal(compare(&c, x, 4, up, 4, NULL), OB_OK);
    close_to(c.spearman, 1, 0);
    close_to(c.spearman_low, 1, 0);
    close_to(c.spearman_high, 1, 0);
    assert_true(c.pearson < 0.99);
    assert_int_equal(compare(&c, x, 4, down, 4, NULL), OB_OK);
    close_to(c.pearson, -1, 1e-15);
}

static void little_to_say(void **state)
{
    float x[] = { 1, 2, 3 }, flat[] = { 5, 5, 5 }, holes[] = { 1, NAN, NAN };
    float none[] = { NAN, NAN, NAN };
    struct ob_compare c;
    struct ob_err err = { 0 };

    (void)state;
    assert_int_equal(compare(&c, x, 3, flat, 3, NULL), OB_OK);
    assert_true(isnan(c.pearson) && isnan(c.spearman) && isnan(c.pearson_low));
    assert_int_equal(compare(&c, x, 3, x, 3, NULL), OB_OK);
    assert_true(isnan(c.pearson_low)); /* n = 3 has no interval */
    close_to(c.pearson, 1, 1e-15);
    assert_int_equal(compare(&c, x, 3, holes, 3, NULL), OB_EFORMAT);
    assert_int_equal(compare(&c, x, 3, none, 3, NULL), OB_EFORMAT);
    assert_int_equal(compare(&c, x, 3, flat, 2, &err), OB_EFORMAT);
    assert_non_null(strstr(err.msg, "3 and 2"));
}

/* Spearman 1904: 0.8 / sqrt(0.64) = 1, / sqrt(0.64 * 0.25) = 2. */
static void corrected(void **state)
{
    static const char *const origin[] = { "{\"reliability\": 0.64}", "{\"reliability\": 0.25}",
                                          "{\"reliability\": -0.1}", "{\"reliability\": \"1\"}" };
    float x[] = { 1, 2, 3, 4, 5 }, y[] = { 2, 1, 4, 3, 5 };
    struct ob_scores *a = scores(x, 5), *b = scores(y, 5);
    struct ob_compare c;

    (void)state;
    assert_int_equal(ob_scores_compare(&c, a, b, NULL), OB_OK);
    assert_true(isnan(c.spearman_corrected) && isnan(c.reliability[0]));
    a->origin = (char *)origin[0];
    assert_int_equal(ob_scores_compare(&c, a, b, NULL), OB_OK);
    close_to(c.reliability[0], 0.64, 0);
    assert_true(isnan(c.reliability[1]));
    close_to(c.spearman_corrected, 1, 1e-15);
    close_to(c.pearson_corrected_low, c.pearson_low / 0.8, 1e-15);
    b->origin = (char *)origin[1];
    assert_int_equal(ob_scores_compare(&c, a, b, NULL), OB_OK);
    close_to(c.pearson_corrected, 2, 1e-15);
    close_to(c.spearman_corrected_high, c.spearman_high / 0.4, 1e-15);
    for (int k = 2; k < 4; k++) { /* nothing that can be */
        a->origin = (char *)origin[k];
        assert_int_equal(ob_scores_compare(&c, a, b, NULL), OB_OK);
        close_to(c.spearman_corrected, 1.6, 1e-15);
    }
    a->origin = b->origin = NULL;
    ob_scores_free(a);
    ob_scores_free(b);
}

static void resampled(void **state)
{
    float x[40], y[40], flat[40] = { 0 };
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_compare c[3];
    struct ob_scores *a, *b;

    (void)state;
    for (int i = 0; i < 40; i++) {
        x[i] = (float)i;
        y[i] = (float)((i * 7) % 40) + (float)i;
    }
    a = scores(x, 40);
    b = scores(y, 40);
    for (int k = 0; k < 3; k++) { /* any number of threads; another seed */
        struct ob_ctx *ctx;

        o.n_threads = k == 1 ? 3 : 1;
        must(ob_ctx_new(&ctx, &o, err));
        must(ob_scores_bootstrap(&c[k], ctx, a, b, 100, k == 2 ? 9 : 1, err));
        must_fail(ob_scores_bootstrap(&c[2], ctx, a, b, 0, 1, err), OB_EINVAL, "0 resamples");
        if (k == 2) {
            struct ob_scores *z = scores(flat, 40);

            must(ob_scores_bootstrap(&c[2], ctx, a, b, 100, 9, err));
            must(ob_scores_bootstrap(&c[1], ctx, a, z, 10, 1, err));
            assert_true(isnan(c[1].spearman) && isnan(c[1].spearman_low));
            ob_scores_free(z);
            obi_mem_fail_at(9);
            assert_int_equal(ob_scores_bootstrap(&c[1], ctx, a, b, 10, 1, NULL), OB_ENOMEM);
            obi_mem_fail_at(0);
        } else if (k == 1) {
            assert_memory_equal(&c[0].spearman, &c[1].spearman, 6 * sizeof(double));
        }
        ob_ctx_free(ctx);
    }
    assert_true(c[0].spearman_low < c[0].spearman && c[0].spearman < c[0].spearman_high);
    assert_true(c[0].spearman_low != c[2].spearman_low);
    ob_scores_free(a);
    ob_scores_free(b);
}

static void out_of_memory(void **state)
{
    float x[] = { 1, 2, 3, 4 };
    struct ob_scores *a = scores(x, 4);
    struct ob_compare c;

    (void)state;
    for (size_t i = 1; i <= 6; i++) {
        obi_mem_fail_at(i);
        assert_int_equal(ob_scores_compare(&c, a, a, NULL), OB_ENOMEM);
    }
    obi_mem_fail_at(7);
    assert_int_equal(ob_scores_compare(&c, a, a, NULL), OB_OK);
    obi_mem_fail_at(0);
    ob_scores_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks),         cmocka_unit_test(by_hand),   cmocka_unit_test(perfect),
        cmocka_unit_test(little_to_say), cmocka_unit_test(corrected), cmocka_unit_test(resampled),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
