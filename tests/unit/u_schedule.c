/* u_schedule.c - learning rates by hand, and refused texts. */
#include "common.h"

#include "run/train.h"

static double at(const char *text, double lr, int64_t t, int64_t total)
{
    struct ob_schedule s;

    must(ob_schedule_parse(&s, text, err));
    return ob_schedule_at(&s, lr, t, total);
}

static void rates(void **state)
{
    (void)state;
    assert_float_equal(at("constant", 0.3, 7, 10), 0.3, 1e-12);
    assert_float_equal(at("cosine", 0.1, 0, 30), 0.1, 1e-12);
    assert_float_equal(at("cosine", 0.1, 15, 30), 0.05, 1e-12);
    assert_float_equal(at("cosine", 0.1, 10, 30), 0.075, 1e-12); /* cos(pi/3) = 1/2 */
    assert_float_equal(at("linear", 0.1, 3, 4), 0.025, 1e-12);
    assert_float_equal(at("step:60,120,x0.2", 0.1, 59, 150), 0.1, 1e-12);
    assert_float_equal(at("step:60,120,x0.2", 0.1, 60, 150), 0.02, 1e-12);
    assert_float_equal(at("step:60,120,x0.2", 0.1, 120, 150), 0.004, 1e-12);
}

static void refused(void **state)
{
    struct ob_schedule s;

    (void)state;
    must_fail(ob_schedule_parse(&s, "cosin", err), OB_EINVAL, "cosin");
    must_fail(ob_schedule_parse(&s, "step:60,120", err), OB_EINVAL, "factor");
    must_fail(ob_schedule_parse(&s, "step:120,60,x0.1", err), OB_EINVAL, "60");
    must_fail(ob_schedule_parse(&s, "step:4294967297,x0.1", err), OB_EINVAL, "4294967297");
    must_fail(ob_schedule_parse(&s, "step:x0.1", err), OB_EINVAL, "epochs");
    must_fail(ob_schedule_parse(&s, "step:9,x-1", err), OB_EINVAL, "x-1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates),
        cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
