/*
 * eu_k.c - EU-k: make the last k stages or layers anew and train them on the retain set.
 *
 *     theta_last <- fresh weights;   loss = CE(retain batch) over theta_last, all else is frozen
 *
 * By `reinit=kaiming` a stage gets what DeepUnlearn gives it (convolutions Kaiming uniform of the
 * fan-out, linear layers Xavier uniform, biases 0, batch-norm 1 and 0), a layer what Goel et al.
 * give it (Kaiming normal of the fan-in, bias 0; batch-norm stays). By `reinit=initial` both get
 * back what they were before the model's training, which its seed tells. Batch-norm statistics stay.
 */
#include <errno.h>
#include <stdlib.h>

#include "unlearn/job.h"
#include "unlearn/layers.h"

enum { KAIMING, INITIAL };

struct eu_k {
    struct ob_last last;
    int bn, reinit;
};

static const struct ob_option options[] = { OB_LAST_OPTIONS(struct eu_k),
                                            { .name = "reinit",
                                              .help = "fresh weights, or those before the training",
                                              .type = OB_OPT_CHOICE,
                                              .offset = offsetof(struct eu_k, reinit),
                                              .choices = "kaiming,initial" },
                                            { 0 } };
static const struct ob_option common[] = { OB_COMMON_OF(10, "10 to 50", 0.01, "1e-4 to 0.1", 256, 0,
                                                        0, OB_CONSTANT, OB_COMMON_SGD) };

/* The seed that the model's training started from. */
static int initial_seed(uint64_t *seed, const struct ob_model *m, struct ob_err *err)
{
    const char *text = ob_model_meta(m, "seed");
    char *end;

    if (!text)
        return ob_fail(err, OB_EINVAL,
                       "reinit=initial: the model does not say the seed of its training; use "
                       "reinit=kaiming");
    if (ob_model_meta(m, "parent"))
        return ob_fail(err, OB_EINVAL,
                       "reinit=initial: the model came from another one, whose first weights are "
                       "not known; use reinit=kaiming");
    errno = 0;
    *seed = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        return ob_fail(err, OB_EFORMAT, "the model's seed '%s' is not a whole number from 0", text);
    return OB_OK;
}

static int check(const void *state, const struct ob_model *m, struct ob_err *err)
{
    const struct eu_k *s = state;
    uint64_t seed;

    OB_TRY(ob_last_check(&s->last, m->net, err));
    return s->reinit == INITIAL ? initial_seed(&seed, m, err) : OB_OK;
}

static void renew(const struct eu_k *s, struct ob_model *m, int at, uint64_t seed)
{
    bool norm = m->net->node[at].op == OB_OP_BATCHNORM, stage = s->last.unit == OB_LAST_STAGE;

    if (norm && !stage)
        return;
    if (s->reinit == INITIAL)
        ob_layer_reset(m, at, seed);
    else
        ob_layer_redraw(m, at, stage ? OB_REDRAW_UNIFORM : OB_REDRAW_NORMAL, seed, 0);
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct eu_k *s = state;
    const struct ob_net *n = job->model->net;
    uint64_t seed = job->seed;

    if (s->reinit == INITIAL)
        OB_TRY(initial_seed(&seed, job->model, err));
    for (int at = -1; (at = ob_layer_next(n, at, ~0u)) >= 0;)
        if (ob_last_has(&s->last, n, at))
            renew(s, job->model, at, seed);
    ob_last_mask(job->mask, &s->last, n);
    ob_job_freeze(job);
    job->mode = s->bn ? OB_MODE_EVAL : OB_MODE_TRAIN;
    return OB_OK;
}

const struct ob_method ob_method_eu_k = {
    .name = "eu-k",
    .title = "EU-k, exact unlearning of the last k",
    .cite = "Goel et al. 2022",
    .formula = "theta_last <- fresh weights in the last k stages or layers (as in cf-k)\n"
               "then loss = CE(retain batch) over theta_last alone\n"
               "reinit=kaiming, unit=stage: convolutions U(+-sqrt(6 / fan-out)), linear layers "
               "U(+-sqrt(6 / (fan-in + fan-out))),\n"
               "                            biases 0, batch-norm 1 and 0\n"
               "reinit=kaiming, unit=layer: N(0, 2 / fan-in), biases 0, batch-norm as it is\n"
               "reinit=initial: as before the model's training, by its seed\n"
               "running statistics of batch-norm stay",
    .differs =
        "unit=stage is the rule of DeepUnlearn (Cadet et al. 2024), without its pull towards "
        "the start and\n"
        "its schedule, and images are not changed unless augment=crop-flip; unit=layer is "
        "Goel et al.'s;\n"
        "unit=stage:reinit=initial:include-fc=no that of Kurmanji et al. 2023, who train for "
        "25 to 50 epochs\n"
        "in batches of 64 at a rate that falls after 10, 15 and 20 (not built), and of the "
        "shortcut's two\n"
        "layers perhaps leave batch-norm as it is.\n"
        "DeepUnlearn's tenfold number of epochs is a setting that no code of theirs reads.",
    .needs = OB_NEED_RETAIN | OB_NEED_MASK | OB_ONE_SHOT,
    .needs_if = "convolutions (unit=stage or include-fc=no), the training's seed (reinit=initial)",
    .state_size = sizeof(struct eu_k),
    .options = options,
    .common = common,
    .check = check,
    .cost = ob_job_cost_retain,
    .begin = begin,
    .epoch = ob_job_epoch_retain,
};
