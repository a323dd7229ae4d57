/* test_sink_peers.c - an LMTP server and a command as destinations: what they get, and what each answer means.
 *
 * The LMTP server is a child process with a script of replies, honest or hostile.
 * Proves: XCL-04, XCL-08
 * Does not know: files of mail.
 */
#include "test_sink_help.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define HELLO "220 hi\r\n", "250-me\r\n250-SIZE\r\n250 8BITMIME\r\n"
#define HANG "hang"
#define HUGE_LINE "huge line"
#define HUGE_REPLY "huge reply"

enum { STEPS = 24 };

static const char text[] = "Subject: x\r\n\r\n.\r\n..a\r\nb\n.\r\nc\xff\r\n";
static const char stuffed[] = "Subject: x\r\n\r\n..\r\n...a\r\nb\r\n..\r\nc\xff\r\n.\r\n";

static bool put_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);

        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

static bool answer(int fd, const char *reply)
{
    static char many[70000];
    char octet;

    if (strcmp(reply, HANG) == 0) {
        while (read(fd, &octet, 1) > 0)
            continue;
        return false;
    }
    if (strcmp(reply, HUGE_LINE) == 0) {
        memset(many, '2', sizeof many);
        return put_all(fd, many, sizeof many);
    }
    if (strcmp(reply, HUGE_REPLY) == 0) {
        for (size_t i = 0; i + 10 <= sizeof many; i += 10)
            memcpy(many + i, "250-abcd\r\n", 10);
        return put_all(fd, many, sizeof many) && put_all(fd, many, sizeof many);
    }
    return put_all(fd, reply, strlen(reply));
}

/* A command line, or after 354 the message with its end. Everything goes to the transcript. */
static bool listen_to(int fd, int transcript, bool is_message)
{
    char tail[5] = "\0\0\0\r\n";
    char octet;

    for (;;) {
        if (read(fd, &octet, 1) != 1 || write(transcript, &octet, 1) != 1)
            return false;
        memmove(tail, tail + 1, 4);
        tail[4] = octet;
        if (is_message ? memcmp(tail, "\r\n.\r\n", 5) == 0 : octet == '\n')
            return true;
    }
}

static void serve(int listener, int transcript, const char *const *script)
{
    int fd = accept(listener, NULL, NULL);
    bool is_message = false;

    for (int i = 0; fd >= 0 && script[i]; i++) {
        if (i && !listen_to(fd, transcript, is_message))
            break;
        is_message = strncmp(script[i], "354", 3) == 0;
        if (!answer(fd, script[i]))
            break;
    }
    close(fd);
    _exit(0);
}

struct server {
    pid_t pid;
    struct desk d;
};

static void server_start(struct server *v, const char *const *script)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    char path[300];
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), transcript;

    desk_new(&v->d, SINK_LMTP, "");
    snprintf(v->d.target, sizeof v->d.target, "%s/lmtp", v->d.box.root);
    memcpy(sa.sun_path, v->d.target, strlen(v->d.target) + 1);
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(listen(listener, 4), 0);
    snprintf(path, sizeof path, "%s/seen", v->d.box.root);
    transcript = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    v->pid = fork();
    if (v->pid == 0)
        serve(listener, transcript, script);
    assert_true(v->pid > 0);
    close(listener);
    close(transcript);
    v->d.conf.recipient = "me@example.org";
    v->d.conf.sender = "you@example.org";
}

static void server_stop(struct server *v)
{
    int status;

    assert_int_equal(waitpid(v->pid, &status, 0), v->pid);
    assert_int_equal(status, 0);
    desk_free(&v->d);
}

/* Delivers a batch of n and returns the results as letters: D, T, R. */
static const char *deliver(struct desk *d, int n, char letters[8])
{
    struct sink_item items[4] = { 0 };
    struct err e = { 0 };
    struct sink *s = desk_open(d);

    for (int i = 0; i < n; i++) {
        must(desk_spool(d, s, &items[i], span_of(text, sizeof text - 1), 3, &e), &e);
        if (i)
            items[i - 1].next = &items[i];
    }
    sink_commit(s, items);
    for (int i = 0; i < n; i++) {
        assert_null(items[i].state);
        assert_int_equal(items[i].err.text[0] == '\0', items[i].result == SINK_DELIVERED);
        for (const char *p = items[i].err.text; *p; p++) /* nothing of the server steers a terminal */
            assert_true((uint8_t)*p >= ' ' && *p != 0x7f);
        letters[i] = "-DTR"[items[i].result];
    }
    letters[n] = '\0';
    assert_false(sink_is_exact(s));
    assert_int_equal(box_files(&d->box, "../spool/home"), 0);
    sink_close(&s);
    return letters;
}

static void what_an_lmtp_server_gets(void **state)
{
    static const char *const script[] = { HELLO,
                                          "250 ok\r\n",
                                          "250 ok\r\n",
                                          "354 go\r\n",
                                          "250 kept\r\n",
                                          "250 ok\r\n",
                                          "250\r\n",
                                          "354 go\r\n",
                                          "250-a\r\n250 kept\r\n",
                                          "221 bye\r\n",
                                          NULL };
    struct server v;
    struct buf seen, wanted = BUF(4096);
    struct span rest;
    char letters[8], mail[200];

    (void)state;
    server_start(&v, script);
    assert_string_equal(deliver(&v.d, 2, letters), "DD");
    snprintf(mail, sizeof mail, "%s/seen", v.d.box.root);
    seen = file_of(mail);
    rest = buf_span(&seen);
    assert_memory_equal(span_until(&rest, '\n').p, "LHLO ", 5);
    snprintf(mail, sizeof mail,
             "MAIL FROM:<you@example.org> SIZE=%zu BODY=8BITMIME\r\nRCPT TO:<me@example.org>\r\n",
             sizeof text - 1);
    for (int i = 0; i < 2; i++)
        assert_true(buf_put_str(&wanted, mail) && buf_put_str(&wanted, "DATA\r\n") &&
                    buf_put_str(&wanted, stuffed));
    assert_true(buf_put_str(&wanted, "QUIT\r\n"));
    assert_octets(rest, buf_span(&wanted));
    buf_free(&wanted);
    buf_free(&seen);
    server_stop(&v);
}

struct talk {
    const char *results;
    const char *script[STEPS];
};

static void what_answers_mean(void **state)
{
    static const struct talk rows[] = {
        {"DRD",
         { HELLO, "250 a\r\n", "250 b\r\n", "354 c\r\n", "250 d\r\n", "250 a\r\n", "250 b\r\n", "354 c\r\n",
            "554 spam\r\n", "250 a\r\n", "250 b\r\n", "354 c\r\n", "250 d\r\n", "221 x\r\n" }},
        { "RDT",
         { HELLO, "250 a\r\n", "550 who\r\n", "250 reset\r\n", "250 a\r\n", "250 b\r\n", "354 c\r\n", "250 d\r\n",
            "452 full\r\n", "250 reset\r\n", "221 x\r\n" }                                   },
        { "TD",
         { HELLO, "250 a\r\n", "250 b\r\n", "354 c\r\n", "451 later\r\n", "250 a\r\n", "250 b\r\n", "354 c\r\n",
            "250 d\r\n", "221 x\r\n" }                                                       },
        { "TT",  { "554 go away\r\n" }                                                       },
        { "TT",  { "220 hi\r\n", "500 what\r\n" }                                            },
        { "TT",  { HELLO, "334 \r\n" }                                                       },
        { "TT",  { HELLO, "250 a\r\n", "250 b\r\n", "250 not 354\r\n" }                      },
        { "TT",  { HELLO, "250 a\r\n", "250 b\r\n", "334 \r\n", "250 no\r\n" }               },
        { "TT",  { HELLO, "250 a\r\n", "250 b\r\n", "354 c\r\n" }                            }, /* closes */
        { "TT",  { HELLO, "250 a\r\n", "250 b\r\n", "354 c\r\n", "\r\n" }                    },
        { "TT",  { HELLO, "250 a\r\n", "250 b\r\n", "354 c\r\n", "25\r\n" }                  },
        { "TT",  { HELLO, "250 a\r\n", "250 b\r\n", "354 c\r\n", "250-x\r\n550 y\r\n" }      },
        { "TT",  { HELLO, "250 a\r\n", "250 b\r\n", "354 c\r\n", "2500 y\r\n" }              },
        { "TT",  { HELLO, "250 a\r\n", "250 b\r\n", "354 c\r\n", "\x1b[2J250 y\r\n" }        },
        { "TT",  { HELLO, "250 a\r\n", "250 b\r\n", "354 c\r\n", "350 y\x1b[2J\r\n" }        },
        { "TT",  { HELLO, HUGE_LINE }                                                        },
        { "TT",  { HELLO, HUGE_REPLY }                                                       },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct server v;
        char letters[8];

        server_start(&v, rows[i].script);
        assert_string_equal(deliver(&v.d, (int)strlen(rows[i].results), letters), rows[i].results);
        server_stop(&v);
    }
}

static void a_server_that_hangs(void **state)
{
    static const struct talk rows[] = {
        {"T",   { HANG }                                              },
        { "TT", { HELLO, "250 a\r\n", "250 b\r\n", "354 c\r\n", HANG }},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct server v;
        char letters[8];

        server_start(&v, rows[i].script);
        v.d.conf.timeout_s = 1;
        assert_string_equal(deliver(&v.d, (int)strlen(rows[i].results), letters), rows[i].results);
        server_stop(&v);
    }
}

static void no_server_and_bad_addresses(void **state)
{
    static const char *const bad[] = { "", "a b@example.org", "a>@example.org", "a\r\nDATA", NULL };
    struct desk d;
    char letters[8];

    (void)state;
    desk_new(&d, SINK_LMTP, "127.0.0.1:1");
    d.conf.recipient = "me";
    assert_string_equal(deliver(&d, 2, letters), "TT");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sink *s = NULL;
        struct err e = { 0 };

        d.conf.recipient = bad[i];
        assert_false(sink_open(&d.conf, no_note, NULL, &s, &e));
        assert_int_equal(e.fault, FAULT_BAD);
    }
    desk_free(&d);
}

/* The message is whole on standard input, which is all it has of ours; the environment says what it may. */
static void what_a_command_gets(void **state)
{
    struct desk d;
    struct buf got;
    char letters[8], path[300], root[100];

    (void)state;
    desk_new(&d, SINK_COMMAND, "");
    snprintf(root, sizeof root, "%.99s", d.box.root);
    snprintf(d.target, sizeof d.target,
             "cat > '%s/got'; echo \"$RESTANTE_ACCOUNT $RESTANTE_RECIPIENT $RESTANTE_SENDER $RESTANTE_SIZE "
             "$RESTANTE_OTHER\" >> '%s/got'; ls -l /proc/self/fd | grep -c spool/home >> '%s/got'",
             root, root, root);
    d.conf.recipient = "me@example.org";
    d.conf.sender = "$(touch x)";
    d.conf.crlf = true;
    assert_int_equal(setenv("RESTANTE_OTHER", "of the parent", 1), 0);
    assert_string_equal(deliver(&d, 1, letters), "D");
    unsetenv("RESTANTE_OTHER");
    snprintf(path, sizeof path, "%s/got", d.box.root);
    got = file_of(path);
    assert_true(got.n > sizeof text);
    assert_memory_equal(got.p, text, sizeof text - 1);
    snprintf(path, sizeof path, "home me@example.org $(touch x) %zu \n1\n", sizeof text - 1);
    assert_octets(span_of(got.p + sizeof text - 1, got.n - sizeof text + 1), span_str(path));
    buf_free(&got);
    desk_free(&d);
}

static void exit_codes(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code += code < 130 ? 1 : 25) {
        bool is_temp = code == 71 || code == 73 || code == 74 || code == 75 || code == 126 || code == 127;
        struct desk d;
        char command[40], letters[8];

        snprintf(command, sizeof command, "exit %d", code);
        desk_new(&d, SINK_COMMAND, command);
        assert_string_equal(deliver(&d, 1, letters), code == 0 ? "D" : is_temp ? "T" : "R");
        desk_free(&d);
    }
}

static void other_ends_of_a_command(void **state)
{
    static const char *const commands[] = { "kill -9 $$", "kill -15 $$", "/no/such/command" };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct desk d;
        char letters[8];

        desk_new(&d, SINK_COMMAND, commands[i]);
        assert_string_equal(deliver(&d, 1, letters), "T");
        desk_free(&d);
    }
}

/* Its whole process group ends: nothing holds the write end of the pipe any more. */
static void a_command_that_takes_too_long(void **state)
{
    struct desk d;
    char letters[8], octet;
    int held[2];

    (void)state;
    assert_int_equal(pipe(held), 0); /* not close-on-exec, for this once */
    desk_new(&d, SINK_COMMAND, "trap '' TERM; sleep 1000 & sleep 1000; sleep 1000");
    d.conf.timeout_s = 1;
    assert_string_equal(deliver(&d, 1, letters), "T");
    close(held[1]);
    assert_int_equal(read(held[0], &octet, 1), 0);
    close(held[0]);
    desk_free(&d);
}

/* At least once: after a crash it is not known, and the spool is cleaned. */
static void recovery_does_not_know(void **state)
{
    struct sink_item item;
    struct err e = { 0 };
    struct desk d;
    struct sink *s;
    bool stored = true;

    (void)state;
    desk_new(&d, SINK_COMMAND, "cat > /dev/null");
    s = desk_open(&d);
    must(desk_spool(&d, s, &item, span_str("x\r\n"), 3, &e), &e);
    must(sink_recover(s, &item.entry, &stored, &e), &e);
    assert_false(stored);
    assert_int_equal(box_files(&d.box, "../spool/home"), 0);
    sink_discard(s, &item);
    sink_close(&s);
    desk_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_lmtp_server_gets), cmocka_unit_test(what_answers_mean),
        cmocka_unit_test(a_server_that_hangs),      cmocka_unit_test(no_server_and_bad_addresses),
        cmocka_unit_test(what_a_command_gets),      cmocka_unit_test(exit_codes),
        cmocka_unit_test(other_ends_of_a_command),  cmocka_unit_test(a_command_that_takes_too_long),
        cmocka_unit_test(recovery_does_not_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
