/* sisa.h - a model in shards and slices: trained, made to forget. */
#ifndef OUBLI_SISA_H
#define OUBLI_SISA_H

#include "copies.h"

struct sisa_train_args { /* of 'oubli train --sisa' */
    const char *data, *arch, *output, *exclude, *normalize, *sisa;
    double val;
    uint32_t split_seed;
    int resume;
    const struct recipe_opts *given;
};
int sisa_train(struct cmd *c, const struct sisa_train_args *a);

struct sisa_forget_args { /* of 'oubli forget --method sisa' */
    const struct inputs_opts *in;
    const char *forget, *output;
    const struct copies_opts *copies;
    int dry_run;
};
int sisa_forget(struct cmd *c, const struct sisa_forget_args *a);

#endif
