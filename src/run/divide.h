/*
 * divide.h - a batch taken in sub-batches, by one process or shared out among ranks.
 *
 * Batch-norm normalises over each sub-batch by itself; the running statistics move once a step, from where
 * they were, by the mean (weighted with examples) of what each sub-batch alone would have moved them.
 * Gradients are added in the order of the sub-batches. The bytes depend on the size of a
 * sub-batch, never on the number of ranks.
 */
#ifndef OB_RUN_DIVIDE_H
#define OB_RUN_DIVIDE_H

#include "backend/backend.h"
#include "run/memory.h"
#include "run/train.h"

struct ob_divided {
    struct ob_ranks *ranks;  /* NULL: one process */
    struct ob_exec *exec;    /* borrowed; of `size` examples at least */
    int size;                /* examples of a sub-batch; the last one may have fewer */
    size_t *at;              /* ranks + 1: where each one's logits begin, in bytes */
    float *logits, *dlogits; /* ranks x size x classes: a round's, a sub-batch for each rank */
    float *grads, *room;     /* of the own sub-batch; for the sum */
    float *start, *moved;    /* buffers before the step; how far the own sub-batch moved them */
    float *way;              /* how far all of them did */
};
/* What it takes beside the executable. */
void ob_divided_memory(struct ob_memory *need, const struct ob_net *net, struct ob_ranks *ranks,
                       int size);
int ob_divided_init(struct ob_divided *v, struct ob_exec *exec, struct ob_ranks *ranks, int size,
                    struct ob_err *err);
void ob_divided_release(struct ob_divided *v);
/* The gradient of the mean cross entropy of `b` into `grads`, its loss, its right answers; buffers and
 * counts of `m` move on. `events` may be NULL. Every rank gets all of it. */
int ob_divided_step(struct ob_divided *v, struct ob_model *m, const struct ob_batch *b,
                    float *grads, struct ob_events *events, double *loss, int *right,
                    struct ob_err *err);

#endif
