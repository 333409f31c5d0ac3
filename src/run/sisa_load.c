/* sisa_load.c - the shards of a folder as one model that answers for all of them. */
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "run/memory.h"
#include "run/sisa.h"

/* The key of a shard's last slice: what its model must rest on. */
static int last_key(char key[65], const struct ob_sisa *s, int shard, struct ob_err *err)
{
    key[0] = 0;
    for (int j = 0; j < s->o.slices; j++) {
        struct ob_ids *use = NULL;
        char *text = NULL;
        int rc = ob_sisa_examples(&use, s, shard, j, err);

        if (!rc)
            rc = ob_sisa_key(&text, key, key, s, shard, j, use, err);
        free(text);
        ob_ids_free(use);
        OB_TRY(rc);
    }
    return OB_OK;
}

static int load_shard(struct ob_model **out, const struct ob_sisa *s, int k, struct ob_err *err)
{
    struct ob_load_opts o = OB_LOAD_OPTS_INIT;
    const char *there;
    char key[65], *path;
    int rc;

    OB_TRY(ob_sisa_model_path(&path, s, k, err));
    if (!ob_file_exists(path)) {
        rc = ob_fail(err, OB_EFORMAT,
                     "'%s' is not finished: shard %d is missing; the command that made it goes on",
                     s->dir, k);
        goto out;
    }
    OB_GO(last_key(key, s, k, err));
    OB_GO(ob_model_load(out, s->ctx, path, &o, err));
    there = ob_model_meta(*out, "sisa");
    if (!there || strcmp(there, key) || strcmp(ob_model_arch(*out), s->arch))
        rc = ob_fail(err, OB_EFORMAT,
                     "'%s' is not what its folder says: another shard, other examples or settings",
                     path);
out:
    ob_free(path);
    return rc;
}

static int check_room(const struct ob_model *first, int n, struct ob_err *err)
{
    struct ob_memory need = { 0 };

    ob_memory_add_weights(&need, first->net, 0, (size_t)n - 1);
    return ob_memory_check(&need, first->ctx, 1, "the shards of a folder", err);
}

/* The first shard's model holds the others. */
static int load_all(struct ob_model **out, const struct ob_sisa *s, struct ob_err *err)
{
    struct ob_model *m;

    OB_TRY(load_shard(out, s, 0, err));
    m = *out;
    OB_TRY(check_room(m, s->o.shards, err));
    OB_TRY(ob_alloc(m->shard, (size_t)s->o.shards, err));
    for (int k = 1; k < s->o.shards; k++) {
        OB_TRY(load_shard(&m->shard[m->n_shards], s, k, err));
        m->n_shards++;
    }
    m->sharded = true;
    return ob_model_set_meta(m, "exclude", s->excluded->n ? "shards" : "", err);
}

int ob_sisa_load(struct ob_model **out, struct ob_ctx *ctx, const char *dir, enum ob_aggregate how,
                 struct ob_err *err)
{
    struct ob_sisa *s = NULL;
    int rc;

    *out = NULL;
    OB_GO(ob_sisa_open(&s, ctx, dir, err));
    OB_GO(ob_sisa_read_parts(s, err));
    OB_GO(load_all(out, s, err));
    (*out)->vote = how == OB_VOTE;
out:
    ob_sisa_free(s);
    if (rc) {
        ob_model_free(*out);
        *out = NULL;
    }
    return rc;
}
