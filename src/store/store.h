/* store.h - a maildrop store in POP3's own words: the vtable that every backend fills.
 *
 * A store opens maildrops. An open maildrop (struct drop) is a snapshot: numbers, sizes and UIDLs are fixed
 * until it is closed (RFC 1939 §4), whatever others do to the files. It hands out descriptors of messages,
 * never replies. Calls may block and may run in any thread, but one drop is used by one thread at a time.
 * Backends: maildir (maildir.c), mem (mem.c, for tests). Each passes tests/unit/store_suite.c.
 * Does not know: POP3 replies, users, passwords, sessions of others (but for the lock).
 */
#ifndef RESTANTE_STORE_STORE_H
#define RESTANTE_STORE_STORE_H

#include "base/err.h"
#include "base/span.h"

enum store_sessions {
    STORE_EXCLUSIVE, /* one session per maildrop; others get FAULT_IN_USE */
    STORE_SHARED,    /* snapshots side by side, no session lock; UPDATEs are serialised */
    STORE_LOOK       /* no lock at all, nothing is changed (but the index, a cache): for administrators; no commit */
};

struct store_policy {
    enum store_sessions sessions;
    bool create;          /* make a missing maildrop (0700) */
    bool move_to_cur;     /* move new/ to cur/ ":2," at open (MD-12) */
    bool mark_seen;       /* set the S flag at UPDATE on messages retrieved whole */
    bool durable;         /* fsync at UPDATE (on unless an administrator says otherwise) */
    bool need_legacy;     /* compute legacy_octets (RFC 6858 surrogate sizes) */
    uint32_t expire_days; /* remove older messages at open; UINT32_MAX = never */
    struct warm *warm;    /* what this process remembers of maildrops (warm.h); NULL = nothing */
};

struct drop; /* an open maildrop */

enum store_warm {
    STORE_COLD, /* there is more to do than can be done at once: open it */
    STORE_OPENED,
    STORE_FAILED
};

struct store_commit {
    const uint8_t *deleted;   /* (count+7)/8 octets of marks */
    const uint8_t *retrieved; /* may be NULL */
    uint32_t removed;         /* out: messages that are gone now (also those others removed before) */
    uint32_t failed;          /* out: marked messages that are still there */
};

struct store_ops {
    const char *name;

    /* Opens the maildrop at path (absolute, inside the caller's mail roots), takes the session lock when
     * exclusive, replays an unfinished commit, scans, and makes the snapshot. FAULT_IN_USE when locked. */
    bool (*open)(const char *path, const struct store_policy *policy, struct drop **drop, struct err *e);

    /* The same from what is remembered, never waiting for a disk: for a thread that must not be held up. May be
     * NULL. */
    enum store_warm (*open_warm)(const char *path, const struct store_policy *policy, struct drop **drop,
                                 struct err *e);

    uint32_t (*count)(const struct drop *drop);

    /* A short listing in the format of index.h, without names and checksum; empty for longer ones. Borrowed from the
     * drop. May be NULL. */
    struct span (*brief)(const struct drop *drop);

    /* The listing as a readable descriptor in the format of index.h: an immutable file or a sealed memfd.
     * Owned by the drop; octets is its size. */
    bool (*listing)(struct drop *drop, int *fd, uint64_t *octets, struct err *e);

    /* A read-only descriptor of message i (0-based), owned by the caller. FAULT_GONE when it was removed by
     * others; FAULT_TEMP when its content is no longer what the snapshot says (size or mtime changed). */
    bool (*fetch)(struct drop *drop, uint32_t i, int *fd, struct err *e);

    /* UPDATE: removes the marked messages, journalled and durable; unmarked ones are never touched.
     * False when some could not be removed (commit->failed > 0) or the journal failed; honest counts in
     * *commit either way. The drop is still open. */
    bool (*commit)(struct drop *drop, struct store_commit *commit, struct err *e);

    /* Releases the lock and everything; NULL-safe; sets *drop to NULL. Changes nothing on disk. */
    void (*close)(struct drop **drop);
};

extern const struct store_ops store_maildir;
extern const struct store_ops store_mem;

#endif
