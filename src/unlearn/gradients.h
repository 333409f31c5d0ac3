/*
 * gradients.h - what methods make of gradients: Fisher diagonals, importances, dot products of single
 * examples, and the gradient of a step before it is taken.
 *
 * Passes over a set are in eval mode and leave the weights as they are; they count what they cost and
 * ask whether to stop, batch by batch.
 */
#ifndef OB_UNLEARN_GRADIENTS_H
#define OB_UNLEARN_GRADIENTS_H

#include "run/memory.h"
#include "unlearn/job.h"

/* ---- job_gradients.c: passes over sets ---- */

/* Uses the job's executable and blocks where there are any (methods with epochs), else its own. */
struct ob_sweep {
    struct ob_job *job;
    struct ob_exec *exec;
    float *grads, *dlogits; /* the gradient is the caller's to zero, and may be put elsewhere */
    float *own_grads;
    struct ob_loader *loader;
    int batch;
    bool is_own;
};
/* `batch`: the most examples of a batch. On failure nothing is left, and ob_sweep_close() is fine too. */
int ob_sweep_open(struct ob_sweep *s, struct ob_job *job, int batch, struct ob_err *err);
void ob_sweep_close(struct ob_sweep *s);
/* Starts a pass in ascending order, in batches of `batch`; again for another one. */
int ob_sweep_start(struct ob_sweep *s, const struct ob_ids *ids, int batch, enum ob_augment augment,
                   struct ob_err *err);
/* b->n is 0 at the end of the pass. */
int ob_sweep_next(struct ob_sweep *s, struct ob_batch *b, struct ob_err *err);
/* Adds the gradient of sum_i weight_i CE_i to s->grads; NULL: the mean. `y` NULL: the batch's labels. */
int ob_sweep_add_ce(struct ob_sweep *s, const struct ob_batch *b, const int32_t *y,
                    const double *weight, struct ob_err *err);
/* The same for the mean of |logits|^2. */
int ob_sweep_add_norm(struct ob_sweep *s, const struct ob_batch *b, struct ob_err *err);
/* out_i += weight (gradient_i + shift)^2, or weight |gradient_i|; the gradient becomes 0. */
struct ob_fold {
    double weight, shift;
    bool is_absolute;
};
void ob_sweep_fold(float *out, struct ob_sweep *s, struct ob_fold how);

/* At most n examples of the set, drawn at random from the step's seed; n 0: all of them. */
int ob_job_draw(struct ob_ids **out, const struct ob_job *job, const struct ob_ids *ids, size_t n,
                struct ob_err *err);

/* ---- job_fisher.c: importances ---- */

enum ob_importance_loss { OB_IMPORTANCE_CE, OB_IMPORTANCE_NORM };
enum ob_importance_unit { OB_UNIT_SAMPLE, OB_UNIT_BATCH };

/* How an importance is measured: the mean over units, examples or batches, of the square of the
 * gradient of CE, or of the absolute gradient of the mean |logits|^2. */
struct ob_importance {
    int unit;    /* enum ob_importance_unit */
    int batch;   /* examples of a batch, where that is the unit */
    int samples; /* that the retain set's is measured on; 0: all */
    int augment; /* enum ob_augment */
};
#define OB_IMPORTANCE_OPTIONS(owner, field)                                                        \
    { .name = "importance",                                                                        \
      .help = "mean over examples or over batches of the squared (lfssd: absolute) gradient",      \
      .type = OB_OPT_CHOICE,                                                                       \
      .offset = offsetof(owner, field) + offsetof(struct ob_importance, unit),                     \
      .choices = "sample,batch" },                                                                 \
        { .name = "batch",                                                                         \
          .help = "examples of a batch",                                                           \
          .when = "importance=batch",                                                              \
          .type = OB_OPT_INT,                                                                      \
          .offset = offsetof(owner, field) + offsetof(struct ob_importance, batch),                \
          .def = 128,                                                                              \
          .min = 1,                                                                                \
          .max = 65536,                                                                            \
          .range = "64, 128" },                                                                    \
    {                                                                                              \
        .name = "samples",                                                                         \
        .help = "examples of the retain set, drawn at random, to measure on; 0: all",              \
        .type = OB_OPT_INT,                                                                        \
        .offset = offsetof(owner, field) + offsetof(struct ob_importance, samples), .max = 1e9     \
    }

int ob_importance_batch(const struct ob_importance *how); /* examples of a unit */
/* For .room: of methods that hold both importances. */
int ob_importance_room(const void *state, const struct ob_job *job, struct ob_memory *need,
                       struct ob_err *err);
/* That ob_job_importances() counts. */
uint64_t ob_importance_images(const struct ob_importance *how, const struct ob_job *job);
/* out[i] = mean over the units of the set; overwritten. OB_EDIVERGED: not finite. */
int ob_job_importance(float *out, struct ob_sweep *s, const struct ob_ids *ids,
                      const struct ob_importance *how, enum ob_importance_loss loss,
                      struct ob_err *err);
/* 0 where it is no more than rounding leaves of 0, up to 1e-10 (1e-5 without the square) of the largest
 * of its tensor: below that each backend has numbers of its own. */
void ob_job_drop_rounding(float *importance, const struct ob_job *job,
                          enum ob_importance_loss loss);
/* Of the forget set, without rounding, and of forget and retain set together (no batch holds both). */
int ob_job_importances(float *forget, float *whole, struct ob_job *job,
                       const struct ob_importance *how, enum ob_importance_loss loss,
                       struct ob_err *err);
/* In place of `ratio`, the importances of the whole: forget_i / whole_i, 0 where either is 0. Returns
 * how many are not. */
size_t ob_job_relative(float *ratio, const struct ob_job *job, const float *forget);
/* theta_i *= min(1, lambda / ratio_i) where ratio_i > alpha. */
void ob_job_dampen(struct ob_job *job, const float *ratio, double alpha, double lambda);
/* The three above in a row. */
int ob_job_dampen_by(struct ob_job *job, const struct ob_importance *how,
                     enum ob_importance_loss loss, double alpha, double lambda, struct ob_err *err);

/* ---- job_gram.c: dot products of the gradients of single examples ---- */

struct ob_gram {
    struct ob_sweep *sweep;   /* borrowed, as is `ids` */
    const struct ob_ids *ids; /* whose gradients g_i these are, ascending */
    size_t n;
    double *diagonal, *b; /* |g_i|^2 and g_i . v, from ob_gram_measure() */
    double v_norm;        /* |v|, from there, too */
};
int ob_gram_open(struct ob_gram *g, struct ob_sweep *s, const struct ob_ids *ids,
                 struct ob_err *err);
void ob_gram_close(struct ob_gram *g);
int ob_gram_measure(struct ob_gram *g, const float *v, struct ob_err *err);
/* a_i = g_i . u and b_i = g_i . v; b may be NULL; v NULL: g_i itself. */
int ob_gram_dots(struct ob_gram *g, double *a, const float *u, double *b, const float *v,
                 struct ob_err *err);
/* The sweep's gradient becomes sum_i c_i g_i. */
int ob_gram_combine(struct ob_gram *g, const double *c, struct ob_err *err);
/* (K + shift I) c = b, K_ij = g_i . g_j, made from blocks of so many gradients; Cholesky. */
int ob_gram_solve(double *c, struct ob_gram *g, double shift, size_t block, struct ob_err *err);
uint64_t ob_gram_images(size_t n, size_t block);              /* that it counts */
size_t ob_gram_room(size_t n_params, size_t n, size_t block); /* bytes that it takes */
/* The same by conjugate gradients, without K, until |F x - v| <= tolerance |v| for F = sum_i g_i g_i^T / n + lambda I,
 * lambda = shift / n and x = (v - sum_i c_i g_i) / lambda; at most so many iterations. *left: a bound of
 * |F x - v| / |v| before the last. */
int ob_gram_iterate(double *c, struct ob_gram *g, double shift, double tolerance, int most,
                    double *left, struct ob_err *err);

/* ---- job_grads.c: the gradient of a step, before it is taken ---- */

void ob_job_keep_grad(struct ob_job *job, float *out); /* copies it there, then zeroes it */
/* gradient = w gradient + w_other other */
void ob_job_mix_grad(struct ob_job *job, double w, const float *other, double w_other);
struct ob_dots {
    double own, other, both; /* squares of the norms, and the dot product */
};
/* Weights of two gradients, MUNBa's (munba.c): of the other, w_r, and of the job's own, w_f. */
void ob_munba_exact(struct ob_dots d, double *w_r, double *w_f);
/* The released expressions, in single precision as there. */
void ob_munba_released(struct ob_dots d, double *w_r, double *w_f);
struct ob_dots ob_job_grad_dots(const struct ob_job *job, const float *other);
void ob_job_mask_grad(struct ob_job *job, const uint8_t *mask); /* 0 where the mask is */
/* PyTorch's clip_grad_norm_: times most / (norm + 1e-6) where that is below 1. */
void ob_job_clip_grad(struct ob_job *job, double most);
/* Forward in job->mode: the cross entropy of each of the batch's examples. */
int ob_job_losses(double *loss, struct ob_job *job, const struct ob_batch *b, struct ob_err *err);
/* After it: adds the gradient of scale * sum_i weight_i CE_i. */
void ob_job_add_weighted_grad(struct ob_job *job, const struct ob_batch *b, const double *weight,
                              double scale);

#endif
