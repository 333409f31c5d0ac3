/* u_magnitude.c - which numbers are the largest or the smallest without their sign. */
#include "common.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "unlearn/magnitude.h"

#define N 5000

struct item {
    float x;
    size_t i;
};

static int ascending(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    if (fabsf(x->x) != fabsf(y->x))
        return fabsf(x->x) < fabsf(y->x) ? -1 : 1;
    return x->i < y->i ? -1 : 1;
}

static int descending(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    if (fabsf(x->x) != fabsf(y->x))
        return fabsf(x->x) > fabsf(y->x) ? -1 : 1;
    return x->i < y->i ? -1 : 1;
}

/* As sorting says, of equal ones the lower index first. */
static void as_sorting_says(void **state)
{
    static const size_t ks[] = { 0, 1, 7, 1234, 4999, 5000 };
    struct ob_rng r = ob_rng(1, OB_RNG_TEST, 0, 0);
    struct item *item;
    uint8_t *mask, *want;
    float *x;

    (void)state;
    must(ob_alloc(x, N, err));
    must(ob_alloc(item, N, err));
    must(ob_alloc(mask, N, err));
    must(ob_alloc(want, N, err));
    for (size_t i = 0; i < N; i++) { /* many equal ones, zeros of both signs among them */
        x[i] = i % 3 ? (float)(ob_rng_below(&r, 41)) / 8 - 2.5f : ob_rng_normal(&r);
        x[i] = i % 50 ? x[i] : -0.0f;
    }
    for (int which = 0; which < 2; which++)
        for (size_t k = 0; k < sizeof(ks) / sizeof(ks[0]); k++) {
            for (size_t i = 0; i < N; i++)
                item[i] = (struct item){ x[i], i };
            qsort(item, N, sizeof(*item), which == OB_SMALLEST ? ascending : descending);
            memset(want, 0, N);
            for (size_t i = 0; i < ks[k]; i++)
                want[item[i].i] = 1;
            must(ob_magnitude_mark(mask, x, N, ks[k], which, err));
            assert_memory_equal(mask, want, N);
            if (ks[k] && which == OB_LARGEST) {
                float kth;

                must(ob_magnitude_kth(&kth, x, N, ks[k], err));
                assert_true(kth == fabsf(item[ks[k] - 1].x));
            }
        }
    ob_free(x);
    ob_free(item);
    ob_free(mask);
    ob_free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(as_sorting_says) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
