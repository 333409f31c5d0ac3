/*
 * winograd.c - 3 x 3 convolutions by Winograd's algorithm, both ways.
 *
 * Tiles of x are transformed, multiplied with the transformed filters product by product, and
 * transformed back to y. Gradients of the input are the same with dy, turned filters and [1] for [0]
 * in the plan. Gradients of the filters are products of transformed x and dy, summed over tiles.
 *
 * With few channels, a task does all of this for its own images, a block of tiles at a time, in its
 * scratch; backwards a task is a chunk of images with a gradient of its own, and these are added up
 * at the end. With many, filters would be read anew for each block: there, all tasks together
 * transform a slab of images into e->kept, image by image; then each point, or product, is one task.
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

/* Where transformed images lie: products of x, points of y, and points of dy for the gradient of
 * the filters. */
struct tiles {
    float *x, *y, *dy;
};

static struct tiles tiles_in(const struct wino *w, float *memory)
{
    float *y = memory + ob_wino_products(w) * w->point[0];

    return (struct tiles){ memory, y, w->slab ? y + ob_wino_points(w) * w->point[1] : y };
}

/* Product p of n tiles: of x to y, backwards of y to x. */
static void multiply(struct exec *e, const struct conv *c, int back, struct tiles t, size_t p,
                     int n)
{
    const struct wino *w = c->wino;
    float *x = t.x + p * w->point[0], *y = t.y + (size_t)w->at[back][p] * w->point[1];
    struct ob_gemm g = w->product[back];

    g.w = c->filters[back] + p * w->filters[back].point;
    if (back)
        e->k->conv->gemm(&g, x, y, n, NULL, 0);
    else
        e->k->conv->gemm(&g, y, x, n, NULL, added_to(w, p));
}

/* to = from * filters, of n_tiles tiles from the first images on, a block at a time. */
void ob_wino_product(struct exec *e, const struct conv *c, int back, float *to, const float *from,
                     int n_tiles, float *scratch, int add)
{
    const struct wino *w = c->wino;
    const struct ob_wino_map *in = back ? &w->y : &w->x, *out = back ? &w->x : &w->y;
    size_t plane = 8 * (size_t)w->block;
    struct tiles t = tiles_in(w, scratch);

    for (int i = 0; i < n_tiles; i += w->block) {
        int n = n_tiles - i < w->block ? n_tiles - i : w->block;

        w->k->input[back](back ? t.y : t.x, w->point[back], plane, from, in, i, n);
        for (size_t p = 0; p < ob_wino_products(w); p++)
            multiply(e, c, back, t, p, n);
        w->k->output[back](to, out, back ? t.x : t.y, w->point[!back], plane, i, n,
                           back ? NULL : c->bias, add);
    }
}

/* ---- a slab of images, phase by phase ---- */

struct slab_job {
    struct exec *e;
    struct step *s;
    struct conv *c;
    struct tiles t;
    int first, end; /* its images */
    int per;        /* of a chunk, where there is no slab */
    float *grads;
};

struct group {
    int first, n; /* images */
    size_t at;    /* floats to their tiles, in each plane */
};

static struct group group_of(const struct slab_job *j, size_t i)
{
    int per = group_images(j->c, j->e->n), skip = (int)i * per, left = j->end - j->first - skip;

    return (struct group){ j->first + skip, left < per ? left : per,
                           8 * (size_t)(skip * j->c->wino->tiles) };
}

static void each_group(struct slab_job *j, void (*fn)(void *, size_t, int))
{
    int per = group_images(j->c, j->e->n);

    ob_par_for(j->e->base.n_threads, (size_t)((j->end - j->first + per - 1) / per), fn, j);
}

static int slab_tiles(const struct slab_job *j)
{
    return (j->end - j->first) * j->c->wino->tiles;
}

static void read_x(void *arg, size_t i, int worker)
{
    struct slab_job *j = arg;
    const struct wino *w = j->c->wino;
    const struct value *in = &j->e->value[j->c->in];
    struct group g = group_of(j, i);

    (void)worker;
    w->k->input[0](j->t.x + g.at, w->point[0], 8 * (size_t)w->block,
                   in->x + (size_t)g.first * in->image, &w->x, 0, g.n * w->tiles);
}

static void sum_point(void *arg, size_t i, int worker)
{
    struct slab_job *j = arg;
    const struct wino *w = j->c->wino;

    (void)worker;
    for (size_t p = 0; p < ob_wino_products(w); p++)
        if ((size_t)w->at[0][p] == i)
            multiply(j->e, j->c, 0, j->t, p, slab_tiles(j));
}

void ob_wino_slab(struct exec *e, struct conv *c, int first, int end)
{
    struct slab_job j = {
        .e = e, .c = c, .t = tiles_in(c->wino, e->kept), .first = first, .end = end
    };

    each_group(&j, read_x);
    ob_par_for(e->base.n_threads, ob_wino_points(c->wino), sum_point, &j);
}

void ob_wino_slab_output(struct exec *e, const struct conv *c, float *y, int image, int n)
{
    const struct wino *w = c->wino;
    size_t at = 8 * (size_t)(image * w->tiles);

    w->k->output[0](y, &w->y, tiles_in(w, e->kept).y + at, w->point[1], 8 * (size_t)w->block, 0,
                    n * w->tiles, c->bias, 0);
}

/* ---- backwards ---- */

static void add_product(struct slab_job *j, float *du, struct tiles t, size_t p, int n_tiles)
{
    const struct wino *w = j->c->wino;

    j->e->k->conv->gemm_dw(&w->dw, du + p * w->du_point, t.x + p * w->point[0],
                           t.dy + (size_t)w->at[0][p] * w->point[1], n_tiles);
}

/* dy of one group of images, in the scratch, and its bias. */
static const float *gradient_of(struct slab_job *j, int first, int n, int worker)
{
    struct exec *e = j->e;
    const struct ob_wino_map *y = &j->c->wino->y;
    float *scratch = e->scratch + (size_t)worker * e->scratch_worker;
    const float *dy = ob_conv_output_gradient(e, j->s, first, n, scratch + e->scratch_x);

    for (int i = 0; j->c->bias && i < n; i++) {
        double *bias = e->part + (size_t)(first + i) * 8 * (size_t)y->c8;

        memset(bias, 0, sizeof(double) * 8 * (size_t)y->c8);
        e->k->conv->sum_pixels(bias, dy + (size_t)i * y->image, y->c8, y->h, y->w, y->row,
                               y->plane);
    }
    return dy;
}

static void read_dy(void *arg, size_t i, int worker)
{
    struct slab_job *j = arg;
    const struct wino *w = j->c->wino;
    struct group g = group_of(j, i);
    size_t plane = 8 * (size_t)w->block;
    const float *dy = gradient_of(j, g.first, g.n, worker);

    w->k->gradient(j->t.dy + g.at, w->point[1], plane, dy, &w->y, 0, g.n * w->tiles);
    if (j->s->need[0])
        w->k->input[1](j->t.y + g.at, w->point[1], plane, dy, &w->y, 0, g.n * w->tiles);
}

static void back_product(void *arg, size_t i, int worker)
{
    struct slab_job *j = arg;

    (void)worker;
    multiply(j->e, j->c, 1, j->t, i, slab_tiles(j));
}

/* dx leaves the place that x needs. */
static void write_dx_read_x(void *arg, size_t i, int worker)
{
    struct slab_job *j = arg;
    const struct wino *w = j->c->wino;
    struct value *in = &j->e->value[j->c->in];
    struct group g = group_of(j, i);

    if (j->s->need[0])
        w->k->output[1](in->g + (size_t)g.first * in->image, &w->x, j->t.x + g.at, w->point[0],
                        8 * (size_t)w->block, 0, g.n * w->tiles, NULL, j->s->add[0]);
    read_x(arg, i, worker);
}

static void filter_product(void *arg, size_t i, int worker)
{
    struct slab_job *j = arg;
    size_t du_point = j->c->wino->du_point;

    (void)worker;
    if (!j->first)
        memset(j->e->dw + i * du_point, 0, sizeof(float) * du_point);
    add_product(j, j->e->dw, j->t, i, slab_tiles(j));
}

static void back_slab(struct slab_job *j)
{
    int threads = j->e->base.n_threads;
    size_t n = ob_wino_products(j->c->wino);

    each_group(j, read_dy);
    if (j->s->need[0])
        ob_par_for(threads, n, back_product, j);
    each_group(j, write_dx_read_x);
    ob_par_for(threads, n, filter_product, j);
}

/* Few channels: the weight gradient of a chunk of images stays in the cache. */
static void back_chunk(void *arg, size_t i, int worker)
{
    struct slab_job *j = arg;
    struct exec *e = j->e;
    struct conv *c = j->c;
    const struct wino *w = c->wino;
    struct value *in = &e->value[c->in];
    int first = (int)i * j->per, end = first + j->per < e->n ? first + j->per : e->n;
    int per = group_images(c, e->n);
    size_t plane = 8 * (size_t)w->block, image = in->image;
    float *du = e->dw + i * ob_wino_products(w) * w->du_point;
    float *scratch = e->scratch + (size_t)worker * e->scratch_worker;
    struct tiles t = tiles_in(w, scratch);

    memset(du, 0, sizeof(float) * ob_wino_products(w) * w->du_point);
    for (; first < end; first += per) {
        int n = end - first < per ? end - first : per, tiles = n * w->tiles;
        const float *x = in->x + (size_t)first * image, *dy = gradient_of(j, first, n, worker);

        if (j->s->need[0])
            ob_wino_product(e, c, 1, in->g + (size_t)first * image, dy, tiles, scratch,
                            j->s->add[0]);
        for (int b = 0; b < tiles; b += w->block) {
            int most = tiles - b < w->block ? tiles - b : w->block;

            w->k->input[0](t.x, w->point[0], plane, x, &w->x, b, most);
            w->k->gradient(t.dy, w->point[1], plane, dy, &w->y, b, most);
            for (size_t p = 0; p < ob_wino_products(w); p++)
                add_product(j, du, t, p, most);
        }
    }
}

static void join_point(void *arg, size_t i, int worker)
{
    struct slab_job *j = arg;
    const struct wino *w = j->c->wino;
    float *du = j->e->dw + i * w->du_point;

    (void)worker;
    for (int first = j->per, n = 1; first < j->e->n; first += j->per, n++)
        j->e->k->vec->axpy(du, du + (size_t)n * ob_wino_products(w) * w->du_point, w->du_point, 1);
}

static void finish_pair(void *arg, size_t i, int worker)
{
    struct slab_job *j = arg;
    const struct conv *c = j->s->conv;
    struct ob_wino_filters f = c->wino->filters[0];

    (void)worker;
    f.point = c->wino->du_point;
    c->wino->k->filters_back(j->grads +
                                 j->e->base.net->view[j->e->base.net->node[c->node].weight].offset,
                             &f, j->e->dw, (int)i);
}

static void finish_bias(struct slab_job *j)
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
    const struct wino *w = s->conv->wino;
    struct slab_job j = { .e = e,
                          .s = s,
                          .c = s->conv,
                          .t = tiles_in(w, e->kept),
                          .per = chunk_images(e->n),
                          .grads = grads };
    int threads = e->base.n_threads;
    int for_du = threads_for(threads, ob_wino_products(w) * w->du_point);

    for (; w->slab && j.first < e->n; j.first = j.end) {
        j.end = j.first + w->slab < e->n ? j.first + w->slab : e->n;
        back_slab(&j);
    }
    if (!w->slab) {
        ob_par_for(threads, (size_t)((e->n + j.per - 1) / j.per), back_chunk, &j);
        ob_par_for(for_du, ob_wino_products(w), join_point, &j);
    }
    ob_par_for(for_du, (size_t)(w->y.c8 + 1) / 2, finish_pair, &j);
    if (j.c->bias)
        finish_bias(&j);
}
