/* u_model.c - models in memory: first weights, copies, identity, metadata, normalisation. */
#include "common.h"

#include <math.h>

#include "base/mem.h"
#include "nn/model.h"

#define N(list) (sizeof(list) / sizeof((list)[0]))

static struct ob_ctx ctx;

static struct ob_model *make(const char *arch, uint64_t seed)
{
    struct ob_err err = { 0 };
    struct ob_model *m;

    assert_int_equal(ob_model_new(&m, &ctx, arch, 3, 16, 16, 4, seed, &err), OB_OK);
    return m;
}

static const struct ob_view *view(const struct ob_model *m, const char *name)
{
    int i = ob_net_find(m->net, name);

    assert_true(i >= 0);
    return &m->net->view[i];
}

static void check_spread(const struct ob_model *m, const char *name, double deviation)
{
    const struct ob_view *v = view(m, name);
    const float *x = m->w.params + v->offset;
    double sum = 0, square = 0;

    for (size_t i = 0; i < v->size; i++) {
        sum += x[i];
        square += (double)x[i] * x[i];
    }
    sum /= (double)v->size;
    square = sqrt(square / (double)v->size);
    if (fabs(sum) > 0.1 * deviation || fabs(square / deviation - 1) > 0.1)
        fail_msg("%s: mean %g, deviation %g, not %g", name, sum, square, deviation);
}

static void first_weights(void **state)
{
    struct ob_model *m = make("cnn", 1);
    const float *w;
    float top = 0;

    (void)state;
    check_spread(m, "conv1.weight", sqrt(2.0 / (32 * 9))); /* fan-out */
    check_spread(m, "conv3.weight", sqrt(2.0 / (128 * 9)));
    check_spread(m, "fc.weight", 1 / sqrt(512.0) / sqrt(3)); /* uniform */
    w = m->w.params + view(m, "fc.weight")->offset;
    for (size_t i = 0; i < view(m, "fc.weight")->size; i++)
        top = fabsf(w[i]) > top ? fabsf(w[i]) : top;
    assert_true(top <= 1 / sqrtf(512) && top > 0.99f / sqrtf(512));
    assert_true(m->w.params[view(m, "bn2.weight")->offset + 5] == 1);
    assert_true(m->w.params[view(m, "bn2.bias")->offset + 5] == 0);
    assert_true(m->w.buffers[view(m, "bn2.running_mean")->offset + 5] == 0);
    assert_true(m->w.buffers[view(m, "bn2.running_var")->offset + 5] == 1);
    assert_true(m->w.buffers[view(m, "normalize.mean")->offset + 2] == 0.5f);
    assert_true(m->w.buffers[view(m, "normalize.std")->offset + 2] == 0.25f);
    ob_model_free(m);

    m = make("resnet20", 1);
    check_spread(m, "layer3.1.conv1.weight", sqrt(2.0 / (64 * 9)));
    check_spread(m, "layer3.0.conv1.weight", sqrt(2.0 / (32 * 9))); /* fan-in */
    check_spread(m, "fc.weight", sqrt(2.0 / 64));
    ob_model_free(m);
}

static int all_zero(const struct ob_model *m, const char *name)
{
    const struct ob_view *v = view(m, name);

    for (size_t i = 0; i < v->size; i++)
        if (m->w.params[v->offset + i] != 0)
            return 0;
    return 1;
}

static void first_weights_of_the_large(void **state)
{
    struct ob_model *m = make("resnet18,stem=imagenet,width=0.5", 1);

    (void)state; /* convolutions: fan-out; fc: PyTorch's default */
    check_spread(m, "conv1.weight", sqrt(2.0 / (32 * 49)));
    check_spread(m, "layer2.0.conv1.weight", sqrt(2.0 / (64 * 9)));
    check_spread(m, "layer3.0.downsample.0.weight", sqrt(2.0 / 128));
    check_spread(m, "fc.weight", 1 / sqrt(256.0) / sqrt(3));
    assert_false(all_zero(m, "fc.bias"));
    assert_true(m->w.params[view(m, "layer4.1.bn2.weight")->offset + 5] == 1);
    ob_model_free(m);
    m = make("resnet50,width=0.25", 1);
    check_spread(m, "layer1.0.conv3.weight", sqrt(2.0 / 64));
    check_spread(m, "layer4.2.conv1.weight", sqrt(2.0 / 128));
    check_spread(m, "layer2.1.conv2.weight", sqrt(2.0 / (32 * 9)));
    assert_true(m->w.params[view(m, "layer4.2.bn3.weight")->offset + 5] == 1);
    ob_model_free(m);
    m = make("vgg16,width=0.5", 1);
    check_spread(m, "features.3.weight", sqrt(2.0 / (32 * 9)));
    check_spread(m, "features.24.weight", sqrt(2.0 / (256 * 9)));
    check_spread(m, "classifier.0.weight", 0.01);
    check_spread(m, "classifier.2.weight", 0.01);
    assert_true(all_zero(m, "classifier.0.bias") && all_zero(m, "classifier.4.bias"));
    ob_model_free(m);
    m = make("vgg16,head=lth,width=0.5", 1);
    check_spread(m, "classifier.weight", 0.01);
    assert_true(all_zero(m, "features.0.bias") && all_zero(m, "features.40.bias"));
    assert_true(all_zero(m, "classifier.bias"));
    ob_model_free(m);
}

static void seeds(void **state)
{
    struct ob_model *a = make("cnn", 7), *b = make("cnn", 7), *c = make("cnn", 8);
    size_t bytes = a->net->n_params * sizeof(float);
    const float *w1, *w2;

    (void)state;
    assert_memory_equal(a->w.params, b->w.params, bytes);
    assert_true(memcmp(a->w.params, c->w.params, bytes) != 0);
    ob_model_init(c, 7);
    assert_memory_equal(a->w.params, c->w.params, bytes);
    /* two views do not share their numbers */
    w1 = a->w.params + view(a, "conv2.weight")->offset;
    w2 = a->w.params + view(a, "conv3.weight")->offset;
    assert_true(fabsf(w1[0] / w2[0] - w1[1] / w2[1]) > 1e-3f);
    ob_model_free(a);
    ob_model_free(b);
    ob_model_free(c);
}

static void copies(void **state)
{
    struct ob_model *a = make("cnn,width=0.5", 1), *b = NULL, *c = make("cnn,width=0.5", 2);
    struct ob_err err = { 0 };
    char ha[65], hb[65];
    uint64_t stamp = c->w.stamp;

    (void)state;
    a->w.counts[1] = 12;
    assert_int_equal(ob_model_set_meta(a, "seed", "1", &err), OB_OK);
    assert_int_equal(ob_model_clone(&b, a, &err), OB_OK);
    assert_true(b->w.stamp != a->w.stamp);
    assert_string_equal(ob_model_meta(b, "seed"), "1");
    assert_string_equal(ob_model_arch(b), "cnn,width=0.5");
    assert_int_equal(b->w.counts[1], 12);
    ob_model_digest(a, ha, &err);
    ob_model_digest(b, hb, &err);
    assert_string_equal(ha, hb);
    b->w.params[3] += 1;
    assert_true(b->w.params[3] != a->w.params[3]); /* not shared */
    ob_model_copy_weights(c, a);
    assert_true(c->w.stamp > stamp);
    ob_model_digest(c, hb, &err);
    assert_string_equal(ha, hb);
    assert_null(ob_model_meta(c, "seed"));
    ob_model_free(a);
    ob_model_free(b);
    ob_model_free(c);
    ob_model_free(NULL);
}

static void digest_sees_all(void **state)
{
    struct ob_model *m = make("cnn", 1);
    struct ob_err err = { 0 };
    char before[65], after[65];
    float last;

    (void)state;
    ob_model_digest(m, before, &err);
    assert_int_equal(strlen(before), 64);
    ob_model_set_meta(m, "seed", "9", &err);
    ob_model_digest(m, after, &err);
    assert_string_equal(before, after);
    last = m->w.params[m->net->n_params - 1];
    m->w.params[m->net->n_params - 1] += 1;
    ob_model_digest(m, after, &err);
    assert_string_not_equal(before, after);
    m->w.params[m->net->n_params - 1] = last;
    m->w.buffers[0] += 1;
    ob_model_digest(m, after, &err);
    assert_string_not_equal(before, after);
    m->w.buffers[0] -= 1;
    ob_model_digest(m, after, &err);
    assert_string_equal(before, after);
    m->w.counts[2]++;
    ob_model_digest(m, after, &err);
    assert_string_not_equal(before, after);
    ob_model_free(m);
}

static void metadata(void **state)
{
    struct ob_model *m = make("mlp", 1);
    struct ob_err err = { 0 };

    (void)state;
    assert_string_equal(ob_model_meta(m, "arch"), "mlp");
    assert_string_equal(ob_model_meta(m, "classes"), "4");
    assert_string_equal(ob_model_meta(m, "input"), "3,16,16");
    assert_null(ob_model_meta(m, "recipe"));
    assert_int_equal(ob_model_set_meta(m, "zeta", "1", &err), OB_OK);
    assert_int_equal(ob_model_set_meta(m, "alpha", "2", &err), OB_OK);
    assert_int_equal(ob_model_set_meta(m, "zeta", "3", &err), OB_OK);
    assert_string_equal(ob_model_meta(m, "zeta"), "3");
    assert_string_equal(ob_model_meta(m, "alpha"), "2");
    for (size_t i = 1; i < m->n_meta; i++)
        assert_true(strcmp(m->meta[i - 1].key, m->meta[i].key) < 0);
    assert_int_equal(ob_model_set_meta(m, "zeta", NULL, &err), OB_OK);
    assert_null(ob_model_meta(m, "zeta"));
    assert_int_equal(ob_model_set_meta(m, "arch", "mlp", &err), OB_OK);
    assert_int_equal(ob_model_set_meta(m, "arch", "cnn", &err), OB_EINVAL);
    assert_string_equal(ob_model_meta(m, "arch"), "mlp");
    ob_model_free(m);
}

static void not_finite(void **state)
{
    struct ob_model *m = make("cnn", 1);
    struct ob_err err = { 0 };

    (void)state;
    assert_int_equal(ob_model_check_finite(m, &err), OB_OK);
    m->w.params[view(m, "bn3.bias")->offset + 4] = INFINITY;
    assert_int_equal(ob_model_check_finite(m, &err), OB_EDIVERGED);
    assert_non_null(strstr(err.msg, "weight 4 of 'bn3.bias'"));
    m->w.params[view(m, "bn3.bias")->offset + 4] = 0;
    m->w.buffers[view(m, "bn1.running_var")->offset] = NAN;
    assert_int_equal(ob_model_check_finite(m, NULL), OB_EDIVERGED);
    ob_model_free(m);
}

static void normalisations(void **state)
{
    static const char *const bad[] = {
        "cifar",         "mnist",       "0.5/0.25",    "1,2,3",        "1,2,3/1,2",
        "1,2,3/1,2,3,4", "1,2,x/1,1,1", "1,2,3/1,0,1", "1,2,3/1,-1,1", "",
        "1,2,nan/1,1,1", "1,,3/1,1,1",  "/",           "1,2,3/1,1,1/"
    };
    float mean[3], std[3];
    struct ob_err err = { 0 };

    (void)state;
    assert_int_equal(ob_model_normalize_values("cifar10", 3, mean, std, &err), OB_OK);
    assert_true(mean[1] == 0.4822f && std[2] == 0.2616f);
    assert_int_equal(ob_model_normalize_values("none", 1, mean, std, &err), OB_OK);
    assert_true(mean[0] == 0 && std[0] == 1);
    assert_int_equal(ob_model_normalize_values("fashion-mnist", 1, mean, std, &err), OB_OK);
    assert_true(mean[0] == 0.2860f && std[0] == 0.3530f);
    assert_int_equal(ob_model_normalize_values("0.1,-0.2,3/1,2,0.5", 3, mean, std, &err), OB_OK);
    assert_true(mean[1] == -0.2f && mean[2] == 3 && std[2] == 0.5f);
    for (size_t i = 0; i < N(bad); i++) {
        err = (struct ob_err){ 0 };
        if (ob_model_normalize_values(bad[i], 3, mean, std, &err) != OB_EINVAL)
            fail_msg("'%s' was taken", bad[i]);
        assert_true(strlen(err.msg) > 10);
    }
}

/* Every allocation of making and cloning fails once; nothing leaks, nothing is half made. */
static void out_of_memory(void **state)
{
    struct ob_model *m = NULL, *c = NULL;
    int rc = OB_ENOMEM;

    (void)state;
    for (size_t n = 1; rc; n++) {
        obi_mem_fail_at(n);
        rc = ob_model_new(&m, &ctx, "mlp,width=0.05", 1, 8, 8, 2, 1, NULL);
        assert_true(rc == OB_OK ? m != NULL : rc == OB_ENOMEM && !m);
    }
    rc = OB_ENOMEM;
    for (size_t n = 1; rc; n++) {
        obi_mem_fail_at(n);
        rc = ob_model_clone(&c, m, NULL);
        assert_true(rc == OB_OK ? c != NULL : rc == OB_ENOMEM && !c);
    }
    obi_mem_fail_at(0);
    ob_model_free(m);
    ob_model_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_weights), cmocka_unit_test(first_weights_of_the_large),
        cmocka_unit_test(seeds),         cmocka_unit_test(copies),
        cmocka_unit_test(metadata),      cmocka_unit_test(digest_sees_all),
        cmocka_unit_test(not_finite),    cmocka_unit_test(normalisations),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
