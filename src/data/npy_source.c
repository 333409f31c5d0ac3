/*
 * npy_source.c - "npy:DIR": x_train.npy, y_train.npy, x_test.npy, y_test.npy; "npy:FILE.npz": an
 * archive of arrays with these names.
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
#include "base/room.h"
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

static int take_images(struct ob_data *d, int part, const struct ob_npy *a, const char *path,
                       struct ob_err *err)
{
    struct ob_examples *e = &d->ex[part];
    struct sizes s = { 0 };
    int rc;

    OB_TRY(take_sizes(&s, a, path, err));
    if (part == OB_TEST)
        OB_TRY(check_test_sizes(d, &s, path, err));
    d->info.channels = (int)s.channels;
    d->info.height = (int)s.height;
    d->info.width = (int)s.width;
    rc = ob_examples_alloc(d, part, s.n, a->type[1] == 'f', err);
    if (rc) {
        ob_err_prefix(err, "'%s': ", path);
        return rc;
    }
    if (e->f32)
        return take_floats(e->f32, a->data, &s, path, err);
    take_bytes(e->u8, a->data, &s);
    return OB_OK;
}

static int take_labels(struct ob_data *d, int part, const struct ob_npy *a, const char *path,
                       struct ob_err *err)
{
    struct ob_examples *e = &d->ex[part];

    if (a->rank != 1 || !ob_npy_is_int(a))
        return ob_fail(err, OB_EFORMAT,
                       "'%s' has type %s and %d dimensions; labels are integers, in one", path,
                       a->type, a->rank);
    if (a->n != e->n)
        return ob_fail(err, OB_EFORMAT, "'%s' has %zu labels for %zu images", path, a->n, e->n);
    for (size_t i = 0; i < e->n; i++) {
        int64_t label = ob_npy_int(a, i);

        if (label < 0 || label > MAX_LABEL)
            return ob_fail(err, OB_EFORMAT, "'%s': example %zu has label %lld", path, i,
                           (long long)label);
        e->label[i] = (int32_t)label;
    }
    return part == OB_TRAIN ? ob_data_count_classes(d, path, err) : OB_OK;
}

typedef int take_fn(struct ob_data *d, int part, const struct ob_npy *a, const char *path,
                    struct ob_err *err);

/* In this order, since labels are counted against images. */
static const struct array {
    const char *name;
    int part;
    take_fn *take;
} arrays[] = {
    { "x_train", OB_TRAIN, take_images },
    { "y_train", OB_TRAIN, take_labels },
    { "x_test", OB_TEST, take_images },
    { "y_test", OB_TEST, take_labels },
};
#define N_ARRAYS (sizeof(arrays) / sizeof(arrays[0]))

static int read_folder(struct ob_data *d, const char *where, struct ob_err *err)
{
    for (size_t i = 0; i < N_ARRAYS; i++) {
        struct ob_file f = { 0 };
        struct ob_npy a;
        char path[600];
        int rc;

        snprintf(path, sizeof(path), "%s/%s.npy", where, arrays[i].name);
        OB_TRY(ob_data_read_file(&f, d, path, MAX_FILE, err));
        rc = ob_npy_parse(&a, f.data, f.n, f.path, err);
        if (!rc)
            rc = arrays[i].take(d, arrays[i].part, &a, f.path, err);
        ob_file_release(&f);
        OB_TRY(rc);
    }
    return OB_OK;
}

static int read_archive(struct ob_data *d, const char *where, struct ob_err *err)
{
    struct ob_npz z = { 0 };
    int rc;

    OB_GO(ob_data_read_file(&z.file, d, where, MAX_FILE, err));
    OB_GO(ob_npz_open(&z, MAX_FILE, err));
    for (size_t i = 0; i < N_ARRAYS; i++) {
        struct ob_npy a;
        char name[600];

        snprintf(name, sizeof(name), "%s/%s", where, arrays[i].name);
        OB_GO(ob_data_check_room(d, ob_npz_size(&z, arrays[i].name), name, err));
        rc = ob_npz_take(&a, &z, arrays[i].name, err);
        if (rc == OB_ENOTFOUND)
            rc = ob_fail(err, OB_EFORMAT,
                         "'%s' has no array '%s'; x_train, y_train, x_test, y_test are needed",
                         where, arrays[i].name);
        OB_GO(rc);
        OB_GO(arrays[i].take(d, arrays[i].part, &a, name, err));
    }
out:
    ob_npz_release(&z);
    return rc;
}

static int open_npy(struct ob_data *d, const struct ob_data_arg *a, struct ob_err *err)
{
    size_t n = strlen(a->where);

    if (n > 4 && !strcmp(a->where + n - 4, ".npz"))
        return read_archive(d, a->where, err);
    return read_folder(d, a->where, err);
}

const struct ob_source ob_source_npy = { "npy", "", open_npy };
