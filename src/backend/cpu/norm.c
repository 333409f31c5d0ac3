/* norm.c - batch normalisation over a batch: statistics, what is derived from them, both ways. */
#include <math.h>
#include <string.h>

#include "backend/cpu/exec.h"
#include "base/par.h"

#define EPS 1e-5
#define MOMENTUM 0.1

struct job {
    struct exec *e;
    struct step *s;
};

static void set_scale(struct exec *e, struct norm *m, const struct ob_weights *w, int c,
                      double mean, double var)
{
    const struct ob_net *net = e->base.net;
    const struct ob_node *d = &net->node[m->node];

    m->scale[c] = 1 / sqrt(var + EPS);
    m->k.mean[c] = (float)mean;
    m->k.a[c] = (float)((double)view_of(net, w->params, d->weight)[c] * m->scale[c]);
    m->k.beta[c] = view_of(net, w->params, d->bias)[c];
}

/* Before the pixels are seen: all that there is to know in eval mode. */
void ob_norm_begin(struct exec *e, struct norm *m, const struct ob_weights *w)
{
    const struct ob_net *net = e->base.net;
    const struct ob_node *d = &net->node[m->node];

    if (e->mode == OB_MODE_EVAL)
        for (int c = 0; c < d->c; c++)
            set_scale(e, m, w, c, (double)view_of(net, w->buffers, d->mean)[c],
                      (double)view_of(net, w->buffers, d->var)[c]);
}

/* From the tasks' partial sums: mean and variance of the batch; updates the running ones. */
void ob_norm_finish(struct exec *e, struct norm *m, const struct ob_weights *w, int n_tasks,
                    int per)
{
    const struct ob_net *net = e->base.net;
    const struct ob_node *d = &net->node[m->node];
    const struct value *v = &e->value[m->in];
    double count = (double)e->n * (double)v->hw;
    float *run_mean = w->buffers + net->view[d->mean].offset;
    float *run_var = w->buffers + net->view[d->var].offset;
    size_t stride = 16 * (size_t)v->c8;

    for (int c = 0; c < d->c; c++) {
        const double *part = e->part + c;
        double sum = 0, m2 = 0, mean, unbiased;

        for (int t = 0; t < n_tasks; t++)
            sum += part[(size_t)t * stride];
        mean = sum / count;
        for (int t = 0; t < n_tasks; t++) {
            int images = e->n - t * per < per ? e->n - t * per : per;
            double pixels = (double)images * (double)v->hw;
            double off = part[(size_t)t * stride] / pixels - mean;

            m2 += part[(size_t)t * stride + stride / 2] + pixels * off * off;
        }
        set_scale(e, m, w, c, mean, m2 / count);
        unbiased = count > 1 ? m2 / (count - 1) : m2;
        run_mean[c] = (float)((1 - MOMENTUM) * (double)run_mean[c] + MOMENTUM * mean);
        run_var[c] = (float)((1 - MOMENTUM) * (double)run_var[c] + MOMENTUM * unbiased);
    }
    w->counts[net->view[d->count].offset]++;
}

static void apply_image(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    struct norm *m = j->s->norm;
    const struct ob_node *d = &e->base.net->node[m->in];
    const struct value *y = &e->value[m->in], *z = &e->value[j->s->out];
    const struct value *r = m->residual >= 0 ? &e->value[m->residual] : NULL;

    (void)worker;
    e->k->norm->apply(z->x + i * z->image, y->x + i * y->image, r ? r->x + i * r->image : NULL,
                      &m->k, y->c8, d->h, d->w, m->flags);
}

void ob_norm_apply(struct exec *e, struct step *s)
{
    struct job j = { e, s };

    ob_par_for(e->base.n_threads, (size_t)e->n, apply_image, &j);
}

static void stats_image(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    const struct value *y = &e->value[j->s->norm->in];
    double *part = e->part + i * 16 * (size_t)y->c8;

    (void)worker;
    e->k->norm->stats(part, part + 8 * y->c8, y->x + i * y->image, 1, y->c8, y->hw);
}

/* A norm that does not follow a convolution. */
void ob_norm_forward(struct exec *e, struct step *s, const struct ob_weights *w)
{
    struct job j = { e, s };

    ob_norm_begin(e, s->norm, w);
    if (e->mode == OB_MODE_TRAIN) {
        ob_par_for(e->base.n_threads, (size_t)e->n, stats_image, &j);
        ob_norm_finish(e, s->norm, w, e->n, 1);
    }
    ob_norm_apply(e, s);
}

static void sums_image(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    struct step *s = j->s;
    struct norm *m = s->norm;
    const struct ob_node *d = &e->base.net->node[m->in];
    const struct value *y = &e->value[m->in], *z = &e->value[s->out];
    double *part = e->part + i * 16 * (size_t)y->c8;
    float *r = NULL;
    int flags = m->flags;

    (void)worker;
    memset(part, 0, sizeof(double) * 16 * (size_t)y->c8);
    if (s->handed)
        flags |= OB_NORM_MASK;
    else if (m->residual >= 0 && s->need[1]) {
        r = e->value[m->residual].g + i * y->image;
        flags |= s->add[1] ? OB_NORM_ADD : 0;
    }
    e->k->norm->back_sums(part, part + 8 * y->c8, y->x + i * y->image, z->x + i * z->image,
                          z->g + i * z->image, r, &m->k, y->c8, d->h, d->w, flags);
}

/*
 * Gradients of gamma and beta, that of the residual, and the coefficients of dy: with
 * g the gradient behind the norm, dy = a (g - mean(g) - xhat mean(g xhat)) on batch statistics,
 * dy = a g on running ones.
 */
void ob_norm_sums(struct exec *e, struct step *s, const struct ob_weights *w, float *grads)
{
    struct job j = { e, s };
    struct norm *m = s->norm;
    const struct ob_net *net = e->base.net;
    const struct ob_node *d = &net->node[m->node];
    size_t stride = 16 * (size_t)e->value[m->in].c8;
    double count = (double)e->n * (double)e->value[m->in].hw;

    (void)w;
    ob_par_for(e->base.n_threads, (size_t)e->n, sums_image, &j);
    for (int c = 0; c < d->c; c++) {
        const double *part = e->part + c;
        double g = 0, gd = 0, a = (double)m->k.a[c];

        for (int i = 0; i < e->n; i++) {
            g += part[(size_t)i * stride];
            gd += part[(size_t)i * stride + stride / 2];
        }
        grads[net->view[d->bias].offset + (size_t)c] += (float)g;
        grads[net->view[d->weight].offset + (size_t)c] += (float)(gd * m->scale[c]);
        if (e->mode == OB_MODE_EVAL)
            g = gd = 0;
        m->k.ga[c] = m->k.a[c];
        m->k.gb[c] = (float)(-a * m->scale[c] * m->scale[c] * gd / count);
        m->k.gc[c] = (float)(-a * g / count);
    }
}

static void back_image(void *arg, size_t i, int worker)
{
    struct job *j = arg;
    struct exec *e = j->e;
    struct step *s = j->s;
    struct norm *m = s->norm;
    const struct ob_node *d = &e->base.net->node[m->in];
    const struct value *y = &e->value[m->in], *z = &e->value[s->out];
    int flags = m->flags | (s->add[0] ? OB_NORM_ADD : 0);

    (void)worker;
    e->k->norm->back_apply(y->g + i * y->image, 8 * (size_t)d->w, 8 * (size_t)y->hw,
                           y->x + i * y->image, z->x + i * z->image, z->g + i * z->image, &m->k,
                           y->c8, d->h, d->w, s->handed ? flags & ~OB_NORM_RELU : flags);
}

void ob_norm_backward(struct exec *e, struct step *s, const struct ob_weights *w, float *grads)
{
    struct job j = { e, s };

    ob_norm_sums(e, s, w, grads);
    if (s->need[0])
        ob_par_for(e->base.n_threads, (size_t)e->n, back_image, &j);
}
