/* magnitude.h - which numbers of an array are the largest or the smallest without their sign. */
#ifndef OB_UNLEARN_MAGNITUDE_H
#define OB_UNLEARN_MAGNITUDE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum ob_magnitude { OB_LARGEST, OB_SMALLEST };

/* mask: n bytes, 1 where |x| is among the k largest (smallest) of x, else 0; of equal ones those of
 * lower index. k <= n. Linear in n. */
int ob_magnitude_mark(uint8_t *mask, const float *x, size_t n, size_t k, enum ob_magnitude which,
                      struct ob_err *err);
/* The k-th largest |x|, 1 <= k <= n. */
int ob_magnitude_kth(float *out, const float *x, size_t n, size_t k, struct ob_err *err);

#endif
