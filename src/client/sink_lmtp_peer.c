/* sink_lmtp_peer.c - one connection to an LMTP server: connect, send, read bounded replies, each step in time.
 * Does not know: messages, what a reply means.
 */
#include "client/sink_impl.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/text.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE_MAX_OCTETS = 4096, REPLY_MAX_OCTETS = 65536 };

static uint64_t deadline(const struct lmtp *c)
{
    return clock_mono_ms() + (uint64_t)c->timeout_s * 1000;
}

/* False with ETIMEDOUT when the time is over. */
static bool ready(int fd, short what, uint64_t end)
{
    for (;;) {
        struct pollfd p = { .fd = fd, .events = what };
        uint64_t now = clock_mono_ms();
        int n;

        if (now >= end) {
            errno = ETIMEDOUT;
            return false;
        }
        n = poll(&p, 1, end - now > 60000 ? 60000 : (int)(end - now));
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

static int connect_to(const struct sockaddr *sa, socklen_t n, uint64_t end)
{
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), code = 0;
    socklen_t size = sizeof code;

    if (fd < 0)
        return -1;
    if (connect(fd, sa, n) == 0)
        return fd;
    if (errno == EINPROGRESS && ready(fd, POLLOUT, end) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0) {
        if (code == 0)
            return fd;
        errno = code;
    }
    sys_close(&fd);
    return -1;
}

static int connect_unix(const char *path, uint64_t end)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    size_t n = strlen(path);

    if (n >= sizeof sa.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(sa.sun_path, path, n);
    return connect_to((const struct sockaddr *)&sa, sizeof sa, end);
}

/* "host:port" or "[address]:port": each address in turn. */
static int connect_tcp(const char *target, uint64_t end)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
    char host[NI_MAXHOST];
    const char *colon = strrchr(target, ':');
    size_t n = colon ? (size_t)(colon - target) : 0;
    int fd = -1;

    if (n > 2 && target[0] == '[' && target[n - 1] == ']') {
        target++;
        n -= 2;
    }
    if (!n || n >= sizeof host) {
        errno = EINVAL;
        return -1;
    }
    memcpy(host, target, n);
    host[n] = '\0';
    if (getaddrinfo(host, colon + 1, &hints, &all) != 0) {
        errno = EHOSTUNREACH;
        return -1;
    }
    for (const struct addrinfo *a = all; a && fd < 0; a = a->ai_next)
        fd = connect_to(a->ai_addr, a->ai_addrlen, end);
    freeaddrinfo(all);
    return fd;
}

bool lmtp_connect(struct lmtp *c, const char *target, struct err *e)
{
    uint64_t end = deadline(c);

    c->in = BUF(REPLY_MAX_OCTETS);
    c->out_n = 0;
    c->has_size = c->has_8bit = false;
    c->fd = target[0] == '/' ? connect_unix(target, end) : connect_tcp(target, end);
    return c->fd >= 0 || err_errno(e, "connect to", target);
}

void lmtp_close(struct lmtp *c)
{
    buf_free(&c->in);
    sys_close(&c->fd);
}

bool lmtp_flush(struct lmtp *c, struct err *e)
{
    struct span all = span_of(c->out, c->out_n);
    uint64_t end = deadline(c);

    c->out_n = 0;
    while (all.n) {
        ssize_t n = send(c->fd, all.p, all.n, MSG_NOSIGNAL);

        if (n > 0)
            span_take(&all, (size_t)n);
        else if (n < 0 && errno == EINTR)
            continue;
        else if (n < 0 && errno != EAGAIN)
            return err_errno(e, "send to", "the LMTP server");
        else if (!ready(c->fd, POLLOUT, end))
            return err_errno(e, "send to", "the LMTP server");
    }
    return true;
}

bool lmtp_send(struct lmtp *c, struct span s, struct err *e)
{
    while (s.n) {
        size_t room = sizeof c->out - c->out_n, n = s.n < room ? s.n : room;

        memcpy(c->out + c->out_n, s.p, n);
        c->out_n += n;
        span_take(&s, n);
        if (c->out_n == sizeof c->out && !lmtp_flush(c, e))
            return false;
    }
    return true;
}

/* One line without its end, which stays in c->in until the caller consumes *used. */
static bool read_line(struct lmtp *c, uint64_t end, struct span *line, size_t *used, struct err *e)
{
    for (;;) {
        const uint8_t *lf = c->in.n ? memchr(c->in.p, '\n', c->in.n) : NULL;
        uint8_t *room;
        ssize_t n;

        if (lf && (size_t)(lf - c->in.p) < LINE_MAX_OCTETS) {
            *used = (size_t)(lf - c->in.p) + 1;
            *line = span_of(c->in.p, *used - 1);
            if (line->n && line->p[line->n - 1] == '\r')
                line->n--;
            return true;
        }
        if (lf || c->in.n >= LINE_MAX_OCTETS)
            return err_set(e, FAULT_TEMP, "the LMTP server sent a line of more than %d octets", LINE_MAX_OCTETS);
        room = buf_reserve(&c->in, LINE_MAX_OCTETS);
        if (!ready(c->fd, POLLIN, end))
            return err_errno(e, "wait for", "the LMTP server's reply");
        n = recv(c->fd, room, LINE_MAX_OCTETS, 0);
        if (n == 0)
            return err_set(e, FAULT_TEMP, "the LMTP server closed the connection");
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return err_errno(e, "read", "the LMTP server's reply");
        if (n > 0)
            c->in.n += (size_t)n;
    }
}

static bool take_text(struct lmtp *c, struct span text)
{
    struct buf clean = BUF(sizeof c->text - 1);
    size_t n;

    text_put_clean(&clean, text, (sizeof c->text - 1) / 4);
    n = clean.n;
    if (n)
        memcpy(c->text, clean.p, n);
    c->text[n] = '\0';
    buf_free(&clean);
    return true;
}

static void note_extension(struct lmtp *c, struct span text)
{
    struct span word = span_until(&text, ' ');

    c->has_size |= span_iis(word, "SIZE");
    c->has_8bit |= span_iis(word, "8BITMIME");
}

/* "250-text" or "250 text" or "250". */
static bool reply_line(struct lmtp *c, struct span line, bool *last, struct err *e)
{
    unsigned code = 0;

    for (size_t i = 0; i < 3 && line.n >= 3; i++)
        code = ascii_digit(line.p[i]) ? code * 10 + (unsigned)(line.p[i] - '0') : 1000;
    if (line.n < 3 || code < 200 || code > 599 || (line.n > 3 && line.p[3] != '-' && line.p[3] != ' ') ||
        (c->code && c->code != code))
        return err_set(e, FAULT_TEMP, "the LMTP server sent something that is no reply");
    c->code = code;
    *last = line.n == 3 || line.p[3] == ' ';
    span_take(&line, line.n == 3 ? 3 : 4);
    note_extension(c, line);
    return take_text(c, line);
}

bool lmtp_reply(struct lmtp *c, struct err *e)
{
    uint64_t end = deadline(c);
    size_t total = 0;
    bool last = false;

    c->code = 0;
    c->text[0] = '\0';
    while (!last) {
        struct span line = { NULL, 0 };
        size_t used = 0;

        if (!read_line(c, end, &line, &used, e))
            return false;
        total += used;
        if (total > REPLY_MAX_OCTETS)
            return err_set(e, FAULT_TEMP, "the LMTP server sent a reply of more than %d octets", REPLY_MAX_OCTETS);
        if (!reply_line(c, line, &last, e))
            return false;
        buf_consume(&c->in, used);
    }
    return true;
}
