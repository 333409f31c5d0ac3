/* hash.c - BLAKE2b through libsodium. */
#include "base/hash.h"

#include <sodium.h>
#include <string.h>

static crypto_generichash_state *state(struct ob_hash *h)
{
    uintptr_t p = (uintptr_t)h->opaque;

    return (crypto_generichash_state *)((p + 63) & ~(uintptr_t)63);
}

_Static_assert(sizeof(crypto_generichash_state) + 63 <= sizeof(struct ob_hash),
               "ob_hash too small");

void ob_hash_init(struct ob_hash *h)
{
    crypto_generichash_init(state(h), NULL, 0, 32);
}

void ob_hash_add(struct ob_hash *h, const void *data, size_t n)
{
    crypto_generichash_update(state(h), data, n);
}

void ob_hash_u64(struct ob_hash *h, uint64_t x)
{
    unsigned char b[8];

    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)(x >> (8 * i));
    ob_hash_add(h, b, 8);
}

void ob_hash_str(struct ob_hash *h, const char *s)
{
    ob_hash_add(h, s, strlen(s) + 1);
}

void ob_hash_hex(struct ob_hash *h, char hex[65])
{
    unsigned char out[32];

    crypto_generichash_final(state(h), out, sizeof(out));
    sodium_bin2hex(hex, 65, out, sizeof(out));
}
