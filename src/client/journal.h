/* journal.h - what the client knows about each message of an account: the memory that makes it exactly-once.
 *
 * One SQLite database per account name (never per host: R1939-UIDL-12 with clients.md §2.5 i), durable at every
 * commit (synchronous=FULL), locked for one run at a time by an OFD lock on its own file beside it (no pid files:
 * the kernel frees it, C-26). A message goes
 *
 *   INTENT (final name chosen, nothing stored) -> STORED (durable) -> DELE_SENT (DELE may have gone out)
 *          -> GONE (a later complete listing lacked it)
 *   SEEN (known without a copy of ours: imported or marked; never deleted by rule)
 *   QUARANTINED (failed too often; left on the server, not tried again until asked)
 *
 * The identity of a message is (unique-id as octets, nth occurrence of it in a listing); without UIDL it is
 * the SHA-256 of its octets on the wire. Every change is made between journal_begin and journal_commit.
 * May be used by one thread at a time. Does not know: POP3, files of mail, rules.
 */
#ifndef RESTANTE_CLIENT_JOURNAL_H
#define RESTANTE_CLIENT_JOURNAL_H

#include "base/buf.h"
#include "base/err.h"

enum entry_state { ENTRY_INTENT = 1, ENTRY_STORED, ENTRY_DELE_SENT, ENTRY_GONE, ENTRY_SEEN, ENTRY_QUARANTINED };
#define ENTRY_BIT(state) (1u << (state))

enum { JOURNAL_DIGEST = 32, JOURNAL_NAME = 200, JOURNAL_NOTE = 512, JOURNAL_UID = 1024, JOURNAL_WHY = 200 };

struct entry {
    int64_t id;                   /* 0 = not in the journal yet */
    struct span uid;              /* octets; from journal_find and journal_each valid until the next call */
    uint32_t nth;                 /* occurrence of the same uid in one listing, from 0 */
    enum entry_state state;
    bool has_size, has_digest;
    uint64_t size;                /* what LIST said when it was fetched (a hint) */
    uint64_t octets;              /* on the wire, exact; 0 before STORED */
    uint64_t stored_octets;       /* of the stored form */
    uint8_t wire_digest[JOURNAL_DIGEST];   /* SHA-256 of what identifies the message as sent (mail/identity.h) */
    uint8_t stored_digest[JOURNAL_DIGEST]; /* SHA-256 of the stored form: "verify" */
    char name[JOURNAL_NAME];      /* final name of the Maildir file without fields and flags; "" for other sinks */
    char dest[JOURNAL_NOTE];      /* destination it was (or is to be) stored at: "maildir:/path", "mbox:/path" … */
    char note[JOURNAL_NOTE];      /* what a sink wrote down before a step (mbox: offset, length) */
    char why[JOURNAL_WHY];        /* last failure, cleaned */
    uint32_t tries;               /* failed tries so far */
    int64_t first_seen, stored_at, absent_since; /* seconds since 1970; absent_since 0 = listed last time */
    uint32_t absent_listings;     /* complete listings in a row that lacked it */
};

struct journal;

/* Opens or creates DIR/NAME.journal (0600, its folder 0700) and takes the lock DIR/NAME.lock. FAULT_IN_USE: another
 * run has it. FAULT_BAD: the file is damaged or of a newer version; text says what to do (the damaged file is never
 * overwritten; what can be salvaged by journal_salvage). read_only: no lock, nothing is written ("status"). */
bool journal_open(const char *dir, const char *account, bool read_only, struct journal **j, struct err *e);
void journal_close(struct journal **j);

/* Saves a damaged journal as NAME.journal.damaged-SECONDS and makes a new one with every row that can still be read. */
bool journal_salvage(const char *dir, const char *account, uint64_t *rows, struct err *e);

bool journal_begin(struct journal *j, struct err *e);
bool journal_commit(struct journal *j, struct err *e); /* durable when it returns true */
void journal_rollback(struct journal *j);

/* By identity. *found false: not known. */
bool journal_find(struct journal *j, struct span uid, uint32_t nth, struct entry *entry, bool *found, struct err *e);
bool journal_find_id(struct journal *j, int64_t id, struct entry *entry, bool *found, struct err *e);
/* An entry (any state but INTENT) whose wire_digest is this and whose id is not in "taken" order: smallest id > after. */
bool journal_find_digest(struct journal *j, const uint8_t digest[JOURNAL_DIGEST], int64_t after, struct entry *entry,
                         bool *found, struct err *e);

/* Inserts (id is set) or updates all columns of an entry by its id. */
bool journal_put(struct journal *j, struct entry *entry, struct err *e);

/* Changes of one column for many: the hot paths. */
bool journal_set_state(struct journal *j, int64_t id, enum entry_state state, struct err *e);
bool journal_set_note(struct journal *j, int64_t id, const char *note, struct err *e);
bool journal_set_absent(struct journal *j, int64_t id, int64_t since, uint32_t listings, struct err *e);
bool journal_rekey(struct journal *j, int64_t id, struct span uid, uint32_t nth, struct err *e);
bool journal_drop(struct journal *j, int64_t id, struct err *e);

/* Visits entries whose state is in the mask, in order of id; stop by returning false. The visitor must not change
 * the journal. */
typedef bool journal_visit(void *ctx, const struct entry *entry);
bool journal_each(struct journal *j, unsigned states, journal_visit *visit, void *ctx, struct err *e);

/* The same without reading wide columns: for passes over 100,000 rows. */
struct entry_brief { int64_t id; enum entry_state state; uint32_t absent_listings; int64_t absent_since, stored_at;
                     uint64_t size; };
typedef bool journal_visit_brief(void *ctx, const struct entry_brief *entry);
bool journal_each_brief(struct journal *j, unsigned states, journal_visit_brief *visit, void *ctx, struct err *e);

/* Facts of the account: key-value, "last_success", "last_try", "last_error", "login_delay", "expire", "not_before",
 * "failures", "discovered_host" … *value is appended to; absent = empty. */
bool journal_fact(struct journal *j, const char *key, struct buf *value, struct err *e);
bool journal_set_fact(struct journal *j, const char *key, struct span value, struct err *e);
int64_t journal_fact_number(struct journal *j, const char *key); /* 0 when absent or no number */

/* Number of entries per state, for "status". */
bool journal_count(struct journal *j, uint64_t counts[ENTRY_QUARANTINED + 1], uint64_t *octets, struct err *e);

const char *entry_state_name(enum entry_state state); /* "intent", "stored", "delete-sent", "gone", "seen", "quarantined" */

#endif
