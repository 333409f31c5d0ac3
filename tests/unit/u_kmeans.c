/* u_kmeans.c - k-means where it is awkward: equal points, as many clusters as points, centres that win nothing. */
#include "common.h"

#include "base/kmeans.h"
#include "base/mem.h"

static const float x[12] = { 0, 0, 0, 1, 9, 9, 9, 8, 20, 0, 20, 1 };

static void pairs(void **state)
{
    struct ob_kmeans_opts o = { .k = 3, .starts = 10, .seed = 7, .n_threads = 2 };
    double center[6], inertia;
    uint32_t of[6];

    (void)state;
    must(ob_kmeans(of, center, &inertia, x, 6, 2, &o, err));
    assert_true(of[0] == of[1] && of[2] == of[3] && of[4] == of[5]);
    assert_true(of[0] != of[2] && of[2] != of[4] && of[4] != of[0]);
    assert_true(inertia > 1.4999 && inertia < 1.5001);
    o.k = 6;
    must(ob_kmeans(of, center, &inertia, x, 6, 2, &o, err));
    assert_true(inertia == 0);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < i; k++)
            assert_int_not_equal(of[i], of[k]);
    o.k = 1;
    must(ob_kmeans(of, center, &inertia, x, 6, 2, &o, err));
    assert_true(center[0] > 9.6 && center[0] < 9.7);
    o.k = 7;
    must_fail(ob_kmeans(of, center, &inertia, x, 6, 2, &o, err), OB_EINVAL, "7 clusters of 6");
    o.k = 0;
    must_fail(ob_kmeans(of, center, &inertia, x, 6, 2, &o, err), OB_EINVAL, "0 clusters");
}

/* A centre far from all points takes the one that lies farthest from its own. */
static void empty(void **state)
{
    struct ob_kmeans_opts o = { .k = 3, .n_threads = 1 };
    double center[6] = { 1, 1, 1000, 1000, 9, 9 }, inertia;
    uint32_t of[6];

    (void)state;
    must(ob_kmeans_from(of, center, &inertia, x, 6, 2, &o, err));
    assert_int_equal(of[0], 0);
    assert_int_equal(of[4], 1);
    assert_int_equal(of[5], 1);
    assert_int_equal(of[2], 2);
}

static void equal_points(void **state)
{
    static const float same[8] = { 2, 2, 2, 2, 2, 2, 2, 2 };
    struct ob_kmeans_opts o = { .k = 3, .starts = 2, .seed = 1, .n_threads = 1 };
    size_t count[3] = { 0 };
    double center[6], inertia;
    uint32_t of[4];

    (void)state;
    must(ob_kmeans(of, center, &inertia, same, 4, 2, &o, err));
    assert_true(inertia == 0);
    for (int i = 0; i < 4; i++)
        count[of[i]]++;
    for (int k = 0; k < 3; k++)
        assert_true(count[k] > 0);
}

static void no_memory(void **state)
{
    struct ob_kmeans_opts o = { .k = 2, .starts = 1, .seed = 1, .n_threads = 1 };
    double center[4], inertia;
    uint32_t of[6];
    size_t n;

    (void)state;
    for (n = 1; n < 50; n++) {
        obi_mem_fail_at(n);
        if (ob_kmeans(of, center, &inertia, x, 6, 2, &o, NULL) != OB_ENOMEM)
            break;
    }
    obi_mem_fail_at(0);
    assert_in_range(n, 4, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs),
        cmocka_unit_test(empty),
        cmocka_unit_test(equal_points),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
