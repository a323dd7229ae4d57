/* test_sink_crash.c - the process ends before every system call in turn, or that call fails: exactly one message.
 *
 * What a crash leaves is put right as the next run would: recover with what the journal held at that moment, sweep,
 * fetch again what is not stored. Proves: XCL-01, MBOX-13
 * Does not know: the journal (test_journal.c), power loss below the file system.
 */
#include "test_sink_help.h"

#include "base/sys.h"
#include "store_shim.h"

#include <sys/mman.h>

enum { BATCH = 3 };

static const char *const messages[BATCH] = { "Subject: one\r\n\r\nFrom here\r\n",
                                             "Subject: two\r\n\r\n>From there\r\n.\r\n",
                                             "Subject: three\r\n\r\nbody\r\n" };
static const char *const stored[BATCH] = { "Subject: one\n\nFrom here\n", "Subject: two\n\n>From there\n.\n",
                                           "Subject: three\n\nbody\n" };
static const char *const quoted[BATCH] = { "Subject: one\n\n>From here\n\n", "Subject: two\n\n>>From there\n.\n\n",
                                           "Subject: three\n\nbody\n\n" };
static const char old_mail[] = "From a@example.org Thu Jan  1 00:00:00 1970\nSubject: old\n\nold\n\n";

/* What outlives the process, as the journal does. */
struct memory {
    struct entry entries[BATCH];
    bool is_intent, is_done;
    enum sink_result results[BATCH];
};

struct run {
    struct desk *d;
    struct memory *memory;
};

static bool note(void *ctx, struct sink_item *items, struct err *e)
{
    struct memory *m = ctx;
    int k = 0;

    (void)e;
    for (struct sink_item *i = items; i; i = i->next)
        memcpy(m->entries[k++].note, i->entry.note, JOURNAL_NOTE);
    return true;
}

/* One run: false when something could not be done. */
static bool deliver_all(struct run *r)
{
    struct sink_item items[BATCH] = { 0 };
    struct err e = { 0 };
    struct sink *s = NULL;
    bool ok = sink_open(&r->d->conf, note, r->memory, &s, &e);
    int n = 0;

    for (; ok && n < BATCH; n++) {
        ok = desk_spool(r->d, s, &items[n], span_str(messages[n]), 5, &e);
        if (!ok)
            assert_int_equal(items[n].result, SINK_TEMP);
        if (n)
            items[n - 1].next = &items[n];
        r->memory->entries[n] = items[n].entry;
    }
    if (ok) {
        r->memory->is_intent = true;
        sink_commit(s, items);
        for (int i = 0; i < BATCH; i++) {
            assert_null(items[i].state);
            assert_true(items[i].result == SINK_DELIVERED || items[i].err.text[0]);
            r->memory->results[i] = items[i].result;
            ok = ok && items[i].result == SINK_DELIVERED;
        }
        r->memory->is_done = true;
    } else if (s) {
        for (int i = 0; i < n; i++)
            sink_discard(s, &items[i]);
    }
    sink_close(&s);
    return ok;
}

static int child(void *ctx)
{
    struct run *r = ctx;

    return deliver_all(r) ? 0 : 1;
}

static void fetch_again(struct desk *d, struct sink *s, int k)
{
    struct sink_item item;
    struct err e = { 0 };

    must(desk_spool(d, s, &item, span_str(messages[k]), 9, &e), &e);
    sink_commit(s, &item);
    assert_int_equal(item.result, SINK_DELIVERED);
}

/* Beyond the octets of "old", every message stands in the folder once, whole. */
static void check_mbox(const struct desk *d)
{
    struct buf all = file_of(d->target);
    struct span rest = buf_span(&all);
    int seen[BATCH] = { 0 }, n = 0;

    assert_true(rest.n >= sizeof old_mail - 1 && memcmp(rest.p, old_mail, sizeof old_mail - 1) == 0);
    span_take(&rest, sizeof old_mail - 1);
    while (rest.n) {
        struct span line = span_until(&rest, '\n');
        bool found = false;

        assert_true(line.n == 43 && memcmp(line.p, "From MAILER-DAEMON ", 19) == 0);
        for (int k = 0; k < BATCH && !found; k++) {
            size_t size = strlen(quoted[k]);

            found = rest.n >= size && memcmp(rest.p, quoted[k], size) == 0;
            if (found) {
                seen[k]++;
                span_take(&rest, size);
            }
        }
        assert_true(found);
        n++;
    }
    assert_int_equal(n, BATCH);
    for (int k = 0; k < BATCH; k++)
        assert_int_equal(seen[k], 1);
    buf_free(&all);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_maildir(const struct desk *d)
{
    char path[512], *texts[BATCH + 1], *wanted[BATCH];
    DIR *dir = opendir(box_join(&d->box, "new", path));
    size_t n = 0;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char name[300];
        struct buf b;

        if (e->d_name[0] == '.')
            continue;
        assert_true(n < BATCH);
        snprintf(name, sizeof name, "new/%s", e->d_name);
        b = box_read(&d->box, name);
        texts[n++] = mem_strn(buf_span(&b));
        buf_free(&b);
    }
    closedir(dir);
    assert_int_equal(n, BATCH);
    for (size_t i = 0; i < BATCH; i++)
        wanted[i] = (char *)(uintptr_t)stored[i];
    qsort(texts, n, sizeof *texts, compare_texts);
    qsort(wanted, n, sizeof *wanted, compare_texts);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(texts[i], wanted[i]);
        free(texts[i]);
    }
    assert_int_equal(box_files(&d->box, "tmp"), 0);
}

static void check(const struct desk *d)
{
    char name[600];
    struct stat st;

    if (d->conf.kind == SINK_MAILDIR) {
        check_maildir(d);
        return;
    }
    check_mbox(d);
    snprintf(name, sizeof name, "%s.lock", d->target);
    assert_int_equal(lstat(name, &st), -1);
    snprintf(name, sizeof name, "../spool/home");
    assert_int_equal(box_files(&d->box, name), 0);
}

static void next_run(struct desk *d, struct memory *m)
{
    struct sink *s = desk_open(d);
    struct err e = { 0 };

    bool has[BATCH] = { false };

    for (int k = 0; m->is_intent && k < BATCH; k++) {
        struct entry *entry = &m->entries[k];

        must(sink_recover(s, entry, &has[k], &e), &e);
        if (m->is_done)
            assert_int_equal(has[k], m->results[k] == SINK_DELIVERED);
        if (has[k]) {
            assert_digest(entry->wire_digest, span_str(messages[k]));
            assert_int_equal(entry->octets, strlen(messages[k]));
            must(sink_verify(s, entry, &e), &e);
        }
    }
    must(sink_sweep(s, &e), &e);
    for (int k = 0; k < BATCH; k++)
        if (!has[k])
            fetch_again(d, s, k);
    sink_close(&s);
}

static void prepare(struct desk *d, enum sink_kind kind)
{
    desk_new(d, kind, NULL);
    d->conf.size_fields = true;
    if (kind == SINK_MBOX)
        box_put_str(&d->box, "../inbox", old_mail);
}

static unsigned crash_everywhere(enum sink_kind kind)
{
    struct memory *m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned n = 1;
    int status = SHIM_STOPPED;

    assert_true(m != MAP_FAILED);
    for (; status == SHIM_STOPPED; n++) {
        struct desk d;
        struct run r = { &d, m };

        *m = (struct memory){ 0 };
        prepare(&d, kind);
        shim_stop_at(n);
        status = in_child(child, &r);
        shim_end();
        assert_true(status == SHIM_STOPPED || status == 0);
        d.random = 100;
        next_run(&d, m);
        check(&d);
        desk_free(&d);
    }
    munmap(m, sizeof *m);
    return n;
}

static void crashes_with_a_maildir(void **state)
{
    (void)state;
    assert_true(crash_everywhere(SINK_MAILDIR) > 25);
}

static void crashes_with_an_mbox(void **state)
{
    (void)state;
    assert_true(crash_everywhere(SINK_MBOX) > 40);
}

/* After an error nothing of an undelivered message is to be seen, and the next run makes all good. */
static void fault_everywhere(enum sink_kind kind, int code, bool for_good)
{
    struct memory *m = mem_zero(1, sizeof *m);
    bool reached = true;

    for (unsigned n = 1; reached; n++) {
        struct desk d;
        struct run r = { &d, m };
        uint32_t visible = 0;

        *m = (struct memory){ 0 };
        prepare(&d, kind);
        shim_fail_at(n, code, for_good ? SHIM_SPACE : SHIM_ANY, for_good);
        deliver_all(&r);
        reached = shim_end();
        for (int k = 0; k < BATCH; k++)
            visible += m->results[k] == SINK_DELIVERED;
        if (kind == SINK_MAILDIR) {
            assert_int_equal(box_files(&d.box, "new"), visible);
        } else if (!visible) {
            struct buf all = file_of(d.target);

            assert_octets(buf_span(&all), span_str(old_mail));
            buf_free(&all);
        }
        for (int k = 0; k < BATCH; k++) /* as the caller does: a failed try has no name and no note any more */
            if (m->is_done && m->results[k] != SINK_DELIVERED)
                m->entries[k].name[0] = m->entries[k].note[0] = '\0';
        d.random = 100;
        next_run(&d, m);
        check(&d);
        desk_free(&d);
    }
    free(m);
}

static void faults_with_a_maildir(void **state)
{
    static const int codes[] = { EIO, ENOSPC, EDQUOT, EROFS, EMFILE };

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        fault_everywhere(SINK_MAILDIR, codes[i], false);
    fault_everywhere(SINK_MAILDIR, ENOSPC, true);
}

static void faults_with_an_mbox(void **state)
{
    static const int codes[] = { EIO, ENOSPC, EDQUOT, EROFS };

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        fault_everywhere(SINK_MBOX, codes[i], false);
    fault_everywhere(SINK_MBOX, ENOSPC, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crashes_with_a_maildir),
        cmocka_unit_test(crashes_with_an_mbox),
        cmocka_unit_test(faults_with_a_maildir),
        cmocka_unit_test(faults_with_an_mbox),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
