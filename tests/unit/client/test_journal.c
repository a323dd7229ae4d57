/* test_journal.c - the journal: identities, states, transactions, two runs at once, a reader beside a writer,
 * kills.
 *
 * Proves: XCL-09, R1939-UIDL-10
 * Does not know: damaged files (test_damage.c), importers (test_import.c).
 */
#include "state_help.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { MANY = 100000, RSS_LIMIT = 64 * 1024 };

static mode_t mode_of(const char *dir, const char *name)
{
    char *path = path_in(dir, name);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    free(path);
    return st.st_mode & 0777;
}

static void folders_and_modes(void **state)
{
    char *deep = path_in(*state, "a/b/c");
    mode_t old = umask(0);
    struct err e = { 0 };
    struct journal *j;

    must(journal_open(deep, "home", false, &j, &e), &e);
    umask(old);
    assert_int_equal(mode_of(*state, "a"), 0700);
    assert_int_equal(mode_of(deep, "."), 0700);
    assert_int_equal(mode_of(deep, "home.journal"), 0600);
    assert_int_equal(mode_of(deep, "home.lock"), 0600);
    struct entry entry = state_entry("u", 0, ENTRY_INTENT);

    state_put(j, &entry);
    assert_int_equal(mode_of(deep, "home.journal-wal"), 0600);
    journal_close(&j);
    assert_int_equal(chmod(deep, 0777), 0);
    assert_false(journal_open(deep, "home", false, &j, &e));
    assert_int_equal(e.fault, FAULT_PERM);
    free(deep);
}

static void names_of_accounts(void **state)
{
    static const char *const bad[] = { "", ".", "..", ".a", "a/b", "a b", "a\n", "\303\244", "a:b", "../x" };
    struct err e = { 0 };
    struct journal *j;
    uint64_t rows;
    char longest[110];

    memset(longest, 'a', sizeof longest);
    longest[101] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(journal_open(*state, bad[i], false, &j, &e));
        assert_int_equal(e.fault, FAULT_BAD);
        assert_null(j);
        assert_false(journal_salvage(*state, bad[i], &rows, &e));
    }
    assert_false(journal_open(*state, longest, false, &j, &e));
    longest[100] = '\0';
    must(journal_open(*state, longest, false, &j, &e), &e);
    journal_close(&j);
    must(journal_open(*state, "A-z_0.9", false, &j, &e), &e);
    journal_close(&j);
}

static void every_column_comes_back(void **state)
{
    struct journal *j = state_open(*state);
    uint64_t seed = 0x1234567;
    struct err e = { 0 };
    bool found;

    for (int i = 0; i < 300; i++) {
        uint8_t uid[JOURNAL_UID];
        struct entry in, out;

        state_random(&in, uid, &seed);
        state_put(j, &in);
        assert_true(in.id > 0);
        must(journal_find(j, in.uid, in.nth, &out, &found, &e) && found, &e);
        assert_int_equal(out.id, in.id);
        state_same(&in, &out);
        must(journal_find_id(j, in.id, &out, &found, &e) && found, &e);
        state_same(&in, &out);
        if (i % 3 == 0) { /* an update of all columns */
            int64_t id = in.id;

            state_random(&in, uid, &seed);
            in.id = id;
            state_put(j, &in);
            must(journal_find_id(j, id, &out, &found, &e) && found, &e);
            state_same(&in, &out);
        }
    }
    journal_close(&j);
}

static void identities_are_octets(void **state)
{
    static const char *const uids[] = { "a", "A", "a ", " a", "a b", "\xff\x01", "", "a\tb", "%41" };
    struct journal *j = state_open(*state);
    struct err e = { 0 };
    struct entry entry, other;
    uint8_t longest[JOURNAL_UID + 1];
    bool found;

    for (size_t i = 0; i < sizeof uids / sizeof *uids; i++) {
        entry = state_entry(uids[i], 0, ENTRY_STORED);
        state_put(j, &entry);
        entry = state_entry(uids[i], 1, ENTRY_STORED);
        state_put(j, &entry);
    }
    for (size_t i = 0; i < sizeof uids / sizeof *uids; i++) {
        must(journal_find(j, span_str(uids[i]), 1, &entry, &found, &e), &e);
        assert_true(found && entry.nth == 1 && span_is(entry.uid, uids[i]));
    }
    must(journal_find(j, span_str("a"), 2, &entry, &found, &e), &e);
    assert_false(found);
    memset(longest, 0, sizeof longest);
    entry = state_entry("", 0, ENTRY_STORED);
    entry.uid = span_of(longest, JOURNAL_UID);
    state_put(j, &entry);
    must(journal_find(j, entry.uid, 0, &other, &found, &e), &e);
    assert_true(found && span_eq(other.uid, entry.uid));
    entry.id = 0;
    entry.uid.n++;
    must(journal_begin(j, &e), &e);
    assert_false(journal_put(j, &entry, &e));
    assert_false(journal_rekey(j, other.id, entry.uid, 0, &e));
    entry = state_entry("a", 0, ENTRY_SEEN); /* the same identity twice */
    assert_false(journal_put(j, &entry, &e));
    assert_int_equal(e.fault, FAULT_BAD);
    journal_close(&j);
}

static void single_columns(void **state)
{
    struct journal *j = state_open(*state);
    struct entry entry = state_entry("u", 0, ENTRY_INTENT), out;
    struct err e = { 0 };
    char note[JOURNAL_NOTE + 1];
    bool found;

    state_put(j, &entry);
    int64_t id = entry.id;

    memset(note, 'n', sizeof note);
    note[JOURNAL_NOTE] = '\0';
    must(journal_begin(j, &e), &e);
    assert_false(journal_set_note(j, id, note, &e));
    note[JOURNAL_NOTE - 1] = '\0';
    must(journal_set_note(j, id, note, &e) && journal_set_state(j, id, ENTRY_DELE_SENT, &e) &&
         journal_set_absent(j, id, INT64_MAX, 7, &e) && journal_rekey(j, id, span_str("v"), 3, &e), &e);
    must(journal_commit(j, &e), &e);
    must(journal_find(j, span_str("u"), 0, &out, &found, &e), &e);
    assert_false(found);
    must(journal_find(j, span_str("v"), 3, &out, &found, &e) && found, &e);
    must(journal_find(j, span_str("v"), 2, &entry, &found, &e), &e);
    assert_false(found);
    assert_true(out.id == id && out.state == ENTRY_DELE_SENT && out.absent_since == INT64_MAX);
    assert_true(out.absent_listings == 7 && strcmp(out.note, note) == 0);
    must(journal_begin(j, &e) && journal_drop(j, id, &e), &e);
    assert_false(journal_drop(j, id, &e));
    assert_int_equal(e.fault, FAULT_GONE);
    assert_false(journal_set_state(j, id, ENTRY_GONE, &e));
    assert_int_equal(e.fault, FAULT_GONE);
    out.id = id;
    assert_false(journal_put(j, &out, &e));
    must(journal_commit(j, &e), &e);
    journal_close(&j);
}

static void transactions(void **state)
{
    struct journal *j = state_open(*state);
    struct entry entry = state_entry("kept", 0, ENTRY_STORED), out;
    struct err e = { 0 };
    bool found;

    assert_false(journal_put(j, &entry, &e)); /* outside of a transaction */
    assert_false(journal_set_fact(j, "k", span_str("v"), &e));
    assert_false(journal_commit(j, &e));
    state_put(j, &entry);
    must(journal_begin(j, &e), &e);
    assert_false(journal_begin(j, &e));
    must(journal_set_state(j, entry.id, ENTRY_GONE, &e), &e);
    journal_rollback(j);
    must(journal_begin(j, &e), &e);
    struct entry lost = state_entry("lost", 0, ENTRY_STORED);

    must(journal_put(j, &lost, &e), &e);
    journal_close(&j); /* no commit */
    j = state_open(*state);
    must(journal_find(j, span_str("lost"), 0, &out, &found, &e), &e);
    assert_false(found);
    must(journal_find(j, span_str("kept"), 0, &out, &found, &e) && found, &e);
    assert_int_equal(out.state, ENTRY_STORED);
    journal_close(&j);
}

static void facts(void **state)
{
    struct journal *j = state_open(*state);
    struct buf value = BUF(64), tiny = BUF(2);
    struct err e = { 0 };

    must(journal_begin(j, &e) && journal_set_fact(j, "host", span_of("a\0b", 3), &e) &&
         journal_set_fact(j, "n", span_str("12"), &e) && journal_set_fact(j, "n", span_str("1700000000"), &e) &&
         journal_set_fact(j, "big", span_str("99999999999999999999"), &e) &&
         journal_set_fact(j, "gone", span_str("x"), &e) && journal_set_fact(j, "gone", span_of(NULL, 0), &e) &&
         journal_commit(j, &e), &e);
    must(journal_fact(j, "gone", &value, &e) && journal_fact(j, "host", &value, &e), &e);
    assert_true(span_eq(buf_span(&value), span_of("a\0b", 3)));
    assert_int_equal(journal_fact_number(j, "n"), 1700000000);
    assert_int_equal(journal_fact_number(j, "big"), 0);
    assert_int_equal(journal_fact_number(j, "host"), 0);
    assert_int_equal(journal_fact_number(j, "absent"), 0);
    assert_false(journal_fact(j, "host", &tiny, &e));
    buf_free(&value);
    buf_free(&tiny);
    journal_close(&j);
}

static void by_digest(void **state)
{
    struct journal *j = state_open(*state);
    struct entry entry, out;
    struct err e = { 0 };
    int64_t ids[4];
    bool found;

    for (int i = 0; i < 4; i++) {
        char uid[16];

        snprintf(uid, sizeof uid, "d%d", i);
        entry = state_entry(uid, 0, i == 0 ? ENTRY_INTENT : ENTRY_STORED);
        entry.has_digest = true;
        memset(entry.wire_digest, i == 2 ? 9 : 5, JOURNAL_DIGEST);
        state_put(j, &entry);
        ids[i] = entry.id;
    }
    memset(entry.wire_digest, 5, JOURNAL_DIGEST);
    must(journal_find_digest(j, entry.wire_digest, 0, &out, &found, &e) && found, &e);
    assert_int_equal(out.id, ids[1]);
    must(journal_find_digest(j, entry.wire_digest, ids[1], &out, &found, &e) && found, &e);
    assert_int_equal(out.id, ids[3]);
    must(journal_find_digest(j, entry.wire_digest, ids[3], &out, &found, &e), &e);
    assert_false(found);
    journal_close(&j);
}

static bool on_brief(void *ctx, const struct entry_brief *entry)
{
    struct visits *v = ctx;

    assert_true(entry->id > v->last);
    v->last = entry->id;
    v->states |= ENTRY_BIT(entry->state);
    v->sizes += entry->size;
    return ++v->seen != v->stop_at;
}

static bool on_entry_again(void *ctx, const struct entry *entry)
{
    struct visits *v = ctx;
    struct err e = { 0 };

    (void)entry;
    assert_false(journal_each(v->j, ENTRY_BIT(ENTRY_STORED), on_entry, v, &e));
    v->seen++;
    return true;
}

static void visits_by_state(void **state)
{
    struct journal *j = state_open(*state);
    struct visits v = { 0 };
    struct err e = { 0 };

    for (unsigned i = 0; i < 60; i++) {
        char uid[16];

        snprintf(uid, sizeof uid, "v%u", i);
        struct entry entry = state_entry(uid, 0, 1 + i % 6);

        entry.octets = 10;
        state_put(j, &entry);
    }
    must(journal_each(j, ENTRY_BIT(ENTRY_STORED), on_entry, &v, &e), &e);
    assert_true(v.seen == 10 && v.states == ENTRY_BIT(ENTRY_STORED));
    v = (struct visits){ 0 };
    must(journal_each(j, ENTRY_BIT(ENTRY_INTENT) | ENTRY_BIT(ENTRY_QUARANTINED), on_entry, &v, &e), &e);
    assert_true(v.seen == 20 && v.states == (ENTRY_BIT(ENTRY_INTENT) | ENTRY_BIT(ENTRY_QUARANTINED)));
    v = (struct visits){ .stop_at = 5 };
    must(journal_each_brief(j, ~0u, on_brief, &v, &e), &e);
    assert_int_equal(v.seen, 5);
    v = (struct visits){ 0 };
    must(journal_each(j, 0, on_entry, &v, &e), &e);
    assert_int_equal(v.seen, 0);
    v = (struct visits){ .j = j };
    must(journal_each(j, ENTRY_BIT(ENTRY_STORED), on_entry_again, &v, &e), &e);
    assert_int_equal(v.seen, 10);
    uint64_t counts[ENTRY_QUARANTINED + 1], octets;

    must(journal_count(j, counts, &octets, &e), &e);
    for (int s = ENTRY_INTENT; s <= ENTRY_QUARANTINED; s++)
        assert_int_equal(counts[s], 10);
    assert_int_equal(octets, 600);
    journal_close(&j);
}

static void two_runs_exclude_each_other(void **state)
{
    struct journal *j = state_open(*state), *second;
    struct err e = { 0 };
    uint64_t rows;
    int status;

    assert_false(journal_open(*state, "home", false, &second, &e));
    assert_int_equal(e.fault, FAULT_IN_USE);
    assert_false(journal_salvage(*state, "home", &rows, &e));
    assert_int_equal(e.fault, FAULT_IN_USE);
    must(journal_open(*state, "other", false, &second, &e), &e);
    journal_close(&second);
    pid_t child = fork();

    if (child == 0) {
        bool opened = journal_open(*state, "home", false, &second, &e);

        _exit(!opened && e.fault == FAULT_IN_USE ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    journal_close(&j);
    j = state_open(*state); /* the lock file is there and means nothing */
    journal_close(&j);
}

static void reading_beside_a_writer(void **state)
{
    struct journal *j, *reader;
    struct entry entry = state_entry("u", 0, ENTRY_STORED), out;
    struct err e = { 0 };
    bool found;

    assert_false(journal_open(*state, "home", true, &reader, &e));
    assert_int_equal(e.fault, FAULT_GONE);
    char *lock = path_in(*state, "home.lock");

    assert_int_equal(access(lock, F_OK), -1);
    free(lock);
    j = state_open(*state);
    state_put(j, &entry);
    must(journal_begin(j, &e) && journal_set_state(j, entry.id, ENTRY_DELE_SENT, &e), &e);
    must(journal_open(*state, "home", true, &reader, &e), &e);
    must(journal_find(reader, span_str("u"), 0, &out, &found, &e) && found, &e);
    assert_int_equal(out.state, ENTRY_STORED); /* not committed yet */
    must(journal_commit(j, &e), &e);
    must(journal_find(reader, span_str("u"), 0, &out, &found, &e) && found, &e);
    assert_int_equal(out.state, ENTRY_DELE_SENT);
    assert_false(journal_begin(reader, &e));
    assert_false(journal_put(reader, &out, &e));
    journal_close(&reader);
    journal_close(&j);
    must(journal_open(*state, "home", true, &reader, &e), &e);
    must(journal_find(reader, span_str("u"), 0, &out, &found, &e) && found, &e);
    j = state_open(*state); /* and a writer beside a reader */
    state_put(j, &out);
    journal_close(&j);
    journal_close(&reader);
}

/* The child puts one entry a transaction, tells, and is killed while it goes on. */
static void put_until_killed(const char *dir, int tell)
{
    struct err e = { 0 };
    struct journal *j;

    if (!journal_open(dir, "home", false, &j, &e))
        _exit(2);
    for (uint32_t i = 0;; i++) {
        struct entry entry = state_entry("k", i, ENTRY_INTENT);

        if (!journal_begin(j, &e) || !journal_put(j, &entry, &e) ||
            !journal_set_state(j, entry.id, ENTRY_STORED, &e) || !journal_commit(j, &e) ||
            write(tell, &i, sizeof i) != sizeof i)
            _exit(3);
    }
}

static void killed_after_a_commit(void **state)
{
    for (uint32_t stop = 0; stop < 40; stop += 1 + stop / 4) {
        char name[16];
        int tell[2], status;
        uint32_t last = 0, counted = 0;
        struct err e = { 0 };
        struct entry out;
        bool found;

        snprintf(name, sizeof name, "k%u", stop);
        char *dir = path_in(*state, name);

        assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
        pid_t child = fork();

        if (child == 0)
            put_until_killed(dir, tell[1]);
        close(tell[1]);
        while (counted <= stop && read(tell[0], &last, sizeof last) == sizeof last)
            counted++;
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        while (read(tell[0], &last, sizeof last) == sizeof last)
            counted++;
        close(tell[0]);
        struct journal *j;

        must(journal_open(dir, "home", true, &j, &e), &e); /* "status" comes first and needs no lock */
        must(journal_find(j, span_str("k"), last, &out, &found, &e), &e);
        assert_true(found && out.state == ENTRY_STORED);
        journal_close(&j);
        j = state_open(dir);
        assert_true(counted > stop);
        for (uint32_t i = 0; i <= last; i++) {
            must(journal_find(j, span_str("k"), i, &out, &found, &e), &e);
            assert_true(found && out.state == ENTRY_STORED);
        }
        must(journal_find(j, span_str("k"), last + 2, &out, &found, &e), &e);
        assert_false(found);
        journal_close(&j);
        free(dir);
    }
}

/* A process of its own, so that its peak of memory is that of the journal alone. */
static int many_in_a_child(const char *dir)
{
    struct visits v = { 0 };
    struct err e = { 0 };
    struct rusage used;
    struct entry out;
    struct journal *j;
    bool found = true, ok = journal_open(dir, "home", false, &j, &e);

    if (!ok)
        return 1;
    put_many(j, MANY);
    journal_close(&j);
    if (!journal_open(dir, "home", false, &j, &e) || !journal_each_brief(j, ~0u, on_brief, &v, &e))
        return 2;
    for (uint32_t i = 0; i < MANY && ok && found; i += 7) {
        char uid[80];

        snprintf(uid, sizeof uid, "%08x.0123456789abcdef0123456789abcdef", i * 2654435761u);
        ok = journal_find(j, span_str(uid), 0, &out, &found, &e);
    }
    journal_close(&j);
    getrusage(RUSAGE_SELF, &used);
    if (!ok || !found || v.seen != MANY || v.sizes != (uint64_t)MANY * (MANY - 1) / 2)
        return 3;
#ifndef __SANITIZE_ADDRESS__
    if (used.ru_maxrss > RSS_LIMIT)
        return 4;
#endif
    return 0;
}

static void a_hundred_thousand(void **state)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(many_in_a_child(*state));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(folders_and_modes),
        STATE_TEST(names_of_accounts),
        STATE_TEST(every_column_comes_back),
        STATE_TEST(identities_are_octets),
        STATE_TEST(single_columns),
        STATE_TEST(transactions),
        STATE_TEST(facts),
        STATE_TEST(by_digest),
        STATE_TEST(visits_by_state),
        STATE_TEST(two_runs_exclude_each_other),
        STATE_TEST(reading_beside_a_writer),
        STATE_TEST(killed_after_a_commit),
        STATE_TEST(a_hundred_thousand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
