/* sisa_cost.c - which slices a deletion would train again, and how long that takes, before anything is done. */
#include <math.h>

#include "run/sisa.h"

/* Slices before the first whose examples change stay. */
static int one_shard(struct ob_cost *cost, struct ob_sisa_done *done, const struct ob_sisa *was,
                     const struct ob_sisa *now, int k, struct ob_err *err)
{
    bool changed = false;

    for (int j = 0; j < now->o.slices; j++) {
        struct ob_ids *a = NULL, *b = NULL;
        int epochs = ob_sisa_epochs(now, j + 1) - ob_sisa_epochs(now, j), rc;

        OB_GO(ob_sisa_examples(&a, was, k, j, err));
        OB_GO(ob_sisa_examples(&b, now, k, j, err));
        changed = changed || !ob_ids_equal(a, b);
        done->slices_trained += changed;
        done->slices_kept += !changed;
        cost->images += changed ? (uint64_t)epochs * b->n : 0;
    out:
        ob_ids_free(a);
        ob_ids_free(b);
        OB_TRY(rc);
    }
    done->shards_trained += changed;
    return OB_OK;
}

/* Seconds of the images, from one batch through a shard's first model. */
static int predict(struct ob_cost *cost, const struct ob_sisa *s, const struct ob_data *d,
                   const struct ob_split *split, struct ob_err *err)
{
    const struct ob_recipe *r = &s->o.recipe;
    const struct ob_ids *ids = split ? ob_split_train(split) : ob_data_ids(d, OB_TRAIN);
    struct ob_model *m = NULL;
    struct ob_rate rate;
    int rc;

    OB_TRY(ob_sisa_check_room(s, d, err));
    OB_GO(ob_sisa_fresh(&m, s, 0, d, err));
    OB_GO(ob_rate_measure(&rate, m, d, ids, r->sub_batch ? r->sub_batch : r->batch, err));
    cost->seconds = ob_rate_seconds(&rate, cost);
out:
    ob_model_free(m);
    return rc;
}

int ob_sisa_forget_cost(struct ob_cost *cost, struct ob_sisa_done *done, struct ob_ctx *ctx,
                        const char *from, const struct ob_data *d, const struct ob_split *split,
                        const struct ob_ids *forget, struct ob_err *err)
{
    struct ob_sisa *there = NULL, *was = NULL, *now = NULL;
    struct ob_ids *left_out = NULL;
    int rc;

    *cost = (struct ob_cost){ .loss = NAN, .accuracy = NAN };
    OB_GO(ob_sisa_open(&there, ctx, from, err));
    OB_GO(ob_ids_union(&left_out, there->excluded, forget, err));
    OB_GO(ob_sisa_new(&was, ctx, from, d, split, there->excluded, &there->o, err));
    OB_GO(ob_sisa_same(there, was, false, err));
    OB_GO(ob_sisa_new(&now, ctx, from, d, split, left_out, &there->o, err));
    *done = (struct ob_sisa_done){ .shards = now->o.shards,
                                   .slices = now->o.slices,
                                   .n_left_out = left_out->n };
    for (int k = 0; k < now->o.shards; k++)
        OB_GO(one_shard(cost, done, was, now, k, err));
    if (cost->images)
        OB_GO(predict(cost, now, d, split, err));
out:
    ob_ids_free(left_out);
    ob_sisa_free(now);
    ob_sisa_free(was);
    ob_sisa_free(there);
    return rc;
}
