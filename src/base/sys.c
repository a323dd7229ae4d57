/* sys.c - the real system calls, and helpers over whichever are in force: see sys.h. */
#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <unistd.h>

static int real_openat(int dir, const char *path, int flags, mode_t mode)
{
    return openat(dir, path, flags, mode);
}

static int real_lock(int fd, struct flock *range)
{
    return fcntl(fd, F_OFD_SETLK, range);
}

static int real_seal(int fd, int seals)
{
    return fcntl(fd, F_ADD_SEALS, seals);
}

static ssize_t real_getdents(int dir, void *p, size_t n)
{
    return getdents64(dir, p, n);
}

const struct sys_ops sys_real = {
    .openat = real_openat,
    .close = close,
    .read = read,
    .pread = pread,
    .write = write,
    .pwrite = pwrite,
    .fsync = fsync,
    .fstat = fstat,
    .fstatat = fstatat,
    .renameat2 = renameat2,
    .linkat = linkat,
    .unlinkat = unlinkat,
    .mkdirat = mkdirat,
    .getdents = real_getdents,
    .lseek = lseek,
    .lock = real_lock,
    .memfd = memfd_create,
    .seal = real_seal,
    .inotify_init = inotify_init1,
    .inotify_add = inotify_add_watch,
    .inotify_remove = inotify_rm_watch,
    .fstatfs = fstatfs,
};

const struct sys_ops *sys = &sys_real;

int sys_open(int dir, const char *path, int flags, mode_t mode)
{
    int fd;

    do
        fd = sys->openat(dir, path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

bool sys_write_all(int fd, struct span s)
{
    while (s.n) {
        ssize_t done = sys->write(fd, s.p, s.n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            if (done == 0)
                errno = EIO;
            return false;
        }
        span_take(&s, (size_t)done);
    }
    return true;
}

bool sys_pread_all(int fd, void *p, size_t n, uint64_t at)
{
    uint8_t *dst = p;

    while (n) {
        ssize_t got = sys->pread(fd, dst, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            if (got == 0)
                errno = EIO;
            return false;
        }
        dst += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return true;
}

ssize_t sys_read_some(int fd, void *p, size_t n)
{
    ssize_t got;

    do
        got = sys->read(fd, p, n);
    while (got < 0 && errno == EINTR);
    return got;
}

void sys_close(int *fd)
{
    int code = errno;

    if (*fd >= 0)
        sys->close(*fd); /* the descriptor is gone even after EINTR (Linux) */
    *fd = -1;
    errno = code;
}

void sys_fill_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDWR) != fd)
            abort();
}
