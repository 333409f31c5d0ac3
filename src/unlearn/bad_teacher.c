/*
 * bad_teacher.c - Bad Teacher: on the forget set as a model that knows nothing, elsewhere as before.
 *
 *     loss = KL(t || student) over forget set and part of the retain set, shuffled as one,
 *     t = softmax(incompetent teacher) on the forget set, softmax(competent teacher) on the rest
 *
 * The competent teacher is the step's starting model, the incompetent one the same network with
 * fresh weights, both in eval mode. The part of the retain set is drawn once.
 */
#include <math.h>

#include "run/memory.h"
#include "unlearn/job.h"

enum { MEAN_OF_ELEMENTS, MEAN_OF_BATCH };

struct bad_teacher {
    double share;
    int reduction;
    struct ob_model *incompetent;
};

static const struct ob_option options[] = {
    { .name = "share",
      .help = "share of the retain set that is read",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct bad_teacher, share),
      .def = 0.3,
      .max = 1,
      .range = "0.3" },
    { .name = "reduction",
      .help = "the loss is a mean over examples and classes, or over examples",
      .type = OB_OPT_CHOICE,
      .offset = offsetof(struct bad_teacher, reduction),
      .def = MEAN_OF_ELEMENTS,
      .choices = "elementwise,batchmean" },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON_AS(1, "1", 1e-4, "1e-4", 256, 0,
                                                        OB_COMMON_ADAM) };

static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    (void)state;
    (void)err;
    ob_memory_add_weights(need, job->model->net, 0, 1);
    return OB_OK;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    struct bad_teacher *s = state;

    OB_TRY(ob_job_draw_retain(job, s->share, err));
    return ob_job_fresh_model(&s->incompetent, job, err);
}

/* What `teacher` says of the examples of the batch that are, or are not, to be forgotten. */
static int ask(struct ob_job *job, const struct ob_model *teacher, const struct ob_batch *b,
               int forget, struct ob_err *err)
{
    int c = ob_job_n_classes(job);
    const float *z;

    OB_TRY(ob_job_teach(&z, job, teacher, b, err));
    for (int i = 0; i < b->n; i++)
        if (ob_ids_has(job->forget, b->id[i]) == forget)
            ob_job_target_softmax(job, i, z + (size_t)i * (size_t)c);
    return OB_OK;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct bad_teacher *s = state;
    float scale = s->reduction == MEAN_OF_BATCH ? 1 : 1 / (float)ob_job_n_classes(job);
    struct ob_batch b;

    (void)e;
    while (ob_job_next_both(job, &b)) {
        OB_TRY(ask(job, job->teacher, &b, 0, err));
        OB_TRY(ask(job, s->incompetent, &b, 1, err));
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_target_grad(job, &b, scale, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

static void end(void *state, struct ob_job *job)
{
    struct bad_teacher *s = state;

    (void)job;
    ob_model_free(s->incompetent);
    s->incompetent = NULL;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    const struct bad_teacher *s = state;
    double drawn = fmax(1, floor(s->share * (double)job->retain->n));

    out->images = (uint64_t)job->common.epochs * (job->forget->n + (uint64_t)drawn);
    out->images_forward = 2 * out->images; /* by either teacher */
}

const struct ob_method ob_method_bad_teacher = {
    .name = "bad-teacher",
    .title = "Bad Teacher, incompetent on the forget set",
    .cite = "Chundawat et al. 2023",
    .formula = "loss = KL(t || student) on the forget set and a share of the retain set\n"
               "t = softmax(fresh network) on the forget set, softmax(teacher) on the rest",
    .differs =
        "The paper's loss is a divergence for each example: reduction=batchmean. The released\n"
        "code's mean runs over examples and classes, which divides the gradient by the number of\n"
        "classes: reduction=elementwise, the default, because the published rate was chosen with\n"
        "it. Rates do not carry over from one to the other, though Adam hides most of the\n"
        "difference. Other code takes a ResNet-18 for the incompetent teacher whatever the model\n"
        "is; here it is the model's own network.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_NEED_TEACHER,
    .state_size = sizeof(struct bad_teacher),
    .options = options,
    .common = common,
    .room = room,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
