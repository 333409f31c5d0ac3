/* stats.c - what a few repetitions say: mean, spread, 95 % t-interval. */
#include <math.h>

#include "judge/judge.h"

/* Continued fraction of the incomplete beta function, by Lentz's method. */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1), h;

    d = 1 / (fabs(d) < tiny ? tiny : d);
    h = d;
    for (int m = 1; m <= 10000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double step;

        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        step = d * c;
        h *= step;
        if (fabs(step - 1) < 1e-16)
            break;
    }
    return h;
}

/* Regularised incomplete beta function I_x(a, b), given both x and y = 1 - x. */
static double beta_inc(double a, double b, double x, double y)
{
    double front;

    if (x <= 0)
        return 0;
    if (y <= 0)
        return 1;
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(y));
    /* the fraction converges fast below the mean only */
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, y) / b;
}

/* P(|T| > t) with df degrees of freedom. */
static double t_tails(double t, double df)
{
    double sum = df + t * t;

    return beta_inc(df / 2, 0.5, df / sum, t * t / sum);
}

double ob_t975(size_t df)
{
    double low = 1, high = 13; /* df = 1 has 12.706; more degrees have less, down to 1.960 */

    if (!df)
        return NAN;
    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;

        if (t_tails(middle, (double)df) > 0.05)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

double ob_mean(const double *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return n ? sum / (double)n : NAN;
}

void ob_interval(struct ob_interval *out, const double *x, size_t n)
{
    double square = 0;

    *out = (struct ob_interval){ .n = n, .mean = ob_mean(x, n), .sd = NAN, .half = NAN };
    if (n < 2)
        return;
    for (size_t i = 0; i < n; i++)
        square += (x[i] - out->mean) * (x[i] - out->mean);
    out->sd = sqrt(square / (double)(n - 1));
    out->half = ob_t975(n - 1) * out->sd / sqrt((double)n);
}
