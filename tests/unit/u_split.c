/* u_split.c - the validation part against the positions that the published code draws. */
#include "common.h"

#include "base/mem.h"
#include "data/data.h"

/* A data set of nothing but labels: `each` examples of each class, one class after another. */
static void make_labels(struct ob_data *d, int n_classes, size_t each)
{
    size_t n = (size_t)n_classes * each;

    *d = (struct ob_data){ .info = { .n_classes = n_classes } };
    d->ex[OB_TRAIN].n = n;
    must(ob_alloc(d->ex[OB_TRAIN].label, n, err));
    must(ob_alloc(d->use[OB_TRAIN], 1, err));
    must(ob_alloc(d->use[OB_TRAIN]->id, n, err));
    d->use[OB_TRAIN]->n = d->use[OB_TRAIN]->limit = n;
    for (size_t i = 0; i < n; i++) {
        d->ex[OB_TRAIN].label[i] = (int32_t)(i / each);
        d->use[OB_TRAIN]->id[i] = (uint32_t)i;
    }
}

static void drop_labels(struct ob_data *d)
{
    ob_free(d->ex[OB_TRAIN].label);
    ob_ids_free(d->use[OB_TRAIN]);
}

/* Sum of positions within class c, and whether all of at[] are among them. */
static void check_class(const struct ob_split *s, uint32_t c, uint32_t each, uint32_t sum,
                        const uint32_t *at, size_t n_at)
{
    const struct ob_ids *val = ob_split_val(s);
    uint32_t total = 0;

    for (size_t i = 0; i < ob_ids_n(val); i++)
        if (ob_ids_list(val)[i] / each == c)
            total += ob_ids_list(val)[i] % each;
    assert_int_equal(total, sum);
    for (size_t i = 0; i < n_at; i++)
        assert_true(ob_ids_has(val, c * each + at[i]));
}

/* RandomState(1).choice on 5,000 of each of 10 classes, as for CIFAR-10. */
static void like_cifar10(void **state)
{
    static const uint32_t c0[] = { 2764, 4767, 3814, 3499, 2735, 3922, 2701, 1179 };
    static const uint32_t c1[] = { 473, 2932, 3982, 881 }, c9[] = { 4449, 3289, 4177, 801 };
    struct ob_split *s;
    struct ob_data d;

    (void)state;
    make_labels(&d, 10, 5000);
    must(ob_split_new(&s, &d, 0.1, 1, err));
    assert_int_equal(ob_ids_n(ob_split_val(s)), 5000);
    assert_int_equal(ob_ids_n(ob_split_train(s)), 45000);
    check_class(s, 0, 5000, 1260433, c0, 8);
    check_class(s, 1, 5000, 1254030, c1, 4);
    check_class(s, 9, 5000, 1231079, c9, 4);
    ob_split_free(s);
    drop_labels(&d);
}

static void like_cifar100(void **state)
{
    static const uint32_t c0[] = { 304, 340, 47, 67, 479, 485 };
    struct ob_split *s;
    struct ob_data d;

    (void)state;
    make_labels(&d, 100, 500);
    must(ob_split_new(&s, &d, 0.1, 1, err));
    check_class(s, 0, 500, 13169, c0, 6);
    ob_split_free(s);
    drop_labels(&d);
}

static void parts(void **state)
{
    struct ob_split *s, *t;
    struct ob_ids *both;
    struct ob_data d;

    (void)state;
    make_labels(&d, 3, 25);
    must(ob_split_new(&s, &d, 0.1, 7, err)); /* floor(2.5 + 0.5) = 3 of each */
    assert_int_equal(ob_ids_n(ob_split_val(s)), 9);
    must(ob_ids_union(&both, ob_split_val(s), ob_split_train(s), err));
    assert_true(ob_ids_equal(both, d.use[OB_TRAIN]));
    assert_int_equal(ob_ids_n(ob_split_val(s)) + ob_ids_n(ob_split_train(s)), 75);
    ob_ids_free(both);
    assert_true(ob_split_fraction(s) == 0.1);
    assert_int_equal(ob_split_seed(s), 7);
    assert_int_equal(strlen(ob_split_hash(s)), 64);
    must(ob_split_new(&t, &d, 0.1, 7, err));
    assert_string_equal(ob_split_hash(s), ob_split_hash(t));
    ob_split_free(t);
    must(ob_split_new(&t, &d, 0.1, 8, err));
    assert_string_not_equal(ob_split_hash(s), ob_split_hash(t));
    ob_split_free(t);
    must(ob_split_new(&t, &d, 0, 7, err));
    assert_int_equal(ob_ids_n(ob_split_val(t)), 0);
    assert_true(ob_ids_equal(ob_split_train(t), d.use[OB_TRAIN]));
    ob_split_free(t);
    ob_split_free(s);
    must_fail(ob_split_new(&t, &d, 1, 7, err), OB_EINVAL, "validation part of 1");
    must_fail(ob_split_new(&t, &d, -0.1, 7, err), OB_EINVAL, "validation");
    must_fail(ob_split_new(&t, &d, 0.0 / 0.0, 7, err), OB_EINVAL, "validation");
    must_fail(ob_split_new(&t, &d, 0.99, 7, err), OB_EINVAL, "leaves no training example");
    drop_labels(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_cifar10),
        cmocka_unit_test(like_cifar100),
        cmocka_unit_test(parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
