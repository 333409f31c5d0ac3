/* bytes.h - whole files in and out, for tests that damage them. */
#ifndef TESTS_BYTES_H
#define TESTS_BYTES_H

#include "common.h"

struct bytes {
    unsigned char *p;
    size_t n, room; /* room: of bytes that grow */
};

static inline struct bytes bytes_read(const char *path)
{
    struct bytes b = { 0 };
    FILE *f = fopen(path, "rb");

    if (!f)
        fail_msg("cannot read %s", path);
    fseek(f, 0, SEEK_END);
    b.n = (size_t)ftell(f);
    rewind(f);
    b.p = malloc(b.n + 1);
    if (!b.p || fread(b.p, 1, b.n, f) != b.n)
        fail_msg("cannot read %s", path);
    b.p[b.n] = 0; /* so that text in it can be searched */
    fclose(f);
    return b;
}

static inline void bytes_write(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(p, 1, n, f) != n || fclose(f))
        fail_msg("cannot write %s", path);
}

#endif
