/*
 * copies.h - what two images have in common: a hash that small changes hardly move, and the likeness of pixels.
 *
 * Large images are first averaged over squares of k x k, so that neither side has more than 63 pixels; shifts
 * count those. The hash has a bit for each of the 64 lowest frequencies of the discrete cosine transform of the
 * luminance: above what is usual in the data set, or not. Likeness is a correlation of pixels, and of what remains of them
 * without the mean image of their class: where all images of a class have one outline, that says little.
 */
#ifndef OB_DATA_COPIES_H
#define OB_DATA_COPIES_H

#include "data/data.h"

enum {
    OB_COPY_SHIFT = 2,        /* pixels, to each side */
    OB_COPY_WAYS = 2 * 5 * 5, /* shifts, each mirrored or not */
    OB_COPY_BITS = 64,
    OB_COPY_WAVES = 12 /* frequencies 0..10 along each axis, and none */
};

struct ob_copy_lens { /* how the images of a data set are looked at */
    const struct ob_data *d;
    int k;               /* pixels averaged along each axis */
    int c, h, w;         /* what is left */
    float *row, *column; /* w x WAVES and h x WAVES: cosines */
    float usual[OB_COPY_BITS];
    struct ob_copy_wave {
        int u, v;  /* half periods along x and y */
        int place; /* of its bit in the hash */
    } wave[OB_COPY_BITS];
    float *mean; /* the mean image of each class */
};
struct ob_copy_image { /* an image as it is looked at */
    float *pixels, *mirrored;
    const float *mean; /* of its class */
};
struct ob_copy_way { /* shifted by dx, dy; then mirrored or not */
    int dx, dy, is_mirrored;
};
struct ob_copy_way ob_copy_way(int i);

/* `usual` is the median of a sample of the images `ids`. */
int ob_copy_lens_new(struct ob_copy_lens *out, const struct ob_data *d, enum ob_part part,
                     const struct ob_ids *ids, struct ob_err *err);
void ob_copy_lens_release(struct ob_copy_lens *l);
/* Floats to allocate for an image as it is looked at (some behind it may be read), and for hashing beside it. */
size_t ob_copy_pixels(const struct ob_copy_lens *l);
size_t ob_copy_scratch(const struct ob_copy_lens *l);
void ob_copy_look(struct ob_copy_image *out, const struct ob_copy_lens *l, enum ob_part part,
                  uint32_t id);
void ob_copy_mirror(struct ob_copy_image *image, const struct ob_copy_lens *l);
uint64_t ob_copy_hash(const struct ob_copy_lens *l, const float *pixels, float *scratch);
void ob_copy_hashes(uint64_t out[OB_COPY_WAYS], const struct ob_copy_lens *l, const float *pixels,
                    float *scratch); /* of every way */
/* The smaller of two correlations where `b` and `a`, changed in this way, overlap: of the pixels, and of what
 * they have beyond the mean images. Where the first is below `least` it is the answer. Where neither varies: 1 if
 * both are of one colour, else 0. */
double ob_copy_likeness(const struct ob_copy_lens *l, const struct ob_copy_image *a,
                        const struct ob_copy_image *b, struct ob_copy_way way, double least);

#endif
