/*
 * cf_k.c - CF-k: fine-tune the last k stages or layers on the retain set, all else is frozen.
 *
 *     loss = CE(retain batch);  what is frozen has neither gradient nor weight decay nor momentum
 *
 * Batch-norm statistics of frozen layers move too, unless `bn=eval`.
 */
#include "unlearn/job.h"
#include "unlearn/layers.h"

struct cf_k {
    struct ob_last last;
    int bn;
};

static const struct ob_option options[] = { OB_LAST_OPTIONS(struct cf_k), { 0 } };
static const struct ob_option common[] = { OB_COMMON_OF(10, "10", 0.01, "1e-4 to 0.1", 256, 0, 0,
                                                        OB_CONSTANT, OB_COMMON_SGD) };

static int check(const void *state, const struct ob_model *m, struct ob_err *err)
{
    const struct cf_k *s = state;

    return ob_last_check(&s->last, m->net, err);
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct cf_k *s = state;

    (void)err;
    ob_last_mask(job->mask, &s->last, job->model->net);
    ob_job_freeze(job);
    job->mode = s->bn ? OB_MODE_EVAL : OB_MODE_TRAIN;
    return OB_OK;
}

const struct ob_method ob_method_cf_k = {
    .name = "cf-k",
    .title = "CF-k, forgetting by fine-tuning the last k",
    .cite = "Goel et al. 2022",
    .formula = "loss = CE(retain batch), over the parameters of the last k stages or layers alone\n"
               "unit=stage: layer1, layer2 ... of a residual network, else what stands between two "
               "max-pools;\n"
               "            with include-fc=yes all linear layers train as well\n"
               "unit=layer: the last k convolutions and linear layers, and the batch-norms among "
               "them",
    .differs =
        "Goel et al. count layers; the code of Kurmanji et al. 2023 trains the last stage "
        "with a frozen\n"
        "classifier (include-fc=no); DeepUnlearn (Cadet et al. 2024) the last k stages and "
        "the classifier\n"
        "with bn=eval, a pull 0.05 |theta - theta_start|^2 and a rate that falls after "
        "epochs 6 and 9.\n"
        "That pull and that schedule are not built, nor Kurmanji et al.'s, which falls after "
        "epochs 10, 15 and 20.\n"
        "Neither of the latter two has momentum or weight decay.",
    .needs = OB_NEED_RETAIN | OB_NEED_MASK,
    .needs_if = "convolutions (unit=stage or include-fc=no)",
    .state_size = sizeof(struct cf_k),
    .options = options,
    .common = common,
    .check = check,
    .cost = ob_job_cost_retain,
    .begin = begin,
    .epoch = ob_job_epoch_retain,
};
