/* sys.h - the system calls for files that can be replaced by tests.
 *
 * All file work of src/mail and src/store goes through the table that "sys" points to, so that a test can
 * stop the program after every call in turn, or make the n-th one fail (the idea of SQLite's aSyscall).
 * Nobody but a test ever changes the pointer, and then before it starts threads. Signatures are those of
 * the system calls; failure is -1 and errno. Does not know: paths, retries (but for the helpers below).
 */
#ifndef RESTANTE_BASE_SYS_H
#define RESTANTE_BASE_SYS_H

#include "base/span.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>

struct sys_ops {
    int (*openat)(int dir, const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    ssize_t (*read)(int fd, void *p, size_t n);
    ssize_t (*pread)(int fd, void *p, size_t n, off_t at);
    ssize_t (*write)(int fd, const void *p, size_t n);
    ssize_t (*pwrite)(int fd, const void *p, size_t n, off_t at);
    int (*fsync)(int fd);
    int (*fstat)(int fd, struct stat *st);
    int (*fstatat)(int dir, const char *path, struct stat *st, int flags);
    int (*renameat2)(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
    int (*linkat)(int from_dir, const char *from, int to_dir, const char *to, int flags);
    int (*unlinkat)(int dir, const char *path, int flags);
    int (*mkdirat)(int dir, const char *path, mode_t mode);
    ssize_t (*getdents)(int dir, void *p, size_t n);
    off_t (*lseek)(int fd, off_t at, int whence);
    int (*lock)(int fd, struct flock *range); /* F_OFD_SETLK: the lock lives and dies with the descriptor */
    int (*memfd)(const char *name, unsigned flags);
    int (*seal)(int fd, int seals);
    int (*inotify_init)(int flags);
    int (*inotify_add)(int fd, const char *path, uint32_t mask);
    int (*inotify_remove)(int fd, int watch);
    int (*fstatfs)(int fd, struct statfs *fs);
};

extern const struct sys_ops sys_real;
extern const struct sys_ops *sys;

/* The same through interruptions and short counts; false with errno (EIO for an unexpected end of file). */
int sys_open(int dir, const char *path, int flags, mode_t mode);
bool sys_write_all(int fd, struct span s);
bool sys_pread_all(int fd, void *p, size_t n, uint64_t at);
ssize_t sys_read_some(int fd, void *p, size_t n);

/* Closes *fd unless it is -1 and sets it to -1; errno is kept. */
void sys_close(int *fd);

/* For the beginning of main: a closed standard descriptor would become that of the next file opened. What stands in for
 * a closed input cannot be read. */
void sys_fill_descriptors(void);

#endif
