/* throttle.h - how long wrong passwords have to wait.
 *
 * Failures are counted for an address (IPv6: its /64) and for a pair of address and user. Nothing waits for the
 * first failures ("free"), then 0.5, 1, 2, 4 … seconds up to a limit; one failure is forgotten per minute. A
 * password that failed before does not count again: a mail client with an old password polls for ever and is no
 * attack. Only failures wait for the address; a login waits beforehand for its own pair alone, so that nobody
 * can slow down the healthy logins of others behind the same address. Pure: the clock is passed in; entries are
 * bounded, the one used longest ago goes. Does not know: timers, replies, which addresses are exempt.
 */
#ifndef RESTANTE_AUTH_THROTTLE_H
#define RESTANTE_AUTH_THROTTLE_H

#include "base/net_addr.h"
#include "base/span.h"

enum { THROTTLE_ENTRIES = 65536, THROTTLE_MEMORY = 8, THROTTLE_FORGET_MS = 60000 };

struct throttle;

struct throttle *throttle_new(void);
void throttle_free(struct throttle **t);
void throttle_set(struct throttle *t, uint32_t free_failures, uint32_t max_ms);

/* Who tries, and when it began to. */
struct throttle_try {
    struct net_addr addr;
    struct span user;
    struct span secret; /* the password tried; empty = not known (SCRAM, APOP): always counts */
};

/* Milliseconds to wait before the credentials are looked at. Tries of one pair that run side by side queue up
 * behind each other; UINT32_MAX: so many of them wait already that this one should be refused. */
uint32_t throttle_before(struct throttle *t, const struct throttle_try *try, uint64_t now_ms);

/* The credentials were wrong: milliseconds that lie between the try's beginning and its answer. */
uint32_t throttle_failed(struct throttle *t, const struct throttle_try *try, uint64_t now_ms);

/* They were right: the pair starts anew. */
void throttle_passed(struct throttle *t, const struct throttle_try *try, uint64_t now_ms);

/* Entries in use, for the bound's test. */
uint32_t throttle_entries(const struct throttle *t);

#endif
