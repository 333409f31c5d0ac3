/*
 * picture.h - one PNG or JPEG file in memory to bytes, with care.
 *
 * What a file is says its first bytes, not its name. Sizes are read and checked before anything is
 * allocated for pixels. What is there is taken as it is: no gamma, no colour profile, no orientation, no
 * scaling. Refused with a sentence: 16 bits a channel, transparent pixels (an alpha channel
 * that is opaque everywhere is dropped), CMYK, and whatever the decoder so much as warns of.
 */
#ifndef OB_DATA_PICTURE_H
#define OB_DATA_PICTURE_H

#include "base/err.h"

#define OB_PICTURE_SIDE 4096 /* pixels, at most */

enum ob_picture_kind { OB_PICTURE_PNG, OB_PICTURE_JPEG };
struct ob_picture {
    enum ob_picture_kind kind;
    int channels, height, width; /* channels: 1 where the file is grey, else 3 */
};

/* What the head of a file says; `name` is for messages. OB_EFORMAT, OB_ENOMEM. */
int ob_picture_head(struct ob_picture *out, const unsigned char *data, size_t n, const char *name,
                    struct ob_err *err);
/* Decodes the file that `head` was read from into out: channels x height x width. `channels` is 1
 * (of a grey file only) or 3 (a grey file gives three equal ones). */
int ob_picture_read(uint8_t *out, int channels, const struct ob_picture *head,
                    const unsigned char *data, size_t n, const char *name, struct ob_err *err);

/* ---- private to picture.c, picture_png.c, picture_jpeg.c ---- */

/* The two above for one kind of file; `pixels`: height x width x head->channels. */
int obi_png_head(struct ob_picture *out, const unsigned char *data, size_t n, const char *name,
                 struct ob_err *err);
int obi_png_read(uint8_t *pixels, const struct ob_picture *head, const unsigned char *data,
                 size_t n, const char *name, struct ob_err *err);
int obi_jpeg_head(struct ob_picture *out, const unsigned char *data, size_t n, const char *name,
                  struct ob_err *err);
int obi_jpeg_read(uint8_t *pixels, const struct ob_picture *head, const unsigned char *data,
                  size_t n, const char *name, struct ob_err *err);

#endif
