/*
 * safetensors.c - a small model file, cut at every length and with every byte flipped: refused
 * with a message, or the same weights; never a crash, never other weights.
 */
#include "bytes.h"
#include "nn/model.h"

static struct ob_ctx ctx;

static const unsigned char flips[] = { 1, 32, 255 };

struct sample {
    struct bytes file;
    char path[128], digest[65];
};

static void make(struct sample *s, int bare)
{
    struct ob_model *m;

    scratch_file(s->path, sizeof(s->path), "m.safetensors");
    must(ob_model_new(&m, &ctx, "mlp,width=0.03125", 1, 8, 8, 2, 1, err));
    must(ob_model_set_meta(m, "seed", "1", err));
    must(ob_model_digest(m, s->digest, err));
    must(ob_model_save(m, s->path, err));
    s->file = bytes_read(s->path);
    if (bare) { /* nothing known but the tensors: the metadata becomes spaces */
        char *begin = strstr((char *)s->file.p + 8, "\"__metadata__\""), *end;

        end = strstr(begin, "},");
        memset(begin, ' ', (size_t)(end + 2 - begin));
    }
    ob_model_free(m);
}

/* Returns 1 where the file was taken. */
static int check(const struct sample *s, size_t n, const char *what, size_t at, int any_weights)
{
    struct ob_err e = { 0 };
    struct ob_model *m;
    char digest[65];
    int rc;

    bytes_write(s->path, s->file.p, n);
    rc = ob_model_load(&m, &ctx, s->path, NULL, &e);
    if (rc) {
        if (m || !strlen(e.msg) || strchr(e.msg, '\n'))
            fail_msg("%s at byte %zu: status %d, message '%s'", what, at, rc, e.msg);
        if (rc != OB_EFORMAT && rc != OB_EINVAL && rc != OB_EVERSION)
            fail_msg("%s at byte %zu: status %d, %s", what, at, rc, e.msg);
        return 0;
    }
    must(ob_model_digest(m, digest, err));
    if (!any_weights && strcmp(digest, s->digest))
        fail_msg("%s at byte %zu: taken, with other weights", what, at);
    ob_model_free(m);
    return 1;
}

static void cut(void **state)
{
    struct sample s;

    (void)state;
    make(&s, 0);
    assert_int_equal(check(&s, s.file.n, "whole", 0, 0), 1);
    for (size_t n = 0; n < s.file.n; n++)
        if (check(&s, n, "cut", n, 0))
            fail_msg("cut to %zu of %zu bytes, and taken", n, s.file.n);
    free(s.file.p);
}

static void flip(int bare)
{
    struct sample s;

    make(&s, bare);
    assert_int_equal(check(&s, s.file.n, "whole", 0, 0), 1);
    for (size_t i = 0; i < s.file.n; i++)
        for (size_t k = 0; k < sizeof(flips); k++) {
            s.file.p[i] ^= flips[k];
            check(&s, s.file.n, "flip", i, bare);
            s.file.p[i] ^= flips[k];
        }
    free(s.file.p);
}

static void flipped(void **state)
{
    (void)state;
    flip(0);
}

/* Without a digest other weights cannot be seen, but nothing may crash. */
static void flipped_bare(void **state)
{
    (void)state;
    flip(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut),
        cmocka_unit_test(flipped),
        cmocka_unit_test(flipped_bare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
