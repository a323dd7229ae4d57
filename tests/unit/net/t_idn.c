/* t_idn.c - names of hosts: what becomes of letters beyond ASCII, and what is no name.
 *
 * Proves: R9525-02
 */
#include "net/idn.h"

#include "base/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_names(void **state)
{
    static const struct {
        const char *name, *host;
    } rows[] = {
        {"pop.example.org",               "pop.example.org"             },
        { "POP.example.org.",             "POP.example.org"             },
        { "b\xc3\xbc" "cher.example",     "xn--bcher-kva.example"       },
        { "BU\xcc\x88" "CHER.Example",    "xn--bcher-kva.example"       }, /* capital, in two code points */
        { "xn--bcher-kva.example",        "xn--bcher-kva.example"       },
        { "stra\xc3\x9f" "e.example",     "xn--strae-oqa.example"       }, /* IDNA2008: not "strasse" */
        { "a\xe3\x80\x82" "b\xc3\xa4",    "a.xn--b-0fa"                 }, /* an ideographic full stop */
        { "_x.example",                   "_x.example"                  },
        { "127.0.0.1",                    "127.0.0.1"                   },
        { "::1",                          "::1"                         },
    };
    char host[IDN_HOST];
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!idn_host(rows[i].name, host, &e))
            fail_msg("%s: %s", rows[i].name, e.text);
        assert_string_equal(host, rows[i].host);
    }
}

static void test_no_names(void **state)
{
    static const char *const bad[] = { "", ".", "a..b", ".a", "a..", "-a", "a.-b", "a b", "a/b", "a:b@c d", "a%b",
                                       "\xff", "b\xc3", "a\xe2\x84\x80" "b", /* U+2100 would become "a/c" */
                                       "\xef\xbc\x9a\xc3\xbc", "\xc3\xbc..a", "xn--\xc3\xbc" };
    char host[IDN_HOST], longest[300];
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        e = (struct err){ 0 };
        if (idn_host(bad[i], host, &e) && !strchr(bad[i], ':'))
            fail_msg("\"%s\" became %s", bad[i], host);
        if (!strchr(bad[i], ':'))
            assert_non_null(strstr(e.text, "is no host name: "));
    }
    memset(longest, 'a', sizeof longest);
    for (size_t i = 63; i < sizeof longest; i += 64)
        longest[i] = '.';
    longest[253] = '\0';
    assert_true(idn_host(longest, host, &e));
    longest[253] = 'a';
    longest[254] = '\0';
    assert_false(idn_host(longest, host, &e));
    longest[299] = '\0';
    longest[254] = 'a';
    assert_false(idn_host(longest, host, &e));
    memset(longest, 'a', 64);
    longest[64] = '\0';
    assert_false(idn_host(longest, host, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_names), cmocka_unit_test(test_no_names) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
