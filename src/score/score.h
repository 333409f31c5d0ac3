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
/* All values NaN. After writing some, call ob_scores_count(). */
int ob_scores_new(struct ob_scores **out, const char *kind, const char *source, size_t n,
                  struct ob_err *err);
void ob_scores_count(struct ob_scores *s); /* brings info.n_scored up to date */
/* False only where the origin names data with another hash. */
bool ob_scores_of_data(const struct ob_scores *s, const char *hash);
/* Doubles as NaN-free ranks with ties averaged (1-based). */
int ob_ranks(double *rank, const double *x, size_t n, struct ob_err *err);
/* NaN where the file does not say, or says what cannot be. */
double ob_scores_reliability(const struct ob_scores *s);
/* compare.c - the pairs scored in both, in x and y (room for all); returns how many. */
size_t ob_scores_pairs(double *x, double *y, const struct ob_scores *a, const struct ob_scores *b);
/* compare.c - divides by the root of both reliabilities; to be called when the intervals stand. */
void ob_compare_correct(struct ob_compare *c);
/* bootstrap.c - both correlations of n pairs, pair i taken count[i] times. NaN: one side does not vary. */
int ob_correlate_counts(double *spearman, double *pearson, const double *x, const double *y,
                        const uint32_t *count, size_t n, struct ob_err *err);
/* bootstrap.c - the value below which a share q lies, between neighbours along a line; sorts x. */
double ob_percentile(double *x, size_t n, double q);
/* entanglement.c - as ob_entangle(), of the embedding phi: ids->n rows of f. */
int ob_entangle_embedded(struct ob_entanglement *out, struct ob_ctx *ctx, const float *phi,
                         size_t f, const struct ob_ids *ids, const struct ob_entangle_set *set,
                         size_t n, const struct ob_entangle_opts *o, struct ob_err *err);
/* Euclidean distance of each of `ids` to their mean embedding, by rank. */
int ob_centroid_distances(double *out, const struct ob_model *m, const struct ob_data *d,
                          const struct ob_ids *ids, struct ob_err *err);
/* proxy.c - takes the reference; NULL: out of memory */
struct json_t;
int ob_scores_set_origin(struct ob_scores *s, struct json_t *origin, struct ob_err *err);
/* proxy.c - the origin of scores of a finished model; takes the reference of `settings`, which may be
 * NULL: there are none */
int ob_scores_of_model(struct ob_scores *s, const struct ob_model *m, const struct ob_data *d,
                       struct json_t *settings, struct ob_err *err);
/* holdout.c - (KL(p||q) + KL(q||p)) / 2 of c probabilities each of at least 1e-10 */
double ob_holdout_divergence(const double *p, const double *q, int c);
/* proxy.c - the post-hoc score `kind` of an example with class probabilities p[c]; NaN: no such
 * kind. */
double ob_proxy(const char *kind, int raw, const double *p, int c, int label);

#endif
