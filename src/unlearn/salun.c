/*
 * salun.c - SalUn: random labels, but only the weights that matter to the forget set move.
 *
 *     mask = the k = floor(share P + 1/2) largest |d CE(S) / d theta|, ties to the lower index
 *     loss = CE(batch of S and R together; labels of S random); weights outside the mask stay
 *
 * The gradient is that of the mean over the whole forget set, in eval mode, at the step's starting
 * model; measuring it moves nothing.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "unlearn/job.h"

enum { MASK_AT_STEP, MASK_AT_ORIGINAL };

struct salun {
    double share;
    int mask_at;
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
                                            { 0 } };
static const struct ob_option common[] = { OB_COMMON(10, "5 to 10", 0.1, "0.005 to 0.1") };

/* Bits of |x|: they order as the numbers do. */
static uint32_t magnitude(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits & 0x7fffffff;
}

/* The largest half-word h with at least `k` numbers whose half-word is h or more, among those
 * that have `prefix` before it; *above: how many have more than h. */
static uint32_t find_half(size_t *above, size_t *count, const float *g, size_t n, int shift,
                          uint32_t prefix, size_t k)
{
    uint32_t h = 0xffff;

    memset(count, 0, 65536 * sizeof(*count));
    for (size_t i = 0; i < n; i++)
        if (shift || magnitude(g[i]) >> 16 == prefix)
            count[magnitude(g[i]) >> shift & 0xffff]++;
    *above = 0;
    while (h && *above + count[h] < k)
        *above += count[h--];
    return h;
}

/* Ones where |g| is among the k largest. */
static int mark_largest(uint8_t *mask, const float *g, size_t n, size_t k, struct ob_err *err)
{
    size_t *count, above, more;
    uint32_t high, threshold;

    memset(mask, 0, n);
    if (!k)
        return OB_OK;
    OB_TRY(ob_alloc(count, 65536, err));
    high = find_half(&above, count, g, n, 16, 0, k);
    threshold = high << 16 | find_half(&more, count, g, n, 0, high, k - above);
    ob_free(count);
    k -= above + more; /* so many that equal the threshold */
    for (size_t i = 0; i < n; i++) {
        uint32_t x = magnitude(g[i]);

        mask[i] = x > threshold || (x == threshold && k > 0);
        k -= x == threshold && k > 0;
    }
    return OB_OK;
}

static int begin(void *state, struct ob_job *job, struct ob_err *err)
{
    const struct salun *s = state;
    size_t n = ob_model_n_params(job->model);
    const struct ob_model *at = s->mask_at == MASK_AT_ORIGINAL ? job->first : job->model;
    float *g;
    int rc;

    OB_TRY(ob_block_new(&g, n, err));
    OB_GO(ob_job_forget_gradient(job, at, g, err));
    OB_GO(mark_largest(job->mask, g, n, (size_t)floor(s->share * (double)n + 0.5), err));
out:
    ob_free(g);
    return rc;
}

static int epoch(void *state, struct ob_job *job, int e, struct ob_err *err)
{
    struct ob_batch b;

    (void)state;
    (void)e;
    while (ob_job_next_both(job, &b)) {
        ob_job_zero_grad(job);
        OB_TRY(ob_job_add_ce_grad(job, &b, ob_job_random_labels(job, &b), 1.0f, err));
        OB_TRY(ob_job_step(job, err)); /* which keeps to the mask */
    }
    return OB_OK;
}

const struct ob_method ob_method_salun = {
    .name = "salun",
    .title = "SalUn, saliency-masked random labels",
    .cite = "Fan et al. 2024",
    .formula = "mask = the share of weights with the largest |gradient of CE(forget set)|\n"
               "loss = CE(forget and retain set shuffled as one), labels of the forget set random\n"
               "weights outside the mask stay as they are",
    .differs = "The code released with Zhao et al. 2024 keeps the smallest gradients, moves the\n"
               "model while it measures them, measures at the original model in every step\n"
               "(mask-at=original does that), and lets weight decay and momentum move masked\n"
               "weights. Here: the largest, nothing moves, at the step's model, masked weights "
               "stay.",
    .needs = OB_NEED_RETAIN | OB_NEED_FORGET | OB_NEED_MASK | OB_NEED_FIRST,
    .state_size = sizeof(struct salun),
    .options = options,
    .common = common,
    .begin = begin,
    .epoch = epoch,
};
