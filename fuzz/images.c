/*
 * images.c - any bytes as the texts of a Tiny-ImageNet folder, and as one of its pictures.
 *
 * The bytes up to the first zero are wnids.txt, up to the next one val_annotations.txt, the rest is
 * the picture val/images/1.png. All others are right.
 */
#include "scratch.h"

#include <oubli.h>
#include <png.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *root(void)
{
    static const char *const folders[] = { "",         "/train", "/train/a",
                                           "/train/b", "/val",   "/val/images" };
    static const char *const pictures[] = { "train/a/0.png", "train/b/0.png", "val/images/0.png" };
    static char dir[200];
    char path[300];

    if (*dir)
        return dir;
    snprintf(dir, sizeof(dir), "%s/images", scratch_dir());
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", dir, folders[i]);
        if (mkdir(path, 0700))
            abort();
    }
    for (int i = 0; i < 3; i++) {
        static const uint8_t pixels[64] = { 255 };
        png_image image = {
            .version = PNG_IMAGE_VERSION, .width = 8, .height = 8, .format = PNG_FORMAT_GRAY
        };

        snprintf(path, sizeof(path), "%s/%s", dir, pictures[i]);
        if (!png_image_write_to_file(&image, path, 0, pixels, 0, NULL))
            abort();
    }
    return dir;
}

/* The bytes up to a zero, which is stepped over. */
static size_t text(const uint8_t **p, size_t *left, const uint8_t **out)
{
    const uint8_t *end = *left ? memchr(*p, 0, *left) : NULL;
    size_t n = end ? (size_t)(end - *p) : *left;

    *out = *p;
    *p += n + (end != NULL);
    *left -= n + (end != NULL);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *part;
    char path[300];
    struct ob_err err = { 0 };
    struct ob_data *d;
    size_t n = text(&data, &size, &part);

    if (!scratch_put(root(), "wnids.txt", part, n))
        return 0;
    n = text(&data, &size, &part);
    if (!scratch_put(root(), "val/val_annotations.txt", part, n))
        return 0;
    snprintf(path, sizeof(path), "%s/val/images/1.png", root());
    unlink(path);
    if (size && !scratch_put(root(), "val/images/1.png", data, size))
        return 0;
    snprintf(path, sizeof(path), "images:%s", root());
    if (ob_data_open(&d, NULL, path, &err)) {
        if (!err.code || !err.msg[0])
            abort();
        return 0;
    }
    for (uint32_t i = 0; i < ob_data_info(d)->n_file[OB_TEST]; i++)
        if (ob_data_label(d, OB_TEST, i) < 0 || ob_data_label(d, OB_TEST, i) > 1)
            abort();
    ob_data_free(d);
    return 0;
}
