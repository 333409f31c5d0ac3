/*
 * holdout.c - how far an example's prediction moves when the model is trained on examples it never saw.
 *
 * A copy q of the model p is trained on the held-out part until it fits; the score of x is (KL(p||q) + KL(q||p)) / 2,
 * in nats, probabilities of at least 1e-10 (Carlini, Erlingsson, Papernot 2019; Zhao and Triantafillou 2024). Held out is the
 * validation part; the released code takes the test set.
 */
#include <jansson.h>
#include <math.h>

#include "base/mem.h"
#include "run/train.h"
#include "score/score.h"

#define LEAST 1e-10

double ob_holdout_divergence(const double *p, const double *q, int c)
{
    double sum = 0;

    for (int k = 0; k < c; k++) {
        double a = fmax(p[k], LEAST), b = fmax(q[k], LEAST);

        sum += (a - b) * log(a / b);
    }
    return sum / 2;
}

static int compare(struct ob_scores *s, const struct ob_model *p, const struct ob_model *q,
                   const struct ob_data *d, const struct ob_ids *ids, struct ob_err *err)
{
    int c = ob_model_n_classes(p), rc;
    float *before = NULL, *after = NULL;
    double *prob = NULL;
    size_t n;

    if (!ob_mul(&n, ids->n, (size_t)c))
        return ob_fail(err, OB_ENOMEM, "out of memory (%zu examples)", ids->n);
    OB_GO(ob_alloc(before, n, err));
    OB_GO(ob_alloc(after, n, err));
    OB_GO(ob_alloc(prob, 2 * (size_t)c, err));
    OB_GO(ob_predict(before, NULL, p, d, OB_TRAIN, ids, err));
    OB_GO(ob_predict(after, NULL, q, d, OB_TRAIN, ids, err));
    for (size_t i = 0; i < ids->n; i++) {
        ob_softmax(prob, before + i * (size_t)c, c);
        ob_softmax(prob + c, after + i * (size_t)c, c);
        s->value[ids->id[i]] = (float)ob_holdout_divergence(prob, prob + c, c);
    }
out:
    ob_free(prob);
    ob_free(after);
    ob_free(before);
    return rc;
}

static int retrain(struct ob_cost *cost, struct ob_model *q, const struct ob_data *d,
                   const struct ob_ids *held, const struct ob_holdout_opts *o, struct ob_err *err)
{
    struct ob_train_opts t = OB_TRAIN_OPTS_INIT;

    t.recipe = (struct ob_recipe){ .epochs = o->epochs,
                                   .batch = o->batch,
                                   .lr = o->lr,
                                   .momentum = 0.9,
                                   .weight_decay = 5e-4,
                                   .schedule = "constant",
                                   .augment = "none",
                                   .optimizer = "sgd" };
    t.seed = o->seed;
    t.patience = o->patience;
    t.part = o->released ? OB_TEST : OB_TRAIN;
    return ob_train(cost, q, d, NULL, held, &t, err);
}

static json_t *settings_of(const struct ob_holdout_opts *o)
{
    return json_pack("{s:s, s:f, s:i, s:i, s:i, s:I}", "variant",
                     o->released ? "released" : "paper", "lr", o->lr, "epochs", o->epochs, "batch",
                     o->batch, "patience", o->patience, "seed", (json_int_t)o->seed);
}

int ob_scores_holdout(struct ob_scores **out, const struct ob_model *m, const struct ob_data *d,
                      const struct ob_split *split, const struct ob_holdout_opts *o,
                      struct ob_err *err)
{
    const struct ob_ids *held = o->released ? d->use[OB_TEST] : ob_split_val(split);
    const struct ob_ids *ids = ob_split_train(split);
    struct ob_scores *s = NULL;
    struct ob_model *q = NULL;
    struct ob_cost cost;
    int rc;

    *out = NULL;
    if (!ob_ids_n(held))
        return ob_fail(
            err, OB_EINVAL,
            "holdout needs a validation part, and this model has none; 'train --val 0.1' "
            "sets one aside");
    OB_GO(ob_scores_new(&s, "holdout", "model", d->info.n_file[OB_TRAIN], err));
    OB_GO(ob_model_clone(&q, m, err));
    OB_GO(retrain(&cost, q, d, held, o, err));
    OB_GO(compare(s, m, q, d, ids, err));
    ob_scores_count(s);
    s->info.images = 3 * (double)cost.images + 2 * (double)ids->n;
    rc = ob_scores_of_model(s, m, d, settings_of(o), err);
out:
    ob_model_free(q);
    if (rc)
        ob_scores_free(s);
    else
        *out = s;
    return rc;
}
