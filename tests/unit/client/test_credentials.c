/* test_credentials.c - where passwords and tokens come from, and what is refused.
 *
 * Proves: C-28, C-38, R7628-10, XCL-10
 */
#include "settings_help.h"

#include "base/ask.h"
#include "client/credentials.h"
#include "client/netrc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    struct account a;
    char *file, *netrc;
};

static char empty[] = "";

static void begin(struct fixture *f, const char *dir)
{
    *f = (struct fixture){ 0 };
    f->a = (struct account){ .name = (char *)"work",
                             .user = (char *)"me",
                             .host = (char *)"h.example",
                             .password = empty,
                             .password_command = empty,
                             .password_file = empty,
                             .token_command = empty };
    assert_true(asprintf(&f->file, "%s/secret", dir) > 0);
    assert_true(asprintf(&f->netrc, "%s/.netrc", dir) > 0);
    assert_int_equal(setenv("HOME", dir, 1), 0);
}

static void end(struct fixture *f)
{
    free(f->file);
    free(f->netrc);
}

/* The secret, or NULL and the error's text in why. */
static const char *password(struct fixture *f, char *why)
{
    static char text[1100];
    struct buf secret = BUF(1024);
    struct err e = { 0 };

    if (!credentials_password(&f->a, &secret, &e)) {
        snprintf(why, sizeof e.text, "%s", e.text);
        buf_wipe(&secret);
        return NULL;
    }
    snprintf(text, sizeof text, "%.*s", (int)secret.n, (const char *)secret.p);
    buf_wipe(&secret);
    return text;
}

static void order(void **state)
{
    char why[400];
    struct fixture f;

    begin(&f, *state);
    assert_null(password(&f, why));
    assert_non_null(strstr(why, "there is no password, and no terminal"));
    write_text(f.netrc, "machine h.example login me password from-netrc\n", 0600);
    assert_null(password(&f, why)); /* nobody said to look there */
    f.a.netrc = true;
    assert_string_equal(password(&f, why), "from-netrc");
    write_text(f.file, "from-file\nsecond line\n", 0600);
    f.a.password_file = f.file;
    assert_string_equal(password(&f, why), "from-file");
    f.a.password_command = (char *)"echo from-command; echo more";
    assert_string_equal(password(&f, why), "from-command");
    f.a.password = (char *)"from-config";
    assert_string_equal(password(&f, why), "from-config");
    end(&f);
}

static void modes(void **state)
{
    static const mode_t bad[] = { 0644, 0640, 0604, 0660, 0620, 0610 };
    char why[400];
    struct fixture f;

    begin(&f, *state);
    write_text(f.file, "x\n", 0600);
    write_text(f.netrc, "default password x\n", 0600);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        f.a.password_file = f.file;
        assert_int_equal(chmod(f.file, bad[i]), 0);
        assert_null(password(&f, why));
        assert_non_null(strstr(why, "chmod 600"));
        f.a.password_file = empty;
        f.a.netrc = true;
        assert_int_equal(chmod(f.netrc, bad[i]), 0);
        assert_null(password(&f, why));
        assert_non_null(strstr(why, "chmod 600"));
    }
    f.a.password_file = (char *)"/dev/null";
    assert_null(password(&f, why));
    end(&f);
}

static void odd_contents(void **state)
{
    char why[400], longest[1200];
    struct fixture f;

    begin(&f, *state);
    f.a.password_file = f.file;
    write_text(f.file, "pass word\r\nrest", 0600);
    assert_string_equal(password(&f, why), "pass word");
    write_text(f.file, "no end", 0600);
    assert_string_equal(password(&f, why), "no end");
    write_text(f.file, "a\rb\n", 0600);
    assert_null(password(&f, why));
    write_text(f.file, "\nsecond\n", 0600);
    assert_null(password(&f, why));
    write_text(f.file, "", 0600);
    assert_null(password(&f, why));
    memset(longest, 'x', sizeof longest);
    longest[1024] = '\0';
    write_text(f.file, longest, 0600);
    assert_int_equal(strlen(password(&f, why)), 1024);
    longest[1024] = 'x';
    longest[1025] = '\0';
    write_text(f.file, longest, 0600);
    assert_null(password(&f, why));
    f.a.password_file = empty;
    f.a.password_command = (char *)"printf 'a\\000b\\n'";
    assert_null(password(&f, why));
    assert_non_null(strstr(why, "NUL"));
    end(&f);
}

static void commands(void **state)
{
    char why[400];
    struct fixture f;

    begin(&f, *state);
    f.a.password_command = (char *)"echo $RESTANTE_ACCOUNT $RESTANTE_USER $RESTANTE_HOST";
    assert_string_equal(password(&f, why), "work me h.example");
    f.a.password_command = (char *)"echo secret; exit 3";
    assert_null(password(&f, why));
    assert_string_equal(why, "password-command fails with exit code 3");
    f.a.password_command = (char *)"kill -9 $$";
    assert_null(password(&f, why));
    assert_string_equal(why, "password-command is ended by signal 9");
    f.a.password_command = (char *)"yes";
    assert_null(password(&f, why));
    assert_non_null(strstr(why, "prints more than 65536 octets"));
    f.a.password_command = (char *)"true";
    assert_null(password(&f, why));
    end(&f);
}

static void tokens(void **state)
{
    struct buf token = BUF(4096);
    struct err e = { 0 };
    struct fixture f;

    begin(&f, *state);
    assert_false(credentials_token(&f.a, false, &token, &e));
    f.a.token_command = (char *)"echo \"tok${RESTANTE_TOKEN:+-$RESTANTE_TOKEN}\"";
    assert_true(credentials_token(&f.a, false, &token, &e));
    assert_true(span_is(buf_span(&token), "tok"));
    token.n = 0;
    assert_true(credentials_token(&f.a, true, &token, &e));
    assert_true(span_is(buf_span(&token), "tok-fresh"));
    buf_wipe(&token);
    end(&f);
}

static void netrc(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: not found; "!": malformed */
    } rows[] = {
        {"",                                                                               NULL       },
        { "machine h.example login me password p",                                         "p"        },
        { "machine H.EXAMPLE\n\tlogin me\n\tpassword p\n",                                 "p"        },
        { "machine h.example password p login me",                                         "p"        },
        { "machine h.example password any",                                                "any"      },
        { "machine other login me password x machine h.example login you password y "
          "machine h.example login me password p",                                "p"        },
        { "machine h.example login you password y",                                        NULL       },
        { "machine h.example login me machine x login me password y",                      NULL       },
        { "default login me password d",                                                   "d"        },
        { "machine h.example login me password p default password d",                      "p"        },
        { "machine x login me password y default password d",                              "d"        },
        { "machine h.example login me password \"a b \\\"c\\\\\"",                         "a b \"c\\"},
        { "machine h.example login me password \"\"",                                      ""         },
        { "# comment machine h.example\nmachine h.example login me password p # trailing", "p"        },
        { "machine h.example login me password p#q",                                       "p#q"      },
        { "macdef init\ncd /x\npassword no\n\nmachine h.example login me password p",      "p"        },
        { "machine h.example login me account a password p",                               "p"        },
        { "machine",                                                                       "!"        },
        { "login me password p",                                                           "!"        },
        { "machine h.example frobnicate x",                                                "!"        },
        { "machine h.example login me password \"open",                                    "!"        },
    };
    struct buf secret = BUF(200);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = { 0 };
        bool ok = netrc_password(span_str(rows[i].text), "h.example", "me", &secret, &e);
        bool malformed = rows[i].want && strcmp(rows[i].want, "!") == 0;

        if (ok != (rows[i].want && !malformed))
            fail_msg("%s: %s", rows[i].text, e.text);
        if (ok)
            assert_true(span_is(buf_span(&secret), rows[i].want));
        else
            assert_int_equal(e.fault, malformed ? FAULT_BAD : FAULT_GONE);
    }
    buf_wipe(&secret);
}

/* Types on a terminal of its own, and hangs up when told. */
static bool typed(const char *keys, bool hang_up, struct buf *secret, struct err *e)
{
    int keyboard = posix_openpt(O_RDWR | O_NOCTTY), screen, out = open("/dev/null", O_WRONLY);
    bool ok;

    assert_true(keyboard >= 0 && out >= 0 && grantpt(keyboard) == 0 && unlockpt(keyboard) == 0);
    screen = open(ptsname(keyboard), O_RDWR | O_NOCTTY);
    assert_true(screen >= 0);
    pid_t pid = fork();

    if (pid == 0) { /* asking throws away what was typed before: type until it is read */
        close(screen);
        for (int i = 0; i < 20; i++) {
            usleep(100000);
            if (write(keyboard, keys, strlen(keys)) < 0 || hang_up)
                break;
        }
        _exit(0);
    }
    close(keyboard);
    ok = ask_secret(screen, out, "? ", secret, e);
    close(screen);
    close(out);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return ok;
}

static void keyboard(void **state)
{
    struct buf secret = BUF(100);
    struct err e = { 0 };

    (void)state;
    assert_true(typed("ab\b\bgeheim\n", false, &secret, &e));
    assert_true(span_is(buf_span(&secret), "geheim"));
    secret.n = 0;
    assert_false(typed("ab\003", false, &secret, &e));
    secret.n = 0;
    assert_false(typed("half", true, &secret, &e)); /* half a password is none */
    buf_wipe(&secret);
}

#define in_folder(f) cmocka_unit_test_setup_teardown(f, state_folder, state_no_folder)

/* Without a terminal nobody is asked, and no test waits. */
static void leave_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR);

    if (fd >= 0) {
        ioctl(fd, TIOCNOTTY);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(order),    in_folder(modes),  in_folder(odd_contents),
        in_folder(commands), in_folder(tokens), cmocka_unit_test(netrc), cmocka_unit_test(keyboard),
    };

    leave_terminal();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
