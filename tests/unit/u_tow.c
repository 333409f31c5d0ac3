/* u_tow.c - the tug of war by hand. */
#include "common.h"

#include <math.h>

#include "judge/judge.h"

static void close_to(double a, double b)
{
    if (!(fabs(a - b) <= 1e-15))
        fail_msg("%.17g is not %.17g", a, b);
}

static void product(void **state)
{
    (void)state;
    close_to(ob_tow(0, 0, 0), 1);
    close_to(ob_tow(0.5, 0, 0), 0.5);
    close_to(ob_tow(0, 0.25, 0.5), 0.375);
    close_to(ob_tow(1, 0.1, 0.2), 0);
    assert_true(isnan(ob_tow(NAN, 0, 0)));
}

/* Errors of opposite sign cancel in the whole, and do not in the parts. */
static void parts_do_not_cancel(void **state)
{
    double gap[] = { 0.5, 0.25, 0 };

    (void)state;
    close_to(ob_tow_parts(gap, 3, 0, 0.5), 0.75 * 0.5);
    close_to(ob_tow_worst(gap, 3, 0, 0.5), 0.5 * 0.5);
    close_to(ob_tow_parts(gap, 1, 0.5, 0), 0.25);
    assert_true(isnan(ob_tow_parts(gap, 0, 0, 0)));
    assert_true(isnan(ob_tow_worst(gap, 0, 0, 0)));
    gap[1] = NAN;
    assert_true(isnan(ob_tow_worst(gap, 3, 0, 0)));
    gap[1] = 0.75;
    close_to(ob_tow_worst(gap, 3, 0, 0), 0.25);
}

static void attack_by_hand(void **state)
{
    double in[] = { 0.9, 0.95, 1 }, out[] = { 0, 0.1, 0.2 }, asked[] = { 0.97, 0.05, 0.15, 0.92 };
    double bad[] = { 0.5, NAN, 1 }, share;

    (void)state;
    assert_int_equal(ob_attack_svc(&share, in, 3, out, 3, asked, 4, NULL), OB_OK);
    close_to(share, 0.5);
    assert_int_equal(ob_attack_svc(&share, in, 3, out, 3, asked, 1, NULL), OB_OK);
    close_to(share, 0);
    assert_int_equal(ob_attack_svc(&share, in, 0, out, 3, asked, 4, NULL), OB_EFORMAT);
    assert_int_equal(ob_attack_svc(&share, in, 3, out, 0, asked, 4, NULL), OB_EFORMAT);
    assert_int_equal(ob_attack_svc(&share, in, 3, out, 3, asked, 0, NULL), OB_EFORMAT);
    assert_int_equal(ob_attack_svc(&share, bad, 3, out, 3, asked, 4, NULL), OB_EDIVERGED);
    assert_true(isnan(share));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(product),
        cmocka_unit_test(parts_do_not_cancel),
        cmocka_unit_test(attack_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
