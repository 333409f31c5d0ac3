/*
 * boundary_shrink.c - Boundary Shrink: each example of the forget set goes to the class next door.
 *
 *     x' = round(255 clip(x + step sign(d CE(teacher(x), y) / dx), 0, 1)) / 255
 *     loss = CE(student(x), argmax teacher(x')) over the forget set
 *
 * The teacher is the step's starting model in eval mode; the mean CE is of the batch.
 */
#include "unlearn/job.h"

struct boundary_shrink {
    double step;
};

static const struct ob_option options[] = {
    { .name = "step",
      .help = "how far each pixel (0..1) is moved to find the class next door",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct boundary_shrink, step),
      .def = 0.1,
      .max = 1,
      .range = "0.1" },
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON(10, "10 to 20", 0.01, "1e-4 to 0.01") };

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    const struct boundary_shrink *s = state;
    int c = ob_job_n_classes(job);
    struct ob_batch b, near;

    (void)e;
    while (ob_job_next_forget_once(job, &b)) {
        const float *z;

        OB_TRY(ob_job_push_images(&near, job, job->teacher, &b, s->step, err));
        OB_TRY(ob_job_teach(&z, job, job->teacher, &near, err));
        for (int i = 0; i < b.n; i++)
            job->labels[i] = ob_argmax(z + (size_t)i * (size_t)c, c);
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &b, job->labels, 1, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    ob_job_cost_forget(state, job, out);
    out->images_forward = out->images; /* the frozen copy's labels */
    out->images *= 2;                  /* of the images, and of the weights */
}

const struct ob_method ob_method_boundary_shrink = {
    .name = "boundary-shrink",
    .title = "Boundary Shrink, to the class next door",
    .cite = "Chen et al. 2023",
    .formula = "x' = round(255 clip(x + step sign(d CE(teacher(x), y) / dx), 0, 1)) / 255\n"
               "loss = CE(student(x), argmax teacher(x')) on the forget set",
    .differs =
        "Momentum, weight decay, rate and epochs are those of the code released with Zhao\n"
        "et al. 2024; that of Zhou et al. 2025 has weight-decay=0:lr=1e-4:epochs=20. An\n"
        "image that a step does not carry over the boundary keeps the teacher's answer, there as\n"
        "here. DELETE also clamps |x' - x| at 0.1, which only rounding goes beyond. The "
        "forget set alone is "
        "read.",
    .needs = OB_NEED_FORGET | OB_NEED_TEACHER | OB_NEED_IMAGES,
    .state_size = sizeof(struct boundary_shrink),
    .options = options,
    .common = common,
    .cost = cost,
    .epoch = epoch,
};
