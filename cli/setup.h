/* setup.h - what most commands begin with: a data set, a model, the split that binds them. */
#ifndef OUBLI_SETUP_H
#define OUBLI_SETUP_H

#include "cmd.h"

/* Options that say which data and which model, as the command line gave them. */
struct inputs_opts {
    const char *data, *model, *arch, *normalize, *embedding, *aggregate;
    double val;
    uint32_t split_seed;
    int any_data;
};
#define INPUTS_OPTS_INIT                                                                           \
    {                                                                                              \
        .split_seed = 1                                                                            \
    }
#define INPUTS_OPTIONS(o)                                                                          \
    { "data", 'd', OPT_TEXT, &(o)->data, "the data set: idx:DIR, cifar10:DIR, images:DIR, ...",    \
      "SPEC" },                                                                                    \
        { "model", 'm', OPT_TEXT, &(o)->model, "the model", "FILE" },                              \
        { "arch", 'a', OPT_TEXT, &(o)->arch, "network of a model that does not say it itself",     \
          "NAME" },                                                                                \
        { "normalize",                                                                             \
          0,                                                                                       \
          OPT_TEXT,                                                                                \
          &(o)->normalize,                                                                         \
          "normalisation of a model that has none: cifar10, none, ... or M1,M2,M3/S1,S2,S3",       \
          "WHAT" },                                                                                \
        { "val",                                                                                   \
          0,                                                                                       \
          OPT_FLOAT,                                                                               \
          &(o)->val,                                                                               \
          "validation share, for a model that records no split (default 0)",                       \
          "F" },                                                                                   \
    {                                                                                              \
        "split-seed", 0, OPT_SEED32, &(o)->split_seed, "and its seed (default 1)", "N"             \
    }
#define AGGREGATE_OPTION(o)                                                                        \
    {                                                                                              \
        "aggregate", 0, OPT_TEXT, &(o)->aggregate,                                                 \
            "how a folder of shards answers: vote (default), or mean of their probabilities",      \
            "HOW"                                                                                  \
    }
#define ANY_DATA_OPTION(o)                                                                         \
    {                                                                                              \
        "any-data", 0, OPT_FLAG, &(o)->any_data, "take data that the model was not trained on",    \
            NULL                                                                                   \
    }

/* For commands that look at embeddings. */
#define EMBEDDING_OPTION(o)                                                                        \
    {                                                                                              \
        "embedding", 0, OPT_TEXT, &(o)->embedding,                                                 \
            "pooled (default): what the classifier reads; or hidden: what its last layer reads "   \
            "(vgg16: 2048 or 256 numbers)",                                                        \
            "LAYER"                                                                                \
    }

/* A recipe as the command line changes it. */
struct recipe_opts {
    struct ob_recipe given; /* where cmd_given() says so */
    const char *schedule, *augment, *optimizer;
};
#define RECIPE_OPTIONS(o)                                                                          \
    { "epochs", 0, OPT_INT, &(o)->given.epochs, "passes (default: the paper's, else 30)", "N" },   \
        { "lr", 0, OPT_FLOAT, &(o)->given.lr, "learning rate (default 0.1)", "X" },                \
        { "batch", 0, OPT_INT, &(o)->given.batch, "examples in a batch (default 256)", "N" },      \
        { "sub-batch",                                                                             \
          0,                                                                                       \
          OPT_INT,                                                                                 \
          &(o)->given.sub_batch,                                                                   \
          "examples that batch-norm normalises together (default: the whole batch)",               \
          "N" },                                                                                   \
        { "momentum", 0, OPT_FLOAT, &(o)->given.momentum, "momentum of SGD (default 0.9)", "X" },  \
        { "weight-decay",                                                                          \
          0,                                                                                       \
          OPT_FLOAT,                                                                               \
          &(o)->given.weight_decay,                                                                \
          "coupled weight decay (default 5e-4)",                                                   \
          "X" },                                                                                   \
        { "schedule",                                                                              \
          0,                                                                                       \
          OPT_TEXT,                                                                                \
          &(o)->schedule,                                                                          \
          "cosine, constant, or step:60,120,x0.2 (default: the paper's, else cosine)",             \
          "S" },                                                                                   \
        { "augment",                                                                               \
          0,                                                                                       \
          OPT_TEXT,                                                                                \
          &(o)->augment,                                                                           \
          "none or crop-flip (default: the paper's, else none)",                                   \
          "A" },                                                                                   \
    {                                                                                              \
        "optimizer", 0, OPT_TEXT, &(o)->optimizer, "sgd (default), adam or adamw", "O"             \
    }
/* The recipe of data set and architecture, changed as asked for. */
int recipe_take(struct cmd *c, struct ob_recipe *out, const struct recipe_opts *o,
                const struct ob_data *d, const char *arch);

enum other_data { OTHER_DATA_REFUSED, OTHER_DATA_WARNED };

struct inputs {
    struct ob_data *data;
    struct ob_model *model; /* NULL where no model was asked for */
    struct ob_split *split;
};
/* Needs c->ctx. A spec without train= takes the subset that the model was trained on; one that
 * contradicts it is OB_EFORMAT, and so are other data unless they are allowed or only warned of. */
int inputs_open(struct cmd *c, struct inputs *in, const struct inputs_opts *o,
                enum other_data other);
void inputs_release(struct inputs *in);

/* A retrained model to compare with: same shape, same split. */
int reference_open(struct cmd *c, struct ob_model **out, const char *path, const struct inputs *in,
                   const struct inputs_opts *o);
/* A set of ids that lies inside the training part and leaves something of it. */
int forget_open(struct cmd *c, struct ob_ids **out, const char *path, const struct ob_data *d,
                const struct ob_split *split);

/* A digest of a set of ids, for metadata and comments; "" for NULL. */
const char *ids_digest(struct cmd *c, const struct ob_ids *ids);

#endif
