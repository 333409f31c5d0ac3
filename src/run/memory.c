/* memory.c - the memory that a piece of work will take, added up and checked before it starts. */
#include "run/memory.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/room.h"

/* Sums and products that are too large stay at the most there is. */
static void add(size_t *sum, size_t a, size_t b, size_t c)
{
    size_t x;

    if (!ob_mul(&x, a, b) || !ob_mul(&x, x, c) || !ob_add(sum, *sum, x))
        *sum = SIZE_MAX;
}

int ob_memory_add_exec(struct ob_memory *n, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                       unsigned flags, struct ob_err *err)
{
    size_t bytes;

    OB_TRY(ob_exec_measure(&bytes, ctx, net, batch, flags, err));
    add(&n->activations, bytes, 1, 1);
    return OB_OK;
}

void ob_memory_add_weights(struct ob_memory *n, const struct ob_net *net, size_t blocks,
                           size_t models)
{
    add(&n->weights, blocks, net->n_params, sizeof(float));
    add(&n->weights, models, net->n_params + net->n_buffers, sizeof(float));
}

void ob_memory_add_batch(struct ob_memory *n, const struct ob_net *net, int batch, size_t matrices)
{
    size_t image = (size_t)(net->channels * net->height * net->width);

    add(&n->rest, (size_t)batch, image, sizeof(float));
    add(&n->rest, (size_t)batch, (size_t)net->n_classes * matrices, sizeof(float));
}

size_t ob_memory_bytes(const struct ob_memory *n)
{
    size_t sum = n->activations;

    add(&sum, n->weights, 1, 1);
    add(&sum, n->rest, 1, 1);
    return sum;
}

int ob_memory_check(const struct ob_memory *n, const struct ob_ctx *ctx, int batch,
                    const char *what, struct ob_err *err)
{
    char detail[160], a[24], w[24];

    snprintf(detail, sizeof(detail), "batch %d: %s of activations; %s of weights and their like",
             batch, ob_room_text(a, n->activations), ob_room_text(w, n->weights));
    return ob_room_check(ctx, ob_memory_bytes(n), what, detail,
                         "a smaller batch needs less; OB_MEMORY=off tries it all the same", err);
}
