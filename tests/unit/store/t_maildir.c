/* t_maildir.c - Maildirs as they are found in the world: names, kinds of files, other programs at work.
 *
 * Proves: MD-01, MD-06, MD-07, MD-08, MD-09, MD-10, MD-12, MD-13, MD-14, MD-15, MD-16, MD-17, MDPP-02, R1939-SIZE-07,
 * R1939-UIDL-03, R1939-UIDL-04, R1939-UIDL-05, R1939-AUTHZ-04, R1939-AUTHZ-08, R1939-AUTHZ-13, R1939-OPS-01.
 * Does not know: crashes (t_crash.c), failing calls (t_fault.c), movers at work (t_races.c).
 */
#include "store_help.h"

#include "base/sys.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void made_when_missing(void **state)
{
    struct box *box = *state;
    struct drop *drop;
    struct stat st;
    char path[512];

    snprintf(path, sizeof path, "%s/example.org/bob/Maildir", box->root);
    drop = must_open(&store_maildir, path, &plain_policy);
    assert_int_equal(store_maildir.count(drop), 0);
    store_maildir.close(&drop);
    snprintf(path, sizeof path, "%s/example.org/bob/Maildir/cur", box->root);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void paths_are_checked(void **state)
{
    struct box *box = *state;
    static const char *const bad[] = { "", "/", "relative", "/a/../b", "/..", "///" };
    struct drop *drop;
    struct err e;
    char link[512], slash[600];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(store_maildir.open(bad[i], &plain_policy, &drop, &e));
        assert_int_equal(e.fault, FAULT_BAD);
    }
    snprintf(link, sizeof link, "%s/link", box->root);
    assert_int_equal(symlink(box->path, link), 0);
    assert_false(store_maildir.open(link, &plain_policy, &drop, &e));
    assert_int_equal(e.fault, FAULT_PERM);
    snprintf(slash, sizeof slash, "%s//", link); /* a slash at the end would follow the link */
    assert_false(store_maildir.open(slash, &plain_policy, &drop, &e));
    assert_int_equal(e.fault, FAULT_PERM);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink(box->root, link), 0); /* above the maildrop links are the administrator's */
    snprintf(slash, sizeof slash, "%s/Maildir/", link);
    drop = must_open(&store_maildir, slash, &plain_policy);
    store_maildir.close(&drop);
}

static void linked_cur_is_refused(void **state)
{
    struct box *box = *state;
    struct drop *drop;
    struct err e;
    char cur[512], other[512];

    snprintf(other, sizeof other, "%s/other", box->root);
    assert_int_equal(rename(box_join(box, "cur", cur), other), 0);
    assert_int_equal(symlink(other, cur), 0);
    assert_false(store_maildir.open(box->path, &plain_policy, &drop, &e));
    assert_int_equal(e.fault, FAULT_PERM);
}

static void order_by_time(void **state)
{
    struct box *box = *state;
    static const char *const names[] = { "new/10.M1.h", "cur/2.M10.h:2,S", "new/2.M9.h", "cur/1.M5.h:2,",
                                         "new/2.M9.g" };
    static const char *const want[] = { "1.M5.h", "2.M9.g", "2.M9.h", "2.M10.h", "10.M1.h" };

    for (size_t i = 0; i < 5; i++)
        box_put_str(box, names[i], "x\n");
    for (int round = 0; round < 3; round++) {
        struct view v = look(box->path);

        assert_int_equal(v.n, 5);
        for (size_t i = 0; i < 5; i++)
            assert_string_equal(v.rows[i].uid, want[i]);
        view_free(&v);
    }
}

static void only_messages_count(void **state)
{
    struct box *box = *state;
    struct view v;
    char path[512];

    box_put_str(box, "new/1.good", "x\n");
    box_put_str(box, "new/.nfs0001", "x\n");
    box_put_str(box, "tmp/2.tmp", "x\n");
    assert_int_equal(mkdir(box_join(box, "new/3.dir", path), 0700), 0);
    assert_int_equal(mkfifo(box_join(box, "new/4.fifo", path), 0600), 0);
    assert_int_equal(symlink("1.good", box_join(box, "cur/5.link:2,", path)), 0);
    assert_int_equal(mkdir(box_join(box, ".Sent", path), 0700), 0);
    assert_int_equal(mkdir(box_join(box, ".Sent/cur", path), 0700), 0);
    box_put_str(box, ".Sent/cur/6.sent:2,S", "x\n");
    box_put_str(box, "cur/7.dark:2,", "x\n");
    assert_int_equal(chmod(box_join(box, "cur/7.dark:2,", path), 0), 0);
    v = look(box->path);
    assert_int_equal(v.n, 1);
    assert_string_equal(v.rows[0].uid, "1.good");
    assert_int_equal(events_named("message-skipped"), 4); /* one each */
    view_free(&v);
}

static void unreadable_cur(void **state)
{
    struct box *box = *state;
    struct drop *drop;
    struct err e;
    char path[512];

    if (geteuid() == 0)
        return; /* nothing is unreadable for root */
    assert_int_equal(chmod(box_join(box, "cur", path), 0), 0);
    assert_false(store_maildir.open(box->path, &plain_policy, &drop, &e));
    assert_int_equal(e.fault, FAULT_PERM);
    assert_int_equal(chmod(path, 0700), 0);
    drop = must_open(&store_maildir, box->path, &plain_policy); /* the lock was released */
    store_maildir.close(&drop);
}

static void hostile_names(void **state)
{
    struct box *box = *state;
    char longest[300] = "new/", longish[300] = "cur/1.";
    const char *names[] = { longest,           longish,      "new/caf\xc3\xa9", "new/a b",   "new/line\nend\r",
                            "cur/x:2,S:2,T",   "cur/:2,S",   "new/,S=1",        "cur/q:1,z", "new/%2e%2e",
                            "cur/\xff\xfe:2,", "new/h-fake", "new/7.M1.h:2,S" };
    struct view v, again;

    memset(longest + 4, 'L', 255);
    memset(longish + 6, 'l', 194);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        box_put(box, names[i], span_of("body\n", i % 5 + 1));
    v = look(box->path);
    assert_int_equal(v.n, sizeof names / sizeof *names);
    for (uint32_t i = 0; i < v.n; i++) {
        struct drop *drop = must_open(&store_maildir, box->path, &plain_policy);
        struct err e;
        int fd;

        assert_true(strlen(v.rows[i].uid) >= 1 && strlen(v.rows[i].uid) <= 70);
        assert_ptr_equal(view_uid(&v, v.rows[i].uid), &v.rows[i]); /* the first with it: unique */
        assert_true(store_maildir.fetch(drop, i, &fd, &e));
        close(fd);
        store_maildir.close(&drop);
    }
    again = look(box->path);
    assert_int_equal(again.n, v.n);
    for (uint32_t i = 0; i < v.n; i++)
        assert_non_null(view_uid(&again, v.rows[i].uid));
    view_free(&again);
    view_free(&v);
}

static void hints_are_not_trusted(void **state)
{
    struct box *box = *state;
    struct view v;

    box_put_str(box, "new/1.a,S=99,W=100", "a\nb\n");
    box_put_str(box, "cur/2.b,S=4,W=5:2,S", "a\nb\n");
    v = look(box->path);
    assert_int_equal(v.rows[0].octets, 6);
    assert_int_equal(v.rows[1].octets, 6);
    assert_int_equal(events_named("size-hints-wrong"), 1);
    view_free(&v);
    v = look(box->path);
    assert_int_equal(v.octets, 12);
    assert_int_equal(events_named("size-hints-wrong"), 1); /* once: the index knows now */
    view_free(&v);
}

static void out_of_band_change_is_seen(void **state)
{
    struct box *box = *state;
    struct view v;

    box_put_str(box, "cur/1.a:2,", "a\nb\n");
    v = look(box->path);
    assert_int_equal(v.octets, 6);
    view_free(&v);
    box_put_str(box, "cur/1.a:2,", "X-New: header\na\nb\n"); /* the directory does not change by it */
    v = look(box->path);
    assert_int_equal(v.octets, 21);
    view_free(&v);
    box_put_str(box, "cur/1.a:2,", "X-New: header\na\r\n\n"); /* same size, other line ends, other mtime */
    box_age(box, "cur/1.a:2,", 100);
    v = look(box->path);
    assert_int_equal(v.octets, 20);
    view_free(&v);
}

static void uids_outlive_everything(void **state)
{
    struct box *box = *state;
    struct view want, got;
    char a[512], b[512];

    box_put_str(box, "new/1.M1.host", "1\n");
    box_put_str(box, "new/2.bad name", "2\n");
    want = look(box->path);
    assert_int_equal(rename(box_join(box, "new/1.M1.host", a), box_join(box, "cur/1.M1.host,S=2,W=3:2,S", b)), 0);
    assert_int_equal(rename(box_join(box, "new/2.bad name", a), box_join(box, "cur/2.bad name:2,RST", b)), 0);
    unlink(box_join(box, "restante-index", a)); /* if there is one for so little */
    assert_int_equal(unlink(box_join(box, "restante-lock", a)), 0);
    got = look(box->path);
    assert_int_equal(got.n, 2);
    assert_string_equal(got.rows[0].uid, want.rows[0].uid);
    assert_string_equal(got.rows[1].uid, want.rows[1].uid);
    view_free(&got);
    snprintf(b, sizeof b, "%s/restored", box->root);
    assert_int_equal(rename(box->path, b), 0);
    got = look(b);
    assert_string_equal(got.rows[0].uid, want.rows[0].uid);
    assert_string_equal(got.rows[1].uid, want.rows[1].uid);
    view_free(&got);
    view_free(&want);
    assert_int_equal(rename(b, box->path), 0);
}

static void twins_get_names_of_their_own(void **state)
{
    struct box *box = *state;
    struct view v, again;
    char a[512], b[512];

    box_put_str(box, "cur/1.a,S=2:2,S", "1\n");
    box_age(box, "cur/1.a,S=2:2,S", 1000);
    box_put_str(box, "cur/1.a:2,", "22\n");
    box_put_str(box, "new/1.a", "333\n");
    box_put_str(box, "new/2.X", "x\n");
    box_put_str(box, "new/2.x", "y\n"); /* differ in case only */
    box_put_str(box, "new/3.l", "linked\n");
    assert_int_equal(link(box_join(box, "new/3.l", a), box_join(box, "cur/3.l:2,S", b)), 0);
    v = look(box->path);
    assert_int_equal(v.n, 6); /* a file with two names is one message */
    assert_int_equal(view_uid(&v, "1.a")->size, 2);
    assert_string_equal(view_uid(&v, "1.a")->name, "cur/1.a,S=2:2,S");
    assert_int_equal(events_named("message-twin"), 2);
    assert_non_null(view_uid(&v, "2.X"));
    assert_null(view_uid(&v, "2.x"));
    again = look(box->path);
    for (uint32_t i = 0; i < v.n; i++)
        assert_non_null(view_uid(&again, v.rows[i].uid));
    assert_int_equal(again.n, v.n);
    view_free(&again);
    view_free(&v);
    struct drop *drop = must_open(&store_maildir, box->path, &plain_policy);
    uint8_t all = 0x3f;
    struct store_commit c = { .deleted = &all };

    assert_true(store_maildir.commit(drop, &c, NULL));
    store_maildir.close(&drop);
    assert_int_equal(box_files(box, "new") + box_files(box, "cur"), 0); /* both names of 3.l too */
}

static void new_is_moved(void **state)
{
    struct box *box = *state;
    struct store_policy policy = plain_policy;
    struct drop *drop;
    struct view before, v;

    box_put_str(box, "new/1.a,S=2", "1\n");
    box_put_str(box, "new/2.b", "2\n");
    before = look(box->path);
    policy.move_to_cur = true;
    drop = must_open(&store_maildir, box->path, &policy);
    assert_true(box_has(box, "cur/1.a,S=2:2,") && box_has(box, "cur/2.b:2,"));
    v = view_of(&store_maildir, drop);
    assert_string_equal(v.rows[0].uid, before.rows[0].uid);
    assert_string_equal(v.rows[1].uid, before.rows[1].uid);
    assert_string_equal(v.rows[1].name, "cur/2.b:2,");
    store_maildir.close(&drop);
    view_free(&v);
    view_free(&before);
}

static void seen_is_marked(void **state)
{
    struct box *box = *state;
    struct store_policy policy = plain_policy;
    uint8_t deleted = 0x4, retrieved = 0x7;
    struct store_commit c = { .deleted = &deleted, .retrieved = &retrieved };
    struct drop *drop;

    box_put_str(box, "new/1.a", "1\n");
    box_put_str(box, "cur/2.b:2,FT", "2\n");
    box_put_str(box, "cur/3.c:2,", "3\n");
    box_put_str(box, "cur/4.d:2,", "4\n");
    policy.mark_seen = true;
    drop = must_open(&store_maildir, box->path, &policy);
    store_maildir.close(&drop); /* without UPDATE nothing is marked */
    assert_true(box_has(box, "new/1.a"));
    drop = must_open(&store_maildir, box->path, &policy);
    assert_true(store_maildir.commit(drop, &c, NULL));
    store_maildir.close(&drop);
    assert_true(box_has(box, "cur/1.a:2,S") && box_has(box, "cur/2.b:2,FST") && box_has(box, "cur/4.d:2,"));
    assert_int_equal(box_files(box, "cur") + box_files(box, "new"), 3);
}

static void renamed_is_found_and_deleted(void **state)
{
    struct box *box = *state;
    uint8_t marks = 0x3;
    struct store_commit c = { .deleted = &marks };
    struct drop *drop;
    struct err e;
    struct buf b;
    char from[512], to[512];
    int fd;

    box_put_str(box, "new/1.a", "one\n");
    box_put_str(box, "cur/2.b:2,", "two\n");
    box_put_str(box, "cur/3.c:2,", "three\n");
    drop = must_open(&store_maildir, box->path, &plain_policy);
    assert_int_equal(rename(box_join(box, "new/1.a", from), box_join(box, "cur/1.a,W=5:2,S", to)), 0);
    assert_int_equal(rename(box_join(box, "cur/2.b:2,", from), box_join(box, "cur/2.b:2,FS", to)), 0);
    assert_true(store_maildir.fetch(drop, 0, &fd, &e));
    b = read_fd(fd);
    assert_true(span_is(buf_span(&b), "one\n"));
    buf_free(&b);
    assert_int_equal(rename(box_join(box, "cur/1.a,W=5:2,S", from), box_join(box, "new/1.a,S=4", to)), 0);
    assert_true(store_maildir.fetch(drop, 0, &fd, &e));
    close(fd);
    assert_true(store_maildir.commit(drop, &c, &e));
    assert_int_equal(c.removed, 2);
    store_maildir.close(&drop);
    assert_int_equal(box_files(box, "new"), 0);
    assert_int_equal(box_files(box, "cur"), 1);
}

static void swapped_for_something_else(void **state)
{
    struct box *box = *state;
    struct drop *drop;
    struct err e;
    char path[512], other[512];
    int fd;

    box_put_str(box, "cur/1.a:2,", "one\n");
    box_put_str(box, "cur/2.b:2,", "two\n");
    box_put_str(box, "secret", "one\n");
    drop = must_open(&store_maildir, box->path, &plain_policy);
    assert_int_equal(unlink(box_join(box, "cur/1.a:2,", path)), 0);
    assert_int_equal(symlink(box_join(box, "secret", other), path), 0);
    assert_false(store_maildir.fetch(drop, 0, &fd, &e));
    assert_int_equal(fd, -1);
    assert_int_equal(unlink(box_join(box, "cur/2.b:2,", path)), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(store_maildir.fetch(drop, 1, &fd, &e)); /* and does not hang */
    store_maildir.close(&drop);
}

static void tmp_is_cleaned(void **state)
{
    struct box *box = *state;
    struct view v;

    box_put_str(box, "tmp/old", "x");
    box_age(box, "tmp/old", 37 * 3600);
    box_put_str(box, "tmp/young", "x");
    box_age(box, "tmp/young", 35 * 3600);
    box_put_str(box, "tmp/.hidden", "x");
    box_age(box, "tmp/.hidden", 37 * 3600);
    v = look(box->path);
    assert_false(box_has(box, "tmp/old"));
    assert_true(box_has(box, "tmp/young") && box_has(box, "tmp/.hidden"));
    view_free(&v);
}

static void old_mail_expires(void **state)
{
    struct box *box = *state;
    struct store_policy policy = plain_policy;
    struct drop *drop;
    struct view v;
    char name[64];
    int64_t now = time(NULL), day = 86400;

    snprintf(name, sizeof name, "new/%lld.old", (long long)(now - 31 * day));
    box_put_str(box, name, "old\n");
    snprintf(name, sizeof name, "cur/%lld.older:2,S", (long long)(now - 400 * day));
    box_put_str(box, name, "older\n");
    snprintf(name, sizeof name, "new/%lld.fresh", (long long)(now - 29 * day));
    box_put_str(box, name, "fresh\n");
    box_put_str(box, "new/nameless", "its mtime counts\n");
    box_age(box, "new/nameless", 31 * day);
    box_put_str(box, "new/nameless2", "its mtime counts\n");
    snprintf(name, sizeof name, "new/%lld.future", (long long)(now + 9999 * day));
    box_put_str(box, name, "clocks differ\n");
    policy.expire_days = 0;
    drop = must_open(&store_maildir, box->path, &policy);
    assert_int_equal(store_maildir.count(drop), 6);
    store_maildir.close(&drop);
    policy.expire_days = 30;
    drop = must_open(&store_maildir, box->path, &policy);
    v = view_of(&store_maildir, drop);
    assert_int_equal(v.n, 3);
    assert_non_null(view_uid(&v, "nameless2"));
    assert_int_equal(events_named("messages-expired"), 1);
    assert_false(box_has(box, "restante-commit"));
    store_maildir.close(&drop);
    view_free(&v);
}

static void lock_dies_with_its_holder(void **state)
{
    struct box *box = *state;
    struct drop *drop;
    struct err e;
    int ready[2];
    char byte;
    pid_t pid;

    box_put_str(box, "new/1.a", "1\n");
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!store_maildir.open(box->path, &plain_policy, &drop, &e) || write(ready[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_false(store_maildir.open(box->path, &plain_policy, &drop, &e));
    assert_int_equal(e.fault, FAULT_IN_USE);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    drop = must_open(&store_maildir, box->path, &plain_policy);
    assert_int_equal(store_maildir.count(drop), 1);
    store_maildir.close(&drop);
    close(ready[0]);
    close(ready[1]);
}

static void surrogate_sizes_when_needed(void **state)
{
    struct box *box = *state;
    struct store_policy policy = plain_policy;
    struct fixture f[FIXTURES];
    struct drop *drop;
    struct view v;

    fixtures_make(f);
    box_put(box, "new/1.f19", f[18].content);
    box_put(box, "new/2.f01", f[0].content);
    v = look(box->path);
    assert_int_equal(v.rows[0].legacy, 61);
    view_free(&v);
    policy.need_legacy = true; /* the index of before does not hold them */
    drop = must_open(&store_maildir, box->path, &policy);
    v = view_of(&store_maildir, drop);
    assert_int_equal(v.rows[0].octets, 61);
    assert_int_not_equal(v.rows[0].legacy, 61);
    assert_int_equal(v.rows[1].legacy, 60);
    store_maildir.close(&drop);
    view_free(&v);
    fixtures_free(f);
}

#define T(f) cmocka_unit_test_setup_teardown(f, box_start, box_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(made_when_missing),
        T(paths_are_checked),
        T(linked_cur_is_refused),
        T(order_by_time),
        T(only_messages_count),
        T(unreadable_cur),
        T(hostile_names),
        T(hints_are_not_trusted),
        T(out_of_band_change_is_seen),
        T(uids_outlive_everything),
        T(twins_get_names_of_their_own),
        T(new_is_moved),
        T(seen_is_marked),
        T(renamed_is_found_and_deleted),
        T(swapped_for_something_else),
        T(tmp_is_cleaned),
        T(old_mail_expires),
        T(lock_dies_with_its_holder),
        T(surrogate_sizes_when_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
