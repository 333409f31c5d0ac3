/*
 * curvature.c - how fast the gradient of an example's loss with respect to its pixels turns.
 *
 * | grad l(x + z) - grad l(x) |, z = h (s + e) / (|s| + e), s = sign(grad l(x)), e = 1e-7 (Moosavi-Dezfooli et al.,
 * CVPR 2019; as a proxy of memorization: Garg et al., ICML 2024; Zhao and Triantafillou 2024). Pixels are 0..1,
 * before normalisation; eval mode; of a finished model, so one value and no mean over epochs.
 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "run/memory.h"
#include "run/provenance.h"
#include "score/score.h"

#define BATCH 128
#define SMALL 1e-7

struct curvature {
    const struct ob_model *m;
    struct ob_exec *exec;
    float *x, *dlogits, *grads, *before, *after; /* x: of a batch, then moved */
    size_t image;                                /* floats */
};

static void release(struct curvature *c)
{
    ob_exec_free(c->exec);
    ob_free(c->x);
    ob_free(c->dlogits);
    ob_free(c->grads);
    ob_free(c->before);
    ob_free(c->after);
}

static int prepare(struct curvature *c, int batch, struct ob_err *err)
{
    const struct ob_net *net = c->m->net;
    unsigned flags = OB_EXEC_TRAIN | OB_EXEC_INPUT_GRAD;
    struct ob_memory need = { 0 };
    size_t n;

    c->image = (size_t)(net->channels * net->height * net->width);
    n = (size_t)batch * c->image;
    OB_TRY(ob_memory_add_exec(&need, c->m->ctx, net, batch, flags, err));
    ob_memory_add_weights(&need, net, 1, 0);
    ob_memory_add_batch(&need, net, batch, 1);
    OB_TRY(ob_memory_check(&need, c->m->ctx, batch, "measuring curvature", err));
    OB_TRY(ob_exec_new(&c->exec, c->m->ctx, net, batch, flags, err));
    OB_TRY(ob_block_new(&c->x, n, err));
    OB_TRY(ob_block_new(&c->before, n, err));
    OB_TRY(ob_block_new(&c->after, n, err));
    OB_TRY(ob_block_new(&c->grads, net->n_params, err));
    return ob_block_new(&c->dlogits, (size_t)batch * (size_t)net->n_classes, err);
}

/* Each example's own gradient: in eval mode none touches another, so that of the sum has them all. */
static int gradient(float *dx, struct curvature *c, const float *x, const struct ob_batch *b,
                    struct ob_err *err)
{
    int k = c->m->net->n_classes;

    OB_TRY(ob_exec_forward(c->exec, &c->m->w, x, b->n, OB_MODE_EVAL, err));
    memset(c->dlogits, 0, (size_t)b->n * (size_t)k * sizeof(float));
    ob_loss_ce(c->dlogits, c->exec->logits, b->y, b->n, k, (float)b->n, NULL);
    ob_exec_backward(c->exec, &c->m->w, c->dlogits, c->grads, dx);
    return OB_OK;
}

static double sign(float g)
{
    return (g > 0) - (g < 0);
}

static void move(float *to, const float *x, const float *g, size_t n, double h)
{
    double square = 0, scale;

    for (size_t i = 0; i < n; i++)
        square += sign(g[i]) * sign(g[i]);
    scale = h / (sqrt(square) + SMALL);
    for (size_t i = 0; i < n; i++)
        to[i] = (float)((double)x[i] + scale * (sign(g[i]) + SMALL));
}

static double distance(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum);
}

static int one_batch(struct curvature *c, struct ob_scores *s, const struct ob_batch *b, double h,
                     struct ob_err *err)
{
    OB_TRY(gradient(c->before, c, b->x, b, err));
    for (size_t i = 0; i < (size_t)b->n; i++)
        move(c->x + i * c->image, b->x + i * c->image, c->before + i * c->image, c->image, h);
    OB_TRY(gradient(c->after, c, c->x, b, err));
    for (size_t i = 0; i < (size_t)b->n; i++)
        s->value[b->id[i]] = (float)distance(c->before + i * c->image, c->after + i * c->image,
                                             c->image);
    return OB_OK;
}

static int measure(struct ob_scores *s, const struct ob_model *m, const struct ob_data *d,
                   const struct ob_ids *ids, double h, struct ob_err *err)
{
    struct ob_loader_opts o = { .batch = ids->n < BATCH ? (int)ids->n : BATCH };
    struct curvature c = { .m = m };
    struct ob_loader *loader = NULL;
    struct ob_batch b;
    int rc;

    OB_GO(prepare(&c, o.batch, err));
    OB_GO(ob_loader_new(&loader, d, OB_TRAIN, ids, &o, err));
    ob_loader_start(loader, 0);
    while (ob_loader_next(loader, &b)) {
        OB_GO(ob_ctx_stop(m->ctx, err));
        OB_GO(one_batch(&c, s, &b, h, err));
    }
out:
    ob_loader_free(loader);
    release(&c);
    return rc;
}

int ob_scores_curvature(struct ob_scores **out, const struct ob_model *m, const struct ob_data *d,
                        const struct ob_ids *ids, double h, struct ob_err *err)
{
    struct ob_scores *s = NULL;
    int rc;

    *out = NULL;
    if (!(h > 0 && h <= 1))
        return ob_fail(err, OB_EINVAL, "a step of %g between pixels of 0 to 1", h);
    OB_TRY(ob_model_check_single(m, err));
    OB_TRY(ob_model_check_shape(m, d, err));
    OB_GO(ob_scores_new(&s, "curvature", "model", d->info.n_file[OB_TRAIN], err));
    OB_GO(measure(s, m, d, ids, h, err));
    ob_scores_count(s);
    s->info.images = 2 * 3 *
                     (double)ids->n; /* two gradients, each as much as three forward passes */
    rc = ob_scores_of_model(s, m, d, json_pack("{s:f}", "step", h), err);
out:
    if (rc)
        ob_scores_free(s);
    else
        *out = s;
    return rc;
}
