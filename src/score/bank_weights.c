/* bank_weights.c - the weights that stand beside a model's file: whole, and of this model of this bank? */
#include "score/bank.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/dir.h"
#include "base/mem.h"

int ob_bank_weights_path(char **out, int *there, const struct ob_bank *b, int k, struct ob_err *err)
{
    OB_TRY(ob_bank_model_path(out, b, k, "safetensors", err));
    *there = ob_file_exists(*out);
    return OB_OK;
}

/* What the model says of its training stands in the bank's settings too: those of another bank are
 * known by it, even where they have the same seed. Records that are not there differ in nothing. */
static const char *other_setting(const struct ob_bank *b, const struct ob_model *m)
{
    const char *recipe = ob_model_meta(m, "recipe"), *data = ob_model_meta(m, "data"), *key;
    json_t *want = json_loads(b->identity, 0, NULL), *x;
    json_t *is = json_loads(recipe ? recipe : "{}", 0, NULL);
    json_t *of = json_loads(data ? data : "{}", 0, NULL), *hash = json_object_get(of, "hash");
    const char *other = NULL;

    if (!is || !of)
        other = "its record of the training";
    else if (hash && !json_equal(hash, json_object_get(want, "data")))
        other = "the data";
    json_object_foreach(is, key, x) if (!other && !json_equal(x, json_object_get(want, key)))
        other = "the recipe";
    json_decref(want);
    json_decref(is);
    json_decref(of);
    return other;
}

static int check_training(const struct ob_bank *b, int k, const struct ob_model *m,
                          const char *path, struct ob_err *err)
{
    const char *is = ob_model_meta(m, "seed"), *other;
    char want[24];

    snprintf(want, sizeof(want), "%" PRIu64, ob_bank_seed(b, k));
    if (!is || strcmp(is, want))
        return ob_fail(err, OB_EFORMAT, "'%s': weights of another model: its seed is %.20s, not %s",
                       path, is ? is : "not there", want);
    other = other_setting(b, m);
    return other ? ob_fail(err, OB_EFORMAT, "'%s': weights of another bank: %s is not the same",
                           path, other)
                 : OB_OK;
}

int ob_bank_check_weights(const struct ob_bank *b, int k, struct ob_err *err)
{
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    struct ob_model *m = NULL;
    struct ob_err why = { 0 };
    char *path = NULL;
    int there, rc;

    OB_GO(ob_bank_weights_path(&path, &there, b, k, err));
    if (!there)
        OB_GO(ob_fail(err, OB_ENOTFOUND, "'%s' is not there: its weights were not kept", path));
    o.arch = b->arch;
    o.n_classes = b->info.n_classes;
    rc = ob_model_load(&m, b->ctx, path, &o, &why);
    if (rc) /* a file that asks for options is none of a bank */
        OB_GO(ob_fail(err, rc == OB_EINVAL ? OB_EFORMAT : rc, "%s", why.msg));
    rc = check_training(b, k, m, path, err);
out:
    ob_model_free(m);
    ob_free(path);
    return rc;
}
