/* mdrecall.c - the messages of a maildrop from an earlier listing: see mdrecall.h. */
#include "store/mdrecall.h"

#include "store/mdfind.h"

#include <stdlib.h>

/* A touched name as it is now, and what was listed under it. */
struct touched {
    struct md_msg now; /* its name stands in the list's text */
    struct md_msg was;
    bool there, listed;
};

/* Open addressing, at most a quarter full; a slot holds a number + 1. */
struct recall {
    struct mddelta *delta_ref;
    struct mdlist *list_ref; /* of names alone; the delta's fresh ones at the end */
    struct touched *v;
    uint32_t n, mask;
    uint32_t *by_name, *by_base;
    bool odd, changed;
};

static uint32_t hash_of(struct span s)
{
    uint64_t h = s.n, word;

    for (; s.n >= sizeof word; span_take(&s, sizeof word)) {
        memcpy(&word, s.p, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    for (; s.n; span_take(&s, 1))
        h = (h ^ s.p[0]) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32);
}

static struct span name_of(const struct recall *r, const struct touched *t)
{
    return span_of(r->list_ref->text.p + t->now.name_at, t->now.name_octets);
}

static struct span base_of(const struct recall *r, const struct touched *t)
{
    return span_of(r->list_ref->text.p + t->now.name_at, t->now.base_octets);
}

static struct touched *find_name(const struct recall *r, enum md_sub sub, struct span name)
{
    for (uint32_t at = hash_of(name) & r->mask; r->by_name[at]; at = (at + 1) & r->mask) {
        struct touched *t = &r->v[r->by_name[at] - 1];

        if (t->now.sub == sub && span_eq(name_of(r, t), name))
            return t;
    }
    return NULL;
}

/* The touched file that has this base now. */
static struct touched *find_base(const struct recall *r, struct span base)
{
    for (uint32_t at = hash_of(base) & r->mask; r->by_base[at]; at = (at + 1) & r->mask) {
        struct touched *t = &r->v[r->by_base[at] - 1];

        if (span_eq(base_of(r, t), base))
            return t;
    }
    return NULL;
}

static void put(const struct recall *r, uint32_t *table, struct span key, uint32_t i)
{
    uint32_t at = hash_of(key) & r->mask;

    while (table[at])
        at = (at + 1) & r->mask;
    table[at] = i + 1;
}

/* Looks at name i. The list's array serves as its place only while this runs. */
static void look(struct recall *r, const struct mddir *d, const struct warm_names *names, uint32_t i)
{
    const struct warm_name *name = &names->v[i];
    struct touched *t = &r->v[i];
    struct md_msg *m = mdlist_add(r->list_ref, (enum md_sub)name->sub, span_of(names->text.p + name->at, name->octets));
    struct err e;

    if (!m || !mdlist_look(r->list_ref, d, m, &e) || m->refused || (!m->gone && m->links > 1) ||
        (m->gone && name->written)) {
        r->odd = true;
        return;
    }
    t->now = *m;
    t->there = !m->gone;
    r->list_ref->n = 0;
    put(r, r->by_name, name_of(r, t), i);
    if (!t->there)
        return;
    r->odd |= find_base(r, base_of(r, t)) != NULL;
    put(r, r->by_base, base_of(r, t), i);
}

static bool is_same_content(const struct md_msg *a, const struct md_msg *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns;
}

static void fill_listed(struct md_msg *m, const struct index_record *rec)
{
    mdlist_set_mtime(m, rec->mtime_ns);
    m->size = rec->file_size;
    m->octets = rec->octets;
    m->legacy_octets = rec->legacy_octets;
    m->flags = rec->flags;
    m->known = true;
}

/* Would the message get this UIDL in any company that leaves it its own. */
static bool is_plain(struct span uid, struct span base)
{
    return span_eq(uid, base) || (uid.n > 2 && memcmp(uid.p, "h-", 2) == 0 && !mdname_is_uid(base));
}

static bool take_record(struct recall *r, uint32_t i, const struct index_record *rec, struct span uid,
                        struct span path)
{
    struct md_seen seen;
    struct span base;
    struct touched *t;

    if (!md_split(path, &seen))
        return false;
    base = mdname_base(seen.name);
    t = find_name(r, seen.sub, seen.name);
    if (!t) {
        r->odd |= find_base(r, base) != NULL;
        r->delta_ref->plain &= is_plain(uid, base);
        return true;
    }
    t->listed = true;
    t->was = t->now;
    fill_listed(&t->was, rec);
    if (t->there && is_same_content(&t->was, &t->now)) {
        r->delta_ref->plain &= is_plain(uid, base);
        return true;
    }
    r->changed = true;
    r->delta_ref->gone[r->delta_ref->ngone++] = i;
    return true;
}

static bool take_listing(struct recall *r, const struct mdview *view)
{
    struct index_reader reader = mdview_reader(view);
    struct index_record rec;
    struct span uid, path;
    bool ok = true;

    for (uint32_t i = 0; i < reader.h.count && ok && !r->odd; i++)
        ok = index_reader_get(&reader, i, &rec, &uid, &path) && r->delta_ref->ngone <= r->n &&
             take_record(r, i, &rec, uid, path);
    index_reader_rest(&reader);
    return ok;
}

/* A message that was given another name keeps what was counted. */
static void keep_count(struct recall *r, struct md_msg *m)
{
    struct span base = mdlist_base(r->list_ref, m);

    for (uint32_t i = 0; i < r->n; i++) {
        const struct md_msg *was = &r->v[i].was;

        if (r->v[i].listed && is_same_content(was, m) && span_eq(base_of(r, &r->v[i]), base)) {
            m->octets = was->octets;
            m->legacy_octets = was->legacy_octets;
            m->flags = was->flags;
            m->known = true;
            return;
        }
    }
}

/* What is there and was not, or has other content now. */
static void take_new(struct recall *r)
{
    for (uint32_t i = 0; i < r->n && !r->odd; i++) {
        const struct touched *t = &r->v[i];
        struct md_msg *m;

        if (!t->there || (t->listed && is_same_content(&t->was, &t->now)))
            continue;
        r->changed = true;
        m = mdlist_add(r->list_ref, (enum md_sub)t->now.sub, span_str("")); /* its name is in the text already */
        if (!m) {
            r->odd = true;
            return;
        }
        *m = (struct md_msg){ .when = t->now.when,
                              .usec = t->now.usec,
                              .timed = t->now.timed,
                              .size = t->now.size,
                              .mtime_ns = t->now.mtime_ns,
                              .name_at = t->now.name_at,
                              .name_octets = t->now.name_octets,
                              .base_octets = t->now.base_octets,
                              .sub = t->now.sub };
        keep_count(r, m);
    }
}

enum mdrecall mdrecall(struct mddelta *delta, const struct mddir *d, const struct mdview *view,
                       const struct warm_names *names)
{
    struct recall r = { .delta_ref = delta, .list_ref = &delta->fresh, .n = names->n, .mask = 15 };

    *delta = (struct mddelta){ .plain = true };
    mdlist_init(&delta->fresh);
    delta->gone = mem_zero((size_t)r.n + 1, sizeof *delta->gone);
    while (r.mask / 4 < r.n)
        r.mask = r.mask * 2 + 1;
    r.v = mem_zero(r.n, sizeof *r.v);
    r.by_name = mem_zero((size_t)r.mask + 1, sizeof *r.by_name);
    r.by_base = mem_zero((size_t)r.mask + 1, sizeof *r.by_base);
    for (uint32_t i = 0; i < r.n && !r.odd; i++)
        look(&r, d, names, i);
    if (!take_listing(&r, view))
        r.odd = true;
    take_new(&r);
    if (!r.odd)
        mdlist_sort(&delta->fresh);
    free(r.v);
    free(r.by_name);
    free(r.by_base);
    return r.odd ? MDRECALL_ODD : r.changed ? MDRECALL_CHANGED : MDRECALL_SAME;
}

void mddelta_free(struct mddelta *delta)
{
    mdlist_free(&delta->fresh);
    free(delta->gone);
    *delta = (struct mddelta){ 0 };
}

static bool add_listed(struct mdlist *l, const struct index_record *rec, struct span path)
{
    struct md_seen seen;
    struct md_msg *m;

    if (!md_split(path, &seen))
        return false;
    m = mdlist_add(l, seen.sub, seen.name);
    if (m)
        fill_listed(m, rec);
    return m != NULL;
}

static bool add_fresh(struct mdlist *l, const struct mdlist *fresh)
{
    for (uint32_t i = 0; i < fresh->n; i++) {
        const struct md_msg *from = &fresh->v[i];
        struct md_msg *m = mdlist_add(l, (enum md_sub)from->sub, mdlist_name_span(fresh, from));
        uint32_t at;

        if (!m)
            return false;
        at = m->name_at;
        *m = *from;
        m->name_at = at;
    }
    return true;
}

bool mdrecall_all(struct mdlist *l, const struct mddelta *delta, const struct mdview *view)
{
    struct index_reader reader = mdview_reader(view);
    struct index_record rec;
    struct span uid, path;
    uint32_t gone = 0;
    bool ok = true;

    for (uint32_t i = 0; i < reader.h.count && ok; i++) {
        if (gone < delta->ngone && delta->gone[gone] == i) {
            gone++;
            continue;
        }
        ok = index_reader_get(&reader, i, &rec, &uid, &path) && add_listed(l, &rec, path);
    }
    index_reader_rest(&reader);
    l->new_mtime_ns = reader.h.new_mtime_ns;
    l->cur_mtime_ns = reader.h.cur_mtime_ns;
    l->unsure = delta->fresh.unsure;
    ok = ok && add_fresh(l, &delta->fresh);
    if (ok)
        mdlist_sort(l);
    return ok;
}
