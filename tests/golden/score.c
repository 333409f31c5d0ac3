/* score.c - entanglement, discrepancy, curvature, divergence, and a bank that numpy wrote, against Python's. */
#include "common.h"

#include <math.h>
#include <unistd.h>

#include "base/kmeans.h"
#include "base/mem.h"
#include "score/bank.h"

#define DIR "tests/golden/score/"

static struct ob_npz load(const char *path)
{
    struct ob_npz z = { 0 };

    must(ob_npz_read(&z, path, 1 << 20, err));
    return z;
}

static const struct ob_npy *find(const struct ob_npz *z, const char *name, int i)
{
    char text[32];
    const struct ob_npy *a;

    snprintf(text, sizeof(text), "%s%d", name, i);
    a = ob_npz_find(z, text);
    assert_non_null(a);
    return a;
}

static void same(double a, double b, double bound)
{
    if (!(isnan(a) && isnan(b)) && !(fabs(a - b) <= bound * fmax(1, fabs(b))))
        fail_msg("%.17g is not %.17g", a, b);
}

static struct ob_ctx *context(void)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_ctx *ctx;

    o.n_threads = 2;
    must(ob_ctx_new(&ctx, &o, err));
    return ctx;
}

static void entanglement(void **state)
{
    struct ob_npz z = load(DIR "entangle.npz");
    struct ob_ctx *ctx = context();

    (void)state;
    for (int k = 0; k < 3; k++) {
        const struct ob_npy *phi = find(&z, "phi", k), *f = find(&z, "forget", k),
                            *want = find(&z, "want", k);
        struct ob_entangle_opts o = OB_ENTANGLE_OPTS_INIT;
        struct ob_entanglement got;
        struct ob_ids *all, *forget, *retain;
        uint32_t id[300];
        float *x = malloc(phi->n * sizeof(*x));

        for (uint32_t i = 0; i < phi->shape[0]; i++)
            id[i] = i;
        must(ob_ids_new(&all, id, phi->shape[0], phi->shape[0], err));
        for (size_t i = 0; i < f->n; i++)
            id[i] = (uint32_t)ob_npy_int(f, i);
        must(ob_ids_new(&forget, id, f->n, phi->shape[0], err));
        must(ob_ids_minus(&retain, all, forget, err));
        for (size_t i = 0; i < phi->n; i++)
            x[i] = (float)ob_npy_double(phi, i);
        must(ob_entangle_embedded(&got, ctx, x, phi->shape[1], all,
                                  &(struct ob_entangle_set){ forget, retain }, 1, &o, err));
        same(got.es, ob_npy_double(want, 0), 1e-12);
        same(got.es_released, ob_npy_double(want, 1), 1e-12);
        same(got.mmd2, ob_npy_double(want, 2), 1e-6); /* distances wait as floats */
        same(got.gamma, ob_npy_double(want, 3), 1e-6);
        same(got.mmd2_gamma1, ob_npy_double(want, 4), 1e-6);
        o.sample = 10;
        must(ob_entangle_embedded(&got, ctx, x, phi->shape[1], all,
                                  &(struct ob_entangle_set){ forget, retain }, 1, &o, err));
        assert_int_equal(got.n_sample[1], 10);
        assert_true(got.mmd2 > 0);
        same(got.es, ob_npy_double(want, 0), 1e-12);
        free(x);
        ob_ids_free(retain);
        ob_ids_free(forget);
        ob_ids_free(all);
    }
    ob_npz_release(&z);
    ob_ctx_free(ctx);
}

/* A difference of gradients that lie close together: a thousandth of what float32 leaves of it. */
static void curvature(void **state)
{
    struct ob_npz z = load(DIR "proxies.npz");
    const struct ob_npy *want = ob_npz_find(&z, "curvature");
    struct ob_load_opts l = OB_LOAD_OPTS_INIT;
    struct ob_ctx *ctx = context();
    struct ob_data *d;
    struct ob_model *m;
    struct ob_scores *s;

    (void)state;
    l.arch = "cnn,width=0.25";
    l.normalize = "0.4/0.3";
    l.channels = 1;
    l.height = l.width = 8;
    l.n_classes = 3;
    must(ob_data_open(&d, ctx, "npy:" DIR "curvature.npz", err));
    must(ob_model_load(&m, ctx, DIR "curvature.safetensors", &l, err));
    must(ob_scores_curvature(&s, m, d, ob_data_ids(d, OB_TRAIN), 0.01, err));
    assert_int_equal(ob_scores_info(s)->n_scored, want->n);
    for (size_t i = 0; i < want->n; i++) {
        double a = (double)ob_scores_value(s)[i], b = ob_npy_double(want, i);

        if (!(fabs(a - b) <= 1e-3 * b + 1e-6))
            fail_msg("%zu: %.9g is not %.9g", i, a, b);
    }
    ob_scores_free(s);
    must_fail(ob_scores_curvature(&s, m, d, ob_data_ids(d, OB_TRAIN), 0, err), OB_EINVAL, "a step");
    ob_model_free(m);
    ob_data_free(d);
    ob_ctx_free(ctx);
    ob_npz_release(&z);
}

static void divergence(void **state)
{
    struct ob_npz z = load(DIR "proxies.npz");
    const struct ob_npy *p = ob_npz_find(&z, "p"), *q = ob_npz_find(&z, "q"),
                        *want = ob_npz_find(&z, "divergence");

    (void)state;
    for (size_t i = 0; i < want->n; i++) {
        double a[4], b[4];

        for (size_t k = 0; k < 4; k++) {
            a[k] = ob_npy_double(p, 4 * i + k);
            b[k] = ob_npy_double(q, 4 * i + k);
        }
        same(ob_holdout_divergence(a, b, 4), ob_npy_double(want, i), 1e-12);
    }
    ob_npz_release(&z);
}

/* From the same centres the same clusters as scikit-learn; by itself, from fifty starts as it, the same
 * inertia. Any number of threads gives the same bytes. */
static void kmeans(void **state)
{
    struct ob_npz z = load(DIR "kmeans.npz");

    (void)state;
    for (int c = 0; c < 3; c++) {
        const struct ob_npy *points = find(&z, "x", c), *start = find(&z, "start", c),
                            *label = find(&z, "of", c), *middle = find(&z, "center", c);
        size_t n = points->shape[0], f = points->shape[1], k = start->shape[0];
        struct ob_kmeans_opts o = { .k = k, .starts = 50, .seed = 1, .n_threads = 2 };
        double *center = malloc(k * f * sizeof(*center)), inertia, again;
        float *x = malloc(n * f * sizeof(*x));
        uint32_t *of = malloc(n * sizeof(*of)), *of_1 = malloc(n * sizeof(*of));

        for (size_t i = 0; i < n * f; i++)
            x[i] = (float)ob_npy_double(points, i);
        for (size_t i = 0; i < k * f; i++)
            center[i] = ob_npy_double(start, i);
        must(ob_kmeans_from(of, center, &inertia, x, n, f, &o, err));
        same(inertia, ob_npy_double(find(&z, "given", c), 0), 1e-12);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(of[i], ob_npy_int(label, i));
        for (size_t i = 0; i < k * f; i++)
            same(center[i], ob_npy_double(middle, i), 1e-12);
        must(ob_kmeans(of, center, &inertia, x, n, f, &o, err));
        same(inertia, ob_npy_double(find(&z, "best", c), 0), 1e-12);
        o.n_threads = 1;
        must(ob_kmeans(of_1, center, &again, x, n, f, &o, err));
        assert_true(inertia == again);
        assert_memory_equal(of, of_1, n * sizeof(*of));
        free(of_1);
        free(of);
        free(x);
        free(center);
    }
    ob_npz_release(&z);
}

/* The largest values, and examples that have them: of equal ones any, each once. */
static void influence_of_numpy(const struct ob_npz *is, const struct ob_npz *want)
{
    const struct ob_npy *train = ob_npz_find(is, "train"), *of = ob_npz_find(want, "influence_of");

    assert_int_equal(ob_npz_find(is, "test")->n, 9);
    for (size_t j = 0; j < 9; j++) {
        assert_int_equal(ob_npy_int(ob_npz_find(is, "test"), j),
                         ob_npy_int(ob_npz_find(want, "test"), j));
        for (size_t n = 5 * j; n < 5 * j + 5; n++) {
            double value = ob_npy_double(ob_npz_find(is, "value"), n);
            int64_t id = ob_npy_int(train, n);

            same(value, ob_npy_double(ob_npz_find(want, "influence"), n), 1e-7);
            assert_in_range(id, 0, of->shape[1] - 1);
            same(value, ob_npy_double(of, j * of->shape[1] + (size_t)id), 1e-7);
            for (size_t k = 5 * j; k < n; k++)
                assert_int_not_equal(ob_npy_int(train, k), id);
        }
    }
}

static void bank_of_numpy(void **state)
{
    static const char *const kinds[] = { "memorization", "consistency" };
    struct ob_npz z = load(DIR "bank.npz"), i;
    struct ob_ctx *ctx = context();
    struct ob_bank *b;
    char path[200];

    (void)state;
    must(ob_bank_open(&b, ctx, DIR "bank", err));
    assert_int_equal(ob_bank_info(b)->n_models, 9);
    must_fail(ob_bank_check(b, 3, err), OB_ENOTFOUND, "model-00003.npz");
    for (int k = 0; k < 2; k++) {
        const struct ob_npy *want = ob_npz_find(&z, kinds[k]);
        struct ob_scores *s;
        struct ob_reliability r;

        must(ob_bank_scores(&s, NULL, &r, b, kinds[k], 1, err));
        assert_int_equal(r.n_models, 7);
        assert_int_equal(ob_scores_info(s)->n, want->n);
        for (size_t n = 0; n < want->n; n++)
            same((double)ob_scores_value(s)[n], ob_npy_double(want, n), 1e-7);
        ob_scores_free(s);
    }
    must(ob_bank_influence(b, 5, scratch_file(path, sizeof(path), "i.npz"), err));
    i = load(path);
    influence_of_numpy(&i, &z);
    unlink(path);
    ob_npz_release(&i);
    ob_npz_release(&z);
    ob_bank_free(b);
    ob_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entanglement),  cmocka_unit_test(curvature),
        cmocka_unit_test(divergence),    cmocka_unit_test(kmeans),
        cmocka_unit_test(bank_of_numpy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
