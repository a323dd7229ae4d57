/* log.c - structured events, one line each: see log.h. Does not know: files, rotation, syslog. */
#include "base/log.h"

#include "base/clock.h"
#include "base/num.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { GATHER_OCTETS = 32768 };

/* The sink: role, fd, pid and max are set at start and read by every thread; the rest belongs to who has the lock. */
static struct {
    char role[24];
    int fd, pid;
    enum log_level max;
    pthread_mutex_t lock;
    time_t second; /* that the stamp says */
    char stamp[24];
    char *gathered; /* NULL = each line by itself */
    size_t n;
} sink = { .role = "restante", .fd = 2, .max = LOG_INFO, .lock = PTHREAD_MUTEX_INITIALIZER };

static const char *const level_names[] = { "error", "warning", "info", "debug" };

/* An append position that never runs past the line; what does not fit is dropped. */
struct line {
    char *dst;
    size_t n, room;
};

static void put(struct line *l, const char *s, size_t n)
{
    if (n > l->room - l->n)
        n = l->room - l->n;
    if (n)
        memcpy(l->dst + l->n, s, n);
    l->n += n;
}

static bool is_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || ascii_digit(c) ||
           (c && strchr("._:@/+-,[]*", c));
}

/* A value that is not plain is quoted; inside, everything but printable ASCII becomes \xNN. */
static void put_value(struct line *l, struct span s)
{
    bool plain = s.n != 0, cut = s.n > LOG_VALUE;

    if (cut)
        s.n = LOG_VALUE;
    for (size_t i = 0; i < s.n && plain; i++)
        plain = is_plain(s.p[i]);
    if (plain && !cut) {
        put(l, (const char *)s.p, s.n);
        return;
    }
    put(l, "\"", 1);
    for (size_t i = 0; i < s.n; i++) {
        char esc[5];
        uint8_t c = s.p[i];

        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            put(l, (const char *)&c, 1);
        } else {
            snprintf(esc, sizeof esc, "\\x%02x", c);
            put(l, esc, 4);
        }
    }
    put(l, cut ? "...\"" : "\"", cut ? 4 : 1);
}

size_t event_format(char *dst, size_t room, const char *name, const struct field *fields, size_t n)
{
    struct line l = { dst, 0, room };
    char text[32];

    put(&l, "event=", 6);
    put(&l, name, strlen(name));
    for (size_t i = 0; i < n; i++) {
        put(&l, " ", 1);
        put(&l, fields[i].name, strlen(fields[i].name));
        put(&l, "=", 1);
        if (fields[i].kind == FIELD_SPAN)
            put_value(&l, fields[i].s);
        else if (fields[i].kind == FIELD_U64)
            put(&l, text, num_put_u64((uint8_t *)text, fields[i].u));
        else
            put(&l, text, (size_t)snprintf(text, sizeof text, "%016llx",
                                           (unsigned long long)fields[i].u));
    }
    return l.n;
}

static void write_out(const char *p, size_t n)
{
    ssize_t done = write(sink.fd, p, n); /* a lost log line must not stop the mail */

    (void)done;
}

static void write_gathered(void)
{
    if (sink.n)
        write_out(sink.gathered, sink.n);
    sink.n = 0;
}

/* "time=… role=… pid=… level=… " */
static size_t put_head(char *dst, size_t room, enum log_level level)
{
    int64_t now = clock_real_ns();
    time_t second = (time_t)(now / 1000000000);
    struct tm tm;

    if (second != sink.second) {
        gmtime_r(&second, &tm);
        strftime(sink.stamp, sizeof sink.stamp, "%Y-%m-%dT%H:%M:%S", &tm);
        sink.second = second;
    }
    return (size_t)snprintf(dst, room, "time=%s.%03dZ role=%s pid=%d level=%s ", sink.stamp,
                            (int)(now / 1000000 % 1000), sink.role, sink.pid ? sink.pid : (int)getpid(),
                            level_names[level]);
}

void event_write(enum log_level level, const char *name, const struct field *fields, size_t n)
{
    char own[LOG_LINE] __attribute__((uninitialized)); /* it is on every session's way */
    char *dst = own;
    size_t made;

    if (level > sink.max)
        return;
    pthread_mutex_lock(&sink.lock);
    if (sink.gathered) {
        if (GATHER_OCTETS - sink.n < LOG_LINE)
            write_gathered();
        dst = sink.gathered + sink.n;
    }
    made = put_head(dst, 200, level);
    made += event_format(dst + made, LOG_LINE - made - 1, name, fields, n);
    dst[made++] = '\n';
    if (sink.gathered)
        sink.n += made;
    else
        write_out(own, made);
    if (level <= LOG_WARNING && sink.gathered)
        write_gathered();
    pthread_mutex_unlock(&sink.lock);
}

void log_flush(void)
{
    pthread_mutex_lock(&sink.lock);
    if (sink.gathered)
        write_gathered();
    pthread_mutex_unlock(&sink.lock);
}

void log_gather(void)
{
    if (sink.gathered)
        return;
    sink.gathered = malloc(GATHER_OCTETS); /* without it each line leaves by itself, as before */
    atexit(log_flush);
}

void log_open(const char *role, int fd, enum log_level max)
{
    log_flush();
    snprintf(sink.role, sizeof sink.role, "%s", role);
    sink.fd = fd;
    sink.pid = (int)getpid();
    sink.max = max;
}
