/*
 * tow.c - the tug of war between forgetting and keeping (Zhao et al., NeurIPS 2024).
 *
 *     ToW = (1 - da(S)) (1 - da(R)) (1 - da(T)),   da(X) = |a(unlearned, X) - a(retrained, X)|
 */
#include "judge/judge.h"

double ob_tow(double gap_forget, double gap_retain, double gap_test)
{
    return (1 - gap_forget) * (1 - gap_retain) * (1 - gap_test);
}
