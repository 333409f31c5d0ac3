/*
 * retrain.c - train from scratch on the retain set: exact unlearning, and the price to beat.
 *
 * Recipe, seed, split and normalisation are the model's own, so that the weights are those of
 * training without the forget set from the start; settings override.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unlearn/job.h"
#include "unlearn/settings.h"

struct retrain {
    int epochs, batch;
    int augment, optimizer; /* numbers in the lists below; -1: the model's */
    double lr, momentum, weight_decay;
    char schedule[OB_TEXT_ROOM], seed[OB_TEXT_ROOM];
};

static const char *const augments[] = { "none", "crop-flip" };
static const char *const optimizers[] = { "sgd", "adam", "adamw" };

#define OPTION(field, text, kind, ...)                                                             \
    {                                                                                              \
        .type = kind, .offset = offsetof(struct retrain, field), .help = text, .def = NAN,         \
        __VA_ARGS__                                                                                \
    }
/* The defaults are what the model's own training had. */
static const struct ob_option options[] = {
    OPTION(epochs, "passes", OB_OPT_INT, .name = "epochs", .max = 100000),
    OPTION(lr, "learning rate", OB_OPT_FLOAT, .name = "lr", .min = 1e-12, .max = 1e6),
    OPTION(batch, "examples of a batch", OB_OPT_INT, .name = "batch", .min = 1, .max = 65536),
    OPTION(momentum, "momentum of sgd", OB_OPT_FLOAT, .name = "momentum", .max = 0.999999,
           .when = "optimizer=sgd"),
    OPTION(weight_decay, "pull towards 0", OB_OPT_FLOAT, .name = "weight-decay", .max = 1000),
    OPTION(augment, "changes of the images", OB_OPT_CHOICE, .name = "augment",
           .choices = "none,crop-flip"),
    OPTION(
        schedule, "learning rate over the epochs; step: times the factor at each of these epochs",
        OB_OPT_TEXT, .name = "schedule", .format = "constant, linear, cosine, or step:60,120,x0.2"),
    OPTION(optimizer, "how weights follow gradients", OB_OPT_CHOICE, .name = "optimizer",
           .choices = "sgd,adam,adamw"),
    OPTION(seed, "of weights and order", OB_OPT_TEXT, .name = "seed",
           .format = "a whole number from 0"),
    { 0 }
};

/* The model's recipe; where it has none, the default recipe with the epochs and lr of `s`. */
static int recipe_of(struct ob_recipe *r, const struct retrain *s, const struct ob_model *m,
                     struct ob_err *err)
{
    struct ob_err own = { 0 };
    int rc = ob_recipe_of_model(r, m, &own);

    if (rc && rc != OB_ENOTFOUND)
        return ob_fail(err, rc, "%s", own.msg);
    if (rc && (s->epochs < 0 || isnan(s->lr)))
        return ob_fail(err, OB_EINVAL,
                       "the model does not say how it was trained: 'retrain' needs epochs and lr");
    if (rc)
        ob_recipe_default(r, NULL, ob_model_arch(m));
    return OB_OK;
}

static void take_text(char *to, size_t room, const char *from)
{
    if (*from)
        snprintf(to, room, "%s", from);
}

static int resolve(struct ob_recipe *r, const struct retrain *s, const struct ob_model *m,
                   struct ob_err *err)
{
    OB_TRY(recipe_of(r, s, m, err));
    r->epochs = s->epochs < 0 ? r->epochs : s->epochs;
    r->batch = s->batch < 0 ? r->batch : s->batch;
    r->lr = isnan(s->lr) ? r->lr : s->lr;
    r->momentum = isnan(s->momentum) ? r->momentum : s->momentum;
    r->weight_decay = isnan(s->weight_decay) ? r->weight_decay : s->weight_decay;
    take_text(r->schedule, sizeof(r->schedule), s->schedule);
    take_text(r->augment, sizeof(r->augment), s->augment < 0 ? "" : augments[s->augment]);
    take_text(r->optimizer, sizeof(r->optimizer), s->optimizer < 0 ? "" : optimizers[s->optimizer]);
    return ob_recipe_check(r, err);
}

/* False: `text` is not a seed. */
static bool parse_seed(uint64_t *seed, const char *text)
{
    char *end;

    errno = 0;
    *seed = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno;
}

static int check(const void *state, const struct ob_model *m, struct ob_err *err)
{
    const struct retrain *s = state;
    struct ob_recipe r;
    uint64_t seed;

    if (*s->seed && !parse_seed(&seed, s->seed))
        return ob_fail(err, OB_EINVAL, "seed is '%s', not a whole number from 0", s->seed);
    return resolve(&r, s, m, err);
}

static int batch(const void *state, const struct ob_model *m)
{
    struct ob_recipe r;

    return resolve(&r, state, m, NULL) ? 1 : r.batch; /* check() says what is wrong */
}

/* -1: not in the list. */
static int number_of(const char *word, const char *const *list, int n)
{
    while (--n >= 0 && strcmp(list[n], word))
        ;
    return n;
}

/* Puts what the model says into the settings, where it is reported from. */
static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct retrain *s = state;
    const char *own = ob_model_meta(job->model, "seed");
    struct ob_recipe r;

    OB_TRY(resolve(&r, s, job->model, err));
    s->epochs = r.epochs;
    s->batch = r.batch;
    s->lr = r.lr;
    s->momentum = r.momentum;
    s->weight_decay = r.weight_decay;
    snprintf(s->schedule, sizeof(s->schedule), "%s", r.schedule);
    s->augment = number_of(r.augment, augments, (int)(sizeof(augments) / sizeof(augments[0])));
    s->optimizer = number_of(r.optimizer, optimizers,
                             (int)(sizeof(optimizers) / sizeof(optimizers[0])));
    if (!*s->seed && own)
        snprintf(s->seed, sizeof(s->seed), "%s", own);
    if (!*s->seed)
        snprintf(s->seed, sizeof(s->seed), "%llu", (unsigned long long)job->seed);
    return OB_OK;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct retrain *s = state;
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;

    (void)e;
    OB_TRY(resolve(&o.recipe, s, job->model, err));
    if (!parse_seed(&o.seed, s->seed))
        return ob_fail(err, OB_EFORMAT, "the model's seed '%s' is not a whole number from 0",
                       s->seed);
    ob_model_init(job->model, o.seed);
    return ob_train(&job->cost, job->model, job->data, job->split, job->retain, &o, err);
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    struct ob_recipe r;

    if (!resolve(&r, state, job->model, NULL))
        out->images = (uint64_t)r.epochs * job->retain->n;
}

const struct ob_method ob_method_retrain = {
    .name = "retrain",
    .title = "retrain from scratch",
    .cite = "Zhao et al. 2024",
    .formula = "theta' = train(retain set) from fresh weights, by the model's own recipe and seed",
    .limits = "It is no cheaper than a training on the retain set.",
    .needs = OB_NEED_RETAIN | OB_FROM_SCRATCH,
    .needs_if = "the model's recipe (unless epochs and lr are given)",
    .state_size = sizeof(struct retrain),
    .options = options,
    .check = check,
    .batch = batch,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
};
