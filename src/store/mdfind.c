/* mdfind.c - finds a message again that was given another name: see mdfind.h. */
#include "store/mdfind.h"

#include "base/sys.h"

#include <errno.h>

enum { CHASES = 64 }; /* names that vanish before we get there, until this try is given up */

static bool is_same(const struct stat *st, const struct md_seen *seen)
{
    return S_ISREG(st->st_mode) && (uint64_t)st->st_size == seen->size && md_mtime_ns(st) == seen->mtime_ns;
}

static bool reload(struct mdfind *f, struct err *e)
{
    f->loaded = mdlist_scan(&f->now, f->dir_ref, e);
    return f->loaded;
}

static bool trouble(const struct mdfind *f, enum md_sub sub, const char *what, struct err *e)
{
    return mddir_fail(f->dir_ref, e, what, mddir_sub_name(sub));
}

static void set_name(struct md_place *place, enum md_sub sub, const char *name)
{
    size_t n = strlen(name);

    place->sub = sub;
    memcpy(place->name, name, n < MDNAME_MAX ? n : MDNAME_MAX);
    place->name[n < MDNAME_MAX ? n : MDNAME_MAX] = '\0';
}

static enum md_found look_at(const struct mdfind *f, const struct md_seen *seen, struct md_place *place,
                             struct err *e)
{
    if (sys->fstatat(f->dir_ref->sub[place->sub], place->name, &place->st, AT_SYMLINK_NOFOLLOW) == 0)
        return is_same(&place->st, seen) ? MD_FOUND : MD_CHANGED;
    if (errno == ENOENT)
        return MD_GONE;
    trouble(f, place->sub, "stat a message in", e);
    return MD_TROUBLE;
}

/* Looks at every name with this base in the names read last. *stale: some were not there any more. */
static enum md_found look_at_all(const struct mdfind *f, const struct md_seen *seen, struct md_place *place,
                                 bool *stale, struct err *e)
{
    struct span base = mdname_parse(seen->name).base;
    enum md_found best = MD_GONE;

    *stale = false;
    for (uint32_t i = mdlist_find(&f->now, base);
         i < f->now.n && span_eq(mdlist_base(&f->now, &f->now.v[i]), base); i++) {
        enum md_found found;

        set_name(place, f->now.v[i].sub, mdlist_name(&f->now, &f->now.v[i]));
        found = look_at(f, seen, place, e);
        if (found == MD_FOUND || found == MD_TROUBLE)
            return found;
        if (found == MD_CHANGED)
            best = MD_CHANGED;
        else
            *stale = true;
    }
    return best;
}

/* By base alone. A base that a reading of the directories does not hold is gone: names do not come back. */
static enum md_found search(struct mdfind *f, const struct md_seen *seen, struct md_place *place, struct err *e)
{
    bool stale;

    if (!f->loaded && !reload(f, e))
        return MD_TROUBLE;
    for (int i = 0; i < CHASES; i++) {
        enum md_found found = look_at_all(f, seen, place, &stale, e);

        if (found != MD_GONE || !stale)
            return found;
        if (!reload(f, e))
            return MD_TROUBLE;
    }
    err_set(e, FAULT_TEMP, "a message in %s is being renamed all the time", f->dir_ref->path);
    return MD_TROUBLE;
}

/* Other names of the file that was just unlinked, in the maildrop itself (a mover that uses link and unlink
 * was stopped between the two). Links elsewhere, as backups make them, are not ours. */
static bool unlink_others(struct mdfind *f, const struct md_seen *seen, const struct stat *was, struct err *e)
{
    struct span base = mdname_parse(seen->name).base;
    struct stat st;

    if (!f->loaded && !reload(f, e))
        return false;
    for (uint32_t i = mdlist_find(&f->now, base);
         i < f->now.n && span_eq(mdlist_base(&f->now, &f->now.v[i]), base); i++) {
        int dir = f->dir_ref->sub[f->now.v[i].sub];
        const char *name = mdlist_name(&f->now, &f->now.v[i]);

        if (sys->fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_ino != was->st_ino ||
            st.st_dev != was->st_dev)
            continue;
        if (sys->unlinkat(dir, name, 0) != 0 && errno != ENOENT)
            return trouble(f, f->now.v[i].sub, "unlink a message in", e);
    }
    return true;
}

void mdfind_init(struct mdfind *f, const struct mddir *d)
{
    *f = (struct mdfind){ .dir_ref = d };
    mdlist_init(&f->now);
}

void mdfind_free(struct mdfind *f)
{
    mdlist_free(&f->now);
    f->loaded = false;
}

enum md_found mdfind_place(struct mdfind *f, const struct md_seen *seen, struct md_place *place, struct err *e)
{
    char name[MDNAME_ROOM] = { 0 };
    enum md_found first;

    if (!mdname_is_message(seen->name)) {
        err_set(e, FAULT_BAD, "a listing or journal in %s holds an illegal name", f->dir_ref->path);
        return MD_TROUBLE;
    }
    memcpy(name, seen->name.p, seen->name.n);
    set_name(place, seen->sub, name);
    first = look_at(f, seen, place, e);
    if (first == MD_FOUND || first == MD_TROUBLE)
        return first;
    switch (search(f, seen, place, e)) { /* changed: a twin may have the right content */
    case MD_FOUND: return MD_FOUND;
    case MD_TROUBLE: return MD_TROUBLE;
    case MD_CHANGED: return MD_CHANGED;
    case MD_GONE: break;
    }
    return first;
}

/* The usual case, in two system calls: it has its old name and is what it was. */
static bool open_unmoved(const struct mdfind *f, const struct md_seen *seen, struct md_place *place, int *fd)
{
    char name[MDNAME_ROOM] = { 0 };

    *fd = -1;
    if (!mdname_is_message(seen->name))
        return false;
    memcpy(name, seen->name.p, seen->name.n);
    set_name(place, seen->sub, name);
    *fd = sys_open(f->dir_ref->sub[place->sub], place->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (*fd >= 0 && sys->fstat(*fd, &place->st) == 0 && is_same(&place->st, seen))
        return true;
    sys_close(fd);
    return false;
}

enum md_found mdfind_open(struct mdfind *f, const struct md_seen *seen, struct md_place *place, int *fd,
                          struct err *e)
{
    if (open_unmoved(f, seen, place, fd))
        return MD_FOUND;
    for (int i = 0; i < CHASES; i++) {
        enum md_found found = mdfind_place(f, seen, place, e);

        if (found != MD_FOUND)
            return found;
        *fd = sys_open(f->dir_ref->sub[place->sub], place->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
        if (*fd < 0 && errno == ENOENT)
            continue;
        if (*fd < 0 || sys->fstat(*fd, &place->st) != 0) {
            trouble(f, place->sub, "open a message in", e);
            sys_close(fd);
            return MD_TROUBLE;
        }
        if (is_same(&place->st, seen))
            return MD_FOUND;
        sys_close(fd);
        return MD_CHANGED;
    }
    err_set(e, FAULT_TEMP, "a message in %s is being renamed all the time", f->dir_ref->path);
    return MD_TROUBLE;
}

enum md_found mdfind_unlink(struct mdfind *f, const struct md_seen *seen, enum md_sub *sub, struct err *e)
{
    struct md_place place;

    for (int i = 0; i < CHASES; i++) {
        enum md_found found = mdfind_place(f, seen, &place, e);

        if (found != MD_FOUND)
            return found;
        *sub = place.sub;
        if (sys->unlinkat(f->dir_ref->sub[place.sub], place.name, 0) == 0)
            return place.st.st_nlink < 2 || unlink_others(f, seen, &place.st, e) ? MD_FOUND : MD_TROUBLE;
        if (errno != ENOENT) {
            trouble(f, place.sub, "unlink a message in", e);
            return MD_TROUBLE;
        }
    }
    err_set(e, FAULT_TEMP, "a message in %s is being renamed all the time", f->dir_ref->path);
    return MD_TROUBLE;
}

bool md_split(struct span path, struct md_seen *seen)
{
    if (path.n < 5 || path.p[3] != '/')
        return false;
    if (!memcmp(path.p, "new", 3))
        seen->sub = MD_NEW;
    else if (!memcmp(path.p, "cur", 3))
        seen->sub = MD_CUR;
    else
        return false;
    seen->name = span_of(path.p + 4, path.n - 4);
    return mdname_is_message(seen->name);
}
