/* bank_make.c - the folder of a bank from data and settings, or found with the same ones. */
#include "score/bank.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir.h"
#include "base/mem.h"
#include "run/identity.h"

static int take_examples(struct ob_bank *b, const struct ob_data *d, const struct ob_split *split,
                         struct ob_err *err)
{
    for (int part = 0; part < 2; part++) {
        const struct ob_ids *ids = ob_data_ids(d, (enum ob_part)part);

        OB_TRY(ob_ids_new(&b->row[part], ids->id, ids->n, ids->limit, err));
        OB_TRY(ob_alloc(b->label[part], ids->n, err));
        for (size_t i = 0; i < ids->n; i++)
            b->label[part][i] = ob_data_label(d, (enum ob_part)part, ids->id[i]);
    }
    OB_TRY(ob_alloc(b->in_part, b->row[0]->n, err));
    for (size_t i = 0; i < b->row[0]->n; i++) {
        b->in_part[i] = ob_ids_has(ob_split_train(split), b->row[0]->id[i]) != 0;
        b->n_part += b->in_part[i];
    }
    b->info.n_train = b->row[0]->n;
    b->info.n_test = b->row[1]->n;
    b->info.n_file = d->info.n_file[OB_TRAIN];
    b->info.n_classes = d->info.n_classes;
    return OB_OK;
}

static int make_identity(struct ob_bank *b, const struct ob_data *d, const struct ob_split *split,
                         const struct ob_bank_opts *o, struct ob_err *err)
{
    json_t *j = ob_identity_new(&o->recipe, o->arch, o->normalize, d, split, o->seed, err);
    int rc;

    if (!j)
        return OB_ENOMEM;
    json_object_set_new(j, "subset", json_real(o->subset));
    rc = ob_identity_text(&b->identity, j, err);
    json_decref(j);
    OB_TRY(rc);
    ob_bank_take_key(b);
    return OB_OK;
}

/* ---- writing ---- */

int ob_bank_write_settings(const struct ob_bank *b, struct ob_err *err)
{
    json_t *root = json_pack("{s:i, s:i, s:s, s:o}", "oubli_bank", OB_BANK_VERSION, "models",
                             b->info.n_models, "key", b->key, "settings",
                             json_loads(b->identity, 0, NULL));
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    char *path = NULL;
    int rc = text ? OB_OK : ob_fail(err, OB_ENOMEM, "out of memory");

    if (!rc)
        rc = ob_bank_path(&path, b, "bank.json", err);
    if (!rc)
        rc = ob_file_write(path, text, strlen(text), err);
    ob_free(path);
    free(text);
    json_decref(root);
    return rc;
}

int ob_bank_write(const struct ob_bank *b, struct ob_err *err)
{
    int64_t *id[2] = { NULL, NULL }, n_file = (int64_t)b->info.n_file;
    int64_t classes = b->info.n_classes;
    size_t n[2] = { b->row[0]->n, b->row[1]->n };
    char *path = NULL;
    int rc;

    for (int part = 0; part < 2; part++) {
        OB_GO(ob_alloc(id[part], n[part], err));
        for (size_t i = 0; i < n[part]; i++)
            id[part][i] = b->row[part]->id[i];
    }
    OB_GO(ob_bank_path(&path, b, "examples.npz", err));
    OB_GO(ob_npz_write(path,
                       (struct ob_npz_item[]){
                           { "train", "<i8", { n[0] }, 1, id[0] },
                           { "train_label", "<i4", { n[0] }, 1, b->label[0] },
                           { "part", "|u1", { n[0] }, 1, b->in_part },
                           { "test", "<i8", { n[1] }, 1, id[1] },
                           { "test_label", "<i4", { n[1] }, 1, b->label[1] },
                           { "n", "<i8", { 0 }, 0, &n_file },
                           { "classes", "<i8", { 0 }, 0, &classes },
                       },
                       7, err));
    OB_GO(ob_bank_write_wanted(b, err));
    rc = ob_bank_write_settings(b, err); /* last: it is what says that the bank is there */
out:
    ob_free(path);
    ob_free(id[0]);
    ob_free(id[1]);
    return rc;
}

/* ---- the same settings? ---- */

int ob_bank_same(const struct ob_bank *there, const struct ob_bank *here, struct ob_err *err)
{
    return ob_identity_same(there->identity, here->identity, there->dir, "a bank", err);
}

/* What a run that was killed here has left, or another process has just written: many may start one bank at
 * the same time. */
static int is_beginning(const char *name)
{
    return !strcmp(name, "examples.npz") || !strcmp(name, "bank.json") ||
           !strcmp(name, "wanted.txt") || strstr(name, ".tmp.");
}

/* Other files in a bank's folder are left alone, but a folder of something else is no place for one. */
int ob_bank_check_empty(const char *dir, struct ob_err *err)
{
    struct ob_dir there = { 0 };
    size_t n = 0;
    int rc = ob_dir_read(&there, dir, err);

    for (size_t i = 0; i < there.n; i++)
        n += !is_beginning(there.entry[i].name);
    if (!rc && n)
        rc = ob_fail(err, OB_EEXIST, "'%s' is no bank and not empty; give another folder", dir);
    ob_dir_release(&there);
    return rc;
}

static int join(struct ob_bank *mine, const struct ob_bank_opts *o, struct ob_err *err)
{
    struct ob_bank *there;
    int rc, n;

    OB_TRY(ob_bank_open(&there, mine->ctx, mine->dir, err));
    rc = ob_bank_same(there, mine, err);
    memcpy(mine->wanted, there->wanted, OB_BANK_MODELS);
    n = mine->info.n_models = there->info.n_models;
    mine->info.n_wanted = there->info.n_wanted;
    mine->info.seconds = there->info.seconds;
    ob_bank_free(there);
    OB_TRY(rc);
    OB_TRY(ob_bank_want(mine, o->first, o->end, err));
    return mine->info.n_models > n ? ob_bank_write_settings(mine, err) : OB_OK;
}

static int check_opts(const struct ob_bank *b, const struct ob_bank_opts *o, struct ob_err *err)
{
    double n = floor(o->subset * (double)b->n_part + 0.5);

    if (o->first < 0 || o->end <= o->first || o->end > OB_BANK_MODELS)
        return ob_fail(err, OB_EINVAL, "models %d to %d: there are 0 to %d", o->first, o->end - 1,
                       OB_BANK_MODELS - 1);
    if (!(o->subset > 0 && o->subset < 1) || n < 1 || n >= (double)b->n_part)
        return ob_fail(err, OB_EINVAL,
                       "a subset of %g of %zu examples: it takes some and leaves some out",
                       o->subset, b->n_part);
    if (!o->recipe.epochs)
        return ob_fail(err, OB_EINVAL, "epochs is 0: what has not been trained remembers nothing");
    return ob_recipe_check(&o->recipe, err);
}

int ob_bank_make(struct ob_bank **out, struct ob_ctx *ctx, const char *dir, const struct ob_data *d,
                 const struct ob_split *split, const struct ob_bank_opts *o, struct ob_err *err)
{
    char *path = NULL;
    int rc;

    *out = NULL;
    OB_GO(ob_bank_new(out, ctx, dir, err));
    OB_GO(take_examples(*out, d, split, err));
    OB_GO(check_opts(*out, o, err));
    OB_GO(make_identity(*out, d, split, o, err));
    OB_GO(ob_strdup(&(*out)->arch, o->arch, err));
    (*out)->info.arch = (*out)->arch;
    (*out)->seed = o->seed;
    (*out)->subset = o->subset;
    OB_GO(ob_mkdirs(dir, err));
    OB_GO(ob_bank_path(&path, *out, "bank.json", err));
    if (ob_file_exists(path)) {
        rc = join(*out, o, err);
    } else {
        OB_GO(ob_bank_check_empty(dir, err));
        ob_bank_mark_wanted(*out, o->first, o->end);
        rc = ob_bank_write(*out, err);
    }
out:
    ob_free(path);
    if (rc) {
        ob_bank_free(*out);
        *out = NULL;
    }
    return rc;
}
