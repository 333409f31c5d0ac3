/* unpack.c - gzip, xz and raw deflate in memory, never more than the caller allows. */
#include "base/unpack.h"

#include <lzma.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"

#define CHUNK ((size_t)1 << 30) /* zlib counts in 32 bits */
#define DEFLATE_MOST 1032       /* bytes out of one byte in, at most (zlib's documentation) */
#define XZ_MEMORY ((uint64_t)80 << 20) /* what the strongest preset of xz asks for, and some */

/* ---- memory of the two libraries comes from mem.c as well ---- */

static void *z_alloc(void *arg, unsigned n, unsigned size)
{
    void *p;

    (void)arg;
    return obi_alloc(&p, n, size, NULL) ? NULL : p;
}

static void *x_alloc(void *arg, size_t n, size_t size)
{
    void *p;

    (void)arg;
    return obi_alloc(&p, n, size, NULL) ? NULL : p;
}

static void any_free(void *arg, void *p)
{
    (void)arg;
    ob_free(p);
}

/* Room for more output: twice as much, one byte beyond `max` at most, so that too much shows. */
static int make_room(struct ob_bytes *out, size_t *room, size_t max, const char *name,
                     struct ob_err *err)
{
    size_t more = *room > SIZE_MAX / 2 ? SIZE_MAX : *room * 2;

    out->beyond = out->n > max;
    if (out->beyond)
        return ob_fail(err, OB_EFORMAT, "'%s' unpacks to more than %zu bytes", name, max);
    if (out->n < *room)
        return OB_OK;
    if (max < SIZE_MAX && more > max + 1)
        more = max + 1;
    OB_TRY(ob_grow(out->data, *room, more, err));
    *room = more;
    return OB_OK;
}

static int first_room(struct ob_bytes *out, size_t *room, size_t guess, size_t max,
                      struct ob_err *err)
{
    *out = (struct ob_bytes){ 0 };
    *room = guess < 4096 ? 4096 : guess;
    if (max<SIZE_MAX && * room> max + 1)
        *room = max + 1;
    return ob_alloc(out->data, *room, err);
}

/* ---- gzip ---- */

struct zip {
    z_stream s;
    const unsigned char *in;
    size_t left; /* bytes of input not yet shown to zlib */
};

static int zip_start(struct zip *z, int bits, const unsigned char *data, size_t n,
                     struct ob_err *err)
{
    *z = (struct zip){ .in = data, .left = n };
    z->s.zalloc = z_alloc;
    z->s.zfree = any_free;
    if (inflateInit2(&z->s, bits) != Z_OK)
        return ob_fail(err, OB_ENOMEM, "out of memory (unpacking)");
    return OB_OK;
}

/* Unpacks into out[0..room), as much as there is; zlib's verdict. */
static int zip_step(struct zip *z, unsigned char *out, size_t room, size_t *put)
{
    int rc;

    if (!z->s.avail_in) {
        size_t n = z->left < CHUNK ? z->left : CHUNK;

        z->s.next_in = (z_const Bytef *)(uintptr_t)z->in;
        z->s.avail_in = (uInt)n;
        z->in += n;
        z->left -= n;
    }
    z->s.next_out = out;
    z->s.avail_out = (uInt)(room < CHUNK ? room : CHUNK);
    *put = z->s.avail_out;
    rc = inflate(&z->s, Z_NO_FLUSH);
    *put -= z->s.avail_out;
    return rc;
}

static int zip_verdict(int rc, const char *name, struct ob_err *err)
{
    if (rc == Z_MEM_ERROR)
        return ob_fail(err, OB_ENOMEM, "out of memory (unpacking '%s')", name);
    if (rc == Z_BUF_ERROR)
        return ob_fail(err, OB_EFORMAT, "'%s' is cut short: the compressed data has no end", name);
    return ob_fail(err, OB_EFORMAT, "'%s' is damaged: not compressed as it should be", name);
}

/* The size that a gzip file claims at its end (modulo 2^32), as far as it can be true. */
static size_t gz_guess(const unsigned char *d, size_t n)
{
    size_t claim, most;

    if (n < 18)
        return 0;
    d += n - 4;
    claim = (size_t)d[0] | (size_t)d[1] << 8 | (size_t)d[2] << 16 | (size_t)d[3] << 24;
    if (!ob_mul(&most, n, DEFLATE_MOST))
        return 0;
    return claim <= most ? claim + 1 : 0;
}

int ob_unpack_gz(struct ob_bytes *out, const unsigned char *data, size_t n, size_t max,
                 const char *name, struct ob_err *err)
{
    struct zip z;
    size_t room, put;
    int rc;

    OB_TRY(first_room(out, &room, gz_guess(data, n), max, err));
    OB_TRY(zip_start(&z, 16 + MAX_WBITS, data, n, err));
    for (;;) {
        int verdict;

        OB_GO(make_room(out, &room, max, name, err));
        verdict = zip_step(&z, out->data + out->n, room - out->n, &put);
        out->n += put;
        if (verdict == Z_STREAM_END && !z.s.avail_in && !z.left)
            break;
        if (verdict == Z_STREAM_END) /* another member, or rubbish that the next step refuses */
            verdict = inflateReset(&z.s);
        if (verdict != Z_OK) {
            rc = zip_verdict(verdict, name, err);
            goto out;
        }
    }
    if (out->n > max)
        rc = ob_fail(err, OB_EFORMAT, "'%s' unpacks to more than %zu bytes", name, max);
out:
    inflateEnd(&z.s);
    return rc;
}

int ob_unpack_deflate(struct ob_bytes *out, const unsigned char *data, size_t n, size_t n_out,
                      const char *name, struct ob_err *err)
{
    struct zip z;
    size_t most, put;
    int rc, verdict = Z_OK;

    *out = (struct ob_bytes){ 0 };
    if (!ob_mul(&most, n, DEFLATE_MOST) || n_out > most || n_out == SIZE_MAX)
        return ob_fail(err, OB_EFORMAT, "'%s' claims %zu bytes, which %zu cannot hold", name, n_out,
                       n);
    OB_TRY(ob_alloc(out->data, n_out + 1, err));
    OB_TRY(zip_start(&z, -MAX_WBITS, data, n, err));
    while (verdict == Z_OK && out->n <= n_out) {
        verdict = zip_step(&z, out->data + out->n, n_out + 1 - out->n, &put);
        out->n += put;
    }
    rc = OB_OK;
    if (verdict != Z_STREAM_END && out->n <= n_out)
        rc = zip_verdict(verdict, name, err);
    else if (verdict != Z_STREAM_END || out->n != n_out || z.s.avail_in || z.left)
        rc = ob_fail(err, OB_EFORMAT, "'%s' is damaged: not the size that it claims", name);
    inflateEnd(&z.s);
    return rc;
}

/* ---- xz ---- */

static int xz_verdict(lzma_ret rc, const char *name, struct ob_err *err)
{
    switch (rc) {
    case LZMA_MEM_ERROR:
        return ob_fail(err, OB_ENOMEM, "out of memory (unpacking '%s')", name);
    case LZMA_MEMLIMIT_ERROR:
        return ob_fail(err, OB_EFORMAT, "'%s' asks for more than %d MiB to unpack", name,
                       (int)(XZ_MEMORY >> 20));
    case LZMA_BUF_ERROR:
        return ob_fail(err, OB_EFORMAT, "'%s' is cut short: the compressed data has no end", name);
    default:
        return ob_fail(err, OB_EFORMAT, "'%s' is damaged: not compressed as it should be", name);
    }
}

int ob_unpack_xz(struct ob_bytes *out, const unsigned char *data, size_t n, size_t max,
                 const char *name, struct ob_err *err)
{
    const lzma_allocator allocator = { x_alloc, any_free, NULL };
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_ret verdict;
    size_t room;
    int rc;

    OB_TRY(first_room(out, &room, n > SIZE_MAX / 4 ? n : n * 4, max, err));
    s.allocator = &allocator;
    if (lzma_stream_decoder(&s, XZ_MEMORY, LZMA_CONCATENATED) != LZMA_OK)
        return ob_fail(err, OB_ENOMEM, "out of memory (unpacking '%s')", name);
    s.next_in = data;
    s.avail_in = n;
    do {
        OB_GO(make_room(out, &room, max, name, err));
        s.next_out = out->data + out->n;
        s.avail_out = room - out->n;
        verdict = lzma_code(&s, LZMA_FINISH);
        out->n = room - s.avail_out;
    } while (verdict == LZMA_OK);
    if (verdict != LZMA_STREAM_END)
        rc = xz_verdict(verdict, name, err);
    else if (out->n > max)
        rc = ob_fail(err, OB_EFORMAT, "'%s' unpacks to more than %zu bytes", name, max);
out:
    lzma_end(&s);
    return rc;
}
