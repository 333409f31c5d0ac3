/* data.c - arrays and archives that numpy wrote, and validation parts that numpy drew. */
#include "common.h"

#include <math.h>

#include "base/io.h"
#include "base/npy.h"
#include "data/data.h"

#define DIR "tests/golden/data/"

static void read_array(struct ob_file *f, struct ob_npy *a, const char *name)
{
    char path[200];

    snprintf(path, sizeof(path), DIR "%s.npy", name);
    must(ob_file_read(f, path, 100000, false, err));
    must(ob_npy_parse(a, f->data, f->n, path, err));
}

static void every_type(void **state)
{
    static const char *const type[] = { "b1", "i1", "u1", "i2", "u2", "i4",
                                        "u4", "i8", "u8", "f2", "f4", "f8" };
    static const double want[6] = { 0, 1, 2, 3, 100, 120 };

    (void)state;
    for (int t = 0; t < 12; t++) {
        char name[20];
        struct ob_file f;
        struct ob_npy a;

        snprintf(name, sizeof(name), "type_%s", type[t]);
        read_array(&f, &a, name);
        assert_string_equal(a.type + 1, type[t]);
        assert_int_equal(a.rank, 2);
        assert_int_equal(a.shape[0], 2);
        assert_int_equal(ob_npy_is_int(&a), type[t][0] == 'i' || type[t][0] == 'u');
        for (size_t i = 0; i < 6; i++)
            assert_true(ob_npy_double(&a, i) == (t ? want[i] : want[i] != 0));
        ob_file_release(&f);
    }
}

static void odd_arrays(void **state)
{
    static const double want[4] = { 1.5, -2, 5.9604644775390625e-08, 65504 };
    struct ob_file f;
    struct ob_npy a;

    (void)state;
    read_array(&f, &a, "negative");
    assert_int_equal(ob_npy_int(&a, 0), -1);
    assert_int_equal(ob_npy_int(&a, 1), -128);
    assert_int_equal(ob_npy_int(&a, 2), 127);
    ob_file_release(&f);
    read_array(&f, &a, "half");
    for (size_t i = 0; i < 4; i++)
        assert_true(ob_npy_double(&a, i) == want[i]);
    assert_true(isnan(ob_npy_double(&a, 4)));
    ob_file_release(&f);
    read_array(&f, &a, "scalar");
    assert_int_equal(a.rank, 0);
    assert_int_equal(ob_npy_int(&a, 0), 42);
    ob_file_release(&f);
    read_array(&f, &a, "empty");
    assert_int_equal(a.n, 0);
    ob_file_release(&f);
    read_array(&f, &a, "version2");
    assert_int_equal(ob_npy_int(&a, 3), 3);
    ob_file_release(&f);
}

static int refuse(const char *name, struct ob_err *err)
{
    struct ob_file f;
    struct ob_npy a;
    int rc;

    OB_TRY(ob_file_read(&f, name, 100000, false, err));
    rc = ob_npy_parse(&a, f.data, f.n, name, err);
    ob_file_release(&f);
    return rc;
}

static void refused(void **state)
{
    struct ob_npz z;

    (void)state;
    must_fail(refuse(DIR "bad_big.npy", err), OB_EFORMAT, "big-endian");
    must_fail(refuse(DIR "bad_fortran.npy", err), OB_EFORMAT, "Fortran");
    must_fail(refuse(DIR "bad_object.npy", err), OB_EFORMAT, "pickle");
    must_fail(refuse(DIR "bad_record.npy", err), OB_EFORMAT, "records");
    must_fail(refuse(DIR "bad_complex.npy", err), OB_EFORMAT, "'<c8'");
    must_fail(ob_npz_read(&z, DIR "bad_text.npz", 100000, err), OB_EFORMAT, "no .npy array");
}

static void archives(void **state)
{
    static const char *const name[] = { DIR "plain.npz", DIR "packed.npz" };
    struct ob_npz z;

    (void)state;
    for (int k = 0; k < 2; k++) {
        must(ob_npz_read(&z, name[k], 100000, err));
        assert_int_equal(z.n, 3 + k);
        assert_int_equal(ob_npy_int(ob_npz_find(&z, "ids"), 6), 18);
        assert_int_equal(ob_npz_find(&z, "x")->shape[1], 4);
        assert_true(ob_npy_double(ob_npz_find(&z, "x"), 11) == 11);
        assert_int_equal(ob_npy_int(ob_npz_find(&z, "n"), 0), 7);
        if (k)
            assert_int_equal(ob_npz_find(&z, "long")->n, 3000);
        ob_npz_release(&z);
    }
    /* an entry that unpacks to 12,128 bytes, where the file itself is small enough */
    must_fail(ob_npz_read(&z, name[1], 5000, err), OB_EFORMAT, "more than is taken");
}

static void splits(void **state)
{
    static const uint32_t seed[] = { 1, 2, UINT32_MAX };
    int32_t label[300];
    uint32_t id[300];
    struct ob_ids use = { .id = id, .n = 300, .limit = 300 };
    struct ob_data d = { .info = { .n_classes = 4 }, .ex[0] = { .n = 300, .label = label } };
    struct ob_npz z;

    (void)state;
    must(ob_npz_read(&z, DIR "split.npz", 100000, err));
    d.use[OB_TRAIN] = &use;
    for (uint32_t i = 0; i < 300; i++) {
        id[i] = i;
        label[i] = (int32_t)ob_npy_int(ob_npz_find(&z, "label"), i);
    }
    for (int k = 0; k < 3; k++) {
        struct ob_split *s;
        const struct ob_npy *val;
        char name[30];

        snprintf(name, sizeof(name), "val_%u", seed[k]);
        val = ob_npz_find(&z, name);
        must(ob_split_new(&s, &d, 0.1, seed[k], err));
        assert_int_equal(ob_ids_n(ob_split_val(s)), val->n);
        for (size_t i = 0; i < val->n; i++)
            assert_int_equal(ob_ids_list(ob_split_val(s))[i], ob_npy_int(val, i));
        ob_split_free(s);
    }
    ob_npz_release(&z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type), cmocka_unit_test(odd_arrays), cmocka_unit_test(refused),
        cmocka_unit_test(archives),   cmocka_unit_test(splits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
