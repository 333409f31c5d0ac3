/* room.c - how much memory work may take, as Linux tells it; how much was taken. */
#include "base/room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/io.h"

#define TEXT 8192
#define PATH 1200

/* The number behind `key` at the start of a line; "key: 12 kB" and "key 12" alike. */
static bool number_after(const char *text, const char *key, size_t *out)
{
    size_t n = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        char *end;

        line += *line == '\n';
        if (strncmp(line, key, n) || !strchr(": \t", line[n]))
            continue;
        line += n + strspn(line + n, ": \t");
        *out = strtoull(line, &end, 10);
        if (end == line)
            return false;
        if (!strncmp(end, " kB", 3))
            *out *= 1024;
        return true;
    }
    return false;
}

/* A file that holds one number; "max" is none. */
static bool read_number(size_t *out, const char *folder, const char *name)
{
    char path[PATH + 40], text[64], *end;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (!ob_text_read(path, text, sizeof(text)))
        return false;
    *out = strtoull(text, &end, 10);
    return end != text;
}

static void lower(size_t *least, bool *known, size_t x)
{
    if (!*known || x < *least)
        *least = x;
    *known = true;
}

/* ---- control groups ---- */

struct version {
    const char *mount, *limit, *usage, *idle[2]; /* idle: files kept in memory */
};
static const struct version v2 = {
    "sys/fs/cgroup", "memory.max", "memory.current", { "inactive_file", "active_file" }
};
static const struct version v1 = { "sys/fs/cgroup/memory",
                                   "memory.limit_in_bytes",
                                   "memory.usage_in_bytes",
                                   { "total_inactive_file", "total_active_file" } };

static void one_group(size_t *least, bool *known, const char *folder, const struct version *v)
{
    char path[PATH + 40], text[TEXT];
    size_t limit, used, idle = 0, x;

    if (!read_number(&limit, folder, v->limit) || !read_number(&used, folder, v->usage))
        return;
    snprintf(path, sizeof(path), "%s/memory.stat", folder);
    if (ob_text_read(path, text, sizeof(text)))
        for (int i = 0; i < 2; i++)
            if (number_after(text, v->idle[i], &x))
                idle += x;
    used -= idle < used ? idle : used;
    lower(least, known, used < limit ? limit - used : 0);
}

/* The group and those above it, each of which has a limit; inside of a container the path may be one
 * that cannot be seen, its root can. */
static void groups(size_t *least, bool *known, const char *root, const char *group, size_t n_group,
                   const struct version *v)
{
    char folder[PATH];
    size_t n_mount;

    n_mount = (size_t)snprintf(folder, sizeof(folder), "%s/%s", root, v->mount);
    if (n_mount + n_group >= sizeof(folder))
        return;
    memcpy(folder + n_mount, group, n_group);
    folder[n_mount + n_group] = 0;
    for (;;) {
        char *slash = strrchr(folder, '/');

        one_group(least, known, folder, v);
        if (!slash || slash < folder + n_mount)
            return;
        *slash = 0;
    }
}

/* Lines of /proc/self/cgroup: "0::/user.slice/x" (v2), "9:memory,cpu:/x" (v1). */
static void control_groups(size_t *least, bool *known, const char *root)
{
    char path[PATH], text[TEXT];

    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    if (!ob_text_read(path, text, sizeof(text)))
        return;
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        const char *names = memchr(line, ':', n), *group;

        group = names ? memchr(names + 1, ':', n - (size_t)(names + 1 - line)) : NULL;
        if (group) {
            const char *memory = strstr(names, "memory");
            size_t n_group = n - (size_t)(group + 1 - line);

            if (group == names + 1)
                groups(least, known, root, group + 1, n_group, &v2);
            else if (memory && memory < group)
                groups(least, known, root, group + 1, n_group, &v1);
        }
        line += n + (line[n] == '\n');
    }
}

/* ---- the whole ---- */

static void address_space(size_t *least, bool *known, const char *root)
{
    struct rlimit r;
    char path[PATH];
    size_t pages, used;

    snprintf(path, sizeof(path), "%s/proc/self", root);
    if (getrlimit(RLIMIT_AS, &r) || r.rlim_cur == RLIM_INFINITY ||
        !read_number(&pages, path, "statm"))
        return;
    used = pages * (size_t)sysconf(_SC_PAGESIZE);
    lower(least, known, used < r.rlim_cur ? (size_t)r.rlim_cur - used : 0);
}

bool ob_room_free(size_t *bytes, const char *root)
{
    char path[PATH], text[TEXT];
    bool known = false;
    size_t x;

    *bytes = 0;
    snprintf(path, sizeof(path), "%s/proc/meminfo", root);
    if (ob_text_read(path, text, sizeof(text)) && number_after(text, "MemAvailable", &x))
        lower(bytes, &known, x);
    control_groups(bytes, &known, root);
    address_space(bytes, &known, root);
    return known;
}

bool ob_room_of(const struct ob_ctx *ctx, size_t *bytes)
{
    char text[TEXT];
    size_t taken = 0;

    if (!ctx || ctx->opts.memory == SIZE_MAX)
        return false;
    if (!ctx->opts.memory)
        return ob_room_free(bytes, "");
    if (ob_text_read("/proc/self/status", text, sizeof(text)))
        number_after(text, "VmRSS", &taken);
    *bytes = taken < ctx->opts.memory ? ctx->opts.memory - taken : 0;
    return true;
}

const char *ob_room_text(char out[24], size_t bytes)
{
    static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double x = (double)bytes;
    int i = 0;

    for (; x >= 1023.95 && i < 6; i++)
        x /= 1024;
    snprintf(out, 24, i ? "%.1f %s" : "%.0f %s", x, unit[i]);
    return out;
}

int ob_room_check(const struct ob_ctx *ctx, size_t bytes, const char *what, const char *detail,
                  const char *advice, struct ob_err *err)
{
    char need[24], have[24];
    size_t room;

    if (!ob_room_of(ctx, &room) || bytes <= room)
        return OB_OK;
    return ob_fail(err, OB_ENOMEM, "%s needs about %s of memory%s%s%s, %s are free; %s", what,
                   ob_room_text(need, bytes), detail ? " (" : "", detail ? detail : "",
                   detail ? ")" : "", ob_room_text(have, room), advice);
}

/* What getrusage() says counts the parent's memory too, until the program was loaded. */
size_t ob_peak_bytes(void)
{
    char text[TEXT];
    struct rusage u;
    size_t peak;

    if (ob_text_read("/proc/self/status", text, sizeof(text)) && number_after(text, "VmHWM", &peak))
        return peak;
    getrusage(RUSAGE_SELF, &u);
    return (size_t)u.ru_maxrss * 1024;
}
