/* exec.c - walks the steps of an executable, forwards and backwards. */
#include "backend/cpu/exec.h"

void ob_cpu_forward(struct ob_exec *base, const struct ob_weights *w, const float *x, int n,
                    enum ob_mode mode)
{
    struct exec *e = (struct exec *)base;

    e->x = x;
    e->n = n;
    e->mode = mode;
    ob_conv_pack(e, w);
    for (int i = 0; i < e->n_step; i++) {
        struct step *s = &e->step[i];

        if (s->kind == CONV)
            ob_conv_forward(e, s, w);
        else if (s->kind == NORM)
            ob_norm_forward(e, s, w);
        else
            ob_small_forward(e, s, w);
    }
    e->x = NULL;
    ob_export_output(e);
}

void ob_cpu_backward(struct ob_exec *base, const struct ob_weights *w, const float *dlogits,
                     float *grads, float *dx)
{
    struct exec *e = (struct exec *)base;
    int first = dx ? 0 : base->first;

    ob_import_dlogits(e, dlogits);
    for (int i = e->n_step - 1; i >= 0; i--) {
        struct step *s = &e->step[i];

        if (s->out < first || !e->value[s->out].g)
            continue;
        if (s->kind == CONV) {
            if (s->norm)
                ob_norm_sums(e, s, w, grads);
            ob_conv_backward(e, s, w, grads);
        } else if (s->kind == NORM) {
            ob_norm_backward(e, s, w, grads);
        } else if (s->kind != IMPORT) {
            ob_small_backward(e, s);
        }
    }
    if (dx)
        ob_export_dx(e, w, dx);
}
