/* bank_bits.c - all models of a bank, a bit each: was the example in the subset, was the answer right? */
#include <string.h>

#include "base/mem.h"
#include "score/bank.h"

void ob_bank_bits_release(struct ob_bank_bits *bits)
{
    ob_free(bits->included);
    ob_free(bits->right[0]);
    ob_free(bits->right[1]);
    *bits = (struct ob_bank_bits){ 0 };
}

static void add_model(struct ob_bank_bits *out, const struct ob_bank *b,
                      const struct ob_bank_model *m)
{
    size_t word = (size_t)out->n / 64;
    uint64_t bit = (uint64_t)1 << (out->n % 64);

    for (size_t i = 0; i < b->info.n_train; i++)
        if (ob_bank_included(m, i))
            out->included[i * out->words + word] |= bit;
    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < b->row[part]->n; i++)
            if (ob_bank_argmax(m, b, part, i) == b->label[part][i])
                out->right[part][i * out->words + word] |= bit;
    out->n++;
}

/* One file after the other is in memory. */
int ob_bank_bits_read(struct ob_bank_bits *out, const struct ob_bank *b, struct ob_err *err)
{
    size_t words = ((size_t)b->info.n_models + 63) / 64;
    int rc;

    *out = (struct ob_bank_bits){ .words = words };
    OB_GO(ob_alloc(out->included, b->info.n_train * words, err));
    OB_GO(ob_alloc(out->right[0], b->info.n_train * words, err));
    OB_GO(ob_alloc(out->right[1], b->info.n_test * words, err));
    for (int k = 0; k < b->info.n_models; k++) {
        struct ob_bank_model m;
        struct ob_err why = { 0 };

        OB_GO(ob_ctx_stop(b->ctx, err));
        rc = ob_bank_model_read(&m, b, k, &why);
        if (!rc)
            add_model(out, b, &m);
        ob_bank_model_release(&m);
        if (rc == OB_ENOTFOUND)
            continue;
        if (rc) {
            rc = ob_fail(err, rc, "%.300s; 'bank train' trains it again", why.msg);
            goto out;
        }
    }
    rc = out->n ? OB_OK : ob_fail(err, OB_ENOTFOUND, "the bank '%s' has no finished model", b->dir);
out:
    if (rc)
        ob_bank_bits_release(out);
    return rc;
}
