/* output.c - files that a command reads and writes, and results as JSON. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"

int file_is_there(const char *path)
{
    struct stat s;

    return !lstat(path, &s);
}

int input_check(struct cmd *c, const char *path)
{
    struct stat s;

    if (path && stat(path, &s))
        return cmd_fail(c, OB_ENOTFOUND, "'%s': %s", path, strerror(errno));
    return OB_OK;
}

static int folder_check(struct cmd *c, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *folder = slash ? cmd_textf(c, "%.*s", (int)(slash - path + 1), path) : ".";
    struct stat s;

    if (stat(folder, &s))
        return cmd_fail(c, OB_EIO, "'%s' cannot be written: '%s': %s", path, folder,
                        strerror(errno));
    if (!S_ISDIR(s.st_mode))
        return cmd_fail(c, OB_EIO, "'%s' cannot be written: '%s' is not a folder", path, folder);
    return OB_OK;
}

int output_check(struct cmd *c, const char *path)
{
    struct stat s;

    if (!path)
        return OB_OK;
    if (!path[0])
        return cmd_fail(c, OB_EINVAL, "an empty file name");
    TRY(folder_check(c, path));
    if (stat(path, &s))
        return OB_OK;
    if (S_ISDIR(s.st_mode))
        return cmd_fail(c, OB_EEXIST, "'%s' is a folder", path);
    if (!S_ISREG(s.st_mode))
        return cmd_fail(c, OB_EEXIST, "'%s' is not a regular file", path);
    if (!c->force)
        return cmd_fail(c, OB_EEXIST, "'%s' is there already; --force overwrites it", path);
    return OB_OK;
}

int output_retire(struct cmd *c, const char *path)
{
    struct stat s;

    if (!lstat(path, &s) && S_ISREG(s.st_mode) && unlink(path))
        return cmd_fail(c, OB_EIO, "cannot remove '%s': %s", path, strerror(errno));
    return OB_OK;
}

void output_sweep(struct cmd *c, const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *folder = slash ? cmd_textf(c, "%.*s", (int)(slash - path + 1), path) : "./";
    const char *name;
    struct dirent *entry;
    DIR *dir = path ? opendir(folder) : NULL;

    if (!dir)
        return;
    name = cmd_textf(c, "%s.tmp.", slash ? slash + 1 : path);
    while ((entry = readdir(dir)))
        if (!strncmp(entry->d_name, name, strlen(name)) &&
            strlen(entry->d_name) == strlen(name) + 6)
            unlink(cmd_textf(c, "%s%s", folder, entry->d_name));
    closedir(dir);
}

const char *json_beside(struct cmd *c, const char *path)
{
    size_t n = strlen(path);

    if (n > 4 && !strcmp(path + n - 4, ".npy"))
        n -= 4;
    return cmd_textf(c, "%.*s.json", (int)n, path);
}

int print_json(struct cmd *c, json_t *value)
{
    int failed = !value || json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));

    json_decref(value);
    if (failed || putchar('\n') == EOF)
        return cmd_fail(c, OB_EIO, "the result could not be written to standard output");
    return OB_OK;
}

void print_cost(const char *head, const struct ob_cost *cost)
{
    double speed = images_per_second(cost);

    printf("%s%.1f s", head, cost->seconds);
    if (cost->images)
        printf(", %llu images", (unsigned long long)cost->images);
    if (speed > 0)
        printf(", %.0f images/s", speed);
    printf(", %.0f MiB of memory at most\n", (double)ob_peak_bytes() / (1 << 20));
}

double images_per_second(const struct ob_cost *cost)
{
    return cost->seconds > 0 ? (double)(cost->images - cost->images_resumed) / cost->seconds : NAN;
}

void put_number(json_t *object, const char *key, double x)
{
    if (isfinite(x))
        json_object_set_new(object, key, json_real(x));
}

void put_count(json_t *object, const char *key, uint64_t n)
{
    json_object_set_new(object, key, json_integer((json_int_t)n));
}

void put_text(json_t *object, const char *key, const char *text)
{
    if (text)
        json_object_set_new(object, key, json_string(text));
}

json_t *json_ids(const struct ob_ids *ids)
{
    json_t *array = json_array();
    size_t n = ob_ids_n(ids);

    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_integer(ob_ids_list(ids)[i]));
    return array;
}

static void put_setting(json_t *object, const char *key, const char *value)
{
    double x;
    uint64_t n;

    if (parse_whole(value, &n) && n <= INT64_MAX)
        put_count(object, key, n);
    else if (parse_double(value, &x))
        put_number(object, key, x);
    else
        put_text(object, key, value);
}

json_t *json_settings(const char *settings)
{
    json_t *object = json_object();
    char text[1024], *place = text;

    snprintf(text, sizeof(text), "%s", settings);
    while (*place) {
        char *end = place + strcspn(place, ":");
        char *equals = memchr(place, '=', (size_t)(end - place)), *next;

        /* a piece without '=' belongs to the value before it: "schedule=step:60,x0.2" */
        while (*end && !memchr(end + 1, '=', strcspn(end + 1, ":")))
            end += 1 + strcspn(end + 1, ":");
        next = *end ? end + 1 : end;
        *end = 0;
        if (equals) {
            *equals = 0;
            put_setting(object, place, equals + 1);
        }
        place = next;
    }
    return object;
}
