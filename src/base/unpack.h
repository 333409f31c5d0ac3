/* unpack.h - gzip, xz and raw deflate in memory, never more than the caller allows. */
#ifndef OB_BASE_UNPACK_H
#define OB_BASE_UNPACK_H

#include <stdbool.h>

#include "base/err.h"

struct ob_bytes {
    unsigned char *data; /* the caller frees it, on failure too */
    size_t n;
    bool beyond; /* there was more than `max` bytes of it */
};
/* OB_EFORMAT: damaged, cut short, something behind the end, or more than `max` bytes inside.
 * Several members one after another are one stream, as gzip and xz take them. `name`: for
 * messages. */
int ob_unpack_gz(struct ob_bytes *out, const unsigned char *data, size_t n, size_t max,
                 const char *name, struct ob_err *err);
int ob_unpack_xz(struct ob_bytes *out, const unsigned char *data, size_t n, size_t max,
                 const char *name, struct ob_err *err);
/* Raw deflate of exactly `n_out` bytes, all of data[0..n) used. */
int ob_unpack_deflate(struct ob_bytes *out, const unsigned char *data, size_t n, size_t n_out,
                      const char *name, struct ob_err *err);

#endif
