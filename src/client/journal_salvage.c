/* journal_salvage.c - what can be read of a damaged journal, in a new one: see journal.h.
 *
 * The damaged file and its write-ahead log are copied first and only the copy is read; the new journal is complete
 * before it takes the old one's place. Behind a page that cannot be read the search goes on at later ids.
 * Does not know: what the entries mean.
 */
#include "client/journal_impl.h"

#include "base/clock.h"
#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { COPY_STEP = 65536, SMALL_STEPS = 20000 };

struct salvage {
    struct journal *from, *to;
    uint64_t rows;
    struct err *e;
};

static bool copy_octets(int from, int to)
{
    uint8_t *block = mem_new(COPY_STEP);
    ssize_t n;
    bool ok = true;

    while (ok && (n = sys_read_some(from, block, COPY_STEP)) != 0)
        ok = n > 0 && sys_write_all(to, span_of(block, (size_t)n));
    free(block);
    return ok && sys->fsync(to) == 0;
}

/* *found false, and success, when there is nothing to copy. */
static bool copy(const char *from, const char *to, bool *found, struct err *e)
{
    int in = sys_open(AT_FDCWD, from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0), out = -1;
    bool ok;

    *found = in >= 0;
    if (in < 0)
        return errno == ENOENT || err_errno(e, "open", from);
    out = sys_open(AT_FDCWD, to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    ok = out >= 0 || err_errno(e, "create", to);
    ok = ok && (copy_octets(in, out) || err_errno(e, "copy", from));
    sys_close(&in);
    sys_close(&out);
    return ok;
}

static bool add(struct salvage *v, struct entry *entry)
{
    struct err e = { 0 };

    entry->id = 0;
    if (!journal_put(v->to, entry, &e)) {
        if (e.fault == FAULT_BAD) /* an identity that is there already */
            return true;
        *v->e = e;
        return false;
    }
    v->rows++;
    return true;
}

/* All rows behind *after in order, as far as they go; *after is the last one met. False ends everything. */
static bool take_run(struct salvage *v, int64_t *after, bool *more)
{
    sqlite3_stmt *s = v->from->query[QUERY_AFTER];
    struct entry entry;
    bool ok = true;
    int code;

    sqlite3_bind_int64(s, 1, *after);
    while (ok && (code = sqlite3_step(s)) == SQLITE_ROW) {
        *after = sqlite3_column_int64(s, 0);
        if (!journal_load(v->from, s, &entry, NULL))
            continue;
        ok = add(v, &entry);
    }
    *more = ok && code != SQLITE_DONE;
    sqlite3_reset(s);
    return ok;
}

/* A leaf holds some dozens of rows, a page above it thousands: small steps first, then ever larger ones. */
static bool take_entries(struct salvage *v)
{
    int64_t after = INT64_MIN, last = INT64_MIN, step = 1;
    uint32_t failed = 0;
    bool more = true;

    for (;;) {
        if (!take_run(v, &after, &more))
            return false;
        if (!more)
            return true;
        if (after > last) { /* rows came */
            last = after;
            failed = 0;
            step = 1;
        }
        if (after < 0)
            after = 0;
        if (failed++ >= SMALL_STEPS)
            step *= 2;
        if (step <= 0 || after > INT64_MAX - step)
            return true;
        after += step;
        last = after;
    }
}

static void take_facts(struct salvage *v)
{
    sqlite3_stmt *s = v->from->query[QUERY_FACTS];

    while (sqlite3_step(s) == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(s, 0);
        const void *value = sqlite3_column_blob(s, 1);

        if (key && value)
            journal_set_fact(v->to, key, span_of(value, (size_t)sqlite3_column_bytes(s, 1)), NULL);
    }
    sqlite3_reset(s);
}

/* Fills the new journal at fresh from the copy. A copy of which nothing can be read gives an empty one. */
static bool refill(const char *copy_path, const char *fresh, uint64_t *rows, struct err *e)
{
    struct journal *from = mem_zero(1, sizeof *from), *to = mem_zero(1, sizeof *to);
    struct salvage v = { .from = from, .to = to, .e = e };
    struct err unread = { 0 };

    from->lock = to->lock = -1;
    snprintf(from->path, sizeof from->path, "%s", copy_path);
    snprintf(to->path, sizeof to->path, "%s", fresh);
    bool ok = journal_make(fresh, e) && journal_attach(to, SQLITE_OPEN_READWRITE, e);

    if (ok && journal_attach(from, SQLITE_OPEN_READONLY, &unread)) {
        ok = journal_begin(to, e) && take_entries(&v);
        if (ok)
            take_facts(&v);
        ok = ok && journal_commit(to, e);
    } else if (ok && (from->is_newer || unread.fault != FAULT_BAD)) {
        *e = unread;
        ok = false;
    }
    journal_close(&from);
    journal_close(&to);
    *rows = v.rows;
    return ok;
}

static bool salvage_locked(const char path[JOURNAL_PATH], uint64_t *rows, struct err *e)
{
    static const char *const left[] = { "", "-journal", "-wal", "-shm" };
    char saved[JOURNAL_PATH + 64], log[JOURNAL_PATH + 8], saved_log[JOURNAL_PATH + 72], fresh[JOURNAL_PATH + 8];
    bool found, has_log;

    snprintf(saved, sizeof saved, "%s.damaged-%lld", path, (long long)(clock_real_ns() / 1000000000));
    snprintf(saved_log, sizeof saved_log, "%s-wal", saved);
    snprintf(log, sizeof log, "%s-wal", path);
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        snprintf(fresh, sizeof fresh, "%s.new%s", path, left[i]);
        sys->unlinkat(AT_FDCWD, fresh, 0);
    }
    snprintf(fresh, sizeof fresh, "%s.new", path);
    if (!copy(path, saved, &found, e))
        return false;
    if (!found)
        return err_set(e, FAULT_GONE, "%.250s does not exist", path);
    bool filled = copy(log, saved_log, &has_log, e) && refill(saved, fresh, rows, e);

    if (!filled)
        sys->unlinkat(AT_FDCWD, saved, 0);
    if (!filled || !has_log) /* what reading made is nothing to keep */
        sys->unlinkat(AT_FDCWD, saved_log, 0);
    snprintf(saved_log, sizeof saved_log, "%s-shm", saved);
    sys->unlinkat(AT_FDCWD, saved_log, 0);
    if (!filled)
        return false;
    /* The old log goes before the new journal comes: one is never read with the other. */
    if (sys->unlinkat(AT_FDCWD, log, 0) != 0 && errno != ENOENT)
        return err_errno(e, "remove", log);
    snprintf(log, sizeof log, "%s-shm", path);
    sys->unlinkat(AT_FDCWD, log, 0);
    return journal_place(fresh, path, e);
}

bool journal_salvage(const char *dir, const char *account, uint64_t *rows, struct err *e)
{
    char path[JOURNAL_PATH];
    int lock = -1;
    bool ok = journal_path(dir, account, "journal", path, e) && journal_lock(dir, account, &lock, e) &&
              salvage_locked(path, rows, e);

    sys_close(&lock);
    return ok;
}
