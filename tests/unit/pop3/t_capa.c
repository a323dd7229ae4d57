/* t_capa.c - what CAPA says at each kind of connection, before and after login, and that it is
 * well-formed.
 *
 * Proves: R2449-CAPA-01, R2449-CAPA-02, R2449-CAPA-03, R2449-CAPA-04, R2449-CAPA-05,
 * R2449-CAPA-10, R2449-TAG-01, R2449-TAG-02, R2449-TAG-03, R2449-GRAM-02, R2449-LEN-05,
 * R2449-LD-02, R2449-EXP-01, R2449-EXP-02, R3206-05, R2595-STLS-01, R2595-STLS-09, R6856-01,
 * R6856-LANG-01, R1957-03, R9266-04
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#define COMMON "RESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
#define HEAD "+OK capabilities follow\r\n"
#define SCRAM "SCRAM-SHA-256 SCRAM-SHA-1"
#define PLUS "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1"

static void capa(const char *header, const char *want)
{
    struct bench *b = bench(header);

    expect(b, "CAPA\r\n", want);
    bench_end(b);
}

static void test_doors(void **state)
{
    (void)state;
    capa("tls: none", HEAD "USER\r\nUIDL\r\nTOP\r\nSASL " SCRAM
                           " PLAIN LOGIN\r\nUTF8 USER\r\nLANG\r\n" COMMON "EXPIRE NEVER\r\n.\r\n");
    capa("tls: stls",
         HEAD "USER\r\nUIDL\r\nTOP\r\nSASL " SCRAM
              " PLAIN LOGIN\r\nSTLS\r\nUTF8 USER\r\nLANG\r\n" COMMON "EXPIRE NEVER\r\n.\r\n");
    capa("tls: strict", HEAD "UIDL\r\nTOP\r\nSASL " SCRAM "\r\nSTLS\r\nUTF8 USER\r\nLANG\r\n" COMMON
                             "EXPIRE NEVER\r\n.\r\n");
    capa("tls: needs",
         HEAD "UIDL\r\nTOP\r\nSTLS\r\nUTF8 USER\r\nLANG\r\n" COMMON "EXPIRE NEVER\r\n.\r\n");
    capa("tls: broken",
         HEAD "USER\r\nUIDL\r\nTOP\r\nSASL " SCRAM " PLAIN LOGIN\r\nUTF8 USER\r\nLANG\r\n" COMMON
              "EXPIRE NEVER\r\n.\r\n");
    capa("tls: implicit",
         HEAD "USER\r\nUIDL\r\nTOP\r\nSASL " PLUS " PLAIN LOGIN\r\nUTF8 USER\r\nLANG\r\n" COMMON
              "EXPIRE NEVER\r\n.\r\n");
}

static void test_settings(void **state)
{
    (void)state;
    capa("tls: none\nconf: auth.mechanisms=\"PLAIN\" auth.utf8_user=no implementation=\"Rest\" "
         "auth.login_delay=5m",
         HEAD "USER\r\nUIDL\r\nTOP\r\nSASL PLAIN\r\nUTF8\r\nLANG\r\n" COMMON
              "EXPIRE NEVER\r\nLOGIN-DELAY 300\r\nIMPLEMENTATION Rest\r\n.\r\n");
    capa("tls: strict\nconf: auth.mechanisms=\"PLAIN LOGIN\" mail.expire=30",
         HEAD "UIDL\r\nTOP\r\nSTLS\r\nUTF8 USER\r\nLANG\r\n" COMMON "EXPIRE 30\r\n.\r\n");
    capa("tls: needs\nconf: mail.expire=0",
         HEAD "UIDL\r\nTOP\r\nSTLS\r\nUTF8 USER\r\nLANG\r\n" COMMON "EXPIRE 0\r\n.\r\n");
}

/* A binding that a connection does not have is not offered: TLS that ended at a proxy. */
static void test_edge_tls(void **state)
{
    struct bench *b = bench_set("tls: implicit");

    (void)state;
    b->sim->link.binding = false;
    bench_start(b);
    assert_non_null(strstr(ask(b, "CAPA\r\n"), "\r\nSASL " SCRAM " PLAIN LOGIN\r\n"));
    bench_end(b);
    b = bench_set("tls: implicit");
    b->sim->link.mechs |= MECH_BIT(MECH_EXTERNAL);
    bench_start(b);
    assert_null(strstr(ask(b, "CAPA\r\n"), "EXTERNAL"));
    b->sim->link.certificate = true;
    assert_non_null(strstr(ask(b, "CAPA\r\n"), " EXTERNAL "));
    bench_end(b);
}

/* Per-user policies: the worst before login, the user's own after it. */
static void test_per_user(void **state)
{
    struct bench *b = bench(
        "user: five \"secret\" expire=5\nuser: slow \"secret\" login_delay=900\n"
        "user: bob \"secret\" expire=60 login_delay=60\n");

    (void)state;
    assert_non_null(strstr(ask(b, "CAPA\r\n"), "\r\nEXPIRE 5 USER\r\nLOGIN-DELAY 900 USER\r\n"));
    ask(b, "USER bob\r\n");
    expect_head(b, "PASS secret\r\n", "+OK ");
    assert_non_null(strstr(ask(b, "CAPA\r\n"), "\r\nEXPIRE 60\r\nLOGIN-DELAY 60\r\n"));
    bench_end(b);
}

/* After login everything is still announced but STLS. */
static void test_after_login(void **state)
{
    struct bench *b = bench("tls: stls");
    char *before = mem_str(ask(b, "CAPA\r\n")), *stls = strstr(before, "STLS\r\n");

    (void)state;
    assert_non_null(stls);
    memmove(stls, stls + 6, strlen(stls + 6) + 1);
    ask(b, "USER bob\r\n");
    expect(b, "CAPA\r\n",
           HEAD "USER\r\nUIDL\r\nTOP\r\nSASL " SCRAM
                " PLAIN LOGIN\r\nSTLS\r\nUTF8 USER\r\nLANG\r\n" COMMON
                "EXPIRE NEVER\r\n.\r\n"); /* a name stays pending: it is harmless */
    expect_head(b, "PASS secret\r\n", "+OK ");
    expect(b, "CAPA\r\n", before);
    expect_head(b, "CAPA x\r\n", "-ERR ");
    free(before);
    bench_end(b);
}

/* UTF8 and LANG survive CAPA; STLS is void after UTF8. */
static void test_no_side_effect(void **state)
{
    struct bench *b = bench("tls: stls");

    (void)state;
    expect_head(b, "UTF8\r\n", "+OK ");
    expect_head(b, "LANG de\r\n", "+OK de ");
    assert_null(strstr(ask(b, "CAPA\r\n"), "STLS"));
    expect_head(b, "STLS\r\n", "-ERR nicht nach UTF8");
    assert_true(engine_utf8(&b->sim->engine));
    bench_end(b);
}

/* Every line of every answer, with the longest and oddest IMPLEMENTATION. */
static void test_form(void **state)
{
    static const char *const doors[] = { "none", "stls", "strict", "needs", "broken", "implicit" };
    static const char *const registered[] = {
        "USER",           "UIDL",       "TOP",    "SASL",
        "STLS",           "UTF8",       "LANG",   "RESP-CODES",
        "AUTH-RESP-CODE", "PIPELINING", "EXPIRE", "LOGIN-DELAY",
        "IMPLEMENTATION",
    };
    char header[80];

    (void)state;
    for (size_t d = 0; d < sizeof doors / sizeof *doors; d++) {
        struct bench *b;
        struct span body;

        snprintf(header, sizeof header, "tls: %s\nconf: implementation=\"\\{\\xc3*900}\"",
                 doors[d]);
        b = bench(header);
        body = ask_span(b, span_str("CAPA\r\n"));
        for (span_until(&body, '\n'); body.n > 3;) {
            struct span line = span_until(&body, '\n'), tag;
            bool known = false;

            assert_true(line.n > 1 && line.n + 1 <= LIMIT_REPLY_LINE && line.p[line.n - 1] == '\r');
            line.n--;
            for (size_t i = 0; i < line.n; i++)
                assert_true(line.p[i] >= 0x20 && line.p[i] < 0x7f);
            tag = span_until(&line, ' ');
            for (size_t i = 0; i < sizeof registered / sizeof *registered; i++)
                known = known || span_is(tag, registered[i]);
            assert_true(known && !memchr(tag.p, '.', tag.n));
            while (line.n)
                assert_true(span_until(&line, ' ').n > 0);
        }
        assert_true(span_is(body, ".\r\n"));
        bench_end(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doors),       cmocka_unit_test(test_settings),
        cmocka_unit_test(test_edge_tls),    cmocka_unit_test(test_per_user),
        cmocka_unit_test(test_after_login), cmocka_unit_test(test_no_side_effect),
        cmocka_unit_test(test_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
