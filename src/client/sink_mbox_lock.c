/* sink_mbox_lock.c - an mbox folder, open and locked against its other users.
 *
 * First an fcntl lock on the whole file, then PATH.lock, made by a link from a finished file (which replaces nothing); whoever finds one of them taken lets go of both and asks again until the time is over. Where nobody may
 * create PATH.lock (a spool directory of the system) the fcntl lock stands alone. A PATH.lock that says "restante" was
 * left by a crash: its maker held the fcntl lock, which we have now. One of others is left alone for ten minutes.
 * Does not know: what is appended.
 */
#include "client/sink_impl.h"

#include "base/clock.h"
#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 30000, PAUSE_MS = 25, STALE_S = 600, DOT_ROOM = MDNAME_ROOM + 32 };

static const char ours[] = "restante\n";

static void pause_a_moment(void)
{
    struct timespec moment = { 0, PAUSE_MS * 1000000L };

    nanosleep(&moment, NULL);
}

static void dot_name(const struct sink *s, char name[DOT_ROOM], const char *end)
{
    snprintf(name, DOT_ROOM, "%s.lock%s", s->file, end);
}

static bool is_stale(const struct sink *s, const char *name)
{
    struct stat st;
    char text[sizeof ours] = "";
    ssize_t n;
    int fd;

    if (sys->fstatat(s->folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return false;
    if (st.st_mtime < clock_real_ns() / 1000000000 - STALE_S)
        return true;
    fd = sys_open(s->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return false;
    n = sys_read_some(fd, text, sizeof text);
    sys_close(&fd);
    return n == sizeof ours - 1 && memcmp(text, ours, sizeof ours - 1) == 0;
}

/* The file that becomes PATH.lock, so that it never stands there without its text. One name is enough: only who holds
 * the fcntl lock makes it. */
static bool make_draft(struct sink *s, const char *draft)
{
    int fd;
    bool ok;

    sys->unlinkat(s->folder, draft, 0);
    fd = sys_open(s->folder, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    ok = fd >= 0 && sys_write_all(fd, span_str(ours));
    sys_close(&fd);
    return ok;
}

/* 1 = have it, 0 = taken, -1 = it cannot be had here and the fcntl lock is enough. */
static int take_dot(struct sink *s)
{
    char name[DOT_ROOM], draft[DOT_ROOM];
    int got = -1;

    dot_name(s, name, "");
    dot_name(s, draft, ".restante");
    if (make_draft(s, draft)) {
        got = sys->linkat(s->folder, draft, s->folder, name, 0) == 0 ? 1 : errno == EEXIST ? 0 : -1;
        if (got == 0 && is_stale(s, name))
            sys->unlinkat(s->folder, name, 0);
    }
    sys->unlinkat(s->folder, draft, 0);
    return got;
}

static bool open_folder(struct sink *s, struct mbox *m, bool create, struct err *e)
{
    struct stat st;

    m->fd = sys_open(s->folder, s->file, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
    if (m->fd < 0 && errno == ENOENT && create) {
        m->fd = sys_open(s->folder, s->file, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (m->fd >= 0 && sys->fsync(s->folder) != 0)
            return err_errno(e, "fsync the folder of", s->conf.target);
    }
    if (m->fd < 0 || sys->fstat(m->fd, &st) != 0)
        return err_errno(e, "open", s->conf.target);
    if (!S_ISREG(st.st_mode))
        return err_set(e, FAULT_PERM, "%s is no regular file", s->conf.target);
    if (geteuid() == 0 && st.st_uid != 0)
        return err_set(e, FAULT_PERM, "%s belongs to another user: run this account as that user", s->conf.target);
    return true;
}

/* A mail reader may have put another file in its place while we waited. */
static bool is_current(struct sink *s, struct mbox *m)
{
    struct stat now, held;

    if (sys->fstat(m->fd, &held) != 0 || sys->fstatat(s->folder, s->file, &now, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    m->octets = (uint64_t)held.st_size;
    return now.st_ino == held.st_ino && now.st_dev == held.st_dev;
}

/* 1 = locked, 0 = somebody else has a lock or replaced the folder, -1 = error. */
static int try_lock(struct sink *s, struct mbox *m, bool create, struct err *e)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int dot;

    if (!open_folder(s, m, create, e)) {
        sys_close(&m->fd);
        return -1;
    }
    if (sys->lock(m->fd, &all) != 0) {
        bool is_taken = errno == EAGAIN || errno == EACCES || errno == EINTR;

        if (!is_taken)
            err_errno(e, "lock", s->conf.target);
        sys_close(&m->fd);
        return is_taken ? 0 : -1;
    }
    dot = take_dot(s);
    m->has_dot = dot > 0;
    if (dot == 0) {
        sys_close(&m->fd);
        return 0;
    }
    if (is_current(s, m))
        return 1;
    mbox_unlock(s, m);
    return 0;
}

bool mbox_lock(struct sink *s, struct mbox *m, bool create, struct err *e)
{
    uint64_t end = clock_mono_ms() + WAIT_MS;

    for (;;) {
        int got;

        *m = (struct mbox){ .fd = -1 };
        got = try_lock(s, m, create, e);
        if (got)
            return got > 0;
        if (clock_mono_ms() >= end)
            return err_set(e, FAULT_IN_USE, "%s is locked by another program", s->conf.target);
        pause_a_moment();
    }
}

void mbox_unlock(struct sink *s, struct mbox *m)
{
    char name[DOT_ROOM];

    dot_name(s, name, "");
    if (m->has_dot)
        sys->unlinkat(s->folder, name, 0);
    m->has_dot = false;
    sys_close(&m->fd);
}
