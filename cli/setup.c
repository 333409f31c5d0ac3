/* setup.c - opens a data set, a model and their split, and checks that they belong together. */
#include "setup.h"

#include <stdlib.h>
#include <string.h>

void inputs_release(struct inputs *in)
{
    ob_split_free(in->split);
    ob_model_free(in->model);
    ob_data_free(in->data);
    *in = (struct inputs){ 0 };
}

/* ---- the subset: train= and test= of a spec ---- */

/* The value of `key` in "kind:where,key=value,...", or NULL. */
static const char *spec_option(struct cmd *c, const char *spec, const char *key)
{
    size_t n = strlen(key);

    for (const char *p = strchr(spec, ','); p; p = strchr(p + 1, ','))
        if (!strncmp(p + 1, key, n) && p[1 + n] == '=')
            return cmd_textf(c, "%.*s", (int)strcspn(p + 2 + n, ","), p + 2 + n);
    return NULL;
}

static const char *model_data(struct cmd *c, const struct ob_model *m, const char *key)
{
    const char *text = ob_model_meta(m, "data"), *value = NULL;
    json_t *o = text ? json_loads(text, 0, NULL) : NULL;

    if (json_is_string(json_object_get(o, key)))
        value = cmd_textf(c, "%s", json_string_value(json_object_get(o, key)));
    json_decref(o);
    return value;
}

static int same_kind(const char *a, const char *b)
{
    size_t n = strcspn(a, ":");

    return n == strcspn(b, ":") && !strncmp(a, b, n);
}

/* Every other option of the spec decides what the examples are, so the model's stand in for those
 * that are left out; in memory-made data even the sizes do. */
static const char *take_option(struct cmd *c, const char *spec, const char *known, const char *key)
{
    const char *value = spec_option(c, known, key);

    if (!value || spec_option(c, spec, key))
        return spec;
    return cmd_textf(c, "%s,%s=%s", spec, key, value);
}

static int subset_spec(struct cmd *c, const char **out, const char *spec, const struct ob_model *m,
                       int any_data)
{
    const char *known = model_data(c, m, "spec"), *here, *there;

    *out = spec;
    if (!known || !same_kind(spec, known))
        return OB_OK;
    here = spec_option(c, spec, "train");
    there = spec_option(c, known, "train");
    if (!here) {
        *out = take_option(c, take_option(c, spec, known, "train"), known, "test");
        return OB_OK;
    }
    if ((there && !strcmp(here, there)) || any_data)
        return OB_OK;
    return cmd_fail(c, OB_EFORMAT,
                    "'train=%s' contradicts the model, which was trained on %s%s; leave it out",
                    here, there ? "train=" : "the whole file", there ? there : "");
}

/* ---- opening ---- */

static enum ob_aggregate aggregate_of(const struct inputs_opts *o)
{
    return o->aggregate && !strcmp(o->aggregate, "mean") ? OB_MEAN : OB_VOTE;
}

static int load(struct cmd *c, struct ob_model **out, const char *path, const struct inputs_opts *o,
                const char *normalize, const struct ob_data *d, struct ob_err *err)
{
    struct ob_load_opts l = OB_LOAD_OPTS_INIT;

    if (ob_sisa_is(path))
        return ob_sisa_load(out, c->ctx, path, aggregate_of(o), err);
    l.arch = o->arch;
    l.normalize = normalize;
    if (d) {
        const struct ob_data_info *i = ob_data_info(d);

        l.channels = i->channels;
        l.height = i->height;
        l.width = i->width;
        l.n_classes = i->n_classes;
    }
    return ob_model_load(out, c->ctx, path, &l, err);
}

/* A model that knows its data tells which subset to open. Any other is loaded once more after
 * them: what it says about image sizes without them may be a guess. */
static int open_both(struct cmd *c, struct inputs *in, const struct inputs_opts *o)
{
    const char *spec = o->data;

    if (!load(c, &in->model, o->model, o, o->normalize, NULL, NULL))
        TRY(subset_spec(c, &spec, o->data, in->model, o->any_data));
    TRY(ob_data_open(&in->data, c->ctx, spec, &c->err));
    if (in->model && ob_model_meta(in->model, "data"))
        return OB_OK;
    ob_model_free(in->model);
    in->model = NULL;
    return load(c, &in->model, o->model, o, o->normalize, in->data, &c->err);
}

/* A model that has a normalisation keeps it, whatever --normalize says: said, since it was asked. */
static void note_normalize(struct cmd *c, const struct inputs *in, const struct inputs_opts *o)
{
    struct ob_model *own = NULL;

    if (o->normalize && !load(c, &own, o->model, o, NULL, in->data, NULL))
        cmd_note(c, "'%s' has a normalisation of its own; --normalize is not used", o->model);
    ob_model_free(own);
}

static int check_shape(struct cmd *c, const struct ob_model *m, const struct ob_data *d,
                       const char *path)
{
    const struct ob_data_info *i = ob_data_info(d);
    int channels, height, width;

    ob_model_input(m, &channels, &height, &width);
    if (ob_model_n_classes(m) != i->n_classes)
        return cmd_fail(c, OB_EFORMAT, "'%s' has %d classes, the data %d", path,
                        ob_model_n_classes(m), i->n_classes);
    if (channels != i->channels || height != i->height || width != i->width)
        return cmd_fail(c, OB_EFORMAT, "'%s' takes images of %dx%dx%d, the data has %dx%dx%d", path,
                        channels, height, width, i->channels, i->height, i->width);
    return OB_OK;
}

static int check_data(struct cmd *c, const struct inputs *in, const struct inputs_opts *o,
                      enum other_data other)
{
    struct ob_err err = { 0 };
    int status;

    TRY(check_shape(c, in->model, in->data, o->model));
    status = ob_model_check_data(in->model, in->data, &err);
    if (!status || o->any_data)
        return OB_OK;
    if (other == OTHER_DATA_WARNED && status == OB_EFORMAT) {
        cmd_warn(c, "'%s': %s", o->model, err.msg);
        return OB_OK;
    }
    if (status == OB_EFORMAT)
        return cmd_fail(c, status, "'%s': %s; --any-data takes them all the same", o->model,
                        err.msg);
    return cmd_fail(c, status, "%s", err.msg);
}

static int open_split(struct cmd *c, struct inputs *in, const struct inputs_opts *o)
{
    int given = cmd_given(c, "val") || cmd_given(c, "split-seed");

    if (!in->model)
        return ob_split_new(&in->split, in->data, 0, 1, &c->err);
    if (ob_model_has_split(in->model) && given)
        return cmd_fail(c, OB_EINVAL,
                        "'%s' records its own split; leave --val and --split-seed out", o->model);
    if (!ob_model_has_split(in->model) && !given)
        cmd_warn(c,
                 "'%s' records no split: all of the training examples are its training part "
                 "(--val 0)",
                 o->model);
    return ob_model_split(&in->split, in->model, in->data, o->val, o->split_seed, &c->err);
}

int inputs_open(struct cmd *c, struct inputs *in, const struct inputs_opts *o,
                enum other_data other)
{
    int status;

    *in = (struct inputs){ 0 };
    TRY(cmd_need(c, "data", o->data));
    TRY(input_check(c, o->model));
    if (o->embedding && strcmp(o->embedding, "pooled") && strcmp(o->embedding, "hidden"))
        return cmd_fail(c, OB_EINVAL, "--embedding is pooled or hidden, not '%s'", o->embedding);
    if (o->embedding && !o->model)
        return cmd_fail(c, OB_EINVAL, "--embedding goes with --model");
    if (o->aggregate && strcmp(o->aggregate, "vote") && strcmp(o->aggregate, "mean"))
        return cmd_fail(c, OB_EINVAL, "--aggregate is vote or mean, not '%s'", o->aggregate);
    if (!o->model && (cmd_given(c, "val") || cmd_given(c, "split-seed")))
        return cmd_fail(c, OB_EINVAL, "--val and --split-seed go with --model");
    if (o->model) {
        GO(open_both(c, in, o));
        GO(check_data(c, in, o, other));
        note_normalize(c, in, o);
        if (o->embedding)
            GO(ob_model_set_embedding(in->model, o->embedding, &c->err));
    } else {
        GO(ob_data_open(&in->data, c->ctx, o->data, &c->err));
    }
    GO(open_split(c, in, o));
    return OB_OK;
out:
    inputs_release(in);
    return status;
}

/* A reference is to have been trained without the forget set; one that says it left nothing out was
 * not. (Another program's model, or one made by the method retrain, does not say.) */
static void note_original(struct cmd *c, const struct ob_model *m, const char *path)
{
    const char *exclude = ob_model_meta(m, "exclude"), *method = ob_model_meta(m, "method");

    if (exclude && !exclude[0] && !method)
        cmd_warn(c,
                 "'%s' was trained on the whole training part; a retrained model is one that was "
                 "trained without the forget set (train --exclude)",
                 path);
}

int reference_open(struct cmd *c, struct ob_model **out, const char *path, const struct inputs *in,
                   const struct inputs_opts *o)
{
    struct ob_split *split = NULL;
    struct ob_err other = { 0 };
    int status;

    *out = NULL;
    TRY(input_check(c, path));
    GO(load(c, out, path, o, o->normalize, in->data, &c->err));
    GO(check_shape(c, *out, in->data, path));
    if (ob_model_check_data(*out, in->data, &other))
        cmd_warn(c, "'%s': %s", path, other.msg);
    if (!ob_model_has_split(*out)) {
        note_original(c, *out, path);
        return OB_OK;
    }
    GO(ob_model_split(&split, *out, in->data, 0, 1, &c->err));
    if (strcmp(ob_split_hash(split), ob_split_hash(in->split)))
        status = cmd_fail(c, OB_EFORMAT,
                          "'%s' has another split (--val %g --split-seed %u) than '%s' (%g, %u)",
                          path, ob_split_fraction(split), ob_split_seed(split), o->model,
                          ob_split_fraction(in->split), ob_split_seed(in->split));
    else
        note_original(c, *out, path);
out:
    ob_split_free(split);
    if (status) {
        ob_model_free(*out);
        *out = NULL;
    }
    return status;
}

/* A list of deletions knows nothing of the split: says how many of it need no forgetting. */
static void tell_validation(struct cmd *c, const struct ob_ids *ids, const struct ob_split *split)
{
    const struct ob_ids *val = ob_split_val(split);
    size_t n = 0;

    for (size_t i = 0; i < ob_ids_n(val); i++)
        n += (size_t)ob_ids_has(ids, ob_ids_list(val)[i]);
    if (n)
        cmd_add(c, cmd_textf(c,
                             "; %zu of the set are in the validation part, from which no weight "
                             "learned: take them out",
                             n));
}

int forget_open(struct cmd *c, struct ob_ids **out, const char *path, const struct ob_data *d,
                const struct ob_split *split)
{
    int status;

    *out = NULL;
    TRY(input_check(c, path));
    GO(ob_ids_read(out, path, ob_data_info(d)->n_file[OB_TRAIN], &c->err));
    status = ob_ids_check_forget(*out, ob_split_train(split), path, &c->err);
    if (!status)
        return OB_OK;
    tell_validation(c, *out, split);
out:
    ob_ids_free(*out);
    *out = NULL;
    return status;
}

/* Two FNV-1a sums with different starts: to tell sets apart, not to withstand an enemy. */
const char *ids_digest(struct cmd *c, const struct ob_ids *ids)
{
    uint64_t a = 0xcbf29ce484222325u, b = 0x84222325cbf29ce4u;
    const uint64_t prime = 0x100000001b3u;

    if (!ids)
        return "";
    for (size_t i = 0; i < ob_ids_n(ids); i++)
        for (int k = 0; k < 32; k += 8) {
            uint64_t byte = ob_ids_list(ids)[i] >> k & 0xff;

            a = (a ^ byte) * prime;
            b = (b ^ byte ^ 0x5a) * prime;
        }
    return cmd_textf(c, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
}

int recipe_take(struct cmd *c, struct ob_recipe *r, const struct recipe_opts *o,
                const struct ob_data *d, const char *arch)
{
    ob_recipe_default(r, d, arch);
    if (cmd_given(c, "epochs"))
        r->epochs = o->given.epochs;
    if (cmd_given(c, "batch"))
        r->batch = o->given.batch;
    if (cmd_given(c, "sub-batch"))
        r->sub_batch = o->given.sub_batch;
    if (cmd_given(c, "lr"))
        r->lr = o->given.lr;
    if (cmd_given(c, "momentum"))
        r->momentum = o->given.momentum;
    if (cmd_given(c, "weight-decay"))
        r->weight_decay = o->given.weight_decay;
    if (o->schedule)
        snprintf(r->schedule, sizeof(r->schedule), "%s", o->schedule);
    if (o->augment)
        snprintf(r->augment, sizeof(r->augment), "%s", o->augment);
    if (o->optimizer)
        snprintf(r->optimizer, sizeof(r->optimizer), "%s", o->optimizer);
    return ob_recipe_check(r, &c->err);
}
