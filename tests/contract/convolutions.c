/* convolutions.c - convolutions and what is fused to them, in many shapes: cpu against ref. */
#include "contract/compare.h"

/*
 * Some gradients cancel out to nothing, and only rounding is left to compare: of a bias before a
 * norm, of the mean behind one, and of the scale of the one number that all channels depend on.
 */
static void check_shape(struct shape *s)
{
    char name[96];

    if (s->h + 2 * s->pad < s->kernel || s->w + 2 * s->pad < s->kernel)
        return;
    if ((s->parts & (NORM | BRANCH)) && s->channels == 1 && s->kernel == 1)
        s->channels = 3;
    if ((s->parts & NORM) && !(s->parts & SKIP))
        s->parts &= ~(unsigned)BIAS;
    if ((s->parts & (NORM | BRANCH)) && (s->parts & (AVERAGE | AVERAGE_2)))
        s->parts |= RELU;
    snprintf(name, sizeof(name), "%d x %dx%dx%d: %d->%d, kernel %d/%d+%d, parts %u", s->batch,
             s->channels, s->h, s->w, s->c, s->o, s->kernel, s->stride, s->pad, s->parts);
    compare(name, build(s), s->batch, 2e-5, 2e-5);
}

static void convolution_shapes(void **state)
{
    static const int channels[] = { 1, 3, 5, 8, 13, 64, 70 }, batches[] = { 1, 2, 5 };
    struct ob_rng r = ob_rng(4, OB_RNG_TEST, 0, 0);

    (void)state;
    for (int i = 0; i < 96; i++) {
        struct shape s = { .channels = i % 3 ? 3 : 1,
                           .h = 8 + (int)ob_rng_below(&r, 10),
                           .w = 8 + (int)ob_rng_below(&r, 10),
                           .batch = batches[ob_rng_below(&r, 3)],
                           .c = channels[ob_rng_below(&r, 7)],
                           .o = channels[ob_rng_below(&r, 7)],
                           .kernel = 1 + 2 * (i % 4),
                           .stride = 1 + i / 4 % 3,
                           .pad = i / 12 % 4,
                           .parts = ob_rng_u32(&r) & ALL };

        if (s.kernel >= 5 && s.c * s.o > 1000)
            s.o = 13;
        if (s.c * s.o > 1000)
            s.batch = s.batch > 2 ? 2 : s.batch;
        check_shape(&s);
    }
}

/* Each way of fusing, on channel counts with and without a tail. */
static void fused_parts(void **state)
{
    static const unsigned norms[] = {
        0,    NORM,   NORM | RELU,  NORM | SKIP, NORM | RELU | SKIP, NORM | RELU | BRANCH,
        RELU, BRANCH, NORM | BRANCH
    };
    static const unsigned pools[] = { 0, POOL, POOL3, AVERAGE, POOL_PAD, AVERAGE_2 };

    (void)state;
    for (int a = 0; a < 9; a++)
        for (int b = 0; b < 6; b++)
            for (int c = 0; c < 2; c++) {
                struct shape s = { 3, 9, 12, 3, 5, c ? 16 : 11, 3, 1, 1, norms[a] | pools[b] };

                s.parts |= b & 1 ? STEM | BIAS : 0;
                check_shape(&s);
            }
}

/* 3 x 3 by Winograd's algorithm: maps that tiles of 4 x 4 and 8 x 8 do not fill, channels of every
 * remainder. No ReLU and no pool: with so many shapes one would fall the other way. */
static void winograd_shapes(void **state)
{
    static const int batches[] = { 1, 2, 3, 9 };
    struct ob_rng r = ob_rng(5, OB_RNG_TEST, 0, 0);

    (void)state;
    for (int i = 0; i < 72; i++) {
        struct shape s = { .channels = 3,
                           .h = 8 + (int)ob_rng_below(&r, 12),
                           .w = 8 + (int)ob_rng_below(&r, 12),
                           .batch = batches[i / 2 % 4],
                           .c = 1 + i % 17,
                           .o = 1 + i * 5 % 16,
                           .kernel = 3,
                           .stride = 1 + i % 2,
                           .pad = 1,
                           .parts = STEM | (ob_rng_u32(&r) & (BIAS | NORM | SKIP | BRANCH)) };

        if (i >= 64) { /* so many channels that tiles wait for the weight gradient */
            s.c += 61;
            s.o += 80;
        }
        check_shape(&s);
    }
}

/* Maps that are one tile, with and without the slab; a map of one row is on the general path. */
static void small_maps(void **state)
{
    static const int sides[][2] = { { 2, 2 }, { 1, 2 }, { 2, 1 }, { 1, 1 }, { 2, 5 } };
    static const int channels[][2] = { { 3, 20 }, { 8, 8 }, { 61, 90 } };

    (void)state;
    for (int i = 0; i < 15; i++) {
        const int *side = sides[i % 5], *c = channels[i / 5];
        struct shape s = { 3, side[0], side[1], 2 + 31 * (i % 2), c[0], c[1], 3, 1, 1, STEM };

        s.parts |= i % 3 ? SKIP : BIAS;
        check_shape(&s);
    }
}

/* The shapes of the stems and of what goes past a block, on odd sizes too. */
static void shapes_of_resnets(void **state)
{
    static const struct shape shapes[] = {
        { 3, 32, 32, 2, 0, 64, 7, 2, 3, NORM | RELU | POOL_PAD },
        { 1, 29, 23, 3, 0, 16, 7, 2, 3, NORM | RELU | POOL_PAD | AVERAGE_2 },
        { 3, 9, 8, 2, 13, 20, 7, 2, 3, STEM },
        { 3, 16, 16, 2, 64, 128, 1, 2, 0, STEM | NORM },
        { 3, 9, 13, 3, 20, 40, 1, 2, 0, STEM | BRANCH | RELU },
        { 1, 8, 11, 3, 12, 9, 1, 2, 0, STEM | NORM | BRANCH | RELU | AVERAGE },
        { 3, 8, 8, 4, 16, 64, 3, 2, 1, STEM | NORM | BRANCH | RELU },
        { 3, 10, 9, 2, 24, 24, 3, 1, 1, STEM | NORM | RELU | POOL | AVERAGE_2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct shape s = shapes[i];

        check_shape(&s);
    }
}

/* So many weights that their gradient is made from the whole batch, pair after pair of planes. */
static void many_weights(void **state)
{
    static const struct shape shapes[] = {
        { 3, 9, 8, 3, 130, 120, 3, 3, 1, STEM | NORM | RELU },
        { 3, 8, 9, 2, 40, 140, 5, 2, 2, STEM | BIAS },
        { 3, 8, 8, 3, 400, 360, 1, 1, 0, STEM | NORM | RELU | BRANCH | AVERAGE },
        { 3, 8, 8, 2, 400, 365, 1, 1, 0, STEM | BIAS | POOL },
        { 3, 8, 9, 1, 0, 900, 7, 3, 3, NORM | RELU }, /* behind an image that fills no whole line */
    };

    (void)state;
    for (int i = 0; i < 5; i++) {
        struct shape s = shapes[i];

        check_shape(&s);
    }
}

/* Flat areas: of equal pixels in a window the first gets the gradient, fused or not. */
static void ties(void **state)
{
    static const unsigned parts[] = { NORM | RELU | POOL,  RELU | POOL, POOL3,
                                      NORM | RELU | POOL3, POOL_PAD,    NORM | RELU | POOL_PAD };

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct shape s = { 3, 11, 10, 3, 3, 9, 1, 1, 0, parts[i] };
        size_t plane = (size_t)(s.h * s.w);
        float *x = numbers(9 * plane, 1, 0, 1);

        for (size_t k = 0; k < 9 * plane; k++)
            x[k] = k / (size_t)s.w % 4 < 2 ? 0.25f : x[k] > 0 ? 1 : 0.5f;
        compare_on("ties", build(&s), x, s.batch, 2e-5, 2e-5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolution_shapes),
        cmocka_unit_test(fused_parts),
        cmocka_unit_test(small_maps),
        cmocka_unit_test(winograd_shapes),
        cmocka_unit_test(shapes_of_resnets),
        cmocka_unit_test(many_weights),
        cmocka_unit_test(ties),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
