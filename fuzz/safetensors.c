/* safetensors.c - fuzz target: a model file from nowhere. What is taken must be written back and
 * read again as the same weights. */
#include <string.h>

#include "nn/model.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(struct ob_ctx *ctx, const struct ob_model *m, const char *path)
{
    char before[65], after[65];
    struct ob_model *back;

    if (ob_model_save(m, path, NULL) || ob_model_load(&back, ctx, path, NULL, NULL))
        abort();
    ob_model_digest(m, before, NULL);
    ob_model_digest(back, after, NULL);
    if (strcmp(before, after))
        abort();
    ob_model_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_ctx ctx = { 0 };
    struct ob_err err = { 0 };
    struct ob_model *m;
    char path[200];

    if (!scratch_put(scratch_dir(), "model", data, size))
        abort();
    snprintf(path, sizeof(path), "%s/model", scratch_dir());
    o.normalize = "none";
    if (!ob_model_load(&m, &ctx, path, &o, &err)) {
        round_trip(&ctx, m, path);
        ob_model_free(m);
    } else if (!err.code || !err.msg[0]) {
        abort();
    }
    return 0;
}
