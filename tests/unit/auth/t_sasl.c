/* t_sasl.c - the steps of PLAIN, LOGIN and EXTERNAL, and of every mechanism when lines come that should not.
 *
 * Proves: R4616-01, R4616-02, R4616-03, R4616-04, XLOGIN-01, R4422-EXT-01, R5034-05, R5034-07, R5034-19
 * Does not know: users, the wire's Base64.
 */
#include "sasl/sasl.h"

#include "auth_help.h"

static const struct scram_link no_tls = {
    false, false, {NULL,  0},
      { NULL, 0}
};

/* One message to a mechanism that is asked at once. */
static enum sasl_next once(enum mech_id mech, struct span message, struct sasl *s)
{
    sasl_init(s, mech, &no_tls);
    return sasl_begin(s, true, message);
}

static void plain_examples(void **state)
{
    static const struct {
        const char *base64, *authzid, *user, *secret;
    } table[] = {
        {"dGVzdAB0ZXN0AHRlc3Q=",          "test",  "test", "test"     },
        { "dGVzdAB0ZXN0AHRlc3R=",         "test",  "test", "test"     }, /* unused bits set */
        { "AHRpbQB0YW5zdGFhZg==",         "",      "tim",  "tanstaaf" },
        { "VXJzZWwAS3VydAB4aXBqM3BsbXE=", "Ursel", "Kurt", "xipj3plmq"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct buf message = BUF(200);
        struct sasl s;

        put_base64(&message, table[i].base64);
        assert_int_equal(once(MECH_PLAIN, buf_span(&message), &s), SASL_CHECK);
        expect_span(buf_span(&s.authzid), table[i].authzid);
        expect_span(buf_span(&s.user), table[i].user);
        expect_span(buf_span(&s.secret), table[i].secret);
        sasl_wipe(&s);
        buf_free(&message);
    }
}

static void plain_malformed(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        enum sasl_next next;
    } table[] = {
#define ROW(text, next) { (text), sizeof(text) - 1, (next) }
        ROW("", SASL_MALFORMED),
        ROW("bob", SASL_MALFORMED),
        ROW("bob\0pw", SASL_MALFORMED),
        ROW("\0bob\0pw\0", SASL_MALFORMED),
        ROW("\0\0\0", SASL_MALFORMED),
        ROW("\0\0pw", SASL_REFUSED),
        ROW("\0bob\0", SASL_REFUSED),
        ROW("\0\0", SASL_REFUSED),
        ROW("\0\xc0\xaf\0pw", SASL_MALFORMED),
        ROW("\xff\0bob\0pw", SASL_MALFORMED),
        ROW("\0bob\0\xe9", SASL_CHECK), /* the password: its account decides (R4616-06) */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct sasl s;
        enum sasl_next next = once(MECH_PLAIN, span_of(table[i].text, table[i].n), &s);

        if (next != table[i].next)
            fail_msg("row %zu: %d", i, (int)next);
        sasl_wipe(&s);
    }
}

static void plain_lengths(void **state)
{
    struct buf message = BUF(100000);
    char part[255];
    struct sasl s;

    (void)state;
    memset(part, 'x', sizeof part);
    for (int i = 0; i < 3; i++)
        assert_true((i == 0 || buf_put(&message, "", 1)) && buf_put(&message, part, sizeof part));
    assert_int_equal(once(MECH_PLAIN, buf_span(&message), &s), SASL_CHECK);
    assert_int_equal(s.authzid.n, 255);
    assert_int_equal(s.user.n, 255);
    assert_int_equal(s.secret.n, 255);
    sasl_wipe(&s);
    for (int i = 0; i < 250; i++)
        assert_true(buf_put(&message, part, sizeof part));
    assert_int_equal(once(MECH_PLAIN, buf_span(&message), &s), SASL_MALFORMED); /* 64 KiB of password */
    sasl_wipe(&s);
    buf_free(&message);
}

static void client_first_without_response(void **state)
{
    static const enum mech_id mechs_of[] = { MECH_PLAIN, MECH_EXTERNAL, MECH_SCRAM_SHA_256, MECH_SCRAM_SHA_1 };
    struct sasl s;

    (void)state;
    for (size_t i = 0; i < COUNT(mechs_of); i++) {
        sasl_init(&s, mechs_of[i], &no_tls);
        assert_int_equal(sasl_begin(&s, false, span_str("")), SASL_SEND);
        assert_int_equal(s.challenge.n, 0);
        sasl_wipe(&s);
    }
    sasl_init(&s, MECH_PLAIN, &no_tls);
    assert_int_equal(sasl_begin(&s, false, span_str("")), SASL_SEND);
    assert_int_equal(sasl_more(&s, LIT("\0bob\0pw")), SASL_CHECK);
    assert_int_equal(sasl_more(&s, LIT("\0bob\0pw")), SASL_MALFORMED); /* a line too many */
    sasl_wipe(&s);
}

static void login_dialogue(void **state)
{
    struct sasl s;

    (void)state;
    sasl_init(&s, MECH_LOGIN, &no_tls);
    assert_int_equal(sasl_begin(&s, false, span_str("")), SASL_SEND);
    expect_span(buf_span(&s.challenge), "Username:");
    assert_int_equal(sasl_more(&s, span_str("bob")), SASL_SEND);
    expect_span(buf_span(&s.challenge), "Password:");
    assert_int_equal(sasl_more(&s, span_str("p w")), SASL_CHECK);
    expect_span(buf_span(&s.user), "bob");
    expect_span(buf_span(&s.secret), "p w");
    assert_int_equal(sasl_more(&s, span_str("x")), SASL_MALFORMED);
    sasl_wipe(&s);

    assert_int_equal(once(MECH_LOGIN, span_str("bob"), &s), SASL_SEND); /* the name as initial response */
    expect_span(buf_span(&s.challenge), "Password:");
    assert_int_equal(sasl_more(&s, span_str("")), SASL_REFUSED);
    sasl_wipe(&s);

    assert_int_equal(once(MECH_LOGIN, span_str(""), &s), SASL_SEND); /* asked all the same, then refused */
    assert_int_equal(sasl_more(&s, span_str("pw")), SASL_REFUSED);
    sasl_wipe(&s);
    assert_int_equal(once(MECH_LOGIN, LIT("b\0b"), &s), SASL_MALFORMED);
    sasl_wipe(&s);
    assert_int_equal(once(MECH_LOGIN, span_str("bob"), &s), SASL_SEND);
    assert_int_equal(sasl_more(&s, LIT("p\0w")), SASL_MALFORMED);
    sasl_wipe(&s);
}

static void external(void **state)
{
    struct sasl s;

    (void)state;
    assert_int_equal(once(MECH_EXTERNAL, span_str(""), &s), SASL_IDENTITY);
    assert_int_equal(s.authzid.n, 0);
    assert_int_equal(sasl_more(&s, span_str("")), SASL_MALFORMED); /* no further steps */
    sasl_wipe(&s);
    assert_int_equal(once(MECH_EXTERNAL, span_str("fred@example.com"), &s), SASL_IDENTITY);
    expect_span(buf_span(&s.authzid), "fred@example.com");
    sasl_wipe(&s);
    assert_int_equal(once(MECH_EXTERNAL, LIT("fred\0bob"), &s), SASL_MALFORMED);
    sasl_wipe(&s);
    assert_int_equal(once(MECH_EXTERNAL, span_str("\xc3"), &s), SASL_MALFORMED);
    sasl_wipe(&s);
}

static const char final_256[] = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

/* The example of RFC 7677 up to the last challenge. */
static void run_scram(struct sasl *s)
{
    struct scram_keys keys;

    assert_int_equal(once(MECH_SCRAM_SHA_256, span_str("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), s), SASL_KEYS);
    assert_true(
        scram_keys_parse(span_str("4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
                                  "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
                         SCRAM_SHA_256, &keys));
    assert_int_equal(sasl_keys(s, &keys, span_str("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")), SASL_SEND);
}

static void scram_ends_with_an_empty_line(void **state)
{
    struct sasl s;

    (void)state;
    run_scram(&s);
    assert_int_equal(sasl_more(&s, span_str(final_256)), SASL_SEND_LAST);
    expect_span(buf_span(&s.challenge), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_int_equal(sasl_more(&s, span_str("")), SASL_VERIFIED);
    assert_int_equal(sasl_more(&s, span_str("")), SASL_MALFORMED);
    sasl_wipe(&s);

    run_scram(&s);
    assert_int_equal(sasl_more(&s, span_str(final_256)), SASL_SEND_LAST);
    assert_int_equal(sasl_more(&s, span_str("x")), SASL_MALFORMED);
    sasl_wipe(&s);

    run_scram(&s);
    assert_int_equal(sasl_more(&s, span_str("")), SASL_MALFORMED); /* the empty line before its time */
    assert_int_equal(sasl_more(&s, span_str("")), SASL_MALFORMED);
    sasl_wipe(&s);
}

static void scram_out_of_step(void **state)
{
    struct sasl s;

    (void)state;
    assert_int_equal(once(MECH_SCRAM_SHA_256, span_str("n,,n=user,r=abc"), &s), SASL_KEYS);
    assert_int_equal(sasl_more(&s, span_str(final_256)), SASL_MALFORMED); /* an answer before the challenge */
    sasl_wipe(&s);
    sasl_init(&s, MECH_NONE, &no_tls);
    assert_int_equal(sasl_begin(&s, true, span_str("")), SASL_MALFORMED);
    sasl_wipe(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_examples),
        cmocka_unit_test(plain_malformed),
        cmocka_unit_test(plain_lengths),
        cmocka_unit_test(client_first_without_response),
        cmocka_unit_test(login_dialogue),
        cmocka_unit_test(external),
        cmocka_unit_test(scram_ends_with_an_empty_line),
        cmocka_unit_test(scram_out_of_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
