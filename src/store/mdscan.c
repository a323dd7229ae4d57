/* mdscan.c - reads the names in new/ and cur/ safely: see mdlist.h.
 * Does not know: files, their kinds and sizes (mdlist.c). */
#include "store/mdlist.h"

#include "base/clock.h"
#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

enum {
    TEXT_MAX = 1 << 29, /* two million messages with names of 255 octets */
    READ_OCTETS = 65536,
    SETTLED_NS = 20000000, /* two ticks of the coarsest kernel clock: a change within one leaves no trace */
    FEW_READINGS = 3,      /* changed just before: a reading that misses something is unlikely */
    MANY_READINGS = 6,     /* changed meanwhile: a message that six readings in a row missed is gone */
    MAX_READINGS = 24
};

/* What may have changed while we read: nothing; a little, by the clock's coarseness; something. */
enum calm { CALM, RECENT, BUSY };

static int compare_spans(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* What is sorted instead of the messages: small, and mostly told apart without a look at the names. */
struct sort_key {
    uint64_t next; /* eight octets behind what all bases have in common */
    uint32_t at;
};

static int compare_base(const void *a, const void *b, void *ctx)
{
    const struct sort_key *x = a, *y = b;
    const struct mdlist *l = ctx;
    const struct md_msg *p = &l->v[x->at], *q = &l->v[y->at];
    int c = (x->next > y->next) - (x->next < y->next);

    if (!c)
        c = compare_spans(mdlist_base(l, p), mdlist_base(l, q));
    return c ? c : (int)p->sub - (int)q->sub;
}

static size_t common_octets(struct span a, struct span b)
{
    size_t n = 0;

    while (n < a.n && n < b.n && a.p[n] == b.p[n])
        n++;
    return n;
}

/* Zeros behind the end: no name holds any, so a shorter base comes first. */
static uint64_t octets_at(struct span base, size_t at)
{
    uint64_t v = 0;

    for (size_t i = at; i < at + 8; i++)
        v = v << 8 | (i < base.n ? base.p[i] : 0);
    return v;
}

/* Names lie in the order of the messages afterwards, so that whoever goes through the list goes through memory. */
static void put_in_order(struct mdlist *l, const struct sort_key *keys)
{
    struct md_msg *v = mem_new(((size_t)l->n + 1) * sizeof *v);
    struct buf text = BUF(TEXT_MAX);
    bool fits = buf_reserve(&text, l->text.n + 1) != NULL;

    for (uint32_t i = 0; i < l->n && fits; i++) {
        struct md_msg *m = &v[i];
        size_t at = text.n;

        *m = l->v[keys[i].at];
        fits = buf_put(&text, l->text.p + m->name_at, (size_t)m->name_octets + 1);
        m->name_at = (uint32_t)at;
    }
    if (!fits) /* cannot be: there is room for what was there */
        abort();
    free(l->v);
    buf_free(&l->text);
    l->v = v;
    l->room = l->n + 1;
    l->text = text;
}

static void sort_by_base(struct mdlist *l)
{
    struct sort_key *keys = mem_new(((size_t)l->n + 1) * sizeof *keys);
    struct span common = l->n ? mdlist_base(l, &l->v[0]) : span_of(NULL, 0);

    for (uint32_t i = 1; i < l->n; i++)
        common.n = common_octets(common, mdlist_base(l, &l->v[i]));
    for (uint32_t i = 0; i < l->n; i++)
        keys[i] = (struct sort_key){ octets_at(mdlist_base(l, &l->v[i]), common.n), i };
    qsort_r(keys, l->n, sizeof *keys, compare_base, l);
    put_in_order(l, keys);
    free(keys);
}

static bool add_name(struct mdlist *l, enum md_sub sub, const char *text)
{
    struct span name = span_str(text);

    return !mdname_is_message(name) || mdlist_add(l, sub, name);
}

static bool too_many(const struct mddir *d, struct err *e)
{
    return err_set(e, FAULT_PERM, "%s holds more messages than can be listed", d->path);
}

static bool read_sub(struct mdlist *l, const struct mddir *d, enum md_sub sub, struct err *e)
{
    uint8_t *piece = mem_new(READ_OCTETS);
    ssize_t got = sys->lseek(d->sub[sub], 0, SEEK_SET) == 0 ? 1 : -1;
    bool fits = true;

    while (got > 0 && fits && (got = sys->getdents(d->sub[sub], piece, READ_OCTETS)) > 0) {
        for (ssize_t at = 0; at < got && fits;) {
            const struct dirent64 *entry = (const void *)(piece + at);

            fits = add_name(l, sub, entry->d_name);
            at += entry->d_reclen;
        }
    }
    if (got < 0)
        mddir_fail(d, e, "read", mddir_sub_name(sub));
    free(piece);
    return got >= 0 && (fits || too_many(d, e));
}

static int64_t ctime_ns(const struct stat *st)
{
    return (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

/* When the directories changed last: ctime, because mtime can be set by anybody. */
static bool changes(const struct mddir *d, struct stat st[2], struct err *e)
{
    for (int i = 0; i < 2; i++)
        if (sys->fstat(d->sub[i], &st[i]) != 0)
            return mddir_fail(d, e, "stat", mddir_sub_name((enum md_sub)i));
    return true;
}

/* One reading of both directories: new/ first, so that a message on its way to cur/ is seen at least once. */
static bool read_both(struct mdlist *l, const struct mddir *d, enum calm *calm, struct err *e)
{
    struct stat before[2], after[2];
    int64_t now = clock_real_ns();

    l->n = 0;
    l->text.n = 0;
    if (!changes(d, before, e) || !read_sub(l, d, MD_NEW, e) || !read_sub(l, d, MD_CUR, e) ||
        !changes(d, after, e))
        return false;
    *calm = CALM;
    for (int i = 0; i < 2; i++) {
        if (ctime_ns(&before[i]) != ctime_ns(&after[i]))
            *calm = BUSY;
        else if (ctime_ns(&before[i]) > now - SETTLED_NS && *calm == CALM)
            *calm = RECENT;
    }
    l->new_mtime_ns = md_mtime_ns(&before[MD_NEW]);
    l->cur_mtime_ns = md_mtime_ns(&before[MD_CUR]);
    sort_by_base(l);
    return true;
}

/* Adds to the newest reading what only earlier ones saw, unless too many readings missed it. Returns how
 * many were added. */
static bool carry_over(struct mdlist *newest, const struct mdlist *earlier, uint32_t *carried)
{
    uint32_t own = newest->n;

    *carried = 0;
    for (uint32_t i = 0, j = 0; i < earlier->n; i++) {
        const struct md_msg *m = &earlier->v[i];
        struct span base = mdlist_base(earlier, m);

        while (j < own && compare_spans(mdlist_base(newest, &newest->v[j]), base) < 0)
            j++;
        if (j < own && span_eq(mdlist_base(newest, &newest->v[j]), base))
            continue;
        if (m->links + 1 >= MANY_READINGS)
            continue;
        if (!add_name(newest, m->sub, mdlist_name(earlier, m)))
            return false;
        newest->v[newest->n - 1].links = m->links + 1; /* here: readings that missed it */
        ++*carried;
    }
    if (*carried)
        sort_by_base(newest);
    return true;
}

bool mdlist_scan(struct mdlist *l, const struct mddir *d, struct err *e)
{
    struct mdlist earlier;
    uint32_t carried = 0;
    int need = FEW_READINGS;
    enum calm calm;
    bool ok = read_both(l, d, &calm, e);

    mdlist_init(&earlier);
    for (int i = 1; ok && calm != CALM && i < MAX_READINGS && (i < need || carried); i++) {
        struct mdlist swap = earlier;

        if (calm == BUSY)
            need = MANY_READINGS;
        earlier = *l;
        *l = swap;
        ok = read_both(l, d, &calm, e);
        if (ok && calm != CALM && !carry_over(l, &earlier, &carried))
            ok = too_many(d, e);
    }
    for (uint32_t i = 0; i < l->n; i++)
        l->v[i].links = 0;
    mdlist_free(&earlier);
    return ok;
}

void mdlist_init(struct mdlist *l)
{
    *l = (struct mdlist){ .text = BUF(TEXT_MAX) };
}

void mdlist_free(struct mdlist *l)
{
    buf_free(&l->text);
    free(l->v);
    mdlist_init(l);
}

struct md_msg *mdlist_add(struct mdlist *l, enum md_sub sub, struct span name)
{
    struct md_msg *m;

    if (l->n == l->room) {
        l->room = l->room ? l->room * 2 : 64;
        l->v = mem_grow(l->v, l->room, sizeof *l->v);
    }
    m = &l->v[l->n];
    *m = (struct md_msg){ 0 };
    if (!mdlist_rename(l, m, sub, name))
        return NULL;
    l->n++;
    return m;
}

uint32_t mdlist_find(const struct mdlist *l, struct span base)
{
    uint32_t from = 0, to = l->n;

    while (from < to) {
        uint32_t mid = from + (to - from) / 2;

        if (compare_spans(mdlist_base(l, &l->v[mid]), base) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from < l->n && span_eq(mdlist_base(l, &l->v[from]), base) ? from : l->n;
}
