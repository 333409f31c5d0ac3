/* winograd_plan.c - sizes and tables of a convolution by Winograd's algorithm. */
#include "backend/cpu/exec.h"
#include "base/mem.h"

/* Channels x channels up to which filters, and their gradient of a chunk of images, stay in the
 * cache of each thread, and so do the tiles of a block. */
#define SMALL_FILTERS 4096
#define GROUP_TILES 32 /* of the images of one task */
#define BLOCK_TILES 48
/* Else filters are read once for a slab of tiles, which stay in the cache of all threads. */
#define SLAB_TILES 96
#define SLAB_IMAGES 4 /* at least: the transforms are shared out image by image */
#define SLAB_GROUP_TILES 8

int ob_wino_suits(const struct ob_node *d, int dense)
{
    int large = d->h > 2 && d->w > 2; /* else a tile of 4 x 4 costs what the nine taps do */

    if (dense || d->op != OB_OP_CONV || d->kernel != 3 || d->pad != 1 || d->stride > 2)
        return -1;
    if (d->stride == 2)
        return large ? OB_WINO_2 : -1;
    if (d->h <= 2 && d->w <= 2)
        return OB_WINO_SMALL;
    return large ? OB_WINO : -1;
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
    int pieces;

    w->tiles = w->x.tiles_h * w->x.tiles_w;
    if (w->filters[0].n_in * w->filters[0].n_out > SMALL_FILTERS) {
        int most = SLAB_TILES / w->tiles > SLAB_IMAGES ? SLAB_TILES / w->tiles : SLAB_IMAGES;
        int n_slabs = (batch + most - 1) / most;

        c->group = (SLAB_GROUP_TILES + w->tiles - 1) / w->tiles;
        w->slab = multiple((batch + n_slabs - 1) / n_slabs, c->group);
        w->block = w->slab * w->tiles;
        return;
    }
    c->group = (GROUP_TILES + w->tiles - 1) / w->tiles;
    pieces = (c->group * w->tiles + BLOCK_TILES - 1) / BLOCK_TILES;
    w->block = multiple((c->group * w->tiles + pieces - 1) / pieces, 12);
}

/* Rows of products fold to rows of points: with stride 2, those of the one tap lack the first point
 * forwards, the last one backwards. */
static int plan_points(struct wino *w, struct ob_err *err)
{
    int side = w->k->side[0], n = w->k->side[1];

    for (int back = 0; back < 2; back++) {
        OB_TRY(ob_alloc(w->at[back], ob_wino_products(w), err));
        for (int i = 0; i < side * side; i++) {
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
    int n_in = w->filters[0].n_in, most = w->x.c8 > w->y.c8 ? w->x.c8 : w->y.c8;

    w->point[0] = point_of(&w->x, w->block);
    w->point[1] = point_of(&w->y, w->block);
    w->du_point = (size_t)((w->y.c8 + 1) / 2) * (size_t)n_in * 16 + 16;
    if ((size_t)most * (size_t)w->block > (size_t)1 << 27)
        return ob_fail(err, OB_ENOTSUP, "images are too large for the backend 'cpu'");
    OB_TRY(ob_alloc(w->tile_off, (size_t)w->block, err));
    OB_TRY(ob_alloc(w->k_off, (size_t)n_in, err));
    OB_TRY(ob_alloc(w->plane_off, (size_t)most, err));
    for (int t = 0; t < w->block; t++)
        w->tile_off[t] = 8 * t;
    for (int b = 0; b < w->x.c8 || b < w->y.c8; b++)
        w->plane_off[b] = 8 * w->block * b;
    for (int k = 0; k < n_in; k++)
        w->k_off[k] = k / 8 * 8 * w->block + k % 8;
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
                                 .dy_plane = 8 * (size_t)w->block,
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
    return w->slab ? 0 : ob_wino_products(w) * w->point[0] + ob_wino_points(w) * w->point[1];
}

size_t ob_wino_filter_floats(const struct wino *w, int back)
{
    return ob_wino_products(w) * w->filters[back].point;
}

size_t ob_wino_slab_floats(const struct wino *w, int train)
{
    size_t y = ob_wino_points(w) * w->point[1];

    return w->slab ? ob_wino_products(w) * w->point[0] + (train ? 2 : 1) * y : 0;
}

size_t ob_wino_gradient_floats(const struct wino *w, int n_chunks)
{
    return ob_wino_products(w) * w->du_point * (size_t)(w->slab ? 1 : n_chunks);
}
