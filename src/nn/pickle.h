/*
 * pickle.h - Python pickles that hold tensors, and nothing else: a list of opcodes is read and no
 * Python object is ever made, so nothing in a file can be executed.
 *
 * Taken are None, bools, whole numbers, floats, texts, tuples, lists, dicts, OrderedDict, and what
 * PyTorch makes of a tensor: torch._utils._rebuild_tensor_v2, _rebuild_parameter and the storage
 * classes. Everything else is refused by its name. Values refer to each other by number: a cycle or
 * a deep nesting costs nothing, since nobody walks them.
 */
#ifndef OB_NN_PICKLE_H
#define OB_NN_PICKLE_H

#include <stdbool.h>

#include "base/err.h"

#define OB_PICKLE_FILE ((size_t)1 << 24) /* bytes of a pickle */
#define OB_PICKLE_RANK 8

enum ob_pickle_kind {
    OB_PICKLE_NONE,
    OB_PICKLE_BOOL,
    OB_PICKLE_INT,
    OB_PICKLE_FLOAT, /* also whole numbers beyond 64 bits; its value is not kept */
    OB_PICKLE_TEXT,
    OB_PICKLE_TUPLE,
    OB_PICKLE_LIST,
    OB_PICKLE_DICT,
    OB_PICKLE_GLOBAL,
    OB_PICKLE_STORAGE,
    OB_PICKLE_TENSOR
};

struct ob_pickle_value {
    enum ob_pickle_kind kind;
    bool ordered;         /* a dict that is an OrderedDict */
    uint32_t first, last; /* items of a tuple, list or dict; the arguments of storage and tensor */
    uint32_t n;           /* items; bytes of a text */
    union {
        int64_t i;
        const char *text; /* within the pickle's bytes; no closing zero */
    } as;
};
struct ob_pickle_item {
    uint32_t key, value, next; /* numbers of values (key: of dicts only); of the next item */
};

struct ob_pickle {
    struct ob_pickle_value *value; /* number 0 is never used */
    struct ob_pickle_item *item;   /* and neither is this */
    size_t n_values, n_items;
    uint32_t root;
};

/* A tensor in its storage, within bounds: no index lies outside numel, and there are no more
 * elements than that. */
struct ob_pickle_tensor {
    const char *dtype; /* as safetensors names it: "F32" */
    const char *key;   /* of the storage; n_key bytes: letters and digits */
    size_t n_key;
    int64_t numel, offset; /* elements of the storage; the first one of the tensor */
    int rank;
    int64_t shape[OB_PICKLE_RANK], stride[OB_PICKLE_RANK]; /* elements */
};

/* `p` is borrowed as long as `out` lives. OB_EFORMAT names what was refused. Release in every case. */
int obi_pickle_read(struct ob_pickle *out, const unsigned char *p, size_t n, const char *path,
                    struct ob_err *err);
void obi_pickle_release(struct ob_pickle *k);
/* NULL: fine. Otherwise why this is no tensor that fits its storage. */
const char *obi_pickle_tensor(struct ob_pickle_tensor *out, const struct ob_pickle *k,
                              const struct ob_pickle_value *v);
bool obi_pickle_is(const struct ob_pickle_value *v, const char *text); /* is it this text? */

#endif
