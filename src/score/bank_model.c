/* bank_model.c - one model's file in a bank: the bits of its subset, and its logits. */
#include "score/bank.h"

#include <string.h>

#include "base/half.h"
#include "base/mem.h"

static size_t n_bytes(size_t n_bits)
{
    return (n_bits + 7) / 8;
}

/* ---- writing ---- */

static int halves(uint16_t **out, const float *x, size_t n, struct ob_err *err)
{
    OB_TRY(ob_alloc(*out, n, err));
    for (size_t i = 0; i < n; i++)
        (*out)[i] = ob_to_half(x[i]);
    return OB_OK;
}

int ob_bank_model_write(const struct ob_bank *b, int k, const uint8_t *in,
                        const float *const logits[2], struct ob_err *err)
{
    size_t n[2] = { b->info.n_train, b->info.n_test }, c = (size_t)b->info.n_classes;
    uint16_t *half[2] = { NULL, NULL };
    unsigned char *bits = NULL;
    int64_t number = k;
    uint64_t seed = ob_bank_seed(b, k);
    char *path = NULL;
    int rc;

    OB_GO(ob_alloc(bits, n_bytes(n[0]), err));
    for (size_t i = 0; i < n[0]; i++)
        bits[i / 8] |= (unsigned char)((in[i] != 0) << (7 - i % 8));
    for (int part = 0; part < 2; part++)
        OB_GO(halves(&half[part], logits[part], n[part] * c, err));
    OB_GO(ob_bank_model_path(&path, b, k, "npz", err));
    rc = ob_npz_write(path,
                      (struct ob_npz_item[]){
                          { "model", "<i8", { 0 }, 0, &number },
                          { "seed", "<u8", { 0 }, 0, &seed },
                          { "bank", "|u1", { 64 }, 1, b->key },
                          { "included", "|u1", { n_bytes(n[0]) }, 1, bits },
                          { "train", "<f2", { n[0], c }, 2, half[0] },
                          { "test", "<f2", { n[1], c }, 2, half[1] },
                      },
                      6, err);
out:
    ob_free(path);
    ob_free(half[0]);
    ob_free(half[1]);
    ob_free(bits);
    return rc;
}

/* ---- reading ---- */

static int bad(const struct ob_bank_model *m, const char *what, struct ob_err *err)
{
    return ob_fail(err, OB_EFORMAT, "'%s': %s", m->file.file.path, what);
}

static const struct ob_npy *matrix(const struct ob_bank_model *m, const char *name, size_t n,
                                   size_t c)
{
    const struct ob_npy *a = ob_npz_find(&m->file, name);

    return a && !strcmp(a->type, "<f2") && a->rank == 2 && a->shape[0] == n && a->shape[1] == c
               ? a
               : NULL;
}

/* Files from before the seed stood in them are read: number and key say the same. */
static int has_seed(const struct ob_bank_model *m, const struct ob_bank *b, int k)
{
    const struct ob_npy *a = ob_npz_find(&m->file, "seed");
    uint64_t want = ob_bank_seed(b, k);

    return !a || (!strcmp(a->type, "<u8") && a->n == 1 && !memcmp(a->data, &want, sizeof(want)));
}

static int take(struct ob_bank_model *m, const struct ob_bank *b, int k, struct ob_err *err)
{
    const struct ob_npy *number = ob_npz_find(&m->file, "model"),
                        *key = ob_npz_find(&m->file, "bank"),
                        *included = ob_npz_find(&m->file, "included");
    size_t c = (size_t)b->info.n_classes;

    if (!key || strcmp(key->type, "|u1") || key->n != 64 || memcmp(key->data, b->key, 64))
        return bad(m, "a model of another bank", err);
    if (!number || number->n != 1 || !ob_npy_is_int(number) || ob_npy_int(number, 0) != k)
        return bad(m, "another model than its name says", err);
    if (!has_seed(m, b, k))
        return bad(m, "its seed is not that of this model", err);
    m->logits[0] = matrix(m, "train", b->info.n_train, c);
    m->logits[1] = matrix(m, "test", b->info.n_test, c);
    if (!m->logits[0] || !m->logits[1] || !included || strcmp(included->type, "|u1") ||
        included->n != n_bytes(b->info.n_train))
        return bad(m, "not the arrays of a model of this bank", err);
    m->included = included->data;
    return OB_OK;
}

int ob_bank_model_read(struct ob_bank_model *out, const struct ob_bank *b, int k,
                       struct ob_err *err)
{
    char *path = NULL;
    size_t most = ((size_t)1 << 20) + n_bytes(b->info.n_train) +
                  2 * (b->info.n_train + b->info.n_test) * (size_t)b->info.n_classes;
    int rc;

    *out = (struct ob_bank_model){ 0 };
    OB_GO(ob_bank_model_path(&path, b, k, "npz", err));
    OB_GO(ob_npz_read(&out->file, path, most, err));
    rc = take(out, b, k, err);
out:
    ob_free(path);
    return rc;
}

void ob_bank_model_release(struct ob_bank_model *m)
{
    ob_npz_release(&m->file);
}

int ob_bank_included(const struct ob_bank_model *m, size_t row)
{
    return m->included[row / 8] >> (7 - row % 8) & 1;
}

/* Of equal ones the first, as everywhere; a NaN is never the largest. */
int ob_bank_argmax(const struct ob_bank_model *m, const struct ob_bank *b, int part, size_t row)
{
    size_t c = (size_t)b->info.n_classes;
    const unsigned char *p = m->logits[part]->data + 2 * row * c;
    float most = 0;
    int best = -1;

    for (size_t k = 0; k < c; k++, p += 2) {
        float x = ob_from_half((uint16_t)(p[0] | p[1] << 8));

        if (best < 0 ? x == x : x > most) {
            most = x;
            best = (int)k;
        }
    }
    return best;
}

int ob_bank_check(const struct ob_bank *b, int k, struct ob_err *err)
{
    struct ob_bank_model m;
    char *path;
    int there, rc = ob_bank_model_read(&m, b, k, err);

    ob_bank_model_release(&m);
    OB_TRY(rc);
    OB_TRY(ob_bank_weights_path(&path, &there, b, k, err));
    ob_free(path);
    return there ? ob_bank_check_weights(b, k, err) : OB_OK;
}
