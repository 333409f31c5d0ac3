/* dir.c - folders: what is in them, in an order of their own; making them with their parents. */
#define _DEFAULT_SOURCE
#include "base/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/mem.h"

static int by_name(const void *a, const void *b)
{
    const struct ob_dir_entry *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static void look_at(struct ob_dir_entry *out, DIR *dir, const struct dirent *e)
{
    struct stat st = { 0 };

    out->is_dir = e->d_type == DT_DIR;
    if (e->d_type == DT_DIR || e->d_type == DT_REG)
        return;
    out->is_lost = fstatat(dirfd(dir), e->d_name, &st, 0) != 0;
    out->is_dir = !out->is_lost && S_ISDIR(st.st_mode);
}

static int read_entries(struct ob_dir *out, DIR *dir, const char *path, struct ob_err *err)
{
    const struct dirent *e;
    size_t room = 0;

    for (errno = 0; (e = readdir(dir)); errno = 0) {
        if (e->d_name[0] == '.')
            continue;
        if (out->n == room) {
            size_t more = room ? room * 2 : 64;

            OB_TRY(ob_grow(out->entry, room, more, err));
            room = more;
        }
        OB_TRY(ob_strdup(&out->entry[out->n].name, e->d_name, err));
        look_at(&out->entry[out->n++], dir, e);
    }
    return errno ? ob_fail_os(err, "cannot read folder '%s'", path) : OB_OK;
}

int ob_dir_read(struct ob_dir *out, const char *path, struct ob_err *err)
{
    DIR *dir = opendir(path);
    int rc;

    *out = (struct ob_dir){ 0 };
    if (!dir && errno == ENOENT)
        return ob_fail(err, OB_ENOTFOUND, "there is no folder '%s'", path);
    if (!dir && errno == ENOTDIR)
        return ob_fail(err, OB_EFORMAT, "'%s' is not a folder", path);
    if (!dir)
        return ob_fail_os(err, "cannot read folder '%s'", path);
    rc = read_entries(out, dir, path, err);
    closedir(dir);
    if (rc)
        ob_dir_release(out);
    else if (out->n)
        qsort(out->entry, out->n, sizeof(*out->entry), by_name);
    return rc;
}

void ob_dir_release(struct ob_dir *d)
{
    for (size_t i = 0; i < d->n; i++)
        ob_free(d->entry[i].name);
    ob_free(d->entry);
    *d = (struct ob_dir){ 0 };
}

int ob_mkdirs(const char *path, struct ob_err *err)
{
    char *part;
    int rc = OB_OK;

    OB_TRY(ob_strdup(&part, path, err));
    for (char *p = part; *p && !rc; p++) {
        if (*p != '/' || p == part)
            continue;
        *p = 0;
        rc = ob_mkdir(part, err);
        *p = '/';
    }
    if (!rc)
        rc = ob_mkdir(part, err);
    ob_free(part);
    return rc;
}
