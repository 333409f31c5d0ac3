/*
 * unlearn.c - memory or disk fails in the middle of refining, reading, writing and running a plan:
 * a status, nothing leaks, the model stays as after the last whole step, and the next run goes on.
 */
#include "common.h"

#include "base/io.h"
#include "base/mem.h"
#include "nn/model.h"
#include "unlearn/plan.h"

#define SPEC "synth:longtail,train=40,test=12,classes=2,size=8,channels=1"
#define METHODS "none,scrub:epochs=1:msteps=1,salun:epochs=1"

struct world {
    struct ob_ctx *ctx;
    struct ob_data *data;
    struct ob_ids *forget;
    struct ob_model *start;
    char plan[256], folder[200];
    char digest[4][65]; /* before, and after each step */
};

static int look(void *arg, size_t step, const struct ob_model *m)
{
    struct world *w = arg;

    return ob_model_digest(m, w->digest[step + 1], NULL);
}

/* The plan of random thirds, written and read again. */
static int get_plan(struct ob_plan **out, struct world *w, struct ob_err *err)
{
    struct ob_refine_opts o = { .size = sizeof(o), .random = 1, .methods = METHODS };
    const struct ob_ids *train = ob_data_ids(w->data, OB_TRAIN);
    struct ob_plan *p;
    int rc;

    *out = NULL;
    OB_TRY(ob_refine(&p, w->data, w->start, train, w->forget, NULL, &o, err));
    rc = ob_plan_write(p, w->plan, err);
    ob_plan_free(p);
    return rc ? rc : ob_plan_read(out, w->plan, w->data, train, err);
}

static int run(struct world *w, struct ob_model *m, const char *folder,
               int (*on_step)(void *, size_t, const struct ob_model *), struct ob_err *err)
{
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_plan *p;
    int rc;

    o.keep_steps = folder;
    o.on_step = on_step;
    o.arg = w;
    OB_TRY(get_plan(&p, w, err));
    rc = ob_rum(NULL, NULL, m, w->data, NULL, p, &o, err);
    ob_plan_free(p);
    return rc;
}

static void begin(struct world *w)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_model *m;

    *w = (struct world){ 0 };
    o.n_threads = 1;
    must(ob_ctx_new(&w->ctx, &o, err));
    must(ob_data_open(&w->data, w->ctx, SPEC, err));
    must(ob_ids_new(&w->forget, ob_data_ids(w->data, OB_TRAIN)->id, 9, 40, err));
    must(ob_model_new(&w->start, w->ctx, "mlp,width=0.05", 1, 8, 8, 2, 1, err));
    scratch_file(w->plan, sizeof(w->plan), "plan.json");
    scratch_file(w->folder, sizeof(w->folder), "steps");
    must(ob_model_digest(w->start, w->digest[0], err));
    must(ob_model_clone(&m, w->start, err));
    must(run(w, m, NULL, look, err));
    ob_model_free(m);
}

static void end(struct world *w)
{
    ob_model_free(w->start);
    ob_ids_free(w->forget);
    ob_data_free(w->data);
    ob_ctx_free(w->ctx);
}

static void check_whole(const struct world *w, const struct ob_model *m, size_t n)
{
    char digest[65];

    must(ob_model_digest(m, digest, err));
    for (int i = 0; i < 4; i++)
        if (!strcmp(digest, w->digest[i]))
            return;
    fail_msg("the model is half a step after failure %zu", n);
}

static void remove_steps(const struct world *w)
{
    char path[256];

    for (int i = 1; i <= 3; i++) {
        snprintf(path, sizeof(path), "%s/step-%d.safetensors", w->folder, i);
        must(ob_file_remove(path, err));
    }
}

/* The n-th call fails until a run is undisturbed. `go_on`: each run finds what the last one kept. */
static void fail_each(void (*fail_at)(size_t), int status, int go_on)
{
    struct world w;
    int rc = -1;

    begin(&w);
    for (size_t n = 1; rc; n++) {
        struct ob_model *m;

        must(ob_model_clone(&m, w.start, err));
        fail_at(n);
        rc = run(&w, m, w.folder, NULL, NULL);
        fail_at(0);
        if (rc && rc != status)
            fail_msg("failure %zu gave status %d", n, rc);
        check_whole(&w, m, n);
        if (!go_on)
            remove_steps(&w);
        if (!rc) {
            char digest[65];

            must(ob_model_digest(m, digest, err));
            assert_string_equal(digest, w.digest[3]);
        }
        ob_model_free(m);
    }
    assert_int_equal(rc, 0);
    remove_steps(&w);
    end(&w);
}

static void test_memory(void **state)
{
    (void)state;
    fail_each(obi_mem_fail_at, OB_ENOMEM, 0);
}

static void test_disk(void **state)
{
    (void)state;
    fail_each(obi_io_fail_at, OB_EIO, 0);
    fail_each(obi_io_fail_at, OB_EIO, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_memory),
                                        cmocka_unit_test(test_disk) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
