/* t_prep.c - SASLprep and UTF-8, by the table of RFC 4013 §3 and hostile octets.
 *
 * Proves: R4013-01, R4616-04
 * Does not know: who uses the result.
 */
#include "sasl/prep.h"

#include "auth_help.h"

static const struct {
    const char *in;
    size_t n;
    const char *query, *stored; /* NULL = refused */
} table[] = {
#define ROW(in, query, stored) { (in), sizeof(in) - 1, (query), (stored) }
    ROW("I\xc2\xadX", "IX", "IX"),           /* SOFT HYPHEN is mapped to nothing */
    ROW("user", "user", "user"),
    ROW("USER", "USER", "USER"),             /* no case folding */
    ROW("\xc2\xaa", "a", "a"),               /* NFKC */
    ROW("\xe2\x85\xa8", "IX", "IX"),         /* ROMAN NUMERAL NINE */
    ROW("\x07", NULL, NULL),                 /* a control */
    ROW("\xd8\xa7\x31", NULL, NULL),         /* bidirectional mixture */
    ROW("a\xc2\xa0" "b", "a b", "a b"),      /* NO-BREAK SPACE becomes a space */
    ROW(" a  b ", " a  b ", " a  b "),       /* spaces stay */
    ROW("\xc2\xbd", "1\xe2\x81\x84" "2", "1\xe2\x81\x84" "2"),
    ROW("\xc8\xa1", "\xc8\xa1", NULL),       /* U+0221 is unassigned in Unicode 3.2 */
    ROW("\xee\x80\x80", NULL, NULL),         /* private use */
    ROW("\xef\xbf\xbe", NULL, NULL),         /* a non-character */
    ROW("\xf3\xa0\x80\x81", NULL, NULL),     /* a tag */
    ROW("a\nb", NULL, NULL),
    ROW("a\rb", NULL, NULL),
    ROW("a\tb", NULL, NULL),
    ROW("a\0b", NULL, NULL),
    ROW("\x7f", NULL, NULL),
    ROW("\xc2\xad", NULL, NULL),             /* nothing is left */
    ROW("", NULL, NULL),
    ROW("\xc0\xaf", NULL, NULL),             /* overlong */
    ROW("\xc3", NULL, NULL),
    ROW("\xff", NULL, NULL),
    ROW("\xed\xa0\x80", NULL, NULL),         /* a surrogate */
};

static void prep_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(table); i++)
        for (enum prep kind = PREP_QUERY; kind <= PREP_STORED; kind++) {
            const char *want = kind == PREP_QUERY ? table[i].query : table[i].stored;
            struct buf out = BUF(4096);
            bool ok = sasl_prep(span_of(table[i].in, table[i].n), kind, &out);

            if (ok != (want != NULL))
                fail_msg("row %zu, kind %d: %s", i, (int)kind, ok ? "taken" : "refused");
            if (want)
                expect_span(buf_span(&out), want);
            else
                assert_int_equal(out.n, 0);
            buf_free(&out);
        }
}

static void prep_is_bounded(void **state)
{
    struct buf out = BUF(8192);
    char text[4097];

    (void)state;
    memset(text, 'a', sizeof text);
    assert_true(sasl_prep(span_of(text, 4096), PREP_QUERY, &out));
    assert_false(sasl_prep(span_of(text, 4097), PREP_QUERY, &out));
    assert_int_equal(out.n, 4096);
    buf_free(&out);
    out = BUF(3);
    assert_false(sasl_prep(span_str("abcd"), PREP_QUERY, &out));
    buf_free(&out);
}

static void utf8_bounds(void **state)
{
    static const char *const good[] = { "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "" };
    static const char *const bad[] = { "\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xe2\x82",
                                       "\xe2\x28\xa1", "a\xbf" };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(utf8_valid(span_str(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(utf8_valid(span_str(bad[i])));
    assert_true(utf8_valid(LIT("a\0b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prep_follows_the_table),
        cmocka_unit_test(prep_is_bounded),
        cmocka_unit_test(utf8_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
