/* io.c - reading files from outside with care; writing files whole or not at all. */
#define _XOPEN_SOURCE 700
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/unpack.h"

/* ---- reading ---- */

static int read_all(struct ob_file *f, int fd, size_t n, struct ob_err *err)
{
    OB_TRY(ob_alloc(f->data, n, err));
    while (f->n < n) {
        ssize_t got = read(fd, f->data + f->n, n - f->n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ob_fail_os(err, "cannot read '%s'", f->path);
        if (!got)
            return ob_fail(err, OB_EFORMAT, "'%s' became shorter while it was read", f->path);
        f->n += (size_t)got;
    }
    return OB_OK;
}

static int read_open(struct ob_file *f, int fd, size_t max, struct ob_err *err)
{
    struct stat st;

    if (fstat(fd, &st))
        return ob_fail_os(err, "cannot read '%s'", f->path);
    if (S_ISDIR(st.st_mode))
        return ob_fail(err, OB_EFORMAT, "'%s' is a folder, not a file", f->path);
    if (!S_ISREG(st.st_mode))
        return ob_fail(err, OB_EFORMAT, "'%s' is not a regular file", f->path);
    f->beyond = (uint64_t)st.st_size > max;
    if (f->beyond)
        return ob_fail(err, OB_EFORMAT, "'%s' is too large: %lld bytes, at most %zu make sense",
                       f->path, (long long)st.st_size, max);
    return read_all(f, fd, (size_t)st.st_size, err);
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && !strcmp(text + n - m, end);
}

static int unpack(struct ob_file *f, size_t max, struct ob_err *err)
{
    struct ob_bytes out = { 0 };
    int rc;

    if (ends_in(f->path, ".gz"))
        rc = ob_unpack_gz(&out, f->data, f->n, max, f->path, err);
    else if (ends_in(f->path, ".xz"))
        rc = ob_unpack_xz(&out, f->data, f->n, max, f->path, err);
    else
        return OB_OK;
    ob_free(f->data);
    f->data = out.data;
    f->n = out.n;
    f->beyond = out.beyond;
    return rc;
}

int ob_file_read(struct ob_file *out, const char *path, size_t max, bool packed, struct ob_err *err)
{
    int fd, rc;

    *out = (struct ob_file){ 0 };
    if (strlen(path) >= sizeof(out->path))
        return ob_fail(err, OB_EINVAL, "path too long: '%.60s...'", path);
    memcpy(out->path, path, strlen(path) + 1);
    /* not blocking: opening a pipe must not wait for somebody at its other end */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return ob_fail(err, OB_ENOTFOUND, "cannot read '%s': %s", path, strerror(errno));
    if (fd < 0)
        return ob_fail_os(err, "cannot read '%s'", path);
    rc = read_open(out, fd, max, err);
    close(fd);
    if (!rc && packed)
        rc = unpack(out, max, err);
    if (rc)
        ob_file_release(out);
    return rc;
}

int ob_file_read_any(struct ob_file *out, const char *path, size_t max, struct ob_err *err)
{
    static const char *const ending[] = { "", ".gz", ".xz" };

    *out = (struct ob_file){ 0 };
    for (int i = 0; i < 3; i++) {
        char full[sizeof(out->path)];

        if ((size_t)snprintf(full, sizeof(full), "%s%s", path, ending[i]) >= sizeof(full))
            return ob_fail(err, OB_EINVAL, "path too long: '%.60s...'", path);
        if (ob_file_exists(full))
            return ob_file_read(out, full, max, true, err);
    }
    return ob_fail(err, OB_ENOTFOUND, "cannot read '%s' (nor .gz, nor .xz): %s", path,
                   strerror(ENOENT));
}

void ob_file_release(struct ob_file *f)
{
    ob_free(f->data);
    f->data = NULL;
    f->n = 0;
}

bool ob_file_exists(const char *path)
{
    struct stat st;

    return !stat(path, &st);
}

size_t ob_file_size(const char *path)
{
    struct stat st;

    return stat(path, &st) ? 0 : (size_t)st.st_size;
}

bool ob_text_read(const char *path, char *out, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t n = 0;
    ssize_t got = 1;

    while (fd >= 0 && n + 1 < room && got > 0) {
        got = read(fd, out + n, room - 1 - n);
        n += got > 0 ? (size_t)got : 0;
    }
    out[n] = 0;
    if (fd >= 0)
        close(fd);
    return n > 0;
}

bool ob_take(struct ob_reader *r, const unsigned char **out, size_t n)
{
    if (r->left < n)
        return false;
    *out = r->p;
    r->p += n;
    r->left -= n;
    r->pos += n;
    return true;
}

bool ob_take_u16le(struct ob_reader *r, uint16_t *out)
{
    const unsigned char *p;

    if (!ob_take(r, &p, 2))
        return false;
    *out = (uint16_t)(p[0] | p[1] << 8);
    return true;
}

bool ob_take_u32le(struct ob_reader *r, uint32_t *out)
{
    const unsigned char *p;

    if (!ob_take(r, &p, 4))
        return false;
    *out = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    return true;
}

bool ob_take_u32be(struct ob_reader *r, uint32_t *out)
{
    const unsigned char *p;

    if (!ob_take(r, &p, 4))
        return false;
    *out = (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
    return true;
}

bool ob_take_u64le(struct ob_reader *r, uint64_t *out)
{
    uint32_t low, high;

    if (r->left < 8)
        return false;
    ob_take_u32le(r, &low);
    ob_take_u32le(r, &high);
    *out = low | (uint64_t)high << 32;
    return true;
}

/* ---- writing ---- */

#define BUFFER ((size_t)64 << 10)

struct ob_writer {
    int fd, folder;
    size_t fill, pos;
    struct ob_err err; /* the first failure */
    char *path, *tmp;
    unsigned char buffer[BUFFER];
};

/* Only tests set it; the library itself keeps no state between calls. */
static atomic_size_t fail_at;

void obi_io_fail_at(size_t n)
{
    atomic_store(&fail_at, n);
}

static bool fails_now(int code)
{
    if (!atomic_load(&fail_at) || atomic_fetch_sub(&fail_at, 1) != 1)
        return false;
    errno = code;
    return true;
}

static int writer_fail(struct ob_writer *w)
{
    return ob_fail_os(&w->err, "cannot write '%s'", w->path);
}

static void write_out(struct ob_writer *w, const unsigned char *p, size_t n)
{
    while (n && !w->err.code) {
        ssize_t put = fails_now(ENOSPC) ? -1 : write(w->fd, p, n);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            writer_fail(w);
            return;
        }
        p += put;
        n -= (size_t)put;
    }
}

static void flush(struct ob_writer *w)
{
    write_out(w, w->buffer, w->fill);
    w->fill = 0;
}

void ob_write(struct ob_writer *w, const void *data, size_t n)
{
    w->pos += n;
    if (n > BUFFER - w->fill)
        flush(w);
    if (n > BUFFER) {
        write_out(w, data, n);
    } else if (n) {
        memcpy(w->buffer + w->fill, data, n);
        w->fill += n;
    }
}

void ob_write_u16le(struct ob_writer *w, uint16_t x)
{
    unsigned char b[2] = { (unsigned char)x, (unsigned char)(x >> 8) };

    ob_write(w, b, 2);
}

void ob_write_u32le(struct ob_writer *w, uint32_t x)
{
    ob_write_u16le(w, (uint16_t)x);
    ob_write_u16le(w, (uint16_t)(x >> 16));
}

void ob_write_u64le(struct ob_writer *w, uint64_t x)
{
    ob_write_u32le(w, (uint32_t)x);
    ob_write_u32le(w, (uint32_t)(x >> 32));
}

void ob_writef(struct ob_writer *w, const char *fmt, ...)
{
    char small[512], *text = small;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof(small)) {
        if (ob_alloc(text, (size_t)n + 1, &w->err))
            return;
        va_start(ap, fmt);
        vsnprintf(text, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    if (n > 0)
        ob_write(w, text, (size_t)n);
    if (text != small)
        ob_free(text);
}

size_t ob_writer_pos(const struct ob_writer *w)
{
    return w->pos;
}

/* The folder that `path` lies in, open, so that its fsync cannot fail for want of a handle. */
static int open_folder(struct ob_writer *w, struct ob_err *err)
{
    const char *slash = strrchr(w->path, '/');
    char *folder;

    OB_TRY(ob_strdup(&folder, slash ? w->path : ".", err));
    if (slash)
        folder[slash == w->path ? 1 : slash - w->path] = 0;
    w->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ob_free(folder);
    return w->folder < 0 ? ob_fail_os(err, "cannot write '%s'", w->path) : OB_OK;
}

/* Like mkstemp(), but with the usual mode: 0666 less the umask. */
static int open_temporary(struct ob_writer *w, struct ob_err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
    size_t n = strlen(w->path);

    OB_TRY(ob_alloc(w->tmp, n + sizeof(".tmp.XXXXXX"), err));
    for (uint64_t attempt = 0; attempt < 100; attempt++) {
        struct timespec now;
        uint64_t x;

        clock_gettime(CLOCK_MONOTONIC, &now);
        x = (uint64_t)now.tv_nsec ^ (uint64_t)getpid() << 32 ^ attempt << 16;
        x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
        memcpy(w->tmp, w->path, n);
        memcpy(w->tmp + n, ".tmp.", 5);
        for (size_t i = 0; i < 6; i++)
            w->tmp[n + 5 + i] = letters[x >> (34 + 5 * i) & 31];
        w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd >= 0 || errno != EEXIST)
            break;
    }
    return w->fd < 0 ? ob_fail_os(err, "cannot write '%s'", w->path) : OB_OK;
}

/* Renaming over a link would replace the link, not what it leads to. */
static int follow_link(struct ob_writer *w, struct ob_err *err)
{
    struct stat st;
    char *real;
    int rc;

    if (lstat(w->path, &st) || !S_ISLNK(st.st_mode) || stat(w->path, &st))
        return OB_OK; /* a link to nowhere is replaced */
    real = realpath(w->path, NULL);
    if (!real)
        return ob_fail_os(err, "cannot write '%s'", w->path);
    ob_free(w->path);
    rc = ob_strdup(&w->path, real, err);
    free(real);
    return rc;
}

int ob_writer_open(struct ob_writer **out, const char *path, struct ob_err *err)
{
    struct ob_writer *w;
    struct stat st;
    int rc;

    *out = NULL;
    OB_TRY(ob_alloc(w, 1, err));
    w->fd = w->folder = -1;
    OB_GO(ob_strdup(&w->path, path, err));
    /* renaming over a device would replace it */
    if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
        rc = ob_fail(err, OB_EIO, "cannot write '%s': it is %s", path,
                     S_ISDIR(st.st_mode) ? "a folder" : "not a regular file");
        goto out;
    }
    OB_GO(follow_link(w, err));
    OB_GO(open_folder(w, err));
    OB_GO(open_temporary(w, err));
    *out = w;
out:
    if (rc)
        ob_writer_drop(w);
    return rc;
}

void ob_writer_drop(struct ob_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0) {
        close(w->fd);
        unlink(w->tmp);
    }
    if (w->folder >= 0)
        close(w->folder);
    ob_free(w->path);
    ob_free(w->tmp);
    ob_free(w);
}

/* Everything on the disk, and the handle closed; w->fd stays valid only on failure. */
static int finish(struct ob_writer *w)
{
    flush(w);
    if (w->err.code)
        return w->err.code;
    if (fails_now(EIO) || fsync(w->fd))
        return writer_fail(w);
    if (close(w->fd)) {
        writer_fail(w);
        w->fd = -1;
        unlink(w->tmp);
        return w->err.code;
    }
    w->fd = -1;
    if (fails_now(EIO) || rename(w->tmp, w->path)) {
        writer_fail(w);
        unlink(w->tmp);
        return w->err.code;
    }
    /* file systems that cannot sync a folder say EINVAL */
    if (fails_now(EIO) || (fsync(w->folder) && errno != EINVAL && errno != EROFS))
        return writer_fail(w);
    return OB_OK;
}

int ob_writer_commit(struct ob_writer *w, struct ob_err *err)
{
    int rc = finish(w);

    if (rc && err && !err->code)
        *err = w->err;
    ob_writer_drop(w);
    return rc;
}

int ob_file_write(const char *path, const void *data, size_t n, struct ob_err *err)
{
    struct ob_writer *w;

    OB_TRY(ob_writer_open(&w, path, err));
    ob_write(w, data, n);
    return ob_writer_commit(w, err);
}

int ob_file_append(const char *path, const char *line, struct ob_err *err)
{
    size_t n = strlen(line);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    ssize_t done;

    if (fd < 0)
        return ob_fail_os(err, "cannot write '%s'", path);
    done = fails_now(ENOSPC) ? -1 : write(fd, line, n);
    if (done != (ssize_t)n) {
        int rc = ob_fail_os(err, "cannot write '%s'", path);

        close(fd);
        return rc;
    }
    return close(fd) ? ob_fail_os(err, "cannot write '%s'", path) : OB_OK;
}

int ob_file_remove(const char *path, struct ob_err *err)
{
    if (unlink(path) && errno != ENOENT)
        return ob_fail_os(err, "cannot remove '%s'", path);
    return OB_OK;
}

int ob_mkdir(const char *path, struct ob_err *err)
{
    struct stat st;

    if (!mkdir(path, 0777) || (errno == EEXIST && !stat(path, &st) && S_ISDIR(st.st_mode)))
        return OB_OK;
    return ob_fail_os(err, "cannot make folder '%s'", path);
}
