/* data.c - small files of every format, cut at every length and flipped at every byte: a status
 * comes back, and where a format has checksums, never other content. */
#include "datafiles.h"

#include <lzma.h>
#include <unistd.h>
#include <zlib.h>

#include "data/data.h"

typedef int try_fn(const char *arg, struct ob_err *err);

static void spill(const char *path, const void *data, size_t n)
{
    FILE *f;

    unlink(path); /* cutting an old file short would wait for the disk */
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

static void check_status(int rc, const struct ob_err *e)
{
    assert_true(rc == OB_OK || rc == OB_EFORMAT || rc == OB_EVERSION);
    assert_int_equal(e->code, rc);
    if (rc)
        assert_true(e->msg[0] && !strchr(e->msg, '\n'));
}

/* `path` is one of the files that `get`(arg) reads; `cuts_fail`: it has no shorter valid form. */
static void damage(const char *path, try_fn *get, const char *arg, bool cuts_fail)
{
    struct ob_file f;
    int refused = 0;

    must(ob_file_read(&f, path, 4096, false, err));
    for (size_t n = 0; n < f.n; n++) {
        struct ob_err e = { 0 };
        int rc;

        spill(path, f.data, n);
        rc = get(arg, &e);
        check_status(rc, &e);
        assert_true(rc || !cuts_fail);
    }
    for (size_t i = 0; i < f.n; i++)
        for (int k = 0; k < 3; k++) {
            static const unsigned char mask[] = { 0xff, 1, 0x80 };
            struct ob_err e = { 0 };
            int rc;

            f.data[i] ^= mask[k];
            spill(path, f.data, f.n);
            rc = get(arg, &e);
            check_status(rc, &e);
            refused += rc != 0;
            f.data[i] ^= mask[k];
        }
    assert_true(refused > 0);
    spill(path, f.data, f.n);
    must(get(arg, err)); /* the undamaged one is fine */
    ob_file_release(&f);
}

static int get_data(const char *spec, struct ob_err *err)
{
    struct ob_data *d;
    int rc = ob_data_open(&d, NULL, spec, err);

    ob_data_free(d);
    return rc;
}

static void damage_part(const char *kind, const char *dir, const char *file)
{
    char path[300], spec[300];

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    snprintf(spec, sizeof(spec), "%s:%s", kind, dir);
    damage(path, get_data, spec, true);
}

static void idx(void **state)
{
    char dir[200];

    (void)state;
    make_idx(dir, sizeof(dir));
    damage_part("idx", dir, "train-images-idx3-ubyte");
    damage_part("idx", dir, "train-labels-idx1-ubyte");
    damage_part("idx", dir, "t10k-images-idx3-ubyte");
    damage_part("idx", dir, "t10k-labels-idx1-ubyte");
}

static void cifar(void **state)
{
    char dir[200];

    (void)state;
    make_cifar10(dir, sizeof(dir));
    damage_part("cifar10", dir, "data_batch_4.bin");
    make_cifar100(dir, sizeof(dir));
    damage_part("cifar100", dir, "train.bin");
}

static void npy(void **state)
{
    char dir[200];

    (void)state;
    make_npy(dir, sizeof(dir), 0);
    damage_part("npy", dir, "x_train.npy");
    damage_part("npy", dir, "y_train.npy");
    make_npy(dir, sizeof(dir), 1);
    damage_part("npy", dir, "x_test.npy");
}

/* ---- formats with checksums ---- */

static const char text[] = "what is in there, and in there, and in there, and nothing else";

static int get_packed(const char *path, struct ob_err *err)
{
    struct ob_file f;
    int rc = ob_file_read(&f, path, 1000, true, err);

    if (!rc) {
        assert_int_equal(f.n, sizeof(text));
        assert_memory_equal(f.data, text, sizeof(text));
    }
    ob_file_release(&f);
    return rc;
}

static void packed(void **state)
{
    unsigned char b[400];
    char path[200];
    size_t n = 0;
    gzFile gz;

    (void)state;
    scratch_file(path, sizeof(path), "text.xz");
    assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, NULL, (const uint8_t *)text,
                                             sizeof(text), b, &n, sizeof(b)),
                     LZMA_OK);
    spill(path, b, n);
    damage(path, get_packed, path, true);
    scratch_file(path, sizeof(path), "text.gz");
    gz = gzopen(path, "wb");
    gzwrite(gz, text, sizeof(text));
    gzclose(gz);
    damage(path, get_packed, path, true);
}

static int get_npz(const char *path, struct ob_err *err)
{
    struct ob_npz z;

    OB_TRY(ob_npz_read(&z, path, 100000, err));
    for (size_t i = 0; i < z.n; i++) { /* the heads are under the checksum, too */
        const struct ob_npy *a = &z.entry[i].array;

        if (!strcmp(z.entry[i].name, "ids"))
            assert_int_equal(ob_npy_int(a, 6), 18);
        else if (!strcmp(z.entry[i].name, "x"))
            assert_true(ob_npy_double(a, 11) == 11);
        else if (!strcmp(z.entry[i].name, "long"))
            assert_int_equal(a->n, 3000);
    }
    ob_npz_release(&z);
    return OB_OK;
}

static void archives(void **state)
{
    static const char *const from[] = { "tests/golden/data/plain.npz",
                                        "tests/golden/data/packed.npz" };
    char path[200];

    (void)state;
    scratch_file(path, sizeof(path), "a.npz");
    for (int k = 0; k < 2; k++) {
        struct ob_file f;

        must(ob_file_read(&f, from[k], 4096, false, err));
        spill(path, f.data, f.n);
        ob_file_release(&f);
        damage(path, get_npz, path, true);
    }
}

static int get_ids(const char *path, struct ob_err *err)
{
    struct ob_ids *s;
    int rc = ob_ids_read(&s, path, 50, err);

    if (!rc)
        assert_true(ob_ids_n(s) > 0 && ob_ids_list(s)[ob_ids_n(s) - 1] < 50);
    ob_ids_free(s);
    return rc;
}

static void ids(void **state)
{
    static const int64_t id[3] = { 3, 49, 7 };
    static const char lines[] = "# made by a test\n3\n49 # last\n\n7\n";
    size_t n = 3;
    char path[200];

    (void)state;
    scratch_file(path, sizeof(path), "ids");
    spill(path, lines, sizeof(lines) - 1);
    damage(path, get_ids, path, false);
    must(ob_npy_write(path, "<i8", &n, 1, id, err));
    damage(path, get_ids, path, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idx),    cmocka_unit_test(cifar),    cmocka_unit_test(npy),
        cmocka_unit_test(packed), cmocka_unit_test(archives), cmocka_unit_test(ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
