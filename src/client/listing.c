/* listing.c - a listing in memory: see listing.h. Does not know: where rows come from. */
#include "client/listing.h"

#include <stdlib.h>

bool listing_begin(struct listing *l, uint32_t count, uint64_t octets, struct err *e)
{
    listing_free(l);
    if (count > LISTING_MAX)
        return err_set(e, FAULT_BAD, "the server speaks of %u messages; more than %d are not taken", count, LISTING_MAX);
    l->count = count;
    l->octets = octets;
    l->v = mem_zero((size_t)count + 1, sizeof *l->v);
    return true;
}

static struct listed *row(struct listing *l, uint32_t number, uint8_t flag, struct err *e)
{
    if (number == 0 || number > l->count || !l->v) {
        err_set(e, FAULT_BAD, "the listing names message %u of %u", number, l->count);
        return NULL;
    }
    if (l->v[number].flags & flag) {
        err_set(e, FAULT_BAD, "the listing names message %u twice", number);
        return NULL;
    }
    l->v[number].flags |= L_LISTED;
    return &l->v[number];
}

bool listing_size(struct listing *l, uint32_t number, bool has_size, uint64_t size, struct err *e)
{
    struct listed *m = row(l, number, L_SIZE, e);

    if (m && has_size) {
        m->flags |= L_SIZE;
        m->size = size;
    }
    return m != NULL;
}

bool listing_uid(struct listing *l, uint32_t number, struct span uid, struct err *e)
{
    struct listed *m = row(l, number, L_UID, e);

    if (!m)
        return false;
    l->has_uids = true;
    if (uid.n == 0) /* the server has none for it: content will identify it */
        return true;
    if (uid.n > UINT16_MAX || l->nuids + uid.n > LISTING_UIDS)
        return err_set(e, FAULT_BAD, "the unique-ids take more than %d MiB", LISTING_UIDS >> 20);
    if (l->nuids + uid.n > l->room) {
        l->room = (l->nuids + uid.n) * 2;
        l->uids = mem_grow(l->uids, l->room, 1);
    }
    memcpy(l->uids + l->nuids, uid.p, uid.n);
    m->uid_at = (uint32_t)l->nuids;
    m->uid_n = (uint16_t)uid.n;
    m->flags |= L_UID;
    l->nuids += uid.n;
    l->named++;
    return true;
}

struct span listing_uid_of(const struct listing *l, const struct listed *m)
{
    return span_of(m->uid_n ? l->uids + m->uid_at : NULL, m->uid_n);
}

static int by_uid(const void *a, const void *b, void *ctx)
{
    const struct listing *l = ctx;
    uint32_t na, nb;
    struct span sa, sb;
    int order;

    memcpy(&na, a, sizeof na);
    memcpy(&nb, b, sizeof nb);
    sa = listing_uid_of(l, &l->v[na]);
    sb = listing_uid_of(l, &l->v[nb]);
    order = memcmp(sa.p, sb.p, sa.n < sb.n ? sa.n : sb.n);
    if (order == 0)
        order = (sa.n > sb.n) - (sa.n < sb.n);
    return order ? order : (na > nb) - (na < nb);
}

void listing_finish(struct listing *l)
{
    uint32_t *order = mem_zero((size_t)l->named + 1, sizeof *order);
    size_t n = 0;

    for (uint32_t i = 1; i <= l->count; i++)
        if (l->v[i].flags & L_UID)
            order[n++] = i;
    qsort_r(order, n, sizeof *order, by_uid, l);
    for (size_t i = 1; i < n; i++) {
        struct listed *before = &l->v[order[i - 1]], *m = &l->v[order[i]];

        if (!span_eq(listing_uid_of(l, before), listing_uid_of(l, m)))
            continue;
        m->nth = before->nth + 1;
        m->flags |= L_AMBIGUOUS;
        before->flags |= L_AMBIGUOUS;
    }
    free(order);
}

bool listing_complete(const struct listing *l)
{
    return l->count == 0 || (l->has_uids && l->named == l->count);
}

void listing_free(struct listing *l)
{
    free(l->v);
    free(l->uids);
    memset(l, 0, sizeof *l);
}
