/* scratch.h - a file of the target's own that holds the fuzzer's bytes. */
#ifndef FUZZ_SCRATCH_H
#define FUZZ_SCRATCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Writes DIR/name, DIR being this process' own; removes nothing. False: no room. */
static inline int scratch_put(const char *dir, const char *name, const uint8_t *data, size_t n)
{
    char path[300];
    FILE *f;
    int ok;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    unlink(path); /* cutting an old file short would wait for the disk */
    f = fopen(path, "wb");
    if (!f)
        return 0;
    ok = fwrite(data, 1, n, f) == n;
    return !fclose(f) && ok;
}

/* Made at the first call; in TMPDIR, or in memory where the system has such a place. */
static inline const char *scratch_dir(void)
{
    static char dir[160];
    const char *const place[] = { getenv("TMPDIR"), "/dev/shm", "/tmp" };

    for (int i = 0; i < 3 && !*dir; i++) {
        if (!place[i])
            continue;
        snprintf(dir, sizeof(dir), "%s/oubli-fuzz-XXXXXX", place[i]);
        if (!mkdtemp(dir))
            *dir = 0;
    }
    if (!*dir)
        abort();
    return dir;
}

#endif
