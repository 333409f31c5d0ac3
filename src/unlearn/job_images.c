/* job_images.c - gradients with respect to images, and images moved along them. */
#include <math.h>
#include <string.h>

#include "unlearn/job.h"

int ob_job_image_gradient(const float **dx, struct ob_job *job, const struct ob_model *at,
                          const float *x, const int32_t *y, int n, enum ob_mode mode,
                          struct ob_err *err)
{
    int c = at->net->n_classes;

    OB_TRY(ob_exec_forward(job->exec, &at->w, x, n, mode, err));
    memset(job->dlogits, 0, (size_t)n * (size_t)c * sizeof(float));
    ob_loss_ce(job->dlogits, job->exec->logits, y, n, c, 1, NULL);
    ob_exec_backward(job->exec, &at->w, job->dlogits, job->grads, job->dx);
    job->cost.images += (uint64_t)n;
    *dx = job->dx;
    return OB_OK;
}

void ob_job_channels(struct ob_channels *out, const struct ob_model *m)
{
    const struct ob_node *normalize = &m->net->node[1];

    out->mean = m->w.buffers + m->net->view[normalize->mean].offset;
    out->std = m->w.buffers + m->net->view[normalize->var].offset;
}

static float pushed(float x, float g, double step)
{
    double to = (double)x + step * ((g > 0) - (g < 0));

    to = to < 0 ? 0 : to > 1 ? 1 : to;
    return (float)(nearbyint(255 * to) / 255);
}

int ob_job_push_images(struct ob_batch *out, struct ob_job *job, const struct ob_model *at,
                       const struct ob_batch *b, double step, struct ob_err *err)
{
    const struct ob_net *net = at->net;
    size_t n = (size_t)b->n * (size_t)(net->channels * net->height * net->width);
    const float *dx;

    OB_TRY(ob_job_image_gradient(&dx, job, at, b->x, b->y, b->n, OB_MODE_EVAL, err));
    for (size_t i = 0; i < n; i++)
        job->moved[i] = pushed(b->x[i], dx[i], step);
    *out = *b;
    out->x = job->moved;
    return OB_OK;
}
