/* demo_seed.c - one seed of the demo: an original, retrained models, every way, all judged. */
#include <math.h>
#include <string.h>

#include "demo.h"

struct seed {
    struct demo *d;
    uint64_t seed;
    json_t *entry;
    struct ob_model *original, *retrained[DEMO_RETRAINED];
    double images[DEMO_RETRAINED];
    struct ob_events *events;
    struct ob_scores *scores;
    struct ob_ids *forget, *retain;
    struct ob_plan *thirds; /* of memorization; its steps are the parts */
    struct ob_eval_set part[DEMO_PARTS];
    json_t *curve;
};

/* ---- training ---- */

static void on_epoch(void *arg, int epoch, double loss, double accuracy)
{
    json_t *point = json_object();

    (void)epoch;
    put_number(point, "loss", loss);
    put_number(point, "accuracy", accuracy);
    json_array_append_new(arg, point);
}

static int fresh(struct demo *d, struct ob_model **out, uint64_t seed)
{
    const struct ob_data_info *info = ob_data_info(d->data);

    TRY(ob_model_new(out, d->c->ctx, d->arch, info->channels, info->height, info->width,
                     info->n_classes, seed, &d->c->err));
    return ob_model_set_normalize(*out, NULL, d->data, &d->c->err);
}

static int train_original(struct seed *s)
{
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;
    struct demo *d = s->d;
    struct ob_cost cost;

    o.recipe = d->recipe;
    o.seed = s->seed;
    o.events = &s->events;
    o.on_epoch = on_epoch;
    o.arg = s->curve;
    TRY(fresh(d, &s->original, s->seed));
    return ob_train(&cost, s->original, d->data, d->split, ob_split_train(d->split), &o,
                    &d->c->err);
}

/* The first with the seed of the original, as the paper pairs them; the second with another one,
 * to see how far two retrained models are apart. */
static int retrain(struct seed *s, size_t k)
{
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;
    struct demo *d = s->d;
    struct ob_cost cost;

    o.recipe = d->recipe;
    o.seed = s->seed + 1000 * k;
    TRY(fresh(d, &s->retrained[k], o.seed));
    TRY(ob_train(&cost, s->retrained[k], d->data, d->split, s->retain, &o, &d->c->err));
    s->images[k] = (double)cost.images;
    return OB_OK;
}

static int choose(struct seed *s)
{
    struct ob_select_opts o = { .size = sizeof(o), .rule = "mix", .n = s->d->n_forget };
    struct ob_refine_opts r = { .size = sizeof(r), .n_parts = DEMO_PARTS, .methods = "none" };
    const struct ob_ids *all = ob_split_train(s->d->split);
    struct ob_err *err = &s->d->c->err;

    TRY(ob_scores_from_events(&s->scores, s->events, "confidence", 0, err));
    o.scores = s->scores;
    o.center = NAN; /* the rule's own: the middle of the range */
    TRY(ob_select(&s->forget, s->d->data, all, &o, err));
    TRY(ob_ids_minus(&s->retain, all, s->forget, err));
    TRY(ob_refine(&s->thirds, s->d->data, s->original, all, s->forget, s->scores, &r, err));
    for (size_t k = 0; k < DEMO_PARTS; k++) {
        struct ob_step step;

        ob_plan_step(s->thirds, k, &step);
        s->part[k] = (struct ob_eval_set){ step.name, step.forget };
    }
    return OB_OK;
}

/* ---- judging ---- */

static void put_judged(json_t *to, double forget, double retain, double test, const double *part,
                       double mia, double images)
{
    json_t *accuracy = json_object(), *parts = json_array();

    put_number(accuracy, "forget", forget);
    put_number(accuracy, "retain", retain);
    put_number(accuracy, "test", test);
    json_object_set_new(to, "accuracy", accuracy);
    for (size_t k = 0; k < DEMO_PARTS; k++)
        json_array_append_new(parts, json_real(part[k]));
    json_object_set_new(to, "parts", parts);
    put_number(to, "mia", mia);
    put_number(to, "images", images);
}

static void put_eval(json_t *to, const struct ob_eval *e, double images)
{
    double part[DEMO_PARTS];

    for (size_t k = 0; k < DEMO_PARTS; k++)
        part[k] = e->parts[k].accuracy;
    put_judged(to, e->accuracy_forget, e->accuracy_retain, e->accuracy_test, part, e->mia, images);
}

static int judge(struct seed *s, struct ob_eval **out, const struct ob_model *m, size_t n_against)
{
    const struct ob_model *against[DEMO_RETRAINED];

    for (size_t k = 0; k < DEMO_RETRAINED; k++)
        against[k] = s->retrained[k];
    return ob_evaluate(out, m, against, n_against, s->d->data, s->d->split, s->forget, s->part,
                       DEMO_PARTS, &s->d->c->err);
}

static json_t *new_way(struct seed *s, const struct demo_way *w)
{
    json_t *ways = json_object_get(s->entry, "ways"), *way = json_object();

    put_text(way, "id", w->id);
    json_array_append_new(ways, way);
    return way;
}

static void put_way(json_t *way, const struct ob_eval *e, double images, json_t *steps)
{
    put_eval(way, e, images);
    put_number(way, "tow", e->tow);
    put_number(way, "tow_mia", e->tow_mia);
    put_number(way, "tow_parts", e->tow_parts);
    put_number(way, "tow_worst", e->tow_worst);
    json_object_set_new(way, "steps", steps ? steps : json_array());
}

/* The original: also tells about itself and about the retrained models it was held against. */
static int judge_original(struct seed *s, const struct demo_way *w)
{
    json_t *original = json_object(), *list = json_array();
    double n_forget = (double)ob_ids_n(s->forget), n_retain = (double)ob_ids_n(s->retain);
    struct ob_eval *e;

    json_object_set_new(s->entry, "original", original);
    json_object_set_new(s->entry, "retrained", list);
    TRY(judge(s, &e, s->original, DEMO_RETRAINED));
    put_number(original, "train",
               (e->accuracy_forget * n_forget + e->accuracy_retain * n_retain) /
                   (n_forget + n_retain));
    put_eval(original, e, 0);
    for (size_t k = 0; k < DEMO_RETRAINED; k++) {
        const struct ob_eval_against *a = &e->against[k];
        json_t *r = json_object();

        put_count(r, "seed", s->seed + 1000 * k);
        put_judged(r, a->accuracy_forget, a->accuracy_retain, a->accuracy_test, a->part_accuracy,
                   a->mia, s->images[k]);
        json_array_append_new(list, r);
    }
    put_way(new_way(s, w), e, 0, NULL);
    ob_eval_free(e);
    return OB_OK;
}

static int judge_floor(struct seed *s, const struct demo_way *w)
{
    struct ob_eval *e;

    TRY(judge(s, &e, s->retrained[1], 1));
    put_way(new_way(s, w), e, s->images[1], NULL);
    ob_eval_free(e);
    return OB_OK;
}

/* ---- forgetting ---- */

struct watch {
    struct seed *s;
    const struct ob_plan *plan;
    json_t *steps;
    int status;
};

static int part_accuracy(struct seed *s, double *out, const struct ob_model *m,
                         const struct ob_ids *ids)
{
    size_t n = ob_ids_n(ids), right = 0, classes = (size_t)ob_model_n_classes(m);
    float *logits = cmd_alloc(s->d->c, n * classes, sizeof(*logits));

    TRY(ob_predict(logits, NULL, m, s->d->data, OB_TRAIN, ids, &s->d->c->err));
    for (size_t i = 0; i < n; i++) {
        const float *z = logits + i * classes;
        size_t top = 0;

        for (size_t c = 1; c < classes; c++)
            top = z[c] > z[top] ? c : top;
        right += (int)top == ob_data_label(s->d->data, OB_TRAIN, ob_ids_list(ids)[i]);
    }
    *out = n ? (double)right / (double)n : 0;
    return OB_OK;
}

static int on_step(void *arg, size_t i, const struct ob_model *m)
{
    struct watch *w = arg;
    json_t *step = json_object(), *parts = json_array();
    struct ob_method_info info;
    struct ob_step what;

    ob_plan_step(w->plan, i, &what);
    ob_method_info(what.method, &info);
    put_text(step, "name", what.name);
    put_text(step, "method", info.name);
    json_object_set_new(step, "parts", parts);
    json_array_append_new(w->steps, step);
    for (size_t k = 0; k < DEMO_PARTS; k++) {
        double a = 0;

        w->status = part_accuracy(w->s, &a, m, w->s->part[k].ids);
        if (w->status)
            return 1;
        json_array_append_new(parts, json_real(a));
    }
    return 0;
}

static int make_plan(struct seed *s, struct ob_plan **out, const struct demo_way *w)
{
    const char *methods = demo_way_methods(s->d, w);
    const struct ob_ids *all = ob_split_train(s->d->split);
    struct ob_refine_opts o = { .size = sizeof(o),
                                .n_parts = DEMO_PARTS,
                                .random = w->cut == CUT_RANDOM,
                                .seed = s->seed,
                                .methods = methods };

    if (w->cut == CUT_WHOLE)
        return ob_plan_single(out, s->d->data, s->original, all, s->forget, methods, &s->d->c->err);
    return ob_refine(out, s->d->data, s->original, all, s->forget,
                     w->cut == CUT_RANDOM ? NULL : s->scores, &o, &s->d->c->err);
}

static int forget(struct seed *s, const struct demo_way *w)
{
    struct watch watch = { .s = s, .steps = json_array() };
    struct ob_rum_opts o = OB_RUM_OPTS_INIT;
    struct ob_err *err = &s->d->c->err;
    struct ob_model *m = NULL;
    struct ob_plan *plan = NULL;
    struct ob_eval *e = NULL;
    struct ob_cost cost;
    int status;

    GO(make_plan(s, &plan, w));
    watch.plan = plan;
    o.seed = s->seed;
    o.on_step = on_step;
    o.arg = &watch;
    GO(ob_model_clone(&m, s->original, err));
    status = ob_rum(NULL, &cost, m, s->d->data, s->d->split, plan, &o, err);
    if (watch.status)
        status = watch.status;
    GO(status);
    GO(judge(s, &e, m, DEMO_RETRAINED));
    put_way(new_way(s, w), e, (double)cost.images, watch.steps);
    watch.steps = NULL;
out:
    json_decref(watch.steps);
    ob_eval_free(e);
    ob_plan_free(plan);
    ob_model_free(m);
    return status;
}

/* ---- all of it ---- */

static int whole_seed(struct seed *s)
{
    struct cmd *c = s->d->c;
    const struct demo_way *w;

    cmd_note(c, "seed %llu: training the original", (unsigned long long)s->seed);
    TRY(train_original(s));
    TRY(choose(s));
    cmd_note(c, "seed %llu: retraining without the %zu examples, twice",
             (unsigned long long)s->seed, ob_ids_n(s->forget));
    for (size_t k = 0; k < DEMO_RETRAINED; k++)
        TRY(retrain(s, k));
    for (size_t i = 0; (w = demo_way_at(i)); i++) {
        if (w->cut != CUT_NOT) {
            cmd_note(c, "seed %llu: %s (%s)", (unsigned long long)s->seed, w->title, w->about);
            TRY(forget(s, w));
        } else if (!strcmp(w->id, "floor")) {
            TRY(judge_floor(s, w));
        } else {
            TRY(judge_original(s, w));
        }
    }
    TRY(demo_histogram(s->d, s->entry, s->scores, s->thirds));
    return demo_examples(s->d, s->entry, s->scores, s->thirds);
}

int demo_seed(struct demo *d, uint64_t seed, json_t **out)
{
    struct seed s = { .d = d, .seed = seed, .entry = json_object(), .curve = json_array() };
    int status;

    put_count(s.entry, "seed", seed);
    json_object_set_new(s.entry, "curve", s.curve);
    json_object_set_new(s.entry, "ways", json_array());
    status = whole_seed(&s);
    *out = status ? NULL : s.entry;
    if (status)
        json_decref(s.entry);
    ob_plan_free(s.thirds);
    ob_ids_free(s.forget);
    ob_ids_free(s.retain);
    ob_scores_free(s.scores);
    ob_events_free(s.events);
    ob_model_free(s.original);
    for (size_t k = 0; k < DEMO_RETRAINED; k++)
        ob_model_free(s.retrained[k]);
    return status;
}
