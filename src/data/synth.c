/*
 * synth.c - "synth:longtail": made-up images in which memorization has something to find.
 *
 * After Feldman 2020: each class is a mixture of sub-populations whose sizes follow a power law,
 * each with a look of its own that says nothing about its class, so the label of a rare one can only
 * be learned from its own few examples; and a share of the labels is flipped. Training and test
 * part are draws from the same mixture, each class as large as the others, before the flips and
 * after. Only exact arithmetic: the same bytes on every machine.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "data/data.h"

#define N_SUB 32   /* sub-populations of a class; the k-th has weight k^-1.5 */
#define GRID 6     /* a look is GRID x GRID numbers with smooth steps between */
#define SHIFT 0.6f /* an example is moved by up to this part of a step */
#define GRAIN 0.1f /* and has noise of up to this much in each pixel */

enum { STREAM_LOOK, STREAM_LABEL, STREAM_IMAGE }; /* which random numbers; times 2, plus part */

struct plan {
    uint64_t seed;
    int64_t classes, size, channels;
    double noise;
    size_t n[2];
    float cumulative[N_SUB];
    float *look; /* classes x N_SUB x channels x GRID x GRID */
};

static struct ob_rng stream(const struct plan *p, int which, int part, size_t b)
{
    return ob_rng(p->seed, OB_RNG_SYNTH, (uint32_t)(which * 2 + part), (uint32_t)b);
}

static int take_int(int64_t *out, const char *key, const char *value, int64_t low, int64_t high,
                    struct ob_err *err)
{
    if (!ob_str_int(value, out) || *out < low || *out > high)
        return ob_fail(err, OB_EINVAL, "'%s=%s': a number from %lld to %lld is needed", key, value,
                       (long long)low, (long long)high);
    return OB_OK;
}

static int take_option(struct plan *p, const char *key, const char *value, struct ob_err *err)
{
    int64_t seed;

    if (!strcmp(key, "classes"))
        return take_int(&p->classes, key, value, 2, 100, err);
    if (!strcmp(key, "size"))
        return take_int(&p->size, key, value, 8, 256, err);
    if (!strcmp(key, "channels")) {
        if (strcmp(value, "1") && strcmp(value, "3"))
            return ob_fail(err, OB_EINVAL, "'channels=%s': 1 or 3 is needed", value);
        p->channels = value[0] - '0';
        return OB_OK;
    }
    if (!strcmp(key, "seed")) {
        OB_TRY(take_int(&seed, key, value, 0, INT64_MAX, err));
        p->seed = (uint64_t)seed;
        return OB_OK;
    }
    if (!ob_str_double(value, &p->noise) || p->noise < 0 || p->noise > 0.9)
        return ob_fail(err, OB_EINVAL, "'noise=%s': a share from 0 to 0.9 is needed", value);
    return OB_OK;
}

static int make_plan(struct plan *p, const struct ob_data_arg *a, struct ob_err *err)
{
    size_t classes;

    *p = (struct plan){ .seed = 1, .classes = 10, .size = 16, .channels = 1, .noise = 0.05 };
    if (strcmp(a->where, "longtail"))
        return ob_fail(err, OB_EINVAL, "no made-up data '%.60s'; did you mean 'longtail'?",
                       a->where);
    for (int i = 0; i < a->n; i++)
        OB_TRY(take_option(p, a->key[i], a->value[i], err));
    classes = (size_t)p->classes;
    p->n[OB_TRAIN] = a->n_train ? a->n_train : 200 * classes;
    p->n[OB_TEST] = a->n_test ? a->n_test : 100 * classes;
    for (int part = 0; part < 2; part++)
        if (p->n[part] % classes)
            return ob_fail(err, OB_EINVAL, "%s=%zu is not a multiple of the %zu classes",
                           part ? "test" : "train", p->n[part], classes);
    return OB_OK;
}

static int make_looks(struct plan *p, struct ob_err *err)
{
    size_t each = (size_t)p->channels * GRID * GRID, n = (size_t)p->classes * N_SUB;
    float sum = 0;

    for (int k = 0; k < N_SUB; k++) {
        float rank = (float)(k + 1);

        sum += 1 / (rank * sqrtf(rank));
        p->cumulative[k] = sum;
    }
    for (int k = 0; k < N_SUB; k++)
        p->cumulative[k] /= sum;
    OB_TRY(ob_alloc(p->look, n * each, err));
    for (size_t i = 0; i < n; i++) {
        struct ob_rng r = stream(p, STREAM_LOOK, 0, i);

        for (size_t k = 0; k < each; k++)
            p->look[i * each + k] = ob_rng_uniform(&r);
    }
    return OB_OK;
}

/* The look at a place in steps of the grid, 0..GRID - 1; beyond the edge it goes on as there. */
static float look_at(const float *look, float y, float x)
{
    float last = GRID - 1;
    int i, j;

    y = y < 0 ? 0 : y > last ? last : y;
    x = x < 0 ? 0 : x > last ? last : x;
    i = y < last ? (int)y : GRID - 2;
    j = x < last ? (int)x : GRID - 2;
    y -= (float)i;
    x -= (float)j;
    look += i * GRID + j;
    return (1 - y) * ((1 - x) * look[0] + x * look[1]) +
           y * ((1 - x) * look[GRID] + x * look[GRID + 1]);
}

static void make_image(uint8_t *out, const struct plan *p, int class, struct ob_rng *r)
{
    float u = ob_rng_uniform(r), dy, dx, step = (float)(GRID - 1) / (float)(p->size - 1);
    const float *look;
    int sub = 0;

    while (sub < N_SUB - 1 && u >= p->cumulative[sub])
        sub++;
    look = p->look + (size_t)((class * N_SUB + sub) * (int)p->channels) * GRID * GRID;
    dy = SHIFT * (2 * ob_rng_uniform(r) - 1);
    dx = SHIFT * (2 * ob_rng_uniform(r) - 1);
    for (int c = 0; c < p->channels; c++, look += GRID * GRID)
        for (int y = 0; y < p->size; y++)
            for (int x = 0; x < p->size; x++) {
                float v = look_at(look, (float)y * step + dy, (float)x * step + dx);

                v += GRAIN * (2 * ob_rng_uniform(r) - 1);
                *out++ = (uint8_t)(v <= 0 ? 0 : v >= 1 ? 255 : (int)(v * 255 + 0.5f));
            }
}

/* Flips the same number of labels in each class, the j-th by 1 + j mod (C - 1): each shift is a
 * permutation of the classes, so the classes stay equally large. `order`: a random one. */
static int flip_labels(struct ob_examples *e, const struct plan *p, const uint32_t *order,
                       struct ob_err *err)
{
    int classes = (int)p->classes, *done;
    int flips = (int)(p->noise * (double)(e->n / (size_t)classes) + 0.5);

    OB_TRY(ob_alloc(done, (size_t)classes, err));
    for (size_t i = 0; i < e->n; i++) {
        int32_t *label = &e->label[order[i]], c = *label;

        if (done[c] < flips)
            *label = (c + 1 + done[c]++ % (classes - 1)) % classes;
    }
    ob_free(done);
    return OB_OK;
}

static int make_part(struct ob_data *d, int part, const struct plan *p, struct ob_err *err)
{
    struct ob_examples *e = &d->ex[part];
    size_t pixels = (size_t)(p->channels * p->size * p->size);
    struct ob_rng r = stream(p, STREAM_LABEL, part, 0);
    uint32_t *slot;
    int rc;

    OB_TRY(ob_examples_alloc(d, part, p->n[part], 0, err));
    OB_TRY(ob_alloc(slot, e->n, err));
    for (size_t i = 0; i < e->n; i++)
        slot[i] = (uint32_t)i;
    ob_rng_shuffle(&r, slot, e->n);
    for (size_t i = 0; i < e->n; i++) {
        struct ob_rng image = stream(p, STREAM_IMAGE, part, i);

        e->label[i] = (int32_t)(slot[i] % (uint32_t)p->classes);
        make_image(e->u8 + i * pixels, p, e->label[i], &image);
    }
    ob_rng_shuffle(&r, slot, e->n);
    rc = flip_labels(e, p, slot, err);
    ob_free(slot);
    return rc;
}

static int open_synth(struct ob_data *d, const struct ob_data_arg *a, struct ob_err *err)
{
    struct plan p;
    int rc;

    OB_TRY(make_plan(&p, a, err));
    d->info.channels = (int)p.channels;
    d->info.height = d->info.width = (int)p.size;
    d->info.n_classes = (int)p.classes;
    OB_GO(make_looks(&p, err));
    OB_GO(make_part(d, OB_TRAIN, &p, err));
    OB_GO(make_part(d, OB_TEST, &p, err));
out:
    ob_free(p.look);
    return rc;
}

const struct ob_source ob_source_synth = { "synth", "seed classes noise size channels",
                                           open_synth };
