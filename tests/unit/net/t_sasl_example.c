/* t_sasl_example.c - the RFCs' examples, octet for octet, through the client: SCRAM-SHA-1 (RFC 5802 §5), CRAM-MD5
 * (RFC 2195 §2), PLAIN (RFC 4616 §4), LOGIN, APOP. The client's nonce comes from RAND_bytes, which is this file's own here.
 *
 * Proves: R1939-APOP-03, R2195-03, R4616-01, R4616-08, R5802-01, R5802-08, R5802-12, R5802-13, XLOGIN-02
 * Does not know: POP3's lines; t_sasl_client.c has the servers, t_dialog.c the dialogue.
 */
#include "sasl/client.h"

#include "../auth/auth_help.h"

#include <openssl/rand.h>

#define NONCE "fyko+d2lbbFgONRv9qkxdawL"

/* The 18 octets behind "fyko+d2lbbFgONRv9qkxdawL". */
int RAND_bytes(unsigned char *data, int n)
{
    struct buf raw = BUF(100);

    put_base64(&raw, NONCE);
    assert_int_equal(n, raw.n);
    memcpy(data, raw.p, raw.n);
    buf_free(&raw);
    return 1;
}

static struct sasl_client_conf bob(void)
{
    return (struct sasl_client_conf){ .user = "bob", .password = span_str("pw"), .host = "pop.example.com",
                                      .port = 995, .tls = true };
}

static struct sasl_client *client_of(const struct sasl_client_conf *conf)
{
    struct err e = { 0 };
    struct sasl_client *c = sasl_client_new(conf, &e);

    if (!c)
        fail_msg("%s", e.text);
    return c;
}

static struct buf started(struct sasl_client *c, const char *mech)
{
    struct buf out = BUF(20000);
    bool has;

    if (!sasl_client_start(c, span_str(mech), &out, &has))
        fail_msg("%s: %s", mech, sasl_client_why(c));
    assert_int_equal(has, strcmp(mech, "LOGIN") != 0 && strcmp(mech, "CRAM-MD5") != 0);
    return out;
}

static void expect_why(const struct sasl_client *c, const char *part)
{
    if (!strstr(sasl_client_why(c), part))
        fail_msg("\"%s\" says nothing of \"%s\"", sasl_client_why(c), part);
}

static void scram_example(void **state)
{
    struct sasl_client_conf conf = bob();
    struct sasl_client *c;
    struct buf out;

    (void)state;
    conf.user = "user";
    conf.password = span_str("pencil");
    for (int round = 0; round < 2; round++) { /* 0: the server lies about its signature */
        c = client_of(&conf);
        out = started(c, "SCRAM-SHA-1");
        expect_span(buf_span(&out), "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
        out.n = 0;
        assert_true(sasl_client_step(c, span_str("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"),
                                     &out));
        expect_span(buf_span(&out), "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
        assert_false(sasl_client_complete(c)); /* "+OK" at once, without server-final */
        expect_why(c, "did not prove");
        out.n = 0;
        assert_int_equal(sasl_client_step(c, span_str(round ? "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="
                                                            : "v=smF9pqV8S7suAoZWja4dJRkFsKQ="), &out), round);
        assert_int_equal(sasl_client_complete(c), round);
        assert_int_equal(out.n, 0);
        buf_free(&out);
        sasl_client_free(&c);
    }
}

static void small_examples(void **state)
{
    struct sasl_client_conf conf = bob();
    struct sasl_client *c = client_of(&conf);
    struct buf out;
    char hex[33];

    (void)state;
    sasl_apop_digest(span_str("<1896.697170952@dbc.mtview.ca.us>"), span_str("tanstaaf"), hex);
    assert_string_equal(hex, "c4c9334bac560ecc979e58001b3e22fb");
    conf.user = "tim";
    conf.password = span_str("tanstaaf");
    out = started(c, "plain");
    assert_true(span_eq(buf_span(&out), LIT("\0tim\0tanstaaf")));
    buf_free(&out);
    conf.password = span_str("tanstaaftanstaaf");
    for (int round = 0; round < 2; round++) {
        conf.user = round ? "a b" : "tim";
        out = started(c, "CRAM-MD5");
        assert_true(sasl_client_step(c, span_str("<1896.697170952@postoffice.reston.mci.net>"), &out));
        if (round) {
            assert_int_equal(out.n, 3 + 1 + 32);
            assert_memory_equal(out.p, "a b b913a602c7eda7a495b4e6e7334d3890", out.n);
        } else {
            expect_span(buf_span(&out), "tim b913a602c7eda7a495b4e6e7334d3890");
        }
        buf_free(&out);
    }
    for (int round = 0; round < 2; round++) { /* LOGIN takes any text of the server */
        out = started(c, "LOGIN");
        assert_true(sasl_client_step(c, span_str(round ? "User Name\r\n" : ""), &out));
        expect_span(buf_span(&out), "a b");
        out.n = 0;
        assert_true(sasl_client_step(c, span_str(round ? "\xff" : "x"), &out));
        expect_span(buf_span(&out), "tanstaaftanstaaf");
        buf_free(&out);
    }
    sasl_client_free(&c);
}

/* --- what a hostile server may say --- */

static void hostile_first(void **state)
{
    static const struct { const char *first, *why; } rows[] = {
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=4294967295", "iteration count 4294967295 is not within" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=99999999999999999999999999", "iteration count" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=10000001", "iteration count" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=4095", "iteration count 4095" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=1", "iteration count 1 " },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=0", "iteration count 0 " },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=", "iteration count" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=-4096", "no number" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92", "" },
        { "r=" NONCE "x,i=4096", "" },
        { "r=" NONCE "x,s=,i=4096", "" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8b*92,i=4096", "" },
        { "m=x,r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=4096", "nonce" },
        { "r=" NONCE ",s=QSXCR+Q6sek8bf92,i=4096", "nonce" },
        { "r=fyko+d2lbbFgONRv9qkxdawM3rfc,s=QSXCR+Q6sek8bf92,i=4096", "nonce" },
        { "r=x" NONCE "3rfc,s=QSXCR+Q6sek8bf92,i=4096", "nonce" },
        { "r=", "nonce" },
        { "", "nonce" },
        { "-ERR [AUTH] no such user", "nonce" },
        { "e=other-error", "nonce" },
        { "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "nonce" },
        { "\xff\xfe\x01", "nonce" },
    };
    struct sasl_client_conf conf = bob();
    struct sasl_client *c = client_of(&conf);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf out = started(c, i % 2 ? "SCRAM-SHA-1" : "SCRAM-SHA-256");

        out.n = 0;
        if (sasl_client_step(c, span_str(rows[i].first), &out))
            fail_msg("\"%s\" is taken", rows[i].first);
        expect_why(c, rows[i].why);
        assert_true(*sasl_client_why(c) && out.n == 0);
        assert_false(sasl_client_complete(c));
        buf_free(&out);
    }
    sasl_client_free(&c);
}

static void hostile_final(void **state)
{
    static const char *const finals[] = { "v=", "v=AAAA", "", "e=other-error", "-ERR no", "x", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ" };
    struct sasl_client_conf conf = bob();
    struct sasl_client *c = client_of(&conf);

    (void)state;
    for (size_t i = 0; i < COUNT(finals); i++) {
        struct buf out = started(c, "SCRAM-SHA-1");

        assert_true(sasl_client_step(c, span_str("r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=4096"), &out));
        assert_false(sasl_client_step(c, span_str(finals[i]), &out));
        assert_false(sasl_client_complete(c));
        buf_free(&out);
    }
    sasl_client_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scram_example), cmocka_unit_test(small_examples), cmocka_unit_test(hostile_first),
        cmocka_unit_test(hostile_final),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
