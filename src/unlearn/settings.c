/* settings.c - reads and writes the settings of a method by its tables. */
#include "unlearn/settings.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

int ob_method_parse(const struct ob_method **m, const char **settings, const char *spec,
                    struct ob_err *err)
{
    size_t n = strcspn(spec, ":");
    char name[64];

    snprintf(name, sizeof(name), "%.*s", (int)(n < 63 ? n : 63), spec);
    *m = ob_method_find(name);
    *settings = spec[n] ? spec + n + 1 : spec + n;
    if (!*m)
        return ob_fail(err, OB_EINVAL, "there is no method '%s'; did you mean '%s'?", name,
                       ob_method_nearest(name));
    return OB_OK;
}

/* Where the value that starts at `p` ends: before a ':' that a pair follows, or at the end. */
static const char *value_end(const char *p)
{
    while ((p = strchr(p, ':'))) {
        if (p[1 + strcspn(p + 1, "=:")] == '=')
            return p;
        p++;
    }
    return NULL;
}

int ob_settings_next(const char **at, bool *done, char name[32], char value[OB_TEXT_ROOM],
                     struct ob_err *err)
{
    const char *p = *at, *end;
    size_t n = strcspn(p, "=:"), n_value;

    *done = !*p;
    if (*done)
        return OB_OK;
    if (p[n] != '=' || !n || n >= 32)
        return ob_fail(err, OB_EINVAL, "'%.60s' does not start with a setting, as in lr=0.05", p);
    end = value_end(p + n + 1);
    n_value = end ? (size_t)(end - p) - n - 1 : strlen(p + n + 1);
    if (!n_value || n_value >= OB_TEXT_ROOM)
        return ob_fail(err, OB_EINVAL, "'%.*s' has %s value", (int)n, p,
                       n_value ? "too long a" : "no");
    snprintf(name, 32, "%.*s", (int)n, p);
    snprintf(value, OB_TEXT_ROOM, "%.*s", (int)n_value, p + n + 1);
    *at = end ? end + 1 : p + n + 1 + n_value;
    return OB_OK;
}

/* ---- one value ---- */

static void set_default(const struct ob_option *o, void *base)
{
    void *at = (char *)base + o->offset;

    switch (o->type) {
    case OB_OPT_INT:
    case OB_OPT_CHOICE:
        *(int *)at = isnan(o->def) ? -1 : (int)o->def;
        break;
    case OB_OPT_FLOAT:
        *(double *)at = o->def;
        break;
    case OB_OPT_TEXT:
        memset(at, 0, OB_TEXT_ROOM);
        break;
    }
}

/* The number of `value` in "a,b,c", or -1. */
static int choice_index(const char *choices, const char *value)
{
    size_t n = strlen(value);
    int i = 0;

    for (const char *p = choices; *p; i++) {
        size_t length = strcspn(p, ",");

        if (length == n && !memcmp(p, value, n))
            return i;
        p += length + (p[length] == ',');
    }
    return -1;
}

static int range_failed(const struct ob_option *o, const char *value, const char *what,
                        struct ob_err *err)
{
    return ob_fail(err, OB_EINVAL, "%s is '%s', not %s from %.10g to %.10g", o->name, value, what,
                   o->min, o->max);
}

static int set_value(const struct ob_option *o, void *base, const char *value, struct ob_err *err)
{
    void *at = (char *)base + o->offset;
    int64_t whole;
    double x;

    switch (o->type) {
    case OB_OPT_INT:
        if (!ob_str_int(value, &whole) || !(whole >= o->min && whole <= o->max))
            return range_failed(o, value, "a whole number", err);
        *(int *)at = (int)whole;
        break;
    case OB_OPT_FLOAT:
        if (!ob_str_double(value, &x) || !(x >= o->min && x <= o->max))
            return range_failed(o, value, "a number", err);
        *(double *)at = x;
        break;
    case OB_OPT_CHOICE:
        *(int *)at = choice_index(o->choices, value);
        if (*(int *)at < 0)
            return ob_fail(err, OB_EINVAL, "%s is '%s', not one of %s", o->name, value, o->choices);
        break;
    case OB_OPT_TEXT:
        snprintf(at, OB_TEXT_ROOM, "%s", value);
        break;
    }
    return OB_OK;
}

void ob_settings_number(char out[32], double x)
{
    double back;

    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, x);
        if (ob_str_double(out, &back) && back == x)
            break;
    }
}

/* The text of one value; "" where it is left to the model. */
static void get_value(char out[OB_TEXT_ROOM], const struct ob_option *o, const void *base)
{
    const void *at = (const char *)base + o->offset;
    const char *p = o->choices;

    *out = 0;
    switch (o->type) {
    case OB_OPT_INT:
        if (*(const int *)at >= 0 || !isnan(o->def))
            snprintf(out, OB_TEXT_ROOM, "%d", *(const int *)at);
        break;
    case OB_OPT_FLOAT:
        if (!isnan(*(const double *)at))
            ob_settings_number(out, *(const double *)at);
        break;
    case OB_OPT_CHOICE:
        for (int k = *(const int *)at; k > 0 && (p = strchr(p, ',')); k--)
            p++;
        if (p && *(const int *)at >= 0)
            snprintf(out, OB_TEXT_ROOM, "%.*s", (int)strcspn(p, ","), p);
        break;
    case OB_OPT_TEXT:
        snprintf(out, OB_TEXT_ROOM, "%s", (const char *)at);
        break;
    }
}

/* ---- the whole text ---- */

static int unknown(const struct ob_method *m, const char *name, struct ob_err *err)
{
    const struct ob_option *o, *best = NULL;

    for (size_t i = 0; (o = ob_method_option(m, i)); i++)
        if (!best || ob_str_distance(o->name, name) < ob_str_distance(best->name, name))
            best = o;
    if (!best)
        return ob_fail(err, OB_EINVAL, "'%s' has no settings, so no '%s'", m->name, name);
    return ob_fail(err, OB_EINVAL, "'%s' has no setting '%s'; did you mean '%s'?", m->name, name,
                   best->name);
}

static size_t find(const struct ob_method *m, const char *name)
{
    const struct ob_option *o;
    size_t i = 0;

    while ((o = ob_method_option(m, i)) && strcmp(o->name, name))
        i++;
    return i;
}

/* Whether row i is one of the common settings, not one of the method's own. */
static bool is_common(const struct ob_method *m, const struct ob_option *o)
{
    for (const struct ob_option *c = m->common; c && c->name; c++)
        if (c == o)
            return true;
    return false;
}

/* ---- settings that count only with another ---- */

struct values {
    const struct ob_method *m;
    const struct ob_common *common;
    const void *state;
};

static const void *base_of(const struct values *v, const struct ob_option *o)
{
    return is_common(v->m, o) ? (const void *)v->common : v->state;
}

/* Whether `text` is one of "a|b", which ends at a comma as well. */
static bool is_among(const char *list, const char *text)
{
    size_t n = strlen(text);

    for (;;) {
        size_t length = strcspn(list, "|,");

        if (length == n && !memcmp(list, text, n))
            return true;
        if (list[length] != '|')
            return false;
        list += length + 1;
    }
}

/* Whether it has a value of its own that is not the default. */
static bool is_changed(const struct values *v, const struct ob_option *o)
{
    const void *at = (const char *)base_of(v, o) + o->offset;

    if (isnan(o->def) || o->type == OB_OPT_TEXT)
        return false;
    return o->type == OB_OPT_FLOAT ? *(const double *)at != o->def
                                   : *(const int *)at != (int)o->def;
}

/* OB_EINVAL: `o` is set, and the choices under which it counts are not. What is left to the model may be
 * any choice. */
static int check_counts(const struct values *v, const struct ob_option *o, struct ob_err *err)
{
    const char *at = o->when ? o->when : "";

    while (*at && is_changed(v, o)) {
        size_t n = strcspn(at, ","), n_name = strcspn(at, "=");
        char name[32], value[OB_TEXT_ROOM];
        const struct ob_option *other;

        snprintf(name, sizeof(name), "%.*s", (int)n_name, at);
        other = ob_method_option(v->m, find(v->m, name));
        OB_ASSERT(err, other);
        get_value(value, other, base_of(v, other));
        if (*value && !is_among(at + n_name + 1, value))
            return ob_fail(err, OB_EINVAL,
                           "%s counts only with %.*s, and %s is '%s'; set that, or leave %s out",
                           o->name, (int)n, at, name, value, o->name);
        at += n + (at[n] == ',');
    }
    return OB_OK;
}

static int check_all_count(const struct values *v, uint64_t given, struct ob_err *err)
{
    const struct ob_option *o;

    for (size_t i = 0; (o = ob_method_option(v->m, i)); i++)
        if (given >> i & 1)
            OB_TRY(check_counts(v, o, err));
    return OB_OK;
}

int ob_settings_parse(const struct ob_method *m, const char *text, struct ob_common *common,
                      void *state, struct ob_err *err)
{
    char name[32], value[OB_TEXT_ROOM];
    const struct ob_option *o;
    uint64_t given = 0;
    bool done;

    for (size_t i = 0; (o = ob_method_option(m, i)); i++)
        set_default(o, is_common(m, o) ? (void *)common : state);
    for (;;) {
        size_t i;

        OB_TRY(ob_settings_next(&text, &done, name, value, err));
        if (done)
            return check_all_count(&(struct values){ m, common, state }, given, err);
        i = find(m, name);
        o = ob_method_option(m, i);
        if (!o)
            return unknown(m, name, err);
        if (given >> i & 1)
            return ob_fail(err, OB_EINVAL, "%s is given twice", name);
        given |= (uint64_t)1 << i;
        OB_TRY(set_value(o, is_common(m, o) ? (void *)common : state, value, err));
    }
}

int ob_settings_text(char out[OB_SETTINGS_ROOM], const struct ob_method *m,
                     const struct ob_common *common, const void *state, struct ob_err *err)
{
    const struct ob_option *o;
    size_t n = 0;

    *out = 0;
    for (size_t i = 0; (o = ob_method_option(m, i)); i++) {
        char value[OB_TEXT_ROOM];

        get_value(value, o, is_common(m, o) ? (const void *)common : state);
        if (!*value)
            continue;
        n += (size_t)snprintf(out + n, OB_SETTINGS_ROOM - n, "%s%s=%s", n ? ":" : "", o->name,
                              value);
        if (n >= OB_SETTINGS_ROOM)
            return ob_fail(err, OB_EBUG, "the settings of '%s' are too long", m->name);
    }
    return OB_OK;
}

int ob_settings_check(const struct ob_method *m, const char *text, char *canonical,
                      struct ob_err *err)
{
    struct ob_common common = { 0 };
    char *state;
    int rc;

    OB_TRY(ob_alloc(state, m->state_size, err));
    OB_GO(ob_settings_parse(m, text, &common, state, err));
    if (canonical)
        OB_GO(ob_settings_text(canonical, m, &common, state, err));
out:
    ob_free(state);
    return rc;
}
