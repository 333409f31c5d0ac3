/*
 * npy_source.c - "npy:DIR": x_train.npy, y_train.npy, x_test.npy, y_test.npy.
 *
 * Images are uint8 N-H-W-C (0..255; N-H-W for one channel) or float32 N-C-H-W (0..1), labels any
 * integer type.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/npy.h"
#include "data/data.h"

#define MAX_FILE ((size_t)1 << 36)
#define MAX_LABEL 65535

struct sizes {
    size_t n, channels, height, width;
};

static int take_sizes(struct sizes *s, const struct ob_npy *a, const char *path, struct ob_err *err)
{
    const size_t *n = a->shape;

    if (!strcmp(a->type, "|u1") && a->rank == 4)
        *s = (struct sizes){ n[0], n[3], n[1], n[2] };
    else if (!strcmp(a->type, "|u1") && a->rank == 3)
        *s = (struct sizes){ n[0], 1, n[1], n[2] };
    else if (!strcmp(a->type, "<f4") && a->rank == 4)
        *s = (struct sizes){ n[0], n[1], n[2], n[3] };
    else
        return ob_fail(err, OB_EFORMAT,
                       "'%s' has type %s and %d dimensions; images are uint8 N-H-W-C or float32 "
                       "N-C-H-W",
                       path, a->type, a->rank);
    if (s->channels > 65535 || s->height > 65535 || s->width > 65535)
        return ob_fail(err, OB_EFORMAT, "'%s' has images of %zu x %zu x %zu", path, s->channels,
                       s->height, s->width);
    return OB_OK;
}

static int check_test_sizes(const struct ob_data *d, const struct sizes *s, const char *path,
                            struct ob_err *err)
{
    const struct ob_data_info *i = &d->info;

    if ((int)s->channels == i->channels && (int)s->height == i->height && (int)s->width == i->width)
        return OB_OK;
    return ob_fail(err, OB_EFORMAT,
                   "'%s' has images of %zu x %zu x %zu, the training file %d x %d x %d", path,
                   s->channels, s->height, s->width, i->channels, i->height, i->width);
}

/* N-H-W-C to N-C-H-W. */
static void take_bytes(uint8_t *out, const unsigned char *in, const struct sizes *s)
{
    size_t place = s->height * s->width;

    for (size_t i = 0; i < s->n; i++, out += s->channels * place)
        for (size_t k = 0; k < place; k++)
            for (size_t c = 0; c < s->channels; c++)
                out[c * place + k] = *in++;
}

static int take_floats(float *out, const unsigned char *in, const struct sizes *s, const char *path,
                       struct ob_err *err)
{
    size_t pixels = s->channels * s->height * s->width;

    memcpy(out, in, s->n * pixels * sizeof(float));
    for (size_t i = 0; i < s->n * pixels; i++)
        if (!(out[i] >= 0 && out[i] <= 1)) /* also where it is not a number */
            return ob_fail(err, OB_EFORMAT, "'%s': image %zu has a pixel of %g; 0 to 1 is taken",
                           path, i / pixels, (double)out[i]);
    return OB_OK;
}

static int take_images(struct ob_data *d, int part, const struct ob_file *f, struct ob_err *err)
{
    struct ob_examples *e = &d->ex[part];
    struct ob_npy a;
    struct sizes s = { 0 };
    int rc;

    OB_TRY(ob_npy_parse(&a, f->data, f->n, f->path, err));
    OB_TRY(take_sizes(&s, &a, f->path, err));
    if (part == OB_TEST)
        OB_TRY(check_test_sizes(d, &s, f->path, err));
    d->info.channels = (int)s.channels;
    d->info.height = (int)s.height;
    d->info.width = (int)s.width;
    rc = ob_examples_alloc(e, s.n, d->info.channels, d->info.height, d->info.width,
                           a.type[1] == 'f', err);
    if (rc) {
        ob_err_prefix(err, "'%s': ", f->path);
        return rc;
    }
    if (e->f32)
        return take_floats(e->f32, a.data, &s, f->path, err);
    take_bytes(e->u8, a.data, &s);
    return OB_OK;
}

static int take_labels(struct ob_data *d, int part, const struct ob_file *f, struct ob_err *err)
{
    struct ob_examples *e = &d->ex[part];
    struct ob_npy a;

    OB_TRY(ob_npy_parse(&a, f->data, f->n, f->path, err));
    if (a.rank != 1 || !ob_npy_is_int(&a))
        return ob_fail(err, OB_EFORMAT,
                       "'%s' has type %s and %d dimensions; labels are integers, in one", f->path,
                       a.type, a.rank);
    if (a.n != e->n)
        return ob_fail(err, OB_EFORMAT, "'%s' has %zu labels for %zu images", f->path, a.n, e->n);
    for (size_t i = 0; i < e->n; i++) {
        int64_t label = ob_npy_int(&a, i);

        if (label < 0 || label > MAX_LABEL)
            return ob_fail(err, OB_EFORMAT, "'%s': example %zu has label %lld", f->path, i,
                           (long long)label);
        e->label[i] = (int32_t)label;
    }
    return part == OB_TRAIN ? ob_data_count_classes(d, f->path, err) : OB_OK;
}

static int open_npy(struct ob_data *d, const struct ob_data_arg *a, struct ob_err *err)
{
    struct ob_file f = { 0 };
    int rc = OB_OK;

    for (int p = 0; p < 2; p++) {
        const char *part = p == OB_TRAIN ? "train" : "test";
        char path[600];

        snprintf(path, sizeof(path), "%s/x_%s.npy", a->where, part);
        OB_GO(ob_file_read_any(&f, path, MAX_FILE, err));
        OB_GO(take_images(d, p, &f, err));
        ob_file_release(&f);
        snprintf(path, sizeof(path), "%s/y_%s.npy", a->where, part);
        OB_GO(ob_file_read_any(&f, path, MAX_FILE, err));
        OB_GO(take_labels(d, p, &f, err));
        ob_file_release(&f);
    }
out:
    ob_file_release(&f);
    return rc;
}

const struct ob_source ob_source_npy = { "npy", "", open_npy };
