/* pictures.c - PNG and JPEG files cut at every length and flipped at every byte: a status and one
 * line come back; a cut file is never taken, and a PNG, which has checksums, never gives others. */
#include "pictures.h"

#include "data/picture.h"

#define MOST (3 * 13 * 19)

static int read_bytes(uint8_t out[MOST], const unsigned char *data, size_t n, struct ob_err *err)
{
    unsigned char *exact = malloc(n ? n : 1); /* so that a sanitizer sees the byte beyond */
    struct ob_picture p;
    int rc;

    memcpy(exact, data, n);
    rc = ob_picture_head(&p, exact, n, "a", err);
    if (!rc && p.channels * p.height * p.width > MOST)
        rc = ob_fail(err, OB_EFORMAT, "larger than it was");
    if (!rc)
        rc = ob_picture_read(out, p.channels, &p, exact, n, "a", err);
    free(exact);
    assert_true(rc == OB_OK || rc == OB_EFORMAT);
    assert_int_equal(err->code, rc);
    if (rc)
        assert_true(err->msg[0] && !strchr(err->msg, '\n'));
    return rc;
}

static void damage(const char *name)
{
    char path[200];
    uint8_t want[MOST], out[MOST];
    int refused = 0, is_png = strstr(name, ".png") != NULL;
    struct ob_err e = { 0 };
    struct bytes b;

    snprintf(path, sizeof(path), GOLDEN_PICTURES "%s", name);
    b = bytes_read(path);
    memset(want, 0, MOST);
    assert_int_equal(read_bytes(want, b.p, b.n, &e), OB_OK);
    for (size_t n = 0; n < b.n; n++) {
        e.code = 0;
        if (!read_bytes(out, b.p, n, &e))
            fail_msg("%s is taken when cut after %zu of %zu bytes", name, n, b.n);
    }
    for (size_t i = 0; i < b.n; i++)
        for (int bit = 0; bit < 8; bit++) {
            e.code = 0;
            memset(out, 0, MOST);
            b.p[i] ^= (unsigned char)(1 << bit);
            if (read_bytes(out, b.p, b.n, &e))
                refused++;
            else if (is_png && memcmp(out, want, MOST))
                fail_msg("%s: other pixels when byte %zu is flipped", name, i);
            b.p[i] ^= (unsigned char)(1 << bit);
        }
    assert_true(refused > (is_png ? (int)b.n * 7 : (int)b.n / 2));
    free(b.p);
}

static void png(void **state)
{
    (void)state;
    damage("rgb.png");
    damage("palette2.png");
    damage("grey_opaque.png");
    damage("interlaced.png");
}

static void jpeg(void **state)
{
    (void)state;
    damage("420.jpg");
    damage("progressive.jpg");
    damage("grey.jpg");
}

/* A head that claims more pixels than are taken is refused before anything is made for them. */
static void bombs(void **state)
{
    uint8_t out[MOST];
    struct ob_err e = { 0 };
    struct bytes b = bytes_read(GOLDEN_PICTURES "rgb.png");
    struct ob_picture p;

    (void)state;
    memset(b.p + 16, 0, 8);
    b.p[18] = 0x10;
    b.p[19] = 1; /* 4097 wide, 0 high */
    must_fail(ob_picture_head(&p, b.p, b.n, "a", err), OB_EFORMAT, "0 x 4097");
    memset(b.p + 16, 0xff, 8);
    assert_int_equal(read_bytes(out, b.p, b.n, &e), OB_EFORMAT);
    free(b.p);
}

/* Tables without an image are a file that TurboJPEG has no complaint of, and says nothing of either. */
static void tables_alone(void **state)
{
    static const unsigned char empty[] = { 0xff, 0xd8, 0xff, 0xd9 };
    unsigned char dqt[2 + 69 + 2] = { 0xff, 0xd8, 0xff, 0xdb, 0, 67, 0 };
    struct ob_picture p;

    (void)state;
    memset(dqt + 7, 1, 64);
    dqt[71] = 0xff;
    dqt[72] = 0xd9;
    must_fail(ob_picture_head(&p, dqt, sizeof(dqt), "a", err), OB_EFORMAT, "'a' is damaged");
    must_fail(ob_picture_head(&p, empty, sizeof(empty), "a", err), OB_EFORMAT, "'a' is damaged");
}

static int open_spec(const char *dir, struct ob_err *err)
{
    struct ob_data *d;
    char spec[300];
    int rc;

    snprintf(spec, sizeof(spec), "images:%s", dir);
    rc = ob_data_open(&d, NULL, spec, err);
    ob_data_free(d);
    return rc;
}

/* The one file of many that is bad is named. */
static void named(void **state)
{
    char dir[200];
    struct bytes b = bytes_read(GOLDEN_PICTURES "420.jpg");

    (void)state;
    scratch_file(dir, sizeof(dir), "golden");
    put_golden(dir, "train/a/1.jpg", "422.jpg");
    put_golden(dir, "train/b/1.jpg", "444.jpg");
    put_golden(dir, "test/a/1.jpg", "progressive.jpg");
    put_bytes(dir, "test/b/1.jpg", b.p, b.n - 2);
    must_fail(open_spec(dir, err), OB_EFORMAT, "/test/b/1.jpg' is damaged");
    put_bytes(dir, "test/b/1.jpg", b.p, b.n / 2);
    must_fail(open_spec(dir, err), OB_EFORMAT, "/test/b/1.jpg' is damaged");
    put_bytes(dir, "test/b/1.jpg", b.p, 0);
    must_fail(open_spec(dir, err), OB_EFORMAT, "/test/b/1.jpg' is neither");
    put_bytes(dir, "test/b/1.jpg", b.p, b.n);
    must(open_spec(dir, err));
    free(b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png),          cmocka_unit_test(jpeg),  cmocka_unit_test(bombs),
        cmocka_unit_test(tables_alone), cmocka_unit_test(named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
