/* mdstate.c - whether a maildrop is still the one that was seen: see mdstate.h. */
#include "store/mdstate.h"

#include "base/sys.h"
#include "store/mdcommit.h"
#include "store/uidmap.h"

#include <errno.h>

enum { ROOT = 2 };

/* One of our own files in the root: 0 without it, -1 with errno for other troubles, else 1. */
static int look_own(const struct mddir *d, const char *name, struct stat *st)
{
    if (sys->fstatat(d->root, name, st, AT_SYMLINK_NOFOLLOW) == 0)
        return 1;
    return errno == ENOENT ? 0 : -1;
}

static void take_place(struct md_state *state, int i, const struct stat *st)
{
    state->dev[i] = st->st_dev;
    state->ino[i] = st->st_ino;
}

/* Is the open directory the one that has the name. */
static bool is_open_one(const struct mddir *d, int i, const struct md_state *state)
{
    struct stat st;

    if (d->sub[i] < 0)
        return true;
    if (sys->fstat(d->sub[i], &st) != 0)
        return false;
    errno = ESTALE;
    return st.st_dev == state->dev[i] && st.st_ino == state->ino[i];
}

/* The same directories. */
static bool is_place(const struct md_state *a, const struct md_state *b)
{
    for (int i = 0; i < 3; i++)
        if (a->dev[i] != b->dev[i] || a->ino[i] != b->ino[i])
            return false;
    return true;
}

bool mdstate_take(const struct mddir *d, struct md_state *state)
{
    struct stat st;
    int found;

    *state = (struct md_state){ 0 };
    if (sys->fstat(d->root, &st) != 0)
        return false;
    take_place(state, ROOT, &st);
    for (int i = 0; i < 2; i++) {
        if (sys->fstatat(d->root, mddir_sub_name((enum md_sub)i), &st, AT_SYMLINK_NOFOLLOW) != 0)
            return false;
        take_place(state, i, &st);
        state->changed_ns[i] = md_changed_ns(&st);
        if (!is_open_one(d, i, state))
            return false;
    }
    found = look_own(d, UIDMAP_FILE, &st);
    if (found > 0) {
        state->uidl = st.st_ino;
        state->uidl_octets = (uint64_t)st.st_size;
        state->uidl_changed_ns = md_changed_ns(&st);
    }
    if (found < 0)
        return false;
    found = look_own(d, JOURNAL_FILE, &st);
    state->journal = found != 0;
    return found >= 0;
}

bool mdstate_has_uids(const struct md_state *now, const struct md_state *was)
{
    return is_place(now, was) && !now->journal && now->uidl == was->uidl &&
           now->uidl_octets == was->uidl_octets && now->uidl_changed_ns == was->uidl_changed_ns;
}

bool mdstate_is_settled(const struct md_state *now, const struct md_state *was)
{
    return mdstate_has_uids(now, was) && now->changed_ns[0] == was->changed_ns[0] &&
           now->changed_ns[1] == was->changed_ns[1];
}

bool mdstate_wake(struct mddir *d, const struct md_state *was, struct err *e)
{
    struct md_state now;

    if (d->root >= 0)
        return true;
    if (!mddir_wake(d, e))
        return false;
    if (mdstate_take(d, &now) && is_place(&now, was))
        return true;
    mddir_rest(d);
    return err_set(e, FAULT_TEMP, "another maildrop was put in the place of %s", d->path);
}

int64_t md_changed_ns(const struct stat *st)
{
    return (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}
