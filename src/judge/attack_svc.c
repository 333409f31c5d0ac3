/*
 * attack_svc.c - the field's membership attack: a support vector machine on the confidence.
 *
 * scikit-learn's SVC(C=3, gamma="auto", kernel="rbf") on one feature, reproduced with libsvm. SVC
 * sorts the classes before it solves, so that class 0 (non-member) comes first whatever the order
 * of the rows; libsvm takes classes in order of appearance. The optimiser's path, and with it the
 * last digits, depend on that order: the rows are handed over non-members first.
 */
#include <libsvm/svm.h>
#include <math.h>

#include "base/mem.h"
#include "judge/judge.h"

enum { NON_MEMBER = 0, MEMBER = 1, N_FEATURES = 1 };

struct rows {
    struct svm_node *node; /* two for each row: the feature, and libsvm's end mark */
    struct svm_node **x;
    double *y;
    size_t n;
};

static void silent(const char *line)
{
    (void)line;
}

static void rows_release(struct rows *r)
{
    ob_free(r->node);
    ob_free(r->x);
    ob_free(r->y);
}

static void rows_put(struct svm_node *node, double value)
{
    node[0] = (struct svm_node){ .index = 1, .value = value };
    node[1] = (struct svm_node){ .index = -1 };
}

static void rows_add(struct rows *r, const double *value, size_t n, double label)
{
    for (size_t i = 0; i < n; i++, r->n++) {
        r->x[r->n] = r->node + 2 * r->n;
        r->y[r->n] = label;
        rows_put(r->x[r->n], value[i]);
    }
}

static int check_finite(const double *x, size_t n, struct ob_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return ob_fail(err, OB_EDIVERGED, "membership attack: a confidence is not finite");
    return OB_OK;
}

int ob_attack_svc(double *out, const double *member, size_t n_member, const double *non_member,
                  size_t n_non_member, const double *target, size_t n_target, struct ob_err *err)
{
    struct rows rows = { 0 };
    struct svm_parameter param = {
        .svm_type = C_SVC,
        .kernel_type = RBF,
        .gamma = 1.0 / N_FEATURES,
        .cache_size = 200,
        .eps = 1e-3,
        .C = 3,
        .shrinking = 1,
    };
    struct svm_problem problem;
    struct svm_model *model = NULL;
    size_t n, n_out = 0;
    int rc;

    *out = NAN;
    if (!n_member || !n_non_member || !n_target)
        return ob_fail(err, OB_EFORMAT,
                       "membership attack: needs retained, test and forgotten examples");
    if (!ob_add(&n, n_member, n_non_member) || n > INT32_MAX)
        return ob_fail(err, OB_EINVAL, "membership attack: too many examples");
    OB_TRY(check_finite(member, n_member, err));
    OB_TRY(check_finite(non_member, n_non_member, err));
    OB_TRY(check_finite(target, n_target, err));
    OB_GO(ob_alloc(rows.node, 2 * n, err));
    OB_GO(ob_alloc(rows.x, n, err));
    OB_GO(ob_alloc(rows.y, n, err));
    rows_add(&rows, non_member, n_non_member, NON_MEMBER);
    rows_add(&rows, member, n_member, MEMBER);
    problem = (struct svm_problem){ .l = (int)n, .y = rows.y, .x = rows.x };
    svm_set_print_string_function(silent);
    model = svm_train(&problem, &param);
    if (!model) {
        rc = ob_fail(err, OB_ENOMEM, "membership attack: out of memory");
        goto out;
    }
    for (size_t i = 0; i < n_target; i++) {
        struct svm_node node[2];

        rows_put(node, target[i]);
        n_out += svm_predict(model, node) == NON_MEMBER;
    }
    *out = (double)n_out / (double)n_target;
out:
    svm_free_and_destroy_model(&model);
    rows_release(&rows);
    return rc;
}
