/* cmd_entangle.c - oubli entangle: how much a forget set, or each part of a plan, overlaps with the rest. */
#include <math.h>
#include <string.h>

#include "setup.h"

struct entangle {
    struct inputs_opts in;
    const char *forget, *plan;
    size_t sample;
};

static json_t *as_json(const struct ob_entanglement *e, const char *name, const char *embedding)
{
    json_t *j = json_object();

    put_text(j, "name", name);
    put_text(j, "embedding", embedding);
    put_count(j, "n_forget", e->n_forget);
    put_count(j, "n_retain", e->n_retain);
    put_number(j, "es", e->es);
    put_number(j, "es_released", e->es_released);
    put_number(j, "mmd2", e->mmd2);
    put_number(j, "gamma", e->gamma);
    put_number(j, "mmd2_gamma1", e->mmd2_gamma1);
    return j;
}

static int print(struct cmd *c, const struct ob_entanglement *e, const char *const *name, size_t n,
                 const char *embedding)
{
    struct table *t;

    progress_clear(c->progress);
    if (c->json) {
        json_t *parts = json_array();

        if (!name)
            return print_json(c, as_json(e, NULL, embedding));
        for (size_t i = 0; i < n; i++)
            json_array_append_new(parts, as_json(&e[i], name[i], embedding));
        return print_json(c, json_pack("{s:o}", "parts", parts));
    }
    t = table_new("lrrrrrr");
    for (const char *const *h = (const char *const[]){ "", "forget", "retain", "ES", "ES, released",
                                                       "MMD^2", "gamma 1", NULL };
         *h; h++)
        table_cell(t, "%s", *h);
    for (size_t i = 0; i < n; i++) {
        table_cell(t, "%s", name ? name[i] : "forget set");
        table_cell(t, "%zu", e[i].n_forget);
        table_cell(t, "%zu", e[i].n_retain);
        table_cell(t, "%.2f", e[i].es);
        table_cell(t, "%.2f", e[i].es_released);
        table_cell(t, "%.5f", e[i].mmd2);
        table_cell(t, "%.5f", e[i].mmd2_gamma1);
    }
    table_print(t, stdout);
    printf("high ES, small MMD: hard to tell apart; MMD over %zu and %zu examples, gamma %.3g\n",
           e->n_sample[0], e->n_sample[1], e->gamma);
    return OB_OK;
}

static int measure(struct cmd *c, const struct entangle *s, const struct inputs *in,
                   const struct ob_entangle_set *set, const char *const *name, size_t n)
{
    struct ob_entangle_opts o = OB_ENTANGLE_OPTS_INIT;
    struct ob_entanglement *e = cmd_alloc(c, n, sizeof(*e));

    o.sample = s->sample;
    o.seed = c->seed;
    TRY(ob_entangle(e, in->model, in->data, ob_split_train(in->split), set, n, &o, &c->err));
    return print(c, e, name, n, ob_model_embedding(in->model));
}

static int of_set(struct cmd *c, const struct entangle *s, const struct inputs *in)
{
    struct ob_ids *forget = NULL, *retain = NULL;
    int status;

    GO(forget_open(c, &forget, s->forget, in->data, in->split));
    GO(ob_ids_minus(&retain, ob_split_train(in->split), forget, &c->err));
    status = measure(c, s, in, &(struct ob_entangle_set){ forget, retain }, NULL, 1);
out:
    ob_ids_free(retain);
    ob_ids_free(forget);
    return status;
}

static int of_plan(struct cmd *c, const struct entangle *s, const struct inputs *in)
{
    struct ob_plan *plan = NULL;
    struct ob_entangle_set *set;
    const char **name;
    int status;

    GO(input_check(c, s->plan));
    GO(ob_plan_read(&plan, s->plan, in->data, ob_split_train(in->split), &c->err));
    set = cmd_alloc(c, ob_plan_n(plan), sizeof(*set));
    name = cmd_alloc(c, ob_plan_n(plan), sizeof(*name));
    for (size_t i = 0; i < ob_plan_n(plan); i++) {
        struct ob_step step;

        ob_plan_step(plan, i, &step);
        set[i] = (struct ob_entangle_set){ step.forget, step.retain };
        name[i] = step.name;
    }
    status = measure(c, s, in, set, name, ob_plan_n(plan));
out:
    ob_plan_free(plan);
    return status;
}

int cmd_entangle(struct cmd *c, int argc, const char **argv)
{
    struct entangle s = { .in = INPUTS_OPTS_INIT, .sample = 2000 };
    const struct opt options[] = {
        INPUTS_OPTIONS(&s.in),
        EMBEDDING_OPTION(&s.in),
        ANY_DATA_OPTION(&s.in),
        { "forget", 'x', OPT_TEXT, &s.forget, "the forget set", "IDS" },
        { "plan", 0, OPT_TEXT, &s.plan, "each part of this plan, against what its step retains",
          "FILE" },
        { "sample", 0, OPT_SIZE, &s.sample,
          "examples of each set that MMD takes (default 2000; 0: all)", "N" },
        { 0 },
    };
    struct inputs in;
    int status;

    TRY(cmd_parse(c, options, argc, argv));
    TRY(cmd_need(c, "data", s.in.data));
    TRY(cmd_need(c, "model", s.in.model));
    if (!s.forget == !s.plan)
        return cmd_fail(c, OB_EINVAL, "either --forget or --plan is needed");
    TRY(cmd_start(c));
    TRY(inputs_open(c, &in, &s.in, OTHER_DATA_REFUSED));
    status = s.plan ? of_plan(c, &s, &in) : of_set(c, &s, &in);
    inputs_release(&in);
    return status;
}
