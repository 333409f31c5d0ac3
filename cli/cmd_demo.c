/* cmd_demo.c - oubli demo: the whole story in a few minutes, on one page; goes on where it was. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "demo.h"

static const char default_data[] = "idx:/usr/share/datasets/fashion-mnist,train=6000,test=2000";

/* ---- settings: what the numbers depend on ---- */

static json_t *data_settings(const struct demo *d)
{
    const struct ob_data_info *info = ob_data_info(d->data);
    json_t *o = json_object();

    put_text(o, "spec", info->spec);
    put_text(o, "name", info->name);
    put_text(o, "hash", info->hash);
    put_count(o, "train", info->n[OB_TRAIN]);
    put_count(o, "test", info->n[OB_TEST]);
    put_count(o, "classes", (uint64_t)info->n_classes);
    put_count(o, "channels", (uint64_t)info->channels);
    put_count(o, "height", (uint64_t)info->height);
    put_count(o, "width", (uint64_t)info->width);
    return o;
}

static json_t *recipe_settings(const struct ob_recipe *r)
{
    json_t *o = json_object();

    put_count(o, "epochs", (uint64_t)r->epochs);
    put_count(o, "batch", (uint64_t)r->batch);
    put_number(o, "lr", r->lr);
    put_number(o, "momentum", r->momentum);
    put_number(o, "weight_decay", r->weight_decay);
    put_text(o, "schedule", r->schedule);
    return o;
}

static json_t *way_list(struct demo *d, int for_page)
{
    const struct demo_way *w;
    json_t *list = json_array();

    for (size_t i = 0; (w = demo_way_at(i)); i++) {
        json_t *o = json_object();

        put_text(o, "id", w->id);
        if (for_page) {
            put_text(o, "role", w->id);
            put_text(o, "title", w->title);
            put_text(o, "about", w->about);
        } else if (w->cut != CUT_NOT) {
            put_text(o, "methods", demo_way_methods(d, w));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static int make_settings(struct demo *d)
{
    const struct ob_data_info *info = ob_data_info(d->data);
    json_t *o = d->settings = json_object(), *part;
    struct ob_arch_info arch;

    TRY(ob_arch_describe(&arch, d->arch, info->channels, info->height, info->width, info->n_classes,
                         &d->c->err));
    json_object_set_new(o, "data", data_settings(d));
    json_object_set_new(o, "model", part = json_object());
    put_text(part, "arch", d->arch);
    put_count(part, "params", arch.n_params);
    json_object_set_new(o, "recipe", recipe_settings(&d->recipe));
    json_object_set_new(o, "forget", part = json_object());
    put_text(part, "rule", "mix");
    put_text(part, "score", "confidence");
    put_count(part, "n", d->n_forget);
    json_object_set_new(o, "unlearn", part = json_object());
    put_count(part, "epochs", (uint64_t)d->unlearn_epochs);
    put_count(part, "batch", (uint64_t)d->unlearn_batch);
    put_number(part, "lr", d->unlearn_lr);
    put_text(part, "schedule", "linear");
    json_object_set_new(o, "ways", way_list(d, 0));
    put_text(o, "backend", d->c->backend ? d->c->backend : "cpu");
    put_text(o, "isa", ob_ctx_isa(d->c->ctx));
    put_text(o, "oubli", OB_VERSION);
    return OB_OK;
}

/* ---- files ---- */

static const char *in_folder(struct demo *d, const char *name)
{
    return cmd_textf(d->c, "%s/%s", d->folder, name);
}

static int write_json(struct demo *d, const json_t *value, const char *path)
{
    char *text = json_dumps(value, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    int status;

    if (!text)
        return cmd_fail(d->c, OB_ENOMEM, "no memory for '%s'", path);
    status = ob_file_write(path, text, strlen(text), &d->c->err);
    free(text);
    return status;
}

/* A finished seed from an earlier run: *out stays NULL where there is none. One of other settings is
 * somebody's result and is not thrown away without --force. */
static int read_seed(struct demo *d, const char *path, json_t **out)
{
    json_error_t error;
    json_t *file;

    if (d->c->force || !file_is_there(path))
        return OB_OK;
    file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(file)) {
        json_decref(file);
        return cmd_fail(d->c, OB_EFORMAT,
                        "'%s' is damaged; remove it, or use --force to start over", path);
    }
    if (json_equal(json_object_get(file, "settings"), d->settings))
        *out = json_incref(json_object_get(file, "seed"));
    json_decref(file);
    if (*out)
        return OB_OK;
    return cmd_fail(
        d->c, OB_EEXIST,
        "'%s' was made with other settings; name another folder with -o, or use --force", path);
}

static int one_seed(struct demo *d, uint64_t seed, json_t *seeds)
{
    const char *path = in_folder(d, cmd_textf(d->c, "seed-%llu.json", (unsigned long long)seed));
    json_t *entry = NULL, *file;
    int status;

    TRY(read_seed(d, path, &entry));
    if (entry) {
        cmd_note(d->c, "seed %llu: done before ('%s')", (unsigned long long)seed, path);
        json_array_append_new(seeds, entry);
        return OB_OK;
    }
    TRY(demo_seed(d, seed, &entry));
    json_array_append_new(seeds, entry);
    file = json_object();
    json_object_set(file, "settings", d->settings);
    json_object_set(file, "seed", entry);
    status = write_json(d, file, path);
    json_decref(file);
    return status;
}

/* The record of docs/formats.md out of the seeds' entries (whose reference it takes). */
static json_t *make_record(struct demo *d, json_t *seeds)
{
    json_t *record = json_object(), *parts = json_array(), *examples, *entry, *part;
    size_t i;

    put_count(record, "oubli_report", 1);
    put_text(record, "kind", "demo");
    put_text(record, "oubli", OB_VERSION);
    json_object_set(record, "settings", d->settings);
    examples = json_object_get(json_array_get(seeds, 0), "examples");
    json_array_foreach(examples, i, entry)
    {
        part = json_object();
        json_object_set(part, "name", json_object_get(entry, "part"));
        put_count(part, "n", d->n_forget / DEMO_PARTS);
        json_array_append_new(parts, part);
    }
    json_object_set_new(record, "parts", parts);
    json_object_set_new(record, "ways", way_list(d, 1));
    json_object_set(record, "examples", examples);
    json_array_foreach(seeds, i, entry) json_object_del(entry, "examples");
    json_object_set_new(record, "seeds", seeds);
    return record;
}

/* ---- what stands on the terminal ---- */

static double mean_over_seeds(const json_t *seeds, size_t way, const char *group, const char *key,
                              size_t part)
{
    double sum = 0;
    size_t i;
    json_t *seed;

    json_array_foreach(seeds, i, seed)
    {
        const json_t *w = json_array_get(json_object_get(seed, "ways"), way);

        if (group)
            w = json_object_get(w, group);
        w = key ? json_object_get(w, key) : json_array_get(w, part);
        sum += json_is_number(w) ? json_number_value(w) : NAN;
    }
    return sum / (double)json_array_size(seeds);
}

static void print_table(const json_t *seeds)
{
    static const char *const head[] = { "way",  "low", "medium",  "high", "retain",
                                        "test", "ToW", "ToW-MIA", "cost" };
    struct table *t = table_new("lrrrrrrrr");
    double full = mean_over_seeds(seeds, 0, NULL, "images", 0); /* way 0 is a retraining */
    const struct demo_way *w;

    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
        table_cell(t, "%s", head[i]);
    for (size_t i = 0; (w = demo_way_at(i)); i++) {
        table_cell(t, "%s", w->title);
        for (size_t k = 0; k < DEMO_PARTS; k++)
            table_cell(t, "%.1f", 100 * mean_over_seeds(seeds, i, "parts", NULL, k));
        table_cell(t, "%.1f", 100 * mean_over_seeds(seeds, i, "accuracy", "retain", 0));
        table_cell(t, "%.1f", 100 * mean_over_seeds(seeds, i, "accuracy", "test", 0));
        table_number(t, mean_over_seeds(seeds, i, NULL, "tow", 0));
        table_number(t, mean_over_seeds(seeds, i, NULL, "tow_mia", 0));
        table_cell(t, "%.0f %%", 100 * mean_over_seeds(seeds, i, NULL, "images", 0) / full);
    }
    table_print(t, stdout);
}

static int print_result(struct demo *d, const json_t *seeds, const char *record, const char *page)
{
    const struct demo_way *w;
    json_t *o, *ways;

    if (!d->c->json) {
        print_table(seeds);
        printf("\nthe page: %s\n", page);
        return OB_OK;
    }
    o = json_object();
    put_text(o, "page", page);
    put_text(o, "record", record);
    put_count(o, "seeds", json_array_size(seeds));
    json_object_set_new(o, "ways", ways = json_array());
    for (size_t i = 0; (w = demo_way_at(i)); i++) {
        json_t *way = json_object();

        put_text(way, "id", w->id);
        put_number(way, "tow", mean_over_seeds(seeds, i, NULL, "tow", 0));
        put_number(way, "tow_mia", mean_over_seeds(seeds, i, NULL, "tow_mia", 0));
        put_number(way, "images", mean_over_seeds(seeds, i, NULL, "images", 0));
        json_array_append_new(ways, way);
    }
    return print_json(d->c, o);
}

/* ---- the command ---- */

static int check(struct demo *d)
{
    struct cmd *c = d->c;

    if (d->n_seeds < 1 || d->n_seeds > 64)
        return cmd_fail(c, OB_EINVAL, "--seeds is %d; it must be 1 to 64", d->n_seeds);
    if (!d->n_forget || d->n_forget % DEMO_PARTS)
        return cmd_fail(c, OB_EINVAL, "--size is %zu; it must be a multiple of %d", d->n_forget,
                        DEMO_PARTS);
    if (d->unlearn_epochs < DEMO_PARTS)
        return cmd_fail(c, OB_EINVAL, "--unlearn-epochs is %d; it must be %d or more, one a part",
                        d->unlearn_epochs, DEMO_PARTS);
    if (!(d->unlearn_lr > 0) || d->unlearn_batch < 1)
        return cmd_fail(c, OB_EINVAL, "--unlearn-lr and --unlearn-batch must be above 0");
    return ob_recipe_check(&d->recipe, &c->err);
}

static int make_folder(struct demo *d)
{
    if (!mkdir(d->folder, 0777) || errno == EEXIST)
        return OB_OK;
    return cmd_fail(d->c, OB_EIO, "'%s': %s", d->folder, strerror(errno));
}

static int run(struct demo *d)
{
    const char *record_path = in_folder(d, "record.json"), *page = in_folder(d, "report.html");
    json_t *seeds = NULL, *record = NULL;
    int status;

    GO(check(d));
    GO(cmd_start(d->c));
    GO(ob_data_open(&d->data, d->c->ctx, d->spec, &d->c->err));
    GO(ob_split_new(&d->split, d->data, 0, 1, &d->c->err));
    GO(make_settings(d));
    GO(make_folder(d));
    snprintf(d->c->hint, sizeof(d->c->hint),
             "finished seeds are kept in '%.150s'; the same command goes on", d->folder);
    seeds = json_array();
    for (int i = 0; i < d->n_seeds; i++)
        GO(one_seed(d, d->c->seed + (uint64_t)i, seeds));
    record = make_record(d, json_incref(seeds));
    GO(write_json(d, record, record_path));
    GO(ob_report_html(record_path, page, &d->c->err));
    GO(print_result(d, seeds, record_path, page));
out:
    json_decref(record);
    json_decref(seeds);
    json_decref(d->settings);
    ob_split_free(d->split);
    ob_data_free(d->data);
    return status;
}

int cmd_demo(struct cmd *c, int argc, const char **argv)
{
    struct demo d = {
        .c = c,
        .spec = default_data,
        .folder = "oubli-demo",
        .arch = "cnn,width=0.5",
        .n_seeds = 3,
        .n_forget = 600,
        .recipe = { 20, 64, .05, .9, 5e-4, "cosine", "none", "sgd", 0 },
        .unlearn_epochs = 6,
        .unlearn_batch = 64,
        .unlearn_lr = .1,
    };
    const struct opt options[] = {
        { "data", 'd', OPT_TEXT, &d.spec, "the data set (default: Debian's Fashion-MNIST)",
          "SPEC" },
        { "output", 'o', OPT_TEXT, &d.folder, "where report.html goes (default: oubli-demo)",
          "DIR" },
        { "seeds", 0, OPT_INT, &d.n_seeds, "how often the story is told (default: 3)", "N" },
        { "arch", 'a', OPT_TEXT, &d.arch, "the network (default: cnn,width=0.5)", "ARCH" },
        { "size", 'n', OPT_SIZE, &d.n_forget, "how many to forget (default: 600)", "N" },
        { "epochs", 0, OPT_INT, &d.recipe.epochs, "of training (default: 20)", "N" },
        { "lr", 0, OPT_FLOAT, &d.recipe.lr, "learning rate of training (default: 0.05)", "X" },
        { "batch", 0, OPT_INT, &d.recipe.batch, "batch of training (default: 64)", "N" },
        { "unlearn-epochs", 0, OPT_INT, &d.unlearn_epochs,
          "in all, for each way that unlearns (default: 6)", "N" },
        { "unlearn-lr", 0, OPT_FLOAT, &d.unlearn_lr,
          "learning rate there, falling to 0 within each step (default: 0.1)", "X" },
        { "unlearn-batch", 0, OPT_INT, &d.unlearn_batch, "batch there (default: 64)", "N" },
        { 0 },
    };

    TRY(cmd_parse(c, options, argc, argv));
    return run(&d);
}
