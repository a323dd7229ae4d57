/* sink_mbox.c - an mbox folder (mboxrd) as destination: exactly once.
 *
 * The spool file holds the very octets to append: From_ line, quoted message, empty line. A batch: lock; note where
 * each message will begin, its length and digest, durably; append; fsync; an error truncates back to the old length
 * before the lock is released (MBOX-13). The spool file needs no fsync: after a power loss the note alone tells
 * whether the message is complete in the folder. Does not know: the journal.
 */
#include "client/sink_impl.h"

#include "base/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static bool open_parent(struct sink *s, struct err *e)
{
    char *path = mem_str(s->conf.target), *slash = strrchr(path, '/');
    bool ok = slash && mdname_is_message(span_str(slash + 1)) && strlen(slash + 1) < MDNAME_MAX - 20;
    struct stat st;

    if (!ok) {
        free(path);
        return err_set(e, FAULT_BAD, "%s is no path of a mail folder", s->conf.target);
    }
    s->file = mem_str(slash + 1);
    *slash = '\0';
    s->folder = sys_open(AT_FDCWD, slash == path ? "/" : path, O_RDONLY | O_DIRECTORY, 0);
    if (s->folder < 0 || sys->fstat(s->folder, &st) != 0)
        ok = err_errno(e, "open the directory", path);
    free(path);
    return ok;
}

static bool open_mbox(struct sink *s, struct err *e)
{
    return spool_open(s, e) && spool_path_trusted(s->conf.target, e) && open_parent(s, e);
}

/* What must come first so that a From_ line follows an empty line. */
static bool gap(const struct mbox *m, struct span *octets)
{
    uint8_t tail[3] = "";
    size_t n = m->octets < 3 ? (size_t)m->octets : 3;

    *octets = span_str("");
    if (n == 0)
        return true;
    if (!sys_pread_all(m->fd, tail, n, m->octets - n))
        return false;
    if (tail[n - 1] != '\n')
        *octets = span_str("\n\n");
    else if (n > 1 && tail[n - 2] != '\n' && !(n == 3 && tail[1] == '\r' && tail[0] == '\n'))
        *octets = span_str("\n");
    return true;
}

static bool pwrite_all(int fd, struct span s, uint64_t at)
{
    while (s.n) {
        ssize_t done = sys->pwrite(fd, s.p, s.n, (off_t)at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            if (done == 0)
                errno = EIO;
            return false;
        }
        at += (uint64_t)done;
        span_take(&s, (size_t)done);
    }
    return true;
}

static bool append(int to, uint64_t at, const struct sink_item *item)
{
    uint8_t *piece = mem_new(SINK_PIECE);
    uint64_t left = item->entry.stored_octets, done = 0;
    bool ok = true;

    while (ok && done < left) {
        size_t n = left - done < SINK_PIECE ? (size_t)(left - done) : SINK_PIECE;

        ok = sys_pread_all(item->fd, piece, n, done) && pwrite_all(to, span_of(piece, n), at + done);
        done += n;
    }
    free(piece);
    return ok;
}

bool mbox_truncate(int fd, uint64_t octets)
{
    struct stat st;

    return sys->fstat(fd, &st) == 0 && ftruncate(fd, (off_t)octets) == 0 && sys->fsync(fd) == 0;
}

static void fail_all(struct sink *s, struct sink_item *items, const struct err *why)
{
    for (struct sink_item *i = items; i; i = i->next) {
        if (!i->state)
            continue;
        i->err = *why;
        item_done(s, i, SINK_TEMP);
    }
}

static bool note_all(struct sink *s, struct sink_item *items, uint64_t at, struct err *e)
{
    for (struct sink_item *i = items; i; i = i->next) {
        const struct sink_body *b = i->state;

        if (!b)
            continue;
        mark_put(&i->entry, &at, b->when);
        at += i->entry.stored_octets;
    }
    return s->note(s->ctx, items, e);
}

static bool append_all(struct sink *s, struct mbox *m, struct sink_item *items, struct err *e)
{
    struct span first;
    uint64_t at;

    if (!gap(m, &first))
        return err_errno(e, "read", s->conf.target);
    at = m->octets + first.n;
    if (!note_all(s, items, at, e))
        return false;
    bool ok = pwrite_all(m->fd, first, m->octets);

    for (struct sink_item *i = items; ok && i; i = i->next) {
        if (!i->state)
            continue;
        ok = append(m->fd, at, i);
        at += i->entry.stored_octets;
    }
    if (ok && sys->fsync(m->fd) == 0 && sys->fsync(s->folder) == 0)
        return true;
    err_errno(e, "append to", s->conf.target);
    if (!mbox_truncate(m->fd, m->octets))
        return err_set(e, FAULT_TEMP, "append to %s failed, and so did taking back the half: %s", s->conf.target,
                       strerror(errno));
    return false;
}

static void commit_mbox(struct sink *s, struct sink_item *items)
{
    struct err why = { 0 };
    struct mbox m;
    bool ok;

    if (!mbox_lock(s, &m, true, &why)) {
        fail_all(s, items, &why);
        return;
    }
    ok = append_all(s, &m, items, &why);
    mbox_unlock(s, &m);
    if (!ok) {
        fail_all(s, items, &why);
        return;
    }
    for (struct sink_item *i = items; i; i = i->next)
        if (i->state)
            item_done(s, i, SINK_DELIVERED);
}

const struct sink_ops sink_mbox = {
    .exact = true, .open = open_mbox, .commit = commit_mbox, .recover = mbox_recover, .verify = mbox_verify
};
