/* rate.c - how long images take here: one batch through the network, timed; nothing changes. */
#include "base/mem.h"
#include "run/train.h"

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

int ob_rate_measure(struct ob_rate *out, const struct ob_model *model, const struct ob_data *d,
                    const struct ob_ids *ids, int batch, struct ob_err *err)
{
    struct ob_loader_opts o = { .batch = batch < 1 || batch > MOST ? MOST : batch };
    struct ob_model *m = NULL; /* a copy: training mode moves running statistics */
    struct ob_loader *loader = NULL;
    struct ob_batch b;
    double forwards, both;
    int rc;

    OB_GO(ob_model_clone(&m, model, err));
    OB_GO(ob_loader_new(&loader, d, OB_TRAIN, ids, &o, err));
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

double ob_rate_seconds(const struct ob_rate *r, const struct ob_cost *c)
{
    return r->gradient * (double)c->images + r->forward * (double)c->images_forward;
}
