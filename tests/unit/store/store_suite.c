/* store_suite.c - what every store must do, run against maildir and mem alike.
 *
 * Proves: R1939-AUTHZ-02, R1939-AUTHZ-03, R1939-AUTHZ-06, R1939-AUTHZ-10, R1939-QUIT-01, R1939-QUIT-02, R1939-QUIT-03,
 * R1939-QUIT-07, R1939-SIZE-01 … -05, R1939-UIDL-04, R1939-UIDL-06, R1939-STAT-04, R1939-RETR-03.
 * Does not know: how a store keeps its messages (but for filling it).
 */
#include "store_help.h"

#include "base/sys.h"
#include "pop3/engine.h"
#include "store/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How a test fills and changes maildrops of one kind. */
struct kind {
    const struct store_ops *ops;
    struct box box;
    const char *path;
};

static void kind_add(struct kind *k, const char *uid, struct span content)
{
    char name[300];

    snprintf(name, sizeof name, "new/%s", uid);
    if (k->ops == &store_mem)
        mem_add(k->path, span_str(uid), content);
    else
        box_put(&k->box, name, content);
}

static void kind_remove(struct kind *k, const char *uid)
{
    char name[300], path[512];

    snprintf(name, sizeof name, "new/%s", uid);
    if (k->ops == &store_mem)
        assert_true(mem_remove(k->path, span_str(uid)));
    else
        assert_int_equal(unlink(box_join(&k->box, name, path)), 0);
}

static void kind_change(struct kind *k, const char *uid, const char *content)
{
    char name[300];

    snprintf(name, sizeof name, "new/%s", uid);
    if (k->ops == &store_mem)
        assert_true(mem_change(k->path, span_str(uid), span_str(content)));
    else
        box_put_str(&k->box, name, content);
}

/* maildir: a directory without write permission; root is not stopped by it. */
static bool kind_refuse(struct kind *k, bool refuse)
{
    char path[512];

    if (k->ops == &store_mem)
        mem_refuse_removals(k->path, refuse);
    else if (geteuid() == 0)
        return false;
    else
        assert_int_equal(chmod(box_join(&k->box, "new", path), refuse ? 0500 : 0700), 0);
    return true;
}

static int start(void **state, const struct store_ops *ops)
{
    struct kind *k = mem_zero(1, sizeof *k);

    events_quiet();
    k->ops = ops;
    box_new(&k->box);
    k->path = k->box.path;
    *state = k;
    return 0;
}

static int start_maildir(void **state)
{
    return start(state, &store_maildir);
}

static int start_mem(void **state)
{
    return start(state, &store_mem);
}

static int stop(void **state)
{
    struct kind *k = *state;

    mem_clear();
    box_free(&k->box);
    free(k);
    return 0;
}

static struct view view_now(struct kind *k)
{
    struct drop *drop = must_open(k->ops, k->path, &plain_policy);
    struct view v = view_of(k->ops, drop);

    k->ops->close(&drop);
    return v;
}

static struct buf fetch(struct kind *k, struct drop *drop, uint32_t i)
{
    struct err e = { FAULT_NONE, "" };
    int fd;

    if (!k->ops->fetch(drop, i, &fd, &e))
        fail_msg("fetch %u: %s", i, e.text);
    return read_fd(fd);
}

static void add_three(struct kind *k)
{
    kind_add(k, "1.a", span_str("Subject: a\n\n1\n"));
    kind_add(k, "2.b", span_str("Subject: b\n\n2\n"));
    kind_add(k, "3.c", span_str("Subject: b\n\n2\n")); /* twins in content only */
}

static void sizes_of_all_fixtures(void **state)
{
    struct kind *k = *state;
    struct fixture f[FIXTURES];
    struct drop *drop;
    struct view v;

    fixtures_make(f);
    for (int i = 0; i < FIXTURES; i++) {
        char uid[32];

        snprintf(uid, sizeof uid, "%d.%s", 100 + i, f[i].id);
        kind_add(k, uid, f[i].content);
    }
    drop = must_open(k->ops, k->path, &plain_policy);
    v = view_of(k->ops, drop);
    assert_int_equal(v.n, FIXTURES);
    assert_int_equal(v.octets, 105602); /* the sum that the requirements give */
    for (uint32_t i = 0; i < FIXTURES; i++) {
        struct buf b = fetch(k, drop, i);

        assert_int_equal(v.rows[i].octets, f[i].octets);
        assert_int_equal(v.rows[i].size, f[i].content.n);
        assert_true(span_eq(buf_span(&b), f[i].content));
        assert_int_equal(!!(v.rows[i].flags & DROP_MSG_NEEDS_UTF8), i == 18);
        assert_int_equal(!!(v.rows[i].flags & DROP_MSG_WIRE_READY), i == 7 || i == 9 || i == 19);
        buf_free(&b);
    }
    view_free(&v);
    k->ops->close(&drop);
    fixtures_free(f);
}

static void empty_and_missing(void **state)
{
    struct kind *k = *state;
    struct store_policy policy = plain_policy;
    struct drop *drop;
    struct err e;
    int fd;

    drop = must_open(k->ops, k->path, &plain_policy);
    assert_int_equal(k->ops->count(drop), 0);
    assert_false(k->ops->fetch(drop, 0, &fd, &e));
    k->ops->close(&drop);
    k->ops->close(&drop); /* NULL-safe */
    policy.create = false;
    assert_false(k->ops->open("/nowhere/at/all", &policy, &drop, &e));
    assert_null(drop);
    assert_int_equal(e.fault, FAULT_GONE);
}

static void lock_and_sharing(void **state)
{
    struct kind *k = *state;
    struct store_policy shared = plain_policy;
    struct drop *a, *b = NULL;
    struct err e;

    shared.sessions = STORE_SHARED;
    add_three(k);
    a = must_open(k->ops, k->path, &plain_policy);
    assert_false(k->ops->open(k->path, &plain_policy, &b, &e));
    assert_int_equal(e.fault, FAULT_IN_USE);
    assert_null(b);
    assert_false(k->ops->open(k->path, &shared, &b, &e));
    assert_int_equal(e.fault, FAULT_IN_USE);
    k->ops->close(&a);
    a = must_open(k->ops, k->path, &shared);
    b = must_open(k->ops, k->path, &shared);
    k->ops->close(&a);
    assert_false(k->ops->open(k->path, &plain_policy, &a, &e));
    assert_int_equal(e.fault, FAULT_IN_USE);
    k->ops->close(&b);
    a = must_open(k->ops, k->path, &plain_policy);
    k->ops->close(&a);
}

static void snapshot_stays(void **state)
{
    struct kind *k = *state;
    struct drop *drop;
    struct view v;
    struct err e;
    struct buf b;
    int fd;

    add_three(k);
    drop = must_open(k->ops, k->path, &plain_policy);
    kind_add(k, "4.d", span_str("new\n"));
    kind_remove(k, "1.a");
    kind_change(k, "2.b", "Subject: another\n\ncontent\n");
    v = view_of(k->ops, drop);
    assert_int_equal(v.n, 3);
    assert_string_equal(v.rows[0].uid, "1.a");
    assert_string_equal(v.rows[2].uid, "3.c");
    assert_false(k->ops->fetch(drop, 0, &fd, &e));
    assert_int_equal(e.fault, FAULT_GONE);
    assert_false(k->ops->fetch(drop, 1, &fd, &e));
    assert_int_equal(e.fault, FAULT_TEMP);
    assert_false(k->ops->fetch(drop, 3, &fd, &e));
    b = fetch(k, drop, 2);
    assert_int_equal(b.n, 14);
    buf_free(&b);
    view_free(&v);
    k->ops->close(&drop);
    v = view_now(k);
    assert_int_equal(v.n, 3);
    assert_string_equal(v.rows[0].uid, "2.b");
    assert_int_equal(v.rows[0].octets, 29);
    assert_string_equal(v.rows[2].uid, "4.d");
    view_free(&v);
}

static void commit_removes_what_is_marked(void **state)
{
    struct kind *k = *state;
    uint8_t marks = 0x5;
    struct store_commit c = { .deleted = &marks };
    struct drop *drop;
    struct view v;
    struct err e;

    add_three(k);
    drop = must_open(k->ops, k->path, &plain_policy);
    k->ops->close(&drop); /* no commit: nothing changes */
    drop = must_open(k->ops, k->path, &plain_policy);
    assert_int_equal(k->ops->count(drop), 3);
    kind_add(k, "4.d", span_str("arrived meanwhile\n"));
    assert_true(k->ops->commit(drop, &c, &e));
    assert_int_equal(c.removed, 2);
    assert_int_equal(c.failed, 0);
    assert_int_equal(k->ops->count(drop), 3);
    k->ops->close(&drop);
    v = view_now(k);
    assert_int_equal(v.n, 2);
    assert_string_equal(v.rows[0].uid, "2.b");
    assert_string_equal(v.rows[1].uid, "4.d");
    view_free(&v);
}

static void commit_without_marks(void **state)
{
    struct kind *k = *state;
    uint8_t none = 0;
    struct store_commit c = { .deleted = &none, .retrieved = &none }, nothing = { 0 };
    struct drop *drop;
    struct err e;

    add_three(k);
    drop = must_open(k->ops, k->path, &plain_policy);
    assert_true(k->ops->commit(drop, &c, &e));
    assert_true(k->ops->commit(drop, &nothing, &e));
    k->ops->close(&drop);
    drop = must_open(k->ops, k->path, &plain_policy);
    assert_int_equal(k->ops->count(drop), 3);
    k->ops->close(&drop);
}

static void commit_of_vanished_and_changed(void **state)
{
    struct kind *k = *state;
    uint8_t marks = 0x7;
    struct store_commit c = { .deleted = &marks };
    struct drop *drop;
    struct view v;
    struct err e = { FAULT_NONE, "" };

    add_three(k);
    drop = must_open(k->ops, k->path, &plain_policy);
    kind_remove(k, "1.a");
    kind_change(k, "2.b", "not what the client saw\n");
    assert_false(k->ops->commit(drop, &c, &e));
    assert_int_equal(e.fault, FAULT_TEMP);
    assert_int_equal(c.removed, 2);
    assert_int_equal(c.failed, 1);
    k->ops->close(&drop);
    v = view_now(k);
    assert_int_equal(v.n, 1);
    assert_string_equal(v.rows[0].uid, "2.b");
    view_free(&v);
}

static void commit_that_fails_says_so(void **state)
{
    struct kind *k = *state;
    uint8_t marks = 0x3;
    struct store_commit c = { .deleted = &marks };
    struct drop *drop;
    struct err e = { FAULT_NONE, "" };

    add_three(k);
    drop = must_open(k->ops, k->path, &plain_policy);
    if (kind_refuse(k, true)) {
        assert_false(k->ops->commit(drop, &c, &e));
        assert_int_equal(c.removed, 0);
        assert_int_equal(c.failed, 2);
        assert_int_not_equal(e.fault, FAULT_NONE);
        kind_refuse(k, false);
    }
    k->ops->close(&drop);
    drop = must_open(k->ops, k->path, &plain_policy);
    assert_int_equal(k->ops->count(drop), 3);
    k->ops->close(&drop);
}

#define BOTH(f) \
    cmocka_unit_test_setup_teardown(f, start_maildir, stop), cmocka_unit_test_setup_teardown(f, start_mem, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(sizes_of_all_fixtures),
        BOTH(empty_and_missing),
        BOTH(lock_and_sharing),
        BOTH(snapshot_stays),
        BOTH(commit_removes_what_is_marked),
        BOTH(commit_without_marks),
        BOTH(commit_of_vanished_and_changed),
        BOTH(commit_that_fails_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
