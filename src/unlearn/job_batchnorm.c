/* job_batchnorm.c - running statistics of batch-norm, estimated afresh from the retain set. */
#include "base/mem.h"
#include "unlearn/job.h"

#define BACKEND_MOMENTUM 0.1 /* of the running statistics; see backend.h */

bool ob_job_has_batchnorm(const struct ob_model *m)
{
    for (int i = 0; i < m->net->n_nodes; i++)
        if (m->net->node[i].op == OB_OP_BATCHNORM)
            return true;
    return false;
}

/* Adds `share` of each running statistic to its sum; then it is 0, or the sum where that is whole. */
static void each_statistic(struct ob_model *m, double *sum, double share, bool finish)
{
    const struct ob_net *net = m->net;

    for (int i = 0; i < net->n_nodes; i++) {
        const struct ob_node *d = &net->node[i];
        const int view[2] = { d->mean, d->var };

        for (int k = 0; k < 2 && d->op == OB_OP_BATCHNORM; k++) {
            const struct ob_view *v = &net->view[view[k]];

            for (size_t j = v->offset; j < v->offset + v->size; j++) {
                sum[j] += share * m->w.buffers[j];
                m->w.buffers[j] = finish ? (float)sum[j] : 0.0f;
            }
        }
    }
}

/* A train-mode pass over buffers of 0 leaves BACKEND_MOMENTUM of the batch's own statistics. */
static int pass(struct ob_job *job, struct ob_loader *l, double *sum, struct ob_err *err)
{
    struct ob_model *m = job->model;
    struct ob_batch b;

    ob_loader_start(l, 0);
    while (ob_loader_next(l, &b)) {
        OB_TRY(ob_ctx_stop(job->ctx, err));
        OB_TRY(ob_exec_forward(job->exec, &m->w, b.x, b.n, OB_MODE_TRAIN, err));
        job->cost.images_forward += (uint64_t)b.n;
        each_statistic(m, sum, b.n / BACKEND_MOMENTUM / (double)job->retain->n, false);
    }
    return OB_OK;
}

int ob_job_estimate_batchnorm(struct ob_job *job, struct ob_err *err)
{
    struct ob_model *m = job->model;
    struct ob_loader *l = NULL;
    struct ob_loader_opts o = { .batch = job->common.batch, .shuffle = 1, .seed = job->seed };
    double *sum;
    int rc;

    if (!ob_job_has_batchnorm(m))
        return OB_OK;
    if ((size_t)o.batch > job->retain->n)
        o.batch = (int)job->retain->n;
    OB_TRY(ob_alloc(sum, m->net->n_buffers, err));
    OB_GO(ob_loader_new(&l, job->data, OB_TRAIN, job->retain, &o, err));
    each_statistic(m, sum, 0, false);
    for (size_t i = 0; i < m->net->n_counts; i++)
        m->w.counts[i] = 0;
    OB_GO(pass(job, l, sum, err));
    each_statistic(m, sum, 0, true);
    ob_model_touch(m);
out:
    ob_loader_free(l);
    ob_free(sum);
    return rc;
}
