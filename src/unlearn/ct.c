/*
 * ct.c - CT: transpose the kernels of all convolutions, then repair on the retain set.
 *
 *     w[o, i, y, x] <- w[o, i, x, y]  in every convolution,   then   loss = CE(retain batch)
 *
 * Transposing twice changes nothing; 1 x 1 kernels stay as they are.
 */
#include "unlearn/job.h"
#include "unlearn/layers.h"

static const struct ob_option common[] = { OB_COMMON_OF(3, "3", 0.001, "0.001", 64, 0.9, 5e-4,
                                                        OB_COSINE_EPOCH, OB_COMMON_SGD) };

static int check(const void *state, const struct ob_model *m, struct ob_err *err)
{
    (void)state;
    return ob_layer_check_conv(m->net, "'ct'", err);
}

static void transpose(float *w, int side)
{
    for (int y = 0; y < side; y++)
        for (int x = 0; x < y; x++) {
            float t = w[y * side + x];

            w[y * side + x] = w[x * side + y];
            w[x * side + y] = t;
        }
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct ob_net *n = job->model->net;

    (void)state;
    (void)err;
    for (int at = -1; (at = ob_layer_next(n, at, OB_LAYER_CONV)) >= 0;) {
        int side = n->node[at].kernel;
        size_t size, area = (size_t)side * (size_t)side;
        float *w = ob_layer_values(job->model, n->node[at].weight, &size);

        for (size_t i = 0; i < size; i += area)
            transpose(w + i, side);
    }
    ob_model_touch(job->model);
    return OB_OK;
}

const struct ob_method ob_method_ct = {
    .name = "ct",
    .title = "CT, convolution transpose",
    .cite = "NeurIPS 2023 unlearning challenge; 5th in the port of Cadet et al. 2024",
    .formula = "w[o, i, y, x] <- w[o, i, x, y] in the kernels of all convolutions, nothing else\n"
               "then loss = CE(retain batch), learning rate cosine from epoch to epoch",
    .differs = "Known from the port in DeepUnlearn alone, where the network is torchvision's "
               "ResNet-18:\n"
               "batch 64, no augmentation. Any network with convolutions will do here. The forget "
               "set is not read.",
    .needs = OB_NEED_RETAIN | OB_ONE_SHOT | OB_NEED_CONV,
    .common = common,
    .check = check,
    .cost = ob_job_cost_retain,
    .begin = begin,
    .epoch = ob_job_epoch_retain,
};
