/* cmd_train.c - oubli train: trains a network, or retrains it without some examples. */
#include <math.h>
#include <string.h>

#include "sisa.h"

struct train {
    const char *data, *arch, *output, *exclude, *events, *init, *normalize, *sisa;
    double val;
    uint32_t split_seed;
    int checkpoint_every, resume;
    struct recipe_opts given;
    /* made on the way */
    const char *checkpoint, *exclude_digest, *parent;
    struct ob_data *d;
    struct ob_split *split;
    struct ob_ids *excluded, *use;
    struct ob_model *m;
    struct ob_recipe recipe;
    struct ob_events *recorded;
};

static void release(struct train *t)
{
    ob_events_free(t->recorded);
    ob_model_free(t->m);
    ob_ids_free(t->use);
    ob_ids_free(t->excluded);
    ob_split_free(t->split);
    ob_data_free(t->d);
}

/* ---- before any work ---- */

/* With --resume what is there may be ours: the model is looked at later, the events belong to the
 * checkpoint beside them. Without it a checkpoint is the only trace of work that was interrupted. */
static int check_files(struct cmd *c, struct train *t)
{
    TRY(cmd_need(c, "data", t->data));
    TRY(cmd_need(c, "output", t->output));
    if (!t->arch && !t->init)
        return cmd_fail(c, OB_EINVAL,
                        "--arch is needed (or --init); 'oubli archs' lists the networks");
    t->checkpoint = cmd_textf(c, "%s.ckpt", t->output);
    if (t->events && (!strcmp(t->events, t->output) || !strcmp(t->events, t->checkpoint)))
        return cmd_fail(c, OB_EINVAL, "--events and --output would both write '%s'", t->events);
    TRY(input_check(c, t->exclude));
    TRY(input_check(c, t->init));
    if (t->resume) {
        output_sweep(c, t->checkpoint);
        output_sweep(c, t->events);
        output_sweep(c, t->output);
    }
    if (t->resume && !c->force && file_is_there(t->output))
        return OB_OK;
    TRY(output_check(c, t->output));
    if (!t->resume || !file_is_there(t->checkpoint))
        TRY(output_check(c, t->events));
    if (!t->resume && !c->force && file_is_there(t->checkpoint))
        return cmd_fail(c, OB_EEXIST,
                        "'%s' is there from an interrupted run; --resume goes on, --force starts "
                        "again",
                        t->checkpoint);
    return OB_OK;
}

/* What was done to the model that this one starts from is told by its digest, not repeated. */
static int forget_history(struct cmd *c, struct ob_model *m)
{
    static const char *const keys[] = { "method", "settings", "plan", "unlearn_seed" };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        TRY(ob_model_set_meta(m, keys[i], NULL, &c->err));
    return OB_OK;
}

static int load_init(struct cmd *c, struct train *t)
{
    const struct ob_data_info *i = ob_data_info(t->d);
    struct ob_load_opts l = OB_LOAD_OPTS_INIT;
    char digest[65];

    l.arch = t->arch;
    l.normalize = t->normalize;
    l.channels = i->channels;
    l.height = i->height;
    l.width = i->width;
    l.n_classes = i->n_classes;
    TRY(ob_model_load(&t->m, c->ctx, t->init, &l, &c->err));
    TRY(ob_model_digest(t->m, digest, &c->err));
    TRY(forget_history(c, t->m));
    t->parent = cmd_textf(c, "%s", digest);
    return ob_model_set_meta(t->m, "parent", t->parent, &c->err);
}

static int open_model(struct cmd *c, struct train *t)
{
    const struct ob_data_info *i = ob_data_info(t->d);

    t->parent = "";
    if (t->init)
        return load_init(c, t);
    TRY(ob_model_new(&t->m, c->ctx, t->arch, i->channels, i->height, i->width, i->n_classes,
                     c->seed, &c->err));
    return ob_model_set_normalize(t->m, t->normalize, t->d, &c->err);
}

static int open_examples(struct cmd *c, struct train *t)
{
    TRY(ob_data_open(&t->d, c->ctx, t->data, &c->err));
    TRY(ob_split_new(&t->split, t->d, t->val, t->split_seed, &c->err));
    if (t->exclude) {
        TRY(forget_open(c, &t->excluded, t->exclude, t->d, t->split));
        TRY(ob_ids_minus(&t->use, ob_split_train(t->split), t->excluded, &c->err));
    }
    t->exclude_digest = ids_digest(c, t->excluded);
    return OB_OK;
}

/* ---- was it done already? ---- */

static int differs(struct cmd *c, const struct train *t, const char *what, const char *there,
                   const char *here)
{
    if (!there)
        there = "";
    if (!strcmp(there, here))
        return OB_OK;
    return cmd_fail(c, OB_EFORMAT,
                    "'%s' was made with other settings: %s is '%.60s' there and '%.60s' here; give "
                    "another -o, or --force to make it again",
                    t->output, what, there, here);
}

static const char *number(struct cmd *c, double x)
{
    return cmd_textf(c, "%.9g", x);
}

static int same_recipe(struct cmd *c, const struct train *t, const struct ob_recipe *r)
{
    TRY(differs(c, t, "epochs", number(c, r->epochs), number(c, t->recipe.epochs)));
    TRY(differs(c, t, "batch", number(c, r->batch), number(c, t->recipe.batch)));
    TRY(differs(c, t, "sub-batch", number(c, r->sub_batch), number(c, t->recipe.sub_batch)));
    TRY(differs(c, t, "lr", number(c, r->lr), number(c, t->recipe.lr)));
    TRY(differs(c, t, "momentum", number(c, r->momentum), number(c, t->recipe.momentum)));
    TRY(differs(c, t, "weight-decay", number(c, r->weight_decay),
                number(c, t->recipe.weight_decay)));
    TRY(differs(c, t, "schedule", r->schedule, t->recipe.schedule));
    TRY(differs(c, t, "augment", r->augment, t->recipe.augment));
    return differs(c, t, "optimizer", r->optimizer, t->recipe.optimizer);
}

static int same_settings(struct cmd *c, const struct train *t, const struct ob_model *done)
{
    struct ob_recipe r;
    struct ob_split *split = NULL;
    int status;

    TRY(differs(c, t, "arch", ob_model_arch(done), ob_model_arch(t->m)));
    TRY(ob_model_check_data(done, t->d, &c->err));
    TRY(ob_recipe_of_model(&r, done, &c->err));
    TRY(same_recipe(c, t, &r));
    TRY(differs(c, t, "seed", ob_model_meta(done, "seed"),
                cmd_textf(c, "%llu", (unsigned long long)c->seed)));
    TRY(differs(c, t, "exclude", ob_model_meta(done, "exclude"), t->exclude_digest));
    TRY(differs(c, t, "init", ob_model_meta(done, "parent"), t->parent));
    TRY(differs(c, t, "method", ob_model_meta(done, "method"),
                "")); /* no training, an unlearning */
    TRY(ob_model_split(&split, done, t->d, 0, 1, &c->err));
    status = differs(c, t, "val and split-seed", ob_split_hash(split), ob_split_hash(t->split));
    ob_split_free(split);
    return status;
}

/* CMD_HELPED where the model is there with these very settings: nothing is left to do. */
static int already_done(struct cmd *c, struct train *t)
{
    struct ob_load_opts l = OB_LOAD_OPTS_INIT;
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;
    struct ob_model *done = NULL;
    int status;

    if (!t->resume || c->force || !file_is_there(t->output))
        return OB_OK;
    GO(ob_model_load(&done, c->ctx, t->output, &l, &c->err));
    GO(same_settings(c, t, done));
    o.checkpoint = t->checkpoint; /* the last one may have outlived a kill */
    GO(file_is_there(t->checkpoint) ? ob_train_done(&o, &c->err) : OB_OK);
    if (c->json)
        GO(print_json(c, json_pack("{s:s,s:b}", "output", t->output, "already_done", 1)));
    else
        cmd_note(c, "'%s' is already done with these settings", t->output);
    status = CMD_HELPED;
out:
    ob_model_free(done);
    return status;
}

/* ---- the work ---- */

static int print_result(struct cmd *c, const struct train *t, const struct ob_cost *cost)
{
    json_t *j, *final;

    progress_clear(c->progress);
    if (!c->json) {
        printf("model     %s (%s, %zu parameters)\n", t->output, ob_model_arch(t->m),
               ob_model_n_params(t->m));
        printf("trained   %zu examples, %d epochs\n",
               ob_ids_n(t->use ? t->use : ob_split_train(t->split)), t->recipe.epochs);
        if (isfinite(cost->loss))
            printf("at last   loss %.4f, accuracy %.2f %% (running means over the last epoch)\n",
                   cost->loss, 100 * cost->accuracy);
        print_cost("cost      ", cost);
        return OB_OK;
    }
    j = json_object();
    final = json_object();
    put_text(j, "output", t->output);
    put_text(j, "events", t->events);
    put_number(j, "seconds", cost->seconds);
    put_count(j, "images", cost->images);
    put_count(j, "images_forward", cost->images_forward);
    put_number(j, "images_per_second", images_per_second(cost));
    put_count(j, "peak_bytes", ob_peak_bytes());
    put_number(final, "loss", cost->loss);
    put_number(final, "accuracy", cost->accuracy);
    json_object_set_new(j, "final", final);
    return print_json(c, j);
}

/* What a checkpoint of a training that diverged leads to is known: it goes. */
static int train(struct cmd *c, struct train *t, const struct ob_train_opts *o,
                 struct ob_cost *cost)
{
    int status = ob_train(cost, t->m, t->d, t->split, t->use ? t->use : ob_split_train(t->split), o,
                          &c->err);

    if (status == OB_EDIVERGED && file_is_there(t->checkpoint))
        ob_train_done(o, NULL);
    return status;
}

/* Events before the model, the checkpoint last: a kill in between is made good by --resume. */
static int work(struct cmd *c, struct train *t)
{
    struct ob_train_opts o = OB_TRAIN_OPTS_INIT;
    struct ob_cost cost;

    o.recipe = t->recipe;
    o.seed = c->seed;
    o.checkpoint = t->checkpoint;
    o.checkpoint_every = t->checkpoint_every;
    o.resume = t->resume;
    o.events = t->events ? &t->recorded : NULL;
    snprintf(c->hint, sizeof(c->hint), "the same command with --resume goes on");
    TRY(train(c, t, &o, &cost));
    if (c->rank) /* rank 0 writes */
        return OB_OK;
    TRY(ob_model_set_meta(t->m, "exclude", t->exclude_digest, &c->err));
    if (t->events)
        TRY(ob_events_write(t->recorded, t->events, &c->err));
    TRY(ob_model_save(t->m, t->output, &c->err));
    if (file_is_there(t->checkpoint))
        TRY(ob_train_done(&o, &c->err));
    return print_result(c, t, &cost);
}

static int run_shards(struct cmd *c, const struct train *t)
{
    const struct sisa_train_args a = { .data = t->data,
                                       .arch = t->arch,
                                       .output = t->output,
                                       .exclude = t->exclude,
                                       .normalize = t->normalize,
                                       .sisa = t->sisa,
                                       .val = t->val,
                                       .split_seed = t->split_seed,
                                       .resume = t->resume,
                                       .given = &t->given };

    return sisa_train(c, &a);
}

static int run(struct cmd *c, struct train *t)
{
    int status;

    if (t->sisa)
        return run_shards(c, t);
    TRY(check_files(c, t));
    TRY(cmd_start(c));
    TRY(open_examples(c, t));
    TRY(open_model(c, t));
    TRY(recipe_take(c, &t->recipe, &t->given, t->d, ob_model_arch(t->m)));
    ob_recipe_share(&t->recipe, c->ranks);
    TRY(already_done(c, t));
    status = work(c, t);
    if (status == OB_EIO && file_is_there(t->checkpoint))
        cmd_add(c, "; once that is mended, the same command with --resume goes on");
    return status;
}

int cmd_train(struct cmd *c, int argc, const char **argv)
{
    struct train t = { .split_seed = 1, .checkpoint_every = 1 };
    const struct opt options[] = {
        { "data", 'd', OPT_TEXT, &t.data, "the data set: idx:DIR, cifar10:DIR, images:DIR, ...",
          "SPEC" },
        { "arch", 'a', OPT_TEXT, &t.arch,
          "the network: resnet18, cnn, resnet20,width=0.5 ... (see archs)", "NAME" },
        { "output", 'o', OPT_TEXT, &t.output, "the model to write (.safetensors)", "FILE" },
        { "exclude", 'x', OPT_TEXT, &t.exclude, "ids of examples to leave out", "IDS" },
        { "events", 'e', OPT_TEXT, &t.events, "record what each example went through (.npz)",
          "FILE" },
        { "init", 0, OPT_TEXT, &t.init, "start from the weights of this model", "FILE" },
        { "val", 0, OPT_FLOAT, &t.val, "share of each class set aside for validation (default 0)",
          "F" },
        { "split-seed", 0, OPT_SEED32, &t.split_seed, "seed of that choice (default 1)", "N" },
        { "normalize", 0, OPT_TEXT, &t.normalize,
          "cifar10, cifar100, fashion-mnist, mnist, imagenet, none, or M1,M2,M3/S1,S2,S3", "WHAT" },
        RECIPE_OPTIONS(&t.given),
        { "checkpoint-every", 0, OPT_INT, &t.checkpoint_every,
          "epochs between checkpoints, kept in FILE.ckpt until FILE is there (default 1)", "N" },
        { "sisa", 0, OPT_TEXT, &t.sisa,
          "train S shards of R slices each into a folder; 'forget --method sisa' retrains only "
          "what it touches",
          "S,R" },
        { "resume", 0, OPT_FLAG, &t.resume, "go on from the checkpoint, if there is one", NULL },
        { 0 },
    };
    int status = cmd_parse(c, options, argc, argv);

    if (!status)
        status = run(c, &t);
    release(&t);
    return status;
}
