/* sisa.h - a model in shards and slices: trained, made to forget. */
#ifndef OUBLI_SISA_H
#define OUBLI_SISA_H

#include "setup.h"

struct sisa_train_args { /* of 'oubli train --sisa' */
    const char *data, *arch, *output, *exclude, *normalize, *sisa;
    double val;
    uint32_t split_seed;
    int resume;
    const struct recipe_opts *given;
};
int sisa_train(struct cmd *c, const struct sisa_train_args *a);

/* 'oubli forget --method sisa'. */
int sisa_forget(struct cmd *c, const struct inputs_opts *in, const char *forget,
                const char *output);

#endif
