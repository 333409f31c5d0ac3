/* protobuf.c - writes messages in the wire format of Protocol Buffers, with holes. */
#include "nn/protobuf.h"

#include <string.h>

#include "base/mem.h"

enum { VARINT = 0, BYTES = 2, FIXED32 = 5 };

static void put(struct ob_pb *p, unsigned char x)
{
    ob_str_addn(&p->text, (const char *)&x, 1);
}

static void put_varint(struct ob_pb *p, uint64_t x)
{
    for (; x >= 128; x >>= 7)
        put(p, (unsigned char)(x | 128));
    put(p, (unsigned char)x);
}

static void put_tag(struct ob_pb *p, int field, int kind)
{
    put_varint(p, (uint64_t)field << 3 | (uint64_t)kind);
}

void obi_pb_int(struct ob_pb *p, int field, int64_t x)
{
    put_tag(p, field, VARINT);
    put_varint(p, (uint64_t)x);
}

void obi_pb_float(struct ob_pb *p, int field, float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    put_tag(p, field, FIXED32);
    for (int i = 0; i < 32; i += 8)
        put(p, (unsigned char)(bits >> i));
}

void obi_pb_text(struct ob_pb *p, int field, const char *text)
{
    put_tag(p, field, BYTES);
    put_varint(p, strlen(text));
    ob_str_add(&p->text, text);
}

static void add_hole(struct ob_pb *p, struct ob_pb_hole hole)
{
    if (ob_grow(p->hole, p->n_holes, p->n_holes + 1, NULL)) {
        p->failed = 1;
        return;
    }
    p->hole[p->n_holes++] = hole;
    p->in_holes += hole.n;
}

void obi_pb_append(struct ob_pb *p, struct ob_pb *from)
{
    for (size_t i = 0; i < from->n_holes; i++) {
        struct ob_pb_hole hole = from->hole[i];

        hole.at += p->text.n;
        add_hole(p, hole);
    }
    ob_str_addn(&p->text, ob_str_text(&from->text), from->text.n);
    p->failed |= from->failed | from->text.failed;
    obi_pb_release(from);
}

void obi_pb_message(struct ob_pb *p, int field, struct ob_pb *inner)
{
    put_tag(p, field, BYTES);
    put_varint(p, obi_pb_size(inner));
    obi_pb_append(p, inner);
}

void obi_pb_hole(struct ob_pb *p, int field, const void *data, size_t n)
{
    put_tag(p, field, BYTES);
    put_varint(p, n);
    add_hole(p, (struct ob_pb_hole){ p->text.n, data, n });
}

size_t obi_pb_size(const struct ob_pb *p)
{
    return p->text.n + p->in_holes;
}

int obi_pb_check(const struct ob_pb *p, struct ob_err *err)
{
    if (p->failed)
        return ob_fail(err, OB_ENOMEM, "out of memory");
    return ob_str_check(&p->text, err);
}

void obi_pb_write(struct ob_writer *w, const struct ob_pb *p)
{
    const char *text = ob_str_text(&p->text);
    size_t at = 0;

    for (size_t i = 0; i < p->n_holes; i++) {
        ob_write(w, text + at, p->hole[i].at - at);
        ob_write(w, p->hole[i].data, p->hole[i].n);
        at = p->hole[i].at;
    }
    ob_write(w, text + at, p->text.n - at);
}

void obi_pb_release(struct ob_pb *p)
{
    ob_str_release(&p->text);
    ob_free(p->hole);
    *p = (struct ob_pb){ 0 };
}
