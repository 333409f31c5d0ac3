/*
 * salun.c - SalUn: random labels, but only the weights that matter to the forget set move.
 *
 *     mask = the k = floor(share P + 1/2) largest |d CE(S) / d theta|, ties to the lower index
 *     loss = CE(batch of S and R together; labels of S random); weights outside the mask stay
 *
 * The gradient is that of the mean over the whole forget set, in eval mode, at the step's starting
 * model; measuring it moves nothing. variant=released does what the code of 2024 does instead.
 */
#include <math.h>

#include "base/mem.h"
#include "run/memory.h"
#include "unlearn/job.h"
#include "unlearn/magnitude.h"

enum { MASK_AT_STEP, MASK_AT_ORIGINAL };
enum { VARIANT_PAPER, VARIANT_RELEASED };

struct salun {
    double share, mask_lr;
    int mask_at, labels, variant;
};

static const struct ob_option options[] = { { .name = "share",
                                              .help = "share of the weights that trains",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct salun, share),
                                              .def = 0.5,
                                              .max = 1,
                                              .range = "0.3 to 0.7" },
                                            { .name = "mask-at",
                                              .help = "model that the gradient is measured at",
                                              .type = OB_OPT_CHOICE,
                                              .offset = offsetof(struct salun, mask_at),
                                              .def = MASK_AT_STEP,
                                              .choices = "step,original" },
                                            OB_DRAW_OPTION(struct salun, labels),
                                            { .name = "variant",
                                              .help = "released: the least salient, moving while "
                                                      "measuring, decay for all",
                                              .type = OB_OPT_CHOICE,
                                              .offset = offsetof(struct salun, variant),
                                              .def = VARIANT_PAPER,
                                              .choices = "paper,released" },
                                            { .name = "mask-lr",
                                              .help = "rate of the steps while measuring",
                                              .when = "variant=released",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct salun, mask_lr),
                                              .def = 0.01,
                                              .min = 1e-12,
                                              .max = 1e6,
                                              .range = "0.01" },
                                            { 0 } };
static const struct ob_option common[] = { OB_COMMON(10, "5 to 10", 0.1, "0.005 to 0.1") };

static int check(const void *state, const struct ob_model *m, struct ob_err *err)
{
    const struct salun *s = state;

    return ob_job_check_draw((enum ob_draw)s->labels, m, err);
}

/* The model that moves while it is measured, with its velocity. */
static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    const struct salun *s = state;

    (void)err;
    if (s->variant == VARIANT_RELEASED)
        ob_memory_add_weights(need, job->model->net, 1, 1);
    return OB_OK;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct salun *s = state;
    size_t n = ob_model_n_params(job->model), k = (size_t)floor(s->share * (double)n + 0.5);
    const struct ob_model *at = s->mask_at == MASK_AT_ORIGINAL ? job->first : job->model;
    float *g;
    int rc;

    OB_TRY(ob_block_new(&g, n, err));
    if (s->variant == VARIANT_RELEASED) {
        OB_GO(ob_job_ascent_gradient(job, at, s->mask_lr, g, err));
        OB_GO(ob_magnitude_mark(job->mask, g, n, k, OB_SMALLEST, err));
        ob_job_mask_gradients(job);
    } else {
        OB_GO(ob_job_forget_gradient(job, at, g, err));
        OB_GO(ob_magnitude_mark(job->mask, g, n, k, OB_LARGEST, err));
    }
out:
    ob_free(g);
    return rc;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    enum ob_draw from = (enum ob_draw)((const struct salun *)state)->labels;
    struct ob_batch b;

    (void)e;
    while (ob_job_next_both(job, &b)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &b, ob_job_random_labels(job, &b, from), 1.0f, err));
        OB_TRY(ob_job_step(job, err)); /* which keeps to the mask */
    }
    return OB_OK;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    ob_job_cost_both(state, job, out);
    out->images += job->forget->n; /* for the mask */
}

const struct ob_method ob_method_salun = {
    .name = "salun",
    .title = "SalUn, saliency-masked random labels",
    .cite = "Fan et al. 2024",
    .formula = "mask = the share of weights with the largest |gradient of CE(forget set)|\n"
               "loss = CE(forget and retain set shuffled as one), labels of the forget set random\n"
               "weights outside the mask stay as they are\n"
               "variant=released: the smallest |sum of the batches' gradients of -CE|, at a copy\n"
               "that follows them by sgd; gradients outside the mask are 0, decay goes on",
    .differs = "The code released with Zhao et al. 2024 keeps the smallest gradients, moves the\n"
               "model while it measures them, measures at the original model in every step, and\n"
               "lets weight decay and momentum move masked weights: variant=released with\n"
               "mask-at=original. By default: the largest, nothing moves, at the step's model,\n"
               "masked weights stay. There the share is rounded up, and labels are random on "
               "CIFAR-10 only.",
    .limits = "It aims at random answers, not at those of a model that never saw the examples. No "
              "guarantee.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_NEED_MASK | OB_NEED_FIRST,
    .state_size = sizeof(struct salun),
    .options = options,
    .common = common,
    .check = check,
    .room = room,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
};
