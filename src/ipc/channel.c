/* channel.c - message channels on the event loop: see channel.h. */
#include "ipc/channel.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PACKETS_PER_WAKE = 64, SOCKET_ROOM = 1024 * 1024 };

/* A packet that waits for room in the socket: encoded octets and its own descriptors. */
struct waiting {
    struct waiting *next;
    struct msg m;
    uint8_t *packet;
    size_t n;
};

struct channel {
    uv_poll_t poll;
    int fd;
    enum role self, peer;
    uint32_t peer_id;
    const struct channel_ops *ops;
    void *ctx;
    struct waiting *head, **tail;
    size_t backlog;
    bool closed, in_handler;
    uint8_t *packet; /* receive buffer, shared by nested drains never: one packet at a time */
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void drop_waiting(struct channel *c)
{
    while (c->head) {
        struct waiting *w = c->head;

        c->head = w->next;
        msg_close_fds(&w->m);
        free(w->packet);
        free(w);
    }
    c->tail = &c->head;
    c->backlog = 0;
}

static void on_closed(uv_handle_t *h)
{
    struct channel *c = h->data;

    free(c->packet);
    free(c);
}

static void shut(struct channel *c)
{
    if (c->closed)
        return;
    c->closed = true;
    uv_poll_stop(&c->poll);
    close(c->fd);
    c->fd = -1;
    drop_waiting(c);
}

static void fail(struct channel *c, const struct err *why)
{
    if (c->closed)
        return;
    shut(c);
    c->ops->on_gone(c->ctx, c, why);
    uv_close((uv_handle_t *)&c->poll, on_closed);
}

static void watch(struct channel *c)
{
    uv_poll_start(&c->poll, UV_READABLE | (c->head ? UV_WRITABLE : 0), on_poll);
}

/* Sends what waits, as far as the socket takes it. */
static void flush(struct channel *c)
{
    while (c->head) {
        struct waiting *w = c->head;
        struct err e;

        if (!msg_send(c->fd, &w->m, &e)) {
            if (e.fault == FAULT_TEMP)
                return;
            fail(c, &e);
            return;
        }
        c->head = w->next;
        if (!c->head)
            c->tail = &c->head;
        c->backlog -= w->n;
        msg_close_fds(&w->m);
        free(w->packet);
        free(w);
    }
    watch(c);
}

/* One packet; false when nothing (more) is there or the channel ended. */
static bool receive(struct channel *c)
{
    struct msg m;
    struct err e;
    int got = msg_recv(c->fd, c->packet, IPC_MAX_PACKET, &m, &e);

    if (got == 0)
        return false;
    if (got > 0 && !msg_permitted(c->peer, c->self, m.type)) {
        err_set(&e, FAULT_BAD, "%s may not send %s", role_name(c->peer), msg_name(m.type));
        msg_close_fds(&m);
        got = -1;
    }
    if (got < 0) {
        fail(c, &e);
        return false;
    }
    c->ops->on_msg(c->ctx, c, &m);
    msg_close_fds(&m);
    return !c->closed;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct channel *c = poll->data;
    struct err e;

    if (status < 0) {
        err_set(&e, FAULT_GONE, "poll: %s", uv_strerror(status));
        fail(c, &e);
        return;
    }
    if (events & UV_WRITABLE)
        flush(c);
    if (!c->closed && (events & UV_READABLE))
        channel_drain(c);
}

void channel_drain(struct channel *c)
{
    if (!c || c->closed || c->in_handler)
        return;
    c->in_handler = true; /* the receive buffer holds one message: no nested drain */
    for (int i = 0; i < PACKETS_PER_WAKE && receive(c); i++)
        ;
    c->in_handler = false;
}

/* size: two ends, and who is told of them */
struct channel *channel_open(uv_loop_t *loop, int fd, enum role self, enum role peer, uint32_t peer_id,
                             const struct channel_ops *ops, void *ctx)
{
    struct channel *c = mem_zero(1, sizeof *c);
    int room = SOCKET_ROOM;

    c->fd = fd;
    c->self = self;
    c->peer = peer;
    c->peer_id = peer_id;
    c->ops = ops;
    c->ctx = ctx;
    c->tail = &c->head;
    c->packet = mem_new(IPC_MAX_PACKET);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room); /* what rmem/wmem_max allows */
    c->poll.data = c;
    uv_poll_init(loop, &c->poll, fd);
    watch(c);
    return c;
}

uint32_t channel_id(const struct channel *c)
{
    return c->peer_id;
}

/* Keeps a copy of m behind the socket. */
static bool enqueue(struct channel *c, const struct msg *m)
{
    struct waiting *w = mem_zero(1, sizeof *w);

    w->packet = mem_new(IPC_MAX_PACKET);
    w->n = msg_encode(m, w->packet, IPC_MAX_PACKET);
    w->packet = mem_grow(w->packet, w->n, 1);
    if (!msg_decode(span_of(w->packet, w->n), &w->m)) { /* spans point into the copy now */
        free(w->packet);
        free(w);
        return false;
    }
    for (unsigned i = 0; i < m->nfds; i++) {
        w->m.fds[i] = fcntl(m->fds[i], F_DUPFD_CLOEXEC, 0);
        if (w->m.fds[i] < 0) {
            msg_close_fds(&w->m);
            free(w->packet);
            free(w);
            return false;
        }
    }
    *c->tail = w;
    c->tail = &w->next;
    c->backlog += w->n;
    return true;
}

bool channel_send(struct channel *c, const struct msg *m)
{
    struct err e = { FAULT_NONE, "" };

    if (!c || c->closed)
        return false;
    if (!c->head && msg_send(c->fd, m, &e))
        return true;
    if (e.fault == FAULT_BAD)
        return false;
    if (e.fault == FAULT_GONE)
        return false; /* the loop sees the end of file and calls on_gone */
    if (c->backlog > CHANNEL_QUEUE_OCTETS) {
        shutdown(c->fd, SHUT_RDWR); /* hung: on_gone follows from the loop */
        return false;
    }
    if (!enqueue(c, m))
        return false;
    watch(c);
    return true;
}

size_t channel_backlog(const struct channel *c)
{
    return c->backlog;
}

void channel_close(struct channel **cp)
{
    struct channel *c = *cp;

    *cp = NULL;
    if (!c || c->closed)
        return;
    shut(c);
    uv_close((uv_handle_t *)&c->poll, on_closed);
}

bool channel_pair(int fds[2], struct err *e)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0)
        return true;
    return err_set(e, FAULT_TEMP, "socketpair: %s", strerror(errno));
}
