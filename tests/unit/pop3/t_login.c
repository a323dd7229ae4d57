/* t_login.c - SASL exchanges, APOP and STLS as the engine sees them.
 *
 * Proves: R5034-01, R5034-02, R5034-03, R5034-04, R5034-05, R5034-07, R5034-09, R5034-11,
 * R5034-12, R5034-15, R5034-16, R5034-17, R5034-18, R5034-19, XLOGIN-01, R4616-03, R3206-04,
 * R2595-STLS-02, R2595-STLS-03, R2595-STLS-04, R2595-STLS-05, R2595-STLS-06, R2595-STLS-07,
 * R2595-STLS-09, R6856-11, R1939-APOP-03, R1939-APOP-04, R1939-APOP-05, R1939-APOP-06, R9266-03
 */
#include "base/base64.h"
#include "bench.h"

#include <stdlib.h>

#define BOB "AGJvYgBzZWNyZXQ="   /* NUL bob NUL secret */
#define WRONG "AGJvYgB3cm9uZw==" /* NUL bob NUL wrong */
#define IN "+OK maildrop open, 3 messages\r\n"

static void one(const char *header, const char *dialogue, const char *answers)
{
    struct bench *b = bench(header);

    expect(b, dialogue, answers);
    bench_end(b);
}

static void test_plain(void **state)
{
    (void)state;
    one("", "AUTH PLAIN " BOB "\r\n", IN);
    one("", "auth plain " BOB "\r\nAUTH PLAIN\r\n", IN "-ERR not after login\r\n");
    one("", "AUTH PLAIN\r\n" BOB "\r\n", "+ \r\n" IN);
    one("", "AUTH PLAIN " WRONG "\r\nUSER bob\r\nPASS secret\r\n",
        "-ERR [AUTH] login failed\r\n+OK now the password\r\n" IN);
    one("", "AUTH PLAIN =\r\n", "-ERR malformed authentication message\r\n");
    one("", "AUTH PLAIN AAA=\r\n", "-ERR [AUTH] login failed\r\n"); /* two empty parts */
    one("", "AUTH PLAIN\r\n=\r\nAUTH PLAIN " BOB "\r\n", "+ \r\n-ERR not valid Base64\r\n" IN);
    one("", "AUTH PLAIN AGJvYgBzZWNyZXQ\r\n", "-ERR not valid Base64\r\n");
    one("", "AUTH PLAIN AGJv*gBzZWNyZXQ=\r\n", "-ERR not valid Base64\r\n");
    one("", "AUTH PLAIN\r\n*\r\nAUTH PLAIN " BOB "\r\n",
        "+ \r\n-ERR authentication cancelled\r\n" IN);
    one("", "AUTH PLAIN " BOB " x\r\n", "-ERR wrong arguments\r\n");
    one("", "AUTH NTLM\r\n", "-ERR mechanism not available\r\n");
    one("", "AUTH EXTERNAL =\r\n", "-ERR mechanism not available\r\n");
    one("", "AUTH\r\n",
        "+OK mechanisms follow\r\nSCRAM-SHA-256\r\nSCRAM-SHA-1\r\nPLAIN\r\nLOGIN\r\n.\r\n");
}

static void test_login(void **state)
{
    (void)state;
    one("", "AUTH LOGIN\r\nYm9i\r\nc2VjcmV0\r\n", "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n" IN);
    one("", "AUTH LOGIN Ym9i\r\nc2VjcmV0\r\n", "+ UGFzc3dvcmQ6\r\n" IN);
    one("", "AUTH LOGIN\r\nYm9i\r\n*\r\nCAPA x\r\n",
        "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n-ERR authentication cancelled\r\n-ERR wrong "
        "arguments\r\n");
    one("", "AUTH LOGIN\r\nYm9i\r\n\r\n",
        "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n-ERR [AUTH] login failed\r\n");
}

/* The examples of RFC 5802 §5 and RFC 7677 §3: challenges with data, an empty line at the end. */
static void test_scram(void **state)
{
    static const char header[] = "user: user \"pencil\"";

    (void)state;
    one(header,
        "AUTH SCRAM-SHA-1 biwsbj11c2VyLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdM\r\n"
        "Yz1iaXdzLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdMM3JmY05IWUpZMVpWdldWczdqLHA9djBYOHYzQnoyVDBDSk"
        "diSlF5RjBYK0hJ"
        "NFRzPQ==\r\n\r\n",
        "+ "
        "cj1meWtvK2QybGJiRmdPTlJ2OXFreGRhd0wzcmZjTkhZSlkxWlZ2V1ZzN2oscz1RU1hDUitRNnNlazhiZjkyLGk9ND"
        "A5Ng==\r\n"
        "+ dj1ybUY5cHFWOFM3c3VBb1pXamE0ZEpSa0ZzS1E9\r\n" IN);
    one(header,
        "AUTH SCRAM-SHA-1\r\nbiwsbj11c2VyLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdM\r\n*\r\nCAPA x\r\n",
        "+ \r\n"
        "+ "
        "cj1meWtvK2QybGJiRmdPTlJ2OXFreGRhd0wzcmZjTkhZSlkxWlZ2V1ZzN2oscz1RU1hDUitRNnNlazhiZjkyLGk9ND"
        "A5Ng==\r\n"
        "-ERR authentication cancelled\r\n-ERR wrong arguments\r\n");
}

/* A binding serves one authentication: a failed -PLUS exchange ends the connection. */
static void test_plus(void **state)
{
    struct bench *b = bench("tls: implicit");

    (void)state;
    expect_head(b, "AUTH SCRAM-SHA-256-PLUS biwsbj11c2VyLHI9YWJj\r\n", "-ERR ");
    assert_true(b->sim->closed);
    bench_end(b);
    b = bench("tls: implicit");
    expect(b, "AUTH SCRAM-SHA-256-PLUS\r\n", "+ \r\n");
    expect_head(b, "*\r\n", "-ERR authentication cancelled");
    assert_false(b->sim->closed); /* the mechanism had not begun */
    bench_end(b);
}

/* An exchange that never ends does end; the engine asks only for what it is told to. */
static void test_rounds(void **state)
{
    struct bench *b = bench("");
    struct engine *e = &b->sim->engine;
    uint8_t room[128];
    struct span none = { NULL, 0 };
    int rounds = 0;

    (void)state;
    engine_feed(e, span_str("AUTH SCRAM-SHA-1 AAAA\r\n"));
    while (engine_want(e) == WANT_REQUEST) {
        assert_int_equal(engine_request(e)->kind, rounds ? REQ_SASL_MORE : REQ_SASL);
        assert_int_equal(engine_request(e)->mech, MECH_SCRAM_SHA_1);
        assert_true(engine_request(e)->data.n == 3);
        engine_challenge(e, span_str("x"));
        assert_int_equal(engine_pull(e, &none, room, sizeof room), 8);
        assert_memory_equal(room, "+ eA==\r\n", 8);
        engine_feed(e, span_str("AAAA\r\n"));
        rounds++;
    }
    assert_int_equal(rounds, LIMIT_SASL_ROUNDS + 1);
    assert_true(engine_sasl_aborted(e));
    assert_false(engine_sasl_aborted(e));
    assert_int_equal(engine_want(e), WANT_OUTPUT);
    bench_end(b);
}

/* Challenges of every length through rooms of every size: Base64 in pieces is Base64. */
static void test_challenge_pieces(void **state)
{
    uint8_t data[200], want[300], got[400], room[130];
    struct span none = { NULL, 0 };

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37);
    for (size_t n = 0; n <= sizeof data; n += 7)
        for (size_t size = 64; size <= sizeof room; size += 3) {
            struct bench *b = bench("");
            struct engine *e = &b->sim->engine;
            size_t have = 0, encoded = base64_put(want, span_of(data, n));

            engine_feed(e, span_str("AUTH SCRAM-SHA-1 AAAA\r\n"));
            engine_challenge(e, span_of(data, n));
            while (engine_want(e) == WANT_OUTPUT) {
                size_t put = engine_pull(e, &none, room, size);

                assert_true(put > 0 && put <= size && have + put <= sizeof got);
                memcpy(got + have, room, put);
                have += put;
            }
            assert_int_equal(have, encoded + 4);
            assert_true(memcmp(got, "+ ", 2) == 0 && memcmp(got + 2, want, encoded) == 0);
            assert_memory_equal(got + have - 2, "\r\n", 2);
            bench_end(b);
        }
}

/* Initial responses far beyond the limit of commands. */
static void test_long_response(void **state)
{
    struct bench *b = bench("");
    struct buf line = BUF(200000);

    (void)state;
    assert_true(buf_put_str(&line, "AUTH PLAIN "));
    for (int i = 0; i < 15000; i++)
        assert_true(buf_put_str(&line, "AAAA"));
    assert_true(buf_put_str(&line, "\r\nUSER bob\r\nPASS secret\r\n"));
    assert_true(buf_put(&line, "", 1));
    expect(b, (const char *)line.p,
           "-ERR malformed authentication message\r\n+OK now the password\r\n" IN);
    buf_free(&line);
    bench_end(b);
}

static void test_apop(void **state)
{
    static const char header[] = "conf: auth.apop=yes\nuser: mrose \"tanstaaf\"";

    (void)state;
    one(header, "APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n", IN);
    one(header, "APOP mrose C4C9334BAC560ECC979E58001B3E22FB\r\n", IN);
    one(header, "USER bob\r\nAPOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n",
        "+OK now the password\r\n" IN);
    one(header,
        "APOP mrose c4c9334bac560ecc979e58001b3e22fc\r\nAPOP mrose "
        "c4c9334bac560ecc979e58001b3e22fb\r\n",
        "-ERR [AUTH] login failed\r\n" IN);
    one(header, "APOP mrose c4c9334bac560ecc979e58001b3e22f\r\n", "-ERR wrong arguments\r\n");
    one(header, "APOP mrose x4c9334bac560ecc979e58001b3e22fb\r\n", "-ERR wrong arguments\r\n");
    one(header, "APOP mrose\r\n", "-ERR wrong arguments\r\n");
    one("", "APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n", "-ERR APOP is not offered\r\n");
}

/* --- STLS ------ */

static void test_stls_wipes(void **state)
{
    struct bench *b = bench("tls: stls");

    (void)state;
    expect_head(b, "LANG fr\r\nUSER bob\r\n", "+OK fr ");
    expect(b, "STLS\r\nPASS secret\r\nSTAT\r\n", "+OK TLS peut commencer\r\n");
    assert_true(b->sim->tls_wanted);
    sim_tls(b->sim);
    expect(b, "", ""); /* no greeting, and nothing of the plaintext runs */
    expect(b, "PASS secret\r\n", "-ERR the command USER first\r\n");
    expect(b, "STLS\r\n", "-ERR TLS is already active\r\n");
    assert_null(strstr(ask(b, "CAPA\r\n"), "STLS"));
    expect_head(b, "USER bob\r\nPASS secret\r\n", "+OK now the password\r\n" IN);
    expect(b, "STLS\r\n", "-ERR not after login\r\n");
    bench_end(b);
}

/* Half a line in clear does not grow into a command inside TLS. */
static void test_stls_half_line(void **state)
{
    struct bench *b = bench("tls: strict");

    (void)state;
    ask(b, "STLS\r\nQUI");
    sim_tls(b->sim);
    expect(b, "T\r\n", "-ERR unknown command\r\n");
    expect_head(b, "CAPA\r\n", "+OK ");
    bench_end(b);
}

static void test_stls_refused(void **state)
{
    (void)state;
    one("tls: none", "STLS\r\n", "-ERR TLS is not offered here\r\n");
    one("tls: broken", "STLS\r\n",
        "-ERR [SYS/PERM] TLS cannot be started, tell the administrator\r\n");
    one("tls: implicit", "STLS\r\n", "-ERR TLS is already active\r\n");
    one("tls: stls", "STLS x\r\n", "-ERR wrong arguments\r\n");
    one("tls: stls", "UTF8\r\nSTLS\r\n", "+OK UTF-8 from now on\r\n-ERR not after UTF8\r\n");
}

/* The counters of misbehaviour are no knowledge that TLS wipes. */
static void test_stls_keeps_counters(void **state)
{
    struct bench *b = bench("tls: stls\nconf: pop3.login_tries=2");

    (void)state;
    ask(b, "USER bob\r\nPASS wrong\r\nSTLS\r\n");
    sim_tls(b->sim);
    ask(b, "USER bob\r\nPASS wrong\r\n");
    assert_true(b->sim->closed);
    bench_end(b);
}

/* Answers to questions that were not asked change nothing. */
static void test_stray_answers(void **state)
{
    struct bench *b = bench_in("");
    struct engine *e = &b->sim->engine;
    struct drop_msg msg = { .octets = 1 };

    (void)state;
    engine_challenge(e, span_str("x"));
    engine_refused(e, RC_AUTH, true);
    engine_tls_started(e, &b->sim->link);
    engine_message_open(e, &msg);
    engine_message_failed(e, FAULT_TEMP);
    engine_committed(e, FAULT_NONE, 0, 0);
    engine_logged_in(e, &b->sim->view, &(struct engine_policy){ 0 });
    engine_body_end(e);
    assert_int_equal(engine_want(e), WANT_INPUT);
    expect(b, "STAT\r\n", "+OK 3 118\r\n");
    bench_end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),         cmocka_unit_test(test_login),
        cmocka_unit_test(test_scram),         cmocka_unit_test(test_plus),
        cmocka_unit_test(test_rounds),        cmocka_unit_test(test_challenge_pieces),
        cmocka_unit_test(test_long_response), cmocka_unit_test(test_apop),
        cmocka_unit_test(test_stls_wipes),    cmocka_unit_test(test_stls_half_line),
        cmocka_unit_test(test_stls_refused),  cmocka_unit_test(test_stls_keeps_counters),
        cmocka_unit_test(test_stray_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
