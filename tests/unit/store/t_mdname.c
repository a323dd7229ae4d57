/* t_mdname.c - names of messages: parsed, ordered, flagged, made.
 *
 * Proves: MD-04, MD-05, MD-06, MD-07, MD-10, MD-14, MDPP-01, R1939-UIDL-03, R1939-UIDL-07, R1939-AUTHZ-13.
 * Does not know: files.
 */
#include "store_help.h"

#include "mail/mdname.h"

#include <stdio.h>

static struct mdname parsed(const char *name)
{
    return mdname_parse(span_str(name));
}

static void bases_and_fields(void **state)
{
    static const struct {
        const char *name, *base;
        uint64_t size, wire, when;
        uint32_t usec;
    } rows[] = {
        {"x,S=12,W=13:2,S",                         "x",                           12, 13, 0,          0     },
        { "1700000000.M123456P7.host,S=5,W=6:2,FS", "1700000000.M123456P7.host",   5,  6,  1700000000, 123456},
        { "1700000000.Vfe01I12M99.host",            "1700000000.Vfe01I12M99.host", 0,  0,  1700000000, 99    },
        { "1700000000.H1234P9.host",                "1700000000.H1234P9.host",     0,  0,  1700000000, 1234  },
        { "a:2,S:2,T",                              "a",                           0,  0,  0,          0     },
        { "a:b:1,x",                                "a:b",                         0,  0,  0,          0     },
        { "a:",                                     "a:",                          0,  0,  0,          0     },
        { ":2,S",                                   "",                            0,  0,  0,          0     },
        { ",S=3",                                   "",                            3,  0,  0,          0     },
        { "y,S=,W=1x,Q=9",                          "y",                           0,  0,  0,          0     },
        { "y,S=99999999999999999999",               "y",                           0,  0,  0,          0     },
        { "12",                                     "12",                          0,  0,  0,          0     },
        { "99999999999999999999.a",                 "99999999999999999999.a",      0,  0,  0,          0     },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mdname m = parsed(rows[i].name);

        assert_true(span_is(m.base, rows[i].base));
        assert_int_equal(m.has_size ? m.size : 0, rows[i].size);
        assert_int_equal(m.has_wire ? m.wire : 0, rows[i].wire);
        assert_int_equal(m.when, rows[i].when);
        assert_int_equal(m.usec, rows[i].usec);
    }
}

static void order_is_numeric(void **state)
{
    static const char *const sorted[] = {
        "1.x", "2.M9P1.h", "2.M10P1.h", "2.M10P2.h", "2.M10P2.hh", "10.a", "1700000000.M5.a,S=9",
    };

    (void)state;
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++)
        for (size_t j = 0; j < sizeof sorted / sizeof *sorted; j++) {
            struct mdname a = parsed(sorted[i]), b = parsed(sorted[j]);
            int c = mdname_compare(&a, &b);

            assert_true(i < j ? c < 0 : i > j ? c > 0 : c == 0);
        }
    struct mdname a = parsed("5.M1.h,S=1:2,S"), b = parsed("5.M1.h");

    assert_int_equal(mdname_compare(&a, &b), 0);
}

static void flags_are_sorted(void **state)
{
    static const struct {
        const char *name;
        char flag;
        const char *want;
    } rows[] = {
        {"x:2,Sa",    'F', "x:2,FSa"  },
        { "x",        'S', "x:2,S"    },
        { "x,S=1",    0,   "x,S=1:2," },
        { "x:2,S",    'S', "x:2,S"    },
        { "x:2,TSRF", 'D', "x:2,DFRST"},
        { "x:2,",     'S', "x:2,S"    },
        { "x:2,SS",   'S', "x:2,S"    },
        { "x:2,Z9q",  'S', "x:2,SZ9q" },
        { "x:1,foo",  'S', ""         },
        { "x:1,foo",  0,   "x:1,foo"  },
        { "x:2,RS",   0,   "x:2,RS"   },
    };
    char dst[MDNAME_ROOM], name[300];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(mdname_in_cur(dst, span_str(rows[i].name), rows[i].flag), strlen(rows[i].want));
        assert_string_equal(dst, rows[i].want);
    }
    assert_true(mdname_has_flag(span_str("x:2,FS"), 'S'));
    assert_false(mdname_has_flag(span_str("x:2,F"), 'S'));
    assert_false(mdname_has_flag(span_str("x:1,S"), 'S'));
    assert_false(mdname_has_flag(span_str("S"), 'S'));
    memset(name, 'n', sizeof name);
    assert_int_equal(mdname_in_cur(dst, span_of(name, 252), 0), 255);
    assert_int_equal(mdname_in_cur(dst, span_of(name, 252), 'S'), 0);
    assert_int_equal(mdname_in_cur(dst, span_of(name, 255), 'S'), 0);
}

static void messages_and_uids(void **state)
{
    char name[300];

    (void)state;
    memset(name, 'n', sizeof name);
    assert_true(mdname_is_message(span_of(name, 255)));
    assert_false(mdname_is_message(span_of(name, 256)));
    assert_false(mdname_is_message(span_str("")));
    assert_false(mdname_is_message(span_str(".nfs0001")));
    assert_false(mdname_is_message(span_str("a/b")));
    assert_false(mdname_is_message(span_of("a\0b", 3)));
    assert_true(mdname_is_uid(span_of(name, 70)));
    assert_false(mdname_is_uid(span_of(name, 71)));
    assert_false(mdname_is_uid(span_str("")));
    assert_false(mdname_is_uid(span_str("h-0123")));
    assert_true(mdname_is_uid(span_str("1700.M1P2_Q=3-x:y.host")));
    for (unsigned c = 0; c < 256; c++) {
        uint8_t octet = (uint8_t)c;
        bool legal = mdname_is_uid(span_of(&octet, 1));

        assert_true(!legal || (c > 0x20 && c < 0x7f));
        assert_false(legal && strchr(" /\\,%\"'<>|*?", (int)c) && c);
    }
}

static void new_names(void **state)
{
    struct mdname_seed seed = { 1700000000, 42, 77, 1, 0x0123456789abcdef, "mail.example.org" };
    char dst[MDNAME_ROOM], twin[MDNAME_ROOM], host[300];
    struct mdname m;

    (void)state;
    assert_true(mdname_unique(dst, &seed));
    assert_string_equal(dst, "1700000000.M000042P77Q1R0123456789abcdef.mail.example.org");
    m = parsed(dst);
    assert_int_equal(m.when, 1700000000);
    assert_int_equal(m.usec, 42);
    assert_true(mdname_is_uid(m.base));
    assert_true(mdname_sized(dst, span_str("b"), 54, 60));
    assert_string_equal(dst, "b,S=54,W=60");
    seed.host = "a/b:c,d";
    assert_true(mdname_unique(dst, &seed));
    assert_non_null(strstr(dst, ".a\\057b\\072c\\054d"));
    assert_null(strchr(dst, ':'));
    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    seed.host = host;
    seed.usec = 999999;
    seed.pid = UINT32_MAX;
    assert_true(mdname_unique(dst, &seed) <= MDNAME_UID);
    assert_true(mdname_is_uid(span_str(dst)));
    assert_int_equal(mdname_twin(twin, span_str("x,S=1:2,S"), 0xabc), strlen("x-0000000000000abc,S=1:2,S"));
    assert_string_equal(twin, "x-0000000000000abc,S=1:2,S");
    assert_int_equal(mdname_twin(twin, span_of(host, 250), 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bases_and_fields), cmocka_unit_test(order_is_numeric),
        cmocka_unit_test(flags_are_sorted), cmocka_unit_test(messages_and_uids),
        cmocka_unit_test(new_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
