/*
 * cfw.c - CFW: noise on the first layer, repair with class weights, a little noise before the end.
 *
 *     w_first += noise N(0, 1);   loss = w(batch) CE(retain batch)
 *     before the last of several epochs: w_first += noise-last N(0, 1)
 *
 * w(batch) is the mean over the batch of w_y = |R| / (C n_y), n_y the number of retained examples of
 * class y and C how many classes there are among them: one factor for a whole batch.
 */
#include "base/mem.h"
#include "unlearn/job.h"
#include "unlearn/layers.h"

struct cfw {
    double noise, noise_last;
    double *weight; /* by class */
};

static const struct ob_option options[] = { { .name = "noise",
                                              .help = "deviation of the noise at first",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct cfw, noise),
                                              .def = 0.6,
                                              .max = 1000,
                                              .range = "0.6" },
                                            { .name = "noise-last",
                                              .help = "the same before the last epoch",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct cfw, noise_last),
                                              .def = 0.005,
                                              .max = 1000,
                                              .range = "0.005" },
                                            { 0 } };
static const struct ob_option common[] = { OB_COMMON_OF(4, "4", 7e-4, "7e-4", 64, 0.9, 5e-4,
                                                        OB_COSINE_EPOCH, OB_COMMON_SGD) };

static int weigh_classes(double *weight, const struct ob_job *job, struct ob_err *err)
{
    int c = ob_job_n_classes(job), present = 0;
    size_t *count;

    OB_TRY(ob_alloc(count, (size_t)c, err));
    ob_job_count_classes(count, job);
    for (int k = 0; k < c; k++)
        present += count[k] > 0;
    for (int k = 0; k < c; k++) /* a class that is not there weighs nothing */
        weight[k] = count[k] ? (double)job->retain->n / present / (double)count[k] : 0;
    ob_free(count);
    return OB_OK;
}

static void disturb(struct ob_job *job, double deviation, uint32_t round)
{
    const struct ob_net *n = job->model->net;

    ob_layer_add_noise(job->model, n->node[ob_layer_first(n)].weight, deviation, job->seed, round);
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct cfw *s = state;

    OB_TRY(ob_alloc(s->weight, (size_t)ob_job_n_classes(job), err));
    OB_TRY(weigh_classes(s->weight, job, err));
    disturb(job, s->noise, 0);
    return OB_OK;
}

static double mean_weight(const struct cfw *s, const struct ob_batch *b)
{
    double sum = 0;

    for (int i = 0; i < b->n; i++)
        sum += s->weight[b->y[i]];
    return sum / b->n;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct cfw *s = state;
    struct ob_batch retain;

    if (e > 0 && e == job->common.epochs - 1)
        disturb(job, s->noise_last, 1);
    while (ob_job_next_retain(job, &retain)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &retain, NULL, (float)mean_weight(s, &retain), err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

static void end(void *state, struct ob_job *job)
{
    struct cfw *s = state;

    (void)job;
    ob_free(s->weight);
    s->weight = NULL;
}

const struct ob_method ob_method_cfw = {
    .name = "cfw",
    .title = "CFW, noise on the first convolution and class weights",
    .cite = "NeurIPS 2023 unlearning challenge; 3rd in the port of Cadet et al. 2024",
    .formula = "first convolution (without one: first linear layer) += noise N(0, 1)\n"
               "loss = w(batch) CE(retain batch), w(batch) = mean of |R| / (C n_y) over its labels "
               "y,\n"
               "       C: classes in R, n_y: examples of class y in R\n"
               "before the last of several epochs: the same layer += noise-last N(0, 1)",
    .differs =
        "Known from the port in DeepUnlearn alone. Its text speaks of noise on the "
        "convolutions, its code\n"
        "reaches the first one alone, and its class weights make one factor per batch: both "
        "as here. It\n"
        "breaks where a class is missing from R; here that class weighs nothing. The contest "
        "entry's\n"
        "fixed weights (1 for the first class, 0.05 for the others) are not built. The "
        "forget set is not read.",
    .needs = OB_NEED_RETAIN | OB_ONE_SHOT,
    .state_size = sizeof(struct cfw),
    .options = options,
    .common = common,
    .cost = ob_job_cost_retain,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
