/*
 * delete.c - DELETE: what the model would say of the forget set if the true class were not there.
 *
 *     loss = KL(t || student) over the forget set,
 *     t = softmax of the teacher's logits, that of the true class at minus infinity
 *
 * Mean over the batch. The teacher is the step's starting model in eval mode, on the same images.
 */
#include <math.h>

#include "unlearn/job.h"

enum { BATCHNORM_TRAIN, BATCHNORM_FROZEN };

struct deletion {
    int batchnorm;
};

static const struct ob_option options[] = {
    { .name = "batchnorm",
      .help = "train: the batch's statistics; frozen: the running ones, which stay",
      .type = OB_OPT_CHOICE,
      .offset = offsetof(struct deletion, batchnorm),
      .def = BATCHNORM_TRAIN,
      .choices = "train,frozen" },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON_AS(20, "20", 1e-4, "5e-5 to 1e-4", 128, 0,
                                                        OB_COMMON_SGD) };

static int check(const void *state, const struct ob_model *m, struct ob_err *err)
{
    (void)state;
    if (ob_model_n_classes(m) < 2)
        return ob_fail(err, OB_EINVAL, "'delete' needs a model of two classes or more");
    return OB_OK;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct deletion *s = state;

    (void)err;
    if (s->batchnorm == BATCHNORM_FROZEN)
        job->mode = OB_MODE_EVAL;
    return OB_OK;
}

/* softmax(z) without class y. */
static void others(float *t, const float *z, int c, int32_t y)
{
    double top = -INFINITY, sum = 0;

    for (int k = 0; k < c; k++)
        if (k != y && z[k] > top)
            top = z[k];
    for (int k = 0; k < c; k++)
        sum += k == y ? 0 : exp(z[k] - top);
    for (int k = 0; k < c; k++)
        t[k] = k == y ? 0 : (float)(exp(z[k] - top) / sum);
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    int c = ob_job_n_classes(job);
    struct ob_batch b;

    (void)state;
    (void)e;
    while (ob_job_next_forget_once(job, &b)) {
        const float *z;

        OB_TRY(ob_job_teach(&z, job, job->teacher, &b, err));
        for (int i = 0; i < b.n; i++)
            others(ob_job_target(job, i), z + (size_t)i * (size_t)c, c, b.y[i]);
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_target_grad(job, &b, 1, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    ob_job_cost_forget(state, job, out);
    out->images_forward = out->images;
}

const struct ob_method ob_method_delete = {
    .name = "delete",
    .title = "DELETE, the teacher's answer without the true class",
    .cite = "Zhou et al. 2025",
    .formula = "loss = KL(t || student) on the forget set\n"
               "t = softmax(teacher's logits), the true class's at minus infinity",
    .differs = "The released code crops and flips the images (augment=crop-flip does that) and\n"
               "trains without weight decay, as here. It freezes batch-norm for one class of\n"
               "Tiny-ImageNet only: batchnorm=frozen. The forget set alone is read, so nothing\n"
               "holds the rest in place but small steps.",
    .needs = OB_NEED_FORGET | OB_NEED_TEACHER,
    .state_size = sizeof(struct deletion),
    .options = options,
    .common = common,
    .check = check,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
};
