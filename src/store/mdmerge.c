/* mdmerge.c - a listing from an earlier one: see mdmerge.h. */
#include "store/mdmerge.h"

#include "store/checksum.h"
#include "store/mdfind.h"

#include <stdlib.h>

enum { OCTETS_MAX = 1 << 30, SLOTS = 2048 }; /* a quarter full at most, with WARM_NAMES messages */

struct merge {
    const struct mddelta *delta_ref;
    const struct mdlist *fresh;
    struct index_header h;
    uint8_t *out; /* header, records, strings; room for all of them */
    size_t strings_at, octets, room;
    uint32_t in_new;
    uint16_t slots[SLOTS]; /* the fresh UIDLs by hash: number + 1 */
};

/* The same for what differs in case only. */
static uint32_t fold_hash(struct span uid)
{
    uint32_t h = (uint32_t)uid.n;

    for (size_t i = uid.n > 24 ? uid.n - 24 : 0; i < uid.n; i++) /* what is told apart is told apart anyhow */
        h = (h ^ (uid.p[i] | 0x20u)) * 16777619u;
    return h ^ h >> 16;
}

/* Puts the fresh UIDLs where they are found; false when one is not what its base gives. */
static bool note_fresh(struct merge *m)
{
    const struct mdlist *l = m->fresh;

    for (uint32_t i = 0; i < l->n; i++) {
        struct span uid = mdlist_uid(l, &l->v[i]), base = mdlist_base(l, &l->v[i]);
        uint32_t at = fold_hash(uid) % SLOTS;

        if (!span_eq(uid, base) && mdname_is_uid(base))
            return false;
        while (m->slots[at])
            at = (at + 1) % SLOTS;
        m->slots[at] = (uint16_t)(i + 1);
    }
    return true;
}

static bool is_taken(const struct merge *m, struct span uid)
{
    for (uint32_t at = fold_hash(uid) % SLOTS; m->slots[at]; at = (at + 1) % SLOTS)
        if (span_ieq(mdlist_uid(m->fresh, &m->fresh->v[m->slots[at] - 1]), uid))
            return true;
    return false;
}

/* uid and name as they lie in a string area, name with its directory. */
static bool put(struct merge *m, struct index_record *rec, struct span strings, uint8_t sub)
{
    if (m->h.octets + rec->octets < rec->octets || m->h.legacy_octets + rec->legacy_octets < rec->legacy_octets)
        return false;
    rec->string_offset = (uint32_t)(m->octets - m->strings_at);
    index_put_record(m->out + INDEX_HEADER_OCTETS + (size_t)m->h.count * INDEX_RECORD_OCTETS, rec);
    memcpy(m->out + m->octets, strings.p, strings.n);
    m->octets += strings.n;
    m->h.octets += rec->octets;
    m->h.legacy_octets += rec->legacy_octets;
    m->h.count++;
    m->in_new += sub == MD_NEW;
    return true;
}

static bool put_fresh(struct merge *m, uint32_t i)
{
    const struct md_msg *msg = &m->fresh->v[i];
    struct span uid = mdlist_uid(m->fresh, msg), name = mdlist_name_span(m->fresh, msg);
    uint8_t strings[INDEX_MAX_UID + INDEX_MAX_NAME];
    struct index_record rec = { .octets = msg->octets,
                                .legacy_octets = msg->legacy_octets,
                                .file_size = msg->size,
                                .mtime_ns = msg->mtime_ns,
                                .uid_octets = (uint16_t)uid.n,
                                .name_octets = (uint16_t)(name.n + 4),
                                .flags = msg->flags };

    memcpy(strings, uid.p, uid.n);
    memcpy(strings + uid.n, mddir_sub_name((enum md_sub)msg->sub), 3);
    strings[uid.n + 3] = '/';
    memcpy(strings + uid.n + 4, name.p, name.n);
    return put(m, &rec, span_of(strings, uid.n + 4 + name.n), msg->sub);
}

/* The order of mdname_compare. */
static bool is_before(const struct index_record *rec, struct span path, const struct mdlist *l,
                      const struct md_msg *msg)
{
    struct mdname a = mdname_parse(span_of(path.p + 4, path.n - 4));
    struct mdname b = { .base = mdlist_base(l, msg), .when = msg->when, .usec = msg->usec };

    if (!a.has_when)
        a.when = (uint64_t)(rec->mtime_ns > 0 ? rec->mtime_ns / 1000000000 : 0);
    return mdname_compare(&a, &b) < 0;
}

/* How many records of the listing come before the message. False when one cannot be read. */
static bool find_place(const struct mdview *view, const struct mdlist *l, const struct md_msg *msg, uint32_t *place)
{
    uint32_t from = 0, to = mdview_header(view)->count;

    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        struct mdview_strings strings;
        struct index_record rec;
        struct span path;

        if (!mdview_get(view, mid, &rec, &strings, &path) || path.n < 5)
            return false;
        if (is_before(&rec, path, l, msg))
            from = mid + 1;
        else
            to = mid;
    }
    *place = from;
    return true;
}

/* Strings that overlap (a damaged file) could be more than there is room for. */
static bool has_room(const struct merge *m, size_t n)
{
    return n <= m->room - m->octets;
}

/* Copies records up to "end" but for those that are gone. */
static bool copy(struct merge *m, struct index_reader *r, uint32_t *at, uint32_t end, uint32_t *gone)
{
    const struct mddelta *delta = m->delta_ref;
    struct index_record rec;
    struct span uid, name;

    for (; *at < end; ++*at) {
        if (*gone < delta->ngone && delta->gone[*gone] == *at) {
            ++*gone;
            continue;
        }
        if (!index_reader_get(r, *at, &rec, &uid, &name) || name.n < 5 || is_taken(m, uid) ||
            !has_room(m, uid.n + name.n) ||
            !put(m, &rec, span_of(uid.p, uid.n + name.n), name.p[0] == 'n' ? MD_NEW : MD_CUR))
            return false;
    }
    return true;
}

static bool merge_all(struct merge *m, const struct mdview *view)
{
    struct index_reader r = mdview_reader(view);
    uint32_t at = 0, gone = 0, place;
    bool ok = true;

    for (uint32_t i = 0; i < m->fresh->n && ok; i++)
        ok = find_place(view, m->fresh, &m->fresh->v[i], &place) && copy(m, &r, &at, place, &gone) &&
             has_room(m, INDEX_MAX_UID + INDEX_MAX_NAME) && put_fresh(m, i);
    ok = ok && copy(m, &r, &at, r.h.count, &gone);
    index_reader_rest(&r);
    return ok;
}

static uint64_t first_arrival(const struct merge *m)
{
    const uint8_t *strings = m->out + m->strings_at;
    struct index_record rec;
    struct mdname name;

    if (!m->h.count || !index_get_record(m->out + INDEX_HEADER_OCTETS, &m->h, &rec))
        return UINT64_MAX;
    name = mdname_parse(span_of(strings + rec.uid_octets + 4, rec.name_octets - 4u));
    return name.has_when ? name.when : (uint64_t)(rec.mtime_ns > 0 ? rec.mtime_ns / 1000000000 : 0);
}

static uint64_t count_of(const struct mdview *view, const struct mddelta *delta)
{
    return (uint64_t)mdview_header(view)->count - delta->ngone + delta->fresh.n;
}

/* The listing is as large as is known before: so many records, and at most all strings. */
static bool begin(struct merge *m, const struct mdview *view, const struct mddelta *delta)
{
    const struct index_header *old = mdview_header(view);
    uint64_t count = count_of(view, delta);

    m->h = *old;
    m->h.count = 0;
    m->h.octets = m->h.legacy_octets = m->h.strings_octets = m->h.checksum = 0;
    m->strings_at = INDEX_HEADER_OCTETS + (size_t)count * INDEX_RECORD_OCTETS;
    m->octets = m->strings_at;
    m->room = m->strings_at + (size_t)old->strings_octets +
              ((size_t)delta->fresh.n + 1) * (INDEX_MAX_UID + INDEX_MAX_NAME);
    if (count > INDEX_MAX_COUNT || m->room > OCTETS_MAX)
        return false;
    m->out = mem_new(m->room);
    return true;
}

static void finish(struct merge *m, struct mdmerged *out)
{
    m->h.strings_octets = m->octets - m->strings_at;
    index_put_header(m->out, &m->h);
    out->oldest = first_arrival(m);
    out->in_new = m->in_new;
    m->h.checksum = checksum_of(span_of(m->out, m->octets));
    index_put_header(m->out, &m->h);
    out->listing = span_of(m->out, m->octets);
}

bool mdmerge(struct mdmerged *out, const struct mdview *view, const struct mddelta *delta)
{
    struct merge m = { .delta_ref = delta, .fresh = &delta->fresh };
    bool ok = delta->plain && delta->fresh.n <= SLOTS / 4 && note_fresh(&m) && begin(&m, view, delta) &&
              merge_all(&m, view) && m.h.count == count_of(view, delta);

    *out = (struct mdmerged){ .memory = m.out };
    if (ok)
        finish(&m, out);
    return ok;
}
