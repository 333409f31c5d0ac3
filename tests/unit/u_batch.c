/* u_batch.c - the loader: every example once, orders that repeat, crop and flip. */
#include "datafiles.h"

#include "data/augment.h"
#include "data/data.h"

static struct ob_data *open_small(void)
{
    struct ob_data *d;

    must(ob_data_open(&d, NULL, "synth:longtail,train=50,test=20,size=8", err));
    return d;
}

static struct ob_loader *loader(const struct ob_data *d, const struct ob_ids *ids,
                                struct ob_loader_opts o)
{
    struct ob_loader *l;

    must(ob_loader_new(&l, d, OB_TRAIN, ids, &o, err));
    return l;
}

/* Ids in the order of one epoch, in out[]; their number. Checks images, labels and alignment. */
static size_t epoch_of(const struct ob_data *d, struct ob_loader *l, uint32_t epoch, uint32_t *out,
                       int largest)
{
    struct ob_batch b;
    size_t n = 0;
    float x[64];

    ob_loader_start(l, epoch);
    while (ob_loader_next(l, &b)) {
        assert_true(b.n > 0 && b.n <= largest);
        assert_true((uintptr_t)b.x % 64 == 0);
        for (int i = 0; i < b.n; i++) {
            ob_data_image(d, OB_TRAIN, b.id[i], x);
            assert_memory_equal(b.x + i * 64, x, sizeof(x));
            assert_int_equal(b.y[i], ob_data_label(d, OB_TRAIN, b.id[i]));
            out[n++] = b.id[i];
        }
    }
    assert_int_equal(ob_loader_next(l, &b), 0);
    return n;
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void deals_each_once(void **state)
{
    struct ob_data *d = open_small();
    const struct ob_ids *all = ob_data_ids(d, OB_TRAIN);
    struct ob_loader *l = loader(d, all, (struct ob_loader_opts){ .batch = 16 });
    uint32_t a[50], b[50], c[50];

    (void)state;
    assert_int_equal(ob_loader_n(l), 50);
    assert_int_equal(ob_loader_n_batches(l), 4);
    assert_int_equal(epoch_of(d, l, 3, a, 16), 50);
    assert_memory_equal(a, ob_ids_list(all), sizeof(a)); /* not shuffled: ascending */
    ob_loader_free(l);
    l = loader(d, all, (struct ob_loader_opts){ .batch = 25, .shuffle = 1, .seed = 5 });
    assert_int_equal(ob_loader_n_batches(l), 2);
    assert_int_equal(epoch_of(d, l, 0, b, 25), 50);
    assert_int_equal(epoch_of(d, l, 1, c, 25), 50);
    assert_memory_not_equal(b, a, sizeof(a));
    assert_memory_not_equal(b, c, sizeof(b)); /* each epoch is a new permutation */
    epoch_of(d, l, 0, c, 25);
    assert_memory_equal(b, c, sizeof(b)); /* and comes again */
    ob_loader_free(l);
    /* neither batch size matters, but seed and stream do */
    l = loader(d, all, (struct ob_loader_opts){ .batch = 100, .shuffle = 1, .seed = 5 });
    epoch_of(d, l, 0, c, 100);
    assert_memory_equal(b, c, sizeof(b));
    ob_loader_free(l);
    l = loader(d, all, (struct ob_loader_opts){ .batch = 25, .shuffle = 1, .seed = 6 });
    epoch_of(d, l, 0, c, 25);
    assert_memory_not_equal(b, c, sizeof(b));
    ob_loader_free(l);
    l = loader(d, all,
               (struct ob_loader_opts){ .batch = 25, .shuffle = 1, .seed = 5, .stream = 1 });
    epoch_of(d, l, 0, c, 25);
    assert_memory_not_equal(b, c, sizeof(b));
    qsort(c, 50, sizeof(*c), by_number);
    assert_memory_equal(a, c, sizeof(a));
    ob_loader_free(l);
    ob_data_free(d);
}

static void parts_of_a_set(void **state)
{
    static const uint32_t some[] = { 49, 3, 17 };
    struct ob_data *d = open_small();
    struct ob_loader *l;
    struct ob_batch b;
    struct ob_ids *s;
    uint32_t a[3];

    (void)state;
    must(ob_ids_new(&s, some, 3, 50, err));
    l = loader(d, s, (struct ob_loader_opts){ .batch = 2 });
    assert_int_equal(epoch_of(d, l, 0, a, 2), 3);
    assert_int_equal(a[2], 49);
    ob_loader_free(l);
    ob_ids_free(s);
    must(ob_ids_new(&s, NULL, 0, 50, err));
    l = loader(d, s, (struct ob_loader_opts){ .batch = 2, .shuffle = 1 });
    assert_int_equal(ob_loader_n_batches(l), 0);
    assert_int_equal(ob_loader_next(l, &b), 0);
    ob_loader_free(l);
    ob_ids_free(s);
    must(ob_ids_new(&s, (uint32_t[]){ 50 }, 1, 100, err));
    must_fail(ob_loader_new(&l, d, OB_TRAIN, s, &(struct ob_loader_opts){ .batch = 2 }, err),
              OB_EFORMAT, "example 50 is out of range");
    ob_ids_free(s);
    ob_data_free(d);
}

/* Which of the 9 x 9 x 2 crops of `in` is `out`? -1: none. */
static int find_crop(const float *out, const float *in)
{
    for (int way = 0; way < 162; way++) {
        int dy = way / 18 - 4, dx = way / 2 % 9 - 4, same = 1;

        for (int y = 0; y < 8 && same; y++)
            for (int x = 0; x < 8 && same; x++) {
                int i = y + dy, j = (way & 1 ? 7 - x : x) + dx;
                int inside = i >= 0 && i < 8 && j >= 0 && j < 8;

                same = out[y * 8 + x] == (inside ? in[i * 8 + j] : 0.0f);
            }
        if (same)
            return way;
    }
    return -1;
}

static void crops_and_flips(void **state)
{
    struct ob_data *d = open_small();
    struct ob_loader_opts o = { .batch = 7, .shuffle = 1, .augment = OB_AUG_CROP_FLIP, .seed = 3 };
    struct ob_loader *l = loader(d, ob_data_ids(d, OB_TRAIN), o);
    static int seen[162], first[50];
    int distinct = 0, flips = 0;
    struct ob_batch b;
    float x[64];

    (void)state;
    for (uint32_t epoch = 0; epoch < 40; epoch++) {
        ob_loader_start(l, epoch);
        while (ob_loader_next(l, &b))
            for (int i = 0; i < b.n; i++) {
                int way;

                ob_data_image(d, OB_TRAIN, b.id[i], x);
                way = find_crop(b.x + i * 64, x);
                assert_true(way >= 0);
                seen[way]++;
                flips += way & 1;
                if (epoch == 7)
                    first[b.id[i]] = way;
            }
    }
    for (int way = 0; way < 162; way++)
        distinct += seen[way] > 0;
    assert_int_equal(distinct, 162);
    assert_true(flips > 880 && flips < 1120); /* of 2,000 */
    ob_loader_free(l);
    o.batch = 50; /* an example's crop is its own: neither batch nor order matters */
    o.shuffle = 0;
    l = loader(d, ob_data_ids(d, OB_TRAIN), o);
    ob_loader_start(l, 7);
    assert_true(ob_loader_next(l, &b));
    for (int i = 0; i < 50; i++) {
        ob_data_image(d, OB_TRAIN, b.id[i], x);
        assert_int_equal(find_crop(b.x + i * 64, x), first[b.id[i]]);
    }
    ob_loader_free(l);
    ob_data_free(d);
}

/* All channels of an image move alike. */
static void channels_together(void **state)
{
    float in[3 * 64], out[3 * 64];

    (void)state;
    for (int i = 0; i < 192; i++)
        in[i] = (float)(i % 64 + 1);
    for (uint32_t k = 0; k < 20; k++) {
        struct ob_rng r = ob_rng(1, OB_RNG_TEST, k, 0);

        ob_crop_flip(out, in, 3, 8, 8, &r);
        assert_true(find_crop(out, in) >= 0);
        assert_memory_equal(out, out + 64, 64 * sizeof(float));
        assert_memory_equal(out, out + 128, 64 * sizeof(float));
    }
}

static void names(void **state)
{
    enum ob_augment a;

    (void)state;
    must(ob_augment_parse("crop-flip", &a, err));
    assert_int_equal(a, OB_AUG_CROP_FLIP);
    must(ob_augment_parse("none", &a, err));
    assert_int_equal(a, OB_AUG_NONE);
    must_fail(ob_augment_parse("flip", &a, err), OB_EINVAL, "none or crop-flip");
}

static void float_images(void **state)
{
    struct ob_data *d;
    struct ob_loader *l;
    struct ob_batch b;
    char dir[200], spec[300];
    float x[216];

    (void)state;
    make_npy(dir, sizeof(dir), 1);
    snprintf(spec, sizeof(spec), "npy:%s", dir);
    must(ob_data_open(&d, NULL, spec, err));
    l = loader(d, ob_data_ids(d, OB_TRAIN), (struct ob_loader_opts){ .batch = 3 });
    assert_true(ob_loader_next(l, &b));
    ob_data_image(d, OB_TRAIN, 2, x);
    assert_memory_equal(b.x + 2 * 216, x, sizeof(x));
    ob_loader_free(l);
    ob_data_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deals_each_once), cmocka_unit_test(parts_of_a_set),
        cmocka_unit_test(crops_and_flips), cmocka_unit_test(channels_together),
        cmocka_unit_test(names),           cmocka_unit_test(float_images),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
