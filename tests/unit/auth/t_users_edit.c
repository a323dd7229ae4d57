/* t_users_edit.c - changing the users file: other octets stay, a crash at any point leaves a whole file.
 *
 * Proves: R5802-16
 * Does not know: the server that reads the file.
 */
#include "auth/users.h"

#include "auth/password.h"
#include "auth_help.h"
#include "base/sys.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS1 "4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE="

static char folder[64], path[96];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/restante-edit-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/users", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char lock[128];

    (void)state;
    snprintf(lock, sizeof lock, "%s.lock", path);
    unlink(lock);
    unlink(path);
    return rmdir(folder); /* fails the test when a temporary file was left */
}

static void put_file(const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(sys_write_all(fd, span_str(text)));
    close(fd);
}

static void expect_file(const char *want)
{
    static char got[65536];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, got, sizeof got - 1);

    close(fd);
    assert_true(n >= 0);
    got[n] = '\0';
    assert_string_equal(got, want);
}

static enum fault edit(enum users_change change, const struct users_entry *entry)
{
    struct err e = { FAULT_NONE, "" };

    return users_edit(path, change, entry, &e) ? FAULT_NONE : e.fault;
}

static enum fault simple(enum users_change change, const char *name, const char *password)
{
    struct users_entry entry;

    users_entry_init(&entry);
    entry.name = name;
    entry.password = password;
    return edit(change, &entry);
}

static void a_life(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(simple(USERS_DISABLE, "bob", NULL), FAULT_GONE); /* no file yet */
    assert_int_equal(simple(USERS_ADD, "bob", "{PLAIN}a"), FAULT_NONE);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    expect_file("bob:{PLAIN}a\n");
    assert_int_equal(simple(USERS_ADD, "ann", "{PLAIN}b"), FAULT_NONE);
    assert_int_equal(simple(USERS_ADD, "bob", "{PLAIN}c"), FAULT_IN_USE);
    assert_int_equal(simple(USERS_PASSWD, "bob", "{PLAIN}d"), FAULT_NONE);
    assert_int_equal(simple(USERS_DISABLE, "ann", NULL), FAULT_NONE);
    expect_file("bob:{PLAIN}d\nann:{PLAIN}b::::::disabled\n");
    assert_int_equal(simple(USERS_DISABLE, "ann", NULL), FAULT_NONE); /* twice is once */
    expect_file("bob:{PLAIN}d\nann:{PLAIN}b::::::disabled\n");
    assert_int_equal(simple(USERS_ENABLE, "ann", NULL), FAULT_NONE);
    expect_file("bob:{PLAIN}d\nann:{PLAIN}b\n");
    assert_int_equal(simple(USERS_DELETE, "bob", NULL), FAULT_NONE);
    assert_int_equal(simple(USERS_DELETE, "bob", NULL), FAULT_GONE);
    expect_file("ann:{PLAIN}b\n");
    assert_int_equal(simple(USERS_DELETE, "ann", NULL), FAULT_NONE);
    expect_file("");
}

static void other_octets_stay(void **state)
{
    (void)state;
    put_file("# \xff comment: with colon\r\n\n  \nbroken line\njoe:{X}y:1:2::/h::a=b  c=d   nologin=why\n"
             "bob:{PLAIN}a:5:6:Bob Smith:/home/bob:/bin/sh:x=1  disabled   y=2 scram-sha-1=" KEYS1 "\r\n#end");
    assert_int_equal(simple(USERS_ENABLE, "bob", NULL), FAULT_NONE);
    assert_int_equal(simple(USERS_PASSWD, "bob", "{PLAIN}new"), FAULT_NONE);
    assert_int_equal(simple(USERS_ENABLE, "joe", NULL), FAULT_NONE);
    assert_int_equal(simple(USERS_ADD, "max", "{PLAIN}m"), FAULT_NONE);
    expect_file("# \xff comment: with colon\r\n\n  \nbroken line\njoe:{X}y:1:2::/h::a=b c=d\n"
                "bob:{PLAIN}new:5:6:Bob Smith:/home/bob:/bin/sh:x=1 y=2\r\n#end\nmax:{PLAIN}m\n");
}

static void a_whole_entry(void **state)
{
    struct users_entry entry;
    const struct users_entry *got;
    struct users *t = NULL;

    (void)state;
    users_entry_init(&entry);
    entry = (struct users_entry){
        .name = "bob",
        .password = "{PLAIN}a",
        .uid = 5,
        .gid = 6,
        .home = "/home/bob",
        .mail = "/m/bob",
        .scram = {NULL, KEYS1},
        .cert = "sha256:"
                "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        .allow_nets = "::1,192.0.2.0/24",
        .flags = USERS_REQUIRE_TLS | USERS_READ_ONLY,
        .expire_days = 3,
        .login_delay_s = USERS_NUMBER_NONE
    };
    assert_int_equal(edit(USERS_ADD, &entry), FAULT_NONE);
    assert_true(users_load(path, &t, NULL));
    got = users_at(t, 0);
    assert_int_equal(got->uid, 5);
    assert_string_equal(got->home, "/home/bob");
    assert_string_equal(got->mail, "/m/bob");
    assert_string_equal(got->scram[SCRAM_SHA_1], KEYS1);
    assert_string_equal(got->cert, entry.cert);
    assert_string_equal(got->allow_nets, entry.allow_nets);
    assert_int_equal(got->flags, entry.flags);
    assert_int_equal(got->expire_days, 3);
    assert_int_equal(got->login_delay_s, USERS_NUMBER_NONE);
    users_free(&t);
}

static void names_in_any_form(void **state)
{
    (void)state;
    put_file("I\xc2\xadX:{PLAIN}a\n");
    assert_int_equal(simple(USERS_ADD, "IX", "{PLAIN}b"), FAULT_IN_USE); /* SASLprep makes them one */
    assert_int_equal(simple(USERS_PASSWD, "IX", "{PLAIN}b"), FAULT_NONE);
    expect_file("I\xc2\xadX:{PLAIN}b\n");
}

/* What would break out of its field is refused, and nothing is changed. */
static void hostile_values(void **state)
{
    static const char *const names[] = { "", "a:b", "a\nb", "a\rb", "a\tb", "#a", " a", "\x01", "a\x7f" };
    static const char *const passwords[] = { "{PLAIN}a:0:0", "{PLAIN}a\nroot:{PLAIN}x", "{PLAIN}\r" };
    struct users_entry entry;

    (void)state;
    put_file("bob:{PLAIN}a\n");
    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(simple(USERS_ADD, names[i], "{PLAIN}x"), FAULT_BAD);
    for (size_t i = 0; i < COUNT(passwords); i++) {
        assert_int_equal(simple(USERS_ADD, "ann", passwords[i]), FAULT_BAD);
        assert_int_equal(simple(USERS_PASSWD, "bob", passwords[i]), FAULT_BAD);
    }
    assert_int_equal(simple(USERS_PASSWD, "bob", NULL), FAULT_BAD);
    users_entry_init(&entry);
    entry.name = "ann";
    entry.mail = "/m disabled";
    assert_int_equal(edit(USERS_ADD, &entry), FAULT_BAD);
    entry.mail = "/m:INBOX=/etc";
    assert_int_equal(edit(USERS_ADD, &entry), FAULT_BAD);
    entry.mail = "/m/../x";
    assert_int_equal(edit(USERS_ADD, &entry), FAULT_BAD);
    entry.mail = NULL;
    entry.home = "/h:/bin/sh:read_only";
    assert_int_equal(edit(USERS_ADD, &entry), FAULT_BAD);
    entry.home = NULL;
    entry.allow_nets = "::1 read_only";
    assert_int_equal(edit(USERS_ADD, &entry), FAULT_BAD);
    entry.allow_nets = NULL;
    entry.cert = "a@b disabled";
    assert_int_equal(edit(USERS_ADD, &entry), FAULT_BAD);
    expect_file("bob:{PLAIN}a\n");
}

static void owner_mode_and_links(void **state)
{
    char link[128], lock[140];
    struct users_entry entry;
    struct stat st;

    (void)state;
    put_file("bob:{PLAIN}a\n");
    assert_int_equal(chmod(path, 0664), 0);
    assert_int_equal(simple(USERS_PASSWD, "bob", "{PLAIN}b"), FAULT_NONE);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640); /* the group may read on; others and writing go */
    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(symlink("users", link), 0);
    users_entry_init(&entry);
    entry.name = "bob";
    entry.password = "{PLAIN}c";
    assert_true(users_edit(link, USERS_PASSWD, &entry, NULL));
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    expect_file("bob:{PLAIN}c\n");
    snprintf(lock, sizeof lock, "%s.lock", link);
    assert_int_not_equal(access(lock, F_OK), 0);
    unlink(link);
}

static void one_change_at_a_time(void **state)
{
    char lock[128];
    int fd;

    (void)state;
    put_file("bob:{PLAIN}a\n");
    snprintf(lock, sizeof lock, "%s.lock", path);
    fd = open(lock, O_RDWR | O_CREAT, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(simple(USERS_PASSWD, "bob", "{PLAIN}b"), FAULT_IN_USE);
    close(fd);
    assert_int_equal(simple(USERS_PASSWD, "bob", "{PLAIN}b"), FAULT_NONE);
}

/* The calls that are counted: the n-th fails, or the process ends in its stead. */
static struct {
    long calls, fail_at, crash_at;
} shim;

static bool trip(void)
{
    shim.calls++;
    if (shim.calls == shim.crash_at)
        _exit(0);
    if (shim.calls == shim.fail_at) {
        errno = ENOSPC;
        return true;
    }
    return false;
}

static int shim_openat(int dir, const char *name, int flags, mode_t mode)
{
    return trip() ? -1 : openat(dir, name, flags, mode);
}

static ssize_t shim_write(int fd, const void *p, size_t n)
{
    if (trip()) {
        ssize_t done = write(fd, p, n / 2); /* a full disk takes a part */

        (void)done;
        errno = ENOSPC;
        return -1;
    }
    return write(fd, p, n);
}

static ssize_t shim_read(int fd, void *p, size_t n)
{
    return trip() ? -1 : read(fd, p, n);
}

static int shim_fsync(int fd)
{
    return trip() ? -1 : fsync(fd);
}

static int shim_renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    return trip() ? -1 : renameat2(a, from, b, to, flags);
}

static struct sys_ops shimmed(void)
{
    struct sys_ops ops = sys_real;

    ops.openat = shim_openat;
    ops.write = shim_write;
    ops.read = shim_read;
    ops.fsync = shim_fsync;
    ops.renameat2 = shim_renameat2;
    return ops;
}

static bool file_is(const char *want)
{
    char got[256];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, got, sizeof got);

    close(fd);
    return n == (ssize_t)strlen(want) && memcmp(got, want, (size_t)n) == 0;
}

/* Each call fails in turn: the change is not made, or it is and only its durability is in doubt; never a half
 * file, never a temporary one left. */
static void every_call_fails(void **state)
{
    static const char before[] = "ann:{PLAIN}b\nbob:{PLAIN}a\n", after[] = "ann:{PLAIN}b\nbob:{PLAIN}new\n";
    struct sys_ops ops = shimmed();
    bool done = false;

    (void)state;
    for (long n = 1; !done; n++) {
        enum fault fault;

        put_file(before);
        shim.calls = 0;
        shim.crash_at = 0;
        shim.fail_at = n;
        sys = &ops;
        fault = simple(USERS_PASSWD, "bob", "{PLAIN}new");
        sys = &sys_real;
        done = shim.calls < n;
        if (done)
            assert_int_equal(fault, FAULT_NONE);
        else
            assert_int_not_equal(fault, FAULT_NONE);
        assert_true(file_is(after) || (!done && file_is(before)));
        assert_true(n < 100);
    }
}

/* The process ends before each call in turn: the file is the old or the new one, and the next change works. */
static void a_crash_at_every_call(void **state)
{
    static const char before[] = "ann:{PLAIN}b\nbob:{PLAIN}a\n", after[] = "ann:{PLAIN}b\nbob:{PLAIN}new\n";
    struct sys_ops ops = shimmed();
    int status = 1;

    (void)state;
    for (long n = 1; status != 0x0200; n++) {
        pid_t pid;

        put_file(before);
        shim.calls = 0;
        shim.fail_at = 0;
        shim.crash_at = n;
        pid = fork();
        if (pid == 0) {
            sys = &ops;
            _exit(simple(USERS_PASSWD, "bob", "{PLAIN}new") == FAULT_NONE ? 2 : 3);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_not_equal(status, 0x0300);
        assert_true(file_is(before) || file_is(after));
        assert_int_equal(simple(USERS_PASSWD, "bob", "{PLAIN}new"), FAULT_NONE);
        assert_true(file_is(after));
        assert_true(n < 100);
    }
}

static int remove_folder_with_orphans(void **state)
{
    /* A crash between making and renaming the temporary file leaves it: it is a copy that nobody reads. */
    char pattern[128];
    pid_t pid = fork();

    snprintf(pattern, sizeof pattern, "%s", folder);
    if (pid == 0) {
        execlp("rm", "rm", "-r", pattern, (char *)NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
    (void)state;
    return 0;
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_life),
        IN_FOLDER(other_octets_stay),
        IN_FOLDER(a_whole_entry),
        IN_FOLDER(names_in_any_form),
        IN_FOLDER(hostile_values),
        IN_FOLDER(owner_mode_and_links),
        IN_FOLDER(one_change_at_a_time),
        IN_FOLDER(every_call_fails),
        cmocka_unit_test_setup_teardown(a_crash_at_every_call, make_folder, remove_folder_with_orphans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
