/* log.c - structured events, one line each: see log.h. Does not know: files, rotation, syslog. */
#include "base/log.h"

#include "base/clock.h"
#include "base/num.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* The sink: set once at start, read by every thread. */
static struct {
    char role[24];
    int fd;
    enum log_level max;
} sink = { "restante", 2, LOG_INFO };

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

void event_write(enum log_level level, const char *name, const struct field *fields, size_t n)
{
    char buf[LOG_LINE];
    int64_t now = clock_real_ns();
    time_t seconds = (time_t)(now / 1000000000);
    struct tm tm;
    int head;
    ssize_t done;

    if (level > sink.max)
        return;
    gmtime_r(&seconds, &tm);
    head = snprintf(buf, 200, "time=%04d-%02d-%02dT%02d:%02d:%02d.%03dZ role=%s pid=%d level=%s ",
                    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                    (int)(now / 1000000 % 1000), sink.role, (int)getpid(), level_names[level]);
    head += (int)event_format(buf + head, sizeof buf - (size_t)head - 1, name, fields, n);
    buf[head++] = '\n';
    done = write(sink.fd, buf, (size_t)head); /* a lost log line must not stop the mail */
    (void)done;
}

void log_open(const char *role, int fd, enum log_level max)
{
    snprintf(sink.role, sizeof sink.role, "%s", role);
    sink.fd = fd;
    sink.max = max;
}
