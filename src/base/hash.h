/* hash.h - BLAKE2b-256 of a stream of bytes (libsodium), as 64 hex digits. */
#ifndef OB_BASE_HASH_H
#define OB_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct ob_hash {
    uint64_t opaque[56]; /* room for libsodium's state, 64-byte aligned inside */
};
void ob_hash_init(struct ob_hash *h);
void ob_hash_add(struct ob_hash *h, const void *data, size_t n);
void ob_hash_u64(struct ob_hash *h, uint64_t x);    /* little-endian */
void ob_hash_str(struct ob_hash *h, const char *s); /* with its closing zero */
void ob_hash_hex(struct ob_hash *h, char hex[65]);

#endif
