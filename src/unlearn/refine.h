/* refine.h - a forget set on its way into parts: what refine.c asks of parts.c. */
#ifndef OB_UNLEARN_REFINE_H
#define OB_UNLEARN_REFINE_H

#include "unlearn/plan.h"

struct ob_refining {
    const struct ob_data *d;
    const struct ob_model *model; /* of the embedding; may be NULL */
    const struct ob_ids *forget;
    const struct ob_scores *scores;
    const struct ob_refine_opts *o;
    size_t n_parts;
    char (*name)[32]; /* of each part */
    uint32_t *part;   /* of each forget id, by rank */
};

/* What was asked for, without work: fills n_parts and names. OB_EINVAL: makes no sense. */
int obi_divide_plan(struct ob_refining *r, struct ob_err *err);
/* Fills part[]. A part may stay empty. */
int obi_divide(struct ob_refining *r, struct ob_err *err);
void obi_divide_release(struct ob_refining *r);

#endif
