/*
 * rni.c - RNI: a new classifier, rounds in which a few tensors train and get noise, then all of them.
 *
 *     classifier <- PyTorch's default of a fresh layer
 *     epoch e < rounds: `tensors` of the set A by lot train, and all of B; the others are frozen
 *         from e = 1 on, floor(noise-share tensors) of those by lot: every one that did not train in
 *         an earlier epoch += noise N(0, 1)
 *     epoch e >= rounds: all train; from the fourth on the rate is 5 times as large
 *     loss = CE(retain batch), a new optimiser in each epoch
 *
 * B are the parameters whose name has "bn" in it, where no name has, those of batch-norm; A is the
 * rest. In resnet18 and resnet50 the batch-norm of a shortcut, downsample.1, is therefore in A.
 */
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "unlearn/job.h"
#include "unlearn/layers.h"

#define LATE 3 /* so many epochs with all weights have the rate, later ones FASTER times it */
#define FASTER 5

struct rni {
    int rounds, tensors;
    double noise, noise_share;
    uint32_t *set; /* views of A, shuffled anew in each round */
    size_t n_set;
    uint8_t *trained; /* by view: in an earlier round */
};

static const struct ob_option options[] = { { .name = "rounds",
                                              .help = "epochs in which a few tensors train",
                                              .type = OB_OPT_INT,
                                              .offset = offsetof(struct rni, rounds),
                                              .def = 5,
                                              .max = 100000,
                                              .range = "5" },
                                            { .name = "tensors",
                                              .help = "how many (all, where there are fewer)",
                                              .type = OB_OPT_INT,
                                              .offset = offsetof(struct rni, tensors),
                                              .def = 9,
                                              .min = 1,
                                              .max = 100000,
                                              .range = "9" },
                                            { .name = "noise",
                                              .help = "deviation of the noise on them",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct rni, noise),
                                              .def = 0.04,
                                              .max = 1000,
                                              .range = "0.04" },
                                            { .name = "noise-share",
                                              .help = "share of them that may get it",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct rni, noise_share),
                                              .def = 0.7,
                                              .max = 1,
                                              .range = "0.7" },
                                            { 0 } };
static const struct ob_option common[] = { OB_COMMON_OF(9, "9", 2e-4, "2e-4", 64, 0.9, 5e-4,
                                                        OB_CONSTANT, OB_COMMON_SGD) };

static bool in_b(const struct ob_net *n, int view, bool by_name)
{
    if (by_name)
        return strstr(n->view[view].name, "bn");
    for (int at = -1; (at = ob_layer_next(n, at, OB_LAYER_NORM)) >= 0;)
        if (n->node[at].weight == view || n->node[at].bias == view)
            return true;
    return false;
}

static void make_set(struct rni *s, const struct ob_net *n)
{
    bool by_name = false;

    for (int i = 0; i < n->n_views; i++)
        by_name = by_name || strstr(n->view[i].name, "bn");
    for (int i = 0; i < n->n_views; i++)
        if (n->view[i].block == OB_PARAM && !in_b(n, i, by_name))
            s->set[s->n_set++] = (uint32_t)i;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct rni *s = state;
    const struct ob_net *n = job->model->net;

    OB_TRY(ob_alloc(s->set, (size_t)n->n_views, err));
    OB_TRY(ob_alloc(s->trained, (size_t)n->n_views, err));
    make_set(s, n);
    ob_layer_redraw(job->model, ob_layer_classifier(n), OB_REDRAW_DEFAULT, job->seed, 0);
    return OB_OK;
}

/* Noise on the first of the `n` drawn ones, in an order of their own. */
static void disturb(const struct rni *s, struct ob_job *job, uint32_t *drawn, size_t n, int e)
{
    struct ob_rng r = ob_rng(job->seed, OB_RNG_CHOOSE, (uint32_t)e, 1);
    size_t k = (size_t)(s->noise_share * (double)n);

    ob_rng_shuffle(&r, drawn, n);
    for (size_t i = 0; i < k; i++)
        if (!s->trained[drawn[i]])
            ob_layer_add_noise(job->model, (int)drawn[i], s->noise, job->seed, (uint32_t)e);
}

static void start_round(struct rni *s, struct ob_job *job, int e)
{
    const struct ob_net *net = job->model->net;
    struct ob_rng r = ob_rng(job->seed, OB_RNG_CHOOSE, (uint32_t)e, 0);
    size_t n = (size_t)s->tensors < s->n_set ? (size_t)s->tensors : s->n_set;

    ob_rng_shuffle(&r, s->set, s->n_set);
    memset(job->mask, 1, net->n_params);
    for (size_t i = n; i < s->n_set; i++)
        memset(job->mask + net->view[s->set[i]].offset, 0, net->view[s->set[i]].size);
    if (e > 0)
        disturb(s, job, s->set, n, e);
    for (size_t i = 0; i < n; i++)
        s->trained[s->set[i]] = 1;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct rni *s = state;

    if (e < s->rounds)
        start_round(s, job, e);
    else
        memset(job->mask, 1, job->model->net->n_params);
    job->lr_factor = e >= s->rounds + LATE ? FASTER : 1;
    ob_job_reset_optimizer(job);
    return ob_job_epoch_retain(state, job, e, err);
}

static void end(void *state, struct ob_job *job)
{
    struct rni *s = state;

    (void)job;
    ob_free(s->set);
    ob_free(s->trained);
    s->set = NULL;
    s->trained = NULL;
}

const struct ob_method ob_method_rni = {
    .name = "rni",
    .title = "RNI, rounds of noise injection",
    .cite = "NeurIPS 2023 unlearning challenge; 7th in the port of Cadet et al. 2024",
    .formula = "classifier <- PyTorch's default of a fresh layer\n"
               "epoch e < rounds: `tensors` of A by lot train, and all of B; the others are "
               "frozen\n"
               "    from e = 1 on floor(noise-share tensors) of them by lot: those that did not "
               "train before += noise N(0, 1)\n"
               "epoch e >= rounds: all train, from the fourth on at 5 lr\n"
               "loss = CE(retain batch), a new optimiser in each epoch\n"
               "B: parameters with \"bn\" in their name (without any: those of batch-norm), A: the "
               "rest",
    .differs = "Known from the port in DeepUnlearn alone. As there, the batch-norm of a shortcut "
               "(downsample.1)\n"
               "counts as A, running statistics of frozen layers move too, and the validation pass "
               "of each epoch,\n"
               "which has no effect, is left out. The forget set is not read.",
    .needs = OB_NEED_RETAIN | OB_NEED_MASK | OB_ONE_SHOT,
    .state_size = sizeof(struct rni),
    .options = options,
    .common = common,
    .cost = ob_job_cost_retain,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
