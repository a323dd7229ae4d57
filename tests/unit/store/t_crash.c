/* t_crash.c - stops the process before every system call in turn and looks at what the next one finds.
 *
 * Each run is a child whose call number n never happens (store_shim.h); then the maildrop is opened as after a
 * restart. This is the plan of DURABILITY.md, tables 1 to 4: delivery, commit, index, UIDL import.
 * Proves: R1939-QUIT-02, R1939-QUIT-03, R1939-QUIT-04, R1939-QUIT-06, R1939-AUTHZ-08, MD-02, MD-03, R1939-UIDL-05.
 * Does not know: what a power failure does to pages that were never synced; the order of the calls stands in for it.
 */
#include "store_help.h"

#include "base/sys.h"
#include "store/deliver.h"
#include "store/uidmap.h"
#include "store_shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { DONE = 0, REFUSED = 1, MESSAGES = 6 };

static const char *const names[MESSAGES] = { "new/1.a",     "cur/2.b:2,",  "new/3.c,S=2",
                                             "cur/4.d:2,S", "cur/5.e:2,F", "new/6.f" };
static const char *const uids[MESSAGES] = { "1.a", "2.b", "3.c", "4.d", "5.e", "6.f" };
static const char *const contents[MESSAGES] = { "0\n", "11\n", "222\n", "3333\n", "44444\n", "555555\n" };
enum { MARKED = 0x2d }; /* 1.a, 3.c, 4.d, 6.f */

struct run {
    struct box box;
    unsigned stop_at;
    int source; /* a message of 200,000 octets */
};

static void fill(const struct box *box)
{
    for (int i = 0; i < MESSAGES; i++)
        box_put_str(box, names[i], contents[i]);
}

/* Every message there is whole and has its UIDL; which ones are there, as bits. */
static unsigned check_whole(const char *path)
{
    struct store_policy policy = plain_policy;
    struct drop *drop = must_open(&store_maildir, path, &policy);
    struct view v = view_of(&store_maildir, drop);
    unsigned there = 0;

    for (uint32_t i = 0; i < v.n; i++) {
        struct err e = { FAULT_NONE, "" };
        int fd, at = 0;
        struct buf b;

        while (at < MESSAGES && strcmp(v.rows[i].uid, uids[at]) != 0)
            at++;
        assert_true(at < MESSAGES && !(there >> at & 1));
        there |= 1u << at;
        assert_int_equal(v.rows[i].octets, strlen(contents[at]) + 1);
        assert_true(store_maildir.fetch(drop, i, &fd, &e));
        b = read_fd(fd);
        assert_true(span_is(buf_span(&b), contents[at]));
        buf_free(&b);
    }
    view_free(&v);
    store_maildir.close(&drop);
    return there;
}

static int do_commit(void *ctx)
{
    struct run *r = ctx;
    struct store_policy policy = plain_policy;
    uint8_t marks = MARKED, retrieved = 0x3f;
    struct store_commit c = { .deleted = &marks, .retrieved = &retrieved };
    struct drop *drop;
    struct err e;
    bool ok;

    policy.mark_seen = true;
    if (!store_maildir.open(r->box.path, &policy, &drop, &e))
        return REFUSED;
    shim_stop_at(r->stop_at);
    ok = store_maildir.commit(drop, &c, &e);
    shim_end();
    store_maildir.close(&drop);
    return ok ? DONE : REFUSED;
}

static void commit_stopped_anywhere(void **state)
{
    unsigned n = 0, partly = 0, finished = 0;
    int status;

    (void)state;
    do {
        struct run r = { .stop_at = ++n };
        bool journal;
        unsigned there;

        box_new(&r.box);
        fill(&r.box);
        status = in_child(do_commit, &r);
        assert_true(status == DONE || status == SHIM_STOPPED);
        journal = box_has(&r.box, "restante-commit");
        partly += journal;
        there = check_whole(r.box.path);
        assert_int_equal(there & (0x3f & ~MARKED), 0x3f & ~MARKED); /* what was not marked is never touched */
        if (journal || status == DONE)
            assert_int_equal(there & MARKED, 0); /* what the journal promises is finished */
        else                                     /* no journal yet: nothing; no journal any more: all */
            assert_true((there & MARKED) == MARKED || (there & MARKED) == 0);
        finished += (there & MARKED) == 0;
        assert_false(box_has(&r.box, "restante-commit"));
        assert_int_equal(check_whole(r.box.path), there); /* replaying changed nothing more */
        box_free(&r.box);
    } while (status != DONE);
    assert_true(n > 30 && partly > 10 && finished > partly);
}

static int do_deliver(void *ctx)
{
    struct run *r = ctx;
    struct deliver_options o = { .create = true, .durable = true, .prefix = span_str("Delivered-To: a\n") };
    struct deliver_result result;
    struct err e;
    bool ok;

    lseek(r->source, 0, SEEK_SET);
    shim_stop_at(r->stop_at);
    ok = maildir_deliver(r->box.path, r->source, &o, &result, &e);
    shim_end();
    return ok ? DONE : REFUSED;
}

static void delivery_stopped_anywhere(void **state)
{
    unsigned n = 0, once = 0;
    int status, source = memfd_create("message", MFD_CLOEXEC);
    struct buf lines = BUF(200000);

    (void)state;
    while (buf_put_str(&lines, "line\n"))
        ;
    assert_int_equal(write(source, lines.p, lines.n), lines.n);
    buf_free(&lines);
    do {
        struct run r = { .stop_at = ++n, .source = source };
        struct view v;
        char name[300];

        box_new(&r.box);
        snprintf(r.box.path, sizeof r.box.path, "%.100s/domain/user", r.box.root); /* nothing there yet */
        status = in_child(do_deliver, &r);
        assert_true(status == DONE || status == SHIM_STOPPED);
        v = look(r.box.path);
        assert_true(v.n <= 1);
        assert_true(status != DONE || v.n == 1);
        once += v.n;
        for (uint32_t i = 0; i < v.n; i++) {
            struct buf b;

            snprintf(name, sizeof name, "%s", v.rows[i].name);
            b = box_read(&r.box, name);
            assert_int_equal(b.n, 200016);
            assert_int_equal(v.rows[i].octets, 240017);
            buf_free(&b);
        }
        view_free(&v);
        box_free(&r.box);
    } while (status != DONE);
    assert_true(n > 20 && once > 1);
    close(source);
}

static int do_open(void *ctx)
{
    struct run *r = ctx;
    struct store_policy policy = plain_policy;
    struct drop *drop;
    struct err e;
    bool ok;

    policy.move_to_cur = true;
    policy.expire_days = 30;
    shim_stop_at(r->stop_at);
    ok = store_maildir.open(r->box.path, &policy, &drop, &e);
    shim_end();
    if (ok)
        store_maildir.close(&drop);
    return ok ? DONE : REFUSED;
}

/* A maildrop in which opening has everything to do: a journal to finish, old mail, a twin, moves, a torn index,
 * left-overs. Fresh messages are numbered by the present, so that only "old" ones expire. */
static void fill_untidy(const struct box *box, const struct buf *journal)
{
    char name[64];
    long long now = (long long)time(NULL);

    fill(box);
    box_put(box, "restante-commit", buf_span(journal));
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "new/%lld.fresh%d", now - i, i);
        box_put_str(box, name, "fresh\n");
    }
    snprintf(name, sizeof name, "cur/%lld.fresh0:2,S", now);
    box_put_str(box, name, "twin with other content\n");
    box_put_str(box, "restante-index", "RESTIDX1 torn");
    box_put_str(box, "tmp/left", "x");
    box_age(box, "tmp/left", 40 * 3600);
}

/* The journal that a commit of MARKED had written when it was stopped. Its messages' mtimes are those of the
 * files of that maildrop, so it does not fit another one: nothing may be removed by it there. */
static struct buf stale_journal(void)
{
    struct buf journal = BUF(65536);

    for (unsigned n = 1; !journal.n; n++) {
        struct run r = { .stop_at = n };

        box_new(&r.box);
        fill(&r.box);
        assert_int_equal(in_child(do_commit, &r), SHIM_STOPPED);
        if (box_has(&r.box, "restante-commit"))
            journal = box_read(&r.box, "restante-commit");
        box_free(&r.box);
    }
    return journal;
}

static void open_stopped_anywhere(void **state)
{
    struct buf journal = stale_journal();
    unsigned n = 0;
    int status;

    (void)state;
    do {
        struct run r = { .stop_at = ++n };
        struct store_policy policy = plain_policy;
        struct drop *drop;
        struct view v;
        unsigned small = 0;

        box_new(&r.box);
        fill_untidy(&r.box, &journal);
        status = in_child(do_open, &r);
        assert_true(status == DONE || status == SHIM_STOPPED);
        policy.expire_days = 30;
        drop = must_open(&store_maildir, r.box.path, &policy); /* no stale lock either */
        v = view_of(&store_maildir, drop);
        assert_int_equal(v.n, 4); /* the old are gone, the fresh and the twin are there once each */
        for (uint32_t i = 0; i < v.n; i++)
            small += v.rows[i].octets == 7;
        assert_int_equal(small, 3);
        store_maildir.close(&drop);
        assert_int_equal(box_files(&r.box, "new") + box_files(&r.box, "cur"), 4);
        assert_false(box_has(&r.box, "restante-commit"));
        view_free(&v);
        box_free(&r.box);
    } while (status != DONE);
    assert_true(n > 60);
    buf_free(&journal);
}

static void journal_of_other_files_removes_nothing(void **state)
{
    struct buf journal = stale_journal();
    struct box box;

    (void)state;
    box_new(&box);
    fill(&box);
    for (int i = 0; i < MESSAGES; i++)
        box_age(&box, names[i], 50); /* same names, same sizes, other files */
    box_put(&box, "restante-commit", buf_span(&journal));
    assert_int_equal(check_whole(box.path), 0x3f);
    assert_int_equal(events_named("commit-replayed"), 1);
    assert_false(box_has(&box, "restante-commit"));
    buf_free(&journal);
    box_free(&box);
}

static void torn_journal_removes_nothing(void **state)
{
    struct buf journal = stale_journal();
    struct box box;

    (void)state;
    box_new(&box);
    fill(&box);
    for (size_t i = 0; i < journal.n; i++) {
        box_put(&box, "restante-commit", span_of(journal.p, i));
        assert_int_equal(check_whole(box.path), 0x3f);
        journal.p[i] ^= 0x20;
        box_put(&box, "restante-commit", buf_span(&journal));
        journal.p[i] ^= 0x20;
        assert_int_equal(check_whole(box.path), 0x3f);
        assert_false(box_has(&box, "restante-commit"));
    }
    assert_int_equal(events_named("commit-journal-torn"), 2 * journal.n);
    assert_int_equal(events_named("commit-replayed"), 0);
    buf_free(&journal);
    box_free(&box);
}

static int do_import(void *ctx)
{
    struct run *r = ctx;
    struct uid_pair pairs[2] = {
        {span_str("1.a"),  span_str("foreign-1")},
        { span_str("2.b"), span_str("foreign-2")}
    };
    struct mddir d;
    bool ok;

    if (!mddir_open(&d, r->box.path, false, NULL))
        return REFUSED;
    shim_stop_at(r->stop_at);
    ok = uidmap_append(&d, pairs, 2, NULL);
    shim_end();
    return ok ? DONE : REFUSED;
}

static void import_stopped_anywhere(void **state)
{
    unsigned n = 0;
    int status;

    (void)state;
    do {
        struct run r = { .stop_at = ++n };
        struct view v;

        box_new(&r.box);
        fill(&r.box);
        status = in_child(do_import, &r);
        v = look(r.box.path);
        assert_int_equal(v.n, MESSAGES);
        assert_true(!strcmp(v.rows[0].uid, "foreign-1") || (status != DONE && !strcmp(v.rows[0].uid, "1.a")));
        assert_true(!strcmp(v.rows[1].uid, "foreign-2") || (status != DONE && !strcmp(v.rows[1].uid, "2.b")));
        view_free(&v);
        assert_int_equal(in_child(do_import, &(struct run){ .box = r.box, .stop_at = UINT32_MAX }),
                         DONE); /* again */
        v = look(r.box.path);
        assert_string_equal(v.rows[0].uid, "foreign-1");
        assert_string_equal(v.rows[1].uid, "foreign-2");
        view_free(&v);
        box_free(&r.box);
    } while (status != DONE);
    assert_true(n > 5);
}

/* Where in the trace "call … part" first stands from a place on, SIZE_MAX if nowhere. */
static size_t traced(const char *call, const char *part, size_t from)
{
    const struct buf *t = shim_trace();
    struct span rest = span_of(t->p + from, t->n - from);

    while (rest.n) {
        size_t at = (size_t)(rest.p - t->p);
        struct span line = span_until(&rest, '\n');

        if (line.n > strlen(call) && !memcmp(line.p, call, strlen(call)) &&
            memmem(line.p, line.n, part, strlen(part)))
            return at;
    }
    return SIZE_MAX;
}

static void order_of_a_commit(void **state)
{
    struct box box;
    struct store_policy policy = plain_policy;
    uint8_t marks = MARKED, one = 1;
    struct store_commit c = { .deleted = &marks }, last = { .deleted = &one };
    struct drop *drop;
    size_t journal, named, first, synced;

    (void)state;
    box_new(&box);
    fill(&box);
    drop = must_open(&store_maildir, box.path, &policy);
    shim_count();
    assert_true(store_maildir.commit(drop, &c, NULL));
    shim_end();
    store_maildir.close(&drop);
    journal = traced("fsync ", "/tmp/", 0);
    named = traced("rename ", "restante-commit", journal);
    named = traced("fsync ", "Maildir -", named);
    first = traced("unlink ", "", 0);
    assert_true(named != SIZE_MAX && named < first); /* the promise is durable before the first removal */
    synced = traced("fsync ", "/new -", first);
    assert_true(synced != SIZE_MAX && traced("fsync ", "/cur -", first) != SIZE_MAX);
    assert_true(traced("unlink ", "restante-commit", 0) > synced);
    assert_true(traced("unlink ", "/cur ", synced) == SIZE_MAX && traced("unlink ", "/new ", synced) == SIZE_MAX);
    policy.durable = false;
    drop = must_open(&store_maildir, box.path, &policy);
    shim_count();
    assert_true(store_maildir.commit(drop, &last, NULL));
    shim_end();
    assert_true(traced("fsync ", "", 0) == SIZE_MAX);
    store_maildir.close(&drop);
    box_free(&box);
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
        T(commit_stopped_anywhere),
        T(delivery_stopped_anywhere),
        T(open_stopped_anywhere),
        T(import_stopped_anywhere),
        T(journal_of_other_files_removes_nothing),
        T(torn_journal_removes_nothing),
        T(order_of_a_commit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
