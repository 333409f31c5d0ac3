/* convert.c - the n-th allocation or write fails while a model comes in or goes out: a status with a
 * sentence, nothing half written, nothing left in memory (the sanitizer looks). */

#include "base/io.h"
#include "base/mem.h"
#include "bytes.h"
#include "nn/model.h"

static struct ob_ctx ctx;
static const char *const sample[] = { "tests/golden/pt/nested.pth", "tests/golden/pt/views.pt" };
static const char *const ending[] = { ".pt", ".onnx", ".safetensors" };

static void no_memory_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (size_t n = 1;; n++) {
            struct ob_err e = { 0 };
            struct ob_model *m;
            int rc;

            obi_mem_fail_at(n);
            rc = ob_model_import(&m, &ctx, sample[i], NULL, &e);
            obi_mem_fail_at(0);
            if (!rc) {
                assert_true(n > 20);
                ob_model_free(m);
                break;
            }
            if (rc != OB_ENOMEM || m || !e.msg[0])
                fail_msg("%s, allocation %zu: status %d, '%s'", sample[i], n, rc, e.msg);
        }
    }
}

static void no_memory_out(void **state)
{
    struct ob_model *m;

    (void)state;
    must(ob_model_new(&m, &ctx, "resnet20,width=0.1", 3, 16, 16, 10, 1, err));
    for (size_t i = 0; i < 3; i++) {
        char path[150];
        int before = scratch_count();

        snprintf(path, sizeof(path), "%s/m%s", scratch(), ending[i]);
        for (size_t n = 1;; n++) {
            struct ob_err e = { 0 };
            int rc;

            obi_mem_fail_at(n);
            rc = ob_model_export(m, path, NULL, &e);
            obi_mem_fail_at(0);
            if (!rc)
                break;
            if (rc != OB_ENOMEM || !e.msg[0])
                fail_msg("%s, allocation %zu: status %d, '%s'", ending[i], n, rc, e.msg);
            assert_int_equal(scratch_count(), before);
        }
        assert_int_equal(scratch_count(), before + 1);
    }
    ob_model_free(m);
}

static void disk_says_no(void **state)
{
    struct ob_model *m;

    (void)state;
    must(ob_model_new(&m, &ctx, "cnn", 3, 16, 16, 10, 1, err));
    for (size_t i = 0; i < 3; i++) {
        char path[150];
        struct bytes b;

        snprintf(path, sizeof(path), "%s/old%s", scratch(), ending[i]);
        for (size_t n = 1;; n++) {
            struct ob_err e = { 0 };
            int rc, old;

            bytes_write(path, "old text", 8);
            obi_io_fail_at(n);
            rc = ob_model_export(m, path, NULL, &e);
            obi_io_fail_at(0);
            b = bytes_read(path);
            old = b.n == 8;
            free(b.p);
            if (!rc) {
                assert_true(n > 4 && !old);
                break;
            }
            assert_int_equal(rc, OB_EIO);
            assert_true(old || b.n > 1000); /* after the rename it is the new one, whole */
        }
    }
    ob_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_in),
        cmocka_unit_test(no_memory_out),
        cmocka_unit_test(disk_says_no),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
