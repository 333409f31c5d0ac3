/* u_half.c - halves: there and back for all of them, and rounding against exact doubles. */
#include "common.h"

#include <math.h>

#include "base/half.h"

/* The definition, in double. */
static double value_of(unsigned h)
{
    int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 1023);
    double v = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);

    return h & 0x8000 ? -v : v;
}

static void all_of_them(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 65536; h++) {
        float x = ob_from_half((uint16_t)h);

        if ((h & 0x7fff) > 0x7c00) {
            assert_true(isnan(x));
            assert_true(isnan(ob_from_half(ob_to_half(x))));
            continue;
        }
        assert_int_equal(ob_to_half(x), h);
        if ((h & 0x7fff) < 0x7c00)
            assert_true((double)x == value_of(h));
        else
            assert_true(isinf(x));
    }
}

/* Between neighbours: the middle goes to the even one, everything else to the nearer. */
static void rounding(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x7bff; h++) {
        float middle = (float)((value_of(h) + value_of(h + 1)) / 2);

        assert_int_equal(ob_to_half(middle), h + (h & 1));
        assert_int_equal(ob_to_half(-middle), 0x8000 | (h + (h & 1)));
        assert_int_equal(ob_to_half(nextafterf(middle, 0)), h);
        assert_int_equal(ob_to_half(nextafterf(middle, INFINITY)), h + 1);
    }
    assert_int_equal(ob_to_half(65519.99f), 0x7bff);
    assert_int_equal(ob_to_half(65520), 0x7c00);
    assert_int_equal(ob_to_half(-INFINITY), 0xfc00);
    assert_int_equal(ob_to_half(1e-30f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_them),
        cmocka_unit_test(rounding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
