/* dispatch.c - picks the kernels of the best instruction set that the processor has. */
#include <string.h>

#include "backend/cpu/exec.h"

#define TABLE(name)                                                                                \
    {                                                                                              \
#name, &ob_conv_kernels_##name,                                                            \
            { &ob_wino_kernels_##name, &ob_wino_kernels_2_##name, &ob_wino_kernels_small_##name }, \
              &ob_norm_kernels_##name, &ob_pool_kernels_##name, &ob_vec_kernels_##name             \
    }

/* The best first; the build says which there are. */
static const struct ob_kernels tables[] = {
#ifdef OB_HAS_avx512
    TABLE(avx512),
#endif
#ifdef OB_HAS_avx2
    TABLE(avx2),
#endif
    TABLE(baseline),
};

static int machine_has(const char *isa)
{
#ifdef OB_HAS_avx512
    if (!strcmp(isa, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq");
#endif
#ifdef OB_HAS_avx2
    if (!strcmp(isa, "avx2"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return !strcmp(isa, "baseline");
}

int ob_kernels_find(const struct ob_kernels **out, const char *want, struct ob_err *err)
{
    *out = NULL;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        if ((!want || !strcmp(want, tables[i].isa)) && machine_has(tables[i].isa)) {
            *out = &tables[i];
            return OB_OK;
        }
    return ob_fail(err, OB_ENOTSUP,
                   "this machine or build has no instruction set '%s'; 'baseline' always works",
                   want);
}

static int start(const char *want, char isa[16], struct ob_err *err)
{
    const struct ob_kernels *k;

    isa[0] = '\0';
    OB_TRY(ob_kernels_find(&k, want, err));
    strncpy(isa, k->isa, 15);
    isa[15] = '\0';
    return OB_OK;
}

const struct ob_backend ob_backend_cpu = {
    .name = "cpu",
    .start = start,
    .compile = ob_cpu_compile,
    .measure = ob_cpu_measure,
    .forward = ob_cpu_forward,
    .backward = ob_cpu_backward,
    .free = ob_cpu_free,
    .fill = ob_cpu_fill,
    .axpy = ob_cpu_axpy,
    .scale = ob_cpu_scale,
    .dot = ob_cpu_dot,
    .sum_abs = ob_cpu_sum_abs,
    .add_sign = ob_cpu_add_sign,
    .sgd = ob_cpu_sgd,
    .adam = ob_cpu_adam,
};
