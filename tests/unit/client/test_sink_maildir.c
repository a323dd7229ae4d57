/* test_sink_maildir.c - a Maildir as destination: order of system calls, names that are taken, two accounts in one,
 * recovery whatever flags a reader gave, leftovers, links, owners.
 *
 * Proves: XCL-01, XCL-08
 * Does not know: crashes (test_sink_crash.c).
 */
#include "test_sink_help.h"

#include "base/sys.h"
#include "store_shim.h"

enum { BATCH = 64, MANY = 500 };

static const char text[] = "Subject: x\r\n\r\nbody\r\n";

static void move(const struct box *box, const char *from, const char *to)
{
    char a[512], b[512];

    assert_int_equal(rename(box_join(box, from, a), box_join(box, to, b)), 0);
}

/* All files are on the disk before the first gets its name, and the names before anybody is told. */
static void order_of_a_batch(void **state)
{
    struct sink_item *items = mem_zero(BATCH, sizeof *items);
    struct err e = { 0 };
    struct desk d;
    struct sink *s;
    struct span trace;
    int files = 0, renames = 0, folders = 0;

    (void)state;
    desk_new(&d, SINK_MAILDIR, NULL);
    s = desk_open(&d);
    for (int i = 0; i < BATCH; i++) {
        must(desk_spool(&d, s, &items[i], span_str(text), 100, &e), &e);
        if (i)
            items[i - 1].next = &items[i];
    }
    assert_int_equal(box_files(&d.box, "new"), 0);
    shim_count();
    sink_commit(s, items);
    shim_end();
    trace = buf_span(shim_trace());
    while (trace.n) {
        struct span line = span_until(&trace, '\n'), call = span_until(&line, ' '), path = span_until(&line, ' ');
        bool is_folder = path.n > 4 && memcmp(path.p + path.n - 4, "/new", 4) == 0;

        if (span_is(call, "fsync") && !is_folder) {
            files++;
            assert_int_equal(renames, 0);
        } else if (span_is(call, "rename")) {
            renames++;
            assert_int_equal(files, BATCH);
            assert_int_equal(folders, 0);
        } else if (span_is(call, "fsync")) {
            folders++;
            assert_int_equal(renames, BATCH);
        }
    }
    assert_int_equal(renames, BATCH);
    assert_int_equal(folders, 1);
    for (int i = 0; i < BATCH; i++)
        assert_int_equal(items[i].result, SINK_DELIVERED);
    assert_int_equal(box_files(&d.box, "new"), BATCH);
    free(items);
    sink_close(&s);
    desk_free(&d);
}

/* The number of the call in a commit that begins with these words and whose path ends so; 0 = none. */
static unsigned call_number(const char *call, const char *end)
{
    struct span trace = buf_span(shim_trace());

    for (unsigned n = 1; trace.n; n++) {
        struct span line = span_until(&trace, '\n'), word = span_until(&line, ' '), path = span_until(&line, ' ');

        if (span_is(word, call) && path.n >= strlen(end) &&
            memcmp(path.p + path.n - strlen(end), end, strlen(end)) == 0)
            return n;
    }
    return 0;
}

/* What is not known to be on the disk was not delivered, and is not left where it can be seen. */
static void an_fsync_that_fails(void **state)
{
    static const char *const ends[] = { ".restante", "/new" };

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        unsigned n = 0;

        for (int fail = 0; fail < 2; fail++) {
            struct sink_item item;
            struct err e = { 0 };
            struct desk d;
            struct sink *s;

            desk_new(&d, SINK_MAILDIR, NULL);
            s = desk_open(&d);
            must(desk_spool(&d, s, &item, span_str(text), 100, &e), &e);
            if (fail)
                shim_fail_at(n, EIO, SHIM_ANY, false);
            else
                shim_count();
            sink_commit(s, &item);
            shim_end();
            n = fail ? n : call_number("fsync", ends[k]);
            assert_true(n > 0);
            assert_int_equal(item.result, fail ? SINK_TEMP : SINK_DELIVERED);
            assert_int_equal(box_files(&d.box, "new"), fail ? 0 : 1);
            assert_int_equal(box_files(&d.box, "tmp"), 0);
            sink_close(&s);
            desk_free(&d);
        }
    }
}

static void a_name_that_is_taken(void **state)
{
    static const char *const there[] = { "Subject: x\n\nbody\n", "Subject: x\n\nbodY\n" };

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct sink_item item;
        struct err e = { 0 };
        struct buf got;
        struct desk d;
        struct sink *s;
        char name[256];

        desk_new(&d, SINK_MAILDIR, NULL);
        s = desk_open(&d);
        must(desk_spool(&d, s, &item, span_str(text), 100, &e), &e);
        snprintf(name, sizeof name, "new/%s", item.entry.name);
        box_put_str(&d.box, name, there[k]);
        sink_commit(s, &item);
        assert_int_equal(item.result, k ? SINK_TEMP : SINK_DELIVERED);
        assert_int_equal(item.err.text[0] != '\0', k);
        got = box_read(&d.box, name);
        assert_octets(buf_span(&got), span_str(there[k])); /* never replaced */
        buf_free(&got);
        assert_int_equal(box_files(&d.box, "new"), 1);
        assert_int_equal(box_files(&d.box, "tmp"), 0);
        sink_close(&s);
        desk_free(&d);
    }
}

/* Each account sweeps its own leftovers, also while the other is receiving. */
static void two_accounts_in_one(void **state)
{
    struct sink_item a, b, old;
    struct err e = { 0 };
    struct desk d, other;
    struct sink *s, *t;
    char name[256];

    (void)state;
    desk_new(&d, SINK_MAILDIR, NULL);
    other = d;
    other.conf.account = "work";
    s = desk_open(&d);
    must(desk_spool(&d, s, &old, span_str(text), 100, &e), &e);
    must(desk_spool(&other, s, &b, span_str(text), 100, &e), &e); /* stands for the other's run */
    box_put_str(&d.box, "tmp/somebody.else", "x");
    assert_int_equal(box_files(&d.box, "tmp"), 3);
    t = desk_open(&d); /* the next run of "home" */
    must(sink_sweep(t, &e), &e);
    assert_int_equal(box_files(&d.box, "tmp"), 2);
    snprintf(name, sizeof name, "tmp/%s", b.entry.name);
    assert_true(box_has(&d.box, name));
    must(desk_spool(&d, t, &a, span_str(text), 100, &e), &e);
    must(sink_sweep(t, &e), &e); /* not what this run has there */
    assert_int_equal(box_files(&d.box, "tmp"), 3);
    sink_commit(t, &a);
    sink_commit(s, &b);
    sink_discard(s, &old);
    assert_int_equal(a.result, SINK_DELIVERED);
    assert_int_equal(b.result, SINK_DELIVERED);
    assert_int_equal(box_files(&d.box, "new"), 2);
    sink_close(&s);
    sink_close(&t);
    desk_free(&d);
}

/* Many intents, some read and flagged already, some gone, one changed. */
static void recovery_finds_what_readers_moved(void **state)
{
    struct entry *entries = mem_zero(MANY, sizeof *entries);
    struct err e = { 0 };
    struct desk d;
    struct sink *s;

    (void)state;
    desk_new(&d, SINK_MAILDIR, NULL);
    d.conf.size_fields = true;
    s = desk_open(&d);
    for (int i = 0; i < MANY; i++) {
        struct sink_item item;
        char from[256], to[300];

        assert_int_equal(desk_deliver(&d, s, &item, text), SINK_DELIVERED);
        entries[i] = item.entry;
        snprintf(from, sizeof from, "new/%s,S=17,W=20", item.entry.name);
        snprintf(to, sizeof to, "cur/%s,S=17,W=20:2,%s", item.entry.name, i % 2 ? "S" : "");
        if (i % 4 == 1)
            move(&d.box, from, to);
        if (i % 4 == 2)
            assert_int_equal(unlink(box_join(&d.box, from, (char[512]){ 0 })), 0);
        if (i % 4 == 3)
            box_put_str(&d.box, from, "Subject: x\n\nbodY\n");
    }
    sink_close(&s);
    s = desk_open(&d);
    shim_count();
    for (int i = 0; i < MANY; i++) {
        bool stored, wanted = i % 4 < 2;

        must(sink_recover(s, &entries[i], &stored, &e), &e);
        assert_int_equal(stored, wanted);
        if (!stored)
            continue;
        assert_digest(entries[i].wire_digest, span_str(text));
        assert_int_equal(entries[i].stored_octets, 17);
    }
    shim_end();
    assert_int_equal(memmem(shim_trace()->p, shim_trace()->n, "getdents", 8) != NULL, 1);
    sink_close(&s);
    s = desk_open(&d);
    for (int i = 0; i < MANY; i++) {
        static const enum fault wanted[] = { FAULT_NONE, FAULT_NONE, FAULT_GONE, FAULT_BAD };

        e = (struct err){ 0 };
        assert_int_equal(sink_verify(s, &entries[i], &e), i % 4 < 2);
        assert_int_equal(e.fault, wanted[i % 4]);
    }
    free(entries);
    sink_close(&s);
    desk_free(&d);
}

/* Without the note the digest on the wire comes from the file. */
static void recovery_without_a_note(void **state)
{
    struct sink_item item;
    struct err e = { 0 };
    struct desk d;
    struct sink *s;
    bool stored;

    (void)state;
    desk_new(&d, SINK_MAILDIR, NULL);
    s = desk_open(&d);
    assert_int_equal(desk_deliver(&d, s, &item, text), SINK_DELIVERED);
    item.entry.note[0] = '\0';
    item.entry.octets = item.entry.stored_octets = 0;
    memset(item.entry.wire_digest, 0, JOURNAL_DIGEST);
    must(sink_recover(s, &item.entry, &stored, &e), &e);
    assert_true(stored);
    assert_digest(item.entry.wire_digest, span_str(text));
    assert_int_equal(item.entry.octets, sizeof text - 1);
    sink_close(&s);
    desk_free(&d);
}

/* tmp/, new/, cur/ and the Maildir itself are never reached through a link, and neither is a message. */
static void links_are_not_followed(void **state)
{
    static const char *const names[] = { "tmp", "new", "cur", "" };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct err e = { 0 };
        struct sink *s = NULL;
        struct desk d;
        char from[512], to[512];

        desk_new(&d, SINK_MAILDIR, NULL);
        snprintf(to, sizeof to, "%s/elsewhere", d.box.root);
        box_join(&d.box, names[i], from);
        if (!names[i][0])
            from[strlen(from) - 1] = '\0';
        assert_int_equal(rename(from, to), 0);
        assert_int_equal(symlink(to, from), 0);
        assert_false(sink_open(&d.conf, no_note, NULL, &s, &e));
        assert_null(s);
        assert_true(e.text[0] != '\0');
        desk_free(&d);
    }
}

static void a_link_as_a_message(void **state)
{
    struct sink_item item;
    struct err e = { 0 };
    struct desk d;
    struct sink *s;
    char name[256], path[512], target[512];
    bool stored;

    (void)state;
    desk_new(&d, SINK_MAILDIR, NULL);
    s = desk_open(&d);
    assert_int_equal(desk_deliver(&d, s, &item, text), SINK_DELIVERED);
    snprintf(name, sizeof name, "new/%s", item.entry.name);
    snprintf(target, sizeof target, "%s/kept", d.box.root);
    assert_int_equal(rename(box_join(&d.box, name, path), target), 0);
    assert_int_equal(symlink(target, path), 0);
    must(sink_recover(s, &item.entry, &stored, &e), &e);
    assert_false(stored);
    assert_false(sink_verify(s, &item.entry, &e));
    assert_int_equal(e.fault, FAULT_GONE);
    sink_close(&s);
    desk_free(&d);
}

/* A planted file of our name in tmp/ is never written through. */
static void a_planted_spool_file(void **state)
{
    struct sink_item item = { 0 };
    struct err e = { 0 };
    struct desk d;
    struct sink *s;
    char name[256], path[512], target[512];
    struct stat st;

    (void)state;
    desk_new(&d, SINK_MAILDIR, NULL);
    s = desk_open(&d);
    sink_name(item.entry.name, "home", &item.entry, 7);
    snprintf(name, sizeof name, "tmp/%s", item.entry.name);
    snprintf(target, sizeof target, "%s/victim", d.box.root);
    assert_int_equal(symlink(target, box_join(&d.box, name, path)), 0);
    assert_false(sink_spool(s, &item, &e));
    assert_int_equal(item.result, SINK_TEMP);
    assert_int_equal(lstat(target, &st), -1);
    sink_discard(s, &item);
    sink_close(&s);
    desk_free(&d);
}

static void root_keeps_out_of_folders_of_others(void **state)
{
    static const char *const owned[] = { "", "new", ".." };

    (void)state;
    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < 3; i++) {
        struct err e = { 0 };
        struct sink *s = NULL;
        struct desk d;
        char path[512];

        desk_new(&d, SINK_MAILDIR, NULL);
        assert_int_equal(chown(box_join(&d.box, owned[i], path), 65534, 65534), 0);
        assert_false(sink_open(&d.conf, no_note, NULL, &s, &e));
        assert_int_equal(e.fault, FAULT_PERM);
        assert_non_null(strstr(e.text, "user"));
        desk_free(&d);
    }
}

static void made_when_absent(void **state)
{
    static const char *const names[] = { "", "/tmp", "/new", "/cur" };
    struct sink_item item;
    struct desk d;
    struct sink *s;
    mode_t old = umask(0);

    (void)state;
    desk_new(&d, SINK_MAILDIR, NULL);
    snprintf(d.target, sizeof d.target, "%s/a/b/Mail", d.box.root);
    s = desk_open(&d);
    assert_int_equal(desk_deliver(&d, s, &item, text), SINK_DELIVERED);
    umask(old);
    for (size_t i = 0; i < 4; i++) {
        char path[600];
        struct stat st;

        snprintf(path, sizeof path, "%s%s", d.target, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
    }
    assert_true(sink_is_exact(s));
    sink_close(&s);
    desk_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_a_batch),
        cmocka_unit_test(an_fsync_that_fails),
        cmocka_unit_test(a_name_that_is_taken),
        cmocka_unit_test(two_accounts_in_one),
        cmocka_unit_test(recovery_finds_what_readers_moved),
        cmocka_unit_test(recovery_without_a_note),
        cmocka_unit_test(links_are_not_followed),
        cmocka_unit_test(a_link_as_a_message),
        cmocka_unit_test(a_planted_spool_file),
        cmocka_unit_test(root_keeps_out_of_folders_of_others),
        cmocka_unit_test(made_when_absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
