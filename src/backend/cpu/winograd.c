/*
 * winograd.c - 3 x 3 convolutions by Winograd's algorithm, both ways.
 *
 * Forwards, a task takes a group of whole images, and of these a block of tiles at a time: the
 * block is transformed (v, in the scratch), multiplied with the transformed filters product by
 * product (m, behind it), and transformed back. Gradients of the input are the same with dy, turned
 * filters and [1] for [0] in the plan.
 *
 * Gradients of the filters are products of transformed x and dy, summed over tiles. With many
 * channels the tasks leave the tiles of a slab of images in e->kept, then each product is one task;
 * with few, a task is a chunk of images with a gradient of its own, and these are added up at the end.
 */
#include <string.h>

#include "backend/cpu/exec.h"
#include "base/par.h"

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
    struct filter_job j = {
        .e = e, .c = c, .from = weights_of(e, c, params), .to = c->filters[back], .back = back
    };

    ob_par_for(threads_for(e->base.n_threads, ob_wino_products(c->wino) * f->point),
               (size_t)(f->n_out + 15) / 16, transform_pair, &j);
}

/* ---- forwards, and backwards to the data ---- */

/* With more products than points, the first one of a point is that of odd rows and odd columns, of
 * which there is one for each (see kernel_winograd_2.c); what the even ones give is added. */
static int added_to(const struct wino *w, size_t p)
{
    size_t side = (size_t)w->k->side[0], n = (size_t)w->k->side[1];

    return p / side >= n || p % side >= n;
}

/* to = from * filters, of n_tiles tiles from the first images on. */
void ob_wino_product(struct exec *e, const struct conv *c, int back, float *to, const float *from,
                     int n_tiles, float *scratch, int add)
{
    const struct wino *w = c->wino;
    const struct ob_wino_map *in = back ? &w->y : &w->x, *out = back ? &w->x : &w->y;
    size_t plane = 8 * (size_t)w->block;
    float *v = scratch,
          *m = scratch + (back ? ob_wino_points(w) : ob_wino_products(w)) * w->point[back];
    struct ob_gemm g = w->product[back];

    for (int t = 0; t < n_tiles; t += w->block) {
        int n = n_tiles - t < w->block ? n_tiles - t : w->block;

        w->k->input[back](v, w->point[back], plane, from, in, t, n);
        for (size_t p = 0; p < ob_wino_products(w); p++) {
            size_t at = (size_t)w->at[back][p], v_at = back ? at : p, m_at = back ? p : at;

            g.w = c->filters[back] + p * w->filters[back].point;
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
    float *kept_dy = kept + ob_wino_products(w) * w->kept_point[0];

    w->k->input[0](kept + 8 * at, w->kept_point[0], plane, x, &w->x, tile, n);
    w->k->gradient(kept_dy + 8 * at, w->kept_point[1], plane, dy, &w->y, tile, n);
}

static void add_product(struct exec *e, const struct wino *w, float *du, const float *kept,
                        size_t p, int n_tiles)
{
    const float *dy = kept + ob_wino_products(w) * w->kept_point[0];

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
    float *du = e->du + i * ob_wino_products(w) * w->du_point;
    float *scratch = e->scratch + (size_t)worker * e->scratch_worker;

    memset(du, 0, sizeof(float) * ob_wino_products(w) * w->du_point);
    for (; first < end; first += per) {
        int n = end - first < per ? end - first : per, tiles = n * w->tiles;
        const float *dy = back_group(j, first, n, worker);

        for (int t = 0; t < tiles; t += w->block) {
            int most = tiles - t < w->block ? tiles - t : w->block;

            keep_tiles(w, scratch, 0, in->x + (size_t)first * in->image, dy, t, most);
            for (size_t p = 0; p < ob_wino_products(w); p++)
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
        j->e->k->vec->axpy(du, du + (size_t)n * ob_wino_products(w) * w->du_point, w->du_point, 1);
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

void ob_wino_backward(struct exec *e, struct step *s, float *grads)
{
    struct conv *c = s->conv;
    struct back_job j = { .e = e, .s = s, .grads = grads, .per = chunk_images(e->n) };
    int threads = e->base.n_threads, slab = c->wino->slab, per = group_images(c, e->n);

    for (; slab && j.first < e->n; j.first = j.end) {
        j.end = j.first + slab < e->n ? j.first + slab : e->n;
        ob_par_for(threads, (size_t)((j.end - j.first + per - 1) / per), slab_group, &j);
        ob_par_for(threads, ob_wino_products(c->wino), slab_point, &j);
    }
    if (!slab) {
        ob_par_for(threads, (size_t)((e->n + j.per - 1) / j.per), back_chunk, &j);
        ob_par_for(threads_for(threads, ob_wino_products(c->wino) * c->wino->du_point),
                   ob_wino_products(c->wino), join_point, &j);
    }
    ob_par_for(threads_for(threads, ob_wino_products(c->wino) * c->wino->du_point),
               (size_t)(c->wino->y.c8 + 1) / 2, finish_pair, &j);
    if (c->bias)
        finish_bias(&j);
}
