/* judge.h - shared by the judging files. */
#ifndef OB_JUDGE_JUDGE_H
#define OB_JUDGE_JUDGE_H

#include "base/err.h"

/* attack_svc.c - the field's membership attack: RBF SVM, C = 3, gamma = 1/features, on p(y|x).
 * Rows: `member` (label 1) then `non_member` (label 0), in this order, one feature. Returns in *out
 * the share of `target` called non-member. */
int ob_attack_svc(double *out, const double *member, size_t n_member, const double *non_member,
                  size_t n_non_member, const double *target, size_t n_target, struct ob_err *err);
/* tow.c - NeurIPS 2024: (1 - da(S)) (1 - da(R)) (1 - da(T)). */
double ob_tow(double gap_forget, double gap_retain, double gap_test);
/* stats.c - two-sided 95 % point of Student's t with `df` degrees of freedom. */
double ob_t975(size_t df);

#endif
