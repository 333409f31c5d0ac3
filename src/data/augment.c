/* augment.c - random crop and flip of one image. */
#include "data/augment.h"

#include <string.h>

#include "data/data.h"

#define PAD 4

int ob_augment_parse(const char *text, enum ob_augment *out, struct ob_err *err)
{
    if (!strcmp(text, "none"))
        *out = OB_AUG_NONE;
    else if (!strcmp(text, "crop-flip"))
        *out = OB_AUG_CROP_FLIP;
    else
        return ob_fail(err, OB_EINVAL, "no augmentation '%s': none or crop-flip", text);
    return OB_OK;
}

/* out[x] = in[x + dx], mirrored if `flip`; zero outside. */
static void move_row(float *out, const float *in, int width, int dx, bool flip)
{
    for (int x = 0; x < width; x++) {
        int from = (flip ? width - 1 - x : x) + dx;

        out[x] = from >= 0 && from < width ? in[from] : 0.0f;
    }
}

void ob_crop_flip(float *out, const float *in, int channels, int height, int width,
                  struct ob_rng *r)
{
    int dy = (int)ob_rng_below(r, 2 * PAD + 1) - PAD, dx = (int)ob_rng_below(r, 2 * PAD + 1) - PAD;
    bool flip = ob_rng_below(r, 2);
    size_t w = (size_t)width;

    for (int c = 0; c < channels; c++)
        for (int y = 0; y < height; y++, out += w) {
            int from = y + dy;

            if (from < 0 || from >= height)
                memset(out, 0, w * sizeof(float));
            else
                move_row(out, in + (size_t)(c * height + from) * w, width, dx, flip);
        }
}
