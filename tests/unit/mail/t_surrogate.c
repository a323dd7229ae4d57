/* t_surrogate.c - RFC 6858 surrogates: what becomes of each kind of field, at every split of the input.
 *
 * Proves: R6858-01, R6858-02, R6858-03, R6858-05, R6858-06, R6857-01
 */
#include "mail/surrogate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct row {
    const char *in, *out;
};

static const struct row rows[] = {
    { "Subject: plain\nFrom: a@b\n\nbody \xc3\xa9\n", "Subject: plain\nFrom: a@b\n\nbody \xc3\xa9\n" },
    { "Subject: caf\xc3\xa9\n\nx\n", "Subject: =?utf-8?B?Y2Fmw6k=?=\n\nx\n" },
    { "Subject: caf\xc3\xa9\r\n\r\nx\r\n", "Subject: =?utf-8?B?Y2Fmw6k=?=\r\n\r\nx\r\n" },
    { "Subject: a\n caf\xc3\xa9\n\n", "Subject: =?utf-8?B?YSAgY2Fmw6k=?=\n\n" },
    { "From: J\xc3\xb6rg <j\xc3\xb6rg@ex\xc3\xa4mple.org>\n\nhi\n",
      "From: =?utf-8?B?SsO2cmcgPGrDtnJnQGV4w6RtcGxlLm9yZz4=?=\n "
      "<invalid@internationalized-address.invalid>\n\nhi\n" },
    { "To: J\xc3\xb6rg <jorg@example.org>, Ann <ann@example.org>\n\n",
      "To: =?utf-8?B?SsO2cmc=?=\n <jorg@example.org>,\n Ann <ann@example.org>\n\n" },
    { "Cc: fr\xc3\xa9res: a@b, c@d;\n\n", "Cc: =?utf-8?B?ZnLDqXJlczogYUBiLCBjQGQ7?=:;\n\n" },
    { "Bcc: \"x, y\" <a@b>, \xc3\xa9@b\n\n",
      "Bcc: \"x, y\" <a@b>,\n =?utf-8?B?w6lAYg==?=\n <invalid@internationalized-address.invalid>\n\n" },
    { "Content-Disposition: attachment; filename=\"caf\xc3\xa9;.txt\"; size=5\n\n",
      "Content-Disposition: attachment;\n size=5\n\n" },
    { "Content-Type: text/pl\xc3\xa4in\nX: y\n\n", "X: y\n\n" },
    { "X-Foo: \xc3\xa9\nDKIM-Signature: v=1; h=subject; b=abc\nX-Bar: ok\n\n.\n",
      "DKIM-Signature: v=1; h=subject; b=abc\nX-Bar: ok\n\n.\n" },
    { "X-Foo: a\n\tcont \xc3\xa9\nTo: a@b\n", "To: a@b\n" },
    { "Subject: \xc3\xa9", "Subject: =?utf-8?B?w6k=?=\n" },
    { "no colon \xff\nTo: a@b\n\n\xff", "To: a@b\n\n\xff" },
    { "\nbody only \xc3\xa9\n", "\nbody only \xc3\xa9\n" },
    { "", "" },
    { "Subject: x\n \n \xc3\xa9\n\nb", "Subject: =?utf-8?B?eCAgICDDqQ==?=\n\nb" },
};

static void convert(struct span *parts, size_t n, struct buf *out)
{
    struct surrogate s;

    surrogate_init(&s);
    for (size_t i = 0; i < n; i++) {
        uint8_t *copy = malloc(parts[i].n ? parts[i].n : 1);

        if (parts[i].n)
            memcpy(copy, parts[i].p, parts[i].n);
        assert_true(surrogate_feed(&s, span_of(copy, parts[i].n), out));
        free(copy);
    }
    assert_true(surrogate_end(&s, out));
    surrogate_free(&s);
}

static void every_two_cuts(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct span in = span_str(rows[r].in);

        for (size_t i = 0; i <= in.n; i++)
            for (size_t j = i; j <= in.n; j++) {
                struct span parts[3] = { { in.p, i }, { in.p + i, j - i }, { in.p + j, in.n - j } };
                struct buf out = BUF(100000);

                convert(parts, 3, &out);
                if (!span_is(buf_span(&out), rows[r].out))
                    fail_msg("row %zu cut %zu %zu: %.*s", r, i, j, (int)out.n, (const char *)out.p);
                buf_free(&out);
            }
    }
}

/* Whatever the header: no octet above 0x7F is left in it, and the body is untouched. */
static void random_headers(void **state)
{
    static const char alphabet[] = "ab:;,<>@\"\\() \t=\n\r\xc3\xa9.";
    uint32_t seed = 7;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char in[80];
        struct buf out = BUF(100000);
        struct span part;
        size_t n = 4, head;

        memcpy(in, round % 2 ? "To: " : "Content-Type: ", 4);
        for (; n < 60; n++) {
            seed = seed * 1664525u + 1013904223u;
            in[n] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
        }
        memcpy(in + n, "\n\nB\xff", 4);
        part = span_of(in, n + 4);
        convert(&part, 1, &out);
        for (head = 0; head < out.n; head++) {
            bool bol = head == 0 || out.p[head - 1] == '\n';

            if (bol && (out.p[head] == '\n' || (out.p[head] == '\r' && out.p[head + 1] == '\n')))
                break; /* the empty line */
            assert_true(out.p[head] < 0x80);
        }
        assert_int_equal(out.p[out.n - 1], 0xff);
        buf_free(&out);
    }
}

static void long_fields(void **state)
{
    size_t n = 3 * SURROGATE_FIELD;
    char *in = malloc(n + 64);
    struct buf out = BUF(10 * SURROGATE_FIELD);
    struct span part;

    (void)state;
    memset(in, 'a', n);
    memcpy(in, "X-Long: ", 8);
    memcpy(in + n, "\nTo: a@b\n\nx", 11);
    part = span_of(in, n + 11);
    convert(&part, 1, &out);
    assert_true(span_eq(buf_span(&out), part)); /* ASCII of any length passes */
    out.n = 0;
    in[100] = '\xff';
    convert(&part, 1, &out);
    assert_true(span_is(buf_span(&out), "To: a@b\n\nx"));
    buf_free(&out);
    free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_two_cuts), cmocka_unit_test(random_headers), cmocka_unit_test(long_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
