/* copies.h - near copies of examples that are to be forgotten: added to the set, or warned of. */
#ifndef OUBLI_COPIES_H
#define OUBLI_COPIES_H

#include "setup.h"

struct copies_opts {
    int add;
    double likeness;
};
#define COPIES_OPTS_INIT                                                                           \
    {                                                                                              \
        .likeness = OB_COPY_LIKENESS                                                               \
    }
#define LIKENESS_OPTION(o)                                                                         \
    {                                                                                              \
        "likeness", 0, OPT_FLOAT, &(o)->likeness,                                                  \
            "from which correlation on two images are near copies (default 0.95)", "X"             \
    }
#define COPIES_OPTIONS(o)                                                                          \
    { "close-duplicates",                                                                          \
      0,                                                                                           \
      OPT_FLAG,                                                                                    \
      &(o)->add,                                                                                   \
      "add all examples of the training part that are near copies of these, or of one added",      \
      NULL },                                                                                      \
        LIKENESS_OPTION(o)

int copies_check(struct cmd *c, const struct copies_opts *o);
/* Near copies of *ids in the rest of the training part: *ids is replaced by a set with them (--close-duplicates);
 * else, where `warns`, it is said that they are retained. */
int copies_settle(struct cmd *c, struct ob_ids **ids, const struct inputs *in,
                  const struct copies_opts *o, int warns);

/* ---- data_copies.c: oubli data --duplicates ---- */

struct data_copies {
    int wanted;
    const char *forget, *output;
    double likeness, val;
    uint32_t split_seed;
};
int data_copies_check(struct cmd *c, const struct data_copies *o);
/* How many pairs there are within and between the sets; *out: the same for JSON, else a table on stdout. */
int data_copies(struct cmd *c, const struct ob_data *d, const struct data_copies *o, json_t **out);

#endif
