/* job_teacher.c - what methods learn from: frozen models, and distributions instead of labels. */
#include <math.h>
#include <string.h>

#include "unlearn/job.h"

int ob_job_teach(const float **logits, struct ob_job *job, const struct ob_model *teacher,
                 const struct ob_batch *b, struct ob_err *err)
{
    size_t bytes = (size_t)b->n * (size_t)teacher->net->n_classes * sizeof(float);

    OB_TRY(ob_exec_forward(job->teacher_exec, &teacher->w, b->x, b->n, OB_MODE_EVAL, err));
    job->cost.images_forward += (uint64_t)b->n;
    memcpy(job->teacher_logits, job->teacher_exec->logits, bytes);
    *logits = job->teacher_logits;
    return OB_OK;
}

int ob_job_add_kl_grad(struct ob_job *job, const struct ob_batch *b, float ce, float kl,
                       float temperature, struct ob_err *err)
{
    int c = ob_job_n_classes(job), n_right;
    const float *teacher;
    double loss;

    OB_TRY(ob_job_teach(&teacher, job, job->teacher, b, err));
    OB_TRY(ob_job_forward(job, b, err));
    loss = ob_loss_ce(job->dlogits, job->exec->logits, b->y, b->n, c, ce, &n_right);
    ob_loss_kl(job->dlogits, job->exec->logits, teacher, b->n, c, temperature, kl);
    ob_job_backward(job, b, loss, n_right);
    return OB_OK;
}

float *ob_job_target(struct ob_job *job, int i)
{
    return job->target + (size_t)i * (size_t)job->model->net->n_classes;
}

void ob_job_target_softmax(struct ob_job *job, int i, const float *logits)
{
    float *t = ob_job_target(job, i);
    int c = job->model->net->n_classes;
    double whole = 0, top = logits[ob_argmax(logits, c)];

    for (int k = 0; k < c; k++)
        whole += exp(logits[k] - top);
    for (int k = 0; k < c; k++)
        t[k] = (float)(exp(logits[k] - top) / whole);
}

int ob_job_add_target_grad(struct ob_job *job, const struct ob_batch *b, float scale,
                           struct ob_err *err)
{
    int c = ob_job_n_classes(job), n_right;
    double loss;

    OB_TRY(ob_job_forward(job, b, err));
    loss = ob_loss_ce(NULL, job->exec->logits, b->y, b->n, c, 1, &n_right);
    ob_loss_soft(job->dlogits, job->exec->logits, job->target, b->n, c, scale);
    ob_job_backward(job, b, loss, n_right);
    return OB_OK;
}

int ob_job_fresh_model(struct ob_model **out, const struct ob_job *job, struct ob_err *err)
{
    OB_TRY(ob_model_clone(out, job->model, err));
    ob_model_init(*out, job->seed);
    return OB_OK;
}
