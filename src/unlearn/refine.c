/* refine.c - cuts a forget set into parts (parts.c says which) and gives each its method: a plan. */
#include "unlearn/refine.h"

#include <string.h>

#include "base/mem.h"

struct methods { /* one for all parts, or one for each */
    char **spec;
    size_t n;
};

/* Whether the piece after a comma belongs to a schedule: "step:60,120,x0.2". */
static bool goes_on(const char *piece)
{
    return (*piece >= '0' && *piece <= '9') ||
           (*piece == 'x' && strchr(".0123456789", piece[1]) && piece[1]);
}

static const char *method_end(const char *p)
{
    while ((p = strchr(p, ',')) && goes_on(p + 1))
        p++;
    return p;
}

static int split_methods(struct methods *m, const char *text, struct ob_err *err)
{
    const char *p = text, *end;

    OB_TRY(ob_alloc(m->spec, OB_PLAN_STEPS, err));
    do {
        end = method_end(p);
        if (m->n == OB_PLAN_STEPS)
            return ob_fail(err, OB_EINVAL, "more than %d methods", OB_PLAN_STEPS);
        OB_TRY(ob_strdup(&m->spec[m->n], p, err));
        if (end)
            m->spec[m->n][end - p] = 0;
        m->n++;
        p = end ? end + 1 : p;
    } while (end);
    return OB_OK;
}

static int check_methods(const struct methods *m, const struct ob_refining *r, struct ob_err *err)
{
    if (m->n != 1 && m->n != r->n_parts && !r->o->methods)
        return ob_fail(err, OB_EINVAL,
                       "the usual methods are for 3 parts, these are %zu: name one method, or one "
                       "for each part",
                       r->n_parts);
    if (m->n != 1 && m->n != r->n_parts)
        return ob_fail(err, OB_EINVAL, "%zu methods for %zu parts: name one, or one for each part",
                       m->n, r->n_parts);
    for (size_t i = 0; i < m->n; i++) {
        struct ob_plan_step s = { 0 };

        OB_TRY(obi_plan_set_method(&s, m->spec[i], err));
    }
    return OB_OK;
}

static const char *method_of(const struct methods *m, size_t part)
{
    return m->spec[m->n == 1 ? 0 : part];
}

/* ---- the plan ---- */

static size_t size_of(const struct ob_refining *r, size_t part)
{
    size_t n = 0;

    for (size_t i = 0; i < r->forget->n; i++)
        n += r->part[i] == part;
    return n;
}

static int fill_step(struct ob_plan_step *s, const struct ob_refining *r, size_t part,
                     const char *method, struct ob_err *err)
{
    size_t n = 0;
    uint32_t *id;
    int rc;

    OB_TRY(obi_plan_set_name(s, r->name[part], err));
    OB_TRY(obi_plan_set_method(s, method, err));
    OB_TRY(ob_alloc(id, r->forget->n, err));
    for (size_t i = 0; i < r->forget->n; i++)
        if (r->part[i] == part)
            id[n++] = r->forget->id[i];
    rc = ob_ids_new(&s->forget, id, n, r->forget->limit, err);
    ob_free(id);
    return rc;
}

static int make_plan(struct ob_plan **out, const struct ob_refining *r, const struct methods *m,
                     const struct ob_ids *train, struct ob_err *err)
{
    size_t n = 0, step = 0;

    for (size_t k = 0; k < r->n_parts; k++)
        n += size_of(r, k) > 0;
    OB_TRY(obi_plan_new(out, n, r->d, r->model, err));
    for (size_t k = 0; k < r->n_parts; k++) {
        size_t part = r->o->high_to_low ? r->n_parts - 1 - k : k;

        if (size_of(r, part)) {
            OB_TRY(fill_step(&(*out)->step[step++], r, part, method_of(m, part), err));
            continue;
        }
        ob_log(r->d->ctx, OB_LOG_WARN, "part '%s' is empty: it is left out, and '%s' with it",
               r->name[part], method_of(m, part));
    }
    return obi_plan_close(*out, train, err);
}

static void release_methods(struct methods *m)
{
    for (size_t i = 0; i < m->n; i++)
        ob_free(m->spec[i]);
    ob_free(m->spec);
}

int ob_refine(struct ob_plan **out, const struct ob_data *d, const struct ob_model *model,
              const struct ob_ids *train, const struct ob_ids *forget,
              const struct ob_scores *scores, const struct ob_refine_opts *o, struct ob_err *err)
{
    struct ob_refining r = { .d = d, .model = model, .forget = forget, .scores = scores, .o = o };
    struct methods m = { 0 };
    int rc;

    *out = NULL;
    OB_GO(obi_divide_plan(&r, err));
    OB_GO(split_methods(&m, o->methods ? o->methods : "none,finetune,salun", err));
    OB_GO(check_methods(&m, &r, err));
    OB_GO(ob_ids_check_forget(forget, train, NULL, err));
    OB_GO(obi_divide(&r, err));
    rc = make_plan(out, &r, &m, train, err);
    if (rc) {
        ob_plan_free(*out);
        *out = NULL;
    }
out:
    release_methods(&m);
    obi_divide_release(&r);
    return rc;
}
