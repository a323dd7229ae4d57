/* t_conf_file.c - configuration files: what is accepted, and how faults are told.
 *
 * Everything that is wrong in a file is reported in one run, with file, line and remedy.
 */
#include "conf_help.h"

static const char example[] =
    "hostname = \"mail.example.org\"\n"
    "listen \"pop3s\" { address = {\"[::]:995\"}  tls = implicit }\n"
    "listen \"pop3\"  { address = {\"[::]:110\"}  tls = stls  trusted = {\"127.0.0.0/8\", \"::1\"} }\n"
    "tls   { certificate = \"/etc/ssl/mail/fullchain.pem\"  key = \"/etc/ssl/mail/privkey.pem\" }\n"
    "mail  { maildrop = \"/var/vmail/{domain}/{local}/Maildir\"  user = \"vmail\" }\n"
    "users { file = \"/etc/restante/users\" }\n";

#define DOOR "listen \"x\" { address = {\"127.0.0.1:1110\"} tls = none }\n"

static void test_example(void **state)
{
    struct conf_try t;

    (void)state;
    try_begin(&t);
    assert_true(try_read(&t, example));
    assert_string_equal(t.report, "");
    assert_string_equal(t.conf->hostname, "mail.example.org");
    assert_int_equal(t.conf->nlisten, 2);
    assert_string_equal(t.conf->listen[0].name, "pop3s");
    assert_int_equal(t.conf->listen[0].tls, CONF_TLS_IMPLICIT);
    assert_int_equal(t.conf->listen[0].idle_s, 600);
    assert_string_equal(t.conf->listen[1].address.v[0], "[::]:110");
    assert_int_equal(t.conf->listen[1].trusted.n, 2);
    assert_string_equal(t.conf->listen[1].trusted.v[1], "::1");
    assert_string_equal(t.conf->tls.key, "/etc/ssl/mail/privkey.pem");
    assert_string_equal(t.conf->mail.maildrop, "/var/vmail/{domain}/{local}/Maildir");
    assert_string_equal(t.conf->mail.user, "vmail");
    assert_string_equal(t.conf->users.file, "/etc/restante/users");
    assert_int_equal(t.conf->mail.expire_days, UINT32_MAX);
    assert_int_equal(t.conf->auth.scram_iterations, 15000);
    try_end(&t);
}

/* One fault a line, of every kind, and all of them in one report. */
static void test_all_faults(void **state)
{
    static const char text[] = "hostnam = \"x\"\n"                                 /* 1 */
                               "idle = 700\n"                                      /* 2 */
                               "implementation = {\"a\", \"b\"}\n"                 /* 3 */
                               "wrokers { fronts = 3 }\n"                          /* 4 */
                               "/* a comment\n   of two lines */\n"                /* 5, 6 */
                               "foo \"bar\" { y = 1 }\n"                           /* 7 */
                               "listen \"a\" {\n"                                  /* 8 */
                               "  address = {\"[::]:995\", \"nonsense\"}\n"        /* 9 */
                               "  adress = \"x\"\n"                                /* 10 */
                               "  idle = 5\n"                                      /* 11 */
                               "  tls = maybe\n"                                   /* 12 */
                               "  proxy = perhaps\n"                               /* 13 */
                               "  backlog = 99999999999999999999999\n"             /* 14 */
                               "  trusted = {\"10.0.0.0/33\"}\n"                   /* 15 */
                               "}\n"                                               /* 16 */
                               "listen \"a\" { idle = 12x\n"                       /* 17 */
                               " address = {\"[::]:995\"}\n"                       /* 18 */
                               " address = \"[::]:994\"\n"                         /* 19 */
                               " include(\"z\")\n"                                 /* 20 */
                               "}\n"                                               /* 21 */
                               "mail { expire = 10m\n"                             /* 22 */
                               " maildrop = \"{foo}/{local\" }\n"                  /* 23 */
                               "tls { min = \"1.1\"\n"                             /* 24 */
                               " key = \"/k\" reload = 1.5 }\n"                    /* 25 */
                               "tls { handshake = 0\n"                             /* 26 */
                               " handshake = 5 }\n"                                /* 27 */
                               "auth { mechanisms = {\"PLAIN\", \"CRAM-MD5\"} }\n" /* 28 */
                               "log { level = {} }\n";                             /* 29 */
    struct conf_try t;

    (void)state;
    try_begin(&t);
    assert_false(try_read(&t, text));
    assert_true(try_has(&t, 1, "unknown setting \"hostnam\"; did you mean \"hostname\"?"));
    assert_true(try_has(&t, 2, "unknown setting \"idle\"; it belongs in section listen"));
    assert_true(try_has(&t, 3, "implementation: takes one value"));
    assert_true(try_has(&t, 4, "unknown section \"wrokers\"; did you mean \"workers\"?"));
    assert_true(try_has(&t, 7, "unknown section \"foo\""));
    assert_true(try_has(&t, 9, "\"nonsense\" is no address with a port"));
    assert_true(try_has(&t, 10, "\"adress\" in section listen; did you mean \"address\"?"));
    assert_true(try_has(&t, 11, "listen \"a\".idle: \"5\" is out of range; choose 10m to 1d"));
    assert_true(try_has(&t, 12, "choose none|stls|implicit"));
    assert_true(try_has(&t, 13, "write yes or no"));
    assert_true(try_has(&t, 14, "choose 1 to 65535"));
    assert_true(try_has(&t, 15, "\"10.0.0.0/33\" is no network"));
    assert_true(try_has(&t, 17, "\"12x\" is no time"));
    assert_true(try_has(&t, 17, "an earlier section has the same name"));
    assert_true(try_has(&t, 18, "[::]:995 is listed before"));
    assert_true(try_has(&t, 19, "address: set twice; the first is at"));
    assert_true(try_has(&t, 20, "include cannot stand inside section listen"));
    assert_true(try_has(&t, 22, "\"10m\" is no number of days"));
    assert_true(try_has(&t, 23, "{foo} is not known"));
    assert_true(try_has(&t, 23, "\"{\" without \"}\""));
    assert_true(try_has(&t, 24, "choose 1.2|1.3"));
    assert_true(try_has(&t, 25, "\"1.5\" is no time"));
    assert_true(try_has(&t, 26, "choose 1s to 10m"));
    assert_true(try_has(&t, 27, "tls.handshake: set twice"));
    assert_true(try_has(&t, 28, "\"CRAM-MD5\" is not known"));
    assert_true(try_has(&t, 29, "there is no value"));
    try_end(&t);
}

struct broken {
    const char *text;
    unsigned line;
    const char *what;
};

/* Where the grammar itself is broken the rest cannot be read: one fault, at the right line. */
static void test_broken_grammar(void **state)
{
    static const struct broken rows[] = {
        {"\nlisten \"a\" {\n idle = 10m\n", 3, "the file ends inside section listen"     },
        { "\nhostname = \"x\n\n",           2, "a string starts here and never ends"     },
        { "\n\n/* x\n",                     3, "a comment starts here and never ends"    },
        { "hostname x",                     1, "\"hostname\" must be followed by \"=\""  },
        { "\nlisten { }",                   2, "section listen needs a name"             },
        { "tls 3",                          1, "section tls must be followed by \"{\""   },
        { "\n\n}",                          3, "closes nothing"                          },
        { "hostname = ,",                   1, "unexpected \",\""                        },
        { "tls {\n mail { }\n}",            2, "\"mail\" cannot stand inside section tls"},
        { "x { x { y = 1 } }",              1, "\"x\" cannot stand inside section x"     },
    };
    struct conf_try t;

    (void)state;
    try_begin(&t);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(try_read(&t, rows[i].text));
        assert_true(try_has(&t, rows[i].line, rows[i].what));
    }
    try_end(&t);
}

/* What is right by itself and wrong together. */
static void test_meaning(void **state)
{
    static const struct broken rows[] = {
        {"",                                                                    0, "no listen section"                          },
        { "listen a { }",                                                       1, "no address"                                 },
        { "listen a { address = {\"*:1\"} }",                                   1, "TLS needs a certificate"                    },
        { "listen a { address = {\"*:1\"} tls = implicit }",                    1, "TLS needs a certificate"                    },
        { "listen a { address = {\"*:1\"} tls = none\n auth_needs_tls = yes }", 1, "nobody could log in"                        },
        { "listen a { address = {\"*:1\"} tls = none\n proxy = yes }",          2, "name the proxies"                           },
        { DOOR "tls { certificate = /c }",                                      2, "name the private key"                       },
        { DOOR "tls { key = /k }",                                              2, "name the certificate"                       },
        { DOOR "tls { client_crl = /k }",                                       2, "useless without client_ca"                  },
        { DOOR "certificate b { certificate = /c }",                            2, "name the private key"                       },
        { DOOR "certificate b { }",                                             2, "certificate and key are missing"            },
        { DOOR "mail { maildrop = \"mail/{user}\" }",                           2, "no absolute path"                           },
        { DOOR "greeting = \"[SYS/TEMP] x\"",                                   2, "clients would misread it"                   },
        { DOOR "greeting = \"<a@b>\"",                                          2, "clients would misread it"                   },
        { DOOR "hostname = \"a b\"",                                            2, "no host name"                               },
        { DOOR "auth { mechanisms = EXTERNAL }",                                2, "EXTERNAL needs client certificates"         },
        { DOOR "auth { throttle_exempt = {\"x\"} }",                            2, "\"x\" is no network"                        },
        { DOOR "users { default_domain = \"a@b\" }",                            2, "no domain"                                  },
        { DOOR "pop3 { language = tlh }",                                       2, "\"tlh\" is not spoken here; choose among en"},
    };
    struct conf_try t;

    (void)state;
    try_begin(&t);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(try_read(&t, rows[i].text));
        assert_true(try_has(&t, rows[i].line, rows[i].what));
    }
    try_end(&t);
}

static void test_values(void **state)
{
    struct conf_try t;

    (void)state;
    try_begin(&t);
    assert_true(try_read(&t, DOOR "mail { expire = 0 lock_wait = 250ms }\n"
                                  "auth { timeout = \"1m\" login_delay = 3600 throttle = off }\n"
                                  "limits { drain = 1h } # comment\n"
                                  "// another\nlog { level = 'debug' }\n"
                                  "listen y { address = \"127.0.0.1:1\" tls = NONE trusted = {}\n"
                                  " address += {\"127.0.0.1:2\", \"127.0.0.1:3\"} idle = 2h }\n"));
    assert_int_equal(t.conf->mail.expire_days, 0);
    assert_int_equal(t.conf->mail.lock_wait_ms, 250);
    assert_int_equal(t.conf->auth.timeout_s, 60);
    assert_int_equal(t.conf->auth.login_delay_s, 3600);
    assert_false(t.conf->auth.throttle);
    assert_int_equal(t.conf->limits.drain_s, 3600);
    assert_int_equal(t.conf->log.level, CONF_LOG_DEBUG);
    assert_int_equal(t.conf->listen[1].trusted.n, 0);
    assert_int_equal(t.conf->listen[1].address.n, 3);
    assert_string_equal(t.conf->listen[1].address.v[2], "127.0.0.1:3");
    assert_int_equal(t.conf->listen[1].idle_s, 7200);
    assert_true(try_read(&t, DOOR "mail { expire = never }"));
    assert_int_equal(t.conf->mail.expire_days, UINT32_MAX);
    assert_true(try_read(&t, DOOR "mail { expire = 30d }"));
    assert_int_equal(t.conf->mail.expire_days, 30);
    try_end(&t);
}

/* Paths count from the folder of the file; what is included counts from the file that includes it. */
static void test_include(void **state)
{
    struct conf_try t;
    char path[120], want[200];

    (void)state;
    try_begin(&t);
    snprintf(path, sizeof path, "%s/more.conf", t.folder);
    try_write(path, "mail { create = no }\nlog { level = debug }\n");
    assert_true(try_read(&t, DOOR "include(\"more.conf\")\n"));
    assert_false(t.conf->mail.create);
    snprintf(want, sizeof want, "%s/users", t.folder);
    assert_string_equal(t.conf->users.file, want);
    assert_false(try_read(&t, DOOR "include(\"more.conf\")\ninclude(\"more.conf\")\nbogus = 1"));
    assert_true(try_has(&t, 3, "included a second time"));
    assert_true(try_has(&t, 4, "unknown setting \"bogus\""));
    try_write(path, "mail { create = no\n create = perhaps }\nlog { level = noisy }\n");
    assert_false(try_read(&t, DOOR "include(\"more.conf\")\ninclude(\"gone.conf\")"));
    assert_int_equal(try_lines(&t), 3);
    assert_non_null(strstr(t.report, "more.conf:2: mail.create: set twice"));
    assert_non_null(strstr(t.report, "more.conf:3: log.level: \"noisy\""));
    assert_non_null(strstr(t.report, "gone.conf: cannot be read: No such file"));
    try_write(path, "include(\"restante.conf\")");
    assert_false(try_read(&t, DOOR "include(\"more.conf\")"));
    assert_non_null(strstr(t.report, "included a second time"));
    unlink(path);
    try_end(&t);
}

static void test_unreadable(void **state)
{
    struct buf report = BUF(4096);
    struct conf *conf = NULL;

    (void)state;
    assert_false(conf_read("/nonexistent/restante.conf", &conf, &report));
    assert_null(conf);
    assert_true(buf_put(&report, "", 1));
    assert_non_null(strstr((char *)report.p, "/nonexistent/restante.conf: cannot be read"));
    buf_free(&report);
}

/* What "config show" prints is a configuration file that says the same. */
static void test_show_is_a_file(void **state)
{
    struct buf shown = BUF(1 << 20), first = BUF(1 << 20), second = BUF(1 << 20);
    struct conf_try t;
    char *text;

    (void)state;
    try_begin(&t);
    for (int changed = 0; changed < 2; changed++) {
        assert_true(try_read(&t, example));
        assert_true(conf_put_text(t.conf, &first));
        assert_true(conf_show(t.conf, changed, &shown));
        text = mem_strn(buf_span(&shown));
        assert_true(try_read(&t, text));
        assert_true(conf_put_text(t.conf, &second));
        assert_true(span_eq(buf_span(&first), buf_span(&second)));
        free(text);
        buf_free(&shown);
        buf_free(&first);
        buf_free(&second);
    }
    try_end(&t);
}

/* The file for new administrators has no faults. */
static void test_sample(void **state)
{
    struct buf sample = BUF(1 << 20);
    struct conf_try t;
    char *text;

    (void)state;
    try_begin(&t);
    assert_true(conf_sample(&sample));
    text = mem_strn(buf_span(&sample));
    assert_true(try_read(&t, text));
    assert_string_equal(t.report, "");
    assert_int_equal(t.conf->nlisten, 2);
    free(text);
    buf_free(&sample);
    try_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),        cmocka_unit_test(test_all_faults),
        cmocka_unit_test(test_broken_grammar), cmocka_unit_test(test_meaning),
        cmocka_unit_test(test_values),         cmocka_unit_test(test_include),
        cmocka_unit_test(test_unreadable),     cmocka_unit_test(test_show_is_a_file),
        cmocka_unit_test(test_sample),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
