/* ptfile.h - PyTorch's files by hand, for tests: archives and pickles as bad as they can be. */
#ifndef TESTS_PTFILE_H
#define TESTS_PTFILE_H

#include <zlib.h>

#include "bytes.h"

/* ---- bytes that grow ---- */

static inline void add(struct bytes *b, const void *p, size_t n)
{
    if (b->n + n >= b->room) {
        b->room = 2 * (b->n + n) + 64;
        b->p = realloc(b->p, b->room);
    }
    if (!b->p) {
        fail_msg("out of memory");
        return;
    }
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}
static inline void add_text(struct bytes *b, const char *text)
{
    add(b, text, strlen(text));
}
static inline void add_le(struct bytes *b, uint64_t x, int n)
{
    for (int i = 0; i < n; i++, x >>= 8) {
        unsigned char c = (unsigned char)x;

        add(b, &c, 1);
    }
}

/* ---- archives ---- */

struct part {
    const char *name;
    const void *data;
    size_t n;
    /* what the archive claims, where it is not the truth */
    int method;          /* 8: deflated */
    uint32_t crc_flip;   /* wrong bits of the checksum */
    size_t claim;        /* unpacked size; 0: the truth */
    size_t packed_claim; /* and packed size */
    int at_first;        /* the row of the directory points to the first entry */
};

static inline struct bytes deflated(const void *p, size_t n)
{
    struct bytes b = { 0 };
    z_stream s = { 0 };

    b.p = malloc(n + n / 100 + 100);
    if (!b.p || deflateInit2(&s, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        fail_msg("no room to deflate");
    s.next_in = (Bytef *)(uintptr_t)p;
    s.avail_in = (uInt)n;
    s.next_out = b.p;
    s.avail_out = (uInt)(n + n / 100 + 100);
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    b.n = s.total_out;
    deflateEnd(&s);
    return b;
}

static inline void add_head(struct bytes *b, const struct part *p, uint32_t crc, size_t packed)
{
    add_le(b, 0, 2); /* flags */
    add_le(b, (uint64_t)p->method, 2);
    add_le(b, 0x210000, 4); /* 1980-01-01 */
    add_le(b, crc ^ p->crc_flip, 4);
    add_le(b, p->packed_claim ? p->packed_claim : packed, 4);
    add_le(b, p->claim ? p->claim : p->n, 4);
    add_le(b, strlen(p->name), 2);
    add_le(b, 0, 2); /* extra field */
}

static inline struct bytes archive(const struct part *part, size_t n)
{
    struct bytes b = { 0 }, rows = { 0 };

    for (size_t i = 0; i < n; i++) {
        const struct part *p = &part[i];
        struct bytes packed = { 0 };
        uint32_t crc = (uint32_t)crc32_z(crc32_z(0, NULL, 0), p->data, p->n);
        size_t at = p->at_first ? 0 : b.n;

        if (p->method == 8)
            packed = deflated(p->data, p->n);
        else
            add(&packed, p->data, p->n);
        add_text(&rows, "PK\1\2");
        add_le(&rows, 20, 2);
        add_le(&rows, 20, 2);
        add_head(&rows, p, crc, packed.n);
        add_le(&rows, 0, 10); /* comment, disk, attributes */
        add_le(&rows, at, 4);
        add_text(&rows, p->name);
        add_text(&b, "PK\3\4");
        add_le(&b, 20, 2);
        add_head(&b, p, crc, packed.n);
        add_text(&b, p->name);
        add(&b, packed.p, packed.n);
        free(packed.p);
    }
    add_le(&rows, 0x06054b50, 4);
    add_le(&rows, 0, 4);
    add_le(&rows, n, 2);
    add_le(&rows, n, 2);
    add_le(&rows, rows.n - 12, 4);
    add_le(&rows, b.n, 4);
    add_le(&rows, 0, 2);
    add(&b, rows.p, rows.n);
    free(rows.p);
    return b;
}

/* ---- pickles ---- */

static inline void pickle_text(struct bytes *b, const char *text)
{
    add_text(b, "X");
    add_le(b, strlen(text), 4);
    add_text(b, text);
}
static inline void pickle_int(struct bytes *b, int64_t x)
{
    add_text(b, "\x8a\x08");
    add_le(b, (uint64_t)x, 8);
}

/* A float tensor of two dimensions in storage "0". */
struct claim {
    int64_t numel, offset, shape[2], stride[2];
};
#define HONEST                                                                                     \
    {                                                                                              \
        4, 0, { 2, 2 },                                                                            \
        {                                                                                          \
            2, 1                                                                                   \
        }                                                                                          \
    }

static inline void pickle_tensor(struct bytes *b, const struct claim *c)
{
    add_text(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle_text(b, "storage");
    add_text(b, "ctorch\nFloatStorage\n");
    pickle_text(b, "0");
    pickle_text(b, "cpu");
    pickle_int(b, c->numel);
    add_text(b, "tQ");
    pickle_int(b, c->offset);
    for (int k = 0; k < 2; k++) {
        add_text(b, "(");
        for (int i = 0; i < 2; i++)
            pickle_int(b, k ? c->stride[i] : c->shape[i]);
        add_text(b, "t");
    }
    add_text(b, "\x89}tR");
}

/* {"fc1.weight": tensor} */
static inline struct bytes pickle_state(const struct claim *c)
{
    struct bytes b = { 0 };

    add_text(&b, "\x80\x02}(");
    pickle_text(&b, "fc1.weight");
    pickle_tensor(&b, c);
    add_text(&b, "u.");
    return b;
}

#endif
