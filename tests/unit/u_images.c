/* u_images.c - folders of pictures: order, sizes, layouts, what is refused, the cache; arrays in one
 * archive. */
#include "pictures.h"

#include <unistd.h>

#include "base/npy.h"
#include "data/data.h"

struct said { /* what a context logged */
    char text[4000];
};

static void on_log(void *arg, int level, const char *line)
{
    struct said *s = arg;
    size_t n = strlen(s->text);

    (void)level;
    snprintf(s->text + n, sizeof(s->text) - n, "%s\n", line);
}

/* threads: 0: no context at all. */
static int open_with(char hash[65], const char *spec, const char *cache, int threads,
                     struct said *said, struct ob_err *err)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_ctx *ctx = NULL;
    struct ob_data *d;
    int rc;

    said->text[0] = 0;
    o.cache = cache;
    o.n_threads = threads;
    o.log = on_log;
    o.arg = said;
    if (threads)
        assert_int_equal(ob_ctx_new(&ctx, &o, NULL), OB_OK);
    rc = ob_data_open(&d, ctx, spec, err);
    assert_true(!rc == !!d);
    if (d)
        memcpy(hash, ob_data_info(d)->hash, 65);
    ob_data_free(d);
    ob_ctx_free(ctx);
    return rc;
}

static int get_hash(char hash[65], const char *dir, const char *options, struct ob_err *err)
{
    struct said said;
    char spec[400];

    snprintf(spec, sizeof(spec), "images:%s%s", dir, options);
    return open_with(hash, spec, NULL, 0, &said, err);
}

static int refuse(const char *dir, struct ob_err *err)
{
    char hash[65];

    return get_hash(hash, dir, "", err);
}

static void remove_file(const char *dir, const char *name)
{
    char path[400];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(unlink(path), 0);
}

static void link_to_nothing(const char *dir, const char *name)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(symlink("/nowhere/at/all", path), 0);
}

/* ---- what it holds ---- */

/* The arrays that make_images() makes as files, grey or not. */
static void make_twin(char *dir, size_t room, int channels, int packed)
{
    static const int64_t y_train[6] = { 0, 0, 0, 1, 1, 1 }, y_test[2] = { 0, 1 };
    uint8_t x[8 * PICTURE_MOST];
    size_t each = (size_t)channels * PICTURE_H * PICTURE_W;
    struct ob_npz_item item[4] = {
        { "x_train", "|u1", { 6, 8, 9, (size_t)channels }, 4, x },
        { "y_train", "<i8", { 6 }, 1, y_train },
        { "x_test", "|u1", { 2, 8, 9, (size_t)channels }, 4, x + 6 * each },
        { "y_test", "<i8", { 2 }, 1, y_test },
    };

    for (uint32_t i = 0; i < 8; i++)
        for (uint32_t k = 0; k < each; k++)
            x[i * each + k] = PIXEL(i, k);
    if (packed) {
        scratch_file(dir, room, "twin.npz");
        must(ob_npz_write(dir, item, 4, err));
        return;
    }
    folder(dir, room, "twin");
    for (int i = 0; i < 4; i++) {
        char path[300];

        snprintf(path, sizeof(path), "%s/%s.npy", dir, item[i].name);
        must(ob_npy_write(path, item[i].type, item[i].shape, item[i].rank, item[i].data, err));
    }
}

static void same_as_arrays(void **state)
{
    static const char *const name[2] = { "grey", "colour" };
    struct said said;

    (void)state;
    for (int c = 1; c <= 3; c += 2) {
        char dir[200], twin[200], spec[300], hash[65], want[65];

        make_images(dir, sizeof(dir), name[c / 2], c);
        must(get_hash(hash, dir, "", err));
        for (int packed = 0; packed < 2; packed++) {
            make_twin(twin, sizeof(twin), c, packed);
            snprintf(spec, sizeof(spec), "npy:%s", twin);
            must(open_with(want, spec, NULL, 0, &said, err));
            assert_string_equal(hash, want);
        }
    }
}

static void what_it_holds(void **state)
{
    static const uint32_t want[4] = { 0, 1, 3, 4 };
    char dir[200], spec[300];
    struct ob_data *d;
    float x[PICTURE_MOST];

    (void)state;
    make_images(dir, sizeof(dir), "holds", 1);
    snprintf(spec, sizeof(spec), "images:%s,train=4", dir);
    must(ob_data_open(&d, NULL, spec, err));
    assert_string_equal(ob_data_info(d)->spec, "images:,train=4");
    assert_int_equal(ob_data_info(d)->channels, 1);
    assert_int_equal(ob_data_info(d)->height, 8);
    assert_int_equal(ob_data_info(d)->width, 9);
    assert_int_equal(ob_data_info(d)->n_classes, 2);
    assert_int_equal(ob_data_info(d)->n_file[OB_TRAIN], 6);
    assert_int_equal(ob_data_info(d)->n_file[OB_TEST], 2);
    assert_string_equal(ob_data_class_name(d, 1), "c");
    assert_memory_equal(ob_ids_list(ob_data_ids(d, OB_TRAIN)), want, sizeof(want));
    ob_data_image(d, OB_TRAIN, 4, x); /* c/10.png comes before c/2.png */
    for (uint32_t k = 0; k < 72; k++)
        assert_true(x[k] == (float)PIXEL(4, k) / 255);
    ob_data_free(d);

    /* one file with colours: all have three channels */
    put_picture(dir, "test/b/x.png", 6, 3);
    must(ob_data_open(&d, NULL, spec, err));
    assert_int_equal(ob_data_info(d)->channels, 3);
    ob_data_image(d, OB_TRAIN, 4, x);
    for (uint32_t k = 0; k < 216; k++)
        assert_true(x[k] == (float)PIXEL(4, k % 72) / 255);
    ob_data_image(d, OB_TEST, 0, x);
    for (uint32_t k = 0; k < 72; k++)
        assert_true(x[72 + k] == (float)PIXEL(6, 3 * k + 1) / 255);
    ob_data_free(d);
}

/* Neither where it lies nor in which order it was made is part of a set; a file's name is. */
static void same_anywhere(void **state)
{
    char dir[200], other[200], hash[65], again[65];

    (void)state;
    make_images(dir, sizeof(dir), "here", 3);
    must(get_hash(hash, dir, "", err));
    scratch_file(other, sizeof(other), "there");
    put_picture(other, "val/b/x.png", 6, 3);
    put_picture(other, "train/c/2.jpeg", 5, 3); /* what it is say its bytes */
    put_picture(other, "train/b/images/3.png", 2, 3);
    put_picture(other, "train/b/images/1.png", 0, 3);
    put_picture(other, "train/c/10.png", 4, 3);
    put_picture(other, "train/b/images/2.png", 1, 3);
    put_picture(other, "train/c/1.png", 3, 3);
    put_picture(other, "val/c/x.png", 7, 3);
    put_bytes(other, "train/.hidden/1.png", "x", 1);
    put_bytes(other, "train/b/.DS_Store", "x", 1);
    put_bytes(other, "train/readme.txt", "x", 1);
    must(get_hash(again, other, "", err));
    assert_string_equal(hash, again);
    put_picture(other, "train/c/0.png", 5, 3);
    remove_file(other, "train/c/2.jpeg");
    must(get_hash(again, other, "", err));
    assert_string_not_equal(hash, again);
}

static void test_or_val(void **state)
{
    char dir[200], hash[65], again[65], spec[300];
    struct said said;

    (void)state;
    make_images(dir, sizeof(dir), "both", 1);
    must(get_hash(hash, dir, "", err));
    put_picture(dir, "val/b/1.png", 11, 1);
    put_picture(dir, "val/c/1.png", 12, 1);
    snprintf(spec, sizeof(spec), "images:%s", dir);
    must(open_with(again, spec, NULL, 1, &said, err));
    assert_string_equal(hash, again);
    assert_non_null(strstr(said.text, "',test-from=val' takes the other"));
    must(get_hash(again, dir, ",test-from=val", err));
    assert_string_not_equal(hash, again);
    must_fail(get_hash(again, dir, ",test-from=vla", err), OB_EINVAL, "test or val is needed");
    must_fail(get_hash(again, dir, ",tset-from=val", err), OB_EINVAL, "train test test-from");
}

static void odd_names(void **state)
{
    char dir[200], spec[300];
    struct ob_data *d;

    (void)state;
    scratch_file(dir, sizeof(dir), "odd");
    for (uint32_t i = 0; i < 8; i++) {
        static const char *const class[4] = { "\xc3\xa4hnlich", "a\xff\nb",
                                              "0123456789012345678901234567890",
                                              "012345678901234567890123456789\xc3\xa4" };
        char path[200];

        snprintf(path, sizeof(path), "%s/%s/1.png", i < 4 ? "train" : "test", class[i % 4]);
        put_picture(dir, path, i, 1);
    }
    snprintf(spec, sizeof(spec), "images:%s", dir);
    must(ob_data_open(&d, NULL, spec, err));
    assert_string_equal(ob_data_class_name(d, 0), "0123456789012345678901234567890");
    assert_string_equal(ob_data_class_name(d, 1), "012345678901234567890123456789");
    assert_string_equal(ob_data_class_name(d, 2), "a??b");
    assert_string_equal(ob_data_class_name(d, 3), "\xc3\xa4hnlich"); /* bytes, not an alphabet */
    ob_data_free(d);
}

/* ---- Tiny-ImageNet ---- */

/* As it comes: wnids.txt in an order of its own, boxes beside the pictures, a test part without
 * labels. */
static void make_tiny(char *dir, size_t room)
{
    static const char wnids[] = "n02\nn01\n";
    static const char annotations[] = "val_1.JPEG\tn02\t0\t0\t7\t7\nval_0.JPEG\tn01\t1\t1\t5\t5\n"
                                      "val_2.JPEG\tn01\t0\t0\t3\t3\n";

    scratch_file(dir, room, "tiny");
    put_golden(dir, "train/n01/images/n01_0.JPEG", "420.jpg");
    put_golden(dir, "train/n01/images/n01_1.JPEG", "grey.jpg");
    put_golden(dir, "train/n02/images/n02_0.JPEG", "444.jpg");
    put_bytes(dir, "train/n01/n01_boxes.txt", "x", 1);
    put_bytes(dir, "train/n02/n02_boxes.txt", "x", 1);
    put_golden(dir, "val/images/val_0.JPEG", "422.jpg");
    put_golden(dir, "val/images/val_1.JPEG", "progressive.jpg");
    put_golden(dir, "val/images/val_2.JPEG", "444.jpg");
    put_golden(dir, "test/images/test_0.JPEG", "444.jpg");
    put_bytes(dir, "wnids.txt", wnids, sizeof(wnids) - 1);
    put_bytes(dir, "val/val_annotations.txt", annotations, sizeof(annotations) - 1);
}

static void tiny(void **state)
{
    char dir[200], spec[300], hash[65], sorted[65];
    struct ob_data *d;

    (void)state;
    make_tiny(dir, sizeof(dir));
    snprintf(spec, sizeof(spec), "images:%s", dir);
    must(ob_data_open(&d, NULL, spec, err));
    memcpy(hash, ob_data_info(d)->hash, 65);
    must(get_hash(sorted, dir, ",test-from=val", err));
    assert_string_equal(hash, sorted);
    assert_int_equal(ob_data_info(d)->channels, 3);
    assert_int_equal(ob_data_info(d)->n[OB_TRAIN], 3);
    assert_int_equal(ob_data_info(d)->n[OB_TEST], 3);
    assert_string_equal(ob_data_class_name(d, 0), "n01");
    assert_int_equal(ob_data_label(d, OB_TEST, 1), 0); /* val_2 */
    assert_int_equal(ob_data_label(d, OB_TEST, 2), 1); /* val_1 */
    ob_data_free(d);

    /* sorted into classes, as many do, it is the same set */
    remove_file(dir, "val/val_annotations.txt");
    must_fail(refuse(dir, err), OB_EFORMAT, "'val' has a class 'images' that 'train' has not");
    scratch_file(dir, sizeof(dir), "tiny2");
    put_golden(dir, "train/n01/images/n01_0.JPEG", "420.jpg");
    put_golden(dir, "train/n01/images/n01_1.JPEG", "grey.jpg");
    put_golden(dir, "train/n02/images/n02_0.JPEG", "444.jpg");
    put_golden(dir, "val/n01/val_0.JPEG", "422.jpg");
    put_golden(dir, "val/n02/val_1.JPEG", "progressive.jpg");
    put_golden(dir, "val/n01/val_2.JPEG", "444.jpg");
    put_golden(dir, "test/images/test_0.JPEG", "444.jpg");
    put_bytes(dir, "wnids.txt", "n01\r\nn02", 8);
    must(get_hash(sorted, dir, "", err));
    assert_string_equal(hash, sorted);
    put_bytes(dir, "val/val_annotations.txt", "left there", 10);
    must(get_hash(sorted, dir, "", err));
    assert_string_equal(hash, sorted);
}

/* Only the whole of it is called by its name. */
static void tiny_by_name(void **state)
{
    static const uint8_t pixels[64 * 64 * 3] = { 0 };
    char dir[200], spec[300], wnids[200 * 6 + 1];
    struct ob_data *d;

    (void)state;
    scratch_file(dir, sizeof(dir), "tiny200");
    for (int i = 0; i < 200; i++) {
        char file[64];

        snprintf(wnids + 6 * i, 7, "n%04d\n", i);
        snprintf(file, sizeof(file), "train/n%04d/images/n%04d_0.png", i, i);
        put_png(dir, file, 64, 64, 3, pixels);
        snprintf(file, sizeof(file), "val/n%04d/val_%d.png", i, i);
        put_png(dir, file, 64, 64, 3, pixels);
    }
    snprintf(spec, sizeof(spec), "images:%s", dir);
    must(ob_data_open(&d, NULL, spec, err));
    assert_string_equal(ob_data_info(d)->name, ""); /* some pictures in folders */
    ob_data_free(d);
    put_bytes(dir, "wnids.txt", wnids, sizeof(wnids) - 1);
    must(ob_data_open(&d, NULL, spec, err));
    assert_string_equal(ob_data_info(d)->name, "tiny-imagenet");
    ob_data_free(d);
    make_tiny(dir, sizeof(dir));
    snprintf(spec, sizeof(spec), "images:%s", dir);
    must(ob_data_open(&d, NULL, spec, err));
    assert_string_equal(ob_data_info(d)->name, "");
    ob_data_free(d);
}

static void tiny_refused(void **state)
{
    static const struct {
        const char *file, *text, *word;
    } bad[] = {
        { "wnids.txt", "n01\nn02\nn03\n", "names a class 'n03', but" },
        { "wnids.txt", "n02\n", "train/n01' is no class that" },
        { "wnids.txt", "n0\nn01\nn02\n", "names a class 'n0', but" },
        { "val/val_annotations.txt", "val_0.JPEG\tn01\nval_1.JPEG\tn02\n",
          "does not say of which class '" },
        { "val/val_annotations.txt", "val_0.JPEG\tn01\nval_3.JPEG\tn02\n",
          "line 2: there is no file '" },
        { "val/val_annotations.txt", "val_0.JPEG\tn01\n\nval_0.JPEG\tn02\n",
          "line 3: 'val_0.JPEG' stands there twice" },
        { "val/val_annotations.txt", "val_0.JPEG\tn05\n", "line 1: no class 'n05' in '" },
        { "val/val_annotations.txt", "val_0.JPEG\n", "line 1: a file, a tab and its class" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char dir[200];

        make_tiny(dir, sizeof(dir));
        put_bytes(dir, bad[i].file, bad[i].text, strlen(bad[i].text));
        must_fail(refuse(dir, err), OB_EFORMAT, bad[i].word);
    }
}

/* ---- what is refused ---- */

static void refused(void **state)
{
    char dir[200];
    uint8_t pixels[300 * 300] = { 0 };

    (void)state;
    must_fail(refuse("/nowhere/at/all", err), OB_ENOTFOUND, "no folder '/nowhere/at/all/train'");
    make_images(dir, sizeof(dir), "bad", 1);
    put_png(dir, "test/c/x.png", 9, 8, 1, pixels);
    must_fail(refuse(dir, err), OB_EFORMAT,
              "/train/b/1.png' has 8 x 9 pixels (height x width), 'test/c/x.png' has 9 x 8");
    put_picture(dir, "test/c/x.png", 7, 1);
    must(refuse(dir, err));
    put_bytes(dir, "train/b/4.bmp", "BM", 2);
    must_fail(refuse(dir, err), OB_EFORMAT, "/train/b/4.bmp' is neither PNG nor JPEG");
    remove_file(dir, "train/b/4.bmp");
    put_bytes(dir, "train/b/4.jpg", "text", 4);
    must_fail(refuse(dir, err), OB_EFORMAT, "/train/b/4.jpg' is neither a PNG nor a JPEG");
    remove_file(dir, "train/b/4.jpg");
    put_bytes(dir, "train/b/a\nb\x1b[31m\xc2\x9b.jpg", "text", 4);
    must_fail(refuse(dir, err), OB_EFORMAT, "/train/b/a?b?[31m??.jpg' is neither a PNG nor a JPEG");
    remove_file(dir, "train/b/a\nb\x1b[31m\xc2\x9b.jpg");
    put_picture(dir, "train/4.png", 7, 1);
    must_fail(refuse(dir, err), OB_EFORMAT, "/train/4.png' lies in no folder of a class");
    remove_file(dir, "train/4.png");
    put_bytes(dir, "train/b/more/x.txt", "text", 4);
    must_fail(refuse(dir, err), OB_EFORMAT, "/train/b/more' is a folder inside");
    link_to_nothing(dir, "train/d");
    must_fail(refuse(dir, err), OB_EFORMAT, "/train/d' is a link to nothing");
    scratch_file(dir, sizeof(dir), "bad2");
    put_picture(dir, "train/b/1.png", 1, 1);
    put_picture(dir, "train/c/1.png", 1, 1);
    must_fail(refuse(dir, err), OB_ENOTFOUND, "neither a folder test nor val");
    put_picture(dir, "test/b/1.png", 1, 1);
    must_fail(refuse(dir, err), OB_EFORMAT, "'train' has a class 'c' that 'test' has not");
    put_bytes(dir, "test/c/1.txt", "text", 4);
    must_fail(refuse(dir, err), OB_EFORMAT, "/test/c' holds no .png, .jpg or .jpeg file");
    put_picture(dir, "test/c/1.png", 1, 1);
    put_picture(dir, "test/d/1.png", 1, 1);
    must_fail(refuse(dir, err), OB_EFORMAT, "'test' has a class 'd' that 'train' has not");

    scratch_file(dir, sizeof(dir), "bad3");
    put_png(dir, "train/b/1.png", 300, 300, 1, pixels);
    put_png(dir, "train/c/1.png", 300, 300, 1, pixels);
    put_png(dir, "test/b/1.png", 300, 300, 1, pixels);
    put_png(dir, "test/c/1.png", 300, 300, 1, pixels);
    must_fail(refuse(dir, err), OB_EFORMAT, "images of 300 x 300; 8 to 256 are possible");
}

/* Which of many bad files is told does not depend on threads. */
static void threads(void **state)
{
    char dir[200], spec[300], hash[65], one[65];
    struct said said;

    (void)state;
    make_images(dir, sizeof(dir), "threads", 3);
    snprintf(spec, sizeof(spec), "images:%s", dir);
    must(open_with(one, spec, NULL, 1, &said, err));
    must(open_with(hash, spec, NULL, 3, &said, err));
    assert_string_equal(hash, one);
    for (uint32_t i = 0; i < 600; i++) { /* so many that every thread is at work, and meets some */
        char path[60];

        snprintf(path, sizeof(path), "train/c/a%03u.png", i);
        if (i < 300)
            put_picture(dir, path, i, 3);
        else
            put_bytes(dir, path, "text", 4);
    }
    for (int t = 1; t < 8; t++)
        must_fail(open_with(hash, spec, NULL, t, &said, err), OB_EFORMAT, "/train/c/a300.png'");
}

/* ---- the cache ---- */

static size_t list(struct ob_dir *out, const char *cache)
{
    ob_dir_release(out);
    must(ob_dir_read(out, cache, err));
    return out->n;
}

static void cache(void **state)
{
    char dir[200], spec[300], folder[200], want[65], hash[65];
    struct said said;
    struct ob_dir d = { 0 };

    (void)state;
    make_images(dir, sizeof(dir), "cached", 3);
    snprintf(spec, sizeof(spec), "images:%s", dir);
    scratch_file(folder, sizeof(folder), "new/cache");
    must(open_with(want, spec, NULL, 1, &said, err));
    assert_string_equal(said.text, "");
    must(open_with(hash, spec, folder, 1, &said, err));
    assert_non_null(strstr(said.text, "are kept in '"));
    assert_string_equal(hash, want);
    assert_int_equal(list(&d, folder), 2);
    must(open_with(hash, spec, folder, 2, &said, err)); /* taken from there: nothing is said */
    assert_string_equal(said.text, "");
    assert_string_equal(hash, want);

    put_picture(dir, "train/c/10.png", 100, 3); /* other bytes under the same names */
    must(open_with(hash, spec, folder, 1, &said, err));
    assert_string_not_equal(hash, want);
    assert_int_equal(list(&d, folder), 4);
    put_picture(dir, "train/c/10.png", 4, 3);
    must(open_with(hash, spec, folder, 1, &said, err));
    assert_string_equal(said.text, "");
    assert_string_equal(hash, want);
    ob_dir_release(&d);
}

/* Every byte of it flipped, every shorter length: noticed, decoded again, mended. */
static void cache_damaged(void **state)
{
    char dir[200], spec[300], folder[200], want[65], hash[65], path[500];
    struct said said;
    struct ob_dir d = { 0 };
    struct bytes b;

    (void)state;
    make_images(dir, sizeof(dir), "damaged", 1);
    snprintf(spec, sizeof(spec), "images:%s", dir);
    scratch_file(folder, sizeof(folder), "cache2");
    must(open_with(want, spec, folder, 1, &said, err));
    assert_int_equal(list(&d, folder), 2);
    snprintf(path, sizeof(path), "%s/%s", folder, d.entry[0].name); /* the test part */
    b = bytes_read(path);
    assert_int_equal(b.n, 2 * 72 + 64);
    for (size_t i = 0; i < b.n; i++) {
        b.p[i] ^= 1;
        bytes_write(path, b.p, b.n);
        b.p[i] ^= 1;
        must(open_with(hash, spec, folder, 1, &said, err));
        assert_string_equal(hash, want);
        assert_non_null(strstr(said.text, "is damaged: the images are decoded again"));
        assert_non_null(strstr(said.text, "are kept in"));
    }
    for (size_t n = 0; n < b.n; n += 13) {
        bytes_write(path, b.p, n);
        must(open_with(hash, spec, folder, 1, &said, err));
        assert_string_equal(hash, want);
        assert_non_null(strstr(said.text, "are kept in"));
    }
    must(open_with(hash, spec, folder, 1, &said, err));
    assert_string_equal(said.text, "");
    free(b.p);
    ob_dir_release(&d);
}

/* The files of the two parts may be of one length; one is not taken for the other. */
static void cache_mixed_up(void **state)
{
    char dir[200], spec[300], folder[200], path[2][500], want[65], hash[65];
    struct bytes b[2];
    struct said said;
    struct ob_dir d = { 0 };

    (void)state;
    scratch_file(dir, sizeof(dir), "mixed");
    put_picture(dir, "train/a/1.png", 1, 1);
    put_picture(dir, "train/b/1.png", 2, 1);
    put_picture(dir, "test/a/1.png", 3, 1);
    put_picture(dir, "test/b/1.png", 4, 1);
    snprintf(spec, sizeof(spec), "images:%s", dir);
    scratch_file(folder, sizeof(folder), "cache4");
    must(open_with(want, spec, folder, 1, &said, err));
    assert_int_equal(list(&d, folder), 2);
    for (int p = 0; p < 2; p++) {
        snprintf(path[p], sizeof(path[p]), "%s/%s", folder, d.entry[p].name);
        b[p] = bytes_read(path[p]);
    }
    assert_int_equal(b[0].n, b[1].n);
    for (int p = 0; p < 2; p++)
        bytes_write(path[p], b[!p].p, b[!p].n);
    must(open_with(hash, spec, folder, 1, &said, err));
    assert_string_equal(hash, want);
    assert_non_null(strstr(said.text, "is damaged"));
    free(b[0].p);
    free(b[1].p);
    ob_dir_release(&d);
}

/* A cache that cannot be written, or not to the end, costs the speed only. */
static void cache_not_writable(void **state)
{
    char dir[200], spec[300], folder[200], want[65], hash[65];
    struct said said;
    struct ob_dir d = { 0 };

    (void)state;
    make_images(dir, sizeof(dir), "plain", 1);
    snprintf(spec, sizeof(spec), "images:%s", dir);
    must(open_with(want, spec, NULL, 1, &said, err));
    put_bytes(scratch(), "file/text", "x", 1);
    scratch_file(folder, sizeof(folder), "file/text/cache");
    must(open_with(hash, spec, folder, 1, &said, err));
    assert_string_equal(hash, want);
    assert_non_null(strstr(said.text, "are not kept: cannot make folder '"));
    scratch_file(folder, sizeof(folder), "cache3");
    for (size_t n = 1; n <= 8; n++) { /* four steps of each of two files */
        obi_io_fail_at(n);
        must(open_with(hash, spec, folder, 1, &said, err));
        obi_io_fail_at(0);
        assert_string_equal(hash, want);
        assert_non_null(strstr(said.text, "are not kept: cannot write '"));
        list(&d, folder);
        for (size_t i = 0; i < d.n; i++)
            assert_null(strstr(d.entry[i].name, ".tmp."));
        for (size_t i = 0; i < d.n; i++)
            remove_file(folder, d.entry[i].name);
    }
    ob_dir_release(&d);
}

/* ---- arrays in one archive ---- */

static int open_npz(const char *path, struct ob_err *err)
{
    char spec[300], hash[65];
    struct said said;

    snprintf(spec, sizeof(spec), "npy:%s", path);
    return open_with(hash, spec, NULL, 0, &said, err);
}

/* Strings, objects and texts beside the four arrays are nobody's business. */
static void surplus(void **state)
{
    static const uint8_t x[2 * 64] = { 0 }, y[2] = { 0, 1 };
    static const char *const name[4] = { "x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy" };
    static const size_t shape[3] = { 2, 8, 8 };
    struct ob_zip_item item[6] = { { "classes.npy", { { "no array", 8 } } },
                                   { "notes.txt", { { "hello", 5 } } } };
    struct ob_file f[4];
    char path[200];

    (void)state;
    for (int i = 0; i < 4; i++) {
        scratch_file(path, sizeof(path), name[i]);
        must(ob_npy_write(path, "|u1", shape, i % 2 ? 1 : 3, i % 2 ? y : x, err));
        must(ob_file_read(&f[i], path, 4096, false, err));
        item[2 + i] = (struct ob_zip_item){ name[i], { { f[i].data, f[i].n } } };
    }
    scratch_file(path, sizeof(path), "surplus.npz");
    must(ob_zip_write(path, item, 6, 0, err));
    must(open_npz(path, err));
    for (int i = 0; i < 4; i++)
        ob_file_release(&f[i]);
}

static void archive(void **state)
{
    static const uint8_t x[4 * 64] = { 0 }, y[4] = { 0, 1, 0, 1 };
    struct ob_npz_item item[4] = { { "x_train", "|u1", { 4, 8, 8 }, 3, x },
                                   { "y_train", "|u1", { 4 }, 1, y },
                                   { "x_test", "|u1", { 4, 8, 8 }, 3, x },
                                   { "y_test", "|u1", { 4 }, 1, y } };
    char path[200];

    (void)state;
    scratch_file(path, sizeof(path), "a.npz");
    must_fail(open_npz(path, err), OB_ENOTFOUND, "a.npz'");
    must(ob_npz_write(path, item, 4, err));
    must(open_npz(path, err));
    must(ob_npz_write(path, item, 3, err));
    must_fail(open_npz(path, err), OB_EFORMAT, "a.npz' has no array 'y_test'; x_train, y_train");
    item[3].shape[0] = 3;
    must(ob_npz_write(path, item, 4, err));
    must_fail(open_npz(path, err), OB_EFORMAT, "a.npz/y_test' has 3 labels for 4 images");
    item[2].shape[2] = 4;
    must(ob_npz_write(path, item, 4, err));
    must_fail(open_npz(path, err), OB_EFORMAT, "a.npz/x_test' has images of 1 x 8 x 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_arrays), cmocka_unit_test(what_it_holds),
        cmocka_unit_test(same_anywhere),  cmocka_unit_test(test_or_val),
        cmocka_unit_test(odd_names),      cmocka_unit_test(tiny),
        cmocka_unit_test(tiny_by_name),   cmocka_unit_test(tiny_refused),
        cmocka_unit_test(refused),        cmocka_unit_test(threads),
        cmocka_unit_test(cache),          cmocka_unit_test(cache_damaged),
        cmocka_unit_test(cache_mixed_up), cmocka_unit_test(cache_not_writable),
        cmocka_unit_test(archive),        cmocka_unit_test(surplus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
