/* test_settings.c - the client's configuration: what it takes, what it derives, and how faults and dangers are told.
 *
 * Proves: C-28, C-38, R2384-03, R2384-04, R6186-07, R2384-06, R2595-STLS-15, R8314-C-02, R8314-C-05, XCL-10
 * Does not know: forms of keep and of URLs (test_keep.c, test_pop_url.c).
 */
#include "settings_help.h"

#include "client/settings_rows.h"
#include "net/tls_client.h"

static const char example[] =
    "account \"work\" {\n"
    "  server = \"pop.example.org\"  user = \"me@example.org\"\n"
    "  deliver = \"maildir:~/Mail/in\"\n"
    "  keep = \"14d\"  folder = \"in.{account}\"\n"
    "}\n"
    "defaults { password_file = secret  window = 1M  connect-timeout = 10s  retries = 7 }\n"
    "account \"home\" { server = \"pop://joe;AUTH=PLAIN@[::1]:1110\" retries = 1\n"
    "  deliver = \"mbox:~/joe\"  ca-file = \"ca.pem\"  pin = {\"AA:" /* 32 octets */
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e\"} }\n"
    "interval = 90  parallel = 3\n";

static void good(void **state)
{
    char path[200];
    struct tried t;
    const struct account *a;

    assert_true(try_text(&t, *state, example));
    assert_string_equal(t.report, "");
    assert_int_equal(t.settings->naccount, 2);
    assert_int_equal(t.settings->interval_s, 90);
    assert_int_equal(t.settings->parallel, 3);
    a = settings_find(t.settings, "work");
    assert_string_equal(a->host, "pop.example.org");
    assert_int_equal(a->port, 995);
    assert_int_equal(a->tls, TLS_MODE_AUTO);
    assert_int_equal(a->verify, TLS_VERIFY_FULL);
    assert_int_equal(a->keep.kind, KEEP_DAYS);
    assert_int_equal(a->connect_s, 10);
    assert_int_equal(a->retries, 7);
    assert_int_equal(a->window, 1024 * 1024);
    snprintf(path, sizeof path, "%s/secret", (const char *)*state);
    assert_string_equal(a->password_file, path);
    snprintf(path, sizeof path, "%s/Mail/in/.in.work", (const char *)*state);
    assert_string_equal(a->sink_target, path);
    a = settings_find(t.settings, "home");
    assert_string_equal(a->host, "::1");
    assert_int_equal(a->port, 1110);
    assert_int_equal(a->tls, TLS_MODE_STLS); /* pop:// never means clear text */
    assert_string_equal(a->user, "joe");
    assert_string_equal(a->auth, "PLAIN");
    assert_int_equal(a->retries, 1);
    assert_int_equal(a->sink, SINK_MBOX);
    assert_int_equal(a->npins, 1);
    snprintf(path, sizeof path, "%s/ca.pem", (const char *)*state);
    assert_string_equal(a->ca_file, path);
    assert_null(settings_find(t.settings, "WORK"));
    try_end(&t);
}

static void all_faults_at_once(void **state)
{
    struct tried t;

    assert_false(try_text(&t, *state,
                          "intervall = 5m\n"
                          "defaults { parallel = 3  keep = sometimes }\n"
                          "account \"a\" {\n"
                          "  server = \"h\"  server = \"i\"\n"
                          "  user = \"x\\ny\"\n"
                          "  deliver = \"imap:x\"\n"
                          "  skip-larger = 10Q  connect-timeout = 0  netrc = perhaps\n"
                          "  passwort-file = x  tls = ssl  pin = {\"abc\"}\n"
                          "}\n"
                          "account \"a\" { }\n"
                          "acount \"b\" { user = x }\n"
                          "account \".hidden\" { server = \"pop://u:p@h\" user = u deliver = \"maildir:/x\" }\n"));
    must_say(&t, "1: unknown setting \"intervall\"; did you mean \"interval\"?");
    must_say(&t, "2: unknown setting \"parallel\"; it belongs outside of sections");
    must_say(
        &t,
        "2: defaults.keep: \"sometimes\" is no rule; write all, none, \"14d\", \"newest 500\" or \"until 80% of "
        "2G\"");
    must_say(&t, "5: account \"a\".user: the value holds a control character; remove it");
    must_say(&t, "7: account \"a\".skip-larger: \"10Q\" is no size; write octets, or 500K, 10M, 2G");
    must_say(&t, "7: account \"a\".connect-timeout: \"0\" is out of range; choose 1s to 1h");
    must_say(&t, "7: account \"a\".netrc: \"perhaps\" is neither yes nor no; write yes or no");
    must_say(&t, "8: unknown setting \"passwort-file\"; did you mean \"password-file\"?");
    must_say(&t, "8: account \"a\".tls: \"ssl\" is not known here; choose implicit|stls|none|auto");
    must_say(&t, "10: account \"a\": an earlier account has the same name; give each its own");
    must_say(&t, "10: account \"a\".server: missing; write server = \"pop.example.org\"");
    must_say(&t, "10: account \"a\".user: missing; write user = \"name\"");
    must_say(&t, "10: account \"a\".deliver: missing; write deliver = \"maildir:~/Mail\"");
    must_say(&t, "11: unknown section \"acount\"; did you mean \"account\"?");
    must_say(&t, "12: account \".hidden\".server: a URL holds no password; use password-command");
    assert_non_null(strstr(t.report, ":4: account \"a\".server: set twice; the first is at "));
    assert_non_null(strstr(t.report, "6: account \"a\".deliver: "));
    assert_non_null(strstr(t.report, "8: account \"a\".pin: \"abc\" is no pin"));
    try_end(&t);
}

static void missing_and_broken(void **state)
{
    struct buf report = BUF(10000);
    struct settings *settings;
    struct tried t;

    assert_false(settings_read("/nonexistent/config", &settings, &report));
    assert_null(settings);
    assert_memory_equal(report.p, "/nonexistent/config: cannot be read: No such file", 49);
    buf_free(&report);
    assert_false(try_text(&t, *state, "account \"a\" { user = x\n"));
    assert_non_null(strstr(t.report, "the file ends inside section account"));
    try_end(&t);
}

/* C-28, XCL-10 */
static void secrets_need_a_private_file(void **state)
{
    static const mode_t modes[] = { 0600, 0400, 0640, 0604, 0644, 0660 };
    struct tried t;

    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        bool ok = try_mode(&t, *state, ACCOUNT("a", "password = \"hunter2\""), modes[i]);

        assert_int_equal(ok, i < 2);
        if (ok)
            assert_true(t.settings->holds_secret);
        else
            must_say(
                &t, "1: account \"a\".password: others may read this file; chmod 600 it, or use password-command");
        assert_null(strstr(t.report, "hunter2"));
        try_end(&t);
    }
    assert_false(try_text(&t, *state, ACCOUNT("a", "proxy = \"socks5://me:hunter2@h:1080\"")));
    try_end(&t);
    assert_true(try_text(&t, *state, ACCOUNT("a", "proxy = \"socks5://h:1080\"")));
    assert_false(t.settings->holds_secret);
    try_end(&t);
    assert_false(try_mode(&t, *state, "defaults { password = \"x\" }\n", 0600));
    must_say(&t, "1: defaults.password: a secret belongs to one server; put it into its account");
    try_end(&t);
    assert_false(try_text(&t, *state, "defaults { proxy = \"socks5://me:hunter2@h:1080\" }"));
    must_say(&t, "1: defaults.proxy: a secret belongs to one server; put it into its account");
    try_end(&t);
    assert_true(try_text(&t, *state, "defaults { proxy = \"socks5://h:1080\" }")); /* no secret */
    try_end(&t);
}

static void no_line_ends_in_values(void **state)
{
    static const char *const values[] = { "user = \"a\\nb\"",  "user = \"a\\rb\"",     "password = \"a\\r\\nb\"",
                                          "server = \"h\\n\"", "authzid = \"a\\x7f\"", "recipient = \"a\\tb\"" };
    char text[300];
    struct tried t;

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(text, sizeof text, "account \"a\" { %s }\n", values[i]);
        assert_false(try_mode(&t, *state, text, 0600));
        assert_non_null(strstr(t.report, "the value holds a control character; remove it"));
        try_end(&t);
    }
}

static void clear_text(void **state)
{
    struct tried t;

    assert_false(try_text(&t, *state, ACCOUNT("a", "tls = none auth = user")));
    must_say(&t, "1: account \"a\".auth: user sends a secret in clear text; use TLS, or SCRAM-SHA-256, or "
                 "plaintext-auth = yes");
    try_end(&t);
    assert_false(try_text(&t, *state, ACCOUNT("a", "tls = none auth = LOGIN")));
    try_end(&t);
    assert_true(try_text(&t, *state, ACCOUNT("a", "tls = none")));
    assert_false(t.settings->account[0].plaintext_auth); /* the dialog refuses */
    assert_int_equal(t.settings->account[0].port, 110);
    must_say(&t, "1: warning: account \"a\".tls: without TLS everybody on the way can read and change mail");
    try_end(&t);
    assert_true(try_text(&t, *state, ACCOUNT("a", "tls = none auth = user plaintext-auth = yes")));
    must_say(
        &t,
        "1: warning: account \"a\".tls: without TLS everybody on the way can read and change mail, and read the "
        "password");
    try_end(&t);
    assert_true(try_text(&t, *state, ACCOUNT("a", "verify = off")));
    must_say(&t,
             "1: warning: account \"a\".verify: with \"off\" anybody can pose as the server and read mail, so the "
             "password is not sent in clear text (plaintext-auth = yes would); \"pin\" is safe");
    try_end(&t);
    assert_true(try_text(&t, *state, ACCOUNT("a", "verify = off plaintext-auth = yes")));
    must_say(&t,
             "1: warning: account \"a\".verify: with \"off\" anybody can pose as the server and read password and "
             "mail; \"pin\" is safe");
    assert_null(strstr(t.report, "remove it"));
    try_end(&t);
    assert_false(try_text(&t, *state, ACCOUNT("a", "verify = pin")));
    try_end(&t);
}

/* R6186-07 */
static void mail_address(void **state)
{
    static const char text[] = "account a { discover = \"%s\" deliver = \"maildir:/x\" %s }\n";
    struct buf shown = BUF(100000);
    struct tried t;
    char file[300];

    snprintf(file, sizeof file, text, "me@b\xc3\xbc" "cher.example", "");
    assert_true(try_text(&t, *state, file));
    assert_string_equal(t.settings->account[0].user, "me@xn--bcher-kva.example");
    assert_true(t.settings->account[0].user_guessed);
    assert_true(settings_show(t.settings, true, &shown)); /* what is shown means the same when it is read again */
    assert_null(memmem(shown.p, shown.n, "user", 4));
    buf_free(&shown);
    try_end(&t);
    snprintf(file, sizeof file, text, "me@d.example", "user = me");
    assert_true(try_text(&t, *state, file));
    assert_string_equal(t.settings->account[0].user, "me");
    assert_false(t.settings->account[0].user_guessed);
    try_end(&t);
    snprintf(file, sizeof file, text, "d.example", "");
    assert_false(try_text(&t, *state, file));
    must_say(&t, "1: account \"a\".user: missing; write user = \"name\"");
    try_end(&t);
    snprintf(file, sizeof file, text, "@d.example", "");
    assert_false(try_text(&t, *state, file));
    must_say(&t, "1: account \"a\".discover: nothing stands before \"@\"");
    try_end(&t);
}

static void contradictions(void **state)
{
    static const struct {
        const char *more, *say;
    } rows[] = {
        {"server = \"pops://pop.example.org\" user = u tls = none deliver = \"maildir:/x\"",
         "tls: the URL asks"                                                                                                    },
        { "server = \"pop://v@h\" user = u deliver = \"maildir:/x\"",                        "user: the URL names another user" },
        { "server = \"pop://u;AUTH=PLAIN@h\" auth = LOGIN deliver = \"maildir:/x\"",
         "auth: the URL names another"                                                                                          },
        { "server = \"h\" discover = \"example.org\" user = u deliver = \"maildir:/x\"",
         "discover: there is a server"                                                                                          },
        { "server = \"h/x\" user = u deliver = \"maildir:/x\"",                              "server: "                         },
        { "server = \"h\" user = u deliver = \"maildir:/x\" folder = \"../up\"",             "folder: a folder is named"        },
        { "server = \"h\" user = u deliver = \"mbox:/x\" folder = \"a\"",                    "folder: folders are known"        },
        { "server = \"h\" user = u deliver = \"lmtp:/run/lmtp\"",                            "deliver: LMTP needs recipient"    },
        { "server = \"h\" user = u deliver = \"maildir:/x\" auth = XOAUTH2",                 "auth: XOAUTH2 needs token-command"},
        { "server = \"h\" user = u deliver = \"maildir:/x\" certificate = c",                "certificate: certificate and key" },
        { "server = \"h\" user = u deliver = \"maildir:/x\" proxy = \"http://p\"",           "proxy: write socks5:"             },
        { "server = \"h\" user = u deliver = \"maildir:/x\" skip-larger = 5G",               "skip-larger: larger than"         },
        { "server = \"h\" user = u deliver = \"maildir:/x\" interval = 5s",                  "interval: shorter than 10s"       },
    };
    char text[400];
    struct tried t;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(text, sizeof text, "account \"a\" { %s }\n", rows[i].more);
        assert_false(try_text(&t, *state, text));
        snprintf(text, sizeof text, ":1: account \"a\".%s", rows[i].say);
        if (!strstr(t.report, text))
            fail_msg("%s\n%s", text, t.report);
        try_end(&t);
    }
}

static void rivals(void **state)
{
    static const char two[] = "account \"a\" { server = h user = u deliver = \"maildir:/x\" %s }\n"
                              "account \"b\" { server = H user = u deliver = \"maildir:/y\" %s }\n";
    char text[400];
    struct tried t;

    snprintf(text, sizeof text, two, "", "");
    assert_true(try_text(&t, *state, text));
    must_say(&t, "2: warning: account \"b\": fetches the same mailbox as account \"a\"; they may find it locked");
    try_end(&t);
    snprintf(text, sizeof text, two, "keep = none", "");
    assert_false(try_text(&t, *state, text));
    try_end(&t);
    snprintf(text, sizeof text, two, "keep = none", "enabled = no");
    assert_true(try_text(&t, *state, text));
    assert_string_equal(t.report, "");
    try_end(&t);
}

/* R2384-06: nothing secret of the file reaches a server of the command line; argv holds no password. */
static void command_line(void **state)
{
    static const char *const pairs[] = {
        "server", "pops://joe@evil.example", "deliver", "maildir:/x", "keep", "3d", NULL
    };
    static const char *const secret[] = { "server", "pops://j@h", "deliver", "maildir:/x", "password", "p", NULL };
    static const char *const nobody[] = { "server", "pops://h", "deliver", "maildir:/x", NULL };
    struct buf report = BUF(10000);
    const struct account *a;
    struct tried t;

    assert_true(try_text(&t, *state,
                         "defaults { password-command = \"echo x\" password-file = p token-command = \"echo t\"\n"
                         "certificate = c key = k retries = 9 user = other }\n" ACCOUNT("a", "")));
    assert_true(settings_add(t.settings, "cl", pairs, &report));
    a = settings_find(t.settings, "cl");
    assert_string_equal(a->host, "evil.example");
    assert_string_equal(a->user, "joe");
    assert_int_equal(a->tls, TLS_MODE_IMPLICIT);
    assert_int_equal(a->retries, 9);
    assert_int_equal(a->keep.days, 3);
    assert_string_equal(a->password_command, "");
    assert_string_equal(a->password_file, "");
    assert_string_equal(a->token_command, "");
    assert_string_equal(a->certificate, "");
    assert_int_equal(report.n, 0);
    assert_false(settings_add(t.settings, "cm", secret, &report));
    assert_false(settings_add(t.settings, "cn", nobody, &report)); /* R2384-04 */
    assert_true(buf_put(&report, "", 1));
    assert_non_null(strstr((const char *)report.p, "a secret does not stand on a command line"));
    assert_non_null(strstr((const char *)report.p, "command line: account \"cn\".user: missing"));
    assert_int_equal(t.settings->naccount, 2);
    buf_free(&report);
    try_end(&t);
}

/* Each row: its default is shown, is described, and comes back; its alias is the same setting. */
static void every_row(void **state)
{
    struct settings *plain = settings_new();
    struct buf shown = BUF(100000), man = BUF(100000), sample = BUF(100000), value = BUF(1000);
    char line[300];
    struct tried t;

    assert_true(settings_show(plain, false, &shown) && buf_put(&shown, "", 1));
    assert_true(settings_describe(true, &man) && buf_put(&man, "", 1));
    assert_true(settings_sample(&sample) && buf_put(&sample, "", 1));
    for (const struct setting_row *row = setting_account_rows; row->name; row++) {
        value.n = 0;
        assert_true(setting_put(row, plain->defaults, &value));
        snprintf(line, sizeof line, "\n    %s = %.*s\n", row->name, (int)value.n, (const char *)value.p);
        if (!strstr((const char *)shown.p, line))
            fail_msg("not shown: %s", line);
        snprintf(line, sizeof line, "\n    #%s = %.*s\n", row->name, (int)value.n, (const char *)value.p);
        assert_non_null(strstr((const char *)sample.p, line));
        assert_ptr_equal(setting_find(setting_account_rows, row->name), row);
        assert_ptr_equal(setting_find(setting_account_rows, row->alias), row);
        assert_true(row->sentence[strlen(row->sentence) - 1] != '.');
        assert_true(row->type == SETTING_PINS || setting_same(row, plain->defaults, plain->defaults));
    }
    assert_true(try_mode(&t, *state, (const char *)shown.p, 0600));
    assert_string_equal(t.report, "");
    try_end(&t);
    assert_true(try_mode(&t, *state, (const char *)sample.p, 0600));
    assert_int_equal(t.settings->naccount, 1);
    try_end(&t);
    buf_free(&shown);
    buf_free(&man);
    buf_free(&sample);
    buf_free(&value);
    settings_free(&plain);
}

static void shown_without_secrets(void **state)
{
    struct buf out = BUF(100000);
    struct tried t;

    assert_true(try_mode(&t, *state, ACCOUNT("a", "password = hunter2 keep = none"), 0600));
    assert_true(settings_show(t.settings, true, &out) && buf_put(&out, "", 1));
    assert_string_equal((const char *)out.p,
                        "account \"a\" {\n    server = \"pop.example.org\"\n    user = \"a\"\n"
                        "    # password is set and not shown\n"
                        "    deliver = \"maildir:~/Mail\"\n    keep = \"none\"\n}\n");
    buf_free(&out);
    try_end(&t);
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t octets;
        const char *print;
    } rows[] = {
        {"0",     0,          "0"  },
        { "500",  500,        "500"},
        { "10K",  10240,      "10K"},
        { "10kB", 10240,      "10K"},
        { "2G",   2ull << 30, "2G" },
        { "1T",   1ull << 40, "1T" },
        { "2048", 2048,       "2K" }
    };
    static const char *const bad[] = { "", "K", "-1", "1.5G", "1 G", "99999999T", "10X", "18446744073709551616" };
    struct buf out = BUF(40);
    uint64_t n;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(size_parse(span_str(rows[i].text), &n));
        assert_int_equal(n, rows[i].octets);
        out.n = 0;
        assert_true(size_put(&out, n));
        assert_true(span_is(buf_span(&out), rows[i].print));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (size_parse(span_str(bad[i]), &n))
            fail_msg("\"%s\" was taken", bad[i]);
    buf_free(&out);
}

#define in_folder(f) cmocka_unit_test_setup_teardown(f, state_folder, state_no_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(good),
        in_folder(all_faults_at_once),
        in_folder(missing_and_broken),
        in_folder(secrets_need_a_private_file),
        in_folder(no_line_ends_in_values),
        in_folder(clear_text),
        in_folder(mail_address),
        in_folder(contradictions),
        in_folder(rivals),
        in_folder(command_line),
        in_folder(every_row),
        in_folder(shown_without_secrets),
        cmocka_unit_test(sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
