/*
 * par.h - parallel loops that give the same bytes for any number of threads.
 *
 * Work is cut by problem size, never by thread count, and only over independent outputs.
 */
#ifndef OB_BASE_PAR_H
#define OB_BASE_PAR_H

#include <stddef.h>

/* fn(arg, i) for i in 0..n-1, each exactly once, in any order, on up to n_threads threads.
 * `worker` is 0..n_threads-1, for scratch memory. */
void ob_par_for(int n_threads, size_t n, void (*fn)(void *arg, size_t i, int worker), void *arg);
int ob_par_cores(void); /* processors that this process may use */

#endif
