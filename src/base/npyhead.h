/* npyhead.h - the head of a .npy array, shared by the writers of .npy and .npz. */
#ifndef OB_BASE_NPYHEAD_H
#define OB_BASE_NPYHEAD_H

#include "base/npy.h"

#define OBI_NPY_HEAD 256
/* The head in out[0..*n_head), a multiple of 64 bytes; *n_data: bytes of data that follow. */
int obi_npy_head(char out[OBI_NPY_HEAD], size_t *n_head, size_t *n_data, const char *type,
                 const size_t *shape, int rank, struct ob_err *err);
/* Bytes of one element; 0: not a type that is read or written. */
int obi_npy_item(const char *type);

#endif
