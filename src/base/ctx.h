/* ctx.h - the context that every object of a caller's thread was made from. */
#ifndef OB_BASE_CTX_H
#define OB_BASE_CTX_H

#include <stdbool.h>

#include "base/err.h"

struct ob_backend;

struct ob_ctx {
    struct ob_ctx_opts opts;
    const struct ob_backend *backend;
    char isa[16];
    char arithmetic[48]; /* what decides the last bits beside the backend: "avx2", or how that was
                          * departed from. What is taken up again is taken up under the same only */
    int n_threads;
    uint64_t stamp; /* see ob_ctx_stamp() */
    /* Asked between batches of a training, where not NULL: how many of the n_threads to use now. */
    int (*threads_now)(void *arg);
    void *threads_arg;
};

/* A number that no weights have carried before: executables keep weights in their own layout and
 * ask by stamp whether those are still the same. */
uint64_t ob_ctx_stamp(struct ob_ctx *ctx);

void ob_log(struct ob_ctx *ctx, int level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void ob_progress(struct ob_ctx *ctx, const struct ob_progress *p);
/* OB_ECANCELLED when the caller asked to stop. */
int ob_ctx_stop(struct ob_ctx *ctx, struct ob_err *err);
double ob_now(void); /* seconds of a clock that never goes back; for costs in reports only */

#endif
