/*
 * idx.c - any bytes as a set of the MNIST kind: one byte says which of the files is next and
 * whether it is plain, .gz or .xz; then two bytes of length and its content, and so on.
 */
#include "scratch.h"

#include <oubli.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const file[4] = { "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                     "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte" };
static const char *const ending[3] = { "", ".gz", ".xz" };

static void clear(const char *dir)
{
    for (int i = 0; i < 12; i++) {
        char path[300];

        snprintf(path, sizeof(path), "%s/%s%s", dir, file[i / 3], ending[i % 3]);
        unlink(path);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *dir = scratch_dir();
    char spec[300];
    struct ob_data *d;

    clear(dir);
    while (size > 3) {
        size_t n = (size_t)data[1] | (size_t)data[2] << 8;
        char name[60];

        if (n > size - 3)
            n = size - 3;
        snprintf(name, sizeof(name), "%s%s", file[data[0] & 3], ending[(data[0] >> 2) % 3]);
        if (!scratch_put(dir, name, data + 3, n))
            return 0;
        data += 3 + n;
        size -= 3 + n;
    }
    snprintf(spec, sizeof(spec), "idx:%s,train=3", dir);
    if (!ob_data_open(&d, NULL, spec, NULL))
        ob_data_free(d);
    return 0;
}
