/* sisa_parts.c - which examples make up which shard and slice, and what a slice rests on. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/npy.h"
#include "base/rng.h"
#include "run/sisa.h"

#define MAX_PARTS ((size_t)1 << 31)

/* Where in the order slice `slice` of a shard begins; that of slice `slices` is where it ends. */
static size_t start_of(const struct ob_sisa *s, int shard, int slice)
{
    size_t n_shards = (size_t)s->o.shards, n_slices = (size_t)s->o.slices;
    size_t from = (size_t)shard * s->n / n_shards, to = (size_t)(shard + 1) * s->n / n_shards;

    return from + (size_t)slice * (to - from) / n_slices;
}

int ob_sisa_deal(struct ob_sisa *s, const struct ob_split *split, struct ob_err *err)
{
    const struct ob_ids *all = ob_split_train(split);
    struct ob_rng r = ob_rng(s->o.seed, OB_RNG_SISA, 0, 0);
    struct ob_ids *use;

    s->n = all->n;
    if (s->n / (size_t)s->o.shards < (size_t)s->o.slices)
        return ob_fail(err, OB_EINVAL,
                       "%d shards of %d slices: %zu examples are too few for one in each",
                       s->o.shards, s->o.slices, s->n);
    OB_TRY(ob_alloc(s->order, s->n, err));
    memcpy(s->order, all->id, s->n * sizeof(*s->order));
    ob_rng_shuffle(&r, s->order, s->n);
    for (int k = 0; k < s->o.shards; k++) {
        OB_TRY(ob_sisa_examples(&use, s, k, s->o.slices - 1, err));
        if (!use->n) {
            ob_ids_free(use);
            return ob_fail(err, OB_EFORMAT,
                           "nothing would be left of shard %d; train fewer shards without them", k);
        }
        ob_ids_free(use);
    }
    return OB_OK;
}

int ob_sisa_examples(struct ob_ids **out, const struct ob_sisa *s, int shard, int slice,
                     struct ob_err *err)
{
    size_t from = start_of(s, shard, 0), to = start_of(s, shard, slice + 1), n = 0;
    uint32_t *id;
    int rc;

    OB_TRY(ob_alloc(id, to - from, err));
    for (size_t i = from; i < to; i++)
        if (!ob_ids_has(s->excluded, s->order[i]))
            id[n++] = s->order[i];
    rc = ob_ids_new(out, id, n, s->excluded->limit, err);
    ob_free(id);
    return rc;
}

int ob_sisa_write_parts(const struct ob_sisa *s, struct ob_err *err)
{
    int64_t *id = NULL;
    int32_t *shard = NULL, *slice = NULL;
    char *path = NULL;
    size_t n = s->n, i = 0;
    int rc;

    OB_GO(ob_alloc(id, n, err));
    OB_GO(ob_alloc(shard, n, err));
    OB_GO(ob_alloc(slice, n, err));
    for (int k = 0; k < s->o.shards; k++)
        for (int j = 0; j < s->o.slices; j++)
            for (; i < start_of(s, k, j + 1); i++) {
                id[i] = s->order[i];
                shard[i] = k;
                slice[i] = j;
            }
    OB_GO(ob_sisa_path(&path, s->dir, "parts.npz", err));
    rc = ob_npz_write(path,
                      (struct ob_npz_item[]){ { "id", "<i8", { n }, 1, id },
                                              { "shard", "<i4", { n }, 1, shard },
                                              { "slice", "<i4", { n }, 1, slice } },
                      3, err);
out:
    ob_free(path);
    ob_free(slice);
    ob_free(shard);
    ob_free(id);
    return rc;
}

/* Damage of one array is not told from that of another: the folder is one. */
int ob_sisa_read_parts(struct ob_sisa *s, struct ob_err *err)
{
    const struct ob_npy *id, *shard, *slice;
    struct ob_npz z = { 0 };
    char *path = NULL;
    bool bad;
    int rc;

    OB_GO(ob_sisa_path(&path, s->dir, "parts.npz", err));
    OB_GO(ob_npz_read(&z, path, MAX_PARTS, err));
    id = ob_npz_find(&z, "id");
    shard = ob_npz_find(&z, "shard");
    slice = ob_npz_find(&z, "slice");
    bad = !id || !shard || !slice || strcmp(id->type, "<i8") || strcmp(shard->type, "<i4") ||
          strcmp(slice->type, "<i4") || shard->n != id->n || slice->n != id->n ||
          id->n / (size_t)s->o.shards < (size_t)s->o.slices;
    if (!bad) {
        s->n = id->n;
        OB_GO(ob_alloc(s->order, s->n, err));
    }
    for (size_t i = 0; !bad && i < s->n; i++) {
        int64_t k = ob_npy_int(shard, i), j = ob_npy_int(slice, i), x = ob_npy_int(id, i);

        bad = k < 0 || k >= s->o.shards || j < 0 || j >= s->o.slices ||
              i < start_of(s, (int)k, (int)j) || i >= start_of(s, (int)k, (int)j + 1) || x < 0 ||
              x >= (int64_t)s->excluded->limit;
        s->order[i] = (uint32_t)x;
    }
    if (bad)
        rc = ob_fail(err, OB_EFORMAT, "'%s' is damaged, or of another folder", path);
out:
    ob_npz_release(&z);
    ob_free(path);
    return rc;
}

/* ---- what a slice rests on ---- */

int ob_sisa_epochs(const struct ob_sisa *s, int slice)
{
    return (int)(2 * (int64_t)s->o.recipe.epochs * slice / (s->o.slices + 1));
}

uint64_t ob_sisa_seed(const struct ob_sisa *s, int shard)
{
    struct ob_rng r = ob_rng(s->o.seed, OB_RNG_SISA, (uint32_t)shard + 1, 0);
    uint64_t high = ob_rng_u32(&r);

    return high << 32 | ob_rng_u32(&r);
}

static void digest_of(char hex[65], const char *text)
{
    struct ob_hash h;

    ob_hash_init(&h);
    ob_hash_str(&h, text);
    ob_hash_hex(&h, hex);
}

int ob_sisa_key(char **text, char key[65], const char *before, const struct ob_sisa *s, int shard,
                int slice, const struct ob_ids *examples, struct ob_err *err)
{
    char settings[65], used[65], was[65];
    struct ob_hash h;
    json_t *j;

    snprintf(was, sizeof(was), "%s", before);
    digest_of(settings, s->identity);
    ob_hash_init(&h);
    for (size_t i = 0; i < examples->n; i++)
        ob_hash_u64(&h, examples->id[i]);
    ob_hash_hex(&h, used);
    j = json_pack("{s:s,s:s,s:s,s:i,s:i}", "before", was, "examples", used, "settings", settings,
                  "shard", shard, "slice", slice);
    *text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(j);
    if (!*text)
        return ob_fail(err, OB_ENOMEM, "out of memory");
    digest_of(key, *text);
    return OB_OK;
}
