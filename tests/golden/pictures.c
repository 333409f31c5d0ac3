/* pictures.c - PNG and JPEG files that Pillow wrote (tools/golden_pictures.py), and their pixels. */
#include "bytes.h"

#include "base/npy.h"
#include "data/picture.h"

#define DIR "tests/golden/pictures/"

static struct bytes get(const char *name)
{
    char path[200];

    snprintf(path, sizeof(path), DIR "%s", name);
    return bytes_read(path);
}

/* want: height x width, or height x width x 3. */
static void compare(const uint8_t *got, int channels, const struct ob_npy *want, const char *name)
{
    size_t place = want->shape[0] * want->shape[1], step = want->rank == 3 ? 3 : 1;

    for (size_t c = 0; c < (size_t)channels; c++)
        for (size_t k = 0; k < place; k++)
            if (got[c * place + k] != want->data[k * step + (step == 3 ? c : 0)])
                fail_msg("%s: channel %zu, pixel %zu is %d, Pillow has %d", name, c, k,
                         got[c * place + k], want->data[k * step + (step == 3 ? c : 0)]);
}

static void as_pillow(void **state)
{
    struct ob_npz z;

    (void)state;
    must(ob_npz_read(&z, DIR "pixels.npz", 1 << 20, err));
    assert_int_equal(z.n, 13);
    for (size_t i = 0; i < z.n; i++) {
        const char *name = z.entry[i].name;
        const struct ob_npy *want = &z.entry[i].array;
        struct bytes b = get(name);
        struct ob_picture p;
        uint8_t out[3 * 13 * 19];

        must(ob_picture_head(&p, b.p, b.n, name, err));
        assert_int_equal(p.kind, strstr(name, ".jpg") ? OB_PICTURE_JPEG : OB_PICTURE_PNG);
        assert_int_equal(p.height, 13);
        assert_int_equal(p.width, 19);
        assert_int_equal(p.channels, want->rank == 3 ? 3 : 1);
        must(ob_picture_read(out, p.channels, &p, b.p, b.n, name, err));
        compare(out, p.channels, want, name);
        must(ob_picture_read(out, 3, &p, b.p, b.n, name, err)); /* grey in three channels */
        compare(out, 3, want, name);
        free(b.p);
    }
    ob_npz_release(&z);
}

static int try_name(const char *name, struct ob_err *err)
{
    struct bytes b = get(name);
    uint8_t out[3 * 13 * 19];
    struct ob_picture p;
    int rc = ob_picture_head(&p, b.p, b.n, name, err);

    if (!rc)
        rc = ob_picture_read(out, 3, &p, b.p, b.n, name, err);
    free(b.p);
    return rc;
}

static void refused(void **state)
{
    (void)state;
    must_fail(try_name("bad_alpha.png", err), OB_EFORMAT, "'bad_alpha.png' has transparent pixels");
    must_fail(try_name("bad_trns.png", err), OB_EFORMAT, "'bad_trns.png' has transparent pixels");
    must_fail(try_name("bad_16.png", err), OB_EFORMAT, "'bad_16.png' has 16 bits a channel");
    must_fail(try_name("bad_cmyk.jpg", err), OB_EFORMAT, "'bad_cmyk.jpg' is a CMYK image");
    must_fail(try_name("pixels.npz", err), OB_EFORMAT, "neither a PNG nor a JPEG file");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(as_pillow), cmocka_unit_test(refused) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
