/* journal_db.c - the database below the journal: schema, statements, what SQLite's answers mean.
 *
 * Mode: WAL with synchronous=FULL. One commit costs one fdatasync (counted over 200 commits: WAL 209, rollback
 * journal 804, truncated or kept rollback journal 1005), and "status" can read while a run writes. The locking mode
 * stays normal for that reader's sake; that two runs exclude each other is the work of our own lock. A journal that
 * was closed is one file; after a crash the file NAME.journal-wal belongs to it.
 *
 * A new journal is made under another name and renamed when it is complete, so that a journal of length nought is
 * damage and not a fresh start. Triggers and views, which a foreign hand might have put in, are switched off.
 * Does not know: what the states mean, who asks.
 */
#include "client/journal_impl.h"

#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>

enum { BUSY_MS = 5000, SCRIPT_MAX = 512 };

#define COLUMNS \
    "id, uid, nth, state, size, octets, stored_octets, wire_digest, stored_digest, name, dest, note, why, tries," \
    " first_seen, stored_at, absent_since, absent_listings"
#define BRIEF "id, state, absent_listings, absent_since, stored_at, size"
#define SELECT "SELECT " COLUMNS " FROM entry "

#define SCHEMA \
    "CREATE TABLE entry (id INTEGER PRIMARY KEY, uid BLOB NOT NULL CHECK (length(uid) <= 1024)," \
    " nth INTEGER NOT NULL, state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 6), size INTEGER," \
    " octets INTEGER NOT NULL, stored_octets INTEGER NOT NULL," \
    " wire_digest BLOB CHECK (length(wire_digest) = 32), stored_digest BLOB CHECK (length(stored_digest) = 32)," \
    " name TEXT NOT NULL, dest TEXT NOT NULL, note TEXT NOT NULL, why TEXT NOT NULL, tries INTEGER NOT NULL," \
    " first_seen INTEGER NOT NULL, stored_at INTEGER NOT NULL, absent_since INTEGER NOT NULL," \
    " absent_listings INTEGER NOT NULL) STRICT;" \
    "CREATE UNIQUE INDEX entry_uid ON entry (uid, nth);" \
    "CREATE INDEX entry_digest ON entry (wire_digest) WHERE wire_digest IS NOT NULL;" \
    "CREATE INDEX entry_state ON entry (state);" \
    "CREATE TABLE fact (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"

static const char *const texts[QUERY_N] = {
    [QUERY_BEGIN] = "BEGIN IMMEDIATE",
    [QUERY_COMMIT] = "COMMIT",
    [QUERY_ROLLBACK] = "ROLLBACK",
    [QUERY_FIND] = SELECT "WHERE uid = ?1 AND nth = ?2",
    [QUERY_FIND_ID] = SELECT "WHERE id = ?1",
    [QUERY_FIND_DIGEST] = SELECT "WHERE wire_digest = ?1 AND id > ?2 AND state <> 1 ORDER BY id LIMIT 1",
    [QUERY_INSERT] = "INSERT INTO entry (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
                     " ?13, ?14, ?15, ?16, ?17, ?18)",
    [QUERY_UPDATE] = "UPDATE entry SET uid = ?2, nth = ?3, state = ?4, size = ?5, octets = ?6, stored_octets = ?7,"
                     " wire_digest = ?8, stored_digest = ?9, name = ?10, dest = ?11, note = ?12, why = ?13,"
                     " tries = ?14, first_seen = ?15, stored_at = ?16, absent_since = ?17, absent_listings = ?18"
                     " WHERE id = ?1",
    [QUERY_SET_STATE] = "UPDATE entry SET state = ?2 WHERE id = ?1",
    [QUERY_SET_NOTE] = "UPDATE entry SET note = ?2 WHERE id = ?1",
    [QUERY_SET_ABSENT] = "UPDATE entry SET absent_since = ?2, absent_listings = ?3 WHERE id = ?1",
    [QUERY_REKEY] = "UPDATE entry SET uid = ?2, nth = ?3 WHERE id = ?1",
    [QUERY_DROP] = "DELETE FROM entry WHERE id = ?1",
    [QUERY_EACH] = SELECT "WHERE (?1 >> state) & 1 ORDER BY id",
    [QUERY_EACH_ONE] = SELECT "WHERE state = ?1 ORDER BY id",
    [QUERY_BRIEF] = "SELECT " BRIEF " FROM entry WHERE (?1 >> state) & 1 ORDER BY id",
    [QUERY_BRIEF_ONE] = "SELECT " BRIEF " FROM entry WHERE state = ?1 ORDER BY id",
    [QUERY_FACT] = "SELECT value FROM fact WHERE key = ?1",
    [QUERY_SET_FACT] = "INSERT INTO fact (key, value) VALUES (?1, ?2)"
                       " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    [QUERY_DROP_FACT] = "DELETE FROM fact WHERE key = ?1",
    [QUERY_COUNT] = "SELECT state, count(*), CAST(total(octets) AS INTEGER) FROM entry GROUP BY state",
    [QUERY_AFTER] = SELECT "WHERE id > ?1 ORDER BY id",
    [QUERY_FACTS] = "SELECT key, value FROM fact",
};

static enum fault fault_of_sqlite(int code)
{
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_ERROR: /* our statements are right; a schema that is not ours makes them wrong */
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH:
        return FAULT_BAD;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
        return FAULT_PERM;
    default:
        return FAULT_TEMP;
    }
}

bool journal_fail(struct journal *j, int code, struct err *e)
{
    enum fault fault = fault_of_sqlite(code);
    const char *text = j->db ? sqlite3_errmsg(j->db) : sqlite3_errstr(code);

    if ((code & 0xff) == SQLITE_CONSTRAINT)
        return err_set(e, FAULT_BAD, "%.160s: the change was refused: %.120s", j->path, text);
    if (fault == FAULT_BAD)
        return err_set(e, fault, "%.140s is damaged (%.40s); it was left as it is: put back a copy, or let "
                                 "\"restante state salvage %.40s\" keep what can be read", j->path, text, j->account);
    return err_set(e, fault, "%.180s: %.120s", j->path, text);
}

sqlite3_stmt *journal_query(struct journal *j, enum journal_query which, struct err *e)
{
    sqlite3_stmt *s = j->query[which];

    if (sqlite3_stmt_busy(s)) {
        err_set(e, FAULT_TEMP, "%.200s: a visitor of the journal asked for another visit", j->path);
        return NULL;
    }
    sqlite3_clear_bindings(s);
    return s;
}

bool journal_run(struct journal *j, sqlite3_stmt *s, struct err *e)
{
    int code = sqlite3_step(s);
    bool ok = code == SQLITE_DONE || code == SQLITE_ROW || journal_fail(j, code, e);

    sqlite3_reset(s);
    return ok;
}

static bool take_text(sqlite3_stmt *s, int column, char *dst, size_t room)
{
    const unsigned char *p = sqlite3_column_text(s, column);
    size_t n = (size_t)sqlite3_column_bytes(s, column);

    if (!p || n >= room || memchr(p, 0, n))
        return false;
    memcpy(dst, p, n);
    dst[n] = '\0';
    return true;
}

static bool take_digest(sqlite3_stmt *s, int column, uint8_t dst[JOURNAL_DIGEST])
{
    const void *p = sqlite3_column_blob(s, column);

    if (!p || sqlite3_column_bytes(s, column) != JOURNAL_DIGEST)
        return false;
    memcpy(dst, p, JOURNAL_DIGEST);
    return true;
}

static bool take_numbers(sqlite3_stmt *s, struct entry *entry)
{
    int64_t nth = sqlite3_column_int64(s, 2), state = sqlite3_column_int64(s, 3),
            tries = sqlite3_column_int64(s, 13), listings = sqlite3_column_int64(s, 17),
            octets = sqlite3_column_int64(s, 5), stored = sqlite3_column_int64(s, 6);

    if (nth < 0 || nth > UINT32_MAX || state < ENTRY_INTENT || state > ENTRY_QUARANTINED || tries < 0 ||
        tries > UINT32_MAX || listings < 0 || listings > UINT32_MAX || octets < 0 || stored < 0)
        return false;
    entry->id = sqlite3_column_int64(s, 0);
    entry->nth = (uint32_t)nth;
    entry->state = (enum entry_state)state;
    entry->has_size = sqlite3_column_type(s, 4) == SQLITE_INTEGER;
    entry->size = entry->has_size ? (uint64_t)sqlite3_column_int64(s, 4) : 0;
    entry->octets = (uint64_t)octets;
    entry->stored_octets = (uint64_t)stored;
    entry->tries = (uint32_t)tries;
    entry->first_seen = sqlite3_column_int64(s, 14);
    entry->stored_at = sqlite3_column_int64(s, 15);
    entry->absent_since = sqlite3_column_int64(s, 16);
    entry->absent_listings = (uint32_t)listings;
    return true;
}

bool journal_load(struct journal *j, sqlite3_stmt *s, struct entry *entry, struct err *e)
{
    *entry = (struct entry){ 0 };
    entry->uid = span_of(sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1));
    entry->has_digest = sqlite3_column_type(s, 7) != SQLITE_NULL;
    if (take_numbers(s, entry) && entry->uid.n <= JOURNAL_UID &&
        (!entry->has_digest ||
         (take_digest(s, 7, entry->wire_digest) && take_digest(s, 8, entry->stored_digest))) &&
        take_text(s, 9, entry->name, sizeof entry->name) && take_text(s, 10, entry->dest, sizeof entry->dest) &&
        take_text(s, 11, entry->note, sizeof entry->note) && take_text(s, 12, entry->why, sizeof entry->why))
        return true;
    *entry = (struct entry){ 0 };
    return journal_fail(j, SQLITE_CORRUPT, e);
}

static bool run_script(struct journal *j, const char *script, struct err *e)
{
    int code = sqlite3_exec(j->db, script, NULL, NULL, NULL);

    return code == SQLITE_OK || journal_fail(j, code, e);
}

/* The first column of the first row, as a number and as text. */
static bool ask(struct journal *j, const char *text, int64_t *number, bool *is_ok, struct err *e)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(j->db, text, -1, &s, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        const char *word = (const char *)sqlite3_column_text(s, 0);

        *number = sqlite3_column_int64(s, 0);
        *is_ok = word && strcmp(word, "ok") == 0;
    }
    bool done = code == SQLITE_ROW || journal_fail(j, code == SQLITE_DONE ? SQLITE_CORRUPT : code, e);

    sqlite3_finalize(s);
    return done;
}

static bool open_db(struct journal *j, int flags, struct err *e)
{
    int code = sqlite3_open_v2(j->path, &j->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);

    if (code != SQLITE_OK)
        return journal_fail(j, code, e);
    sqlite3_extended_result_codes(j->db, 0);
    sqlite3_busy_timeout(j->db, BUSY_MS);
    sqlite3_db_config(j->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(j->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(j->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_db_config(j->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return run_script(j, "PRAGMA synchronous = FULL; PRAGMA cache_size = -4096; PRAGMA cell_size_check = ON;"
                         "PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 4194304; PRAGMA mmap_size = 0", e);
}

static bool check_version(struct journal *j, struct err *e)
{
    int64_t version = 0;
    bool is_ok = false;

    if (!ask(j, "PRAGMA user_version", &version, &is_ok, e))
        return false;
    j->is_newer = version > JOURNAL_VERSION;
    if (j->is_newer)
        return err_set(e, FAULT_BAD, "%.160s is of version %lld; this program knows version %d: use a newer one",
                       j->path, (long long)version, JOURNAL_VERSION);
    return version == JOURNAL_VERSION || journal_fail(j, SQLITE_NOTADB, e);
}

bool journal_attach(struct journal *j, int flags, struct err *e)
{
    if (!open_db(j, flags, e) || !check_version(j, e))
        return false;
    for (int i = 0; i < QUERY_N; i++) {
        int code = sqlite3_prepare_v3(j->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &j->query[i], NULL);

        if (code != SQLITE_OK)
            return journal_fail(j, code, e);
    }
    return true;
}

bool journal_check(struct journal *j, struct err *e)
{
    int64_t number = 0;
    bool is_ok = false;

    return ask(j, "PRAGMA quick_check(1)", &number, &is_ok, e) && (is_ok || journal_fail(j, SQLITE_CORRUPT, e));
}

void journal_detach(struct journal *j)
{
    for (int i = 0; i < QUERY_N; i++) {
        sqlite3_finalize(j->query[i]);
        j->query[i] = NULL;
    }
    sqlite3_close(j->db);
    j->db = NULL;
}

bool journal_make(const char *path, struct err *e)
{
    struct journal *j = mem_zero(1, sizeof *j);
    char script[SCRIPT_MAX];
    int fd = sys_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    bool ok = fd >= 0 || err_errno(e, "create", path);

    sys_close(&fd);
    snprintf(j->path, sizeof j->path, "%s", path);
    snprintf(script, sizeof script, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             JOURNAL_APPLICATION, JOURNAL_VERSION);
    ok = ok && open_db(j, SQLITE_OPEN_READWRITE, e) && run_script(j, "BEGIN IMMEDIATE;" SCHEMA, e) &&
         run_script(j, script, e) && run_script(j, "PRAGMA journal_mode = WAL", e);
    journal_detach(j);
    free(j);
    return ok;
}
