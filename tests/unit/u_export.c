/* u_export.c - models out and in again: every architecture, every format, and what is refused. */
#include <math.h>

#include "bytes.h"
#include "nn/model.h"

static struct ob_ctx ctx;
static char pt[128], st[128], pt2[128];

static int setup(void **state)
{
    (void)state;
    scratch_file(pt, sizeof(pt), "m.pt");
    scratch_file(pt2, sizeof(pt2), "n.pth");
    scratch_file(st, sizeof(st), "m.safetensors");
    return 0;
}

static struct ob_model *make(const char *arch, int c, int h, int w, int classes)
{
    struct ob_model *m;

    must(ob_model_new(&m, &ctx, arch, c, h, w, classes, 3, err));
    for (size_t i = 0; i < m->net->n_counts; i++)
        m->w.counts[i] = (int64_t)i + 5;
    return m;
}

static float *weights(struct ob_model *m, const char *name)
{
    int i = ob_net_find(m->net, name);
    const struct ob_view *v = &m->net->view[i];

    assert_true(i >= 0);
    return (v->block == OB_PARAM ? m->w.params : m->w.buffers) + v->offset;
}

static void same(const struct ob_model *a, const struct ob_model *b)
{
    char x[65], y[65];

    must(ob_model_digest(a, x, err));
    must(ob_model_digest(b, y, err));
    assert_string_equal(x, y);
    assert_string_equal(ob_model_arch(a), ob_model_arch(b));
}

static void same_bytes(const char *a, const char *b)
{
    struct bytes x = bytes_read(a), y = bytes_read(b);

    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.p, y.p, x.n);
    free(x.p);
    free(y.p);
}

static void round_trip(const char *arch)
{
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_export_opts plain = OB_EXPORT_OPTS_INIT;
    struct ob_model *m = make(arch, 3, 32, 48, 7), *back;

    o.height = 32;
    o.width = 48;
    plain.no_normalize = 1;
    must(ob_model_export(m, pt, NULL, err));
    must(ob_model_import(&back, &ctx, pt, &o, err));
    same(m, back);
    must(ob_model_export(back, pt2, NULL, err));
    same_bytes(pt, pt2);
    ob_model_free(back);
    for (int k = 0; k < 2; k++) { /* plain: refused without a normalisation, else the same */
        const char *path = k ? st : pt;

        o.normalize = NULL;
        must(ob_model_export(m, path, &plain, err));
        must_fail(ob_model_import(&back, &ctx, path, &o, err), OB_EINVAL, "(--normalize)");
        o.normalize = "0.5,0.5,0.5/0.25,0.25,0.25";
        must(ob_model_import(&back, &ctx, path, &o, err));
        same(m, back);
        ob_model_free(back);
    }
    ob_model_free(m);
}

static void every_architecture(void **state)
{
    (void)state;
    for (size_t i = 0; ob_arch_at(i); i++) {
        char arch[64];

        snprintf(arch, sizeof(arch), "%s,width=0.125", ob_arch_at(i));
        round_trip(arch);
    }
    round_trip("resnet18,stem=imagenet,width=0.125");
    round_trip("vgg16,head=lth,width=0.125");
}

/* Metadata stay in safetensors files, but for the digest, which is of the normalisation too. */
static void metadata(void **state)
{
    struct ob_export_opts plain = OB_EXPORT_OPTS_INIT;
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_model *m = make("mlp,width=0.03125", 1, 8, 8, 2), *back;

    (void)state;
    plain.no_normalize = 1;
    o.normalize = "mnist";
    must(ob_model_set_meta(m, "seed", "12", err));
    must(ob_model_export(m, st, &plain, err));
    must(ob_model_load(&back, &ctx, st, &o, err));
    assert_string_equal(ob_model_meta(back, "seed"), "12");
    assert_true(fabsf(weights(back, "normalize.mean")[0] - 0.1307f) < 1e-6f);
    ob_model_free(back);
    must(ob_model_export(m, st, NULL, err));
    must(ob_model_save(m, pt, err));
    same_bytes(st, pt);
    ob_model_free(m);
}

/* Two models that differ in one thing; `break_it` says what of the file of the first is wrong. */
static void refused(void **state)
{
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_model *m = make("cnn,width=0.25", 1, 8, 8, 2), *none;
    struct bytes b;

    (void)state;
    weights(m, "conv2.weight")[5] = NAN;
    must_fail(ob_model_export(m, pt, NULL, err), OB_EDIVERGED, "'conv2.weight' is not finite");
    must_fail(ob_model_export(m, "m.onnx", NULL, err), OB_EDIVERGED, "'conv2.weight'");
    weights(m, "conv2.weight")[5] = 0;
    weights(m, "bn3.running_var")[2] = -1;
    must(ob_model_export(m, pt, NULL, err));
    must_fail(ob_model_import(&none, &ctx, pt, NULL, err), OB_EFORMAT,
              "tensor 'bn3.running_var': value 2 is negative");
    weights(m, "bn3.running_var")[2] = 1;
    must(ob_model_export(m, pt, NULL, err));
    o.arch = "cnn";
    must_fail(ob_model_import(&none, &ctx, pt, &o, err), OB_EFORMAT,
              "tensor 'conv1.weight': its shape is 8x1x3x3, in 'cnn' it is 32x1x3x3");
    b = bytes_read(pt);
    for (size_t i = 0; i + 8 < b.n; i++) /* in the pickle; its checksum is the first of a row */
        if (!memcmp(b.p + i, "bn2.bias", 8))
            memcpy(b.p + i, "bn2.bia5", 8);
    bytes_write(pt, b.p, b.n);
    must_fail(ob_model_import(&none, &ctx, pt, NULL, err), OB_EFORMAT, "checksum");
    free(b.p);
    ob_model_free(m);
}

static void endings(void **state)
{
    static const char *const bad[] = { "m", ".pt", "m.pt.gz", "m.npz", "mpt", "m.PT", "" };
    struct ob_model *m = make("mlp,width=0.03125", 1, 8, 8, 2);

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        must_fail(ob_model_export_check(bad[i], err), OB_EINVAL, "ends in none of");
        must_fail(ob_model_export(m, bad[i], NULL, err), OB_EINVAL, "ends in none of");
    }
    must(ob_model_export_check("a.onnx", err));
    must(ob_model_export_check("a.pth", err));
    ob_model_free(m);
}

/* ---- safetensors files of other float types ---- */

/* A file of mlp as others write it: no metadata, every element of type `dtype` and of bytes `one`. */
static void write_as(const char *dtype, const char *prefix, const void *one, size_t item)
{
    struct ob_model *m = make("mlp,width=0.03125", 1, 8, 8, 2);
    char header[4096];
    size_t n = 1, at = 0;
    FILE *f = fopen(st, "wb");

    header[0] = '{';
    for (int i = 0; i < m->net->n_views; i++) {
        const struct ob_view *v = &m->net->view[i];

        n += (size_t)snprintf(header + n, sizeof(header) - n,
                              "%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "", prefix,
                              v->name, dtype);
        for (int k = 0; k < v->rank; k++)
            n += (size_t)snprintf(header + n, sizeof(header) - n, "%s%lld", k ? "," : "",
                                  (long long)v->shape[k]);
        n += (size_t)snprintf(header + n, sizeof(header) - n, "],\"data_offsets\":[%zu,%zu]}", at,
                              at + v->size * item);
        at += v->size * item;
    }
    header[n++] = '}';
    for (int i = 0; i < 8; i++)
        fputc((int)(n >> (8 * i) & 255), f);
    fwrite(header, 1, n, f);
    for (; at; at -= item)
        fwrite(one, 1, item, f);
    assert_int_equal(fclose(f), 0);
    ob_model_free(m);
}

static void other_floats(void **state)
{
    static const struct {
        const char *dtype;
        unsigned char one[8];
        size_t item;
    } kind[] = { { "F16", { 0, 0x3c }, 2 },
                 { "BF16", { 0x80, 0x3f }, 2 },
                 { "F32", { 0, 0, 0x80, 0x3f }, 4 },
                 { "F64", { 0, 0, 0, 0, 0, 0, 0xf0, 0x3f }, 8 } };
    struct ob_model *m;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        write_as(kind[i].dtype, i ? "" : "module.module.", kind[i].one, kind[i].item);
        must(ob_model_import(&m, &ctx, st, NULL, err));
        for (size_t k = 0; k < m->net->n_params; k++)
            assert_true(m->w.params[k] == 1);
        ob_model_free(m);
        if (i != 2) /* to train with, or to judge, they are not read */
            must_fail(ob_model_load(&m, &ctx, st, NULL, err), OB_EFORMAT,
                      i ? "F32 is needed; 'oubli convert' makes it so" : "a known architecture");
    }
    write_as("I32", "", kind[0].one, 4);
    must_fail(ob_model_import(&m, &ctx, st, NULL, err), OB_EFORMAT, "dtype I32 is not read");
    write_as("F64", "", (unsigned char[8]){ 0, 0, 0, 0, 0, 0, 0xf0, 0x7e }, 8);
    must_fail(ob_model_import(&m, &ctx, st, NULL, err), OB_EFORMAT, "is not finite");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture),
        cmocka_unit_test(metadata),
        cmocka_unit_test(refused),
        cmocka_unit_test(endings),
        cmocka_unit_test(other_floats),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
