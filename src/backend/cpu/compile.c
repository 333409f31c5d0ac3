/* compile.c - turns a network's nodes into fused steps, and lays out everything in one arena. */
#include <string.h>

#include "backend/cpu/exec.h"
#include "base/mem.h"

struct compiler {
    struct exec *e;
    const struct ob_net *net;
    int *uses;         /* how often a node is read; the output and the embedding once more */
    int *absorbed;     /* the node has no step of its own */
    int *head;         /* of the last node fused to a batch-norm: that, or -1 */
    int *reader;       /* a node that reads it */
    size_t *slot_size; /* floats of one image, by slot */
    int *slot_users, n_slots;
    struct piece *piece;
    size_t n_pieces;
};

/* ---- the arena: pieces are asked for, then given out at once ---- */

struct piece {
    float **where;
    size_t n;
};

static int ask(struct compiler *k, float **where, size_t n, struct ob_err *err)
{
    OB_TRY(ob_grow(k->piece, k->n_pieces, k->n_pieces + 1, err));
    k->piece[k->n_pieces++] = (struct piece){ where, n };
    return OB_OK;
}

static int ask_images(struct compiler *k, float **where, size_t image, struct ob_err *err)
{
    size_t n;

    if (!ob_mul(&n, image, (size_t)k->e->base.batch))
        return ob_fail(err, OB_ENOMEM, "a batch of %d is too large", k->e->base.batch);
    return ask(k, where, n, err);
}

static int give(struct compiler *k, struct ob_err *err)
{
    size_t total = 0, at = 0, n;

    for (size_t i = 0; i < k->n_pieces; i++) {
        if (!ob_add(&n, k->piece[i].n, 15) || !ob_add(&total, total, n & ~(size_t)15))
            return ob_fail(err, OB_ENOMEM, "the network is too large");
    }
    OB_TRY(ob_block_new(&k->e->arena, total, err));
    for (size_t i = 0; i < k->n_pieces; i++) {
        *k->piece[i].where = k->e->arena + at;
        at += (k->piece[i].n + 15) & ~(size_t)15;
    }
    return OB_OK;
}

/* ---- which nodes become one step ---- */

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
    if (next >= 0 && k->net->node[next].kernel == 2 && k->net->node[next].stride == 2)
        last = next;
    for (int n = norm; n != last; n = k->reader[n])
        k->absorbed[n] = 1;
    k->head[last] = norm;
}

static void fuse_all(struct compiler *k)
{
    for (int i = 0; i < k->net->n_nodes; i++)
        if (k->net->node[i].op == OB_OP_BATCHNORM)
            fuse(k, i);
    for (int i = 0; i < k->net->n_nodes; i++)
        if (k->net->node[i].op == OB_OP_CONV && k->uses[i] == 1 && k->reader[i] >= 0 &&
            k->net->node[k->reader[i]].op == OB_OP_BATCHNORM)
            k->absorbed[i] = 1;
}

/* ---- steps ---- */

static int is_input(const struct ob_net *net, int node)
{
    return net->node[node].op == OB_OP_INPUT || net->node[node].op == OB_OP_NORMALIZE;
}

static int is_dense(const struct ob_net *net, int conv)
{
    int in = net->node[conv].in[0];

    return net->node[conv].op == OB_OP_CONV && is_input(net, in) && net->node[in].c <= 4;
}

/* Convolutions pack images by themselves; does anyone else read this input node? */
static int is_imported(const struct compiler *k, int node)
{
    int n = 0;

    for (int i = 0; i < k->net->n_nodes; i++)
        for (int a = 0; a < 2; a++)
            if (k->net->node[i].in[a] == node && !is_dense(k->net, i) &&
                k->net->node[i].op != OB_OP_NORMALIZE)
                n++;
    return n || node == k->net->features;
}

static int needs_gradient(const struct compiler *k, int node)
{
    unsigned flags = k->e->base.flags;

    if (node < 0 || !(flags & OB_EXEC_TRAIN))
        return 0;
    return !is_input(k->net, node) || (flags & OB_EXEC_INPUT_GRAD);
}

static enum kind kind_of(enum ob_op op)
{
    static const enum kind of[] = {
        [OB_OP_INPUT] = IMPORT,    [OB_OP_NORMALIZE] = IMPORT, [OB_OP_CONV] = CONV,
        [OB_OP_BATCHNORM] = NORM,  [OB_OP_RELU] = RELU,        [OB_OP_ADD] = ADD,
        [OB_OP_MAXPOOL] = MAXPOOL, [OB_OP_AVGPOOL] = AVGPOOL,  [OB_OP_SHORTCUT] = SHORTCUT,
        [OB_OP_FLATTEN] = FLATTEN, [OB_OP_LINEAR] = CONV,
    };

    return of[op];
}

static int make_conv(struct compiler *k, struct step *s, int node, struct ob_err *err)
{
    const struct ob_node *d = &k->net->node[node];
    struct conv *c;

    s->kind = CONV;
    s->in[0] = d->in[0];
    OB_TRY(conv_plan(&s->conv, k->net, node, is_dense(k->net, node), needs_gradient(k, d->in[0]),
                     err));
    c = s->conv;
    OB_TRY(
        ask(k, &c->fwd.w, (size_t)((c->fwd.n_out + 1) / 2 * c->fwd.n_run * c->fwd.run) * 16, err));
    for (int p = 0; p < c->n_back; p++) {
        struct ob_gemm *g = &c->back[p];

        OB_TRY(ask(k, &g->w, (size_t)((g->n_out + 1) / 2 * g->n_run * g->run) * 16, err));
    }
    if (d->bias >= 0)
        OB_TRY(ask(k, &c->bias, 8 * (size_t)c->fwd.n_out, err));
    return c->dense ? ask_images(k, &c->packed, c->x_image, err) : OB_OK;
}

static int make_norm(struct compiler *k, struct step *s, int node, struct ob_err *err)
{
    const struct ob_net *net = k->net;
    struct norm *m;
    size_t n = (size_t)(net->node[node].c + 7) / 8 * 8;

    OB_TRY(ob_alloc(s->norm, 1, err));
    m = s->norm;
    m->node = node;
    m->in = net->node[node].in[0];
    m->residual = -1;
    for (int i = node, next; i != s->out; i = next) {
        next = k->reader[i];
        if (net->node[next].op == OB_OP_ADD)
            m->residual = net->node[next].in[net->node[next].in[0] == i];
        m->flags |= net->node[next].op == OB_OP_RELU ? OB_NORM_RELU : 0;
        m->flags |= net->node[next].op == OB_OP_MAXPOOL ? OB_NORM_POOL : 0;
    }
    s->in[1] = m->residual;
    OB_TRY(ob_alloc(m->scale, n, err));
    OB_TRY(ask(k, &m->k.mean, n, err));
    OB_TRY(ask(k, &m->k.a, n, err));
    OB_TRY(ask(k, &m->k.beta, n, err));
    OB_TRY(ask(k, &m->k.ga, n, err));
    OB_TRY(ask(k, &m->k.gb, n, err));
    return ask(k, &m->k.gc, n, err);
}

static int make_step(struct compiler *k, int node, struct ob_err *err)
{
    struct step *s = &k->e->step[k->e->n_step];
    const struct ob_node *d = &k->net->node[node];

    if (k->absorbed[node] || (is_input(k->net, node) && !is_imported(k, node)))
        return OB_OK;
    k->e->n_step++;
    s->kind = kind_of(d->op);
    s->in[0] = d->in[0];
    s->in[1] = d->in[1];
    s->out = node;
    if (k->head[node] >= 0) {
        int in = k->net->node[k->head[node]].in[0];

        OB_TRY(make_norm(k, s, k->head[node], err));
        s->kind = NORM;
        s->in[0] = in;
        return k->absorbed[in] ? make_conv(k, s, in, err) : OB_OK;
    }
    if (s->kind == IMPORT)
        s->in[0] = -1;
    return s->kind == CONV ? make_conv(k, s, node, err) : OB_OK;
}

/* ---- gradients share memory: a slot lives from its first writer to its reader ---- */

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

        if (!v || !needs_gradient(k, s->in[a]))
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
    k->slot_users[out->slot]--;
}

static int plan_gradients(struct compiler *k, struct ob_err *err)
{
    struct exec *e = k->e;
    int last = k->net->n_nodes - 1;
    float **slot;

    if (!(e->base.flags & OB_EXEC_TRAIN))
        return OB_OK;
    e->value[last].slot = take_slot(k, e->value[last].image);
    for (int i = e->n_step - 1; i >= 0; i--)
        plan_gradient(k, &e->step[i]);
    OB_TRY(ob_alloc(e->slot, (size_t)k->n_slots, err));
    slot = e->slot;
    for (int i = 0; i < k->n_slots; i++)
        OB_TRY(ask_images(k, &slot[i], k->slot_size[i], err));
    return OB_OK;
}

/* ---- the whole ---- */

static int alloc_compiler(struct compiler *k, struct ob_err *err)
{
    size_t n = (size_t)k->net->n_nodes;

    OB_TRY(ob_alloc(k->uses, n, err));
    OB_TRY(ob_alloc(k->absorbed, n, err));
    OB_TRY(ob_alloc(k->head, n, err));
    OB_TRY(ob_alloc(k->reader, n, err));
    OB_TRY(ob_alloc(k->slot_size, n, err));
    OB_TRY(ob_alloc(k->slot_users, n, err));
    OB_TRY(ob_alloc(k->e->value, n, err));
    return ob_alloc(k->e->step, n, err);
}

static void release_compiler(struct compiler *k)
{
    ob_free(k->uses);
    ob_free(k->absorbed);
    ob_free(k->head);
    ob_free(k->reader);
    ob_free(k->slot_size);
    ob_free(k->slot_users);
    ob_free(k->piece);
}

static int plan_values(struct compiler *k, struct ob_err *err)
{
    struct exec *e = k->e;

    for (int i = 0; i < k->net->n_nodes; i++) {
        const struct ob_node *d = &k->net->node[i];
        struct value *v = &e->value[i];

        v->c8 = (d->c + 7) / 8;
        v->hw = d->h * d->w;
        v->image = 8 * (size_t)v->c8 * (size_t)v->hw;
        v->slot = -1;
    }
    for (int i = 0; i < e->n_step; i++) {
        struct step *s = &e->step[i];

        OB_TRY(ask_images(k, &e->value[s->out].x, e->value[s->out].image, err));
        if (s->conv && s->norm)
            OB_TRY(ask_images(k, &e->value[s->conv->node].x, e->value[s->conv->node].image, err));
    }
    return OB_OK;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Scratch of the workers, gradients of weights by chunk, partial sums, what callers read. */
static int plan_rest(struct compiler *k, struct ob_err *err)
{
    struct exec *e = k->e;
    const struct ob_net *net = k->net;
    size_t y = 0, dw = 0, c8 = 1, n_chunks, per = 0;

    for (int i = 0; i < e->n_step; i++) {
        const struct conv *c = e->step[i].conv;

        if (!c)
            continue;
        e->scratch_x = larger(e->scratch_x,
                              c->pad_x && !c->dense ? (size_t)c->group * c->x_image : 0);
        y = larger(y, (size_t)c->group * larger(c->dy_image, e->value[c->node].image));
        dw = larger(dw, c->n_dw);
    }
    for (int i = 0; i < net->n_nodes; i++)
        c8 = larger(c8, (size_t)e->value[i].c8);
    e->scratch_x = (e->scratch_x + 15) & ~(size_t)15;
    e->scratch_worker = (e->scratch_x + y + 15) & ~(size_t)15;
    OB_TRY(ask(k, &e->scratch, e->scratch_worker * (size_t)e->base.n_threads, err));
    n_chunks = (size_t)e->base.batch < OB_CHUNKS ? (size_t)e->base.batch : OB_CHUNKS;
    if (e->base.flags & OB_EXEC_TRAIN)
        OB_TRY(ask(k, &e->dw, dw * n_chunks, err));
    OB_TRY(ask_images(k, &e->logits, ob_node_size(&net->node[net->n_nodes - 1]), err));
    OB_TRY(ask_images(k, &e->features, ob_node_size(&net->node[net->features]), err));
    if (!ob_mul(&per, 16 * c8, (size_t)e->base.batch))
        return ob_fail(err, OB_ENOMEM, "a batch of %d is too large", e->base.batch);
    return ob_alloc(e->part, per, err);
}

static int compile(struct compiler *k, struct ob_err *err)
{
    struct exec *e = k->e;

    OB_TRY(alloc_compiler(k, err));
    count_uses(k);
    fuse_all(k);
    for (int i = 0; i < k->net->n_nodes; i++)
        OB_TRY(make_step(k, i, err));
    OB_TRY(plan_values(k, err));
    OB_TRY(plan_gradients(k, err));
    OB_TRY(plan_rest(k, err));
    OB_TRY(give(k, err));
    for (int i = 0; i < k->net->n_nodes; i++)
        if (e->value[i].slot >= 0)
            e->value[i].g = e->slot[e->value[i].slot];
    e->base.logits = e->logits;
    e->base.features = e->features;
    return OB_OK;
}

int ob_cpu_compile(struct ob_exec **out, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                   unsigned flags, struct ob_err *err)
{
    struct compiler k = { .net = net };
    struct exec *e;
    int rc;

    *out = NULL;
    OB_TRY(ob_alloc(e, 1, err));
    e->base = (struct ob_exec){ .backend = ctx->backend,
                                .net = net,
                                .batch = batch,
                                .n_threads = ctx->n_threads,
                                .flags = flags };
    e->ctx = ctx;
    k.e = e;
    rc = ob_kernels_find(&e->k, ctx->isa, err);
    if (!rc)
        rc = compile(&k, err);
    release_compiler(&k);
    if (rc) {
        ob_cpu_free(&e->base);
        return rc;
    }
    *out = &e->base;
    return OB_OK;
}

void ob_cpu_free(struct ob_exec *base)
{
    struct exec *e = (struct exec *)base;

    if (!e)
        return;
    for (int i = 0; i < e->n_step; i++) {
        conv_free(e->step[i].conv);
        if (e->step[i].norm)
            ob_free(e->step[i].norm->scale);
        ob_free(e->step[i].norm);
    }
    ob_free(e->step);
    ob_free(e->value);
    ob_free(e->slot);
    ob_free(e->part);
    ob_free(e->arena);
    ob_free(e);
}
