/* link.c - packets between writer and fetcher: see link.h.
 *
 * Layout: version, type, order, failure, code, three zeros (8), flags (4), number (4), octets (8), length of
 * text (4), length of data (4), text, data; little-endian. Does not know: what a message means.
 */
#include "client/link.h"

#include "base/num.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD = 32, LINK_VERSION = 1, ROW_HEAD = 14 };

void link_init(struct link_msg *m, enum link_type type)
{
    memset(m, 0, sizeof *m);
    m->type = type;
    m->fd = -1;
}

size_t link_encode(const struct link_msg *m, uint8_t *dst, size_t room)
{
    if (m->text.n > LINK_DATA || m->data.n > LINK_DATA || room < HEAD + m->text.n + m->data.n)
        return 0;
    memset(dst, 0, HEAD);
    dst[0] = LINK_VERSION;
    dst[1] = (uint8_t)m->type;
    dst[2] = m->order;
    dst[3] = m->failure;
    dst[4] = m->code;
    le_put(dst + 8, m->flags, 4);
    le_put(dst + 12, m->number, 4);
    le_put(dst + 16, m->octets, 8);
    le_put(dst + 24, m->text.n, 4);
    le_put(dst + 28, m->data.n, 4);
    if (m->text.n)
        memcpy(dst + HEAD, m->text.p, m->text.n);
    if (m->data.n)
        memcpy(dst + HEAD + m->text.n, m->data.p, m->data.n);
    return HEAD + m->text.n + m->data.n;
}

bool link_decode(struct span packet, bool from_writer, struct link_msg *m)
{
    const uint8_t *h = packet.p;
    uint64_t text, data;

    if (packet.n < HEAD || h[0] != LINK_VERSION || h[1] == LINK_NONE || h[1] >= LINK_TYPES || h[5] || h[6] || h[7])
        return false;
    if ((h[1] <= LINK_FROM_WRITER) != from_writer)
        return false;
    link_init(m, (enum link_type)h[1]);
    m->order = h[2];
    m->failure = h[3];
    m->code = h[4];
    m->flags = (uint32_t)le_get(h + 8, 4);
    m->number = (uint32_t)le_get(h + 12, 4);
    m->octets = le_get(h + 16, 8);
    text = le_get(h + 24, 4);
    data = le_get(h + 28, 4);
    span_take(&packet, HEAD);
    if (text > LINK_DATA || data > LINK_DATA || text + data != packet.n)
        return false;
    m->text = span_take(&packet, (size_t)text);
    m->data = packet;
    return true;
}

union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int))];
};

bool link_send(int fd, const struct link_msg *m, struct err *e)
{
    uint8_t head[HEAD];
    struct link_msg lengths = *m;
    union control control;
    struct iovec iov[3] = { { head, HEAD }, { (void *)m->text.p, m->text.n }, { (void *)m->data.p, m->data.n } };
    struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 3 };
    ssize_t sent;

    if (m->text.n > LINK_DATA || m->data.n > LINK_DATA)
        return err_set(e, FAULT_BAD, "message %u of the client is too long", (unsigned)m->type);
    lengths.text.n = lengths.data.n = 0;
    link_encode(&lengths, head, sizeof head);
    le_put(head + 24, m->text.n, 4);
    le_put(head + 28, m->data.n, 4);
    if (m->fd >= 0) {
        struct cmsghdr *c;

        memset(&control, 0, sizeof control);
        mh.msg_control = control.room;
        mh.msg_controllen = sizeof control.room;
        c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &m->fd, sizeof m->fd);
    }
    do
        sent = sendmsg(fd, &mh, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return true;
    if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
        return err_set(e, FAULT_TEMP, "the other process does not read");
    return err_set(e, FAULT_GONE, "the other process is gone: %s", strerror(errno));
}

static int take_fd(struct msghdr *mh)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(mh);
    int fd = -1;

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

int link_recv(int fd, uint8_t packet[LINK_PACKET], bool from_writer, struct link_msg *m, struct err *e)
{
    union control control;
    struct iovec iov = { packet, LINK_PACKET };
    struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room };
    ssize_t got;
    int came;

    do {
        mh.msg_controllen = CMSG_LEN(sizeof came); /* padding would hold a second one */
        got = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
    } while (got < 0 && (errno == EINTR || errno == ECONNRESET)); /* told once; what was sent before comes after it */
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (got <= 0) {
        err_set(e, FAULT_GONE, "the other process ended");
        return -1;
    }
    came = take_fd(&mh);
    if ((mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !link_decode(span_of(packet, (size_t)got), from_writer, m)) {
        if (came >= 0)
            close(came);
        err_set(e, FAULT_BAD, packet[0] == LINK_VERSION ? "the other process sent a malformed message"
                              : "restante and restante-fetch are of two builds: install both from one");
        return -1;
    }
    m->fd = came;
    return 1;
}

size_t link_row_put(uint8_t *dst, size_t room, const struct link_row *row)
{
    if (row->uid.n > UINT8_MAX * 8 || room < ROW_HEAD + 2 + row->uid.n)
        return 0;
    dst[0] = (uint8_t)((row->is_uid ? 1 : 0) | (row->has_size ? 2 : 0));
    dst[1] = 0;
    le_put(dst + 2, row->number, 4);
    le_put(dst + 6, row->size, 8);
    le_put(dst + ROW_HEAD, row->uid.n, 2);
    if (row->uid.n)
        memcpy(dst + ROW_HEAD + 2, row->uid.p, row->uid.n);
    return ROW_HEAD + 2 + row->uid.n;
}

bool link_row_take(struct span *in, struct link_row *row)
{
    struct span head;
    size_t n;

    if (in->n < ROW_HEAD + 2 || in->p[0] > 3)
        return false;
    head = span_take(in, ROW_HEAD + 2);
    row->is_uid = head.p[0] & 1;
    row->has_size = head.p[0] & 2;
    row->number = (uint32_t)le_get(head.p + 2, 4);
    row->size = le_get(head.p + 6, 8);
    n = (size_t)le_get(head.p + ROW_HEAD, 2);
    if (n > in->n)
        return false;
    row->uid = span_take(in, n);
    return true;
}
