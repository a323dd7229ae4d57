/* t_dialog_login.c - the client's ways to log in: which one is chosen, what is sent, how a refusal is read.
 *
 * Proves: R1939-USER-10, R1939-USER-11, R1939-APOP-08, R1939-APOP-09, R2449-LEN-04, R3206-08, R5034-08, R5034-12,
 * R5034-14, R5034-27, R5034-LEN, R6856-07, R6856-10, R6856-15, R2595-STLS-15, R2595-STLS-17, XOA2-04, XOA2-05,
 * R5802-13, R4422-02
 */
#include "scene.h"

#include "base/base64.h"

#include <stdio.h>

#define GREET "S: +OK hi\nE: GREETING hi\n"
#define CAPA(lines, told) GREET "C: CAPA\nS: +OK\n" lines "S: .\nE: CAPA" told "\n"
#define IN(method) "E: LOGGED_IN " method "\nC: CAPA\n"

enum { ALL = (1u << (DIALOG_XOAUTH2 + 1)) - 1 };

static struct dialog_conf conf;

static int set_up(void **state)
{
    (void)state;
    conf = scene_conf();
    return 0;
}

static void play(const char *text)
{
    scene_play(&conf, &scene_sasl, text);
}

static void test_user(void **state)
{
    (void)state;
    play(CAPA("", "") "C: USER bob\nS: -ERR who\nE: FAILED no way to log in\n");
    play(CAPA("", "") "C: USER bob\nS: -ERR [SYS/PERM] who\nE: FAILED lasting trouble of the server\n");
    play(CAPA("", "") "C: USER bob\nS: +OK\nC: PASS secret\nS: -ERR wrong\nE: FAILED login rejected\n");
    play(CAPA("", "") "C: USER bob\nS: +OK\nC: PASS secret\nS: -ERR [auth] wrong\nE: FAILED login rejected\n");
    play(CAPA("", "") "C: USER bob\nS: +OK\nC: PASS secret\nS: -ERR [IN-USE] x\nE: FAILED maildrop in use\n");
    play(CAPA("", "") "C: USER bob\nS: +OK\nC: PASS secret\nS: -ERR [LOGIN-DELAY] x\nE: FAILED login too soon\n");
    play(CAPA("", "") "C: USER bob\nS: +OK\nC: PASS secret\nS: -ERR Maildrop Locked\nE: FAILED maildrop in use\n");
    play(CAPA("", "") "C: USER bob\nS: +OK\nC: PASS secret\nS: -ERR -Lock Busy\nE: FAILED maildrop in use\n");
    play(CAPA("", "") "C: USER bob\nS: +OK\nC: PASS secret\nS: -ERR blocked\nE: FAILED login rejected\n");
    play(CAPA("", "") "C: USER bob\nS: +OK\nC: PASS secret\nX:\nE: FAILED connection lost\n");
    play(CAPA("", "") "C: USER bob\nS: +OK\nC: PASS secret\nS: + \nE: FAILED protocol error\n");
    /* AUTH-RESP-CODE: without [AUTH] it is not the password */
    play(CAPA("S: AUTH-RESP-CODE\n", " auth-resp-code") "C: USER bob\nS: +OK\nC: PASS secret\nS: -ERR wrong\n"
                                                        "E: FAILED temporary trouble of the server\n");
    play(CAPA("S: AUTH-RESP-CODE\n",
              " auth-resp-code") "C: USER bob\nS: +OK\nC: PASS secret\nS: -ERR [AUTH] wrong\n"
                                 "E: FAILED login rejected\n");
}

static void long_name(size_t n, bool fits)
{
    char name[300], text[2048];

    memset(name, 'n', n);
    name[n] = '\0';
    conf.user = name;
    snprintf(text, sizeof text, CAPA("", "") "%s%s%s", fits ? "C: USER " : "E: FAILED no way to log in\n",
             fits ? name : "", fits ? "\n" : "");
    play(text);
    conf.user = "bob";
}

static void test_user_arguments(void **state)
{
    (void)state;
    long_name(248, true); /* 255 octets with CRLF */
    long_name(249, false);
    conf.user = "a b\xc3\xa9";
    play(CAPA("S: UTF8\n", " utf8") "C: UTF8\nS: +OK\nE: FAILED no way to log in\n");
    play(CAPA("S: UTF8 USER\n",
              " utf8 utf8-user") "C: UTF8\nS: -ERR\nC: USER a b\\xc3\\xa9\nS: +OK\nC: PASS secret\n");
    conf.user = "bob";
    conf.password = span_str("p\xc3\xa9");
    play(CAPA("", "") "E: FAILED no way to log in\n");
    conf.password = span_str("a\r\nDELE 1");
    play(CAPA("", "") "E: FAILED no way to log in\n");
    conf.password = span_of("a\0b", 3);
    play(CAPA("", "") "E: FAILED no way to log in\n");
    conf.password = span_str("");
    play(CAPA("", "") "E: FAILED no way to log in\n");
    conf.password = span_str(" pass  word ");
    play(CAPA("", "") "C: USER bob\nS: +OK\nC: PASS  pass  word \nS: +OK\n" IN("USER"));
    conf.user = "a\nb";
    play(CAPA("", "") "E: FAILED no way to log in\n");
    conf.user = "";
    play(CAPA("", "") "E: FAILED no way to log in\n");
}

/* R6856-07: a refusal with [UTF8] is not the password's; a session that says UTF8 unasked comes next. */
static void test_utf8(void **state)
{
    (void)state;
    play(CAPA("", "") "C: USER bob\nS: +OK\nC: PASS secret\nS: -ERR [UTF8] x\nE: FAILED lasting trouble of the server\n");
    conf.force_utf8 = true;
    play(CAPA("", "") "C: UTF8\nS: +OK\nC: USER bob\nS: +OK\nC: PASS secret\nS: +OK\n" IN("USER"));
    play(CAPA("", "") "C: UTF8\nS: -ERR what\nC: USER bob\n");
    conf.tls = DIALOG_TLS_STLS;
    play(CAPA("S: STLS\n", " stls") "C: STLS\nS: +OK\nE: NEED_TLS\nT:\nC: CAPA\nS: -ERR\nE: CAPA unknown\nC: UTF8\n");
}

static void test_clear(void **state)
{
    (void)state;
    conf.tls = DIALOG_TLS_NONE;
    play(CAPA("", "") "E: FAILED no way to log in\n");
    conf.auth = DIALOG_AUTH_AUTO;
    conf.mechs = ALL;
    play(CAPA("S: SASL PLAIN LOGIN\n", " PLAIN LOGIN") "E: FAILED no way to log in\n");
    play(CAPA("S: SASL PLAIN SCRAM-SHA-1\n", " SCRAM-SHA-1 PLAIN") "C: AUTH SCRAM-SHA-1 SSBTQ1JBTS1TSEEtMQ==\n"
                                                                   "S: -ERR\nE: FAILED no way to log in\n");
    conf.plaintext_auth = true;
    play(CAPA("", "") "C: USER bob\n");
    play(CAPA("S: SASL PLAIN\n", " PLAIN") "C: AUTH PLAIN SSBQTEFJTg==\nS: +OK\n" IN("PLAIN"));
    conf.auth = DIALOG_AUTH_SASL;
    conf.sasl_name = "XOAUTH2"; /* never without TLS */
    play(CAPA("S: SASL XOAUTH2\n", " xoauth2") "E: FAILED no way to log in\n");
    conf.plaintext_auth = false;
    conf.sasl_name = "plain";
    play(CAPA("S: SASL PLAIN\n", " PLAIN") "E: FAILED no way to log in\n");
}

/* R8314-C-04: TLS with somebody, but nobody knows with whom. */
static void test_unverified(void **state)
{
    (void)state;
    conf.unverified = true;
    play(CAPA("", "") "E: FAILED no way to log in\n");
    conf.auth = DIALOG_AUTH_AUTO;
    conf.mechs = ALL;
    play(CAPA("S: SASL PLAIN LOGIN\n", " PLAIN LOGIN") "E: FAILED no way to log in\n");
    play(CAPA("S: SASL PLAIN SCRAM-SHA-1\n", " SCRAM-SHA-1 PLAIN") "C: AUTH SCRAM-SHA-1 SSBTQ1JBTS1TSEEtMQ==\n");
    conf.plaintext_auth = true;
    play(CAPA("S: SASL PLAIN\n", " PLAIN") "C: AUTH PLAIN SSBQTEFJTg==\nS: +OK\n" IN("PLAIN"));
    conf.auth = DIALOG_AUTH_SASL;
    conf.sasl_name = "OAUTHBEARER";
    play(CAPA("S: SASL OAUTHBEARER\n", " oauthbearer") "E: FAILED no way to log in\n");
    conf.auth = DIALOG_AUTH_USER;
    play(CAPA("", "") "C: USER bob\nS: +OK\nC: PASS secret\nS: +OK\n" IN("USER"));
}

#define TIMESTAMP(t) "S: +OK hi " t "\nE: GREETING hi " t "\nC: CAPA\nS: +OK\nS: .\nE: CAPA\n"

static void test_apop(void **state)
{
    static const char *const bad[] = { "<a\\xff@b>", "<ab>", "<a@b\\x01>", "<a@b@c>", "<@b>",   "<a@>",
                                       "<a b@c>",    "<a@b", "a@b>",       "<>",      "<a<@b>", "<" };
    char text[2048];

    (void)state;
    play(TIMESTAMP("<1.2@h>") "C: USER bob\n"); /* not unless told so */
    conf.auth = DIALOG_AUTH_AUTO;
    play(TIMESTAMP("<1.2@h>") "C: USER bob\n");
    conf.auth = DIALOG_AUTH_APOP;
    play(TIMESTAMP("<1.2@h>") "C: APOP bob 00000000000000070000000000000006\nS: +OK\n" IN("APOP"));
    play(TIMESTAMP("<1.2@h>") "C: APOP bob 00000000000000070000000000000006\nS: -ERR\nE: FAILED login rejected\n");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf greeting = BUF(200), seen = BUF(400);

        scene_unescape(&greeting, span_str(bad[i]));
        for (size_t k = 0; k < greeting.n; k++)
            assert_true(greeting.p[k] > ' ' - 1 && greeting.p[k] < 0x7f
                            ? buf_put(&seen, greeting.p + k, 1)
                            : buf_printf(&seen, "\\x%02x", greeting.p[k]));
        snprintf(text, sizeof text,
                 "S: +OK %s\nE: GREETING %.*s\nC: CAPA\nS: -ERR\nE: CAPA unknown\n"
                 "E: FAILED no way to log in\n",
                 bad[i], (int)seen.n, (const char *)seen.p);
        play(text);
        buf_free(&greeting);
        buf_free(&seen);
    }
    play(GREET "C: CAPA\nS: -ERR\nE: CAPA unknown\nE: FAILED no way to log in\n");
}

static void test_apop_stls(void **state)
{
    (void)state;
    conf.auth = DIALOG_AUTH_APOP;
    conf.tls = DIALOG_TLS_STLS;
    conf.use_capa = false;
    play("S: +OK <1.2@h>\nE: GREETING <1.2@h>\nC: STLS\nS: +OK\nE: NEED_TLS\nT:\nE: FAILED no way to log in\n");
    play("S: +OK <1.2@h>\nE: GREETING <1.2@h>\nC: STLS\nS: -ERR\nE: FAILED no TLS\n");
    conf.apop_after_stls = true;
    play("S: +OK <1.2@h>\nE: GREETING <1.2@h>\nC: STLS\nS: +OK\nE: NEED_TLS\nT:\n"
         "C: APOP bob 00000000000000070000000000000006\n");
}

#define STRONG "S: SASL LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256\n"
#define STRONG_TOLD " cram-md5 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN"

/* Refused mechanisms give way, the strongest first; a rejected secret ends it all. */
static void test_auto(void **state)
{
    static const struct dialog_sasl none = { 0 };

    (void)state;
    conf.auth = DIALOG_AUTH_AUTO;
    conf.mechs = ALL;
    play(CAPA(STRONG, STRONG_TOLD) "C: AUTH SCRAM-SHA-256 SSBTQ1JBTS1TSEEtMjU2\nS: -ERR no\n"
                                   "C: AUTH SCRAM-SHA-1 SSBTQ1JBTS1TSEEtMQ==\nS: -ERR\nC: AUTH CRAM-MD5\nS: -ERR\n"
                                   "C: AUTH PLAIN SSBQTEFJTg==\nS: -ERR wrong\nE: FAILED login rejected\n");
    play(CAPA(
        STRONG,
        STRONG_TOLD) "C: AUTH SCRAM-SHA-256 SSBTQ1JBTS1TSEEtMjU2\nS: + YQ==\nC: UiBh\nS: + YWI=\nC: UiBhYg==\n"
                     "S: +OK in\n" IN("SCRAM-SHA-256"));
    play(CAPA(STRONG, STRONG_TOLD) "C: AUTH SCRAM-SHA-256 SSBTQ1JBTS1TSEEtMjU2\nS: + YQ==\nC: UiBh\nS: -ERR no\n"
                                   "E: FAILED login rejected\n");
    play(CAPA(
        STRONG,
        STRONG_TOLD) "C: AUTH SCRAM-SHA-256 SSBTQ1JBTS1TSEEtMjU2\nS: -ERR [AUTH] no\nE: FAILED login rejected\n");
    play(CAPA(STRONG, STRONG_TOLD) "C: AUTH SCRAM-SHA-256 SSBTQ1JBTS1TSEEtMjU2\nX:\nE: FAILED connection lost\n");
    play(CAPA(
        STRONG,
        STRONG_TOLD) "C: AUTH SCRAM-SHA-256 SSBTQ1JBTS1TSEEtMjU2\nS: -ERR lock busy\nE: FAILED maildrop in use\n");
    play(CAPA("S: SASL LOGIN\n",
              " LOGIN") "C: AUTH LOGIN\nS: -ERR\nC: USER bob\nS: -ERR\nE: FAILED no way to log in\n");
    conf.mechs = MECH_BIT(MECH_PLAIN); /* CRAM-MD5 is opt-in */
    play(CAPA("S: SASL CRAM-MD5 PLAIN\n", " cram-md5 PLAIN") "C: AUTH PLAIN SSBQTEFJTg==\n");
    conf.mechs = 0;
    play(CAPA(STRONG, STRONG_TOLD) "C: USER bob\n");
    conf.mechs = ALL;
    play(GREET "C: CAPA\nS: -ERR\nE: CAPA unknown\nC: USER bob\n"); /* R5034-27 */
    scene_play(&conf,
               &(struct dialog_sasl){ scene_sasl.start, scene_sasl.step, scene_sasl.complete,
                                      (void *)(uintptr_t) "PLAIN" },
               CAPA(STRONG, STRONG_TOLD) "C: AUTH PLAIN SSBQTEFJTg==\n");
    scene_play(
        &conf,
        &(struct dialog_sasl){ scene_sasl.start, scene_sasl.step, scene_sasl.complete,
                               (void *)(uintptr_t) "SCRAM-SHA-1 unproven" },
        CAPA(STRONG,
             STRONG_TOLD) "C: AUTH SCRAM-SHA-1 SSBTQ1JBTS1TSEEtMQ==\nS: +OK\nE: FAILED server not proven\n");
    conf.password = span_str("");
    scene_play(
        &conf,
        &(struct dialog_sasl){ scene_sasl.start, scene_sasl.step, scene_sasl.complete, (void *)(uintptr_t) "x" },
        CAPA(STRONG, STRONG_TOLD) "E: FAILED no way to log in\n");
    (void)none;
}

/* The table's order is that of R4422-02, whatever the server's is; a refusal of what gave nothing away leads on. */
static void test_strongest_first(void **state)
{
    (void)state;
    conf.auth = DIALOG_AUTH_AUTO;
    conf.mechs = ALL;
    play(CAPA("S: SASL LOGIN PLAIN EXTERNAL CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-256-PLUS\n",
              " cram-md5 SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 EXTERNAL PLAIN LOGIN")
         "C: AUTH SCRAM-SHA-256-PLUS SSBTQ1JBTS1TSEEtMjU2LVBMVVM=\nS: -ERR no\n"
         "C: AUTH SCRAM-SHA-1-PLUS SSBTQ1JBTS1TSEEtMS1QTFVT\nS: -ERR no\n"
         "C: AUTH EXTERNAL =\nS: -ERR no\n"
         "C: AUTH SCRAM-SHA-256 SSBTQ1JBTS1TSEEtMjU2\nS: -ERR no\n"
         "C: AUTH SCRAM-SHA-1 SSBTQ1JBTS1TSEEtMQ==\nS: -ERR no\n"
         "C: AUTH CRAM-MD5\nS: -ERR no\n"
         "C: AUTH PLAIN SSBQTEFJTg==\nS: -ERR wrong\nE: FAILED login rejected\n");
    conf.auth = DIALOG_AUTH_SASL; /* what was asked for, and nothing weaker behind it */
    conf.sasl_name = "SCRAM-SHA-256";
    play(CAPA(STRONG, STRONG_TOLD) "C: AUTH SCRAM-SHA-256 SSBTQ1JBTS1TSEEtMjU2\nS: -ERR no\nE: FAILED no way to log in\n");
    conf.sasl_name = NULL;
}

/* R4422-02: one after the other, as each is refused before it has said anything of a secret. */
static void test_order(void **state)
{
    (void)state;
    conf.auth = DIALOG_AUTH_AUTO;
    conf.mechs = ALL;
    conf.one_line_auth = false;
    play(CAPA("S: SASL LOGIN PLAIN XOAUTH2 OAUTHBEARER CRAM-MD5 SCRAM-SHA-1 EXTERNAL SCRAM-SHA-256 SCRAM-SHA-1-PLUS "
              "SCRAM-SHA-256-PLUS\n",
              " cram-md5 xoauth2 oauthbearer SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 EXTERNAL PLAIN LOGIN")
         "C: AUTH SCRAM-SHA-256-PLUS\nS: -ERR\nC: AUTH SCRAM-SHA-1-PLUS\nS: -ERR\nC: AUTH EXTERNAL\nS: -ERR\n"
         "C: AUTH SCRAM-SHA-256\nS: -ERR\nC: AUTH SCRAM-SHA-1\nS: -ERR\nC: AUTH OAUTHBEARER\nS: -ERR\n"
         "C: AUTH XOAUTH2\nS: -ERR\nC: AUTH CRAM-MD5\nS: -ERR\nC: AUTH PLAIN\nS: -ERR\nC: AUTH LOGIN\nS: -ERR\n"
         "C: USER bob\n");
    conf.unverified = true; /* no token to nobody knows whom, whatever is permitted for the password */
    conf.plaintext_auth = true;
    play(CAPA("S: SASL XOAUTH2 OAUTHBEARER PLAIN\n", " xoauth2 oauthbearer PLAIN") "C: AUTH PLAIN\n");
}

static void test_lines(void **state)
{
    (void)state;
    conf.auth = DIALOG_AUTH_SASL;
    conf.sasl_name = "EXTERNAL";
    play(CAPA("S: SASL EXTERNAL\n", " EXTERNAL") "C: AUTH EXTERNAL =\nS: +OK\n" IN("EXTERNAL"));
    play(CAPA("", "") "C: AUTH EXTERNAL\nS: +\nC: \nS: +OK\n" IN("EXTERNAL")); /* not listed: two lines */
    conf.sasl_name = "LOGIN";
    play(CAPA("S: SASL LOGIN\n",
              " LOGIN") "C: AUTH LOGIN\nS: + YQ==\nC: UiBh\nS: + YWI=  \nC: UiBhYg==\nS: +OK\n" IN("LOGIN"));
    play(CAPA("S: SASL LOGIN\n", " LOGIN") "C: AUTH LOGIN\nS: +\nC: UiA=\nS: -ERR\nE: FAILED login rejected\n");
    play(CAPA("S: SASL LOGIN\n",
              " LOGIN") "C: AUTH LOGIN\nS: + Username:\nC: *\nS: -ERR\nE: FAILED protocol error\n");
    play(CAPA("S: SASL LOGIN\n", " LOGIN") "C: AUTH LOGIN\nS: +YQ==\nE: FAILED protocol error\n");
    play(CAPA("S: SASL LOGIN\n",
              " LOGIN") "C: AUTH LOGIN\nS: + YmFk\nC: *\nS: -ERR\nE: FAILED server not proven\n");
    play(
        CAPA("S: SASL LOGIN\n", " LOGIN") "C: AUTH LOGIN\nS: + YmFk\nC: *\nS: +OK\nE: FAILED server not proven\n");
    play(CAPA("S: SASL LOGIN\n", " LOGIN") "C: AUTH LOGIN\nS: + YmFk\nC: *\nX:\nE: FAILED server not proven\n");
    play(CAPA("S: SASL LOGIN\n", " LOGIN") "C: AUTH LOGIN\nS: + YQ==\nS: + YQ==\nE: FAILED protocol error\n");
    conf.one_line_auth = false;
    conf.sasl_name = "XOAUTH2";
    play(CAPA("", "") "C: AUTH XOAUTH2\nS: +\nC: SSBYT0FVVEgy\nS: +OK\n" IN("XOAUTH2"));
    play(CAPA("", "") "C: AUTH XOAUTH2\nS: + send it please\nC: SSBYT0FVVEgy\nS: + e30=\nC: \nS: -ERR [AUTH] old\n"
                      "E: FAILED login rejected\n");
    play(CAPA("", "") "C: AUTH XOAUTH2\nS: +OK\nE: FAILED protocol error\n");
    play(CAPA("", "") "C: AUTH XOAUTH2\nS: -ERR unknown\nE: FAILED no way to log in\n");
    conf.sasl_name = NULL;
    play(CAPA("", "") "E: FAILED no way to log in\n");
}

/* A server that never has enough is left after DIALOG_SASL_ROUNDS. */
static void test_rounds(void **state)
{
    char text[4096];
    size_t n = (size_t)snprintf(text, 512, CAPA("", "") "C: AUTH LOGIN\n");

    (void)state;
    conf.auth = DIALOG_AUTH_SASL;
    conf.sasl_name = "LOGIN";
    for (int i = 0; i < DIALOG_SASL_ROUNDS; i++)
        n += (size_t)snprintf(text + n, 64, "S: + YQ==\nC: UiBh\n");
    snprintf(text + n, 128, "S: + YQ==\nC: *\nS: -ERR\nE: FAILED protocol error\n");
    play(text);
}

static size_t big_initial;

static bool big_start(void *ctx, struct span name, struct buf *initial, bool *has_initial)
{
    (void)ctx;
    (void)name;
    *has_initial = true;
    for (size_t i = 0; i < big_initial; i++)
        if (!buf_put_str(initial, "\x01"))
            return false;
    return true;
}

static void in_base64(char *dst, size_t octets)
{
    uint8_t *raw = mem_new(octets);

    memset(raw, 1, octets);
    dst[base64_put((uint8_t *)dst, span_of(raw, octets))] = '\0';
    free(raw);
}

/* "AUTH PLAIN " and CRLF leave 242 octets: 180 octets are 240 in Base64, 183 are 244. */
static void test_initial_length(void **state)
{
    const struct dialog_sasl big = { big_start, scene_sasl.step, scene_sasl.complete, NULL };
    char *text = mem_new(100000), *base64 = mem_new(40000);

    (void)state;
    conf.auth = DIALOG_AUTH_SASL;
    conf.sasl_name = "PLAIN";
    big_initial = 180;
    in_base64(base64, big_initial);
    snprintf(text, 100000, CAPA("S: SASL PLAIN\n", " PLAIN") "C: AUTH PLAIN %s\nS: +OK\n" IN("PLAIN"), base64);
    scene_play(&conf, &big, text);
    for (big_initial = 181; big_initial < 21000; big_initial += 20000) {
        in_base64(base64, big_initial);
        snprintf(text, 100000,
                 CAPA("S: SASL PLAIN\n", " PLAIN") "C: AUTH PLAIN\nS: + \nC: %s\nS: +OK\n" IN("PLAIN"), base64);
        scene_play(&conf, &big, text);
    }
    /* the two sides of 255 octets: 256 is one too many, 255 may be */
    conf.sasl_name = "EXTERNAL";
    big_initial = 180;
    scene_play(&conf, &big, CAPA("S: SASL EXTERNAL\n", " EXTERNAL") "C: AUTH EXTERNAL\n");
    conf.sasl_name = "SCRAM-SHA-1";
    big_initial = 177;
    in_base64(base64, big_initial);
    snprintf(text, 100000, CAPA("S: SASL SCRAM-SHA-1\n", " SCRAM-SHA-1") "C: AUTH SCRAM-SHA-1 %s\n", base64);
    scene_play(&conf, &big, text);
    conf.sasl_name = "PLAIN";
    big_initial = DIALOG_LINE + 1; /* a token past all measure: not begun */
    scene_play(&conf, &big, CAPA("S: SASL PLAIN\n", " PLAIN") "E: FAILED no way to log in\n");
    free(text);
    free(base64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_user, set_up),           cmocka_unit_test_setup(test_user_arguments, set_up),
        cmocka_unit_test_setup(test_clear, set_up),          cmocka_unit_test_setup(test_apop, set_up),
        cmocka_unit_test_setup(test_apop_stls, set_up),      cmocka_unit_test_setup(test_auto, set_up),
        cmocka_unit_test_setup(test_strongest_first, set_up),
        cmocka_unit_test_setup(test_lines, set_up),          cmocka_unit_test_setup(test_rounds, set_up),
        cmocka_unit_test_setup(test_initial_length, set_up), cmocka_unit_test_setup(test_unverified, set_up),
        cmocka_unit_test_setup(test_utf8, set_up),           cmocka_unit_test_setup(test_order, set_up),
    };

    return cmocka_run_group_tests_name("dialog_login", tests, NULL, NULL);
}
