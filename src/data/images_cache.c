/*
 * images_cache.c - decoded pictures, kept in a folder of the user's.
 *
 * A file per part: FOLDER/images-KEY-train, where KEY is of the paths and bytes of all files. It holds
 * the pixels, then 64 hex digits of the digest of key, part, sizes and pixels. Nothing depends on it:
 * what is not there or not whole is decoded again.
 */
#include <stdio.h>
#include <string.h>

#include "base/dir.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "data/images.h"

#define N_DIGEST 64

/* False where nothing is kept. */
static bool place(char *out, size_t room, const struct ob_data *d, int part, const char *key)
{
    const char *folder = d->ctx ? d->ctx->opts.cache : NULL;

    if (!folder || !*folder)
        return false;
    return (size_t)snprintf(out, room, "%s/images-%.32s-%s", folder, key,
                            part == OB_TRAIN ? "train" : "test") < room;
}

static void digest(char hex[65], const struct ob_data *d, int part, const unsigned char *pixels,
                   size_t n, const char *key)
{
    struct ob_hash h;

    ob_hash_init(&h);
    ob_hash_str(&h, key);
    ob_hash_u64(&h, (uint64_t)part);
    ob_hash_u64(&h, (uint64_t)d->info.channels);
    ob_hash_u64(&h, (uint64_t)d->info.height);
    ob_hash_u64(&h, (uint64_t)d->info.width);
    ob_hash_u64(&h, n);
    ob_hash_add(&h, pixels, n);
    ob_hash_hex(&h, hex);
}

bool ob_images_cache_take(struct ob_data *d, int part, size_t n, const char *key)
{
    char path[1024], hex[65];
    struct ob_file f = { 0 };
    bool whole;

    if (!place(path, sizeof(path), d, part, key) || !ob_file_exists(path) ||
        ob_file_read(&f, path, n + N_DIGEST, false, NULL))
        return false;
    whole = f.n == n + N_DIGEST;
    if (whole) {
        digest(hex, d, part, f.data, n, key);
        whole = !memcmp(f.data + n, hex, N_DIGEST);
    }
    if (whole) { /* without a copy: there may be gigabytes */
        ob_free(d->ex[part].u8);
        d->ex[part].u8 = f.data;
        f.data = NULL;
    } else {
        ob_log(d->ctx, OB_LOG_INFO, "'%s' is damaged: the images are decoded again", path);
    }
    ob_file_release(&f);
    return whole;
}

static int put(const struct ob_data *d, int part, size_t n, const char *key, const char *path,
               struct ob_err *err)
{
    struct ob_writer *w;
    char hex[65];

    OB_TRY(ob_mkdirs(d->ctx->opts.cache, err));
    OB_TRY(ob_writer_open(&w, path, err));
    digest(hex, d, part, d->ex[part].u8, n, key);
    ob_write(w, d->ex[part].u8, n);
    ob_write(w, hex, N_DIGEST);
    return ob_writer_commit(w, err);
}

void ob_images_cache_put(const struct ob_data *d, const size_t n[2], const char *key)
{
    struct ob_err err = { 0 };
    char path[1024];

    for (int p = 0; p < 2 && !err.code; p++)
        if (!place(path, sizeof(path), d, p, key) || put(d, p, n[p], key, path, &err))
            break;
    if (err.code)
        ob_log(d->ctx, OB_LOG_INFO, "the decoded images are not kept: %s", err.msg);
    else if (d->ctx && d->ctx->opts.cache && *d->ctx->opts.cache)
        ob_log(d->ctx, OB_LOG_INFO, "the decoded images are kept in '%s' (%.1f MiB)",
               d->ctx->opts.cache, (double)(n[0] + n[1]) / (1 << 20));
}
