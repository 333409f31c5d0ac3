/*
 * kde.c - KDE: new first layer and classifier, then learn from the teacher, on other images first.
 *
 *     first layer, classifier <- PyTorch's default of a fresh layer
 *     over the validation part, in its order:  loss = KL_T(teacher || student)
 *     over the retain set:  loss = CE + KL_T(teacher || student) + mean of -sum_c t_c log s_c
 *
 * t and s are the softmaxes of logits / T, KL_T is on them with no factor T^2. The last term is KL_T
 * and something that the student has no part in, so the gradient is that of CE + 2 KL_T. The second
 * part has an optimiser of its own.
 */
#include "run/memory.h"
#include "unlearn/job.h"
#include "unlearn/layers.h"

struct kde {
    int val_epochs;
    double val_lr, temperature;
};

static const struct ob_option options[] = { { .name = "val-epochs",
                                              .help = "passes over the validation part",
                                              .type = OB_OPT_INT,
                                              .offset = offsetof(struct kde, val_epochs),
                                              .def = 3,
                                              .max = 100000,
                                              .range = "3" },
                                            { .name = "val-lr",
                                              .help = "learning rate there",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct kde, val_lr),
                                              .def = 9e-4,
                                              .min = 1e-12,
                                              .max = 1e6,
                                              .range = "9e-4" },
                                            { .name = "temperature",
                                              .help = "softens both distributions",
                                              .type = OB_OPT_FLOAT,
                                              .offset = offsetof(struct kde, temperature),
                                              .def = 5,
                                              .min = 0.001,
                                              .max = 1000,
                                              .range = "5" },
                                            { 0 } };
static const struct ob_option common[] = { OB_COMMON_OF(3, "3", 0.001, "0.001", 64, 0.9, 5e-4,
                                                        OB_COSINE_EPOCH, OB_COMMON_SGD) };

static int check_job(const void *state, const struct ob_job *job, struct ob_err *err)
{
    (void)state;
    if (job->split && ob_ids_n(ob_split_val(job->split)))
        return OB_OK;
    return ob_fail(err, OB_EINVAL,
                   "'kde' learns from the validation part, and there is none; train with --val");
}

static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    (void)state;
    (void)err;
    ob_memory_add_batch(need, job->model->net, job->common.batch, 0);
    return OB_OK;
}

static int step(const struct kde *s, struct ob_job *job, const struct ob_batch *b, double ce,
                double kl, struct ob_err *err)
{
    double t = s->temperature;

    ob_job_zero_grad(job);
    return ob_job_add_kl_grad(job, b, (float)ce, (float)(kl / (t * t)), (float)t, err);
}

static int learn_validation(const struct kde *s, struct ob_job *job, struct ob_loader *l,
                            struct ob_err *err)
{
    struct ob_batch b;

    job->progress.total = ob_loader_n(l);
    for (int e = 0; e < s->val_epochs; e++) {
        ob_loader_start(l, (uint32_t)e);
        job->progress.done = 0;
        while (ob_loader_next(l, &b)) {
            job->progress.done += (size_t)b.n;
            OB_TRY(step(s, job, &b, 0, 1, err));
            OB_TRY(ob_job_step_by(job, &job->optim, s->val_lr, err));
        }
        OB_TRY(ob_job_end_epoch(job, err));
    }
    return OB_OK;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct kde *s = state;
    const struct ob_net *n = job->model->net;
    struct ob_loader *l;
    int rc;

    ob_layer_redraw(job->model, ob_layer_first(n), OB_REDRAW_DEFAULT, job->seed, 0);
    ob_layer_redraw(job->model, ob_layer_classifier(n), OB_REDRAW_DEFAULT, job->seed, 0);
    OB_TRY(ob_job_loader(&l, job, ob_split_val(job->split), 0, 0, err));
    rc = learn_validation(s, job, l, err);
    ob_loader_free(l);
    ob_job_reset_optimizer(job);
    return rc;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct kde *s = state;
    struct ob_batch retain;

    (void)e;
    while (ob_job_next_retain(job, &retain)) {
        OB_TRY(step(s, job, &retain, 1, 2, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    const struct kde *s = state;

    out->images = (uint64_t)s->val_epochs * ob_ids_n(ob_split_val(job->split)) +
                  (uint64_t)job->common.epochs * job->retain->n;
    out->images_forward = out->images; /* the teacher's */
}

const struct ob_method ob_method_kde = {
    .name = "kde",
    .title = "KDE, knowledge distillation with entropy",
    .cite = "NeurIPS 2023 unlearning challenge; port in Cadet et al. 2024",
    .formula =
        "first convolution (without one: first linear layer) and classifier <- PyTorch's "
        "default of a fresh layer\n"
        "val-epochs over the validation part, in its order: loss = KL_T(teacher || "
        "student)\n"
        "epochs over the retain set: loss = CE + KL_T(teacher || student) + mean of -sum_c "
        "t_c log s_c\n"
        "t, s = softmax(logits / T) of teacher and student; KL_T(t || s) = 1/B sum t log(t / "
        "s), no factor T^2",
    .differs = "Known from the port in DeepUnlearn alone, the sixth there. It needs a validation "
               "part, of which it\n"
               "reads the images alone: train with --val. The forget set is not read.",
    .needs = OB_NEED_RETAIN | OB_NEED_TEACHER | OB_ONE_SHOT | OB_NEED_VALIDATION,
    .state_size = sizeof(struct kde),
    .options = options,
    .common = common,
    .check_job = check_job,
    .room = room,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
};
