/* half.h - IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
#ifndef OB_BASE_HALF_H
#define OB_BASE_HALF_H

#include <stdint.h>

float ob_from_half(uint16_t h); /* exact */
/* The nearest, of two equally near the even one; from 65520 on infinite. A NaN stays one. */
uint16_t ob_to_half(float x);

#endif
