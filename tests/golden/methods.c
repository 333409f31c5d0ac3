/*
 * methods.c - the first two steps of each method against PyTorch in float64.
 *
 * tools/golden_methods.py says what the steps are. A batch holds a whole set. The bound is a tenth
 * of what a missing term makes, which the generator checks.
 */
#include "golden.h"

#include "data/data.h"
#include "unlearn/plan.h"

#define N 36
#define N_FORGET 12
#define CLASSES 10
#define SIZE 16
#define SEED 5
#define BOUND_PARAMS 1e-2
#define BOUND_BUFFERS 2e-4

#define LOTUS "lotus:epochs=2:lr=0.05:weight-decay=0.2:optimizer=sgd:share=0.5:alpha=6:aim=zero"
#define UNSIR                                                                                      \
    "unsir:lr=0.05:weight-decay=0.2:optimizer=sgd:noise=4:noise-steps=2:copies=2:per-class=2:"     \
    "penalty=1:impair-batch=64"

static const struct {
    const char *name, *spec;
} cases[] = {
    { "finetune", "finetune:epochs=2:lr=0.05:weight-decay=0.2" },
    { "l1-sparse", "l1-sparse:epochs=2:lr=0.05:weight-decay=0.4:alpha=0.5" },
    { "neggrad", "neggrad:epochs=2:lr=0.05:weight-decay=0.2" },
    { "neggrad-plus", "neggrad-plus:epochs=2:lr=0.05:weight-decay=0.2:alpha=0.6" },
    { "neggrad-ceiling", "neggrad:epochs=2:lr=0.05:weight-decay=0.2:ceiling=3" },
    { "neggrad-plus-near", "neggrad-plus:epochs=2:lr=0.05:weight-decay=0.2:alpha=0.6:proximal=8:"
                           "batchnorm=frozen:ceiling=3" },
    { "scrub-released", "scrub:epochs=2:msteps=0:lr=0.02:weight-decay=0.2:temperature=3:beta=1.5:"
                        "gamma=0.8:variant=released" },
    { "random-label-wrong", "random-label:epochs=2:lr=0.1:weight-decay=0.15:labels=wrong" },
    { "salun-released",
      "salun:epochs=1:batch=8:lr=0.1:weight-decay=0.15:share=0.3:variant=released" },
    { "scrub",
      "scrub:epochs=1:msteps=1:lr=0.05:weight-decay=0.2:temperature=3:beta=1.5:gamma=0.8" },
    { "random-label", "random-label:epochs=2:lr=0.1:weight-decay=0.15" },
    { "salun", "salun:epochs=2:lr=0.1:weight-decay=0.15:share=0.2" },
    { "delete", "delete:epochs=2:lr=0.05:weight-decay=0.2" },
    { "delete-frozen", "delete:epochs=2:lr=0.05:weight-decay=0.2:batchnorm=frozen" },
    { "bad-teacher", "bad-teacher:epochs=2:lr=0.5:weight-decay=0.02:optimizer=sgd:share=0.5" },
    { "bad-teacher-batchmean",
      "bad-teacher:epochs=2:lr=0.05:weight-decay=0.2:optimizer=sgd:share=0.5:reduction=batchmean" },
    { "boundary-shrink", "boundary-shrink:epochs=2:lr=0.05:weight-decay=0.2:step=0.8" },
    { "boundary-expand", "boundary-expand:epochs=2:lr=0.05:weight-decay=0.2" },
    { "boundary-expand-xavier", "boundary-expand:epochs=2:lr=0.05:weight-decay=0.2:row=xavier" },
    { "lotus", LOTUS },
    { "lotus-softmax", LOTUS ":targets=softmax" },
    { "unsir", UNSIR },
    { "unsir-train", UNSIR ":noise-mode=train" },
};

struct world {
    struct ob_ctx *ctx;
    struct ob_data d;
    struct ob_model *start;
    struct ob_npz stored;
};

static void make_data(struct world *w)
{
    struct ob_examples *e = &w->d.ex[OB_TRAIN];
    uint64_t key = golden_key("methods/y");
    uint32_t id[N];

    w->d.ctx = w->ctx;
    w->d.info.channels = 1;
    w->d.info.height = w->d.info.width = SIZE;
    w->d.info.n_classes = CLASSES;
    w->d.info.n_file[OB_TRAIN] = w->d.info.n[OB_TRAIN] = e->n = N;
    must(ob_block_new(&e->f32, N * SIZE * SIZE, err));
    must(ob_alloc(e->label, N, err));
    golden_uniform(e->f32, "methods/x", N * SIZE * SIZE, 0, 1);
    for (uint32_t i = 0; i < N; i++) {
        e->label[i] = (int32_t)(golden_bits(key, i) % CLASSES);
        id[i] = i;
    }
    must(ob_ids_new(&w->d.use[OB_TRAIN], id, N, N, err));
}

static void begin(struct world *w, const struct golden_backend *b)
{
    *w = (struct world){ .ctx = golden_ctx(b) };
    if (!w->ctx)
        return;
    make_data(w);
    must(ob_npz_read(&w->stored, "tests/golden/methods/moved.npz", 1 << 24, err));
    must(ob_model_new(&w->start, w->ctx, "cnn,width=0.25", 1, SIZE, SIZE, CLASSES, 1, err));
    for (int i = 0; i < w->start->net->n_views; i++) {
        const struct ob_view *v = &w->start->net->view[i];
        float *x = v->block == OB_PARAM ? w->start->w.params : w->start->w.buffers;
        char name[100];

        snprintf(name, sizeof(name), "methods/%s", v->name);
        if (v->block != OB_COUNT)
            golden_view(x + v->offset, name, v);
    }
    ob_model_touch(w->start);
}

static void end(struct world *w)
{
    if (!w->ctx)
        return;
    ob_model_free(w->start);
    ob_npz_release(&w->stored);
    ob_ids_free(w->d.use[OB_TRAIN]);
    ob_free(w->d.ex[OB_TRAIN].f32);
    ob_free(w->d.ex[OB_TRAIN].label);
    ob_ctx_free(w->ctx);
}

/* How far `after - before` is from what PyTorch moved. */
static double distance(const struct world *w, const char *method, const char *block,
                       const float *after, const float *before, size_t n)
{
    char key[100];
    float *moved;
    double d;

    must(ob_alloc(moved, n, err));
    for (size_t i = 0; i < n; i++)
        moved[i] = after[i] - before[i];
    snprintf(key, sizeof(key), "%s.%s", method, block);
    d = golden_distance(&w->stored, key, block, moved, n);
    ob_free(moved);
    return d;
}

/* The first examples; for unsir, which forgets whole classes, all of two classes. */
static struct ob_ids *make_forget(const struct world *w, const char *name)
{
    int by_class = !strncmp(name, "unsir", 5);
    struct ob_ids *ids;
    uint32_t id[N], n = 0;

    for (uint32_t i = 0; i < N; i++)
        if (by_class ? w->d.ex[OB_TRAIN].label[i] < 2 : i < N_FORGET)
            id[n++] = i;
    must(ob_ids_new(&ids, id, n, N, err));
    return ids;
}

static void check_case(struct world *w, size_t i, const char *backend)
{
    const char *name = cases[i].name;
    struct ob_ids *forget = make_forget(w, name);
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_model *m;
    struct ob_plan *p;
    double params, buffers;

    must(ob_model_clone(&m, w->start, err));
    must(ob_plan_single(&p, &w->d, m, w->d.use[OB_TRAIN], forget, cases[i].spec, err));
    o.seed = SEED;
    must(ob_rum(NULL, NULL, m, &w->d, NULL, p, &o, err));
    params = distance(w, name, "params", m->w.params, w->start->w.params, m->net->n_params);
    buffers = distance(w, name, "buffers", m->w.buffers, w->start->w.buffers, m->net->n_buffers);
    print_message("%s, %s: %.1e %.1e\n", backend, name, params, buffers);
    if (!(params <= BOUND_PARAMS && buffers <= BOUND_BUFFERS))
        fail_msg("%s: too far from PyTorch", name);
    ob_plan_free(p);
    ob_model_free(m);
    ob_ids_free(forget);
}

static void test_two_steps(void **state)
{
    (void)state;
    for (size_t b = 0; b < GOLDEN_BACKENDS; b++) {
        struct world w;

        begin(&w, &golden_backends[b]);
        for (size_t i = 0; w.ctx && i < sizeof(cases) / sizeof(cases[0]); i++)
            check_case(&w, i, golden_backends[b].name);
        end(&w);
    }
}

/* Every iterative method has a case above; scrub-r, which needs a validation part, is held against
 * scrub in tests/contract/teachers.c. */
static void test_all_methods(void **state)
{
    const struct ob_method *m;

    (void)state;
    for (size_t i = 0; (m = ob_method_at(i)); i++) {
        struct ob_method_info info;
        size_t k = 0;

        ob_method_info(m, &info);
        while (k < sizeof(cases) / sizeof(cases[0]) && strcmp(cases[k].name, info.name))
            k++;
        if (m->common && m != &ob_method_scrub_r && k == sizeof(cases) / sizeof(cases[0]))
            fail_msg("%s has no golden case", info.name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_two_steps),
                                        cmocka_unit_test(test_all_methods) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
