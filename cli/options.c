/* options.c - one table of options a command: parsing by popt, values into variables, help. */
#include <errno.h>
#include <math.h>
#include <popt.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"

enum { MAX_OPTIONS = 64, HELP_VALUE = 1000 };

/* ---- words ---- */

int word_distance(const char *a, const char *b)
{
    enum { MOST = 48 };
    int row[MOST + 1];
    int n = (int)strnlen(a, MOST), m = (int)strnlen(b, MOST);

    for (int j = 0; j <= m; j++)
        row[j] = j;
    for (int i = 1; i <= n; i++) {
        int corner = row[0];

        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = corner + (a[i - 1] != b[j - 1]);

            corner = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

int word_is_near(const char *asked, const char *known)
{
    size_t n = strlen(asked);

    if (n > 1 && !strncmp(asked, known, n)) /* the beginning of it */
        return 1;
    return word_distance(asked, known) <= (strlen(known) < 5 ? 1 : strlen(known) < 8 ? 2 : 3);
}

int parse_double(const char *text, double *out)
{
    char *end;

    errno = 0;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

int parse_whole(const char *text, uint64_t *out)
{
    char *end;

    if (!*text || strspn(text, "0123456789") != strlen(text))
        return 0;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return !errno && !*end;
}

/* ---- the table ---- */

const struct opt *common_options(struct cmd *c)
{
    const struct opt common[] = {
        { "seed", 0, OPT_SEED, &c->seed, "fixes everything random but the split (default 1)", "N" },
        { "threads", 0, OPT_INT, &c->threads, "threads (default: all cores)", "N" },
        { "backend", 0, OPT_TEXT, &c->backend, "cpu, or ref: slow and plain (default cpu)",
          "NAME" },
        { "json", 0, OPT_FLAG, &c->json, "the result as one JSON object", NULL },
        { "quiet", 'q', OPT_FLAG, &c->quiet, "no progress, no notes", NULL },
        { "force", 'f', OPT_FLAG, &c->force, "overwrite what is there", NULL },
        { "config", 0, OPT_TEXT, &c->config, "an INI file with options; the command line wins",
          "FILE" },
        { 0 },
    };
    struct opt *kept = cmd_alloc(c, 1, sizeof(common));

    memcpy(kept, common, sizeof(common));
    return kept;
}

const struct opt *opt_find(const struct opt *options, const char *name)
{
    for (; options->kind; options++)
        if (options->name && !strcmp(options->name, name))
            return options;
    return NULL;
}

const char *opt_nearest(const struct opt *options, const char *name)
{
    const char *near = NULL;
    int best = 99;

    for (; options->kind; options++) {
        int d;

        if (!options->name || !word_is_near(name, options->name))
            continue;
        d = word_distance(name, options->name);
        if (d < best) {
            best = d;
            near = options->name;
        }
    }
    return near;
}

int cmd_given(const struct cmd *c, const char *name)
{
    for (size_t i = 0; i < c->n_given; i++)
        if (!strcmp(c->given[i], name))
            return 1;
    return 0;
}

int cmd_need(struct cmd *c, const char *name, const void *value)
{
    if (value)
        return OB_OK;
    return cmd_fail(c, OB_EINVAL, "--%s is needed; 'oubli help %s' explains it", name,
                    c->command->name);
}

static void remember(struct cmd *c, const char *name)
{
    if (!c->given)
        c->given = cmd_alloc(c, 2 * MAX_OPTIONS, sizeof(*c->given));
    if (!cmd_given(c, name) && c->n_given < 2 * MAX_OPTIONS)
        c->given[c->n_given++] = name;
}

static void list_add(struct cmd *c, struct list *list, const char *text)
{
    const char **longer = cmd_alloc(c, list->n + 1, sizeof(*longer));

    if (list->n)
        memcpy(longer, list->item, list->n * sizeof(*longer));
    longer[list->n++] = text;
    list->item = longer;
}

static int set_flag(struct cmd *c, const struct opt *o, const char *text, const char *where)
{
    int *to = o->to;

    if (!text || !strcmp(text, "yes") || !strcmp(text, "true") || !strcmp(text, "1"))
        *to = 1;
    else if (!strcmp(text, "no") || !strcmp(text, "false") || !strcmp(text, "0"))
        *to = 0;
    else
        return cmd_fail(c, OB_EINVAL, "%s'%s' is yes or no, not '%s'", where, o->name, text);
    return OB_OK;
}

static int set_whole(struct cmd *c, const struct opt *o, const char *text, const char *where)
{
    uint64_t x;
    uint64_t most = o->kind == OPT_INT ? INT32_MAX : o->kind == OPT_SEED32 ? UINT32_MAX : INT64_MAX;

    if (!parse_whole(text, &x) || x > most)
        return cmd_fail(c, OB_EINVAL, "%s--%s takes a whole number from 0 to %llu, not '%s'", where,
                        o->name, (unsigned long long)most, text);
    if (o->kind == OPT_INT)
        *(int *)o->to = (int)x;
    else if (o->kind == OPT_SIZE)
        *(size_t *)o->to = (size_t)x;
    else if (o->kind == OPT_SEED32)
        *(uint32_t *)o->to = (uint32_t)x;
    else
        *(uint64_t *)o->to = x;
    return OB_OK;
}

int opt_set(struct cmd *c, const struct opt *o, const char *text, const char *where)
{
    remember(c, o->name);
    switch (o->kind) {
    case OPT_FLAG:
        return set_flag(c, o, text, where);
    case OPT_INT:
    case OPT_SIZE:
    case OPT_SEED:
    case OPT_SEED32:
        return set_whole(c, o, text, where);
    case OPT_FLOAT:
        if (!parse_double(text, o->to))
            return cmd_fail(c, OB_EINVAL, "%s--%s takes a number, not '%s'", where, o->name, text);
        return OB_OK;
    case OPT_TEXT:
        *(const char **)o->to = cmd_textf(c, "%s", text);
        return OB_OK;
    case OPT_LIST:
        list_add(c, o->to, cmd_textf(c, "%s", text));
        return OB_OK;
    default:
        return OB_OK;
    }
}

/* ---- popt ---- */

/* `value` of an entry: 1 + its place in `options`, so that popt only tells what it saw. */
static struct poptOption *popt_table(struct cmd *c, const struct opt *options, int first)
{
    size_t n = 0, k = 0;
    struct poptOption *table;

    while (options[n].kind)
        n++;
    table = cmd_alloc(c, n + 1, sizeof(*table));
    for (size_t i = 0; i < n; i++) {
        if (options[i].kind == OPT_HEADING)
            continue;
        table[k++] = (struct poptOption){
            .longName = options[i].name,
            .shortName = options[i].letter,
            .argInfo = options[i].kind == OPT_FLAG ? POPT_ARG_NONE : POPT_ARG_STRING,
            .val = first + (int)i,
            .descrip = options[i].help,
            .argDescrip = options[i].arg,
        };
    }
    return table;
}

static void print_help(struct cmd *c, poptContext popt)
{
    const struct command *command = c->command;

    printf("oubli %s - %s\n\n", command->name, command->about);
    poptSetOtherOptionHelp(popt, cmd_textf(c, "[options]%s%s", command->args ? " " : "",
                                           command->args ? command->args : ""));
    poptPrintHelp(popt, stdout, 0);
    if (command->more)
        printf("\nExamples:\n%s", command->more);
}

static int unknown_option(struct cmd *c, poptContext popt, const struct opt *own,
                          const struct opt *common, int why)
{
    const char *bad = poptBadOption(popt, POPT_BADOPTION_NOALIAS);
    char word[64];
    const char *near;
    size_t n;

    if (why != POPT_ERROR_BADOPT)
        return cmd_fail(c, OB_EINVAL, "%s: %s", bad, poptStrerror(why));
    bad += strspn(bad, "-");
    n = strcspn(bad, "=");
    snprintf(word, sizeof(word), "%.*s", (int)(n < 63 ? n : 63), bad);
    near = opt_nearest(own, word);
    if (!near)
        near = opt_nearest(common, word);
    if (near)
        return cmd_fail(c, OB_EINVAL, "there is no option '--%s'; did you mean '--%s'?", word,
                        near);
    return cmd_fail(c, OB_EINVAL, "there is no option '%s%s'; 'oubli help %s' lists them",
                    strlen(word) > 1 ? "--" : "-", word, c->command->name);
}

static int take_options(struct cmd *c, poptContext popt, const struct opt *own,
                        const struct opt *common)
{
    int value;

    while ((value = poptGetNextOpt(popt)) > 0) {
        const struct opt *o = value > MAX_OPTIONS ? &common[value - MAX_OPTIONS - 1]
                                                  : &own[value - 1];
        char *text;
        int status;

        if (value == HELP_VALUE) {
            print_help(c, popt);
            return CMD_HELPED;
        }
        text = poptGetOptArg(popt);
        status = opt_set(c, o, text, "");
        free(text);
        TRY(status);
    }
    if (value < -1)
        return unknown_option(c, popt, own, common, value);
    return OB_OK;
}

static int take_arguments(struct cmd *c, poptContext popt)
{
    const char **left = poptGetArgs(popt);
    const struct command *command = c->command;

    while (left && left[c->n_args])
        c->n_args++;
    c->args = cmd_alloc(c, c->n_args + 1, sizeof(*c->args));
    for (size_t i = 0; i < c->n_args; i++)
        c->args[i] = cmd_textf(c, "%s", left[i]);
    if (c->n_args > (size_t)command->max_args)
        return cmd_fail(c, OB_EINVAL, "'%s' is one too many; 'oubli help %s' says what it takes",
                        c->args[command->max_args], command->name);
    if (c->n_args < (size_t)command->min_args)
        return cmd_fail(c, OB_EINVAL, "'%s' is missing; 'oubli help %s' says what it takes",
                        command->args, command->name);
    return OB_OK;
}

/* Options of every command also stand in the section of the command. */
static int take_config(struct cmd *c, const struct opt *own, const struct opt *common)
{
    size_t n = 0, m = 0;
    struct opt *both;

    if (!c->config)
        return OB_OK;
    while (own[n].kind)
        n++;
    while (common[m].kind)
        m++;
    both = cmd_alloc(c, n + m + 1, sizeof(*both));
    memcpy(both, own, n * sizeof(*both));
    memcpy(both + n, common, (m + 1) * sizeof(*both));
    return config_apply(c, both, c->config);
}

int cmd_parse(struct cmd *c, const struct opt *options, int argc, const char **argv)
{
    const struct opt *common = common_options(c);
    struct poptOption help[] = {
        { "help", '?', POPT_ARG_NONE, NULL, HELP_VALUE, "this help", NULL },
        { NULL, 'h', POPT_ARG_NONE | POPT_ARGFLAG_DOC_HIDDEN, NULL, HELP_VALUE, NULL, NULL },
        POPT_TABLEEND,
    };
    struct poptOption table[] = {
        { NULL, 0, POPT_ARG_INCLUDE_TABLE, popt_table(c, options, 1), 0, "Options:", NULL },
        { NULL, 0, POPT_ARG_INCLUDE_TABLE, popt_table(c, common, MAX_OPTIONS + 1), 0,
          "Options of every command:", NULL },
        { NULL, 0, POPT_ARG_INCLUDE_TABLE, help, 0, NULL, NULL },
        POPT_TABLEEND,
    };
    const char **words = cmd_alloc(c, (size_t)argc + 1, sizeof(*words));
    poptContext popt;
    int status;

    memcpy(words, argv, (size_t)argc * sizeof(*words));
    words[0] = cmd_textf(c, "oubli %s", c->command->name);
    popt = poptGetContext(NULL, argc, words, table, 0);
    if (!popt)
        return cmd_fail(c, OB_ENOMEM, "out of memory");
    GO(take_options(c, popt, options, common));
    GO(take_arguments(c, popt));
    GO(take_config(c, options, common));
out:
    poptFreeContext(popt);
    return status;
}
