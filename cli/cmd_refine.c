/* cmd_refine.c - oubli refine: divides a forget set by score, class or cluster, and writes the plan. */
#include "steps.h"

struct refine {
    struct inputs_opts in;
    struct refine_args how;
    const char *forget, *output;
};

static int refine(struct cmd *c, const struct refine *r, const struct inputs *in)
{
    struct ob_scores *scores = NULL;
    struct ob_ids *ids = NULL;
    struct ob_plan *plan = NULL;
    int status;

    GO(forget_open(c, &ids, r->forget, in->data, in->split));
    GO(refine_scores(c, &scores, &r->how, in));
    GO(refine_make(c, &plan, &r->how, in, ids, scores, NULL));
    GO(ob_plan_write(plan, r->output, &c->err));
    if (c->json) {
        GO(print_json(c, json_pack("{s:s,s:s,s:s,s:o}", "output", r->output, "model",
                                   ob_plan_model(plan), "data", ob_plan_data(plan), "steps",
                                   plan_json(plan))));
    } else {
        plan_print(plan);
        printf("\nplan  %s\n", r->output);
    }
out:
    ob_plan_free(plan);
    ob_ids_free(ids);
    ob_scores_free(scores);
    return status;
}

static int run(struct cmd *c, const struct refine *r)
{
    struct inputs in;
    int status;

    TRY(cmd_need(c, "data", r->in.data));
    TRY(cmd_need(c, "model", r->in.model));
    TRY(cmd_need(c, "forget", r->forget));
    TRY(cmd_need(c, "output", r->output));
    TRY(refine_check(c, &r->how));
    if (!r->how.scores && refine_by_scores(&r->how))
        return cmd_fail(c, OB_EINVAL,
                        "--scores is needed ('oubli score' makes them), or --by, or "
                        "--parts-random");
    TRY(input_check(c, r->forget));
    TRY(output_check(c, r->output));
    TRY(cmd_start(c));
    TRY(inputs_open(c, &in, &r->in, OTHER_DATA_REFUSED));
    status = refine(c, r, &in);
    inputs_release(&in);
    return status;
}

int cmd_refine(struct cmd *c, int argc, const char **argv)
{
    struct refine r = { .in = INPUTS_OPTS_INIT };
    const struct opt options[] = {
        INPUTS_OPTIONS(&r.in),
        EMBEDDING_OPTION(&r.in),
        ANY_DATA_OPTION(&r.in),
        { "forget", 'x', OPT_TEXT, &r.forget, "ids of the examples to forget", "IDS" },
        REFINE_OPTIONS(&r.how),
        { "output", 'o', OPT_TEXT, &r.output, "the plan to write (JSON)", "FILE" },
        { 0 },
    };

    TRY(cmd_parse(c, options, argc, argv));
    return run(c, &r);
}
