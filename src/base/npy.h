/*
 * npy.h - numpy's .npy arrays, and .npz archives of them with stored (or deflated, when reading)
 * entries, no pickles, and one fixed time stamp, so that equal content gives equal bytes.
 */
#ifndef OB_BASE_NPY_H
#define OB_BASE_NPY_H

#include "base/zip.h"

#define OB_NPY_RANK 4

struct ob_npy {   /* an array inside a buffer that belongs to somebody else */
    char type[4]; /* "<f4", "|u1", "<i8", ... as in the header; "=" never */
    int item;     /* bytes of one element */
    int rank;
    size_t shape[OB_NPY_RANK], n; /* n: elements */
    const unsigned char *data;
};
/* Reads versions 1 to 3, little-endian, C order only; everything else is OB_EFORMAT in words.
 * The array must fill the bytes exactly. `name` is for messages. */
int ob_npy_parse(struct ob_npy *out, const void *data, size_t n, const char *name,
                 struct ob_err *err);
double ob_npy_double(const struct ob_npy *a, size_t i); /* any numeric type */
int64_t ob_npy_int(const struct ob_npy *a, size_t i);   /* integer types */
int ob_npy_is_int(const struct ob_npy *a);

/* A whole file written at once. type: "<f4" ... */
int ob_npy_write(const char *path, const char *type, const size_t *shape, int rank,
                 const void *data, struct ob_err *err);

struct ob_npz_entry {
    char name[64]; /* without ".npy" */
    struct ob_npy array;
};
struct ob_npz {
    struct ob_file file;
    struct ob_zip zip;
    struct ob_npz_entry *entry;
    size_t n;
};
/* Bounded: entries may not overlap, lie outside, repeat a name, or claim more than the file (stored)
 * or `max` bytes (deflated) hold; CRCs are checked. */
int ob_npz_read(struct ob_npz *out, const char *path, size_t max, struct ob_err *err);
void ob_npz_release(struct ob_npz *z);
/* Array by array, whatever else is in the archive: ob_npz_open() takes the directory of z->file, which
 * the caller has read (others of `z` zero), apart. */
int ob_npz_open(struct ob_npz *z, size_t max, struct ob_err *err);
/* Bytes of an array when unpacked; 0: not there. */
size_t ob_npz_size(const struct ob_npz *z, const char *name);
/* `out` points into `z`. OB_ENOTFOUND: not there (`err` is left alone). */
int ob_npz_take(struct ob_npy *out, struct ob_npz *z, const char *name, struct ob_err *err);
const struct ob_npy *ob_npz_find(const struct ob_npz *z, const char *name); /* NULL: not there */

struct ob_npz_item {
    const char *name, *type;
    size_t shape[OB_NPY_RANK];
    int rank;
    const void *data;
};
int ob_npz_write(const char *path, const struct ob_npz_item *item, size_t n, struct ob_err *err);

#endif
