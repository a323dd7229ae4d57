/* test_sink_mbox.c - an mbox folder as destination: its octets, quoting, locks, and halves that a crash left.
 *
 * Proves: MBOX-13, R5322-05, R5322-01
 * Does not know: crashes at every call (test_sink_crash.c).
 */
#include "test_sink_help.h"

#include "base/sys.h"

#include <signal.h>
#include <sys/wait.h>

enum { HEAD = 44 }; /* octets of the From_ line */

/* mboxrd back to the message: the From_ line and the empty line go, and one '>' of each quoted line. */
static struct buf unquoted(struct span region, const char *eol)
{
    struct buf out = BUF(1 << 20);
    bool ok = true;

    span_until(&region, '\n');
    assert_true(region.n >= strlen(eol));
    region.n -= strlen(eol);
    while (region.n) {
        bool has_end = memchr(region.p, '\n', region.n) != NULL;
        struct span line = span_until(&region, '\n');
        size_t marks = 0;

        while (marks < line.n && line.p[marks] == '>')
            marks++;
        assert_false(marks == 0 && line.n >= 5 && memcmp(line.p, "From ", 5) == 0);
        if (marks && line.n - marks >= 5 && memcmp(line.p + marks, "From ", 5) == 0)
            span_take(&line, 1);
        ok = ok && buf_put_span(&out, line) && (!has_end || buf_put_str(&out, "\n"));
    }
    assert_true(ok);
    return out;
}

static void there_and_back(struct span wire, size_t step, bool crlf)
{
    struct sink_item item;
    struct err e = { 0 };
    struct desk d;
    struct sink *s;
    struct buf all, back, wanted = BUF(1 << 20);

    desk_new(&d, SINK_MBOX, NULL);
    d.conf.crlf = crlf;
    s = desk_open(&d);
    must(desk_spool(&d, s, &item, wire, step, &e), &e);
    sink_commit(s, &item);
    assert_int_equal(item.result, SINK_DELIVERED);
    all = file_of(d.target);
    assert_memory_equal(all.p, "From MAILER-DAEMON ", 19);
    assert_int_equal((uint8_t *)memchr(all.p, '\n', all.n) - all.p, HEAD - 1 + crlf);
    assert_memory_equal(all.p + all.n - 2, crlf ? "\r\n" : "\n\n", 2);
    assert_digest(item.entry.stored_digest, buf_span(&all));
    assert_digest(item.entry.wire_digest, wire);
    back = unquoted(buf_span(&all), crlf ? "\r\n" : "\n");
    for (size_t i = 0; i < wire.n; i++)
        if (crlf || wire.p[i] != '\r' || i + 1 == wire.n || wire.p[i + 1] != '\n')
            assert_true(buf_put(&wanted, wire.p + i, 1));
    if (wanted.n && wanted.p[wanted.n - 1] != '\n') /* a lone CR at the end cannot come from a server */
        assert_true(buf_put_str(&wanted, crlf ? "\r\n" : "\n"));
    assert_octets(buf_span(&back), buf_span(&wanted));
    must(sink_verify(s, &item.entry, &e), &e);
    buf_free(&wanted);
    buf_free(&back);
    buf_free(&all);
    sink_close(&s);
    desk_free(&d);
}

static void quoting_there_and_back(void **state)
{
    static const char wire[] =
        "From x\r\nSubject: y\r\n\r\nFrom a\r\n>From b\r\n>>From c\r\nFrom\r\nFro\r\n>Fro\r\n From d\r\n"
        ">\r\n> From e\r\nFromage\r\nFFrom f\r\n\r\nFrom ";
    struct fixture f[FIXTURES];

    (void)state;
    fixtures_make(f);
    for (int crlf = 0; crlf < 2; crlf++) {
        for (size_t step = 1; step < sizeof wire; step++)
            there_and_back(span_of(wire, sizeof wire - 1), step, crlf);
        for (int i = 0; i < FIXTURES; i++) {
            struct buf b = wire_of(f[i].content);

            if (b.n)
                there_and_back(buf_span(&b), 1 + (size_t)i * 13, crlf);
            buf_free(&b);
        }
    }
    fixtures_free(f);
}

/* A folder that does not end in an empty line gets one first; nothing of it changes. */
static void behind_what_is_there(void **state)
{
    static const struct {
        const char *old, *gap;
    } rows[] = {
        {"",                   ""    },
        { "From a x\n\nb\n\n", ""    },
        { "From a x\n\nb\n",   "\n"  },
        { "From a x\n\nb",     "\n\n"},
        { "\n",                ""    },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sink_item item;
        struct desk d;
        struct sink *s;
        struct buf all;
        size_t old = strlen(rows[i].old), gap = strlen(rows[i].gap);

        desk_new(&d, SINK_MBOX, NULL);
        box_put_str(&d.box, "../inbox", rows[i].old);
        s = desk_open(&d);
        assert_int_equal(desk_deliver(&d, s, &item, "A: b\r\n\r\nc\r\n"), SINK_DELIVERED);
        all = file_of(d.target);
        assert_int_equal(all.n, old + gap + HEAD + 9);
        assert_memory_equal(all.p, rows[i].old, old);
        assert_memory_equal(all.p + old, rows[i].gap, gap);
        assert_memory_equal(all.p + old + gap, "From MAILER-DAEMON ", 19);
        assert_memory_equal(all.p + all.n - 9, "A: b\n\nc\n\n", 9);
        buf_free(&all);
        sink_close(&s);
        desk_free(&d);
    }
}

/* Somebody else holds a lock and appends under it: we come behind. */
static int hold_and_append(void *ctx)
{
    struct desk *d = ((void **)ctx)[0];
    int *ready = ((void **)ctx)[1];
    bool dot = ((void **)ctx)[2] != NULL;
    char lock[600];
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd = open(d->target, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600), dot_fd = -1;

    snprintf(lock, sizeof lock, "%s.lock", d->target);
    if (dot)
        dot_fd = open(lock, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    else if (fcntl(fd, F_SETLK, &all) != 0)
        return 1;
    if (write(ready[1], "x", 1) != 1)
        return 1;
    usleep(150000);
    if (write(fd, "From a x\n\nfirst\n", 16) != 16 || write(fd, "\n", 1) != 1)
        return 1;
    if (dot)
        unlink(lock);
    close(dot_fd);
    close(fd);
    return 0;
}

static void locks_of_others_are_waited_for(void **state)
{
    (void)state;
    for (int dot = 0; dot < 2; dot++) {
        struct sink_item item;
        struct desk d;
        struct sink *s;
        struct buf all;
        int ready[2], status;
        void *ctx[] = { &d, ready, dot ? &d : NULL };
        char octet;
        pid_t pid;

        desk_new(&d, SINK_MBOX, NULL);
        s = desk_open(&d);
        assert_int_equal(pipe(ready), 0);
        pid = fork();
        if (pid == 0)
            _exit(hold_and_append(ctx));
        assert_int_equal(read(ready[0], &octet, 1), 1);
        assert_int_equal(desk_deliver(&d, s, &item, "A: b\r\n\r\nc\r\n"), SINK_DELIVERED);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        all = file_of(d.target);
        assert_int_equal(all.n, 17 + HEAD + 9);
        assert_memory_equal(all.p, "From a x\n\nfirst\n\nFrom MAILER-DAEMON ", 17 + 19);
        buf_free(&all);
        close(ready[0]);
        close(ready[1]);
        sink_close(&s);
        desk_free(&d);
    }
}

static bool bad_note(void *ctx, struct sink_item *items, struct err *e)
{
    (void)ctx, (void)items;
    return err_set(e, FAULT_TEMP, "no journal");
}

static void a_refused_note_leaves_the_folder_alone(void **state)
{
    struct sink_item item;
    struct err e = { 0 };
    struct desk d;
    struct sink *s;
    struct buf all;

    (void)state;
    desk_new(&d, SINK_MBOX, NULL);
    box_put_str(&d.box, "../inbox", "From a x\n\nb\n\n");
    must(sink_open(&d.conf, bad_note, NULL, &s, &e), &e);
    assert_int_equal(desk_deliver(&d, s, &item, "A: b\r\n"), SINK_TEMP);
    assert_string_equal(item.err.text, "no journal");
    all = file_of(d.target);
    assert_octets(buf_span(&all), span_str("From a x\n\nb\n\n"));
    buf_free(&all);
    sink_close(&s);
    desk_free(&d);
}

/* What a crash may leave behind the noted offset, and whether it is ours to take away. */
struct left {
    size_t keep;       /* octets of our region that are there */
    const char *other; /* what others appended */
    bool has_spool, has_zeros, wants_cut;
};

static void check_left(const struct left *row)
{
    static const char old[] = "From a x\n\nb\n\n", wire[] = "A: b\r\n\r\nlonger body\r\n";
    struct sink_item item;
    struct err e = { 0 };
    struct desk d;
    struct sink *s;
    struct buf all, region, wanted = BUF(4096);
    char path[600];
    bool stored;

    desk_new(&d, SINK_MBOX, NULL);
    box_put_str(&d.box, "../inbox", old);
    s = desk_open(&d);
    assert_int_equal(desk_deliver(&d, s, &item, wire), SINK_DELIVERED);
    all = file_of(d.target);
    region = (struct buf){ all.p + sizeof old - 1, all.n - sizeof old + 1, 0, 0 };
    if (row->has_spool) {
        snprintf(path, sizeof path, "../spool/home/%s", item.entry.name);
        box_put(&d.box, path, buf_span(&region));
    }
    if (row->has_zeros)
        memset(region.p, 0, region.n);
    assert_true(buf_put(&wanted, old, sizeof old - 1) && buf_put(&wanted, region.p, row->keep) &&
                buf_put_str(&wanted, row->other));
    box_put(&d.box, "../inbox", buf_span(&wanted));
    if (row->wants_cut)
        wanted.n = sizeof old - 1;
    buf_free(&all);
    must(sink_recover(s, &item.entry, &stored, &e), &e);
    assert_false(stored);
    all = file_of(d.target);
    assert_octets(buf_span(&all), buf_span(&wanted));
    buf_free(&all);
    buf_free(&wanted);
    sink_close(&s);
    desk_free(&d);
}

static void halves_are_cut_only_when_ours(void **state)
{
    static const struct left rows[] = {
        {0,   "",                             true,  false, false},
        { 1,  "",                             true,  false, true },
        { 60, "",                             true,  false, true },
        { 1,  "",                             false, false, true },
        { 30, "",                             false, false, true },
        { 60, "",                             false, false, true },
        { 60, "",                             false, true,  true },
        { 50, "\nFrom c\n\nd\n\n",            false, false, false},
        { 50, "\nFrom c\n\nd\n\n",            true,  false, false},
        { 0,  "From c x\n\nd\n\n",            false, false, false},
        { 0,  "From c x\n\nd\n\n",            true,  false, false},
        { 60, "From c, more than our region", true,  false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_left(&rows[i]);
}

/* The folder changed where the message was. */
static void verify_tells_gone_from_changed(void **state)
{
    struct sink_item item;
    struct err e = { 0 };
    struct desk d;
    struct sink *s;
    struct buf all;

    (void)state;
    desk_new(&d, SINK_MBOX, NULL);
    s = desk_open(&d);
    assert_int_equal(desk_deliver(&d, s, &item, "A: b\r\n\r\nc\r\n"), SINK_DELIVERED);
    must(sink_verify(s, &item.entry, &e), &e);
    all = file_of(d.target);
    all.p[all.n - 3] ^= 1;
    box_put(&d.box, "../inbox", buf_span(&all));
    assert_false(sink_verify(s, &item.entry, &e));
    assert_int_equal(e.fault, FAULT_BAD);
    box_put_str(&d.box, "../inbox", "");
    assert_false(sink_verify(s, &item.entry, &e));
    assert_int_equal(e.fault, FAULT_GONE);
    buf_free(&all);
    sink_close(&s);
    desk_free(&d);
}

static void a_link_is_no_folder(void **state)
{
    struct sink_item item;
    struct desk d;
    struct sink *s;
    char target[512];
    struct stat st;

    (void)state;
    desk_new(&d, SINK_MBOX, NULL);
    snprintf(target, sizeof target, "%s/victim", d.box.root);
    assert_int_equal(symlink(target, d.target), 0);
    s = desk_open(&d);
    assert_int_equal(desk_deliver(&d, s, &item, "A: b\r\n"), SINK_TEMP);
    assert_int_equal(lstat(target, &st), -1);
    sink_close(&s);
    desk_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoting_there_and_back),
        cmocka_unit_test(behind_what_is_there),
        cmocka_unit_test(locks_of_others_are_waited_for),
        cmocka_unit_test(a_refused_note_leaves_the_folder_alone),
        cmocka_unit_test(halves_are_cut_only_when_ours),
        cmocka_unit_test(verify_tells_gone_from_changed),
        cmocka_unit_test(a_link_is_no_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
