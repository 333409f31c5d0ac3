/* job_labels.c - wrong answers to learn. */
#include "base/rng.h"
#include "unlearn/job.h"

/* Uniform over the other classes: the true one plus 1 to C - 1, round and round. */
static int32_t wrong_label(struct ob_rng *r, int32_t y, int c)
{
    return (int32_t)(((uint32_t)y + 1 + ob_rng_below(r, (uint32_t)c - 1)) % (uint32_t)c);
}

const int32_t *ob_job_random_labels(struct ob_job *job, const struct ob_batch *b, enum ob_draw from)
{
    int c = job->model->net->n_classes;

    for (int i = 0; i < b->n; i++) {
        struct ob_rng r = ob_rng(job->seed, OB_RNG_LABEL, (uint32_t)job->epoch, b->id[i]);

        if (!ob_ids_has(job->forget, b->id[i]))
            job->labels[i] = b->y[i];
        else if (from == OB_DRAW_WRONG)
            job->labels[i] = wrong_label(&r, b->y[i], c);
        else
            job->labels[i] = (int32_t)ob_rng_below(&r, (uint32_t)c);
    }
    return job->labels;
}

int ob_job_check_draw(enum ob_draw from, const struct ob_model *m, struct ob_err *err)
{
    if (from == OB_DRAW_WRONG && ob_model_n_classes(m) < 2)
        return ob_fail(err, OB_EINVAL, "labels=wrong needs a model of two classes or more");
    return OB_OK;
}
