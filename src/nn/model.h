/* model.h - weights of a network: flat blocks, metadata, identity. */
#ifndef OB_NN_MODEL_H
#define OB_NN_MODEL_H

#include <stdbool.h>

#include "base/ctx.h"
#include "nn/net.h"

/* What an executable needs of a set of weights. Teachers are weights without a model. */
struct ob_weights {
    float *params, *buffers;
    int64_t *counts;
    uint64_t stamp; /* from ob_ctx_stamp(); a new one after every change of params or buffers by
                       anyone but a forward pass */
};

struct ob_meta {
    char *key, *value;
};

struct ob_model {
    struct ob_ctx *ctx;
    struct ob_net *net;
    struct ob_weights w;
    struct ob_meta *meta;
    size_t n_meta;
    /* A folder of shards (run/sisa.h): this model is the first, these are the others. Together they
     * can predict, nothing else. */
    bool sharded, vote; /* vote: each for one class; else the mean of their probabilities */
    struct ob_model **shard;
    int n_shards; /* without this one */
};

/* OB_EINVAL: a folder of shards, where one model is asked for. */
int ob_model_check_single(const struct ob_model *m, struct ob_err *err);
void ob_model_touch(struct ob_model *m); /* params or buffers were written: new stamp */
/* Fresh weights of `seed` in place (metadata and normalisation stay). */
void ob_model_init(struct ob_model *m, uint64_t seed);
/* One parameter of them: what it was before the training of that seed. The caller touches `m`. */
void ob_model_init_view(struct ob_model *m, int view, uint64_t seed);
/* Copies params, buffers, counts; same network. Touches `to`. */
void ob_model_copy_weights(struct ob_model *to, const struct ob_model *from);
int ob_model_check_finite(const struct ob_model *m, struct ob_err *err); /* OB_EDIVERGED */
/* Sets the normalisation buffers; `n` is the number of channels. */
int ob_model_normalize_values(const char *text, int channels, float *mean, float *std,
                              struct ob_err *err);

/* ---- loss.c: value and d/dlogits on an n x c matrix, sums in double, means over n ---- */

/* Mean cross entropy times `scale`; dlogits may be NULL, else it is ADDED to. n_right (may be
 * NULL): rows whose argmax is the label. Returns the unscaled mean loss. */
double ob_loss_ce(float *dlogits, const float *logits, const int32_t *y, int n, int c, float scale,
                  int *n_right);
/* As ob_loss_ce() for rows of probabilities instead of labels: -1/n sum_x sum_c target_c log p_c. */
double ob_loss_soft(float *dlogits, const float *logits, const float *target, int n, int c,
                    float scale);
/* T^2/n sum_x sum_c p_t log(p_t/p_s), p = softmax(z/T) (SCRUB); gradient with respect to student. */
double ob_loss_kl(float *dlogits, const float *student, const float *teacher, int n, int c,
                  float temperature, float scale);
void ob_softmax(double *p, const float *z, int c); /* one row */
int ob_argmax(const float *z, int c);              /* ties: the first */

#endif
