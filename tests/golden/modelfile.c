/* modelfile.c - models that PyTorch wrote, run by the reference backend, against PyTorch's logits. */
#include <math.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "base/npy.h"
#include "common.h"

struct sample {
    const char *name, *arch;
    int c, h, w, classes;
};

static void compare(const float *is, const struct ob_npz *z, const char *name, size_t n)
{
    const struct ob_npy *a = ob_npz_find(z, name);

    assert_non_null(a);
    assert_int_equal(a->n, n);
    for (size_t i = 0; i < n; i++) {
        double want = ob_npy_double(a, i);

        if (!(fabs(is[i] - want) <= 2e-5 * (1 + fabs(want))))
            fail_msg("%s %zu: %.9g, PyTorch says %.9g", name, i, is[i], want);
    }
}

/* normalize: NULL where it is in the file. */
static void check(const struct sample *s, const char *normalize)
{
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_ctx_opts co = OB_CTX_OPTS_INIT;
    struct ob_npz z;
    struct ob_ctx *ctx;
    struct ob_model *m;
    struct ob_exec *e;
    char path[128];
    float *x;
    int n = 4;
    size_t pixels = (size_t)n * (size_t)(s->c * s->h * s->w);

    co.backend = "ref";
    co.n_threads = 2;
    must(ob_ctx_new(&ctx, &co, err));
    snprintf(path, sizeof(path), "tests/golden/modelfile/%s.safetensors", s->name);
    o.channels = s->c;
    o.height = s->h;
    o.width = s->w;
    o.n_classes = s->classes;
    if (normalize)
        must_fail(ob_model_load(&m, ctx, path, &o, err), OB_EINVAL, "--normalize");
    o.normalize = normalize;
    must(ob_model_load(&m, ctx, path, &o, err));
    assert_string_equal(ob_model_arch(m), s->arch);
    snprintf(path, sizeof(path), "tests/golden/modelfile/%s.npz", s->name);
    must(ob_npz_read(&z, path, 1 << 20, err));
    assert_int_equal(ob_npz_find(&z, "x")->n, pixels);
    must(ob_block_new(&x, pixels, err));
    for (size_t i = 0; i < pixels; i++)
        x[i] = (float)ob_npy_double(ob_npz_find(&z, "x"), i);
    must(ob_exec_new(&e, ctx, m->net, n, 0, err));
    must(ob_exec_forward(e, &m->w, x, n, OB_MODE_EVAL, err));
    compare(e->logits, &z, "logits", (size_t)(n * s->classes));
    compare(e->features, &z, "features", (size_t)(n * ob_model_n_features(m)));
    ob_exec_free(e);
    ob_free(x);
    ob_npz_release(&z);
    ob_model_free(m);
    ob_ctx_free(ctx);
}

static void cnn(void **state)
{
    (void)state;
    check(&(struct sample){ "cnn", "cnn,width=0.25", 1, 10, 17, 3 }, NULL);
}

static void mlp(void **state)
{
    (void)state;
    check(&(struct sample){ "mlp", "mlp,width=0.03125", 3, 8, 8, 4 }, NULL);
}

static void resnet20(void **state)
{
    (void)state;
    check(&(struct sample){ "resnet20", "resnet20,width=0.25", 3, 9, 12, 5 }, NULL);
}

/* Eight channels everywhere: all widths are the smallest, and still say which one it is. */
static void resnet18(void **state)
{
    (void)state;
    check(&(struct sample){ "resnet18", "resnet18,width=0.015625", 3, 9, 16, 5 }, NULL);
    check(&(struct sample){ "resnet18-in", "resnet18,stem=imagenet,width=0.015625", 3, 33, 40, 4 },
          "imagenet");
}

static void resnet50(void **state)
{
    (void)state;
    check(&(struct sample){ "resnet50", "resnet50,width=0.015625", 1, 12, 9, 3 }, NULL);
}

static void vgg16(void **state)
{
    (void)state;
    check(&(struct sample){ "vgg16", "vgg16,width=0.015625", 1, 32, 48, 5 }, NULL);
    check(&(struct sample){ "vgg16-lth", "vgg16,head=lth,width=0.015625", 3, 28, 17, 3 }, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cnn),      cmocka_unit_test(mlp),      cmocka_unit_test(resnet20),
        cmocka_unit_test(resnet18), cmocka_unit_test(resnet50), cmocka_unit_test(vgg16),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
