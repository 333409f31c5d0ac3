/* steps.h - a plan: made from options, shown, carried out. */
#ifndef OUBLI_STEPS_H
#define OUBLI_STEPS_H

#include "setup.h"

struct refine_args {
    const char *by, *scores, *scores_2, *cuts, *cuts_2, *order, *methods;
    int parts, parts_2, random;
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
        { "scores-2",                                                                              \
          0,                                                                                       \
          OPT_TEXT,                                                                                \
          &(r)->scores_2,                                                                          \
          "a second score: parts become cells, low-low, low-medium, ...",                          \
          "FILE" },                                                                                \
        { "parts-2", 0, OPT_INT, &(r)->parts_2, "its equal parts (default 3)", "K" },              \
        { "cuts-2", 0, OPT_TEXT, &(r)->cuts_2, "or its cuts", "A,B" },                             \
        { "by",                                                                                    \
          0,                                                                                       \
          OPT_TEXT,                                                                                \
          &(r)->by,                                                                                \
          "scores (default), entanglement (distance to the mean embedding), class, or clusters "   \
          "(--parts of them, k-means of the embedding)",                                           \
          "WHAT" },                                                                                \
        { "order", 0, OPT_TEXT, &(r)->order, "low-high (default) or high-low", "ORDER" },          \
    {                                                                                              \
        "parts-random", 0, OPT_FLAG, &(r)->random, "cut at random: the control", NULL              \
    }

/* What is wrong with the options alone. */
int refine_check(struct cmd *c, const struct refine_args *r);
/* Whether parts are made of scores that have to be given or made. */
int refine_by_scores(const struct refine_args *r);
/* The scores that are given, or those of the entanglement; NULL where there are none of both. */
int refine_scores(struct cmd *c, struct ob_scores **out, const struct refine_args *r,
                  const struct inputs *in);
/* The plan for `forget`. *images (may be NULL): forward passes that it took, added. */
int refine_make(struct cmd *c, struct ob_plan **out, const struct refine_args *r,
                const struct inputs *in, const struct ob_ids *forget,
                const struct ob_scores *scores, double *images);

json_t *plan_json(const struct ob_plan *p); /* its steps, with counts */
void plan_print(const struct ob_plan *p);

struct steps_run {
    const char *output, *keep_steps;
    int any_model, dry_run;
    double images_scored; /* forward passes that making the plan took */
};
#define DRY_RUN_OPTION(how)                                                                        \
    {                                                                                              \
        "dry-run", 'n', OPT_FLAG, &(how)->dry_run,                                                 \
            "check everything and say what it would cost; nothing is changed or written", NULL     \
    }
/* Runs the plan on in->model, saves it, prints what was done and what it cost. */
int steps_run(struct cmd *c, struct inputs *in, const struct ob_plan *p,
              const struct steps_run *how);

#endif
