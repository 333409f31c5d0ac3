/* weights.c - what the methods that move weights on purpose promise: distance, hills, noise. */
#include "unlearn.h"

#include <math.h>

/* ---- weight-distance ---- */

static double moved_after(struct world *w, const char *spec)
{
    struct ob_model *m = copy(w);
    double square = 0;

    must(run(w, m, spec, 5, NULL, err));
    for (size_t i = 0; i < m->net->n_params; i++)
        square += pow((double)m->w.params[i] - w->start->w.params[i], 2);
    square /= (double)m->net->n_params;
    ob_model_free(m);
    return sqrt(square);
}

/* It is paid for moving away, and no longer once it is as far as the bound. */
static void test_distance(void **state)
{
    static const char spec[] = "weight-distance:optimizer=sgd:lr=0.01:epochs=4";
    double plain, paid, bounded;
    char text[200];
    struct world w;

    (void)state;
    begin(&w, 1);
    snprintf(text, sizeof(text), "%s:weight=0", spec);
    plain = moved_after(&w, text);
    snprintf(text, sizeof(text), "%s:weight=200", spec);
    paid = moved_after(&w, text);
    snprintf(text, sizeof(text), "%s:weight=200:bound=1e-9", spec);
    bounded = moved_after(&w, text);
    assert_true(paid > 1.5 * plain);
    assert_true(bounded == plain);
    end(&w);
}

/* ---- mode-connectivity ---- */

/* Of the model half way between `start` and what `spec` makes of it, on the forget set. */
static double loss_half_way(struct world *w, const char *spec)
{
    struct ob_model *m = copy(w);
    double loss;

    must(run(w, m, spec, 5, NULL, err));
    for (size_t i = 0; i < m->net->n_params; i++)
        m->w.params[i] = (m->w.params[i] + w->start->w.params[i]) / 2;
    for (size_t i = 0; i < m->net->n_buffers; i++)
        m->w.buffers[i] = (m->w.buffers[i] + w->start->w.buffers[i]) / 2;
    ob_model_touch(m);
    loss = loss_on(w, m, w->forget);
    ob_model_free(m);
    return loss;
}

/* It puts a hill between itself and the original, until the hill is as high as the bound. */
static void test_hill(void **state)
{
    static const char spec[] = "mode-connectivity:optimizer=sgd:lr=0.02:batch=16:epochs=3";
    double plain, hill, bounded;
    char text[200];
    struct world w;

    (void)state;
    begin_trained(&w, 1, 8);
    snprintf(text, sizeof(text), "%s:weight=0", spec);
    plain = loss_half_way(&w, text);
    snprintf(text, sizeof(text), "%s:weight=2", spec);
    hill = loss_half_way(&w, text);
    snprintf(text, sizeof(text), "%s:weight=2:bound=0", spec);
    bounded = loss_half_way(&w, text);
    assert_true(hill > plain + 0.1);
    assert_true(bounded == plain);
    end(&w);
}

/* ---- certified ---- */

static void test_certified(void **state)
{
    static const struct {
        const char *spec, *why;
    } bad[] = {
        { "certified:batch-norm=refuse", "running statistics" },
        { "certified:lambda=20", "not below 1" },
        { "certified:clip=both:c0=2:c2=1", "above c2" },
        { "certified:c0=1000:c1=1e-6", "noisy steps, more than" },
    };
    struct ob_step_result x;
    struct ob_model *c, *other;
    char a[65], b[65];
    struct world w;

    (void)state;
    begin(&w, 1);
    c = copy(&w);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        must_fail(run(&w, c, bad[i].spec, 5, NULL, err), OB_EINVAL, bad[i].why);
    /* nothing of the old running statistics survives */
    other = copy(&w);
    for (int i = 0; i < other->net->n_nodes; i++)
        if (other->net->node[i].op == OB_OP_BATCHNORM)
            other->w.buffers[other->net->view[other->net->node[i].var].offset] += 3;
    other->w.counts[0] += 7;
    ob_model_touch(other);
    must(run(&w, c, "certified:epochs=1", 5, &x, err));
    must(run(&w, other, "certified:epochs=1", 5, NULL, err));
    must(ob_model_digest(c, a, err));
    must(ob_model_digest(other, b, err));
    assert_string_equal(a, b);
    assert_memory_equal(c->w.counts, other->w.counts, c->net->n_counts * sizeof(*c->w.counts));
    assert_non_null(strstr(x.notes, "certified: epsilon 1, delta 1e-05, by 10 steps"));
    assert_non_null(strstr(x.notes, "the seed is random"));
    assert_non_null(strstr(x.settings, "steps=10"));
    ob_model_free(other);
    ob_model_free(c);
    end(&w);
}

int main(void)
{
    static const char *const backends[] = { "ref", "cpu" };
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_distance),
                                        cmocka_unit_test(test_hill),
                                        cmocka_unit_test(test_certified) };
    int failed = 0;

    for (size_t i = 0; i < 2; i++) {
        backend = backends[i];
        print_message("backend %s\n", backend);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
