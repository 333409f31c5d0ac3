/* err.h - errors as values: who notices writes the message, callers pass the code on. */
#ifndef OB_BASE_ERR_H
#define OB_BASE_ERR_H

#include <oubli.h>

#define OB_STR_(x) #x
#define OB_STR(x) OB_STR_(x)

/* Fills *err unless it already holds a failure; returns `code`. */
int obi_fail(struct ob_err *err, int code, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* As obi_fail, with OB_EIO, errno and its text at the end. */
int obi_fail_os(struct ob_err *err, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts context in front of the message that is there: "step 2: " */
void ob_err_prefix(struct ob_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define OB_WHERE (obi_base_name(__FILE__ ":" OB_STR(__LINE__)))
/* What no terminal should be sent becomes '?': names of files and tensors are others' text, and an
 * error is one line. */
void obi_clean(char *text);
const char *obi_base_name(const char *path);

#define ob_fail(err, code, ...) obi_fail((err), (code), OB_WHERE, __VA_ARGS__)
#define ob_fail_os(err, ...) obi_fail_os((err), OB_WHERE, __VA_ARGS__)

/* For functions that have nothing to release. */
#define OB_TRY(expr)                                                                               \
    do {                                                                                           \
        int ob_try_ = (expr);                                                                      \
        if (ob_try_)                                                                               \
            return ob_try_;                                                                        \
    } while (0)

/* For functions with one exit label `out:` and a variable `rc`. */
#define OB_GO(expr)                                                                                \
    do {                                                                                           \
        rc = (expr);                                                                               \
        if (rc)                                                                                    \
            goto out;                                                                              \
    } while (0)

/* A promise inside the library: aborts in debug builds, OB_EBUG in release builds. */
#ifdef OB_DEBUG
#include <stdlib.h>
#define OB_ASSERT(err, cond)                                                                       \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)
#else
#define OB_ASSERT(err, cond)                                                                       \
    do {                                                                                           \
        if (!(cond))                                                                               \
            return ob_fail((err), OB_EBUG, "broken promise: %s", #cond);                           \
    } while (0)
#endif

#endif
