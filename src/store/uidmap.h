/* uidmap.h - UIDLs that came from another server: the file restante-uidl.
 *
 * It makes a move from another POP3 server invisible to clients that leave mail on the server
 * (R1939-UIDL-08). It is the one thing beside the messages that cannot be made again: part of the maildrop
 * and of its backups. Append-only; one line per message:
 *   1 <checksum, 16 hex> <uid> <base name, octets outside 0x21..0x7E and % as %XX>
 * A line whose checksum is wrong (a crash while appending) counts for nothing; the last good line for a
 * base counts. Does not know: which messages exist, other servers' formats.
 */
#ifndef RESTANTE_STORE_UIDMAP_H
#define RESTANTE_STORE_UIDMAP_H

#include "base/buf.h"
#include "store/mddir.h"

#define UIDMAP_FILE "restante-uidl"

struct uidmap_entry {
    uint32_t base_at, uid_at; /* in text */
    uint32_t line;
    uint8_t base_octets, uid_octets;
};

struct uidmap {
    struct buf text;
    struct uidmap_entry *v; /* sorted by base */
    uint32_t n, room;
};

/* No file: an empty map. Damaged lines are skipped with one event. False when the file is there but cannot
 * be read: other UIDLs than yesterday's must not be shown. */
bool uidmap_load(struct uidmap *map, const struct mddir *d, struct err *e);
void uidmap_free(struct uidmap *map);

/* The imported UIDL of a base; false without one. Borrowed from the map. */
bool uidmap_get(const struct uidmap *map, struct span base, struct span *uid);

struct uid_pair {
    struct span base, uid;
};

/* Appends n pairs, durably. FAULT_BAD, and nothing written, when a UIDL is not 1..70 octets of 0x21..0x7E or
 * a base is no base name. The caller holds the maildrop's lock. */
bool uidmap_append(const struct mddir *d, const struct uid_pair *v, size_t n, struct err *e);

#endif
