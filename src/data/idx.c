/*
 * idx.c - "idx:DIR": the four files of MNIST and its likes (LeCun et al. 1998), plain, .gz or .xz.
 *
 * Images: big-endian 2051, count, height, width, then bytes; labels: 2049, count, bytes.
 */
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "data/data.h"

#define MAX_FILE ((size_t)1 << 33)
#define IMAGES 2051
#define LABELS 2049

static int open_file(struct ob_file *f, const struct ob_data *d, const char *dir, const char *name,
                     struct ob_err *err)
{
    char path[600];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return ob_data_read_file(f, d, path, MAX_FILE, err);
}

/* Takes the head; size[0..n_sizes) are count, height, width, and what is left fits them exactly. */
static int take_head(struct ob_reader *r, const struct ob_file *f, uint32_t magic, uint32_t *size,
                     int n_sizes, struct ob_err *err)
{
    uint32_t found = 0;
    size_t total = 1;

    if (!ob_take_u32be(r, &found) || found != magic)
        return ob_fail(err, OB_EFORMAT, "'%s' is not an idx file of %s (magic number %u, not %u)",
                       f->path, magic == IMAGES ? "images" : "labels", found, magic);
    for (int i = 0; i < n_sizes; i++)
        if (!ob_take_u32be(r, &size[i]) || !ob_mul(&total, total, size[i]))
            return ob_fail(err, OB_EFORMAT, "'%s' is cut short or claims too much", f->path);
    if (total != r->left)
        return ob_fail(err, OB_EFORMAT, "'%s' claims %zu bytes of data and holds %zu", f->path,
                       total, r->left);
    return OB_OK;
}

static int take_images(struct ob_data *d, int part, const struct ob_file *f, struct ob_err *err)
{
    struct ob_reader r = { f->data, f->n, 0 };
    struct ob_data_info *info = &d->info;
    uint32_t size[3];
    int rc;

    OB_TRY(take_head(&r, f, IMAGES, size, 3, err));
    if (size[1] > 65535 || size[2] > 65535)
        size[1] = size[2] = 65535; /* refused below, as too large */
    if (part == OB_TEST && ((int)size[1] != info->height || (int)size[2] != info->width))
        return ob_fail(err, OB_EFORMAT, "'%s' has images of %u x %u, the training file %d x %d",
                       f->path, size[1], size[2], info->height, info->width);
    info->channels = 1;
    info->height = (int)size[1];
    info->width = (int)size[2];
    rc = ob_examples_alloc(d, part, size[0], 0, err);
    if (rc) {
        ob_err_prefix(err, "'%s': ", f->path);
        return rc;
    }
    memcpy(d->ex[part].u8, r.p, r.left);
    return OB_OK;
}

static int take_labels(struct ob_data *d, int part, const struct ob_file *f, struct ob_err *err)
{
    struct ob_reader r = { f->data, f->n, 0 };
    struct ob_examples *e = &d->ex[part];
    uint32_t n;

    OB_TRY(take_head(&r, f, LABELS, &n, 1, err));
    if (n != e->n)
        return ob_fail(err, OB_EFORMAT, "'%s' has %u labels for %zu images", f->path, n, e->n);
    for (size_t i = 0; i < e->n; i++)
        e->label[i] = r.p[i];
    return part == OB_TRAIN ? ob_data_count_classes(d, f->path, err) : OB_OK;
}

static int open_idx(struct ob_data *d, const struct ob_data_arg *a, struct ob_err *err)
{
    static const char *const name[2] = { "train", "t10k" };
    struct ob_file f = { 0 };
    int rc = OB_OK;

    for (int p = 0; p < 2; p++) {
        char file[64];

        snprintf(file, sizeof(file), "%s-images-idx3-ubyte", name[p]);
        OB_GO(open_file(&f, d, a->where, file, err));
        OB_GO(take_images(d, p, &f, err));
        ob_file_release(&f);
        snprintf(file, sizeof(file), "%s-labels-idx1-ubyte", name[p]);
        OB_GO(open_file(&f, d, a->where, file, err));
        OB_GO(take_labels(d, p, &f, err));
        ob_file_release(&f);
    }
out:
    ob_file_release(&f);
    return rc;
}

const struct ob_source ob_source_idx = { "idx", "", open_idx };
