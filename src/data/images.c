/*
 * images.c - "images:DIR": a folder per class, PNG or JPEG; also as Tiny-ImageNet comes.
 *
 *     DIR/train/CLASS/FILE, and DIR/test/CLASS/FILE or DIR/val/CLASS/FILE. Files may lie one folder
 *     deeper, in CLASS/images.
 *     Tiny-ImageNet: DIR/wnids.txt names the classes; DIR/val/val_annotations.txt has a line per
 *     file of DIR/val/images: its name, a tab, its class, more.
 *
 * Classes are numbered in the order of their names, as bytes; examples are numbered by class, then
 * by name.
 */
#include "data/images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/dir.h"
#include "base/io.h"
#include "base/mem.h"

#define MAX_TEXT ((size_t)1 << 26)
#define PATH 1400

struct images {
    struct ob_ctx *ctx; /* may be NULL */
    const char *root;
    struct ob_dir classes; /* the entries of train/ that are folders */
    struct ob_image_list list[2];
    bool tiny; /* the layout of Tiny-ImageNet */
};

/* ---- files ---- */

static bool ends_in(const char *name, const char *const *ending)
{
    const char *dot = strrchr(name, '.');

    for (; dot && *ending; ending++)
        if (!strcasecmp(dot + 1, *ending))
            return true;
    return false;
}

static bool is_picture(const char *name)
{
    static const char *const endings[] = { "png", "jpg", "jpeg", NULL };

    return ends_in(name, endings);
}

/* Leaving these out without a word would make another data set than the one that is there. */
static bool is_foreign(const char *name)
{
    static const char *const endings[] = { "bmp", "gif", "tif",  "tiff", "webp", "ppm", "pgm",
                                           "pbm", "jp2", "avif", "heic", "jxl",  NULL };

    return ends_in(name, endings);
}

static int join(char out[PATH], const char *a, const char *b, struct ob_err *err)
{
    if ((size_t)snprintf(out, PATH, "%s/%s", a, b) >= PATH)
        return ob_fail(err, OB_EINVAL, "path too long: '%.60s...'", a);
    return OB_OK;
}

static int add_file(struct ob_image_list *l, const char *folder, const char *name, int32_t label,
                    struct ob_err *err)
{
    char path[PATH];

    OB_TRY(join(path, folder, name, err));
    if (l->n == l->room) {
        size_t more = l->room ? l->room * 2 : 256;

        OB_TRY(ob_grow(l->file, l->room, more, err));
        l->room = more;
    }
    OB_TRY(ob_strdup(&l->file[l->n].path, path, err));
    l->file[l->n++].label = label;
    return OB_OK;
}

/* ---- a folder per class ---- */

/* The pictures of `folder`, in order; *inner: it has a folder "images". */
static int take_folder(struct images *im, int part, const char *folder, int32_t label, bool *inner,
                       struct ob_err *err)
{
    struct ob_dir dir = { 0 };
    const char *other = NULL;
    char path[PATH];
    size_t before = im->list[part].n;
    int rc;

    *inner = false;
    OB_GO(join(path, im->root, folder, err));
    OB_GO(ob_dir_read(&dir, path, err));
    for (size_t i = 0; i < dir.n; i++) {
        const struct ob_dir_entry *e = &dir.entry[i];

        if (e->is_dir && !strcmp(e->name, "images"))
            *inner = true;
        else if (e->is_dir)
            other = e->name;
        else if (is_foreign(e->name))
            OB_GO(ob_fail(err, OB_EFORMAT, "'%s/%s' is neither PNG nor JPEG: convert it", path,
                          e->name));
        else if (is_picture(e->name))
            OB_GO(add_file(&im->list[part], folder, e->name, label, err));
    }
    if (*inner && im->list[part].n > before)
        other = "images";
    if (other)
        rc = ob_fail(err, OB_EFORMAT, "'%s/%s' is a folder inside of the folder of a class", path,
                     other);
out:
    ob_dir_release(&dir);
    return rc;
}

static int take_class(struct images *im, int part, const char *folder, size_t label,
                      struct ob_err *err)
{
    size_t before = im->list[part].n;
    char deeper[PATH];
    bool inner;

    OB_TRY(take_folder(im, part, folder, (int32_t)label, &inner, err));
    if (inner) {
        OB_TRY(join(deeper, folder, "images", err));
        OB_TRY(take_folder(im, part, deeper, (int32_t)label, &inner, err));
    }
    if (im->list[part].n == before)
        return ob_fail(err, OB_EFORMAT, "'%s/%s' holds no .png, .jpg or .jpeg file", im->root,
                       folder);
    return OB_OK;
}

/* The folders of DIR/part; files beside them are none of ours, unless they are pictures. */
static int list_classes(struct ob_dir *out, const char *root, const char *part, struct ob_err *err)
{
    struct ob_dir all = { 0 };
    char path[PATH];
    int rc;

    *out = (struct ob_dir){ 0 };
    OB_TRY(join(path, root, part, err));
    OB_TRY(ob_dir_read(&all, path, err));
    OB_GO(ob_alloc(out->entry, all.n, err));
    for (size_t i = 0; i < all.n; i++) {
        struct ob_dir_entry *e = &all.entry[i];

        if (!e->is_dir && (is_picture(e->name) || is_foreign(e->name)))
            OB_GO(ob_fail(err, OB_EFORMAT, "'%s/%s' lies in no folder of a class", path, e->name));
        if (!e->is_dir)
            continue;
        out->entry[out->n++] = *e;
        e->name = NULL;
    }
    if (!out->n)
        rc = ob_fail(err, OB_EFORMAT, "'%s' holds no folders: one per class is needed", path);
out:
    ob_dir_release(&all);
    if (rc)
        ob_dir_release(out);
    return rc;
}

static int same_classes(const struct ob_dir *train, const struct ob_dir *test, const char *root,
                        const char *part, struct ob_err *err)
{
    for (size_t i = 0, j = 0; i < train->n || j < test->n; i++, j++) {
        int order = i == train->n  ? 1
                    : j == test->n ? -1
                                   : strcmp(train->entry[i].name, test->entry[j].name);

        if (order)
            return ob_fail(err, OB_EFORMAT, "'%s' has a class '%s' that '%s' has not (in '%s')",
                           order < 0 ? "train" : part,
                           order < 0 ? train->entry[i].name : test->entry[j].name,
                           order < 0 ? part : "train", root);
    }
    return OB_OK;
}

static int take_classes(struct images *im, int part, const char *name, struct ob_err *err)
{
    for (size_t c = 0; c < im->classes.n; c++) {
        char folder[PATH];

        OB_TRY(join(folder, name, im->classes.entry[c].name, err));
        OB_TRY(take_class(im, part, folder, c, err));
    }
    return OB_OK;
}

static int take_test(struct images *im, const char *name, struct ob_err *err)
{
    struct ob_dir classes;
    int rc;

    OB_TRY(list_classes(&classes, im->root, name, err));
    OB_GO(same_classes(&im->classes, &classes, im->root, name, err));
    OB_GO(take_classes(im, OB_TEST, name, err));
out:
    ob_dir_release(&classes);
    return rc;
}

/* ---- Tiny-ImageNet ---- */

static long class_of(const struct images *im, const char *name, size_t n)
{
    for (size_t low = 0, high = im->classes.n; low < high;) {
        size_t middle = low + (high - low) / 2;
        const char *there = im->classes.entry[middle].name;
        int order = strncmp(name, there, n);

        order = order ? order : -(there[n] != 0);
        if (!order)
            return (long)middle;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* The next word of text[*at..n), up to a tab or the end of a line; false at the end of the line. */
static bool next_word(const struct ob_file *f, size_t *at, const char **word, size_t *n)
{
    const char *text = (const char *)f->data;
    size_t start = *at;

    while (*at < f->n && !strchr("\t\r\n", text[*at]))
        (*at)++;
    *word = text + start;
    *n = *at - start;
    if (*at < f->n && text[*at] == '\t')
        (*at)++;
    return *n > 0;
}

static void next_line(const struct ob_file *f, size_t *at)
{
    while (*at < f->n && f->data[(*at)++] != '\n')
        ;
}

/* Every class that wnids.txt names has its folder, and no other is there. */
static int check_wnids(const struct images *im, const struct ob_file *f, struct ob_err *err)
{
    unsigned char *seen;
    const char *word;
    size_t n, n_seen = 0;
    int rc = OB_OK;

    OB_TRY(ob_alloc(seen, im->classes.n, err));
    for (size_t at = 0; at < f->n && !rc; next_line(f, &at)) {
        long c;

        if (!next_word(f, &at, &word, &n))
            continue;
        c = class_of(im, word, n);
        if (c < 0)
            rc = ob_fail(err, OB_EFORMAT,
                         "'%s' names a class '%.*s', but '%s/train' has no such "
                         "folder",
                         f->path, (int)(n < 60 ? n : 60), word, im->root);
        else
            n_seen += !seen[c]++;
    }
    for (size_t c = 0; c < im->classes.n && !rc && n_seen < im->classes.n; c++)
        if (!seen[c])
            rc = ob_fail(err, OB_EFORMAT, "'%s/train/%s' is no class that '%s' names", im->root,
                         im->classes.entry[c].name, f->path);
    ob_free(seen);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    const struct ob_image_file *x = a, *y = b;

    return strcmp(x->path, y->path);
}

static int by_label(const void *a, const void *b)
{
    const struct ob_image_file *x = a, *y = b;

    return x->label != y->label ? (x->label > y->label) - (x->label < y->label) : by_path(a, b);
}

/* Gives the file "val/images/NAME" its class. */
static int annotate(struct images *im, const struct ob_file *f, size_t line, const char *name,
                    size_t n_name, const char *class, size_t n_class, struct ob_err *err)
{
    struct ob_image_list *l = &im->list[OB_TEST];
    char path[PATH];
    struct ob_image_file key = { path, 0 }, *found;
    long c = class_of(im, class, n_class);

    if (n_name > 255)
        n_name = 255;
    snprintf(path, sizeof(path), "val/images/%.*s", (int)n_name, name);
    found = l->n ? bsearch(&key, l->file, l->n, sizeof(*l->file), by_path) : NULL;
    if (!found)
        return ob_fail(err, OB_EFORMAT, "'%s', line %zu: there is no file '%s/%s'", f->path, line,
                       im->root, path);
    if (found->label >= 0)
        return ob_fail(err, OB_EFORMAT, "'%s', line %zu: '%.*s' stands there twice", f->path, line,
                       (int)n_name, name);
    if (c < 0)
        return ob_fail(err, OB_EFORMAT, "'%s', line %zu: no class '%.*s' in '%s/train'", f->path,
                       line, (int)(n_class < 60 ? n_class : 60), class, im->root);
    found->label = (int32_t)c;
    return OB_OK;
}

static int read_annotations(struct images *im, const struct ob_file *f, struct ob_err *err)
{
    size_t at = 0, n_name, n_class;
    const char *name, *class;

    for (size_t line = 1; at < f->n; line++, next_line(f, &at)) {
        if (!next_word(f, &at, &name, &n_name))
            continue;
        if (!next_word(f, &at, &class, &n_class))
            return ob_fail(err, OB_EFORMAT,
                           "'%s', line %zu: a file, a tab and its class are needed", f->path, line);
        OB_TRY(annotate(im, f, line, name, n_name, class, n_class, err));
    }
    return OB_OK;
}

static int take_annotated(struct images *im, const char *path, struct ob_err *err)
{
    struct ob_image_list *l = &im->list[OB_TEST];
    struct ob_file f = { 0 };
    bool inner;
    int rc;

    OB_TRY(take_folder(im, OB_TEST, "val/images", -1, &inner, err));
    OB_GO(ob_file_read(&f, path, MAX_TEXT, false, err));
    OB_GO(read_annotations(im, &f, err));
    for (size_t i = 0; i < l->n; i++)
        if (l->file[i].label < 0)
            OB_GO(ob_fail(err, OB_EFORMAT, "'%s' does not say of which class '%s/%s' is", path,
                          im->root, l->file[i].path));
    if (!l->n)
        OB_GO(ob_fail(err, OB_EFORMAT, "'%s/val/images' holds no .png, .jpg or .jpeg file",
                      im->root));
    qsort(l->file, l->n, sizeof(*l->file), by_label);
out:
    ob_file_release(&f);
    return rc;
}

/* Its test/ has no labels, so val/ is the test part: as it comes, or sorted into classes since. */
static int take_tiny(struct images *im, const char *wnids, struct ob_err *err)
{
    struct ob_file f;
    char path[PATH];
    int rc;

    OB_TRY(ob_file_read(&f, wnids, MAX_TEXT, false, err));
    rc = check_wnids(im, &f, err);
    ob_file_release(&f);
    OB_TRY(rc);
    OB_TRY(join(path, im->root, "val/val_annotations.txt", err));
    if (!ob_file_exists(path))
        return take_test(im, "val", err);
    return take_annotated(im, path, err);
}

/* ---- the whole ---- */

/* A name as text: what is not UTF-8, or no character to print, becomes '?'; cut where it is long. */
static void take_name(char out[32], const char *name)
{
    size_t n = 0;

    for (const unsigned char *p = (const unsigned char *)name; *p;) {
        size_t k = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;
        bool good = k && *p >= ' ' && *p != 127 && *p != 0xc0 && *p != 0xc1 && *p < 0xf5;

        for (size_t i = 1; good && i < k; i++)
            good = p[i] >> 6 == 2;
        if (good && k > 2) /* longer than need be, surrogates, beyond the last */
            good = !((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
                     (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f));
        k = good ? k : 1;
        if (n + k >= 32)
            break;
        if (good)
            memcpy(out + n, p, k);
        else
            out[n] = '?';
        n += k;
        p += k;
    }
    out[n] = 0;
}

static int name_classes(struct ob_data *d, const struct images *im, struct ob_err *err)
{
    OB_TRY(ob_alloc(d->class_name, im->classes.n, err));
    for (size_t c = 0; c < im->classes.n; c++)
        take_name(d->class_name[c], im->classes.entry[c].name);
    d->info.n_classes = (int)im->classes.n;
    return OB_OK;
}

/* `asked`: test-from=, or NULL. */
static int list_test(struct images *im, const char *asked, struct ob_err *err)
{
    char test[PATH], val[PATH], wnids[PATH];
    bool has_test, has_val;

    OB_TRY(join(wnids, im->root, "wnids.txt", err));
    OB_TRY(join(test, im->root, "test", err));
    OB_TRY(join(val, im->root, "val", err));
    im->tiny = ob_file_exists(wnids);
    if (!asked && im->tiny)
        return take_tiny(im, wnids, err);
    has_test = ob_file_exists(test);
    has_val = ob_file_exists(val);
    if (!asked && !has_test && !has_val)
        return ob_fail(err, OB_ENOTFOUND, "'%s' has neither a folder test nor val", im->root);
    if (!asked && has_test && has_val && im->ctx)
        ob_log(im->ctx, OB_LOG_INFO,
               "'%s' has test and val: test is the test part (',test-from=val' takes the other)",
               im->root);
    return take_test(im, asked ? asked : has_test ? "test" : "val", err);
}

static int list_files(struct images *im, const char *asked, struct ob_err *err)
{
    OB_TRY(list_classes(&im->classes, im->root, "train", err));
    if (im->classes.n > 65536)
        return ob_fail(err, OB_EFORMAT,
                       "'%s/train' holds %zu folders; at most 65536 classes can be", im->root,
                       im->classes.n);
    OB_TRY(take_classes(im, OB_TRAIN, "train", err));
    return list_test(im, asked, err);
}

static bool is_whole_tiny(const struct ob_data_info *i)
{
    return i->n_classes == 200 && i->channels == 3 && i->height == 64 && i->width == 64;
}

static int open_images(struct ob_data *d, const struct ob_data_arg *a, struct ob_err *err)
{
    struct images im = { .ctx = d->ctx, .root = a->where };
    const char *asked = a->n ? a->value[0] : NULL; /* there is only "test-from" */
    int rc;

    if (asked && strcmp(asked, "test") && strcmp(asked, "val"))
        return ob_fail(err, OB_EINVAL, "'test-from=%s': test or val is needed", asked);
    OB_GO(list_files(&im, asked, err));
    OB_GO(name_classes(d, &im, err));
    OB_GO(ob_images_read(d, im.list, im.root, err));
    if (im.tiny && is_whole_tiny(&d->info))
        d->info.name = "tiny-imagenet";
out:
    for (int p = 0; p < 2; p++) {
        for (size_t i = 0; i < im.list[p].n; i++)
            ob_free(im.list[p].file[i].path);
        ob_free(im.list[p].file);
    }
    ob_dir_release(&im.classes);
    return rc;
}

const struct ob_source ob_source_images = { "images", "test-from", open_images };
