/* plan.h - what a plan is made of, for those who make and run one. */
#ifndef OB_UNLEARN_PLAN_H
#define OB_UNLEARN_PLAN_H

#include "data/data.h"
#include "unlearn/settings.h"

#define OB_PLAN_STEPS 256 /* at most so many */

struct ob_plan_step {
    char name[32];
    const struct ob_method *method;
    char settings[OB_SETTINGS_ROOM]; /* as given */
    struct ob_ids *forget, *retain;
};

struct ob_plan {
    struct ob_plan_step *step;
    size_t n;
    struct ob_ids *forget; /* the union */
    char model[65], data[65];
};

/* n empty steps; to be filled, then closed. `d`, `model` may be NULL. */
int obi_plan_new(struct ob_plan **out, size_t n, const struct ob_data *d,
                 const struct ob_model *model, struct ob_err *err);
int obi_plan_set_name(struct ob_plan_step *s, const char *name, struct ob_err *err);
/* "salun:share=0.3"; checks method and settings. */
int obi_plan_set_method(struct ob_plan_step *s, const char *spec, struct ob_err *err);
/* Checks the forget sets against each other and `train`, makes the retain sets that are missing,
 * checks those that are there, makes the union. OB_EFORMAT names step and id. */
int obi_plan_close(struct ob_plan *p, const struct ob_ids *train, struct ob_err *err);
/* Of all that decides the outcome: methods, settings in force, sets. */
int obi_plan_digest(const struct ob_plan *p, char hex[65], struct ob_err *err);

#endif
