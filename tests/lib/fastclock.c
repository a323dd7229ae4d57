/* fastclock.c - a library for LD_PRELOAD: the monotonic clock runs FACTOR times as fast, waits are as much
 * shorter. So that ten minutes of silence can be tested in three seconds. For tests only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

enum { FACTOR = 200 };

static int (*real_gettime)(clockid_t, struct timespec *);
static int64_t start_ns;

static int64_t now(void)
{
    struct timespec ts;

    if (!real_gettime)
        real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    real_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int64_t t = now();

    if (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE && id != CLOCK_BOOTTIME)
        return real_gettime(id, ts);
    if (!start_ns)
        start_ns = t;
    t = start_ns + (t - start_ns) * FACTOR;
    ts->tv_sec = t / 1000000000LL;
    ts->tv_nsec = t % 1000000000LL;
    return 0;
}

static int shorter(int ms)
{
    return ms <= 0 ? ms : (ms + FACTOR - 1) / FACTOR;
}

int epoll_pwait(int fd, struct epoll_event *events, int n, int ms, const sigset_t *set)
{
    static int (*real)(int, struct epoll_event *, int, int, const sigset_t *);

    if (!real)
        real = (int (*)(int, struct epoll_event *, int, int, const sigset_t *))dlsym(RTLD_NEXT, "epoll_pwait");
    return real(fd, events, n, shorter(ms), set);
}

int epoll_wait(int fd, struct epoll_event *events, int n, int ms)
{
    return epoll_pwait(fd, events, n, ms, NULL);
}

int poll(struct pollfd *fds, nfds_t n, int ms)
{
    static int (*real)(struct pollfd *, nfds_t, int);

    if (!real)
        real = (int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll");
    return real(fds, n, shorter(ms));
}
