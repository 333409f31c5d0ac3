/* cmd_bank.c - oubli bank: many models on random subsets, one pool for scores and audits. */
#include <math.h>
#include <string.h>

#include "setup.h"

struct bank {
    const char *data, *arch, *output, *normalize, *models;
    double val, subset;
    uint32_t split_seed;
    int jobs, keep_weights;
    struct recipe_opts recipe;
};

/* ---- train ---- */

/* "128": models 0 to 127; "64-127": those. */
static int take_range(struct cmd *c, const char *text, int *first, int *end)
{
    const char *dash = strchr(text, '-');
    uint64_t a = 0, b = 0;
    int ok;

    if (dash) {
        ok = parse_whole(cmd_textf(c, "%.*s", (int)(dash - text), text), &a) &&
             parse_whole(dash + 1, &b);
        b += 1;
    } else {
        ok = parse_whole(text, &b);
    }
    if (!ok || b <= a || b > 100000)
        return cmd_fail(c, OB_EINVAL,
                        "--models '%s': a number of models, or a range of them like 64-127", text);
    *first = (int)a;
    *end = (int)b;
    return OB_OK;
}

static int print_trained(struct cmd *c, const struct bank *b, const struct ob_cost *cost,
                         double models)
{
    json_t *j;

    progress_clear(c->progress);
    if (!c->json) {
        if (cost->images == 0) {
            cmd_note(c, "all models of '%s' are there already", b->output);
            return OB_OK;
        }
        printf("bank      %s: %.0f models trained, %.0f an hour\n", b->output, models,
               models / cost->seconds * 3600);
        print_cost("cost      ", cost);
        return OB_OK;
    }
    j = json_object();
    put_text(j, "output", b->output);
    put_count(j, "models", (uint64_t)models);
    put_number(j, "seconds", cost->seconds);
    put_count(j, "images", cost->images);
    put_count(j, "images_forward", cost->images_forward);
    put_number(j, "images_per_second", images_per_second(cost));
    put_count(j, "peak_bytes", ob_peak_bytes());
    return print_json(c, j);
}

static int train_in(struct cmd *c, const struct bank *b, const struct ob_data *d,
                    const struct ob_split *split)
{
    struct ob_bank_opts o = OB_BANK_OPTS_INIT;
    struct ob_cost cost;
    size_t per;

    TRY(take_range(c, b->models, &o.first, &o.end));
    TRY(recipe_take(c, &o.recipe, &b->recipe, d, b->arch));
    o.arch = b->arch;
    o.normalize = b->normalize;
    o.subset = b->subset;
    o.seed = c->seed;
    o.n_jobs = b->jobs;
    o.keep_weights = b->keep_weights;
    snprintf(c->hint, sizeof(c->hint), "the same command goes on");
    TRY(ob_bank_train(&cost, c->ctx, b->output, d, split, &o, &c->err));
    per = (size_t)floor(o.subset * (double)ob_ids_n(ob_split_train(split)) + 0.5) *
          (size_t)o.recipe.epochs;
    return print_trained(c, b, &cost, (double)cost.images / (double)per);
}

static int train(struct cmd *c, const struct bank *b)
{
    struct ob_data *d = NULL;
    struct ob_split *split = NULL;
    int status;

    TRY(cmd_need(c, "data", b->data));
    TRY(cmd_need(c, "arch", b->arch));
    TRY(cmd_need(c, "models", b->models));
    TRY(cmd_need(c, "output", b->output));
    if (cmd_given(c, "jobs") && b->jobs < 1)
        return cmd_fail(c, OB_EINVAL, "--jobs %d: at least 1", b->jobs);
    TRY(cmd_start(c));
    GO(ob_data_open(&d, c->ctx, b->data, &c->err));
    GO(ob_split_new(&split, d, b->val, b->split_seed, &c->err));
    status = train_in(c, b, d, split);
out:
    ob_split_free(split);
    ob_data_free(d);
    return status;
}

/* ---- status ---- */

struct found {
    int n_done, n_damaged;
    json_t *damaged; /* of {"model", "why"} */
};

static int look(struct cmd *c, const struct ob_bank *b, struct found *f)
{
    for (int k = 0; k < ob_bank_info(b)->n_models; k++) {
        struct ob_err why = { 0 };
        int rc = ob_bank_wants(b, k) ? ob_bank_check(b, k, &why) : OB_ENOTFOUND;

        if (cmd_interrupted())
            return cmd_fail(c, OB_ECANCELLED, "interrupted");
        f->n_done += !rc;
        if (!rc || rc == OB_ENOTFOUND)
            continue;
        f->n_damaged++;
        json_array_append_new(f->damaged, json_pack("{s:i,s:s}", "model", k, "why", why.msg));
        if (!c->json)
            cmd_warn(c, "model %d: %s", k, why.msg);
    }
    return OB_OK;
}

static int print_status(struct cmd *c, const struct ob_bank *b, struct found *f)
{
    const struct ob_bank_info *i = ob_bank_info(b);
    int left = i->n_wanted - f->n_done;
    double seconds = left ? left * i->seconds : 0, hours = seconds / 3600;
    json_t *j;

    if (!c->json) {
        printf("%s: %d of %d models of %s, %zu + %zu examples\n", c->args[1], f->n_done,
               i->n_wanted, i->arch, i->n_train, i->n_test);
        if (f->n_damaged)
            printf("%d damaged: 'oubli bank train' trains them again\n", f->n_damaged);
        if (left && isfinite(i->seconds))
            printf("%d to go, about %.1f %s of one thread (a model took %.1f s, %.0f an hour)\n",
                   left, hours < 1 ? 60 * hours : hours, hours < 1 ? "minutes" : "hours",
                   i->seconds, 3600 / i->seconds);
        return OB_OK;
    }
    j = json_pack("{s:s,s:s,s:i,s:i,s:i,s:O}", "bank", c->args[1], "arch", i->arch, "models",
                  i->n_wanted, "done", f->n_done, "left", left, "damaged", f->damaged);
    put_number(j, "seconds_per_model", i->seconds);
    put_number(j, "models_per_hour", 3600 / i->seconds);
    put_number(j, "seconds_left", seconds);
    return print_json(c, j);
}

static int status_of(struct cmd *c)
{
    struct found f = { .damaged = json_array() };
    struct ob_bank *b = NULL;
    int status;

    if (c->n_args != 2) {
        status = cmd_fail(c, OB_EINVAL, "status takes one folder");
        goto out;
    }
    GO(cmd_start(c));
    GO(ob_bank_open(&b, c->ctx, c->args[1], &c->err));
    GO(look(c, b, &f));
    GO(print_status(c, b, &f));
    if (f.n_damaged)
        status = cmd_fail(c, OB_EFORMAT, "%d model%s of '%s' %s damaged", f.n_damaged,
                          f.n_damaged == 1 ? "" : "s", c->args[1], f.n_damaged == 1 ? "is" : "are");
out:
    ob_bank_free(b);
    json_decref(f.damaged);
    return status;
}

/* ---- merge ---- */

static int merge(struct cmd *c, const struct bank *b)
{
    size_t n = 0;

    TRY(cmd_need(c, "output", b->output));
    if (c->n_args < 2)
        return cmd_fail(c, OB_EINVAL, "merge takes the folders of banks");
    TRY(cmd_start(c));
    snprintf(c->hint, sizeof(c->hint), "the same command goes on");
    TRY(ob_bank_merge(&n, c->ctx, b->output, c->args + 1, c->n_args - 1, &c->err));
    if (c->json)
        return print_json(c, json_pack("{s:s,s:I}", "output", b->output, "models", (json_int_t)n));
    printf("%zu models into '%s'\n", n, b->output);
    return OB_OK;
}

int cmd_bank(struct cmd *c, int argc, const char **argv)
{
    struct bank b = { .split_seed = 1, .subset = 0.7 };
    const struct opt options[] = {
        { "data", 'd', OPT_TEXT, &b.data, "the data set: idx:DIR, cifar10:DIR, images:DIR, ...",
          "SPEC" },
        { "arch", 'a', OPT_TEXT, &b.arch,
          "the network: resnet18, cnn, resnet20,width=0.5 ... (see archs)", "NAME" },
        { "models", 0, OPT_TEXT, &b.models, "how many, or which: 128, or 64-127", "N" },
        { "subset", 0, OPT_FLOAT, &b.subset,
          "share of the training part that a model is trained on (default 0.7)", "F" },
        { "output", 'o', OPT_TEXT, &b.output, "the folder of the bank", "DIR" },
        { "jobs", 'j', OPT_INT, &b.jobs,
          "models side by side, a thread each (default: as many as --threads)", "N" },
        { "keep-weights", 0, OPT_FLAG, &b.keep_weights, "keep each model, not its logits alone",
          NULL },
        { "val", 0, OPT_FLOAT, &b.val, "share of each class set aside for validation (default 0)",
          "F" },
        { "split-seed", 0, OPT_SEED32, &b.split_seed, "seed of that choice (default 1)", "N" },
        { "normalize", 0, OPT_TEXT, &b.normalize,
          "cifar10, cifar100, fashion-mnist, mnist, imagenet, none, or M1,M2,M3/S1,S2,S3", "WHAT" },
        RECIPE_OPTIONS(&b.recipe),
        { 0 },
    };

    TRY(cmd_parse(c, options, argc, argv));
    if (!strcmp(c->args[0], "train"))
        return c->n_args == 1 ? train(c, &b)
                              : cmd_fail(c, OB_EINVAL, "'%s' is one too many", c->args[1]);
    if (!strcmp(c->args[0], "status"))
        return status_of(c);
    if (!strcmp(c->args[0], "merge"))
        return merge(c, &b);
    return cmd_fail(c, OB_EINVAL, "bank has no '%s'; there are train, status and merge",
                    c->args[0]);
}
