/* maildir.c - the store whose maildrops are Maildirs (store_maildir): see store.h.
 *
 * An open maildrop is a lock and a listing that it shares with others; its directories are open from the first
 * message handed out. Nothing grows with the number of messages while a session idles. The files it keeps beside the
 * mail are restante-lock (lock.h), restante-index (mdsnap.h), restante-commit (mdcommit.h) and restante-uidl
 * (uidmap.h).
 * Does not know: POP3, users, how messages are sent.
 */
#include "base/log.h"
#include "base/sys.h"
#include "store/index_write.h"
#include "store/lock.h"
#include "store/mdcommit.h"
#include "store/mdopen.h"
#include "store/mdsnap.h"
#include "store/warm.h"

#include <stdlib.h>

struct drop {
    struct mddir dir; /* at rest until a message is asked for */
    struct store_policy policy;
    int lock;
    int listing; /* of a short one, when somebody wants a descriptor */
    struct mdview *view; /* the snapshot */
    struct md_state place;
    struct index_reader reader; /* over the view, while a commit runs */
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

static struct drop *drop_new(const struct store_policy *policy)
{
    struct drop *d = mem_zero(1, sizeof *d);

    d->policy = *policy;
    d->lock = d->listing = -1;
    d->dir.root = -1;
    mdfind_init(&d->find, &d->dir);
    return d;
}

static void drop_close(struct drop **drop)
{
    struct drop *d = *drop;

    if (!d)
        return;
    mdfind_free(&d->find);
    mdview_leave(&d->view);
    sys_close(&d->listing);
    sys_close(&d->lock);
    mddir_close(&d->dir);
    free(d);
    *drop = NULL;
}

static bool make_snapshot(struct drop *d, struct err *e)
{
    if (!change_begin(d, e))
        return false;
    d->view = mdopen(&d->find, &d->policy, e);
    change_end(d);
    return d->view != NULL;
}

static bool drop_open(const char *path, const struct store_policy *policy, struct drop **drop, struct err *e)
{
    struct drop *d = drop_new(policy);

    *drop = d;
    if (mddir_open(&d->dir, path, policy->create, e) &&
        (policy->sessions == STORE_LOOK ||
         lock_session(&d->dir, policy->sessions == STORE_EXCLUSIVE, &d->lock, e)) &&
        make_snapshot(d, e)) {
        if (mdstate_take(&d->dir, &d->place))
            mddir_rest(&d->dir); /* else it is about to be replaced: what is open stays */
        return true;
    }
    drop_close(drop);
    return false;
}

static enum store_warm open_warm(struct drop *d, struct err *e)
{
    if (!warm_has(d->policy.warm, d->dir.path))
        return STORE_COLD;
    if (!mddir_open_root(&d->dir, e))
        return STORE_COLD; /* to be made perhaps; else the cold way fails too, and says why */
    if (!lock_session(&d->dir, d->policy.sessions == STORE_EXCLUSIVE, &d->lock, e))
        return STORE_FAILED;
    d->view = mdopen_warm(&d->dir, &d->policy, &d->place);
    mddir_rest(&d->dir);
    return d->view ? STORE_OPENED : STORE_COLD;
}

static enum store_warm drop_open_warm(const char *path, const struct store_policy *policy, struct drop **drop,
                                      struct err *e)
{
    enum store_warm answer = STORE_COLD;

    *drop = NULL;
    if (!policy->warm || policy->sessions == STORE_LOOK)
        return answer;
    *drop = drop_new(policy);
    if (mddir_name(&(*drop)->dir, path, e))
        answer = open_warm(*drop, e);
    if (answer != STORE_OPENED)
        drop_close(drop);
    return answer;
}

static uint32_t drop_count(const struct drop *drop)
{
    return mdview_header(drop->view)->count;
}

static struct span drop_brief(const struct drop *drop)
{
    return mdview_brief(drop->view);
}

static bool drop_listing(struct drop *drop, int *fd, uint64_t *octets, struct err *e)
{
    *fd = mdview_file(drop->view, octets);
    if (*fd >= 0)
        return true;
    if (drop->listing < 0 && !index_memfd(mdview_octets(drop->view), &drop->listing, e))
        return false;
    *fd = drop->listing;
    return true;
}

static bool take_seen(const struct index_record *rec, struct span path, struct md_seen *seen)
{
    if (!md_split(path, seen))
        return false;
    seen->size = rec->file_size;
    seen->mtime_ns = rec->mtime_ns;
    return true;
}

/* What the snapshot says of message i, in rising order. The name points into the reader. */
static bool get_seen(void *ctx, uint32_t i, struct md_seen *seen)
{
    struct drop *drop = ctx;
    struct index_record rec;
    struct span uid, path;

    return index_reader_get(&drop->reader, i, &rec, &uid, &path) && take_seen(&rec, path, seen);
}

/* Something is not as it was listed, and no watch told: what is remembered is wrong (a file can be written to where
 * nobody watches: by a second name, by a mapping). */
static void distrust(const struct drop *drop)
{
    if (drop->policy.warm)
        warm_forget(drop->policy.warm, drop->dir.path);
}

static bool drop_fetch(struct drop *drop, uint32_t i, int *fd, struct err *e)
{
    struct mdview_strings strings;
    struct index_record rec;
    struct md_seen seen;
    struct md_place place;
    enum md_found found;
    struct span path;

    *fd = -1;
    if (!mdstate_wake(&drop->dir, &drop->place, e))
        return false;
    if (!mdview_get(drop->view, i, &rec, &strings, &path) || !take_seen(&rec, path, &seen)) {
        distrust(drop);
        return err_set(e, FAULT_TEMP, "%s: the listing cannot be read any more", drop->dir.path);
    }
    found = mdfind_open(&drop->find, &seen, &place, fd, e);
    if (found == MD_CHANGED)
        distrust(drop);
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

static uint32_t count_marks(const uint8_t *marks, uint32_t count)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++)
        n += is_marked(marks, i);
    return n;
}

static void mark_all_seen(struct drop *drop, const struct store_commit *c)
{
    uint32_t count = drop_count(drop);

    for (uint32_t i = 0; i < count && drop->policy.mark_seen; i++)
        if (is_marked(c->retrieved, i) && !is_marked(c->deleted, i))
            mark_seen(drop, i);
}

/* The listing after a commit, for the next open. */
static void update_listing(struct drop *drop, const struct store_commit *c, bool any_deleted)
{
    if (!mdopen_after_commit(&drop->find, &drop->policy) && any_deleted)
        mdsnap_shrink(drop->view, c->deleted, &drop->dir);
}

/* Under the lock, with open directories. */
static bool commit_locked(struct drop *drop, const struct store_commit *c, struct md_outcome *out, struct err *e)
{
    enum { FEW = 200 }; /* more would only fill what remembers touched names: then the next open scans */
    uint32_t count = drop_count(drop), deleted = count_marks(c->deleted, count);
    struct md_victims victims = { count, c->deleted, get_seen, drop };
    bool ok = true;

    if (drop->policy.warm && deleted + (drop->policy.mark_seen ? count_marks(c->retrieved, count) : 0) > FEW)
        warm_forget(drop->policy.warm, drop->dir.path);
    drop->reader = mdview_reader(drop->view);
    mark_all_seen(drop, c);
    if (deleted)
        ok = mdcommit_run(&drop->find, &victims, drop->policy.durable, out, e);
    index_reader_rest(&drop->reader);
    update_listing(drop, c, deleted > 0);
    return ok;
}

static bool drop_commit(struct drop *drop, struct store_commit *c, struct err *e)
{
    struct md_outcome out = { 0, 0 };
    uint32_t deleted = count_marks(c->deleted, drop_count(drop));
    bool ok;

    c->removed = c->failed = 0;
    if (drop->policy.sessions == STORE_LOOK)
        return err_set(e, FAULT_BAD, "%s was opened to look only", drop->dir.path);
    if (!deleted && !(drop->policy.mark_seen && count_marks(c->retrieved, drop_count(drop))))
        return true;
    c->failed = deleted;
    if (!mdstate_wake(&drop->dir, &drop->place, e) || !change_begin(drop, e))
        return !deleted;
    ok = commit_locked(drop, c, &out, e);
    change_end(drop);
    c->removed = out.removed;
    c->failed = out.failed;
    return ok;
}

const struct store_ops store_maildir = {
    .name = "maildir",
    .open = drop_open,
    .open_warm = drop_open_warm,
    .count = drop_count,
    .brief = drop_brief,
    .listing = drop_listing,
    .fetch = drop_fetch,
    .commit = drop_commit,
    .close = drop_close,
};
