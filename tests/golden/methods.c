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
#define BOUND_CHANGE 1e-4 /* of parameters that no step has moved: cases NAME-start */
#define NOISE_BOUND 1e-5  /* of parameters, where noise is larger than all else */
#define CERTIFIED "certified:epsilon=100:delta=0.1:steps=2:epochs=1:momentum=0:weight-decay=0.2:"

#define SCRUB_R "scrub-r:epochs=5:weight-decay=0.05:temperature=3:gamma=0.8:"
#define LOTUS "lotus:epochs=2:lr=0.05:weight-decay=0.2:optimizer=sgd:share=0.5:alpha=6:aim=zero"
#define UNSIR                                                                                      \
    "unsir:lr=0.05:weight-decay=0.2:optimizer=sgd:noise=4:noise-steps=2:copies=2:per-class=2:"     \
    "penalty=1:impair-batch=64"

/* `from`: what is measured against instead of the first weights, because it moves far more than two
 * steps do; it is a case of its own. */
static const struct golden_case {
    const char *name, *spec, *from;
} cases[] = {
    { "finetune", "finetune:epochs=2:lr=0.05:weight-decay=0.2", NULL },
    { "l1-sparse", "l1-sparse:epochs=2:lr=0.05:weight-decay=0.4:alpha=0.5", NULL },
    { "neggrad", "neggrad:epochs=2:lr=0.05:weight-decay=0.2", NULL },
    { "neggrad-plus", "neggrad-plus:epochs=2:lr=0.05:weight-decay=0.2:alpha=0.6", NULL },
    { "neggrad-ceiling", "neggrad:epochs=2:lr=0.05:weight-decay=0.2:ceiling=3", NULL },
    { "neggrad-plus-near",
      "neggrad-plus:epochs=2:lr=0.05:weight-decay=0.2:alpha=0.6:proximal=8:"
      "batchnorm=frozen:ceiling=3",
      NULL },
    { "scrub-released",
      "scrub:epochs=2:msteps=0:lr=0.02:weight-decay=0.2:temperature=3:beta=1.5:"
      "gamma=0.8:variant=released",
      NULL },
    { "random-label-wrong", "random-label:epochs=2:lr=0.1:weight-decay=0.15:labels=wrong", NULL },
    { "salun-released",
      "salun:epochs=1:batch=8:lr=0.1:weight-decay=0.15:share=0.3:variant=released:mask-lr=0.1",
      NULL },
    { "scrub", "scrub:epochs=1:msteps=1:lr=0.05:weight-decay=0.2:temperature=3:beta=1.5:gamma=0.8",
      NULL },
    { "random-label", "random-label:epochs=2:lr=0.1:weight-decay=0.15", NULL },
    { "salun", "salun:epochs=2:lr=0.1:weight-decay=0.15:share=0.2", NULL },
    { "salun-wrong", "salun:epochs=2:lr=0.1:weight-decay=0.15:share=0.2:labels=wrong", NULL },
    { "delete", "delete:epochs=2:lr=0.05:weight-decay=0.2", NULL },
    { "delete-frozen", "delete:epochs=2:lr=0.05:weight-decay=0.2:batchnorm=frozen", NULL },
    { "bad-teacher", "bad-teacher:epochs=2:lr=0.5:weight-decay=0.02:optimizer=sgd:share=0.5",
      NULL },
    { "bad-teacher-batchmean",
      "bad-teacher:epochs=2:lr=0.05:weight-decay=0.2:optimizer=sgd:share=0.5:reduction=batchmean",
      NULL },
    { "boundary-shrink", "boundary-shrink:epochs=2:lr=0.05:weight-decay=0.2:step=0.8", NULL },
    { "boundary-expand", "boundary-expand:epochs=2:lr=0.05:weight-decay=0.2", NULL },
    { "boundary-expand-xavier", "boundary-expand:epochs=2:lr=0.05:weight-decay=0.2:row=xavier",
      NULL },
    { "lotus", LOTUS, NULL },
    { "lotus-softmax", LOTUS ":targets=softmax", NULL },
    { "unsir", UNSIR, NULL },
    { "unsir-train", UNSIR ":noise-mode=train", NULL },
    { "weight-distance",
      "weight-distance:epochs=2:optimizer=sgd:lr=0.05:weight-decay=0.2:weight=500", NULL },
    { "weight-distortion",
      "weight-distortion:epochs=2:optimizer=sgd:lr=0.2:weight-decay=0.4:sigma=0.04", NULL },
    { "weight-distortion-shrink",
      "weight-distortion:damage=shrink:epochs=2:optimizer=sgd:lr=0.2:weight-decay=0.4:factor=0.9",
      NULL },
    { "weight-distortion-dropout",
      "weight-distortion:damage=dropout:epochs=2:optimizer=sgd:lr=0.2:weight-decay=0.4:rate=0.05",
      NULL },
    { "ssd", "ssd:alpha=1.2:lambda=0.8", NULL },
    { "ssd-batch", "ssd:importance=batch:batch=5:alpha=1.2", NULL },
    { "lfssd", "lfssd:alpha=1.1:lambda=0.8", NULL },
    { "lfssd-batch", "lfssd:importance=batch:batch=5:alpha=1.1:lambda=0.8", NULL },
    { "assd", "assd:lambda=0.5", NULL },
    { "assd-batch", "assd:importance=batch:batch=5:lambda=0.5", NULL },
    { "influence", "influence:alpha=40:tau=0.5:block=5", NULL },
    { "influence-cg", "influence:alpha=40:tau=0.5:solver=cg", NULL },
    { "influence-raw", "influence:alpha=100:tau=3:step=raw", NULL },
    { "influence-random", "influence:alpha=40:tau=0.5:samples=10:order=random", NULL },
    { "influence-released", "influence:variant=released:alpha=40", NULL },
    { "fisher", "fisher:alpha=1e-4:head=3", NULL },
    { "fisher-batch", "fisher:variant=batch:batch=5:alpha=1e-4:head=3", NULL },
    { "fisher-row", "fisher:alpha=1e-5:head=3:class-row=reset", NULL },
    { "fisher-batch-row", "fisher:variant=batch:batch=5:alpha=1e-5:head=3:class-row=reset", NULL },
    { "fisher-label", "fisher:variant=label:alpha=1e-8", NULL },
    { "munba", "munba:epochs=2:lr=1:weight-decay=0.02", NULL },
    { "munba-batches", "munba:epochs=2:batch=8:lr=0.05:weight-decay=0.2", NULL },
    { "munba-released", "munba:variant=released:epochs=2:lr=0.01:weight-decay=0.02", NULL },
    { "munba-fallback", "munba:variant=released:epochs=2:lr=0.1:weight-decay=0.02", NULL },
    { "sfr-on", "sfr-on:epochs=3:lr=0.05:weight-decay=0.2:alpha=3:every=2:clip=1000", NULL },
    { "sfr-on-sample",
      "sfr-on:epochs=3:lr=0.05:weight-decay=0.2:alpha=6:every=2:clip=4:"
      "importance=sample:average=0.7:bound=3",
      NULL },
    { "sfr-on-gamma",
      "sfr-on:epochs=3:lr=0.05:weight-decay=0.2:alpha=3:every=2:clip=1000:"
      "importance=sample:gamma=3",
      NULL },
    { "mode-connectivity",
      "mode-connectivity:epochs=2:optimizer=sgd:lr=0.2:weight-decay=0.2:weight=4", NULL },
    { "bad-teacher-adam",
      "bad-teacher:epochs=2:lr=0.01:weight-decay=0.2:share=0.5:reduction=batchmean", NULL },
    { "lotus-adamw", "lotus:epochs=2:lr=0.01:weight-decay=2:share=0.5:alpha=6:aim=zero", NULL },
    { "unsir-adam",
      "unsir:lr=0.01:weight-decay=0.2:noise=4:noise-steps=2:copies=2:per-class=2:penalty=1:"
      "impair-batch=64",
      NULL },
    { "weight-distance-adam", "weight-distance:epochs=2:lr=0.01:weight-decay=0.2:weight=500",
      NULL },
    { "weight-distortion-adam", "weight-distortion:epochs=2:lr=0.01:weight-decay=0.2:sigma=0.04",
      NULL },
    { "mode-connectivity-adam", "mode-connectivity:epochs=2:lr=0.01:weight-decay=0.2:weight=4",
      NULL },
    { "certified", CERTIFIED "c0=2:c1=8:noise-lr=0.2:lr=0.3", NULL },
    { "certified-lambda", CERTIFIED "c0=2:c1=8:noise-lr=0.2:lr=0.3:lambda=0.5", NULL },
    { "certified-model", CERTIFIED "clip=model:c0=2:c2=3:noise-lr=0.2:lr=0.3:lambda=0.5", NULL },
    { "certified-both", CERTIFIED "clip=both:c0=2:c1=0.1:c2=3:noise-lr=20:lr=0.02:lambda=0.02",
      NULL },
    { "ct-start", "ct:epochs=0", NULL },
    { "ct", "ct:epochs=2:lr=0.05:weight-decay=0.2", "ct:epochs=0" },
    { "not-start", "not:epochs=0", NULL },
    { "not", "not:epochs=2:lr=0.05:weight-decay=0.2", "not:epochs=0" },
    { "not-mean", "not:epochs=2:lr=0.05:weight-decay=0.2:bn-mean=negate", "not:epochs=0" },
    { "cf-k", "cf-k:epochs=2:lr=0.05:momentum=0.9:weight-decay=0.4", NULL },
    { "cf-k-eval", "cf-k:bn=eval:epochs=2:lr=0.05:momentum=0.9:weight-decay=0.4", NULL },
    { "cf-k-layers",
      "cf-k:unit=layer:k=2:include-fc=no:bn=eval:epochs=2:lr=0.05:momentum=0.9:weight-decay=0.4",
      NULL },
    { "eu-k-start", "eu-k:epochs=0", NULL },
    { "eu-k-layers-start", "eu-k:unit=layer:k=2:epochs=0", NULL },
    { "eu-k", "eu-k:epochs=2:lr=0.05:momentum=0.9:weight-decay=0.4", "eu-k:epochs=0" },
    { "eu-k-eval", "eu-k:bn=eval:epochs=2:lr=0.05:momentum=0.9:weight-decay=0.4", "eu-k:epochs=0" },
    { "eu-k-layers", "eu-k:unit=layer:k=2:epochs=2:lr=0.05:momentum=0.9:weight-decay=0.4",
      "eu-k:unit=layer:k=2:epochs=0" },
    { "msg-start", "msg:epochs=0", NULL },
    { "msg", "msg:epochs=2:lr=0.05:weight-decay=0.2", "msg:epochs=0" },
    { "cfw-start", "cfw:epochs=0", NULL },
    { "cfw", "cfw:epochs=2:lr=0.05:weight-decay=0.2:noise-last=0.05:batch=16", "cfw:epochs=0" },
    { "prmq-start", "prmq:epochs=0:share=0.9", NULL },
    { "prmq", "prmq:epochs=2:last-pass=1:share=0.9:entropy=1:lr=0.05:weight-decay=0.1",
      "prmq:epochs=0:share=0.9" },
    { "prmq-part",
      "prmq:epochs=2:last-pass=0.5:batch=8:share=0.9:entropy=1:lr=0.05:weight-decay=0.1",
      "prmq:epochs=0:share=0.9" },
    { "prmq-half", "prmq:epochs=2:last-pass=1:share=0.9:entropy=1:lr=1e-6:weight-decay=0.1",
      "prmq:epochs=0:share=0.9" },
    { "scrub-r", SCRUB_R "lr=0.2:msteps=2:beta=0.1", NULL },
    { "scrub-r-released", SCRUB_R "lr=0.1:msteps=2:beta=0.5:variant=released", NULL },
    { "kde-start", "kde:val-epochs=0:epochs=0", NULL },
    { "kde", "kde:val-epochs=1:val-lr=0.05:epochs=2:lr=0.05:weight-decay=0.2:temperature=3",
      "kde:val-epochs=0:epochs=0" },
    { "rni", "rni:rounds=2:epochs=2:tensors=3:noise=0.02:lr=0.05:weight-decay=0.2",
      "rni:epochs=0" },
    { "rni-resnet", "rni:rounds=2:epochs=2:tensors=12:noise=0.02:lr=0.05:weight-decay=0.2",
      "rni:epochs=0" },
    { "rni-all", "rni:rounds=0:epochs=4:lr=0.05:weight-decay=0.2", "rni:epochs=0" },
    { "fcs-start", "fcs:epochs=0:lr-uniform=0.05", NULL },
    { "fcs", "fcs:epochs=2:lr-uniform=0.05:lr-forget=0.04:temperature=2:lr=0.05:weight-decay=0.2",
      "fcs:epochs=0:lr-uniform=0.05" },
    { "fcs-batches-start", "fcs:epochs=0:batch=8:lr-uniform=0.05", NULL },
    { "fcs-batches",
      "fcs:epochs=2:batch=8:lr-uniform=0.05:lr-forget=0.04:temperature=2:lr=0.05:weight-decay=0.2",
      "fcs:epochs=0:batch=8:lr-uniform=0.05" },
};

struct world {
    struct ob_ctx *ctx;
    struct ob_data d;
    struct ob_model *start;
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

static struct ob_model *make_model(struct ob_ctx *ctx, const char *arch)
{
    struct ob_model *m;

    must(ob_model_new(&m, ctx, arch, 1, SIZE, SIZE, CLASSES, 1, err));
    for (int i = 0; i < m->net->n_views; i++) {
        const struct ob_view *v = &m->net->view[i];
        float *x = v->block == OB_PARAM ? m->w.params : m->w.buffers;
        char name[100];

        snprintf(name, sizeof(name), "methods/%s", v->name);
        if (v->block != OB_COUNT)
            golden_view(x + v->offset, name, v);
    }
    ob_model_touch(m);
    return m;
}

static void begin(struct world *w, const struct golden_backend *b)
{
    *w = (struct world){ .ctx = golden_ctx(b) };
    if (!w->ctx)
        return;
    make_data(w);
    w->start = make_model(w->ctx, "cnn,width=0.25");
}

static void end(struct world *w)
{
    if (!w->ctx)
        return;
    ob_model_free(w->start);
    ob_ids_free(w->d.use[OB_TRAIN]);
    ob_free(w->d.ex[OB_TRAIN].f32);
    ob_free(w->d.ex[OB_TRAIN].label);
    ob_ctx_free(w->ctx);
}

/* How far `after - before` is from what PyTorch moved. */
static double distance(const struct ob_npz *stored, const char *block, const float *after,
                       const float *before, size_t n)
{
    float *moved;
    double d;

    must(ob_alloc(moved, n, err));
    for (size_t i = 0; i < n; i++)
        moved[i] = after[i] - before[i];
    d = golden_distance(stored, block, block, moved, n);
    ob_free(moved);
    return d;
}

/* How many classes are forgotten, for what does so. */
static int n_forget_classes(const char *spec)
{
    return !strncmp(spec, "unsir", 5) ? 2 : strstr(spec, "class-row=reset") ? 1 : 0;
}

/* The first examples, or all of the first classes. */
static struct ob_ids *make_forget(const struct world *w, const char *spec)
{
    int classes = n_forget_classes(spec);
    struct ob_ids *ids;
    uint32_t id[N], n = 0;

    for (uint32_t i = 0; i < N; i++)
        if (classes ? w->d.ex[OB_TRAIN].label[i] < classes : i < N_FORGET)
            id[n++] = i;
    must(ob_ids_new(&ids, id, n, N, err));
    return ids;
}

static int needs_validation(const char *spec)
{
    return !strncmp(spec, "kde", 3) || !strncmp(spec, "scrub-r", 7);
}

/* On all examples, or, for a method that needs one, with a validation part among them. */
static void run(const struct world *w, struct ob_model *m, const char *spec,
                struct ob_step_result *result)
{
    struct ob_ids *all = make_forget(w, spec), *forget;
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_split *split;
    struct ob_plan *p;

    must(ob_split_new(&split, &w->d, needs_validation(spec) ? 0.25 : 0, 3, err));
    must(ob_ids_minus(&forget, all, ob_split_val(split), err));
    must(ob_plan_single(&p, &w->d, m, ob_split_train(split), forget, spec, err));
    o.seed = SEED;
    must(ob_rum(result, NULL, m, &w->d, split, p, &o, err));
    ob_plan_free(p);
    ob_ids_free(forget);
    ob_ids_free(all);
    ob_split_free(split);
}

static float *param(struct ob_model *m, const char *name, size_t *n)
{
    for (int i = 0; i < m->net->n_views; i++)
        if (!strcmp(m->net->view[i].name, name)) {
            *n = m->net->view[i].size;
            return m->w.params + m->net->view[i].offset;
        }
    fail_msg("no parameter '%s'", name);
    return NULL;
}

/* Nearly the same features, `mean`, for every image, and the classes' shares in R: the retain set's
 * loss is nearly flat, which is where munba's variants part. */
static void calm(struct ob_model *m, const struct world *w, float mean)
{
    size_t n_norm, n_shift, n_fc, n_bias;
    float *norm = param(m, "bn3.weight", &n_norm), *shift = param(m, "bn3.bias", &n_shift);
    float *fc = param(m, "fc.weight", &n_fc), *bias = param(m, "fc.bias", &n_bias);

    for (size_t i = 0; i < n_norm; i++) {
        norm[i] *= 0.01f;
        shift[i] = mean;
    }
    for (size_t i = 0; i < n_fc; i++)
        fc[i] *= 0.01f;
    for (size_t k = 0; k < n_bias; k++) {
        double n = 0;

        for (int i = N_FORGET; i < N; i++)
            n += w->d.ex[OB_TRAIN].label[i] == (int32_t)k;
        bias[k] = (float)log(fmax(n, 0.1) / (N - N_FORGET));
    }
    ob_model_touch(m);
}

/* The model that a case starts from. */
static struct ob_model *start_of(const struct world *w, const struct golden_case *c)
{
    struct ob_model *m;

    if (!strcmp(c->name, "rni-resnet"))
        return make_model(w->ctx, "resnet18,width=0.015625");
    must(ob_model_clone(&m, w->start, err));
    if (!strcmp(c->name, "munba-released"))
        calm(m, w, 0.1f);
    if (!strcmp(c->name, "munba-fallback"))
        calm(m, w, 0.05f);
    return m;
}

/* The numbers of a method's report, in its order, against the stored ones, where there are. */
static void check_report(const struct ob_npz *stored, const char *report, const char *name)
{
    const struct ob_npy *want = ob_npz_find(stored, "report");

    for (size_t i = 0; want && i < want->n; i++) {
        double x;

        report += strcspn(report, ":[,") + 1;
        while (*report == '[' || *report == '"')
            report += *report == '[' ? 1 : strcspn(report, ":") + 1;
        x = strtod(report, NULL);
        if (!(fabs(x - ob_npy_double(want, i)) < 1e-5))
            fail_msg("%s: reports %g, not %g", name, x, ob_npy_double(want, i));
    }
}

static double bound_of(const char *name)
{
    if (golden_ends(name, "-start"))
        return BOUND_CHANGE;
    return strncmp(name, "certified", 9) ? BOUND_PARAMS : NOISE_BOUND;
}

static void check_case(const struct world *w, const struct golden_case *c, const char *backend)
{
    struct ob_npz stored = { 0 };
    struct ob_step_result result;
    struct ob_model *m = start_of(w, c), *from = start_of(w, c);
    double params, buffers;
    char path[200];

    snprintf(path, sizeof(path), "tests/golden/methods/%s.npz", c->name);
    must(ob_npz_read(&stored, path, 1 << 24, err));
    run(w, m, c->spec, &result);
    if (c->from)
        run(w, from, c->from, NULL);
    params = distance(&stored, "params", m->w.params, from->w.params, m->net->n_params);
    buffers = distance(&stored, "buffers", m->w.buffers, from->w.buffers, m->net->n_buffers);
    print_message("%s, %s: %.1e %.1e\n", backend, c->name, params, buffers);
    check_report(&stored, result.report, c->name);
    if (!(params <= bound_of(c->name) && buffers <= BOUND_BUFFERS))
        fail_msg("%s: too far from PyTorch", c->name);
    ob_npz_release(&stored);
    ob_model_free(from);
    ob_model_free(m);
}

static void test_two_steps(void **state)
{
    (void)state;
    for (size_t b = 0; b < GOLDEN_BACKENDS; b++) {
        struct world w;

        begin(&w, &golden_backends[b]);
        for (size_t i = 0; w.ctx && i < sizeof(cases) / sizeof(cases[0]); i++)
            check_case(&w, &cases[i], golden_backends[b].name);
        end(&w);
    }
}

/* The exact ones are held against training without the forget set. */
static int has_other_oracle(const struct ob_method *m)
{
    return m == &ob_method_none || m == &ob_method_retrain || m == &ob_method_sisa;
}

/* Every other method has a case above. */
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
        if (!has_other_oracle(m) && k == sizeof(cases) / sizeof(cases[0]))
            fail_msg("%s has no golden case", info.name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_two_steps),
                                        cmocka_unit_test(test_all_methods) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
