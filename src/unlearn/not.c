/*
 * not.c - NoT: turn the sign of the first layer's weights, then fine-tune on the retain set.
 *
 *     w <- -w  in the first convolution,   then   loss = CE(retain batch)
 *
 * Behind a batch-norm that takes the batch's statistics the sign of what it makes turns exactly:
 * (-z - mean(-z)) / sd = -(z - mean(z)) / sd. With the running mean that still belongs to z it does
 * not, until training has moved it; `bn-mean=negate` turns that mean too, so that it does at once.
 * With a bias, z = w x + b becomes -w x + b, and the mean that turns the sign is 2 b - mean.
 */
#include "unlearn/job.h"
#include "unlearn/layers.h"

enum { KEEP, NEGATE };

struct not
{
    int bn_mean;
};

static const struct ob_option options[] = { { .name = "bn-mean",
                                              .help = "running mean behind the negated layer",
                                              .type = OB_OPT_CHOICE,
                                              .offset = offsetof(struct not, bn_mean),
                                              .choices = "keep,negate" },
                                            { 0 } };
static const struct ob_option common[] = { OB_COMMON(10, NULL, 0.01, NULL) };

static int check(const void *state, const struct ob_model *m, struct ob_err *err)
{
    const struct not *s = state;

    if (s->bn_mean == KEEP || ob_layer_norm_after(m->net, ob_layer_first(m->net)) >= 0)
        return OB_OK;
    return ob_fail(err, OB_EINVAL,
                   "bn-mean=negate: no batch-norm comes after the first layer of '%s'; use keep",
                   m->net->arch);
}

static void negate_mean(struct ob_model *m, int layer, int norm)
{
    const struct ob_net *n = m->net;
    const struct ob_view *v = &n->view[n->node[norm].mean];
    const float *bias = n->node[layer].bias < 0 ? NULL
                                                : ob_layer_values(m, n->node[layer].bias, NULL);
    float *mean = m->w.buffers + v->offset;

    for (size_t i = 0; i < v->size; i++)
        mean[i] = (bias ? 2 * bias[i] : 0) - mean[i];
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct not *s = state;
    struct ob_model *m = job->model;
    int layer = ob_layer_first(m->net);
    size_t size;
    float *w = ob_layer_values(m, m->net->node[layer].weight, &size);

    (void)err;
    for (size_t i = 0; i < size; i++)
        w[i] = -w[i];
    if (s->bn_mean == NEGATE)
        negate_mean(m, layer, ob_layer_norm_after(m->net, layer));
    ob_model_touch(m);
    return OB_OK;
}

const struct ob_method ob_method_not = {
    .name = "not",
    .title = "NoT, weight negation",
    .cite = "Khalil et al. 2025",
    .formula = "w <- -w, the weights of the first convolution (without one: of the first linear "
               "layer)\n"
               "then loss = CE(retain batch)",
    .differs = "INCOMPLETE: the paper negates a chosen set of layers, and neither that choice nor "
               "its rates\n"
               "were to be had, nor code of the authors. The first layer alone is what two "
               "re-implementations\n"
               "by others negate; rates are those of fine-tuning. bn-mean=negate is ours: the "
               "sign turns in\n"
               "eval mode too. The forget set is not read.",
    .needs = OB_NEED_RETAIN | OB_ONE_SHOT,
    .needs_if = "batch-norm after the first layer (bn-mean=negate)",
    .state_size = sizeof(struct not ),
    .options = options,
    .common = common,
    .check = check,
    .cost = ob_job_cost_retain,
    .begin = begin,
    .epoch = ob_job_epoch_retain,
};
