/* keep.h - models kept between the steps of a plan, so that a run goes on where it was stopped. */
#ifndef OB_UNLEARN_KEEP_H
#define OB_UNLEARN_KEEP_H

#include "unlearn/plan.h"

struct ob_keep { /* all borrowed */
    const char *folder;
    const struct ob_plan *plan;
    const struct ob_data *data;
    uint64_t seed;
    char start[65], content[65];     /* digests of the first model and of the plan */
    const char *recipe, *train_seed; /* of the first model, or NULL */
};

/* Writes folder/step-N.safetensors (N = i + 1) with digest and result in the metadata. */
int ob_keep_write(const struct ob_keep *k, size_t i, struct ob_model *m,
                  const struct ob_step_result *r, struct ob_err *err);
bool ob_keep_exists(const struct ob_keep *k, size_t i);
/* Weights and records of step i into `m`, what it cost into `r`. OB_EFORMAT: damaged, or of
 * another run; then `m` is as it was. */
int ob_keep_read(const struct ob_keep *k, size_t i, struct ob_model *m, struct ob_step_result *r,
                 struct ob_err *err);
/* Copies the metadata that training again would have changed: recipe, seed, data, split. */
int ob_keep_copy_records(struct ob_model *to, const struct ob_model *from, struct ob_err *err);

#endif
