/* u_copies.c - planted copies are found and nothing else: every shift, mirrored, encoded again, of every kind of image. */
#include "common.h"

#include <math.h>
#include <turbojpeg.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/copies.h"

#define SIDE 32

/* A data set by hand: n training and n test images, u8 or float. */
struct room {
    struct ob_ctx *ctx;
    struct ob_data d;
};

static void room_open(struct room *r, size_t n, int channels, int height, int width, int is_float)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;

    memset(r, 0, sizeof(*r));
    o.n_threads = 2;
    must(ob_ctx_new(&r->ctx, &o, err));
    r->d.ctx = r->ctx;
    r->d.info.channels = channels;
    r->d.info.height = height;
    r->d.info.width = width;
    r->d.info.n_classes = 1;
    for (int p = 0; p < 2; p++) {
        uint32_t *id = malloc(n * sizeof(*id));

        for (uint32_t i = 0; i < n; i++)
            id[i] = i;
        must(ob_examples_alloc(&r->d, p, n, is_float, err));
        must(ob_ids_new(&r->d.use[p], id, n, n, err));
        free(id);
    }
}

static void room_close(struct room *r)
{
    for (int p = 0; p < 2; p++) {
        ob_free(r->d.ex[p].u8);
        ob_free(r->d.ex[p].f32);
        ob_free(r->d.ex[p].label);
        ob_ids_free(r->d.use[p]);
    }
    ob_ctx_free(r->ctx);
}

/* A scene without end: waves whose height falls with their number, of a colour each. */
struct scene {
    float u[14], v[14], phase[14], height[14][3];
};

static struct scene scene_of(uint32_t number)
{
    struct ob_rng rng = ob_rng(1, OB_RNG_TEST, number, 0);
    struct scene s;

    for (int k = 0; k < 14; k++) {
        float f = 0.5f + 0.45f * (float)k, angle = 6.2831853f * ob_rng_uniform(&rng);

        s.u[k] = f * cosf(angle);
        s.v[k] = f * sinf(angle);
        s.phase[k] = 6.2831853f * ob_rng_uniform(&rng);
        for (int c = 0; c < 3; c++)
            s.height[k][c] = (0.3f + ob_rng_uniform(&rng)) / (f + 0.5f);
    }
    return s;
}

/* Its brightness at a place, 0..1; a scene is one unit wide. */
static float light(const struct scene *s, float x, float y, int c)
{
    float sum = 0;

    for (int k = 0; k < 14; k++)
        sum += s->height[k][c] * cosf(6.2831853f * (s->u[k] * x + s->v[k] * y) + s->phase[k]);
    sum = 0.5f + 0.13f * sum;
    return sum < 0 ? 0 : sum > 1 ? 1 : sum;
}

static void put_pixel(struct room *r, int part, size_t at, float value)
{
    if (r->d.ex[part].f32)
        r->d.ex[part].f32[at] = value;
    else
        r->d.ex[part].u8[at] = (uint8_t)lrintf(255 * value);
}

/* Image `id` shows the scene shifted, then mirrored; dx, dy in pixels. */
static void put(struct room *r, int part, uint32_t id, uint32_t scene, struct ob_copy_way way)
{
    const struct ob_data_info *i = &r->d.info;
    struct scene s = scene_of(scene);
    size_t at = (size_t)id * (size_t)(i->channels * i->height * i->width);

    for (int c = 0; c < i->channels; c++)
        for (int y = 0; y < i->height; y++)
            for (int x = 0; x < i->width; x++) {
                int from = (way.is_mirrored ? i->width - 1 - x : x) - way.dx;

                put_pixel(r, part, at++,
                          light(&s, (float)from / (float)i->width,
                                (float)(y - way.dy) / (float)i->height, c));
            }
}

static void encode_again(struct room *r, uint32_t id, int quality)
{
    size_t n = 3 * SIDE * SIDE;
    uint8_t *image = r->d.ex[OB_TEST].u8 + id * n, rgb[3 * SIDE * SIDE];
    tjhandle in = tjInitCompress(), out = tjInitDecompress();
    unsigned char *jpeg = NULL;
    unsigned long size = 0;

    for (size_t k = 0; k < SIDE * SIDE; k++)
        for (size_t c = 0; c < 3; c++)
            rgb[3 * k + c] = image[c * SIDE * SIDE + k];
    assert_int_equal(
        tjCompress2(in, rgb, SIDE, 0, SIDE, TJPF_RGB, &jpeg, &size, TJSAMP_420, quality, 0), 0);
    assert_int_equal(tjDecompress2(out, jpeg, size, rgb, SIDE, 0, SIDE, TJPF_RGB, 0), 0);
    for (size_t k = 0; k < SIDE * SIDE; k++)
        for (size_t c = 0; c < 3; c++)
            image[c * SIDE * SIDE + k] = rgb[3 * k + c];
    tjFree(jpeg);
    tjDestroy(in);
    tjDestroy(out);
}

static struct ob_copies *find(struct room *r, enum ob_part a, enum ob_part b)
{
    struct ob_copies *c;

    must(ob_copies_find(&c, &r->d, a, r->d.use[a], b, r->d.use[b], OB_COPY_LIKENESS, err));
    return c;
}

/* Test image i is training image i in another way. Of n, `least` are found at least, and no other pair is. */
static void expect(struct room *r, size_t n, size_t least, int scale)
{
    struct ob_copies *c = find(r, OB_TRAIN, OB_TEST), *none = find(r, OB_TRAIN, OB_TRAIN);
    size_t in_its_way = 0;

    assert_int_equal(ob_copies_n(none), 0);
    assert_in_range(ob_copies_n(c), least, n);
    for (size_t i = 0; i < ob_copies_n(c); i++) {
        const struct ob_copy *p = &ob_copies_list(c)[i];
        struct ob_copy_way way = ob_copy_way((int)(p->id[0] % OB_COPY_WAYS));

        assert_int_equal(p->id[0], p->id[1]);
        in_its_way += p->dx == way.dx * scale && p->dy == way.dy * scale &&
                      p->is_mirrored == way.is_mirrored;
    }
    if (scale) /* smooth scenes are much the same two pixels further */
        assert_in_range(100 * in_its_way, 97 * ob_copies_n(c), 100 * n);
    ob_copies_free(none);
    ob_copies_free(c);
}

static void every_way(void **state)
{
    enum { N = 2 * OB_COPY_WAYS };
    static const struct {
        int channels, height, width, is_float, scale;
    } kinds[] = {
        { 3, SIDE, SIDE, 0, 1 }, { 1, 28, 28, 0, 1 }, { 3, 40, 63, 1, 1 }, { 1, 70, 100, 0, 2 }
    };

    (void)state;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        struct room r;

        room_open(&r, N, kinds[k].channels, kinds[k].height, kinds[k].width, kinds[k].is_float);
        for (uint32_t i = 0; i < N; i++) {
            struct ob_copy_way way = ob_copy_way((int)(i % OB_COPY_WAYS));

            put(&r, OB_TRAIN, i, i, (struct ob_copy_way){ 0 });
            way.dx *= kinds[k].scale;
            way.dy *= kinds[k].scale;
            put(&r, OB_TEST, i, i, way);
        }
        expect(&r, N, N - N / 10, kinds[k].scale);
        room_close(&r);
    }
}

static void encoded_again(void **state)
{
    enum { N = 150 };
    struct room r;

    (void)state;
    for (int quality = 50; quality <= 75; quality += 25) {
        room_open(&r, N, 3, SIDE, SIDE, 0);
        for (uint32_t i = 0; i < N; i++) {
            struct ob_copy_way way = { (int)(i % 3) - 1, (int)(i / 3 % 3) - 1, i % 2 };

            put(&r, OB_TRAIN, i, i, (struct ob_copy_way){ 0 });
            put(&r, OB_TEST, i, i, way);
            encode_again(&r, i, quality);
        }
        expect(&r, N, quality == 75 ? N - N / 100 : N - N / 20, 0);
        room_close(&r);
    }
}

/* Pairs of one set come once, in order; more contrast and light is a copy, another colour is none. */
static void one_set(void **state)
{
    enum { N = 60 };
    static const uint32_t want[4][2] = { { 3, 50 }, { 3, 51 }, { 7, 9 }, { 50, 51 } };
    size_t n = 3 * SIDE * SIDE;
    struct ob_copies *c;
    struct room r;
    uint8_t *x;

    (void)state;
    room_open(&r, N, 3, SIDE, SIDE, 0);
    for (uint32_t i = 0; i < N; i++)
        put(&r, OB_TRAIN, i, i, (struct ob_copy_way){ 0 });
    x = r.d.ex[OB_TRAIN].u8;
    memcpy(x + 50 * n, x + 3 * n, n);
    memcpy(x + 51 * n, x + 3 * n, n);
    for (size_t k = 0; k < n; k++) {
        x[9 * n + k] = (uint8_t)(x[7 * n + k] * 2 / 3 + 40);
        x[20 * n + k] = (uint8_t)(255 - x[21 * n + k]); /* the negative */
    }
    c = find(&r, OB_TRAIN, OB_TRAIN);
    assert_int_equal(ob_copies_n(c), 4);
    for (int k = 0; k < 4; k++) {
        const struct ob_copy *p = &ob_copies_list(c)[k];

        assert_int_equal(p->id[0], want[k][0]);
        assert_int_equal(p->id[1], want[k][1]);
        assert_int_equal(p->is_exact, k != 2);
        assert_true(p->likeness > 0.99 && p->likeness <= 1);
    }
    ob_copies_free(c);
    room_close(&r);
}

/* Images of one colour are copies where it is the same one; small ones have fewer waves than the hash has bits. */
static void flat_and_small(void **state)
{
    struct room r;
    struct ob_copies *c;

    (void)state;
    room_open(&r, 40, 1, 8, 8, 0);
    for (uint32_t i = 0; i < 40; i++)
        put(&r, OB_TRAIN, i, i, (struct ob_copy_way){ 0 });
    memset(r.d.ex[OB_TRAIN].u8, 200, 64);
    memset(r.d.ex[OB_TRAIN].u8 + 10 * 64, 201, 64);
    memset(r.d.ex[OB_TRAIN].u8 + 20 * 64, 90, 64);
    memcpy(r.d.ex[OB_TRAIN].u8 + 30 * 64, r.d.ex[OB_TRAIN].u8 + 31 * 64, 64);
    must(ob_copies_find(&c, &r.d, OB_TRAIN, r.d.use[0], OB_TRAIN, r.d.use[0], 0.9999, err));
    assert_int_equal(ob_copies_n(c), 2);
    assert_int_equal(ob_copies_list(c)[0].id[1], 10);
    assert_false(ob_copies_list(c)[0].is_exact);
    assert_int_equal(ob_copies_list(c)[1].id[1], 31);
    ob_copies_free(c);
    room_close(&r);
}

/* One outline in all images of a class, and details of each: alike, but no copies. */
static void one_outline(void **state)
{
    enum { N = 120 };
    size_t n = 28 * 28;
    struct ob_copies *c;
    struct room r;

    (void)state;
    room_open(&r, N, 1, 28, 28, 0);
    for (uint32_t i = 0; i < N; i++) {
        uint8_t *x = r.d.ex[OB_TRAIN].u8 + i * n;

        put(&r, OB_TRAIN, i, i, (struct ob_copy_way){ 0 });
        for (size_t k = 0; k < n; k++) {
            int inside = k % 28 > 6 && k % 28 < 21 && k / 28 > 3 && k / 28 < 25;

            x[k] = inside ? (uint8_t)(150 + x[k] / 4) : 0;
        }
    }
    memcpy(r.d.ex[OB_TRAIN].u8 + 5 * n, r.d.ex[OB_TRAIN].u8 + 90 * n, n);
    r.d.ex[OB_TRAIN].u8[5 * n + 400] -= 9;
    c = find(&r, OB_TRAIN, OB_TRAIN);
    assert_int_equal(ob_copies_n(c), 1);
    assert_int_equal(ob_copies_list(c)[0].id[0], 5);
    assert_int_equal(ob_copies_list(c)[0].id[1], 90);
    ob_copies_free(c);
    room_close(&r);
}

static void refused(void **state)
{
    enum { N = 1500 };
    struct ob_copies *c;
    struct room r;
    size_t n;

    (void)state;
    room_open(&r, N, 1, 8, 8, 0);
    must_fail(ob_copies_find(&c, &r.d, OB_TRAIN, r.d.use[0], OB_TRAIN, r.d.use[0], 0.95, err),
              OB_ENOTSUP, "no copies"); /* all of them black */
    assert_null(c);
    must_fail(ob_copies_find(&c, &r.d, OB_TRAIN, r.d.use[0], OB_TRAIN, r.d.use[0], 1.5, err),
              OB_EINVAL, "likeness");
    r.d.use[OB_TRAIN]->n = 20;
    for (n = 1; n < 100; n++) {
        obi_mem_fail_at(n);
        if (!ob_copies_find(&c, &r.d, OB_TRAIN, r.d.use[0], OB_TRAIN, r.d.use[0], 0.95, NULL))
            break;
        assert_null(c);
    }
    obi_mem_fail_at(0);
    assert_in_range(n, 20, 60);
    assert_int_equal(ob_copies_n(c), 190);
    ob_copies_free(c);
    room_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way),   cmocka_unit_test(encoded_again),
        cmocka_unit_test(one_set),     cmocka_unit_test(flat_and_small),
        cmocka_unit_test(one_outline), cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
