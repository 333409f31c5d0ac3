/*
 * mem.h - every allocation of the library goes through here.
 *
 * Sizes are multiplied and added through ob_mul and ob_add, which fail instead of wrapping.
 * Tests make the n-th allocation fail with obi_mem_fail_at().
 */
#ifndef OB_BASE_MEM_H
#define OB_BASE_MEM_H

#include <stdbool.h>

#include "base/err.h"

bool ob_mul(size_t *out, size_t a, size_t b); /* false: overflow */
bool ob_add(size_t *out, size_t a, size_t b);

/* n * size zeroed bytes in *out (void ** of any pointer); OB_ENOMEM, then *out is NULL.
 * n == 0 gives a pointer that may be freed. */
int obi_alloc(void *out, size_t n, size_t size, struct ob_err *err);
#define ob_alloc(ptr, n, err) obi_alloc(&(ptr), (n), sizeof(*(ptr)), (err))

/* Zeroed floats on a 64-byte boundary; large blocks on 2 MiB, asking for huge pages.
 * Freed with ob_free() like everything. */
int ob_block_new(float **out, size_t n, struct ob_err *err);

int ob_strdup(char **out, const char *s, struct ob_err *err);

/* Grows *ptr (n_old elements in use) to n_new elements; new ones are zeroed. */
int obi_grow(void *ptr, size_t n_old, size_t n_new, size_t size, struct ob_err *err);
#define ob_grow(ptr, n_old, n_new, err) obi_grow(&(ptr), (n_old), (n_new), sizeof(*(ptr)), (err))

/* The n-th allocation from now on fails (1: the next); 0: none does. For tests. */
void obi_mem_fail_at(size_t n);

#endif
