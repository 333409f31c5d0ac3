/*
 * layers.h - the layers of any network by what they are: convolutions, linear layers, batch-norms.
 *
 * A layer is a node of the network that has parameters; the numbers of nodes go in the order of
 * PyTorch's registration. The first layer is the first convolution (the stem of a residual
 * network), in a network without convolutions the first linear layer; the classifier is the last
 * linear layer.
 */
#ifndef OB_UNLEARN_LAYERS_H
#define OB_UNLEARN_LAYERS_H

#include <stdbool.h>

#include "nn/model.h"

enum ob_layer { OB_LAYER_CONV = 1, OB_LAYER_LINEAR = 2, OB_LAYER_NORM = 4 };

/* The next layer of these kinds (bits) after node `at`, or -1; at = -1: the first. */
int ob_layer_next(const struct ob_net *n, int at, unsigned kinds);
int ob_layer_first(const struct ob_net *n);
int ob_layer_classifier(const struct ob_net *n);
/* The batch-norm that reads node `at`, or -1. */
int ob_layer_norm_after(const struct ob_net *n, int at);
/* OB_EINVAL: `what` ("'ct'") cannot work on a network without convolutions. */
int ob_layer_check_conv(const struct ob_net *n, const char *what, struct ob_err *err);

/*
 * Stages, counted from 1: of a residual network its layer1, layer2, ..., which leaves the stem out;
 * of any other the convolutions and batch-norms between two max-pools. 0: in no stage; linear
 * layers never are.
 */
int ob_layer_stage(const struct ob_net *n, int at);
int ob_layer_n_stages(const struct ob_net *n);

/* The last k stages, or the last k convolutions and linear layers with the batch-norms among them,
 * as a setting of a method. `include_fc`: linear layers count and belong to them; in stages all
 * of them do. */
enum ob_last_unit { OB_LAST_STAGE, OB_LAST_LAYER };
struct ob_last {
    int unit, k, include_fc;
};
/* The rows of such a method, whose state has `struct ob_last last` and `int bn`. */
#define OB_LAST_OPTIONS(state)                                                                     \
    { .name = "k",                                                                                 \
      .help = "how many of the last train",                                                        \
      .type = OB_OPT_INT,                                                                          \
      .offset = offsetof(state, last.k),                                                           \
      .def = 1,                                                                                    \
      .min = 1,                                                                                    \
      .max = 1000 },                                                                               \
        { .name = "unit",                                                                          \
          .help = "what is counted",                                                               \
          .type = OB_OPT_CHOICE,                                                                   \
          .offset = offsetof(state, last.unit),                                                    \
          .choices = "stage,layer" },                                                              \
        { .name = "include-fc",                                                                    \
          .help = "whether linear layers count and train",                                         \
          .type = OB_OPT_CHOICE,                                                                   \
          .offset = offsetof(state, last.include_fc),                                              \
          .choices = "no,yes",                                                                     \
          .def = 1 },                                                                              \
    {                                                                                              \
        .name = "bn", .help = "statistics of batch-norm: the batch's, or the running ones",        \
        .type = OB_OPT_CHOICE, .offset = offsetof(state, bn), .choices = "train,eval"              \
    }
bool ob_last_has(const struct ob_last *l, const struct ob_net *n, int at);
/* OB_EINVAL: there is nothing of the kind in this network. */
int ob_last_check(const struct ob_last *l, const struct ob_net *n, struct ob_err *err);
/* One byte per parameter: 1 in the layers of `l`. */
void ob_last_mask(uint8_t *mask, const struct ob_last *l, const struct ob_net *n);

/* ---- new values; `round` and the view name the stream of random numbers ---- */

enum ob_redraw {
    OB_REDRAW_DEFAULT, /* PyTorch's of a fresh layer: weight and bias U(-b, b), b = 1 / sqrt(fan_in) */
    OB_REDRAW_NORMAL, /* weight N(0, 2 / fan_in), bias 0 (Kaiming normal) */
    OB_REDRAW_UNIFORM /* convolution U(-b, b), b = sqrt(6 / fan_out) (Kaiming uniform), linear
                          b = sqrt(6 / (fan_in + fan_out)) (Xavier uniform), bias 0 */
};
int64_t ob_layer_fan_in(const struct ob_net *n, int at);
int64_t ob_layer_fan_out(const struct ob_net *n, int at);
/* A convolution or linear layer by the rule; a batch-norm: scale 1, shift 0, statistics stay. */
void ob_layer_redraw(struct ob_model *m, int at, enum ob_redraw rule, uint64_t seed,
                     uint32_t round);
/* Its weights as they were before the training that the model's seed belongs to. */
void ob_layer_reset(struct ob_model *m, int at, uint64_t seed);
/* Adds deviation * N(0, 1) to every element of a parameter. */
void ob_layer_add_noise(struct ob_model *m, int view, double deviation, uint64_t seed,
                        uint32_t round);

/* A parameter of the model; *size (may be NULL): its elements. */
float *ob_layer_values(struct ob_model *m, int view, size_t *size);

#endif
