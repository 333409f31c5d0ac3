/* simd.h - eight floats at a time, in GCC's vector extensions. */
#ifndef OB_CPU_SIMD_H
#define OB_CPU_SIMD_H

#include <stdint.h>

#define OB_INLINE static inline __attribute__((always_inline))
#define OB_CAT_(a, b) a##_##b
#define OB_CAT(a, b) OB_CAT_(a, b)
#define OB_K(name) OB_CAT(name, OB_ISA) /* kernels exist once per instruction set */

typedef float v8 __attribute__((vector_size(32)));
typedef float v8u __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t i8 __attribute__((vector_size(32)));

#ifdef __AVX512F__
typedef float v16 __attribute__((vector_size(64)));
typedef float v16u __attribute__((vector_size(64), aligned(4), may_alias));

OB_INLINE v16 v16_loadu(const float *p)
{
    return *(const v16u *)p;
}
OB_INLINE v16 v16_splat(float x)
{
    return (v16){ x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x };
}
OB_INLINE v16 v16_join(v8 low, v8 high)
{
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
OB_INLINE v8 v16_low(v16 x)
{
    return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7);
}
OB_INLINE v8 v16_high(v16 x)
{
    return __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
}
#endif

OB_INLINE v8 v_load(const float *p) /* on a 32-byte boundary */
{
    return *(const v8 *)p;
}
OB_INLINE v8 v_loadu(const float *p)
{
    return *(const v8u *)p;
}
OB_INLINE void v_store(float *p, v8 x)
{
    *(v8 *)p = x;
}
OB_INLINE void v_storeu(float *p, v8 x)
{
    *(v8u *)p = x;
}
/* Past the caches, for what is read again only when they will have been overwritten. Whole lines of
 * 64 bytes at once, or it is slow; v_stream_end() before another thread reads. */
OB_INLINE void v_stream(float *p, v8 x)
{
#if defined(__AVX__) && defined(__clang__)
    __builtin_nontemporal_store(x, (v8 *)p);
#elif defined(__AVX__)
    __builtin_ia32_movntps256(p, x);
#else
    v_store(p, x);
#endif
}
OB_INLINE void v_stream_end(void)
{
#ifdef __AVX__
    __builtin_ia32_sfence();
#endif
}
OB_INLINE v8 v_splat(float x)
{
    return (v8){ x, x, x, x, x, x, x, x };
}
OB_INLINE v8 v_keep(v8 x, i8 mask) /* x where the mask is set, else 0 */
{
    return (v8)((i8)x & mask);
}
OB_INLINE v8 v_choose(i8 mask, v8 yes, v8 no)
{
    return (v8)(((i8)yes & mask) | ((i8)no & ~mask));
}
OB_INLINE i8 v_positive(v8 x)
{
    return x > v_splat(0);
}
OB_INLINE v8 v_relu(v8 x) /* a NaN stays one: divergence has to show in the logits */
{
    return v_keep(x, ~(x <= v_splat(0)));
}
OB_INLINE v8 v_larger(v8 a, v8 b) /* the first of equals; a NaN wins */
{
    return v_choose((b > a) | (b != b), b, a);
}

#endif
