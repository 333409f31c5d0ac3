/* onnx.h - a model as an ONNX graph, for inference elsewhere. */
#ifndef OB_NN_ONNX_H
#define OB_NN_ONNX_H

#include <stdbool.h>

#include "nn/model.h"

/* Input "image" (N x C x H x W, 0..1, or normalised already where `plain`), output "logits". Opset 13,
 * any batch. OB_ENOTSUP: more than 2 GiB, which Protocol Buffers do not hold. */
int obi_onnx_write(const struct ob_model *m, const char *path, bool plain, struct ob_err *err);

#endif
