/* journal_entry.c - entries and facts of an open journal: see journal.h. Does not know: files, locks. */
#include "client/journal_impl.h"

#include "base/num.h"

enum { NUMBER_ROOM = 32, FACT_MAX = 65536 };

/* Errors of binding come from nothing but memory; the statement then fails by its constraints. */
static void bind_octets(sqlite3_stmt *s, int at, struct span in)
{
    sqlite3_bind_blob64(s, at, in.n ? (const void *)in.p : "", in.n, SQLITE_STATIC);
}

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
    sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
}

/* A grave failure (a full disk) ends the transaction within SQLite: nothing may slip in behind it on its own. */
static bool may_change(struct journal *j, struct err *e)
{
    return (j->changing && !sqlite3_get_autocommit(j->db)) || err_set(e, FAULT_PERM, "%.200s: a change outside of a transaction", j->path);
}

bool journal_begin(struct journal *j, struct err *e)
{
    if (j->changing || j->read_only)
        return err_set(e, FAULT_PERM, "%.200s: a second transaction, or one while only reading", j->path);
    j->changing = journal_run(j, j->query[QUERY_BEGIN], e);
    return j->changing;
}

bool journal_commit(struct journal *j, struct err *e)
{
    bool ok = may_change(j, e) && journal_run(j, j->query[QUERY_COMMIT], e);

    if (!ok)
        journal_rollback(j);
    j->changing = false;
    return ok;
}

void journal_rollback(struct journal *j)
{
    /* A failure may have ended the transaction already. */
    if (j->changing && !sqlite3_get_autocommit(j->db))
        journal_run(j, j->query[QUERY_ROLLBACK], NULL);
    j->changing = false;
}

/* The row of a bound statement of the kind QUERY_FIND; the unique-id is kept in the journal. */
static bool one(struct journal *j, sqlite3_stmt *s, struct entry *entry, bool *found, struct err *e)
{
    int code = sqlite3_step(s);
    bool ok = true;

    *found = false;
    if (code == SQLITE_ROW) {
        ok = *found = journal_load(j, s, entry, e);
        if (ok && entry->uid.n)
            memcpy(j->uid, entry->uid.p, entry->uid.n);
        entry->uid.p = j->uid;
    } else if (code != SQLITE_DONE) {
        ok = journal_fail(j, code, e);
    }
    sqlite3_reset(s);
    return ok;
}

bool journal_find(struct journal *j, struct span uid, uint32_t nth, struct entry *entry, bool *found, struct err *e)
{
    sqlite3_stmt *s = journal_query(j, QUERY_FIND, e);

    if (!s)
        return false;
    bind_octets(s, 1, uid);
    sqlite3_bind_int64(s, 2, nth);
    return one(j, s, entry, found, e);
}

bool journal_find_id(struct journal *j, int64_t id, struct entry *entry, bool *found, struct err *e)
{
    sqlite3_stmt *s = journal_query(j, QUERY_FIND_ID, e);

    if (!s)
        return false;
    sqlite3_bind_int64(s, 1, id);
    return one(j, s, entry, found, e);
}

bool journal_find_digest(struct journal *j, const uint8_t digest[JOURNAL_DIGEST], int64_t after, struct entry *entry,
                         bool *found, struct err *e)
{
    sqlite3_stmt *s = journal_query(j, QUERY_FIND_DIGEST, e);

    if (!s)
        return false;
    bind_octets(s, 1, span_of(digest, JOURNAL_DIGEST));
    sqlite3_bind_int64(s, 2, after);
    return one(j, s, entry, found, e);
}

static bool is_fit(const struct entry *entry)
{
    return entry->uid.n <= JOURNAL_UID && entry->state >= ENTRY_INTENT && entry->state <= ENTRY_QUARANTINED &&
           entry->octets <= INT64_MAX && entry->stored_octets <= INT64_MAX &&
           memchr(entry->name, 0, sizeof entry->name) && memchr(entry->dest, 0, sizeof entry->dest) &&
           memchr(entry->note, 0, sizeof entry->note) && memchr(entry->why, 0, sizeof entry->why);
}

static void bind_entry(sqlite3_stmt *s, const struct entry *entry)
{
    if (entry->id)
        sqlite3_bind_int64(s, 1, entry->id);
    bind_octets(s, 2, entry->uid);
    sqlite3_bind_int64(s, 3, entry->nth);
    sqlite3_bind_int64(s, 4, entry->state);
    if (entry->has_size) /* a hint of the server, whose bits are kept as they came */
        sqlite3_bind_int64(s, 5, (int64_t)entry->size);
    sqlite3_bind_int64(s, 6, (int64_t)entry->octets);
    sqlite3_bind_int64(s, 7, (int64_t)entry->stored_octets);
    if (entry->has_digest) {
        bind_octets(s, 8, span_of(entry->wire_digest, JOURNAL_DIGEST));
        bind_octets(s, 9, span_of(entry->stored_digest, JOURNAL_DIGEST));
    }
    bind_text(s, 10, entry->name);
    bind_text(s, 11, entry->dest);
    bind_text(s, 12, entry->note);
    bind_text(s, 13, entry->why);
    sqlite3_bind_int64(s, 14, entry->tries);
    sqlite3_bind_int64(s, 15, entry->first_seen);
    sqlite3_bind_int64(s, 16, entry->stored_at);
    sqlite3_bind_int64(s, 17, entry->absent_since);
    sqlite3_bind_int64(s, 18, entry->absent_listings);
}

/* Runs a change of the row with this id; that there is one is part of the deal. */
static bool change(struct journal *j, sqlite3_stmt *s, int64_t id, struct err *e)
{
    if (!journal_run(j, s, e))
        return false;
    return sqlite3_changes(j->db) == 1 ||
           err_set(e, FAULT_GONE, "%.200s has no entry %lld", j->path, (long long)id);
}

bool journal_put(struct journal *j, struct entry *entry, struct err *e)
{
    sqlite3_stmt *s;

    if (!may_change(j, e) || !(s = journal_query(j, entry->id ? QUERY_UPDATE : QUERY_INSERT, e)))
        return false;
    if (!is_fit(entry))
        return err_set(e, FAULT_BAD, "an entry that the journal cannot hold (unique-id of %zu octets)", entry->uid.n);
    bind_entry(s, entry);
    if (!change(j, s, entry->id, e))
        return false;
    if (!entry->id)
        entry->id = sqlite3_last_insert_rowid(j->db);
    return true;
}

/* The statement of a change with its id bound, or NULL. */
static sqlite3_stmt *change_of(struct journal *j, enum journal_query which, int64_t id, struct err *e)
{
    sqlite3_stmt *s = may_change(j, e) ? journal_query(j, which, e) : NULL;

    if (s)
        sqlite3_bind_int64(s, 1, id);
    return s;
}

bool journal_set_state(struct journal *j, int64_t id, enum entry_state state, struct err *e)
{
    sqlite3_stmt *s = change_of(j, QUERY_SET_STATE, id, e);

    if (!s)
        return false;
    sqlite3_bind_int64(s, 2, state);
    return change(j, s, id, e);
}

bool journal_set_note(struct journal *j, int64_t id, const char *note, struct err *e)
{
    sqlite3_stmt *s = change_of(j, QUERY_SET_NOTE, id, e);

    if (!s)
        return false;
    if (strnlen(note, JOURNAL_NOTE) == JOURNAL_NOTE)
        return err_set(e, FAULT_BAD, "a note longer than %d octets", JOURNAL_NOTE - 1);
    bind_text(s, 2, note);
    return change(j, s, id, e);
}

bool journal_set_absent(struct journal *j, int64_t id, int64_t since, uint32_t listings, struct err *e)
{
    sqlite3_stmt *s = change_of(j, QUERY_SET_ABSENT, id, e);

    if (!s)
        return false;
    sqlite3_bind_int64(s, 2, since);
    sqlite3_bind_int64(s, 3, listings);
    return change(j, s, id, e);
}

bool journal_rekey(struct journal *j, int64_t id, struct span uid, uint32_t nth, struct err *e)
{
    sqlite3_stmt *s = change_of(j, QUERY_REKEY, id, e);

    if (!s)
        return false;
    if (uid.n > JOURNAL_UID)
        return err_set(e, FAULT_BAD, "a unique-id of %zu octets", uid.n);
    bind_octets(s, 2, uid);
    sqlite3_bind_int64(s, 3, nth);
    return change(j, s, id, e);
}

bool journal_drop(struct journal *j, int64_t id, struct err *e)
{
    sqlite3_stmt *s = change_of(j, QUERY_DROP, id, e);

    return s && change(j, s, id, e);
}

/* One state has an index; several cost a walk through all. Either comes in order of id without sorting. */
static sqlite3_stmt *visit_of(struct journal *j, unsigned states, enum journal_query many, struct err *e)
{
    bool is_one = states && !(states & (states - 1));
    sqlite3_stmt *s = journal_query(j, is_one ? many + 1 : many, e);

    if (s)
        sqlite3_bind_int64(s, 1, is_one ? __builtin_ctz(states) : (int64_t)states);
    return s;
}

bool journal_each(struct journal *j, unsigned states, journal_visit *visit, void *ctx, struct err *e)
{
    sqlite3_stmt *s = visit_of(j, states, QUERY_EACH, e);
    struct entry entry;
    int code;
    bool ok = true, more = true;

    if (!s)
        return false;
    while (ok && more && (code = sqlite3_step(s)) != SQLITE_DONE) {
        ok = code == SQLITE_ROW ? journal_load(j, s, &entry, e) : journal_fail(j, code, e);
        more = ok && visit(ctx, &entry);
    }
    sqlite3_reset(s);
    return ok;
}

bool journal_each_brief(struct journal *j, unsigned states, journal_visit_brief *visit, void *ctx, struct err *e)
{
    sqlite3_stmt *s = visit_of(j, states, QUERY_BRIEF, e);
    int code;
    bool ok = true, more = true;

    if (!s)
        return false;
    while (ok && more && (code = sqlite3_step(s)) != SQLITE_DONE) {
        if (code != SQLITE_ROW) {
            ok = journal_fail(j, code, e);
            break;
        }
        more = visit(ctx, &(struct entry_brief){ .id = sqlite3_column_int64(s, 0),
                                                 .state = (enum entry_state)sqlite3_column_int(s, 1),
                                                 .absent_listings = (uint32_t)sqlite3_column_int64(s, 2),
                                                 .absent_since = sqlite3_column_int64(s, 3),
                                                 .stored_at = sqlite3_column_int64(s, 4),
                                                 .size = (uint64_t)sqlite3_column_int64(s, 5) });
    }
    sqlite3_reset(s);
    return ok;
}

bool journal_fact(struct journal *j, const char *key, struct buf *value, struct err *e)
{
    sqlite3_stmt *s = journal_query(j, QUERY_FACT, e);
    int code;
    bool ok = true;

    if (!s)
        return false;
    bind_text(s, 1, key);
    code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        const void *p = sqlite3_column_blob(s, 0);

        ok = buf_put(value, p, (size_t)sqlite3_column_bytes(s, 0)) ||
             err_set(e, FAULT_BAD, "%.160s: the fact \"%.60s\" is too long", j->path, key);
    } else if (code != SQLITE_DONE) {
        ok = journal_fail(j, code, e);
    }
    sqlite3_reset(s);
    return ok;
}

bool journal_set_fact(struct journal *j, const char *key, struct span value, struct err *e)
{
    sqlite3_stmt *s = may_change(j, e) ? journal_query(j, value.n ? QUERY_SET_FACT : QUERY_DROP_FACT, e) : NULL;

    if (!s)
        return false;
    if (value.n > FACT_MAX)
        return err_set(e, FAULT_BAD, "the fact \"%.60s\" is too long", key);
    bind_text(s, 1, key);
    if (value.n)
        bind_octets(s, 2, value);
    return journal_run(j, s, e);
}

int64_t journal_fact_number(struct journal *j, const char *key)
{
    struct buf value = BUF(NUMBER_ROOM);
    uint64_t n = 0;

    if (!journal_fact(j, key, &value, NULL) || !num_all_u64(buf_span(&value), &n) || n > INT64_MAX)
        n = 0;
    buf_free(&value);
    return (int64_t)n;
}

bool journal_count(struct journal *j, uint64_t counts[ENTRY_QUARANTINED + 1], uint64_t *octets, struct err *e)
{
    sqlite3_stmt *s = journal_query(j, QUERY_COUNT, e);
    int code;

    if (!s)
        return false;
    memset(counts, 0, (ENTRY_QUARANTINED + 1) * sizeof *counts);
    *octets = 0;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        int64_t state = sqlite3_column_int64(s, 0), sum = sqlite3_column_int64(s, 2);

        if (state >= ENTRY_INTENT && state <= ENTRY_QUARANTINED) {
            counts[state] = (uint64_t)sqlite3_column_int64(s, 1);
            *octets += sum > 0 ? (uint64_t)sum : 0;
        }
    }
    bool ok = code == SQLITE_DONE || journal_fail(j, code, e);

    sqlite3_reset(s);
    return ok;
}

const char *entry_state_name(enum entry_state state)
{
    static const char *const names[] = {
        [ENTRY_INTENT] = "intent", [ENTRY_STORED] = "stored", [ENTRY_DELE_SENT] = "delete-sent",
        [ENTRY_GONE] = "gone",     [ENTRY_SEEN] = "seen",     [ENTRY_QUARANTINED] = "quarantined",
    };

    return state >= ENTRY_INTENT && state <= ENTRY_QUARANTINED ? names[state] : "unknown";
}
