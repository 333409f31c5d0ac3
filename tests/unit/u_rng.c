/* u_rng.c - the generator against its published vector, and the shape of its numbers. */
#include "common.h"

#include "base/rng.h"

/* Random123's known-answer file: philox4x32-10 with zero counter and zero key. */
static void published_vector(void **state)
{
    struct ob_rng r = ob_rng(0, (enum ob_purpose)0, 0, 0);

    (void)state;
    assert_int_equal(ob_rng_u32(&r), 0x6627e8d5);
    assert_int_equal(ob_rng_u32(&r), 0xe169c58d);
    assert_int_equal(ob_rng_u32(&r), 0xbc57ac4c);
    assert_int_equal(ob_rng_u32(&r), 0x9b00dbd8);
}

static void moments(void **state)
{
    struct ob_rng r = ob_rng(7, OB_RNG_TEST, 1, 2);
    double sum = 0, square = 0, uniform = 0;
    int n = 100000;

    (void)state;
    for (int i = 0; i < n; i++) {
        double x = ob_rng_normal(&r);

        sum += x;
        square += x * x;
        uniform += ob_rng_uniform(&r);
    }
    assert_true(sum / n > -0.02 && sum / n < 0.02);
    assert_true(square / n > 0.97 && square / n < 1.03);
    assert_true(uniform / n > 0.49 && uniform / n < 0.51);
}

static void shuffle_is_a_permutation(void **state)
{
    struct ob_rng r = ob_rng(3, OB_RNG_TEST, 0, 0);
    uint32_t x[100];
    int seen[100] = { 0 }, moved = 0;

    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        x[i] = i;
    ob_rng_shuffle(&r, x, 100);
    for (uint32_t i = 0; i < 100; i++) {
        seen[x[i]]++;
        moved += x[i] != i;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vector),
        cmocka_unit_test(moments),
        cmocka_unit_test(shuffle_is_a_permutation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
