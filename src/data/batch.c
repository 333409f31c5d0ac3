/* batch.c - deals the examples of a set in batches. */
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "data/augment.h"
#include "data/data.h"

struct ob_loader {
    const struct ob_data *d;
    const struct ob_examples *ex;
    struct ob_loader_opts o;
    uint32_t *id, *order; /* of the set; of this epoch */
    size_t n, next, pixels;
    uint32_t epoch;
    float *x;
    int32_t *y;
    float *image; /* one, before crop and flip */
    float scale[256];
};

static int alloc_loader(struct ob_loader *l, struct ob_err *err)
{
    size_t batch = (size_t)l->o.batch < l->n ? (size_t)l->o.batch : l->n, total;

    if (!ob_mul(&total, batch, l->pixels))
        return ob_fail(err, OB_ENOMEM, "out of memory");
    OB_TRY(ob_block_new(&l->x, total, err));
    OB_TRY(ob_block_new(&l->image, l->pixels, err));
    OB_TRY(ob_alloc(l->y, batch, err));
    OB_TRY(ob_alloc(l->id, l->n, err));
    return ob_alloc(l->order, l->n, err);
}

int ob_loader_new(struct ob_loader **out, const struct ob_data *d, enum ob_part part,
                  const struct ob_ids *ids, const struct ob_loader_opts *o, struct ob_err *err)
{
    struct ob_loader *l;
    int rc;

    *out = NULL;
    OB_ASSERT(err, o->batch > 0 && o->stream < 16);
    if (ids->n && ids->id[ids->n - 1] >= d->ex[part].n)
        return ob_fail(err, OB_EFORMAT, "example %u is out of range (there are %zu)",
                       ids->id[ids->n - 1], d->ex[part].n);
    OB_TRY(ob_alloc(l, 1, err));
    l->d = d;
    l->ex = &d->ex[part];
    l->o = *o;
    l->n = ids->n;
    l->pixels = (size_t)(d->info.channels * d->info.height * d->info.width);
    for (int i = 0; i < 256; i++)
        l->scale[i] = (float)i / 255.0f;
    rc = alloc_loader(l, err);
    if (rc) {
        ob_loader_free(l);
        return rc;
    }
    if (l->n)
        memcpy(l->id, ids->id, l->n * sizeof(*l->id));
    ob_loader_start(l, 0);
    *out = l;
    return OB_OK;
}

void ob_loader_free(struct ob_loader *l)
{
    if (!l)
        return;
    ob_free(l->id);
    ob_free(l->order);
    ob_free(l->x);
    ob_free(l->y);
    ob_free(l->image);
    ob_free(l);
}

void ob_loader_start(struct ob_loader *l, uint32_t epoch)
{
    l->epoch = epoch;
    l->next = 0;
    if (l->n)
        memcpy(l->order, l->id, l->n * sizeof(*l->order));
    if (l->o.shuffle) {
        struct ob_rng r = ob_rng(l->o.seed, OB_RNG_SHUFFLE, l->o.stream, epoch);

        ob_rng_shuffle(&r, l->order, l->n);
    }
}

static void load(const struct ob_loader *l, uint32_t id, float *out)
{
    const uint8_t *p;

    if (l->ex->f32) {
        memcpy(out, l->ex->f32 + id * l->pixels, l->pixels * sizeof(float));
        return;
    }
    p = l->ex->u8 + id * l->pixels;
    for (size_t i = 0; i < l->pixels; i++)
        out[i] = l->scale[p[i]];
}

int ob_loader_next(struct ob_loader *l, struct ob_batch *out)
{
    const struct ob_data_info *info = &l->d->info;
    size_t n = l->n - l->next;

    if (!n)
        return 0;
    if (n > (size_t)l->o.batch)
        n = (size_t)l->o.batch;
    for (size_t i = 0; i < n; i++) {
        uint32_t id = l->order[l->next + i];
        float *x = l->x + i * l->pixels;

        l->y[i] = l->ex->label[id];
        if (l->o.augment == OB_AUG_NONE) {
            load(l, id, x);
        } else {
            struct ob_rng r = ob_rng(l->o.seed, OB_RNG_AUGMENT, l->epoch * 16 + l->o.stream, id);

            load(l, id, l->image);
            ob_crop_flip(x, l->image, info->channels, info->height, info->width, &r);
        }
    }
    *out = (struct ob_batch){ .x = l->x, .y = l->y, .id = l->order + l->next, .n = (int)n };
    l->next += n;
    return 1;
}

size_t ob_loader_n(const struct ob_loader *l)
{
    return l->n;
}

size_t ob_loader_n_batches(const struct ob_loader *l)
{
    size_t batch = (size_t)l->o.batch;

    return l->n / batch + (l->n % batch != 0);
}
