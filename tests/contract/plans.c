/* plans.c - plans of several steps: resuming, stopping, whose plan it is. */
#include "unlearn.h"

#include "base/io.h"

/* ---- plans ---- */

static struct ob_plan *three_steps(struct world *w)
{
    static const char *const spec[] = { "none", "finetune:epochs=2:batch=16",
                                        "salun:epochs=2:batch=16" };
    struct ob_plan *p;

    must(obi_plan_new(&p, 3, w->data, w->start, err));
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(p->step[i].name, sizeof(p->step[i].name), "s%u", i);
        must(obi_plan_set_method(&p->step[i], spec[i], err));
        must(ob_ids_new(&p->step[i].forget, w->forget->id + 7 * i, 7, w->forget->limit, err));
    }
    must(obi_plan_close(p, ob_split_train(w->split), err));
    return p;
}

static int stop_after(void *arg, size_t step, const struct ob_model *m)
{
    (void)m;
    return (int)step == *(int *)arg;
}

static void same_model(const struct ob_model *a, const struct ob_model *b)
{
    char path[2][256];
    struct ob_file f[2];

    for (int i = 0; i < 2; i++) {
        scratch_file(path[i], sizeof(path[i]), i ? "b.safetensors" : "a.safetensors");
        must(ob_model_save(i ? b : a, path[i], err));
        must(ob_file_read(&f[i], path[i], 1 << 24, false, err));
    }
    assert_int_equal(f[0].n, f[1].n);
    assert_memory_equal(f[0].data, f[1].data, f[0].n);
    ob_file_release(&f[0]);
    ob_file_release(&f[1]);
}

static void test_resume(void **state)
{
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_step_result x[3], y[3];
    struct ob_cost total, total_again;
    struct ob_model *whole, *m;
    struct ob_plan *p;
    struct world w;
    char dir[200], file[300];
    int at = 1;

    (void)state;
    begin(&w, 1);
    p = three_steps(&w);
    whole = copy(&w);
    o.seed = 5;
    must(ob_rum(x, &total, whole, w.data, w.split, p, &o, err));
    assert_string_equal(ob_model_meta(whole, "method"), "none,finetune,salun");
    assert_string_equal(ob_model_meta(whole, "parent"), ob_plan_model(p));
    assert_string_equal(ob_model_meta(whole, "seed"), "7");
    o.keep_steps = scratch_file(dir, sizeof(dir), backend);
    o.on_step = stop_after;
    o.arg = &at;
    m = copy(&w);
    must_fail(ob_rum(y, NULL, m, w.data, w.split, p, &o, err), OB_ECANCELLED, "after step 2");
    ob_model_free(m);
    m = copy(&w); /* stopped again, in the middle of step 3 */
    at = -1;
    w.asked = 0;
    w.stop_at = 4;
    must_fail(ob_rum(y, NULL, m, w.data, w.split, p, &o, err), OB_ECANCELLED, "interrupted");
    w.stop_at = 0;
    ob_model_free(m);
    m = copy(&w);
    must(ob_rum(y, &total_again, m, w.data, w.split, p, &o, err));
    same_model(whole, m);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(y[i].resumed, i < 2);
        assert_int_equal(x[i].resumed, 0);
        assert_int_equal(x[i].cost.images, y[i].cost.images);
        assert_int_equal(x[i].cost.images_resumed, 0);
        assert_int_equal(y[i].cost.images_resumed, i < 2 ? y[i].cost.images : 0);
        assert_string_equal(x[i].settings, y[i].settings);
    }
    assert_int_equal(total.images, total_again.images);
    assert_int_equal(total_again.images_resumed, y[0].cost.images + y[1].cost.images);
    ob_model_free(m);
    m = copy(&w); /* all is there */
    must(ob_rum(y, NULL, m, w.data, w.split, p, &o, err));
    assert_int_equal(y[2].resumed, 1);
    same_model(whole, m);
    ob_model_free(m);
    m = copy(&w);
    o.seed = 6;
    must_fail(ob_rum(y, NULL, m, w.data, w.split, p, &o, err), OB_EFORMAT, "another run");
    same_model(w.start, m);
    o.seed = 5;
    snprintf(file, sizeof(file), "%s/step-3.safetensors", dir);
    must(ob_file_write(file, "rubbish", 7, err));
    must_fail(ob_rum(y, NULL, m, w.data, w.split, p, &o, err), OB_EFORMAT, "step-3.safetensors");
    same_model(w.start, m);
    ob_model_free(m);
    ob_model_free(whole);
    ob_plan_free(p);
    end(&w);
}

static void test_after_the_last_whole_step(void **state)
{
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct snapshot s = { { NULL } };
    struct ob_model *m;
    struct ob_plan *p;
    struct world w;
    char a[65], b[65];

    (void)state;
    begin(&w, 1);
    p = three_steps(&w);
    must(obi_plan_set_method(&p->step[2], "neggrad:lr=1e6:epochs=50", err));
    m = copy(&w);
    o.on_step = keep_copy;
    o.arg = &s;
    must_fail(ob_rum(NULL, NULL, m, w.data, w.split, p, &o, err), OB_EDIVERGED, "step 3 ('s2'");
    must(ob_model_digest(s.after[1], a, err));
    must(ob_model_digest(m, b, err));
    assert_string_equal(a, b);
    must(ob_model_digest(w.start, b, err));
    assert_string_not_equal(a, b);
    assert_null(s.after[2]);
    /* bad settings of a late step stop all before any work */
    snprintf(p->step[2].settings, sizeof(p->step[2].settings), "lr=-1");
    ob_model_copy_weights(m, w.start);
    must_fail(ob_rum(NULL, NULL, m, w.data, w.split, p, &o, err), OB_EINVAL, "step 3 ('s2'): lr");
    same_model(w.start, m);
    ob_model_free(s.after[0]);
    ob_model_free(s.after[1]);
    ob_model_free(m);
    ob_plan_free(p);
    end(&w);
}

static void test_plan_of_another(void **state)
{
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_split *split;
    struct ob_model *m;
    struct ob_plan *p;
    struct world w;

    (void)state;
    begin(&w, 1);
    p = three_steps(&w);
    m = copy(&w);
    m->w.params[0] += 1;
    ob_model_touch(m);
    must_fail(ob_rum(NULL, NULL, m, w.data, w.split, p, &o, err), OB_EFORMAT, "another model");
    o.any_model = 1;
    must(ob_rum(NULL, NULL, m, w.data, w.split, p, &o, err));
    must(ob_split_new(&split, w.data, 0.2, 1, err));
    must_fail(ob_rum(NULL, NULL, m, w.data, split, p, &o, err), OB_EFORMAT, "training part");
    ob_split_free(split);
    ob_model_free(m);
    ob_plan_free(p);
    end(&w);
}

/* A model from elsewhere knows no data; what made it forget knows which, and which split. */
static void test_trained_elsewhere(void **state)
{
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_split *split;
    struct ob_model *m;
    struct ob_plan *p;
    struct world w;

    (void)state;
    begin(&w, 1);
    m = copy(&w);
    must(ob_model_set_meta(m, "data", NULL, err));
    must(ob_model_set_meta(m, "split", NULL, err));
    must(ob_plan_single(&p, w.data, m, ob_split_train(w.split), w.forget, "none", err));
    must(ob_rum(NULL, NULL, m, w.data, w.split, p, &o, err));
    ob_plan_free(p);
    must(ob_model_check_data(m, w.data, err));
    assert_non_null(ob_model_meta(m, "data"));
    assert_true(ob_model_has_split(m));
    must(ob_model_split(&split, m, w.data, 0, 9, err));
    assert_string_equal(ob_split_hash(split), ob_split_hash(w.split));
    ob_split_free(split);
    ob_model_free(m);
    end(&w);
}

int main(void)
{
    static const char *const backends[] = { "ref", "cpu" };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_after_the_last_whole_step),
        cmocka_unit_test(test_plan_of_another),
        cmocka_unit_test(test_trained_elsewhere),
    };
    int failed = 0;

    for (size_t i = 0; i < 2; i++) {
        backend = backends[i];
        print_message("backend %s\n", backend);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
