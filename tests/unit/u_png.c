/* u_png.c - pictures, taken apart by hand: base64, chunks with their sums, pixels. */
#include "common.h"

#include <zlib.h>

#include "base/err.h"

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t decode(unsigned char *out, const char *text)
{
    size_t n = 0;

    assert_int_equal(strlen(text) % 4, 0);
    for (; *text; text += 4) {
        long x = 0;
        int n_pad = (text[2] == '=') + (text[3] == '=');

        for (int i = 0; i < 4; i++) {
            assert_true(digit(text[i]) >= 0 || (i > 1 && text[i] == '='));
            x = x << 6 | (text[i] == '=' ? 0 : digit(text[i]));
        }
        out[n++] = (unsigned char)(x >> 16 & 255);
        if (n_pad < 2)
            out[n++] = (unsigned char)(x >> 8 & 255);
        if (n_pad < 1)
            out[n++] = (unsigned char)(x & 255);
    }
    return n;
}

static unsigned long u32be(const unsigned char *p)
{
    return (unsigned long)p[0] << 24 | (unsigned long)p[1] << 16 | (unsigned long)p[2] << 8 | p[3];
}

/* The chunk at *p must be `type` with a right sum; moves *p behind it. */
static const unsigned char *chunk(const unsigned char **p, const char *type, size_t *n)
{
    const unsigned char *data = *p + 8;

    *n = u32be(*p);
    assert_memory_equal(*p + 4, type, 4);
    assert_int_equal(u32be(data + *n), crc32(0, *p + 4, (uInt)(*n + 4)));
    *p = data + *n + 4;
    return data;
}

static void check(int height, int width, int channels)
{
    uint8_t pixels[40 * 40 * 3];
    unsigned char png[8192], rows[41 * 121];
    const unsigned char *p = png + 8, *data;
    size_t n_png, n, row = (size_t)(width * channels);
    uLongf n_rows = sizeof(rows);
    char *text = NULL;

    for (size_t i = 0; i < row * (size_t)height; i++)
        pixels[i] = (uint8_t)(i * i * 7 + i / 5);
    assert_int_equal(ob_png_base64(&text, pixels, height, width, channels, NULL), OB_OK);
    assert_true(strlen(text) < sizeof(png));
    n_png = decode(png, text);
    ob_free(text);
    assert_memory_equal(png, "\x89PNG\r\n\x1a\n", 8);
    data = chunk(&p, "IHDR", &n);
    assert_int_equal(n, 13);
    assert_int_equal(u32be(data), width);
    assert_int_equal(u32be(data + 4), height);
    assert_int_equal(data[8], 8);
    assert_int_equal(data[9], channels == 3 ? 2 : 0);
    data = chunk(&p, "IDAT", &n);
    assert_int_equal(uncompress(rows, &n_rows, data, (uLong)n), Z_OK);
    assert_int_equal(n_rows, (row + 1) * (size_t)height);
    for (size_t y = 0; y < (size_t)height; y++) {
        assert_int_equal(rows[y * (row + 1)], 0);
        assert_memory_equal(rows + y * (row + 1) + 1, pixels + y * row, row);
    }
    chunk(&p, "IEND", &n);
    assert_int_equal(n, 0);
    assert_int_equal((size_t)(p - png), n_png);
}

static void pictures(void **state)
{
    (void)state;
    check(1, 1, 1);
    check(28, 28, 1);
    check(3, 7, 3);
    check(5, 4, 3);
    check(32, 32, 3);
    check(17, 40, 1);
}

static void refused(void **state)
{
    uint8_t pixel[4] = { 0 };
    struct ob_err err = { 0 };
    char *text = "";

    (void)state;
    assert_int_equal(ob_png_base64(&text, pixel, 0, 1, 1, &err), OB_EINVAL);
    assert_null(text);
    assert_int_equal(ob_png_base64(&text, pixel, 1, 1, 2, NULL), OB_EINVAL);
    assert_int_equal(ob_png_base64(&text, pixel, 1, 5000, 1, NULL), OB_EINVAL);
    assert_non_null(strstr(err.msg, "0 x 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(pictures), cmocka_unit_test(refused) };

    return cmocka_run_group_tests_name("png", tests, NULL, NULL);
}
