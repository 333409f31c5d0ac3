/* fuse.c - which nodes become one step. */
#include "backend/cpu/compile.h"

static int only_reader(const struct compiler *k, int node, enum ob_op op)
{
    int r = k->reader[node];

    return k->uses[node] == 1 && r >= 0 && k->net->node[r].op == op && !k->absorbed[r] &&
                   k->head[r] < 0
               ? r
               : -1;
}

static void count_uses(struct compiler *k)
{
    for (int i = 0; i < k->net->n_nodes; i++) {
        k->head[i] = k->reader[i] = -1;
        for (int a = 0; a < 2; a++)
            if (k->net->node[i].in[a] >= 0) {
                k->uses[k->net->node[i].in[a]]++;
                k->reader[k->net->node[i].in[a]] = i;
            }
    }
    k->uses[k->net->n_nodes - 1]++;
    k->uses[k->net->features]++;
}

static int is_halving(const struct ob_node *pool)
{
    return pool->kernel == 2 && pool->stride == 2 && pool->pad == 0;
}

/* batch-norm, then maybe a sum, a ReLU, and without a sum a 2 x 2 pool. */
static void fuse(struct compiler *k, int norm)
{
    int last = norm, next, sum = -1;

    next = only_reader(k, last, OB_OP_ADD);
    if (next >= 0)
        last = sum = next;
    next = only_reader(k, last, OB_OP_RELU);
    if (next >= 0)
        last = next;
    next = last != norm && sum < 0 ? only_reader(k, last, OB_OP_MAXPOOL) : -1;
    if (next >= 0 && is_halving(&k->net->node[next]))
        last = next;
    for (int n = norm; n != last; n = k->reader[n])
        k->absorbed[n] = 1;
    k->head[last] = norm;
}

void ob_fuse(struct compiler *k)
{
    count_uses(k);
    for (int i = 0; i < k->net->n_nodes; i++)
        if (k->net->node[i].op == OB_OP_BATCHNORM)
            fuse(k, i);
    for (int i = 0; i < k->net->n_nodes; i++)
        if (k->net->node[i].op == OB_OP_CONV && k->uses[i] == 1 && k->reader[i] >= 0 &&
            k->net->node[k->reader[i]].op == OB_OP_BATCHNORM)
            k->absorbed[i] = 1;
}
