/* images.h - folders of pictures: which files there are, and their pixels (private). */
#ifndef OB_DATA_IMAGES_H
#define OB_DATA_IMAGES_H

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

/* Reads the files of both parts, all of one size, into d->ex, and sets the sizes of d->info. What was
 * decoded before comes from the cache folder of d->ctx, if it has one: images_read.c. */
int ob_images_read(struct ob_data *d, const struct ob_image_list list[2], const char *root,
                   struct ob_err *err);

/* images_cache.c. `n`: bytes of a part's pixels; `key` (64 hex digits) names the content of the set.
 * Take: false where the part is not there, or not whole. Put: where it fails, that is logged. */
bool ob_images_cache_take(struct ob_data *d, int part, size_t n, const char *key);
void ob_images_cache_put(const struct ob_data *d, const size_t n[2], const char *key);

#endif
