/* u_net.c - shapes, names, counts and texts of the architectures. */
#include "common.h"

#include "nn/net.h"

static struct ob_net *make(const char *arch, int c, int h, int w, int classes)
{
    struct ob_err err = { 0 };
    struct ob_net *n;
    int rc = ob_net_new(&n, arch, c, h, w, classes, &err);

    if (rc)
        print_error("%s\n", err.msg);
    assert_int_equal(rc, OB_OK);
    assert_non_null(n);
    return n;
}

static size_t params(const char *arch, int c, int h, int w, int classes)
{
    struct ob_net *n = make(arch, c, h, w, classes);
    size_t count = n->n_params;

    ob_net_free(n);
    return count;
}

/*
 * Convolutions 9 c 32 + 9 32 64 + 9 64 128 = 288 c + 18432 + 73728, batch-norm 2 (32 + 64 + 128)
 * = 448, fc 10 (128 h w + 1).
 *   1x28x28: 288 + 92160 + 448 + 10 (128 * 9 + 1) = 104426
 *   3x32x32: 864 + 92160 + 448 + 10 (128 * 16 + 1) = 113962
 *   3x 8x 8, 2 classes: 864 + 92160 + 448 + 2 (128 + 1) = 93730
 * With width=0.5 (16, 32, 64), 3x32x32: 432 + 4608 + 18432 + 224 + 10 (64 * 16 + 1) = 33946.
 */
static void cnn_counts(void **state)
{
    (void)state;
    assert_int_equal(params("cnn", 1, 28, 28, 10), 104426);
    assert_int_equal(params("cnn", 3, 32, 32, 10), 113962);
    assert_int_equal(params("cnn", 3, 8, 8, 2), 93730);
    assert_int_equal(params("cnn,width=0.5", 3, 32, 32, 10), 33946);
}

/* fc1 256 (chw + 1), fc2 256 * 257 = 65792, fc3 10 * 257 = 2570.
 *   1x28x28: 256 * 785 + 68362 = 269322;  3x32x32: 256 * 3073 + 68362 = 855050 */
static void mlp_counts(void **state)
{
    (void)state;
    assert_int_equal(params("mlp", 1, 28, 28, 10), 269322);
    assert_int_equal(params("mlp", 3, 32, 32, 10), 855050);
}

/* The published network: 0.27 M parameters and 40.55 M multiply-adds for 32x32. */
static void resnet20_counts(void **state)
{
    struct ob_arch_info info;
    struct ob_err err = { 0 };

    (void)state;
    assert_int_equal(params("resnet20", 3, 32, 32, 10), 269722);
    assert_int_equal(params("resnet20", 3, 32, 32, 100), 275572);
    assert_int_equal(params("resnet20", 3, 64, 48, 200), 282072);
    assert_int_equal(ob_arch_describe(&info, "resnet20", 3, 32, 32, 10, &err), OB_OK);
    assert_int_equal(info.n_features, 64);
    assert_true(info.macs > 40.545e6 && info.macs < 40.555e6);
    assert_true(strlen(info.about) > 10);
}

/*
 * Published counts. resnet18: 11,689,512 with the stem of ImageNet and 1000 classes; fc is 513 x
 * classes (resnet50: 25,557,032 and 2049), conv1 64 * 3 * 49 = 9408 with it, 1728 without.
 */
static void counts_of_the_large(void **state)
{
    static const struct {
        const char *arch;
        int classes;
        size_t params;
        int features;
    } want[] = {
        { "resnet18", 10, 11173962, 512 },
        { "resnet18", 100, 11220132, 512 },
        { "resnet18", 200, 11271432, 512 },
        { "resnet18,stem=imagenet", 10, 11181642, 512 },
        { "resnet18,stem=imagenet", 1000, 11689512, 512 },
        { "resnet50", 10, 23520842, 2048 },
        { "resnet50", 100, 23705252, 2048 },
        { "resnet50", 200, 23910152, 2048 },
        { "resnet50,stem=imagenet", 1000, 25557032, 2048 },
        { "vgg16", 10, 15311818, 2048 },
        { "vgg16", 100, 15334948, 2048 },
        { "vgg16", 200, 15360648, 2048 },
        { "vgg16,head=lth", 10, 14728266, 512 },
        { "vgg16,head=lth", 100, 14774436, 512 },
        { "vgg16,head=lth", 200, 14825736, 512 },
        { "resnet50,width=0.5", 10, 5899050, 1024 },
        { "vgg16,width=0.25", 10, 959482, 512 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct ob_net *n = make(want[i].arch, 3, 32, 32, want[i].classes);

        assert_int_equal(n->n_params, want[i].params);
        assert_int_equal(ob_net_n_features(n), want[i].features);
        assert_string_equal(n->arch, want[i].arch);
        ob_net_free(n);
    }
}

/* Any images from 8 pixels on; four pools leave nothing of less than 16. */
static void sizes_of_images(void **state)
{
    static const int sizes[][2] = { { 8, 8 },   { 9, 15 },  { 16, 17 },  { 28, 28 },
                                    { 64, 64 }, { 97, 33 }, { 224, 224 } };
    const char *arch;
    struct ob_net *n;

    (void)state;
    for (size_t k = 0; (arch = ob_arch_at(k)); k++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            int h = sizes[i][0], w = sizes[i][1];
            struct ob_err err = { 0 };

            if (!strncmp(arch, "vgg16", 5) && (h < 16 || w < 16)) {
                assert_int_equal(ob_net_new(&n, arch, 1, h, w, 4, &err), OB_EINVAL);
                assert_non_null(strstr(err.msg, "cannot take images of 1 x "));
                continue;
            }
            assert_string_equal(arch, (n = make(arch, i % 2 ? 1 : 3, h, w, 7))->arch);
            assert_int_equal(n->node[n->n_nodes - 1].c, 7);
            ob_net_free(n);
        }
}

/* What stands where: 32 pixels through four strides of two; 224 through five. */
static void maps(void **state)
{
    struct ob_net *n = make("resnet18,stem=imagenet", 3, 224, 224, 10);
    int last_map = 0;

    (void)state;
    for (int i = 0; i < n->n_nodes; i++)
        if (n->node[i].op == OB_OP_MAXPOOL) {
            assert_int_equal(n->node[i].h, 56);
            assert_int_equal(n->node[i].pad, 1);
            assert_int_equal(n->node[i - 1].h, 112);
        } else if (n->node[i].op == OB_OP_AVGPOOL) {
            last_map = n->node[n->node[i].in[0]].h;
        }
    assert_int_equal(last_map, 7);
    ob_net_free(n);
    n = make("resnet50", 3, 32, 32, 10);
    for (int i = 0; i < n->n_nodes; i++) {
        assert_true(n->node[i].op != OB_OP_MAXPOOL);
        if (n->node[i].op == OB_OP_AVGPOOL)
            last_map = n->node[n->node[i].in[0]].h;
    }
    assert_int_equal(last_map, 4);
    ob_net_free(n);
    n = make("vgg16", 3, 64, 48, 10);
    for (int i = 0; i < n->n_nodes; i++)
        if (n->node[i].op == OB_OP_AVGPOOL) {
            assert_int_equal(n->node[i].h, 2);
            assert_int_equal(n->node[i - 1].h, 4);
            assert_int_equal(n->node[i - 1].w, 3);
        }
    ob_net_free(n);
}

static void check_names(const char *arch, const char *const *name, size_t n)
{
    struct ob_net *net = make(arch, 3, 32, 32, 10);
    size_t end[3] = { 0 };

    assert_int_equal(net->n_views, n);
    for (size_t i = 0; i < n; i++) {
        const struct ob_view *v = &net->view[i];
        size_t size = 1;

        assert_string_equal(v->name, name[i]);
        assert_int_equal(ob_net_find(net, name[i]), i);
        assert_int_equal(v->offset, end[v->block]);
        for (int k = 0; k < v->rank; k++)
            size *= (size_t)v->shape[k];
        assert_int_equal(v->size, size);
        end[v->block] += size;
    }
    assert_int_equal(end[OB_PARAM], net->n_params);
    assert_int_equal(end[OB_BUFFER], net->n_buffers);
    assert_int_equal(end[OB_COUNT], net->n_counts);
    assert_int_equal(ob_net_find(net, "fc9.weight"), -1);
    ob_net_free(net);
}

#define BN(name)                                                                                   \
    name ".weight", name ".bias", name ".running_mean", name ".running_var",                       \
        name ".num_batches_tracked"
#define BLOCK(name) name ".conv1.weight", BN(name ".bn1"), name ".conv2.weight", BN(name ".bn2")
#define N(list) (sizeof(list) / sizeof((list)[0]))

#define DOWN(name) name ".downsample.0.weight", BN(name ".downsample.1")
#define LAYER(name) BLOCK(name ".0"), DOWN(name ".0"), BLOCK(name ".1")
#define NECK(name) BLOCK(name), name ".conv3.weight", BN(name ".bn3")

static void names_of_resnets(void **state)
{
    static const char *const resnet18[] = { "normalize.mean", "normalize.std",   "conv1.weight",
                                            BN("bn1"),        BLOCK("layer1.0"), BLOCK("layer1.1"),
                                            LAYER("layer2"),  LAYER("layer3"),   LAYER("layer4"),
                                            "fc.weight",      "fc.bias" };
    static const char *const resnet50[] = {
        "normalize.mean", "normalize.std",  "conv1.weight",   BN("bn1"),        NECK("layer1.0"),
        DOWN("layer1.0"), NECK("layer1.1"), NECK("layer1.2"), NECK("layer2.0"), DOWN("layer2.0"),
        NECK("layer2.1"), NECK("layer2.2"), NECK("layer2.3"), NECK("layer3.0"), DOWN("layer3.0"),
        NECK("layer3.1"), NECK("layer3.2"), NECK("layer3.3"), NECK("layer3.4"), NECK("layer3.5"),
        NECK("layer4.0"), DOWN("layer4.0"), NECK("layer4.1"), NECK("layer4.2"), "fc.weight",
        "fc.bias"
    };

    (void)state; /* 122 and 320 entries in torchvision's, and the normalisation */
    assert_int_equal(N(resnet18), 124);
    assert_int_equal(N(resnet50), 322);
    check_names("resnet18", resnet18, N(resnet18));
    check_names("resnet18,stem=imagenet", resnet18, N(resnet18));
    check_names("resnet50", resnet50, N(resnet50));
    check_names("resnet50,stem=imagenet", resnet50, N(resnet50));
}

#define WEIGHT(i, j) "features." #i ".weight", BN("features." #j)
#define BIASED(i, j) "features." #i ".weight", "features." #i ".bias", BN("features." #j)
#define CONVS(x)                                                                                   \
    x(0, 1), x(3, 4), x(7, 8), x(10, 11), x(14, 15), x(17, 18), x(20, 21), x(24, 25), x(27, 28),   \
        x(30, 31), x(34, 35), x(37, 38), x(40, 41)

static void names_of_vgg(void **state)
{
    static const char *const mlp[] = { "normalize.mean",    "normalize.std",
                                       CONVS(WEIGHT),       "classifier.0.weight",
                                       "classifier.0.bias", "classifier.2.weight",
                                       "classifier.2.bias", "classifier.4.weight",
                                       "classifier.4.bias" };
    static const char *const lth[] = { "normalize.mean", "normalize.std", CONVS(BIASED),
                                       "classifier.weight", "classifier.bias" };

    (void)state;
    check_names("vgg16", mlp, N(mlp));
    check_names("vgg16,head=lth", lth, N(lth));
}

static void names_in_order(void **state)
{
    static const char *const cnn[] = { "normalize.mean", "normalize.std", "conv1.weight", BN("bn1"),
                                       "conv2.weight",   BN("bn2"),       "conv3.weight", BN("bn3"),
                                       "fc.weight",      "fc.bias" };
    static const char *const mlp[] = {
        "normalize.mean", "normalize.std", "fc1.weight", "fc1.bias",
        "fc2.weight",     "fc2.bias",      "fc3.weight", "fc3.bias"
    };
    static const char *const resnet20[] = { "normalize.mean",  "normalize.std",   "conv1.weight",
                                            BN("bn1"),         BLOCK("layer1.0"), BLOCK("layer1.1"),
                                            BLOCK("layer1.2"), BLOCK("layer2.0"), BLOCK("layer2.1"),
                                            BLOCK("layer2.2"), BLOCK("layer3.0"), BLOCK("layer3.1"),
                                            BLOCK("layer3.2"), "fc.weight",       "fc.bias" };

    (void)state;
    check_names("cnn", cnn, N(cnn));
    check_names("mlp", mlp, N(mlp));
    assert_int_equal(N(resnet20), 118);
    check_names("resnet20", resnet20, N(resnet20));
}

static void features(void **state)
{
    struct ob_net *n = make("cnn", 1, 28, 30, 10);

    (void)state;
    assert_int_equal(ob_net_n_features(n), 128 * 3 * 3);
    assert_int_equal(n->node[n->features].op, OB_OP_FLATTEN);
    ob_net_free(n);
    n = make("mlp", 1, 28, 28, 10);
    assert_int_equal(ob_net_n_features(n), 256);
    assert_int_equal(n->node[n->features].op, OB_OP_RELU);
    ob_net_free(n);
}

/* Option A: 16 -> 32 channels has 8 zeros, 16 channels, 8 zeros; sizes 32, 16, 8. */
static void shortcuts(void **state)
{
    struct ob_net *n = make("resnet20", 3, 32, 32, 10);
    int seen = 0;

    (void)state;
    for (int i = 0; i < n->n_nodes; i++) {
        const struct ob_node *d = &n->node[i];

        if (d->op != OB_OP_SHORTCUT)
            continue;
        assert_int_equal(d->c, seen ? 64 : 32);
        assert_int_equal(d->front, seen ? 16 : 8);
        assert_int_equal(d->h, seen ? 8 : 16);
        assert_int_equal(d->stride, 2);
        seen++;
    }
    assert_int_equal(seen, 2);
    ob_net_free(n);
    n = make("resnet20", 1, 9, 13, 3); /* odd sizes: 9x13, 5x7, 3x4 */
    assert_int_equal(n->node[n->n_nodes - 1].c, 3);
    ob_net_free(n);
    n = make("resnet20,width=0.25", 3, 32, 32, 10); /* 8, 8, 16: a shortcut without new channels */
    assert_int_equal(ob_net_n_features(n), 16);
    ob_net_free(n);
}

static void widths(void **state)
{
    (void)state;
    assert_int_equal(ob_arch_width(20, 1), 20);
    assert_int_equal(ob_arch_width(32, 0.5), 16);
    assert_int_equal(ob_arch_width(32, 0.1), 8);
    assert_int_equal(ob_arch_width(32, 0.625), 24); /* 20: the half goes up */
    assert_int_equal(ob_arch_width(64, 2), 128);
}

static void canonical_text(void **state)
{
    static const char *const text[][2] = { { "cnn", "cnn" },
                                           { "cnn,width=1", "cnn" },
                                           { "cnn,width=0.50", "cnn,width=0.5" },
                                           { "mlp,width=2", "mlp,width=2" },
                                           { "resnet18,width=0.5,stem=imagenet",
                                             "resnet18,stem=imagenet,width=0.5" },
                                           { "resnet50,stem=cifar,width=2", "resnet50,width=2" },
                                           { "vgg16,head=mlp", "vgg16" },
                                           { "vgg16,width=1,head=lth", "vgg16,head=lth" },
                                           { "cnn,width=0.33333333", "cnn,width=0.333333" } };

    (void)state;
    for (size_t i = 0; i < N(text); i++) {
        struct ob_net *n = make(text[i][0], 3, 32, 32, 10);

        assert_string_equal(n->arch, text[i][1]);
        ob_net_free(n);
    }
    assert_string_equal(ob_arch_at(0), "resnet18");
    assert_string_equal(ob_arch_at(8), "mlp");
    assert_null(ob_arch_at(9));
    for (size_t i = 0; ob_arch_at(i); i++) {
        struct ob_arch_info a;

        must(ob_arch_describe(&a, ob_arch_at(i), 3, 32, 32, 10, err));
        assert_string_equal(a.name, ob_arch_at(i));
        assert_true(strlen(a.about) > 10);
    }
}

static void refusals(void **state)
{
    static const struct {
        const char *arch, *part;
        int c, h, w, classes;
    } bad[] = {
        { "cnm", "there are resnet18, resnet50, vgg16, resnet20, cnn, mlp", 3, 32, 32, 10 },
        { "resnet", "there are resnet18, resnet50, vgg16, resnet20, cnn, mlp", 3, 32, 32, 10 },
        { "", "no architecture ''", 3, 32, 32, 10 },
        { "cnn,depth=3", "no option 'depth=3'", 3, 32, 32, 10 },
        { "cnn,width=x", "width is a number", 3, 32, 32, 10 },
        { "cnn,width=", "width is a number", 3, 32, 32, 10 },
        { "cnn,width=0", "width is a number", 3, 32, 32, 10 },
        { "cnn,width=-1", "width is a number", 3, 32, 32, 10 },
        { "cnn,width=1e9", "width is a number", 3, 32, 32, 10 },
        { "cnn,width=nan", "width is a number", 3, 32, 32, 10 },
        { "cnn,width=2,width=2", "twice", 3, 32, 32, 10 },
        { "cnn,", "no option ''", 3, 32, 32, 10 },
        { "cnn,stem=imagenet", "'cnn' has no option 'stem=imagenet'; there is width=F", 3, 32, 32,
          10 },
        { "vgg16,stem=imagenet", "there are head=mlp|lth and width=F", 3, 32, 32, 10 },
        { "resnet18,head=lth", "there are stem=cifar|imagenet and width=F", 3, 32, 32, 10 },
        { "resnet18,stem=big", "stem is cifar or imagenet", 3, 32, 32, 10 },
        { "resnet18,stem=", "stem is cifar or imagenet", 3, 32, 32, 10 },
        { "resnet50,stem", "no option 'stem'", 3, 32, 32, 10 },
        { "resnet50,stem=cifar,stem=cifar", "stem stands there twice", 3, 32, 32, 10 },
        { "stem=imagenet,resnet18", "no architecture 'stem=imagenet'", 3, 32, 32, 10 },
        { "vgg16,head=lth,width=17", "width is a number", 3, 32, 32, 10 },
        { "cnn", "2 channels", 2, 32, 32, 10 },
        { "cnn", "7 x 32", 3, 7, 32, 10 },
        { "mlp", "257", 3, 32, 257, 10 },
        { "mlp", "1 classes", 3, 32, 32, 1 },
        { "cnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
          "too long", 3, 32, 32, 10 },
    };

    (void)state;
    for (size_t i = 0; i < N(bad); i++) {
        struct ob_err err = { 0 };
        struct ob_net *n;

        assert_int_equal(
            ob_net_new(&n, bad[i].arch, bad[i].c, bad[i].h, bad[i].w, bad[i].classes, &err),
            OB_EINVAL);
        assert_null(n);
        if (!strstr(err.msg, bad[i].part))
            fail_msg("'%s' does not say '%s'", err.msg, bad[i].part);
    }
}

/* A network that does not fit together must be refused by ob_net_end(), with everything freed. */
static void builder_failures(void **state)
{
    struct ob_err err = { 0 };
    struct ob_net *n;
    int x;

    (void)state;
    assert_int_equal(ob_net_begin(&n, "odd", 3, 8, 8, 10, &err), OB_OK);
    x = ob_net_maxpool(n, 1, 9, 2, 0); /* larger than the image */
    assert_int_equal(x, -1);
    assert_int_equal(ob_net_relu(n, x), -1);
    assert_int_equal(ob_net_end(&n, x, &err), OB_EINVAL);
    assert_null(n);

    err = (struct ob_err){ 0 };
    assert_int_equal(ob_net_begin(&n, "odd", 3, 8, 8, 10, &err), OB_OK);
    x = ob_net_conv(n, "a", 1, 8, 3, 1, 1, 1, OB_INIT_KAIMING, 1);
    ob_net_add(n, 1, x); /* 3 and 8 channels */
    assert_int_equal(ob_net_end(&n, x, &err), OB_EBUG);
    assert_null(n);

    err = (struct ob_err){ 0 };
    assert_int_equal(ob_net_begin(&n, "odd", 3, 8, 8, 10, &err), OB_OK);
    x = ob_net_linear(n, "fc", ob_net_flatten(n, 1), 9, OB_INIT_UNIFORM); /* 10 classes */
    assert_int_equal(ob_net_end(&n, 1, &err), OB_EBUG);
    assert_null(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_the_large),
        cmocka_unit_test(sizes_of_images),
        cmocka_unit_test(maps),
        cmocka_unit_test(names_of_resnets),
        cmocka_unit_test(names_of_vgg),
        cmocka_unit_test(cnn_counts),
        cmocka_unit_test(mlp_counts),
        cmocka_unit_test(resnet20_counts),
        cmocka_unit_test(names_in_order),
        cmocka_unit_test(features),
        cmocka_unit_test(shortcuts),
        cmocka_unit_test(widths),
        cmocka_unit_test(canonical_text),
        cmocka_unit_test(refusals),
        cmocka_unit_test(builder_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
