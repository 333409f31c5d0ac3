/* demo.h - what the files of 'oubli demo' share. */
#ifndef OUBLI_DEMO_H
#define OUBLI_DEMO_H

#include "cmd.h"

enum { DEMO_PARTS = 3, DEMO_BINS = 40, DEMO_EXAMPLES = 12, DEMO_RETRAINED = 2 };

enum demo_cut { CUT_NOT, CUT_WHOLE, CUT_RANDOM, CUT_SCORES };

struct demo_way {
    const char *id; /* in the record, and what the report's comparisons know it by */
    const char *title, *about;
    enum demo_cut cut;
    const char *methods[DEMO_PARTS]; /* one, or one per part */
    int share[DEMO_PARTS];           /* how the epochs are divided among the parts */
};
const struct demo_way *demo_way_at(size_t i); /* demo_ways.c; NULL past the last */
/* "random-label:lr=0.1:epochs=2:...,..." for ob_refine() or ob_plan_single(). */
struct demo;
const char *demo_way_methods(struct demo *d, const struct demo_way *w);

struct demo {
    struct cmd *c;
    /* options */
    const char *spec, *folder, *arch;
    int n_seeds;
    size_t n_forget;
    struct ob_recipe recipe;
    int unlearn_epochs, unlearn_batch;
    double unlearn_lr;
    /* while it runs */
    struct ob_data *data;
    struct ob_split *split; /* no validation part: everything is trained on */
    json_t *settings;       /* what the numbers depend on, for the record and for going on */
};

/* demo_seed.c: everything of one seed, as its entry of the record with "examples" beside it. */
int demo_seed(struct demo *d, uint64_t seed, json_t **out);
/* demo_pictures.c */
int demo_histogram(struct demo *d, json_t *entry, const struct ob_scores *scores,
                   const struct ob_plan *thirds);
int demo_examples(struct demo *d, json_t *entry, const struct ob_scores *scores,
                  const struct ob_plan *thirds);

#endif
