/* pt.c - files that torch.save() wrote: the very values that PyTorch put there, or refused. */
#include "bytes.h"
#include "nn/model.h"

#define DIR "tests/golden/pt/"

static struct ob_ctx ctx;

static void digest(char hex[65], const char *name)
{
    struct ob_model *m;
    char path[128];

    snprintf(path, sizeof(path), DIR "%s", name);
    must(ob_model_import(&m, &ctx, path, NULL, err));
    must(ob_model_digest(m, hex, err));
    ob_model_free(m);
}

static void same_values(void **state)
{
    static const char *const file[][2] = {
        { "mlp.pt", "mlp" },           { "protocol5.pt", "mlp" },
        { "nested.pth", "mlp" },       /* with an optimizer, under "net", from DataParallel */
        { "views.pt", "mlp" },         /* transposed views of one storage */
        { "channels_last.pt", "cnn" }, /* strides that are not in order */
        { "half.pt", "half" },         /* rounded to float16 */
        { "bfloat16.pt", "bfloat16" }, /* rounded to bfloat16 */
        { "double.pt", "double" },     /* rounded to float32 when read */
        { "mlp.safetensors", "mlp" },  /* told apart by their content */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(file) / sizeof(file[0]); i++) {
        char is[65], wanted[65], name[64];

        snprintf(name, sizeof(name), "%s.safetensors", file[i][1]);
        digest(wanted, name);
        digest(is, file[i][0]);
        if (strcmp(is, wanted))
            fail_msg("%s: not the values of %s", file[i][0], name);
    }
}

static void refused(void **state)
{
    static const struct {
        const char *file, *word;
    } bad[] = {
        { DIR "module.pt", "asks for 'torch_models.CNN': refused, and nothing was executed" },
        { DIR "old.pt", "of before version 1.6" },
        { DIR "script.pt", "TorchScript" },
        { "tests/golden/modelfile/cnn.npz", "no 'data.pkl'" },
    };
    struct ob_model *m;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        must_fail(ob_model_import(&m, &ctx, bad[i].file, NULL, err), OB_EFORMAT, bad[i].word);
    /* where a model is wanted, the way to it is named */
    must_fail(ob_model_load(&m, &ctx, DIR "mlp.pt", NULL, err), OB_EFORMAT, "'oubli convert'");
}

/* The way back: the same model, and each storage at a multiple of 64 bytes as in PyTorch's files. */
static void there_and_back(void **state)
{
    char path[128], is[65], wanted[65];
    struct ob_model *m, *back;
    struct bytes b;
    size_t found = 0;

    (void)state;
    must(ob_model_import(&m, &ctx, DIR "channels_last.pt", NULL, err));
    scratch_file(path, sizeof(path), "back.pt");
    must(ob_model_export(m, path, NULL, err));
    must(ob_model_import(&back, &ctx, path, NULL, err));
    must(ob_model_digest(m, wanted, err));
    must(ob_model_digest(back, is, err));
    assert_string_equal(is, wanted);
    b = bytes_read(path);
    for (size_t i = 0; i + 34 < b.n; i++)
        if (!memcmp(b.p + i, "PK\3\4", 4)) {
            size_t begin = i + 30 + b.p[i + 26] + b.p[i + 28];

            assert_int_equal(begin % 64, 0);
            found++;
        }
    assert_true(found > 20);
    free(b.p);
    ob_model_free(m);
    ob_model_free(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_values),
        cmocka_unit_test(refused),
        cmocka_unit_test(there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
