/* test_keep.c - the rule of what stays on the server: every form, its print, and what is refused.
 *
 * Does not know: which messages a rule takes (t_plan.c).
 */
#include "state_help.h"

#include "client/settings.h"

static void forms(void **state)
{
    static const struct {
        const char *text, *print;
        struct keep keep;
    } rows[] = {
        {"all",                 "all",                { KEEP_ALL, 0, 0, 0, 0 }            },
        { "None",               "none",               { KEEP_NONE, 0, 0, 0, 0 }           },
        { "14d",                "14d",                { KEEP_DAYS, 14, 0, 0, 0 }          },
        { "7 days",             "7d",                 { KEEP_DAYS, 7, 0, 0, 0 }           },
        { "newest 500",         "newest 500",         { KEEP_NEWEST, 0, 500, 0, 0 }       },
        { "newest   1",         "newest 1",           { KEEP_NEWEST, 0, 1, 0, 0 }         },
        { "until 80% of 2G",    "until 80% of 2G",    { KEEP_UNTIL, 0, 0, 2ull << 30, 80 }},
        { "until 100% of 1000", "until 100% of 1000", { KEEP_UNTIL, 0, 0, 1000, 100 }     },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct keep keep = { 0 };
        struct err e = { 0 };
        char text[64];

        if (!keep_parse(rows[i].text, &keep, &e))
            fail_msg("%s: %s", rows[i].text, e.text);
        assert_int_equal(keep.kind, rows[i].keep.kind);
        assert_int_equal(keep.days, rows[i].keep.days);
        assert_int_equal(keep.newest, rows[i].keep.newest);
        assert_int_equal(keep.octets, rows[i].keep.octets);
        assert_int_equal(keep.percent, rows[i].keep.percent);
        keep_print(&keep, text);
        assert_string_equal(text, rows[i].print);
    }
}

static void refused(void **state)
{
    static const char *const bad[] = { "",
                                       "14",
                                       "0d",
                                       "d",
                                       "14x",
                                       "-1d",
                                       "newest",
                                       "newest 0",
                                       "newest x",
                                       "newest 5 x",
                                       "until",
                                       "until 80",
                                       "until 80%",
                                       "until 0% of 2G",
                                       "until 101% of 2G",
                                       "until 80% of",
                                       "until 80% of 0",
                                       "until 80% of 2X",
                                       "all of it",
                                       "99999d",
                                       "newest 4294967296",
                                       "until 80% of 99999999999999999999" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct keep keep = { .kind = KEEP_NEWEST, .newest = 77 };
        struct err e = { 0 };

        if (keep_parse(bad[i], &keep, &e))
            fail_msg("\"%s\" was taken", bad[i]);
        assert_int_equal(e.fault, FAULT_BAD);
        assert_int_equal(keep.newest, 77); /* untouched */
        assert_non_null(strstr(e.text, "14d"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(forms), cmocka_unit_test(refused) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
