/* t_deliver.c - delivery into a Maildir: octets, names, order of calls, refusals.
 *
 * Proves: MD-01, MD-02, MD-03, MD-04, MD-05, MD-09, MDPP-03, R1939-AUTHZ-07.
 * Does not know: crashes and failing calls (t_crash.c, t_fault.c).
 */
#include "store_help.h"

#include "base/sys.h"
#include "mail/mdname.h"
#include "store/deliver.h"
#include "store_shim.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int source(struct span content)
{
    int fd = memfd_create("message", MFD_CLOEXEC);

    assert_true(sys_write_all(fd, content));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static bool deliver(const struct box *box, struct span content, const struct deliver_options *o,
                    struct deliver_result *r, struct err *e)
{
    int fd = source(content);
    bool ok = maildir_deliver(box->path, fd, o, r, e);

    close(fd);
    return ok;
}

static struct buf delivered(const struct box *box, const struct deliver_result *r)
{
    char name[300];

    snprintf(name, sizeof name, "new/%s", r->name);
    return box_read(box, name);
}

static void expect_stored(const struct box *box, const struct deliver_options *o, struct span in, struct span want)
{
    struct deliver_result r;
    struct err e = { FAULT_NONE, "" };
    struct buf b;

    if (!deliver(box, in, o, &r, &e))
        fail_msg("%s", e.text);
    b = delivered(box, &r);
    assert_true(span_eq(buf_span(&b), want));
    assert_int_equal(r.stored, want.n);
    buf_free(&b);
}

static void names_tell_sizes(void **state)
{
    struct box *box = *state;
    struct deliver_options o = { .durable = true, .host = "mx.example.org" };
    struct fixture f[FIXTURES];
    struct view v;

    fixtures_make(f);
    for (int i = 0; i < FIXTURES; i++) {
        struct deliver_result r;
        struct mdname name;
        struct buf b;

        o.sequence++;
        assert_true(deliver(box, f[i].content, &o, &r, NULL));
        b = delivered(box, &r);
        assert_true(span_eq(buf_span(&b), f[i].content));
        name = mdname_parse(span_str(r.name));
        assert_true(name.has_size && name.size == f[i].content.n);
        assert_true(name.has_wire && name.wire == f[i].octets);
        assert_int_equal(r.octets, f[i].octets);
        assert_null(strchr(r.name, ':'));
        assert_true(mdname_is_uid(name.base));
        buf_free(&b);
    }
    v = look(box->path);
    assert_int_equal(v.octets, 105602);
    assert_int_equal(v.n, FIXTURES);
    for (uint32_t i = 0; i < v.n; i++)
        assert_int_equal(v.rows[i].octets, f[i].octets); /* in the order of delivery */
    assert_int_equal(events_named("size-hints-wrong"), 0);
    assert_int_equal(box_files(box, "tmp"), 0);
    view_free(&v);
    fixtures_free(f);
}

static void prefix_and_from_line(void **state)
{
    struct box *box = *state;
    struct deliver_options plain = { 0 }, strip = { .strip_from_line = true };
    struct deliver_options both = { .strip_from_line = true, .prefix = span_str("Return-Path: <a@b>\n") };

    expect_stored(box, &plain, span_str("From x\nA: b\n\nc\n"), span_str("From x\nA: b\n\nc\n"));
    expect_stored(box, &strip, span_str("From x\nA: b\n\nc\n"), span_str("A: b\n\nc\n"));
    expect_stored(box, &strip, span_str("From: x\n"), span_str("From: x\n"));
    expect_stored(box, &strip, span_str("From"), span_str("From"));
    expect_stored(box, &strip, span_str(""), span_str(""));
    expect_stored(box, &strip, span_str("From x"), span_str(""));
    expect_stored(box, &strip, span_str("X\nFrom x\n"), span_str("X\nFrom x\n"));
    expect_stored(box, &both, span_str("From x\nA: b\n"), span_str("Return-Path: <a@b>\nA: b\n"));
    expect_stored(box, &both, span_str("Fro"), span_str("Return-Path: <a@b>\nFro"));
}

static void *feed_slowly(void *ctx)
{
    static const char text[] = "From sender\nSubject: x\n\nbody";
    int fd = *(int *)ctx;

    for (size_t i = 0; i < sizeof text - 1; i++)
        if (write(fd, text + i, 1) != 1)
            break;
    close(fd);
    return NULL;
}

static void from_line_in_pieces(void **state)
{
    struct box *box = *state;
    struct deliver_options o = { .strip_from_line = true };
    struct deliver_result r;
    struct buf b;
    pthread_t thread;
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(pthread_create(&thread, NULL, feed_slowly, &fds[1]), 0);
    assert_true(maildir_deliver(box->path, fds[0], &o, &r, NULL));
    pthread_join(thread, NULL);
    close(fds[0]);
    b = delivered(box, &r);
    assert_true(span_is(buf_span(&b), "Subject: x\n\nbody"));
    buf_free(&b);
}

static void limits_and_refusals(void **state)
{
    struct box *box = *state;
    struct deliver_options o = { .max_octets = 5 };
    struct deliver_result r;
    struct err e;
    char path[512];

    assert_true(deliver(box, span_str("12345"), &o, &r, &e));
    assert_false(deliver(box, span_str("123456"), &o, &r, &e));
    assert_int_equal(e.fault, FAULT_BAD);
    assert_int_equal(box_files(box, "new"), 1);
    assert_int_equal(box_files(box, "tmp"), 0);
    assert_false(maildir_deliver("relative", -1, &o, &r, &e));
    assert_int_equal(e.fault, FAULT_BAD);
    assert_false(maildir_deliver("/nowhere/at/all", -1, &o, &r, &e));
    assert_int_equal(e.fault, FAULT_GONE);
    assert_false(maildir_deliver(box->path, -1, &o, &r, &e)); /* the source cannot be read */
    assert_int_equal(e.fault, FAULT_TEMP);
    if (geteuid() != 0) {
        assert_int_equal(chmod(box_join(box, "tmp", path), 0500), 0);
        assert_false(deliver(box, span_str("1"), &o, &r, &e));
        assert_int_equal(e.fault, FAULT_PERM);
        assert_int_equal(chmod(path, 0700), 0);
    }
}

static void maildrop_is_made(void **state)
{
    struct box *box = *state;
    struct box fresh = *box;
    struct deliver_options o = { .create = true, .durable = true };
    struct deliver_result r;

    snprintf(fresh.path, sizeof fresh.path, "%.100s/d/u", box->root);
    assert_true(deliver(&fresh, span_str("x\n"), &o, &r, NULL));
    assert_int_equal(box_files(&fresh, "new"), 1);
    assert_true(box_has(&fresh, "cur"));
}

static void delivery_during_a_session(void **state)
{
    struct box *box = *state;
    struct drop *drop = must_open(&store_maildir, box->path, &plain_policy);
    struct deliver_options o = { 0 };
    struct deliver_result r;

    assert_true(deliver(box, span_str("x\n"), &o, &r, NULL));
    assert_int_equal(store_maildir.count(drop), 0);
    store_maildir.close(&drop);
}

/* Where in the trace the first call is that begins with "call " and whose rest holds part; from a place on. */
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
    fail_msg("no \"%s … %s\" after octet %zu of:\n%.*s", call, part, from, (int)t->n, (const char *)t->p);
    return 0;
}

static void order_of_calls(void **state)
{
    struct box *box = *state;
    struct deliver_options o = { .durable = true };
    struct deliver_result r;
    size_t at;

    shim_count();
    assert_true(deliver(box, span_str("x\n"), &o, &r, NULL));
    shim_end();
    at = traced("create ", "/tmp", 0);
    at = traced("write ", "/tmp/", at);
    at = traced("fsync ", "/tmp/", at);
    at = traced("rename ", "/new ", at);
    traced("fsync ", "/new ", at);
}

enum { PROCESSES = 4, EACH = 250 };

static int deliver_many(void *ctx)
{
    struct deliver_options o = { 0 };
    struct deliver_result r;

    for (int i = 0; i < EACH; i++, o.sequence++)
        if (!deliver(ctx, span_str("x\n"), &o, &r, NULL))
            return 1;
    return 0;
}

static void many_at_once(void **state)
{
    struct box *box = *state;
    pid_t pids[PROCESSES];

    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(deliver_many(box));
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(box_files(box, "new"), PROCESSES * EACH);
    assert_int_equal(box_files(box, "tmp"), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, box_start, box_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(names_tell_sizes), T(prefix_and_from_line),      T(from_line_in_pieces), T(limits_and_refusals),
        T(maildrop_is_made), T(delivery_during_a_session), T(order_of_calls),      T(many_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
