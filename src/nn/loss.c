/* loss.c - losses of a matrix of logits: value and gradient, sums in double. */
#include <math.h>

#include "nn/model.h"

int ob_argmax(const float *z, int c)
{
    int best = 0;

    for (int i = 1; i < c; i++)
        if (z[i] > z[best])
            best = i;
    return best;
}

/* log sum exp(z / temperature), without overflow. */
static double log_sum_exp(const float *z, int c, double temperature)
{
    double top = z[ob_argmax(z, c)] / temperature, sum = 0;

    for (int i = 0; i < c; i++)
        sum += exp(z[i] / temperature - top);
    return top + log(sum);
}

void ob_softmax(double *p, const float *z, int c)
{
    double whole = log_sum_exp(z, c, 1);

    for (int i = 0; i < c; i++)
        p[i] = exp(z[i] - whole);
}

double ob_loss_ce(float *dlogits, const float *logits, const int32_t *y, int n, int c, float scale,
                  int *n_right)
{
    double loss = 0;
    int right = 0;

    for (int i = 0; i < n; i++) {
        const float *z = logits + (size_t)i * (size_t)c;
        double whole = log_sum_exp(z, c, 1);

        loss += whole - z[y[i]];
        right += ob_argmax(z, c) == y[i];
        if (!dlogits)
            continue;
        for (int k = 0; k < c; k++) {
            double p = exp(z[k] - whole);

            dlogits[(size_t)i * (size_t)c + (size_t)k] += (float)(scale / n * (p - (k == y[i])));
        }
    }
    if (n_right)
        *n_right = right;
    return loss / n;
}

/* A row of targets sums to one, so that its gradient is (p - target) / n. */
double ob_loss_soft(float *dlogits, const float *logits, const float *target, int n, int c,
                    float scale)
{
    double loss = 0;

    for (int i = 0; i < n; i++) {
        size_t row = (size_t)i * (size_t)c;
        double whole = log_sum_exp(logits + row, c, 1);

        for (int k = 0; k < c; k++) {
            double log_p = logits[row + (size_t)k] - whole, t = target[row + (size_t)k];

            loss -= t > 0 ? t * log_p : 0;
            if (dlogits)
                dlogits[row + (size_t)k] += (float)(scale / n * (exp(log_p) - t));
        }
    }
    return loss / n;
}

/* d/dz_s of T^2/n sum p_t log(p_t/p_s), p_s = softmax(z_s/T), is T/n (p_s - p_t). */
double ob_loss_kl(float *dlogits, const float *student, const float *teacher, int n, int c,
                  float temperature, float scale)
{
    double loss = 0, t = temperature;

    for (int i = 0; i < n; i++) {
        size_t row = (size_t)i * (size_t)c;
        const float *s = student + row, *z = teacher + row;
        double whole_s = log_sum_exp(s, c, t), whole_z = log_sum_exp(z, c, t);

        for (int k = 0; k < c; k++) {
            double log_s = s[k] / t - whole_s, log_z = z[k] / t - whole_z;

            loss += exp(log_z) * (log_z - log_s);
            if (dlogits)
                dlogits[row + (size_t)k] += (float)(scale * t / n * (exp(log_s) - exp(log_z)));
        }
    }
    return t * t * loss / n;
}
