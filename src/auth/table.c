/* table.c - chained hashing over one growing array of slots, with a list by use: see table.h. */
#include "auth/table.h"

#include "base/buf.h"

#include <stdlib.h>

enum { NONE = 0, FIRST_ROOM = 64 }; /* slots are numbered from 1; slot 0 is the list's head */

struct slot {
    struct table_key key;
    uint32_t chain;      /* next in the bucket, or in the free list */
    uint32_t prev, next; /* by use */
};

struct table {
    struct slot *slot;   /* room + 1 */
    uint8_t *value;      /* (room + 1) * octets */
    uint32_t *bucket;    /* room, a power of two */
    size_t octets;
    uint32_t room, max, used, count, free;
    struct keyed k1, k2;
};

static uint32_t bucket_of(const struct table *t, const struct table_key *key)
{
    uint64_t mixed = (key->a ^ key->b ^ t->k1.k0) * 0x9e3779b97f4a7c15u; /* sids count up: spread them */

    return (uint32_t)(mixed >> 32) & (t->room - 1);
}

static void unlink_use(struct table *t, uint32_t i)
{
    t->slot[t->slot[i].prev].next = t->slot[i].next;
    t->slot[t->slot[i].next].prev = t->slot[i].prev;
}

static void link_newest(struct table *t, uint32_t i)
{
    t->slot[i].next = 0;
    t->slot[i].prev = t->slot[0].prev;
    t->slot[t->slot[0].prev].next = i;
    t->slot[0].prev = i;
}

static void grow(struct table *t)
{
    uint32_t room = t->room ? t->room * 2 : FIRST_ROOM;

    t->slot = mem_grow(t->slot, (size_t)room + 1, sizeof *t->slot);
    t->value = mem_grow(t->value, (size_t)room + 1, t->octets);
    t->bucket = mem_grow(t->bucket, room, sizeof *t->bucket);
    if (!t->room)
        memset(t->slot, 0, sizeof *t->slot);
    memset(t->bucket, 0, room * sizeof *t->bucket);
    t->room = room;
    for (uint32_t i = t->slot[0].next; i; i = t->slot[i].next) {
        uint32_t *head = &t->bucket[bucket_of(t, &t->slot[i].key)];

        t->slot[i].chain = *head;
        *head = i;
    }
}

struct table *table_new(size_t value_octets, uint32_t max)
{
    struct table *t = mem_zero(1, sizeof *t);

    t->octets = value_octets;
    t->max = max;
    t->k1 = keyed_new();
    t->k2 = keyed_new();
    grow(t);
    return t;
}

void table_free(struct table **tp)
{
    struct table *t = *tp;

    *tp = NULL;
    if (!t)
        return;
    free(t->slot);
    free(t->value);
    free(t->bucket);
    free(t);
}

uint32_t table_count(const struct table *t)
{
    return t->count;
}

struct table_key table_key(const struct table *t, struct span s)
{
    return (struct table_key){ keyed_hash(&t->k1, s), keyed_hash(&t->k2, s) };
}

static uint32_t *locate(const struct table *t, const struct table_key *key)
{
    uint32_t *at = &t->bucket[bucket_of(t, key)];

    while (*at && (t->slot[*at].key.a != key->a || t->slot[*at].key.b != key->b))
        at = &t->slot[*at].chain;
    return at;
}

void *table_find(struct table *t, const struct table_key *key)
{
    uint32_t i = *locate(t, key);

    if (!i)
        return NULL;
    unlink_use(t, i);
    link_newest(t, i);
    return t->value + i * t->octets;
}

void table_drop(struct table *t, const struct table_key *key)
{
    uint32_t *at = locate(t, key), i = *at;

    if (!i)
        return;
    *at = t->slot[i].chain;
    unlink_use(t, i);
    explicit_bzero(t->value + i * t->octets, t->octets);
    t->slot[i].chain = t->free;
    t->free = i;
    t->count--;
}

void *table_make(struct table *t, const struct table_key *key, bool *fresh)
{
    void *value = table_find(t, key);
    uint32_t i;

    *fresh = !value;
    if (value)
        return value;
    if (t->count == t->max) {
        struct table_key oldest = t->slot[t->slot[0].next].key;

        table_drop(t, &oldest);
    }
    if (!t->free && t->used == t->room)
        grow(t);
    i = t->free ? t->free : ++t->used;
    if (i == t->free)
        t->free = t->slot[i].chain;
    t->slot[i].key = *key;
    t->slot[i].chain = t->bucket[bucket_of(t, key)];
    t->bucket[bucket_of(t, key)] = i;
    link_newest(t, i);
    t->count++;
    memset(t->value + i * t->octets, 0, t->octets);
    return t->value + i * t->octets;
}

void *table_next(const struct table *t, uint32_t *cursor, struct table_key *key)
{
    /* The cursor is the slot to return, plus one; it is advanced before the caller may drop that slot. */
    uint32_t i = *cursor ? *cursor - 1 : t->slot[0].next;

    if (!i)
        return NULL;
    *cursor = t->slot[i].next + 1;
    *key = t->slot[i].key;
    return t->value + i * t->octets;
}
