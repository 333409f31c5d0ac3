/*
 * cmd.h - what the commands share.
 *
 * A command is one function in its own file, listed in main.c. It returns 0 or an enum ob_status
 * with the sentence in c->err; main.c alone turns that into an exit code and the error line.
 *
 *     int cmd_x(struct cmd *c, int argc, const char **argv)
 *     {
 *         const char *data = NULL;
 *         const struct opt options[] = {
 *             {"data", 'd', OPT_TEXT, &data, "the data set", "SPEC"}, {0}};
 *
 *         TRY(cmd_parse(c, options, argc, argv));      options into variables, --help
 *         TRY(cmd_need(c, "data", data));
 *         TRY(cmd_start(c));                           makes c->ctx
 *         ...
 *     }
 */
#ifndef OUBLI_CMD_H
#define OUBLI_CMD_H

#include <jansson.h>
#include <stdio.h>

#include <oubli.h>

/* ---- exit codes ---- */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1, /* the system said no; an input is missing, an output is there already */
    EXIT_USAGE = 2,
    EXIT_INPUT = 3, /* a file, an id, a shape or a value is bad */
    EXIT_DIVERGED = 4,
    EXIT_VERIFY = 5, /* kept for a verification that fails */
    EXIT_INTERRUPTED = 130
};

/* Returned by cmd_parse() when help was printed: nothing more to do, exit 0. */
enum { CMD_HELPED = 1 };

#define TRY(call)                                                                                  \
    do {                                                                                           \
        int try_status = (call);                                                                   \
        if (try_status)                                                                            \
            return try_status;                                                                     \
    } while (0)
#define GO(call)                                                                                   \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status)                                                                                \
            goto out;                                                                              \
    } while (0)

/* ---- one run of one command ---- */
struct progress;
struct kept;

struct cmd {
    const struct command *command;
    /* options of every command */
    uint64_t seed;
    int threads;
    const char *backend, *config;
    int json, quiet, force;
    /* of a command that mpirun may start: NULL for one process. Ranks beside rank 0 are silent */
    struct ob_ranks *ranks;
    int rank;
    /* filled by cmd_start() */
    struct ob_ctx *ctx;
    struct progress *progress;
    struct ob_err err;
    char hint[256]; /* after Ctrl-C: how to go on */
    /* private */
    struct kept *kept;  /* memory that lives until the command ends */
    const char **given; /* long names of the options that were given */
    size_t n_given;
    const char **args; /* what is left after the options */
    size_t n_args;
};

struct command {
    const char *name;
    const char *args; /* "NAME", "A.npy B.npy": what stands after the options, for the help */
    int min_args, max_args;
    const char *about; /* one line */
    const char *more;  /* a few lines under the options: examples, files */
    int (*run)(struct cmd *c, int argc, const char **argv);
};

const struct command *command_at(size_t i); /* NULL past the last */
const struct command *command_find(const char *name);

/* Status and sentence into c->err; the first failure wins. Returns `status`. */
int cmd_fail(struct cmd *c, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* What to do about the error that is there already. */
void cmd_add(struct cmd *c, const char *text);
/* A line on stderr, after taking the progress bar away; notes are silenced by --quiet. */
void cmd_note(struct cmd *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cmd_warn(struct cmd *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cmd_interrupted(void); /* Ctrl-C was pressed */

/* Makes c->ctx with log, progress and stop. */
int cmd_start(struct cmd *c);
double cmd_now(void); /* seconds, monotonic */

/* Memory that lives until the command ends; a program without memory ends here. */
void *cmd_alloc(struct cmd *c, size_t n, size_t size); /* zeroed */
const char *cmd_textf(struct cmd *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- options.c ---- */
enum opt_kind {
    OPT_END,
    OPT_FLAG,   /* int */
    OPT_INT,    /* int */
    OPT_SIZE,   /* size_t */
    OPT_SEED,   /* uint64_t */
    OPT_SEED32, /* uint32_t */
    OPT_FLOAT,  /* double */
    OPT_TEXT,   /* const char * */
    OPT_LIST,   /* struct list: may be repeated */
    OPT_HEADING /* a line of its own in the help */
};
struct list {
    const char **item;
    size_t n;
};
struct opt {
    const char *name; /* long name, also the key of --config */
    char letter;      /* or 0 */
    enum opt_kind kind;
    void *to;
    const char *help;
    const char *arg; /* "FILE", "N" ...; NULL for a flag */
};
/* Reads the command line, then --config for what the command line leaves open. OB_EINVAL for
 * anything that is wrong; CMD_HELPED after --help. `options` ends with {0}. */
int cmd_parse(struct cmd *c, const struct opt *options, int argc, const char **argv);
int cmd_given(const struct cmd *c, const char *name); /* on the command line or in --config */
int cmd_need(struct cmd *c, const char *name, const void *value); /* NULL: "--name is needed" */
/* Sets one option from text; `where` stands in front of what is wrong with it. */
int opt_set(struct cmd *c, const struct opt *o, const char *text, const char *where);
const struct opt *opt_find(const struct opt *options, const char *name);
const char *opt_nearest(const struct opt *options, const char *name);
const struct opt *common_options(struct cmd *c);        /* ends with {0} */
int word_distance(const char *a, const char *b);        /* edits */
int word_is_near(const char *asked, const char *known); /* near enough for "did you mean" */
int parse_double(const char *text, double *out);        /* false: not a number and nothing else */
int parse_whole(const char *text, uint64_t *out);

/* ---- config.c ---- */
int config_apply(struct cmd *c, const struct opt *options, const char *path);

/* ---- progress.c ---- */
struct progress *progress_new(FILE *to, int quiet);
void progress_free(struct progress *p);
void progress_update(struct progress *p, const struct ob_progress *now); /* the ctx's callback */
void progress_clear(struct progress *p); /* before anything else is printed */

/* ---- output.c: files and results ---- */
/* OB_EEXIST where `path` is there and --force is not given; OB_EIO where its folder is not there.
 * NULL is fine. */
int output_check(struct cmd *c, const char *path);
int file_is_there(const char *path);
/* Removes a file of before, where there is one: what comes next must not be taken for its pair. */
int output_retire(struct cmd *c, const char *path);
/* Removes what a killed run left beside `path` while it was writing it. NULL is fine. */
void output_sweep(struct cmd *c, const char *path);
int input_check(struct cmd *c, const char *path); /* OB_ENOTFOUND; NULL is fine */
/* "a/b.npy" -> "a/b.json"; other names get ".json" after them. */
const char *json_beside(struct cmd *c, const char *path);
int print_json(struct cmd *c, json_t *value); /* to stdout; takes the reference */
/* "cost  1.2 s, 480 images, 400 images/s, 31 MiB of memory at most" */
void print_cost(const char *head, const struct ob_cost *cost);
/* Of this run alone; NaN where it took no time. */
double images_per_second(const struct ob_cost *cost);
void put_number(json_t *object, const char *key, double x); /* left out where it is not finite */
void put_count(json_t *object, const char *key, uint64_t n);
void put_text(json_t *object, const char *key, const char *text);
json_t *json_ids(const struct ob_ids *ids);
/* "lr=0.05:epochs=5" as {"lr":0.05,"epochs":5} */
json_t *json_settings(const char *settings);

/* ---- table.c: aligned columns ---- */
struct table;
/* One letter a column: l or r. */
struct table *table_new(const char *align);
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_percent(struct table *t, double fraction); /* "-" where it is NaN */
void table_number(struct table *t, double x);         /* three digits after the point */
void table_print(struct table *t, FILE *to);          /* and frees it */

/* ---- commands ---- */
int cmd_archs(struct cmd *c, int argc, const char **argv);
int cmd_bank(struct cmd *c, int argc, const char **argv);
int cmd_convert(struct cmd *c, int argc, const char **argv);
int cmd_data(struct cmd *c, int argc, const char **argv);
int cmd_demo(struct cmd *c, int argc, const char **argv);
int cmd_entangle(struct cmd *c, int argc, const char **argv);
int cmd_evaluate(struct cmd *c, int argc, const char **argv);
int cmd_forget(struct cmd *c, int argc, const char **argv);
int cmd_help(struct cmd *c, int argc, const char **argv);
int cmd_methods(struct cmd *c, int argc, const char **argv);
int cmd_predict(struct cmd *c, int argc, const char **argv);
int cmd_refine(struct cmd *c, int argc, const char **argv);
int cmd_rum(struct cmd *c, int argc, const char **argv);
int cmd_score(struct cmd *c, int argc, const char **argv);
int cmd_select(struct cmd *c, int argc, const char **argv);
int cmd_train(struct cmd *c, int argc, const char **argv);

#endif
