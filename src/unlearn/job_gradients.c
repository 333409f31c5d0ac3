/* job_gradients.c - passes over a set that take gradients and leave the weights as they are. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/par.h"
#include "base/rng.h"
#include "unlearn/gradients.h"

int ob_sweep_open(struct ob_sweep *s, struct ob_job *job, int batch, struct ob_err *err)
{
    const struct ob_net *net = job->model->net;
    int rc;

    if ((size_t)batch > job->forget->n + job->retain->n)
        batch = (int)(job->forget->n + job->retain->n);
    *s = (struct ob_sweep){ .job = job, .batch = batch };
    if (job->exec && batch <= job->exec->batch) {
        s->exec = job->exec;
        s->grads = job->grads;
        s->dlogits = job->dlogits;
        return OB_OK;
    }
    s->is_own = true;
    OB_GO(ob_exec_new(&s->exec, job->ctx, net, batch, OB_EXEC_TRAIN, err));
    OB_GO(ob_block_new(&s->own_grads, net->n_params, err));
    s->grads = s->own_grads;
    OB_GO(ob_block_new(&s->dlogits, (size_t)batch * (size_t)net->n_classes, err));
out:
    if (rc)
        ob_sweep_close(s);
    return rc;
}

void ob_sweep_close(struct ob_sweep *s)
{
    ob_loader_free(s->loader);
    if (s->is_own) {
        ob_exec_free(s->exec);
        ob_free(s->own_grads);
        ob_free(s->dlogits);
    }
    *s = (struct ob_sweep){ 0 };
}

int ob_sweep_start(struct ob_sweep *s, const struct ob_ids *ids, int batch, enum ob_augment augment,
                   struct ob_err *err)
{
    struct ob_loader_opts o = { .batch = batch < s->batch ? batch : s->batch,
                                .augment = augment,
                                .seed = s->job->seed };

    ob_loader_free(s->loader);
    OB_TRY(ob_loader_new(&s->loader, s->job->data, OB_TRAIN, ids, &o, err));
    ob_loader_start(s->loader, 0);
    s->job->progress.done = 0;
    s->job->progress.total = ids->n;
    return OB_OK;
}

int ob_sweep_next(struct ob_sweep *s, struct ob_batch *b, struct ob_err *err)
{
    OB_TRY(ob_ctx_stop(s->job->ctx, err));
    if (!ob_loader_next(s->loader, b)) {
        b->n = 0;
        return OB_OK;
    }
    s->job->progress.done += (size_t)b->n;
    ob_progress(s->job->ctx, &s->job->progress);
    return OB_OK;
}

static int forward(struct ob_sweep *s, const struct ob_batch *b, struct ob_err *err)
{
    const struct ob_model *m = s->job->model;

    OB_TRY(ob_exec_forward(s->exec, &m->w, b->x, b->n, OB_MODE_EVAL, err));
    memset(s->dlogits, 0, (size_t)b->n * (size_t)m->net->n_classes * sizeof(float));
    return OB_OK;
}

/* What is reported is the loss of the examples' own labels, whatever the gradient is of. */
static void backward(struct ob_sweep *s, const struct ob_batch *b)
{
    const struct ob_model *m = s->job->model;
    int n_right;
    double loss = ob_loss_ce(NULL, s->exec->logits, b->y, b->n, m->net->n_classes, 1, &n_right);

    ob_exec_backward(s->exec, &m->w, s->dlogits, s->grads, NULL);
    obi_job_count(s->job, b->n, loss, n_right);
}

int ob_sweep_add_ce(struct ob_sweep *s, const struct ob_batch *b, const int32_t *y,
                    const double *weight, struct ob_err *err)
{
    const struct ob_model *m = s->job->model;
    int c = m->net->n_classes;

    OB_TRY(forward(s, b, err));
    for (int i = 0; i < b->n; i++) {
        size_t at = (size_t)i * (size_t)c;

        ob_loss_ce(s->dlogits + at, s->exec->logits + at, (y ? y : b->y) + i, 1, c,
                   (float)(weight ? weight[i] : 1.0 / b->n), NULL);
    }
    backward(s, b);
    return OB_OK;
}

int ob_sweep_add_norm(struct ob_sweep *s, const struct ob_batch *b, struct ob_err *err)
{
    const struct ob_model *m = s->job->model;
    size_t n = (size_t)b->n * (size_t)m->net->n_classes;

    OB_TRY(forward(s, b, err));
    for (size_t i = 0; i < n; i++)
        s->dlogits[i] = 2 * s->exec->logits[i] / (float)b->n;
    backward(s, b);
    return OB_OK;
}

/* ---- folding ---- */

enum { PIECE = 1 << 15 }; /* weights of one piece of work */

struct folding {
    float *out, *grads;
    size_t n;
    struct ob_fold how;
};

static void fold_piece(void *arg, size_t i, int worker)
{
    const struct folding *f = arg;
    size_t end = (i + 1) * PIECE < f->n ? (i + 1) * PIECE : f->n;
    float weight = (float)f->how.weight, shift = (float)f->how.shift;

    (void)worker;
    for (size_t k = i * PIECE; k < end; k++) {
        float g = f->grads[k] + shift;

        f->out[k] += weight * (f->how.is_absolute ? fabsf(g) : g * g);
        f->grads[k] = 0;
    }
}

void ob_sweep_fold(float *out, struct ob_sweep *s, struct ob_fold how)
{
    size_t n = s->job->model->net->n_params;
    struct folding f = { out, s->grads, n, how };

    ob_par_for(s->job->ctx->n_threads, (n + PIECE - 1) / PIECE, fold_piece, &f);
}

int ob_job_draw(struct ob_ids **out, const struct ob_job *job, const struct ob_ids *ids, size_t n,
                struct ob_err *err)
{
    struct ob_rng r = ob_rng(job->seed, OB_RNG_SAMPLE, 0, 0);
    uint32_t *id;
    int rc;

    *out = NULL;
    OB_TRY(ob_alloc(id, ids->n, err));
    if (ids->n)
        memcpy(id, ids->id, ids->n * sizeof(*id));
    if (n && n < ids->n)
        ob_rng_shuffle(&r, id, ids->n);
    rc = ob_ids_new(out, id, n && n < ids->n ? n : ids->n, ids->limit, err);
    ob_free(id);
    return rc;
}
