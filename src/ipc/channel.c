/* channel.c - message channels on the event loop: see channel.h. */
#include "ipc/channel.h"

#include "base/buf.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PACKETS_PER_WAKE = 64, SOCKET_ROOM = 1024 * 1024, BATCH = 64, BATCH_OCTETS = 32768 };

/* A packet that waits for room in the socket: encoded octets and its own descriptors. */
struct waiting {
    struct waiting *next;
    struct msg m;
    uint8_t *packet;
    size_t n;
};

/* Packets that leave together: octets back to back, ends[i] behind the i-th. Made with the first, freed with the last. */
struct batch {
    size_t n;
    uint32_t count;
    uint32_t ends[BATCH];
    uint8_t octets[BATCH_OCTETS];
};

struct channel {
    uv_poll_t poll;
    uv_prepare_t departure; /* runs before the loop waits, while there is a batch */
    unsigned handles;       /* of libuv that are still open */
    struct batch *batch;
    bool batches;
    void (*before)(void *ctx);
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

    if (--c->handles)
        return;
    free(c->packet);
    free(c);
}

static void close_handles(struct channel *c)
{
    c->handles = 2;
    uv_close((uv_handle_t *)&c->poll, on_closed);
    uv_close((uv_handle_t *)&c->departure, on_closed);
}

static void shut(struct channel *c)
{
    if (c->closed)
        return;
    c->closed = true;
    free(c->batch);
    c->batch = NULL;
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
    close_handles(c);
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
    c->poll.data = c->departure.data = c;
    uv_poll_init(loop, &c->poll, fd);
    uv_prepare_init(loop, &c->departure);
    watch(c);
    return c;
}

uint32_t channel_id(const struct channel *c)
{
    return c->peer_id;
}

/* Puts a packet behind the socket; its octets are copied, its descriptors duplicated. */
static bool enqueue(struct channel *c, struct span packet, const struct msg *m)
{
    struct waiting *w = mem_zero(1, sizeof *w);

    w->n = packet.n;
    w->packet = mem_new(packet.n);
    memcpy(w->packet, packet.p, packet.n);
    if (!msg_decode(span_of(w->packet, w->n), &w->m)) { /* spans point into the copy now */
        free(w->packet);
        free(w);
        return false;
    }
    for (unsigned i = 0; m && i < m->nfds; i++) {
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

static bool is_hung(struct channel *c)
{
    if (c->backlog <= CHANNEL_QUEUE_OCTETS)
        return false;
    shutdown(c->fd, SHUT_RDWR); /* on_gone follows from the loop */
    return true;
}

static struct span batched(const struct batch *b, uint32_t i)
{
    uint32_t from = i ? b->ends[i - 1] : 0;

    return span_of(b->octets + from, b->ends[i] - from);
}

/* As many packets of the batch as the socket takes; how many those were, or -1 when the peer is gone. */
static int send_batch(struct channel *c, const struct batch *b)
{
    struct mmsghdr packets[BATCH] __attribute__((uninitialized));
    struct iovec iov[BATCH] __attribute__((uninitialized));
    int sent;

    for (uint32_t i = 0; i < b->count; i++) {
        struct span p = batched(b, i);

        iov[i] = (struct iovec){ (void *)(uintptr_t)p.p, p.n };
        packets[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
    }
    do
        sent = sendmmsg(c->fd, packets, b->count, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? 0 : -1;
}

void channel_flush(struct channel *c)
{
    struct batch *b = c ? c->batch : NULL;
    int sent = 0;

    if (!b)
        return;
    c->batch = NULL;
    uv_prepare_stop(&c->departure);
    if (c->before)
        c->before(c->ctx);
    log_flush(); /* whoever hears of it finds it logged */
    if (!c->head && b->count)
        sent = send_batch(c, b); /* gone: the loop sees the end of file and calls on_gone */
    for (uint32_t i = (uint32_t)sent; sent >= 0 && i < b->count && !is_hung(c); i++)
        enqueue(c, batched(b, i), NULL);
    free(b);
    if (c->head)
        watch(c);
}

static void on_departure(uv_prepare_t *departure)
{
    channel_flush(departure->data);
}

/* Adds m to the batch; false when it does not belong there: it carries a descriptor or is large. */
static bool gather(struct channel *c, const struct msg *m)
{
    struct batch *b;
    size_t n;

    if (!c->batches || m->nfds)
        return false;
    if (c->batch && c->batch->count == BATCH)
        channel_flush(c);
    if (!c->batch) {
        c->batch = mem_new(sizeof *c->batch);
        c->batch->n = c->batch->count = 0;
        uv_prepare_start(&c->departure, on_departure);
    }
    b = c->batch;
    n = msg_encode(m, b->octets + b->n, BATCH_OCTETS - b->n);
    if (n == 0)
        return false;
    b->n += n;
    b->ends[b->count++] = (uint32_t)b->n;
    return true;
}

/* A message that the socket did not take. */
static bool keep(struct channel *c, const struct msg *m)
{
    uint8_t *packet = mem_new(IPC_MAX_PACKET);
    size_t n = msg_encode(m, packet, IPC_MAX_PACKET);
    bool ok = n && enqueue(c, span_of(packet, n), m);

    free(packet);
    if (ok)
        watch(c);
    return ok;
}

bool channel_send(struct channel *c, const struct msg *m)
{
    struct err e = { FAULT_NONE, "" };

    if (!c || c->closed)
        return false;
    if (gather(c, m))
        return true;
    channel_flush(c);
    if (!c->head && msg_send(c->fd, m, &e))
        return true;
    if (e.fault == FAULT_BAD)
        return false;
    if (e.fault == FAULT_GONE)
        return false; /* the loop sees the end of file and calls on_gone */
    return !is_hung(c) && keep(c, m);
}

void channel_batch(struct channel *c, void (*before)(void *ctx))
{
    c->batches = true;
    c->before = before;
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
    channel_flush(c);
    shut(c);
    close_handles(c);
}

bool channel_pair(int fds[2], struct err *e)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0)
        return true;
    return err_set(e, FAULT_TEMP, "socketpair: %s", strerror(errno));
}
