/*
 * planfile.c - plans as files that people can read and edit.
 *
 *     {"oubli_plan":1, "data":HASH, "model":DIGEST, "steps":[
 *      {"name":"low", "method":"none", "settings":{"lr":0.05}, "forget":[ids], "retain":[ids]},
 *      ...]}
 *
 * `data` and `model` may be left out or "", `settings` and `retain` left out; ids come in any
 * order. Another name than these is refused: it is more likely a slip than meant.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "unlearn/plan.h"

#define OB_PLAN_VERSION 1
#define MOST_BYTES ((size_t)1 << 28)

/* ---- reading ---- */

static int check_names(const json_t *o, const char *const *known, struct ob_err *err)
{
    for (void *i = json_object_iter((json_t *)o); i; i = json_object_iter_next((json_t *)o, i)) {
        const char *name = json_object_iter_key(i);
        size_t k = 0;

        while (known[k] && strcmp(known[k], name))
            k++;
        if (!known[k])
            return ob_fail(err, OB_EFORMAT, "there is no entry '%.60s' in a plan", name);
    }
    return OB_OK;
}

/* "" where it is not there. */
static int get_hash(char out[65], const json_t *o, const char *name, struct ob_err *err)
{
    const json_t *x = json_object_get(o, name);
    const char *text = json_string_value(x);

    if (x && (!text || strlen(text) > 64))
        return ob_fail(err, OB_EFORMAT, "'%s' is not a hash of at most 64 characters", name);
    snprintf(out, 65, "%s", text ? text : "");
    return OB_OK;
}

static int read_ids(struct ob_ids **out, const json_t *a, const char *name, size_t limit,
                    struct ob_err *err)
{
    size_t n = json_array_size(a);
    uint32_t *id;
    int rc = OB_OK;

    if (!json_is_array(a))
        return ob_fail(err, OB_EFORMAT, "'%s' is not a list of ids", name);
    if (n > limit)
        return ob_fail(err, OB_EFORMAT, "'%s' has %zu ids, the data only %zu", name, n, limit);
    OB_TRY(ob_alloc(id, n, err));
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(a, i);
        json_int_t v = json_is_integer(x) ? json_integer_value(x) : -1;

        if (v < 0 || (unsigned long long)v >= limit) {
            rc = ob_fail(err, OB_EFORMAT, "entry %zu of '%s' is not an id from 0 to %zu", i + 1,
                         name, limit - 1);
            goto out;
        }
        id[i] = (uint32_t)v;
    }
    rc = ob_ids_new(out, id, n, limit, err);
    if (rc)
        ob_err_prefix(err, "'%s': ", name);
out:
    ob_free(id);
    return rc;
}

/* {"lr":0.05, "schedule":"cosine"} -> ":lr=0.05:schedule=cosine" */
static int add_settings(struct ob_str *text, const json_t *o, struct ob_err *err)
{
    if (o && !json_is_object(o))
        return ob_fail(err, OB_EFORMAT, "'settings' is not an object");
    for (void *i = json_object_iter((json_t *)o); i; i = json_object_iter_next((json_t *)o, i)) {
        const json_t *x = json_object_iter_value(i);
        char number[32];

        ob_str_addf(text, ":%s=", json_object_iter_key(i));
        if (json_is_integer(x))
            ob_str_addf(text, "%lld", (long long)json_integer_value(x));
        else if (json_is_string(x))
            ob_str_add(text, json_string_value(x));
        else if (json_is_real(x)) {
            ob_settings_number(number, json_real_value(x));
            ob_str_add(text, number);
        } else {
            return ob_fail(err, OB_EFORMAT, "setting '%.60s' is neither a number nor a text",
                           json_object_iter_key(i));
        }
    }
    return ob_str_check(text, err);
}

static int read_method(struct ob_plan_step *s, const json_t *o, struct ob_err *err)
{
    const char *name = json_string_value(json_object_get(o, "method"));
    struct ob_str text = { 0 };
    struct ob_err own = { 0 };
    int rc;

    if (!name)
        return ob_fail(err, OB_EFORMAT, "there is no 'method'");
    ob_str_add(&text, name);
    OB_GO(add_settings(&text, json_object_get(o, "settings"), err));
    rc = obi_plan_set_method(s, ob_str_text(&text), &own);
    if (rc) /* what is no use on a command line is a bad file here */
        rc = ob_fail(err, rc == OB_EINVAL ? OB_EFORMAT : rc, "%s", own.msg);
out:
    ob_str_release(&text);
    return rc;
}

static int read_step(struct ob_plan_step *s, const json_t *o, size_t limit, struct ob_err *err)
{
    static const char *const known[] = { "name", "method", "settings", "forget", "retain", NULL };
    const char *name = json_string_value(json_object_get(o, "name"));
    const json_t *retain = json_object_get(o, "retain");

    if (!json_is_object(o))
        return ob_fail(err, OB_EFORMAT, "it is not an object");
    OB_TRY(check_names(o, known, err));
    if (!name)
        return ob_fail(err, OB_EFORMAT, "there is no 'name'");
    OB_TRY(obi_plan_set_name(s, name, err));
    OB_TRY(read_method(s, o, err));
    OB_TRY(read_ids(&s->forget, json_object_get(o, "forget"), "forget", limit, err));
    return retain ? read_ids(&s->retain, retain, "retain", limit, err) : OB_OK;
}

static int check_version(const json_t *root, struct ob_err *err)
{
    const json_t *v = json_object_get(root, "oubli_plan");

    if (!json_is_integer(v) || json_integer_value(v) < 1)
        return ob_fail(err, OB_EFORMAT, "it is not a plan: there is no \"oubli_plan\":1");
    if (json_integer_value(v) > OB_PLAN_VERSION)
        return ob_fail(err, OB_EVERSION,
                       "it is a plan of version %lld; this release reads up to %d",
                       (long long)json_integer_value(v), OB_PLAN_VERSION);
    return OB_OK;
}

static int build(struct ob_plan *p, const json_t *steps, const struct ob_ids *train,
                 struct ob_err *err)
{
    for (size_t i = 0; i < p->n; i++) {
        int rc = read_step(&p->step[i], json_array_get(steps, i), train->limit, err);

        if (rc) {
            ob_err_prefix(err, "step %zu%s%s%s: ", i + 1, p->step[i].name[0] ? " ('" : "",
                          p->step[i].name, p->step[i].name[0] ? "')" : "");
            return rc;
        }
    }
    return obi_plan_close(p, train, err);
}

static int from_json(struct ob_plan **out, const json_t *root, const struct ob_data *d,
                     const struct ob_ids *train, struct ob_err *err)
{
    static const char *const known[] = { "oubli_plan", "data", "model", "steps", NULL };
    const json_t *steps = json_object_get(root, "steps");
    struct ob_plan *p;
    int rc;

    OB_TRY(check_version(root, err));
    OB_TRY(check_names(root, known, err));
    if (!json_is_array(steps))
        return ob_fail(err, OB_EFORMAT, "there is no list 'steps'");
    OB_TRY(obi_plan_new(&p, json_array_size(steps), NULL, NULL, err));
    OB_GO(get_hash(p->data, root, "data", err));
    OB_GO(get_hash(p->model, root, "model", err));
    if (d && *p->data && strcmp(p->data, ob_data_info(d)->hash)) {
        rc = ob_fail(err, OB_EFORMAT,
                     "it was made for other data (hash %.12s..., here %.12s...), so its ids would "
                     "mean other examples",
                     p->data, ob_data_info(d)->hash);
        goto out;
    }
    OB_GO(build(p, steps, train, err));
    *out = p;
out:
    if (rc)
        ob_plan_free(p);
    return rc;
}

int ob_plan_read(struct ob_plan **out, const char *path, const struct ob_data *d,
                 const struct ob_ids *train, struct ob_err *err)
{
    struct ob_file file = { 0 };
    json_error_t where;
    json_t *root = NULL;
    int rc;

    *out = NULL;
    OB_GO(ob_file_read(&file, path, MOST_BYTES, false, err));
    root = json_loadb((const char *)file.data, file.n, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        rc = ob_fail(err, OB_EFORMAT, "'%s' is not a plan: line %d: %.160s", path, where.line,
                     where.text);
        goto out;
    }
    rc = from_json(out, root, d, train, err);
    if (rc)
        ob_err_prefix(err, "'%s': ", path);
out:
    json_decref(root);
    ob_file_release(&file);
    return rc;
}

/* ---- writing ---- */

static void write_text(struct ob_writer *w, const char *text, int *failed)
{
    json_t *x = json_string(text);
    char *json = x ? json_dumps(x, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;

    if (json)
        ob_write(w, json, strlen(json));
    else
        *failed = 1;
    free(json);
    json_decref(x);
}

static bool is_text(const struct ob_method *m, const char *name)
{
    const struct ob_option *o;

    for (size_t i = 0; (o = ob_method_option(m, i)); i++)
        if (!strcmp(o->name, name))
            return o->type == OB_OPT_TEXT || o->type == OB_OPT_CHOICE;
    return true;
}

static void write_settings(struct ob_writer *w, const struct ob_plan_step *s, int *failed)
{
    const char *text = s->settings, *comma = "";
    char name[32], value[OB_TEXT_ROOM], number[32];
    bool done = false;
    double x;

    ob_writef(w, "{");
    while (!ob_settings_next(&text, &done, name, value, NULL) && !done) {
        ob_writef(w, "%s\"%s\":", comma, name);
        if (!is_text(s->method, name) && ob_str_double(value, &x)) {
            ob_settings_number(number, x);
            ob_writef(w, "%s", number);
        } else {
            write_text(w, value, failed);
        }
        comma = ", ";
    }
    ob_writef(w, "}");
}

static void write_ids(struct ob_writer *w, const char *name, const struct ob_ids *s)
{
    ob_writef(w, ",\n   \"%s\":[", name);
    for (size_t i = 0; i < s->n; i++)
        ob_writef(w, "%s%u", i ? "," : "", s->id[i]);
    ob_writef(w, "]");
}

static void write_step(struct ob_writer *w, const struct ob_plan_step *s, int *failed)
{
    ob_writef(w, "  {\"name\":");
    write_text(w, s->name, failed);
    ob_writef(w, ", \"method\":\"%s\", \"settings\":", s->method->name);
    write_settings(w, s, failed);
    write_ids(w, "forget", s->forget);
    write_ids(w, "retain", s->retain);
    ob_writef(w, "}");
}

int ob_plan_write(const struct ob_plan *p, const char *path, struct ob_err *err)
{
    struct ob_writer *w;
    int failed = 0;

    OB_TRY(ob_writer_open(&w, path, err));
    ob_writef(w, "{\"oubli_plan\":%d, \"data\":\"%s\", \"model\":\"%s\", \"steps\":[\n",
              OB_PLAN_VERSION, p->data, p->model);
    for (size_t i = 0; i < p->n; i++) {
        write_step(w, &p->step[i], &failed);
        ob_writef(w, "%s\n", i + 1 < p->n ? "," : "");
    }
    ob_writef(w, "]}\n");
    if (failed) {
        ob_writer_drop(w);
        return ob_fail(err, OB_ENOMEM, "out of memory");
    }
    return ob_writer_commit(w, err);
}
