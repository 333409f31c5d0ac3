/* copyhash.c - how an image is looked at when copies are searched: hashes of its shifts, likeness of pixels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "data/copies.h"

#define WAVES OB_COPY_WAVES
#define SIDE 63
#define SAMPLE 4096   /* images that say what is usual */
#define MEAN_OF 20000 /* images that the mean images are of, at most */
#define ENOUGH 50     /* of them in a class; else the mean of all stands for it */
#define LANES 8
#define FLAT 1e-6 /* variance of pixels (0..1) below which there is nothing to compare */

struct ob_copy_way ob_copy_way(int i)
{
    int shifts = 2 * OB_COPY_SHIFT + 1;

    return (struct ob_copy_way){ i / 2 % shifts - OB_COPY_SHIFT, i / 2 / shifts - OB_COPY_SHIFT,
                                 i % 2 };
}

/* The lowest frequencies first. Each piece of 16 bits has its share of them. */
static void name_waves(struct ob_copy_wave wave[OB_COPY_BITS])
{
    int sum = 1, before = 0; /* (0, 0) is the brightness */

    for (int i = 0; i < OB_COPY_BITS; i++) {
        if (i - before > sum) {
            before += sum + 1;
            sum++;
        }
        wave[i] = (struct ob_copy_wave){ i - before, sum - (i - before), i % 4 * 16 + i / 4 };
    }
}

/* ---- looking ---- */

static size_t pixels_of(const struct ob_copy_lens *l)
{
    return (size_t)l->c * (size_t)l->h * (size_t)l->w;
}

size_t ob_copy_pixels(const struct ob_copy_lens *l)
{
    return pixels_of(l) + LANES;
}

size_t ob_copy_scratch(const struct ob_copy_lens *l)
{
    return (size_t)l->h * (size_t)l->w + (2 * OB_COPY_SHIFT + 1) * (size_t)l->h * WAVES;
}

static float pixel(const struct ob_examples *e, size_t at)
{
    return e->f32 ? e->f32[at] : (float)e->u8[at] * (1 / 255.0f);
}

static void take_bytes(float *restrict out, const uint8_t *restrict in, size_t n)
{
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            out[i + k] = (float)in[i + k] * (1 / 255.0f);
    for (; i < n; i++)
        out[i] = (float)in[i] * (1 / 255.0f);
}

static void look(float *out, const struct ob_copy_lens *l, enum ob_part part, uint32_t id)
{
    const struct ob_data_info *i = &l->d->info;
    const struct ob_examples *e = &l->d->ex[part];
    size_t height = (size_t)i->height, width = (size_t)i->width, k = (size_t)l->k;
    size_t base = id * (size_t)i->channels * height * width;

    if (k == 1 && e->f32) {
        memcpy(out, e->f32 + base, pixels_of(l) * sizeof(*out));
        return;
    }
    if (k == 1) {
        take_bytes(out, e->u8 + base, pixels_of(l));
        return;
    }
    for (size_t c = 0; c < (size_t)l->c; c++)
        for (size_t y = 0; y < (size_t)l->h; y++)
            for (size_t x = 0; x < (size_t)l->w; x++) {
                float sum = 0;

                for (size_t a = 0; a < k; a++)
                    for (size_t b = 0; b < k; b++)
                        sum += pixel(e, base + (c * height + y * k + a) * width + x * k + b);
                *out++ = sum / (float)(k * k);
            }
}

void ob_copy_look(struct ob_copy_image *out, const struct ob_copy_lens *l, enum ob_part part,
                  uint32_t id)
{
    look(out->pixels, l, part, id);
    out->mean = l->mean + (size_t)l->d->ex[part].label[id] * pixels_of(l);
}

void ob_copy_mirror(struct ob_copy_image *image, const struct ob_copy_lens *l)
{
    for (int row = 0; row < l->c * l->h; row++)
        for (int x = 0; x < l->w; x++)
            image->mirrored[row * l->w + x] = image->pixels[row * l->w + l->w - 1 - x];
}

/* Luminance of three channels, else their mean. */
static void luminance(float *out, const struct ob_copy_lens *l, const float *image)
{
    static const float weight[3] = { 0.299f, 0.587f, 0.114f };
    size_t n = (size_t)l->h * (size_t)l->w;

    memset(out, 0, n * sizeof(*out));
    for (int c = 0; c < l->c; c++) {
        float by = l->c == 3 ? weight[c] : 1 / (float)l->c;

        for (size_t i = 0; i < n; i++)
            out[i] += by * image[(size_t)c * n + i];
    }
}

/* ---- cosines of shifted images; what a shift leaves open is filled with the edge ---- */

static int clamp(int i, int n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* out[y][u] of all rows, shifted by dx */
static void transform_rows(float *restrict out, const struct ob_copy_lens *l,
                           const float *restrict light, int dx)
{
    for (int y = 0; y < l->h; y++, out += WAVES, light += l->w) {
        float sum[WAVES] = { 0 }, row[SIDE];

        for (int x = 0; x < l->w; x++)
            row[x] = light[clamp(x - dx, l->w)];
        for (int x = 0; x < l->w; x++)
            for (int u = 0; u < WAVES; u++)
                sum[u] += row[x] * l->row[x * WAVES + u];
        memcpy(out, sum, sizeof(sum));
    }
}

/* out[v][u] of rows shifted by dy */
static void transform_columns(float out[WAVES][WAVES], const struct ob_copy_lens *l,
                              const float *restrict rows, int dy)
{
    for (int v = 0; v < WAVES - 1; v++) {
        float sum[WAVES] = { 0 };

        for (int y = 0; y < l->h; y++) {
            float cosine = l->column[y * WAVES + v];
            const float *row = rows + clamp(y - dy, l->h) * WAVES;

            for (int u = 0; u < WAVES; u++)
                sum[u] += cosine * row[u];
        }
        memcpy(out[v], sum, sizeof(sum));
    }
}

/* The 64 numbers behind the bits, of length 1, so that contrast does not matter. */
static void waves_of(float out[OB_COPY_BITS], const struct ob_copy_lens *l, float t[WAVES][WAVES])
{
    float norm = 0;

    for (int i = 0; i < OB_COPY_BITS; i++) {
        out[i] = t[l->wave[i].v][l->wave[i].u];
        norm += out[i] * out[i];
    }
    norm = norm > 0 ? 1 / sqrtf(norm) : 0;
    for (int i = 0; i < OB_COPY_BITS; i++)
        out[i] *= norm;
}

/* Mirrored, waves with an odd number of half periods along x change their sign. */
static uint64_t bits_of(const struct ob_copy_lens *l, const float wave[OB_COPY_BITS],
                        int is_mirrored)
{
    uint64_t bits = 0;

    for (int i = 0; i < OB_COPY_BITS; i++) {
        float x = is_mirrored && l->wave[i].u % 2 ? -wave[i] : wave[i];

        bits |= (uint64_t)(x > l->usual[i]) << l->wave[i].place;
    }
    return bits;
}

static void waves(float out[OB_COPY_BITS], const struct ob_copy_lens *l, const float *image,
                  float *scratch)
{
    float *rows = scratch + l->h * l->w, t[WAVES][WAVES];

    luminance(scratch, l, image);
    transform_rows(rows, l, scratch, 0);
    transform_columns(t, l, rows, 0);
    waves_of(out, l, t);
}

uint64_t ob_copy_hash(const struct ob_copy_lens *l, const float *image, float *scratch)
{
    float wave[OB_COPY_BITS];

    waves(wave, l, image, scratch);
    return bits_of(l, wave, 0);
}

void ob_copy_hashes(uint64_t out[OB_COPY_WAYS], const struct ob_copy_lens *l, const float *image,
                    float *scratch)
{
    float *rows = scratch + l->h * l->w, wave[OB_COPY_BITS], t[WAVES][WAVES];

    luminance(scratch, l, image);
    for (int i = 0; i < 2 * OB_COPY_SHIFT + 1; i++)
        transform_rows(rows + i * l->h * WAVES, l, scratch, i - OB_COPY_SHIFT);
    for (int i = 0; i < OB_COPY_WAYS; i += 2) {
        struct ob_copy_way way = ob_copy_way(i);

        transform_columns(t, l, rows + (way.dx + OB_COPY_SHIFT) * l->h * WAVES, way.dy);
        waves_of(wave, l, t);
        out[i] = bits_of(l, wave, 0);
        out[i + 1] = bits_of(l, wave, 1);
    }
}

/* ---- the lens ---- */

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* The median of each wave over a sample, evenly spread. */
static int take_usual(struct ob_copy_lens *l, enum ob_part part, const struct ob_ids *ids,
                      struct ob_err *err)
{
    size_t n = ids->n < SAMPLE ? ids->n : SAMPLE;
    float *image = NULL, *scratch = NULL, *seen = NULL, wave[OB_COPY_BITS];
    int rc;

    OB_GO(ob_alloc(image, ob_copy_pixels(l), err));
    OB_GO(ob_alloc(scratch, ob_copy_scratch(l), err));
    OB_GO(ob_alloc(seen, n * OB_COPY_BITS, err));
    for (size_t i = 0; i < n; i++) {
        look(image, l, part, ids->id[i * ids->n / n]);
        waves(wave, l, image, scratch);
        for (size_t k = 0; k < OB_COPY_BITS; k++)
            seen[k * n + i] = wave[k];
    }
    for (size_t k = 0; k < OB_COPY_BITS && n; k++) {
        qsort(seen + k * n, n, sizeof(*seen), by_size);
        l->usual[k] = seen[k * n + n / 2];
    }
out:
    ob_free(seen);
    ob_free(scratch);
    ob_free(image);
    return rc;
}

/* Sums first; a class with few images takes the mean of all. */
static int take_means(struct ob_copy_lens *l, struct ob_err *err)
{
    const struct ob_ids *ids = l->d->use[OB_TRAIN];
    size_t n = ids->n < MEAN_OF ? ids->n : MEAN_OF, pixels = pixels_of(l),
           n_classes = (size_t)l->d->info.n_classes, *count = NULL, room;
    float *image = NULL, *all = NULL;
    int rc;

    if (!ob_mul(&room, n_classes, pixels) || !ob_add(&room, room, LANES))
        return ob_fail(err, OB_ENOMEM, "out of memory (%zu classes)", n_classes);
    OB_GO(ob_alloc(l->mean, room, err));
    OB_GO(ob_alloc(count, n_classes, err));
    OB_GO(ob_alloc(image, pixels, err));
    OB_GO(ob_alloc(all, pixels, err));
    for (size_t i = 0; i < n; i++) {
        uint32_t id = ids->id[i * ids->n / n];
        size_t label = (size_t)l->d->ex[OB_TRAIN].label[id];

        look(image, l, OB_TRAIN, id);
        count[label]++;
        for (size_t k = 0; k < pixels; k++) {
            all[k] += image[k];
            l->mean[label * pixels + k] += image[k];
        }
    }
    for (size_t c = 0; c < n_classes; c++)
        for (size_t k = 0; k < pixels; k++)
            l->mean[c * pixels + k] = count[c] >= ENOUGH ? l->mean[c * pixels + k] / (float)count[c]
                                      : n >= ENOUGH      ? all[k] / (float)n
                                                         : 0;
out:
    ob_free(all);
    ob_free(image);
    ob_free(count);
    return rc;
}

static int cosines(float **out, int n, struct ob_err *err)
{
    const double pi = 3.14159265358979323846;

    OB_TRY(ob_alloc(*out, (size_t)n * WAVES, err));
    for (int x = 0; x < n; x++)
        for (int u = 0; u < WAVES - 1 && u < n; u++)
            (*out)[x * WAVES + u] = (float)cos(pi * u * (2 * x + 1) / (2 * n));
    return OB_OK;
}

int ob_copy_lens_new(struct ob_copy_lens *out, const struct ob_data *d, enum ob_part part,
                     const struct ob_ids *ids, struct ob_err *err)
{
    const struct ob_data_info *i = &d->info;
    int longer = i->height > i->width ? i->height : i->width, k = longer / (SIDE + 1) + 1, rc;

    *out = (struct ob_copy_lens){
        .d = d, .k = k, .c = i->channels, .h = i->height / k, .w = i->width / k
    };
    name_waves(out->wave);
    OB_GO(cosines(&out->row, out->w, err));
    OB_GO(cosines(&out->column, out->h, err));
    OB_GO(take_usual(out, part, ids, err));
    OB_GO(take_means(out, err));
    return OB_OK;
out:
    ob_copy_lens_release(out);
    return rc;
}

void ob_copy_lens_release(struct ob_copy_lens *l)
{
    ob_free(l->row);
    ob_free(l->column);
    ob_free(l->mean);
    *l = (struct ob_copy_lens){ 0 };
}

/* ---- likeness ---- */

struct sums {
    double n, a, b, aa, bb, ab;
};

struct lanes { /* sums side by side */
    float a[LANES], b[LANES], aa[LANES], bb[LANES], ab[LANES];
};

static void add_lanes(struct sums *s, const struct lanes *l, int n)
{
    s->n += n;
    for (int k = 0; k < LANES; k++) {
        s->a += (double)l->a[k];
        s->b += (double)l->b[k];
        s->aa += (double)l->aa[k];
        s->bb += (double)l->bb[k];
        s->ab += (double)l->ab[k];
    }
}

/* The first n of a row: mask is 1 there and 0 behind. */
static void add_row(struct sums *s, const float *restrict a, const float *restrict b,
                    const float *restrict mask, int n)
{
    struct lanes l = { .a = { 0 } };

    for (int i = 0; i < n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float p = a[i + k] * mask[i + k], q = b[i + k] * mask[i + k];

            l.a[k] += p;
            l.b[k] += q;
            l.aa[k] += p * p;
            l.bb[k] += q * q;
            l.ab[k] += p * q;
        }
    add_lanes(s, &l, n);
}

/* The same of what both have beyond the mean images. */
static void add_row_beyond(struct sums *s, const float *restrict a, const float *restrict b,
                           const float *restrict mask, int n, const float *restrict mean_a,
                           const float *restrict mean_b)
{
    struct lanes l = { .a = { 0 } };

    for (int i = 0; i < n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float p = (a[i + k] - mean_a[i + k]) * mask[i + k];
            float q = (b[i + k] - mean_b[i + k]) * mask[i + k];

            l.a[k] += p;
            l.b[k] += q;
            l.aa[k] += p * p;
            l.bb[k] += q * q;
            l.ab[k] += p * q;
        }
    add_lanes(s, &l, n);
}

/* Over the rows of `a` and `b` where they overlap. */
static struct sums sums_of(const struct ob_copy_lens *l, const struct ob_copy_image *a,
                           const struct ob_copy_image *b, struct ob_copy_way way, bool is_beyond)
{
    /* b(x) is a(x - dx), or mirrored a(x + dx) */
    const float *pixels = way.is_mirrored ? a->mirrored : a->pixels;
    int dx = way.is_mirrored ? -way.dx : way.dx, n = l->w - abs(dx), first = dx > 0 ? dx : 0;
    float mask[SIDE + LANES] = { 0 };
    struct sums s = { 0 };

    for (int i = 0; i < n; i++)
        mask[i] = 1;
    for (int c = 0; c < l->c; c++)
        for (int y = way.dy > 0 ? way.dy : 0; y < l->h && y - way.dy < l->h; y++) {
            const float *x = pixels + (c * l->h + y - way.dy) * l->w + first - dx;
            int at = (c * l->h + y) * l->w + first;

            if (is_beyond)
                add_row_beyond(&s, x, b->pixels + at, mask, n, a->mean + at, b->mean + at);
            else
                add_row(&s, x, b->pixels + at, mask, n);
        }
    return s;
}

static double correlation(const struct sums *s, double *va, double *vb)
{
    *va = s->aa / s->n - s->a / s->n * (s->a / s->n);
    *vb = s->bb / s->n - s->b / s->n * (s->b / s->n);
    return *va < FLAT || *vb < FLAT
               ? 0
               : (s->ab / s->n - s->a / s->n * (s->b / s->n)) / sqrt(*va * *vb);
}

double ob_copy_likeness(const struct ob_copy_lens *l, const struct ob_copy_image *a,
                        const struct ob_copy_image *b, struct ob_copy_way way, double least)
{
    struct sums s = sums_of(l, a, b, way, false);
    double va, vb, plain = correlation(&s, &va, &vb), rest;

    if (va < FLAT && vb < FLAT)
        return fabs(s.a - s.b) / s.n < 1.5 / 255 ? 1 : 0;
    if (plain < least)
        return plain;
    s = sums_of(l, a, b, way, true);
    rest = correlation(&s, &va, &vb);
    return rest < plain ? rest : plain;
}
