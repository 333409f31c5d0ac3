/* u_tensors.c - elements of tensors: every float16 and bfloat16, float64, strides. */
#include <math.h>

#include "common.h"
#include "nn/tensors.h"

static struct ob_tensor vector(const char *dtype, const void *data, int64_t n)
{
    struct ob_tensor x = { .rank = 1, .shape = { n }, .stride = { 1 }, .data = data };

    snprintf(x.dtype, sizeof(x.dtype), "%s", dtype);
    return x;
}

/* sign, fraction and exponent of binary16, by its definition */
static double half_value(unsigned h)
{
    double sign = h & 0x8000 ? -1 : 1, fraction = (h & 1023) / 1024.0;
    int exponent = h >> 10 & 31;

    if (exponent == 31)
        return h & 1023 ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1 + fraction, exponent - 15) : ldexp(fraction, -14));
}

static void halves(void **state)
{
    static uint16_t in[65536];
    static float out[65536];
    struct ob_tensor x = vector("F16", in, 65536);

    (void)state;
    for (unsigned i = 0; i < 65536; i++)
        in[i] = (uint16_t)i;
    assert_true(obi_tensor_floats(out, &x));
    for (unsigned i = 0; i < 65536; i++) {
        double want = half_value(i);

        if (isnan(want) ? !isnan(out[i]) : out[i] != want || !signbit(out[i]) != !signbit(want))
            fail_msg("float16 %04x is %g, not %g", i, (double)out[i], want);
    }
}

static void bfloats(void **state)
{
    static uint16_t in[65536];
    static float out[65536];
    struct ob_tensor x = vector("BF16", in, 65536);

    (void)state;
    for (unsigned i = 0; i < 65536; i++)
        in[i] = (uint16_t)i;
    assert_true(obi_tensor_floats(out, &x));
    for (unsigned i = 0; i < 65536; i++) {
        uint32_t bits;

        memcpy(&bits, &out[i], 4);
        assert_int_equal(bits, i << 16);
    }
}

static void doubles(void **state)
{
    const double in[] = { 1.0 / 3, -0.0, 1 + 1e-9, 1e300, 1e-60 };
    float out[5];
    struct ob_tensor x = vector("F64", in, 5);

    (void)state;
    assert_true(obi_tensor_floats(out, &x));
    for (int i = 0; i < 3; i++)
        assert_true(out[i] == (float)in[i]);
    assert_true(signbit(out[1]));
    assert_true(isinf(out[3])); /* and whoever reads a model refuses it */
    assert_true(out[4] == 0);
}

/* a[i][j][k] = 100 i + 10 j + k, however it lies. */
static void strides(void **state)
{
    static const int64_t order[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 }, { 2, 0, 1 } },
                         shape[3] = { 2, 3, 4 };

    (void)state;
    for (size_t o = 0; o < 4; o++) {
        float in[64] = { 0 }, out[24];
        struct ob_tensor x = vector("F32", in + 5, 0);
        int64_t next = 2; /* with a gap between neighbours */

        x.rank = 3;
        for (int d = 0; d < 3; d++) {
            x.shape[order[o][d]] = shape[order[o][d]];
            x.stride[order[o][d]] = next;
            next *= shape[order[o][d]];
        }
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 3; j++)
                for (int k = 0; k < 4; k++)
                    in[5 + i * x.stride[0] + j * x.stride[1] + k * x.stride[2]] =
                        (float)(100 * i + 10 * j + k);
        assert_true(obi_tensor_floats(out, &x));
        for (int i = 0; i < 24; i++)
            assert_true(out[i] == (float)(100 * (i / 12) + 10 * (i / 4 % 3) + i % 4));
    }
}

static void whole_numbers(void **state)
{
    const int64_t wide[] = { 7, -1, INT64_MIN };
    const int32_t narrow[] = { 7, -1, INT32_MIN };
    int64_t out[3];
    float none[3];
    struct ob_tensor x = vector("I64", wide, 3), y = vector("I32", narrow, 3);

    (void)state;
    assert_true(obi_tensor_ints(out, &x));
    assert_true(out[0] == 7 && out[1] == -1 && out[2] == INT64_MIN);
    assert_true(obi_tensor_ints(out, &y));
    assert_true(out[0] == 7 && out[1] == -1 && out[2] == INT32_MIN);
    assert_false(obi_tensor_floats(none, &x));
    x = vector("F32", wide, 3);
    assert_false(obi_tensor_ints(out, &x));
    x = vector("I64", wide, 0); /* nothing */
    assert_true(obi_tensor_ints(out, &x));
    x = vector("F32", NULL, 0);
    assert_true(obi_tensor_floats(none, &x));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves),  cmocka_unit_test(bfloats),       cmocka_unit_test(doubles),
        cmocka_unit_test(strides), cmocka_unit_test(whole_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
