/* ref_layers.c - the backend `ref`: the nodes that have parameters. */
#include <math.h>

#include "backend/ref.h"

#define EPS 1e-5
#define MOMENTUM 0.1

/* ---- convolution ---- */

/* Outputs first..end-1 along one axis read inside the image for tap k (0..kernel-1):
 * 0 <= o * stride + k - pad < size. */
struct range {
    int first, end;
};

static struct range inside(const struct ob_node *d, int n_out, int size, int k)
{
    int shift = k - d->pad;
    struct range r = { 0, 0 };

    if (shift < 0)
        r.first = (-shift + d->stride - 1) / d->stride;
    if (size > shift)
        r.end = (size - shift - 1) / d->stride + 1;
    if (r.end > n_out)
        r.end = n_out;
    return r;
}

/* One tap of a kernel over one plane: which outputs it serves, which inputs it reads. */
struct tap {
    struct range y, x;
    int dy, dx; /* input pixel = output pixel * stride + this */
};

static struct tap tap(const struct ob_node *d, const struct ob_node *in, int ky, int kx)
{
    return (struct tap){ .y = inside(d, d->h, in->h, ky),
                         .x = inside(d, d->w, in->w, kx),
                         .dy = ky - d->pad,
                         .dx = kx - d->pad };
}

/* acc += weight * (what the tap reads) */
static void add_tap(double *acc, const float *x, const struct ob_node *d, const struct ob_node *in,
                    struct tap t, double weight)
{
    for (int oy = t.y.first; oy < t.y.end; oy++) {
        const float *row = x + (oy * d->stride + t.dy) * in->w + t.dx;
        double *out = acc + oy * d->w;

        if (d->stride == 1)
#pragma omp simd
            for (int ox = t.x.first; ox < t.x.end; ox++)
                out[ox] += weight * row[ox];
        else
            for (int ox = t.x.first; ox < t.x.end; ox++)
                out[ox] += weight * row[ox * d->stride];
    }
}

static void conv_forward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s), *in = ref_source(s, 0);
    const float *w = ref_param(s, d->weight), *bias = ref_param(s, d->bias);
    size_t area = (size_t)d->h * (size_t)d->w, in_area = (size_t)in->h * (size_t)in->w;
    double *acc = s->e->node[s->node].plane + (size_t)worker * area;
    float *y = ref_y(s, i);

    for (int o = 0; o < d->c; o++) {
        for (size_t p = 0; p < area; p++)
            acc[p] = bias ? bias[o] : 0;
        for (int c = 0; c < in->c; c++)
            for (int ky = 0; ky < d->kernel; ky++)
                for (int kx = 0; kx < d->kernel; kx++)
                    add_tap(acc, ref_x(s, 0, i) + (size_t)c * in_area, d, in, tap(d, in, ky, kx),
                            *w++);
        for (size_t p = 0; p < area; p++)
            *y++ = (float)acc[p];
    }
}

/* dx += weight * dy, back along the tap */
static void spread_tap(double *dx, const double *dy, const struct ob_node *d,
                       const struct ob_node *in, struct tap t, double weight)
{
    for (int oy = t.y.first; oy < t.y.end; oy++) {
        double *row = dx + (oy * d->stride + t.dy) * in->w + t.dx;

        if (d->stride == 1)
#pragma omp simd
            for (int ox = t.x.first; ox < t.x.end; ox++)
                row[ox] += weight * dy[oy * d->w + ox];
        else
            for (int ox = t.x.first; ox < t.x.end; ox++)
                row[ox * d->stride] += weight * dy[oy * d->w + ox];
    }
}

static void conv_backward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s), *in = ref_source(s, 0);
    const float *w = ref_param(s, d->weight);
    size_t area = (size_t)d->h * (size_t)d->w, in_area = (size_t)in->h * (size_t)in->w;

    (void)worker;
    for (int o = 0; o < d->c; o++)
        for (int c = 0; c < in->c; c++)
            for (int ky = 0; ky < d->kernel; ky++)
                for (int kx = 0; kx < d->kernel; kx++)
                    spread_tap(ref_dx(s, 0, i) + (size_t)c * in_area,
                               ref_dy(s, i) + (size_t)o * area, d, in, tap(d, in, ky, kx), *w++);
}

static double dot_tap(const float *x, const double *dy, const struct ob_node *d,
                      const struct ob_node *in, struct tap t)
{
    double sum = 0;

    for (int oy = t.y.first; oy < t.y.end; oy++) {
        const float *row = x + (oy * d->stride + t.dy) * in->w + t.dx;

        if (d->stride == 1)
#pragma omp simd reduction(+ : sum)
            for (int ox = t.x.first; ox < t.x.end; ox++)
                sum += dy[oy * d->w + ox] * row[ox];
        else
            for (int ox = t.x.first; ox < t.x.end; ox++)
                sum += dy[oy * d->w + ox] * row[ox * d->stride];
    }
    return sum;
}

static void bias_gradient(const struct ref_step *s, size_t o, size_t area)
{
    float *grad = ref_grad(s, ref_node(s)->bias);
    double sum = 0;

    if (!grad)
        return;
    for (int i = 0; i < s->e->n; i++)
        for (size_t p = 0; p < area; p++)
            sum += ref_dy(s, (size_t)i)[o * area + p];
    grad[o] = (float)(grad[o] + sum);
}

static void conv_params(void *step, size_t o, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s), *in = ref_source(s, 0);
    size_t area = (size_t)d->h * (size_t)d->w, in_area = (size_t)in->h * (size_t)in->w;
    size_t taps = (size_t)d->kernel * (size_t)d->kernel;
    float *grad = ref_grad(s, d->weight) + o * (size_t)in->c * taps;

    (void)worker;
    for (int c = 0; c < in->c; c++)
        for (int ky = 0; ky < d->kernel; ky++)
            for (int kx = 0; kx < d->kernel; kx++) {
                double sum = 0;

                for (int i = 0; i < s->e->n; i++)
                    sum += dot_tap(ref_x(s, 0, (size_t)i) + (size_t)c * in_area,
                                   ref_dy(s, (size_t)i) + o * area, d, in, tap(d, in, ky, kx));
                *grad = (float)(*grad + sum);
                grad++;
            }
    bias_gradient(s, o, area);
}

const struct ref_op ref_conv = { .forward = conv_forward,
                                 .backward = conv_backward,
                                 .params = conv_params };

/* ---- linear ---- */

static void linear_forward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s);
    const float *w = ref_param(s, d->weight), *bias = ref_param(s, d->bias);
    const float *x = ref_x(s, 0, i);
    int n_in = ref_source(s, 0)->c;

    (void)worker;
    for (int o = 0; o < d->c; o++) {
        double sum = bias ? bias[o] : 0;

        for (int k = 0; k < n_in; k++)
            sum += (double)*w++ * x[k];
        ref_y(s, i)[o] = (float)sum;
    }
}

static void linear_backward(void *step, size_t i, int worker)
{
    const struct ref_step *s = step;
    const float *w = ref_param(s, ref_node(s)->weight);
    double *dx = ref_dx(s, 0, i);
    int n_in = ref_source(s, 0)->c;

    (void)worker;
    for (int o = 0; o < ref_node(s)->c; o++)
        for (int k = 0; k < n_in; k++)
            dx[k] += ref_dy(s, i)[o] * *w++;
}

static void linear_params(void *step, size_t o, int worker)
{
    const struct ref_step *s = step;
    int n_in = ref_source(s, 0)->c;
    float *grad = ref_grad(s, ref_node(s)->weight) + o * (size_t)n_in;

    (void)worker;
    for (int k = 0; k < n_in; k++) {
        double sum = 0;

        for (int i = 0; i < s->e->n; i++)
            sum += ref_dy(s, (size_t)i)[o] * ref_x(s, 0, (size_t)i)[k];
        grad[k] = (float)(grad[k] + sum);
    }
    bias_gradient(s, o, 1);
}

const struct ref_op ref_linear = { .forward = linear_forward,
                                   .backward = linear_backward,
                                   .params = linear_params };

/* ---- batch-norm, Ioffe and Szegedy, algorithm 1, with PyTorch's running statistics ---- */

/* Mean and biased variance of channel c over the batch. */
static void moments(const struct ref_step *s, size_t c, double *mean, double *var)
{
    const struct ob_node *d = ref_node(s);
    size_t area = (size_t)d->h * (size_t)d->w;
    double count = (double)area * s->e->n, sum = 0, square = 0;

    for (int i = 0; i < s->e->n; i++)
        for (size_t p = 0; p < area; p++)
            sum += ref_x(s, 0, (size_t)i)[c * area + p];
    *mean = sum / count;
    for (int i = 0; i < s->e->n; i++)
        for (size_t p = 0; p < area; p++) {
            double x = ref_x(s, 0, (size_t)i)[c * area + p] - *mean;

            square += x * x;
        }
    *var = square / count;
}

static void update_running(const struct ref_step *s, size_t c, double mean, double var)
{
    const struct ob_node *d = ref_node(s);
    float *running_mean = ref_buffer(s, d->mean), *running_var = ref_buffer(s, d->var);
    double count = (double)d->h * d->w * s->e->n;

    if (count > 1)
        var *= count / (count - 1);
    running_mean[c] = (float)((1 - MOMENTUM) * running_mean[c] + MOMENTUM * mean);
    running_var[c] = (float)((1 - MOMENTUM) * running_var[c] + MOMENTUM * var);
    if (c == 0)
        s->w->counts[s->e->base.net->view[d->count].offset]++;
}

static void batchnorm_forward(void *step, size_t c, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s);
    const struct ref_node *r = &s->e->node[s->node];
    size_t area = (size_t)d->h * (size_t)d->w;
    double gamma = ref_param(s, d->weight)[c], beta = ref_param(s, d->bias)[c], mean, var;

    (void)worker;
    if (s->e->mode == OB_MODE_TRAIN) {
        moments(s, c, &mean, &var);
        update_running(s, c, mean, var);
    } else {
        mean = ref_buffer(s, d->mean)[c];
        var = ref_buffer(s, d->var)[c];
    }
    r->mean[c] = mean;
    r->scale[c] = 1 / sqrt(var + EPS);
    for (int i = 0; i < s->e->n; i++)
        for (size_t p = 0; p < area; p++) {
            double x = ref_x(s, 0, (size_t)i)[c * area + p];

            ref_y(s, (size_t)i)[c * area + p] = (float)((x - mean) * r->scale[c] * gamma + beta);
        }
}

/* With xhat the normalised input and m values per channel:
 *   train: dx = gamma scale (dy - mean(dy) - xhat mean(dy xhat));  eval: dx = gamma scale dy */
static void batchnorm_backward(void *step, size_t c, int worker)
{
    const struct ref_step *s = step;
    const struct ob_node *d = ref_node(s);
    const struct ref_node *r = &s->e->node[s->node];
    size_t area = (size_t)d->h * (size_t)d->w;
    double m = (double)area * s->e->n, gamma = ref_param(s, d->weight)[c];
    float *dgamma = ref_grad(s, d->weight), *dbeta = ref_grad(s, d->bias);
    double sum = 0, sum_hat = 0;

    (void)worker;
    for (int i = 0; i < s->e->n; i++)
        for (size_t p = c * area; p < (c + 1) * area; p++) {
            double dy = ref_dy(s, (size_t)i)[p];

            sum += dy;
            sum_hat += dy * (ref_x(s, 0, (size_t)i)[p] - r->mean[c]) * r->scale[c];
        }
    dgamma[c] = (float)(dgamma[c] + sum_hat);
    dbeta[c] = (float)(dbeta[c] + sum);
    if (!ref_dx(s, 0, 0))
        return;
    for (int i = 0; i < s->e->n; i++)
        for (size_t p = c * area; p < (c + 1) * area; p++) {
            double hat = (ref_x(s, 0, (size_t)i)[p] - r->mean[c]) * r->scale[c];
            double dy = ref_dy(s, (size_t)i)[p];

            if (s->e->mode == OB_MODE_TRAIN)
                dy -= sum / m + hat * sum_hat / m;
            ref_dx(s, 0, (size_t)i)[p] += gamma * r->scale[c] * dy;
        }
}

const struct ref_op ref_batchnorm = { .forward = batchnorm_forward,
                                      .backward = batchnorm_backward,
                                      .by_channel = 1 };
