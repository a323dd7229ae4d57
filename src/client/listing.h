/* listing.h - the server's listing in this session, as far as it has come: numbers, unique-ids, sizes.
 *
 * Made for numbers that a stranger gave: every number is checked against STAT's count, each may come once, memory is
 * bounded (1,000,000 messages, 24 MiB of unique-ids). Numbers mean something in this session only (XCL-03).
 * Does not know: the journal, rules.
 */
#ifndef RESTANTE_CLIENT_LISTING_H
#define RESTANTE_CLIENT_LISTING_H

#include "base/buf.h"
#include "base/err.h"

enum { LISTING_MAX = 1000000, LISTING_UIDS = 24 * 1024 * 1024 };

enum listed_flag {
    L_LISTED = 1,     /* some row named it */
    L_UID = 2, L_SIZE = 4,
    L_AMBIGUOUS = 8,  /* another message has the same unique-id */
    L_DELETE = 16,    /* delete it once it is durable here */
    L_CHECK = 32,     /* compare the content with the journal before it counts as new */
    L_DONE = 64       /* nothing is left to do with it in this run */
};

enum listed_action { ACT_NONE, ACT_FETCH, ACT_DELETE, ACT_SKIP, ACT_FILTER };

struct listed {
    uint64_t size;
    int64_t id;       /* of the journal's entry, 0 = none */
    uint32_t uid_at;
    uint32_t nth;
    uint16_t uid_n;
    uint8_t flags, state, action; /* enum listed_flag, entry_state (0 = unknown), listed_action */
};

struct listing {
    uint32_t count;
    uint64_t octets;
    struct listed *v; /* by number, 1..count */
    uint8_t *uids;
    size_t nuids, room;
    bool has_uids;    /* UIDL was answered */
    uint32_t named;   /* messages with a unique-id */
};

bool listing_begin(struct listing *l, uint32_t count, uint64_t octets, struct err *e);
bool listing_size(struct listing *l, uint32_t number, bool has_size, uint64_t size, struct err *e);
bool listing_uid(struct listing *l, uint32_t number, struct span uid, struct err *e);

/* After the last row: finds equal unique-ids, numbers them (nth), marks them ambiguous. */
void listing_finish(struct listing *l);

/* Did the server name every message? Only then may what is missing count as gone. */
bool listing_complete(const struct listing *l);

struct span listing_uid_of(const struct listing *l, const struct listed *m);
void listing_free(struct listing *l);

#endif
