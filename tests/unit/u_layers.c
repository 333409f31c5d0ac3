/* u_layers.c - methods that work on layers, on every kind of network. */
#include "unlearn.h"

#include <math.h>

#include "base/rng.h"
#include "unlearn/layers.h"
#include "unlearn/plan.h"

#define SIDE 16
#define CLASSES 3
#define N_LOOK 5 /* images whose logits are looked at */

static const char *const archs[] = {
    "cnn,width=0.25",     "vgg16,width=0.1",    "vgg16,width=0.1,head=lth",
    "resnet20,width=0.5", "resnet18,width=0.1", "resnet50,width=0.1,stem=imagenet"
};
#define N_ARCHS (sizeof(archs) / sizeof(archs[0]))

struct place { /* data and a model of any architecture, no training */
    struct ob_ctx *ctx;
    struct ob_data *data;
    struct ob_ids *forget;
    struct ob_model *m;
};

static void open_place(struct place *p, const char *arch)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    uint32_t id[] = { 3, 4, 9, 20 };
    struct ob_rng r = ob_rng(1, OB_RNG_TEST, 0, 0);

    o.n_threads = 1;
    must(ob_ctx_new(&p->ctx, &o, err));
    must(ob_data_open(&p->data, p->ctx, "synth:longtail,train=30,test=6,classes=3,size=16", err));
    must(ob_ids_new(&p->forget, id, 4, 30, err));
    must(ob_model_new(&p->m, p->ctx, arch, ob_data_info(p->data)->channels, SIDE, SIDE, CLASSES, 7,
                      err));
    for (size_t i = 0; i < p->m->net->n_params; i++) /* biases that are not 0 */
        p->m->w.params[i] += 0.01f * ob_rng_normal(&r);
    for (int i = -1; (i = ob_layer_next(p->m->net, i, OB_LAYER_NORM)) >= 0;) {
        const struct ob_view *v = &p->m->net->view[p->m->net->node[i].mean];

        for (size_t k = 0; k < v->size; k++)
            p->m->w.buffers[v->offset + k] = ob_rng_normal(&r);
    }
    ob_model_touch(p->m);
}

static void close_place(struct place *p)
{
    ob_model_free(p->m);
    ob_ids_free(p->forget);
    ob_data_free(p->data);
    ob_ctx_free(p->ctx);
}

static int apply(struct place *p, struct ob_model *m, const char *spec, struct ob_err *why)
{
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_plan *plan;
    int rc;

    must(ob_plan_single(&plan, p->data, m, ob_data_ids(p->data, OB_TRAIN), p->forget, spec, err));
    rc = ob_rum(NULL, NULL, m, p->data, NULL, plan, &o, why);
    ob_plan_free(plan);
    return rc;
}

/* Logits of a few images in eval mode. */
static void look(float *logits, struct place *p, const struct ob_model *m)
{
    struct ob_ids *ids;
    uint32_t id[N_LOOK] = { 0, 1, 2, 3, 4 };

    must(ob_ids_new(&ids, id, N_LOOK, 30, err));
    must(ob_predict(logits, NULL, m, p->data, OB_TRAIN, ids, err));
    ob_ids_free(ids);
}

static void ct_twice_is_nothing(void **state)
{
    (void)state;
    for (size_t a = 0; a < N_ARCHS; a++) {
        struct place p;
        struct ob_model *m;
        size_t n;

        open_place(&p, archs[a]);
        n = p.m->net->n_params * sizeof(float);
        must(ob_model_clone(&m, p.m, err));
        must(apply(&p, m, "ct:epochs=0", err));
        assert_memory_not_equal(m->w.params, p.m->w.params, n);
        must(apply(&p, m, "ct:epochs=0", err));
        assert_memory_equal(m->w.params, p.m->w.params, n);
        ob_model_free(m);
        close_place(&p);
    }
}

/* What comes out of the first batch-norm has the other sign: with a scale of the other sign as well,
 * everything behind it is as it was. */
static void not_turns_the_sign(void **state)
{
    float before[N_LOOK * CLASSES], after[N_LOOK * CLASSES], kept[N_LOOK * CLASSES];

    (void)state;
    for (size_t a = 0; a < N_ARCHS; a++) {
        struct place p;
        struct ob_model *m;
        size_t size;
        float *scale, off = 0, off_kept = 0, largest = 0;

        open_place(&p, archs[a]);
        look(before, &p, p.m);
        for (int k = 0; k < 2; k++) {
            must(ob_model_clone(&m, p.m, err));
            must(
                apply(&p, m, k ? "not:epochs=0:bn-mean=keep" : "not:epochs=0:bn-mean=negate", err));
            scale = ob_layer_values(
                m, m->net->node[ob_layer_norm_after(m->net, ob_layer_first(m->net))].weight, &size);
            for (size_t i = 0; i < size; i++)
                scale[i] = -scale[i];
            ob_model_touch(m);
            look(k ? kept : after, &p, m);
            ob_model_free(m);
        }
        for (int i = 0; i < N_LOOK * CLASSES; i++) {
            off = fmaxf(off, fabsf(after[i] - before[i]));
            off_kept = fmaxf(off_kept, fabsf(kept[i] - before[i]));
            largest = fmaxf(largest, fabsf(before[i]));
        }
        if (!(off < 1e-6f * largest && off_kept > 5e-5f * largest))
            fail_msg("%s: %g, with the mean kept %g, of %g", archs[a], off, off_kept, largest);
        close_place(&p);
    }
}

static void refused_where_there_is_nothing(void **state)
{
    struct place p;

    (void)state;
    open_place(&p, "mlp,width=0.1");
    must_fail(apply(&p, p.m, "ct", err), OB_EINVAL, "works on convolutions");
    must_fail(apply(&p, p.m, "not:bn-mean=negate", err), OB_EINVAL, "no batch-norm");
    must_fail(apply(&p, p.m, "cf-k", err), OB_EINVAL, "use unit=layer");
    must_fail(apply(&p, p.m, "eu-k", err), OB_EINVAL, "use unit=layer");
    must_fail(apply(&p, p.m, "eu-k:unit=layer:include-fc=no", err), OB_EINVAL, "use yes");
    must_fail(apply(&p, p.m, "eu-k:unit=layer:reinit=initial", err), OB_EINVAL, "seed");
    must_fail(apply(&p, p.m, "msg", err), OB_EINVAL, "works on convolutions");
    must_fail(apply(&p, p.m, "kde", err), OB_EINVAL, "validation part");
    must(apply(&p, p.m, "not:epochs=1", err));
    must(apply(&p, p.m, "eu-k:unit=layer:epochs=1", err));
    close_place(&p);
    open_place(&p, "cnn,width=0.25");
    must(ob_model_set_meta(p.m, "seed", "7", err));
    must(ob_model_set_meta(p.m, "parent", "abc", err));
    must_fail(apply(&p, p.m, "eu-k:reinit=initial", err), OB_EINVAL, "came from another one");
    close_place(&p);
}

/* The names of what trains, or of what was drawn anew, in one text. */
static void names_moved(char text[2000], const struct ob_model *a, const struct ob_model *b)
{
    size_t n = 0;

    *text = 0;
    for (int i = 0; i < a->net->n_views; i++) {
        const struct ob_view *v = &a->net->view[i];

        if (v->block == OB_PARAM &&
            memcmp(a->w.params + v->offset, b->w.params + v->offset, v->size * sizeof(float)))
            n += (size_t)snprintf(text + n, 2000 - n, "%s ", v->name);
    }
}

static void last_ones(void **state)
{
    static const struct {
        const char *arch, *spec, *trained;
    } want[] = {
        { "resnet20,width=0.5", "cf-k:unit=layer:k=3",
          "layer3.2.conv1.weight layer3.2.bn1.weight layer3.2.bn1.bias layer3.2.conv2.weight "
          "layer3.2.bn2.weight layer3.2.bn2.bias fc.weight fc.bias " },
        { "resnet20,width=0.5", "cf-k:unit=layer:k=1", "fc.weight fc.bias " },
        { "vgg16,width=0.1", "cf-k:include-fc=no",
          "features.34.weight features.35.weight features.35.bias features.37.weight "
          "features.38.weight features.38.bias features.40.weight features.41.weight "
          "features.41.bias " },
        { "vgg16,width=0.1", "eu-k:unit=layer:epochs=0:k=3",
          "classifier.0.weight classifier.0.bias classifier.2.weight classifier.2.bias "
          "classifier.4.weight classifier.4.bias " },
        { "resnet18,width=0.1", "eu-k:epochs=0",
          "layer4.0.conv1.weight layer4.0.bn1.weight layer4.0.bn1.bias layer4.0.conv2.weight "
          "layer4.0.bn2.weight layer4.0.bn2.bias layer4.0.downsample.0.weight "
          "layer4.0.downsample.1.weight layer4.0.downsample.1.bias layer4.1.conv1.weight "
          "layer4.1.bn1.weight layer4.1.bn1.bias layer4.1.conv2.weight layer4.1.bn2.weight "
          "layer4.1.bn2.bias fc.weight fc.bias " },
        { "mlp,width=0.1", "cf-k:unit=layer:k=2", "fc2.weight fc2.bias fc3.weight fc3.bias " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        char moved[2000], spec[200];
        struct ob_model *m;
        struct place p;

        open_place(&p, want[i].arch);
        must(ob_model_clone(&m, p.m, err));
        snprintf(spec, sizeof(spec), "%s%s", want[i].spec,
                 strstr(want[i].spec, "epochs") ? "" : ":epochs=1:momentum=0.9:weight-decay=0.1");
        must(apply(&p, m, spec, err));
        names_moved(moved, p.m, m);
        assert_string_equal(moved, want[i].trained);
        ob_model_free(m);
        close_place(&p);
    }
}

static void stages(void **state)
{
    static const struct {
        const char *arch;
        int n;
    } want[] = { { "cnn", 3 }, { "vgg16", 5 }, { "resnet20", 3 }, { "resnet18", 4 }, { "mlp", 0 } };

    (void)state;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct ob_net *n;

        must(ob_net_new(&n, want[i].arch, 3, 32, 32, 10, err));
        assert_int_equal(ob_layer_n_stages(n), want[i].n);
        ob_net_free(n);
    }
}

/* What the last stage was before the training, with the seed that made it. */
static void back_to_the_start(void **state)
{
    struct ob_train_opts t = OB_TRAIN_OPTS_INIT;
    struct ob_model *first, *m;
    struct place p;

    (void)state;
    open_place(&p, "cnn,width=0.25");
    ob_model_init(p.m, 7);
    must(ob_model_clone(&first, p.m, err));
    ob_recipe_default(&t.recipe, p.data, "cnn");
    t.recipe.epochs = 1;
    t.seed = 7;
    must(ob_train(NULL, p.m, p.data, NULL, ob_data_ids(p.data, OB_TRAIN), &t, err));
    must(ob_model_clone(&m, p.m, err));
    must(apply(&p, m, "eu-k:epochs=0:reinit=initial:k=2:include-fc=no", err));
    for (int i = 0; i < m->net->n_views; i++) {
        const struct ob_view *v = &m->net->view[i];
        bool last = strchr(v->name, '2') || strchr(v->name, '3');

        if (v->block == OB_PARAM)
            assert_memory_equal(m->w.params + v->offset, (last ? first : p.m)->w.params + v->offset,
                                v->size * sizeof(float));
    }
    assert_memory_equal(m->w.buffers, p.m->w.buffers, m->net->n_buffers * sizeof(float));
    ob_model_free(first);
    ob_model_free(m);
    close_place(&p);
}

/* Every network takes every method that it is said to take, in one epoch of two batches. */
static void on_every_network(void **state)
{
    static const char *const specs[] = { "ct",  "not",  "cf-k", "eu-k", "msg",
                                         "cfw", "prmq", "rni",  "fcs" };

    (void)state;
    for (size_t a = 0; a < N_ARCHS; a++)
        for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
            struct ob_model *m;
            struct place p;
            char spec[100];

            open_place(&p, archs[a]);
            must(ob_model_clone(&m, p.m, err));
            snprintf(spec, sizeof(spec), "%s:epochs=1:batch=16:lr=1e-4", specs[i]);
            must(apply(&p, m, spec, err));
            assert_memory_not_equal(m->w.params, p.m->w.params, m->net->n_params * sizeof(float));
            ob_model_free(m);
            close_place(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ct_twice_is_nothing),
        cmocka_unit_test(not_turns_the_sign),
        cmocka_unit_test(refused_where_there_is_nothing),
        cmocka_unit_test(last_ones),
        cmocka_unit_test(stages),
        cmocka_unit_test(back_to_the_start),
        cmocka_unit_test(on_every_network),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
