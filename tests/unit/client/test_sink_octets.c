/* test_sink_octets.c - what reaches a destination is what was sent: octets, line ends, digests, sizes, names, limits.
 *
 * Proves: R1939-RETR-11, R5322-01, R5322-02, XCL-12, XCL-05
 * Does not know: crashes (test_sink_crash.c), networks.
 */
#include "test_sink_help.h"

#include "base/num.h"

/* CRLF becomes LF and nothing else changes: written independently of the sink, one octet at a time. */
static struct buf stored_of(struct span wire, bool crlf)
{
    struct buf stored = BUF(1 << 20);

    for (size_t i = 0; i < wire.n; i++) {
        bool drop = !crlf && wire.p[i] == '\r' && i + 1 < wire.n && wire.p[i + 1] == '\n';

        if (!drop)
            assert_true(buf_put(&stored, wire.p + i, 1));
    }
    return stored;
}

static void check_one(struct desk *d, struct sink *s, struct span wire, size_t step)
{
    struct buf wanted = stored_of(wire, d->conf.crlf), got;
    struct sink_item item;
    struct err e = { 0 };
    char name[256], path[600];

    must(desk_spool(d, s, &item, wire, step, &e), &e);
    sink_commit(s, &item);
    assert_int_equal(item.result, SINK_DELIVERED);
    assert_int_equal(box_files(&d->box, "tmp"), 0);
    snprintf(path, sizeof path, "new/%s", only_file(&d->box, "new", name));
    got = box_read(&d->box, path);
    assert_octets(buf_span(&got), buf_span(&wanted));
    assert_int_equal(item.entry.octets, wire.n);
    assert_int_equal(item.entry.stored_octets, wanted.n);
    assert_digest(item.entry.wire_digest, wire);
    assert_digest(item.entry.stored_digest, buf_span(&wanted));
    must(sink_verify(s, &item.entry, &e), &e);
    snprintf(path, sizeof path, "%s/new/%s", d->box.path, name);
    assert_int_equal(unlink(path), 0);
    buf_free(&got);
    buf_free(&wanted);
}

static void fixtures_come_through_exactly(void **state)
{
    struct fixture f[FIXTURES];

    (void)state;
    fixtures_make(f);
    for (int crlf = 0; crlf < 2; crlf++) {
        struct desk d;
        struct sink *s;

        desk_new(&d, SINK_MAILDIR, NULL);
        d.conf.crlf = crlf;
        s = desk_open(&d);
        for (int i = 0; i < FIXTURES; i++) {
            struct buf wire = wire_of(f[i].content);

            assert_int_equal(wire.n, f[i].octets);
            if (wire.n < 1000)
                for (size_t step = 1; step <= wire.n + 1; step++)
                    check_one(&d, s, buf_span(&wire), step);
            else
                for (size_t step = 997; step < 200000; step *= 3)
                    check_one(&d, s, buf_span(&wire), step);
            buf_free(&wire);
        }
        sink_close(&s);
        desk_free(&d);
    }
    fixtures_free(f);
}

/* Lone CR and LF, NUL and 8-bit octets in every combination of five, cut everywhere. */
static void all_short_strings(void **state)
{
    static const uint8_t octets[] = { '\r', '\n', 'a', 0 };
    enum { LENGTH = 5, ALL = 1024 };
    struct desk d;
    struct sink *s;

    (void)state;
    desk_new(&d, SINK_MAILDIR, NULL);
    s = desk_open(&d);
    for (unsigned k = 0; k < ALL; k++) {
        uint8_t text[LENGTH];

        for (unsigned i = 0, rest = k; i < LENGTH; i++, rest /= 4)
            text[i] = octets[rest % 4];
        check_one(&d, s, span_of(text, LENGTH), 1 + k % LENGTH);
    }
    sink_close(&s);
    desk_free(&d);
}

static void sizes_in_the_name(void **state)
{
    struct sink_item item;
    struct desk d;
    struct sink *s;
    char name[256], wanted[300];

    (void)state;
    desk_new(&d, SINK_MAILDIR, NULL);
    d.conf.size_fields = true;
    s = desk_open(&d);
    assert_int_equal(desk_deliver(&d, s, &item, "Subject: x\r\n\r\nbody\r\n"), SINK_DELIVERED);
    snprintf(wanted, sizeof wanted, "%s,S=17,W=20", item.entry.name);
    assert_string_equal(only_file(&d.box, "new", name), wanted);
    must(sink_verify(s, &item.entry, &item.err), &item.err);
    sink_close(&s);
    desk_free(&d);
}

static void one_received_line_if_wanted(void **state)
{
    static const char wire[] = "Subject: x\r\n\r\nbody\r\n";
    struct sink_item item;
    struct buf got;
    struct desk d;
    struct sink *s;
    char name[256], path[300];
    struct span rest, line;

    (void)state;
    desk_new(&d, SINK_MAILDIR, NULL);
    d.conf.received_line = true;
    d.conf.host = "pop.example.org";
    s = desk_open(&d);
    assert_int_equal(desk_deliver(&d, s, &item, wire), SINK_DELIVERED);
    snprintf(path, sizeof path, "new/%s", only_file(&d.box, "new", name));
    got = box_read(&d.box, path);
    rest = buf_span(&got);
    line = span_until(&rest, '\n');
    assert_true(line.n > 30 && memcmp(line.p, "Received: from pop.example.org by ", 34) == 0);
    assert_null(memchr(line.p, '\r', line.n));
    assert_non_null(memmem(line.p, line.n, " with POP3 (restante) for home; ", 32));
    assert_octets(rest, span_str("Subject: x\n\nbody\n"));
    assert_digest(item.entry.wire_digest, span_str(wire)); /* not part of what was sent */
    assert_digest(item.entry.stored_digest, buf_span(&got));
    assert_int_equal(item.entry.octets, sizeof wire - 1);
    buf_free(&got);
    sink_close(&s);
    desk_free(&d);
}

static void too_large_is_refused_while_it_comes(void **state)
{
    struct sink_item item;
    struct err e = { 0 };
    struct desk d;
    struct sink *s;

    (void)state;
    desk_new(&d, SINK_MAILDIR, NULL);
    d.conf.max_octets = 10;
    s = desk_open(&d);
    assert_int_equal(desk_deliver(&d, s, &item, "12345678\r\n"), SINK_DELIVERED);
    assert_false(desk_spool(&d, s, &item, span_str("123456789\r\n"), 3, &e));
    assert_int_equal(item.result, SINK_REFUSED);
    assert_int_equal(e.fault, FAULT_BAD);
    sink_discard(s, &item);
    assert_int_equal(box_files(&d.box, "tmp"), 0);
    assert_int_equal(box_files(&d.box, "new"), 1);
    sink_close(&s);
    d.conf.max_octets = 0;
    d.conf.reserve_octets = UINT64_MAX; /* no disk has that much */
    s = desk_open(&d);
    assert_false(desk_spool(&d, s, &item, span_str("x\r\n"), 3, &e));
    assert_int_equal(item.result, SINK_TEMP);
    sink_discard(s, &item);
    assert_int_equal(box_files(&d.box, "tmp"), 0);
    sink_close(&s);
    desk_free(&d);
}

static void names_hold_nothing_of_the_server(void **state)
{
    struct entry entry = { .uid = span_str("../../x\x1b[2J"), .first_seen = 1700000000 };
    char a[JOURNAL_NAME], b[JOURNAL_NAME], other[JOURNAL_NAME];

    (void)state;
    sink_name(a, "home", &entry, 1);
    sink_name(b, "home", &entry, 2);
    sink_name(other, "work", &entry, 1);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), sizeof "1700000000.M123456R0123456789abcdef01234567.restante" - 1);
    assert_memory_equal(strchr(a, 'R'), strchr(b, 'R'), 9); /* the account */
    assert_memory_not_equal(strchr(a, 'R'), strchr(other, 'R'), 9);
    assert_memory_not_equal(strchr(a, 'R') + 9, strchr(b, 'R') + 9, 16);
    assert_true(strcmp(a, b) <= 0 && a[10] == '.' && a[11] == 'M'); /* they sort as they were made */
    assert_string_equal(a + strlen(a) - 9, ".restante");
    for (const char *p = a; *p; p++)
        assert_true(strchr("0123456789abcdefMR.restant", *p) != NULL);
}

static void destinations_as_text(void **state)
{
    static const struct {
        const char *text, *target; /* NULL: refused */
        enum sink_kind kind;
    } rows[] = {
        {"maildir:~/Maildir",        "/home/a/Maildir", SINK_MAILDIR},
        { "maildir:/var/x",          "/var/x",          SINK_MAILDIR},
        { "mbox:~/mail",             "/home/a/mail",    SINK_MBOX   },
        { "lmtp:localhost:24",       "localhost:24",    SINK_LMTP   },
        { "lmtp:[::1]:24",           "[::1]:24",        SINK_LMTP   },
        { "lmtp:/run/lmtp",          "/run/lmtp",       SINK_LMTP   },
        { "command:sed -n p | sort", "sed -n p | sort", SINK_COMMAND},
        { "maildir:Maildir",         NULL,              SINK_MAILDIR},
        { "maildir:",                NULL,              SINK_MAILDIR},
        { "maildir:/a\nb",           NULL,              SINK_MAILDIR},
        { "lmtp:localhost",          NULL,              SINK_MAILDIR},
        { "lmtp:localhost:0",        NULL,              SINK_MAILDIR},
        { "lmtp:localhost:65536",    NULL,              SINK_MAILDIR},
        { "lmtp::24",                NULL,              SINK_MAILDIR},
        { "command:",                NULL,              SINK_MAILDIR},
        { "imap:x",                  NULL,              SINK_MAILDIR},
        { "",                        NULL,              SINK_MAILDIR},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf target = BUF(4096);
        enum sink_kind kind = SINK_MAILDIR;
        struct err e = { 0 };
        bool ok = sink_parse(rows[i].text, "/home/a", &kind, &target, &e);

        assert_int_equal(ok, rows[i].target != NULL);
        if (ok) {
            assert_octets(buf_span(&target), span_str(rows[i].target));
            assert_int_equal(kind, rows[i].kind);
        } else {
            assert_int_equal(e.fault, FAULT_BAD);
        }
        buf_free(&target);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixtures_come_through_exactly),
        cmocka_unit_test(all_short_strings),
        cmocka_unit_test(sizes_in_the_name),
        cmocka_unit_test(one_received_line_if_wanted),
        cmocka_unit_test(too_large_is_refused_while_it_comes),
        cmocka_unit_test(names_hold_nothing_of_the_server),
        cmocka_unit_test(destinations_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
