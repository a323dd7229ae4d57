/* journal_impl.h - inside of the journal: its statements, shared by journal*.c and included by nobody else. */
#ifndef RESTANTE_CLIENT_JOURNAL_IMPL_H
#define RESTANTE_CLIENT_JOURNAL_IMPL_H

#include "client/journal.h"

#include <sqlite3.h>

enum { JOURNAL_VERSION = 1, JOURNAL_APPLICATION = 0x52737450 /* "RstP" */, JOURNAL_PATH = 4096,
       JOURNAL_PATH_ROOM = JOURNAL_PATH + 128 };

enum journal_query {
    QUERY_BEGIN,
    QUERY_COMMIT,
    QUERY_ROLLBACK,
    QUERY_FIND,
    QUERY_FIND_ID,
    QUERY_FIND_DIGEST,
    QUERY_INSERT,
    QUERY_UPDATE,
    QUERY_SET_STATE,
    QUERY_SET_NOTE,
    QUERY_SET_ABSENT,
    QUERY_REKEY,
    QUERY_DROP,
    QUERY_EACH,
    QUERY_EACH_ONE,
    QUERY_BRIEF,
    QUERY_BRIEF_ONE,
    QUERY_FACT,
    QUERY_SET_FACT,
    QUERY_DROP_FACT,
    QUERY_COUNT,
    QUERY_AFTER,
    QUERY_FACTS,
    QUERY_N
};

struct journal {
    sqlite3 *db;
    sqlite3_stmt *query[QUERY_N];
    char path[JOURNAL_PATH_ROOM];
    char account[JOURNAL_NAME];
    int lock;
    bool read_only, changing, is_newer;
    uint8_t uid[JOURNAL_UID]; /* what the span of the last found entry points to */
};

/* Opens the database at path as it is and prepares every statement. */
bool journal_attach(struct journal *j, int flags, struct err *e);
void journal_detach(struct journal *j);

/* Walks through every page and row, so that damage is found before anything is decided by it (100,000 rows: 50 ms).
 * Indexes are not compared with the table, which takes seven times as long: an index that lies makes a message come
 * twice, never lost. */
bool journal_check(struct journal *j, struct err *e);

/* Makes a complete, empty journal at path, which must not exist. */
bool journal_make(const char *path, struct err *e);

/* What SQLite answered, as an error with advice; always false. */
bool journal_fail(struct journal *j, int code, struct err *e);

/* The statement, bound to nothing; NULL (and *e) while a visitor is still inside of it. */
sqlite3_stmt *journal_query(struct journal *j, enum journal_query which, struct err *e);

/* Runs a statement that returns no row, and makes it ready for the next time. */
bool journal_run(struct journal *j, sqlite3_stmt *s, struct err *e);

/* The columns of QUERY_FIND and its like. Octets are borrowed until the statement moves on. */
bool journal_load(struct journal *j, sqlite3_stmt *s, struct entry *entry, struct err *e);

/* DIR/NAME.SUFFIX of a valid account name into path. */
bool journal_path(const char *dir, const char *account, const char *suffix, char path[JOURNAL_PATH], struct err *e);

/* Takes the lock of an account; *fd is closed to give it back. */
bool journal_lock(const char *dir, const char *account, int *fd, struct err *e);

/* Makes a finished file durable under its final name. */
bool journal_place(const char *from, const char *to, struct err *e);

#endif
