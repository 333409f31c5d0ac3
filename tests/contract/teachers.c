/* teachers.c - promises of scrub-r, lotus, unsir and boundary-expand beyond those of every method. */
#include "unlearn.h"

#include <math.h>

static int run_on(struct world *w, struct ob_model *m, const struct ob_split *split,
                  const struct ob_ids *forget, const char *spec, struct ob_step_result *result,
                  struct ob_err *why)
{
    const struct ob_ids *train = split ? ob_split_train(split) : ob_data_ids(w->data, OB_TRAIN);
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_plan *p;
    int rc;

    must(ob_plan_single(&p, w->data, m, train, forget, spec, err));
    o.seed = 5;
    rc = ob_rum(result, NULL, m, w->data, split, p, &o, why);
    ob_plan_free(p);
    return rc;
}

static double accuracy(const struct world *w, const struct ob_model *m, const struct ob_ids *ids)
{
    int c = ob_model_n_classes(m);
    float *logits;
    double right = 0;

    must(ob_alloc(logits, ids->n * (size_t)c, err));
    must(ob_predict(logits, NULL, m, w->data, OB_TRAIN, ids, err));
    for (size_t i = 0; i < ids->n; i++)
        right += ob_argmax(logits + i * (size_t)c, c) ==
                 ob_data_label(w->data, OB_TRAIN, ids->id[i]);
    ob_free(logits);
    return right / (double)ids->n;
}

static double number(const struct ob_step_result *r, const char *name)
{
    const char *p = strstr(r->report, name);

    if (!p)
        fail_msg("no %s in '%s'", name, r->report);
    return strtod(p + strlen(name) + 2, NULL);
}

/* ---- scrub-r ---- */

#define EPOCHS 5
#define SCRUB "msteps=3:batch=8:lr=0.03:gamma=0.3:beta=0.1"

/* The validation part's examples of classes in the forget set. */
static struct ob_ids *unseen(const struct world *w)
{
    const struct ob_ids *val = ob_split_val(w->split);
    struct ob_ids *ids;
    uint32_t id[64], n = 0;

    for (size_t i = 0; i < val->n; i++)
        for (size_t k = 0; k < w->forget->n; k++)
            if (ob_data_label(w->data, OB_TRAIN, val->id[i]) ==
                ob_data_label(w->data, OB_TRAIN, w->forget->id[k])) {
                id[n++] = val->id[i];
                break;
            }
    must(ob_ids_new(&ids, id, n, val->limit, err));
    return ids;
}

/* scrub-r ends where scrub is after as many epochs as the errors say. */
static void test_rewind(void **state)
{
    struct ob_model *m[EPOCHS + 1];
    double e[EPOCHS + 1], reference;
    struct ob_ids *v;
    struct world w;

    (void)state;
    begin_trained(&w, 1, 8);
    v = unseen(&w);
    for (int i = 0; i <= EPOCHS; i++) {
        char spec[200];

        m[i] = copy(&w);
        snprintf(spec, sizeof(spec), "scrub:epochs=%d:" SCRUB, i);
        must(run_on(&w, m[i], w.split, w.forget, spec, NULL, err));
        e[i] = 1 - accuracy(&w, m[i], w.forget);
    }
    reference = 1 - accuracy(&w, m[EPOCHS], v);
    for (int zero = 0; zero < 2; zero++) {
        struct ob_step_result r;
        struct ob_model *c = copy(&w);
        char spec[200], a[65], b[65];
        int best = !zero;

        for (int i = best + 1; i <= EPOCHS; i++)
            if (fabs(e[i] - reference) < fabs(e[best] - reference))
                best = i;
        snprintf(spec, sizeof(spec), "scrub-r:epochs=%d:" SCRUB ":allow-zero=%s", EPOCHS,
                 zero ? "yes" : "no");
        must(run_on(&w, c, w.split, w.forget, spec, &r, err));
        print_message("%s: %s\n", backend, r.report);
        assert_int_equal(number(&r, "chosen"), best);
        assert_float_equal(number(&r, "reference"), reference, 1e-5);
        must(ob_model_digest(c, a, err));
        must(ob_model_digest(m[best], b, err));
        assert_string_equal(a, b);
        ob_model_free(c);
    }
    for (int i = 0; i <= EPOCHS; i++)
        ob_model_free(m[i]);
    ob_ids_free(v);
    end(&w);
}

static void test_no_validation(void **state)
{
    static const char *const specs[] = { "scrub-r", "lotus" };
    struct world w;

    (void)state;
    begin(&w, 1);
    for (int i = 0; i < 2; i++) {
        struct ob_model *c = copy(&w);

        w.asked = 0;
        must_fail(run_on(&w, c, NULL, w.forget, specs[i], NULL, err), OB_EINVAL, "validation part");
        assert_int_equal(w.asked, 0);
        ob_model_free(c);
    }
    end(&w);
}

/* ---- lotus ---- */

static double hundredths(double x)
{
    return nearbyint(100 * x) / 100;
}

/* The temperature follows both accuracies, exact or to two decimals. */
static void test_temperature(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 1);
    for (int rounded = 0; rounded < 2; rounded++) {
        double aim = accuracy(&w, w.start, ob_split_val(w.split));
        double now = accuracy(&w, w.start, w.forget), exact = now - aim;
        struct ob_model *c = copy(&w);
        struct ob_step_result r;

        aim = rounded ? hundredths(aim) : aim;
        now = rounded ? hundredths(now) : now;
        must(run_on(&w, c, w.split, w.forget,
                    rounded ? "lotus:epochs=1:alpha=3:accuracy=rounded" : "lotus:epochs=1:alpha=3",
                    &r, err));
        print_message("%s: %s\n", backend, r.report);
        assert_float_equal(number(&r, "aim"), aim, 1e-5);
        assert_float_equal(number(&r, "distance"), now - aim, 1e-5);
        assert_float_equal(number(&r, "temperature"), exp(3 * (now - aim)), 1e-4);
        if (rounded)
            assert_true(fabs(exact - (now - aim)) > 1e-4); /* the example can tell */
        ob_model_free(c);
    }
    end(&w);
}

static void test_lotus(void **state)
{
    const struct ob_ids *train;
    struct ob_step_result r;
    struct ob_model *c;
    struct ob_ids *wrong;
    struct world w;
    uint32_t id[90], n = 0;
    char a[65], b[65];

    (void)state;
    begin(&w, 1);
    train = ob_split_train(w.split);
    must(ob_model_digest(w.start, a, err));

    /* what it answers wrongly already is known worse than unseen data: nothing is done */
    for (size_t i = 0; i < train->n; i++) {
        struct ob_ids *one;

        must(ob_ids_new(&one, train->id + i, 1, train->limit, err));
        if (accuracy(&w, w.start, one) == 0)
            id[n++] = train->id[i];
        ob_ids_free(one);
    }
    assert_true(n > 0);
    must(ob_ids_new(&wrong, id, n, train->limit, err));
    c = copy(&w);
    must(run_on(&w, c, w.split, wrong, "lotus:aim=validation", &r, err));
    must(ob_model_digest(c, b, err));
    assert_string_equal(a, b);
    assert_int_equal(r.cost.images, 0);
    assert_int_equal(number(&r, "epochs"), 0);
    ob_model_free(c);

    /* a whole class: aims at zero, and needs no validation part */
    c = copy(&w);
    must(run_on(&w, c, w.split, w.of_class, "lotus:epochs=1", &r, err));
    assert_true(number(&r, "aim") == 0);
    ob_model_free(c);
    ob_ids_free(wrong);
    end(&w);
}

/* ---- unsir ---- */

static void test_whole_classes(void **state)
{
    struct ob_ids *most;
    struct world w;

    (void)state;
    begin(&w, 1);
    must(ob_ids_new(&most, w.of_class->id, w.of_class->n - 1, w.of_class->limit, err));
    for (int i = 0; i < 2; i++) {
        struct ob_model *c = copy(&w);

        w.asked = 0;
        must_fail(run_on(&w, c, w.split, i ? w.forget : most, "unsir", NULL, err), OB_EFORMAT,
                  "forgets whole classes");
        assert_int_equal(w.asked, 0);
        ob_model_free(c);
    }
    ob_ids_free(most);
    end(&w);
}

/* Batches of noise, of impairing and of repairing change what comes out, not whether. */
static void test_unsir_forgets(void **state)
{
    static const char spec[] = "unsir:noise=7:copies=8:epochs=%d:lr=0.01:batch=%d:impair-batch=8";
    struct world w;

    (void)state;
    begin_trained(&w, 1, 15);
    assert_true(accuracy(&w, w.start, w.of_class) > 0.8);
    for (int batch = 5; batch < 40; batch += 17) {
        struct ob_model *c = copy(&w);
        char text[200];

        snprintf(text, sizeof(text), spec, 1, batch);
        must(run_on(&w, c, w.split, w.of_class, text, NULL, err));
        if (accuracy(&w, c, w.of_class) > 0.5)
            fail_msg("%s: %g of the class are still known", text, accuracy(&w, c, w.of_class));
        ob_model_free(c);
    }
    end(&w);
}

/* ---- boundary-expand ---- */

/* On every architecture: the class more is gone afterwards, and a plan goes on. */
static void test_archs(void **state)
{
    static const char *const archs[] = { "mlp,width=0.05", "cnn,width=0.25", "resnet20,width=0.5",
                                         "resnet18,width=0.1" };
    static const char *const specs[] = {
        "boundary-expand:epochs=1", "boundary-shrink:epochs=1",
        "delete:epochs=1",          "bad-teacher",
        "lotus:epochs=1:aim=zero",  "unsir:noise=2:noise-steps=1:copies=1"
    };
    struct world w;

    (void)state;
    begin(&w, 1);
    for (size_t a = 0; a < sizeof(archs) / sizeof(archs[0]); a++)
        for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
            const struct ob_ids *forget = strncmp(specs[i], "unsir", 5) ? w.forget : w.of_class;
            char before[65], after[65];
            struct ob_model *m;

            must(ob_model_new(&m, w.ctx, archs[a], 1, 8, 8, 3, 1, err));
            must(ob_model_digest(m, before, err));
            must(run_on(&w, m, w.split, forget, specs[i], NULL, err));
            must(ob_model_digest(m, after, err));
            assert_string_not_equal(before, after);
            assert_int_equal(ob_model_n_classes(m), 3);
            ob_model_free(m);
        }
    end(&w);
}

int main(void)
{
    static const char *const backends[] = { "ref", "cpu" };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewind),        cmocka_unit_test(test_no_validation),
        cmocka_unit_test(test_temperature),   cmocka_unit_test(test_lotus),
        cmocka_unit_test(test_whole_classes), cmocka_unit_test(test_unsir_forgets),
    };
    const struct CMUnitTest on_cpu[] = { cmocka_unit_test(test_archs) };
    int failed = 0;

    for (size_t i = 0; i < 2; i++) {
        backend = backends[i];
        print_message("backend %s\n", backend);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed + cmocka_run_group_tests(on_cpu, NULL, NULL);
}
