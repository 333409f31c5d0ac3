/* judge.h - shared by the judging files. */
#ifndef OB_JUDGE_JUDGE_H
#define OB_JUDGE_JUDGE_H

#include "data/data.h"

/* attack_svc.c - the field's membership attack: RBF SVM, C = 3, gamma = 1/features, on p(y|x).
 * Rows: `member` (label 1) then `non_member` (label 0), in this order, one feature. Returns in *out
 * the share of `target` called non-member. OB_EFORMAT: one of the three is empty. */
int ob_attack_svc(double *out, const double *member, size_t n_member, const double *non_member,
                  size_t n_non_member, const double *target, size_t n_target, struct ob_err *err);

/* tow.c - NeurIPS 2024: (1 - da(S)) (1 - da(R)) (1 - da(T)). */
double ob_tow(double gap_forget, double gap_retain, double gap_test);
/* The same of a forget set in parts, whose gaps cannot cancel: the forget factor is one minus the
 * mean, or the largest, of their gaps. NaN without parts. */
double ob_tow_parts(const double *part_gap, size_t n, double gap_retain, double gap_test);
double ob_tow_worst(const double *part_gap, size_t n, double gap_retain, double gap_test);

/* stats.c - two-sided 95 % point of Student's t with `df` degrees of freedom; NaN for 0. */
double ob_t975(size_t df);
double ob_mean(const double *x, size_t n); /* NaN for none */

/* ---- accuracy.c: what one model says of a set of examples, found out once ---- */

struct ob_answers {
    size_t n;
    int32_t *guess; /* class of the largest logit */
    uint8_t *right;
    double *confidence; /* p(y|x), softmax in double */
};
/* To be released in every case. */
int ob_answers_make(struct ob_answers *a, const struct ob_model *m, const struct ob_data *d,
                    enum ob_part part, const struct ob_ids *ids, struct ob_err *err);
void ob_answers_release(struct ob_answers *a);

struct ob_rows { /* a subset of such a set, as rows of the answers */
    size_t *row, n;
};
/* OB_EFORMAT: `subset` is not inside `whole`; `name` is for the message. */
int ob_rows_make(struct ob_rows *r, const struct ob_ids *whole, const struct ob_ids *subset,
                 const char *name, struct ob_err *err);
void ob_rows_release(struct ob_rows *r);

/* Over the rows, or over all with r NULL. NaN over none. */
double ob_accuracy(const struct ob_answers *a, const struct ob_rows *r);
/* Share of the rows that two models put into different classes. */
double ob_disagreement(const struct ob_answers *a, const struct ob_answers *b,
                       const struct ob_rows *r);

#endif
