/* picture.c - any bytes as a PNG or JPEG file. */
#include <stdlib.h>

#include "data/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ob_err err = { 0 };
    struct ob_picture p;
    volatile uint8_t last;
    uint8_t *out;

    if (ob_picture_head(&p, data, size, "fuzz", &err)) {
        if (!err.code || !err.msg[0])
            abort();
        return 0;
    }
    if (p.height > 256 || p.width > 256) /* as data sets have them */
        return 0;
    out = malloc((size_t)3 * (size_t)p.height * (size_t)p.width);
    if (!out)
        return 0;
    if (!ob_picture_read(out, 3, &p, data, size, "fuzz", NULL))
        last = out[3 * p.height * p.width - 1];
    (void)last;
    free(out);
    return 0;
}
