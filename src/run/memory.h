/* memory.h - the memory that a piece of work will take, added up and checked before it starts. */
#ifndef OB_RUN_MEMORY_H
#define OB_RUN_MEMORY_H

#include "backend/backend.h"

struct ob_memory {      /* bytes */
    size_t activations; /* of executables, with what belongs to them */
    size_t weights;     /* blocks as large as the weights: gradients, velocity, copies of models */
    size_t rest;        /* batches of images, logits, events */
};

int ob_memory_add_exec(struct ob_memory *n, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                       unsigned flags, struct ob_err *err);
/* `blocks` times the parameters, `models` whole copies. */
void ob_memory_add_weights(struct ob_memory *n, const struct ob_net *net, size_t blocks,
                           size_t models);
/* A loader's batch of images, and `matrices` of batch x classes. */
void ob_memory_add_batch(struct ob_memory *n, const struct ob_net *net, int batch, size_t matrices);
size_t ob_memory_bytes(const struct ob_memory *n);
/* OB_ENOMEM where there is less: "WHAT needs about 3.1 GiB of memory (batch 512: ...), ...". */
int ob_memory_check(const struct ob_memory *n, const struct ob_ctx *ctx, int batch,
                    const char *what, struct ob_err *err);

#endif
