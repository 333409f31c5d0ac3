/* u_data.c - every kind of data set: what it holds, what is refused, subsets, the content hash. */
#include "datafiles.h"

#include <unistd.h>
#include <zlib.h>

#include "data/data.h"

static struct ob_data *open_spec(const char *kind, const char *dir, const char *options)
{
    struct ob_data *d;
    char spec[400];

    snprintf(spec, sizeof(spec), "%s:%s%s", kind, dir, options);
    must(ob_data_open(&d, NULL, spec, err));
    return d;
}

static int refuse(const char *kind, const char *dir, const char *options, struct ob_err *err)
{
    struct ob_data *d;
    char spec[400];
    int rc;

    snprintf(spec, sizeof(spec), "%s:%s%s", kind, dir, options);
    rc = ob_data_open(&d, NULL, spec, err);
    assert_true(rc || d);
    ob_data_free(d);
    return rc;
}

static void check_size(const struct ob_data *d, int c, int h, int w, int classes, size_t n_train,
                       size_t n_test)
{
    const struct ob_data_info *i = ob_data_info(d);

    assert_int_equal(i->channels, c);
    assert_int_equal(i->height, h);
    assert_int_equal(i->width, w);
    assert_int_equal(i->n_classes, classes);
    assert_int_equal(i->n_file[OB_TRAIN], n_train);
    assert_int_equal(i->n_file[OB_TEST], n_test);
    assert_int_equal(strlen(i->hash), 64);
}

static void idx(void **state)
{
    char dir[200], name[300];
    uint8_t b[40] = { 0 };
    struct ob_data *d;
    float x[64];

    (void)state;
    make_idx(dir, sizeof(dir));
    d = open_spec("idx", dir, "");
    check_size(d, 1, 8, 8, 3, 12, 6);
    assert_string_equal(ob_data_info(d)->spec, "idx:");
    assert_string_equal(ob_data_info(d)->name, "");
    assert_string_equal(ob_data_class_name(d, 2), "2");
    assert_string_equal(ob_data_class_name(d, 3), "?");
    assert_int_equal(ob_data_label(d, OB_TRAIN, 7), 1);
    ob_data_image(d, OB_TRAIN, 7, x);
    for (int k = 0; k < 64; k++)
        assert_true(x[k] == (float)PIXEL(7, k) / 255);
    ob_data_free(d);

    /* other labels for as many images */
    put_u32be(b, 2049);
    put_u32be(b + 4, 12);
    memset(b + 8, 1, 12);
    put(dir, "train-labels-idx1-ubyte", b, 20);
    must_fail(refuse("idx", dir, "", err), OB_EFORMAT, "no example has label 0");
    memset(b + 8, 0, 12);
    put(dir, "train-labels-idx1-ubyte", b, 20);
    must_fail(refuse("idx", dir, "", err), OB_EFORMAT, "one class only");
    b[8] = 1;
    put(dir, "train-labels-idx1-ubyte", b, 20);
    must_fail(refuse("idx", dir, "", err), OB_EFORMAT, "test example 2 has label 2, of 2");
    put_u32be(b + 4, 13);
    put(dir, "train-labels-idx1-ubyte", b, 20);
    must_fail(refuse("idx", dir, "", err), OB_EFORMAT, "claims 13 bytes of data and holds 12");
    put(dir, "train-labels-idx1-ubyte", b, 21);
    must_fail(refuse("idx", dir, "", err), OB_EFORMAT, "13 labels for 12 images");
    put(dir, "train-images-idx3-ubyte", b, 21);
    must_fail(refuse("idx", dir, "", err), OB_EFORMAT, "magic number 2049, not 2051");
    snprintf(name, sizeof(name), "%s/train-images-idx3-ubyte", dir);
    unlink(name);
    must_fail(refuse("idx", dir, "", err), OB_ENOTFOUND, "train-images-idx3-ubyte' (nor .gz");
}

static void idx_sizes(void **state)
{
    char dir[200];
    uint8_t b[16 + 49];

    (void)state;
    make_idx(dir, sizeof(dir));
    memset(b, 0, sizeof(b));
    put_u32be(b, 2051);
    put_u32be(b + 4, 1);
    put_u32be(b + 8, 7);
    put_u32be(b + 12, 7);
    put(dir, "t10k-images-idx3-ubyte", b, sizeof(b));
    must_fail(refuse("idx", dir, "", err), OB_EFORMAT, "7 x 7, the training file 8 x 8");
    put(dir, "train-images-idx3-ubyte", b, sizeof(b));
    must_fail(refuse("idx", dir, "", err), OB_EFORMAT, "train-images-idx3-ubyte': images of 7 x 7");
    put_u32be(b + 4, UINT32_MAX); /* claims far too much, with a product that wraps to 0 */
    put_u32be(b + 8, 1u << 31);
    put_u32be(b + 12, 1u << 31);
    put(dir, "train-images-idx3-ubyte", b, 16);
    must_fail(refuse("idx", dir, "", err), OB_EFORMAT, "claims");
    put_u32be(b + 4, 0);
    put(dir, "train-images-idx3-ubyte", b, 16);
    must_fail(refuse("idx", dir, "", err), OB_EFORMAT, "65535 x 65535");
}

/* The hash is of what is inside: neither packing nor a subset changes it; a pixel does. */
static void content_hash(void **state)
{
    char dir[200], path[300], hash[65];
    struct ob_data *d;
    struct ob_file f;
    gzFile gz;

    (void)state;
    make_idx(dir, sizeof(dir));
    d = open_spec("idx", dir, "");
    memcpy(hash, ob_data_info(d)->hash, 65);
    ob_data_free(d);
    d = open_spec("idx", dir, ",test=3,train=6");
    assert_string_equal(ob_data_info(d)->hash, hash);
    assert_string_equal(ob_data_info(d)->spec, "idx:,train=6,test=3");
    ob_data_free(d);

    snprintf(path, sizeof(path), "%s/t10k-images-idx3-ubyte", dir);
    must(ob_file_read(&f, path, 5000, false, err));
    unlink(path);
    snprintf(path, sizeof(path), "%s/t10k-images-idx3-ubyte.gz", dir);
    gz = gzopen(path, "wb");
    assert_int_equal(gzwrite(gz, f.data, (unsigned)f.n), f.n);
    gzclose(gz);
    d = open_spec("idx", dir, "");
    assert_string_equal(ob_data_info(d)->hash, hash);
    ob_data_free(d);
    f.data[f.n - 1] ^= 1;
    put(dir, "t10k-images-idx3-ubyte", f.data, f.n);
    d = open_spec("idx", dir, "");
    assert_string_not_equal(ob_data_info(d)->hash, hash);
    ob_data_free(d);
    ob_file_release(&f);
    unlink(path);
}

static void subsets(void **state)
{
    static const uint32_t want[] = { 0, 1, 2, 3, 4, 5 };
    char dir[200];
    struct ob_data *d;

    (void)state;
    make_idx(dir, sizeof(dir));
    d = open_spec("idx", dir, ",train=6");
    assert_int_equal(ob_data_info(d)->n[OB_TRAIN], 6);
    assert_int_equal(ob_data_info(d)->n[OB_TEST], 6);
    assert_int_equal(ob_ids_n(ob_data_ids(d, OB_TRAIN)), 6);
    assert_memory_equal(ob_ids_list(ob_data_ids(d, OB_TRAIN)), want, sizeof(want));
    ob_data_free(d);
    must_fail(refuse("idx", dir, ",train=7", err), OB_EINVAL, "not a multiple of the 3 classes");
    must_fail(refuse("idx", dir, ",train=15", err), OB_EFORMAT, "there are only 12");
    must_fail(refuse("idx", dir, ",test=0", err), OB_EINVAL, "above 0");
    must_fail(refuse("idx", dir, ",train=6,train=6", err), OB_EINVAL, "twice");
    must_fail(refuse("idx", dir, ",tain=6", err), OB_EINVAL, "there are: train test");
    must_fail(refuse("idx", dir, ",labels=fine", err), OB_EINVAL, "no option 'labels'");
    must_fail(refuse("idx", dir, ",train", err), OB_EINVAL, "key=value");
    must_fail(refuse("idx", dir, ",", err), OB_EINVAL, "key=value");
    must_fail(refuse("ixd", dir, "", err), OB_EINVAL, "there are idx, cifar10");
    must_fail(refuse("", dir, "", err), OB_EINVAL, "KIND:FOLDER");
}

/* Unlike class sizes: 4 of class 0 and 2 of class 1. */
static void first_of_each_class(void **state)
{
    static const uint32_t want[] = { 0, 1, 3, 5 };
    uint8_t b[8 + 6] = { 0, 0, 8, 1, 0, 0, 0, 6, 0, 0, 0, 1, 0, 1 };
    char dir[200];
    struct ob_data *d;

    (void)state;
    folder(dir, sizeof(dir), "idx2");
    put_idx(dir, "train", 6, 2);
    put_idx(dir, "t10k", 6, 2);
    put(dir, "train-labels-idx1-ubyte", b, sizeof(b));
    d = open_spec("idx", dir, ",train=4");
    assert_memory_equal(ob_ids_list(ob_data_ids(d, OB_TRAIN)), want, sizeof(want));
    ob_data_free(d);
    must_fail(refuse("idx", dir, ",train=6", err), OB_EFORMAT, "class 1 has 2");
}

static void cifar(void **state)
{
    char dir[200], fine[65];
    struct ob_data *d;
    float x[3072];

    (void)state;
    make_cifar10(dir, sizeof(dir));
    d = open_spec("cifar10", dir, "");
    check_size(d, 3, 32, 32, 10, 5, 1);
    assert_string_equal(ob_data_info(d)->name, "cifar10");
    assert_string_equal(ob_data_class_name(d, 9), "truck");
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(ob_data_label(d, OB_TRAIN, i), 9 - i);
        ob_data_image(d, OB_TRAIN, i, x);
        assert_true(x[3071] == (float)PIXEL(i, 3071) / 255);
    }
    ob_data_free(d);
    put(dir, "data_batch_3.bin", fine, 3);
    must_fail(refuse("cifar10", dir, "", err), OB_EFORMAT, "not a multiple of 3073");

    make_cifar100(dir, sizeof(dir));
    d = open_spec("cifar100", dir, "");
    check_size(d, 3, 32, 32, 100, 1, 1);
    assert_int_equal(ob_data_label(d, OB_TEST, 0), 99);
    assert_string_equal(ob_data_class_name(d, 0), "apple");
    assert_string_equal(ob_data_class_name(d, 99), "worm");
    memcpy(fine, ob_data_info(d)->hash, 65);
    ob_data_free(d);
    d = open_spec("cifar100", dir, ",labels=coarse");
    check_size(d, 3, 32, 32, 20, 1, 1);
    assert_int_equal(ob_data_label(d, OB_TEST, 0), 19);
    assert_string_equal(ob_data_class_name(d, 19), "vehicles_2");
    assert_string_equal(ob_data_info(d)->spec, "cifar100:,labels=coarse");
    assert_string_not_equal(ob_data_info(d)->hash, fine); /* other labels are other data */
    ob_data_free(d);
    must_fail(refuse("cifar100", dir, ",labels=corse", err), OB_EINVAL, "fine or coarse");
    must_fail(refuse("cifar10", dir, "", err), OB_ENOTFOUND, "data_batch_1.bin");
}

static void npy(void **state)
{
    char dir[200], path[300];
    struct ob_data *d;
    float x[216], bad[864] = { 0 };
    size_t shape[4] = { 4, 3, 8, 9 };
    static const int8_t minus[4] = { 0, 1, -1, 1 };

    (void)state;
    make_npy(dir, sizeof(dir), 0);
    d = open_spec("npy", dir, "");
    check_size(d, 3, 8, 9, 2, 4, 4);
    ob_data_image(d, OB_TRAIN, 2, x);
    for (uint32_t c = 0; c < 3; c++)
        for (uint32_t k = 0; k < 72; k++)
            assert_true(x[c * 72 + k] == (float)PIXEL(2 * 216 + k * 3 + c, 0) / 255);
    ob_data_free(d);

    make_npy(dir, sizeof(dir), 1);
    d = open_spec("npy", dir, "");
    check_size(d, 3, 8, 9, 2, 4, 4);
    ob_data_image(d, OB_TEST, 1, x);
    for (uint32_t k = 0; k < 216; k++)
        assert_true(x[k] == (float)PIXEL(216 + k, 0) / 255);
    ob_data_free(d);
    snprintf(path, sizeof(path), "%s/y_test.npy", dir);
    must(ob_npy_write(path, "|i1", shape, 1, minus, err));
    must_fail(refuse("npy", dir, "", err), OB_EFORMAT, "example 2 has label -1");
    snprintf(path, sizeof(path), "%s/x_test.npy", dir);
    bad[300] = 1.5f;
    must(ob_npy_write(path, "<f4", shape, 4, bad, err));
    must_fail(refuse("npy", dir, "", err), OB_EFORMAT, "image 1 has a pixel of 1.5");
    bad[300] = 0.0f / 0.0f;
    must(ob_npy_write(path, "<f4", shape, 4, bad, err));
    must_fail(refuse("npy", dir, "", err), OB_EFORMAT, "image 1 has a pixel of");
    shape[0] = 3;
    shape[1] = 4;
    must(ob_npy_write(path, "<f4", shape, 4, bad, err));
    must_fail(refuse("npy", dir, "", err), OB_EFORMAT, "4 x 8 x 9, the training file 3 x 8 x 9");
    must(ob_npy_write(path, "<f4", shape, 3, bad, err));
    must_fail(refuse("npy", dir, "", err), OB_EFORMAT, "3 dimensions");
}

static void synth(void **state)
{
    int count[4] = { 0 };
    struct ob_data *d, *e;
    char hash[65];

    (void)state;
    d = open_spec("synth", "longtail", ",test=80,train=400,classes=4,noise=0.1");
    check_size(d, 1, 16, 16, 4, 400, 80);
    assert_string_equal(ob_data_info(d)->spec,
                        "synth:longtail,classes=4,noise=0.1,train=400,test=80");
    for (uint32_t i = 0; i < 400; i++)
        count[ob_data_label(d, OB_TRAIN, i)]++;
    for (int c = 0; c < 4; c++)
        assert_int_equal(count[c], 100);
    memcpy(hash, ob_data_info(d)->hash, 65);
    /* noise changes labels only, and that many: 10 of each class */
    e = open_spec("synth", "longtail", ",test=80,train=400,classes=4,noise=0");
    assert_memory_equal(d->ex[OB_TRAIN].u8, e->ex[OB_TRAIN].u8, 400 * 256);
    count[0] = 0;
    for (uint32_t i = 0; i < 400; i++)
        count[0] += ob_data_label(d, OB_TRAIN, i) != ob_data_label(e, OB_TRAIN, i);
    assert_int_equal(count[0], 40);
    ob_data_free(e);
    ob_data_free(d);
    d = open_spec("synth", "longtail", ",classes=4,noise=0.1,train=400,test=80");
    assert_string_equal(ob_data_info(d)->hash, hash);
    ob_data_free(d);
    d = open_spec("synth", "longtail", ",classes=4,noise=0.1,train=400,test=80,seed=2");
    assert_string_not_equal(ob_data_info(d)->hash, hash);
    ob_data_free(d);
    d = open_spec("synth", "longtail", ",size=12,channels=3");
    check_size(d, 3, 12, 12, 10, 2000, 1000);
    ob_data_free(d);
    must_fail(refuse("synth", "longtale", "", err), OB_EINVAL, "did you mean 'longtail'");
    must_fail(refuse("synth", "longtail", ",clases=2", err), OB_EINVAL,
              "there are: train test seed classes");
    must_fail(refuse("synth", "longtail", ",classes=1", err), OB_EINVAL, "2 to 100");
    must_fail(refuse("synth", "longtail", ",noise=2", err), OB_EINVAL, "noise=2");
    must_fail(refuse("synth", "longtail", ",size=7", err), OB_EINVAL, "8 to 256");
    must_fail(refuse("synth", "longtail", ",channels=2", err), OB_EINVAL, "channels=2");
    must_fail(refuse("synth", "longtail", ",train=401", err), OB_EINVAL, "not a multiple");
}

/* The set of Debian's package dataset-fashion-mnist, where it is installed. */
static void fashion(void **state)
{
    const char *dir = "/usr/share/datasets/fashion-mnist";
    struct ob_data *d;

    (void)state;
    if (!ob_file_exists(dir))
        skip();
    d = open_spec("idx", dir, ",train=1000,test=500");
    check_size(d, 1, 28, 28, 10, 60000, 10000);
    assert_string_equal(ob_data_info(d)->name, "fashion-mnist");
    assert_string_equal(ob_data_class_name(d, 9), "Ankle boot");
    assert_int_equal(ob_data_label(d, OB_TRAIN, 0), 9);
    ob_data_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idx),
        cmocka_unit_test(idx_sizes),
        cmocka_unit_test(content_hash),
        cmocka_unit_test(subsets),
        cmocka_unit_test(first_of_each_class),
        cmocka_unit_test(cifar),
        cmocka_unit_test(npy),
        cmocka_unit_test(synth),
        cmocka_unit_test(fashion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
