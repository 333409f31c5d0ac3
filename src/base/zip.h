/*
 * zip.h - zip archives in memory, and writing them with stored entries and one fixed time, so that
 * equal content gives equal bytes.
 */
#ifndef OB_BASE_ZIP_H
#define OB_BASE_ZIP_H

#include "base/io.h"

struct ob_zip_entry {
    const char *name; /* in the archive's bytes: n_name of them, no closing zero */
    size_t n_name, size;
    const unsigned char *data; /* NULL until ob_zip_data() */
    /* private */
    unsigned char *own; /* unpacked bytes */
    size_t start, end, packed;
    uint32_t crc, method, flags;
};
struct ob_zip {
    const char *path; /* for messages; borrowed, like the bytes */
    struct ob_zip_entry *entry;
    size_t n;
    /* private */
    const unsigned char *p;
    size_t directory, budget;
    struct ob_zip_entry **by_name;
};
/* Takes the directory of `n` bytes apart. OB_EFORMAT: cut, entries that overlap, lie outside, repeat
 * a name, are encrypted or packed by anything but deflate. `kind`: "a .npz archive". Entries may
 * unpack to `max` bytes together. To be released in every case. */
int ob_zip_parse(struct ob_zip *out, const unsigned char *p, size_t n, const char *path,
                 const char *kind, size_t max, struct ob_err *err);
void ob_zip_release(struct ob_zip *z);
struct ob_zip_entry *ob_zip_find(const struct ob_zip *z, const char *name, size_t n_name);
/* Fills e->data with e->size bytes that belong to `z`, unpacked where they were deflated; size and
 * checksum are held against what the archive claims. */
int ob_zip_data(struct ob_zip *z, struct ob_zip_entry *e, struct ob_err *err);

struct ob_zip_item {
    const char *name;
    struct { /* the content: these, one after another */
        const void *data;
        size_t n;
    } part[2];
};
/* The content of every entry begins at a multiple of `align` bytes (0: wherever), after an extra
 * field as PyTorch has it. OB_EINVAL: more than 4 GiB. */
int ob_zip_write(const char *path, const struct ob_zip_item *item, size_t n, size_t align,
                 struct ob_err *err);

#endif
