/* mduid.c - which UIDL each message has: see mduid.h. */
#include "store/mduid.h"

#include "base/num.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* The UIDLs given so far: open addressing, at most half full; a slot holds a message's number + 1. */
struct taken {
    struct mdlist *list_ref;
    uint32_t *slots;
    uint32_t mask;
};

/* The same for what differs in case only (and for some that differ otherwise). */
static uint32_t fold_hash(struct span uid)
{
    const uint64_t fold = 0x2020202020202020u, odd = 0x9e3779b97f4a7c15u;
    uint64_t h = uid.n, word;

    for (; uid.n >= sizeof word; span_take(&uid, sizeof word)) {
        memcpy(&word, uid.p, sizeof word);
        h = (h ^ (word | fold)) * odd;
        h ^= h >> 32;
    }
    for (; uid.n; span_take(&uid, 1))
        h = (h ^ (uid.p[0] | 0x20u)) * odd;
    return (uint32_t)(h >> 32);
}

/* Where the UIDL stands or would be put. fold = other case counts as the same. */
static uint32_t *slot_of(const struct taken *t, struct span uid, bool fold)
{
    const struct mdlist *l = t->list_ref;
    uint32_t at = fold_hash(uid) & t->mask;

    for (; t->slots[at]; at = (at + 1) & t->mask) {
        struct span other = mdlist_uid(l, &l->v[t->slots[at] - 1]);

        if (fold ? span_ieq(other, uid) : span_eq(other, uid))
            break;
    }
    return &t->slots[at];
}

/* Gives message i the UIDL that stands at "at" in the list's text, unless it is taken. */
static bool claim(struct taken *t, uint32_t i, size_t at, size_t octets, bool fold)
{
    struct mdlist *l = t->list_ref;
    uint32_t *slot = slot_of(t, span_of(l->text.p + at, octets), fold);

    if (*slot)
        return false;
    *slot = i + 1;
    l->v[i].uid_at = (uint32_t)at;
    l->v[i].uid_octets = (uint8_t)octets;
    return true;
}

static bool give_imported(struct taken *t, const struct uidmap *map, uint32_t i)
{
    struct mdlist *l = t->list_ref;
    size_t at = l->text.n;
    struct span uid;

    if (!uidmap_get(map, mdlist_base(l, &l->v[i]), &uid))
        return true;
    if (!buf_put_span(&l->text, uid))
        return false;
    claim(t, i, at, uid.n, false); /* other servers' UIDLs may differ in case only */
    return true;
}

static bool give_own(struct taken *t, uint32_t i)
{
    struct mdlist *l = t->list_ref;
    struct md_msg *m = &l->v[i];
    struct span base = mdlist_base(l, m);
    size_t at = l->text.n;

    if (m->uid_octets || (mdname_is_uid(base) && claim(t, i, m->name_at, base.n, true)))
        return true;
    if (!buf_reserve(&l->text, MDUID_HASH_OCTETS))
        return false;
    for (uint64_t salt = 0, n = 0;; n++) {
        mduid_hash(mdlist_base(l, m), salt, l->text.p + at);
        if (claim(t, i, at, MDUID_HASH_OCTETS, true))
            break;
        /* The hash of a base is taken only by a twin that could not be renamed (or by an import): tell them
         * apart by what else lasts. */
        salt = (uint64_t)m->mtime_ns * 31 + m->size * 7 + 1 + n;
    }
    l->text.n += MDUID_HASH_OCTETS;
    return true;
}

void mduid_hash(struct span base, uint64_t salt, uint8_t uid[MDUID_HASH_OCTETS])
{
    uint8_t input[MDNAME_MAX + 9] = { 0 }, sum[EVP_MAX_MD_SIZE];
    size_t n = base.n < MDNAME_MAX ? base.n : MDNAME_MAX;

    if (n)
        memcpy(input, base.p, n);
    if (salt) {
        n++; /* a zero octet, which no name holds */
        for (int i = 0; i < 8; i++)
            input[n++] = (uint8_t)(salt >> (8 * i));
    }
    if (EVP_Digest(input, n, sum, NULL, EVP_sha256(), NULL) != 1)
        abort(); /* out of memory, or a library without SHA-256 */
    memcpy(uid, "h-", 2);
    hex_put(uid + 2, span_of(sum, (MDUID_HASH_OCTETS - 2) / 2));
}

bool mduid_assign(struct mdlist *l, const struct uidmap *map)
{
    struct taken t = { l, NULL, 15 };
    bool ok = true;

    while (t.mask / 2 < l->n)
        t.mask = t.mask * 2 + 1;
    t.slots = mem_zero((size_t)t.mask + 1, sizeof *t.slots);
    for (uint32_t i = 0; i < l->n; i++)
        l->v[i].uid_octets = 0;
    for (uint32_t i = 0; i < l->n && ok && map->n; i++)
        ok = give_imported(&t, map, i);
    for (uint32_t i = 0; i < l->n && ok; i++)
        ok = give_own(&t, i);
    free(t.slots);
    return ok;
}
