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
/* proxy.c - the origin of scores of a finished model */
int ob_scores_of_model(struct ob_scores *s, const struct ob_model *m, const struct ob_data *d,
                       struct ob_err *err);
/* holdout.c - (KL(p||q) + KL(q||p)) / 2 of c probabilities each of at least 1e-10 */
double ob_holdout_divergence(const double *p, const double *q, int c);
/* proxy.c - the post-hoc score `kind` of an example with class probabilities p[c]; NaN: no such
 * kind. */
double ob_proxy(const char *kind, int raw, const double *p, int c, int label);

#endif
