/* str.h - a string that grows; distances between words for "did you mean". */
#ifndef OB_BASE_STR_H
#define OB_BASE_STR_H

#include "base/err.h"

struct ob_str {
    char *s; /* NULL while empty */
    size_t n, room;
    int failed; /* an append ran out of memory: the text is incomplete */
};
void ob_str_add(struct ob_str *s, const char *text);
void ob_str_addn(struct ob_str *s, const char *text, size_t n);
void ob_str_addf(struct ob_str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *ob_str_text(const struct ob_str *s);              /* never NULL */
int ob_str_check(const struct ob_str *s, struct ob_err *err); /* OB_ENOMEM if one failed */
void ob_str_release(struct ob_str *s);

int ob_str_distance(const char *a, const char *b); /* edits; at most 64 characters are looked at */
/* Parses a whole string; false: not a number, or something after it. */
int ob_str_double(const char *text, double *out);
int ob_str_int(const char *text, int64_t *out);
/* So many significant digits, 9 to 17, that their decimal reads back as x. */
int ob_str_digits(double x);

#endif
