/*
 * keep.c - models kept between the steps of a plan.
 *
 * A model file with two more entries in its metadata: `step`, a digest of all that decides the
 * outcome so far (plan, step, starting model, data, seed, backend, its arithmetic), and
 * `step_result`, JSON.
 */
#include "unlearn/keep.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"

static void step_digest(char hex[65], const struct ob_keep *k, size_t i)
{
    const struct ob_ctx *ctx = k->data->ctx;
    struct ob_hash h;

    ob_hash_init(&h);
    ob_hash_str(&h, "oubli step 1");
    ob_hash_str(&h, k->content);
    ob_hash_u64(&h, i);
    ob_hash_str(&h, k->start);
    ob_hash_str(&h, k->recipe ? k->recipe : "");
    ob_hash_str(&h, k->train_seed ? k->train_seed : "");
    ob_hash_str(&h, k->data->info.hash);
    ob_hash_u64(&h, k->seed);
    ob_hash_str(&h, ctx->backend->name);
    ob_hash_str(&h, ctx->arithmetic);
    ob_hash_hex(&h, hex);
}

static void path_of(char out[1024], const struct ob_keep *k, size_t i)
{
    snprintf(out, 1024, "%s/step-%zu.safetensors", k->folder, i + 1);
}

bool ob_keep_exists(const struct ob_keep *k, size_t i)
{
    char path[1024];

    path_of(path, k, i);
    return ob_file_exists(path);
}

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static char *result_text(const struct ob_step_result *r)
{
    json_t *o = json_pack("{s:I,s:I,s:o,s:o,s:s,s:s,s:s}", "images", (json_int_t)r->cost.images,
                          "images_forward", (json_int_t)r->cost.images_forward, "loss",
                          number_or_null(r->cost.loss), "accuracy",
                          number_or_null(r->cost.accuracy), "settings", r->settings, "report",
                          r->report, "notes", r->notes);
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;

    json_decref(o);
    return text;
}

int ob_keep_write(const struct ob_keep *k, size_t i, struct ob_model *m,
                  const struct ob_step_result *r, struct ob_err *err)
{
    char path[1024], digest[65], *text = result_text(r);
    int rc;

    if (!text)
        return ob_fail(err, OB_ENOMEM, "out of memory");
    path_of(path, k, i);
    step_digest(digest, k, i);
    OB_GO(ob_model_set_meta(m, "step", digest, err));
    OB_GO(ob_model_set_meta(m, "step_result", text, err));
    rc = ob_model_save(m, path, err);
out:
    free(text);
    ob_model_set_meta(m, "step", NULL, NULL);
    ob_model_set_meta(m, "step_result", NULL, NULL);
    return rc;
}

static double number_of(const json_t *o, const char *name)
{
    const json_t *x = json_object_get(o, name);

    return json_is_number(x) ? json_number_value(x) : NAN;
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    return text ? text : "";
}

static int read_result(struct ob_step_result *r, const char *text, const char *path,
                       struct ob_err *err)
{
    json_t *o = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_int_t images, forward;
    const char *settings, *notes = "";

    if (!o || json_unpack(o, "{s:I,s:I,s:s,s?s}", "images", &images, "images_forward", &forward,
                          "settings", &settings, "notes", &notes)) {
        json_decref(o);
        return ob_fail(err, OB_EFORMAT, "'%s': its record of the step is damaged", path);
    }
    r->cost = (struct ob_cost){ .images = (uint64_t)images,
                                .images_resumed = (uint64_t)images,
                                .images_forward = (uint64_t)forward,
                                .loss = number_of(o, "loss"),
                                .accuracy = number_of(o, "accuracy") };
    snprintf(r->settings, sizeof(r->settings), "%s", settings);
    snprintf(r->report, sizeof(r->report), "%s", text_of(o, "report"));
    snprintf(r->notes, sizeof(r->notes), "%s", notes);
    json_decref(o);
    return OB_OK;
}

static int check_step(const struct ob_keep *k, size_t i, const struct ob_model *kept,
                      const struct ob_model *m, const char *path, struct ob_err *err)
{
    const char *there = ob_model_meta(kept, "step");
    char digest[65];

    step_digest(digest, k, i);
    if (there && !strcmp(there, digest) && !strcmp(ob_model_arch(kept), ob_model_arch(m)))
        return OB_OK;
    return ob_fail(err, OB_EFORMAT,
                   "'%s' is from another run (plan, model, data, seed, backend, instruction set "
                   "or OB_CONV differ); use another folder, or remove it to start afresh",
                   path);
}

int ob_keep_read(const struct ob_keep *k, size_t i, struct ob_model *m, struct ob_step_result *r,
                 struct ob_err *err)
{
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_model *kept;
    char path[1024];
    int rc;

    path_of(path, k, i);
    ob_model_input(m, &o.channels, &o.height, &o.width);
    o.n_classes = ob_model_n_classes(m);
    OB_TRY(ob_model_load(&kept, m->ctx, path, &o, err));
    OB_GO(check_step(k, i, kept, m, path, err));
    OB_GO(read_result(r, ob_model_meta(kept, "step_result"), path, err));
    OB_GO(ob_keep_copy_records(m, kept, err));
    ob_model_copy_weights(m, kept);
out:
    ob_model_free(kept);
    return rc;
}

int ob_keep_copy_records(struct ob_model *to, const struct ob_model *from, struct ob_err *err)
{
    static const char *const keys[] = { "recipe", "seed", "data", "split" };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        OB_TRY(ob_model_set_meta(to, keys[i], ob_model_meta(from, keys[i]), err));
    return OB_OK;
}
