/* unlearn.h - a small world to unlearn in: data, split, forget set and a trained model. */
#ifndef TESTS_UNLEARN_H
#define TESTS_UNLEARN_H

#include "common.h"

#include "base/mem.h"
#include "nn/model.h"
#include "unlearn/keep.h"

#define SPEC "synth:longtail,train=90,test=30,classes=3,size=8,channels=1"

struct world {
    struct ob_ctx *ctx;
    struct ob_data *data;
    struct ob_split *split;
    struct ob_ids *forget, *of_class; /* some; all of class 0 */
    struct ob_model *start;           /* trained for a few epochs: it has a recipe */
    int asked, stop_at;               /* the stop callback says yes at the stop_at-th question */
};

static const char *backend; /* that main() is at */

static inline int stop(void *arg)
{
    struct world *w = arg;

    return ++w->asked == w->stop_at;
}

static inline struct ob_ids *all_of_class(const struct world *w, int class)
{
    const struct ob_ids *train = ob_split_train(w->split);
    struct ob_ids *ids;
    uint32_t *id;
    size_t n = 0;

    must(ob_alloc(id, train->n, err));
    for (size_t i = 0; i < train->n; i++)
        if (ob_data_label(w->data, OB_TRAIN, train->id[i]) == class)
            id[n++] = train->id[i];
    must(ob_ids_new(&ids, id, n, train->limit, err));
    ob_free(id);
    return ids;
}

/* `epochs`: of the training that made the model. */
static inline void begin_trained(struct world *w, int n_threads, int epochs)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_train_opts t = OB_TRAIN_OPTS_INIT;
    const struct ob_data_info *i;
    const struct ob_ids *train;

    *w = (struct world){ 0 };
    o.backend = backend;
    o.n_threads = n_threads;
    o.stop = stop;
    o.arg = w;
    must(ob_ctx_new(&w->ctx, &o, err));
    must(ob_data_open(&w->data, w->ctx, SPEC, err));
    must(ob_split_new(&w->split, w->data, 0.1, 1, err));
    train = ob_split_train(w->split);
    must(ob_ids_new(&w->forget, ob_ids_list(train) + 3, 21, train->limit, err));
    w->of_class = all_of_class(w, 0);
    i = ob_data_info(w->data);
    must(ob_model_new(&w->start, w->ctx, "cnn,width=0.25", i->channels, i->height, i->width,
                      i->n_classes, 7, err));
    ob_recipe_default(&t.recipe, w->data, "cnn");
    t.recipe.epochs = epochs;
    t.recipe.batch = 16;
    t.recipe.lr = 0.02;
    t.seed = 7;
    must(ob_train(NULL, w->start, w->data, w->split, train, &t, err));
    w->asked = 0;
}

static inline void begin(struct world *w, int n_threads)
{
    begin_trained(w, n_threads, 3);
}

static inline void end(struct world *w)
{
    ob_model_free(w->start);
    ob_ids_free(w->forget);
    ob_ids_free(w->of_class);
    ob_split_free(w->split);
    ob_data_free(w->data);
    ob_ctx_free(w->ctx);
}

static inline struct ob_model *copy(const struct world *w)
{
    struct ob_model *m;

    must(ob_model_clone(&m, w->start, err));
    return m;
}

/* unsir forgets whole classes only. */
static inline const struct ob_ids *forget_for(const struct world *w, const char *spec)
{
    return strncmp(spec, "unsir", 5) ? w->forget : w->of_class;
}

/* The method `spec` on the whole forget set. */
static inline int run(struct world *w, struct ob_model *m, const char *spec, uint64_t seed,
                      struct ob_step_result *result, struct ob_err *why)
{
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_plan *p;
    int rc;

    must(ob_plan_single(&p, w->data, m, ob_split_train(w->split), forget_for(w, spec), spec, err));
    o.seed = seed;
    rc = ob_rum(result, NULL, m, w->data, w->split, p, &o, why);
    ob_plan_free(p);
    return rc;
}

/* Mean cross entropy. */
static inline double loss_on(const struct world *w, const struct ob_model *m,
                             const struct ob_ids *ids)
{
    int c = ob_model_n_classes(m), *y;
    float *logits;
    double loss;

    must(ob_alloc(logits, ids->n * (size_t)c, err));
    must(ob_alloc(y, ids->n, err));
    must(ob_predict(logits, NULL, m, w->data, OB_TRAIN, ids, err));
    for (size_t i = 0; i < ids->n; i++)
        y[i] = ob_data_label(w->data, OB_TRAIN, ids->id[i]);
    loss = ob_loss_ce(NULL, logits, y, (int)ids->n, c, 1.0f, NULL);
    ob_free(logits);
    ob_free(y);
    return loss;
}

/* What a plan's run is asked to keep: the model after each step. */
struct snapshot {
    struct ob_model *after[3];
};

static inline int keep_copy(void *arg, size_t step, const struct ob_model *m)
{
    struct snapshot *s = arg;

    return ob_model_clone(&s->after[step], m, NULL) != OB_OK;
}

#endif
