/* optim.c - optimisers over the flat parameter block, in PyTorch's update order. */
#include <string.h>

#include "base/mem.h"
#include "run/train.h"

static const char *const names[] = { "sgd", "adam", "adamw" }; /* by enum ob_optim_kind */

int ob_optim_init(struct ob_optim *o, struct ob_ctx *ctx, const char *kind, size_t n,
                  double momentum, double weight_decay, struct ob_err *err)
{
    int rc;

    *o = (struct ob_optim){
        .ctx = ctx, .n = n, .momentum = (float)momentum, .weight_decay = (float)weight_decay
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(kind, names[i]))
            continue;
        o->kind = (enum ob_optim_kind)i;
        rc = ob_block_new(&o->m, n, err);
        if (!rc && o->kind != OB_OPTIM_SGD)
            rc = ob_block_new(&o->v, n, err);
        if (rc)
            ob_optim_release(o);
        return rc;
    }
    return ob_fail(err, OB_EINVAL, "no optimizer '%s'; there are sgd, adam and adamw", kind);
}

void ob_optim_release(struct ob_optim *o)
{
    ob_free(o->m);
    ob_free(o->v);
    *o = (struct ob_optim){ 0 };
}

void ob_optim_step(struct ob_optim *o, float *params, const float *grads, double lr)
{
    const struct ob_backend *b = o->ctx->backend;

    if (o->kind == OB_OPTIM_SGD) {
        struct ob_sgd s = { .lr = (float)lr,
                            .momentum = o->momentum,
                            .weight_decay = o->weight_decay,
                            .first = o->n_steps == 0,
                            .mask = o->mask };

        b->sgd(o->ctx, params, grads, o->m, o->n, &s);
    } else {
        struct ob_adam a = { .lr = (float)lr,
                             .beta1 = 0.9f,
                             .beta2 = 0.999f,
                             .eps = 1e-8f,
                             .weight_decay = o->weight_decay,
                             .decoupled = o->kind == OB_OPTIM_ADAMW,
                             .step = o->n_steps + 1,
                             .mask = o->mask };

        b->adam(o->ctx, params, grads, o->m, o->v, o->n, &a);
    }
    o->n_steps++;
}
