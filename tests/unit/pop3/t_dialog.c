/* t_dialog.c - the client's dialog from the greeting to the listing, with the oddities of real servers.
 *
 * Proves: R1939-GEN-04, R1939-GEN-14, R1939-GEN-25, R1939-GEN-26, R1939-STAT-05, R1939-STAT-06, R1939-LIST-08,
 * R1939-LIST-09, R1957-02, R2449-CAPA-06, R2449-CAPA-07, R2449-CAPA-08, R2449-CAPA-09, R2449-CAPA-11, R2449-RC-02,
 * R2449-RC-04, R2449-PIPE-06, R2449-PIPE-07, R2595-STLS-11, R2595-STLS-12, R2595-STLS-13, R2595-STLS-14, R6856-10,
 * R6856-18, R8314-C-03, R1939-UIDL-10, XCL-07
 */
#include "scene.h"

#include <stdio.h>

#define GREET "S: +OK hi\nE: GREETING hi\n"
#define NO_CAPA GREET "C: CAPA\nS: -ERR no\nE: CAPA unknown\n"
#define IN NO_CAPA "C: USER bob\nS: +OK\nC: PASS secret\nS: +OK\nE: LOGGED_IN USER\n"
#define STAT2 IN "C: STAT\nS: +OK 2 320\nE: STAT 2 320\n"
#define LIST2 STAT2 "C: LIST\nS: +OK\nS: 1 120\nS: 2 200\nS: .\nE: SIZE 1 120\nE: SIZE 2 200\n"

static void test_plain(void **state)
{
    (void)state;
    scene(LIST2
          "C: UIDL\nS: +OK\nS: 1 abc\nS: 2 def\nS: .\nE: UID 1 abc\nE: UID 2 def\nE: READY\nI:\nQ:\nC: QUIT\n"
          "S: +OK bye\nE: QUIT ok bye\n");
    scene(LIST2 "C: UIDL\nS: -ERR what\nE: NO_UIDL what\nE: READY\nQ:\nC: QUIT\nS: -ERR [SYS/TEMP] some left\n"
                "E: QUIT no [SYS/TEMP] some left\n");
    /* bare words, LF, odd case, texts */
    scene(
        "S- +ok\\n\nE: GREETING\nC: CAPA\nS- -err\\n\nE: CAPA unknown\nC: USER bob\nS: +OK [odd text\nC: PASS secret\n"
        "S- +Ok\\n\nE: LOGGED_IN USER\nC: STAT\nS- +OK 1 5 and more, 7 8\\n\nE: STAT 1 5\nC: LIST\nS- +OK\\n1 5\\n.\\n\n"
        "E: SIZE 1 5\nC: UIDL\nS- +OK\\n1 x\\n.\\n\nE: UID 1 x\nE: READY\n");
}

static void test_greeting(void **state)
{
    (void)state;
    scene("S: -ERR [SYS/TEMP] later\nE: FAILED temporary trouble of the server\n");
    scene("S: -ERR [SYS/PERM/disk] no\nE: FAILED lasting trouble of the server\n");
    scene("S: -ERR [in-use/x] no\nE: FAILED maildrop in use\n");
    scene("S: -ERR [sys/foo] no\nE: FAILED temporary trouble of the server\n");
    scene("S: -ERR [FOO] no\nE: FAILED refused\n");
    scene("S: -ERR go away\nE: FAILED refused\n");
    scene("S: HTTP/1.1 400 Bad Request\nE: FAILED protocol error\n");
    scene("S: +ERR hi\nE: FAILED protocol error\n");
    scene("S: + hi\nE: FAILED protocol error\n");
    scene("S: +OKAY\nE: FAILED protocol error\n");
    scene("S: \nE: FAILED protocol error\n");
    scene("S: * OK IMAP4rev1\nE: FAILED protocol error\n");
    scene("X:\nE: FAILED connection lost\n");
    scene("S- +OK hal\nX:\nE: FAILED connection lost\n");
    scene(GREET "X:\nE: FAILED connection lost\nX:\nS: +OK\n");
    scene("S: +OK [FOO] text\nE: GREETING [?] text\nC: CAPA\n");
}

static void test_unasked(void **state)
{
    (void)state;
    scene("S: +OK hi\nS: +OK\nS: +OK\nE: GREETING hi\nE: FAILED protocol error\n");
    scene(IN "C: STAT\nS: +OK 0 0\nE: STAT 0 0\nE: READY\nS: +OK\nE: FAILED protocol error\n");
    scene(IN "C: STAT\nS: +OK 0 0\nE: STAT 0 0\nE: READY\nS: -OK\nE: FAILED protocol error\n");
    /* the one thing that may be said: why the server hangs up */
    scene(IN "C: STAT\nS: +OK 0 0\nE: STAT 0 0\nE: READY\nS: -ERR idle too long\nE: FAILED connection lost\n");
    scene(IN "C: STAT\nS: +OK 0 0\nE: STAT 0 0\nE: READY\nS: -ERR [SYS/TEMP] going down\n"
             "E: FAILED temporary trouble of the server\n");
    scene(IN "C: STAT\nS: +OK 1 5\nS: +OK\nE: STAT 1 5\nE: FAILED protocol error\n");
}

static void long_line(const char *head, size_t n, const char *tail, const char *events)
{
    char *text = mem_new(n + 4096);

    size_t k = (size_t)snprintf(text, 4096, "%s", head);
    memset(text + k, 'x', n);
    snprintf(text + k + n, 2048, "%s%s", tail, events);
    scene(text);
    free(text);
}

static void test_long(void **state)
{
    (void)state;
    long_line("S- ", DIALOG_LINE + 1, "\n", "E: FAILED protocol error\n");
    long_line("S- +OK ", DIALOG_LINE, "\n", "E: FAILED protocol error\n");
    long_line("S: +OK\nE: GREETING\nC: CAPA\nS: +OK\nS- ", DIALOG_CAPA_LINE - 1, "\\r\\n\nS: .\n",
              "E: CAPA\nC: USER bob\n");
    long_line("S: +OK\nE: GREETING\nC: CAPA\nS: +OK\nS- ", DIALOG_CAPA_LINE + 1, "\\r\\n\nS: .\n",
              "E: FAILED protocol error\n");
}

static void test_capa(void **state)
{
    char *text = mem_new(64 * 1024);
    size_t n;

    (void)state;
    scene(GREET "C: CAPA\nS: +OK\nS: .\nE: CAPA\nC: USER bob\n");
    scene(GREET
          "C: CAPA\nS: +OK list\nS: sasl plain X-FOO scram-sha-256 cram-md5 XOAUTH2 OAuthBearer\nS: X-FOO 1\n"
          "S: Top\nS: ..user\nS: \nS: uidl\nS: Pipelining now\nS: login-delay 300 USER\nS: EXPIRE 31\n"
          "S: RESP-CODES\nS: AUTH-RESP-CODE\nS: IMPLEMENTATION Foo v1\nS: UTF8 x USER\nS: .\n"
          "E: CAPA top uidl pipelining resp-codes auth-resp-code utf8 utf8-user cram-md5 xoauth2 oauthbearer "
          "SCRAM-SHA-256 PLAIN delay=300 expire=31 <Foo v1>\nC: UTF8\nS: -ERR not today\nC: USER bob\n");
    scene(
        GREET
        "C: CAPA\nS: +OK\nS: .TOP\nS: EXPIRE NEVER\nS: LOGIN-DELAY soon\nS: .\nE: CAPA top never\nC: USER bob\n");
    scene(GREET "C: CAPA\nX:\nE: FAILED connection lost\n");
    /* asked again after login, and what was said before is forgotten */
    scene(GREET
          "C: CAPA\nS: +OK\nS: PIPELINING\nS: .\nE: CAPA pipelining\nC: USER bob\nS: +OK\nC: PASS secret\nS: +OK\n"
          "E: LOGGED_IN USER\nC: CAPA\nS: +OK\nS: UIDL\nS: .\nE: CAPA uidl\nC: STAT\n");
    scene(
        GREET
        "C: CAPA\nS: +OK\nS: .\nE: CAPA\nC: USER bob\nS: +OK\nC: PASS secret\nS: +OK\n"
        "E: LOGGED_IN USER\nC: CAPA\nS: +OK\nS: PIPELINING\nS: .\nE: CAPA pipelining\nC: STAT\nC: LIST\nC: UIDL\n"
        "S: +OK 1 9\nS: +OK\nS: 1 9\nS: .\nS: -ERR\nE: STAT 1 9\nE: SIZE 1 9\nE: NO_UIDL\nE: READY\n");
    for (unsigned lines = DIALOG_CAPA_LINES; lines <= DIALOG_CAPA_LINES + 1; lines++) {
        n = (size_t)snprintf(text, 1024, "%s", GREET "C: CAPA\nS: +OK\n");
        for (unsigned i = 0; i < lines; i++)
            n += (size_t)snprintf(text + n, 16, "S: X\n");
        snprintf(text + n, 1024, "%s",
                 lines > DIALOG_CAPA_LINES ? "E: FAILED protocol error\n" : "S: .\nE: CAPA\nC: USER bob\n");
        scene(text);
    }
    free(text);
}

static void test_capa_off(void **state)
{
    struct dialog_conf conf = scene_conf();

    (void)state;
    conf.use_capa = false;
    scene_play(&conf, NULL, GREET "C: USER bob\nS: +OK\nC: PASS secret\nS: +OK\nE: LOGGED_IN USER\nC: STAT\n");
    conf.force_pipelining = true;
    scene_play(&conf, NULL,
               GREET "C: USER bob\nS: +OK\nC: PASS secret\nS: +OK\nE: LOGGED_IN USER\nC: STAT\nC: LIST\n"
                     "C: UIDL\nS: +OK 0 0\nS: -ERR\nS: +OK\nS: .\nE: STAT 0 0\nE: READY\n");
    conf = scene_conf();
    conf.use_pipelining = conf.want_uidl = false;
    scene_play(&conf, NULL,
               GREET "C: CAPA\nS: +OK\nS: PIPELINING\nS: .\nE: CAPA pipelining\nC: USER bob\nS: +OK\n"
                     "C: PASS secret\nS: +OK\nE: LOGGED_IN USER\nC: CAPA\nS: +OK\nS: PIPELINING\nS: .\n"
                     "E: CAPA pipelining\nC: STAT\nS: +OK 1 9\nE: STAT 1 9\nC: LIST\nS: +OK\nS: 1 9\nS: .\n"
                     "E: SIZE 1 9\nE: READY\n");
}

#define STLS GREET "C: CAPA\nS: +OK\nS: STLS\nS: UTF8\nS: SASL PLAIN\nS: .\nE: CAPA stls utf8 PLAIN\nC: STLS\n"

static void test_stls(void **state)
{
    struct dialog_conf conf = scene_conf();

    (void)state;
    conf.tls = DIALOG_TLS_STLS;
    conf.plaintext_auth = true; /* changes nothing: TLS is required */
    conf.auth = DIALOG_AUTH_AUTO;
    conf.mechs = MECH_BIT(MECH_PLAIN);
    scene_play(&conf, &scene_sasl,
               STLS "S: +OK go\nE: NEED_TLS\nI:\nT:\nC: CAPA\nS: +OK\nS: UTF8\nS: .\nE: CAPA utf8\n"
                    "C: UTF8\nS: +OK\nC: USER bob\n");
    scene_play(&conf, &scene_sasl,
               STLS "S: +OK go\nE: NEED_TLS\nT:\nC: CAPA\nS: -ERR\nE: CAPA unknown\nC: USER bob\n");
    scene_play(&conf, &scene_sasl, STLS "S: +OK go\nE: NEED_TLS\nQ:\nE: QUIT no left before TLS\nT:\n");
    scene_play(&conf, &scene_sasl, STLS "S: +OK go\nE: NEED_TLS\nX:\nE: FAILED connection lost\nT:\n");
    scene_play(&conf, &scene_sasl, STLS "S: -ERR [SYS/TEMP] not now\nE: FAILED no TLS\n");
    scene_play(&conf, &scene_sasl, STLS "S: what\nE: FAILED protocol error\n");
    scene_play(&conf, &scene_sasl, GREET "C: CAPA\nS: +OK\nS: USER\nS: .\nE: CAPA user\nE: FAILED no TLS\n");
    scene_play(&conf, &scene_sasl,
               GREET "C: CAPA\nS: -ERR\nE: CAPA unknown\nC: STLS\nS: -ERR\nE: FAILED no TLS\n");
    scene_play(&conf, &scene_sasl, GREET "C: CAPA\nS: -ERR\nE: CAPA unknown\nC: STLS\nS: +OK\nE: NEED_TLS\n");
    scene_play(&conf, &scene_sasl, GREET "Q:\nC: CAPA\nS: +OK\nS: .\nE: CAPA\nE: QUIT no left before TLS\n");
}

struct told {
    unsigned need_tls, failed;
    enum dialog_failure failure;
};

static void tell(void *ctx, const struct dialog_event *e)
{
    struct told *t = ctx;

    t->need_tls += e->kind == DIALOG_NEED_TLS;
    t->failed += e->kind == DIALOG_FAILED;
    t->failure = e->failure;
}

/* Octets behind the answer to STLS, in the same piece or a later one, end the session; in the same piece the
 * handshake is not even asked for. */
static void test_injection(void **state)
{
    struct dialog_conf conf = scene_conf();

    (void)state;
    conf.tls = DIALOG_TLS_STLS;
    conf.use_capa = false;
    for (int together = 0; together < 2; together++) {
        struct told t = { 0 };
        struct dialog *d = dialog_new(&conf, &scene_sasl, tell, &t);

        dialog_input(d, span_str("+OK\r\n"));
        assert_true(span_is(dialog_output(d), "STLS\r\n"));
        dialog_sent(d, 6);
        if (together) {
            dialog_input(d, span_str("+OK\r\n+OK extra\r\n"));
        } else {
            dialog_input(d, span_str("+OK\r\n"));
            dialog_input(d, span_str("\r"));
        }
        assert_int_equal(t.need_tls, together ? 0 : 1);
        assert_int_equal(t.failed, 1);
        assert_int_equal(t.failure, FAILURE_TLS_POLICY);
        dialog_tls_up(d);
        assert_int_equal(dialog_output(d).n, 0);
        dialog_free(&d);
    }
}

static void test_stat(void **state)
{
    static const char *const bad[] = { "+OK",        "+OK two",   "+OK 2",         "+OK two 320",
                                       "+OK 2 x",    "+OK -1 5",  "+OK 4000001 1", "+OK 5000000000 1",
                                       "+OK 2 320,", "+OK 2.5 9", "+OK 2 -",       "+OK 18446744073709551618 9" };
    char text[1024];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, IN "C: STAT\nS: %s\nE: FAILED protocol error\n", bad[i]);
        scene(text);
    }
    scene(IN "C: STAT\nS: +OK  2   -1\nE: STAT 2 ?\nC: LIST\n");
    scene(IN "C: STAT\nS: +OK 1 18446744073709551615 x\nE: STAT 1 18446744073709551615\nC: LIST\n");
    scene(IN "C: STAT\nS: +OK 1 18446744073709551616\nE: STAT 1 ?\nC: LIST\n");
    scene(IN "C: STAT\nS: +OK 4000000 1\nE: STAT 4000000 1\nC: LIST\n");
    scene(IN "C: STAT\nS: -ERR no\nE: FAILED refused\n");
    scene(IN "C: STAT\nS: -ERR [IN-USE] no\nE: FAILED maildrop in use\n");
    scene(IN "C: STAT\nS: + no\nE: FAILED protocol error\n");
}

static void test_list(void **state)
{
    (void)state;
    scene(STAT2 "C: LIST\nS: +OK\nS: 2 -1\nS: 1 18446744073709551615 foo bar\nS: .\nE: SIZE 2 ?\n"
                "E: SIZE 1 18446744073709551615\nC: UIDL\n");
    scene(STAT2 "C: LIST\nS: +OK\nS: 2   junk\nS: 1\nS: .\nE: SIZE 2 ?\nE: SIZE 1 ?\nC: UIDL\n");
    scene(STAT2 "C: LIST\nS: +OK\nS: .\nC: UIDL\nS: +OK\nS: 2 x\nS: .\nE: UID 2 x\nE: READY\n");
    scene(STAT2 "C: LIST\nS: -ERR no body follows\nC: UIDL\nS: +OK\nS: .\nE: READY\n");
    scene(STAT2 "C: LIST\nS: -ERR [SYS/TEMP] later\nE: FAILED temporary trouble of the server\n");
    scene(STAT2 "C: LIST\nS: +OK\nS: 0 5\nE: FAILED protocol error\n");
    scene(STAT2 "C: LIST\nS: +OK\nS: 3 5\nE: FAILED protocol error\n");
    scene(STAT2 "C: LIST\nS: +OK\nS: -1 5\nE: FAILED protocol error\n");
    scene(STAT2 "C: LIST\nS: +OK\nS: 4294967297 5\nE: FAILED protocol error\n");
    scene(STAT2 "C: LIST\nS: +OK\nS: 1 5\nS: 1 5\nE: SIZE 1 5\nE: FAILED protocol error\n");
    scene(STAT2 "C: LIST\nS: +OK\nS: 1 5\nS: 2 5\nS: 1 5\nE: SIZE 1 5\nE: SIZE 2 5\nE: FAILED protocol error\n");
    scene(STAT2 "C: LIST\nS: +OK\nS: \nE: FAILED protocol error\n");
    scene(STAT2 "C: LIST\nS: +OK\nS: 1 5\nX:\nE: SIZE 1 5\nE: FAILED connection lost\n");
}

static void test_uidl(void **state)
{
    (void)state;
    scene(LIST2 "C: UIDL\nS: +OK\nS: 2   a b@c/d  \nS- 1\\t\\xff\\xfe\\x1b[m\\r\\n\nS: .\n"
                "E: UID 2 a b@c/d\nE: UID 1 \\xff\\xfe\\x1b[m\nE: READY\n");
    scene(LIST2 "C: UIDL\nS: +OK\nS: 2 \nS: 1\nS: .\nE: UID 2 \nE: UID 1 \nE: READY\n");
    scene(LIST2 "C: UIDL\nS: +OK\nS: 3 a\nE: FAILED protocol error\n");
    scene(LIST2 "C: UIDL\nS: +OK\nS: 1 a\nS: 1 b\nE: UID 1 a\nE: FAILED protocol error\n");
    scene(LIST2 "C: UIDL\nS: +OK\nS: abc\nE: FAILED protocol error\n");
    scene(LIST2 "C: UIDL\nS: +OK\nS: -1 uid\nE: FAILED protocol error\n");
    scene(LIST2 "C: UIDL\nS: -ERR [SYS/TEMP] later\nE: FAILED temporary trouble of the server\n");
    long_line(LIST2 "C: UIDL\nS: +OK\nS- 1 ", DIALOG_UID_MAX + 1, "\\r\\n\nS: .\n", "E: UID 1 \nE: READY\n");
}

/* The same uid for both is the caller's matter; 1024 octets are taken as they are. */
static void test_uidl_full(void **state)
{
    char text[8192];
    size_t n = (size_t)snprintf(text, 4096, "%s", LIST2 "C: UIDL\nS: +OK\nS: 2 u\nS: 1 ");

    (void)state;
    memset(text + n, 'u', DIALOG_UID_MAX);
    n += DIALOG_UID_MAX;
    n += (size_t)snprintf(text + n, 64, "\nS: .\nE: UID 2 u\nE: UID 1 ");
    memset(text + n, 'u', DIALOG_UID_MAX);
    snprintf(text + n + DIALOG_UID_MAX, 64, "\nE: READY\n");
    scene(text);
}

static void test_probe(void **state)
{
    struct dialog_conf conf = scene_conf();

    (void)state;
    conf.no_login = true;
    scene_play(&conf, NULL,
               GREET "C: CAPA\nS: +OK\nS: UTF8\nS: .\nE: CAPA utf8\nE: READY\nI:\nQ:\nC: QUIT\nS: +OK\n"
                     "E: QUIT ok\nS: more\nX:\n");
    conf.no_login = false;
    conf.login_only = true;
    scene_play(&conf, NULL,
               GREET "C: CAPA\nS: +OK\nS: .\nE: CAPA\nC: USER bob\nS: +OK\nC: PASS secret\nS: +OK\n"
                     "E: LOGGED_IN USER\nC: CAPA\nS: +OK\nS: TOP\nS: .\nE: CAPA top\nE: READY\nQ:\nC: QUIT\n"
                     "X:\nE: FAILED connection lost\n");
    /* leaving early: when the answer under way is in */
    scene(GREET "C: CAPA\nQ:\nS: -ERR\nE: CAPA unknown\nC: QUIT\nS: +OK\nE: QUIT ok\n");
    scene(NO_CAPA "C: USER bob\nQ:\nS: +OK\nC: QUIT\nS: +OK\nE: QUIT ok\n");
}

static void test_names(void **state)
{
    (void)state;
    for (int i = FAILURE_NONE; i <= FAILURE_SYS_PERM; i++)
        for (int k = FAILURE_NONE; k < i; k++)
            assert_string_not_equal(dialog_failure_name((enum dialog_failure)i),
                                    dialog_failure_name((enum dialog_failure)k));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain), cmocka_unit_test(test_greeting),  cmocka_unit_test(test_unasked),
        cmocka_unit_test(test_long),  cmocka_unit_test(test_capa),      cmocka_unit_test(test_capa_off),
        cmocka_unit_test(test_stls),  cmocka_unit_test(test_injection), cmocka_unit_test(test_stat),
        cmocka_unit_test(test_list),  cmocka_unit_test(test_uidl),      cmocka_unit_test(test_uidl_full),
        cmocka_unit_test(test_probe), cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests_name("dialog", tests, NULL, NULL);
}
