/* cmd_methods.c - oubli methods [NAME]: the unlearning methods there are. */
#include <math.h>
#include <string.h>

#include "cmd.h"

static const char *type_name(const struct ob_option *o)
{
    switch (o->type) {
    case OB_OPT_INT:
        return "int";
    case OB_OPT_FLOAT:
        return "float";
    case OB_OPT_CHOICE:
        return "choice";
    default:
        return "text";
    }
}

/* The k-th of "a,b,c"; *n is its length, 0 past the last. */
static const char *choice(const char *list, int k, int *n)
{
    const char *p = list ? list : "";

    for (; k > 0 && *p; k--) {
        p += strcspn(p, ",");
        p += *p == ',';
    }
    *n = (int)strcspn(p, ",");
    return p;
}

static json_t *words(const char *list)
{
    json_t *array = json_array();
    const char *p;
    int n;

    for (int k = 0; p = choice(list, k, &n), n > 0; k++) {
        p += strspn(p, " ");
        json_array_append_new(array, json_stringn(p, strcspn(p, ",")));
    }
    return array;
}

static void put_value(json_t *object, const char *key, const struct ob_option *o, double x)
{
    if (isfinite(x) && o->type == OB_OPT_INT)
        json_object_set_new(object, key, json_integer((json_int_t)x));
    else
        put_number(object, key, x);
}

/* "variant=correct,solver=gram|cg" -> {"variant":["correct"],"solver":["gram","cg"]} */
static json_t *when_json(const char *when)
{
    json_t *object = json_object();
    const char *at;
    int n;

    for (int k = 0; at = choice(when, k, &n), n > 0; k++) {
        size_t n_name = strcspn(at, "=");
        json_t *values = json_array();
        char name[32];

        snprintf(name, sizeof(name), "%.*s", (int)n_name, at);
        for (size_t i = n_name + 1; i < (size_t)n; i += strcspn(at + i, "|,") + 1)
            json_array_append_new(values, json_stringn(at + i, strcspn(at + i, "|,")));
        json_object_set_new(object, name, values);
    }
    return object;
}

/* What the model says where nothing is given: its recipe, its seed. */
static void put_default_of_model(json_t *j)
{
    json_object_set_new(j, "default", json_null());
    put_text(j, "default_from", "model");
}

/* All that a form needs to ask for it and to check the answer. `common`: every iterative method has
 * it. */
static json_t *setting_json(const struct ob_option *o, int common)
{
    json_t *j = json_object();

    put_text(j, "name", o->name);
    put_text(j, "type", type_name(o));
    if (isnan(o->def)) {
        put_default_of_model(j);
    } else if (o->type == OB_OPT_CHOICE) {
        int n;
        const char *p = choice(o->choices, (int)o->def, &n);

        json_object_set_new(j, "default", json_stringn(p, (size_t)n));
    } else if (o->type != OB_OPT_TEXT) {
        put_value(j, "default", o, o->def);
    }
    if (o->type == OB_OPT_CHOICE) {
        json_object_set_new(j, "choices", words(o->choices));
    } else if (o->type != OB_OPT_TEXT) {
        put_value(j, "min", o, o->min);
        put_value(j, "max", o, o->max);
    }
    put_text(j, "format", o->format);
    if (o->when)
        json_object_set_new(j, "when", when_json(o->when));
    put_text(j, "help", o->help);
    put_text(j, "range", o->range);
    json_object_set_new(j, "common", json_boolean(common));
    return j;
}

/* The lines of a text, each an element. */
static json_t *lines(const char *text)
{
    json_t *array = json_array();

    while (text && *text) {
        size_t n = strcspn(text, "\n");

        json_array_append_new(array, json_stringn(text, n));
        text += n + (text[n] == '\n');
    }
    return array;
}

static json_t *method_json(const struct ob_method *m)
{
    struct ob_method_info i;
    json_t *j = json_object(), *settings = json_array();

    ob_method_info(m, &i);
    put_text(j, "name", i.name);
    put_text(j, "title", i.title);
    put_text(j, "cite", i.cite);
    put_text(j, "formula", i.formula);
    put_text(j, "differs", i.differs);
    put_text(j, "limits", i.limits);
    json_object_set_new(j, "exact", json_boolean(i.exact));
    json_object_set_new(j, "needs", words(i.needs));
    for (size_t k = 0; k < i.n_options; k++)
        json_array_append_new(settings, setting_json(ob_method_option(m, k), k >= i.n_own));
    json_object_set_new(j, "settings", settings);
    json_object_set_new(j, "constraints", lines(i.constraints));
    put_text(j, "set_elsewhere", i.elsewhere);
    return j;
}

static int list_methods(struct cmd *c)
{
    struct table *t = NULL;
    json_t *all = c->json ? json_array() : NULL;
    const struct ob_method *m;
    struct ob_method_info i;

    if (!c->json)
        t = table_new("llll");
    for (size_t k = 0; (m = ob_method_at(k)); k++) {
        if (c->json) {
            json_array_append_new(all, method_json(m));
            continue;
        }
        ob_method_info(m, &i);
        table_cell(t, "%s", i.name);
        table_cell(t, "%s", i.title);
        table_cell(t, "%s", i.cite ? i.cite : "");
        table_cell(t, "%s%s", i.needs[0] ? "needs " : "", i.needs);
    }
    if (c->json)
        return print_json(c, all);
    table_print(t, stdout);
    return OB_OK;
}

static void range_text(char *text, size_t room, const struct ob_option *o)
{
    if (o->type == OB_OPT_CHOICE || o->type == OB_OPT_TEXT)
        snprintf(text, room, "%s", o->choices ? o->choices : o->format ? o->format : "");
    else if (isfinite(o->max) && o->max < 1e9)
        snprintf(text, room, "%g to %g", o->min, o->max);
    else
        snprintf(text, room, "%g or more", o->min);
}

static const char *default_text(struct cmd *c, const struct ob_option *o)
{
    int letters;
    const char *p;

    if (isnan(o->def))
        return "the model's";
    if (o->type == OB_OPT_CHOICE) {
        p = choice(o->choices, (int)o->def, &letters);
        return cmd_textf(c, "%.*s", letters, p);
    }
    return o->type == OB_OPT_TEXT ? "-" : cmd_textf(c, "%g", o->def);
}

/* "a=b|c,d=e" as "a=b or c and d=e". */
static const char *when_text(char *text, size_t room, const char *when)
{
    size_t n = 0;

    for (const char *p = when; *p && n < room; p++) {
        const char letter[] = { *p, 0 };

        n += (size_t)snprintf(text + n, room - n, "%s",
                              *p == '|'   ? " or "
                              : *p == ',' ? " and "
                                          : letter);
    }
    return text;
}

static void print_settings(struct cmd *c, const struct ob_method *m, size_t n)
{
    struct table *t = table_new("lllll");

    table_cell(t, "  setting");
    table_cell(t, "default");
    table_cell(t, "range");
    table_cell(t, "in the paper");
    table_cell(t, "what");
    for (size_t k = 0; k < n; k++) {
        const struct ob_option *o = ob_method_option(m, k);
        char range[128], when[128];

        range_text(range, sizeof(range), o);
        table_cell(t, "  %s", o->name);
        table_cell(t, "%s", default_text(c, o));
        table_cell(t, "%s", range);
        table_cell(t, "%s", o->range ? o->range : "");
        if (o->when)
            table_cell(t, "%s; only with %s", o->help, when_text(when, sizeof(when), o->when));
        else
            table_cell(t, "%s", o->help);
    }
    table_print(t, stdout);
}

/* A text of several lines, each moved in by two. */
static void print_indented(const char *text)
{
    while (*text) {
        int n = (int)strcspn(text, "\n");

        printf("  %.*s\n", n, text);
        text += n + (text[n] == '\n');
    }
}

static int explain(struct cmd *c, const char *name)
{
    const struct ob_method *m = ob_method_find(name);
    struct ob_method_info i;

    if (!m) {
        const char *near = ob_method_nearest(name);

        return near ? cmd_fail(c, OB_EINVAL, "there is no method '%s'; did you mean '%s'?", name,
                               near)
                    : cmd_fail(c, OB_EINVAL, "there is no method '%s'; 'oubli methods' lists them",
                               name);
    }
    if (c->json)
        return print_json(c, method_json(m));
    ob_method_info(m, &i);
    printf("%s - %s\n", i.name, i.title);
    if (i.cite && i.cite[0])
        printf("source: %s\n", i.cite);
    if (i.needs[0])
        printf("needs: %s\n", i.needs);
    if (i.formula && i.formula[0]) {
        printf("\nFormula:\n");
        print_indented(i.formula);
    }
    if (i.n_options) {
        printf("\nSettings (--set NAME=VALUE, or %s:NAME=VALUE in --methods):\n", i.name);
        print_settings(c, m, i.n_options);
    }
    if (i.elsewhere)
        printf("\nSet elsewhere: %s\n", i.elsewhere);
    if (i.constraints) {
        printf("\nLimits across settings:\n");
        print_indented(i.constraints);
    }
    if (i.differs && i.differs[0]) {
        printf("\nWhere paper and code differ:\n");
        print_indented(i.differs);
    }
    if (i.limits && i.limits[0]) {
        printf("\nWhat it cannot do:\n");
        print_indented(i.limits);
    }
    return OB_OK;
}

int cmd_methods(struct cmd *c, int argc, const char **argv)
{
    const struct opt options[] = { { 0 } };

    TRY(cmd_parse(c, options, argc, argv));
    return c->n_args ? explain(c, c->args[0]) : list_methods(c);
}
