/* predict.c - logits and embeddings of a set of examples, in eval mode. */
#include <string.h>

#include "base/room.h"
#include "run/memory.h"
#include "run/provenance.h"
#include "run/train.h"

#define BATCH 256

/* What comes out does not depend on it. */
static int batch_with_room(int *batch, const struct ob_model *m, struct ob_err *err)
{
    for (;; *batch = (*batch + 1) / 2) {
        struct ob_memory need = { 0 };
        size_t room;

        OB_TRY(ob_memory_add_exec(&need, m->ctx, m->net, *batch, 0, err));
        ob_memory_add_batch(&need, m->net, *batch, 0);
        if (*batch == 1)
            return ob_memory_check(&need, m->ctx, 1, "evaluating", err);
        if (!ob_room_of(m->ctx, &room) || ob_memory_bytes(&need) <= room)
            return OB_OK;
    }
}

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
    OB_GO(batch_with_room(&o.batch, m, err));
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
