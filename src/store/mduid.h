/* mduid.h - which UIDL each message has (RFC 1939 §7).
 *
 * Without any state of ours (C14): the base name where it is a legal UIDL, else "h-" and a hash of it. So a
 * UIDL outlives flags, size hints, new/ and cur/, our caches, backups and moves to another host. An imported
 * UIDL (uidmap.h) comes before that. Within a maildrop UIDLs differ, also for clients that fold case: where
 * two bases differ in case only, the older message keeps its base and the other gets its hash.
 * Does not know: files, sizes.
 */
#ifndef RESTANTE_STORE_MDUID_H
#define RESTANTE_STORE_MDUID_H

#include "store/mdlist.h"
#include "store/uidmap.h"

/* Sets the UIDL of every message of a list sorted by arrival. False when the list's text is full. */
bool mduid_assign(struct mdlist *l, const struct uidmap *map);

/* "h-" and 40 hexadecimal digits. salt = 0 for the usual one. */
enum { MDUID_HASH_OCTETS = 42 };
void mduid_hash(struct span base, uint64_t salt, uint8_t uid[MDUID_HASH_OCTETS]);

#endif
