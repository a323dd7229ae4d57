/* sink_maildir.c - a Maildir as destination: exactly once.
 *
 * tmp/NAME is the spool file. A batch: fsync of every file, rename of each to new/NAME,S=…,W=… without replacing
 * anything, fsync of new/. An error takes away what is not known to be durable, so that "try again" is no duplicate.
 * Does not know: the journal; that it holds NAME before the rename is what makes recovery possible.
 */
#include "client/sink_impl.h"

#include "base/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static bool folders_trusted(const struct sink *s, struct err *e)
{
    struct stat st;

    if (geteuid() != 0)
        return true;
    for (int i = -1; i < MD_SUBS; i++)
        if (sys->fstat(i < 0 ? s->dir.root : s->dir.sub[i], &st) != 0)
            return err_errno(e, "look at", s->conf.target);
        else if (st.st_uid != 0)
            return err_set(e, FAULT_PERM, "%s belongs to another user: run this account as that user",
                           s->conf.target);
    return true;
}

static bool open_maildir(struct sink *s, struct err *e)
{
    if (!spool_path_trusted(s->conf.target, e) || !mddir_open(&s->dir, s->conf.target, true, e))
        return false;
    s->spool = s->dir.sub[MD_TMP];
    if (s->spool < 0) {
        errno = EACCES;
        return mddir_fail(&s->dir, e, "open", "tmp");
    }
    return folders_trusted(s, e);
}

static size_t final_name(const struct sink *s, const struct sink_item *item, char name[MDNAME_ROOM])
{
    const struct sink_body *b = item->state;
    struct span base = span_str(item->entry.name);

    if (s->conf.size_fields)
        return mdname_sized(name, base, item->entry.stored_octets, b->stored_wire);
    if (base.n > MDNAME_MAX)
        return 0;
    memcpy(name, base.p, base.n);
    name[base.n] = '\0';
    return base.n;
}

/* Only a regular file is read, never a link, never waiting (MD-15). */
static int open_mail(const struct sink *s, enum md_sub sub, const char *name, uint64_t *octets)
{
    struct stat st;
    int fd = sys_open(s->dir.sub[sub], name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (sys->fstat(fd, &st) == 0) {
        *octets = (uint64_t)st.st_size;
        if (S_ISREG(st.st_mode))
            return fd;
        errno = EINVAL;
    }
    sys_close(&fd);
    return -1;
}

/* The name is taken: by this very message, when an earlier commit of it was not noted. */
static bool is_there(const struct sink *s, const struct sink_item *item, const char *name)
{
    struct sink_digests d;
    uint64_t octets = 0;
    int fd = open_mail(s, MD_NEW, name, &octets);
    bool same = fd >= 0 && octets == item->entry.stored_octets &&
                digests_of_file(fd, 0, octets, s->keep_crlf, &d) &&
                memcmp(d.stored, item->entry.stored_digest, JOURNAL_DIGEST) == 0;

    sys_close(&fd);
    return same;
}

/* The descriptor is freed in any case; NFS tells a full disk here. */
static bool closed(struct sink_item *item)
{
    int fd = item->fd;

    item->fd = -1;
    return sys->close(fd) == 0 || errno == EINTR;
}

static void publish(struct sink *s, struct sink_item *item)
{
    char name[MDNAME_ROOM];

    if (!final_name(s, item, name)) {
        errno = ENAMETOOLONG;
        item_failed(s, item, SINK_TEMP, "make a name in");
    } else if (!closed(item)) {
        item_failed(s, item, SINK_TEMP, "close a message for");
    } else if (mddir_move(s->dir.sub[MD_TMP], item->entry.name, s->dir.sub[MD_NEW], name)) {
        item->result = SINK_DELIVERED;
    } else if (errno == EEXIST) {
        if (is_there(s, item, name)) {
            item->result = SINK_DELIVERED;
            return;
        }
        errno = EEXIST;
        item_failed(s, item, SINK_TEMP, "rename into new of");
    } else {
        int code = errno;

        sys->unlinkat(s->dir.sub[MD_NEW], name, 0); /* a link that was made before it failed */
        errno = code;
        item_failed(s, item, SINK_TEMP, "rename into new of");
    }
}

/* After a failed fsync of new/ nobody knows which names survive. */
static void take_back(struct sink *s, struct sink_item *items)
{
    int code = errno;

    for (struct sink_item *i = items; i; i = i->next) {
        char name[MDNAME_ROOM];

        if (i->result != SINK_DELIVERED || !i->state)
            continue;
        if (final_name(s, i, name))
            sys->unlinkat(s->dir.sub[MD_NEW], name, 0);
        errno = code;
        item_failed(s, i, SINK_TEMP, "fsync new of");
    }
}

static void commit_maildir(struct sink *s, struct sink_item *items)
{
    bool any = false;

    for (struct sink_item *i = items; i; i = i->next)
        if (i->state && sys->fsync(i->fd) != 0) /* once: a second one would lie */
            item_failed(s, i, SINK_TEMP, "fsync a message for");
    for (struct sink_item *i = items; i; i = i->next) {
        if (i->state)
            publish(s, i);
        any |= i->result == SINK_DELIVERED;
    }
    if (any && sys->fsync(s->dir.sub[MD_NEW]) != 0)
        take_back(s, items);
    for (struct sink_item *i = items; i; i = i->next)
        if (i->state && i->result == SINK_DELIVERED) {
            i->err = (struct err){ 0 };
            item_close(i);
            if (sys->unlinkat(s->spool, i->entry.name, 0) != 0)
                continue; /* gone with the rename, as it should; else the next run sweeps it */
        }
}

static void fill(struct entry *entry, const struct sink_digests *d, const struct sink_mark *mark)
{
    entry->stored_octets = d->stored_octets;
    memcpy(entry->stored_digest, d->stored, JOURNAL_DIGEST);
    entry->octets = mark ? mark->octets : d->octets;
    memcpy(entry->wire_digest, mark ? mark->wire : d->wire, JOURNAL_DIGEST);
}

/* Finds and reads. *found false: not there, not regular, or its reader moved it just now. */
static bool look(struct sink *s, const char *base, struct sink_digests *d, bool *found, struct err *e)
{
    *found = false;
    for (int tries = 0; tries < 3 && !*found; tries++) {
        struct err why = { 0 };
        const struct sink_seen *seen = find_name(s, base, &why);
        uint64_t octets = 0;
        int fd;

        if (!seen && why.fault != FAULT_NONE) {
            if (e)
                *e = why;
            return false;
        }
        if (!seen)
            return true;
        fd = open_mail(s, seen->sub, seen->name, &octets);
        if (fd < 0 && errno == ENOENT) {
            find_forget(s); /* flags changed since */
            continue;
        }
        if (fd < 0 && (errno == ELOOP || errno == EINVAL))
            return true;
        *found = fd >= 0 && digests_of_file(fd, 0, octets, s->keep_crlf, d);
        sys_close(&fd);
        if (!*found)
            return err_errno(e, "read a message in", s->conf.target);
    }
    return true;
}

/* A file of that name with other octets is left alone and is not ours: the message is fetched again. */
static bool recover_maildir(struct sink *s, struct entry *entry, bool *stored, struct err *e)
{
    struct sink_digests d;
    struct sink_mark mark;
    bool found, has_mark = mark_get(entry, &mark);

    if (!look(s, entry->name, &d, &found, e))
        return false;
    if (!found || (has_mark && memcmp(mark.stored, d.stored, JOURNAL_DIGEST) != 0))
        return true;
    if (sys->fsync(s->dir.sub[MD_NEW]) != 0 || sys->fsync(s->dir.sub[MD_CUR]) != 0)
        return err_errno(e, "fsync new and cur of", s->conf.target);
    fill(entry, &d, has_mark ? &mark : NULL);
    *stored = true;
    return true;
}

static bool verify_maildir(struct sink *s, const struct entry *entry, struct err *e)
{
    struct sink_digests d;
    bool found;

    if (!look(s, entry->name, &d, &found, e))
        return false;
    if (!found)
        return err_set(e, FAULT_GONE, "%s is not in %s any more", entry->name, s->conf.target);
    if (d.stored_octets == entry->stored_octets && memcmp(d.stored, entry->stored_digest, JOURNAL_DIGEST) == 0)
        return true;
    return err_set(e, FAULT_BAD, "%s in %s has other octets than were stored", entry->name, s->conf.target);
}

const struct sink_ops sink_maildir = { .exact = true,
                                       .open = open_maildir,
                                       .commit = commit_maildir,
                                       .recover = recover_maildir,
                                       .verify = verify_maildir };
