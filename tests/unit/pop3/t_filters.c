/* t_filters.c - stuff, topcut, wiresize, line: every split of the input in three pieces gives the
 * same, and random messages agree with an independent model (invariant I1: LIST == octets after
 * un-stuffing).
 *
 * Proves: R1939-SIZE-01, R1939-SIZE-02, R1939-SIZE-03, R1939-SIZE-04, R1939-SIZE-05,
 * R1939-SIZE-06, R1939-GEN-11, R1939-RETR-05, R1939-TOP-08, R1939-TOP-09, R5322-01, R5322-03,
 * R5322-04, R2449-LEN-03
 */
#include "base/buf.h"
#include "model.h"
#include "pop3/engine.h"
#include "pop3/line.h"
#include "pop3/stuff.h"
#include "pop3/topcut.h"
#include "pop3/wiresize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { CAP = 1 << 20, RANDOM_MESSAGES = 100000, RANDOM_OCTETS = 48, LONG_OCTETS = 600 };

static const struct span nasty[] = {
#define TEXT(s)                             \
    {                                       \
        (const uint8_t *)(s), sizeof(s) - 1 \
    }
    TEXT(""),
    TEXT("."),
    TEXT("\n"),
    TEXT("\r"),
    TEXT("\r\n"),
    TEXT("..\n"),
    TEXT(".\r\n.\r\n"),
    TEXT("\r\r\n"),
    TEXT("a\n.b\r\n..c\rd\r\r\n.\r"),
    TEXT("A: b\n\n.\n..\nx"),
    TEXT("A\r\n\r\nb\r\n.\r\n"),
    TEXT("\n\n\n.\n"),
    TEXT(".\n.\n\n.\n.\nx\n"),
    TEXT("h\r\r\n\r\n\nb"),
    TEXT("a\0b\n\n\0.\n"),
    TEXT(" \n\t\n\nz"),
#undef TEXT
};
enum { NASTY_N = sizeof nasty / sizeof *nasty };

static void put(struct buf *b, struct span s)
{
    assert_true(buf_put_span(b, s));
}

static void stuff_piece(struct stuff *f, struct span in, struct buf *out)
{
    struct span run;

    while (in.n) {
        stuff_next(f, &in, &run);
        put(out, run);
    }
}

/* As output.c does it: TOP's part, stuffed; lines = MODEL_ALL sends all. */
static void send_pieces(const struct span pieces[3], uint64_t lines, struct buf *out)
{
    struct stuff f = STUFF_START;
    struct topcut cut = TOPCUT_START(lines);

    for (int i = 0; i < 3; i++) {
        struct span in = pieces[i];

        if (lines != MODEL_ALL)
            in = topcut_take(&cut, &in);
        stuff_piece(&f, in, out);
        if (lines != MODEL_ALL && cut.done)
            break;
    }
    if (!f.at_bol)
        put(out, span_str("\r\n"));
}

static void measure_pieces(const struct span pieces[3], struct wiresize *w)
{
    wiresize_init(w);
    for (int i = 0; i < 3; i++)
        wiresize_feed(w, pieces[i]);
    wiresize_end(w);
}

static void cut(struct span whole, size_t i, size_t j, struct span pieces[3])
{
    pieces[0] = span_take(&whole, i);
    pieces[1] = span_take(&whole, j - i);
    pieces[2] = whole;
}

static void same(struct buf *got, const struct buf *want)
{
    assert_int_equal(got->n, want->n);
    assert_true(span_eq(buf_span(got), buf_span(want)));
    got->n = 0;
}

static bool starts_dotted(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '.' && (i == 0 || s.p[i - 1] == '\n'))
            return true;
    return false;
}

static void check_split(struct span s, size_t i, size_t j)
{
    struct buf want = BUF(CAP), got = BUF(CAP);
    struct span pieces[3];
    struct wiresize w;
    uint64_t octets;

    cut(s, i, j, pieces);
    for (uint64_t lines = 0; lines < 4; lines++) {
        want.n = 0;
        model_wire(&want, s, lines);
        send_pieces(pieces, lines, &got);
        if (s.n) /* an empty message has no line to repair: the engine never begins it */
            same(&got, &want);
        got.n = 0;
    }
    want.n = 0;
    octets = model_wire(&want, s, MODEL_ALL);
    measure_pieces(pieces, &w);
    assert_int_equal(w.octets, octets);
    assert_int_equal(w.dotted, starts_dotted(s));
    assert_int_equal(!w.repaired && !w.dotted, span_eq(buf_span(&want), s));
    send_pieces(pieces, MODEL_ALL, &got);
    same(&got, &want);
    buf_free(&got);
    buf_free(&want);
}

static void test_splits(void **state)
{
    (void)state;
    for (int m = 0; m < NASTY_N; m++)
        for (size_t i = 0; i <= nasty[m].n; i++)
            for (size_t j = i; j <= nasty[m].n; j++)
                check_split(nasty[m], i, j);
}

static uint64_t seed = 1;

static size_t dice(size_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(seed >> 33) % n;
}

static size_t random_message(uint8_t *dst)
{
    static const uint8_t likely[] = "\n\r..\n\rax \0\xff";
    size_t n = dice(RANDOM_OCTETS + 1);

    for (size_t i = 0; i < n; i++)
        dst[i] = dice(8) ? likely[dice(sizeof likely)] : (uint8_t)dice(256);
    return n;
}

static void test_random_messages(void **state)
{
    uint8_t *message = mem_new(RANDOM_OCTETS);

    (void)state;
    for (int k = 0; k < RANDOM_MESSAGES; k++) {
        size_t n = random_message(message), i = dice(n + 1), j = i + dice(n - i + 1);

        check_split(span_of(message, n), i, j);
    }
    free(message);
}

/* Lines long and short, line ends of every kind, dots: what the fast way of the filter meets. */
static size_t long_message(uint8_t *dst)
{
    static const uint8_t often[] = "\n\n\r\r.";
    size_t n = dice(LONG_OCTETS + 1), rare = 1 + dice(40);

    for (size_t i = 0; i < n; i++)
        dst[i] = dice(rare) ? (uint8_t)('a' + dice(26)) : often[dice(sizeof often)];
    return n;
}

/* All of a piece, by both ways in turn, in rooms that are exactly allocated. */
static size_t copy_piece(struct stuff *f, struct span in, struct buf *out)
{
    size_t fast = 0;

    while (in.n) {
        size_t room = dice(4 * in.n + 40), before = in.n, dots, n;
        uint8_t *dst = malloc(room ? room : 1);
        struct stuff g = *f;
        struct span run, taken = in;

        n = stuff_copy(f, &in, dst, room, &dots);
        assert_true(n <= room);
        put(out, span_of(dst, n));
        free(dst);
        taken.n = before - in.n;
        fast += taken.n;
        while (taken.n) /* dots are those of the slow way */
            dots -= stuff_next(&g, &taken, &run) == STUFF_DOT;
        assert_int_equal(dots, 0);
        if (!in.n)
            break;
        stuff_next(f, &in, &run);
        put(out, run);
    }
    return fast;
}

static void test_copy(void **state)
{
    uint8_t *message = mem_new(LONG_OCTETS);
    struct buf want = BUF(CAP), got = BUF(CAP);
    size_t fast = 0, all = 0;

    (void)state;
    for (int k = 0; k < RANDOM_MESSAGES / 4; k++) {
        size_t n = long_message(message), i = dice(n + 1), j = i + dice(n - i + 1);
        struct stuff f = STUFF_START;
        struct span pieces[3];

        if (n == 0)
            continue;
        want.n = 0;
        model_wire(&want, span_of(message, n), MODEL_ALL);
        cut(span_of(message, n), i, j, pieces);
        for (int part = 0; part < 3; part++)
            fast += copy_piece(&f, pieces[part], &got);
        all += n;
        if (!f.at_bol)
            put(&got, span_str("\r\n"));
        same(&got, &want);
    }
#ifdef __SSE2__
    assert_true(fast > all / 2); /* it does take most of what comes */
#endif
    buf_free(&want);
    buf_free(&got);
    free(message);
}

/* An un-stuffer of its own: the size is what comes out of it. */
static void test_unstuffed_size(void **state)
{
    uint8_t *message = mem_new(RANDOM_OCTETS);
    struct buf wire = BUF(CAP);

    (void)state;
    for (int k = 0; k < RANDOM_MESSAGES / 4; k++) {
        struct span s = span_of(message, random_message(message)), rest, pieces[3] = { s };
        struct wiresize w;
        size_t octets = 0;

        wire.n = 0;
        measure_pieces(pieces, &w);
        send_pieces(pieces, MODEL_ALL, &wire);
        for (rest = buf_span(&wire); rest.n;) {
            struct span line = span_until(&rest, '\n');

            assert_true(line.n && line.p[line.n - 1] == '\r' && !span_is(line, ".\r"));
            octets += line.n + 1 - (line.p[0] == '.');
        }
        assert_int_equal(octets, w.octets);
    }
    buf_free(&wire);
    free(message);
}

static void test_header_8bit(void **state)
{
    static const struct row {
        const char *text;
        bool found;
    } rows[] = {
        { "A: b\n\n\xff\n", false },
        { "A: \xff\n\nb\n", true },
        { "\n\xff", false },
        { "\xff", true },
        { "A: b\r\n\r\n\xc3\xa9", false },
        { "A: b\n \xc3\xa9\n\n", true },
        { "A: b\n \n\xc3\xa9: c\n\n", true },
    };

    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct span s = span_str(rows[r].text), pieces[3];
        struct wiresize w;

        for (size_t i = 0; i <= s.n; i++)
            for (size_t j = i; j <= s.n; j++) {
                cut(s, i, j, pieces);
                measure_pieces(pieces, &w);
                assert_int_equal(w.header_8bit, rows[r].found);
            }
    }
}

/* --- lines ------ */

/* Feeds octets as an embedder does: what was not taken is offered again with more behind it. */
static void lines_of(const struct span pieces[3], size_t limit, struct buf *events)
{
    struct buf in = BUF(CAP);
    struct line l = { 0 };

    for (int i = 0; i < 3; i++) {
        put(&in, pieces[i]);
        for (size_t taken = 1; in.n && taken;) {
            struct span text = { NULL, 0 };

            switch (line_next(&l, buf_span(&in), limit, &text, &taken)) {
            case LINE_MORE: break;
            case LINE_WHOLE:
                put(events, text);
                put(events, span_str("|"));
                break;
            case LINE_LONG: put(events, span_str("L|")); break;
            case LINE_FLOOD: put(events, span_str("F|")); break;
            }
            buf_consume(&in, taken);
        }
    }
    buf_free(&in);
}

static void test_lines(void **state)
{
    static const struct row {
        const char *in, *want;
    } rows[] = {
        { "QUIT\r\nNOOP\n", "QUIT|NOOP|" },
        { "\r\n\n\r\r\n", "||\r|" },
        { "12345678\n", "L|" },
        { "1234567\n", "1234567|" },
        { "123456\r\n", "123456|" },
        { "1234567\r\nQUIT\r\n", "L|QUIT|" },
        { "1234567890\r\nab\n12345678\nc\n", "L|ab|L|c|" },
        { "unfinished", "" },
        { "a\rb\n", "a\rb|" },
    };

    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct span s = span_str(rows[r].in), pieces[3];

        for (size_t i = 0; i <= s.n; i++)
            for (size_t j = i; j <= s.n; j++) {
                struct buf events = BUF(CAP);

                cut(s, i, j, pieces);
                lines_of(pieces, 8, &events);
                assert_true(span_is(buf_span(&events), rows[r].want));
                buf_free(&events);
            }
    }
}

static void long_line(size_t n, size_t i, size_t j, const char *want)
{
    uint8_t *text = mem_new(n);
    struct span pieces[3];
    struct buf events = BUF(CAP);

    memset(text, 'x', n);
    text[n - 1] = '\n';
    cut(span_of(text, n), i, j, pieces);
    lines_of(pieces, LIMIT_CMD_LINE, &events);
    assert_true(span_is(buf_span(&events), want));
    buf_free(&events);
    free(text);
}

static void test_flood(void **state)
{
    static const size_t cuts[] = { 0, 1, 2047, 2048, 2049, 40000, 65535 };

    (void)state;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        for (size_t j = i; j < sizeof cuts / sizeof *cuts; j++) {
            long_line(LIMIT_SWALLOW, cuts[i], cuts[j], "L|");
            long_line(LIMIT_SWALLOW - 1, cuts[i], cuts[j] < LIMIT_SWALLOW ? cuts[j] : 0, "L|");
        }
    long_line(LIMIT_SWALLOW + 1, 0, 0, "F|");
    long_line(LIMIT_CMD_LINE + 1, 1, 2, "L|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits),         cmocka_unit_test(test_random_messages),
        cmocka_unit_test(test_unstuffed_size), cmocka_unit_test(test_header_8bit),
        cmocka_unit_test(test_lines),          cmocka_unit_test(test_flood),
        cmocka_unit_test(test_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
