/* u_stats.c - t points against printed tables, intervals by hand. */
#include "common.h"

#include <math.h>

#include "judge/judge.h"

static void close_to(double a, double b, double bound)
{
    if (!(fabs(a - b) <= bound))
        fail_msg("%.12g is not %.12g", a, b);
}

static void table(void **state)
{
    static const struct {
        size_t df;
        double t;
    } point[] = { { 1, 12.706 },   { 2, 4.303 },        { 3, 3.182 },  { 4, 2.776 },
                  { 5, 2.571 },    { 6, 2.447 },        { 9, 2.262 },  { 10, 2.228 },
                  { 20, 2.086 },   { 30, 2.042 },       { 60, 2.000 }, { 120, 1.980 },
                  { 1000, 1.962 }, { 100000000, 1.960 } };

    (void)state;
    for (size_t i = 0; i < sizeof(point) / sizeof(point[0]); i++)
        close_to(ob_t975(point[i].df), point[i].t, 0.00051);
    assert_true(isnan(ob_t975(0)));
}

/* One and two degrees of freedom have closed forms: tan(pi 0.475), and (2p-1) sqrt(2/(4p(1-p))). */
static void closed_forms(void **state)
{
    (void)state;
    close_to(ob_t975(1), tan(3.14159265358979323846 * 0.475), 1e-10);
    close_to(ob_t975(2), 0.95 * sqrt(2 / (4 * 0.975 * 0.025)), 1e-10);
}

static void interval(void **state)
{
    struct ob_interval i;
    double x[] = { 1, 2, 3, 4 };

    (void)state;
    ob_interval(&i, x, 4);
    assert_int_equal(i.n, 4);
    close_to(i.mean, 2.5, 0);
    close_to(i.sd, sqrt(5.0 / 3), 1e-15);
    close_to(i.half, 3.182446305284263 * sqrt(5.0 / 3) / 2, 1e-9);
    ob_interval(&i, x + 1, 1);
    close_to(i.mean, 2, 0);
    assert_true(isnan(i.sd) && isnan(i.half));
    ob_interval(&i, x, 0);
    assert_true(isnan(i.mean) && isnan(i.sd) && isnan(i.half));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(closed_forms),
        cmocka_unit_test(interval),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
