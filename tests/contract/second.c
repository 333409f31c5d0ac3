/* second.c - every method as the second step of a plan, on several networks; what it measures from. */
#include "unlearn.h"

#include <math.h>

/* Some examples of other classes by `first`, then all of class 0 by `second`. */
static struct ob_plan *two_steps(const struct world *w, const struct ob_model *m, const char *first,
                                 const char *second)
{
    const struct ob_ids *train = ob_split_train(w->split);
    struct ob_ids *others;
    struct ob_plan *p;

    must(ob_ids_minus(&others, train, w->of_class, err));
    must(obi_plan_new(&p, 2, w->data, m, err));
    must(obi_plan_set_name(&p->step[0], "first", err));
    must(obi_plan_set_name(&p->step[1], "second", err));
    must(obi_plan_set_method(&p->step[0], first, err));
    must(obi_plan_set_method(&p->step[1], second, err));
    must(ob_ids_new(&p->step[0].forget, others->id, 7, train->limit, err));
    must(ob_ids_new(&p->step[1].forget, w->of_class->id, w->of_class->n, train->limit, err));
    must(obi_plan_close(p, train, err));
    ob_ids_free(others);
    return p;
}

/* ---- every method ---- */

static const char *quick(const struct ob_method *m, char out[200])
{
    const char *more = m == &ob_method_unsir   ? ":noise=2:noise-steps=1:copies=1"
                       : m == &ob_method_lotus ? ":aim=zero"
                                               : "";

    if (m->common || m == &ob_method_retrain)
        snprintf(out, 200, "%s:epochs=1:lr=0.01:batch=64%s", m->name, more);
    else
        snprintf(out, 200, "%s", m->name);
    return out;
}

/* It runs, or says before any work that it cannot. */
static void check_method(struct world *w, const struct ob_method *m, const char *arch)
{
    int rc, needs_stages = m == &ob_method_cf_k || m == &ob_method_eu_k;
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    char spec[200], before[65], after[65];
    struct ob_err why = { 0 };
    struct ob_model *c;
    struct ob_plan *p;

    must(ob_model_new(&c, w->ctx, arch, 1, 8, 8, 3, 1, err));
    must(ob_model_digest(c, before, err));
    p = two_steps(w, c, "finetune:epochs=1:batch=64", quick(m, spec));
    w->asked = 0;
    rc = ob_rum(NULL, NULL, c, w->data, w->split, p, &o, &why);
    must(ob_model_digest(c, after, err));
    if (rc != OB_OK && rc != OB_EINVAL)
        fail_msg("%s on %s: %d, %s", spec, arch, rc, why.msg);
    if (rc && !(!strncmp(arch, "mlp", 3) && (m->needs & OB_NEED_CONV || needs_stages)))
        fail_msg("%s on %s is refused: %s", spec, arch, why.msg);
    if (rc && (w->asked || strcmp(before, after)))
        fail_msg("%s on %s is refused after some work", spec, arch);
    if (!rc && !strcmp(before, after))
        fail_msg("%s on %s moved nothing", spec, arch);
    assert_int_equal(ob_model_n_classes(c), 3);
    ob_plan_free(p);
    ob_model_free(c);
}

static void test_every_method(void **state)
{
    static const char *const archs[] = { "mlp,width=0.05", "cnn,width=0.25",
                                         "resnet18,width=0.02" };
    const struct ob_method *m;
    struct world w;

    (void)state;
    begin(&w, 1);
    for (size_t a = 0; a < sizeof(archs) / sizeof(archs[0]); a++)
        for (size_t i = 0; (m = ob_method_at(i)); i++)
            if (!(m->needs & OB_NEED_SHARDS))
                check_method(&w, m, archs[a]);
    end(&w);
}

/* ---- what is measured from the plan's first model ---- */

/* The result of one step by `second` after `first`, which starts at `from`; `after`: both steps'. */
static void run_two(struct snapshot *after, const struct world *w, const struct ob_model *from,
                    const char *first, const char *second)
{
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_model *m;
    struct ob_plan *p;

    *after = (struct snapshot){ { NULL } };
    must(ob_model_clone(&m, from, err));
    p = two_steps(w, m, first, second);
    o.seed = 5;
    o.on_step = keep_copy;
    o.arg = after;
    must(ob_rum(NULL, NULL, m, w->data, w->split, p, &o, err));
    ob_plan_free(p);
    ob_model_free(m);
}

static void release(struct snapshot *s)
{
    for (int i = 0; i < 3; i++)
        ob_model_free(s->after[i]);
}

/* Whether the second step does the same where the plan starts from what it starts from. */
static int same_from_there(const struct world *w, const char *spec)
{
    struct snapshot whole, rest;
    char a[65], b[65];

    run_two(&whole, w, w->start, "finetune:epochs=2:batch=16", spec);
    run_two(&rest, w, whole.after[0], "none", spec);
    must(ob_model_digest(whole.after[1], a, err));
    must(ob_model_digest(rest.after[1], b, err));
    release(&whole);
    release(&rest);
    return !strcmp(a, b);
}

static void test_from_the_first(void **state)
{
    static const char *const methods[] = { "weight-distance", "mode-connectivity" };
    struct world w;
    char spec[200];

    (void)state;
    begin(&w, 1);
    for (int i = 0; i < 2; i++)
        for (int weight = 0; weight < 2; weight++) {
            snprintf(spec, sizeof(spec), "%s:epochs=2:lr=0.01:optimizer=sgd:weight=%d", methods[i],
                     weight);
            if (same_from_there(&w, spec) != !weight) /* without its term it is fine-tuning */
                fail_msg("%s: %s", spec, weight ? "forgets the plan's first model" : "differs");
        }
    end(&w);
}

/* One step: what the weight of the distance adds is along all that the plan has moved so far. */
static void test_distance(void **state)
{
    static const char spec[] = "weight-distance:epochs=1:batch=256:lr=%g:optimizer=sgd:weight=%g";
    const double lr = 0.01, weight = 1000;
    struct snapshot with, without;
    double square = 0, off = 0, d;
    struct world w;
    char text[200];
    size_t n;

    (void)state;
    begin(&w, 1);
    n = w.start->net->n_params;
    snprintf(text, sizeof(text), spec, lr, weight);
    run_two(&with, &w, w.start, "finetune:epochs=2:batch=16", text);
    snprintf(text, sizeof(text), spec, lr, 0.0);
    run_two(&without, &w, w.start, "finetune:epochs=2:batch=16", text);
    for (size_t i = 0; i < n; i++)
        square += pow((double)without.after[0]->w.params[i] - (double)w.start->w.params[i], 2);
    d = sqrt(square / (double)n + 1e-8);
    for (size_t i = 0; i < n; i++) {
        double moved = (double)without.after[0]->w.params[i] - (double)w.start->w.params[i];
        double added = (double)with.after[1]->w.params[i] - (double)without.after[1]->w.params[i];

        off += pow(added - lr * weight * moved / ((double)n * d), 2);
    }
    assert_true(sqrt(off) < 1e-3 * lr * weight * sqrt(square) / ((double)n * d));
    release(&with);
    release(&without);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_method),
        cmocka_unit_test(test_from_the_first),
        cmocka_unit_test(test_distance),
    };

    backend = "cpu";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
