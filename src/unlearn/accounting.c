/*
 * accounting.c - what noise costs: (epsilon, delta) of noisy training, and the noise for them.
 *
 * Clipped gradients. A step takes a distance z of two runs to at most rho z + 2 eta c1, rho = 1 -
 * eta lambda, so without noise they would end up to
 *     D = rho^T 2 c0 + 2 eta c1 (1 + rho + ... + rho^(T-1))
 * apart. Noise of step t absorbs a shift a_t at Renyi cost a a_t^2 / (2 sigma^2) (Feldman et al.
 * 2018, shift reduction), and what it absorbs shrinks by rho in each later step. The best a_t, by
 * Cauchy and Schwarz, give at every order a
 *     a k,   k = D^2 / (2 sigma^2 (1 + rho^2 + ... + rho^(2(T-1))))
 *
 * Clipped weights. Whatever two runs were, a step puts them within r sigma of each other before its
 * noise, so that it shrinks delta by the hockey-stick contraction (Balle et al. 2019; Asoodeh et al.
 * 2020): with e_t = ln(1 + (e^epsilon - 1) / delta_t),
 *     delta_(t+1) = delta_t gauss_delta(e_t, r),   delta_0 = 1
 * r = 2 c2 / sigma where noise comes after the projection, 2 (c2 + eta c1) / sigma before it.
 */
#include "unlearn/accounting.h"

#include <math.h>
#include <stdbool.h>

/* ---- Renyi divergence ---- */

/* u = ln(a - 1) */
static double epsilon_at(double u, double k, double delta)
{
    double less = exp(u), a = 1 + less;

    return a * k + u - log1p(less) - (log(delta) + log1p(less)) / less;
}

double ob_renyi_epsilon(double k, double delta)
{
    const double part = (sqrt(5) - 1) / 2;
    double low = -20, high = 40;
    double a = high - part * (high - low), b = low + part * (high - low);
    double at_a = epsilon_at(a, k, delta), at_b = epsilon_at(b, k, delta);

    for (int i = 0; i < 100; i++) {
        if (at_a <= at_b) {
            high = b;
            b = a;
            at_b = at_a;
            a = high - part * (high - low);
            at_a = epsilon_at(a, k, delta);
        } else {
            low = a;
            a = b;
            at_a = at_b;
            b = low + part * (high - low);
            at_b = epsilon_at(b, k, delta);
        }
    }
    return fmax(0, fmin(at_a, at_b));
}

double ob_renyi_budget(double epsilon, double delta)
{
    double low = log(1e-30), high = log(1e6); /* of k */

    for (int i = 0; i < 200; i++) {
        double mid = (low + high) / 2;

        if (ob_renyi_epsilon(exp(mid), delta) <= epsilon)
            low = mid;
        else
            high = mid;
    }
    return exp(low);
}

/* ---- two Gaussians ---- */

static double upper_tail(double x)
{
    return erfc(x / sqrt(2)) / 2;
}

double ob_gauss_delta(double epsilon, double r)
{
    return fmax(0,
                upper_tail(epsilon / r - r / 2) - exp(epsilon) * upper_tail(epsilon / r + r / 2));
}

/* ---- clipped gradients ---- */

/* 1 + x + ... + x^(n-1) for 0 < x <= 1 */
static double powers(double x, double n)
{
    return x == 1 ? n : -expm1(n * log(x)) / (1 - x);
}

static double rho(const struct ob_noisy *n)
{
    return 1 - n->eta * n->lambda;
}

/* D^2 / (2 (1 + rho^2 + ...)) = k sigma^2 */
static double k_sigma2(const struct ob_noisy *n)
{
    double t = (double)n->steps, r = rho(n);
    double apart = pow(r, t) * 2 * n->c0 + 2 * n->eta * n->c1 * powers(r, t);

    return apart * apart / (2 * powers(r * r, t));
}

double ob_noisy_least_steps(const struct ob_noisy *n)
{
    double steps = ceil(n->c0 / (n->c1 * n->eta)), decayed;

    if (n->lambda > 0) {
        decayed = ceil(log(2 * n->lambda * n->c0 / n->c1) / (n->eta * n->lambda));
        if (decayed > 0 && decayed < steps)
            return decayed;
    }
    return fmax(1, steps);
}

double ob_noisy_epsilon(const struct ob_noisy *n)
{
    return ob_renyi_epsilon(k_sigma2(n) / (n->sigma * n->sigma), n->delta);
}

/* ---- clipped weights ---- */

static double reach(const struct ob_noisy *n)
{
    return 2 * (n->clip == OB_NOISY_MODEL ? n->c2 : n->c2 + n->eta * n->c1);
}

double ob_noisy_delta(const struct ob_noisy *n)
{
    double r = reach(n) / n->sigma, delta = 1;

    for (int64_t t = 0; t < n->steps && delta > 0; t++)
        delta *= ob_gauss_delta(log1p(expm1(n->epsilon) / delta), r);
    return delta;
}

static double smallest_sigma(const struct ob_noisy *n)
{
    double low = log(reach(n)) - 20, high = log(reach(n)) + 20; /* too little noise, enough */
    struct ob_noisy tried = *n;

    for (int i = 0; i < 100; i++) {
        double mid = (low + high) / 2;

        tried.sigma = exp(mid);
        if (ob_noisy_delta(&tried) <= n->delta)
            high = mid;
        else
            low = mid;
    }
    return exp(high);
}

int ob_noisy_solve(struct ob_noisy *n, struct ob_err *err)
{
    if (!(n->eta * n->lambda < 1))
        return ob_fail(err, OB_EINVAL, "noise-lr times lambda is %g, not below 1",
                       n->eta * n->lambda);
    if (n->clip == OB_NOISY_BOTH && n->c0 > n->c2)
        return ob_fail(err, OB_EINVAL,
                       "c0 is %g, above c2, which is %g: with clip=both it may not be", n->c0,
                       n->c2);
    n->sigma = n->clip == OB_NOISY_GRADIENT
                   ? sqrt(k_sigma2(n) / ob_renyi_budget(n->epsilon, n->delta))
                   : smallest_sigma(n);
    return OB_OK;
}
