/* auth_help.h - what the tests of sasl and auth share: literals with NULs as spans, Base64 and hex as values. */
#ifndef RESTANTE_TESTS_AUTH_HELP_H
#define RESTANTE_TESTS_AUTH_HELP_H

#include "base/base64.h"
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* A string literal with everything in it, NULs too. */
#define LIT(s) span_of((s), sizeof(s) - 1)

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static inline void expect_span(struct span got, const char *want)
{
    if (!span_is(got, want))
        fail_msg("got \"%.*s\", want \"%s\"", (int)got.n, (const char *)got.p, want);
}

/* The octets that a Base64 text stands for, appended. */
static inline void put_base64(struct buf *out, const char *text)
{
    size_t n;

    assert_non_null(buf_reserve(out, BASE64_DECODED(strlen(text)) + 1));
    assert_true(base64_get(span_str(text), out->p + out->n, &n));
    out->n += n;
}

#endif
