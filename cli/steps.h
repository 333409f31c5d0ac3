/* steps.h - a plan: made from options, shown, carried out. */
#ifndef OUBLI_STEPS_H
#define OUBLI_STEPS_H

#include "setup.h"

struct refine_args {
    const char *scores, *cuts, *order, *methods;
    int parts, random;
};
#define REFINE_OPTIONS(r)                                                                          \
    { "scores", 0, OPT_TEXT, &(r)->scores, "scores of 'oubli score'", "FILE" },                    \
        { "methods",                                                                               \
          0,                                                                                       \
          OPT_TEXT,                                                                                \
          &(r)->methods,                                                                           \
          "methods from the lowest-scored part up, or one for all, with settings: "                \
          "none,finetune:lr=0.05,salun (default none,finetune,salun)",                             \
          "LIST" },                                                                                \
        { "parts", 0, OPT_INT, &(r)->parts, "equal parts by rank of score (default 3)", "K" },     \
        { "cuts", 0, OPT_TEXT, &(r)->cuts, "or cut at these scores", "A,B" },                      \
        { "order", 0, OPT_TEXT, &(r)->order, "low-high (default) or high-low", "ORDER" },          \
    {                                                                                              \
        "parts-random", 0, OPT_FLAG, &(r)->random, "cut at random: the control", NULL              \
    }

/* What is wrong with the options alone. */
int refine_check(struct cmd *c, const struct refine_args *r);
/* The plan for `forget`. `scores` may be NULL with --parts-random. */
int refine_make(struct cmd *c, struct ob_plan **out, const struct refine_args *r,
                const struct inputs *in, const struct ob_ids *forget,
                const struct ob_scores *scores);

json_t *plan_json(const struct ob_plan *p); /* its steps, with counts */
void plan_print(const struct ob_plan *p);

struct steps_run {
    const char *output, *keep_steps;
    int any_model;
    double images_scored; /* forward passes that making the plan took */
};
/* Runs the plan on in->model, saves it, prints what was done and what it cost. */
int steps_run(struct cmd *c, struct inputs *in, const struct ob_plan *p,
              const struct steps_run *how);

#endif
