/* u_recipe.c - which recipe and normalisation is the default of which data and network. */
#include "common.h"

#include "data/data.h"
#include "run/recipe.h"

static void defaults(void **state)
{
    static const struct {
        const char *data, *arch;
        int epochs;
        const char *schedule, *augment;
    } want[] = {
        { "cifar10", "resnet18", 30, "cosine", "none" },
        { "cifar100", "resnet50", 150, "step:60,120,x0.2", "crop-flip" },
        { "cifar100", "resnet50,stem=imagenet,width=0.5", 150, "step:60,120,x0.2", "crop-flip" },
        { "tiny-imagenet", "resnet18", 80, "cosine", "crop-flip" },
        { "tiny-imagenet", "vgg16,head=lth", 100, "cosine", "crop-flip" },
        { "cifar100", "resnet18", 30, "cosine", "none" },
        { "cifar10", "resnet50", 30, "cosine", "none" },
        { "tiny-imagenet", "resnet50", 30, "cosine", "none" },
        { "", "cnn", 30, "cosine", "none" },
        { NULL, "resnet50", 30, "cosine", "none" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct ob_data d = { .info = { .name = want[i].data } };
        struct ob_recipe r;

        ob_recipe_default(&r, i % 2 || want[i].data ? &d : NULL, want[i].arch);
        assert_int_equal(r.epochs, want[i].epochs);
        assert_string_equal(r.schedule, want[i].schedule);
        assert_string_equal(r.augment, want[i].augment);
        assert_int_equal(r.batch, 256);
        assert_true(r.lr == 0.1 && r.momentum == 0.9 && r.weight_decay == 5e-4);
        assert_string_equal(r.optimizer, "sgd");
        must(ob_recipe_check(&r, err));
    }
}

static void normalisations(void **state)
{
    static const struct {
        const char *data;
        float mean, std; /* of the first channel */
    } want[] = { { "cifar10", 0.4914f, 0.2470f },
                 { "cifar100", 0.5071f, 0.2673f },
                 { "tiny-imagenet", 0.485f, 0.229f },
                 { "", 0.5f, 0.25f } };
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_ctx *ctx;
    struct ob_model *m;

    (void)state;
    must(ob_ctx_new(&ctx, &o, err));
    must(ob_model_new(&m, ctx, "mlp,width=0.1", 3, 8, 8, 2, 1, err));
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct ob_data d = { .info = { .name = want[i].data } };

        must(ob_model_set_normalize(m, NULL, &d, err));
        assert_true(ob_model_buffers(m)[0] == want[i].mean);
        assert_true(ob_model_buffers(m)[3] == want[i].std);
    }
    ob_model_free(m);
    ob_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(defaults),
                                        cmocka_unit_test(normalisations) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
