/* accuracy.c - what a model says of each example, and how often it is right. */
#include <math.h>

#include "base/mem.h"
#include "judge/judge.h"
#include "nn/model.h"

void ob_answers_release(struct ob_answers *a)
{
    ob_free(a->guess);
    ob_free(a->right);
    ob_free(a->confidence);
    *a = (struct ob_answers){ 0 };
}

static int check_classes(const struct ob_model *m, const struct ob_data *d, struct ob_err *err)
{
    int model = ob_model_n_classes(m), data = ob_data_info(d)->n_classes;

    if (model != data)
        return ob_fail(err, OB_EFORMAT, "the model knows %d classes, the data set has %d", model,
                       data);
    return OB_OK;
}

int ob_answers_make(struct ob_answers *a, const struct ob_model *m, const struct ob_data *d,
                    enum ob_part part, const struct ob_ids *ids, struct ob_err *err)
{
    int c = ob_model_n_classes(m);
    float *logits = NULL;
    double *p = NULL;
    size_t n;
    int rc;

    *a = (struct ob_answers){ .n = ids->n };
    OB_TRY(check_classes(m, d, err));
    if (!ob_mul(&n, ids->n, (size_t)c))
        return ob_fail(err, OB_ENOMEM, "out of memory (%zu examples)", ids->n);
    OB_GO(ob_alloc(a->guess, ids->n, err));
    OB_GO(ob_alloc(a->right, ids->n, err));
    OB_GO(ob_alloc(a->confidence, ids->n, err));
    OB_GO(ob_alloc(logits, n, err));
    OB_GO(ob_alloc(p, (size_t)c, err));
    OB_GO(ob_predict(logits, NULL, m, d, part, ids, err));
    for (size_t i = 0; i < ids->n; i++) {
        const float *z = logits + i * (size_t)c;
        int label = ob_data_label(d, part, ids->id[i]);

        ob_softmax(p, z, c);
        a->guess[i] = ob_argmax(z, c);
        a->right[i] = a->guess[i] == label;
        a->confidence[i] = p[label];
    }
out:
    ob_free(logits);
    ob_free(p);
    return rc;
}

int ob_rows_make(struct ob_rows *r, const struct ob_ids *whole, const struct ob_ids *subset,
                 const char *name, struct ob_err *err)
{
    size_t at = 0;

    *r = (struct ob_rows){ .n = subset->n };
    OB_TRY(ob_alloc(r->row, subset->n, err));
    for (size_t i = 0; i < subset->n; i++) {
        while (at < whole->n && whole->id[at] < subset->id[i])
            at++;
        if (at == whole->n || whole->id[at] != subset->id[i]) {
            ob_rows_release(r);
            return ob_fail(err, OB_EFORMAT, "example %u of %s is not in the training part",
                           (unsigned)subset->id[i], name);
        }
        r->row[i] = at;
    }
    return OB_OK;
}

void ob_rows_release(struct ob_rows *r)
{
    ob_free(r->row);
    *r = (struct ob_rows){ 0 };
}

double ob_accuracy(const struct ob_answers *a, const struct ob_rows *r)
{
    size_t n = r ? r->n : a->n, right = 0;

    for (size_t i = 0; i < n; i++)
        right += a->right[r ? r->row[i] : i];
    return n ? (double)right / (double)n : NAN;
}

double ob_disagreement(const struct ob_answers *a, const struct ob_answers *b,
                       const struct ob_rows *r)
{
    size_t n = r ? r->n : a->n, differ = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k = r ? r->row[i] : i;

        differ += a->guess[k] != b->guess[k];
    }
    return n ? (double)differ / (double)n : NAN;
}
