/*
 * accounting.c - epsilon, delta and noise against numpy and scipy (tools/golden_accounting.py).
 */
#include <math.h>

#include "base/npy.h"
#include "common.h"
#include "unlearn/accounting.h"

static struct ob_npz stored;

/* Number `column` of row `i` of an array; rows of `width`. */
static double at(const char *name, size_t i, size_t column, size_t width)
{
    const struct ob_npy *a = ob_npz_find(&stored, name);

    assert_non_null(a);
    assert_int_equal(a->n % width, 0);
    return ob_npy_double(a, i * width + column);
}

static size_t rows(const char *name, size_t width)
{
    return ob_npz_find(&stored, name)->n / width;
}

static void close_to(double x, double want, double bound, const char *what, size_t i)
{
    if (!(fabs(x - want) <= bound * fabs(want)))
        fail_msg("%s, row %zu: %.12g, not %.12g", what, i, x, want);
}

static void test_renyi(void **state)
{
    (void)state;
    for (size_t i = 0; i < rows("renyi", 3); i++) {
        double k = at("renyi", i, 0, 3), delta = at("renyi", i, 1, 3),
               epsilon = at("renyi", i, 2, 3);

        close_to(ob_renyi_epsilon(k, delta), epsilon, 1e-9, "epsilon", i);
        if (epsilon > 0)
            close_to(ob_renyi_budget(epsilon, delta), k, 1e-8, "k", i);
    }
}

static void test_gauss(void **state)
{
    (void)state;
    for (size_t i = 0; i < rows("gauss", 3); i++) {
        double d = ob_gauss_delta(at("gauss", i, 0, 3), at("gauss", i, 1, 3));

        if (!(fabs(d - at("gauss", i, 2, 3)) <= 1e-13))
            fail_msg("delta, row %zu: %.17g, not %.17g", i, d, at("gauss", i, 2, 3));
    }
}

static struct ob_noisy noisy_at(size_t i)
{
    return (struct ob_noisy){ .clip = (enum ob_noisy_clip)at("noisy", i, 0, 10),
                              .epsilon = at("noisy", i, 1, 10),
                              .delta = at("noisy", i, 2, 10),
                              .c0 = at("noisy", i, 3, 10),
                              .c1 = at("noisy", i, 4, 10),
                              .c2 = at("noisy", i, 5, 10),
                              .eta = at("noisy", i, 6, 10),
                              .lambda = at("noisy", i, 7, 10),
                              .steps = (int64_t)at("noisy", i, 8, 10) };
}

/* What comes out keeps to what was asked for, and a little less noise does not. */
static void test_noise(void **state)
{
    (void)state;
    for (size_t i = 0; i < rows("noisy", 10); i++) {
        struct ob_noisy n = noisy_at(i);

        must(ob_noisy_solve(&n, err));
        close_to(n.sigma, at("noisy", i, 9, 10), 1e-7, "sigma", i);
        if (n.clip == OB_NOISY_GRADIENT) {
            close_to(ob_noisy_epsilon(&n), n.epsilon, 1e-9, "epsilon", i);
            n.sigma *= 0.999;
            assert_true(ob_noisy_epsilon(&n) > n.epsilon);
        } else {
            close_to(ob_noisy_delta(&n), n.delta, 1e-9, "delta", i);
            n.sigma *= 0.999;
            assert_true(ob_noisy_delta(&n) > n.delta);
        }
    }
}

/* Numbers that were worked out elsewhere, at delta 1e-5, to the digits that were given. */
static void test_known(void **state)
{
    static const double paper[][2] = { { 1, 0.78 }, { 3, 2.60 }, { 5, 4.63 }, { 8, 8.02 } };

    (void)state;
    assert_true(fabs(ob_renyi_epsilon(1, 1e-5) - 7.08) < 0.005);
    assert_true(fabs(ob_renyi_epsilon(2, 1e-5) - 10.7) < 0.05);
    for (size_t i = 0; i < 4; i++) { /* the paper's noise: k = 2 epsilon^2 / (9 ln(1 / delta)) */
        double k = 2 * paper[i][0] * paper[i][0] / (9 * log(1e5));

        if (!(fabs(ob_renyi_epsilon(k, 1e-5) - paper[i][1]) < 0.005))
            fail_msg("%g: %g, not %g", paper[i][0], ob_renyi_epsilon(k, 1e-5), paper[i][1]);
    }
}

/* lambda -> 0 tends to lambda = 0. */
static void test_limit(void **state)
{
    struct ob_noisy a = noisy_at(0), b = a;

    (void)state;
    a.lambda = 0;
    b.lambda = 1e-9;
    must(ob_noisy_solve(&a, err));
    must(ob_noisy_solve(&b, err));
    close_to(b.sigma, a.sigma, 1e-6, "sigma", 0);
}

static void test_steps(void **state)
{
    struct ob_noisy n = { .c0 = 10, .c1 = 1, .eta = 0.1 };

    (void)state;
    assert_true(ob_noisy_least_steps(&n) == 100);
    n.lambda = 1;
    assert_true(ob_noisy_least_steps(&n) == 30); /* ln 20 / 0.1 = 29.96 */
    n.lambda = 0.01;                             /* ln 0.2 is below 0: it does not count */
    assert_true(ob_noisy_least_steps(&n) == 100);
    n.c0 = 1e-9;
    assert_true(ob_noisy_least_steps(&n) == 1);
}

static void test_refused(void **state)
{
    struct ob_noisy n = { .epsilon = 1,
                          .delta = 1e-5,
                          .c0 = 1,
                          .c1 = 1,
                          .c2 = 0.5,
                          .eta = 0.1,
                          .lambda = 10,
                          .steps = 5 };

    (void)state;
    must_fail(ob_noisy_solve(&n, err), OB_EINVAL, "lambda is 1, not below 1");
    n.lambda = 0;
    n.clip = OB_NOISY_BOTH;
    must_fail(ob_noisy_solve(&n, err), OB_EINVAL, "above c2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renyi),   cmocka_unit_test(test_gauss), cmocka_unit_test(test_noise),
        cmocka_unit_test(test_known),   cmocka_unit_test(test_limit), cmocka_unit_test(test_steps),
        cmocka_unit_test(test_refused),
    };

    must(ob_npz_read(&stored, "tests/golden/accounting/values.npz", 1 << 20, err));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
