/* kernel_vec.c - loops over flat arrays: activations, and blocks of weights and gradients. */
#include <math.h>

#include "backend/cpu/kernels.h"
#include "backend/cpu/simd.h"

static void relu(float *z, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        z[i] = x[i] <= 0 ? 0 : x[i];
}

static void relu_back(float *dx, const float *dz, const float *z, size_t n, int add)
{
    if (add)
        for (size_t i = 0; i < n; i++)
            dx[i] += z[i] > 0 ? dz[i] : 0;
    else
        for (size_t i = 0; i < n; i++)
            dx[i] = z[i] > 0 ? dz[i] : 0;
}

static void sum(float *z, const float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        z[i] = x[i] + y[i];
}

static void copy(float *z, const float *x, size_t n, int add)
{
    if (add)
        for (size_t i = 0; i < n; i++)
            z[i] += x[i];
    else
        for (size_t i = 0; i < n; i++)
            z[i] = x[i];
}

static void fill(float *x, size_t n, float a)
{
    for (size_t i = 0; i < n; i++)
        x[i] = a;
}

static void axpy(float *y, const float *x, size_t n, float a)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void scale(float *x, size_t n, float a)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= a;
}

/* Eight sums side by side, joined in a fixed order: the compiler may not do that by itself. */
static double dot(const float *x, const float *y, size_t n)
{
    double s[8] = { 0 }, total = 0;
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            s[k] += (double)x[i + k] * (double)y[i + k];
    for (; i < n; i++)
        s[i % 8] += (double)x[i] * (double)y[i];
    for (size_t k = 0; k < 8; k++)
        total += s[k];
    return total;
}

static double sum_abs(const float *x, size_t n)
{
    double s[8] = { 0 }, total = 0;
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            s[k] += fabs((double)x[i + k]);
    for (; i < n; i++)
        s[i % 8] += fabs((double)x[i]);
    for (size_t k = 0; k < 8; k++)
        total += s[k];
    return total;
}

static void add_sign(float *y, const float *x, size_t n, float a)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i] > 0 ? a : x[i] < 0 ? -a : 0;
}

static void sgd(float *p, const float *g, float *v, const uint8_t *mask, size_t n,
                const struct ob_sgd *o)
{
    const float lr = o->lr, momentum = o->first ? 0 : o->momentum, decay = o->weight_decay;

    if (!mask && !o->first)
        for (size_t i = 0; i < n; i++) {
            v[i] = momentum * v[i] + (g[i] + decay * p[i]);
            p[i] -= lr * v[i];
        }
    else
        for (size_t i = 0; i < n; i++)
            if (!mask || mask[i]) {
                float t = g[i] + decay * p[i]; /* what was in v may be anything at first */

                v[i] = o->first ? t : momentum * v[i] + t;
                p[i] -= lr * v[i];
            }
}

static void adam(float *p, const float *g, float *m, float *v, const uint8_t *mask, size_t n,
                 const struct ob_adam *o)
{
    const double c1 = 1 - pow((double)o->beta1, (double)o->step);
    const float step = (float)((double)o->lr / c1);
    const float root = (float)sqrt(1 - pow((double)o->beta2, (double)o->step));
    const float b1 = o->beta1, b2 = o->beta2, n1 = 1 - b1, n2 = 1 - b2, eps = o->eps;
    const float wd = o->weight_decay, shrink = 1 - o->lr * wd;

    for (size_t i = 0; i < n; i++) {
        float t = g[i];

        if (mask && !mask[i])
            continue;
        if (o->decoupled)
            p[i] *= shrink;
        else
            t += wd * p[i];
        m[i] = b1 * m[i] + n1 * t;
        v[i] = b2 * v[i] + n2 * t * t;
        p[i] -= step * (m[i] / (sqrtf(v[i]) / root + eps));
    }
}

const struct ob_vec_kernels OB_K(ob_vec_kernels) = {
    .relu = relu,
    .relu_back = relu_back,
    .sum = sum,
    .copy = copy,
    .fill = fill,
    .axpy = axpy,
    .scale = scale,
    .dot = dot,
    .sum_abs = sum_abs,
    .add_sign = add_sign,
    .sgd = sgd,
    .adam = adam,
};
