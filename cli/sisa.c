/* sisa.c - a model in shards and slices: trained, made to forget. */
#include "sisa.h"

#include <math.h>
#include <string.h>

/* "5,3": 5 shards of 3 slices each. */
static int take_shards(struct cmd *c, struct ob_sisa_opts *o, const char *text)
{
    const char *comma = strchr(text, ',');
    uint64_t shards, slices;

    if (!comma || !parse_whole(cmd_textf(c, "%.*s", (int)(comma - text), text), &shards) ||
        !parse_whole(comma + 1, &slices) || shards < 1 || shards > 1000 || slices < 1 ||
        slices > 1000)
        return cmd_fail(c, OB_EINVAL,
                        "--sisa takes shards and slices, 1 to 1000 of each, as in 5,3; not '%s'",
                        text);
    o->shards = (int)shards;
    o->slices = (int)slices;
    return OB_OK;
}

static void put_slices(json_t *j, const struct ob_sisa_done *done)
{
    put_count(j, "shards", (uint64_t)done->shards);
    put_count(j, "slices", (uint64_t)done->slices);
    put_count(j, "shards_trained", (uint64_t)done->shards_trained);
    put_count(j, "slices_trained", (uint64_t)done->slices_trained);
    put_count(j, "slices_kept", (uint64_t)done->slices_kept);
}

static json_t *cost_json(const char *output, const struct ob_cost *cost)
{
    json_t *j = json_object(), *final = json_object();

    put_text(j, "output", output);
    put_number(j, "seconds", cost->seconds);
    put_count(j, "images", cost->images);
    put_count(j, "images_forward", cost->images_forward);
    put_number(j, "images_per_second", images_per_second(cost));
    put_count(j, "peak_bytes", ob_peak_bytes());
    put_number(final, "loss", cost->loss);
    put_number(final, "accuracy", cost->accuracy);
    json_object_set_new(j, "final", final);
    return j;
}

static void print_done(const char *output, const struct ob_sisa_done *done,
                       const struct ob_cost *cost)
{
    printf("model     %s (%d shards of %d slices)\n", output, done->shards, done->slices);
    printf("trained   %d of %d slices, in %d of %d shards\n", done->slices_trained,
           done->shards * done->slices, done->shards_trained, done->shards);
    print_cost("cost      ", cost);
}

/* ---- train ---- */

static int check_train(struct cmd *c, const struct sisa_train_args *a)
{
    static const char *const no[] = { "events", "init", "checkpoint-every" };

    TRY(cmd_need(c, "data", a->data));
    TRY(cmd_need(c, "arch", a->arch));
    TRY(cmd_need(c, "output", a->output));
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (cmd_given(c, no[i]))
            return cmd_fail(c, OB_EINVAL, "--%s does not go with --sisa", no[i]);
    TRY(input_check(c, a->exclude));
    if (!a->resume && ob_sisa_is(a->output))
        return cmd_fail(c, OB_EEXIST,
                        "'%s' is there already; --resume goes on with it, or give another -o",
                        a->output);
    return OB_OK;
}

static int train_in(struct cmd *c, const struct sisa_train_args *a, const struct ob_data *d,
                    const struct ob_split *split, const struct ob_ids *excluded)
{
    struct ob_sisa_opts o = OB_SISA_OPTS_INIT;
    struct ob_sisa_done done;
    struct ob_cost cost;
    json_t *j;

    TRY(take_shards(c, &o, a->sisa));
    TRY(recipe_take(c, &o.recipe, a->given, d, a->arch));
    o.arch = a->arch;
    o.normalize = a->normalize;
    o.seed = c->seed;
    snprintf(c->hint, sizeof(c->hint), "the same command with --resume goes on");
    TRY(ob_sisa_train(&cost, &done, c->ctx, a->output, d, split, excluded, &o, &c->err));
    progress_clear(c->progress);
    if (!c->json) {
        print_done(a->output, &done, &cost);
        return OB_OK;
    }
    j = cost_json(a->output, &cost);
    put_slices(j, &done);
    return print_json(c, j);
}

int sisa_train(struct cmd *c, const struct sisa_train_args *a)
{
    struct ob_data *d = NULL;
    struct ob_split *split = NULL;
    struct ob_ids *excluded = NULL;
    int status;

    TRY(check_train(c, a));
    TRY(cmd_start(c));
    GO(ob_data_open(&d, c->ctx, a->data, &c->err));
    GO(ob_split_new(&split, d, a->val, a->split_seed, &c->err));
    if (a->exclude)
        GO(forget_open(c, &excluded, a->exclude, d, split));
    status = train_in(c, a, d, split, excluded);
out:
    ob_ids_free(excluded);
    ob_split_free(split);
    ob_data_free(d);
    return status;
}

/* ---- forget ---- */

static json_t *step_json(const struct inputs *in, const struct ob_ids *forget,
                         const struct ob_sisa_done *done, const struct ob_cost *cost)
{
    json_t *step = json_object();

    put_text(step, "name", "all");
    put_text(step, "method", "sisa");
    put_count(step, "forget", ob_ids_n(forget));
    put_count(step, "retain", ob_ids_n(ob_split_train(in->split)) - done->n_left_out);
    put_count(step, "images", cost->images);
    put_count(step, "images_forward", cost->images_forward);
    put_number(step, "seconds", cost->seconds);
    json_object_set_new(step, "settings", json_object());
    put_slices(step, done);
    return step;
}

static int print_forgotten(struct cmd *c, const char *output, json_t *step,
                           const struct ob_sisa_done *done, const struct ob_cost *cost)
{
    json_t *j;

    progress_clear(c->progress);
    if (!c->json) {
        json_decref(step);
        print_done(output, done, cost);
        return OB_OK;
    }
    j = cost_json(output, cost);
    json_object_set_new(j, "steps", json_pack("[o]", step));
    json_object_set_new(j, "untouched", json_array());
    return print_json(c, j);
}

static int print_dry(struct cmd *c, json_t *step, const struct ob_sisa_done *done,
                     const struct ob_cost *cost)
{
    json_t *j;

    if (!c->json) {
        json_decref(step);
        printf("%d of %d slices would be trained again, in %d of %d shards: %llu images, %.1f s\n"
               "nothing was done (--dry-run); an image is one example's gradient, once; time from "
               "one batch here\n",
               done->slices_trained, done->shards * done->slices, done->shards_trained,
               done->shards, (unsigned long long)cost->images, cost->seconds);
        return OB_OK;
    }
    j = json_object();
    json_object_set_new(j, "dry_run", json_true());
    put_number(j, "seconds", cost->seconds);
    put_count(j, "images", cost->images);
    put_count(j, "images_forward", cost->images_forward);
    json_object_set_new(j, "steps", json_pack("[o]", step));
    json_object_set_new(j, "untouched", json_array());
    return print_json(c, j);
}

int sisa_forget(struct cmd *c, const struct sisa_forget_args *a)
{
    struct inputs in;
    struct ob_sisa_done done;
    struct ob_cost cost;
    struct ob_ids *ids = NULL;
    const char *from = a->in->model;
    int status;

    if (!ob_sisa_is(from))
        return cmd_fail(c, OB_EINVAL,
                        "'%s' is no folder of shards: 'sisa' needs an original that was trained "
                        "with 'oubli train --sisa S,R'",
                        from);
    TRY(cmd_start(c));
    TRY(inputs_open(c, &in, a->in, OTHER_DATA_REFUSED));
    GO(forget_open(c, &ids, a->forget, in.data, in.split));
    GO(copies_settle(c, &ids, &in, a->copies, 1));
    if (a->dry_run) {
        GO(ob_sisa_forget_cost(&cost, &done, c->ctx, from, in.data, in.split, ids, &c->err));
        status = print_dry(c, step_json(&in, ids, &done, &cost), &done, &cost);
        goto out;
    }
    snprintf(c->hint, sizeof(c->hint), "the same command goes on");
    GO(ob_sisa_forget(&cost, &done, c->ctx, from, a->output, in.data, in.split, ids, &c->err));
    status = print_forgotten(c, a->output, step_json(&in, ids, &done, &cost), &done, &cost);
out:
    ob_ids_free(ids);
    inputs_release(&in);
    return status;
}
