/* u_munba.c - the weights of MUNBa's bargain: their closed form, and where the released code leaves it. */
#include <math.h>

#include "base/rng.h"
#include "common.h"
#include "unlearn/gradients.h"

enum { N = 50 };

static struct ob_dots make(float *r, float *f, uint32_t draw, double scale_r, double scale_f)
{
    struct ob_rng g = ob_rng(9, OB_RNG_TEST, draw, 0);
    struct ob_dots d = { 0 };

    for (int i = 0; i < N; i++) {
        float both = ob_rng_normal(&g);

        r[i] = (float)(scale_r * (double)(both + ob_rng_normal(&g)));
        f[i] = (float)(scale_f * (double)(ob_rng_normal(&g) + (draw % 2 ? both : -both)));
        d.own += (double)f[i] * (double)f[i];
        d.other += (double)r[i] * (double)r[i];
        d.both += (double)f[i] * (double)r[i];
    }
    return d;
}

/* The step is along the sum of the two unit gradients, and as long as a diagonal. */
static void test_unit_gradients(void **state)
{
    (void)state;
    for (uint32_t draw = 0; draw < 20; draw++) {
        float r[N], f[N];
        struct ob_dots d = make(r, f, draw, pow(10, (double)draw - 15), 3);
        double w_r, w_f, length, cos = d.both / sqrt(d.own * d.other);

        ob_munba_exact(d, &w_r, &w_f);
        assert_true(w_r > 0 && w_f > 0);
        length = w_r * w_r * d.other + 2 * w_r * w_f * d.both + w_f * w_f * d.own;
        assert_true(fabs(length - 2) < 1e-9);
        for (int i = 0; i < N; i++) {
            double unit = (double)r[i] / sqrt(d.other) + (double)f[i] / sqrt(d.own);

            assert_true(fabs(w_r * (double)r[i] + w_f * (double)f[i] - unit / sqrt(1 + cos)) <
                        1e-9);
        }
    }
}

/* Opposite gradients, and none at all: no step, and nothing that is not finite. */
static void test_no_bargain(void **state)
{
    static const struct ob_dots d[] = { { 4, 1, -2 }, { 0, 0, 0 }, { 0, 4, 0 } };

    (void)state;
    for (int i = 0; i < 3; i++) {
        double w_r, w_f;

        ob_munba_exact(d[i], &w_r, &w_f);
        assert_true(isfinite(w_r) && isfinite(w_f));
        assert_true(w_f == 0);
        assert_true(i == 2 ? w_r > 0 : w_r == 0);
    }
}

/* The released expressions are the same for large gradients and fall back for small ones. */
static void test_released(void **state)
{
    float r[N], f[N];
    double e_r, e_f, w_r, w_f;
    struct ob_dots d;

    (void)state;
    for (uint32_t draw = 0; draw < 20; draw++) {
        d = make(r, f, draw, 1, 1);
        ob_munba_exact(d, &e_r, &e_f);
        ob_munba_released(d, &w_r, &w_f);
        assert_true(fabs(w_r / e_r - 1) < 1e-3);
        assert_true(fabs(w_f / e_f - 1) < 1e-3);
    }
    d = make(r, f, 4, 1e-4, 1); /* at odds, so that b < 0 */
    ob_munba_released(d, &w_r, &w_f);
    assert_true(w_r == 1 && w_f == (double)0.1f);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_unit_gradients),
                                        cmocka_unit_test(test_no_bargain),
                                        cmocka_unit_test(test_released) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
