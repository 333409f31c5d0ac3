/* predict.c - logits and embeddings of a set of examples, in eval mode. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
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

static int predict_one(float *logits, float *features, const struct ob_model *m,
                       const struct ob_data *d, enum ob_part part, const struct ob_ids *ids,
                       struct ob_err *err)
{
    struct ob_loader_opts o = { .batch = ids->n < BATCH ? (int)ids->n : BATCH };
    size_t n_classes = (size_t)m->net->n_classes, n_features = (size_t)ob_net_n_features(m->net);
    size_t done = 0;
    struct ob_loader *loader = NULL;
    struct ob_exec *exec = NULL;
    struct ob_batch b;
    int rc;

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

/* ---- several models that answer as one ---- */

#define LEAST 1e-30 /* of a probability: its logarithm is a number */

/* Adds a model's voice to the probabilities p: its vote, or its own probabilities. */
static void add_voice(double *p, const float *logits, int c, double share, bool vote, double *own)
{
    if (vote) {
        p[ob_argmax(logits, c)] += share;
        return;
    }
    ob_softmax(own, logits, c);
    for (int k = 0; k < c; k++)
        p[k] += share * own[k];
}

/* Their softmax is the shards' probabilities again. */
static int predict_shards(float *logits, const struct ob_model *m, const struct ob_data *d,
                          enum ob_part part, const struct ob_ids *ids, struct ob_err *err)
{
    size_t c = (size_t)m->net->n_classes, n = ids->n * c;
    double *p, *own = NULL;
    int rc;

    OB_TRY(ob_alloc(p, n, err));
    rc = ob_alloc(own, c, err);
    for (int k = 0; k <= m->n_shards && !rc; k++) {
        rc = predict_one(logits, NULL, k ? m->shard[k - 1] : m, d, part, ids, err);
        for (size_t i = 0; i < ids->n && !rc; i++)
            add_voice(p + i * c, logits + i * c, (int)c, 1.0 / (m->n_shards + 1), m->vote, own);
    }
    for (size_t i = 0; i < n && !rc; i++)
        logits[i] = (float)log(fmax(p[i], LEAST));
    ob_free(own);
    ob_free(p);
    return rc;
}

int ob_predict(float *logits, float *features, const struct ob_model *m, const struct ob_data *d,
               enum ob_part part, const struct ob_ids *ids, struct ob_err *err)
{
    OB_TRY(ob_model_check_shape(m, d, err));
    if (features)
        OB_TRY(ob_model_check_single(m, err));
    if (!ids->n)
        return OB_OK;
    if (m->sharded)
        return predict_shards(logits, m, d, part, ids, err);
    return predict_one(logits, features, m, d, part, ids, err);
}
