/* methods.c - the one list of methods. The order is the order of reports. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "unlearn/method.h"

static const struct ob_method *const all[] = {
    &ob_method_none,
    &ob_method_retrain,
    &ob_method_finetune,
    &ob_method_l1_sparse,
    &ob_method_neggrad,
    &ob_method_neggrad_plus,
    &ob_method_scrub,
    &ob_method_scrub_r,
    &ob_method_random_label,
    &ob_method_salun,
    &ob_method_influence,
    &ob_method_fisher,
    &ob_method_ssd,
    &ob_method_lfssd,
    &ob_method_assd,
    &ob_method_sfr_on,
    &ob_method_munba,
    &ob_method_delete,
    &ob_method_bad_teacher,
    &ob_method_lotus,
    &ob_method_boundary_shrink,
    &ob_method_boundary_expand,
    &ob_method_unsir,
    &ob_method_cf_k,
    &ob_method_eu_k,
    &ob_method_ct,
    &ob_method_not,
    &ob_method_msg,
    &ob_method_cfw,
    &ob_method_prmq,
    &ob_method_kde,
    &ob_method_rni,
    &ob_method_fcs,
    &ob_method_weight_distance,
    &ob_method_weight_distortion,
    &ob_method_mode_connectivity,
    &ob_method_certified,
    &ob_method_sisa,
};
#define N_METHODS (sizeof(all) / sizeof(all[0]))

const struct ob_method *ob_method_at(size_t i)
{
    return i < N_METHODS ? all[i] : NULL;
}

const struct ob_method *ob_method_find(const char *name)
{
    for (size_t i = 0; i < N_METHODS; i++)
        if (!strcmp(all[i]->name, name))
            return all[i];
    return NULL;
}

const char *ob_method_nearest(const char *name)
{
    const char *best = NULL;
    int least = 0;

    for (size_t i = 0; i < N_METHODS; i++) {
        int distance = ob_str_distance(all[i]->name, name);

        if (!best || distance < least) {
            best = all[i]->name;
            least = distance;
        }
    }
    return best;
}

/* The mask and other models are the method's own affair. */
static void needs_text(char *out, size_t room, const struct ob_method *m)
{
    static const struct {
        unsigned bit;
        const char *word;
    } words[] = { { OB_NEED_RETAIN, "retain" },         { OB_NEED_FORGET, "forget" },
                  { OB_NEED_VALIDATION, "validation" }, { OB_NEED_TEACHER, "teacher" },
                  { OB_NEED_CLASSES, "whole classes" }, { OB_NEED_CONV, "convolutions" },
                  { OB_NEED_SHARDS, "shards" },         { OB_SECRET_SEED, "secret seed" } };
    size_t n = 0;

    out[0] = 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (m->needs & words[i].bit)
            n += (size_t)snprintf(out + n, room - n, "%s%s", n ? ", " : "", words[i].word);
    if (m->needs_if)
        snprintf(out + n, room - n, "%s%s", n ? ", " : "", m->needs_if);
}

static size_t n_rows(const struct ob_option *o)
{
    size_t n = 0;

    while (o && o[n].name)
        n++;
    return n;
}

void ob_method_info(const struct ob_method *m, struct ob_method_info *out)
{
    *out = (struct ob_method_info){ .name = m->name,
                                    .title = m->title,
                                    .cite = m->cite,
                                    .formula = m->formula,
                                    .differs = m->differs,
                                    .limits = m->limits,
                                    .constraints = m->constraints,
                                    .elsewhere = m->elsewhere,
                                    .exact = (m->needs & OB_FROM_SCRATCH) != 0,
                                    .secret_seed = (m->needs & OB_SECRET_SEED) != 0,
                                    .n_own = n_rows(m->options),
                                    .n_options = n_rows(m->options) + n_rows(m->common) };
    needs_text(out->needs, sizeof(out->needs), m);
}

const struct ob_option *ob_method_option(const struct ob_method *m, size_t i)
{
    size_t own = n_rows(m->options);

    if (i < own)
        return &m->options[i];
    return i - own < n_rows(m->common) ? &m->common[i - own] : NULL;
}
