/* u_zip.c - archives: written on boundaries, read back, small and large ends, deflated entries. */
#include "base/mem.h"
#include "base/zip.h"
#include "ptfile.h"

static char path[128];

static int setup(void **state)
{
    (void)state;
    scratch_file(path, sizeof(path), "a.zip");
    return 0;
}

static void parse(struct ob_zip *z, const struct bytes *b, size_t max)
{
    must(ob_zip_parse(z, b->p, b->n, "a.zip", "an archive", max, err));
}

static void same(struct ob_zip *z, const char *name, const void *data, size_t n)
{
    struct ob_zip_entry *e = ob_zip_find(z, name, strlen(name));

    assert_non_null(e);
    must(ob_zip_data(z, e, err));
    assert_int_equal(e->size, n);
    assert_memory_equal(e->data, data, n);
}

static void written(void **state)
{
    static const char text[] = "in two parts";
    const struct ob_zip_item item[] = {
        { .name = "a/first", .part = { { text, 5 }, { text + 5, 7 } } },
        { .name = "empty" },
        { .name = "a/second", .part = { { NULL, 0 }, { "x", 1 } } },
    };

    (void)state;
    for (size_t align = 0; align <= 64; align += 32) {
        struct bytes b;
        struct ob_zip z;

        must(ob_zip_write(path, item, 3, align, err));
        b = bytes_read(path);
        parse(&z, &b, 0);
        assert_int_equal(z.n, 3);
        same(&z, "a/first", text, 12);
        same(&z, "empty", "", 0);
        same(&z, "a/second", "x", 1);
        assert_null(ob_zip_find(&z, "a/firs", 6));
        assert_null(ob_zip_find(&z, "a/secone", 8));
        for (size_t i = 0; i < z.n && align; i++)
            assert_int_equal((size_t)(z.entry[i].data - b.p) % align, 0);
        if (!align) /* heads of 30 and 46 bytes, names twice, an end of 22 */
            assert_int_equal(b.n, 3 * 76 + 2 * 20 + 13 + 22);
        ob_zip_release(&z);
        free(b.p);
    }
}

static void unpacked(void **state)
{
    char text[3000];
    const struct part part[] = { { .name = "a", .data = text, .n = sizeof(text), .method = 8 },
                                 { .name = "b", .data = text, .n = sizeof(text), .method = 8 } };
    struct bytes b;
    struct ob_zip z;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * i / 7);
    b = archive(part, 2);
    parse(&z, &b, sizeof(text));
    same(&z, "b", text, sizeof(text));
    same(&z, "b", text, sizeof(text)); /* again costs nothing */
    must_fail(ob_zip_data(&z, &z.entry[0], err), OB_EFORMAT, "'a.zip/a' unpacks to more");
    ob_zip_release(&z);
    free(b.p);
}

/* Puts the two records of zip64 before the end, as PyTorch does; `flip` damages byte `at` of them. */
static struct bytes with_end64(const struct bytes *b, size_t at, unsigned char flip)
{
    const unsigned char *end = b->p + b->n - 22;
    struct bytes out = { 0 }, records = { 0 };
    uint64_t n = end[10], size = end[12] | end[13] << 8, directory = end[16] | end[17] << 8;

    add_le(&records, 0x06064b50, 4);
    add_le(&records, 44, 8);
    add_le(&records, 0, 12); /* versions, disks */
    add_le(&records, n, 8);
    add_le(&records, n, 8);
    add_le(&records, size, 8);
    add_le(&records, directory, 8);
    add_le(&records, 0x07064b50, 4);
    add_le(&records, 0, 4);
    add_le(&records, b->n - 22, 8);
    add_le(&records, 1, 4);
    records.p[at] ^= flip;
    add(&out, b->p, b->n - 22);
    add(&out, records.p, records.n);
    add(&out, end, 22);
    free(records.p);
    return out;
}

static void large_end(void **state)
{
    const struct part part[] = { { .name = "a", .data = "x", .n = 1 },
                                 { .name = "b", .data = "yz", .n = 2 } };
    struct bytes b = archive(part, 2), large;
    struct ob_zip z;

    (void)state;
    large = with_end64(&b, 0, 0);
    parse(&z, &large, 0);
    same(&z, "b", "yz", 2);
    ob_zip_release(&z);
    memset(large.p + large.n - 14, 255, 12); /* the small end leaves everything to the large one */
    parse(&z, &large, 0);
    same(&z, "a", "x", 1);
    ob_zip_release(&z);
    free(large.p);
    for (size_t at = 0; at < 76; at++) { /* sizes and places are believed from nobody */
        struct ob_err e = { 0 };
        int matters = at < 12 || (at >= 24 && at < 60) || (at >= 64 && at < 72);

        large = with_end64(&b, at, 4);
        if (ob_zip_parse(&z, large.p, large.n, "a.zip", "an archive", 0, &e) != OB_OK) {
            assert_int_equal(e.code, OB_EFORMAT);
            if (!matters)
                fail_msg("byte %zu is of no matter, but: %s", at, e.msg);
        } else if (matters) {
            fail_msg("byte %zu is believed", at);
        }
        ob_zip_release(&z);
        free(large.p);
    }
    free(b.p);
}

static void not_an_archive(void **state)
{
    struct bytes b = archive(&(struct part){ .name = "a", .data = "x", .n = 1 }, 1);
    struct ob_zip z;

    (void)state;
    must_fail(ob_zip_parse(&z, b.p, 3, "a.zip", "an archive", 0, err), OB_EFORMAT,
              "'a.zip' is not an archive");
    ob_zip_release(&z);
    must_fail(ob_zip_parse(&z, b.p, b.n - 1, "a.zip", "an archive", 0, err), OB_EFORMAT,
              "cut short: an archive without its directory");
    ob_zip_release(&z);
    free(b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written),
        cmocka_unit_test(unpacked),
        cmocka_unit_test(large_end),
        cmocka_unit_test(not_an_archive),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
