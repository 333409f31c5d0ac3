/* cmd_rum.c - oubli rum: refine, then unlearn part after part; or carry out a plan. */
#include "copies.h"
#include "steps.h"

struct rum {
    struct inputs_opts in;
    struct refine_args how;
    struct steps_run run;
    struct copies_opts copies;
    const char *forget, *plan;
};

static int check(struct cmd *c, const struct rum *r)
{
    static const char *const of_refine[] = {
        "scores",  "methods", "parts", "cuts",  "scores-2",
        "parts-2", "cuts-2",  "by",    "order", "parts-random"
    };

    TRY(cmd_need(c, "data", r->in.data));
    TRY(cmd_need(c, "model", r->in.model));
    if (!r->run.dry_run)
        TRY(cmd_need(c, "output", r->run.output));
    if (!r->forget && !r->plan)
        return cmd_fail(c, OB_EINVAL, "--forget is needed, or --plan");
    for (size_t i = 0; r->plan && i < sizeof(of_refine) / sizeof(of_refine[0]); i++)
        if (cmd_given(c, of_refine[i]))
            return cmd_fail(c, OB_EINVAL,
                            "--plan has its parts and methods already; leave --%s out",
                            of_refine[i]);
    if (r->plan && r->copies.add)
        return cmd_fail(c, OB_EINVAL, "--plan has its sets already; leave --close-duplicates out");
    TRY(copies_check(c, &r->copies));
    TRY(refine_check(c, &r->how));
    TRY(input_check(c, r->forget));
    TRY(input_check(c, r->plan));
    return r->run.dry_run ? OB_OK : output_check(c, r->run.output);
}

/* Scores that are read were paid for before; those that are made here belong to the cost. */
static int get_scores(struct cmd *c, struct ob_scores **out, struct rum *r, const struct inputs *in)
{
    if (r->how.scores || !refine_by_scores(&r->how))
        return refine_scores(c, out, &r->how, in);
    cmd_note(c, "no --scores: dividing by the confidence of the model itself in its training part");
    TRY(ob_scores_from_model(out, in->model, in->data, ob_split_train(in->split), "confidence", 0,
                             &c->err));
    r->run.images_scored = ob_scores_info(*out)->images;
    return OB_OK;
}

static int get_plan(struct cmd *c, struct ob_plan **out, struct rum *r, const struct inputs *in,
                    const struct ob_ids *ids)
{
    struct ob_scores *scores = NULL;
    int status;

    if (!r->plan) {
        GO(get_scores(c, &scores, r, in));
        GO(refine_make(c, out, &r->how, in, ids, scores, &r->run.images_scored));
    } else {
        GO(ob_plan_read(out, r->plan, in->data, ob_split_train(in->split), &c->err));
        if (ids && !ob_ids_equal(ids, ob_plan_forget(*out)))
            status = cmd_fail(c, OB_EFORMAT, "'%s' holds other ids than the plan '%s'", r->forget,
                              r->plan);
    }
out:
    ob_scores_free(scores);
    return status;
}

static int warn_of_copies(struct cmd *c, const struct rum *r, const struct inputs *in,
                          const struct ob_plan *plan)
{
    const struct ob_ids *forget = ob_plan_forget(plan);
    struct ob_ids *ids;
    int status;

    TRY(ob_ids_new(&ids, ob_ids_list(forget), ob_ids_n(forget),
                   ob_data_info(in->data)->n_file[OB_TRAIN], &c->err));
    status = copies_settle(c, &ids, in, &r->copies, 1);
    ob_ids_free(ids);
    return status;
}

static int run(struct cmd *c, struct rum *r)
{
    struct inputs in;
    struct ob_ids *ids = NULL;
    struct ob_plan *plan = NULL;
    int status;

    TRY(check(c, r));
    TRY(cmd_start(c));
    TRY(inputs_open(c, &in, &r->in, OTHER_DATA_REFUSED));
    if (r->forget)
        GO(forget_open(c, &ids, r->forget, in.data, in.split));
    if (ids && !r->plan)
        GO(copies_settle(c, &ids, &in, &r->copies, 1));
    GO(get_plan(c, &plan, r, &in, ids));
    GO(ob_model_set_embedding(in.model, "pooled", &c->err)); /* the choice was for the parts */
    if (r->plan)
        GO(warn_of_copies(c, r, &in, plan));
    GO(steps_run(c, &in, plan, &r->run));
out:
    ob_plan_free(plan);
    ob_ids_free(ids);
    inputs_release(&in);
    return status;
}

int cmd_rum(struct cmd *c, int argc, const char **argv)
{
    struct rum r = { .in = INPUTS_OPTS_INIT, .copies = COPIES_OPTS_INIT };
    const struct opt options[] = {
        INPUTS_OPTIONS(&r.in),
        EMBEDDING_OPTION(&r.in),
        ANY_DATA_OPTION(&r.in),
        { "forget", 'x', OPT_TEXT, &r.forget, "ids of the examples to forget", "IDS" },
        { "plan", 'p', OPT_TEXT, &r.plan, "a plan of 'oubli refine' instead", "FILE" },
        { "any-model", 0, OPT_FLAG, &r.run.any_model, "a plan that was made for another model",
          NULL },
        REFINE_OPTIONS(&r.how),
        COPIES_OPTIONS(&r.copies),
        { "keep-steps", 0, OPT_TEXT, &r.run.keep_steps,
          "keep the model after each step here; the same command goes on after the last one",
          "DIR" },
        DRY_RUN_OPTION(&r.run),
        { "output", 'o', OPT_TEXT, &r.run.output, "the model to write (.safetensors)", "FILE" },
        { 0 },
    };

    TRY(cmd_parse(c, options, argc, argv));
    return run(c, &r);
}
