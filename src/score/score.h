/* score.h - a score for each example; higher means more memorized, in every file. */
#ifndef OB_SCORE_SCORE_H
#define OB_SCORE_SCORE_H

#include "data/data.h"
#include "nn/model.h"

struct ob_scores {
    struct ob_scores_info info;
    char kind[32], source[16];
    float *value; /* n, NaN: none */
    char *origin; /* a JSON object: what made it (model, data, settings); may be NULL */
};
int ob_scores_new(struct ob_scores **out, const char *kind, const char *source, size_t n,
                  struct ob_err *err);
/* Doubles as NaN-free ranks with ties averaged (1-based). */
void ob_ranks(double *rank, const double *x, size_t n);

#endif
