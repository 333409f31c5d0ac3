/*
 * images_read.c - the files of a folder of pictures to pixels.
 *
 * Every file is read, digested and its head looked at; then either the pixels come from the cache,
 * by the digest of all paths and bytes, or every file is read once more and decoded. Files are
 * shared out between threads; what comes out, and which failure is told, does not depend on them.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "data/images.h"

#define MAX_FILE ((size_t)1 << 26)
#define CHUNK ((size_t)1024) /* files between two questions whether to stop */

struct found { /* of one file */
    struct ob_picture head;
    char digest[65];
};

struct worker {
    struct ob_err err; /* of its first file that failed */
    size_t failed;     /* the file's number */
};

struct reading {
    struct ob_data *d;
    const struct ob_image_list *list; /* of both parts */
    const char *root;
    struct found *found; /* training files, then test files */
    struct worker *worker;
    int n_workers, decode; /* decode: the second time round */
    size_t n, first;       /* files; the chunk begins with this one */
};

static const struct ob_image_file *file_at(const struct reading *r, size_t i)
{
    size_t n = r->list[OB_TRAIN].n;

    return i < n ? &r->list[OB_TRAIN].file[i] : &r->list[OB_TEST].file[i - n];
}

/* ---- one file ---- */

static void digest(char hex[65], const struct ob_file *f)
{
    struct ob_hash h;

    ob_hash_init(&h);
    ob_hash_add(&h, f->data, f->n);
    ob_hash_hex(&h, hex);
}

/* The file must still be what it was when the others were looked at. */
static int decode(struct reading *r, size_t i, const struct ob_file *f, struct ob_err *err)
{
    const struct ob_data_info *info = &r->d->info;
    size_t n_train = r->list[OB_TRAIN].n;
    size_t pixels = (size_t)(info->channels * info->height * info->width);
    uint8_t *out = i < n_train ? r->d->ex[OB_TRAIN].u8 + i * pixels
                               : r->d->ex[OB_TEST].u8 + (i - n_train) * pixels;
    char now[65];

    digest(now, f);
    if (strcmp(now, r->found[i].digest))
        return ob_fail(err, OB_EFORMAT, "'%s' changed while the folder was read", f->path);
    return ob_picture_read(out, info->channels, &r->found[i].head, f->data, f->n, f->path, err);
}

static int read_one(struct reading *r, size_t i, struct ob_err *err)
{
    struct ob_file f = { 0 };
    char path[1500];
    int rc;

    snprintf(path, sizeof(path), "%s/%s", r->root, file_at(r, i)->path);
    OB_TRY(ob_file_read(&f, path, MAX_FILE, false, err));
    if (r->decode) {
        rc = decode(r, i, &f, err);
    } else {
        digest(r->found[i].digest, &f);
        rc = ob_picture_head(&r->found[i].head, f.data, f.n, f.path, err);
    }
    ob_file_release(&f);
    return rc;
}

/* Of all failures the first in the order of files is told, whoever meets it. */
static void work(void *arg, size_t k, int worker)
{
    struct reading *r = arg;
    struct worker *w = &r->worker[worker];
    struct ob_err err = { 0 };
    size_t i = r->first + k;

    if ((w->err.code && w->failed < i) || !read_one(r, i, &err))
        return;
    w->err = err;
    w->failed = i;
}

static int first_failure(const struct reading *r, struct ob_err *err)
{
    const struct worker *first = NULL;

    for (int i = 0; i < r->n_workers; i++)
        if (r->worker[i].err.code && (!first || r->worker[i].failed < first->failed))
            first = &r->worker[i];
    if (!first)
        return OB_OK;
    if (err && !err->code)
        *err = first->err;
    return first->err.code;
}

static int every_file(struct reading *r, struct ob_err *err)
{
    struct ob_progress p = { .task = r->decode ? "decode images" : "read images",
                             .total = r->n,
                             .loss = (double)NAN,
                             .accuracy = (double)NAN };

    for (r->first = 0; r->first < r->n; r->first += CHUNK) {
        size_t n = r->n - r->first < CHUNK ? r->n - r->first : CHUNK;

        if (r->d->ctx)
            OB_TRY(ob_ctx_stop(r->d->ctx, err));
        ob_par_for(r->n_workers, n, work, r);
        OB_TRY(first_failure(r, err));
        p.done = r->first + n;
        if (r->d->ctx)
            ob_progress(r->d->ctx, &p);
    }
    return OB_OK;
}

/* ---- all of them ---- */

/* One size; one channel where every file is grey. */
static int take_sizes(struct reading *r, struct ob_err *err)
{
    const struct ob_picture *first = &r->found[0].head;
    struct ob_data_info *info = &r->d->info;

    info->channels = 1;
    info->height = first->height;
    info->width = first->width;
    for (size_t i = 0; i < r->n; i++) {
        const struct ob_picture *p = &r->found[i].head;

        if (p->channels == 3)
            info->channels = 3;
        if (p->height != first->height || p->width != first->width)
            return ob_fail(err, OB_EFORMAT,
                           "'%s/%s' has %d x %d pixels (height x width), '%s' has %d x %d: "
                           "images of one size are needed",
                           r->root, file_at(r, 0)->path, first->height, first->width,
                           file_at(r, i)->path, p->height, p->width);
    }
    return OB_OK;
}

static void key_of(const struct reading *r, char key[65])
{
    struct ob_hash h;

    ob_hash_init(&h);
    ob_hash_str(&h, "oubli images 1");
    for (int p = 0; p < 2; p++)
        ob_hash_u64(&h, r->list[p].n);
    for (size_t i = 0; i < r->n; i++) {
        ob_hash_str(&h, file_at(r, i)->path);
        ob_hash_str(&h, r->found[i].digest);
    }
    ob_hash_hex(&h, key);
}

static int alloc_part(struct reading *r, int part, struct ob_err *err)
{
    struct ob_examples *e = &r->d->ex[part];
    int rc = ob_examples_alloc(r->d, part, r->list[part].n, 0, err);

    if (rc) {
        ob_err_prefix(err, "'%s': ", r->root);
        return rc;
    }
    for (size_t k = 0; k < e->n; k++)
        e->label[k] = r->list[part].file[k].label;
    return OB_OK;
}

static int take_pixels(struct reading *r, struct ob_err *err)
{
    const struct ob_data_info *info = &r->d->info;
    size_t pixels = (size_t)(info->channels * info->height * info->width);
    size_t n[2];
    bool kept = true;
    char key[65];

    key_of(r, key);
    for (int p = 0; p < 2; p++) {
        OB_TRY(alloc_part(r, p, err));
        n[p] = r->list[p].n * pixels;
        kept = kept && ob_images_cache_take(r->d, p, n[p], key);
    }
    if (kept)
        return OB_OK;
    r->decode = 1;
    OB_TRY(every_file(r, err));
    ob_images_cache_put(r->d, n, key);
    return OB_OK;
}

int ob_images_read(struct ob_data *d, const struct ob_image_list list[2], const char *root,
                   struct ob_err *err)
{
    struct reading r = { .d = d, .list = list, .root = root, .n = list[0].n + list[1].n };
    int rc;

    r.n_workers = d->ctx ? d->ctx->n_threads : 1;
    OB_GO(ob_alloc(r.found, r.n, err));
    OB_GO(ob_alloc(r.worker, (size_t)r.n_workers, err));
    OB_GO(every_file(&r, err));
    OB_GO(take_sizes(&r, err));
    rc = take_pixels(&r, err);
out:
    ob_free(r.found);
    ob_free(r.worker);
    return rc;
}
