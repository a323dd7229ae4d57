/* test_damage.c - journals that were cut, flipped, left half-written, are full or too new; and what salvage keeps.
 *
 * Does not know: what the entries mean (test_journal.c).
 */
#include "state_help.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

struct octets {
    uint8_t *p;
    size_t n;
};

static struct octets slurp(const char *path)
{
    struct octets all = { 0 };
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    all.n = (size_t)st.st_size;
    all.p = malloc(all.n + 1);
    assert_int_equal(read(fd, all.p, all.n), (ssize_t)all.n);
    close(fd);
    return all;
}

static void spill(const char *path, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    close(fd);
}

/* Whatever the damage: an answer, a fault of the right kind, and the file as it was when it was refused. */
static bool opens_damaged(const char *dir)
{
    char *path = path_in(dir, "home.journal");
    struct octets before = slurp(path);
    struct visits v = { 0 };
    struct err e = { 0 };
    struct journal *j;
    bool opened = journal_open(dir, "home", false, &j, &e);

    if (opened) {
        if (!journal_each(j, ~0u, on_entry, &v, &e))
            assert_int_equal(e.fault, FAULT_BAD);
        journal_close(&j);
    } else {
        struct octets after = slurp(path);

        if (e.fault != FAULT_BAD)
            fail_msg("%s: %s", fault_name(e.fault), e.text);
        assert_non_null(strstr(e.text, "damaged"));
        assert_non_null(strstr(e.text, "salvage home"));
        assert_true(after.n == before.n && memcmp(after.p, before.p, after.n) == 0);
        free(after.p);
    }
    free(before.p);
    free(path);
    return opened;
}

static struct octets a_journal(const char *dir, uint32_t n)
{
    struct journal *j = state_open(dir);
    char *path = path_in(dir, "home.journal");

    put_many(j, n);
    journal_close(&j);
    struct octets good = slurp(path);

    free(path);
    return good;
}

static void damaged_files(void **state)
{
    char *path = path_in(*state, "home.journal");
    struct octets good = a_journal(*state, 400);
    uint64_t seed = 77;
    unsigned opened = 0, refused = 0;

    for (size_t n = 0; n < good.n; n += n < 200 ? 13 : 1500) { /* cut off */
        spill(path, good.p, n);
        assert_false(opens_damaged(*state));
    }
    spill(path, "From somebody, not a database at all, and of some length to be looked at by the reader.....\n", 92);
    assert_false(opens_damaged(*state));
    for (size_t page = 0; page < good.n; page += 4096) {
        for (int i = 0; i < 12; i++) { /* one bit, in the head of the page and anywhere */
            struct octets bad = { malloc(good.n), good.n };
            size_t at = page + state_next(&seed) % (i < 6 ? 110 : 4096);

            memcpy(bad.p, good.p, good.n);
            bad.p[at] ^= (uint8_t)(1u << state_next(&seed) % 8);
            if (at >= 60 && at < 64)
                bad.p[at] = good.p[at]; /* the version is another test's */
            spill(path, bad.p, bad.n);
            free(bad.p);
            (*(opens_damaged(*state) ? &opened : &refused))++;
        }
        struct octets bad = { malloc(good.n), good.n };

        memcpy(bad.p, good.p, good.n);
        memset(bad.p + page, 0, 4096); /* a page that never reached the disk */
        spill(path, bad.p, bad.n);
        free(bad.p);
        assert_false(opens_damaged(*state));
    }
    assert_true(refused > 20 && opened > 0);
    spill(path, good.p, good.n);
    assert_true(opens_damaged(*state));
    free(good.p);
    free(path);
}

/* A write-ahead log that was left behind and then damaged: a transaction is there whole or not at all. */
static void a_damaged_log(void **state)
{
    char *path = path_in(*state, "home.journal"), *log = path_in(*state, "home.journal-wal");
    struct journal *j = state_open(*state);
    struct err e = { 0 };
    uint64_t seed = 99;

    for (uint32_t i = 0; i < 60; i++) {
        struct entry entry = state_entry("w", i, ENTRY_INTENT);

        must(journal_begin(j, &e) && journal_put(j, &entry, &e), &e);
        must(journal_set_state(j, entry.id, ENTRY_STORED, &e) && journal_commit(j, &e), &e);
    }
    struct octets good = slurp(path), wal = slurp(log);

    journal_close(&j);
    for (int i = 0; i < 60; i++) {
        struct visits v = { 0 };
        size_t at = state_next(&seed) % wal.n, n = i % 2 ? wal.n : at;

        wal.p[at] ^= 0x10;
        spill(path, good.p, good.n);
        spill(log, wal.p, n);
        wal.p[at] ^= 0x10;
        if (journal_open(*state, "home", false, &j, &e)) {
            must(journal_each(j, ~0u, on_entry, &v, &e), &e);
            assert_true((v.states & ~ENTRY_BIT(ENTRY_STORED)) == 0);
            journal_close(&j);
        } else {
            assert_int_equal(e.fault, FAULT_BAD);
        }
    }
    free(good.p);
    free(wal.p);
    free(path);
    free(log);
}

static bool put_until_full(struct journal *j, uint32_t a_transaction, uint32_t *n, struct err *e)
{
    bool ok = true;

    for (*n = 0; ok && *n < 20000; *n += ok) {
        struct entry entry = state_entry("f", *n, ENTRY_STORED);

        memset(entry.note, 'n', sizeof entry.note - 1);
        ok = (*n % a_transaction || journal_begin(j, e)) && journal_put(j, &entry, e) &&
             ((*n + 1) % a_transaction || journal_commit(j, e));
    }
    return ok;
}

/* In a process of its own: files may not grow past 256 KiB. */
static int fill_the_disk(const char *dir, uint32_t a_transaction)
{
    struct rlimit limit = { 256 * 1024, 256 * 1024 };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct entry late = state_entry("late", 0, ENTRY_STORED);
    struct visits v = { 0 };
    struct err e = { 0 };
    struct journal *j;
    uint32_t n;

    sigaction(SIGXFSZ, &ignore, NULL);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || !journal_open(dir, "home", false, &j, &e))
        return 100;
    if (put_until_full(j, a_transaction, &n, &e) || e.fault != FAULT_TEMP)
        return 101;
    if (journal_put(j, &late, &e) || journal_commit(j, &e)) /* no transaction is left for it */
        return 102;
    if (!journal_each(j, ~0u, on_entry, &v, &e) || v.seen != n - n % a_transaction)
        return 103;
    journal_close(&j);
    return n < 5 ? 104 : 0;
}

static void a_full_disk(void **state)
{
    for (int i = 0; i < 2; i++) { /* at a commit, and in the middle of a long transaction */
        struct visits v = { 0 };
        struct err e = { 0 };
        int status;
        pid_t child = fork();

        if (child == 0)
            _exit(fill_the_disk(*state, i ? 1000000 : 1));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        struct journal *j = state_open(*state);

        must(journal_each(j, ~0u, on_entry, &v, &e), &e);
        assert_true(i ? v.seen == 0 : v.seen >= 5);
        must(journal_begin(j, &e), &e);
        for (int64_t id = 1; id <= (int64_t)v.seen; id++)
            must(journal_drop(j, id, &e), &e);
        must(journal_commit(j, &e), &e);
        journal_close(&j);
    }
}

static void a_newer_version(void **state)
{
    char *path = path_in(*state, "home.journal");
    struct octets good = a_journal(*state, 10);
    struct err e = { 0 };
    struct journal *j;
    uint64_t rows;

    good.p[63]++;
    spill(path, good.p, good.n);
    for (int read_only = 0; read_only < 2; read_only++) {
        assert_false(journal_open(*state, "home", read_only, &j, &e));
        assert_int_equal(e.fault, FAULT_BAD);
        assert_non_null(strstr(e.text, "newer"));
    }
    assert_false(journal_salvage(*state, "home", &rows, &e));
    assert_non_null(strstr(e.text, "newer"));
    struct octets after = slurp(path);

    assert_true(after.n == good.n && memcmp(after.p, good.p, good.n) == 0);
    free(after.p);
    good.p[63]--;
    good.p[68] ^= 1; /* somebody else's database */
    spill(path, good.p, good.n);
    assert_false(opens_damaged(*state));
    free(good.p);
    free(path);
}

/* What was saved of the damaged file is the damaged file. */
static bool is_saved(const char *dir, struct octets damaged)
{
    char *pattern = path_in(dir, "home.journal.damaged-*[0-9]");
    glob_t found;
    bool ok = glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc == 1;

    if (ok) {
        struct octets saved = slurp(found.gl_pathv[0]);

        ok = saved.n == damaged.n && memcmp(saved.p, damaged.p, saved.n) == 0;
        free(saved.p);
        globfree(&found);
    }
    free(pattern);
    return ok;
}

static unsigned count_files(const char *dir)
{
    char *pattern = path_in(dir, "*");
    glob_t found;
    unsigned n = glob(pattern, 0, NULL, &found) == 0 ? (unsigned)found.gl_pathc : 0;

    globfree(&found);
    free(pattern);
    return n;
}

static void salvage(void **state)
{
    char *path = path_in(*state, "home.journal");
    struct octets good = a_journal(*state, 2000);
    struct err e = { 0 };
    struct journal *j;
    uint64_t rows;

    assert_false(journal_salvage(*state, "nobody", &rows, &e));
    assert_int_equal(e.fault, FAULT_GONE);
    for (int i = 0; i < 5; i++) /* five pages in the middle */
        memset(good.p + 4096 * (20 + 15 * (size_t)i), 0xa5, 4096);
    spill(path, good.p, good.n);
    assert_false(opens_damaged(*state));
    must(journal_salvage(*state, "home", &rows, &e), &e);
    assert_true(rows > 1500 && rows < 2000);
    assert_true(is_saved(*state, good));
    assert_int_equal(count_files(*state), 4); /* journal, damaged, two locks: nothing else is left about */
    j = state_open(*state);
    uint64_t counts[ENTRY_QUARANTINED + 1], octets;

    must(journal_count(j, counts, &octets, &e), &e);
    assert_int_equal(counts[ENTRY_STORED], rows);
    journal_close(&j);
    free(good.p);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(damaged_files),
        STATE_TEST(a_damaged_log),
        STATE_TEST(a_full_disk),
        STATE_TEST(a_newer_version),
        STATE_TEST(salvage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
