/* err.c - errors as values. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *obi_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

void obi_clean(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < ' ' || *p == 127 || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)) {
            if (*p == 0xc2) /* a control character beyond ASCII: two bytes */
                *p++ = '?';
            *p = '?';
        }
}

static void fill(struct ob_err *err, int code, int os, const char *where, const char *fmt,
                 va_list ap)
{
    err->code = code;
    err->os_errno = os;
    snprintf(err->where, sizeof(err->where), "%s", where);
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    obi_clean(err->msg);
}

int obi_fail(struct ob_err *err, int code, const char *where, const char *fmt, ...)
{
    va_list ap;

    if (!err || err->code)
        return code;
    va_start(ap, fmt);
    fill(err, code, 0, where, fmt, ap);
    va_end(ap);
    return code;
}

int obi_fail_os(struct ob_err *err, const char *where, const char *fmt, ...)
{
    int os = errno;
    va_list ap;
    size_t n;

    if (!err || err->code)
        return OB_EIO;
    va_start(ap, fmt);
    fill(err, OB_EIO, os, where, fmt, ap);
    va_end(ap);
    n = strlen(err->msg);
    snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", strerror(os));
    return OB_EIO;
}

void ob_err_prefix(struct ob_err *err, const char *fmt, ...)
{
    char head[sizeof(err->msg)], tail[sizeof(err->msg)];
    size_t n;
    va_list ap;

    if (!err || !err->code)
        return;
    va_start(ap, fmt);
    vsnprintf(head, sizeof(head), fmt, ap);
    obi_clean(head);
    va_end(ap);
    memcpy(tail, err->msg, sizeof(tail));
    n = strlen(head);
    memcpy(err->msg, head, n);
    memcpy(err->msg + n, tail, sizeof(tail) - n);
    err->msg[sizeof(err->msg) - 1] = 0;
}
