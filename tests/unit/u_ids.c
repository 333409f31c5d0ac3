/* u_ids.c - sets of example numbers: what is refused and where, and the algebra of sets. */
#include "common.h"

#include "base/io.h"
#include "base/npy.h"
#include "data/data.h"

static struct ob_ids *ids(size_t n, const uint32_t *id)
{
    struct ob_ids *s;

    must(ob_ids_new(&s, id, n, 100, err));
    return s;
}
#define IDS(...) ids(sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, (uint32_t[]){ __VA_ARGS__ })

static int read_text(struct ob_ids **out, const char *text, size_t n, struct ob_err *err)
{
    char path[200];

    scratch_file(path, sizeof(path), "ids.txt");
    OB_TRY(ob_file_write(path, text, n, err));
    return ob_ids_read(out, path, 100, err);
}

static void sorted_copy(void **state)
{
    uint32_t id[] = { 30, 10, 99, 0 };
    struct ob_ids *s = ids(4, id);

    (void)state;
    assert_int_equal(id[0], 30);
    assert_int_equal(ob_ids_n(s), 4);
    assert_int_equal(ob_ids_list(s)[0], 0);
    assert_int_equal(ob_ids_list(s)[3], 99);
    assert_true(ob_ids_has(s, 30));
    assert_true(ob_ids_has(s, 99));
    assert_false(ob_ids_has(s, 31));
    assert_false(ob_ids_has(s, 100));
    ob_ids_free(s);
    id[2] = 100;
    must_fail(ob_ids_new(&s, id, 4, 100, err), OB_EFORMAT, "example 100 is out of range");
    assert_null(s);
    id[2] = 10;
    must_fail(ob_ids_new(&s, id, 4, 100, err), OB_EFORMAT, "example 10 stands there twice");
    assert_null(s);
    must(ob_ids_new(&s, NULL, 0, 100, err));
    assert_false(ob_ids_has(s, 0));
    ob_ids_free(s);
    ob_ids_free(NULL);
}

static void check_and_free(struct ob_ids *s, struct ob_ids *want)
{
    assert_true(ob_ids_equal(s, want));
    ob_ids_free(s);
    ob_ids_free(want);
}

static void algebra(void **state)
{
    struct ob_ids *a = IDS(1, 3, 5, 7, 99), *b = IDS(0, 3, 4, 7), *none = ids(0, NULL), *s;

    (void)state;
    must(ob_ids_minus(&s, a, b, err));
    check_and_free(s, IDS(1, 5, 99));
    must(ob_ids_minus(&s, b, a, err));
    check_and_free(s, IDS(0, 4));
    must(ob_ids_minus(&s, a, none, err));
    check_and_free(s, IDS(1, 3, 5, 7, 99));
    must(ob_ids_union(&s, a, b, err));
    check_and_free(s, IDS(0, 1, 3, 4, 5, 7, 99));
    must(ob_ids_union(&s, none, none, err));
    assert_int_equal(ob_ids_n(s), 0);
    ob_ids_free(s);
    assert_false(ob_ids_equal(a, b));
    ob_ids_free(a);
    ob_ids_free(b);
    ob_ids_free(none);
}

static void forget_sets(void **state)
{
    struct ob_ids *whole = IDS(1, 3, 5), *none = ids(0, NULL), *in = IDS(1, 5), *out = IDS(3, 4);

    (void)state;
    must(ob_ids_check_forget(in, whole, "F", err));
    must_fail(ob_ids_check_forget(out, whole, "F", err), OB_EFORMAT,
              "'F': example 4 is not in the training part");
    must_fail(ob_ids_check_forget(none, whole, "F", err), OB_EFORMAT, "'F': the set is empty");
    must_fail(ob_ids_check_forget(whole, whole, NULL, err), OB_EFORMAT,
              "the set is the whole training part");
    ob_ids_free(whole);
    ob_ids_free(none);
    ob_ids_free(in);
    ob_ids_free(out);
}

#define TEXT(s) s, sizeof(s) - 1

static void text_files(void **state)
{
    struct ob_ids *s, *whole = IDS(1, 5, 7, 9);

    (void)state;
    must(read_text(&s, TEXT("# made by hand\n7\n\n  3 # three\r\n"), err));
    check_and_free(s, IDS(3, 7));
    must(read_text(&s, TEXT("5"), err)); /* no line end */
    check_and_free(s, IDS(5));
    must(read_text(&s, TEXT("# lines are kept for messages that come later\n7\n\n3\n"), err));
    must_fail(ob_ids_check_forget(s, whole, "F", err), OB_EFORMAT,
              "'F', line 4: example 3 is not in the training part");
    ob_ids_free(s);
    ob_ids_free(whole);
    must_fail(read_text(&s, TEXT("1\n2\n3x\n"), err), OB_EFORMAT,
              "ids.txt', line 3: '3x' is not an example number");
    assert_null(s);
    must_fail(read_text(&s, TEXT("1\n-2\n"), err), OB_EFORMAT, "line 2: '-2'");
    must_fail(read_text(&s, TEXT("1.0\n"), err), OB_EFORMAT, "line 1: '1.0'");
    must_fail(read_text(&s, TEXT("1 2\n"), err), OB_EFORMAT, "line 1: '1 2'");
    must_fail(read_text(&s, TEXT("1\0\n"), err), OB_EFORMAT, "line 1: '1?'");
    must_fail(read_text(&s, TEXT("\n\n100\n"), err), OB_EFORMAT,
              "line 3: example 100 is out of range (0 to 99)");
    must_fail(read_text(&s, TEXT("18446744073709551617\n"), err), OB_EFORMAT, "out of range");
    must_fail(read_text(&s, TEXT("4294967297\n"), err), OB_EFORMAT, "out of range");
    must_fail(read_text(&s, TEXT("4\n5\n# 4\n04\n"), err), OB_EFORMAT,
              "line 4: example 4 stands there twice");
    must_fail(read_text(&s, TEXT(""), err), OB_EFORMAT, "the set is empty");
    must_fail(read_text(&s, TEXT("# 1\n\n"), err), OB_EFORMAT, "the set is empty");
    must_fail(ob_ids_read(&s, "no/such/file", 100, err), OB_ENOTFOUND, "no/such/file");
    must_fail(ob_ids_read(&s, scratch(), 100, err), OB_EFORMAT, "a folder");
}

static void arrays(void **state)
{
    static const int32_t id[] = { 4, 2, 90 }, negative[] = { 4, -2 }, twice[] = { 4, 2, 4 };
    static const float real[] = { 1, 2 };
    size_t shape[2] = { 3, 1 };
    char path[200];
    struct ob_ids *s;

    (void)state;
    scratch_file(path, sizeof(path), "ids.npy");
    must(ob_npy_write(path, "<i4", shape, 1, id, err));
    must(ob_ids_read(&s, path, 100, err));
    check_and_free(s, IDS(2, 4, 90));
    must_fail(ob_ids_read(&s, path, 50, err), OB_EFORMAT, "entry 2: example 90 is out of range");
    must(ob_npy_write(path, "<i4", shape, 2, id, err));
    must_fail(ob_ids_read(&s, path, 100, err), OB_EFORMAT, "2 dimensions");
    must(ob_npy_write(path, "<i4", shape, 1, twice, err));
    must_fail(ob_ids_read(&s, path, 100, err), OB_EFORMAT, "entry 2: example 4 stands there twice");
    shape[0] = 2;
    must(ob_npy_write(path, "<i4", shape, 1, negative, err));
    must_fail(ob_ids_read(&s, path, 100, err), OB_EFORMAT, "entry 1: -2");
    must(ob_npy_write(path, "<f4", shape, 1, real, err));
    must_fail(ob_ids_read(&s, path, 100, err), OB_EFORMAT, "not a list of integers");
    shape[0] = 0;
    must(ob_npy_write(path, "<i4", shape, 1, id, err));
    must_fail(ob_ids_read(&s, path, 100, err), OB_EFORMAT, "the set is empty");
}

static void written(void **state)
{
    struct ob_ids *s = IDS(12, 5, 7), *back;
    char path[200];
    struct ob_file f;

    (void)state;
    scratch_file(path, sizeof(path), "out.txt");
    must(ob_ids_write(s, path, "one\ntwo", err));
    must(ob_file_read(&f, path, 1000, false, err));
    assert_int_equal(f.n, 19);
    assert_memory_equal(f.data, "# one\n# two\n5\n7\n12\n", 19);
    ob_file_release(&f);
    must(ob_ids_read(&back, path, 100, err));
    assert_true(ob_ids_equal(s, back));
    ob_ids_free(back);
    scratch_file(path, sizeof(path), "out.npy");
    must(ob_ids_write(s, path, "no room for this", err));
    must(ob_ids_read(&back, path, 100, err));
    check_and_free(s, back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorted_copy), cmocka_unit_test(algebra), cmocka_unit_test(forget_sets),
        cmocka_unit_test(text_files),  cmocka_unit_test(arrays),  cmocka_unit_test(written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
