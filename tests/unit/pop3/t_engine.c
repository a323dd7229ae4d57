/* t_engine.c - the session: greeting, states, limits on bad commands and failed logins, over-long
 * lines, end of input, stop, QUIT and its policies.
 *
 * Proves: R1939-GEN-01, R1939-GEN-06, R1939-GEN-07, R1939-GEN-08, R1939-GEN-09, R1939-GEN-21,
 * R1939-GEN-22, R1939-GEN-23, R1939-GEN-24, R1939-AUTHZ-03, R1939-AUTHZ-05, R1939-AUTHZ-11,
 * R1939-AUTHZ-12, R1939-USER-03, R1939-USER-05, R1939-USER-06, R1939-USER-08, R1939-USER-09,
 * R1939-USER-12, R1939-APOP-01, R1939-QUIT-02, R1939-QUIT-03, R1939-QUIT-08, R1939-OPS-02,
 * R1939-OPS-03, R1939-RSET-03, R1939-TOP-10, R2449-LEN-01, R2449-LEN-03, R2449-RC-05, R2449-RC-06,
 * R3206-01, R3206-02, R3206-03, R3206-04, R3206-06, R8314-S-08
 */
#include "bench.h"

#include <stdlib.h>

static void test_greeting(void **state)
{
    struct bench *b = bench_set("conf: hostname=mx.example");

    (void)state;
    sim_start(b->sim);
    assert_true(span_is(buf_span(&b->sim->out), "+OK mx.example POP3 server ready\r\n"));
    bench_end(b);
    b = bench_set("conf: auth.apop=yes greeting=\"[hi] <there>\"");
    sim_start(b->sim);
    assert_true(
        span_is(buf_span(&b->sim->out), "+OK (hi] (there) <1896.697170952@dbc.mtview.ca.us>\r\n"));
    bench_end(b);
}

static void test_states(void **state)
{
    static const char *const later[] = { "STAT\r\n",    "LIST\r\n",   "UIDL\r\n", "RETR 1\r\n",
                                         "TOP 1 1\r\n", "DELE 1\r\n", "NOOP\r\n", "RSET\r\n" };
    static const char *const earlier[] = { "USER bob\r\n",
                                           "PASS secret\r\n",
                                           "AUTH PLAIN\r\n",
                                           "AUTH\r\n",
                                           "APOP a 0123456789abcdef0123456789abcdef\r\n",
                                           "STLS\r\n" };
    struct bench *b = bench("");

    (void)state;
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        expect(b, later[i], "-ERR log in first\r\n");
    ask(b, "USER bob\r\n");
    expect_head(b, "PASS secret\r\n", "+OK ");
    for (size_t i = 0; i < sizeof earlier / sizeof *earlier; i++)
        expect(b, earlier[i], "-ERR not after login\r\n");
    expect(b, "STAT\r\n", "+OK 3 118\r\n");
    bench_end(b);
}

static void test_malformed(void **state)
{
    static const char *const lines[] = { "\r\n",        " \r\n",       "XYZZY\r\n",
                                         "STAT 1\r\n",  "LIST x\r\n",  "LIST 1 2\r\n",
                                         "RETR\r\n",    "TOP 1\r\n",   "TOP\r\n",
                                         "DELE\r\n",    "NOOP x\r\n",  "UIDL -1\r\n",
                                         "ST\x01T\r\n", "LIST\t1\r\n", "LIST \xc3\xa9\r\n",
                                         "STAT\r\r\n" };
    struct bench *b = bench_in("");

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        expect_head(b, lines[i], "-ERR ");
        assert_non_null(strchr(b->last, '\n'));
        assert_string_equal(strchr(b->last, '\n'), "\n");
    }
    assert_true(begins((const char *)ask_span(b, span_of("LIST\0 1\r\n", 9)).p, "-ERR "));
    expect(b, "list 1\n", "+OK 1 60\r\n");
    bench_end(b);
}

/* Limits count in a row, and differ before and after login. */
static void test_bad_limits(void **state)
{
    struct bench *b = bench("conf: pop3.bad_commands_before_login=3 pop3.bad_commands=4");

    (void)state;
    for (int i = 0; i < 5; i++) {
        expect_head(b, "X\r\nY\r\n", "-ERR ");
        expect_head(b, "CAPA\r\n", "+OK ");
    }
    ask(b, "X\r\nY\r\nUSER bob\r\nPASS secret\r\n");
    expect(b, "X\r\nX\r\nX\r\n",
           "-ERR unknown command\r\n-ERR unknown command\r\n-ERR unknown command\r\n");
    expect_head(b, "NOOP\r\n", "+OK ");
    ask(b, "DELE 1\r\nX\r\nX\r\nX\r\n");
    assert_false(b->sim->closed);
    expect(b, "X\r\nQUIT\r\n", "-ERR too many bad commands\r\n");
    assert_true(b->sim->closed && !b->sim->committed);
    bench_end(b);
    b = bench("conf: pop3.bad_commands_before_login=3");
    expect(b, "A\r\nB\r\nC\r\nCAPA\r\n",
           "-ERR unknown command\r\n-ERR unknown command\r\n-ERR too many bad commands\r\n");
    assert_true(b->sim->closed);
    bench_end(b);
}

/* Wrong numbers are no bad commands: clients ask for messages that are gone. */
static void test_wrong_is_not_bad(void **state)
{
    struct bench *b = bench_in("conf: pop3.bad_commands=3");

    (void)state;
    for (int i = 0; i < 20; i++)
        expect(b, "RETR 99\r\n", "-ERR no such message\r\n");
    assert_false(b->sim->closed);
    bench_end(b);
}

static void test_foreign(void **state)
{
    static const char *const first[] = { "GET / HTTP/1.1\r\nQUIT\r\n", "EHLO x\r\n",
                                         "SSH-2.0-x\r\n", "\x16\x03\x01\x02" };

    (void)state;
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        struct bench *b = bench("");

        expect(b, first[i], "-ERR this is a POP3 server\r\n");
        assert_true(b->sim->closed);
        bench_end(b);
    }
}

static void test_long_lines(void **state)
{
    struct bench *b = bench("");
    static char line[70001];

    (void)state;
    memset(line, 'x', 70000);
    memcpy(line, "USER ", 5);
    memcpy(line + 253, "\r\n", 3); /* 255 octets are taken */
    expect_head(b, line, "+OK ");
    memset(line + 253, 'x', 60000);
    memcpy(line + 60000, "\r\nCAPA\r\n", 9);
    expect_head(b, line, "-ERR line too long\r\n+OK ");
    expect_head(b, "PASS secret\r\n", "-ERR the command USER first");
    memset(line, 'x', 69999);
    line[69999] = '\0';
    expect(b, line, "-ERR line too long\r\n");
    assert_true(b->sim->closed);
    bench_end(b);
}

/* --- logging in ------ */

static void test_user_pass(void **state)
{
    struct bench *b = bench("conf: pop3.login_tries=50 pop3.bad_commands_before_login=50");

    (void)state;
    expect_head(b, "PASS secret\r\n", "-ERR the command USER first");
    expect_head(b, "USER\r\n", "-ERR wrong arguments");
    expect(b, "USER nosuch\r\nPASS secret\r\n",
           "+OK now the password\r\n-ERR [AUTH] login failed\r\n");
    expect(b, "USER bob\r\nPASS wrong\r\n", "+OK now the password\r\n-ERR [AUTH] login failed\r\n");
    expect_head(b, "PASS secret\r\n", "-ERR the command USER first");
    expect(b, "USER carol\r\nPASS secret\r\n",
           "+OK now the password\r\n-ERR [AUTH] login failed\r\n");
    ask(b, "USER bob\r\nLANG en\r\n");
    expect_head(b, "PASS secret\r\n", "-ERR the command USER first");
    ask(b, "USER bob\r\nUSER alice\r\n");
    expect_head(b, "PASS secret\r\n", "-ERR [AUTH] ");
    expect_head(b, "USER alice\r\nPASS  wonder  land \r\n",
                "+OK now the password\r\n+OK maildrop open, 3 messages\r\n");
    bench_end(b);
}

static void test_login_tries(void **state)
{
    struct bench *b = bench("conf: pop3.login_tries=3");

    (void)state;
    ask(b, "USER bob\r\nPASS 1\r\nUSER bob\r\nPASS 2\r\n");
    assert_false(b->sim->closed);
    expect(b, "USER bob\r\nPASS 3\r\nCAPA\r\n",
           "+OK now the password\r\n-ERR [AUTH] login failed\r\n");
    assert_true(b->sim->closed);
    bench_end(b);
    b = bench("conf: pop3.login_tries=3");
    ask(b, "USER bob\r\nPASS 1\r\nUSER bob\r\nPASS 2\r\n");
    expect_head(b, "USER bob\r\nPASS secret\r\n", "+OK now the password\r\n+OK ");
    bench_end(b);
}

static void test_codes(void **state)
{
    static const char *const rows[][2] = {
        { "busy", "-ERR [IN-USE] " },   { "early", "-ERR [LOGIN-DELAY] " },
        { "down", "-ERR [SYS/TEMP] " }, { "broken", "-ERR [SYS/PERM] " },
        { "carol", "-ERR [AUTH] " },    { "dave", "-ERR [AUTH] " },
    };
    struct bench *b = bench("tls: none\nconf: pop3.login_tries=50");
    struct buf text = BUF(100);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        text.n = 0;
        assert_true(buf_printf(&text, "USER %s\r\n", rows[i][0]) && buf_put(&text, "", 1));
        expect(b, (const char *)text.p, "+OK now the password\r\n");
        expect_head(b, "PASS secret\r\n", rows[i][1]);
    }
    buf_free(&text);
    bench_end(b);
}

/* No password without TLS: not even looked at, and USER says so without [AUTH]. */
static void test_needs_tls(void **state)
{
    static const char *const headers[] = { "tls: strict", "tls: needs" };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct bench *b = bench(headers[i]);

        expect_head(b, "USER bob\r\n", "-ERR encryption (TLS) first");
        expect(b, "PASS secret\r\n", "-ERR [AUTH] encryption (TLS) first\r\n");
        expect(b, "PASS wrong\r\n", "-ERR [AUTH] encryption (TLS) first\r\n");
        expect_head(b, "AUTH PLAIN\r\n", "-ERR [AUTH] ");
        expect_head(b, "AUTH PLAIN-X\r\n", "-ERR mechanism not available");
        bench_end(b);
    }
}

/* --- end ------ */

static void test_eof(void **state)
{
    struct bench *b = bench_in("");

    (void)state;
    ask(b, "DELE 1\r\nQUIT");
    sim_eof(b->sim); /* QUIT without its line end was never said */
    assert_true(b->sim->closed && !b->sim->committed && b->at == b->sim->out.n);
    bench_end(b);
    b = bench_in("");
    expect(b, "DELE 1\r\nQUIT\r\nNOOP\r\n",
           "+OK message marked as deleted\r\n+OK goodbye, messages removed: 1\r\n");
    assert_true(b->sim->closed && b->sim->removed[0] && !b->sim->removed[1]);
    bench_end(b);
    b = bench("");
    expect(b, "QUIT\r\nCAPA\r\n", "+OK goodbye\r\n");
    assert_true(b->sim->closed && !b->sim->committed);
    bench_end(b);
}

/* A stop in the middle of a reply: it is finished, nothing else is taken, no UPDATE. */
static void test_stop(void **state)
{
    struct bench *b = bench_in("");
    struct engine *e = &b->sim->engine;
    uint8_t room[65536];
    struct span none = { NULL, 0 };

    (void)state;
    ask(b, "DELE 1\r\n");
    assert_int_equal(engine_feed(e, span_str("LIST\r\nQUIT\r\n")), 6);
    assert_int_equal(engine_want(e), WANT_OUTPUT);
    engine_stop(e);
    assert_int_equal(engine_want(e), WANT_OUTPUT);
    assert_true(engine_pull(e, &none, room, sizeof room) > 10);
    assert_int_equal(engine_want(e), WANT_CLOSE);
    assert_int_equal(engine_feed(e, span_str("QUIT\r\n")), 0);
    bench_end(b);
    b = bench_in("");
    e = &b->sim->engine;
    ask(b, "DELE 1\r\n");
    engine_feed(e, span_str("QUIT\r\n"));
    engine_stop(e); /* QUIT was read: UPDATE is carried out */
    assert_int_equal(engine_want(e), WANT_REQUEST);
    assert_int_equal(engine_request(e)->kind, REQ_COMMIT);
    engine_committed(e, FAULT_NONE, 1, 0);
    assert_int_equal(engine_want(e), WANT_OUTPUT);
    bench_end(b);
}

static void quits(const char *header, const char *dialogue, const char *last, const char *removed)
{
    struct bench *b = bench_in(header);
    char got[4] = { 0 };

    ask(b, dialogue);
    expect_head(b, "QUIT\r\n", last);
    assert_true(b->sim->closed);
    for (int i = 0; i < 3; i++)
        got[i] = b->sim->removed[i] ? 'x' : '-';
    assert_string_equal(got, removed);
    bench_end(b);
}

static void test_policies(void **state)
{
    (void)state;
    quits("", "RETR 1\r\n", "+OK goodbye\r\n", "---");
    quits("", "RETR 1\r\nTOP 1 99\r\nDELE 2\r\n", "+OK goodbye, messages removed: 1\r\n", "-x-");
    quits("conf: mail.expire=0", "RETR 1\r\n", "+OK goodbye, messages removed: 1\r\n", "x--");
    quits("conf: mail.expire=0", "RETR 1\r\nRSET\r\n", "+OK goodbye\r\n", "---");
    quits("conf: mail.expire=0", "TOP 1 99\r\nTOP 2 0\r\n", "+OK goodbye, messages removed: 1\r\n",
          "x--");
    quits("conf: mail.expire=0", "LIST\r\nUIDL 2\r\n", "+OK goodbye\r\n", "---");
    quits("user: bob \"secret\" expire=0", "RETR 3\r\n", "+OK goodbye, messages removed: 1\r\n",
          "--x");
    quits("user: bob \"secret\" read_only", "DELE 3\r\n", "+OK goodbye\r\n", "---");
    quits("user: bob \"secret\" read_only expire=0", "RETR 3\r\n", "+OK goodbye\r\n", "---");
    quits("fault: commit 1 temp", "DELE 1\r\nDELE 3\r\n",
          "-ERR [SYS/TEMP] messages removed: 1, not removed: 1", "x--");
    quits("fault: commit 0 perm", "DELE 1\r\nDELE 3\r\n",
          "-ERR [SYS/PERM] messages removed: 0, not removed: 2", "---");
}

/* The seen flag follows RETR; TOP leaves no trace unless retrieving means deleting. */
static void test_retrieved(void **state)
{
    struct bench *b = bench_in("");

    (void)state;
    ask(b, "TOP 1 99\r\nLIST 1\r\nUIDL 1\r\nRETR 2\r\n");
    assert_int_equal(b->sim->view.retrieved[0], 2);
    ask(b, "RSET\r\n");
    assert_int_equal(b->sim->view.retrieved[0], 2);
    bench_end(b);
}

static void test_top_refused(void **state)
{
    struct bench *b = bench_in("conf: mail.expire=0 pop3.top_when_expire_0=refused");

    (void)state;
    expect_head(b, "TOP 1 1\r\n", "-ERR ");
    expect_head(b, "TOP 1 0\r\n", "+OK ");
    bench_end(b);
}

/* EXPIRE 0 and a connection that ends without QUIT: nothing is removed. */
static void test_expire_without_quit(void **state)
{
    struct bench *b = bench_in("conf: mail.expire=0");

    (void)state;
    ask(b, "RETR 1\r\n");
    sim_eof(b->sim);
    assert_true(b->sim->closed && !b->sim->committed);
    bench_end(b);
}

static void test_stats(void **state)
{
    struct bench *b = bench_in("");
    const struct engine_stats *st = engine_stats(&b->sim->engine);

    (void)state;
    ask(b, "RETR 1\r\nTOP 2 0\r\nDELE 3\r\nX\r\n");
    assert_int_equal(st->commands, 6);
    assert_int_equal(st->bad, 1);
    assert_true(st->retr == 1 && st->top == 1 && st->dele == 1 && !st->quit);
    assert_int_equal(st->body_octets, 60 + 17);
    ask(b, "QUIT\r\n");
    assert_true(st->quit);
    bench_end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_bad_limits),
        cmocka_unit_test(test_wrong_is_not_bad),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_user_pass),
        cmocka_unit_test(test_login_tries),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_needs_tls),
        cmocka_unit_test(test_eof),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_retrieved),
        cmocka_unit_test(test_top_refused),
        cmocka_unit_test(test_expire_without_quit),
        cmocka_unit_test(test_stats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
