/* picture_jpeg.c - JPEG through TurboJPEG (ITU-T T.81), exact integer transform. */
#include <limits.h>
#include <turbojpeg.h>

#include "data/picture.h"

/* Progressive files of absurdly many passes are refused; a warning (cut short, damaged data) ends
 * it, where other programs would fill up with grey. */
#define FLAGS (TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS | TJFLAG_STOPONWARNING)

static int refuse(tjhandle h, const char *name, struct ob_err *err)
{
    return ob_fail(err, OB_EFORMAT, "'%s' is damaged, or a JPEG of a kind that is not read: %s",
                   name, tjGetErrorStr2(h));
}

static int look(struct ob_picture *out, tjhandle h, const unsigned char *data, size_t n,
                const char *name, struct ob_err *err)
{
    int width = 0, height = 0, sampling = 0, colours = 0;

    if (n > ULONG_MAX ||
        tjDecompressHeader3(h, data, (unsigned long)n, &width, &height, &sampling, &colours))
        return refuse(h, name, err);
    if (width < 1 || height < 1) /* tables alone, which the library takes for a whole file */
        return ob_fail(err, OB_EFORMAT, "'%s' is damaged: a JPEG without an image", name);
    if (colours == TJCS_CMYK || colours == TJCS_YCCK)
        return ob_fail(err, OB_EFORMAT, "'%s' is a CMYK image; save it as RGB", name);
    *out = (struct ob_picture){ OB_PICTURE_JPEG, colours == TJCS_GRAY ? 1 : 3, height, width };
    return OB_OK;
}

int obi_jpeg_head(struct ob_picture *out, const unsigned char *data, size_t n, const char *name,
                  struct ob_err *err)
{
    tjhandle h = tjInitDecompress();
    int rc;

    if (!h)
        return ob_fail(err, OB_ENOMEM, "out of memory (reading '%s')", name);
    rc = look(out, h, data, n, name, err);
    tjDestroy(h);
    return rc;
}

int obi_jpeg_read(uint8_t *pixels, const struct ob_picture *head, const unsigned char *data,
                  size_t n, const char *name, struct ob_err *err)
{
    tjhandle h = tjInitDecompress();
    struct ob_picture found;
    int rc;

    if (!h)
        return ob_fail(err, OB_ENOMEM, "out of memory (reading '%s')", name);
    rc = look(&found, h, data, n, name, err);
    if (!rc && (found.channels != head->channels || found.height != head->height ||
                found.width != head->width)) /* `pixels` was made for the head */
        rc = ob_fail(err, OB_EBUG, "broken promise: '%s' has another head", name);
    if (!rc && tjDecompress2(h, data, (unsigned long)n, pixels, head->width, 0, head->height,
                             head->channels == 1 ? TJPF_GRAY : TJPF_RGB, FLAGS))
        rc = refuse(h, name, err);
    tjDestroy(h);
    return rc;
}
