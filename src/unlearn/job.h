/*
 * job.h - what a method may use while it runs: batches, gradients, steps, teacher, mask.
 *
 * One epoch is whatever the method makes of it; ob_job_next_retain() ends after one pass over the
 * retain set, ob_job_next_forget() goes round and round (the same batches in the same order within
 * an epoch, a new order in each), ob_job_next_forget_once() ends after one pass.
 */
#ifndef OB_UNLEARN_JOB_H
#define OB_UNLEARN_JOB_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/backend.h"
#include "data/data.h"
#include "run/train.h"
#include "unlearn/method.h"

/* The settings that every iterative method has: the rows of struct ob_method's `common`, with a
 * method's own defaults and the ranges that the papers searched (text, may be NULL). */
struct ob_common {
    int epochs, batch;
    double lr, momentum, weight_decay;
    /* indices into the choices: enum ob_augment, enum ob_common_schedule, enum ob_optim_kind */
    int augment, schedule, optimizer;
};
enum { OB_COMMON_SGD, OB_COMMON_ADAM, OB_COMMON_ADAMW };
#define OB_COMMON_CHOICE(field, what, list, def_choice)                                            \
    {                                                                                              \
        .name = #field, .help = what, .type = OB_OPT_CHOICE,                                       \
        .offset = offsetof(struct ob_common, field), .choices = list, .def = def_choice            \
    }
enum ob_common_schedule { OB_CONSTANT, OB_LINEAR, OB_COSINE, OB_COSINE_EPOCH };
#define OB_COMMON(def_epochs, range_epochs, def_lr, range_lr)                                      \
    OB_COMMON_AS(def_epochs, range_epochs, def_lr, range_lr, 256, 5e-4, OB_COMMON_SGD)
/* With the method's own batch, weight decay and optimiser. */
#define OB_COMMON_AS(def_epochs, range_epochs, def_lr, range_lr, def_batch, def_decay,             \
                     def_optimizer)                                                                \
    OB_COMMON_OF(def_epochs, range_epochs, def_lr, range_lr, def_batch, 0.9, def_decay,            \
                 OB_CONSTANT, def_optimizer)
/* And its schedule. */
#define OB_COMMON_WITH(def_epochs, range_epochs, def_lr, range_lr, def_batch, def_decay,           \
                       def_optimizer, def_schedule)                                                \
    OB_COMMON_OF(def_epochs, range_epochs, def_lr, range_lr, def_batch, 0.9, def_decay,            \
                 def_schedule, def_optimizer)
/* With its own momentum and schedule, too. */
#define OB_COMMON_OF(def_epochs, range_epochs, def_lr, range_lr, def_batch, def_momentum,          \
                     def_decay, def_schedule, def_optimizer)                                       \
    { .name = "epochs",                                                                            \
      .help = "passes",                                                                            \
      .type = OB_OPT_INT,                                                                          \
      .offset = offsetof(struct ob_common, epochs),                                                \
      .def = def_epochs,                                                                           \
      .max = 100000,                                                                               \
      .range = range_epochs },                                                                     \
        { .name = "lr",                                                                            \
          .help = "learning rate",                                                                 \
          .type = OB_OPT_FLOAT,                                                                    \
          .offset = offsetof(struct ob_common, lr),                                                \
          .def = def_lr,                                                                           \
          .min = 1e-12,                                                                            \
          .max = 1e6,                                                                              \
          .range = range_lr },                                                                     \
        { .name = "batch",                                                                         \
          .help = "examples of a batch",                                                           \
          .type = OB_OPT_INT,                                                                      \
          .offset = offsetof(struct ob_common, batch),                                             \
          .def = def_batch,                                                                        \
          .min = 1,                                                                                \
          .max = 65536 },                                                                          \
        { .name = "momentum",                                                                      \
          .help = "momentum of sgd",                                                               \
          .type = OB_OPT_FLOAT,                                                                    \
          .offset = offsetof(struct ob_common, momentum),                                          \
          .def = def_momentum,                                                                     \
          .max = 0.999999,                                                                         \
          .when = "optimizer=sgd" },                                                               \
        { .name = "weight-decay",                                                                  \
          .help = "pull of all weights towards 0",                                                 \
          .type = OB_OPT_FLOAT,                                                                    \
          .offset = offsetof(struct ob_common, weight_decay),                                      \
          .def = def_decay,                                                                        \
          .max = 1000 },                                                                           \
        OB_COMMON_CHOICE(augment, "changes of the images", "none,crop-flip", 0),                   \
        OB_COMMON_CHOICE(schedule,                                                                 \
                         "learning rate over the batches (cosine-epoch: epochs) of the step, "     \
                         "down to 0",                                                              \
                         "constant,linear,cosine,cosine-epoch", def_schedule),                     \
        OB_COMMON_CHOICE(optimizer, "how weights follow gradients", "sgd,adam,adamw",              \
                         def_optimizer),                                                           \
    {                                                                                              \
        0                                                                                          \
    }

struct ob_job {
    const struct ob_method *method;
    struct ob_ctx *ctx;
    struct ob_model *model;
    const struct ob_model *teacher, *first; /* NULL unless asked for */
    const struct ob_data *data;
    const struct ob_split *split;
    const struct ob_ids *forget, *retain;
    struct ob_common common;
    uint64_t seed;     /* of this step */
    enum ob_mode mode; /* of batch-norm where gradients are taken; begin() may change it */
    double lr_factor;  /* on the scheduled rate; 1 at the start of each epoch */
    uint8_t *mask;     /* OB_NEED_MASK; n_params bytes */
    struct ob_cost cost;
    struct ob_progress progress;
    char report[OB_REPORT_ROOM];
    char notes[OB_NOTES_ROOM]; /* see ob_job_note() */

    /* private to job.c */
    struct ob_exec *exec, *teacher_exec;
    struct ob_loader *retain_loader, *forget_loader, *both_loader;
    struct ob_ids *both, *drawn; /* drawn: of the retain set, by ob_job_draw_retain() */
    struct ob_optim optim;
    struct ob_schedule schedule;
    struct ob_model
        *narrow; /* OB_EXTRA_CLASS: the model with its own classes; `model` has one more */
    float *grads, *dlogits, *teacher_logits, *target;
    float *dx, *moved; /* OB_NEED_IMAGES: a batch of images each */
    int32_t *labels;
    int64_t rounds;        /* passes that ob_job_next_retain_on() began */
    int64_t step, n_steps; /* for the schedule: batches of this run */
    int epoch;
    double loss_sum; /* sums over this epoch's training batches */
    uint64_t n_seen, n_right;
    bool retain_started, forget_started, gradients_masked;
};

/* ---- for the driver (rum.c) ---- */

/* The public fields up to `seed` are filled in; makes the rest. On failure nothing is left, and
 * ob_job_close() is fine too. */
int ob_job_open(struct ob_job *job, struct ob_err *err);
/* OB_ENOMEM where there is no room for what ob_job_open(), a teacher and the method will take, and for
 * `models` copies of the model beside. Of an unopened job; `state`: the method's. */
int ob_job_check_room(const struct ob_job *job, const void *state, size_t models,
                      struct ob_err *err);
void ob_job_close(struct ob_job *job);
void ob_job_start_epoch(struct ob_job *job, int e);
int ob_job_end_epoch(struct ob_job *job, struct ob_err *err); /* OB_EDIVERGED */

/* An example's part in the loss and accuracy that are reported, and in the images that are counted. */
void obi_job_count(struct ob_job *job, int n, double loss, int n_right);
/* What the executable that is trained is compiled for. */
unsigned obi_job_exec_flags(const struct ob_job *job);
/* job_classes.c, for OB_EXTRA_CLASS. The network with one class more; OB_EINVAL: it has no such form. */
int obi_job_wide_net(struct ob_net **out, const struct ob_net *narrow, struct ob_err *err);
/* job->model becomes a model with one class more, its new row fresh; and back. */
int obi_job_widen(struct ob_job *job, struct ob_err *err);
void obi_job_narrow(struct ob_job *job);

/* ---- for methods ---- */

bool ob_job_next_retain(struct ob_job *job, struct ob_batch *b);
/* From its start again, in the same order: where that is shorter than what it goes beside. */
void ob_job_wrap_retain(struct ob_job *job, struct ob_batch *b);
/* Goes on for ever, each pass over the retain set in a new order: for what comes before the epochs. */
void ob_job_next_retain_on(struct ob_job *job, struct ob_batch *b);
bool ob_job_next_forget_once(struct ob_job *job, struct ob_batch *b);
void ob_job_next_forget(struct ob_job *job, struct ob_batch *b);
/* Forget and retain set together, shuffled as one. */
bool ob_job_next_both(struct ob_job *job, struct ob_batch *b);

void ob_job_zero_grad(struct ob_job *job);
/* Forward in job->mode; adds the gradient of scale * CE. `y` NULL: the batch's labels. */
int ob_job_add_ce_grad(struct ob_job *job, const struct ob_batch *b, const int32_t *y, float scale,
                       struct ob_err *err);
/* As above for ce * CE + kl * KL_T(teacher || student), from one forward pass of each. */
int ob_job_add_kl_grad(struct ob_job *job, const struct ob_batch *b, float ce, float kl,
                       float temperature, struct ob_err *err);
/* As ob_job_add_ce_grad() for -scale * mean over the batch of min(CE of an example, ceiling): an
 * example that lies above the ceiling pushes no more. Ceiling 0: none. */
int ob_job_add_ascent_grad(struct ob_job *job, const struct ob_batch *b, float scale,
                           double ceiling, struct ob_err *err);
#define OB_CEILING_OPTION(type_of_state, field)                                                    \
    {                                                                                              \
        .name = "ceiling",                                                                         \
        .help = "cross entropy beyond which an example is pushed no further; 0: none",             \
        .type = OB_OPT_FLOAT, .offset = offsetof(type_of_state, field), .max = 1e6                 \
    }
/* The parts of which the above are made, for other losses. forward: in job->mode; the logits stand
 * in job->exec->logits and job->dlogits is zero. backward: adds the gradient of what then stands in
 * job->dlogits; `loss`, `n_right`: for progress, of that batch. */
int ob_job_forward(struct ob_job *job, const struct ob_batch *b, struct ob_err *err);
void ob_job_backward(struct ob_job *job, const struct ob_batch *b, double loss, int n_right);

/* job_teacher.c, for methods with OB_NEED_TEACHER. Logits of a frozen model on a batch, eval mode:
 * b->n x n_classes floats, valid until the next call. */
int ob_job_teach(const float **logits, struct ob_job *job, const struct ob_model *teacher,
                 const struct ob_batch *b, struct ob_err *err);
/* Room for the target of example i of a batch: n_classes probabilities. */
float *ob_job_target(struct ob_job *job, int i);
void ob_job_target_softmax(struct ob_job *job, int i, const float *logits);
/* As ob_job_add_ce_grad() for scale * mean over the batch of -sum_c target_c log p_c(student); its
 * gradient is that of KL(target || student) as well. Reported is the cross entropy of the labels. */
int ob_job_add_target_grad(struct ob_job *job, const struct ob_batch *b, float scale,
                           struct ob_err *err);
/* The model's network with fresh weights: a teacher that knows nothing. The caller's. */
int ob_job_fresh_model(struct ob_model **out, const struct ob_job *job, struct ob_err *err);

/* job_images.c, for methods with OB_NEED_IMAGES. The gradient of the mean CE of n images with respect
 * to their pixels (0..1, before normalisation), at `at`; valid until the next call. Spoils what
 * ob_job_zero_grad() zeroes. */
int ob_job_image_gradient(const float **dx, struct ob_job *job, const struct ob_model *at,
                          const float *x, const int32_t *y, int n, enum ob_mode mode,
                          struct ob_err *err);
/* What the network normalises by: pixel = mean + std * normalised, one of each a channel. */
struct ob_channels {
    const float *mean, *std;
};
void ob_job_channels(struct ob_channels *out, const struct ob_model *m);
/* The batch with x' = round(255 clip(x + step sign(dCE/dx), 0, 1)) / 255 at `at` in eval mode (fast
 * gradient sign method, Goodfellow et al. 2015, eq. 1), labels as they were. Valid until the next call. */
int ob_job_push_images(struct ob_batch *out, struct ob_job *job, const struct ob_model *at,
                       const struct ob_batch *b, double step, struct ob_err *err);

/* job_classes.c. Whether the forget set has an example of a class; the first example of the retain set
 * whose class it has, or NULL; and whether there is none: whole classes are forgotten. Of an unopened
 * job too. */
bool ob_job_forgets_class(const struct ob_job *job, int32_t class);
const uint32_t *ob_job_kept_of_class(const struct ob_job *job);
bool ob_job_whole_classes(const struct ob_job *job);
/* With OB_EXTRA_CLASS: what the class more is computed with, for begin() to write to. */
struct ob_extra_row {
    float *weight, *bias; /* n of them; one, or NULL */
    size_t n;
};
void ob_job_extra_row(struct ob_job *job, struct ob_extra_row *out);

void ob_job_add_l1_grad(struct ob_job *job, float alpha); /* alpha * sign(params) */
/* Of weight * |params - from|^2. */
void ob_job_add_distance_grad(struct ob_job *job, const float *from, float weight);
int ob_job_step(struct ob_job *job, struct ob_err *err); /* optimiser, schedule, stop flag */
/* The same at the same place of the schedule: a second step of one iteration. */
int ob_job_step_beside(struct ob_job *job, struct ob_err *err);
/* From here on the mask holds gradients back, but neither weight decay nor momentum. */
void ob_job_mask_gradients(struct ob_job *job);
/* From here on the mask stays: no backward pass through the layers before the first that moves. */
void ob_job_freeze(struct ob_job *job);
/* What the method has to say of its run, a JSON object; stands in the step's result. Too long a text
 * (OB_REPORT_ROOM) is left out. */
void ob_job_report(struct ob_job *job, const char *json);
/* The largest batch that can come: executables, labels and moved images are made for it. */
int ob_job_most_examples(const struct ob_job *job);
/* A step of another optimiser with its own rate, outside the schedule. */
int ob_job_step_by(struct ob_job *job, struct ob_optim *o, double lr, struct ob_err *err);
/* A loader of the method's own, to be started and freed; `own` 0, 1, ...: they shuffle apart. */
int ob_job_loader(struct ob_loader **out, const struct ob_job *job, const struct ob_ids *ids,
                  int shuffle, uint32_t own, struct ob_err *err);
/* `n` of the retain set by lot (all, where there are fewer); the caller's. */
int ob_job_choose_retain(struct ob_ids **out, const struct ob_job *job, size_t n,
                         struct ob_err *err);
/* How many of the retain set bear each label: n_classes numbers. */
void ob_job_count_classes(size_t *count, const struct ob_job *job);
/* One pass of CE over the retain set: the epoch() of methods that repair by it. */
int ob_job_epoch_retain(void *state, struct ob_job *job, int e, struct ob_err *err);
int ob_job_n_classes(const struct ob_job *job);
/* In begin(): from here on the retain set is floor(share |R|) of its examples, drawn once. At least
 * one stays. */
int ob_job_draw_retain(struct ob_job *job, double share, struct ob_err *err);
/* In begin(): from here on the retain set is `ids`, which are copied. */
int ob_job_use_retain(struct ob_job *job, const struct ob_ids *ids, struct ob_err *err);
/* Another pass over the retain set within the epoch, in an order of its own. */
void ob_job_again_retain(struct ob_job *job);
void ob_job_reset_optimizer(struct ob_job *job); /* as if no step had been taken */
/* Batches in one pass over the set, for methods that say how many steps they take. */
size_t ob_job_n_retain_batches(const struct ob_job *job);
size_t ob_job_n_forget_batches(const struct ob_job *job);
size_t ob_job_n_both_batches(const struct ob_job *job);
/* In begin(): total for the schedule. Until then: one pass an epoch over what the method reads,
 * both sets together if both. */
void ob_job_set_n_steps(struct ob_job *job, int64_t n);
/* The labels of a batch, those of forget examples drawn anew for this epoch, uniform over all
 * classes, or over all but the true one; valid until the next call. */
enum ob_draw { OB_DRAW_ANY, OB_DRAW_WRONG };
const int32_t *ob_job_random_labels(struct ob_job *job, const struct ob_batch *b,
                                    enum ob_draw from);
#define OB_DRAW_OPTION(type_of_state, field)                                                       \
    {                                                                                              \
        .name = "labels", .help = "random labels are any class, or any but the true one",          \
        .type = OB_OPT_CHOICE, .offset = offsetof(type_of_state, field), .def = OB_DRAW_ANY,       \
        .choices = "any,wrong"                                                                     \
    }
/* For check(): OB_EINVAL where no wrong class is left to draw. */
int ob_job_check_draw(enum ob_draw from, const struct ob_model *m, struct ob_err *err);
/* Share of `ids`, of the training file, that `m` answers as labelled, eval mode. */
int ob_job_accuracy(double *share, struct ob_job *job, const struct ob_model *m,
                    const struct ob_ids *ids, struct ob_err *err);
/* Mean gradient of the cross entropy over the whole forget set at `at`, eval mode, without
 * moving anything; `out` has n_params floats and is overwritten. */
int ob_job_forget_gradient(struct ob_job *job, const struct ob_model *at, float *out,
                           struct ob_err *err);
/* The sum of the mean gradients of -CE of the forget set's batches, eval mode, at a copy of `at` that
 * takes a step of sgd along each of them. */
int ob_job_ascent_gradient(struct ob_job *job, const struct ob_model *at, double lr, float *out,
                           struct ob_err *err);

/* ---- job_cost.c: what a step will take, of an unopened job ---- */

size_t ob_job_batches(const struct ob_job *job, const struct ob_ids *ids); /* in one pass */
/* For .cost: the epochs are passes over the retain set, the forget set, both. */
void ob_job_cost_retain(const void *state, const struct ob_job *job, struct ob_cost *out);
void ob_job_cost_forget(const void *state, const struct ob_job *job, struct ob_cost *out);
void ob_job_cost_both(const void *state, const struct ob_job *job, struct ob_cost *out);
/* Images of the first n_batches batches that go round and round within one epoch. */
uint64_t ob_job_round_images(const struct ob_job *job, const struct ob_ids *ids, size_t n_batches);

/* ---- job_noise.c ---- */

/* x_i += sigma N(0, 1), n floats; each `draw` of a step is another one. */
void ob_job_add_noise(const struct ob_job *job, float *x, size_t n, uint32_t draw, double sigma);

/* ---- job_average.c: to = (a + b) / 2, parameters and buffers; counts stay. Touches `to`. ---- */
void ob_job_average(const struct ob_job *job, struct ob_model *to, const struct ob_model *a,
                    const struct ob_model *b);

/* ---- job_clip.c: x = x min(1, most / |x|), n floats. Returns |x| as it was. ---- */
double ob_job_clip(const struct ob_job *job, float *x, size_t n, double most);

/* ---- job_batchnorm.c ---- */

bool ob_job_has_batchnorm(const struct ob_model *m);
/* Forgets all running statistics and puts means over the retain set's batches in their place, from
 * one pass that moves no weight; needs the job's executable. Without batch-norm nothing happens. */
int ob_job_estimate_batchnorm(struct ob_job *job, struct ob_err *err);

/* ---- job_note.c: a line of what was found out or assumed, told with the result ---- */
void ob_job_note(struct ob_job *job, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
