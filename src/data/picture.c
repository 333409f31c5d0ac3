/* picture.c - one PNG or JPEG file in memory to bytes: which of the two it is, sizes, planes. */
#include "data/picture.h"

#include <string.h>

#include "base/mem.h"

int ob_picture_head(struct ob_picture *out, const unsigned char *data, size_t n, const char *name,
                    struct ob_err *err)
{
    *out = (struct ob_picture){ 0 };
    if (n >= 8 && !memcmp(data, "\x89PNG\r\n\x1a\n", 8))
        OB_TRY(obi_png_head(out, data, n, name, err));
    else if (n >= 3 && !memcmp(data, "\xff\xd8\xff", 3))
        OB_TRY(obi_jpeg_head(out, data, n, name, err));
    else
        return ob_fail(err, OB_EFORMAT, "'%s' is neither a PNG nor a JPEG file", name);
    if (out->height < 1 || out->width < 1 || out->height > OB_PICTURE_SIDE ||
        out->width > OB_PICTURE_SIDE)
        return ob_fail(err, OB_EFORMAT, "'%s' has %d x %d pixels; a side of 1 to %d is read", name,
                       out->height, out->width, OB_PICTURE_SIDE);
    return OB_OK;
}

/* H-W-C to C-H-W; a grey file may fill three planes. */
static void take_planes(uint8_t *out, int channels, const uint8_t *pixels,
                        const struct ob_picture *head)
{
    size_t place = (size_t)head->height * (size_t)head->width, step = (size_t)head->channels;

    for (size_t c = 0; c < (size_t)channels; c++)
        for (size_t k = 0; k < place; k++)
            out[c * place + k] = pixels[k * step + (step == 1 ? 0 : c)];
}

int ob_picture_read(uint8_t *out, int channels, const struct ob_picture *head,
                    const unsigned char *data, size_t n, const char *name, struct ob_err *err)
{
    uint8_t *pixels;
    int rc;

    OB_ASSERT(err, channels == 3 || channels == head->channels);
    OB_TRY(
        ob_alloc(pixels, (size_t)head->channels * (size_t)head->height * (size_t)head->width, err));
    if (head->kind == OB_PICTURE_PNG)
        rc = obi_png_read(pixels, head, data, n, name, err);
    else
        rc = obi_jpeg_read(pixels, head, data, n, name, err);
    if (!rc)
        take_planes(out, channels, pixels, head);
    ob_free(pixels);
    return rc;
}
