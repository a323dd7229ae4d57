/* sink.h - where messages go: one small vtable in the words of durability.
 *
 * Life of a message in a sink: sink_spool (a file of its own, 0600, not visible as mail) -> sink_write … ->
 * sink_finish (complete: terminator was seen) -> sink_commit for a batch: when it says DELIVERED, the message is in
 * its final place and survives power loss. sink_discard at any point before leaves nothing. After a crash sink_recover
 * tells for an entry that was left at INTENT whether it reached its place, and cleans up.
 *
 *   maildir  exactly once: spool is tmp/NAME, commit is fsync, rename to new/ (no replacing), fsync of directories;
 *            recovery looks for NAME in new/ and cur/
 *   mbox     (mboxrd) exactly once: spool in the state folder; commit notes offset, length and digest in the journal,
 *            appends under fcntl and dot lock, fsyncs; an error truncates back (MBOX-13); recovery compares
 *            (stored_digest and stored_octets are those of the region: From_ line, quoted message, empty line)
 *   lmtp, command  at least once, with the smallest window: one message at a time, only complete ones; a crash
 *            between the acceptance and the journal's commit delivers it again. The documents say so.
 *
 * Blocking; sink_commit runs on a worker thread while the loop spools further messages into other items of the same
 * sink. Does not know: POP3, the journal (but for the note callback), which message is wanted.
 */
#ifndef RESTANTE_CLIENT_SINK_H
#define RESTANTE_CLIENT_SINK_H

#include "base/buf.h"
#include "base/err.h"
#include "client/journal.h"

enum sink_kind { SINK_MAILDIR, SINK_MBOX, SINK_LMTP, SINK_COMMAND };

struct sink_conf {
    enum sink_kind kind;
    const char *target;      /* absolute path; host:port or /socket for LMTP; command line for COMMAND */
    const char *spool_dir;   /* STATE/spool/ACCOUNT for kinds that need it; made when absent, 0700 */
    const char *account;
    bool crlf;               /* keep line ends as sent; false: CRLF becomes LF and nothing else changes */
    bool size_fields;        /* Maildir: ",S=…,W=…" */
    bool received_line;      /* one Received: line first (XCL-12); off by default */
    const char *host;        /* of the server, for that line (a configured name, never server text) */
    const char *recipient, *sender; /* LMTP; command: in the environment */
    uint32_t timeout_s;      /* LMTP and command, each step */
    uint64_t max_octets;     /* of one message; enforced while writing (XCL-05) */
    uint64_t reserve_octets; /* free space that must remain on the file system (C-19) */
};

struct sink_item {           /* one message on its way; zeroed by the caller, then filled by sink_spool */
    struct sink_item *next;  /* for the caller */
    struct entry entry;      /* name is set before sink_spool; digests, octets, stored_octets, note by sink_finish (keep
                                the note with the INTENT: recovery takes the digest on the wire from it) */
    int fd;                  /* spool file, -1 = none */
    void *state;             /* digest contexts, line-end state; freed by commit and discard */
    enum sink_result { SINK_PENDING, SINK_DELIVERED,
                       SINK_TEMP,   /* try again later (75, ENOSPC …): stop retrieving in this run */
                       SINK_REFUSED /* this message is not accepted (65, 5xx, too large): go on with others */ } result;
    struct err err;
};

struct sink;

/* Opens (Maildir: creates tmp/ new/ cur/, 0700). note persists entry.note durably before the next step. */
typedef bool sink_note(void *ctx, struct sink_item *items, struct err *e);
bool sink_open(const struct sink_conf *conf, sink_note *note, void *ctx, struct sink **s, struct err *e);
void sink_close(struct sink **s);

/* Parses "maildir:PATH", "mbox:PATH", "lmtp:HOST:PORT", "lmtp:/SOCKET", "command:LINE" ("~/" is expanded). */
bool sink_parse(const char *text, const char *home, enum sink_kind *kind, struct buf *target, struct err *e);

/* Final name for an entry: "SECONDS.M<microseconds>R<8 hex of SHA-256(account)><16 hex of SHA-256(account, uid, nth,
 * first_seen, random, now)>.restante". The time is now, so that names sort as the server listed. Nothing in it is server
 * text; the account's 8 digits tell leftovers of our own account from those of others in one Maildir. */
void sink_name(char name[JOURNAL_NAME], const char *account, const struct entry *entry, uint64_t random);

bool sink_spool(struct sink *s, struct sink_item *item, struct err *e);
bool sink_write(struct sink *s, struct sink_item *item, struct span data, struct err *e); /* octets as sent, un-stuffed */
bool sink_finish(struct sink *s, struct sink_item *item, struct err *e);
void sink_discard(struct sink *s, struct sink_item *item);

/* Makes a list of finished items durable; each gets its result. Also "DELIVERED" if a file of that very name and
 * digest exists already. */
void sink_commit(struct sink *s, struct sink_item *items);

/* After a crash: entry.state is INTENT (its entry.dest is this sink's). *stored: it is in its final place, digests and
 * octets are filled from what lies there. Anything half-made is removed. */
bool sink_recover(struct sink *s, struct entry *entry, bool *stored, struct err *e);

/* Spool files of nobody (older than this run and not named by an INTENT) are removed; call after all recoveries. */
bool sink_sweep(struct sink *s, struct err *e);

/* "verify": looks for the message and compares its digest. FAULT_GONE: not there any more (moved or deleted by its
 * reader: not an error by itself), FAULT_BAD: octets differ. */
bool sink_verify(struct sink *s, const struct entry *entry, struct err *e);

/* Can sink_commit be repeated without a duplicate? (Maildir, mbox) */
bool sink_is_exact(const struct sink *s);

#endif
