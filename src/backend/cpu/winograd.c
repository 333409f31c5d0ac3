/* winograd.c - 3 x 3 convolutions by Winograd's algorithm: plan, both ways, weights. */
#include <string.h>

#include "backend/cpu/exec.h"
#include "base/mem.h"
#include "base/par.h"

#define GROUP_TILES 32 /* of the images of one task */
#define BLOCK_TILES 48 /* of one product, at most: what it needs stays in the second cache */
#define SLAB_GROUPS 6  /* whose transforms wait for a weight gradient; with more it is slower */
/* Channels x channels up to which the weight gradient of a chunk of images stays in the cache. */
#define SMALL_FILTERS 4096

/* ---- plan ---- */

int ob_wino_suits(const struct ob_node *d, int dense)
{
    /* on maps of two pixels a tile costs what the nine taps do */
    return !dense && d->op == OB_OP_CONV && d->kernel == 3 && d->stride <= 2 && d->pad == 1 &&
           d->h > 2 && d->w > 2;
}

/* `tiled`: whose 4 x 4 pixels make a tile */
static struct ob_wino_map map_of(const struct ob_node *d, int c, const struct ob_node *tiled)
{
    size_t row = 8 * (size_t)d->w, plane = row * (size_t)d->h;
    int c8 = (c + 7) / 8;

    return (struct ob_wino_map){ .h = d->h,
                                 .w = d->w,
                                 .c8 = c8,
                                 .tiles_h = (tiled->h + 3) / 4,
                                 .tiles_w = (tiled->w + 3) / 4,
                                 .row = row,
                                 .plane = plane,
                                 .image = plane * (size_t)c8 };
}

static int multiple(int x, int of)
{
    return (x + of - 1) / of * of;
}

/* Floats of one point of transformed images; the rest keeps points out of each other's way in the
 * cache, where addresses 4096 apart compete. */
static size_t point_of(const struct ob_wino_map *m, int n_tiles)
{
    return 8 * (size_t)m->c8 * (size_t)n_tiles + 16;
}

static void plan_sizes(struct conv *c, struct wino *w, int batch)
{
    int pieces, images;

    w->tiles = w->x.tiles_h * w->x.tiles_w;
    c->group = (GROUP_TILES + w->tiles - 1) / w->tiles;
    pieces = (c->group * w->tiles + BLOCK_TILES - 1) / BLOCK_TILES;
    w->block = multiple((c->group * w->tiles + pieces - 1) / pieces, 12);
    if (w->filters[0].n_in * w->filters[0].n_out > SMALL_FILTERS)
        w->slab = SLAB_GROUPS * c->group;
    images = w->slab < batch ? w->slab : batch;
    w->kept = w->slab ? images * w->tiles : w->block;
    w->point[0] = point_of(&w->x, w->block);
    w->point[1] = point_of(&w->y, w->block);
    w->kept_point[0] = point_of(&w->x, w->kept);
    w->kept_point[1] = point_of(&w->y, w->kept);
    w->du_point = (size_t)((w->y.c8 + 1) / 2) * (size_t)w->filters[0].n_in * 16 + 16;
}

static size_t products(const struct wino *w)
{
    return (size_t)w->k->n_products;
}

static size_t points(const struct wino *w)
{
    return (size_t)w->k->n_points;
}

/* Rows of products fold to rows of points: those of the one tap of stride 2 lack the first point
 * forwards, the last one backwards. */
static int plan_points(struct wino *w, struct ob_err *err)
{
    int side = w->k->stride == 1 ? 6 : 9, n = w->k->stride == 1 ? 6 : 5;

    for (int back = 0; back < 2; back++) {
        OB_TRY(ob_alloc(w->at[back], products(w), err));
        for (int i = 0; i < w->k->n_products; i++) {
            int a = i / side, b = i % side;

            a -= a < n ? 0 : n - !back;
            b -= b < n ? 0 : n - !back;
            w->at[back][i] = a * n + b;
        }
    }
    return OB_OK;
}

static void plan_filters(struct wino *w, int n_out, int n_in)
{
    size_t whole = 9 * (size_t)n_in;

    w->filters[0] =
        (struct ob_wino_filters){ .n_out = n_out, .n_in = n_in, .out_step = whole, .in_step = 9 };
    w->filters[1] = (struct ob_wino_filters){
        .n_out = n_in, .n_in = n_out, .out_step = 9, .in_step = whole, .flip = 1
    };
    for (int i = 0; i < 2; i++) {
        struct ob_wino_filters *f = &w->filters[i];

        f->point = (size_t)((f->n_out + 15) / 16) * (size_t)multiple(f->n_in, 8) * 16 + 16;
    }
}

/* The products' operands are [plane][tile][8]. */
static int plan_products(struct wino *w, struct ob_err *err)
{
    int n_in = w->filters[0].n_in;

    OB_TRY(ob_alloc(w->tile_off, (size_t)w->kept + (size_t)w->block, err));
    OB_TRY(ob_alloc(w->k_off, (size_t)n_in, err));
    OB_TRY(ob_alloc(w->plane_off, (size_t)(w->x.c8 > w->y.c8 ? w->x.c8 : w->y.c8), err));
    for (int t = 0; t < w->kept + w->block; t++)
        w->tile_off[t] = 8 * t;
    for (int b = 0; b < w->x.c8 || b < w->y.c8; b++)
        w->plane_off[b] = 8 * w->block * b;
    for (int k = 0; k < n_in; k++)
        w->k_off[k] = k / 8 * 8 * w->kept + k % 8;
    for (int i = 0; i < 2; i++)
        w->product[i] = (struct ob_gemm){ .n_run = i ? w->y.c8 : w->x.c8,
                                          .run = 8,
                                          .n_out = i ? w->x.c8 : w->y.c8,
                                          .out_plane = 8 * (size_t)w->block,
                                          .run_off = w->plane_off,
                                          .in_off = w->tile_off,
                                          .out_off = w->tile_off };
    w->dw = (struct ob_gemm_dw){ .n_k = n_in,
                                 .n_out = w->y.c8,
                                 .dy_plane = 8 * (size_t)w->kept,
                                 .k_off = w->k_off,
                                 .in_off = w->tile_off,
                                 .dy_off = w->tile_off };
    return OB_OK;
}

int ob_wino_plan(struct conv *c, const struct ob_wino_kernels *k, const struct ob_node *d,
                 const struct ob_node *x, int batch, struct ob_err *err)
{
    OB_TRY(ob_alloc(c->wino, 1, err));
    c->wino->k = k;
    c->wino->x = map_of(x, x->c, d);
    c->wino->y = map_of(d, d->c, d);
    plan_filters(c->wino, d->c, x->c);
    plan_sizes(c, c->wino, batch);
    OB_TRY(plan_points(c->wino, err));
    return plan_products(c->wino, err);
}

void ob_wino_free(struct wino *w)
{
    if (!w)
        return;
    ob_free(w->at[0]);
    ob_free(w->at[1]);
    ob_free(w->tile_off);
    ob_free(w->k_off);
    ob_free(w->plane_off);
    ob_free(w);
}

size_t ob_wino_scratch(const struct wino *w)
{
    return products(w) * w->point[0] + points(w) * w->point[1];
}

size_t ob_wino_filter_floats(const struct wino *w, int back)
{
    return products(w) * w->filters[back].point;
}

size_t ob_wino_kept_floats(const struct wino *w)
{
    return w->slab ? products(w) * w->kept_point[0] + points(w) * w->kept_point[1] : 0;
}

size_t ob_wino_gradient_floats(const struct wino *w, int n_chunks)
{
    return products(w) * w->du_point * (size_t)(w->slab ? 1 : n_chunks);
}

/* ---- weights ---- */

struct filter_job {
    struct exec *e;
    const struct conv *c;
    const float *from; /* weights, or their transformed gradient */
    float *to;
    int back;
};

static void transform_pair(void *arg, size_t i, int worker)
{
    struct filter_job *j = arg;

    (void)worker;
    j->c->wino->k->filters(j->to, &j->c->wino->filters[j->back], j->from, (int)i);
}

static const float *weights_of(const struct exec *e, const struct conv *c, const float *params)
{
    return view_of(e->base.net, params, e->base.net->node[c->node].weight);
}

void ob_wino_weights(struct exec *e, const struct conv *c, const float *params, int back)
{
    struct ob_wino_filters *f = &c->wino->filters[back];
    float *u = c->wino->u[back];
    struct filter_job j = {
        .e = e, .c = c, .from = weights_of(e, c, params), .to = u ? u : e->u, .back = back
    };

    ob_par_for(threads_for(e->base.n_threads, products(c->wino) * f->point),
               (size_t)(f->n_out + 15) / 16, transform_pair, &j);
}

/* ---- forwards, and backwards to the data ---- */

/* Products of the odd pixels alone come first. */
static int added_to(const struct wino *w, size_t p)
{
    return w->k->stride == 2 && (p / 9 >= 5 || p % 9 >= 5);
}

/* to = from * filters, of n_tiles tiles from the first images on. */
void ob_wino_product(struct exec *e, const struct conv *c, int back, float *to, const float *from,
                     int n_tiles, float *scratch, int add)
{
    const struct wino *w = c->wino;
    const struct ob_wino_map *in = back ? &w->y : &w->x, *out = back ? &w->x : &w->y;
    size_t plane = 8 * (size_t)w->block;
    float *v = scratch, *m = scratch + (back ? points(w) : products(w)) * w->point[back];
    const float *u = w->u[back] ? w->u[back] : e->u;
    struct ob_gemm g = w->product[back];

    for (int t = 0; t < n_tiles; t += w->block) {
        int n = n_tiles - t < w->block ? n_tiles - t : w->block;

        w->k->input[back](v, w->point[back], plane, from, in, t, n);
        for (size_t p = 0; p < products(w); p++) {
            size_t at = (size_t)w->at[back][p], v_at = back ? at : p, m_at = back ? p : at;

            g.w = (float *)u + p * w->filters[back].point;
            e->k->conv->gemm(&g, m + m_at * w->point[!back], v + v_at * w->point[back], n, NULL,
                             !back && added_to(w, p));
        }
        w->k->output[back](to, out, m, w->point[!back], plane, t, n, back ? NULL : c->bias, add);
    }
}

/* ---- backwards ---- */

struct back_job {
    struct exec *e;
    struct step *s;
    const float *params;
    float *grads;
    int first, end; /* images of this slab */
    int per;        /* images of a chunk */
};

/* Transforms n tiles from `tile` on of images x and gradients dy, to the place of tile `at`. */
static void keep_tiles(const struct wino *w, float *kept, int at, const float *x, const float *dy,
                       int tile, int n)
{
    size_t plane = 8 * (size_t)w->kept;
    float *kept_dy = kept + products(w) * w->kept_point[0];

    w->k->input[0](kept + 8 * at, w->kept_point[0], plane, x, &w->x, tile, n);
    w->k->gradient(kept_dy + 8 * at, w->kept_point[1], plane, dy, &w->y, tile, n);
}

static void add_product(struct exec *e, const struct wino *w, float *du, const float *kept,
                        size_t p, int n_tiles)
{
    const float *dy = kept + products(w) * w->kept_point[0];

    e->k->conv->gemm_dw(&w->dw, du + p * w->du_point, kept + p * w->kept_point[0],
                        dy + (size_t)w->at[0][p] * w->kept_point[1], n_tiles);
}

/* One group of images: dy, its bias, the gradient of the input; dy is left in the scratch. */
static const float *back_group(struct back_job *j, int first, int n, int worker)
{
    struct exec *e = j->e;
    struct step *s = j->s;
    struct conv *c = s->conv;
    const struct ob_wino_map *y = &c->wino->y;
    struct value *in = &e->value[c->in];
    float *scratch = e->scratch + (size_t)worker * e->scratch_worker;
    const float *dy = ob_conv_output_gradient(e, s, first, n, scratch + e->scratch_x);

    for (int i = 0; c->bias && i < n; i++) {
        double *bias = e->part + (size_t)(first + i) * 8 * (size_t)y->c8;

        memset(bias, 0, sizeof(double) * 8 * (size_t)y->c8);
        e->k->conv->sum_pixels(bias, dy + (size_t)i * y->image, y->c8, y->h, y->w, y->row,
                               y->plane);
    }
    if (s->need[0])
        ob_wino_product(e, c, 1, in->g + (size_t)first * in->image, dy, n * c->wino->tiles, scratch,
                        s->add[0]);
    return dy;
}

static void slab_group(void *arg, size_t i, int worker)
{
    struct back_job *j = arg;
    struct exec *e = j->e;
    struct conv *c = j->s->conv;
    const struct value *in = &e->value[c->in];
    int per = group_images(c, e->n), first = j->first + (int)i * per;
    int n = j->end - first < per ? j->end - first : per;
    const float *dy = back_group(j, first, n, worker);

    keep_tiles(c->wino, e->kept, (first - j->first) * c->wino->tiles,
               in->x + (size_t)first * in->image, dy, 0, n * c->wino->tiles);
}

static void slab_point(void *arg, size_t i, int worker)
{
    struct back_job *j = arg;
    const struct wino *w = j->s->conv->wino;

    (void)worker;
    if (!j->first)
        memset(j->e->du + i * w->du_point, 0, sizeof(float) * w->du_point);
    add_product(j->e, w, j->e->du, j->e->kept, i, (j->end - j->first) * w->tiles);
}

/* Few channels: the weight gradient of a chunk of images stays in the cache. */
static void back_chunk(void *arg, size_t i, int worker)
{
    struct back_job *j = arg;
    struct exec *e = j->e;
    struct conv *c = j->s->conv;
    const struct wino *w = c->wino;
    const struct value *in = &e->value[c->in];
    int first = (int)i * j->per, end = first + j->per < e->n ? first + j->per : e->n;
    int per = group_images(c, e->n);
    float *du = e->du + i * products(w) * w->du_point;
    float *scratch = e->scratch + (size_t)worker * e->scratch_worker;

    memset(du, 0, sizeof(float) * products(w) * w->du_point);
    for (; first < end; first += per) {
        int n = end - first < per ? end - first : per, tiles = n * w->tiles;
        const float *dy = back_group(j, first, n, worker);

        for (int t = 0; t < tiles; t += w->block) {
            int most = tiles - t < w->block ? tiles - t : w->block;

            keep_tiles(w, scratch, 0, in->x + (size_t)first * in->image, dy, t, most);
            for (size_t p = 0; p < products(w); p++)
                add_product(e, w, du, scratch, p, most);
        }
    }
}

static void join_point(void *arg, size_t i, int worker)
{
    struct back_job *j = arg;
    const struct wino *w = j->s->conv->wino;
    float *du = j->e->du + i * w->du_point;

    (void)worker;
    for (int first = j->per, n = 1; first < j->e->n; first += j->per, n++)
        j->e->k->vec->axpy(du, du + (size_t)n * products(w) * w->du_point, w->du_point, 1);
}

static void finish_pair(void *arg, size_t i, int worker)
{
    struct back_job *j = arg;
    const struct conv *c = j->s->conv;
    struct ob_wino_filters f = c->wino->filters[0];

    (void)worker;
    f.point = c->wino->du_point;
    c->wino->k->filters_back(j->grads +
                                 j->e->base.net->view[j->e->base.net->node[c->node].weight].offset,
                             &f, j->e->du, (int)i);
}

static void finish_bias(struct back_job *j)
{
    struct exec *e = j->e;
    const struct ob_node *d = &e->base.net->node[j->s->conv->node];
    size_t stride = 8 * (size_t)j->s->conv->wino->y.c8;

    for (int c = 0; c < d->c; c++) {
        double sum = 0;

        for (int i = 0; i < e->n; i++)
            sum += e->part[(size_t)i * stride + (size_t)c];
        j->grads[e->base.net->view[d->bias].offset + (size_t)c] += (float)sum;
    }
}

void ob_wino_backward(struct exec *e, struct step *s, const struct ob_weights *w, float *grads)
{
    struct conv *c = s->conv;
    struct back_job j = { .e = e, .s = s, .grads = grads, .per = chunk_images(e->n) };
    int threads = e->base.n_threads, slab = c->wino->slab, per = group_images(c, e->n);

    if (s->need[0])
        ob_wino_weights(e, c, w->params, 1);
    for (; slab && j.first < e->n; j.first = j.end) {
        j.end = j.first + slab < e->n ? j.first + slab : e->n;
        ob_par_for(threads, (size_t)((j.end - j.first + per - 1) / per), slab_group, &j);
        ob_par_for(threads, products(c->wino), slab_point, &j);
    }
    if (!slab) {
        ob_par_for(threads, (size_t)((e->n + j.per - 1) / j.per), back_chunk, &j);
        ob_par_for(threads_for(threads, products(c->wino) * c->wino->du_point), products(c->wino),
                   join_point, &j);
    }
    ob_par_for(threads_for(threads, products(c->wino) * c->wino->du_point),
               (size_t)(c->wino->y.c8 + 1) / 2, finish_pair, &j);
    if (c->bias)
        finish_bias(&j);
}
