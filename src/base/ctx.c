/* ctx.c - log, progress, stop flag of a context. (Made in backend/backends.c.) */
#define _POSIX_C_SOURCE 200809L
#include "base/ctx.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

uint64_t ob_ctx_stamp(struct ob_ctx *ctx)
{
    return ++ctx->stamp;
}

void ob_log(struct ob_ctx *ctx, int level, const char *fmt, ...)
{
    char line[512];
    va_list ap;

    if (!ctx->opts.log)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    obi_clean(line);
    ctx->opts.log(ctx->opts.arg, level, line);
}

void ob_progress(struct ob_ctx *ctx, const struct ob_progress *p)
{
    if (ctx->opts.progress)
        ctx->opts.progress(ctx->opts.arg, p);
}

int ob_ctx_stop(struct ob_ctx *ctx, struct ob_err *err)
{
    if (ctx->opts.stop && ctx->opts.stop(ctx->opts.arg))
        return ob_fail(err, OB_ECANCELLED, "interrupted");
    return OB_OK;
}

double ob_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *ob_ctx_isa(const struct ob_ctx *ctx)
{
    return ctx->isa;
}

int ob_ctx_n_threads(const struct ob_ctx *ctx)
{
    return ctx->n_threads;
}
