/* predict.c - logits and embeddings of a set of examples, in eval mode. */
#include <string.h>

#include "run/provenance.h"
#include "run/train.h"

#define BATCH 256

int ob_predict(float *logits, float *features, const struct ob_model *m, const struct ob_data *d,
               enum ob_part part, const struct ob_ids *ids, struct ob_err *err)
{
    struct ob_loader_opts o = { .batch = ids->n < BATCH ? (int)ids->n : BATCH };
    size_t n_classes = (size_t)m->net->n_classes, n_features = (size_t)ob_net_n_features(m->net);
    size_t done = 0;
    struct ob_loader *loader = NULL;
    struct ob_exec *exec = NULL;
    struct ob_batch b;
    int rc;

    OB_TRY(ob_model_check_shape(m, d, err));
    if (!ids->n)
        return OB_OK;
    OB_GO(ob_loader_new(&loader, d, part, ids, &o, err));
    OB_GO(ob_exec_new(&exec, m->ctx, m->net, o.batch, 0, err));
    ob_loader_start(loader, 0);
    while (ob_loader_next(loader, &b)) {
        size_t n = (size_t)b.n;

        OB_GO(ob_ctx_stop(m->ctx, err));
        OB_GO(ob_exec_forward(exec, &m->w, b.x, b.n, OB_MODE_EVAL, err));
        if (logits)
            memcpy(logits + done * n_classes, exec->logits, n * n_classes * sizeof(float));
        if (features)
            memcpy(features + done * n_features, exec->features, n * n_features * sizeof(float));
        done += n;
    }
out:
    ob_exec_free(exec);
    ob_loader_free(loader);
    return rc;
}
