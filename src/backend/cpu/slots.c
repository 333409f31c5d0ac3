/* slots.c - which gradients there are, and which activations and gradients share memory. */
#include "backend/cpu/compile.h"
#include "base/mem.h"

int ob_needs_gradient(const struct compiler *k, int node)
{
    unsigned flags = k->e->base.flags;

    if (node < 0 || !(flags & OB_EXEC_TRAIN))
        return 0;
    return !ob_is_input(k->net, node) || (flags & OB_EXEC_INPUT_GRAD);
}

/* A slot is taken by its first writer and free after its last reader; a step may take one for
 * itself. */

static int take_slot(struct compiler *k, size_t size)
{
    int best = -1;

    for (int i = 0; i < k->n_slots; i++) {
        if (k->slot_users[i])
            continue;
        if (best < 0 || (k->slot_size[best] < size
                             ? k->slot_size[i] > k->slot_size[best]
                             : k->slot_size[i] >= size && k->slot_size[i] < k->slot_size[best]))
            best = i;
    }
    if (best < 0)
        best = k->n_slots++;
    if (k->slot_size[best] < size)
        k->slot_size[best] = size;
    k->slot_users[best] = 1;
    return best;
}

static void plan_gradient(struct compiler *k, struct step *s)
{
    struct value *value = k->e->value, *out = &value[s->out];

    if (out->slot < 0)
        return;                    /* nothing that leads to the output reads it */
    for (int a = 1; a >= 0; a--) { /* the residual first: it may take over the output's slot */
        struct value *v = s->in[a] >= 0 ? &value[s->in[a]] : NULL;

        if (!v || !ob_needs_gradient(k, s->in[a]))
            continue;
        s->need[a] = 1;
        s->add[a] = v->slot >= 0;
        if (v->slot >= 0)
            continue;
        if (a == 1 && s->norm) {
            s->handed = 1;
            v->slot = out->slot;
            k->slot_users[v->slot]++;
        } else {
            v->slot = take_slot(k, v->image);
        }
    }
    if (s->conv && !s->conv->wino && ob_conv_by_pair(s->conv)) {
        s->conv->slot = take_slot(k, ob_conv_waiting(s->conv));
        k->slot_users[s->conv->slot] = 0;
    }
    k->slot_users[out->slot]--;
}

static int ask_slots(struct compiler *k, struct ob_err *err)
{
    float **slot;

    OB_TRY(ob_alloc(k->e->slot, (size_t)k->n_slots, err));
    slot = k->e->slot;
    for (int i = 0; i < k->n_slots; i++)
        OB_TRY(ob_ask_images(k, &slot[i], k->slot_size[i], err));
    return OB_OK;
}

static int last_reader(const struct compiler *k, int node)
{
    int last = node == k->net->n_nodes - 1 || node == k->net->features ? k->e->n_step : -1;

    for (int i = 0; i < k->e->n_step; i++)
        if (last < k->e->n_step && (k->e->step[i].in[0] == node || k->e->step[i].in[1] == node))
            last = i;
    return last;
}

/* Does the way back read what this step put out? */
static int asked_back(const struct compiler *k, const struct step *s)
{
    int own = s->norm ? s->norm->flags & (OB_NORM_RELU | OB_NORM_POOL) : s->kind == RELU;

    for (int i = 0; i < k->e->n_step && !own; i++) {
        const struct step *t = &k->e->step[i];

        own = t->in[0] == s->out && (t->kind == CONV || t->kind == NORM || t->kind == MAXPOOL);
    }
    return own;
}

/*
 * What the way back does not ask for lies where its gradient will. Forwards it is needed from its
 * step to its last reader, backwards the gradient is from there to that step: where two share a
 * slot, the one is not needed while the other is, either way. (A residual whose gradient is the
 * output's is read pixel for pixel before the output is written.)
 */
static int plan_activations(struct compiler *k, struct ob_err *err)
{
    struct exec *e = k->e;

    for (int i = 0; i < e->n_step; i++) {
        const struct step *s = &e->step[i];
        struct value *v = &e->value[s->out];

        v->lent = v->slot >= 0 && last_reader(k, s->out) < e->n_step && !asked_back(k, s);
        if (!v->lent)
            OB_TRY(ob_ask_images(k, &v->x, v->image, err));
        if (s->conv && s->norm) {
            v = &e->value[s->conv->node];
            OB_TRY(ob_ask_images(k, &v->x, v->image, err));
        }
    }
    return OB_OK;
}

int ob_plan_training(struct compiler *k, struct ob_err *err)
{
    struct exec *e = k->e;
    int last = k->net->n_nodes - 1;

    e->value[last].slot = take_slot(k, e->value[last].image);
    for (int i = e->n_step - 1; i >= 0; i--)
        plan_gradient(k, &e->step[i]);
    OB_TRY(plan_activations(k, err));
    return ask_slots(k, err);
}

int ob_plan_inference(struct compiler *k, struct ob_err *err)
{
    struct value *value = k->e->value;

    for (int i = 0; i < k->e->n_step; i++) {
        const struct step *s = &k->e->step[i];

        value[s->out].slot = take_slot(k, value[s->out].image);
        if (s->conv && s->norm) { /* between them, when the batch's own statistics are wanted */
            struct value *y = &value[s->conv->node];

            if (s->norm->flags & OB_NORM_POOL) {
                y->slot = take_slot(k, y->image);
                k->slot_users[y->slot] = 0;
            } else {
                y->slot = value[s->out].slot; /* pixel for pixel, in place */
            }
        }
        for (int a = 0; a < 2; a++)
            if (s->in[a] >= 0 && value[s->in[a]].slot >= 0 && last_reader(k, s->in[a]) == i)
                k->slot_users[value[s->in[a]].slot] = 0;
    }
    return ask_slots(k, err);
}
