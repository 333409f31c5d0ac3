/* room.h - how much memory work may take: asked before it starts, not found out by being killed. */
#ifndef OB_BASE_ROOM_H
#define OB_BASE_ROOM_H

#include <stdbool.h>

#include "base/ctx.h"

/* Bytes that can be had without anyone being killed: the least of what /proc/meminfo calls available,
 * what the control groups of this process leave (Linux' cgroup v2 and v1; files kept in memory
 * count as free, since they give way), and what RLIMIT_AS leaves. Swap is not counted. False: nothing can be
 * read here. `root`: "" or, for tests, a folder with proc/ and sys/ in it. */
bool ob_room_free(size_t *bytes, const char *root);

/* As above, but what the context's `memory` leaves, where it sets one. False: nothing is known, or nothing is to
 * be refused. `ctx` may be NULL. */
bool ob_room_of(const struct ob_ctx *ctx, size_t *bytes);

/* OB_ENOMEM where `bytes` are more than there is room for: "WHAT needs about 3.1 GiB (DETAIL), 2.0
 * GiB are free; ADVICE". `detail` may be NULL. */
int ob_room_check(const struct ob_ctx *ctx, size_t bytes, const char *what, const char *detail,
                  const char *advice, struct ob_err *err);

/* "512 B", "37.5 MiB", "3.1 GiB" */
const char *ob_room_text(char out[24], size_t bytes);

#endif
