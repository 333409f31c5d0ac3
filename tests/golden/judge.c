/* judge.c - attack, tug of war, correlations, intervals, proxies, score files against Python's. */
#include "common.h"

#include <math.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/npy.h"
#include "judge/judge.h"
#include "score/score.h"

#define DIR "tests/golden/judge/"

static struct ob_npz load(const char *name)
{
    struct ob_npz z = { 0 };
    struct ob_err err = { 0 };

    if (ob_npz_read(&z, name, 1 << 20, &err))
        fail_msg("%s", err.msg);
    return z;
}

static const struct ob_npy *find(const struct ob_npz *z, const char *name, int i)
{
    char text[32];
    const struct ob_npy *a;

    snprintf(text, sizeof(text), i < 0 ? "%s" : "%s%d", name, i);
    a = ob_npz_find(z, text);
    return a;
}

static double *doubles(const struct ob_npz *z, const char *name, int i, size_t *n)
{
    const struct ob_npy *a = find(z, name, i);
    double *x;

    assert_non_null(a);
    x = malloc(a->n * sizeof(*x));
    assert_non_null(x);
    for (size_t k = 0; k < a->n; k++)
        x[k] = ob_npy_double(a, k);
    if (n)
        *n = a->n;
    return x;
}

/* NaN equals NaN; otherwise within `bound` absolutely. */
static void same(double a, double b, double bound)
{
    if (isnan(a) && isnan(b))
        return;
    if (!(fabs(a - b) <= bound))
        fail_msg("%.17g is not %.17g", a, b);
}

static void attack_equals_scikit_learn(void **state)
{
    struct ob_npz z = load(DIR "attack.npz");
    int i;

    (void)state;
    for (i = 0; find(&z, "member", i); i++) {
        size_t n_member, n_other, n_target;
        double *member = doubles(&z, "member", i, &n_member);
        double *other = doubles(&z, "other", i, &n_other);
        double *target = doubles(&z, "target", i, &n_target);
        double *share = doubles(&z, "share", i, NULL), got;

        assert_int_equal(
            ob_attack_svc(&got, member, n_member, other, n_other, target, n_target, NULL), OB_OK);
        if (fabs(got - share[0]) * (double)n_target > 1e-6)
            fail_msg("case %d: %.9f, scikit-learn %.9f", i, got, share[0]);
        free(member);
        free(other);
        free(target);
        free(share);
    }
    assert_int_equal(i, 7);
    ob_npz_release(&z);
}

static void tow_equals_numpy(void **state)
{
    struct ob_npz z = load(DIR "tow.npz");
    size_t n, n_gap;
    double *tow = doubles(&z, "tow", -1, &n), *gap = doubles(&z, "gap", -1, &n_gap);
    double *parts = doubles(&z, "parts", -1, NULL), *worst = doubles(&z, "worst", -1, NULL);

    (void)state;
    assert_int_equal(n_gap, n * 7);
    for (size_t i = 0; i < n; i++) {
        const double *g = gap + i * 7;

        same(ob_tow(g[0], g[1], g[2]), tow[i], 1e-12);
        same(ob_tow_parts(g + 3, 4, g[1], g[2]), parts[i], 1e-12);
        same(ob_tow_worst(g + 3, 4, g[1], g[2]), worst[i], 1e-12);
    }
    free(tow);
    free(gap);
    free(parts);
    free(worst);
    ob_npz_release(&z);
}

static struct ob_scores *scores_of(const double *x, size_t n)
{
    struct ob_scores *s;

    assert_int_equal(ob_scores_new(&s, "unknown", "file", n, NULL), OB_OK);
    for (size_t i = 0; i < n; i++)
        s->value[i] = (float)x[i];
    ob_scores_count(s);
    return s;
}

static void compare_equals_scipy(void **state)
{
    struct ob_npz z = load(DIR "compare.npz");
    int i;

    (void)state;
    for (i = 0; find(&z, "x", i); i++) {
        size_t n;
        double *x = doubles(&z, "x", i, &n), *y = doubles(&z, "y", i, NULL);
        double *r = doubles(&z, "r", i, NULL);
        struct ob_scores *a = scores_of(x, n), *b = scores_of(y, n);
        struct ob_compare c;

        assert_int_equal(ob_scores_compare(&c, a, b, NULL), OB_OK);
        same((double)c.n, r[0], 0);
        same(c.spearman, r[1], 1e-9);
        same(c.spearman_low, r[2], 1e-7);
        same(c.spearman_high, r[3], 1e-7);
        same(c.pearson, r[4], 1e-9);
        same(c.pearson_low, r[5], 1e-7);
        same(c.pearson_high, r[6], 1e-7);
        ob_scores_free(a);
        ob_scores_free(b);
        free(x);
        free(y);
        free(r);
    }
    assert_int_equal(i, 4);
    ob_npz_release(&z);
}

static void percentiles_equal_numpy(const struct ob_npz *file)
{
    size_t n, n_q;
    double *z = doubles(file, "z", -1, &n), *q = doubles(file, "q", -1, &n_q);
    double *p = doubles(file, "p", -1, NULL);

    for (size_t i = 0; i < n_q; i++)
        same(ob_percentile(z, n, q[i]), p[i], 1e-15);
    free(z);
    free(q);
    free(p);
}

/* What a resample gives is exact. Where an interval from 1,000 of them ends varies, and how much was measured: four
 * deviations. */
static void bootstrap_equals_scipy(void **state)
{
    struct ob_npz z = load(DIR "bootstrap.npz");
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_ctx *ctx;
    int i;

    (void)state;
    percentiles_equal_numpy(&z);
    o.n_threads = 2;
    assert_int_equal(ob_ctx_new(&ctx, &o, NULL), OB_OK);
    for (i = 0; find(&z, "x", i); i++) {
        size_t n, n_file;
        double *u = doubles(&z, "u", i, &n), *v = doubles(&z, "v", i, NULL);
        double *x = doubles(&z, "x", i, &n_file), *y = doubles(&z, "y", i, NULL);
        double *times = doubles(&z, "count", i, NULL), *r = doubles(&z, "r", i, NULL);
        double *end = doubles(&z, "ends", i, NULL), *sd = doubles(&z, "sd", i, NULL);
        struct ob_scores *a = scores_of(x, n_file), *b = scores_of(y, n_file);
        uint32_t *count = malloc(n * sizeof(*count));
        struct ob_compare c;
        double rho, linear;

        for (size_t k = 0; k < n; k++)
            count[k] = (uint32_t)times[k];
        assert_int_equal(ob_correlate_counts(&rho, &linear, u, v, count, n, NULL), OB_OK);
        same(rho, r[0], 1e-12);
        same(linear, r[1], 1e-12);
        assert_int_equal(ob_scores_bootstrap(&c, ctx, a, b, 1000, 1, NULL), OB_OK);
        same(c.spearman_low, end[0], 4 * sd[0] + 1e-12);
        same(c.spearman_high, end[1], 4 * sd[1] + 1e-12);
        same(c.pearson_low, end[2], 4 * sd[2] + 1e-12);
        same(c.pearson_high, end[3], 4 * sd[3] + 1e-12);
        ob_scores_free(a);
        ob_scores_free(b);
        free(count);
        free(u);
        free(v);
        free(x);
        free(y);
        free(times);
        free(r);
        free(end);
        free(sd);
    }
    assert_int_equal(i, 4);
    ob_ctx_free(ctx);
    ob_npz_release(&z);
}

static void intervals_equal_scipy(void **state)
{
    struct ob_npz z = load(DIR "interval.npz");
    size_t n, n_x;
    double *df = doubles(&z, "df", -1, &n), *t = doubles(&z, "t", -1, NULL);
    double *x = doubles(&z, "x", -1, &n_x), *expect = doubles(&z, "expect", -1, NULL);
    struct ob_interval got;

    (void)state;
    for (size_t i = 0; i < n; i++)
        same(ob_t975((size_t)df[i]), t[i], 1e-8);
    ob_interval(&got, x, n_x);
    assert_int_equal(got.n, n_x);
    same(got.mean, expect[0], 1e-12);
    same(got.sd, expect[1], 1e-12);
    same(got.half, expect[2], 1e-8); /* scipy's own t point is off by 2e-9 here */
    free(df);
    free(t);
    free(x);
    free(expect);
    ob_npz_release(&z);
}

static void proxies_equal_numpy(void **state)
{
    struct ob_npz z = load(DIR "proxy.npz");
    size_t n, n_z;
    double *confidence = doubles(&z, "confidence", -1, &n);
    double *entropy = doubles(&z, "entropy", -1, NULL);
    double *margin = doubles(&z, "margin", -1, NULL), *label = doubles(&z, "label", -1, NULL);
    double *logits = doubles(&z, "logits", -1, &n_z);

    (void)state;
    assert_int_equal(n_z, n * 10);
    for (size_t i = 0; i < n; i++) {
        float row[10];
        double p[10];
        int y = (int)label[i];

        for (int k = 0; k < 10; k++)
            row[k] = (float)logits[i * 10 + (size_t)k];
        ob_softmax(p, row, 10);
        same(ob_proxy("confidence", 1, p, 10, y), confidence[i], 1e-12);
        same(ob_proxy("confidence", 0, p, 10, y), 1 - confidence[i], 1e-12);
        same(ob_proxy("entropy", 1, p, 10, y), entropy[i], 1e-12);
        same(ob_proxy("entropy", 0, p, 10, y), -entropy[i], 1e-12);
        same(ob_proxy("margin", 1, p, 10, y), margin[i], 1e-12);
        same(ob_proxy("margin", 0, p, 10, y), -margin[i], 1e-12);
    }
    assert_true(isnan(ob_proxy("nothing", 0, (double[]){ 1 }, 1, 0)));
    free(confidence);
    free(entropy);
    free(margin);
    free(label);
    free(logits);
    ob_npz_release(&z);
}

static uint32_t bits_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static void numpy_file_is_read(void **state)
{
    struct ob_npz z = load(DIR "scores.npz");
    const struct ob_npy *bits = find(&z, "bits", -1);
    struct ob_scores *s;

    (void)state;
    assert_int_equal(ob_scores_read(&s, DIR "numpy.npy", NULL), OB_OK);
    assert_string_equal(ob_scores_info(s)->kind, "unknown");
    assert_string_equal(ob_scores_info(s)->source, "file");
    assert_int_equal(ob_scores_info(s)->n, bits->n);
    assert_int_equal(ob_scores_info(s)->n_scored, bits->n - 3);
    for (size_t i = 0; i < bits->n; i++)
        assert_int_equal(bits_of(ob_scores_value(s)[i]), (uint32_t)ob_npy_int(bits, i));
    ob_scores_free(s);
    ob_npz_release(&z);
}

/* What we write is what numpy writes, byte for byte, so numpy reads it. */
static void our_file_is_numpys(void **state)
{
    char path[160], json[160];
    struct ob_file ours, numpys;
    struct ob_scores *s;

    (void)state;
    scratch_file(path, sizeof(path), "s.npy");
    scratch_file(json, sizeof(json), "s.json");
    assert_int_equal(ob_scores_read(&s, DIR "numpy.npy", NULL), OB_OK);
    assert_int_equal(ob_scores_write(s, path, NULL), OB_OK);
    assert_int_equal(ob_file_read(&ours, path, 4096, false, NULL), OB_OK);
    assert_int_equal(ob_file_read(&numpys, DIR "numpy.npy", 4096, false, NULL), OB_OK);
    assert_int_equal(ours.n, numpys.n);
    assert_memory_equal(ours.data, numpys.data, ours.n);
    ob_file_release(&ours);
    ob_file_release(&numpys);
    ob_scores_free(s);
    unlink(path);
    unlink(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_equals_scikit_learn), cmocka_unit_test(tow_equals_numpy),
        cmocka_unit_test(compare_equals_scipy),       cmocka_unit_test(bootstrap_equals_scipy),
        cmocka_unit_test(intervals_equal_scipy),      cmocka_unit_test(proxies_equal_numpy),
        cmocka_unit_test(numpy_file_is_read),         cmocka_unit_test(our_file_is_numpys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
