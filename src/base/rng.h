/*
 * rng.h - random numbers without state: Philox 4x32-10 keyed by what they are for.
 *
 * A stream is named by (seed, purpose, a, b), say (seed, OB_RNG_SHUFFLE, epoch, 0). Order of use
 * and number of threads cannot matter. Numbers of purposes never change: files depend on them.
 */
#ifndef OB_BASE_RNG_H
#define OB_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

enum ob_purpose {
    OB_RNG_INIT = 1,       /* weights; a: view */
    OB_RNG_SHUFFLE = 2,    /* order of examples; a: loader, b: epoch */
    OB_RNG_AUGMENT = 3,    /* crop and flip; a: epoch, b: example */
    OB_RNG_LABEL = 4,      /* random labels; a: epoch, b: example */
    OB_RNG_SELECT = 5,     /* random forget sets */
    OB_RNG_PARTS = 6,      /* random parts of a plan */
    OB_RNG_SYNTH = 7,      /* made-up data */
    OB_RNG_STEP = 8,       /* seed of a step of a plan; a: step */
    OB_RNG_TEST = 9,       /* tests only */
    OB_RNG_BANK = 10,      /* a bank; a: model, b: 0 its subset, 1 its seed, 2 halves of the bank */
    OB_RNG_CLUSTERS = 11,  /* a start of k-means; a: start */
    OB_RNG_BOOTSTRAP = 12, /* a resample of examples; a: resample */
    OB_RNG_NOISE = 13,     /* noise on weights; a: draw, b: chunk of weights */
    OB_RNG_RETAIN = 21,    /* part of a retain set */
    OB_RNG_IMAGES = 22,    /* noise for images; a: class, b: image; 2^32 - 1: order */
    OB_RNG_GUMBEL = 23,    /* noise on a teacher's logits; a: epoch, b: example */
    OB_RNG_SAMPLE = 31,    /* part of a set to measure on */
    OB_RNG_REDRAW = 41,    /* weights drawn anew by a method; a: round, b: view */
    OB_RNG_JITTER = 42,    /* noise that a method adds to a layer; a: round, b: view */
    OB_RNG_CHOOSE = 43,    /* what a method draws by lot; a: round, b: of what */
    OB_RNG_SISA = 51       /* a: 0 deals examples to shards, k + 1 the seed of shard k */
};

struct ob_rng {
    uint32_t key[2], ctr[4], out[4];
    int left;
};

struct ob_rng ob_rng(uint64_t seed, enum ob_purpose purpose, uint32_t a, uint32_t b);
uint32_t ob_rng_u32(struct ob_rng *r);
uint32_t ob_rng_below(struct ob_rng *r, uint32_t n);          /* 0..n-1, unbiased; n > 0 */
float ob_rng_uniform(struct ob_rng *r);                       /* [0, 1), 24 bits */
float ob_rng_normal(struct ob_rng *r);                        /* Box-Muller in double */
void ob_rng_shuffle(struct ob_rng *r, uint32_t *x, size_t n); /* Fisher-Yates */

#endif
