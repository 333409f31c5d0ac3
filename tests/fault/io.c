/* io.c - the n-th write, fsync or rename fails: the old file or the new one stands, never half of
 * one, and nothing is left beside it. The same for allocations while reading. */
#include "common.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/npy.h"
#include "data/data.h"

#define N_BIG 200000

static int put_text(const char *path, struct ob_err *err)
{
    return ob_file_write(path, "new text", 8, err);
}

static int put_big(const char *path, struct ob_err *err)
{
    float *x;
    size_t n = N_BIG;
    int rc;

    OB_TRY(ob_alloc(x, n, err));
    rc = ob_npy_write_f32(path, x, &n, 1, err);
    ob_free(x);
    return rc;
}

static int put_npz(const char *path, struct ob_err *err)
{
    static const int64_t x[3] = { 1, 2, 3 };
    const struct ob_npz_item item[2] = { { "a", "<i8", { 3 }, 1, x }, { "b", "<i8", { 1 }, 1, x } };

    return ob_npz_write(path, item, 2, err);
}

static int put_ids(const char *path, struct ob_err *err)
{
    uint32_t id[2] = { 4, 2 };
    struct ob_ids *s;
    int rc;

    OB_TRY(ob_ids_new(&s, id, 2, 10, err));
    rc = ob_ids_write(s, path, "made by a test", err);
    ob_ids_free(s);
    return rc;
}

static bool is_old(const char *path)
{
    struct ob_file f;
    bool old;

    must(ob_file_read(&f, path, 1 << 24, false, err));
    old = f.n == 8 && !memcmp(f.data, "old text", 8);
    ob_file_release(&f);
    return old;
}

typedef int put_fn(const char *path, struct ob_err *err);

/* How many calls to the system could fail; each of them did. */
static int break_io(put_fn *put)
{
    bool renamed = false;
    char path[200];
    int files;

    scratch_file(path, sizeof(path), "target");
    for (size_t n = 1;; n++) {
        struct ob_err e = { 0 };
        int rc;

        must(ob_file_write(path, "old text", 8, err));
        files = scratch_count();
        obi_io_fail_at(n);
        rc = put(path, &e);
        obi_io_fail_at(0);
        assert_int_equal(scratch_count(), files);
        if (!rc) {
            assert_false(is_old(path));
            return (int)n - 1;
        }
        assert_int_equal(rc, OB_EIO);
        assert_non_null(strstr(e.msg, "cannot write '"));
        assert_non_null(strstr(e.msg, "/target': "));
        assert_true(e.os_errno != 0);
        assert_false(renamed);
        renamed = !is_old(path); /* only the sync of the folder comes after the rename */
    }
}

static void system_says_no(void **state)
{
    (void)state;
    assert_int_equal(break_io(put_text), 4); /* write, fsync, rename, fsync of the folder */
    assert_true(break_io(put_big) >= 5);
    assert_int_equal(break_io(put_npz), 4);
    assert_int_equal(break_io(put_ids), 4);
}

static void full_disk_says_so(void **state)
{
    char path[200];

    (void)state;
    scratch_file(path, sizeof(path), "full");
    obi_io_fail_at(1);
    must_fail(ob_file_write(path, "x", 1, err), OB_EIO, "No space left on device");
    assert_false(ob_file_exists(path));
}

static int get_npz(const char *path, struct ob_err *err)
{
    struct ob_npz z;
    int rc = ob_npz_read(&z, path, 1 << 20, err);

    if (!rc)
        ob_npz_release(&z);
    return rc;
}

static int get_ids(const char *path, struct ob_err *err)
{
    struct ob_ids *s;
    int rc = ob_ids_read(&s, path, 10, err);

    ob_ids_free(s);
    return rc;
}

static int get_data(const char *path, struct ob_err *err)
{
    struct ob_data *d;
    struct ob_split *s = NULL;
    struct ob_loader *l = NULL;
    struct ob_loader_opts o = { .batch = 4 };
    int rc = ob_data_open(&d, NULL, "synth:longtail,train=20,test=20,size=8", err);

    (void)path;
    if (!rc)
        rc = ob_split_new(&s, d, 0.25, 1, err);
    if (!rc)
        rc = ob_loader_new(&l, d, OB_TRAIN, ob_split_train(s), &o, err);
    ob_loader_free(l);
    ob_split_free(s);
    ob_data_free(d);
    return rc;
}

/* Each allocation fails in turn: OB_ENOMEM, nothing leaks (the sanitizer looks). */
static int break_memory(put_fn *get, const char *path)
{
    for (size_t n = 1;; n++) {
        struct ob_err err = { 0 };
        int rc;

        obi_mem_fail_at(n);
        rc = get(path, &err);
        obi_mem_fail_at(0);
        if (!rc)
            return (int)n - 1;
        assert_int_equal(rc, OB_ENOMEM);
        assert_int_equal(err.code, OB_ENOMEM);
    }
}

static void no_memory(void **state)
{
    char path[200];

    (void)state;
    scratch_file(path, sizeof(path), "mem");
    must(put_npz(path, err));
    assert_true(break_memory(get_npz, path) >= 3);
    must(put_ids(path, err));
    assert_true(break_memory(get_ids, path) >= 4);
    assert_true(break_memory(get_data, path) >= 15);
    assert_true(break_memory(put_text, path) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_says_no),
        cmocka_unit_test(full_disk_says_so),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
