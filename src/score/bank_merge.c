/* bank_merge.c - banks of several machines into one. */
#include "score/bank.h"

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

static int copy_models(size_t *n_new, const struct ob_bank *from, const struct ob_bank *to,
                       struct ob_err *err)
{
    for (int k = 0; k < from->info.n_models; k++) {
        char *weights = NULL;
        int there, rc = ob_bank_check(from, k, NULL);

        OB_TRY(ob_ctx_stop(to->ctx, err));
        if (rc == OB_ENOTFOUND || !ob_bank_check(to, k, NULL))
            continue;
        OB_TRY(rc ? ob_bank_check(from, k, err) : OB_OK);
        OB_TRY(ob_bank_model_path(&weights, from, k, "safetensors", err));
        there = ob_file_exists(weights);
        ob_free(weights);
        if (there)
            OB_TRY(copy_file(from, to, k, "safetensors", err));
        OB_TRY(copy_file(from, to, k, "npz", err));
        (*n_new)++;
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

int ob_bank_merge(size_t *n_new, struct ob_ctx *ctx, const char *dir, const char *const *from,
                  size_t n_from, struct ob_err *err)
{
    struct ob_bank *to = NULL, *b = NULL;
    size_t n = 0;
    int rc = OB_OK;

    for (size_t i = 0; i < n_from; i++) {
        size_t before = n;

        OB_GO(ob_bank_open(&b, ctx, from[i], err));
        if (!to)
            OB_GO(open_target(&to, b, dir, err));
        OB_GO(ob_bank_same(to, b, err));
        if (b->info.n_models > to->info.n_models) {
            to->info.n_models = b->info.n_models;
            OB_GO(ob_bank_write_settings(to, err));
        }
        OB_GO(copy_models(&n, b, to, err));
        if (n > before)
            OB_GO(copy_times(b, to, err));
        ob_bank_free(b);
        b = NULL;
    }
out:
    ob_bank_free(b);
    ob_bank_free(to);
    if (n_new)
        *n_new = n;
    return rc;
}
