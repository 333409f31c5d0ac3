/* str.c - a string that grows; numbers in text; distances between words. */
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int reserve(struct ob_str *s, size_t more)
{
    size_t need = s->n + more + 1, room = s->room ? s->room : 128;

    if (s->failed)
        return -1;
    while (room < need)
        room *= 2;
    if (room != s->room) {
        if (ob_grow(s->s, s->room, room, NULL)) {
            s->failed = 1;
            return -1;
        }
        s->room = room;
    }
    return 0;
}

void ob_str_addn(struct ob_str *s, const char *text, size_t n)
{
    if (reserve(s, n))
        return;
    memcpy(s->s + s->n, text, n);
    s->n += n;
    s->s[s->n] = 0;
}

void ob_str_add(struct ob_str *s, const char *text)
{
    ob_str_addn(s, text, strlen(text));
}

void ob_str_addf(struct ob_str *s, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || reserve(s, (size_t)n))
        return;
    va_start(ap, fmt);
    vsnprintf(s->s + s->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    s->n += (size_t)n;
}

const char *ob_str_text(const struct ob_str *s)
{
    return s->s ? s->s : "";
}

int ob_str_check(const struct ob_str *s, struct ob_err *err)
{
    return s->failed ? ob_fail(err, OB_ENOMEM, "out of memory") : OB_OK;
}

void ob_str_release(struct ob_str *s)
{
    ob_free(s->s);
    *s = (struct ob_str){ 0 };
}

int ob_str_distance(const char *a, const char *b)
{
    int row[65], n = (int)strnlen(b, 64), m = (int)strnlen(a, 64);

    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; i <= m; i++) {
        int diagonal = row[0];

        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            int best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;

            diagonal = row[j];
            row[j] = change < best ? change : best;
        }
    }
    return row[n];
}

int ob_str_double(const char *text, double *out)
{
    char *end;

    errno = 0;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

int ob_str_digits(double x)
{
    char text[40];
    double back;

    for (int digits = 9; digits < 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, x);
        if (ob_str_double(text, &back) && back == x)
            return digits;
    }
    return 17;
}

int ob_str_int(const char *text, int64_t *out)
{
    char *end;
    long long x;

    errno = 0;
    x = strtoll(text, &end, 10);
    *out = x;
    return end != text && !*end && !errno;
}
