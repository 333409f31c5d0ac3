/* u_loss.c - losses against values worked out by hand, gradients against central differences. */
#include "common.h"

#include <math.h>

#include "base/rng.h"
#include "nn/model.h"

#define ROWS 3
#define CLASSES 4

static void near(double a, double b, double bound)
{
    if (!(fabs(a - b) <= bound))
        fail_msg("%.12g is not %.12g", a, b);
}

static void fill(float *x, int n, uint32_t a)
{
    struct ob_rng r = ob_rng(5, OB_RNG_TEST, a, 0);

    for (int i = 0; i < n; i++)
        x[i] = 2 * ob_rng_normal(&r);
}

static const int32_t label[ROWS] = { 2, 0, 3 };

/* Logits log 1, log 2, log 5: p = 1/8, 2/8, 5/8. */
static void by_hand(void **state)
{
    float z[6] = { 0, logf(2), logf(5), 0, logf(2), logf(5) };
    float s[3] = { 0, 0, 0 }, d[6] = { 1, 0, 0, 0, 0, 0 };
    int32_t y[2] = { 1, 2 };
    double p[3], loss;
    int right = -1;

    (void)state;
    loss = ob_loss_ce(d, z, y, 2, 3, 2, &right);
    near(loss, (log(4) + log(8.0 / 5)) / 2, 1e-7);
    assert_int_equal(right, 1);
    near(d[0], 1 + 1.0 / 8, 1e-6); /* added to what was there; scale 2, mean over 2 */
    near(d[1], 2.0 / 8 - 1, 1e-6);
    near(d[5], 5.0 / 8 - 1, 1e-6);
    ob_softmax(p, z, 3);
    near(p[0] + p[1] + p[2], 1, 1e-12);
    near(p[2], 0.625, 1e-7);
    /* student uniform, temperature 1: sum p log(3 p) */
    loss = ob_loss_kl(NULL, s, z, 1, 3, 1, 1);
    near(loss, log(3.0 / 8) / 8 + log(6.0 / 8) / 4 + 5 * log(15.0 / 8) / 8, 1e-7);
    near(ob_loss_kl(NULL, z, z, 2, 3, 4, 1), 0, 1e-12);
}

/* Logits so large that a naive exp overflows. */
static void large_logits(void **state)
{
    float z[3] = { 5000, -5000, 0 }, d[3] = { 0, 0, 0 };
    int32_t y = 1;
    double p[3];

    (void)state;
    near(ob_loss_ce(d, z, &y, 1, 3, 1, NULL), 10000, 1e-6);
    near(d[0], 1, 1e-6);
    near(d[1], -1, 1e-6);
    ob_softmax(p, z, 3);
    near(p[0], 1, 1e-12);
    assert_true(isfinite(ob_loss_kl(d, z, z, 1, 3, 1, 1)));
}

static void argmax_ties(void **state)
{
    float z[4] = { 1, 3, 3, 2 };

    (void)state;
    assert_int_equal(ob_argmax(z, 4), 1);
    assert_int_equal(ob_argmax(z, 1), 0);
}

static double ce(const float *z, const float *other, float t)
{
    (void)other;
    (void)t;
    return ob_loss_ce(NULL, z, label, ROWS, CLASSES, 1, NULL);
}

static double kl(const float *z, const float *other, float t)
{
    return ob_loss_kl(NULL, z, other, ROWS, CLASSES, t, 1);
}

static void differences(double (*f)(const float *, const float *, float), const float *grad,
                        const float *at, const float *other, float t, double scale)
{
    for (int i = 0; i < ROWS * CLASSES; i++) {
        float z[ROWS * CLASSES], step = 0x1p-7f;
        double up, down;

        memcpy(z, at, sizeof(z));
        z[i] = at[i] + step;
        up = f(z, other, t);
        z[i] = at[i] - step;
        down = f(z, other, t);
        near(grad[i], scale * (up - down) / (2 * step), 2e-5);
    }
}

static void gradients(void **state)
{
    float z[ROWS * CLASSES], other[ROWS * CLASSES], d[ROWS * CLASSES] = { 0 };
    static const float temperature[] = { 1, 4, 0.5f };

    (void)state;
    fill(z, ROWS * CLASSES, 1);
    fill(other, ROWS * CLASSES, 2);
    ob_loss_ce(d, z, label, ROWS, CLASSES, 0.7f, NULL);
    differences(ce, d, z, NULL, 0, 0.7);
    for (int k = 0; k < 3; k++) {
        memset(d, 0, sizeof(d));
        ob_loss_kl(d, z, other, ROWS, CLASSES, temperature[k], -1.5f);
        differences(kl, d, z, other, temperature[k], -1.5);
    }
}

/* A logit that is not finite must reach the loss, so that the loop sees it. */
static void not_finite(void **state)
{
    float z[3] = { 0, NAN, 0 };
    int32_t y = 0;

    (void)state;
    assert_true(isnan(ob_loss_ce(NULL, z, &y, 1, 3, 1, NULL)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),   cmocka_unit_test(large_logits), cmocka_unit_test(argmax_ties),
        cmocka_unit_test(gradients), cmocka_unit_test(not_finite),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
