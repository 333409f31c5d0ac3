/* plan.c - the geometry of a convolution as tables of offsets, which the kernels only follow. */
#include "backend/cpu/exec.h"
#include "base/mem.h"

#define GROUP_PIXELS 48 /* a task has at least so many output pixels: eight register blocks */

static int up8(int c)
{
    return (c + 7) / 8;
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

static int alloc_gemm(struct ob_gemm *g, int group, struct ob_err *err)
{
    size_t n_px = (size_t)group * (size_t)g->n_px, n_run = (size_t)g->n_run;

    OB_TRY(ob_alloc(g->run_off, n_run, err));
    OB_TRY(ob_alloc(g->src, n_run * (size_t)g->run, err));
    OB_TRY(ob_alloc(g->in_off, n_px, err));
    return ob_alloc(g->out_off, n_px, err);
}

/* Forwards on planes of eight channels: a run is one tap of one plane. */
static void runs_blocked(struct conv *c, const struct ob_node *d, int channels)
{
    int kk = d->kernel * d->kernel, r = 0;

    for (int b = 0; b < up8(channels); b++)
        for (int tap = 0; tap < kk; tap++, r++) {
            int kh = tap / d->kernel, kw = tap % d->kernel;

            c->fwd.run_off[r] = 8 * ((b * c->in_h + kh) * c->in_w + kw);
            for (int j = 0; j < 8; j++) {
                int ch = 8 * b + j;

                c->fwd.src[8 * r + j] = ch < channels ? ch * kk + tap : -1;
            }
        }
}

/* Forwards on interleaved pixels: a run is one row of taps. */
static void runs_dense(struct conv *c, const struct ob_node *d, int channels)
{
    int k = d->kernel;

    for (int kh = 0; kh < k; kh++) {
        c->fwd.run_off[kh] = kh * c->in_w * channels;
        for (int j = 0; j < c->fwd.run; j++)
            c->fwd.src[kh * c->fwd.run + j] = (j % channels) * k * k + kh * k + j / channels;
    }
}

static int plan_forward(struct conv *c, const struct ob_node *d, const struct ob_node *x,
                        struct ob_err *err)
{
    struct ob_gemm *g = &c->fwd;
    int k = d->kernel, pixel = c->dense ? x->c : 8, p = 0;

    g->n_run = c->dense ? k : k * k * up8(x->c);
    g->run = c->dense ? k * x->c : 8;
    g->n_out = up8(d->c);
    g->n_channels = d->c;
    g->src_channel = (size_t)(x->c * k * k);
    g->n_px = d->h * d->w;
    g->out_plane = 8 * (size_t)g->n_px;
    OB_TRY(alloc_gemm(g, c->group, err));
    if (c->dense)
        runs_dense(c, d, x->c);
    else
        runs_blocked(c, d, x->c);
    for (int n = 0; n < c->group; n++)
        for (int i = 0; i < d->h; i++)
            for (int j = 0; j < d->w; j++, p++) {
                int at = (i * d->stride * c->in_w + j * d->stride) * pixel;

                g->in_off[p] = n * (int)c->x_image + at;
                g->out_off[p] = 8 * ((n * g->n_out * d->h + i) * d->w + j);
            }
    return OB_OK;
}

/*
 * Backwards to the data, gathered: input pixels of one phase (their coordinates plus the padding,
 * modulo the stride) read the output gradients through the same taps, so each is a product of
 * its own, and none writes where another does.
 */
static int plan_phase(struct conv *c, struct ob_gemm *g, const struct ob_node *d,
                      const struct ob_node *x, int py, int px, struct ob_err *err)
{
    int k = d->kernel, s = d->stride, kk = k * k, n_taps = 0, r = 0, p = 0;
    int oh = (x->h - py + s - 1) / s, ow = (x->w - px + s - 1) / s;

    for (int tap = 0; tap < kk; tap++)
        n_taps += (py + d->pad - tap / k) % s == 0 && (px + d->pad - tap % k) % s == 0;
    g->n_run = n_taps * up8(d->c);
    g->run = 8;
    g->n_out = up8(x->c);
    g->n_channels = x->c;
    g->src_channel = (size_t)kk;
    g->n_px = max_int(oh, 0) * max_int(ow, 0);
    g->out_plane = 8 * (size_t)(x->h * x->w);
    OB_TRY(alloc_gemm(g, c->group, err));
    for (int b = 0; b < up8(d->c); b++)
        for (int tap = 0; tap < kk; tap++) {
            int dy = py + d->pad - tap / k, dx = px + d->pad - tap % k;

            if (dy % s || dx % s)
                continue;
            g->run_off[r] = 8 * ((b * c->dy_h + dy / s + c->lo) * c->dy_w + dx / s + c->lo);
            for (int j = 0; j < 8; j++)
                g->src[8 * r + j] = 8 * b + j < d->c ? (8 * b + j) * x->c * kk + tap : -1;
            r++;
        }
    for (int n = 0; n < c->group; n++)
        for (int i = 0; i < oh; i++)
            for (int j = 0; j < ow; j++, p++) {
                g->in_off[p] = n * (int)c->dy_image + 8 * (i * c->dy_w + j);
                g->out_off[p] = 8 * ((n * g->n_out * x->h + py + s * i) * x->w + px + s * j);
            }
    return OB_OK;
}

static int plan_backward(struct conv *c, const struct ob_node *d, const struct ob_node *x,
                         struct ob_err *err)
{
    int s = d->stride;

    c->n_back = s * s;
    OB_TRY(ob_alloc(c->back, (size_t)c->n_back, err));
    for (int i = 0; i < s * s; i++)
        OB_TRY(plan_phase(c, &c->back[i], d, x, i / s, i % s, err));
    return OB_OK;
}

static int plan_weights(struct conv *c, const struct ob_node *d, const struct ob_node *x,
                        struct ob_err *err)
{
    int kk = d->kernel * d->kernel, k = 0, p = 0, n_k = kk * x->c;

    OB_TRY(ob_alloc(c->k_off, (size_t)n_k, err));
    OB_TRY(ob_alloc(c->k_src, (size_t)n_k, err));
    OB_TRY(ob_alloc(c->dy_off, (size_t)c->group * (size_t)(d->h * d->w), err));
    for (int tap = 0; tap < kk; tap++)
        for (int ch = 0; ch < x->c; ch++, k++) {
            int at = tap / d->kernel * c->in_w + tap % d->kernel;

            c->k_src[k] = ch * kk + tap;
            c->k_off[k] = c->dense ? at * x->c + ch
                                   : 8 * (ch / 8 * c->in_h * c->in_w + at) + ch % 8;
        }
    for (int n = 0; n < c->group; n++)
        for (int i = 0; i < d->h; i++)
            for (int j = 0; j < d->w; j++, p++)
                c->dy_off[p] = n * (int)c->dy_image + 8 * ((i + c->lo) * c->dy_w + j + c->lo);
    c->dw = (struct ob_gemm_dw){ .n_k = n_k,
                                 .n_out = up8(d->c),
                                 .dy_plane = 8 * (size_t)(c->dy_h * c->dy_w),
                                 .k_off = c->k_off,
                                 .in_off = c->fwd.in_off,
                                 .dy_off = c->dy_off };
    c->n_dw = (size_t)((up8(d->c) + 1) / 2) * (size_t)n_k * 16;
    return OB_OK;
}

/* All offsets are 32 bits wide, those into the weights too. */
static int check_size(const struct conv *c, const struct ob_node *d, const struct ob_node *x,
                      struct ob_err *err)
{
    size_t most = (size_t)1 << 30, n = (size_t)c->group, weights;

    if (n * c->x_image > most || n * c->dy_image > most)
        return ob_fail(err, OB_ENOTSUP, "images are too large for the backend 'cpu'");
    if (!ob_mul(&weights, (size_t)d->c * (size_t)x->c, (size_t)(d->kernel * d->kernel)) ||
        weights > most)
        return ob_fail(err, OB_ENOTSUP,
                       "a layer of %d x %d channels is too large for the backend "
                       "'cpu'",
                       d->c, x->c);
    return OB_OK;
}

/* Winograd's algorithm pads by itself. */
static int plan_wino(struct conv *c, const struct ob_wino_kernels *k, const struct ob_node *d,
                     const struct ob_node *x, int batch, struct ob_err *err)
{
    c->dy_h = d->h;
    c->dy_w = d->w;
    c->dy_image = (size_t)(8 * up8(d->c)) * (size_t)d->h * (size_t)d->w;
    OB_TRY(ob_wino_plan(c, k, d, x, batch, err));
    return check_size(c, d, x, err);
}

static int plan(struct conv *c, const struct ob_node *d, const struct ob_node *x, int need_dx,
                struct ob_err *err)
{
    int s = d->stride, hi;

    c->pad_x = c->dense || d->pad > 0;
    c->in_h = x->h + 2 * d->pad;
    c->in_w = x->w + 2 * d->pad;
    c->x_image = (size_t)(c->dense ? x->c : 8 * up8(x->c)) * (size_t)c->in_h * (size_t)c->in_w;
    if (need_dx) {
        c->lo = max_int(0, (d->kernel - 1 - d->pad + s - 1) / s);
        hi = max_int((x->h - 1 + d->pad) / s - (d->h - 1), (x->w - 1 + d->pad) / s - (d->w - 1));
    } else {
        hi = 0;
    }
    c->dy_h = d->h + c->lo + max_int(hi, 0);
    c->dy_w = d->w + c->lo + max_int(hi, 0);
    c->pad_dy = c->dy_h > d->h || c->dy_w > d->w;
    c->dy_image = (size_t)(8 * up8(d->c)) * (size_t)c->dy_h * (size_t)c->dy_w;
    OB_TRY(check_size(c, d, x, err));
    OB_TRY(plan_forward(c, d, x, err));
    OB_TRY(plan_weights(c, d, x, err));
    return need_dx ? plan_backward(c, d, x, err) : OB_OK;
}

int ob_conv_plan(struct conv **out, const struct ob_net *net, int node, int dense, int need_dx,
                 const struct ob_wino_kernels *const *wino, int batch, struct ob_err *err)
{
    struct ob_node d = net->node[node];
    struct conv *c;
    int rc, variant;

    *out = NULL;
    if (d.op == OB_OP_LINEAR) { /* the same thing on a map of one pixel */
        d.kernel = d.stride = 1;
        d.pad = 0;
    }
    OB_TRY(ob_alloc(c, 1, err));
    c->node = node;
    c->in = d.in[0];
    c->dense = dense;
    c->slot = -1;
    variant = ob_wino_suits(&d, dense);
    c->group = max_int(1, (GROUP_PIXELS + d.h * d.w - 1) / (d.h * d.w));
    if (wino && variant >= 0)
        rc = plan_wino(c, wino[variant], &d, &net->node[c->in], batch, err);
    else
        rc = plan(c, &d, &net->node[c->in], need_dx, err);
    if (rc) {
        ob_conv_free(c);
        return rc;
    }
    *out = c;
    return OB_OK;
}

size_t ob_conv_filters(const struct conv *c, int back)
{
    size_t n = 0;

    if (c->wino)
        return ob_wino_filter_floats(c->wino, back);
    for (int p = 0; p < c->n_back && back; p++)
        n += ob_gemm_filters(&c->back[p]);
    return back ? n : ob_gemm_filters(&c->fwd);
}

static void gemm_release(struct ob_gemm *g)
{
    ob_free(g->run_off);
    ob_free(g->src);
    ob_free(g->in_off);
    ob_free(g->out_off);
}

void ob_conv_free(struct conv *c)
{
    if (!c)
        return;
    gemm_release(&c->fwd);
    for (int i = 0; i < c->n_back && c->back; i++)
        gemm_release(&c->back[i]);
    ob_free(c->back);
    ob_wino_free(c->wino);
    ob_free(c->k_off);
    ob_free(c->k_src);
    ob_free(c->dy_off);
    ob_free(c);
}
