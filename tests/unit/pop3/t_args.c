/* t_args.c - arguments of commands, numbers, Base64, unique ids, names of mechanisms and commands.
 *
 * Proves: R1939-GEN-02, R1939-GEN-05, R1939-GEN-08, R1939-GEN-27, R1939-USER-01, R1939-USER-04,
 * R1939-TOP-04, R1939-TOP-05, R1939-UIDL-03, R5034-02, R5034-12, R5034-13, R1939-APOP-04,
 * R2449-GRAM-01
 */
#include "base/base64.h"
#include "base/num.h"
#include "pop3/args.h"
#include "pop3/command.h"
#include "pop3/engine.h"
#include "pop3/mech.h"
#include "pop3/uid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static bool parse(enum args_shape shape, const char *rest, struct call *c)
{
    return call_parse(shape, span_str(rest), c);
}

static void test_none(void **state)
{
    struct call c;

    (void)state;
    assert_true(parse(ARGS_NONE, "", &c));
    assert_true(parse(ARGS_NONE, "   ", &c));
    assert_false(parse(ARGS_NONE, " x", &c));
}

static void test_msg(void **state)
{
    static const struct row {
        const char *rest;
        bool good;
        uint32_t msg;
    } rows[] = {
        { " 1", true, 1 },
        { "   1  ", true, 1 },
        { " 0001", true, 1 },
        { " 4294967295", true, UINT32_MAX },
        { " 4294967296", true, 0 },
        { " 4294967297", true, 0 },
        { " 18446744073709551617", true, 0 },
        { " 99999999999999999999999", true, 0 },
        { " 0", true, 0 },
        { "", false, 0 },
        { " ", false, 0 },
        { " -1", false, 0 },
        { " +1", false, 0 },
        { " 1x", false, 0 },
        { " 0x1", false, 0 },
        { " 1 2", false, 0 },
        { " one", false, 0 },
        { " 1.0", false, 0 },
        { " 1\t", false, 0 },
    };
    struct call c;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(parse(ARGS_MSG, rows[i].rest, &c), rows[i].good);
        if (rows[i].good)
            assert_int_equal(c.msg, rows[i].msg);
        if (rows[i].rest[0] && rows[i].rest[1])
            assert_int_equal(parse(ARGS_MSG_OPT, rows[i].rest, &c), rows[i].good);
    }
    assert_true(parse(ARGS_MSG_OPT, "  ", &c) && !c.has_msg);
    assert_true(parse(ARGS_MSG_OPT, " 3", &c) && c.has_msg && c.msg == 3);
}

static void test_top(void **state)
{
    struct call c;

    (void)state;
    assert_true(parse(ARGS_TOP, " 2  10 ", &c) && c.msg == 2 && c.lines == 10);
    assert_true(parse(ARGS_TOP, " 2 0", &c) && c.lines == 0);
    assert_true(parse(ARGS_TOP, " 2 18446744073709551616", &c) && c.lines == UINT64_MAX);
    assert_true(parse(ARGS_TOP, " 2 99999999999999999999999999", &c) && c.lines == UINT64_MAX);
    assert_false(parse(ARGS_TOP, " 2", &c));
    assert_false(parse(ARGS_TOP, "", &c));
    assert_false(parse(ARGS_TOP, " 2 -1", &c));
    assert_false(parse(ARGS_TOP, " 2 1 1", &c));
    assert_false(parse(ARGS_TOP, " x 1", &c));
}

static void test_raw(void **state)
{
    struct call c;

    (void)state;
    assert_true(parse(ARGS_RAW, "  wonder  land ", &c) && span_is(c.a, " wonder  land "));
    assert_true(parse(ARGS_RAW, "  ", &c) && span_is(c.a, " "));
    assert_false(parse(ARGS_RAW, "", &c));
    assert_false(parse(ARGS_RAW, " ", &c));
    assert_true(args_are_secret(ARGS_RAW) && args_are_secret(ARGS_APOP));
    assert_false(args_are_secret(ARGS_MSG) || args_are_secret(ARGS_AUTH) ||
                 args_are_secret(ARGS_NONE));
}

static void test_apop(void **state)
{
    struct call c;

    (void)state;
    assert_true(parse(ARGS_APOP, " bob abc", &c) && span_is(c.a, "bob") && span_is(c.b, "abc"));
    assert_true(parse(ARGS_APOP, "  a b  abc  ", &c) && span_is(c.a, "a b") && span_is(c.b, "abc"));
    assert_false(parse(ARGS_APOP, " bob", &c));
    assert_false(parse(ARGS_APOP, "", &c));
}

static void test_auth_lang(void **state)
{
    struct call c;

    (void)state;
    assert_true(parse(ARGS_AUTH, "", &c) && !c.has_a && !c.has_b);
    assert_true(parse(ARGS_AUTH, " plain", &c) && span_is(c.a, "plain") && !c.has_b);
    assert_true(parse(ARGS_AUTH, "  plain  = ", &c) && span_is(c.b, "="));
    assert_false(parse(ARGS_AUTH, " plain = =", &c));
    assert_true(parse(ARGS_LANG, "", &c) && !c.has_a);
    assert_true(parse(ARGS_LANG, " de-CH", &c) && span_is(c.a, "de-CH"));
    assert_false(parse(ARGS_LANG, " de fr", &c));
}

static void test_numbers(void **state)
{
    uint8_t digits[20];
    struct span s = span_str("12ab");
    uint64_t v;
    uint32_t w;

    (void)state;
    assert_true(num_take_u64(&s, &v) && v == 12 && span_is(s, "ab"));
    assert_false(num_take_u64(&s, &v) || !span_is(s, "ab"));
    assert_true(num_all_u64(span_str("18446744073709551615"), &v) && v == UINT64_MAX);
    assert_false(num_all_u64(span_str("18446744073709551616"), &v));
    assert_false(num_all_u64(span_str(""), &v) || num_all_u64(span_str("1 "), &v));
    assert_true(num_all_saturating(span_str("18446744073709551616"), &v) && v == UINT64_MAX);
    assert_false(num_all_saturating(span_str(""), &v) || num_all_saturating(span_str("1a"), &v));
    s = span_str("4294967296");
    assert_false(num_take_u32(&s, &w) || s.n != 10);
    assert_int_equal(num_put_u64(digits, UINT64_MAX), 20);
    assert_memory_equal(digits, "18446744073709551615", 20);
    assert_int_equal(num_put_u64(digits, 0), 1);
}

static void test_base64(void **state)
{
    static const char *const good[][2] = {
        { "", "" },
        { "Zg==", "f" },
        { "Zm8=", "fo" },
        { "Zm9v", "foo" },
        { "Zm9vYg==", "foob" },
        { "Zm9vYmE=", "fooba" },
        { "Zm9vYmFy", "foobar" },
        { "+/+/", "\xfb\xff\xbf" },
    };
    static const char *const bad[] = {
        "=",        "Z",    "Zg",   "Zg=",    "Zg===", "====", "Z===",  "=Zg=",
        "Zg==Zg==", "Zm 9", "Zm-_", "Zm9v\r", "Zm9*",  "Z=m9", "Zm9v=",
    };
    uint8_t out[64];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(base64_get(span_str(good[i][0]), out, &n));
        assert_true(span_is(span_of(out, n), good[i][1]));
        assert_int_equal(base64_put(out, span_str(good[i][1])), BASE64_ENCODED(strlen(good[i][1])));
        assert_true(span_is(span_of(out, strlen(good[i][0])), good[i][0]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(base64_get(span_str(bad[i]), out, &n));
    assert_true(base64_get(span_str("Zh=="), out, &n) && n == 1 &&
                out[0] == 'f'); /* unused bits set */
    for (unsigned c = 0; c < 256; c++) {
        uint8_t text[4] = { 'Z', 'm', (uint8_t)c, 'v' };
        bool legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '+' || c == '/';

        assert_int_equal(base64_get(span_of(text, 4), out, &n), legal);
    }
}

/* Random octets there and back, decoded in place. */
static void test_base64_round(void **state)
{
    uint8_t raw[97], text[BASE64_ENCODED(97)];
    uint32_t random = 7;
    size_t n;

    (void)state;
    for (size_t length = 0; length <= sizeof raw; length++) {
        for (size_t i = 0; i < length; i++)
            raw[i] = (uint8_t)((random = random * 1103515245u + 12345u) >> 16);
        n = base64_put(text, span_of(raw, length));
        assert_true(base64_get(span_of(text, n), text, &n));
        assert_true(span_eq(span_of(text, n), span_of(raw, length)));
    }
}

static void test_uid(void **state)
{
    uint8_t text[LIMIT_UID + 1];

    (void)state;
    memset(text, 'x', sizeof text);
    assert_false(uid_legal(span_of(text, 0)));
    assert_true(uid_legal(span_of(text, 1)) && uid_legal(span_of(text, LIMIT_UID)));
    assert_false(uid_legal(span_of(text, LIMIT_UID + 1)));
    for (unsigned c = 0; c < 256; c++) {
        text[5] = (uint8_t)c;
        assert_int_equal(uid_legal(span_of(text, 10)), c >= 0x21 && c <= 0x7e);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(mech_find(span_str("scram-Sha-256")), MECH_SCRAM_SHA_256);
    assert_int_equal(mech_find(span_str("PLAIN")), MECH_PLAIN);
    assert_int_equal(mech_find(span_str("PLAINS")), MECH_NONE);
    assert_int_equal(mech_find(span_str("")), MECH_NONE);
    for (size_t i = 0; i < commands_n; i++) {
        size_t n = strlen(commands[i].word);

        assert_true(n >= 3 && n <= 4);
        assert_ptr_equal(command_find(span_str(commands[i].word)), &commands[i]);
    }
    assert_ptr_equal(command_find(span_str("rEtR")), command_find(span_str("RETR")));
    assert_null(command_find(span_str("RETRX")));
    assert_null(command_find(span_str("")));
    assert_true(command_is_foreign(span_str("get")) && command_is_foreign(span_str("SSH-2.0-x")));
    assert_false(command_is_foreign(span_str("STAT")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),         cmocka_unit_test(test_msg),
        cmocka_unit_test(test_top),          cmocka_unit_test(test_raw),
        cmocka_unit_test(test_apop),         cmocka_unit_test(test_auth_lang),
        cmocka_unit_test(test_numbers),      cmocka_unit_test(test_base64),
        cmocka_unit_test(test_base64_round), cmocka_unit_test(test_uid),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
