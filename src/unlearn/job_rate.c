/* job_rate.c - how long images take here: one batch through the network, timed; nothing changes. */
#include "base/mem.h"
#include "unlearn/job.h"

#define MOST 64 /* images: about as fast as any larger batch */

static int forward(double *seconds, const struct ob_model *m, const struct ob_batch *b,
                   struct ob_err *err)
{
    struct ob_exec *exec;
    int rc = OB_OK;

    OB_TRY(ob_exec_new(&exec, m->ctx, m->net, b->n, 0, err));
    for (int i = 0; i < 2 && !rc; i++) { /* the first pass is to warm up */
        double start = ob_now();

        rc = ob_exec_forward(exec, &m->w, b->x, b->n, OB_MODE_EVAL, err);
        *seconds = ob_now() - start;
    }
    ob_exec_free(exec);
    return rc;
}

static int gradient(double *seconds, const struct ob_model *m, const struct ob_batch *b,
                    struct ob_err *err)
{
    size_t n_logits = (size_t)b->n * (size_t)m->net->n_classes;
    float *grads = NULL, *dlogits = NULL;
    struct ob_exec *exec = NULL;
    int rc;

    OB_GO(ob_block_new(&grads, m->net->n_params, err));
    OB_GO(ob_block_new(&dlogits, n_logits, err));
    OB_GO(ob_exec_new(&exec, m->ctx, m->net, b->n, OB_EXEC_TRAIN, err));
    for (int i = 0; i < 2; i++) {
        double start = ob_now();

        OB_GO(ob_exec_forward(exec, &m->w, b->x, b->n, OB_MODE_TRAIN, err));
        ob_loss_ce(dlogits, exec->logits, b->y, b->n, m->net->n_classes, 1, NULL);
        ob_exec_backward(exec, &m->w, dlogits, grads, NULL);
        *seconds = ob_now() - start;
    }
out:
    ob_exec_free(exec);
    ob_free(dlogits);
    ob_free(grads);
    return rc;
}

int ob_job_rate(struct ob_rate *out, const struct ob_job *job, struct ob_err *err)
{
    struct ob_loader_opts o = { .batch = job->common.batch };
    const struct ob_ids *ids = job->split ? ob_split_train(job->split)
                                          : ob_data_ids(job->data, OB_TRAIN);
    struct ob_model *m = NULL; /* a copy: training mode moves running statistics */
    struct ob_loader *loader = NULL;
    struct ob_batch b;
    double forwards, both;
    int rc;

    o.batch = o.batch < 1 || o.batch > MOST ? MOST : o.batch;
    if ((size_t)o.batch > job->retain->n + job->forget->n)
        o.batch = (int)(job->retain->n + job->forget->n);
    OB_GO(ob_model_clone(&m, job->model, err));
    OB_GO(ob_loader_new(&loader, job->data, OB_TRAIN, ids, &o, err));
    ob_loader_start(loader, 0);
    OB_ASSERT(err, ob_loader_next(loader, &b));
    OB_GO(forward(&forwards, m, &b, err));
    OB_GO(gradient(&both, m, &b, err));
    out->forward = forwards / b.n;
    out->gradient = both / b.n;
out:
    ob_loader_free(loader);
    ob_model_free(m);
    return rc;
}
