/* u_npy.c - .npy and .npz: what is written is read, what is odd is refused in words. */
#include "common.h"

#include "base/io.h"
#include "base/npy.h"

static void there_and_back(void **state)
{
    static const float x[24] = { 1.5f, -2, 3e-30f, 4 };
    size_t shape[4] = { 1, 2, 3, 4 };
    char path[200];
    struct ob_file f;
    struct ob_npy a;

    (void)state;
    scratch_file(path, sizeof(path), "a.npy");
    for (int rank = 0; rank <= 4; rank++) {
        size_t n = 1;

        for (int i = 0; i < rank; i++)
            n *= shape[i];
        must(ob_npy_write_f32(path, x, shape, rank, err));
        must(ob_file_read(&f, path, 1000, false, err));
        assert_int_equal(f.n % 64, n * 4 % 64); /* as numpy pads its heads */
        must(ob_npy_parse(&a, f.data, f.n, path, err));
        assert_string_equal(a.type, "<f4");
        assert_int_equal(a.rank, rank);
        assert_int_equal(a.n, n);
        assert_memory_equal(a.data, x, 4 * n);
        assert_true(ob_npy_double(&a, 0) == 1.5);
        assert_false(ob_npy_is_int(&a));
        ob_file_release(&f);
    }
    must_fail(ob_npy_write_f32(path, x, shape, 5, err), OB_EINVAL, "dimensions");
}

/* An array with this head over n bytes of zeros. */
static int parse_with(const char *head, size_t n, struct ob_err *err)
{
    char bytes[1000] = "\x93NUMPY\1";
    size_t length = strlen(head);
    struct ob_npy a;

    bytes[8] = (char)length;
    bytes[9] = (char)(length >> 8);
    memcpy(bytes + 10, head, length);
    return ob_npy_parse(&a, bytes, 10 + length + n, "A", err);
}

#define HEAD(type, order, shape)                                                                   \
    "{'descr': '" type "', 'fortran_order': " order ", 'shape': " shape ", }\n"

static void heads(void **state)
{
    (void)state;
    must(parse_with(HEAD("<f4", "False", "(2, 3)"), 24, err));
    must(parse_with(HEAD("<u1", "False", "(2,)"), 2, err));
    must(parse_with(HEAD("|b1", "True", "(2,)"), 2, err)); /* one dimension has no order */
    must(parse_with("{\"shape\":(2,),\"descr\":\"<i8\",\"fortran_order\":False}", 16, err));
    must(parse_with(HEAD("<f4", "False", "(0, 3)"), 0, err));
    must_fail(parse_with(HEAD("<f4", "False", "(2, 3)"), 23, err), OB_EFORMAT, "6 elements");
    must_fail(parse_with(HEAD("<f4", "False", "(2, 3)"), 25, err), OB_EFORMAT, "25 bytes");
    must_fail(parse_with(HEAD("<f4", "False", "(2)"), 8, err), OB_EFORMAT, "no shape");
    must_fail(parse_with(HEAD("<f4", "False", "(-2,)"), 8, err), OB_EFORMAT, "no shape");
    must_fail(parse_with(HEAD("<f4", "False", "(2 3)"), 24, err), OB_EFORMAT, "no shape");
    must_fail(parse_with(HEAD("<f4", "False", "(1, 1, 1, 1, 1)"), 4, err), OB_EFORMAT, "than 4");
    must_fail(parse_with(HEAD("<f4", "False", "(4294967296, 4294967296)"), 0, err), OB_EFORMAT,
              "impossible");
    must_fail(parse_with(HEAD("<f4", "False", "(4611686018427387905,)"), 4, err), OB_EFORMAT,
              "claimed");
    must_fail(parse_with(HEAD("<f4", "False", "(99999999999999999999,)"), 4, err), OB_EFORMAT,
              "no shape");
    must_fail(parse_with(HEAD("<f4", "True", "(2, 3)"), 24, err), OB_EFORMAT, "Fortran");
    must_fail(parse_with(HEAD("<f4", "Maybe", "(2, 3)"), 24, err), OB_EFORMAT, "no order");
    must_fail(parse_with(HEAD(">f4", "False", "(2, 3)"), 24, err), OB_EFORMAT, "big-endian");
    must_fail(parse_with(HEAD("|O", "False", "(2,)"), 16, err), OB_EFORMAT, "pickle");
    must_fail(parse_with(HEAD("<U4", "False", "(2,)"), 32, err), OB_EFORMAT, "not read");
    must_fail(parse_with(HEAD("<c8", "False", "(2,)"), 16, err), OB_EFORMAT, "not read");
    must_fail(parse_with("{'shape': (2,), 'shape': (2,)}", 8, err), OB_EFORMAT, "'shape'");
    must_fail(parse_with("{'shape': (2,), 'descr': '<f4'}", 8, err), OB_EFORMAT, "not complete");
    must_fail(parse_with(HEAD("<f4", "False", "(2,)") "x", 8, err), OB_EFORMAT, "not complete");
    must_fail(parse_with("{'other': 1}", 8, err), OB_EFORMAT, "'other'");
    must_fail(parse_with("[]", 8, err), OB_EFORMAT, "dictionary");
    must_fail(parse_with("", 0, err), OB_EFORMAT, "dictionary");
}

static int bad_start(const char *bytes, size_t n, struct ob_err *err)
{
    struct ob_npy a;

    return ob_npy_parse(&a, bytes, n, "A", err);
}

static void starts(void **state)
{
    (void)state;
    must_fail(bad_start("", 0, err), OB_EFORMAT, "not a .npy");
    must_fail(bad_start("\x80\x02}q\x01(X", 8, err), OB_EFORMAT, "not a .npy"); /* a pickle */
    must_fail(bad_start("\x93NUMPY\4\0", 8, err), OB_EFORMAT, "version 4.0");
    must_fail(bad_start("\x93NUMPY\1\0", 8, err), OB_EFORMAT, "cut short");
    must_fail(bad_start("\x93NUMPY\1\0\xff\xff{}", 12, err), OB_EFORMAT, "too much");
    must_fail(bad_start("\x93NUMPY\2\0\xff\xff\xff\xff{}", 14, err), OB_EFORMAT, "too much");
}

static void archive(void **state)
{
    static const float x[6] = { 1, 2, 3, 4, 5, 6.5f };
    static const int64_t n = -7;
    const struct ob_npz_item item[] = { { "x", "<f4", { 2, 3 }, 2, x },
                                        { "n", "<i8", { 0 }, 0, &n },
                                        { "none", "|u1", { 0 }, 1, NULL } };
    char path[200], again[200];
    struct ob_npz z;
    struct ob_file f, g;

    (void)state;
    scratch_file(path, sizeof(path), "a.npz");
    scratch_file(again, sizeof(again), "b.npz");
    must(ob_npz_write(path, item, 3, err));
    must(ob_npz_write(again, item, 3, err));
    must(ob_file_read(&f, path, 10000, false, err));
    must(ob_file_read(&g, again, 10000, false, err));
    assert_int_equal(f.n, g.n);
    assert_memory_equal(f.data, g.data, f.n);
    must(ob_npz_read(&z, path, 10000, err));
    assert_int_equal(z.n, 3);
    assert_true(ob_npy_double(ob_npz_find(&z, "x"), 5) == 6.5);
    assert_int_equal(ob_npz_find(&z, "x")->shape[1], 3);
    assert_int_equal(ob_npy_int(ob_npz_find(&z, "n"), 0), -7);
    assert_int_equal(ob_npz_find(&z, "none")->n, 0);
    assert_null(ob_npz_find(&z, "y"));
    ob_npz_release(&z);
    must_fail(ob_npz_read(&z, path, f.n - 1, err), OB_EFORMAT, "too large");
    ob_file_release(&f);
    ob_file_release(&g);
    must(ob_npz_write(path, item, 0, err));
    must(ob_npz_read(&z, path, 10000, err));
    assert_int_equal(z.n, 0);
    ob_npz_release(&z);
    must(ob_file_write(path, "not a zip file at all, but long enough", 38, err));
    must_fail(ob_npz_read(&z, path, 10000, err), OB_EFORMAT, "not a .npz");
}

/* Two entries of one name; two rows of the directory that share one entry's bytes. */
static void twice(void **state)
{
    const struct ob_npz_item item[] = { { "x", "|u1", { 1 }, 1, "a" },
                                        { "x", "|u1", { 1 }, 1, "b" },
                                        { "y", "|u1", { 1 }, 1, "c" } };
    char path[200];
    struct ob_npz z;
    struct ob_file f;
    size_t row;

    (void)state;
    scratch_file(path, sizeof(path), "twice.npz");
    must(ob_npz_write(path, item, 2, err));
    must_fail(ob_npz_read(&z, path, 10000, err), OB_EFORMAT, "twice");
    must(ob_npz_write(path, item + 1, 2, err));
    must(ob_file_read(&f, path, 10000, false, err));
    row = f.n - 22 - 2 * (46 + 5);
    memcpy(f.data + row + 51, f.data + row, 51);
    must(ob_file_write(path, f.data, f.n, err));
    must_fail(ob_npz_read(&z, path, 10000, err), OB_EFORMAT, "overlap");
    ob_file_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(heads), cmocka_unit_test(starts),
        cmocka_unit_test(archive),        cmocka_unit_test(twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
