/* store_shim.c - system calls that count, stop the process, or fail: see store_shim.h. */
#include "store_shim.h"

#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static struct {
    unsigned calls, at;
    bool stop, fail, for_good, reached;
    int code;
    enum shim_kind kind;
    void (*before)(void *ctx);
    void *ctx;
    struct buf trace;
} shim;

/* Notes the call. Returns whether the descriptor is a file in memory, which no full disk hinders. */
static bool note(const char *call, int fd, const char *name)
{
    char link[64], path[512] = "";
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = fd >= 0 ? readlink(link, path, sizeof path - 1) : 0;
    path[n > 0 ? n : 0] = '\0';
    if (!buf_printf(&shim.trace, "%s %s %s\n", call, path, name ? name : "-"))
        shim.trace.n = 0;
    return strncmp(path, "/memfd:", 7) == 0;
}

/* True: the call is not made and errno is set. */
static bool gate(const char *call, int fd, const char *name, bool space)
{
    bool in_memory = note(call, fd, name);
    bool counts = shim.kind == SHIM_ANY || (space && !in_memory);
    bool hit;

    if (!counts)
        return false;
    shim.calls++;
    hit = shim.calls == shim.at || (shim.for_good && shim.calls > shim.at && shim.at);
    shim.reached |= hit;
    if (hit && shim.before) {
        void (*before)(void *) = shim.before;

        shim.before = NULL;
        before(shim.ctx);
    }
    if (hit && shim.stop)
        _exit(SHIM_STOPPED);
    if (hit && shim.fail)
        errno = shim.code;
    return hit && shim.fail;
}

static int do_openat(int d, const char *p, int flags, mode_t mode)
{
    return gate(flags & O_CREAT ? "create" : "open", d, p, flags & O_CREAT) ? -1
                                                                            : sys_real.openat(d, p, flags, mode);
}

static int do_close(int fd)
{
    bool bad = gate("close", fd, NULL, false);
    int code = errno, done = sys_real.close(fd); /* the descriptor is freed in any case */

    errno = bad ? code : errno;
    return bad ? -1 : done;
}

static ssize_t do_read(int fd, void *p, size_t n)
{
    return gate("read", fd, NULL, false) ? -1 : sys_real.read(fd, p, n);
}

static ssize_t do_pread(int fd, void *p, size_t n, off_t at)
{
    return gate("pread", fd, NULL, false) ? -1 : sys_real.pread(fd, p, n, at);
}

static ssize_t do_write(int fd, const void *p, size_t n)
{
    return gate("write", fd, NULL, true) ? -1 : sys_real.write(fd, p, n);
}

static ssize_t do_pwrite(int fd, const void *p, size_t n, off_t at)
{
    return gate("pwrite", fd, NULL, true) ? -1 : sys_real.pwrite(fd, p, n, at);
}

static int do_fsync(int fd)
{
    return gate("fsync", fd, NULL, false) ? -1 : sys_real.fsync(fd);
}

static int do_fstat(int fd, struct stat *st)
{
    return gate("fstat", fd, NULL, false) ? -1 : sys_real.fstat(fd, st);
}

static int do_fstatat(int d, const char *p, struct stat *st, int flags)
{
    return gate("fstatat", d, p, false) ? -1 : sys_real.fstatat(d, p, st, flags);
}

static int do_renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    return gate("rename", b, to, false) ? -1 : sys_real.renameat2(a, from, b, to, flags);
}

static int do_linkat(int a, const char *from, int b, const char *to, int flags)
{
    return gate("link", b, to, false) ? -1 : sys_real.linkat(a, from, b, to, flags);
}

static int do_unlinkat(int d, const char *p, int flags)
{
    return gate("unlink", d, p, false) ? -1 : sys_real.unlinkat(d, p, flags);
}

static int do_mkdirat(int d, const char *p, mode_t mode)
{
    return gate("mkdir", d, p, true) ? -1 : sys_real.mkdirat(d, p, mode);
}

static ssize_t do_getdents(int d, void *p, size_t n)
{
    return gate("getdents", d, NULL, false) ? -1 : sys_real.getdents(d, p, n);
}

static off_t do_lseek(int fd, off_t at, int whence)
{
    return gate("lseek", fd, NULL, false) ? -1 : sys_real.lseek(fd, at, whence);
}

static int do_lock(int fd, struct flock *range)
{
    return gate("lock", fd, NULL, false) ? -1 : sys_real.lock(fd, range);
}

static int do_memfd(const char *name, unsigned flags)
{
    return gate("memfd", -1, name, false) ? -1 : sys_real.memfd(name, flags);
}

static int do_seal(int fd, int seals)
{
    return gate("seal", fd, NULL, false) ? -1 : sys_real.seal(fd, seals);
}

static int do_inotify_init(int flags)
{
    return gate("inotify-init", -1, NULL, false) ? -1 : sys_real.inotify_init(flags);
}

static int do_inotify_add(int fd, const char *path, uint32_t mask)
{
    return gate("inotify-add", -1, path, false) ? -1 : sys_real.inotify_add(fd, path, mask);
}

static int do_inotify_remove(int fd, int watch)
{
    return gate("inotify-remove", -1, NULL, false) ? -1 : sys_real.inotify_remove(fd, watch);
}

static int do_fstatfs(int fd, struct statfs *fs)
{
    return gate("fstatfs", fd, NULL, false) ? -1 : sys_real.fstatfs(fd, fs);
}

static const struct sys_ops ops = {
    do_openat,    do_close,  do_read,     do_pread,   do_write,    do_pwrite, do_fsync, do_fstat, do_fstatat,
    do_renameat2, do_linkat, do_unlinkat, do_mkdirat, do_getdents, do_lseek,  do_lock,  do_memfd, do_seal,
    do_inotify_init, do_inotify_add, do_inotify_remove, do_fstatfs,
};

static void start(unsigned n)
{
    struct buf trace = shim.trace;

    trace.n = 0;
    trace.cap = 1 << 20;
    shim.calls = 0;
    shim.at = n;
    shim.stop = shim.fail = shim.for_good = shim.reached = false;
    shim.kind = SHIM_ANY;
    shim.before = NULL;
    shim.trace = trace;
    sys = &ops;
}

void shim_stop_at(unsigned n)
{
    start(n);
    shim.stop = true;
}

void shim_fail_at(unsigned n, int code, enum shim_kind kind, bool for_good)
{
    start(n);
    shim.fail = true;
    shim.code = code;
    shim.kind = kind;
    shim.for_good = for_good;
}

void shim_count(void)
{
    start(0);
}

bool shim_end(void)
{
    sys = &sys_real;
    return shim.reached;
}

unsigned shim_calls(void)
{
    return shim.calls;
}

const struct buf *shim_trace(void)
{
    return &shim.trace;
}

void shim_before(unsigned n, void (*fn)(void *ctx), void *ctx)
{
    start(n);
    shim.before = fn;
    shim.ctx = ctx;
}
