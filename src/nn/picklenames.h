/* picklenames.h - names in pickles: the few globals that are known, and the opcodes that are not. */
#ifndef OB_NN_PICKLENAMES_H
#define OB_NN_PICKLENAMES_H

#include <stddef.h>

enum obi_pickle_call {
    OB_PICKLE_NO_CALL, /* a storage class, which is never called */
    OB_PICKLE_ORDERED_DICT,
    OB_PICKLE_REBUILD_TENSOR,
    OB_PICKLE_REBUILD_PARAMETER
};

/* Its number, or -1: not one that is known. */
int obi_pickle_global(const char *module, size_t n_module, const char *name, size_t n_name);
enum obi_pickle_call obi_pickle_call(int global);
/* Of a storage class, as safetensors names it ("F32"); NULL for other globals. */
const char *obi_pickle_dtype(int global);
/* The name of an opcode that is not read; NULL: there is no such opcode. */
const char *obi_pickle_opcode(unsigned char op);

#endif
