/*
 * scores.c - score files: S.npy, and S.json beside it that says what the numbers are.
 *
 * S.npy holds one float32 per example of the training file, NaN where there is none. S.json:
 *
 *     {"oubli_scores": 1, "kind": "confidence", "source": "model", "raw": false,
 *      "n": 60000, "n_scored": 6000, "images": 6000, "origin": {...}, "hash": "..."}
 *
 * `hash` covers the values and every other member, so that neither file can be changed or paired
 * with a stranger unnoticed. A file without S.json is taken (kind "unknown"); so is an S.json that
 * somebody wrote by hand, where only `kind` is looked at.
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/npy.h"
#include "base/str.h"
#include "score/score.h"

#define VERSION 1
#define MAX_NPY ((size_t)1 << 34)
#define MAX_JSON ((size_t)1 << 20)

int ob_scores_new(struct ob_scores **out, const char *kind, const char *source, size_t n,
                  struct ob_err *err)
{
    struct ob_scores *s;

    *out = NULL;
    OB_TRY(ob_alloc(s, 1, err));
    if (ob_alloc(s->value, n, err)) {
        ob_free(s);
        return OB_ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        s->value[i] = NAN;
    strncpy(s->kind, kind, sizeof(s->kind) - 1);
    strncpy(s->source, source, sizeof(s->source) - 1);
    s->info = (struct ob_scores_info){ .kind = s->kind, .source = s->source, .n = n };
    *out = s;
    return OB_OK;
}

void ob_scores_free(struct ob_scores *s)
{
    if (!s)
        return;
    ob_free(s->value);
    ob_free(s->origin);
    ob_free(s);
}

void ob_scores_count(struct ob_scores *s)
{
    s->info.n_scored = 0;
    for (size_t i = 0; i < s->info.n; i++)
        s->info.n_scored += !isnan(s->value[i]);
}

const float *ob_scores_value(const struct ob_scores *s)
{
    return s->value;
}

const struct ob_scores_info *ob_scores_info(const struct ob_scores *s)
{
    return &s->info;
}

bool ob_scores_of_data(const struct ob_scores *s, const char *hash)
{
    json_t *origin = s->origin ? json_loads(s->origin, 0, NULL) : NULL;
    const char *data = json_string_value(json_object_get(origin, "data"));
    bool same = !data || !strcmp(data, hash);

    json_decref(origin);
    return same;
}

double ob_scores_reliability(const struct ob_scores *s)
{
    json_t *origin = s->origin ? json_loads(s->origin, 0, NULL) : NULL;
    const json_t *x = json_object_get(origin, "reliability");
    double r = json_is_number(x) ? json_number_value(x) : (double)NAN;

    json_decref(origin);
    return r > 0 && r <= 1 ? r : (double)NAN;
}

int ob_scores_check(const struct ob_scores *s, const struct ob_data *d, struct ob_err *err)
{
    const struct ob_data_info *info = ob_data_info(d);

    if (s->info.n != info->n_file[OB_TRAIN])
        return ob_fail(err, OB_EFORMAT,
                       "the scores are of a training file with %zu examples, this one has %zu",
                       s->info.n, info->n_file[OB_TRAIN]);
    if (!ob_scores_of_data(s, info->hash))
        ob_log(d->ctx, OB_LOG_WARN,
               "these scores were made for other data: their examples are not the ones here");
    if (s->info.raw)
        ob_log(d->ctx, OB_LOG_WARN,
               "these scores are raw: high need not mean more memorized in them");
    return OB_OK;
}

/* "a/S.npy" -> "a/S.json"; a name without .npy gets .json at its end. */
static int json_path(struct ob_str *out, const char *path, struct ob_err *err)
{
    size_t n = strlen(path);

    if (n > 4 && !strcmp(path + n - 4, ".npy"))
        n -= 4;
    ob_str_addn(out, path, n);
    ob_str_add(out, ".json");
    return ob_str_check(out, err);
}

/* `origin`: compact and sorted, or "" */
static void content_hash(char hex[65], const struct ob_scores *s, const char *origin)
{
    struct ob_hash h;
    uint64_t images;

    memcpy(&images, &s->info.images, sizeof(images));
    ob_hash_init(&h);
    ob_hash_str(&h, s->kind);
    ob_hash_str(&h, s->source);
    ob_hash_u64(&h, (uint64_t)s->info.raw);
    ob_hash_u64(&h, images);
    ob_hash_u64(&h, s->info.n);
    ob_hash_u64(&h, s->info.n_scored);
    ob_hash_str(&h, origin);
    ob_hash_add(&h, s->value, s->info.n * sizeof(float));
    ob_hash_hex(&h, hex);
}

/* ---- writing ---- */

/* The origin with its keys sorted, compact; *tree is the same. Both NULL where there is none. */
static int sort_origin(char **plain, json_t **tree, const struct ob_scores *s, struct ob_err *err)
{
    json_t *given;

    *plain = NULL;
    *tree = NULL;
    if (!s->origin)
        return OB_OK;
    given = json_loads(s->origin, 0, NULL);
    *plain = given ? json_dumps(given, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(given);
    *tree = *plain ? json_loads(*plain, 0, NULL) : NULL;
    return *tree ? OB_OK : ob_fail(err, OB_EBUG, "the origin of the scores is no JSON object");
}

/* Appends to `text`. */
static int describe(struct ob_str *text, const struct ob_scores *s, struct ob_err *err)
{
    const struct ob_scores_info *i = &s->info;
    json_t *origin, *root = NULL;
    char *plain, *dump = NULL, hash[65];
    int rc;

    OB_GO(sort_origin(&plain, &origin, s, err));
    content_hash(hash, s, plain ? plain : "");
    root = json_pack("{s:i, s:s, s:s, s:b, s:I, s:I, s:f, s:O*, s:s}", "oubli_scores", VERSION,
                     "kind", s->kind, "source", s->source, "raw", i->raw, "n", (json_int_t)i->n,
                     "n_scored", (json_int_t)i->n_scored, "images", i->images, "origin", origin,
                     "hash", hash);
    dump = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    if (dump)
        ob_str_addf(text, "%s\n", dump);
    rc = dump ? ob_str_check(text, err) : ob_fail(err, OB_ENOMEM, "out of memory");
out:
    free(dump);
    json_decref(root);
    json_decref(origin);
    free(plain);
    return rc;
}

/* After a failure: the description that was there, or none. Where the array got through all the
 * same (only its folder could not be synced) the new one stays with it. */
static void put_back(const char *json, const struct ob_file *old, bool had_array, const char *path)
{
    if (old->n)
        ob_file_write(json, old->data, old->n, NULL);
    else if (had_array || !ob_file_exists(path))
        ob_file_remove(json, NULL);
}

int ob_scores_write(const struct ob_scores *s, const char *path, struct ob_err *err)
{
    struct ob_str json = { 0 }, text = { 0 };
    struct ob_file old = { 0 };
    bool had_array = ob_file_exists(path);
    int rc;

    OB_GO(json_path(&json, path, err));
    OB_GO(describe(&text, s, err));
    if (ob_file_exists(ob_str_text(&json)))
        OB_GO(ob_file_read(&old, ob_str_text(&json), MAX_JSON, false, err));
    /* The array comes last: it is what says that the pair is there. */
    rc = ob_file_write(ob_str_text(&json), text.s, text.n, err);
    if (!rc)
        rc = ob_npy_write_f32(path, s->value, &s->info.n, 1, err);
    if (rc)
        put_back(ob_str_text(&json), &old, had_array, path);
out:
    ob_file_release(&old);
    ob_str_release(&text);
    ob_str_release(&json);
    return rc;
}

/* ---- reading ---- */

static int read_values(struct ob_scores **out, const char *path, struct ob_err *err)
{
    struct ob_file f;
    struct ob_npy a;
    int rc;

    OB_GO(ob_file_read(&f, path, MAX_NPY, false, err));
    OB_GO(ob_npy_parse(&a, f.data, f.n, path, err));
    if (a.rank != 1 || !a.n || a.type[1] != 'f') {
        rc = ob_fail(err, OB_EFORMAT,
                     "'%s': scores are a one-dimensional array of floats, one per example of the "
                     "training file",
                     path);
        goto out;
    }
    OB_GO(ob_scores_new(out, "unknown", "file", a.n, err));
    for (size_t i = 0; i < a.n; i++) {
        float v = (float)ob_npy_double(&a, i);

        if (isinf(v)) {
            rc = ob_fail(err, OB_EFORMAT, "'%s': the score of example %zu is infinite", path, i);
            goto out;
        }
        (*out)->value[i] = isnan(v) ? NAN : v;
    }
    ob_scores_count(*out);
out:
    ob_file_release(&f);
    return rc;
}

static int set_text(char *to, size_t room, const json_t *root, const char *key, const char *path,
                    struct ob_err *err)
{
    const char *text = json_string_value(json_object_get(root, key));

    if (!text || !*text || strlen(text) >= room)
        return ob_fail(err, OB_EFORMAT, "'%s': \"%s\" is no name of at most %zu letters", path, key,
                       room - 1);
    memset(to, 0, room);
    memcpy(to, text, strlen(text));
    return OB_OK;
}

static int check_members(const json_t *root, const struct ob_scores *s, const char *path,
                         struct ob_err *err)
{
    static const char *const known[] = { "oubli_scores", "kind",   "source", "raw", "n",
                                         "n_scored",     "images", "hash" };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!json_object_get(root, known[i]))
            return ob_fail(err, OB_EFORMAT, "'%s': \"%s\" is missing", path, known[i]);
    if (json_object_size(root) !=
            sizeof(known) / sizeof(known[0]) + (json_object_get(root, "origin") != NULL) ||
        !json_is_boolean(json_object_get(root, "raw")) ||
        !json_is_number(json_object_get(root, "images")))
        return ob_fail(err, OB_EFORMAT, "'%s': this is not how oubli describes scores", path);
    if (json_integer_value(json_object_get(root, "n")) != (json_int_t)s->info.n ||
        json_integer_value(json_object_get(root, "n_scored")) != (json_int_t)s->info.n_scored)
        return ob_fail(err, OB_EFORMAT, "'%s' describes other scores than the file beside it",
                       path);
    return OB_OK;
}

/* A description of our own: everything in it, and everything in the array, must be as written. */
static int take_ours(struct ob_scores *s, const json_t *root, const char *path, struct ob_err *err)
{
    const json_t *version = json_object_get(root, "oubli_scores");
    json_t *origin = json_object_get(root, "origin");
    const char *hash;
    char *plain = NULL, hex[65];
    int rc = OB_OK;

    if (json_is_integer(version) && json_integer_value(version) > VERSION)
        return ob_fail(err, OB_EVERSION, "'%s' is from a newer release (version %lld)", path,
                       (long long)json_integer_value(version));
    if (!json_is_integer(version) || json_integer_value(version) != VERSION)
        return ob_fail(err, OB_EFORMAT, "'%s': unknown version", path);
    OB_TRY(check_members(root, s, path, err));
    OB_TRY(set_text(s->source, sizeof(s->source), root, "source", path, err));
    s->info.raw = json_is_true(json_object_get(root, "raw"));
    s->info.images = json_number_value(json_object_get(root, "images"));
    if (origin) {
        plain = json_dumps(origin, JSON_COMPACT | JSON_SORT_KEYS);
        if (!plain)
            return ob_fail(err, OB_ENOMEM, "out of memory");
        OB_GO(ob_strdup(&s->origin, plain, err));
    }
    content_hash(hex, s, plain ? plain : "");
    hash = json_string_value(json_object_get(root, "hash"));
    if (!hash || strcmp(hash, hex))
        rc = ob_fail(err, OB_EFORMAT,
                     "'%s' does not belong to the scores beside it, or one of the two is damaged; "
                     "write the scores again, or remove it to use them as they are",
                     path);
out:
    free(plain);
    return rc;
}

static int read_description(struct ob_scores *s, const char *path, struct ob_err *err)
{
    struct ob_file f;
    json_error_t where;
    json_t *root = NULL;
    int rc;

    OB_GO(ob_file_read(&f, path, MAX_JSON, false, err));
    root = json_loadb((const char *)f.data, f.n, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root)) {
        rc = ob_fail(err, OB_EFORMAT, "'%s' line %d: %s", path, root ? 1 : where.line,
                     root ? "not a JSON object" : where.text);
        goto out;
    }
    OB_GO(set_text(s->kind, sizeof(s->kind), root, "kind", path, err));
    if (json_object_get(root, "oubli_scores"))
        rc = take_ours(s, root, path, err);
out:
    json_decref(root);
    ob_file_release(&f);
    return rc;
}

int ob_scores_read(struct ob_scores **out, const char *path, struct ob_err *err)
{
    struct ob_str json = { 0 };
    int rc;

    *out = NULL;
    OB_GO(read_values(out, path, err));
    OB_GO(json_path(&json, path, err));
    if (ob_file_exists(ob_str_text(&json)))
        rc = read_description(*out, ob_str_text(&json), err);
out:
    ob_str_release(&json);
    if (rc) {
        ob_scores_free(*out);
        *out = NULL;
    }
    return rc;
}
