/* maildir.c - the store whose maildrops are Maildirs (store_maildir): see store.h.
 *
 * An open maildrop is a lock, three directories and a descriptor of its listing: nothing grows with the
 * number of messages while a session idles. The files it keeps beside the mail are restante-lock (lock.h),
 * restante-index (mdsnap.h), restante-commit (mdcommit.h) and restante-uidl (uidmap.h).
 * Does not know: POP3, users, how messages are sent.
 */
#include "base/log.h"
#include "base/sys.h"
#include "store/lock.h"
#include "store/mdcommit.h"
#include "store/mdsnap.h"
#include "store/mdtidy.h"
#include "store/store.h"
#include "store/mduid.h"

#include <errno.h>
#include <stdlib.h>

struct drop {
    struct mddir dir;
    struct store_policy policy;
    int lock;
    struct index_reader listing; /* the snapshot; owns its descriptor */
    uint64_t listing_octets;
    struct mdfind find;
};

static bool is_marked(const uint8_t *marks, uint32_t i)
{
    return marks && (marks[i / 8] >> (i % 8) & 1);
}

/* The changes that opening makes need the other sessions of a shared maildrop to wait. */
static bool change_begin(struct drop *drop, struct err *e)
{
    return drop->policy.sessions != STORE_SHARED || lock_change(drop->lock, e);
}

static void change_end(struct drop *drop)
{
    if (drop->policy.sessions == STORE_SHARED)
        lock_change_end(drop->lock);
}

static bool assign_uids(struct drop *drop, struct mdlist *l, struct err *e)
{
    struct uidmap map;
    bool ok = uidmap_load(&map, &drop->dir, e);

    if (ok && !mduid_assign(l, &map))
        ok = err_set(e, FAULT_PERM, "%s holds more messages than can be listed", drop->dir.path);
    uidmap_free(&map);
    return ok;
}

static void tidy(struct drop *drop, struct mdlist *l)
{
    mdtidy_twins(l, &drop->dir);
    if (drop->policy.expire_days != 0 && drop->policy.expire_days != UINT32_MAX)
        mdtidy_expire(l, &drop->dir, &drop->policy);
    if (drop->policy.move_to_cur)
        mdtidy_move(l, &drop->dir);
    mdlist_sort(l);
}

static bool make_snapshot(struct drop *drop, struct mdlist *l, struct err *e)
{
    struct mdsnap snap = { .fd = -1, .legacy = drop->policy.need_legacy };
    bool ok;

    if (!mdlist_load(l, &drop->dir, e))
        return false;
    if (drop->policy.sessions == STORE_LOOK)
        mdlist_sort(l);
    else
        tidy(drop, l);
    ok = mdsnap_measure(&snap, l, &drop->find, e);
    if (ok) {
        mdlist_sort(l); /* without what turned out unreadable */
        ok = assign_uids(drop, l, e) && mdsnap_publish(&snap, l, &drop->dir, e);
    }
    mdsnap_abandon(&snap);
    drop->listing_octets = snap.octets;
    return ok && index_reader_open(&drop->listing, snap.fd, snap.octets, e);
}

static bool open_locked(struct drop *drop, struct err *e)
{
    struct mdlist l;
    bool ok;

    if (drop->policy.sessions != STORE_LOOK) {
        mdcommit_replay(&drop->find, drop->policy.durable);
        mdtidy_tmp(&drop->dir);
    }
    mdlist_init(&l);
    ok = make_snapshot(drop, &l, e);
    mdlist_free(&l);
    mdfind_free(&drop->find); /* the names read while opening are old by the time they are asked for */
    return ok;
}

static void drop_close(struct drop **drop)
{
    struct drop *d = *drop;

    if (!d)
        return;
    mdfind_free(&d->find);
    index_reader_close(&d->listing);
    sys_close(&d->lock);
    mddir_close(&d->dir);
    free(d);
    *drop = NULL;
}

static bool drop_open(const char *path, const struct store_policy *policy, struct drop **drop, struct err *e)
{
    struct drop *d = mem_zero(1, sizeof *d);
    bool ok;

    d->policy = *policy;
    d->lock = -1;
    d->listing.fd = -1;
    *drop = d;
    ok = mddir_open(&d->dir, path, policy->create, e);
    mdfind_init(&d->find, &d->dir);
    ok = ok && (policy->sessions == STORE_LOOK ||
                lock_session(&d->dir, policy->sessions == STORE_EXCLUSIVE, &d->lock, e)) && change_begin(d, e);
    if (ok) {
        ok = open_locked(d, e);
        change_end(d);
    }
    if (!ok)
        drop_close(drop);
    return ok;
}

static uint32_t drop_count(const struct drop *drop)
{
    return drop->listing.h.count;
}

static bool drop_listing(struct drop *drop, int *fd, uint64_t *octets, struct err *e)
{
    (void)e;
    *fd = drop->listing.fd;
    *octets = drop->listing_octets;
    return true;
}

/* What the snapshot says of message i. The name points into the reader. */
static bool get_seen(void *ctx, uint32_t i, struct md_seen *seen)
{
    struct drop *drop = ctx;
    struct index_record rec;
    struct span uid, path;

    if (!index_reader_get(&drop->listing, i, &rec, &uid, &path) || !md_split(path, seen))
        return false;
    seen->size = rec.file_size;
    seen->mtime_ns = rec.mtime_ns;
    return true;
}

static bool drop_fetch(struct drop *drop, uint32_t i, int *fd, struct err *e)
{
    struct md_seen seen;
    struct md_place place;
    enum md_found found;
    bool got = get_seen(drop, i, &seen);

    *fd = -1;
    found = got ? mdfind_open(&drop->find, &seen, &place, fd, e) : MD_TROUBLE;
    index_reader_rest(&drop->listing); /* sessions idle for long between messages */
    if (!got)
        return err_set(e, FAULT_TEMP, "%s: the listing cannot be read any more", drop->dir.path);
    switch (found) {
    case MD_FOUND: return true;
    case MD_GONE: return err_set(e, FAULT_GONE, "message %u of %s was removed by others", i + 1, drop->dir.path);
    case MD_CHANGED:
        return err_set(e, FAULT_TEMP, "message %u of %s was changed by others", i + 1, drop->dir.path);
    case MD_TROUBLE: break;
    }
    return false;
}

/* The flag is a courtesy to other programs: it is not synced, and failing to set it fails nothing. */
static void mark_seen(struct drop *drop, uint32_t i)
{
    struct md_seen seen;
    struct md_place place;
    char name[MDNAME_ROOM];
    struct err e;

    if (!get_seen(drop, i, &seen) || mdfind_place(&drop->find, &seen, &place, &e) != MD_FOUND)
        return;
    if (place.sub == MD_CUR && mdname_has_flag(span_str(place.name), 'S'))
        return;
    if (mdname_in_cur(name, span_str(place.name), 'S'))
        mddir_move(drop->dir.sub[place.sub], place.name, drop->dir.sub[MD_CUR], name);
}

static bool has_any(const uint8_t *marks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (is_marked(marks, i))
            return true;
    return false;
}

static bool drop_commit(struct drop *drop, struct store_commit *c, struct err *e)
{
    uint32_t count = drop_count(drop);
    struct md_victims victims = { count, c->deleted, get_seen, drop };
    struct md_outcome out = { 0, 0 };
    bool any = c->deleted && has_any(c->deleted, count), ok = true;

    c->removed = c->failed = 0;
    if (drop->policy.sessions == STORE_LOOK)
        return err_set(e, FAULT_BAD, "%s was opened to look only", drop->dir.path);
    if (!change_begin(drop, e)) {
        for (uint32_t i = 0; i < count; i++)
            c->failed += is_marked(c->deleted, i);
        return c->failed == 0;
    }
    for (uint32_t i = 0; i < count && drop->policy.mark_seen; i++)
        if (is_marked(c->retrieved, i) && !is_marked(c->deleted, i))
            mark_seen(drop, i);
    if (any) {
        ok = mdcommit_run(&drop->find, &victims, drop->policy.durable, &out, e);
        mdsnap_shrink(&drop->listing, c->deleted, &drop->dir);
    }
    change_end(drop);
    index_reader_rest(&drop->listing);
    c->removed = out.removed;
    c->failed = out.failed;
    return ok;
}

const struct store_ops store_maildir = {
    .name = "maildir",
    .open = drop_open,
    .count = drop_count,
    .listing = drop_listing,
    .fetch = drop_fetch,
    .commit = drop_commit,
    .close = drop_close,
};
