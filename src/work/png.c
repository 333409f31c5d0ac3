/* png.c - small images as PNG in base64, for pages that carry their pictures with them. */
#include <string.h>
#include <zlib.h>

#include "base/mem.h"

enum { PNG_SIDE = 4096 }; /* pixels; pictures of a report are far smaller */

static const unsigned char signature[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };

static void put_u32be(unsigned char *p, size_t x)
{
    p[0] = (unsigned char)(x >> 24 & 255);
    p[1] = (unsigned char)(x >> 16 & 255);
    p[2] = (unsigned char)(x >> 8 & 255);
    p[3] = (unsigned char)(x & 255);
}

/* Writes one chunk at p and returns the byte after it. */
static unsigned char *put_chunk(unsigned char *p, const char *type, const unsigned char *data,
                                size_t n)
{
    put_u32be(p, n);
    memcpy(p + 4, type, 4);
    if (n)
        memcpy(p + 8, data, n);
    put_u32be(p + 8 + n, crc32(0, p + 4, (uInt)(n + 4)));
    return p + 12 + n;
}

static void encode_base64(char *out, const unsigned char *in, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        unsigned long x = (unsigned long)in[i] << 16 |
                          (unsigned long)(left > 1 ? in[i + 1] : 0) << 8 |
                          (unsigned long)(left > 2 ? in[i + 2] : 0);

        *out++ = digit[x >> 18 & 63];
        *out++ = digit[x >> 12 & 63];
        *out++ = left > 1 ? digit[x >> 6 & 63] : '=';
        *out++ = left > 2 ? digit[x & 63] : '=';
    }
    *out = 0;
}

int ob_png_base64(char **out, const uint8_t *pixels, int height, int width, int channels,
                  struct ob_err *err)
{
    unsigned char head[13], *rows = NULL, *packed = NULL, *png = NULL, *p;
    char *text = NULL;
    size_t row, n_rows;
    uLongf n_packed;
    int rc = OB_OK;

    *out = NULL;
    if (height < 1 || width < 1 || height > PNG_SIDE || width > PNG_SIDE ||
        (channels != 1 && channels != 3))
        return ob_fail(err, OB_EINVAL,
                       "no picture of %d x %d pixels with %d channels (1 to %d, and 1 or 3)",
                       height, width, channels, PNG_SIDE);
    row = (size_t)width * (size_t)channels;
    n_rows = (row + 1) * (size_t)height;
    n_packed = compressBound((uLong)n_rows);
    OB_GO(ob_alloc(rows, n_rows, err));
    OB_GO(ob_alloc(packed, n_packed, err));
    /* each row after a byte that says: unfiltered */
    for (size_t y = 0; y < (size_t)height; y++)
        memcpy(rows + y * (row + 1) + 1, pixels + y * row, row);
    if (compress2(packed, &n_packed, rows, (uLong)n_rows, 9) != Z_OK)
        OB_GO(ob_fail(err, OB_ENOMEM, "no memory to compress a picture"));

    put_u32be(head, (size_t)width);
    put_u32be(head + 4, (size_t)height);
    head[8] = 8; /* bits */
    head[9] = channels == 3 ? 2 : 0;
    head[10] = head[11] = head[12] = 0;
    OB_GO(ob_alloc(png, sizeof(signature) + 3 * 12 + sizeof(head) + n_packed, err));
    memcpy(png, signature, sizeof(signature));
    p = put_chunk(png + sizeof(signature), "IHDR", head, sizeof(head));
    p = put_chunk(p, "IDAT", packed, n_packed);
    p = put_chunk(p, "IEND", NULL, 0);
    OB_GO(ob_alloc(text, ((size_t)(p - png) + 2) / 3 * 4 + 1, err));
    encode_base64(text, png, (size_t)(p - png));
    *out = text;
out:
    ob_free(rows);
    ob_free(packed);
    ob_free(png);
    return rc;
}
