/* export.c - models for other programs: the ending of the file says which. */
#include <string.h>

#include "nn/modelfile.h"
#include "nn/onnx.h"
#include "nn/torchfile.h"

static bool ends_in(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);

    return n > m && !strcmp(path + n - m, end);
}

enum format { SAFETENSORS, TORCH, ONNX, NONE };

static enum format format_of(const char *path)
{
    if (ends_in(path, ".safetensors"))
        return SAFETENSORS;
    if (ends_in(path, ".onnx"))
        return ONNX;
    return ends_in(path, ".pt") || ends_in(path, ".pth") ? TORCH : NONE;
}

int ob_model_export_check(const char *path, struct ob_err *err)
{
    if (format_of(path) == NONE)
        return ob_fail(err, OB_EINVAL, "'%s' ends in none of .safetensors, .pt, .pth, .onnx", path);
    return OB_OK;
}

int ob_model_export(const struct ob_model *m, const char *path, const struct ob_export_opts *o,
                    struct ob_err *err)
{
    bool plain = o && o->no_normalize;

    OB_TRY(ob_model_check_single(m, err));
    switch (format_of(path)) {
    case SAFETENSORS:
        return obi_model_write(m, path, plain, err);
    case TORCH:
        return obi_torch_write(m, path, plain, err);
    case ONNX:
        return obi_onnx_write(m, path, plain, err);
    case NONE:
        break;
    }
    return ob_model_export_check(path, err);
}
