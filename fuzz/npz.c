/* npz.c - any bytes as a .npz archive. */
#include "scratch.h"

#include "base/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[300];
    struct ob_npz z;
    volatile double last;

    if (!scratch_put(scratch_dir(), "a.npz", data, size))
        return 0;
    snprintf(path, sizeof(path), "%s/a.npz", scratch_dir());
    if (ob_npz_read(&z, path, (size_t)1 << 24, NULL))
        return 0;
    for (size_t i = 0; i < z.n; i++)
        if (z.entry[i].array.n)
            last = ob_npy_double(&z.entry[i].array, z.entry[i].array.n - 1);
    (void)last;
    ob_npz_release(&z);
    return 0;
}
