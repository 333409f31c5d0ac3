/*
 * unsir.c - UNSIR: noise that the model cannot tell the forgotten class by, learned as that class.
 *
 *     noise:  n = argmin -CE(net(n), class) + penalty mean_b |n_b|^2, images of N(0, 1), Adam
 *     impair: CE over copies of the noise, labelled with the class, and part of the retain set
 *     repair: CE over the same part of the retain set
 *
 * n is in normalised units, as the network's first layer sees it; each forgotten class has its own.
 * The part is the first examples of every other class. Each epoch is one impairing and one repairing
 * pass, each with a fresh optimiser.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "run/memory.h"
#include "unlearn/job.h"

#define NOISE_LR 0.1
#define SLOTS_MOST 1e9

enum { NOISE_EVAL, NOISE_TRAIN };

struct unsir {
    int n_noise, n_noise_steps, n_copies, n_per_class, impair_batch, noise_mode;
    double penalty;
    struct ob_ids *part;             /* of the retain set */
    int32_t *class;                  /* forgotten ones */
    size_t n_classes, image, stride; /* floats: of an image, from one class's noise to the next */
    float *noise, *grad;             /* n_classes x n_noise images; of one class */
    uint32_t *slot; /* of an impairing pass: the number of a noise image, or how many there are */
};

#define OPTION_INT(field_, text, default_, least, papers, ...)                                     \
    {                                                                                              \
        .help = text, .type = OB_OPT_INT, .offset = offsetof(struct unsir, field_),                \
        .def = default_, .min = least, .max = 100000, .range = papers, __VA_ARGS__                 \
    }
static const struct ob_option options[] = {
    OPTION_INT(n_noise, "images of noise for a class", 32, 1, "32 to 256", .name = "noise"),
    OPTION_INT(n_noise_steps, "steps that the noise is made with", 25, 0, "25 to 250",
               .name = "noise-steps"),
    { .name = "penalty",
      .help = "weight of the noise's mean square norm",
      .type = OB_OPT_FLOAT,
      .offset = offsetof(struct unsir, penalty),
      .def = 0.1,
      .max = 1e6,
      .range = "0.1" },
    { .name = "noise-mode",
      .help = "batch-norm while noise is made; train moves its running statistics",
      .type = OB_OPT_CHOICE,
      .offset = offsetof(struct unsir, noise_mode),
      .def = NOISE_EVAL,
      .choices = "eval,train" },
    OPTION_INT(n_copies, "copies of the noise in an impairing pass", 80, 1, "80", .name = "copies"),
    OPTION_INT(n_per_class, "retained examples of a class that are read", 500, 1, "500",
               .name = "per-class"),
    OPTION_INT(impair_batch, "examples of a batch of the impairing pass; no more than batch", 32, 1,
               "32", .name = "impair-batch"),
    { 0 }
};
static const struct ob_option common[] = { OB_COMMON_AS(1, "1", 1e-4, "1e-4", 128, 0,
                                                        OB_COMMON_ADAM) };

/* ---- before any work ---- */

static size_t count_classes(const struct ob_job *job)
{
    size_t n = 0;

    for (int32_t k = 0; k < job->data->info.n_classes; k++)
        n += ob_job_forgets_class(job, k);
    return n;
}

static int check_job(const void *state, const struct ob_job *job, struct ob_err *err)
{
    const struct unsir *s = state;
    const uint32_t *kept = ob_job_kept_of_class(job);
    int class;

    if ((double)count_classes(job) * s->n_noise * s->n_copies > SLOTS_MOST)
        return ob_fail(err, OB_EINVAL, "%d images of noise, each %d times, are more than %.0e",
                       s->n_noise, s->n_copies, SLOTS_MOST);
    if (!kept)
        return OB_OK;
    class = ob_data_label(job->data, OB_TRAIN, *kept);
    return ob_fail(err, OB_EFORMAT,
                   "'unsir' forgets whole classes, but example %u of class %d is to be retained; "
                   "forget all of that class (select --class %d), or take another method",
                   *kept, class, class);
}

/* The noise of all classes, and of one the gradient and two moments. */
static int room(const void *state, const struct ob_job *job, struct ob_memory *need,
                struct ob_err *err)
{
    const struct unsir *s = state;

    (void)err;
    for (size_t i = 0; i < count_classes(job) + 3; i++)
        ob_memory_add_batch(need, job->model->net, s->n_noise, 0);
    need->rest += sizeof(*s->slot) *
                  (count_classes(job) * (size_t)s->n_noise * (size_t)s->n_copies + job->retain->n);
    return OB_OK;
}

/* ---- begin and end ---- */

/* The first n_per_class examples of every class of the retain set. */
static int find_part(struct unsir *s, const struct ob_job *job, struct ob_err *err)
{
    const struct ob_ids *all = job->retain;
    uint32_t *id = NULL, *count = NULL;
    size_t n = 0;
    int rc;

    OB_GO(ob_alloc(id, all->n, err));
    OB_GO(ob_alloc(count, (size_t)job->data->info.n_classes, err));
    for (size_t i = 0; i < all->n; i++)
        if (count[ob_data_label(job->data, OB_TRAIN, all->id[i])]++ < (uint32_t)s->n_per_class)
            id[n++] = all->id[i];
    OB_GO(ob_ids_new(&s->part, id, n, all->limit, err));
out:
    ob_free(id);
    ob_free(count);
    return rc;
}

static size_t n_noise_all(const struct unsir *s)
{
    return s->n_classes * (size_t)s->n_noise;
}

static size_t n_slots(const struct unsir *s)
{
    return n_noise_all(s) * (size_t)s->n_copies + s->part->n;
}

static size_t impair_batch(const struct unsir *s, const struct ob_job *job)
{
    int most = ob_job_most_examples(job);

    return (size_t)(s->impair_batch < most ? s->impair_batch : most);
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct ob_net *net = job->model->net;
    struct unsir *s = state;
    size_t batch = impair_batch(s, job), k = 0, steps;

    s->n_classes = count_classes(job);
    s->image = (size_t)(net->channels * net->height * net->width);
    s->stride = ((size_t)s->n_noise * s->image + 15) / 16 * 16; /* blocks begin on 64 bytes */
    OB_TRY(find_part(s, job, err));
    OB_TRY(ob_job_use_retain(job, s->part, err));
    OB_TRY(ob_alloc(s->class, s->n_classes, err));
    for (int32_t c = 0; c < job->data->info.n_classes; c++)
        if (ob_job_forgets_class(job, c))
            s->class[k++] = c;
    OB_TRY(ob_block_new(&s->noise, s->n_classes * s->stride, err));
    OB_TRY(ob_block_new(&s->grad, s->stride, err));
    OB_TRY(ob_alloc(s->slot, n_slots(s), err));
    steps = (n_slots(s) + batch - 1) / batch + ob_job_n_retain_batches(job);
    ob_job_set_n_steps(job, (int64_t)steps * job->common.epochs);
    return OB_OK;
}

static void end(void *state, struct ob_job *job)
{
    struct unsir *s = state;

    (void)job;
    ob_ids_free(s->part);
    ob_free(s->class);
    ob_free(s->noise);
    ob_free(s->grad);
    ob_free(s->slot);
    s->part = NULL;
    s->class = NULL;
    s->noise = s->grad = NULL;
    s->slot = NULL;
}

/* ---- noise ---- */

/* Images as the network takes them, of noise in normalised units. */
static void to_pixels(float *x, const struct unsir *s, const struct ob_model *m, const float *noise,
                      size_t n)
{
    size_t area = s->image / (size_t)m->net->channels;
    struct ob_channels c;

    ob_job_channels(&c, m);
    for (size_t i = 0; i < n * s->image; i++) {
        size_t k = i % s->image / area;

        x[i] = c.mean[k] + c.std[k] * noise[i];
    }
}

/* d/dn of -CE, mean over all of the class's noise, by as many images at a time as fit. */
static int noise_gradient(struct unsir *s, struct ob_job *job, const float *noise, int32_t class,
                          struct ob_err *err)
{
    size_t most = (size_t)ob_job_most_examples(job), all = (size_t)s->n_noise;
    size_t area = s->image / (size_t)job->model->net->channels;
    enum ob_mode mode = s->noise_mode == NOISE_TRAIN ? OB_MODE_TRAIN : OB_MODE_EVAL;
    struct ob_channels c;

    ob_job_channels(&c, job->model);
    for (size_t from = 0, n; from < all; from += n) {
        float *g = s->grad + from * s->image;
        const float *dx;

        n = all - from < most ? all - from : most;
        to_pixels(job->moved, s, job->model, noise + from * s->image, n);
        for (size_t i = 0; i < n; i++)
            job->labels[i] = class;
        OB_TRY(ob_job_image_gradient(&dx, job, job->model, job->moved, job->labels, (int)n, mode,
                                     err));
        for (size_t i = 0; i < n * s->image; i++)
            g[i] = -dx[i] * c.std[i % s->image / area] * ((float)n / (float)all);
    }
    return OB_OK;
}

static int make_noise_of(struct unsir *s, struct ob_job *job, size_t k, struct ob_optim *optim,
                         struct ob_err *err)
{
    size_t n = (size_t)s->n_noise * s->image;
    float *noise = s->noise + k * s->stride;

    for (uint32_t i = 0; i < (uint32_t)s->n_noise; i++) {
        struct ob_rng r = ob_rng(job->seed, OB_RNG_IMAGES, (uint32_t)s->class[k], i);

        for (size_t p = 0; p < s->image; p++)
            noise[i * s->image + p] = ob_rng_normal(&r);
    }
    for (int step = 0; step < s->n_noise_steps; step++) {
        OB_TRY(ob_ctx_stop(job->ctx, err));
        OB_TRY(noise_gradient(s, job, noise, s->class[k], err));
        job->ctx->backend->axpy(job->ctx, s->grad, noise, n, (float)(2 * s->penalty / s->n_noise));
        ob_optim_step(optim, noise, s->grad, NOISE_LR);
    }
    return OB_OK;
}

static int make_noise(struct unsir *s, struct ob_job *job, struct ob_err *err)
{
    for (size_t k = 0; k < s->n_classes; k++) {
        size_t n = (size_t)s->n_noise * s->image;
        struct ob_optim optim;
        int rc;

        OB_TRY(ob_optim_init(&optim, job->ctx, "adam", n, 0, 0, err));
        rc = make_noise_of(s, job, k, &optim, err);
        ob_optim_release(&optim);
        OB_TRY(rc);
    }
    return OB_OK;
}

/* ---- impair and repair ---- */

/* An order of noise and retained examples together; the latter come in the order of their own. */
static void shuffle_slots(struct unsir *s, const struct ob_job *job, int e)
{
    struct ob_rng r = ob_rng(job->seed, OB_RNG_IMAGES, (uint32_t)e, UINT32_MAX);
    size_t n = n_slots(s), noise = n_noise_all(s), copies = noise * (size_t)s->n_copies;

    for (size_t i = 0; i < n; i++)
        s->slot[i] = (uint32_t)(i < copies ? i % noise : noise);
    ob_rng_shuffle(&r, s->slot, n);
}

struct retained { /* one after the other */
    struct ob_batch b;
    int next;
};

/* Puts what slot i stands for into place k of the batch. */
static void fill_place(struct unsir *s, struct ob_job *job, size_t i, int k, struct retained *r)
{
    float *x = job->moved + (size_t)k * s->image;
    size_t number = s->slot[i];

    if (number < n_noise_all(s)) {
        size_t class = number / (size_t)s->n_noise, own = number % (size_t)s->n_noise;

        to_pixels(x, s, job->model, s->noise + class * s->stride + own * s->image, 1);
        job->labels[k] = s->class[class];
        return;
    }
    if (r->next == r->b.n) {
        ob_job_next_retain(job, &r->b);
        r->next = 0;
    }
    memcpy(x, r->b.x + (size_t)r->next * s->image, s->image * sizeof(float));
    job->labels[k] = r->b.y[r->next++];
}

static int impair(struct unsir *s, struct ob_job *job, int e, struct ob_err *err)
{
    struct retained r = { .next = 0 };
    size_t n = n_slots(s), most = impair_batch(s, job);

    shuffle_slots(s, job, e);
    for (size_t from = 0; from < n; from += most) {
        struct ob_batch b = { .x = job->moved, .y = job->labels };

        b.n = (int)(n - from < most ? n - from : most);
        for (int k = 0; k < b.n; k++)
            fill_place(s, job, from + (size_t)k, k, &r);
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &b, NULL, 1, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

static int repair(struct ob_job *job, struct ob_err *err)
{
    struct ob_batch b;

    while (ob_job_next_retain(job, &b)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &b, NULL, 1, err));
        OB_TRY(ob_job_step(job, err));
    }
    return OB_OK;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct unsir *s = state;

    if (!e)
        OB_TRY(make_noise(s, job, err));
    ob_job_reset_optimizer(job);
    OB_TRY(impair(s, job, e, err));
    ob_job_reset_optimizer(job);
    ob_job_again_retain(job);
    return repair(job, err);
}

static void cost(const void *state, const struct ob_job *job, struct ob_cost *out)
{
    const struct unsir *s = state;
    uint64_t epochs = (uint64_t)job->common.epochs, part = 0, noise = 0;

    for (int32_t c = 0; c < job->data->info.n_classes; c++) {
        int left = s->n_per_class;

        if (ob_job_forgets_class(job, c))
            noise += (uint64_t)s->n_noise;
        for (size_t i = 0; i < job->retain->n && left; i++)
            left -= ob_data_label(job->data, OB_TRAIN, job->retain->id[i]) == c;
        part += (uint64_t)(s->n_per_class - left);
    }
    out->images = epochs * (noise * (uint64_t)s->n_copies + 2 * part);
    if (epochs)
        out->images += noise * (uint64_t)s->n_noise_steps;
}

const struct ob_method ob_method_unsir = {
    .name = "unsir",
    .title = "UNSIR, noise in a class's place, then repair",
    .cite = "Tarun et al. 2023",
    .formula = "noise:  n = argmin -CE(net(n), class) + penalty mean |n|^2, from N(0, 1)\n"
               "impair: CE of copies of n labelled as the class, and of per-class examples of\n"
               "        every other class\n"
               "repair: CE of the same examples of the other classes\n"
               "for whole classes only; each has noise of its own; an epoch is both passes",
    .differs =
        "Some code makes the noise in train mode, which moves batch-norm's running\n"
        "statistics (noise-mode=train), other code in eval mode, as here. Some leaves the\n"
        "gradients of making noise in place for the first impairing step, which is an error\n"
        "and not done here. Noise is in the units of normalised images, as there.",
    .constraints = "noise times copies times the forgotten classes is at most 1e9",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_NEED_IMAGES | OB_NEED_CLASSES,
    .state_size = sizeof(struct unsir),
    .options = options,
    .common = common,
    .check_job = check_job,
    .room = room,
    .cost = cost,
    .begin = begin,
    .epoch = epoch,
    .end = end,
};
