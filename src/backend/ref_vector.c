/* ref_vector.c - the backend `ref`: operations on flat blocks, elementwise and in order. */
#include <math.h>

#include "backend/ref.h"

void ref_fill(struct ob_ctx *ctx, float *x, size_t n, float value)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        x[i] = value;
}

void ref_axpy(struct ob_ctx *ctx, float *y, const float *x, size_t n, float a)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(y[i] + (double)a * x[i]);
}

void ref_scale(struct ob_ctx *ctx, float *x, size_t n, float a)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        x[i] *= a;
}

double ref_dot(struct ob_ctx *ctx, const float *x, const float *y, size_t n)
{
    double sum = 0;

    (void)ctx;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * y[i];
    return sum;
}

double ref_sum_abs(struct ob_ctx *ctx, const float *x, size_t n)
{
    double sum = 0;

    (void)ctx;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)x[i]);
    return sum;
}

void ref_add_sign(struct ob_ctx *ctx, float *y, const float *x, size_t n, float a)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        y[i] += a * (float)((x[i] > 0) - (x[i] < 0));
}

/* PyTorch's order: decay into the gradient, gradient into the velocity, velocity into the weight. */
void ref_sgd(struct ob_ctx *ctx, float *params, const float *grads, float *velocity, size_t n,
             const struct ob_sgd *o)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        double g;

        if (o->mask && !o->mask[i])
            continue;
        g = grads[i] + (double)o->weight_decay * params[i];
        velocity[i] = (float)(o->first ? g : (double)o->momentum * velocity[i] + g);
        params[i] = (float)(params[i] - (double)o->lr * velocity[i]);
    }
}

/* Kingma and Ba, algorithm 1, with eps outside of the corrected root; decoupled: Loshchilov and
 * Hutter, "Decoupled weight decay regularization", scaled by the rate as in PyTorch. */
void ref_adam(struct ob_ctx *ctx, float *params, const float *grads, float *m, float *v, size_t n,
              const struct ob_adam *o)
{
    double beta1 = o->beta1, beta2 = o->beta2, decay = o->weight_decay;
    double rate = o->lr / (1 - pow(beta1, (double)o->step));
    double root = sqrt(1 - pow(beta2, (double)o->step));

    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        double g = grads[i], p = params[i];

        if (o->mask && !o->mask[i])
            continue;
        if (o->decoupled)
            p -= o->lr * decay * p;
        else
            g += decay * p;
        m[i] = (float)(beta1 * m[i] + (1 - beta1) * g);
        v[i] = (float)(beta2 * v[i] + (1 - beta2) * g * g);
        params[i] = (float)(p - rate * m[i] / (sqrt((double)v[i]) / root + o->eps));
    }
}
