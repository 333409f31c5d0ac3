/* images.c - the n-th allocation fails while a folder of pictures or an archive is read, with a
 * cache and without: OB_ENOMEM, nothing leaks (the sanitizer looks), and what comes after is right. */
#include "pictures.h"

#include "base/mem.h"
#include "data/data.h"

static int open_once(const char *spec, const char *cache, char hash[65], struct ob_err *err)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    struct ob_ctx *ctx;
    struct ob_data *d;
    int rc;

    o.cache = cache;
    o.n_threads = 1;
    OB_TRY(ob_ctx_new(&ctx, &o, err));
    rc = ob_data_open(&d, ctx, spec, err);
    if (!rc)
        memcpy(hash, ob_data_info(d)->hash, 65);
    ob_data_free(d);
    ob_ctx_free(ctx);
    return rc;
}

/* How many allocations could fail. A cache that has no memory is none: then all goes well. */
static int break_memory(const char *spec, const char *cache)
{
    char want[65], hash[65];
    int refused = 0;

    must(open_once(spec, NULL, want, err));
    for (size_t n = 1; n < 10000; n++) {
        struct ob_err e = { 0 };
        int rc;

        obi_mem_fail_at(n);
        rc = open_once(spec, cache, hash, &e);
        obi_mem_fail_at(0);
        if (rc) {
            assert_int_equal(rc, OB_ENOMEM);
            assert_int_equal(e.code, OB_ENOMEM);
            refused++;
        } else {
            assert_string_equal(hash, want);
            if ((int)n > refused + 40) /* none was left to fail */
                return refused;
        }
    }
    return refused;
}

static void no_memory(void **state)
{
    char dir[200], spec[300], cache[200];

    (void)state;
    make_images(dir, sizeof(dir), "images", 3);
    snprintf(spec, sizeof(spec), "images:%s", dir);
    scratch_file(cache, sizeof(cache), "cache");
    assert_true(break_memory(spec, NULL) > 100);
    assert_true(break_memory(spec, cache) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(no_memory) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
