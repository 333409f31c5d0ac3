/*
 * checkpoint.h - the state of a training between two batches, in one file.
 *
 * An .npz: settings (text as bytes; see train.c), params, buffers, counts, m, v (optimiser),
 * state (int64: epochs done, batches done of the next one, right answers in those, optimiser
 * steps, images), running (float64: loss and accuracy of the last epoch, sum of losses in this
 * one), and with events their five sums as float64. Written whole or not at all.
 */
#ifndef OB_RUN_CHECKPOINT_H
#define OB_RUN_CHECKPOINT_H

#include "run/train.h"

struct ob_checkpoint {    /* what is saved and restored; all borrowed */
    const char *settings; /* canonical JSON */
    struct ob_model *model;
    struct ob_optim *optim;
    struct ob_events *events; /* or NULL */
    struct ob_cost *cost;
    int n_epochs;     /* of the whole training; a checkpoint beyond them is damaged */
    size_t n_batches; /* of an epoch, likewise */
    int epoch;        /* epochs done */
    size_t batch;     /* batches done of the next epoch */
    size_t n_right;   /* right answers, and sum of losses, in those */
    double loss_sum;
};
int ob_checkpoint_write(const struct ob_checkpoint *c, const char *path, struct ob_err *err);
/* OB_ENOTFOUND: no such file. OB_EFORMAT: damaged, or made with other settings (names which).
 * On failure nothing that `c` points to was changed. */
int ob_checkpoint_read(struct ob_checkpoint *c, const char *path, struct ob_err *err);

#endif
