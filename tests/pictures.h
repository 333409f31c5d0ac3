/* pictures.h - folders of small pictures, for tests. */
#ifndef TESTS_PICTURES_H
#define TESTS_PICTURES_H

#include <png.h>

#include "base/dir.h"
#include "bytes.h"
#include "datafiles.h"

#define PICTURE_H 8
#define PICTURE_W 9
#define PICTURE_MOST (3 * PICTURE_H * PICTURE_W)
#define GOLDEN_PICTURES "tests/golden/pictures/"

/* pixels: height x width x channels, 1 or 3. Folders of `path` are made. */
static inline void put_png(const char *root, const char *path, int height, int width, int channels,
                           const uint8_t *pixels)
{
    png_image image = { .version = PNG_IMAGE_VERSION,
                        .width = (png_uint_32)width,
                        .height = (png_uint_32)height,
                        .format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY };
    char full[400], *slash;

    snprintf(full, sizeof(full), "%s/%s", root, path);
    slash = strrchr(full, '/');
    *slash = 0;
    must(ob_mkdirs(full, err));
    *slash = '/';
    if (!png_image_write_to_file(&image, full, 0, pixels, 0, NULL))
        fail_msg("%s: %s", full, image.message);
}

/* Picture number i: PIXEL(i, k), 8 x 9. */
static inline void put_picture(const char *root, const char *path, uint32_t i, int channels)
{
    uint8_t pixels[PICTURE_MOST];

    for (uint32_t k = 0; k < PICTURE_MOST; k++)
        pixels[k] = PIXEL(i, k);
    put_png(root, path, PICTURE_H, PICTURE_W, channels, pixels);
}

static inline void put_bytes(const char *root, const char *path, const void *data, size_t n)
{
    char full[400], *slash;

    snprintf(full, sizeof(full), "%s/%s", root, path);
    slash = strrchr(full, '/');
    *slash = 0;
    must(ob_mkdirs(full, err));
    *slash = '/';
    bytes_write(full, data, n);
}

static inline void put_golden(const char *root, const char *path, const char *name)
{
    char from[200];
    struct bytes b;

    snprintf(from, sizeof(from), GOLDEN_PICTURES "%s", name);
    b = bytes_read(from);
    put_bytes(root, path, b.p, b.n);
    free(b.p);
}

/* Two classes of three training and one test picture each, numbered in file order. */
static inline void make_images(char *dir, size_t room, const char *name, int channels)
{
    static const char *const path[8] = { "train/b/1.png", "train/b/2.png",  "train/b/3.PNG",
                                         "train/c/1.png", "train/c/10.png", "train/c/2.png",
                                         "test/b/x.png",  "test/c/x.png" };

    scratch_file(dir, room, name);
    for (uint32_t i = 8; i-- > 0;) /* the last comes first into the folder */
        put_picture(dir, path[i], i, channels);
}

#endif
