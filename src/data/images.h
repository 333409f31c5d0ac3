/* images.h - folders of pictures: which files there are, and their pixels (private). */
#ifndef OB_DATA_IMAGES_H
#define OB_DATA_IMAGES_H

#include "base/dir.h"
#include "data/data.h"
#include "data/picture.h"

struct ob_image_file {
    char *path; /* below the folder of the set: "train/cat/1.png" */
    int32_t label;
};
struct ob_image_list { /* by class, then by name */
    struct ob_image_file *file;
    size_t n, room;
};

struct ob_images {
    struct ob_ctx *ctx; /* may be NULL */
    const char *root;
    struct ob_dir classes; /* the entries of train/ that are folders */
    struct ob_image_list list[2];
    bool tiny; /* the layout of Tiny-ImageNet */
};

/* images.c. Paths are made in rooms of OB_IMAGES_PATH. */
#define OB_IMAGES_PATH 1400
int ob_images_join(char out[OB_IMAGES_PATH], const char *a, const char *b, struct ob_err *err);
/* Adds the pictures of `folder` (below root), in order; *inner: it has a folder "images". */
int ob_images_take_folder(struct ob_images *im, int part, const char *folder, int32_t label,
                          bool *inner, struct ob_err *err);
/* The test part is a folder of classes, called `name`. */
int ob_images_take_test(struct ob_images *im, const char *name, struct ob_err *err);
/* images_tiny.c: the test part of Tiny-ImageNet, whose list of classes is the file `wnids`. */
int ob_images_take_tiny(struct ob_images *im, const char *wnids, struct ob_err *err);

/* Reads the files of both parts, all of one size, into d->ex, and sets the sizes of d->info. What was
 * decoded before comes from the cache folder of d->ctx, if it has one: images_read.c. */
int ob_images_read(struct ob_data *d, const struct ob_image_list list[2], const char *root,
                   struct ob_err *err);

/* images_cache.c. `n`: bytes of a part's pixels; `key` (64 hex digits) names the content of the set.
 * Take: false where the part is not there, or not whole. Put: where it fails, that is logged. */
bool ob_images_cache_take(struct ob_data *d, int part, size_t n, const char *key);
void ob_images_cache_put(const struct ob_data *d, const size_t n[2], const char *key);

#endif
