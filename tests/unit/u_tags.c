/* u_tags.c - groups and second labels from text and arrays: what is taken, and how what is wrong is named. */
#include "common.h"

#include <unistd.h>

#include "base/mem.h"
#include "base/npy.h"

static const char *file_of(const char *text)
{
    static char path[200];

    must(ob_file_write(scratch_file(path, sizeof(path), "tags.txt"), text, strlen(text), err));
    return path;
}

static void labels_of(const char *path, int32_t a, int32_t b, int32_t c)
{
    int32_t *label;

    must(ob_labels_read(&label, path, 3, 4, err));
    assert_int_equal(label[0], a);
    assert_int_equal(label[1], b);
    assert_int_equal(label[2], c);
    ob_free(label);
}

static void labels(void **state)
{
    static const struct {
        const char *text, *word;
    } bad[] = {
        { "0\n1\n", "2 lines" },
        { "0\n1\n2\n3\n", "4 lines" },
        { "", "0 lines" },
        { "0\n4\n1\n", "line 2: '4' is no label: 0 to 3" },
        { "0\n1\n-2\n", "line 3: '-2'" },
        { "0\n1 2\n1\n", "line 2: '1 2'" },
        { "0\n1\n99999999999999999999999999999999\n", "line 3: '999999999999999999999999'" },
    };

    (void)state;
    labels_of(file_of("0\n3\n2\n"), 0, 3, 2);
    labels_of(file_of("0\r\n\r\n-1"), 0, -1, -1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int32_t *label;

        must_fail(ob_labels_read(&label, file_of(bad[i].text), 3, 4, err), OB_EFORMAT, bad[i].word);
        assert_null(label);
    }
}

static void arrays(void **state)
{
    static const uint8_t one[] = { 3, 0, 1 };
    static const int64_t two[] = { 7, -1, 7 };
    const struct ob_npz_item item[] = { { "one", "|u1", { 3 }, 1, one },
                                        { "two", "<i8", { 3 }, 1, two },
                                        { "flat", "<i8", { 3, 1 }, 2, two } };
    char path[200], in[300];
    struct ob_groups *g;
    int32_t *label;

    (void)state;
    must(ob_npy_write(scratch_file(path, sizeof(path), "a.npy"), "|u1", (size_t[]){ 3 }, 1, one,
                      err));
    labels_of(path, 3, 0, 1);
    must_fail(ob_labels_read(&label, path, 4, 4, err), OB_EFORMAT, "3 entries");
    must_fail(ob_labels_read(&label, path, 3, 3, err), OB_EFORMAT, "entry 0: '3'");
    must(ob_npz_write(scratch_file(path, sizeof(path), "a.npz"), item, 3, err));
    snprintf(in, sizeof(in), "%s:one", path);
    labels_of(in, 3, 0, 1);
    snprintf(in, sizeof(in), "%s:two", path);
    must(ob_groups_read(&g, in, 3, err)); /* below 0: none */
    assert_int_equal(ob_groups_n(g), 1);
    assert_string_equal(ob_groups_name(g, 0), "7");
    assert_int_equal(ob_groups_of(g, 1), -1);
    assert_int_equal(ob_groups_of(g, 2), 0);
    assert_int_equal(ob_groups_of(g, 3), -1);
    ob_groups_free(g);
    snprintf(in, sizeof(in), "%s:three", path);
    must_fail(ob_labels_read(&label, in, 3, 4, err), OB_EFORMAT, "no array 'three'");
    snprintf(in, sizeof(in), "%s:flat", path);
    must_fail(ob_labels_read(&label, in, 3, 4, err), OB_EFORMAT, "2 dimensions");
    must_fail(ob_groups_read(&g, "/nowhere/x.npz:a", 3, err), OB_ENOTFOUND, "x.npz");
    must_fail(ob_groups_read(&g, "/nowhere/x", 3, err), OB_ENOTFOUND, "/nowhere/x");
}

static void groups(void **state)
{
    char name[80] = "", text[200];
    struct ob_groups *g;

    (void)state;
    must_fail(ob_groups_read(&g, file_of("a\n\x01\nb"), 3, err), OB_EFORMAT, "line 2: no name");
    must_fail(ob_groups_read(&g, file_of("\n\n\n"), 3, err), OB_EFORMAT, "no example has a group");
    memset(name, 'x', 63);
    snprintf(text, sizeof(text), "%s\n%.62s\n%s", name, name, name); /* one is the other's start */
    must(ob_groups_read(&g, file_of(text), 3, err));
    assert_int_equal(ob_groups_n(g), 2);
    assert_int_equal(ob_groups_find(g, name), 1);
    assert_int_equal(ob_groups_of(g, 1), 0);
    ob_groups_free(g);
    name[63] = 'x';
    snprintf(text, sizeof(text), "a\nb\n%s", name);
    must_fail(ob_groups_read(&g, file_of(text), 3, err), OB_EFORMAT, "line 3: the name is longer");
    assert_null(g);
}

static void no_memory(void **state)
{
    const char *path = file_of("a\nb\na\n");
    struct ob_groups *g;
    size_t n;

    (void)state;
    for (n = 1; n < 100; n++) {
        obi_mem_fail_at(n);
        if (!ob_groups_read(&g, path, 3, NULL))
            break;
        assert_null(g);
    }
    obi_mem_fail_at(0);
    assert_in_range(n, 4, 20);
    ob_groups_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels),
        cmocka_unit_test(arrays),
        cmocka_unit_test(groups),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
