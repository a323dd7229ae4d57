/* lock.c - who may use a maildrop: see lock.h. */
#include "store/lock.h"

#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

enum { REOPEN_TRIES = 5, CHANGE_WAIT_MS = 10000, CHANGE_STEP_MS = 10 };

static bool lock_range(int fd, short type, off_t first, off_t n)
{
    struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = n };
    int done;

    do
        done = sys->lock(fd, &range);
    while (done != 0 && errno == EINTR);
    return done == 0;
}

static bool is_taken(int code)
{
    return code == EAGAIN; /* what Linux answers; EACCES means something else there */
}

/* Whoever removes the lock file (a cleaning administrator) must not let two sessions in. */
static bool is_still_there(const struct mddir *d, int fd)
{
    struct stat open, named;

    return sys->fstat(fd, &open) == 0 && S_ISREG(open.st_mode) &&
           sys->fstatat(d->root, LOCK_FILE, &named, AT_SYMLINK_NOFOLLOW) == 0 && open.st_ino == named.st_ino &&
           open.st_dev == named.st_dev;
}

bool lock_session(const struct mddir *d, bool exclusive, int *fd, struct err *e)
{
    for (int i = 0; i < REOPEN_TRIES; i++) {
        *fd = sys_open(d->root, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (*fd < 0 && (errno == EROFS || errno == ENOSPC || errno == EDQUOT)) {
            event(LOG_WARNING, "maildrop-lock-absent", F_STR("path", d->path), F_STR("error", strerror(errno)));
            return true;
        }
        if (*fd < 0)
            return mddir_fail(d, e, "open", LOCK_FILE);
        if (!(exclusive ? lock_range(*fd, F_WRLCK, 0, 2) : lock_range(*fd, F_RDLCK, 0, 1))) {
            bool taken = is_taken(errno);

            mddir_fail(d, e, "lock", LOCK_FILE);
            sys_close(fd);
            if (taken)
                err_set(e, FAULT_IN_USE, "%s is in use by another session", d->path);
            return false;
        }
        if (is_still_there(d, *fd))
            return true;
        sys_close(fd);
    }
    return err_set(e, FAULT_TEMP, "%s/" LOCK_FILE " is no regular file or is being replaced", d->path);
}

bool lock_change(int fd, struct err *e)
{
    struct timespec step = { 0, CHANGE_STEP_MS * 1000000L };

    for (int ms = 0; fd >= 0 && !lock_range(fd, F_WRLCK, 1, 1); ms += CHANGE_STEP_MS) {
        if (!is_taken(errno))
            return err_errno(e, "lock", LOCK_FILE);
        if (ms >= CHANGE_WAIT_MS)
            return err_set(e, FAULT_TEMP, "another session is changing the maildrop");
        nanosleep(&step, NULL);
    }
    return true;
}

void lock_change_end(int fd)
{
    if (fd >= 0)
        lock_range(fd, F_UNLCK, 1, 1);
}
