/* mem.c - allocation, checked sizes, failure on demand for the tests. */
#define _GNU_SOURCE
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BIG ((size_t)2 << 20)

/* Only tests set it; the library itself keeps no state between calls. */
static atomic_size_t fail_at;

void obi_mem_fail_at(size_t n)
{
    atomic_store(&fail_at, n);
}

static bool fails_now(void)
{
    size_t n = atomic_load(&fail_at);

    if (!n)
        return false;
    return atomic_fetch_sub(&fail_at, 1) == 1;
}

bool ob_mul(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool ob_add(size_t *out, size_t a, size_t b)
{
    return !__builtin_add_overflow(a, b, out);
}

int obi_alloc(void *out, size_t n, size_t size, struct ob_err *err)
{
    size_t bytes;
    void *p = NULL;

    memcpy(out, &p, sizeof(p));
    if (!ob_mul(&bytes, n, size) || fails_now() || !(p = calloc(1, bytes ? bytes : 1)))
        return ob_fail(err, OB_ENOMEM, "out of memory (%zu x %zu bytes)", n, size);
    memcpy(out, &p, sizeof(p));
    return OB_OK;
}

int ob_block_new(float **out, size_t n, struct ob_err *err)
{
    size_t bytes, align = 64;
    void *p = NULL;

    *out = NULL;
    if (!ob_mul(&bytes, n, sizeof(float)) || !ob_add(&bytes, bytes, 64))
        return ob_fail(err, OB_ENOMEM, "out of memory (%zu floats)", n);
    if (bytes >= BIG)
        align = BIG;
    if (fails_now() || posix_memalign(&p, align, bytes))
        return ob_fail(err, OB_ENOMEM, "out of memory (%zu floats)", n);
    if (bytes >= BIG)
        madvise(p, bytes & ~(BIG - 1), MADV_HUGEPAGE);
    memset(p, 0, bytes);
    *out = p;
    return OB_OK;
}

int ob_strdup(char **out, const char *s, struct ob_err *err)
{
    size_t n = strlen(s) + 1;

    OB_TRY(obi_alloc(out, n, 1, err));
    memcpy(*out, s, n);
    return OB_OK;
}

int obi_grow(void *ptr, size_t n_old, size_t n_new, size_t size, struct ob_err *err)
{
    size_t bytes;
    char *old, *p;

    memcpy(&old, ptr, sizeof(old));
    if (!ob_mul(&bytes, n_new, size) || fails_now() || !(p = realloc(old, bytes ? bytes : 1)))
        return ob_fail(err, OB_ENOMEM, "out of memory (%zu x %zu bytes)", n_new, size);
    if (n_new > n_old)
        memset(p + n_old * size, 0, (n_new - n_old) * size);
    memcpy(ptr, &p, sizeof(p));
    return OB_OK;
}

void ob_free(void *p)
{
    free(p);
}
