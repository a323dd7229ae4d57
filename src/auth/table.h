/* table.h - a bounded table of fixed-size values by a 128-bit key, least recently used first out.
 *
 * One implementation for everything the auth worker remembers about strangers: failures, last logins, sessions,
 * exchanges. Keys that come from outside are hashed with a random key first (table_key), so nobody chooses
 * buckets. Memory grows with use up to the bound. A pointer into the table is valid until the next table_make
 * or table_drop. Does not know: what the values are, time.
 */
#ifndef RESTANTE_AUTH_TABLE_H
#define RESTANTE_AUTH_TABLE_H

#include "auth/keyed.h"

struct table_key {
    uint64_t a, b;
};

struct table;

struct table *table_new(size_t value_octets, uint32_t max);
void table_free(struct table **t);
uint32_t table_count(const struct table *t);

/* The key of some octets in this table: a keyed digest. */
struct table_key table_key(const struct table *t, struct span s);

/* The value, which becomes the most recently used; NULL when there is none. */
void *table_find(struct table *t, const struct table_key *key);

/* The value, made of zeros when there is none (*fresh). In a full table the value used longest ago goes. */
void *table_make(struct table *t, const struct table_key *key, bool *fresh);
void table_drop(struct table *t, const struct table_key *key);

/* Walks from the least recently used: *cursor begins as 0; NULL at the end. The value just returned may be
 * dropped, nothing may be made. */
void *table_next(const struct table *t, uint32_t *cursor, struct table_key *key);

#endif
