/* test_pop_url.c - URLs of POP3 servers: RFC 2384, and the forms that users of curl write.
 *
 * Proves: R2384-01, R2384-02, R2384-05, R2384-08, R2384-09
 * Does not know: what an account makes of them (test_settings.c).
 */
#include "state_help.h"

#include "client/settings.h"

static void forms(void **state)
{
    static const struct {
        const char *text, *host, *user, *auth;
        uint16_t port;
        bool has_port, implicit_tls;
    } rows[] = {
        {"pop://rg@mailsrv.qualcomm.com",             "mailsrv.qualcomm.com", "rg",             "",          110,   false, false},
        { "pop://rg;AUTH=+APOP@mail.eudora.com:8110", "mail.eudora.com",      "rg",             "+APOP",     8110,  true,  false},
        { "pop://baz;AUTH=SCRAM-MD5@foo.bar",         "foo.bar",              "baz",            "SCRAM-MD5", 110,   false, false},
        { "pop://u;auth=*@h",                         "h",                    "u",              "",          110,   false, false},
        { "POP://h",                                  "h",                    "",               "",          110,   false, false},
        { "pop://a%20b%3Bc@h",                        "h",                    "a b;c",          "",          110,   false, false},
        { "pops://me%40example.org@h",                "h",                    "me@example.org", "",          995,   false, true },
        { "pop://j%C3%BCrgen@h",                      "h",                    "j\303\274rgen",  "",          110,   false, false},
        { "pop3s://h/",                               "h",                    "",               "",          995,   false, true },
        { "pop3://[::1]:1110",                        "::1",                  "",               "",          1110,  true,  false},
        { "pops://[2001:db8::1]",                     "2001:db8::1",          "",               "",          995,   false, true },
        { "pops://h:65535",                           "h",                    "",               "",          65535, true,  true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pop_url url;
        struct err e = { 0 };

        if (!pop_url_parse(rows[i].text, &url, &e))
            fail_msg("%s: %s", rows[i].text, e.text);
        assert_string_equal(url.host, rows[i].host);
        assert_string_equal(url.user, rows[i].user);
        assert_string_equal(url.auth, rows[i].auth);
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.has_port, rows[i].has_port);
        assert_int_equal(url.has_user, rows[i].user[0] != '\0');
        assert_int_equal(url.implicit_tls, rows[i].implicit_tls);
    }
}

static void refused(void **state)
{
    static const char *const bad[] = {
        "",
        "h",
        "imap://h",
        "pop:h",
        "pop:/h",
        "pop://",
        "pop://@h",
        "pop://u@",
        "pop://:110",
        "pop://u:p@h",
        "pop://u:@h",
        "pop://h/x",
        "pop://h//",
        "pop://h?x",
        "pop://h#x",
        "pop://h:0",
        "pop://h:65536",
        "pop://h:x",
        "pop://h:",
        "pop://a b@h",
        "pop://%@h",
        "pop://%4@h",
        "pop://%zz@h",
        "pop://%00@h",
        "pop://a%0d%0ab@h",
        "pop://a%7f@h",
        "pop://u;AUTH=@h",
        "pop://u;X=1@h",
        "pop://[::1",
        "pop://[]",
        "pop://[x]",
        "pop://h h",
        "pop://u@v@h",
        "pop://;AUTH=*@h",
        "pop://\303\274@h",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pop_url url;
        struct err e = { 0 };

        if (pop_url_parse(bad[i], &url, &e))
            fail_msg("\"%s\" was taken", bad[i]);
        assert_int_equal(e.fault, FAULT_BAD);
    }
}

/* What would be a password is not repeated in the message. */
static void password_stays_secret(void **state)
{
    struct pop_url url;
    struct err e = { 0 };

    (void)state;
    assert_false(pop_url_parse("pop://u:hunter2@h", &url, &e));
    assert_null(strstr(e.text, "hunter2"));
    assert_non_null(strstr(e.text, "password"));
}

static void long_names(void **state)
{
    char text[700];
    struct pop_url url;

    (void)state;
    for (size_t n = 250; n < 262; n++) {
        memset(text, 'a', sizeof text);
        memcpy(text, "pop://", 6);
        text[6 + n] = '\0';
        assert_int_equal(pop_url_parse(text, &url, NULL), n <= 255);
        memcpy(text + 6 + n, "@h", 3);
        assert_int_equal(pop_url_parse(text, &url, NULL), n <= 255);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(forms), cmocka_unit_test(refused),
                                        cmocka_unit_test(password_stays_secret), cmocka_unit_test(long_names) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
