/*
 * unpickler.h - the machine that opcodes of a pickle work on: a stack of values, marks in it, a memo.
 *
 * Each function fails with OB_EFORMAT through u->err.
 */
#ifndef OB_NN_UNPICKLER_H
#define OB_NN_UNPICKLER_H

#include "base/io.h"
#include "nn/pickle.h"

struct ob_unpickler {
    struct ob_pickle *k;
    struct ob_reader r;
    const char *path;
    size_t room_values, room_items;
    uint32_t *stack; /* numbers of values */
    size_t depth, room_stack;
    size_t *mark; /* heights of the stack */
    size_t n_marks, room_marks;
    uint32_t *memo; /* 0: empty */
    size_t room_memo, n_memo;
    struct ob_err *err;
};

int obi_un_bad(struct ob_unpickler *u, const char *what);    /* it is damaged here */
int obi_un_refuse(struct ob_unpickler *u, const char *what); /* it asks for more than data */

int obi_un_push(struct ob_unpickler *u, uint32_t value);
int obi_un_push_new(struct ob_unpickler *u, struct ob_pickle_value v);
int obi_un_push_kind(struct ob_unpickler *u, enum ob_pickle_kind kind);
int obi_un_push_mark(struct ob_unpickler *u);
/* Are there `n` values above the last mark? */
int obi_un_need(struct ob_unpickler *u, size_t n);
/* The value `down` below the top; valid until the next push. */
struct ob_pickle_value *obi_un_top(struct ob_unpickler *u, size_t down);

int obi_un_make_tuple(struct ob_unpickler *u, size_t n); /* of the n topmost values */
int obi_un_tuple_marked(struct ob_unpickler *u);         /* of those above the last mark */
/* The values from stack[from] on go into the list or dict below them. */
int obi_un_add_all(struct ob_unpickler *u, size_t from, enum ob_pickle_kind kind);
int obi_un_add_marked(struct ob_unpickler *u, enum ob_pickle_kind kind);

/* ---- pickletensor.c: what PyTorch makes of a tensor ---- */

int obi_un_persistent(struct ob_unpickler *u);
int obi_un_reduce(struct ob_unpickler *u);
int obi_un_build(struct ob_unpickler *u);

#endif
