/* ids.c - any bytes as a set of example numbers; what is accepted is sorted and in range. */
#include "scratch.h"

#include <oubli.h>

#define LIMIT 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[300];
    struct ob_ids *s;

    if (!scratch_put(scratch_dir(), "ids", data, size))
        return 0;
    snprintf(path, sizeof(path), "%s/ids", scratch_dir());
    if (ob_ids_read(&s, path, LIMIT, NULL))
        return 0;
    if (!ob_ids_n(s))
        abort();
    for (size_t i = 0; i < ob_ids_n(s); i++)
        if (ob_ids_list(s)[i] >= LIMIT || (i && ob_ids_list(s)[i - 1] >= ob_ids_list(s)[i]))
            abort();
    ob_ids_free(s);
    return 0;
}
