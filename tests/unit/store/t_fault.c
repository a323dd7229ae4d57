/* t_fault.c - the n-th system call fails, for every n and several errors: honest answers, no message lost.
 *
 * Proves: R1939-AUTHZ-04, R1939-QUIT-02, MD-02 (a full disk leaves new/ empty), MD-17. Deletions work on a full disk.
 * Does not know: crashes (t_crash.c).
 */
#include "store_help.h"

#include "base/log.h"
#include "base/sys.h"
#include "store/deliver.h"
#include "store/uidmap.h"
#include "store_shim.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MESSAGES = 4, MARKED = 0x7 };

static const int codes[] = { EIO, ENOSPC, EMFILE, EACCES };
static const char *const names[MESSAGES] = { "new/1.a", "cur/2.b:2,", "cur/3.c:2,S", "cur/4.d:2," };
static const char *const uids[MESSAGES] = { "1.a", "2.b", "3.c", "4.d" };

static void fill(const struct box *box)
{
    for (int i = 0; i < MESSAGES; i++)
        box_put_str(box, names[i], "Subject: x\n\ny\n");
}

static uint32_t left(const struct box *box)
{
    return box_files(box, "new") + box_files(box, "cur");
}

static void expect_honest(const struct err *e)
{
    assert_int_not_equal(e->fault, FAULT_NONE);
    assert_int_not_equal(e->fault, FAULT_IN_USE);
    assert_true(e->text[0] != '\0');
}

static void all_there(const struct box *box)
{
    struct view v = look(box->path);

    assert_int_equal(v.n, MESSAGES);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        assert_string_equal(v.rows[i].uid, uids[i]);
        assert_int_equal(v.rows[i].octets, 17);
    }
    view_free(&v);
}

static void open_with_a_failing_call(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof *codes; k++) {
        bool reached = true;

        for (unsigned n = 1; reached; n++) {
            struct store_policy policy = plain_policy;
            struct err e = { FAULT_NONE, "" };
            struct drop *drop;
            struct box box;
            bool ok;

            box_new(&box);
            fill(&box);
            policy.move_to_cur = n % 2;
            shim_fail_at(n, codes[k], SHIM_ANY, false);
            ok = store_maildir.open(box.path, &policy, &drop, &e);
            reached = shim_end();
            if (ok) {
                struct view v = view_of(&store_maildir, drop);

                for (uint32_t i = 0; i < v.n; i++) /* one may be skipped, with an event; none is wrong */
                    assert_int_equal(v.rows[i].octets, 17);
                assert_true(v.n + events_named("message-skipped") >= MESSAGES);
                view_free(&v);
                store_maildir.close(&drop);
            } else {
                expect_honest(&e);
            }
            assert_null(drop);
            all_there(&box); /* at once: no lock stays behind */
            events_quiet();
            box_free(&box);
        }
    }
}

static void fetch_with_a_failing_call(void **state)
{
    bool reached = true;

    (void)state;
    for (unsigned n = 1; reached; n++) {
        struct err e = { FAULT_NONE, "" };
        struct drop *drop;
        struct box box;
        char from[512], to[512];
        int fd;

        box_new(&box);
        fill(&box);
        drop = must_open(&store_maildir, box.path, &plain_policy);
        assert_int_equal(rename(box_join(&box, "new/1.a", from), box_join(&box, "cur/1.a:2,F", to)), 0);
        shim_fail_at(n, EIO, SHIM_ANY, false);
        if (store_maildir.fetch(drop, 0, &fd, &e)) {
            struct buf b = read_fd(fd);

            assert_int_equal(b.n, 14);
            buf_free(&b);
        } else {
            assert_int_equal(fd, -1);
            expect_honest(&e);
            assert_int_not_equal(e.fault, FAULT_GONE);
        }
        reached = shim_end();
        assert_true(store_maildir.fetch(drop, 0, &fd, &e)); /* the session goes on */
        close(fd);
        store_maildir.close(&drop);
        box_free(&box);
    }
}

static void commit_with_a_failing_call(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof *codes; k++) {
        bool reached = true;

        for (unsigned n = 1; reached; n++) {
            uint8_t marks = MARKED;
            struct store_commit c = { .deleted = &marks };
            struct err e = { FAULT_NONE, "" };
            struct drop *drop;
            struct box box;
            struct view v;
            bool ok;

            box_new(&box);
            fill(&box);
            drop = must_open(&store_maildir, box.path, &plain_policy);
            shim_fail_at(n, codes[k], SHIM_ANY, false);
            ok = store_maildir.commit(drop, &c, &e);
            reached = shim_end();
            store_maildir.close(&drop);
            assert_int_equal(c.removed + c.failed, 3);
            assert_int_equal(left(&box), MESSAGES - c.removed); /* the count is the truth */
            assert_true(ok ? c.failed == 0 : e.fault != FAULT_NONE && e.text[0]);
            v = look(box.path);
            assert_non_null(view_uid(&v, "4.d"));
            view_free(&v);
            box_free(&box);
        }
    }
}

static bool deliver(const struct box *box, int source, struct err *e)
{
    struct deliver_options o = { .create = true, .durable = true };
    struct deliver_result r;

    lseek(source, 0, SEEK_SET);
    return maildir_deliver(box->path, source, &o, &r, e);
}

static int make_source(void)
{
    int fd = memfd_create("message", MFD_CLOEXEC);

    assert_int_equal(write(fd, "Subject: x\n\ny\n", 14), 14);
    return fd;
}

static void delivery_with_a_failing_call(void **state)
{
    int source = make_source();

    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof *codes; k++) {
        bool reached = true;

        for (unsigned n = 1; reached; n++) {
            struct err e = { FAULT_NONE, "" };
            struct box box;
            bool ok;

            box_new(&box);
            shim_fail_at(n, codes[k], SHIM_ANY, false);
            ok = deliver(&box, source, &e);
            reached = shim_end();
            if (!ok)
                expect_honest(&e);
            assert_int_equal(box_files(&box, "new"), ok); /* "try again" never means twice */
            if (ok) {
                struct view v = look(box.path);

                assert_int_equal(v.octets, 17);
                view_free(&v);
            }
            assert_true(deliver(&box, source, &e));
            box_free(&box);
        }
    }
    close(source);
}

static void import_with_a_failing_call(void **state)
{
    bool reached = true;

    (void)state;
    for (unsigned n = 1; reached; n++) {
        struct uid_pair pair = { span_str("1.a"), span_str("foreign") };
        struct err e = { FAULT_NONE, "" };
        struct mddir d;
        struct box box;
        struct view v;
        bool ok;

        box_new(&box);
        fill(&box);
        assert_true(mddir_open(&d, box.path, false, &e));
        shim_fail_at(n, EIO, SHIM_ANY, false);
        ok = uidmap_append(&d, &pair, 1, &e);
        reached = shim_end();
        if (!ok)
            expect_honest(&e);
        assert_true(uidmap_append(&d, &pair, 1, &e));
        mddir_close(&d);
        v = look(box.path);
        assert_string_equal(v.rows[0].uid, "foreign");
        view_free(&v);
        box_free(&box);
    }
}

/* Nothing can be written any more, from the first such call on: opening, reading and deleting work. */
static void full_disk(void **state)
{
    static const int full[] = { ENOSPC, EDQUOT, EROFS };

    (void)state;
    for (size_t k = 0; k < sizeof full / sizeof *full; k++) {
        uint8_t marks = MARKED;
        struct store_commit c = { .deleted = &marks };
        struct err e = { FAULT_NONE, "" };
        struct drop *drop;
        struct box box;
        struct view v;
        int fd, source = make_source();

        events_quiet();
        box_new(&box);
        fill(&box);
        shim_fail_at(1, full[k], SHIM_SPACE, true);
        drop = must_open(&store_maildir, box.path, &plain_policy);
        assert_true(store_maildir.fetch(drop, 3, &fd, &e));
        close(fd);
        assert_false(deliver(&box, source, &e));
        assert_int_equal(e.fault, FAULT_TEMP);
        assert_int_equal(left(&box), MESSAGES);
        assert_true(store_maildir.commit(drop, &c, &e));
        store_maildir.close(&drop);
        assert_true(shim_end());
        assert_int_equal(c.removed, 3);
        assert_int_equal(events_named("commit-unjournalled"), 1);
        assert_int_equal(events_named("maildrop-lock-absent"), 1);
        assert_int_equal(box_files(&box, "tmp"), 0);
        v = look(box.path);
        assert_int_equal(v.n, 1);
        view_free(&v);
        box_free(&box);
        close(source);
    }
}

static int commit_under_limit(void *ctx)
{
    struct box *box = ctx;
    struct rlimit none = { 0, 0 };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    uint8_t marks = MARKED;
    struct store_commit c = { .deleted = &marks };
    struct drop *drop;
    struct err e;

    sigaction(SIGXFSZ, &ignore, NULL);
    log_open("test", 2, LOG_ERROR);
    if (!store_maildir.open(box->path, &plain_policy, &drop, &e) || setrlimit(RLIMIT_FSIZE, &none) != 0)
        return 1;
    return store_maildir.commit(drop, &c, &e) && c.removed == 3 ? 0 : 2;
}

static void no_file_may_grow(void **state)
{
    struct box box;

    (void)state;
    box_new(&box);
    fill(&box);
    assert_int_equal(in_child(commit_under_limit, &box), 0);
    assert_int_equal(left(&box), 1);
    box_free(&box);
}

/* fsync fails once and then "works": the kernel has dropped what it could not write. */
static void failed_fsync_is_not_repeated(void **state)
{
    int source = make_source();
    unsigned fsyncs = 0, n = 0;

    (void)state;
    do {
        struct err e = { FAULT_NONE, "" };
        struct span trace;
        struct box box;
        bool ok, reached;

        box_new(&box);
        shim_fail_at(++n, EIO, SHIM_ANY, false);
        ok = deliver(&box, source, &e);
        reached = shim_end();
        trace = buf_span(shim_trace());
        for (unsigned i = 1; reached && trace.n; i++) {
            struct span line = span_until(&trace, '\n');

            if (i == n && line.n > 6 && !memcmp(line.p, "fsync ", 6)) {
                fsyncs++;
                assert_false(ok);
                assert_null(memmem(trace.p, trace.n, "fsync ", 6));
            }
        }
        box_free(&box);
        if (!reached)
            break;
    } while (n < 1000);
    assert_int_equal(fsyncs, 2);
    close(source);
}

static int quiet(void **state)
{
    (void)state;
    events_quiet();
    return 0;
}

#define T(f) cmocka_unit_test_setup(f, quiet)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(open_with_a_failing_call),   T(fetch_with_a_failing_call),
        T(commit_with_a_failing_call), T(delivery_with_a_failing_call),
        T(import_with_a_failing_call), T(full_disk),
        T(no_file_may_grow),           T(failed_fsync_is_not_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
