/*
 * protobuf.h - writes messages in the wire format of Protocol Buffers, with holes for large blocks.
 *
 * A field is a number and a kind, then a whole number of 7 bits a byte, four bytes, or a length and
 * so many bytes. A message inside a message is built apart and then added as bytes. A hole stands
 * for bytes that lie elsewhere: they count in every length and are copied when the file is written.
 */
#ifndef OB_NN_PROTOBUF_H
#define OB_NN_PROTOBUF_H

#include "base/io.h"
#include "base/str.h"

struct ob_pb_hole {
    size_t at; /* of the text: the bytes come before it */
    const void *data;
    size_t n;
};
struct ob_pb {
    struct ob_str text;
    struct ob_pb_hole *hole;
    size_t n_holes, in_holes; /* in_holes: bytes of all of them */
    int failed;
};

void obi_pb_int(struct ob_pb *p, int field, int64_t x);
void obi_pb_float(struct ob_pb *p, int field, float x);
void obi_pb_text(struct ob_pb *p, int field, const char *text);
/* Adds the fields of `from`, with its holes, and releases it. */
void obi_pb_append(struct ob_pb *p, struct ob_pb *from);
void obi_pb_message(struct ob_pb *p, int field, struct ob_pb *inner); /* likewise, as a message */
void obi_pb_hole(struct ob_pb *p, int field, const void *data, size_t n); /* data is borrowed */
size_t obi_pb_size(const struct ob_pb *p);
/* OB_ENOMEM where one of the calls above ran out of memory. */
int obi_pb_check(const struct ob_pb *p, struct ob_err *err);
void obi_pb_write(struct ob_writer *w, const struct ob_pb *p);
void obi_pb_release(struct ob_pb *p);

#endif
