/* t_body.c - messages on the wire: every fixture by RETR and TOP, rooms of any size, messages that
 * are shorter or longer than announced, quirks, UTF-8 headers for clients that did not say UTF8.
 *
 * Proves: R1939-GEN-10, R1939-GEN-11, R1939-LIST-01, R1939-LIST-03, R1939-LIST-06, R1939-LIST-07,
 * R1939-RETR-01, R1939-RETR-02, R1939-RETR-03, R1939-RETR-04, R1939-RETR-05, R1939-RETR-06,
 * R1939-RETR-07, R1939-RETR-08, R1939-TOP-01, R1939-TOP-02, R1939-TOP-03, R1939-TOP-05,
 * R1939-TOP-07, R1939-TOP-08, R1939-TOP-09, R1939-SIZE-01, R1939-SIZE-02, R1939-SIZE-03,
 * R1939-SIZE-04, R1939-SIZE-05, R1939-SIZE-06, R1939-STAT-04, R1939-AUTHZ-10, R5322-02, R5322-06,
 * R6856-04, R6856-05, R6856-06, R6856-08, R3206-01, R3206-02
 */
#include "bench.h"
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

enum { CAP = 1 << 20, FIXTURES_N = 23 };

/* The answer behind its status line is body and terminator. */
static void same_body(struct span got, struct span body)
{
    struct span status = span_until(&got, '\n');

    assert_true(status.n > 4 && memcmp(status.p, "+OK ", 4) == 0);
    assert_int_equal(got.n, body.n + 3);
    assert_true(body.n == 0 || memcmp(got.p, body.p, body.n) == 0);
    assert_memory_equal(got.p + body.n, ".\r\n", 3);
}

static void ask_body(struct bench *b, const char *command, struct span stored, uint64_t lines)
{
    struct buf want = BUF(CAP);

    model_wire(&want, stored, lines);
    same_body(ask_span(b, span_str(command)), buf_span(&want));
    buf_free(&want);
}

static void check_fixture(struct bench *b, unsigned n)
{
    static const uint64_t lines[] = { 0, 1, 2, 3, 100, UINT64_MAX - 1 };
    struct span stored = b->script->mailbox[n - 1];
    struct buf wire = BUF(CAP);
    char command[64], answer[64];

    snprintf(command, sizeof command, "LIST %u\r\n", n);
    snprintf(answer, sizeof answer, "+OK %u %llu\r\n", n,
             (unsigned long long)model_wire(&wire, stored, MODEL_ALL));
    expect(b, command, answer);
    buf_free(&wire);
    for (int again = 0; again < 2; again++) {
        snprintf(command, sizeof command, "RETR %u\r\n", n);
        ask_body(b, command, stored, MODEL_ALL);
    }
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        snprintf(command, sizeof command, "TOP %u %llu\r\n", n, (unsigned long long)lines[i]);
        ask_body(b, command, stored, lines[i]);
    }
    snprintf(command, sizeof command, "TOP %u 99999999999999999999999\r\n", n);
    ask_body(b, command, stored, MODEL_ALL);
}

/* fixtures_load has compared the model with every figure of fixtures.txt. */
static void test_fixtures(void **state)
{
    static const struct sim_style styles[] = {
        { 1, 0, 0 }, { 2, 1, 1 }, { 3, 1, 0 }, { 4, 0, 1 }, { 5, 700, 300 }
    };

    (void)state;
    for (size_t i = 0; i < sizeof styles / sizeof *styles; i++) {
        struct bench *b = bench_set("mailbox: all");

        b->sim->style = styles[i];
        b->sim->random = styles[i].seed;
        bench_start(b);
        ask(b, "USER bob\r\nPASS secret\r\n");
        expect(b, "STAT\r\n", "+OK 23 105602\r\n");
        for (unsigned n = 1; n <= FIXTURES_N; n++)
            check_fixture(b, n);
        bench_end(b);
    }
}

/* A session through rooms of exactly 64 octets and bodies octet by octet is the same as through
 * large ones. */
static void test_tiny_rooms(void **state)
{
    static const char dialogue[] =
        "CAPA\r\nAUTH\r\nLANG\r\nUSER bob\r\nPASS secret\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 2\r\n"
        "TOP 15 1\r\nRETR 8\r\nLIST 3\r\nUIDL 4\r\nX\r\nDELE 1\r\nLIST\r\nTOP 12 2\r\nQUIT\r\n";
    struct bench *big = bench("mailbox: all"), *tiny = bench_set("mailbox: all");

    (void)state;
    tiny->sim->style = (struct sim_style){ 1, 1, 1 };
    bench_start(tiny);
    ask(big, dialogue);
    ask(tiny, dialogue);
    assert_int_equal(big->sim->out.n, tiny->sim->out.n);
    assert_true(span_eq(buf_span(&big->sim->out), buf_span(&tiny->sim->out)));
    assert_true(big->sim->closed && tiny->sim->closed);
    bench_end(big);
    bench_end(tiny);
}

/* A message that is not what its size said never ends in a terminator. */
static void broken(const char *header, const char *command, bool drops)
{
    static const struct sim_style styles[] = { { 1, 0, 0 }, { 2, 1, 1 }, { 3, 200, 9 } };

    for (size_t i = 0; i < sizeof styles / sizeof *styles; i++) {
        struct bench *b = bench_set(header);
        struct span got;

        b->sim->style = styles[i];
        bench_start(b);
        ask(b, "USER bob\r\nPASS secret\r\n");
        got = ask_span(b, span_str(command));
        assert_true(got.n > 3 && memcmp(got.p, "+OK", 3) == 0);
        assert_int_equal(b->sim->dropped, drops);
        assert_int_equal(memcmp(got.p + got.n - 5, "\r\n.\r\n", 5) == 0, !drops);
        bench_end(b);
    }
}

static void test_wrong_size(void **state)
{
    (void)state;
    broken("fault: short 1", "RETR 1\r\n", true);
    broken("fault: long 1", "RETR 1\r\n", true);
    broken("fault: short 1", "TOP 1 99\r\n", true);
    broken("fault: long 1", "TOP 1 99\r\n", true);
    broken("fault: short 1", "RETR 2\r\n", false);
    broken("mailbox: \"A: b\\r\\n\\r\\nc\\r\\n\"\nfault: short 1", "RETR 1\r\n",
           true); /* sent as it is */
    broken("mailbox: \"A: b\\r\\n\\r\\ncdefghij\\r\\n\"\nfault: long 1", "RETR 1\r\n", true);
    broken("fault: short 1", "TOP 1 0\r\n", false); /* does not come to the end */
}

static void test_cannot_open(void **state)
{
    static const char *const rows[][2] = {
        { "fault: open 2", "-ERR message can no longer be read\r\n" },
        { "fault: open 2 temp", "-ERR [SYS/TEMP] " },
        { "fault: open 2 perm", "-ERR [SYS/PERM] " },
    };

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct bench *b = bench_in(rows[i][0]);

        expect_head(b, "RETR 2\r\n", rows[i][1]);
        expect_head(b, "TOP 2 0\r\n", rows[i][1]);
        expect_head(b, "RETR 1\r\n", "+OK 60 octets\r\n");
        expect(b, "STAT\r\n", "+OK 3 118\r\n");
        expect_head(b, "DELE 2\r\n", "+OK ");
        expect_head(b, "QUIT\r\n", "+OK ");
        bench_end(b);
    }
}

/* A listing that cannot be read is never ended well. */
static void test_broken_listing(void **state)
{
    static const char *const commands[] = { "LIST\r\n", "UIDL\r\n", "LIST 2\r\n", "UIDL 2\r\n" };

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct bench *b = bench_in("fault: listing 2");
        const char *got = ask(b, commands[i]);
        size_t n = strlen(got);

        assert_true(b->sim->dropped && (n < 5 || strcmp(got + n - 5, "\r\n.\r\n") != 0));
        bench_end(b);
    }
}

static void test_quirks(void **state)
{
    struct bench *b = bench_in(
        "mailbox: F06 F07 F08 F13 F01\nconf: pop3.top_adds_eoh=yes pop3.nul_as_80=yes");

    (void)state;
    expect(b, "LIST 1\r\n", "+OK 1 22\r\n");
    expect(b, "TOP 1 0\r\n", "+OK top of the message follows\r\nSubject: header only\r\n\r\n.\r\n");
    expect(b, "RETR 1\r\n", "+OK 22 octets\r\nSubject: header only\r\n.\r\n");
    expect(b, "TOP 2 5\r\n",
           "+OK top of the message follows\r\nSubject: header only, no newline\r\n\r\n.\r\n");
    expect(b, "TOP 3 5\r\n", "+OK top of the message follows\r\n.\r\n");
    expect(b, "RETR 4\r\n", "+OK 21 octets\r\nSubject: nul\r\n\r\nx\x80y\r\n.\r\n");
    expect(b, "TOP 5 0\r\n",
           "+OK top of the message follows\r\nFrom: a@example.org\r\nSubject: plain\r\n\r\n.\r\n");
    bench_end(b);
}

/* --- UTF-8 headers ------ */

#define MAIL "mailbox: \"S: \\xc3\\xa9\\n\\nx\\n\" \"S: e\\n\\n\\xc3\\xa9\\n\"\n"

static void test_as_is(void **state)
{
    struct bench *b = bench_in(MAIL);

    (void)state;
    expect(b, "STAT\r\n", "+OK 2 24\r\n");
    expect(b, "RETR 1\r\n", "+OK 12 octets\r\nS: \xc3\xa9\r\n\r\nx\r\n.\r\n");
    bench_end(b);
}

static void test_reject(void **state)
{
    struct bench *b = bench_in(MAIL "conf: mail.legacy_utf8=reject");

    (void)state;
    expect(b, "LIST\r\n", "+OK 2 messages (24 octets)\r\n1 12\r\n2 12\r\n.\r\n");
    expect_head(b, "RETR 1\r\n", "-ERR [UTF8] ");
    expect_head(b, "TOP 1 0\r\n", "-ERR [UTF8] ");
    expect_head(b, "LIST 1\r\n", "-ERR [UTF8] ");
    expect_head(b, "UIDL 1\r\n", "+OK 1 ");
    expect_head(b, "RETR 2\r\n", "+OK ");
    expect_head(b, "DELE 1\r\n", "+OK ");
    expect_head(b, "RSET\r\n", "+OK ");
    expect_head(b, "UTF8\r\n", "+OK "); /* sizes do not change: never too late */
    expect_head(b, "RETR 1\r\n", "+OK 12 octets\r\n");
    bench_end(b);
}

/* "=C3=A9" of the simulator is four octets longer. */
static void test_surrogate(void **state)
{
    struct bench *b = bench_in(MAIL "conf: mail.legacy_utf8=surrogate");

    (void)state;
    expect(b, "STAT\r\n", "+OK 2 28\r\n");
    expect(b, "LIST\r\n", "+OK 2 messages (28 octets)\r\n1 16\r\n2 12\r\n.\r\n");
    expect(b, "RETR 1\r\n", "+OK 16 octets\r\nS: =C3=A9\r\n\r\nx\r\n.\r\n");
    expect(b, "TOP 1 0\r\n", "+OK top of the message follows\r\nS: =C3=A9\r\n\r\n.\r\n");
    expect_head(b, "UTF8\r\n", "-ERR "); /* sizes have been told */
    expect_head(b, "DELE 1\r\n", "+OK ");
    expect(b, "STAT\r\n", "+OK 1 12\r\n");
    bench_end(b);
    b = bench(MAIL "conf: mail.legacy_utf8=surrogate");
    ask(b, "UTF8\r\nUSER bob\r\nPASS secret\r\n");
    expect(b, "STAT\r\n", "+OK 2 24\r\n");
    expect(b, "RETR 1\r\n", "+OK 12 octets\r\nS: \xc3\xa9\r\n\r\nx\r\n.\r\n");
    bench_end(b);
    b = bench_in(MAIL "conf: mail.legacy_utf8=surrogate");
    expect_head(b, "UTF8\r\n", "+OK "); /* nothing told yet */
    expect(b, "STAT\r\n", "+OK 2 24\r\n");
    bench_end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures),       cmocka_unit_test(test_tiny_rooms),
        cmocka_unit_test(test_wrong_size),     cmocka_unit_test(test_cannot_open),
        cmocka_unit_test(test_broken_listing), cmocka_unit_test(test_quirks),
        cmocka_unit_test(test_as_is),          cmocka_unit_test(test_reject),
        cmocka_unit_test(test_surrogate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
