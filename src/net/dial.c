/* dial.c - names to sockets, both families raced: see dial.h.
 *
 * Sockets are our own and watched with uv_poll, since what is handed out must be a plain descriptor that libuv does not
 * own. Does not know: what is said on it.
 */
#include "net/dial.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct attempt {
    struct dial *dial;
    uv_poll_t poll;
    int fd;
    bool open; /* poll is initialised and not closed */
};

struct dial {
    uv_loop_t *loop;
    uv_getaddrinfo_t lookup;
    uv_timer_t deadline, race;
    struct sockaddr_storage addr[DIAL_ADDRESSES];
    socklen_t addr_n[DIAL_ADDRESSES];
    unsigned n, next, under_way;
    struct attempt attempts[DIAL_ADDRESSES];
    unsigned handles; /* not yet closed */
    bool looking, over, cancelled, told;
    char host[256], port[8];
    int fd;
    struct net_addr peer;
    struct err why;
    dial_done *done;
    void *ctx;
};

/* A lookup that hangs in its thread cannot be stopped: the answer does not wait for it, only the memory does. */
static void maybe_free(struct dial *d)
{
    if (d->handles)
        return;
    if (d->cancelled && d->fd >= 0) {
        close(d->fd);
        d->fd = -1;
    }
    if (!d->cancelled && !d->told) {
        d->told = true;
        d->done(d->ctx, d->fd, d->fd >= 0 ? &d->peer : NULL, &d->why);
    }
    if (!d->looking)
        free(d);
}

static void on_closed(uv_handle_t *handle)
{
    struct dial *d = handle->data;

    d->handles--;
    maybe_free(d);
}

static void on_attempt_closed(uv_handle_t *handle)
{
    struct attempt *a = handle->data;

    if (a->fd >= 0)
        close(a->fd);
    a->dial->handles--;
    maybe_free(a->dial);
}

static void drop(struct attempt *a)
{
    if (!a->open)
        return;
    a->open = false;
    uv_close((uv_handle_t *)&a->poll, on_attempt_closed);
}

/* Everything closes; done follows when the last handle has. */
static void finish(struct dial *d)
{
    if (d->over)
        return;
    d->over = true;
    if (d->looking)
        uv_cancel((uv_req_t *)&d->lookup);
    for (unsigned i = 0; i < d->next; i++)
        drop(&d->attempts[i]);
    uv_close((uv_handle_t *)&d->deadline, on_closed);
    uv_close((uv_handle_t *)&d->race, on_closed);
}

static void try_next(struct dial *d);

static void attempt_failed(struct dial *d, int code)
{
    d->under_way--;
    if (d->next < d->n) {
        try_next(d);
    } else if (d->under_way == 0) {
        err_set(&d->why, FAULT_TEMP, "connecting to %s port %s: %s", d->host, d->port, strerror(code));
        finish(d);
    }
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    struct attempt *a = poll->data;
    struct dial *d = a->dial;
    int code = 0;
    socklen_t n = sizeof code;

    (void)events;
    if (d->over)
        return;
    getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &code, &n); /* first: libuv says EBADF for any failed connect */
    if (code == 0 && status < 0)
        code = -status;
    if (code) {
        drop(a);
        attempt_failed(d, code);
        return;
    }
    uv_poll_stop(&a->poll);
    d->fd = fcntl(a->fd, F_DUPFD_CLOEXEC, 3); /* the poll handle's own descriptor closes with it */
    if (d->fd < 0) {
        code = errno;
        drop(a);
        attempt_failed(d, code);
        return;
    }
    net_addr_from((struct sockaddr *)&d->addr[a - d->attempts], &d->peer);
    finish(d);
}

static void on_race(uv_timer_t *timer)
{
    struct dial *d = timer->data;

    if (!d->over && d->next < d->n)
        try_next(d);
}

static void try_next(struct dial *d)
{
    unsigned i = d->next++;
    struct attempt *a = &d->attempts[i];
    int rc;

    a->dial = d;
    a->poll.data = a;
    d->under_way++;
    a->fd = socket(d->addr[i].ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd < 0) {
        attempt_failed(d, errno);
        return;
    }
    rc = connect(a->fd, (struct sockaddr *)&d->addr[i], d->addr_n[i]);
    if (rc != 0 && errno != EINPROGRESS) {
        int code = errno;

        close(a->fd);
        a->fd = -1;
        attempt_failed(d, code);
        return;
    }
    rc = uv_poll_init(d->loop, &a->poll, a->fd);
    if (rc != 0) {
        close(a->fd);
        a->fd = -1;
        attempt_failed(d, -rc);
        return;
    }
    d->handles++;
    a->open = true;
    uv_poll_start(&a->poll, UV_WRITABLE, on_writable);
    if (d->next < d->n)
        uv_timer_start(&d->race, on_race, DIAL_RACE_MS, 0);
}

/* Families alternate, the first one that the resolver prefers begins (RFC 8305 §4). */
static void interleave(struct dial *d, const struct addrinfo *list)
{
    const struct addrinfo *one[2 * DIAL_ADDRESSES];
    unsigned count[2] = { 0, 0 };
    int first = list ? list->ai_family : AF_UNSPEC;

    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
        int kind = ai->ai_family == first ? 0 : 1;

        if ((ai->ai_family == AF_INET || ai->ai_family == AF_INET6) && count[kind] < DIAL_ADDRESSES)
            one[2 * count[kind]++ + (unsigned)kind] = ai;
    }
    for (unsigned i = 0; i < DIAL_ADDRESSES && d->n < DIAL_ADDRESSES; i++)
        for (unsigned kind = 0; kind < 2 && d->n < DIAL_ADDRESSES; kind++)
            if (i < count[kind] && one[2 * i + kind]->ai_addrlen <= sizeof d->addr[0]) {
                memcpy(&d->addr[d->n], one[2 * i + kind]->ai_addr, one[2 * i + kind]->ai_addrlen);
                d->addr_n[d->n++] = one[2 * i + kind]->ai_addrlen;
            }
}

/* What the name itself is to blame for; all else may pass by itself. */
static bool is_unknown(int status)
{
    return status == 0 || status == UV_EAI_NONAME || status == UV_EAI_NODATA || status == UV_EAI_ADDRFAMILY;
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *list)
{
    struct dial *d = lookup->data;

    d->looking = false;
    if (!d->over && status == 0)
        interleave(d, list);
    uv_freeaddrinfo(list);
    if (d->over) {
        maybe_free(d);
    } else if (d->n == 0) {
        err_set(&d->why, is_unknown(status) ? FAULT_GONE : FAULT_TEMP, "%s: %s", d->host,
                status ? uv_strerror(status) : "no address");
        finish(d);
    } else {
        try_next(d);
    }
}

static void on_deadline(uv_timer_t *timer)
{
    struct dial *d = timer->data;

    if (d->over)
        return;
    err_set(&d->why, FAULT_TEMP, "connecting to %s port %s: no answer in time%s", d->host, d->port,
            d->looking ? " (name server)" : "");
    finish(d);
}

static void on_start_failed(uv_timer_t *timer)
{
    finish(timer->data);
}

/* size: the contract of the header names all that a caller decides */
struct dial *dial_start(uv_loop_t *loop, const char *host, uint16_t port, int family, uint32_t deadline_ms,
                        dial_done *done, void *ctx)
{
    struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
    struct dial *d = mem_zero(1, sizeof *d);
    int rc;

    d->loop = loop;
    d->done = done;
    d->ctx = ctx;
    d->fd = -1;
    snprintf(d->host, sizeof d->host, "%s", host);
    snprintf(d->port, sizeof d->port, "%u", port);
    uv_timer_init(loop, &d->deadline);
    uv_timer_init(loop, &d->race);
    d->deadline.data = d->race.data = d->lookup.data = d;
    d->handles = 2;
    if (strchr(host, ':') || strspn(host, "0123456789.") == strlen(host))
        hints.ai_flags = AI_NUMERICHOST; /* loopback without a configured network too */
    rc = strlen(host) < sizeof d->host ? uv_getaddrinfo(loop, &d->lookup, on_looked_up, d->host, d->port, &hints)
                                       : UV_ENAMETOOLONG;
    if (rc != 0) {
        err_set(&d->why, FAULT_GONE, "%s: %s", d->host, uv_strerror(rc));
        uv_timer_start(&d->race, on_start_failed, 0, 0);
        return d;
    }
    d->looking = true;
    uv_timer_start(&d->deadline, on_deadline, deadline_ms, 0);
    return d;
}

void dial_cancel(struct dial **d)
{
    if (!*d)
        return;
    (*d)->cancelled = true;
    finish(*d);
    *d = NULL;
}
