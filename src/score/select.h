/* select.h - the rules by which a forget set is picked. */
#ifndef OB_SCORE_SELECT_H
#define OB_SCORE_SELECT_H

#include "score/score.h"

struct ob_picked { /* in any order, none twice; room for the pool */
    uint32_t *id;
    size_t n;
};
typedef int ob_select_fn(struct ob_picked *out, const struct ob_data *d, const struct ob_ids *pool,
                         const struct ob_select_opts *o, struct ob_err *err);

/* select_sets.c - those that need no scores */
ob_select_fn ob_select_random, ob_select_class, ob_select_groups, ob_select_random_groups,
    ob_select_mislabeled;

#endif
