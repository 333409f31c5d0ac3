/* npy.c - any bytes as a .npy array; what is accepted can be read to its last element. */
#include "base/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ob_npy a;
    volatile double last;
    volatile int64_t whole;

    if (ob_npy_parse(&a, data, size, "fuzz", NULL) || !a.n)
        return 0;
    last = ob_npy_double(&a, a.n - 1);
    whole = ob_npy_is_int(&a) ? ob_npy_int(&a, a.n - 1) : 0;
    (void)last;
    (void)whole;
    return 0;
}
