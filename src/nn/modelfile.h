/* modelfile.h - what model.c and the reader and writer of model files share. */
#ifndef OB_NN_MODELFILE_H
#define OB_NN_MODELFILE_H

#include <stdbool.h>

#include "nn/model.h"

/* Version of the meaning of names and metadata. A file that says more is OB_EVERSION. */
#define OB_MODEL_FORMAT 1

/* Zeroed weights. Takes `net` over, also on failure. OB_ENOMEM: there is no room for them. */
int obi_model_of_net(struct ob_model **out, struct ob_ctx *ctx, struct ob_net *net,
                     struct ob_err *err);
/* The bytes of a view: float or int64. */
const void *obi_model_view(const struct ob_model *m, const struct ob_view *v, size_t *bytes);
/* Is it one of the two views of the normalisation? They are left out of "plain" files. */
bool obi_view_is_normalize(const struct ob_net *net, int view);
/* A safetensors file; `plain`: without the normalisation, and so without a digest. */
int obi_model_write(const struct ob_model *m, const char *path, bool plain, struct ob_err *err);
/* Metadata that the writer works out by itself; nobody may set it to something else. */
bool obi_meta_is_derived(const char *key);

#endif
