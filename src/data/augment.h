/* augment.h - random crop and flip of one image. */
#ifndef OB_DATA_AUGMENT_H
#define OB_DATA_AUGMENT_H

#include <stdbool.h>

#include "base/rng.h"

/* Pads 4 zeros on each side, crops the old size at a random place, flips left to right with
 * p = 1/2 (He et al. 2016). out and in: channels x height x width, not the same memory. */
void ob_crop_flip(float *out, const float *in, int channels, int height, int width,
                  struct ob_rng *r);

#endif
