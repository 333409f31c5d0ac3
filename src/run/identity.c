/* identity.c - settings of a folder of models, as one text, and where two of them differ. */
#include "run/identity.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "data/data.h"

json_t *ob_identity_new(const struct ob_recipe *r, const char *arch, const char *normalize,
                        const struct ob_data *d, const struct ob_split *split, uint64_t seed,
                        struct ob_err *err)
{
    char recipe[400];
    json_t *j = NULL;

    if (ob_recipe_text(recipe, sizeof(recipe), r, err))
        return NULL;
    j = json_loads(recipe, 0, NULL);
    if (!j) {
        ob_fail(err, OB_ENOMEM, "out of memory");
        return NULL;
    }
    json_object_set_new(j, "arch", json_string(arch));
    json_object_set_new(j, "normalize", json_string(normalize ? normalize : ""));
    json_object_set_new(j, "data", json_string(d->info.hash));
    json_object_set_new(j, "examples", json_string(d->info.spec));
    json_object_set_new(j, "split", json_string(ob_split_hash(split)));
    json_object_set_new(j, "seed", json_integer((json_int_t)seed));
    return j;
}

int ob_identity_text(char **text, const json_t *settings, struct ob_err *err)
{
    char *dump = json_dumps(settings, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    char *own = NULL;
    int rc = dump ? ob_strdup(&own, dump, err) : ob_fail(err, OB_ENOMEM, "out of memory");

    free(dump);
    OB_TRY(rc);
    ob_free(*text);
    *text = own;
    return OB_OK;
}

static int differs(const char *key, const json_t *was, const json_t *is, const char *dir,
                   const char *what, struct ob_err *err)
{
    size_t how = JSON_ENCODE_ANY | JSON_REAL_PRECISION(9);
    char *a = json_dumps(was, how), *b = json_dumps(is, how);
    int rc = ob_fail(err, OB_EFORMAT,
                     "'%s' holds %s with other settings: %s is %.80s there and %.80s here", dir,
                     what, key, a ? a : "nothing", b ? b : "nothing");

    free(a);
    free(b);
    return rc;
}

int ob_identity_same(const char *there, const char *here, const char *dir, const char *what,
                     struct ob_err *err)
{
    json_t *a = json_loads(there, 0, NULL), *b = json_loads(here, 0, NULL), *x;
    const char *key;
    int rc = a && b ? OB_OK : ob_fail(err, OB_ENOMEM, "out of memory");

    json_object_foreach(b, key, x) if (!rc && !json_equal(x, json_object_get(a, key)))
        rc = differs(key, json_object_get(a, key), x, dir, what, err);
    json_object_foreach(a, key, x) if (!rc && !json_object_get(b, key))
        rc = differs(key, x, NULL, dir, what, err);
    json_decref(a);
    json_decref(b);
    return rc;
}
