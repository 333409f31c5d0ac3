/*
 * images.c - "images:DIR": a folder per class, PNG or JPEG; also as Tiny-ImageNet comes.
 *
 *     DIR/train/CLASS/FILE, and DIR/test/CLASS/FILE or DIR/val/CLASS/FILE. Files may lie one folder
 *     deeper, in CLASS/images.
 *     Tiny-ImageNet's layout: images_tiny.c.
 *
 * Classes are numbered in the order of their names, as bytes; examples are numbered by class, then
 * by name.
 */
#include "data/images.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/io.h"
#include "base/mem.h"

#define PATH OB_IMAGES_PATH

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

int ob_images_join(char out[PATH], const char *a, const char *b, struct ob_err *err)
{
    if ((size_t)snprintf(out, PATH, "%s/%s", a, b) >= PATH)
        return ob_fail(err, OB_EINVAL, "path too long: '%.60s...'", a);
    return OB_OK;
}

static int add_file(struct ob_image_list *l, const char *folder, const char *name, int32_t label,
                    struct ob_err *err)
{
    char path[PATH];

    OB_TRY(ob_images_join(path, folder, name, err));
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

/* Without its folder a class would be gone without a word, and those after it have other numbers. */
static int check_found(const struct ob_dir_entry *e, const char *path, struct ob_err *err)
{
    if (e->is_lost)
        return ob_fail(err, OB_EFORMAT, "'%s/%s' is a link to nothing: mend or remove it", path,
                       e->name);
    return OB_OK;
}

int ob_images_take_folder(struct ob_images *im, int part, const char *folder, int32_t label,
                          bool *inner, struct ob_err *err)
{
    struct ob_dir dir = { 0 };
    const char *other = NULL;
    char path[PATH];
    size_t before = im->list[part].n;
    int rc;

    *inner = false;
    OB_GO(ob_images_join(path, im->root, folder, err));
    OB_GO(ob_dir_read(&dir, path, err));
    for (size_t i = 0; i < dir.n; i++) {
        const struct ob_dir_entry *e = &dir.entry[i];

        OB_GO(check_found(e, path, err));
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

static int take_class(struct ob_images *im, int part, const char *folder, size_t label,
                      struct ob_err *err)
{
    size_t before = im->list[part].n;
    char deeper[PATH];
    bool inner;

    OB_TRY(ob_images_take_folder(im, part, folder, (int32_t)label, &inner, err));
    if (inner) {
        OB_TRY(ob_images_join(deeper, folder, "images", err));
        OB_TRY(ob_images_take_folder(im, part, deeper, (int32_t)label, &inner, err));
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
    OB_TRY(ob_images_join(path, root, part, err));
    OB_TRY(ob_dir_read(&all, path, err));
    OB_GO(ob_alloc(out->entry, all.n, err));
    for (size_t i = 0; i < all.n; i++) {
        struct ob_dir_entry *e = &all.entry[i];

        OB_GO(check_found(e, path, err));
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

static int take_classes(struct ob_images *im, int part, const char *name, struct ob_err *err)
{
    for (size_t c = 0; c < im->classes.n; c++) {
        char folder[PATH];

        OB_TRY(ob_images_join(folder, name, im->classes.entry[c].name, err));
        OB_TRY(take_class(im, part, folder, c, err));
    }
    return OB_OK;
}

int ob_images_take_test(struct ob_images *im, const char *name, struct ob_err *err)
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

static int name_classes(struct ob_data *d, const struct ob_images *im, struct ob_err *err)
{
    OB_TRY(ob_alloc(d->class_name, im->classes.n, err));
    for (size_t c = 0; c < im->classes.n; c++)
        take_name(d->class_name[c], im->classes.entry[c].name);
    d->info.n_classes = (int)im->classes.n;
    return OB_OK;
}

/* `asked`: test-from=, or NULL. */
static int list_test(struct ob_images *im, const char *asked, struct ob_err *err)
{
    char test[PATH], val[PATH], wnids[PATH];
    bool has_test, has_val;

    OB_TRY(ob_images_join(wnids, im->root, "wnids.txt", err));
    OB_TRY(ob_images_join(test, im->root, "test", err));
    OB_TRY(ob_images_join(val, im->root, "val", err));
    im->tiny = ob_file_exists(wnids);
    if (im->tiny && (!asked || !strcmp(asked, "val")))
        return ob_images_take_tiny(im, wnids, err);
    has_test = ob_file_exists(test);
    has_val = ob_file_exists(val);
    if (!asked && !has_test && !has_val)
        return ob_fail(err, OB_ENOTFOUND, "'%s' has neither a folder test nor val", im->root);
    if (!asked && has_test && has_val && im->ctx)
        ob_log(im->ctx, OB_LOG_INFO,
               "'%s' has test and val: test is the test part (',test-from=val' takes the other)",
               im->root);
    return ob_images_take_test(im, asked ? asked : has_test ? "test" : "val", err);
}

static int list_files(struct ob_images *im, const char *asked, struct ob_err *err)
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
    struct ob_images im = { .ctx = d->ctx, .root = a->where };
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
