/*
 * images_tiny.c - "images:DIR" where DIR is Tiny-ImageNet, as it comes.
 *
 *     DIR/wnids.txt names the classes, one a line; DIR/train/CLASS/images has their pictures;
 *     DIR/val/val_annotations.txt has a line per file of DIR/val/images: its name, a tab, its class,
 *     more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "data/images.h"

#define MAX_TEXT ((size_t)1 << 26)
#define PATH OB_IMAGES_PATH

static long class_of(const struct ob_images *im, const char *name, size_t n)
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
static int check_wnids(const struct ob_images *im, const struct ob_file *f, struct ob_err *err)
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
static int annotate(struct ob_images *im, const struct ob_file *f, size_t line, const char *name,
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

static int read_annotations(struct ob_images *im, const struct ob_file *f, struct ob_err *err)
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

static int take_annotated(struct ob_images *im, const char *path, struct ob_err *err)
{
    struct ob_image_list *l = &im->list[OB_TEST];
    struct ob_file f = { 0 };
    bool inner;
    int rc;

    OB_TRY(ob_images_take_folder(im, OB_TEST, "val/images", -1, &inner, err));
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
int ob_images_take_tiny(struct ob_images *im, const char *wnids, struct ob_err *err)
{
    struct ob_file f;
    char path[PATH], pictures[PATH];
    int rc;

    OB_TRY(ob_file_read(&f, wnids, MAX_TEXT, false, err));
    rc = check_wnids(im, &f, err);
    ob_file_release(&f);
    OB_TRY(rc);
    OB_TRY(ob_images_join(pictures, im->root, "val/images", err));
    OB_TRY(ob_images_join(path, im->root, "val/val_annotations.txt", err));
    if (!ob_file_exists(path) || !ob_file_exists(pictures)) /* sorted, with or without that file */
        return ob_images_take_test(im, "val", err);
    return take_annotated(im, path, err);
}
