/* t_identity.c - which octets of a message say which message it is: fields of mbox servers do not, all else does. */
#include "mail/identity.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void take(void *ctx, struct span run)
{
    assert_true(buf_put_span(ctx, run));
}

/* The same for every way to cut the input in two, and octet by octet. */
static void expect(const char *in, const char *out)
{
    size_t n = strlen(in);

    for (size_t cut = 0; cut <= n + 1; cut++) {
        struct identity f = IDENTITY_INIT;
        struct buf got = BUF(4096);

        if (cut > n) {
            for (size_t i = 0; i < n; i++)
                identity_feed(&f, span_of(in + i, 1), take, &got);
        } else {
            identity_feed(&f, span_of(in, cut), take, &got);
            identity_feed(&f, span_of(in + cut, n - cut), take, &got);
        }
        identity_end(&f, take, &got);
        assert_int_equal(got.n, strlen(out));
        assert_true(span_is(buf_span(&got), out));
        buf_free(&got);
    }
}

static void test_left_out(void **state)
{
    (void)state;
    expect("Status: RO\r\n\r\nx", "\r\nx");
    expect("A: b\r\nX-UID: 7\r\n  folded\r\nC: d\r\n  Status: no\r\n\r\nbody\r\n", "A: b\r\nC: d\r\n  Status: no\r\n\r\nbody\r\n");
    expect("x-imapBASE: 1\r\ncontent-LENGTH: 5\r\nLines: 1\r\nX-Keywords:\r\nX-Status:\r\n\r\n", "\r\n");
    expect("Status: R\r\nStatus: O\r\n", "");
}

static void test_kept(void **state)
{
    (void)state;
    expect("", "");
    expect("Sta", "Sta");
    expect("Statusx: 1\r\nStatu: 2\r\nStatus 3\r\nX-UIDS: 4\r\nX: 5\r\n\r\n", "Statusx: 1\r\nStatu: 2\r\nStatus 3\r\nX-UIDS: 4\r\nX: 5\r\n\r\n");
    expect("A: 1\r\n\r\nStatus: RO\r\n\r\n", "A: 1\r\n\r\nStatus: RO\r\n\r\n");
    expect("\r\nStatus: RO\r\n", "\r\nStatus: RO\r\n");
    expect("Content-Length-Of-Something: 1\r\nLin\r\n", "Content-Length-Of-Something: 1\r\nLin\r\n");
    expect(" Status: folded at the top\r\n", " Status: folded at the top\r\n");
    expect("Stat\nStatus\n\nx", "Stat\nStatus\n\nx");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_left_out), cmocka_unit_test(test_kept) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
