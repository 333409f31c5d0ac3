/* u_io.c - reading with a limit, unpacking with a limit, writing whole or not at all. */
#include "common.h"

#include <lzma.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/io.h"

static void write_file(const char *path, const void *data, size_t n)
{
    must(ob_file_write(path, data, n, err));
}

/* gzip of data[0..n) in out; its size. */
static size_t gzip(unsigned char *out, size_t room, const void *data, size_t n)
{
    z_stream s = { 0 };

    assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    s.next_in = (Bytef *)(uintptr_t)data;
    s.avail_in = (uInt)n;
    s.next_out = out;
    s.avail_out = (uInt)room;
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    deflateEnd(&s);
    return s.total_out;
}

static size_t xz(unsigned char *out, size_t room, const void *data, size_t n)
{
    size_t at = 0;

    assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, data, n, out, &at, room),
                     LZMA_OK);
    return at;
}

static void reads_what_was_written(void **state)
{
    char path[200], big[200000];
    struct ob_file f;
    struct stat st;

    (void)state;
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 7);
    scratch_file(path, sizeof(path), "big");
    write_file(path, big, sizeof(big));
    must(ob_file_read(&f, path, sizeof(big), false, err));
    assert_int_equal(f.n, sizeof(big));
    assert_memory_equal(f.data, big, sizeof(big));
    ob_file_release(&f);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644 & st.st_mode); /* not the 0600 of mkstemp() */
    assert_true(st.st_mode & 0400);
    write_file(path, "", 0);
    must(ob_file_read(&f, path, 10, false, err));
    assert_int_equal(f.n, 0);
    ob_file_release(&f);
}

static void refuses_what_it_should(void **state)
{
    char path[200];
    struct ob_file f;

    (void)state;
    scratch_file(path, sizeof(path), "ten");
    write_file(path, "0123456789", 10);
    must_fail(ob_file_read(&f, path, 9, false, err), OB_EFORMAT, "too large");
    assert_null(f.data);
    must_fail(ob_file_read(&f, scratch(), 9, false, err), OB_EFORMAT, "a folder");
    must_fail(ob_file_read(&f, "/dev/zero", 9, false, err), OB_EFORMAT, "not a regular file");
    scratch_file(path, sizeof(path), "missing");
    must_fail(ob_file_read(&f, path, 9, false, err), OB_ENOTFOUND, "No such file");
    must_fail(ob_file_read_any(&f, path, 9, err), OB_ENOTFOUND, "nor .xz");
}

static void check_packed(const char *name, const unsigned char *packed, size_t n, const char *text,
                         size_t n_text)
{
    char path[200];
    struct ob_file f;
    unsigned char two[4096] = { 0 };

    scratch_file(path, sizeof(path), name);
    write_file(path, packed, n);
    must(ob_file_read(&f, path, n_text, true, err));
    assert_int_equal(f.n, n_text);
    assert_memory_equal(f.data, text, n_text);
    ob_file_release(&f);
    must_fail(ob_file_read(&f, path, n_text - 1, true, err), OB_EFORMAT, "unpacks to more than");
    must(ob_file_read(&f, path, n_text, false, err)); /* as it is */
    assert_int_equal(f.n, n);
    ob_file_release(&f);
    for (size_t cut = 0; cut < n; cut++) {
        write_file(path, packed, cut);
        must_fail(ob_file_read(&f, path, 1 << 20, true, err), OB_EFORMAT, name);
    }
    memcpy(two, packed, n);
    memcpy(two + n, packed, n);
    write_file(path, two, 2 * n); /* two members are one stream */
    must(ob_file_read(&f, path, 2 * n_text, true, err));
    assert_int_equal(f.n, 2 * n_text);
    assert_memory_equal(f.data + n_text, text, n_text);
    ob_file_release(&f);
    two[n] = 'x'; /* rubbish behind the end */
    write_file(path, two, n + 1);
    must_fail(ob_file_read(&f, path, 1 << 20, true, err), OB_EFORMAT, name);
    write_file(path, two, n + 12);
    must_fail(ob_file_read(&f, path, 1 << 20, true, err), OB_EFORMAT, name);
}

static void unpacks(void **state)
{
    static char text[50000]; /* packs to less than a hundredth */
    unsigned char packed[2048];

    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text + 300, "something else", 14);
    check_packed("t.gz", packed, gzip(packed, sizeof(packed), text, sizeof(text)), text,
                 sizeof(text));
    check_packed("t.xz", packed, xz(packed, sizeof(packed), text, sizeof(text)), text,
                 sizeof(text));
}

static void finds_the_packed_one(void **state)
{
    unsigned char packed[200];
    char path[200], plain[200];
    struct ob_file f;

    (void)state;
    scratch_file(path, sizeof(path), "any.xz");
    write_file(path, packed, xz(packed, sizeof(packed), "hello", 5));
    scratch_file(plain, sizeof(plain), "any");
    must(ob_file_read_any(&f, plain, 1000, err));
    assert_int_equal(f.n, 5);
    assert_string_equal(f.path, path);
    ob_file_release(&f);
    write_file(plain, "plain!", 6); /* goes first */
    must(ob_file_read_any(&f, plain, 1000, err));
    assert_int_equal(f.n, 6);
    ob_file_release(&f);
}

static void takes_within_bounds(void **state)
{
    const unsigned char bytes[] = { 1, 2, 3, 4, 5, 6, 7 }, *p;
    struct ob_reader r = { bytes, 7, 0 };
    uint16_t a;
    uint32_t b;
    uint64_t c;

    (void)state;
    assert_false(ob_take_u64le(&r, &c));
    assert_int_equal(r.left, 7);
    assert_true(ob_take_u16le(&r, &a));
    assert_int_equal(a, 0x0201);
    assert_true(ob_take_u32be(&r, &b));
    assert_int_equal(b, 0x03040506);
    assert_false(ob_take_u16le(&r, &a));
    assert_false(ob_take(&r, &p, 2));
    assert_true(ob_take(&r, &p, 1));
    assert_int_equal(*p, 7);
    assert_int_equal(r.pos, 7);
    assert_false(ob_take_u32le(&r, &b));
    r = (struct ob_reader){ (const unsigned char *)"\1\0\0\0\2\0\0\0", 8, 0 };
    assert_true(ob_take_u64le(&r, &c));
    assert_true(c == 0x200000001);
}

static void writer(void **state)
{
    char path[200], long_text[2000];
    struct ob_writer *w;
    struct ob_file f;
    int before;

    (void)state;
    memset(long_text, 'z', sizeof(long_text));
    long_text[1999] = 0;
    scratch_file(path, sizeof(path), "w");
    must(ob_writer_open(&w, path, err));
    assert_false(ob_file_exists(path)); /* nothing until it is whole */
    ob_write_u64le(w, 0x0102030405060708);
    ob_writef(w, "%s %d", long_text, 7);
    assert_int_equal(ob_writer_pos(w), 8 + 1999 + 2);
    must(ob_writer_commit(w, err));
    must(ob_file_read(&f, path, 5000, false, err));
    assert_int_equal(f.n, 2009);
    assert_memory_equal(f.data, "\x8\x7\x6\x5\x4\x3\x2\x1zz", 10);
    assert_memory_equal(f.data + 2006, "z 7", 3);
    ob_file_release(&f);

    before = scratch_count();
    must(ob_writer_open(&w, path, err));
    ob_write(w, "new", 3);
    ob_writer_drop(w);
    assert_int_equal(scratch_count(), before);
    must(ob_file_read(&f, path, 5000, false, err));
    assert_int_equal(f.n, 2009);
    ob_file_release(&f);
    ob_writer_drop(NULL);

    must_fail(ob_writer_open(&w, scratch(), err), OB_EIO, "folder");
    must_fail(ob_writer_open(&w, "/dev/null", err), OB_EIO, "not a regular file");
    scratch_file(path, sizeof(path), "no/such/place");
    must_fail(ob_writer_open(&w, path, err), OB_EIO, "cannot write");
    assert_null(w);
    must_fail(ob_file_write("/dev/full/x", "x", 1, err), OB_EIO, "cannot write");
}

/* What a link leads to is written, the link stays; one that leads nowhere is replaced. */
static void follows_links(void **state)
{
    char file[200], link[200], nowhere[200];
    struct stat st;
    struct ob_file f;

    (void)state;
    scratch_file(file, sizeof(file), "linked");
    scratch_file(link, sizeof(link), "link");
    scratch_file(nowhere, sizeof(nowhere), "nowhere");
    write_file(file, "old", 3);
    assert_int_equal(symlink("linked", link), 0);
    assert_int_equal(symlink("not-there", nowhere), 0);
    must(ob_file_write(link, "newer", 5, err));
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    must(ob_file_read(&f, file, 100, false, err));
    assert_int_equal(f.n, 5);
    assert_memory_equal(f.data, "newer", 5);
    ob_file_release(&f);
    must(ob_file_write(nowhere, "x", 1, err));
    assert_int_equal(lstat(nowhere, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    unlink(link);
    unlink(file);
    unlink(nowhere);
}

static void folders_and_removal(void **state)
{
    char path[200];

    (void)state;
    scratch_file(path, sizeof(path), "folder");
    must(ob_mkdir(path, err));
    must(ob_mkdir(path, err));
    scratch_file(path, sizeof(path), "folder/file");
    write_file(path, "x", 1);
    must_fail(ob_mkdir(path, err), OB_EIO, "cannot make folder");
    must(ob_file_remove(path, err));
    must(ob_file_remove(path, err));
    must_fail(ob_file_remove(scratch(), err), OB_EIO, "cannot remove");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(refuses_what_it_should),
        cmocka_unit_test(unpacks),
        cmocka_unit_test(finds_the_packed_one),
        cmocka_unit_test(takes_within_bounds),
        cmocka_unit_test(writer),
        cmocka_unit_test(follows_links),
        cmocka_unit_test(folders_and_removal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
