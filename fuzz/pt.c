/*
 * pt.c - fuzz target: any bytes as a pickle, and as a file that PyTorch saved. Tensors in a pickle
 * that was read lie within their storage; a model that was taken is written as .pt and .onnx, and
 * read again as the same weights.
 */
#include <string.h>

#include "nn/model.h"
#include "nn/pickle.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tensor(const struct ob_pickle *k, const struct ob_pickle_value *v)
{
    struct ob_pickle_tensor t;
    uint64_t last;

    if (obi_pickle_tensor(&t, k, v))
        abort();
    last = (uint64_t)t.offset;
    for (int i = 0; i < t.rank; i++) {
        if (!t.shape[i])
            return;
        last += (uint64_t)(t.shape[i] - 1) * (uint64_t)t.stride[i];
    }
    if (last >= (uint64_t)t.numel)
        abort();
}

static void as_pickle(const uint8_t *data, size_t size)
{
    struct ob_err err = { 0 };
    struct ob_pickle k;

    if (obi_pickle_read(&k, data, size, "fuzz", &err)) {
        if (!err.code || !err.msg[0])
            abort();
    } else {
        for (size_t i = 1; i < k.n_values; i++)
            if (k.value[i].kind == OB_PICKLE_TENSOR)
                check_tensor(&k, &k.value[i]);
    }
    obi_pickle_release(&k);
}

static void round_trip(struct ob_ctx *ctx, const struct ob_model *m)
{
    char before[65], after[65], pt[200], onnx[200];
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_model *back;

    snprintf(pt, sizeof(pt), "%s/back.pt", scratch_dir());
    snprintf(onnx, sizeof(onnx), "%s/back.onnx", scratch_dir());
    ob_model_input(m, NULL, &o.height, &o.width);
    if (ob_model_export(m, pt, NULL, NULL) || ob_model_import(&back, ctx, pt, &o, NULL) ||
        ob_model_export(m, onnx, NULL, NULL))
        abort();
    ob_model_digest(m, before, NULL);
    ob_model_digest(back, after, NULL);
    if (strcmp(before, after))
        abort();
    ob_model_free(back);
}

static void as_file(const uint8_t *data, size_t size)
{
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_ctx ctx = { 0 };
    struct ob_err err = { 0 };
    struct ob_model *m;
    char path[200];

    if (!scratch_put(scratch_dir(), "m.pt", data, size))
        abort();
    snprintf(path, sizeof(path), "%s/m.pt", scratch_dir());
    o.normalize = "none";
    if (!ob_model_import(&m, &ctx, path, &o, &err)) {
        round_trip(&ctx, m);
        ob_model_free(m);
    } else if (!err.code || !err.msg[0]) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_pickle(data, size);
    if (size > 4 && !memcmp(data, "PK", 2))
        as_file(data, size);
    return 0;
}
