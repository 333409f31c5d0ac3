/* dir.h - folders: what is in them, in an order of their own; making them with their parents. */
#ifndef OB_BASE_DIR_H
#define OB_BASE_DIR_H

#include <stdbool.h>

#include "base/err.h"

struct ob_dir_entry {
    char *name;
    bool is_dir;  /* or a link to one */
    bool is_lost; /* what it is cannot be told: a link to nothing, say */
};
struct ob_dir {
    struct ob_dir_entry *entry; /* by name, as bytes: never the order of the file system */
    size_t n;
};
/* Hidden entries (".name") are left out. OB_ENOTFOUND, OB_EFORMAT: not a folder, OB_EIO. `out` may be
 * released in every case. */
int ob_dir_read(struct ob_dir *out, const char *path, struct ob_err *err);
void ob_dir_release(struct ob_dir *d);

/* Makes `path` and the folders above it; there already: OB_OK. */
int ob_mkdirs(const char *path, struct ob_err *err);

#endif
