/* plan.c - the plan: ordered steps, each with its method, forget set and retain set. */
#include "unlearn/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

/* ---- making ---- */

int obi_plan_new(struct ob_plan **out, size_t n, const struct ob_data *d,
                 const struct ob_model *model, struct ob_err *err)
{
    struct ob_plan *p;
    int rc;

    *out = NULL;
    if (!n || n > OB_PLAN_STEPS)
        return ob_fail(err, OB_EFORMAT, "a plan of %zu steps; there may be 1 to %d", n,
                       OB_PLAN_STEPS);
    OB_TRY(ob_alloc(p, 1, err));
    OB_GO(ob_alloc(p->step, n, err));
    p->n = n;
    if (d)
        snprintf(p->data, sizeof(p->data), "%s", ob_data_info(d)->hash);
    if (model)
        OB_GO(ob_model_digest(model, p->model, err));
    *out = p;
out:
    if (rc)
        ob_plan_free(p);
    return rc;
}

void ob_plan_free(struct ob_plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++) {
        ob_ids_free(p->step[i].forget);
        ob_ids_free(p->step[i].retain);
    }
    ob_ids_free(p->forget);
    ob_free(p->step);
    ob_free(p);
}

int obi_plan_set_name(struct ob_plan_step *s, const char *name, struct ob_err *err)
{
    size_t n = strlen(name);

    if (!n || n >= sizeof(s->name))
        return ob_fail(err, OB_EFORMAT, "the name '%.60s' does not have 1 to %zu characters", name,
                       sizeof(s->name) - 1);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 127)
            return ob_fail(err, OB_EFORMAT, "a name holds a control character");
    memcpy(s->name, name, n + 1);
    return OB_OK;
}

int obi_plan_set_method(struct ob_plan_step *s, const char *spec, struct ob_err *err)
{
    const char *settings;

    OB_TRY(ob_method_parse(&s->method, &settings, spec, err));
    if (strlen(settings) >= sizeof(s->settings))
        return ob_fail(err, OB_EINVAL, "the settings of '%s' are too long", s->method->name);
    OB_TRY(ob_settings_check(s->method, settings, NULL, err));
    snprintf(s->settings, sizeof(s->settings), "%s", settings);
    return OB_OK;
}

/* ---- checking ---- */

/* The step whose forget set holds `id`, or n. */
static size_t step_of(const struct ob_plan *p, size_t n, uint32_t id)
{
    size_t i = 0;

    while (i < n && !ob_ids_has(p->step[i].forget, id))
        i++;
    return i;
}

static int check_forget(const struct ob_plan *p, size_t i, const struct ob_ids *train,
                        struct ob_err *err)
{
    const struct ob_plan_step *s = &p->step[i];

    if (!s->forget->n)
        return ob_fail(err, OB_EFORMAT, "step %zu ('%s') forgets nothing", i + 1, s->name);
    for (size_t k = 0; k < i; k++)
        if (!strcmp(p->step[k].name, s->name))
            return ob_fail(err, OB_EFORMAT, "steps %zu and %zu are both named '%s'", k + 1, i + 1,
                           s->name);
    for (size_t k = 0; k < s->forget->n; k++) {
        uint32_t id = s->forget->id[k];
        size_t earlier = step_of(p, i, id);

        if (earlier < i)
            return ob_fail(err, OB_EFORMAT,
                           "step %zu ('%s') forgets id %u, which step %zu ('%s') forgets already",
                           i + 1, s->name, id, earlier + 1, p->step[earlier].name);
        if (!ob_ids_has(train, id))
            return ob_fail(err, OB_EFORMAT,
                           "step %zu ('%s') forgets id %u, which is not in the training part",
                           i + 1, s->name, id);
    }
    return OB_OK;
}

/* The first id that is in one set and not in the other. */
static uint32_t first_difference(const struct ob_ids *a, const struct ob_ids *b)
{
    size_t i = 0;

    while (i < a->n && i < b->n && a->id[i] == b->id[i])
        i++;
    if (i == a->n || (i < b->n && b->id[i] < a->id[i]))
        return b->id[i];
    return a->id[i];
}

/* Gives step i the retain set that follows from the one before it, or compares. */
static int settle_retain(struct ob_plan *p, size_t i, const struct ob_ids *train,
                         struct ob_err *err)
{
    struct ob_plan_step *s = &p->step[i];
    struct ob_ids *rest;
    uint32_t id;

    OB_TRY(ob_ids_minus(&rest, i ? p->step[i - 1].retain : train, s->forget, err));
    if (!rest->n) {
        ob_ids_free(rest);
        return ob_fail(err, OB_EFORMAT, "step %zu ('%s') leaves nothing to retain", i + 1, s->name);
    }
    if (!s->retain) {
        s->retain = rest;
        return OB_OK;
    }
    if (ob_ids_equal(s->retain, rest)) {
        ob_ids_free(rest);
        return OB_OK;
    }
    id = first_difference(s->retain, rest);
    ob_ids_free(rest);
    return ob_fail(err, OB_EFORMAT,
                   "the retain set of step %zu ('%s') is not the training part without what steps "
                   "1 to %zu forget: id %u should %sbe in it (leave 'retain' out to have it made)",
                   i + 1, s->name, i + 1, id, ob_ids_has(s->retain, id) ? "not " : "");
}

int obi_plan_close(struct ob_plan *p, const struct ob_ids *train, struct ob_err *err)
{
    for (size_t i = 0; i < p->n; i++) {
        OB_TRY(check_forget(p, i, train, err));
        OB_TRY(settle_retain(p, i, train, err));
    }
    ob_ids_free(p->forget);
    p->forget = NULL;
    return ob_ids_minus(&p->forget, train, p->step[p->n - 1].retain, err);
}

/* ---- identity ---- */

static void hash_ids(struct ob_hash *h, const struct ob_ids *s)
{
    ob_hash_u64(h, s->n);
    for (size_t i = 0; i < s->n; i++)
        ob_hash_u64(h, s->id[i]);
}

int obi_plan_digest(const struct ob_plan *p, char hex[65], struct ob_err *err)
{
    char settings[OB_SETTINGS_ROOM];
    struct ob_hash h;

    ob_hash_init(&h);
    for (size_t i = 0; i < p->n; i++) {
        const struct ob_plan_step *s = &p->step[i];

        OB_TRY(ob_settings_check(s->method, s->settings, settings, err));
        ob_hash_str(&h, s->name);
        ob_hash_str(&h, s->method->name);
        ob_hash_str(&h, settings);
        hash_ids(&h, s->forget);
        hash_ids(&h, s->retain);
    }
    ob_hash_hex(&h, hex);
    return OB_OK;
}

/* ---- the simplest plan, and looking ---- */

int ob_plan_single(struct ob_plan **out, const struct ob_data *d, const struct ob_model *model,
                   const struct ob_ids *train, const struct ob_ids *forget, const char *method,
                   struct ob_err *err)
{
    struct ob_plan *p;
    int rc;

    *out = NULL;
    OB_TRY(obi_plan_new(&p, 1, d, model, err));
    OB_GO(ob_ids_check_forget(forget, train, NULL, err));
    OB_GO(obi_plan_set_name(p->step, "all", err));
    OB_GO(obi_plan_set_method(p->step, method, err));
    OB_GO(ob_ids_new(&p->step->forget, forget->id, forget->n, forget->limit, err));
    OB_GO(obi_plan_close(p, train, err));
    *out = p;
out:
    if (rc)
        ob_plan_free(p);
    return rc;
}

size_t ob_plan_n(const struct ob_plan *p)
{
    return p->n;
}

void ob_plan_step(const struct ob_plan *p, size_t i, struct ob_step *out)
{
    const struct ob_plan_step *s = &p->step[i];

    *out = (struct ob_step){ .name = s->name,
                             .method = s->method,
                             .settings = s->settings,
                             .forget = s->forget,
                             .retain = s->retain };
}

const struct ob_ids *ob_plan_forget(const struct ob_plan *p)
{
    return p->forget;
}

const char *ob_plan_model(const struct ob_plan *p)
{
    return p->model;
}

const char *ob_plan_data(const struct ob_plan *p)
{
    return p->data;
}
