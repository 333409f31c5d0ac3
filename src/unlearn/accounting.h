/*
 * accounting.h - what noise costs: (epsilon, delta) of noisy training, and the noise for them.
 *
 * Two runs start from any two points of norm c0 at most and see the same batches. What is bounded
 * is how well their ends can be told apart: P(end of one in A) <= e^epsilon P(end of the other in
 * A) + delta for every set A. No norm here depends on the data, and no loss has to be smooth.
 */
#ifndef OB_UNLEARN_ACCOUNTING_H
#define OB_UNLEARN_ACCOUNTING_H

#include <stdint.h>

#include "base/err.h"

/* What is clipped, in the order of the choices of the method `certified`. */
enum ob_noisy_clip {
    OB_NOISY_GRADIENT, /* w - eta (clip_c1(g) + lambda w) + sigma N */
    OB_NOISY_MODEL,    /* clip_c2(w - eta (g + lambda w)) + sigma N */
    OB_NOISY_BOTH      /* clip_c2(w - eta (clip_c1(g) + lambda w) + sigma N) */
};

struct ob_noisy {
    enum ob_noisy_clip clip;
    double epsilon, delta; /* asked for */
    double c0, c1, c2;     /* norms: of the start, of a gradient, of the weights */
    double eta, lambda;
    int64_t steps;
    double sigma; /* of each step's noise; ob_noisy_solve() finds it */
};

/* Order-a Renyi divergence at most a k for every a > 1 gives this epsilon at delta (Canonne, Kamath
 * and Steinke 2020, prop. 12):
 *     min_{a > 1}  a k + ln((a - 1) / a) - (ln delta + ln a) / (a - 1),  at least 0 */
double ob_renyi_epsilon(double k, double delta);
/* The largest k with ob_renyi_epsilon(k, delta) <= epsilon. */
double ob_renyi_budget(double epsilon, double delta);
/* The delta at epsilon of two Gaussians of variance 1 whose means are r apart (Balle and Wang 2018,
 * theorem 8). */
double ob_gauss_delta(double epsilon, double r);

/* Steps until clipping, not the start, decides how far apart two runs are; OB_NOISY_GRADIENT. May
 * be too large for any counter, hence a double. */
double ob_noisy_least_steps(const struct ob_noisy *n);
/* The smallest sigma that keeps to (epsilon, delta) after n->steps steps. OB_EINVAL: eta lambda is
 * not below 1, or OB_NOISY_BOTH with c0 above c2. */
int ob_noisy_solve(struct ob_noisy *n, struct ob_err *err);
/* What n->sigma gives: OB_NOISY_GRADIENT: epsilon at n->delta; else delta at n->epsilon. */
double ob_noisy_epsilon(const struct ob_noisy *n);
double ob_noisy_delta(const struct ob_noisy *n);

#endif
