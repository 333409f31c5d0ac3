/* job_fisher.c - Fisher diagonals and other importances of weights, and dampening by them. */
#include <math.h>

#include "base/mem.h"
#include "unlearn/gradients.h"

int ob_importance_batch(const struct ob_importance *how)
{
    return how->unit == OB_UNIT_SAMPLE ? 1 : how->batch;
}

int ob_importance_room(const void *state, const struct ob_job *job, struct ob_memory *need,
                       struct ob_err *err)
{
    (void)state;
    (void)err;
    ob_memory_add_weights(need, job->model->net, 1, 0); /* two, one of them in place of moments */
    return OB_OK;
}

uint64_t ob_importance_images(const struct ob_importance *how, const struct ob_job *job)
{
    size_t n = job->retain->n;

    if (how->samples && (size_t)how->samples < n)
        n = (size_t)how->samples;
    return n + job->forget->n;
}

/* ---- one set ---- */

static int add_units(float *out, struct ob_sweep *s, enum ob_importance_loss loss, size_t *n_units,
                     struct ob_err *err)
{
    struct ob_fold how = { .weight = 1, .is_absolute = loss == OB_IMPORTANCE_NORM };
    struct ob_batch b;

    for (*n_units = 0;; ++*n_units) {
        OB_TRY(ob_sweep_next(s, &b, err));
        if (!b.n)
            return OB_OK;
        if (loss == OB_IMPORTANCE_CE)
            OB_TRY(ob_sweep_add_ce(s, &b, NULL, NULL, err));
        else
            OB_TRY(ob_sweep_add_norm(s, &b, err));
        ob_sweep_fold(out, s, how);
    }
}

/* Sums become means. */
static int finish(float *x, size_t n, double n_units, struct ob_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return ob_fail(err, OB_EDIVERGED, "the importance of a weight is not finite");
        x[i] = (float)((double)x[i] / n_units);
    }
    return OB_OK;
}

int ob_job_importance(float *out, struct ob_sweep *s, const struct ob_ids *ids,
                      const struct ob_importance *how, enum ob_importance_loss loss,
                      struct ob_err *err)
{
    const struct ob_backend *k = s->job->ctx->backend;
    const struct ob_net *net = s->job->model->net;
    size_t n_units;

    k->fill(s->job->ctx, out, net->n_params, 0.0f);
    k->fill(s->job->ctx, s->grads, net->n_params, 0.0f);
    OB_TRY(ob_sweep_start(s, ids, ob_importance_batch(how), (enum ob_augment)how->augment, err));
    OB_TRY(add_units(out, s, loss, &n_units, err));
    return finish(out, net->n_params, (double)n_units, err);
}

void ob_job_drop_rounding(float *x, const struct ob_job *job, enum ob_importance_loss loss)
{
    const struct ob_net *net = job->model->net;
    double least = loss == OB_IMPORTANCE_CE ? 1e-10 : 1e-5;

    for (int i = 0; i < net->n_views; i++) {
        const struct ob_view *v = &net->view[i];
        float *own = x + v->offset, most = 0;

        if (v->block != OB_PARAM)
            continue;
        for (size_t k = 0; k < v->size; k++)
            most = fmaxf(most, own[k]);
        for (size_t k = 0; k < v->size; k++)
            own[k] = (double)own[k] > least * (double)most ? own[k] : 0;
    }
}

/* ---- forget set, and all together ---- */

/* The mean over the union of two sets, from those of each: of n_f and n_r units. */
static void join(float *retain, const float *forget, size_t n, double n_r, double n_f)
{
    for (size_t i = 0; i < n; i++)
        retain[i] = (float)((n_r * (double)retain[i] + n_f * (double)forget[i]) / (n_r + n_f));
}

static double units_of(const struct ob_ids *ids, int batch)
{
    return ceil((double)ids->n / batch);
}

int ob_job_importances(float *forget, float *whole, struct ob_job *job,
                       const struct ob_importance *how, enum ob_importance_loss loss,
                       struct ob_err *err)
{
    int batch = ob_importance_batch(how), rc;
    struct ob_sweep s = { 0 };
    struct ob_ids *drawn = NULL;

    OB_GO(ob_job_draw(&drawn, job, job->retain, (size_t)how->samples, err));
    OB_GO(ob_sweep_open(&s, job, batch, err));
    OB_GO(ob_job_importance(forget, &s, job->forget, how, loss, err));
    ob_job_drop_rounding(forget, job, loss);
    OB_GO(ob_job_importance(whole, &s, drawn, how, loss, err));
    join(whole, forget, job->model->net->n_params, units_of(job->retain, batch),
         units_of(job->forget, batch));
out:
    ob_sweep_close(&s);
    ob_ids_free(drawn);
    return rc;
}

/* ---- dampening ---- */

size_t ob_job_relative(float *ratio, const struct ob_job *job, const float *forget)
{
    size_t n = job->model->net->n_params, moved = 0;

    for (size_t i = 0; i < n; i++) {
        moved += ratio[i] > 0;
        ratio[i] = forget[i] > 0 && ratio[i] > 0 ? forget[i] / ratio[i] : 0;
    }
    return moved;
}

void ob_job_dampen(struct ob_job *job, const float *ratio, double alpha, double lambda)
{
    struct ob_model *m = job->model;

    for (size_t i = 0; i < m->net->n_params; i++) {
        double r = (double)ratio[i];

        if (r > alpha)
            m->w.params[i] = (float)((double)m->w.params[i] * fmin(1, lambda / r));
    }
    ob_model_touch(m);
}

int ob_job_dampen_by(struct ob_job *job, const struct ob_importance *how,
                     enum ob_importance_loss loss, double alpha, double lambda, struct ob_err *err)
{
    size_t n = job->model->net->n_params;
    float *forget = NULL, *whole = NULL;
    int rc;

    OB_GO(ob_block_new(&forget, n, err));
    OB_GO(ob_block_new(&whole, n, err));
    OB_GO(ob_job_importances(forget, whole, job, how, loss, err));
    ob_job_relative(whole, job, forget);
    ob_job_dampen(job, whole, alpha, lambda);
out:
    ob_free(forget);
    ob_free(whole);
    return rc;
}
