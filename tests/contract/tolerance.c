/* tolerance.c - how far conjugate gradients stop from the influence that Cholesky finds. */
#include "unlearn.h"

#include <math.h>

/* Weights after `spec` less those before; the caller's to free. */
static float *moved_by(struct world *w, const char *spec)
{
    size_t n = w->start->net->n_params;
    float *out = malloc(n * sizeof(*out));
    struct ob_model *c = copy(w);

    assert_non_null(out);
    must(run(w, c, spec, 5, NULL, err));
    for (size_t i = 0; i < n; i++)
        out[i] = c->w.params[i] - w->start->w.params[i];
    ob_model_free(c);
    return out;
}

/* b: NULL for nothing. */
static double apart(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += pow((double)a[i] - (b ? (double)b[i] : 0), 2);
    return sqrt(sum);
}

/* |F x - v| <= tolerance |v| keeps lambda x within tolerance |v| of the truth. v: what is left as tau grows. */
static void test_tolerance(void **state)
{
    struct world w;
    float *v, *x, *coarse, *fine;
    double length, by_coarse, by_fine;
    size_t n;

    (void)state;
    begin(&w, 1);
    n = w.start->net->n_params;
    v = moved_by(&w, "influence:samples=40:tau=1e9");
    x = moved_by(&w, "influence:samples=40:tau=1e-3");
    coarse = moved_by(&w, "influence:samples=40:tau=1e-3:solver=cg:tolerance=0.3");
    fine = moved_by(&w, "influence:samples=40:tau=1e-3:solver=cg:tolerance=1e-3");
    length = apart(v, NULL, n);
    by_coarse = apart(coarse, x, n) / length;
    by_fine = apart(fine, x, n) / length;
    assert_true(by_coarse < 0.3 && by_fine < 1e-3);
    assert_true(by_coarse > 10 * by_fine); /* else nothing has stopped early */
    free(v);
    free(x);
    free(coarse);
    free(fine);
    end(&w);
}

int main(void)
{
    static const char *const backends[] = { "ref", "cpu" };
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_tolerance) };
    int failed = 0;

    for (size_t i = 0; i < 2; i++) {
        backend = backends[i];
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
