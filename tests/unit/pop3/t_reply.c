/* t_reply.c - the encoder of status lines, the texts of all languages, the matching of language
 * ranges.
 *
 * Proves: R1939-GEN-03, R1939-GEN-15, R1939-GEN-16, R1957-01, R2449-LEN-05, R2449-TAG-04,
 * R2449-RC-01, R2449-RC-03, R2449-GRAM-03, R6856-LANG-03, R6856-LANG-04, R6856-LANG-05,
 * R6856-LANG-06
 */
#include "pop3/reply.h"
#include "pop3/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static unsigned count(const char *text, char c)
{
    unsigned n = 0;

    for (; *text; text++)
        n += *text == c;
    return n;
}

/* Well-formed UTF-8 of two and three octets is all that the texts need. */
static bool is_utf8(const char *text)
{
    const uint8_t *p = (const uint8_t *)text;

    while (*p) {
        unsigned more = *p < 0x80               ? 0
                      : *p >= 0xc2 && *p < 0xe0 ? 1
                      : *p >= 0xe0 && *p < 0xf0 ? 2
                                                : 9;

        if (more == 9 || *p < 0x20 || *p == 0x7f)
            return false;
        for (p++; more; more--, p++)
            if ((*p & 0xc0) != 0x80)
                return false;
    }
    return true;
}

static void test_texts(void **state)
{
    (void)state;
    for (unsigned id = 0; id < TEXT_N; id++)
        for (unsigned lang = 0; lang < LANG_N; lang++) {
            const char *text = text_get((enum lang)lang, (enum text_id)id),
                       *en = text_get(LANG_EN, (enum text_id)id);

            assert_non_null(text);
            assert_true(text[0] && text[0] != '[' && text[0] != ' ' && strlen(text) < 200);
            assert_true(is_utf8(text));
            assert_int_equal(count(text, '#'), count(en, '#'));
            assert_int_equal(count(text, '@'), count(en, '@'));
            assert_true(count(text, '#') <= 2 && !count(text, '<') && !count(text, '>'));
        }
}

static void test_english_is_ascii(void **state)
{
    (void)state;
    for (unsigned id = 0; id < TEXT_N; id++)
        for (const char *c = text_get(LANG_EN, (enum text_id)id); *c; c++)
            assert_true(*c >= 0x20 && *c < 0x7f);
}

/* Every text with every code, largest numbers, longest and oddest arguments. */
static void test_every_reply(void **state)
{
    char *arg = malloc(2001);
    uint8_t line[LIMIT_REPLY_LINE];

    (void)state;
    memset(arg, '[', 2000);
    arg[2000] = '\0';
    for (unsigned id = 0; id < TEXT_N; id++)
        for (unsigned lang = 0; lang < LANG_N; lang++)
            for (unsigned code = 0; code < RC_N; code++)
                for (unsigned ok = 0; ok < 2; ok++) {
                    struct reply r = { .verdict = ok ? REPLY_OK : REPLY_ERR,
                                       .code = (enum resp_code)code,
                                       .text = (enum text_id)id,
                                       .n = { UINT64_MAX, UINT64_MAX },
                                       .arg = arg };
                    size_t n = reply_encode(&r, (enum lang)lang, line), head = ok ? 4 : 5;

                    assert_true(n > head + 2 && n <= LIMIT_REPLY_LINE);
                    assert_memory_equal(line, ok ? "+OK " : "-ERR ", head);
                    assert_memory_equal(line + n - 2, "\r\n", 2);
                    for (size_t i = 0; i < n - 2; i++)
                        assert_true(line[i] >= 0x20 && line[i] != 0x7f && (lang || line[i] < 0x7f));
                    assert_int_equal(line[head] == '[', code != RC_NONE);
                    assert_true(line[head] != '[' || memchr(line + head, ']', n - head));
                }
    free(arg);
}

static void encode(const struct reply *r, const char *want)
{
    uint8_t line[LIMIT_REPLY_LINE];
    size_t n = reply_encode(r, LANG_EN, line);

    if (!span_is(span_of(line, n), want))
        fail_msg("expected %s, got %.*s", want, (int)n, (const char *)line);
}

static void test_forms(void **state)
{
    struct reply r = reply_err(RC_SYS_TEMP, TEXT_SYS_TEMP);

    (void)state;
    encode(&r, "-ERR [SYS/TEMP] temporary server failure, try again later\r\n");
    r = (struct reply){ .verdict = REPLY_READY };
    encode(&r, "+ \r\n");
    r = reply_ok(TEXT_NUMBERS);
    r.n[0] = 3, r.n[1] = UINT64_MAX;
    encode(&r, "+OK 3 18446744073709551615\r\n");
    r = reply_ok(TEXT_CUSTOM);
    r.arg = "[IN-USE] <x>\x01\xc3\xa9\r\nx[y]";
    encode(&r, "+OK (IN-USE] (x)?????x[y]\r\n");
    r = reply_ok(TEXT_GREETING);
    r.arg = "pop.example.org";
    r.tail = "<1.2@h>";
    encode(&r, "+OK pop.example.org POP3 server ready <1.2@h>\r\n");
    r = reply_err(RC_IN_USE, TEXT_IN_USE);
    encode(&r, "-ERR [IN-USE] maildrop is in use by another session\r\n");
    r = reply_bad(RC_NONE, TEXT_UNKNOWN);
    assert_true(r.bad);
    encode(&r, "-ERR unknown command\r\n");
}

static void range(const char *text, const char *preferred, const char *tag)
{
    const struct text_lang *found = text_lang_find(span_str(text), preferred);

    if (!tag)
        assert_null(found);
    else
        assert_true(found && strcmp(found->tag, tag) == 0);
}

static void test_ranges(void **state)
{
    (void)state;
    range("en", NULL, "en");
    range("DE", NULL, "de");
    range("fR", NULL, "fr");
    range("i", NULL, "i-default");
    range("I-Default", NULL, "i-default");
    range("e", NULL, NULL);
    range("en-US", NULL, NULL);
    range("de-", NULL, NULL);
    range("", NULL, NULL);
    range("zz", "de", NULL);
    range("*", NULL, "en");
    range("*", "de", "de");
    range("*", "FR", "fr");
    range("*", "zz", "en");
    range("*", "*", "en");
    range("**", "de", NULL);
}

static void test_languages(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TEXT_LANGS_N; i++) {
        assert_true(text_langs[i].lang < LANG_N && text_langs[i].tag[0] &&
                    is_utf8(text_langs[i].name));
        assert_ptr_equal(text_lang_find(span_str(text_langs[i].tag), NULL), &text_langs[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),       cmocka_unit_test(test_english_is_ascii),
        cmocka_unit_test(test_every_reply), cmocka_unit_test(test_forms),
        cmocka_unit_test(test_ranges),      cmocka_unit_test(test_languages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
