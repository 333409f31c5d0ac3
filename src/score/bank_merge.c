/* bank_merge.c - banks of several machines into one. */
#include "score/bank.h"

#include <stdbool.h>

#include "base/dir.h"
#include "base/mem.h"
#include "base/str.h"

static int copy_file(const struct ob_bank *from, const struct ob_bank *to, int k,
                     const char *ending, struct ob_err *err)
{
    struct ob_file f = { 0 };
    char *a = NULL, *b = NULL;
    int rc;

    OB_GO(ob_bank_model_path(&a, from, k, ending, err));
    OB_GO(ob_bank_model_path(&b, to, k, ending, err));
    OB_GO(ob_file_read(&f, a, SIZE_MAX / 2, false, err));
    rc = ob_file_write(b, f.data, f.n, err);
out:
    ob_file_release(&f);
    ob_free(a);
    ob_free(b);
    return rc;
}

struct merging {
    struct ob_bank *to;
    size_t n_new, n_trained; /* models of which something came in; with their own file */
    bool is_unmended;        /* what is damaged in `to` was not whole here */
};

/* Of a model: its file, its weights; OB_ENOTFOUND where they are not there, `why` is of the first
 * that is damaged. */
struct found {
    int file, weights;
    struct ob_err why;
};

static struct found look(const struct ob_bank *b, int k)
{
    struct found f = { 0 };
    struct ob_err why = { 0 };
    struct ob_bank_model m;

    f.file = ob_bank_model_read(&m, b, k, &f.why);
    ob_bank_model_release(&m);
    f.weights = ob_bank_check_weights(b, k, &why);
    if (!f.file && f.weights)
        f.why = why;
    return f;
}

static int copy_model(struct merging *g, const struct ob_bank *from, int k, struct ob_err *err)
{
    struct found is = look(from, k), was;
    bool lacks_file, lacks_weights;

    if (is.file == OB_ENOTFOUND)
        return OB_OK;
    was = look(g->to, k);
    lacks_file = was.file != OB_OK;
    lacks_weights = was.weights && is.weights != OB_ENOTFOUND;
    g->is_unmended |= was.weights && was.weights != OB_ENOTFOUND && !lacks_weights;
    if (!lacks_file && !lacks_weights)
        return OB_OK;
    if (is.file || (lacks_weights && is.weights))
        return ob_fail(err, is.why.code, "%s", is.why.msg);
    if (lacks_weights)
        OB_TRY(copy_file(from, g->to, k, "safetensors", err));
    if (lacks_file)
        OB_TRY(copy_file(from, g->to, k, "npz", err));
    g->n_trained += lacks_file;
    g->n_new++;
    return OB_OK;
}

static int copy_models(struct merging *g, const struct ob_bank *from, struct ob_err *err)
{
    for (int k = 0; k < from->info.n_models; k++) {
        OB_TRY(ob_ctx_stop(g->to->ctx, err));
        OB_TRY(copy_model(g, from, k, err));
    }
    return OB_OK;
}

/* No bank had it whole, or one that came later had: only now it is known. */
static int check_mended(const struct merging *g, struct ob_err *err)
{
    for (int k = 0; g->is_unmended && k < g->to->info.n_models; k++) {
        struct ob_err why = { 0 };
        int rc = ob_bank_check(g->to, k, &why);

        if (rc && rc != OB_ENOTFOUND)
            return ob_fail(err, rc, "%s", why.msg);
    }
    return OB_OK;
}

static int copy_times(const struct ob_bank *from, const struct ob_bank *to, struct ob_err *err)
{
    struct ob_file f = { 0 };
    struct ob_str text = { 0 };
    char *a = NULL, *b = NULL;
    int rc;

    OB_GO(ob_bank_path(&a, from, "times.txt", err));
    OB_GO(ob_bank_path(&b, to, "times.txt", err));
    if (!ob_file_exists(a))
        goto out;
    OB_GO(ob_file_read(&f, a, OB_BANK_TIMES, false, err));
    ob_str_addn(&text, (const char *)f.data, f.n);
    OB_GO(ob_str_check(&text, err));
    rc = ob_file_append(b, ob_str_text(&text), err);
out:
    ob_str_release(&text);
    ob_file_release(&f);
    ob_free(a);
    ob_free(b);
    return rc;
}

/* `to` becomes the first of `from` without its models where nothing is there. */
static int open_target(struct ob_bank **to, struct ob_bank *like, const char *dir,
                       struct ob_err *err)
{
    char *path = NULL, *own = like->dir;
    int rc;

    *to = NULL;
    OB_TRY(ob_mkdirs(dir, err));
    OB_TRY(ob_strdup(&like->dir, dir, err));
    OB_GO(ob_bank_path(&path, like, "bank.json", err));
    if (!ob_file_exists(path)) {
        OB_GO(ob_bank_check_empty(dir, err));
        OB_GO(ob_bank_write(like, err));
    }
    rc = ob_bank_open(to, like->ctx, dir, err);
out:
    ob_free(path);
    ob_free(like->dir);
    like->dir = own;
    return rc;
}

static int take_wanted(struct ob_bank *to, const struct ob_bank *from, struct ob_err *err)
{
    int n = to->info.n_models;

    OB_TRY(ob_bank_want_all(to, from, err));
    return to->info.n_models > n ? ob_bank_write_settings(to, err) : OB_OK;
}

int ob_bank_merge(size_t *n_new, struct ob_ctx *ctx, const char *dir, const char *const *from,
                  size_t n_from, struct ob_err *err)
{
    struct merging g = { 0 };
    struct ob_bank *b = NULL;
    int rc = OB_OK;

    for (size_t i = 0; i < n_from; i++) {
        size_t before = g.n_trained;

        OB_GO(ob_bank_open(&b, ctx, from[i], err));
        if (!g.to)
            OB_GO(open_target(&g.to, b, dir, err));
        OB_GO(ob_bank_same(g.to, b, err));
        OB_GO(take_wanted(g.to, b, err));
        OB_GO(copy_models(&g, b, err));
        if (g.n_trained > before)
            OB_GO(copy_times(b, g.to, err));
        ob_bank_free(b);
        b = NULL;
    }
    OB_GO(check_mended(&g, err));
out:
    ob_bank_free(b);
    ob_bank_free(g.to);
    if (n_new)
        *n_new = g.n_new;
    return rc;
}
