/* cmd_evaluate.c - oubli evaluate: accuracies, membership inference, gaps to retrained models. */
#include <math.h>
#include <string.h>

#include "setup.h"

struct evaluate {
    struct inputs_opts in;
    const char *forget, *plan;
    struct list against;
    /* made on the way */
    struct inputs open;
    struct ob_ids *ids;
    struct ob_plan *made;
    struct ob_eval_set *part;
    size_t n_parts;
    struct ob_model **reference;
    struct ob_eval *e;
};

static void release(struct evaluate *v)
{
    ob_eval_free(v->e);
    for (size_t i = 0; v->reference && i < v->against.n; i++)
        ob_model_free(v->reference[i]);
    ob_plan_free(v->made);
    ob_ids_free(v->ids);
    inputs_release(&v->open);
}

static int check(struct cmd *c, const struct evaluate *v)
{
    TRY(cmd_need(c, "data", v->in.data));
    TRY(cmd_need(c, "model", v->in.model));
    TRY(input_check(c, v->forget));
    TRY(input_check(c, v->plan));
    for (size_t i = 0; i < v->against.n; i++)
        TRY(input_check(c, v->against.item[i]));
    return OB_OK;
}

/* The plan's parts; its union is the forget set, and --forget must say the same. */
static int open_plan(struct cmd *c, struct evaluate *v)
{
    TRY(ob_plan_read(&v->made, v->plan, v->open.data, ob_split_train(v->open.split), &c->err));
    if (v->ids && !ob_ids_equal(v->ids, ob_plan_forget(v->made)))
        return cmd_fail(c, OB_EFORMAT, "'%s' holds other ids than the plan '%s'", v->forget,
                        v->plan);
    v->n_parts = ob_plan_n(v->made);
    v->part = cmd_alloc(c, v->n_parts + 1, sizeof(*v->part));
    for (size_t i = 0; i < v->n_parts; i++) {
        struct ob_step s;

        ob_plan_step(v->made, i, &s);
        v->part[i] = (struct ob_eval_set){ .name = s.name, .ids = s.forget };
    }
    return OB_OK;
}

static int open_all(struct cmd *c, struct evaluate *v)
{
    TRY(inputs_open(c, &v->open, &v->in, OTHER_DATA_WARNED));
    if (v->forget)
        TRY(forget_open(c, &v->ids, v->forget, v->open.data, v->open.split));
    if (v->plan)
        TRY(open_plan(c, v));
    v->reference = cmd_alloc(c, v->against.n + 1, sizeof(*v->reference));
    for (size_t i = 0; i < v->against.n; i++)
        TRY(reference_open(c, &v->reference[i], v->against.item[i], &v->open, &v->in));
    return OB_OK;
}

/* ---- as JSON ---- */

static json_t *accuracy_json(double forget, double retain, double val, double test)
{
    json_t *j = json_object();

    put_number(j, "forget", forget);
    put_number(j, "retain", retain);
    put_number(j, "val", val);
    put_number(j, "test", test);
    return j;
}

static json_t *gap_json(double forget, double retain, double test, double mia)
{
    json_t *j = json_object();

    put_number(j, "forget", forget);
    put_number(j, "retain", retain);
    put_number(j, "test", test);
    put_number(j, "mia", mia);
    return j;
}

static void put_mia(json_t *to, double mia)
{
    json_t *j;

    if (!isfinite(mia))
        return;
    j = json_object();
    put_number(j, "svc_confidence", mia);
    json_object_set_new(to, "mia", j);
}

static json_t *against_json(const struct evaluate *v, size_t i)
{
    const struct ob_eval_against *a = &v->e->against[i];
    json_t *j = json_object(), *d = json_object(), *parts;

    put_text(j, "model", v->against.item[i]);
    json_object_set_new(
        j, "accuracy",
        accuracy_json(a->accuracy_forget, a->accuracy_retain, a->accuracy_val, a->accuracy_test));
    put_mia(j, a->mia);
    json_object_set_new(j, "gap", gap_json(a->gap_forget, a->gap_retain, a->gap_test, a->gap_mia));
    put_number(j, "tow", a->tow);
    put_number(j, "tow_mia", a->tow_mia);
    put_number(j, "tow_parts", a->tow_parts);
    put_number(j, "tow_worst", a->tow_worst);
    put_number(d, "forget", a->disagree_forget);
    put_number(d, "retain", a->disagree_retain);
    put_number(d, "test", a->disagree_test);
    json_object_set_new(j, "disagreement", d);
    if (!a->part_accuracy)
        return j;
    parts = json_array();
    for (size_t k = 0; k < v->e->n_parts; k++) {
        json_t *p = json_object();

        put_text(p, "name", v->e->parts[k].name);
        put_number(p, "accuracy", a->part_accuracy[k]);
        put_number(p, "gap", a->part_gap[k]);
        json_array_append_new(parts, p);
    }
    json_object_set_new(j, "parts", parts);
    return j;
}

static json_t *parts_json(const struct ob_eval *e)
{
    json_t *parts = json_array();

    for (size_t k = 0; k < e->n_parts; k++) {
        json_t *p = json_object();

        put_text(p, "name", e->parts[k].name);
        put_count(p, "n", e->parts[k].n);
        put_number(p, "accuracy", e->parts[k].accuracy);
        json_array_append_new(parts, p);
    }
    return parts;
}

static json_t *counts_json(const struct ob_eval *e)
{
    json_t *j = json_object();

    if (e->n_forget)
        put_count(j, "forget", e->n_forget);
    put_count(j, "retain", e->n_retain);
    if (e->n_val)
        put_count(j, "val", e->n_val);
    put_count(j, "test", e->n_test);
    return j;
}

static void put_floor(json_t *j, const struct ob_eval *e)
{
    json_t *f;

    if (e->n_against < 2)
        return;
    f = json_object();
    put_number(f, "tow", e->floor_tow);
    put_number(f, "tow_mia", e->floor_tow_mia);
    json_object_set_new(
        f, "gap",
        gap_json(e->floor_gap_forget, e->floor_gap_retain, e->floor_gap_test, e->floor_gap_mia));
    json_object_set_new(j, "floor", f);
}

static int as_json(struct cmd *c, const struct evaluate *v)
{
    const struct ob_eval *e = v->e;
    json_t *j = json_object(), *against = json_array();

    put_text(j, "data", ob_data_info(v->open.data)->spec);
    put_text(j, "model", v->in.model);
    json_object_set_new(j, "n", counts_json(e));
    json_object_set_new(
        j, "accuracy",
        accuracy_json(e->accuracy_forget, e->accuracy_retain, e->accuracy_val, e->accuracy_test));
    put_mia(j, e->mia);
    if (e->n_parts)
        json_object_set_new(j, "parts", parts_json(e));
    for (size_t i = 0; i < e->n_against; i++)
        json_array_append_new(against, against_json(v, i));
    if (e->n_against)
        json_object_set_new(j, "against", against);
    else
        json_decref(against);
    put_number(j, "tow", e->tow);
    put_number(j, "tow_mia", e->tow_mia);
    put_number(j, "tow_parts", e->tow_parts);
    put_number(j, "tow_worst", e->tow_worst);
    put_floor(j, e);
    return print_json(c, j);
}

/* ---- as tables ---- */

static void row_of_model(struct table *t, const struct evaluate *v, const char *name,
                         const double x[5])
{
    table_cell(t, "%s", name);
    for (int k = 0; k < 4; k++)
        if (k != 2 || v->e->n_val)
            table_percent(t, x[k]);
    if (v->e->n_forget)
        table_number(t, x[4]);
}

/* One line a model: what it knows of each part, and how much the forget set looks unseen. */
static void print_models(const struct evaluate *v)
{
    const struct ob_eval *e = v->e;
    const double own[5] = { e->accuracy_forget, e->accuracy_retain, e->accuracy_val,
                            e->accuracy_test, e->mia };
    char align[8];
    struct table *t;

    snprintf(align, sizeof(align), "lrrr%s%s", e->n_val ? "r" : "", e->n_forget ? "r" : "");
    t = table_new(align);
    table_cell(t, "accuracy on");
    table_cell(t, "forget (%zu)", e->n_forget);
    table_cell(t, "retain (%zu)", e->n_retain);
    if (e->n_val)
        table_cell(t, "validation (%zu)", e->n_val);
    table_cell(t, "test (%zu)", e->n_test);
    if (e->n_forget)
        table_cell(t, "non-member");
    row_of_model(t, v, v->in.model, own);
    for (size_t i = 0; i < e->n_against; i++) {
        const struct ob_eval_against *a = &e->against[i];
        const double x[5] = { a->accuracy_forget, a->accuracy_retain, a->accuracy_val,
                              a->accuracy_test, a->mia };

        row_of_model(t, v, v->against.item[i], x);
    }
    table_print(t, stdout);
}

static void print_parts(const struct evaluate *v)
{
    const struct ob_eval *e = v->e;
    size_t shown = e->n_against < 12 ? e->n_against : 12;
    char align[16];
    struct table *t;

    if (!e->n_parts)
        return;
    snprintf(align, 4 + shown, "lrrrrrrrrrrrrrr"); /* two columns, and one a model */
    t = table_new(align);
    table_cell(t, "part");
    table_cell(t, "examples");
    table_cell(t, "%s", v->in.model);
    for (size_t i = 0; i < shown; i++)
        table_cell(t, "%s", v->against.item[i]);
    for (size_t k = 0; k < e->n_parts; k++) {
        table_cell(t, "%s", e->parts[k].name);
        table_cell(t, "%zu", e->parts[k].n);
        table_percent(t, e->parts[k].accuracy);
        for (size_t i = 0; i < shown; i++)
            table_percent(t, e->against[i].part_accuracy ? e->against[i].part_accuracy[k] : NAN);
    }
    putchar('\n');
    table_print(t, stdout);
}

static void row_of_gaps(struct table *t, const struct ob_eval *e, const char *name,
                        const double x[8])
{
    table_cell(t, "%s", name);
    for (int k = 0; k < 8; k++)
        if (k < 6 || e->n_parts) {
            if (k < 3)
                table_percent(t, x[k]);
            else
                table_number(t, x[k]);
        }
}

static void rows_of_means(struct table *t, const struct ob_eval *e)
{
    const double least[] = { e->floor_gap_forget,
                             e->floor_gap_retain,
                             e->floor_gap_test,
                             e->floor_gap_mia,
                             e->floor_tow,
                             e->floor_tow_mia,
                             NAN,
                             NAN };
    double mean[] = { 0, 0, 0, 0, e->tow, e->tow_mia, e->tow_parts, e->tow_worst };

    for (size_t i = 0; i < e->n_against; i++) {
        const struct ob_eval_against *a = &e->against[i];

        mean[0] += a->gap_forget / (double)e->n_against;
        mean[1] += a->gap_retain / (double)e->n_against;
        mean[2] += a->gap_test / (double)e->n_against;
        mean[3] += a->gap_mia / (double)e->n_against;
    }
    row_of_gaps(t, e, "mean", mean);
    row_of_gaps(t, e, "one retrained model to another", least);
}

static void print_gaps(const struct evaluate *v)
{
    const struct ob_eval *e = v->e;
    static const char *const head[] = { "gap to", "forget",  "retain",    "test",     "non-member",
                                        "ToW",    "ToW-MIA", "tow_parts", "tow_worst" };
    struct table *t;

    if (!e->n_against)
        return;
    t = table_new(e->n_parts ? "lrrrrrrrr" : "lrrrrrr");
    for (int k = 0; k < (e->n_parts ? 9 : 7); k++)
        table_cell(t, "%s", head[k]);
    for (size_t i = 0; i < e->n_against; i++) {
        const struct ob_eval_against *a = &e->against[i];
        const double x[] = { a->gap_forget, a->gap_retain, a->gap_test,  a->gap_mia,
                             a->tow,        a->tow_mia,    a->tow_parts, a->tow_worst };

        row_of_gaps(t, e, v->against.item[i], x);
    }
    if (e->n_against > 1)
        rows_of_means(t, e);
    putchar('\n');
    table_print(t, stdout);
}

static int evaluate(struct cmd *c, struct evaluate *v)
{
    const struct ob_ids *forget;

    TRY(check(c, v));
    TRY(cmd_start(c));
    TRY(open_all(c, v));
    forget = v->made ? ob_plan_forget(v->made) : v->ids;
    TRY(ob_evaluate(&v->e, v->open.model, (const struct ob_model *const *)v->reference,
                    v->against.n, v->open.data, v->open.split, forget, v->part, v->n_parts,
                    &c->err));
    progress_clear(c->progress);
    if (c->json)
        return as_json(c, v);
    print_models(v);
    print_parts(v);
    print_gaps(v);
    return OB_OK;
}

int cmd_evaluate(struct cmd *c, int argc, const char **argv)
{
    struct evaluate v = { .in = INPUTS_OPTS_INIT };
    const struct opt options[] = {
        INPUTS_OPTIONS(&v.in),
        AGGREGATE_OPTION(&v.in),
        { "forget", 'x', OPT_TEXT, &v.forget, "ids of the examples it was to forget", "IDS" },
        { "plan", 'p', OPT_TEXT, &v.plan, "a plan: its ids, and numbers for each part", "FILE" },
        { "against", 'r', OPT_LIST, &v.against, "a model retrained without them; may be repeated",
          "FILE" },
        { 0 },
    };
    int status = cmd_parse(c, options, argc, argv);

    if (!status)
        status = evaluate(c, &v);
    release(&v);
    return status;
}
