/* par.c - parallel loops over OpenMP. */
#define _GNU_SOURCE
#include "base/par.h"

#include <omp.h>

int ob_par_cores(void)
{
    return omp_get_num_procs();
}

void ob_par_for(int n_threads, size_t n, void (*fn)(void *arg, size_t i, int worker), void *arg)
{
    /* a loop inside of a loop runs on the thread that meets it */
    if (n_threads <= 1 || n <= 1 || omp_in_parallel()) {
        for (size_t i = 0; i < n; i++)
            fn(arg, i, 0);
        return;
    }
#pragma omp parallel for num_threads(n_threads) schedule(dynamic)
    for (size_t i = 0; i < n; i++)
        fn(arg, i, omp_get_thread_num());
}
