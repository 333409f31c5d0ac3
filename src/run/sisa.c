/* sisa.c - the folder of a model in shards and slices: its settings, written and read. */
#include "run/sisa.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/identity.h"

#define VERSION 1
#define MAX_JSON ((size_t)1 << 28)
#define MAX_FILE 100000000 /* examples in the training file */

/* ---- names of files ---- */

int ob_sisa_path(char **out, const char *dir, const char *name, struct ob_err *err)
{
    struct ob_str s = { 0 };
    int rc;

    *out = NULL;
    ob_str_addf(&s, "%s/%s", dir, name);
    rc = ob_str_check(&s, err);
    if (!rc)
        rc = ob_strdup(out, ob_str_text(&s), err);
    ob_str_release(&s);
    return rc;
}

int ob_sisa_slice_path(char **out, const char *dir, int shard, int slice, const char *ending,
                       struct ob_err *err)
{
    char name[64];

    snprintf(name, sizeof(name), "shard-%03d-slice-%03d.%s", shard, slice, ending);
    return ob_sisa_path(out, dir, name, err);
}

int ob_sisa_model_path(char **out, const struct ob_sisa *s, int shard, struct ob_err *err)
{
    char name[64];

    snprintf(name, sizeof(name), "model-%03d.safetensors", shard);
    return ob_sisa_path(out, s->dir, name, err);
}

int ob_sisa_is(const char *dir)
{
    char *path;
    int there;

    if (ob_sisa_path(&path, dir, "sisa.json", NULL))
        return 0;
    there = ob_file_exists(path);
    ob_free(path);
    return there;
}

void ob_sisa_free(struct ob_sisa *s)
{
    if (!s)
        return;
    ob_ids_free(s->excluded);
    ob_free(s->order);
    ob_free(s->identity);
    ob_free(s->normalize);
    ob_free(s->arch);
    ob_free(s->dir);
    ob_free(s);
}

/* ---- from settings ---- */

static int make_identity(struct ob_sisa *s, const struct ob_data *d, const struct ob_split *split,
                         struct ob_err *err)
{
    const struct ob_sisa_opts *o = &s->o;
    json_t *j = ob_identity_new(&o->recipe, o->arch, o->normalize, d, split, o->seed, err);
    int rc;

    if (!j)
        return OB_ENOMEM;
    json_object_set_new(j, "shards", json_integer(o->shards));
    json_object_set_new(j, "slices", json_integer(o->slices));
    json_object_set_new(j, "backend", json_string(s->ctx->backend->name));
    json_object_set_new(j, "isa", json_string(s->ctx->arithmetic));
    rc = ob_identity_text(&s->identity, j, err);
    json_decref(j);
    return rc;
}

static int check_opts(const struct ob_sisa_opts *o, struct ob_err *err)
{
    if (o->shards < 1 || o->shards > OB_SISA_SHARDS || o->slices < 1 || o->slices > OB_SISA_SLICES)
        return ob_fail(err, OB_EINVAL, "%d shards of %d slices: there are 1 to %d of 1 to %d",
                       o->shards, o->slices, OB_SISA_SHARDS, OB_SISA_SLICES);
    return ob_recipe_check(&o->recipe, err);
}

static int begin(struct ob_sisa **out, struct ob_ctx *ctx, const char *dir, const char *arch,
                 const char *normalize, struct ob_err *err)
{
    OB_TRY(ob_alloc(*out, 1, err));
    (*out)->ctx = ctx;
    OB_TRY(ob_strdup(&(*out)->dir, dir, err));
    OB_TRY(ob_strdup(&(*out)->arch, arch, err));
    return normalize && *normalize ? ob_strdup(&(*out)->normalize, normalize, err) : OB_OK;
}

static void take_opts(struct ob_sisa *s, const struct ob_sisa_opts *o)
{
    s->o = *o;
    s->o.arch = s->arch;
    s->o.normalize = s->normalize;
}

int ob_sisa_new(struct ob_sisa **out, struct ob_ctx *ctx, const char *dir, const struct ob_data *d,
                const struct ob_split *split, const struct ob_ids *exclude,
                const struct ob_sisa_opts *o, struct ob_err *err)
{
    size_t limit = d->info.n_file[OB_TRAIN];
    int rc;

    *out = NULL;
    OB_GO(check_opts(o, err));
    OB_GO(begin(out, ctx, dir, o->arch, o->normalize, err));
    take_opts(*out, o);
    OB_GO(ob_ids_new(&(*out)->excluded, exclude ? exclude->id : NULL, exclude ? exclude->n : 0,
                     limit, err));
    OB_GO(make_identity(*out, d, split, err));
    rc = ob_sisa_deal(*out, split, err);
out:
    if (rc) {
        ob_sisa_free(*out);
        *out = NULL;
    }
    return rc;
}

/* ---- sisa.json ---- */

int ob_sisa_write(const struct ob_sisa *s, struct ob_err *err)
{
    json_t *excluded = json_array(), *root;
    char *text, *path = NULL;
    int rc;

    for (size_t i = 0; i < s->excluded->n; i++)
        json_array_append_new(excluded, json_integer(s->excluded->id[i]));
    root = json_pack("{s:i,s:I,s:o,s:o}", "oubli_sisa", VERSION, "n",
                     (json_int_t)s->excluded->limit, "settings", json_loads(s->identity, 0, NULL),
                     "excluded", excluded);
    text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    rc = text ? OB_OK : ob_fail(err, OB_ENOMEM, "out of memory");
    if (!rc)
        rc = ob_sisa_path(&path, s->dir, "sisa.json", err);
    if (!rc)
        rc = ob_file_write(path, text, strlen(text), err);
    ob_free(path);
    free(text);
    json_decref(root);
    return rc;
}

static int damaged(const char *path, struct ob_err *err)
{
    return ob_fail(err, OB_EFORMAT, "'%s' is damaged, or was not written by 'oubli train --sisa'",
                   path);
}

static int read_excluded(struct ob_sisa *s, const json_t *root, const char *path,
                         struct ob_err *err)
{
    const json_t *list = json_object_get(root, "excluded"), *n = json_object_get(root, "n");
    json_int_t limit = json_integer_value(n);
    size_t n_ids = json_array_size(list);
    uint32_t *id;
    int rc = OB_OK;

    if (!json_is_array(list) || limit < 1 || limit > MAX_FILE || n_ids > (size_t)limit)
        return damaged(path, err);
    OB_TRY(ob_alloc(id, n_ids, err));
    for (size_t i = 0; i < n_ids && !rc; i++) {
        const json_t *x = json_array_get(list, i);

        if (!json_is_integer(x) || json_integer_value(x) < 0 || json_integer_value(x) >= limit)
            rc = damaged(path, err);
        id[i] = (uint32_t)json_integer_value(x);
    }
    if (!rc)
        rc = ob_ids_new(&s->excluded, id, n_ids, (size_t)limit, err);
    ob_free(id);
    return rc;
}

static int read_settings(struct ob_sisa **out, struct ob_ctx *ctx, const char *dir, json_t *j,
                         const char *path, struct ob_err *err)
{
    const char *arch, *normalize;
    struct ob_sisa_opts o = OB_SISA_OPTS_INIT;
    json_int_t seed;

    if (ob_recipe_of_json(&o.recipe, j) ||
        json_unpack(j, "{s:s,s:s,s:i,s:i,s:I}", "arch", &arch, "normalize", &normalize, "shards",
                    &o.shards, "slices", &o.slices, "seed", &seed))
        return damaged(path, err);
    o.seed = (uint64_t)seed;
    if (check_opts(&o, NULL))
        return damaged(path, err);
    OB_TRY(begin(out, ctx, dir, arch, normalize, err));
    take_opts(*out, &o);
    return ob_identity_text(&(*out)->identity, j, err);
}

static int parse(struct ob_sisa **out, struct ob_ctx *ctx, const char *dir, const char *path,
                 const json_t *root, struct ob_err *err)
{
    const json_t *version = json_object_get(root, "oubli_sisa");

    if (!json_is_integer(version))
        return damaged(path, err);
    if (json_integer_value(version) != VERSION)
        return ob_fail(err, OB_EVERSION, "'%s' has version %lld, this program knows %d", path,
                       (long long)json_integer_value(version), VERSION);
    OB_TRY(read_settings(out, ctx, dir, json_object_get(root, "settings"), path, err));
    return read_excluded(*out, root, path, err);
}

int ob_sisa_open(struct ob_sisa **out, struct ob_ctx *ctx, const char *dir, struct ob_err *err)
{
    struct ob_file f = { 0 };
    json_t *root = NULL;
    char *path = NULL;
    int rc;

    *out = NULL;
    OB_GO(ob_sisa_path(&path, dir, "sisa.json", err));
    OB_GO(ob_file_read(&f, path, MAX_JSON, false, err));
    root = json_loadb((const char *)f.data, f.n, JSON_REJECT_DUPLICATES, NULL);
    rc = root ? parse(out, ctx, dir, path, root, err) : damaged(path, err);
out:
    json_decref(root);
    ob_file_release(&f);
    ob_free(path);
    if (rc) {
        ob_sisa_free(*out);
        *out = NULL;
    }
    return rc;
}

/* ---- the same settings? ---- */

int ob_sisa_same(const struct ob_sisa *there, const struct ob_sisa *here, bool excluded,
                 struct ob_err *err)
{
    OB_TRY(ob_identity_same(there->identity, here->identity, there->dir, "shards", err));
    if (excluded && !ob_ids_equal(there->excluded, here->excluded))
        return ob_fail(
            err, OB_EFORMAT,
            "'%s' holds shards that leave other examples out (%zu there, %zu here); give "
            "another folder",
            there->dir, there->excluded->n, here->excluded->n);
    return OB_OK;
}
