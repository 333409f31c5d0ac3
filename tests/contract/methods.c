/* methods.c - what every unlearning method must keep, asked of every method in the list. */
#include "unlearn.h"

#include <math.h>

/* What a plan runs: all but those that work on a folder of shards (tests/unit/u_sisa.c). */
static const struct ob_method *planned_at(size_t *i)
{
    const struct ob_method *m = ob_method_at(*i);

    while (m && m->needs & OB_NEED_SHARDS)
        m = ob_method_at(++*i);
    return m;
}

/* A few epochs of several batches. */
static const char *with_epochs(const struct ob_method *m, char out[200], int epochs)
{
    if (m->common)
        snprintf(out, 200, "%s:epochs=%d:batch=20:lr=0.01%s", m->name, epochs,
                 m == &ob_method_unsir   ? ":noise=6:noise-steps=2:copies=3"
                 : m == &ob_method_lotus ? ":margin=1" /* it goes on */
                                         : "");
    else
        snprintf(out, 200, m == &ob_method_retrain ? "%s:epochs=%d" : "%s", m->name, epochs);
    return out;
}

static const char *quick(const struct ob_method *m, char out[200])
{
    return with_epochs(m, out, 2);
}

static void digest_after(struct world *w, char hex[65], const char *spec, uint64_t seed)
{
    struct ob_model *m = copy(w);

    must(run(w, m, spec, seed, NULL, err));
    must(ob_model_digest(m, hex, err));
    ob_model_free(m);
}

/* ---- every method ---- */

static void test_same_bytes(void **state)
{
    static const int threads[] = { 2, 7 };
    char spec[200], a[64][65], b[65];
    const struct ob_method *m;
    struct world w, other;

    (void)state;
    begin(&w, 1);
    for (size_t i = 0; (m = planned_at(&i)); i++) {
        assert_true(i < 64);
        digest_after(&w, a[i], with_epochs(m, spec, 1), 5);
        digest_after(&w, b, spec, 5);
        assert_string_equal(a[i], b);
        digest_after(&w, b, spec, 6);
        if (m->common)
            assert_string_not_equal(a[i], b);
    }
    for (size_t k = 0; k < 2; k++) {
        begin_trained(&other, threads[k], 0);
        ob_model_copy_weights(other.start, w.start);
        for (size_t i = 0; (m = planned_at(&i)); i++) {
            digest_after(&other, b, with_epochs(m, spec, 1), 5);
            if (strcmp(a[i], b))
                fail_msg("%s: other bytes with %d threads", m->name, threads[k]);
        }
        end(&other);
    }
    end(&w);
}

static void test_zero_epochs(void **state)
{
    const struct ob_method *m;
    struct world w;
    char spec[200], a[65], b[65];

    (void)state;
    begin(&w, 1);
    must(ob_model_digest(w.start, a, err));
    for (size_t i = 0; (m = planned_at(&i)); i++) {
        if (m->needs & (OB_ONE_SHOT | OB_FROM_SCRATCH))
            continue;
        snprintf(spec, sizeof(spec), "%s%s", m->name, m->common ? ":epochs=0" : "");
        digest_after(&w, b, spec, 5);
        if (strcmp(a, b))
            fail_msg("%s moves something in no epochs", m->name);
    }
    end(&w);
}

/* One method, on a class: in a run where most examples are in validation, and dry without a split. */
static void run_oddly(struct world *w, const struct ob_method *m, const struct ob_ids *of_class)
{
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_model *c = copy(w);
    struct ob_plan *p;
    char spec[200];
    int rc;

    quick(m, spec);
    must(ob_plan_single(&p, w->data, c, ob_split_train(w->split), of_class, spec, err));
    must(ob_rum(NULL, NULL, c, w->data, w->split, p, &o, err));
    ob_plan_free(p);
    must(ob_plan_single(&p, w->data, c, ob_data_ids(w->data, OB_TRAIN), of_class, spec, err));
    o.dry_run = 1;
    rc = ob_rum(NULL, NULL, c, w->data, NULL, p, &o, NULL);
    if (rc && rc != OB_EINVAL && rc != OB_EFORMAT) /* a validation part may be needed, or a class */
        fail_msg("%s: %d", m->name, rc);
    ob_plan_free(p);
    ob_model_free(c);
}

/* With fewer examples in training than in validation or in a batch; and with no validation. */
static void test_odd_splits(void **state)
{
    const struct ob_method *m;
    struct ob_ids *of_class;
    struct world w;

    (void)state;
    begin(&w, 1);
    ob_split_free(w.split);
    must(ob_split_new(&w.split, w.data, 0.8, 1, err));
    assert_true(ob_ids_n(ob_split_train(w.split)) < 20);
    of_class = all_of_class(&w, 0);
    for (size_t i = 0; (m = planned_at(&i)); i++)
        run_oddly(&w, m, of_class);
    ob_ids_free(of_class);
    end(&w);
}

static void refused(struct world *w, const struct ob_method *m, const struct ob_option *o, double x)
{
    char spec[200];
    struct ob_plan *p;

    snprintf(spec, sizeof(spec), "%s:%s=%.17g", m->name, o->name, x);
    must_fail(ob_plan_single(&p, w->data, w->start, ob_split_train(w->split), w->forget, spec, err),
              OB_EINVAL, o->name);
}

static void test_ranges(void **state)
{
    const struct ob_method *m;
    const struct ob_option *o;
    struct world w;

    (void)state;
    begin(&w, 1);
    for (size_t i = 0; (m = planned_at(&i)); i++) {
        for (size_t k = 0; (o = ob_method_option(m, k)); k++) {
            if (o->type == OB_OPT_TEXT)
                continue;
            refused(&w, m, o, o->min - 1);
            refused(&w, m, o, o->max * 2 + 1);
            refused(&w, m, o, NAN);
        }
    }
    end(&w);
}

static void test_stop(void **state)
{
    static const int when[] = { 1, 2, 4, 7 };
    const struct ob_method *m;
    struct world w;
    char spec[200], a[65], b[65];

    (void)state;
    begin(&w, 1);
    must(ob_model_digest(w.start, a, err));
    for (size_t i = 0; (m = planned_at(&i)); i++) {
        int questions;

        w.asked = 0;
        digest_after(&w, b, quick(m, spec), 5);
        questions = w.asked;
        assert_true(questions >= (m->epoch ? 4 : 1));
        for (size_t k = 0; k < 4 && when[k] <= questions; k++) {
            struct ob_model *c = copy(&w);

            w.asked = 0;
            w.stop_at = when[k];
            must_fail(run(&w, c, spec, 5, NULL, err), OB_ECANCELLED, "interrupted");
            w.stop_at = 0;
            must(ob_model_digest(c, b, err));
            assert_string_equal(a, b);
            assert_null(ob_model_meta(c, "parent"));
            ob_model_free(c);
        }
    }
    end(&w);
}

static void test_diverges(void **state)
{
    const struct ob_method *m;
    struct world w;
    char spec[200];

    (void)state;
    begin(&w, 1);
    for (size_t i = 0; (m = planned_at(&i)); i++) {
        struct ob_model *c = copy(&w);

        if (m != &ob_method_retrain) {
            c->w.params[5] = NAN;
            ob_model_touch(c);
            must_fail(run(&w, c, quick(m, spec), 5, NULL, err), OB_EDIVERGED, m->name);
            ob_model_copy_weights(c, w.start);
        }
        if (m->common || m == &ob_method_retrain) {
            char a[65], b[65];

            snprintf(spec, sizeof(spec), "%s:epochs=20:batch=16:lr=1e6:optimizer=sgd", m->name);
            must_fail(run(&w, c, spec, 5, NULL, err), OB_EDIVERGED, m->name);
            must(ob_model_digest(w.start, a, err));
            must(ob_model_digest(c, b, err));
            assert_string_equal(a, b);
        }
        ob_model_free(c);
    }
    end(&w);
}

/* ---- begin, epoch, end ---- */

static struct {
    const struct ob_method *inner;
    int n_begin, n_epoch, n_end;
    int fail_at; /* 1: begin, 2...: that epoch */
} calls;

static int count_begin(void *state, struct ob_job *job, struct ob_err *err)
{
    calls.n_begin++;
    if (calls.fail_at == 1)
        return ob_fail(err, OB_ENOMEM, "as asked");
    return calls.inner->begin ? calls.inner->begin(state, job, err) : OB_OK;
}

static int count_epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    calls.n_epoch++;
    assert_int_equal(calls.n_end, 0);
    if (calls.fail_at == 2 + e)
        return ob_fail(err, OB_EDIVERGED, "as asked");
    return calls.inner->epoch ? calls.inner->epoch(state, job, e, err) : OB_OK;
}

static void count_end(void *state, struct ob_job *job)
{
    calls.n_end++;
    if (calls.inner->end)
        calls.inner->end(state, job);
}

static int run_counted(struct world *w, const struct ob_method *m, int fail_at, int stop_at,
                       size_t allocation)
{
    struct ob_method wrapped = *m;
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_model *c = copy(w);
    struct ob_plan *p;
    char spec[200];
    int rc;

    memset(&calls, 0, sizeof(calls));
    calls.inner = m;
    calls.fail_at = fail_at;
    wrapped.begin = count_begin;
    wrapped.epoch = count_epoch;
    wrapped.end = count_end;
    quick(m, spec);
    must(ob_plan_single(&p, w->data, c, ob_split_train(w->split), forget_for(w, spec), spec, err));
    p->step[0].method = &wrapped;
    w->asked = 0;
    w->stop_at = stop_at;
    obi_mem_fail_at(allocation);
    rc = ob_rum(NULL, NULL, c, w->data, w->split, p, &o, NULL);
    obi_mem_fail_at(0);
    w->stop_at = 0;
    ob_plan_free(p);
    ob_model_free(c);
    return rc;
}

static void test_end_once(void **state)
{
    const struct ob_method *m;
    struct world w;

    (void)state;
    begin(&w, 1);
    for (size_t i = 0; (m = planned_at(&i)); i++) {
        int epochs = m->common ? 2 : 1;

        assert_int_equal(run_counted(&w, m, 0, 0, 0), OB_OK);
        assert_int_equal(calls.n_begin, 1);
        assert_int_equal(calls.n_epoch, epochs);
        assert_int_equal(calls.n_end, 1);
        assert_int_equal(run_counted(&w, m, 1, 0, 0), OB_ENOMEM);
        assert_int_equal(calls.n_epoch, 0);
        assert_int_equal(calls.n_end, 1);
        assert_int_equal(run_counted(&w, m, 1 + epochs, 0, 0), OB_EDIVERGED);
        assert_int_equal(calls.n_epoch, epochs);
        assert_int_equal(calls.n_end, 1);
        if (m->epoch) {
            assert_int_equal(run_counted(&w, m, 0, 3, 0), OB_ECANCELLED);
            assert_int_equal(calls.n_end, 1);
        }
        assert_int_equal(run_counted(&w, m, 0, 1, 0), OB_ECANCELLED); /* before it begins */
        assert_int_equal(calls.n_begin, calls.n_end);
        for (size_t n = 20; n < 200; n += 61) { /* wherever that is */
            run_counted(&w, m, 0, 0, n);
            assert_int_equal(calls.n_begin, calls.n_end);
        }
    }
    end(&w);
}

/* ---- what each promises ---- */

static void losses_after(struct world *w, const char *spec, double *forget, double *retain,
                         double *l1)
{
    struct ob_model *m = copy(w);
    struct ob_ids *rest;

    must(ob_ids_minus(&rest, ob_split_train(w->split), w->forget, err));
    must(run(w, m, spec, 5, NULL, err));
    *forget = loss_on(w, m, w->forget);
    *retain = loss_on(w, m, rest);
    *l1 = 0;
    for (size_t i = 0; i < m->net->n_params; i++)
        *l1 += fabs(m->w.params[i]);
    ob_ids_free(rest);
    ob_model_free(m);
}

static void test_direction(void **state)
{
    static const struct {
        const char *spec;
        int forget, retain; /* 1: up, -1: down, 0: not promised */
    } want[] = {
        { "retrain:epochs=20", 1, 0 },
        { "finetune:epochs=5:batch=16", 0, -1 },
        { "l1-sparse:epochs=5:batch=16:alpha=1e-4", 0, -1 },
        { "neggrad:epochs=5:batch=16:lr=0.005", 1, 0 },
        { "neggrad-plus:epochs=5:batch=16:alpha=0.6", 1, 0 },
        { "scrub:epochs=3:msteps=3:batch=8:lr=0.02:gamma=0:beta=0.1", 1, 0 },
        { "random-label:epochs=10:batch=16:lr=0.05", 1, 0 },
        { "salun:epochs=10:batch=16:lr=0.05", 1, 0 },
        { "delete:epochs=5:batch=16:lr=0.02", 1, 0 },
        { "bad-teacher:epochs=5:batch=16:lr=0.01", 1, 0 },
        { "scrub-r:epochs=3:msteps=3:batch=8:lr=0.02:gamma=0:beta=0.1", 1, 0 },
        { "boundary-shrink:epochs=5:batch=16:lr=0.02:step=0.5", 1, 0 },
        { "boundary-expand:epochs=5:batch=16:lr=0.02", 1, 0 },
        { "lotus:epochs=5:batch=16:lr=0.01:aim=zero", 1, 0 },
        { "ssd:alpha=1.5", 1, 0 },
        { "ssd:alpha=1.5:importance=batch:batch=8", 1, 0 },
        { "influence:alpha=10", 1, 0 },
        { "influence:alpha=10:variant=released", 1, 0 },
        { "munba:epochs=10:batch=16:lr=0.05", 1, 0 },
        { "sfr-on:epochs=5:batch=16:every=1", 1, 0 },
        { "ct:epochs=1:batch=16", 1, 0 },
        { "not:epochs=1:batch=16", 1, 0 },
        { "cf-k:epochs=5:batch=16", 0, -1 },
        { "eu-k:epochs=1:batch=16:k=3", 1, 0 },
        { "msg:epochs=1:batch=16:share=0.9", 1, 0 },
        { "cfw:epochs=1:batch=16:noise=2", 1, 0 },
        { "prmq:epochs=1:batch=16", 1, 0 },
        { "kde:epochs=1:batch=16", 1, 0 },
        { "rni:epochs=1:batch=16", 1, 0 },
        { "fcs:epochs=1:batch=16:lr-uniform=0.1:lr-forget=0.01", 1, 0 },
    };
    double f0, r0, f, r, l1, without;
    struct world w;

    (void)state;
    begin_trained(&w, 1, 15);
    losses_after(&w, "none", &f0, &r0, &l1);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        losses_after(&w, want[i].spec, &f, &r, &l1);
        if ((want[i].forget && (f - f0) * want[i].forget <= 1e-3) ||
            (want[i].retain && (r - r0) * want[i].retain <= 1e-3))
            fail_msg("%s: forget %.4f -> %.4f, retain %.4f -> %.4f", want[i].spec, f0, f, r0, r);
    }
    losses_after(&w, "l1-sparse:epochs=2:batch=16:alpha=0", &f, &r, &without);
    losses_after(&w, "l1-sparse:epochs=2:batch=16:alpha=0.1", &f, &r, &l1);
    assert_true(l1 < 0.9 * without);
    end(&w);
}

/* Examples of the validation part whose class the forget set has. */
static size_t n_unseen(const struct world *w)
{
    const struct ob_ids *val = ob_split_val(w->split);
    size_t n = 0;

    for (size_t i = 0; i < val->n; i++) {
        int class = ob_data_label(w->data, OB_TRAIN, val->id[i]), has = 0;

        for (size_t k = 0; k < w->forget->n; k++)
            has |= ob_data_label(w->data, OB_TRAIN, w->forget->id[k]) == class;
        n += has != 0;
    }
    return n;
}

/* What a dry run says; `m` stays as it is. */
static struct ob_cost predicted(struct world *w, struct ob_model *m, const char *spec)
{
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_step_result x;
    struct ob_plan *p;
    char a[65], b[65];

    must(ob_model_digest(m, a, err));
    must(ob_plan_single(&p, w->data, m, ob_split_train(w->split), forget_for(w, spec), spec, err));
    o.dry_run = 1;
    must(ob_rum(&x, NULL, m, w->data, w->split, p, &o, err));
    ob_plan_free(p);
    must(ob_model_digest(m, b, err));
    assert_string_equal(a, b);
    assert_null(ob_model_meta(m, "parent"));
    assert_int_equal(x.predicted, 1);
    return x.cost;
}

/* A dry run says what the run then counts, for settings that change it. */
static void test_predictions(void **state)
{
    static const char *const spec[] = { "neggrad-plus:epochs=2:batch=9",
                                        "scrub:epochs=3:msteps=1:batch=20",
                                        "ssd:samples=7",
                                        "influence:block=7:samples=24",
                                        "influence:variant=released:samples=1002",
                                        "fisher:variant=label:samples=5",
                                        "fisher:variant=batch:batch=16",
                                        "munba:epochs=1:batch=9",
                                        "sfr-on:epochs=3:batch=9:every=2",
                                        "sfr-on:epochs=1:batch=64:every=3" };
    struct world w;

    (void)state;
    begin(&w, 1);
    for (size_t i = 0; i < sizeof(spec) / sizeof(spec[0]); i++) {
        struct ob_model *c = copy(&w);
        struct ob_cost want = predicted(&w, c, spec[i]);
        struct ob_step_result x;

        must(run(&w, c, spec[i], 5, &x, err));
        if (x.cost.images != want.images || x.cost.images_forward != want.images_forward)
            fail_msg("%s: %llu + %llu images, not %llu + %llu", spec[i],
                     (unsigned long long)x.cost.images, (unsigned long long)x.cost.images_forward,
                     (unsigned long long)want.images, (unsigned long long)want.images_forward);
        ob_model_free(c);
    }
    end(&w);
}

static void test_costs(void **state)
{
    struct ob_step_result x;
    const struct ob_method *m;
    struct world w;
    size_t n, s, batches;

    (void)state;
    begin(&w, 1);
    s = w.forget->n;
    n = ob_split_train(w.split)->n;
    batches = (n - s + 19) / 20; /* the forget set's batches have 20 and 1 */
    for (size_t i = 0; (m = planned_at(&i)); i++) {
        struct ob_model *c = copy(&w);
        uint64_t images = 0, forward = 0;
        char spec[200];

        struct ob_cost p = predicted(&w, c, quick(m, spec));

        must(run(&w, c, quick(m, spec), 5, &x, err));
        if (x.cost.images != p.images || x.cost.images_forward != p.images_forward)
            fail_msg("%s: predicted %llu + %llu images", m->name, (unsigned long long)p.images,
                     (unsigned long long)p.images_forward);
        if (!(m->needs & (OB_NEED_FORGET | OB_NEED_TEACHER | OB_NEED_SHARDS)) &&
            m->needs & OB_NEED_RETAIN && m != &ob_method_fisher && m != &ob_method_certified)
            images = 2 * (n - s);
        else if (m == &ob_method_neggrad)
            images = 2 * s;
        else if (m == &ob_method_neggrad_plus)
            images = 2 * (n - s + batches / 2 * s + batches % 2 * 20);
        else if (m == &ob_method_certified) {
            images = 2 * (n - s) + 10 * 20; /* 10 noisy steps by default; accuracy four times */
            forward = 5 * (n - s);          /* and the running statistics of batch-norm */
        } else if (m == &ob_method_mode_connectivity) /* the retain set twice */
            images = 2 * (2 * (n - s) + batches / 2 * s + batches % 2 * 20);
        else if (m == &ob_method_scrub)
            images = forward = 2 * n;
        else if (m == &ob_method_random_label)
            images = 2 * n;
        else if (m == &ob_method_delete)
            images = forward = 2 * s;
        else if (m == &ob_method_bad_teacher) /* two teachers, a share of 0.3 */
            forward = 2 * (images = 2 * (s + (n - s) * 3 / 10));
        else if (m == &ob_method_salun || m == &ob_method_fcs)
            images = 2 * n + s;
        else if (m == &ob_method_scrub_r) /* forget errors three times, 9 examples in V_S at most */
            forward = (images = 2 * n) + 3 * s + n_unseen(&w);
        else if (m == &ob_method_boundary_shrink)
            forward = (images = 4 * s) / 2;
        else if (m == &ob_method_boundary_expand)
            images = 2 * s;
        else if (m == &ob_method_lotus)
            forward = (images = 2 * (s + (n - s) * 3 / 10)) + 2 * s + ob_split_val(w.split)->n;
        else if (m == &ob_method_unsir)
            images = 2 * 6 + 2 * (3 * 6 + 2 * (n - w.of_class->n));
        else if (m == &ob_method_ssd || m == &ob_method_lfssd || m == &ob_method_assd)
            images = n;
        else if (m == &ob_method_influence) /* two blocks, of 32 and of the rest */
            images = n + 2 * (n - s) + 2 * (n - s) - 32;
        else if (m == &ob_method_fisher)
            images = 3 * (n - s);
        else if (m == &ob_method_munba)
            images = 2 * n;
        else if (m == &ob_method_sfr_on) /* ascent at iterations 0 and 5 */
            images = n + 2 * (n - s) + 2 * 20;
        else if (m == &ob_method_msg)
            images = 2 * n;
        else if (m == &ob_method_prmq) /* floor(1.2 batches) + 1 of them */
            images = forward = n - s + 20 * (batches / 5 + 1);
        else if (m == &ob_method_kde)
            images = forward = 3 * ob_ids_n(ob_split_val(w.split)) + 2 * (n - s);
        if (m == &ob_method_fcs) /* 20 of R beside each of two batches of S */
            forward = 2 * 2 * 20;
        if (x.cost.images != images || x.cost.images_forward != forward)
            fail_msg("%s: %llu + %llu images", m->name, (unsigned long long)x.cost.images,
                     (unsigned long long)x.cost.images_forward);
        assert_int_equal(!m->epoch, !!isnan(x.cost.loss));
        assert_int_equal(x.n_forget, forget_for(&w, spec)->n);
        assert_int_equal(x.n_retain, n - x.n_forget);
        assert_ptr_equal(x.method, m);
        ob_model_free(c);
    }
    end(&w);
}

/* ---- salun's mask ---- */

struct weight {
    float g;
    size_t i;
};

static int by_gradient(const void *a, const void *b)
{
    const struct weight *x = a, *y = b;

    if (fabsf(x->g) != fabsf(y->g))
        return fabsf(x->g) > fabsf(y->g) ? -1 : 1;
    return x->i < y->i ? -1 : 1;
}

/* Ones where |gradient of the forget set at m| is among the k largest; all in one batch. */
static void wanted_mask(uint8_t *mask, const struct world *w, const struct ob_model *m, size_t k)
{
    size_t n = m->net->n_params;
    int n_s = (int)w->forget->n, c = ob_model_n_classes(m);
    struct ob_loader_opts o = { .batch = n_s };
    struct ob_loader *l;
    struct ob_batch b;
    struct ob_exec *e;
    struct weight *rank;
    float *g, *d;

    must(ob_loader_new(&l, w->data, OB_TRAIN, w->forget, &o, err));
    must(ob_exec_new(&e, w->ctx, m->net, n_s, OB_EXEC_TRAIN, err));
    must(ob_block_new(&g, n, err));
    must(ob_block_new(&d, (size_t)(n_s * c), err));
    must(ob_alloc(rank, n, err));
    assert_true(ob_loader_next(l, &b));
    must(ob_exec_forward(e, &m->w, b.x, b.n, OB_MODE_EVAL, err));
    ob_loss_ce(d, e->logits, b.y, b.n, c, 1.0f, NULL);
    ob_exec_backward(e, &m->w, d, g, NULL);
    for (size_t i = 0; i < n; i++)
        rank[i] = (struct weight){ g[i], i };
    qsort(rank, n, sizeof(*rank), by_gradient);
    memset(mask, 0, n);
    for (size_t i = 0; i < k; i++)
        mask[rank[i].i] = 1;
    ob_exec_free(e);
    ob_loader_free(l);
    ob_free(g);
    ob_free(d);
    ob_free(rank);
}

/* `moved` differs from `before` where the mask is one, and nowhere else. */
static void moved_as(const struct ob_model *before, const struct ob_model *moved,
                     const uint8_t *mask, const char *what)
{
    for (size_t i = 0; i < before->net->n_params; i++)
        if ((before->w.params[i] != moved->w.params[i]) != mask[i])
            fail_msg("%s: weight %zu %s", what, i, mask[i] ? "stayed" : "moved");
}

static void test_mask(void **state)
{
    static const double share[] = { 0, 0.01, 0.3, 1 };
    char spec[200];
    struct world w;
    uint8_t *mask;
    size_t n;

    (void)state;
    begin(&w, 1);
    n = w.start->net->n_params;
    must(ob_alloc(mask, n, err));
    for (size_t k = 0; k < 4; k++) {
        struct ob_model *c = copy(&w);

        wanted_mask(mask, &w, w.start, (size_t)floor(share[k] * (double)n + 0.5));
        snprintf(spec, sizeof(spec), "salun:share=%g:epochs=2:batch=32:weight-decay=0.1", share[k]);
        must(run(&w, c, spec, 5, NULL, err));
        moved_as(w.start, c, mask, spec);
        ob_model_free(c);
    }
    ob_free(mask);
    end(&w);
}

/* Two steps; the second one's mask comes from its own start, or from the plan's. */
static void test_mask_at(void **state)
{
    static const char *const at[] = { "step", "original" };
    struct world w;

    (void)state;
    begin(&w, 1);
    for (int k = 0; k < 2; k++) {
        size_t n = w.start->net->n_params;
        struct ob_rum_opts o = OB_RUM_OPTS_INIT;
        struct snapshot s = { { NULL } };
        struct ob_model *c = copy(&w);
        struct ob_ids *all = w.forget;
        struct ob_plan *p;
        uint8_t *mask;

        must(obi_plan_new(&p, 2, w.data, c, err));
        for (int i = 0; i < 2; i++) {
            char spec[100];

            snprintf(spec, sizeof(spec), "salun:mask-at=%s:share=0.2:epochs=1", at[k]);
            must(obi_plan_set_name(&p->step[i], i ? "b" : "a", err));
            must(obi_plan_set_method(&p->step[i], i ? spec : "finetune:epochs=1", err));
            must(ob_ids_new(&p->step[i].forget, all->id + 10 * i, i ? all->n - 10 : 10, all->limit,
                            err));
        }
        must(obi_plan_close(p, ob_split_train(w.split), err));
        o.on_step = keep_copy;
        o.arg = &s;
        must(ob_rum(NULL, NULL, c, w.data, w.split, p, &o, err));
        must(ob_alloc(mask, n, err));
        w.forget = p->step[1].forget;
        wanted_mask(mask, &w, k ? w.start : s.after[0], (size_t)floor(0.2 * (double)n + 0.5));
        moved_as(s.after[0], s.after[1], mask, at[k]);
        w.forget = all;
        ob_free(mask);
        ob_plan_free(p);
        ob_model_free(c);
        ob_model_free(s.after[0]);
        ob_model_free(s.after[1]);
    }
    end(&w);
}

/* ---- batches ---- */

static struct {
    uint32_t id[2][64];
    int n[2];
} dealt;

static int deal(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    size_t n = ob_job_n_forget_batches(job);
    struct ob_batch b;

    (void)state;
    (void)err;
    for (size_t i = 0; i < 2 * n; i++) {
        ob_job_next_forget(job, &b);
        for (int k = 0; k < b.n; k++)
            dealt.id[e][dealt.n[e]++] = b.id[k];
    }
    return OB_OK;
}

static void test_round_and_round(void **state)
{
    struct ob_method m = ob_method_neggrad;
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_model *c;
    struct ob_plan *p;
    struct world w;
    int n;

    (void)state;
    begin(&w, 1);
    c = copy(&w);
    n = (int)w.forget->n;
    m.epoch = deal;
    memset(&dealt, 0, sizeof(dealt));
    must(ob_plan_single(&p, w.data, c, ob_split_train(w.split), w.forget,
                        "neggrad:epochs=2:batch=8", err));
    p->step[0].method = &m;
    must(ob_rum(NULL, NULL, c, w.data, w.split, p, &o, err));
    for (int e = 0; e < 2; e++) {
        assert_int_equal(dealt.n[e], 2 * n);
        assert_memory_equal(dealt.id[e], dealt.id[e] + n, (size_t)n * sizeof(uint32_t));
    }
    assert_memory_not_equal(dealt.id[0], dealt.id[1], (size_t)n * sizeof(uint32_t));
    ob_plan_free(p);
    ob_model_free(c);
    end(&w);
}

/* ---- retrain ---- */

static void test_retrain_is_training(void **state)
{
    struct ob_train_opts t = OB_TRAIN_OPTS_INIT;
    const struct ob_data_info *i;
    struct ob_model *m, *c;
    struct ob_ids *rest;
    struct world w;
    char a[65], b[65];

    (void)state;
    begin(&w, 1);
    i = ob_data_info(w.data);
    must(ob_model_new(&m, w.ctx, "cnn,width=0.25", i->channels, i->height, i->width, i->n_classes,
                      7, err));
    must(ob_recipe_of_model(&t.recipe, w.start, err));
    t.seed = 7;
    must(ob_ids_minus(&rest, ob_split_train(w.split), w.forget, err));
    must(ob_train(NULL, m, w.data, w.split, rest, &t, err));
    must(ob_model_digest(m, a, err));
    digest_after(&w, b, "retrain", 99);
    assert_string_equal(a, b);
    digest_after(&w, b, "retrain:seed=8", 99);
    assert_string_not_equal(a, b);
    c = copy(&w);
    must(ob_model_set_meta(c, "recipe", NULL, err));
    must_fail(run(&w, c, "retrain:epochs=2", 5, NULL, err), OB_EINVAL, "needs epochs and lr");
    must(run(&w, c, "retrain:epochs=1:lr=0.01", 5, NULL, err));
    assert_non_null(strstr(ob_model_meta(c, "recipe"), "\"epochs\":1"));
    ob_model_free(c);
    c = copy(&w);
    must_fail(run(&w, c, "retrain:schedule=step:3", 5, NULL, err), OB_EINVAL, "step 1 ('all')");
    ob_model_free(c);
    ob_model_free(m);
    ob_ids_free(rest);
    end(&w);
}

int main(void)
{
    static const char *const backends[] = { "ref", "cpu" };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_zero_epochs),
        cmocka_unit_test(test_odd_splits),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_diverges),
        cmocka_unit_test(test_end_once),
        cmocka_unit_test(test_direction),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_predictions),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_mask_at),
        cmocka_unit_test(test_round_and_round),
        cmocka_unit_test(test_retrain_is_training),
    };
    int failed = 0;

    for (size_t i = 0; i < 2; i++) {
        backend = backends[i];
        print_message("backend %s\n", backend);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
