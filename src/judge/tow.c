/*
 * tow.c - the tug of war between forgetting and keeping (Zhao et al., NeurIPS 2024).
 *
 *     ToW = (1 - da(S)) (1 - da(R)) (1 - da(T)),   da(X) = |a(unlearned, X) - a(retrained, X)|
 */
#include <math.h>

#include "judge/judge.h"

double ob_tow(double gap_forget, double gap_retain, double gap_test)
{
    return (1 - gap_forget) * (1 - gap_retain) * (1 - gap_test);
}

double ob_tow_parts(const double *part_gap, size_t n, double gap_retain, double gap_test)
{
    return ob_tow(ob_mean(part_gap, n), gap_retain, gap_test);
}

double ob_tow_worst(const double *part_gap, size_t n, double gap_retain, double gap_test)
{
    double worst = n ? 0 : NAN;

    for (size_t i = 0; i < n; i++)
        worst = part_gap[i] > worst || isnan(part_gap[i]) ? part_gap[i] : worst;
    return ob_tow(worst, gap_retain, gap_test);
}
