/* mdlist.c - the messages of a Maildir, looked at and sorted: see mdlist.h. */
#include "store/mdlist.h"

#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { SEARCHES = 64 }; /* scans for messages that are renamed under our eyes, until this try is given up */

static void skip(const struct mddir *d, const struct mdlist *l, struct md_msg *m, const char *why)
{
    m->refused = true;
    event(LOG_WARNING, "message-skipped", F_STR("path", d->path), F_STR("dir", mddir_sub_name(m->sub)),
          F_STR("name", mdlist_name(l, m)), F_STR("reason", why));
}

/* No right to read it, as far as the mode tells: sizes may come from the index, without opening it. */
static bool is_unreadable(const struct stat *st)
{
    if ((st->st_mode & 0444) == 0)
        return true;
    return !(st->st_mode & S_IRUSR) && st->st_uid == geteuid() && st->st_uid != 0;
}

static void take_stat(struct md_msg *m, const struct stat *st)
{
    m->size = (uint64_t)st->st_size;
    m->ino = st->st_ino;
    m->dev = st->st_dev;
    m->links = (uint32_t)st->st_nlink;
    mdlist_set_mtime(m, md_mtime_ns(st));
}

/* Gives every message that is not where it was the name it has now, and looks at it again; one whose base no
 * scan holds any more is gone for good. *left: those that had moved on before we looked. */
static bool search(struct mdlist *l, const struct mddir *d, uint32_t *left, struct err *e)
{
    struct mdlist now;
    bool ok;

    *left = 0;
    mdlist_init(&now);
    ok = mdlist_scan(&now, d, e);
    for (uint32_t i = 0; i < l->n && ok; i++) {
        struct md_msg *m = &l->v[i];
        uint32_t at = m->gone ? mdlist_find(&now, mdlist_base(l, m)) : now.n;

        if (at == now.n)
            continue;
        ok = mdlist_rename(l, m, now.v[at].sub, span_str(mdlist_name(&now, &now.v[at]))) && mdlist_look(l, d, m, e);
        *left += m->gone;
    }
    mdlist_free(&now);
    return ok;
}

static bool search_all(struct mdlist *l, const struct mddir *d, struct err *e)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < l->n; i++)
        left += l->v[i].gone;
    for (int i = 0; i < SEARCHES && left; i++)
        if (!search(l, d, &left, e))
            return false;
    return !left || err_set(e, FAULT_TEMP, "messages in %s are being renamed all the time", d->path);
}

/* Drops the second of two entries that are one file: seen in both directories while it moved. */
static void drop_same(struct mdlist *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        const struct md_msg *a = &l->v[i];

        for (uint32_t j = i + 1; j < l->n && !a->gone && !a->refused; j++) {
            struct md_msg *b = &l->v[j];

            if (!span_eq(mdlist_base(l, a), mdlist_base(l, b)))
                break;
            if (!b->refused && a->ino == b->ino && a->dev == b->dev)
                b->gone = true;
        }
    }
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* The order of mdname_compare. */
static int compare_arrival(const void *a, const void *b, void *ctx)
{
    const struct md_msg *x = a, *y = b;
    const struct mdlist *l = ctx;
    int c = compare_u64(x->when, y->when);

    if (!c)
        c = compare_u64(x->usec, y->usec);
    if (!c)
        c = memcmp(l->text.p + x->name_at, l->text.p + y->name_at,
                   x->base_octets < y->base_octets ? x->base_octets : y->base_octets);
    if (!c)
        c = compare_u64(x->base_octets, y->base_octets);
    if (!c) /* twins that could not be given names of their own: any order that lasts */
        c = (x->mtime_ns > y->mtime_ns) - (x->mtime_ns < y->mtime_ns);
    return c ? c : compare_u64(x->size, y->size);
}

/* Most lists come in order: from an index, or sorted by names that begin with the time. */
static bool is_sorted(const struct mdlist *l)
{
    for (uint32_t i = 1; i < l->n; i++)
        if (compare_arrival(&l->v[i - 1], &l->v[i], (void *)(uintptr_t)l) > 0)
            return false;
    return true;
}

bool mdlist_load(struct mdlist *l, const struct mddir *d, struct err *e)
{
    if (!mdlist_scan(l, d, e))
        return false;
    for (uint32_t i = 0; i < l->n; i++)
        if (!mdlist_look(l, d, &l->v[i], e))
            return false;
    if (!search_all(l, d, e))
        return false;
    drop_same(l);
    return true;
}

bool mdlist_look(struct mdlist *l, const struct mddir *d, struct md_msg *m, struct err *e)
{
    struct stat st;

    m->gone = false;
    if (sys->fstatat(d->sub[m->sub], mdlist_name(l, m), &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            m->gone = true;
        else if (errno == EACCES || errno == ENOMEM)
            return mddir_fail(d, e, "stat a message in", mddir_sub_name(m->sub));
        else
            skip(d, l, m, strerror(errno));
        l->unsure |= m->refused;
        return true;
    }
    take_stat(m, &st);
    if (!S_ISREG(st.st_mode))
        skip(d, l, m, S_ISLNK(st.st_mode) ? "symbolic link" : "not a regular file");
    else if (is_unreadable(&st))
        skip(d, l, m, "no permission to read");
    return true;
}

const char *mdlist_name(const struct mdlist *l, const struct md_msg *m)
{
    return (const char *)l->text.p + m->name_at;
}

struct span mdlist_name_span(const struct mdlist *l, const struct md_msg *m)
{
    return span_of(l->text.p + m->name_at, m->name_octets);
}

struct span mdlist_base(const struct mdlist *l, const struct md_msg *m)
{
    return span_of(l->text.p + m->name_at, m->base_octets);
}

struct span mdlist_uid(const struct mdlist *l, const struct md_msg *m)
{
    return span_of(l->text.p + m->uid_at, m->uid_octets);
}

bool mdlist_rename(struct mdlist *l, struct md_msg *m, enum md_sub sub, struct span name)
{
    size_t at = l->text.n;
    struct mdname parts;

    if (name.n > MDNAME_MAX || !buf_reserve(&l->text, name.n + 1) || !buf_put_span(&l->text, name) ||
        !buf_put(&l->text, "", 1))
        return false;
    parts = mdname_parse(name);
    m->name_at = (uint32_t)at;
    m->name_octets = (uint8_t)name.n;
    m->base_octets = (uint8_t)parts.base.n;
    m->sub = (uint8_t)sub;
    m->timed = parts.has_when;
    m->usec = parts.usec;
    if (m->timed)
        m->when = parts.when;
    return true;
}

void mdlist_set_mtime(struct md_msg *m, int64_t mtime_ns)
{
    m->mtime_ns = mtime_ns;
    if (!m->timed)
        m->when = (uint64_t)(mtime_ns > 0 ? mtime_ns / 1000000000 : 0);
}

void mdlist_sort(struct mdlist *l)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->n; i++) {
        if (l->v[i].gone || l->v[i].refused)
            continue;
        if (n != i)
            l->v[n] = l->v[i];
        n++;
    }
    l->n = n;
    if (!is_sorted(l))
        qsort_r(l->v, n, sizeof *l->v, compare_arrival, l);
}

int64_t md_mtime_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}
