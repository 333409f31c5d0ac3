/* divide.c - a batch taken in sub-batches, by one process or shared out among ranks. */
#include "run/divide.h"

#include <string.h>

#include "base/mem.h"
#include "base/ranks.h"

void ob_divided_memory(struct ob_memory *need, const struct ob_net *net, struct ob_ranks *ranks,
                       int size)
{
    size_t n = (size_t)ob_ranks_n(ranks);

    ob_memory_add_weights(need, net, ranks ? 2 : 1, 0); /* own gradients, room for the sum */
    need->rest += 2 * n * (size_t)size * (size_t)net->n_classes * sizeof(float);
    need->rest += 3 * net->n_buffers * sizeof(float);
}

int ob_divided_init(struct ob_divided *v, struct ob_exec *exec, struct ob_ranks *ranks, int size,
                    struct ob_err *err)
{
    const struct ob_net *net = exec->net;
    size_t n = (size_t)ob_ranks_n(ranks), logits = n * (size_t)size * (size_t)net->n_classes;
    size_t most = net->n_params > net->n_buffers ? net->n_params : net->n_buffers;

    v->ranks = ranks;
    v->exec = exec;
    v->size = size;
    OB_TRY(ob_alloc(v->at, n + 1, err));
    OB_TRY(ob_block_new(&v->logits, logits, err));
    OB_TRY(ob_block_new(&v->dlogits, logits, err));
    OB_TRY(ob_block_new(&v->grads, net->n_params, err));
    OB_TRY(ob_block_new(&v->room, ob_ranks_room(ranks, most), err));
    OB_TRY(ob_block_new(&v->start, net->n_buffers, err));
    OB_TRY(ob_block_new(&v->moved, net->n_buffers, err));
    return ob_block_new(&v->way, net->n_buffers, err);
}

void ob_divided_release(struct ob_divided *v)
{
    ob_free(v->at);
    ob_free(v->logits);
    ob_free(v->dlogits);
    ob_free(v->grads);
    ob_free(v->room);
    ob_free(v->start);
    ob_free(v->moved);
    ob_free(v->way);
}

/* Sub-batch i of a batch; n is 0 past the last. */
static struct ob_batch sub_batch(const struct ob_divided *v, const struct ob_batch *b, int i)
{
    const struct ob_net *net = v->exec->net;
    int first = i * v->size < b->n ? i * v->size : b->n;
    int n = b->n - first < v->size ? b->n - first : v->size;
    size_t image = (size_t)(net->channels * net->height * net->width);

    return (struct ob_batch){
        .x = b->x + (size_t)first * image, .y = b->y + first, .id = b->id + first, .n = n
    };
}

/* The own sub-batch: its logits to their place, and how far it moves the buffers. */
static int forward(struct ob_divided *v, struct ob_model *m, const struct ob_batch *own, float *z,
                   double share, struct ob_err *err)
{
    const struct ob_net *net = m->net;

    memcpy(m->w.buffers, v->start, net->n_buffers * sizeof(float));
    OB_TRY(ob_exec_forward(v->exec, &m->w, own->x, own->n, OB_MODE_TRAIN, err));
    memcpy(z, v->exec->logits, (size_t)own->n * (size_t)net->n_classes * sizeof(float));
    for (size_t i = 0; i < net->n_buffers; i++)
        v->moved[i] = (float)(share * ((double)m->w.buffers[i] - v->start[i]));
    return OB_OK;
}

/* A sub-batch for each rank, the first of which is `first`. */
static int one_round(struct ob_divided *v, struct ob_model *m, const struct ob_batch *b, int first,
                     float *grads, struct ob_events *events, double *loss, int *right,
                     struct ob_err *err)
{
    const struct ob_net *net = m->net;
    size_t rows = (size_t)v->size * (size_t)net->n_classes;
    int n_ranks = ob_ranks_n(v->ranks), me = ob_ranks_me(v->ranks), n_with = 0, rc = OB_OK;
    struct ob_batch own = sub_batch(v, b, first + me);

    if (own.n)
        rc = forward(v, m, &own, v->logits + (size_t)me * rows, (double)own.n / b->n, err);
    OB_TRY(ob_ranks_agree(v->ranks, rc, err));
    for (int k = 0; k < n_ranks; k++) {
        v->at[k] = (size_t)k * rows * sizeof(float);
        n_with += sub_batch(v, b, first + k).n > 0;
    }
    v->at[n_ranks] = (size_t)n_ranks * rows * sizeof(float);
    ob_ranks_share(v->ranks, v->logits, v->at);
    memset(v->dlogits, 0, (size_t)n_ranks * rows * sizeof(float));
    for (int k = 0; k < n_with; k++) { /* by everybody: loss and events are then known everywhere */
        struct ob_batch s = sub_batch(v, b, first + k);
        const float *z = v->logits + (size_t)k * rows;
        float share = (float)s.n / (float)b->n;
        int n_right;

        if (events)
            ob_events_add(events, &s, z, net->n_classes);
        *loss += ob_loss_ce(v->dlogits + (size_t)k * rows, z, s.y, s.n, net->n_classes, share,
                            &n_right) *
                 s.n / b->n;
        *right += n_right;
    }
    if (own.n) {
        memset(v->grads, 0, net->n_params * sizeof(float));
        ob_exec_backward(v->exec, &m->w, v->dlogits + (size_t)me * rows, v->grads, NULL);
    }
    ob_ranks_add(v->ranks, grads, v->grads, net->n_params, n_with, v->room);
    ob_ranks_add(v->ranks, v->way, v->moved, net->n_buffers, n_with, v->room);
    return OB_OK;
}

int ob_divided_step(struct ob_divided *v, struct ob_model *m, const struct ob_batch *b,
                    float *grads, struct ob_events *events, double *loss, int *right,
                    struct ob_err *err)
{
    const struct ob_net *net = m->net;
    int64_t counted = net->n_counts ? m->w.counts[0] : 0;

    *loss = 0;
    *right = 0;
    memcpy(v->start, m->w.buffers, net->n_buffers * sizeof(float));
    memset(v->way, 0, net->n_buffers * sizeof(float));
    memset(grads, 0, net->n_params * sizeof(float));
    for (int first = 0; first * v->size < b->n; first += ob_ranks_n(v->ranks))
        OB_TRY(one_round(v, m, b, first, grads, events, loss, right, err));
    for (size_t i = 0; i < net->n_buffers; i++)
        m->w.buffers[i] = v->start[i] + v->way[i];
    for (size_t i = 0; i < net->n_counts; i++)
        m->w.counts[i] = counted + 1;
    return OB_OK;
}
