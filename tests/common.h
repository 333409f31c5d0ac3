/* common.h - what every test program needs: cmocka in the order that it asks for. */
#ifndef TESTS_COMMON_H
#define TESTS_COMMON_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <oubli.h>

/* Says what went wrong before it fails. */
#define must(call)                                                                                 \
    do {                                                                                           \
        struct ob_err must_err_ = { 0 }, *err = &must_err_;                                        \
        int must_rc_ = (call);                                                                     \
        if (must_rc_)                                                                              \
            fail_msg("%s: %d, %s (%s)", #call, must_rc_, must_err_.msg, must_err_.where);          \
    } while (0)

/* The call fails with `status`, and its message holds `word`. */
#define must_fail(call, status, word)                                                              \
    do {                                                                                           \
        struct ob_err must_err_ = { 0 }, *err = &must_err_;                                        \
        int must_rc_ = (call);                                                                     \
        if (must_rc_ != (status) || !strstr(must_err_.msg, (word)))                                \
            fail_msg("%s: %d (wanted %d), '%s' (wanted '%s')", #call, must_rc_, (status),          \
                     must_err_.msg, (word));                                                       \
    } while (0)

/* A folder for this test program's files; the same for all its tests. tests/run removes it. */
static inline const char *scratch(void)
{
    static char dir[100];

    if (!*dir) {
        const char *place = getenv("TMPDIR");

        snprintf(dir, sizeof(dir), "%s/oubli-test-XXXXXX", place ? place : "/tmp");
        if (!mkdtemp(dir))
            fail_msg("no scratch folder");
    }
    return dir;
}
static inline const char *scratch_file(char *out, size_t room, const char *name)
{
    snprintf(out, room, "%s/%s", scratch(), name);
    return out;
}
static inline int scratch_count(void) /* what is in it; only differences mean something */
{
    DIR *d = opendir(scratch());
    int n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

#endif
