/* cmd_forget.c - oubli forget: one method on the whole forget set, a plan of one step. */
#include <string.h>

#include "copies.h"
#include "sisa.h"
#include "steps.h"

struct forget {
    struct inputs_opts in;
    const char *forget, *method;
    struct list settings;
    struct copies_opts copies;
    struct steps_run how;
};

static int unknown_method(struct cmd *c, const char *name)
{
    const char *near = ob_method_nearest(name);

    if (near)
        return cmd_fail(c, OB_EINVAL, "there is no method '%s'; did you mean '%s'?", name, near);
    return cmd_fail(c, OB_EINVAL, "there is no method '%s'; 'oubli methods' lists them", name);
}

static int check(struct cmd *c, const struct forget *f)
{
    TRY(cmd_need(c, "data", f->in.data));
    TRY(cmd_need(c, "model", f->in.model));
    TRY(cmd_need(c, "forget", f->forget));
    TRY(cmd_need(c, "method", f->method));
    if (!f->how.dry_run)
        TRY(cmd_need(c, "output", f->how.output));
    if (!strchr(f->method, ':') && !ob_method_find(f->method))
        return unknown_method(c, f->method);
    for (size_t i = 0; i < f->settings.n; i++)
        if (!strchr(f->settings.item[i], '='))
            return cmd_fail(c, OB_EINVAL, "--set takes key=value, not '%s'", f->settings.item[i]);
    TRY(copies_check(c, &f->copies));
    TRY(input_check(c, f->forget));
    if (!strcmp(f->method, "sisa")) { /* its output is a folder, and may be there in part */
        if (f->settings.n)
            return cmd_fail(c, OB_EINVAL, "'sisa' has no settings: the folder knows its own");
        return input_check(c, f->in.model);
    }
    return f->how.dry_run ? OB_OK : output_check(c, f->how.output);
}

/* A model is retrained with its own seed; only a --seed that was given replaces that. */
static const char *method_text(struct cmd *c, const struct forget *f)
{
    const char *text = f->method;
    int has_seed = strstr(text, ":seed=") != NULL;
    size_t n = strcspn(text, ":");

    for (size_t i = 0; i < f->settings.n; i++) {
        text = cmd_textf(c, "%s:%s", text, f->settings.item[i]);
        has_seed |= !strncmp(f->settings.item[i], "seed=", 5);
    }
    if (cmd_given(c, "seed") && !has_seed && n == strlen("retrain") && !strncmp(text, "retrain", n))
        text = cmd_textf(c, "%s:seed=%llu", text, (unsigned long long)c->seed);
    return text;
}

static int run(struct cmd *c, const struct forget *f)
{
    struct inputs in;
    struct ob_ids *ids = NULL;
    struct ob_plan *plan = NULL;
    int status;

    TRY(check(c, f));
    if (!strcmp(f->method, "sisa"))
        return sisa_forget(c, &(struct sisa_forget_args){ .in = &f->in,
                                                          .forget = f->forget,
                                                          .output = f->how.output,
                                                          .copies = &f->copies,
                                                          .dry_run = f->how.dry_run });
    TRY(cmd_start(c));
    TRY(inputs_open(c, &in, &f->in, OTHER_DATA_REFUSED));
    GO(forget_open(c, &ids, f->forget, in.data, in.split));
    GO(copies_settle(c, &ids, &in, &f->copies, 1));
    GO(ob_plan_single(&plan, in.data, in.model, ob_split_train(in.split), ids, method_text(c, f),
                      &c->err));
    GO(steps_run(c, &in, plan, &f->how));
out:
    ob_plan_free(plan);
    ob_ids_free(ids);
    inputs_release(&in);
    return status;
}

int cmd_forget(struct cmd *c, int argc, const char **argv)
{
    struct forget f = { .in = INPUTS_OPTS_INIT, .copies = COPIES_OPTS_INIT };
    const struct opt options[] = {
        INPUTS_OPTIONS(&f.in),
        ANY_DATA_OPTION(&f.in),
        { "forget", 'x', OPT_TEXT, &f.forget, "ids of the examples to forget", "IDS" },
        { "method", 0, OPT_TEXT, &f.method, "'oubli methods' lists them", "NAME" },
        { "set", 0, OPT_LIST, &f.settings, "a setting of the method; may be repeated",
          "KEY=VALUE" },
        COPIES_OPTIONS(&f.copies),
        DRY_RUN_OPTION(&f.how),
        { "output", 'o', OPT_TEXT, &f.how.output, "the model to write (.safetensors)", "FILE" },
        { 0 },
    };

    TRY(cmd_parse(c, options, argc, argv));
    return run(c, &f);
}
