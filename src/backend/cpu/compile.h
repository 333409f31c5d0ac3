/* compile.h - what the parts of compiling share: which nodes fuse, and where things will lie. */
#ifndef OB_CPU_COMPILE_H
#define OB_CPU_COMPILE_H

#include "backend/cpu/exec.h"

/* A part of the arena: asked for while planning, given out at the end. */
struct piece {
    float **where;
    size_t n;
};

struct compiler {
    struct exec *e;
    const struct ob_net *net;
    int *uses;         /* how often a node is read; the output and the embedding once more */
    int *absorbed;     /* the node has no step of its own */
    int *head;         /* of the last node fused to a batch-norm: that, or -1 */
    int *reader;       /* a node that reads it */
    size_t *slot_size; /* floats of one image, by slot */
    int *slot_users, n_slots;
    struct piece *piece;
    size_t n_pieces;
    size_t *bytes; /* not NULL: only count what would be taken */
};

static inline int ob_is_input(const struct ob_net *net, int node)
{
    return net->node[node].op == OB_OP_INPUT || net->node[node].op == OB_OP_NORMALIZE;
}

int ob_ask_images(struct compiler *k, float **where, size_t image, struct ob_err *err);

/* fuse.c: fills uses, reader, absorbed, head */
void ob_fuse(struct compiler *k);
/* slots.c */
int ob_needs_gradient(const struct compiler *k, int node);
/* where activations and gradients lie */
int ob_plan_training(struct compiler *k, struct ob_err *err);
int ob_plan_inference(struct compiler *k, struct ob_err *err);

#endif
