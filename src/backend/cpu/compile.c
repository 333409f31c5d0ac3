/* compile.c - turns a network's nodes into fused steps, and lays out everything in one arena. */
#include <string.h>

#include "backend/cpu/compile.h"
#include "base/mem.h"

/* ---- the arena: pieces are asked for, then given out at once ---- */

static int ask(struct compiler *k, float **where, size_t n, struct ob_err *err)
{
    OB_TRY(ob_grow(k->piece, k->n_pieces, k->n_pieces + 1, err));
    k->piece[k->n_pieces++] = (struct piece){ where, n };
    return OB_OK;
}

int ob_ask_images(struct compiler *k, float **where, size_t image, struct ob_err *err)
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
    if (k->bytes) {
        *k->bytes += total * sizeof(float);
        return OB_OK;
    }
    OB_TRY(ob_block_new(&k->e->arena, total, err));
    for (size_t i = 0; i < k->n_pieces; i++) {
        *k->piece[i].where = k->e->arena + at;
        at += (k->piece[i].n + 15) & ~(size_t)15;
    }
    return OB_OK;
}

/* ---- steps ---- */

static int is_dense(const struct ob_net *net, int conv)
{
    int in = net->node[conv].in[0];

    return net->node[conv].op == OB_OP_CONV && ob_is_input(net, in) && net->node[in].c <= 4;
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
    OB_TRY(
        ob_conv_plan(&s->conv, k->net, node, is_dense(k->net, node), ob_needs_gradient(k, d->in[0]),
                     k->e->ctx->opts.general_conv ? NULL : k->e->k->wino, k->e->base.batch, err));
    c = s->conv;
    if (d->bias >= 0)
        OB_TRY(ask(k, &c->bias, 8 * (size_t)((d->c + 7) / 8), err));
    if (!(k->e->base.flags & OB_EXEC_TRAIN))
        OB_TRY(ask(k, &c->filters[0], ob_conv_filters(c, 0), err));
    return c->dense ? ob_ask_images(k, &c->packed, c->x_image, err) : OB_OK;
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

    if (k->absorbed[node] || (ob_is_input(k->net, node) && !is_imported(k, node)))
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
    return e->base.flags & OB_EXEC_TRAIN ? ob_plan_training(k, err) : ob_plan_inference(k, err);
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
    size_t y = 0, dw = 0, filters = 0, kept = 0, c8 = 1, per = 0;
    int train = (e->base.flags & OB_EXEC_TRAIN) != 0;
    int n_chunks = e->base.batch < OB_CHUNKS ? e->base.batch : OB_CHUNKS;

    for (int i = 0; i < e->n_step; i++) {
        const struct conv *c = e->step[i].conv;

        if (!c)
            continue;
        e->scratch_x = larger(e->scratch_x,
                              c->pad_x && !c->dense ? (size_t)c->group * c->x_image : 0);
        y = larger(y, (size_t)c->group * larger(c->dy_image, e->value[c->node].image));
        for (int back = 0; back < 2; back++)
            filters = larger(filters, ob_conv_filters(c, back));
        if (!c->wino) {
            dw = larger(dw, c->n_dw * (size_t)(ob_conv_by_pair(c) ? 1 : n_chunks));
            continue;
        }
        e->scratch_x = larger(e->scratch_x, ob_wino_scratch(c->wino));
        kept = larger(kept, ob_wino_slab_floats(c->wino, train));
        dw = larger(dw, ob_wino_gradient_floats(c->wino, n_chunks));
    }
    for (int i = 0; i < net->n_nodes; i++)
        c8 = larger(c8, (size_t)e->value[i].c8);
    e->scratch_x = (e->scratch_x + 15) & ~(size_t)15;
    e->scratch_worker = (e->scratch_x + y + 15) & ~(size_t)15;
    OB_TRY(ask(k, &e->scratch, e->scratch_worker * (size_t)e->base.n_threads, err));
    OB_TRY(ask(k, &e->kept, kept, err));
    if (train) {
        OB_TRY(ask(k, &e->dw, dw, err));
        OB_TRY(ask(k, &e->filters, filters, err));
    }
    OB_TRY(ob_ask_images(k, &e->logits, ob_node_size(&net->node[net->n_nodes - 1]), err));
    OB_TRY(ob_ask_images(k, &e->features, ob_node_size(&net->node[net->features]), err));
    if (!ob_mul(&per, 16 * c8, (size_t)e->base.batch))
        return ob_fail(err, OB_ENOMEM, "a batch of %d is too large", e->base.batch);
    if (k->bytes)
        *k->bytes += per * sizeof(double);
    return k->bytes ? OB_OK : ob_alloc(e->part, per, err);
}

/* The arena has been given out: what points into its pieces. */
static void place(struct exec *e)
{
    int train = e->base.flags & OB_EXEC_TRAIN;

    for (int i = 0; i < e->base.net->n_nodes; i++) {
        struct value *v = &e->value[i];

        if (v->slot < 0)
            continue;
        if (train)
            v->g = e->slot[v->slot];
        if (!train || v->lent)
            v->x = e->slot[v->slot];
    }
    for (int i = 0; i < e->n_step; i++) {
        struct conv *c = e->step[i].conv;
        size_t at = 0;

        if (!c)
            continue;
        if (train)
            c->filters[0] = c->filters[1] = e->filters;
        if (c->slot >= 0)
            c->waiting = e->slot[c->slot];
        c->fwd.w = c->filters[0];
        for (int p = 0; p < c->n_back; at += ob_gemm_filters(&c->back[p++]))
            c->back[p].w = c->filters[1] + at;
    }
}

static int compile(struct compiler *k, struct ob_err *err)
{
    struct exec *e = k->e;

    OB_TRY(alloc_compiler(k, err));
    ob_fuse(k);
    for (int i = 0; i < k->net->n_nodes; i++)
        OB_TRY(make_step(k, i, err));
    OB_TRY(plan_values(k, err));
    OB_TRY(plan_rest(k, err));
    OB_TRY(give(k, err));
    if (!k->bytes)
        place(e);
    e->base.logits = e->logits;
    e->base.features = e->features;
    return OB_OK;
}

/* `bytes` not NULL: only counted, and what comes out cannot run. */
static int build(struct ob_exec **out, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                 unsigned flags, size_t *bytes, struct ob_err *err)
{
    struct compiler k = { .net = net, .bytes = bytes };
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

int ob_cpu_compile(struct ob_exec **out, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                   unsigned flags, struct ob_err *err)
{
    return build(out, ctx, net, batch, flags, NULL, err);
}

int ob_cpu_measure(size_t *bytes, struct ob_ctx *ctx, const struct ob_net *net, int batch,
                   unsigned flags, struct ob_err *err)
{
    struct ob_exec *e;

    *bytes = 0;
    OB_TRY(build(&e, ctx, net, batch, flags, bytes, err));
    ob_cpu_free(e);
    return OB_OK;
}

void ob_cpu_free(struct ob_exec *base)
{
    struct exec *e = (struct exec *)base;

    if (!e)
        return;
    for (int i = 0; i < e->n_step; i++) {
        ob_conv_free(e->step[i].conv);
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
