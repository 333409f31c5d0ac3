/* influence.c - which training examples each test example owes its right answer to, from a bank. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/par.h"
#include "score/bank.h"

struct pair {
    float value;
    uint32_t row;
};

struct job {
    const struct ob_bank *b;
    const struct ob_bank_bits *bits;
    int *n_in;        /* by training row: models that had it */
    struct pair *top; /* n_test x n_top, largest first */
    size_t n_top;
};

static int n_bits(const uint64_t *x, size_t words)
{
    int n = 0;

    for (size_t w = 0; w < words; w++)
        n += __builtin_popcountll(x[w]);
    return n;
}

static int n_common(const uint64_t *x, const uint64_t *y, size_t words)
{
    int n = 0;

    for (size_t w = 0; w < words; w++)
        n += __builtin_popcountll(x[w] & y[w]);
    return n;
}

/* Into a list that is kept sorted; of equal values the first row stays in front. */
static void insert(struct pair *top, size_t *n, size_t room, struct pair new)
{
    size_t at = *n;

    if (*n == room) {
        if (new.value <= top[room - 1].value)
            return;
        at = room - 1;
    } else {
        (*n)++;
    }
    for (; at && new.value > top[at - 1].value; at--)
        top[at] = top[at - 1];
    top[at] = new;
}

static void one_test(void *arg, size_t j, int worker)
{
    struct job *job = arg;
    const struct ob_bank_bits *bits = job->bits;
    const uint64_t *right = bits->right[1] + j * bits->words;
    int n_right = n_bits(right, bits->words);
    size_t n = 0;

    (void)worker;
    for (size_t i = 0; i < job->b->info.n_train; i++) {
        int in = job->n_in[i], out = bits->n - in, both;

        if (!in || !out)
            continue;
        both = n_common(bits->included + i * bits->words, right, bits->words);
        insert(job->top + j * job->n_top, &n, job->n_top,
               (struct pair){ (float)((double)both / in - (double)(n_right - both) / out),
                              (uint32_t)i });
    }
}

static int write(const struct job *j, const char *path, struct ob_err *err)
{
    size_t n = j->b->info.n_test * j->n_top, shape[2] = { j->b->info.n_test, j->n_top };
    int64_t *train = NULL, *test = NULL;
    float *value = NULL;
    int rc;

    OB_GO(ob_alloc(train, n, err));
    OB_GO(ob_alloc(test, shape[0], err));
    OB_GO(ob_alloc(value, n, err));
    for (size_t i = 0; i < n; i++) {
        train[i] = j->b->row[0]->id[j->top[i].row];
        value[i] = j->top[i].value;
    }
    for (size_t i = 0; i < shape[0]; i++)
        test[i] = j->b->row[1]->id[i];
    rc = ob_npz_write(path,
                      (struct ob_npz_item[]){
                          { "train", "<i8", { shape[0], shape[1] }, 2, train },
                          { "test", "<i8", { shape[0] }, 1, test },
                          { "value", "<f4", { shape[0], shape[1] }, 2, value },
                      },
                      3, err);
out:
    ob_free(value);
    ob_free(test);
    ob_free(train);
    return rc;
}

/* Rows that can be compared at all: in some models and not in others. */
static int count_rows(struct job *j, size_t *n, struct ob_err *err)
{
    OB_TRY(ob_alloc(j->n_in, j->b->info.n_train, err));
    *n = 0;
    for (size_t i = 0; i < j->b->info.n_train; i++) {
        j->n_in[i] = n_bits(j->bits->included + i * j->bits->words, j->bits->words);
        *n += j->n_in[i] > 0 && j->n_in[i] < j->bits->n;
    }
    return OB_OK;
}

int ob_bank_influence(const struct ob_bank *b, int top, const char *path, struct ob_err *err)
{
    struct ob_bank_bits bits;
    struct job j = { .b = b, .bits = &bits, .n_top = (size_t)top };
    size_t n, most;
    int rc;

    if (top < 1)
        return ob_fail(err, OB_EINVAL, "the %d most influential examples: at least 1", top);
    OB_TRY(ob_bank_bits_read(&bits, b, err));
    OB_GO(count_rows(&j, &n, err));
    if (j.n_top > n) {
        rc = ob_fail(err, OB_EINVAL, "the %d most influential of %zu examples: there are fewer",
                     top, n);
        goto out;
    }
    if (!ob_mul(&most, b->info.n_test, j.n_top)) {
        rc = ob_fail(err, OB_ENOMEM, "out of memory");
        goto out;
    }
    OB_GO(ob_alloc(j.top, most, err));
    ob_par_for(b->ctx->n_threads, b->info.n_test, one_test, &j);
    rc = write(&j, path, err);
out:
    ob_free(j.top);
    ob_free(j.n_in);
    ob_bank_bits_release(&bits);
    return rc;
}
