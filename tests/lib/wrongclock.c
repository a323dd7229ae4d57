/* wrongclock.c - a library for LD_PRELOAD: the clock on the wall is wrong by WRONG_CLOCK seconds, in the environment.
 * "leap SECONDS" is wrong at every other look. The monotonic clock stays true. For tests only.
 * Does not know: what the time is used for.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static atomic_uint looks;

static long long wrong_by(void)
{
    const char *text = getenv("WRONG_CLOCK");

    if (!text)
        return 0;
    if (strncmp(text, "leap ", 5) != 0)
        return atoll(text);
    return atomic_fetch_add(&looks, 1) % 2 ? atoll(text + 5) : 0;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int (*real)(clockid_t, struct timespec *) =
        (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, ts);

    if (code == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        ts->tv_sec += (time_t)wrong_by();
    return code;
}

time_t time(time_t *t)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    if (t)
        *t = ts.tv_sec;
    return ts.tv_sec;
}
