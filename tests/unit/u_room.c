/* u_room.c - how much memory is free: what files of Linux say, by made-up ones; what is refused. */
#include "bytes.h"

#include <sys/stat.h>

#include "base/dir.h"
#include "base/room.h"

#define KB ((size_t)1024)

static const char *tree; /* the root of this test's files */

static void begin(const char *name)
{
    static char path[200];

    tree = scratch_file(path, sizeof(path), name);
}

static void say(const char *name, const char *text)
{
    char path[400], *slash;

    snprintf(path, sizeof(path), "%s/%s", tree, name);
    slash = strrchr(path, '/');
    *slash = 0;
    must(ob_mkdirs(path, err));
    *slash = '/';
    bytes_write(path, text, strlen(text));
}

static void check(size_t want)
{
    size_t found;

    assert_true(ob_room_free(&found, tree));
    assert_int_equal(found, want);
}

static void nothing_known(void **state)
{
    size_t found;

    (void)state;
    begin("empty");
    assert_false(ob_room_free(&found, tree));
    say("proc/meminfo", "MemTotal: 5 kB\nMemAvailableNot: 7 kB\n");
    assert_false(ob_room_free(&found, tree));
    say("proc/meminfo", "MemAvailable: kB\n");
    assert_false(ob_room_free(&found, tree));
    say("proc/self/cgroup", "rubbish\n::\n:\n0::");
    assert_false(ob_room_free(&found, tree));
}

static void meminfo(void **state)
{
    (void)state;
    begin("plain");
    say("proc/meminfo",
        "MemTotal:       24683600 kB\nMemFree:         5 kB\nMemAvailable:   2000 kB\n");
    check(2000 * KB);
    say("proc/self/cgroup", "0::/\n");
    check(2000 * KB);
}

static void second_version(void **state)
{
    (void)state;
    begin("v2");
    say("proc/meminfo", "MemAvailable: 1000000 kB\n");
    say("proc/self/cgroup", "0::/user.slice/me\n");
    say("sys/fs/cgroup/user.slice/me/memory.max", "max\n");
    say("sys/fs/cgroup/user.slice/me/memory.current", "4096\n");
    check(1000000 * KB);
    say("sys/fs/cgroup/user.slice/memory.max", "1048576\n"); /* the group above has the limit */
    say("sys/fs/cgroup/user.slice/memory.current", "548576\n");
    check(500000);
    say("sys/fs/cgroup/user.slice/memory.stat",
        "anon 5\nfile 9\ninactive_file 1000\nactive_file 24\nslab 3\n");
    check(501024);
    say("sys/fs/cgroup/user.slice/me/memory.max", "4000");
    check(0);
    say("sys/fs/cgroup/user.slice/me/memory.max", "5000");
    check(904);
}

/* Inside of a container the path is one of the host's; its root is what can be seen. */
static void container(void **state)
{
    (void)state;
    begin("container");
    say("proc/meminfo", "MemAvailable: 1000 kB\n");
    say("proc/self/cgroup", "0::/docker/0123\n");
    say("sys/fs/cgroup/memory.max", "300000\n");
    say("sys/fs/cgroup/memory.current", "100000\n");
    check(200000);
}

static void first_version(void **state)
{
    (void)state;
    begin("v1");
    say("proc/meminfo", "MemAvailable: 1000 kB\n");
    say("proc/self/cgroup", "12:cpu,cpuacct:/a\n9:memory:/a/b\n1:name=systemd:/memory\n");
    say("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    say("sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "1000\n");
    check(1000 * KB);
    say("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "70000\n");
    say("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "20000\n");
    say("sys/fs/cgroup/memory/a/memory.stat",
        "inactive_file 1\ntotal_inactive_file 5000\ntotal_active_file 1000\n");
    check(56000);
}

static void in_words(void **state)
{
    char text[24];

    (void)state;
    assert_string_equal(ob_room_text(text, 0), "0 B");
    assert_string_equal(ob_room_text(text, 1023), "1023 B");
    assert_string_equal(ob_room_text(text, 1024), "1.0 KiB");
    assert_string_equal(ob_room_text(text, 1048575), "1.0 MiB");
    assert_string_equal(ob_room_text(text, (size_t)3 << 29), "1.5 GiB");
    assert_string_equal(ob_room_text(text, SIZE_MAX), "16.0 EiB");
}

static void refused(void **state)
{
    struct ob_ctx ctx = { .n_threads = 1 };

    (void)state;
    must(ob_room_check(NULL, SIZE_MAX, "work", NULL, "do", err)); /* nothing is known */
    must(ob_room_check(&ctx, 1, "work", NULL, "do", err));
    must_fail(ob_room_check(&ctx, SIZE_MAX, "work", NULL, "do", err), OB_ENOMEM,
              "work needs about 16.0 EiB of memory, ");
    ctx.opts.memory = SIZE_MAX;
    must(ob_room_check(&ctx, SIZE_MAX, "work", NULL, "do", err));
    ctx.opts.memory = 1; /* less than is taken already */
    must_fail(ob_room_check(&ctx, 1 << 20, "work", "of all kinds", "do", err), OB_ENOMEM,
              "work needs about 1.0 MiB of memory (of all kinds), 0 B are free; do");
    must(ob_room_check(&ctx, 0, "work", NULL, "do", err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_known),  cmocka_unit_test(meminfo),
        cmocka_unit_test(second_version), cmocka_unit_test(container),
        cmocka_unit_test(first_version),  cmocka_unit_test(in_words),
        cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
