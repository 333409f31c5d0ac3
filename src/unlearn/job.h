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

#include "backend/backend.h"
#include "data/data.h"
#include "run/train.h"
#include "unlearn/method.h"

/* The settings that every iterative method has (one table, in job.c). */
struct ob_common {
    int epochs, batch;
    double lr, momentum, weight_decay;
    int augment, schedule, optimizer; /* index into the choices */
};

struct ob_job {
    struct ob_ctx *ctx;
    struct ob_model *model;
    const struct ob_model *teacher, *first; /* NULL unless asked for */
    const struct ob_data *data;
    const struct ob_split *split;
    const struct ob_ids *forget, *retain;
    struct ob_common common;
    const char *own_settings; /* as given, for methods that pass them on (retrain) */
    uint64_t seed;            /* of this step */
    uint8_t *mask;            /* OB_NEED_MASK; n_params bytes */
    struct ob_cost cost;
    struct ob_progress progress;

    /* private to job.c */
    struct ob_exec *exec, *teacher_exec;
    struct ob_loader *retain_loader, *forget_loader, *both_loader;
    struct ob_ids *both;
    struct ob_optim optim;
    struct ob_schedule schedule;
    float *grads, *dlogits, *teacher_logits;
    int32_t *labels;
    int64_t step, n_steps; /* for the schedule: batches of this run */
    int epoch;
    double loss_sum;
    uint64_t n_seen, n_right;
};

bool ob_job_next_retain(struct ob_job *job, struct ob_batch *b);
bool ob_job_next_forget_once(struct ob_job *job, struct ob_batch *b);
void ob_job_next_forget(struct ob_job *job, struct ob_batch *b);
/* Forget and retain set together, shuffled as one. */
bool ob_job_next_both(struct ob_job *job, struct ob_batch *b);

void ob_job_zero_grad(struct ob_job *job);
/* Forward in train mode; adds the gradient of scale * CE. `y` NULL: the batch's labels. */
int ob_job_add_ce_grad(struct ob_job *job, const struct ob_batch *b, const int32_t *y, float scale,
                       struct ob_err *err);
/* As above for ce * CE + kl * KL_T(teacher || student), from one forward pass of each. */
int ob_job_add_kl_grad(struct ob_job *job, const struct ob_batch *b, float ce, float kl,
                       float temperature, struct ob_err *err);
void ob_job_add_l1_grad(struct ob_job *job, float alpha); /* alpha * sign(params) */
int ob_job_step(struct ob_job *job, struct ob_err *err);  /* optimiser, schedule, stop flag */
int ob_job_n_classes(const struct ob_job *job);
/* Batches in one pass over the set, for methods that say how many steps they take. */
size_t ob_job_n_retain_batches(const struct ob_job *job);
size_t ob_job_n_forget_batches(const struct ob_job *job);
void ob_job_set_n_steps(struct ob_job *job, int64_t n); /* in begin(): total for the schedule */
/* Mean gradient of the cross entropy over the whole forget set at `at`, eval mode, without
 * moving anything; `out` has n_params floats and is overwritten. */
int ob_job_forget_gradient(struct ob_job *job, const struct ob_model *at, float *out,
                           struct ob_err *err);

#endif
