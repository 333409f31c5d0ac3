/* npzdata.c - any bytes as a data set in one .npz archive; what is accepted has labels in range. */
#include "scratch.h"

#include <oubli.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct ob_data *d, enum ob_part part)
{
    const struct ob_data_info *i = ob_data_info(d);
    size_t pixels = (size_t)i->channels * (size_t)i->height * (size_t)i->width;
    float *x = malloc(pixels * sizeof(*x));

    if (!x)
        return;
    for (size_t k = 0; k < i->n_file[part]; k++)
        if (ob_data_label(d, part, (uint32_t)k) < 0 ||
            ob_data_label(d, part, (uint32_t)k) >= i->n_classes)
            abort();
    ob_data_image(d, part, (uint32_t)i->n_file[part] - 1, x);
    for (size_t k = 0; k < pixels; k++)
        if (!(x[k] >= 0 && x[k] <= 1))
            abort();
    free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char spec[300];
    struct ob_data *d;

    if (!scratch_put(scratch_dir(), "d.npz", data, size))
        return 0;
    snprintf(spec, sizeof(spec), "npy:%s/d.npz", scratch_dir());
    if (ob_data_open(&d, NULL, spec, NULL))
        return 0;
    look(d, OB_TRAIN);
    look(d, OB_TEST);
    ob_data_free(d);
    return 0;
}
