/*
 * config.c - options from an INI file.
 *
 *     [train]
 *     data = idx:/usr/share/datasets/fashion-mnist,train=6000
 *     epochs = 15
 *
 * Keys are the long names of options, a section is a command; sections of other commands are left
 * alone. An option that may be repeated is repeated here too.
 */
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"

struct reader {
    struct cmd *c;
    const struct opt *options;
    const char *path;
    FILE *file;
    int line;
    int status;
    const char **seen; /* keys of this file so far */
    size_t n_seen;
};

enum { MOST_KEYS = 256 };

/* inih asks for a line; we count them, and refuse those that it would cut in two. */
static char *next_line(char *text, int room, void *arg)
{
    struct reader *r = arg;
    char *got = fgets(text, room, r->file);

    if (!got)
        return NULL;
    r->line++;
    if (!strchr(text, '\n') && !feof(r->file)) {
        r->status = cmd_fail(r->c, OB_EINVAL, "'%s', line %d: longer than %d characters", r->path,
                             r->line, room - 2);
        return NULL;
    }
    return got;
}

static int check_section(struct reader *r, const char *section)
{
    if (!section[0])
        return cmd_fail(r->c, OB_EINVAL,
                        "'%s', line %d: a key before the first section, such as [%s]", r->path,
                        r->line, r->c->command->name);
    if (!command_find(section))
        return cmd_fail(r->c, OB_EINVAL, "'%s', line %d: section [%s] is no command", r->path,
                        r->line, section);
    return OB_OK;
}

static int unknown_key(struct reader *r, const char *key)
{
    const char *near = opt_nearest(r->options, key);

    if (near)
        return cmd_fail(r->c, OB_EINVAL, "'%s', line %d: '%s' is no option of %s; '%s' is", r->path,
                        r->line, key, r->c->command->name, near);
    return cmd_fail(r->c, OB_EINVAL, "'%s', line %d: '%s' is no option of %s", r->path, r->line,
                    key, r->c->command->name);
}

/* The command line wins over the file; within the file only a list may come twice. */
static int take_key(struct reader *r, const char *key, const char *value)
{
    const struct opt *o = opt_find(r->options, key);
    const char *where = cmd_textf(r->c, "'%s', line %d: ", r->path, r->line);
    int again = 0;

    if (!o || !strcmp(key, "config"))
        return unknown_key(r, key);
    for (size_t i = 0; i < r->n_seen; i++)
        again |= !strcmp(r->seen[i], key);
    if (again && o->kind != OPT_LIST)
        return cmd_fail(r->c, OB_EINVAL, "%s'%s' stands there twice", where, key);
    if (!again && cmd_given(r->c, o->name))
        return OB_OK;
    if (!again && r->n_seen < MOST_KEYS)
        r->seen[r->n_seen++] = o->name;
    return opt_set(r->c, o, value, where);
}

static int on_key(void *arg, const char *section, const char *key, const char *value)
{
    struct reader *r = arg;

    if (!r->status)
        r->status = check_section(r, section);
    if (!r->status && !strcmp(section, r->c->command->name))
        r->status = take_key(r, key, value);
    return 1;
}

int config_apply(struct cmd *c, const struct opt *options, const char *path)
{
    struct reader r = { .c = c, .options = options, .path = path };
    int bad;

    r.file = fopen(path, "r");
    if (!r.file)
        return cmd_fail(c, OB_ENOTFOUND, "'%s': %s", path, strerror(errno));
    r.seen = cmd_alloc(c, MOST_KEYS, sizeof(*r.seen));
    bad = ini_parse_stream(next_line, &r, on_key, &r);
    if (!r.status && bad > 0)
        r.status = cmd_fail(c, OB_EINVAL, "'%s', line %d: not 'key = value'", path, bad);
    if (!r.status && bad < 0)
        r.status = cmd_fail(c, OB_ENOMEM, "out of memory");
    if (!r.status && ferror(r.file))
        r.status = cmd_fail(c, OB_EIO, "'%s': cannot be read", path);
    fclose(r.file);
    return r.status;
}
