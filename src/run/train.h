/* train.h - schedules, optimisers, the training loop's shared parts. */
#ifndef OB_RUN_TRAIN_H
#define OB_RUN_TRAIN_H

#include "backend/backend.h"
#include "data/data.h"

/* ---- schedule.c ---- */
enum ob_schedule_kind { OB_SCHED_CONSTANT, OB_SCHED_COSINE, OB_SCHED_LINEAR, OB_SCHED_STEP };
struct ob_schedule {
    enum ob_schedule_kind kind;
    int step[16], n_steps; /* OB_SCHED_STEP: epochs, ascending */
    double factor;
};
int ob_schedule_parse(struct ob_schedule *s, const char *text, struct ob_err *err);
/* Rate of unit t of T (an epoch in training, a batch within an unlearning step). Cosine:
 * lr (1 + cos(pi t / T)) / 2; linear: lr (1 - t / T). */
double ob_schedule_at(const struct ob_schedule *s, double lr, int64_t t, int64_t total);

/* ---- optim.c: state of one optimiser over the parameter block ---- */
enum ob_optim_kind { OB_OPTIM_SGD, OB_OPTIM_ADAM, OB_OPTIM_ADAMW };
struct ob_optim {
    struct ob_ctx *ctx;
    enum ob_optim_kind kind;
    float momentum, weight_decay;
    size_t n;
    float *m, *v;        /* sgd: m is the velocity, v NULL */
    int64_t n_steps;     /* taken so far */
    const uint8_t *mask; /* borrowed; may be NULL */
};
int ob_optim_init(struct ob_optim *o, struct ob_ctx *ctx, const char *kind, size_t n,
                  double momentum, double weight_decay, struct ob_err *err);
void ob_optim_release(struct ob_optim *o);
/* One step with rate lr; the caller touches the model. */
void ob_optim_step(struct ob_optim *o, float *params, const float *grads, double lr);

/* ---- train.c ---- */

/* Some of the epochs of a recipe, from a state of the optimiser to the next one. The examples may
 * be others than those of the epochs before. */
struct ob_train_part {
    int first, end; /* epochs first ... end - 1 of the recipe's */
    struct ob_optim *optim;
};
/* As ob_train(); `part` NULL: all of it, with a fresh optimiser. */
int ob_train_part(struct ob_cost *cost, struct ob_model *m, const struct ob_data *d,
                  const struct ob_split *split, const struct ob_ids *use,
                  const struct ob_train_opts *o, const struct ob_train_part *part,
                  struct ob_err *err);
/* Writes recipe, seed, data and split into the model's metadata, as ob_train() does. */
int ob_train_record(struct ob_model *m, const struct ob_data *d, const struct ob_split *split,
                    const struct ob_recipe *r, uint64_t seed, struct ob_err *err);

/* ---- rate.c: seconds of an image, forwards alone and with its gradient ---- */
struct ob_rate {
    double forward, gradient;
};
/* Times one batch of `ids`, `batch` of them or fewer; the model stays as it is. */
int ob_rate_measure(struct ob_rate *out, const struct ob_model *m, const struct ob_data *d,
                    const struct ob_ids *ids, int batch, struct ob_err *err);
double ob_rate_seconds(const struct ob_rate *r, const struct ob_cost *c); /* of its images */

/* ---- events.c ---- */
struct ob_events {
    size_t n_file;            /* examples in the training file */
    const struct ob_ids *ids; /* borrowed while training; a read object owns own_ids */
    struct ob_ids *own_ids;
    char data[65]; /* hash of the data, as in ob_data_info; "": not known */
    int64_t epochs;
    double *confidence, *max_confidence, *neg_entropy, *accuracy,
        *loss; /* sums over epochs, by rank in ids */
};
#define OB_EVENT_BYTES (5 * sizeof(double)) /* of one example */
int ob_events_new(struct ob_events **out, const struct ob_ids *ids, size_t n_file,
                  struct ob_err *err);
void ob_events_add(struct ob_events *e, const struct ob_batch *b, const float *logits, int c);

#endif
