/* msg.c - the message table, its one encoder and one decoder, and the packets: see msg.h.
 *
 * A packet is: version (1 octet), type (1), number of descriptors (1), zero (1), session id (8), then the
 * fields of the type's row in the order of the row, little-endian; a span is its length (4) and its octets.
 * The row is all there is: encoder, decoder, caps and permissions cannot disagree.
 * Does not know: the event loop, what a message means.
 */
#include "ipc/msg.h"

#include "base/num.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD = 12, ROW_FIELDS = 14 };

/* How a field of struct msg lies in a packet. */
enum kind { K_END, K_U8, K_U32, K_U64, K_FIXED16, K_SPAN };

struct field_row {
    enum kind kind;
    size_t offset;
    uint32_t cap; /* of a span, octets */
};

#define U8(f)       { K_U8, offsetof(struct msg, f), 0 }
#define U32(f)      { K_U32, offsetof(struct msg, f), 0 }
#define U64(f)      { K_U64, offsetof(struct msg, f), 0 }
#define ID16(f)     { K_FIXED16, offsetof(struct msg, f), 0 }
#define SPAN(f, n)  { K_SPAN, offsetof(struct msg, f), (n) }

#define BIT(role) (1u << (role))
#define SUP BIT(ROLE_SUPERVISOR)
#define FRONT BIT(ROLE_FRONT)
#define AUTH BIT(ROLE_AUTH)
#define HASH BIT(ROLE_HASH)
#define STORE BIT(ROLE_STORE)
#define WORKERS (FRONT | AUTH | HASH | STORE)

enum { CAP_NAME = 1024, CAP_SECRET = 4096, CAP_SASL = 65536, CAP_PATH = 4096, CAP_CONF = 98304,
       CAP_TEXT = 1024, CAP_MARKS = 32768, CAP_LISTING = 16384 };

struct row {
    const char *name;
    unsigned from, to; /* role bits */
    unsigned max_fds;
    struct field_row fields[ROW_FIELDS];
};

static const struct row rows[MSG_TYPES] = {
    [MSG_CONF] = { "conf", SUP, WORKERS, 1, { SPAN(data, CAP_CONF) } },
    [MSG_LISTENER] = { "listener", SUP, FRONT, 1, { U32(id) } },
    [MSG_PEER] = { "peer", SUP, WORKERS, 1, { U8(role), U32(id), U32(uid), U32(gid) } },
    [MSG_TLS] = { "tls", SUP, FRONT, 1, { U32(flags) } },
    [MSG_TICKETS] = { "tickets", SUP, FRONT, 0, { SPAN(data, CAP_TEXT) } },
    [MSG_USERS] = { "users", SUP, AUTH, 1, { { K_END, 0, 0 } } },
    [MSG_GO] = { "go", SUP, WORKERS, 1, { U32(id), U32(uid), U32(gid) } },
    [MSG_STOP] = { "stop", SUP, WORKERS, 0, { { K_END, 0, 0 } } },
    [MSG_STORE_IS] = { "store-is", SUP, AUTH, 0, { U32(number), U32(uid), U32(gid) } },
    [MSG_READY] = { "ready", WORKERS, SUP, 0, { { K_END, 0, 0 } } },
    [MSG_NEED_STORE] = { "need-store", AUTH, SUP, 0, { U32(uid), U32(gid) } },
    [MSG_LOST] = { "lost", FRONT | AUTH, SUP, 0, { U8(role), U32(id) } },
    [MSG_IDLE] = { "idle", STORE, SUP, 0, { { K_END, 0, 0 } } },
    [MSG_LOGIN_PASS] = { "login-pass", FRONT, AUTH, 0,
        { U32(flags), ID16(addr), SPAN(user, CAP_NAME), SPAN(secret, CAP_SECRET) } },
    [MSG_LOGIN_APOP] = { "login-apop", FRONT, AUTH, 0,
        { U32(flags), ID16(addr), SPAN(user, CAP_NAME), SPAN(secret, 16), SPAN(data, CAP_TEXT) } },
    [MSG_LOGIN_SASL] = { "login-sasl", FRONT, AUTH, 0,
        { U32(flags), ID16(addr), U8(mech), SPAN(data, CAP_SASL), SPAN(binding_unique, 64),
          SPAN(binding_exporter, 64), SPAN(certificate, CAP_SECRET) } },
    [MSG_SASL_MORE] = { "sasl-more", FRONT, AUTH, 0, { SPAN(data, CAP_SASL) } },
    [MSG_LOGIN_CANCEL] = { "login-cancel", FRONT, AUTH, 0, { { K_END, 0, 0 } } },
    [MSG_SESSION_END] = { "session-end", FRONT, AUTH, 0, { U32(flags) } },
    [MSG_MECHS] = { "mechs", AUTH, FRONT, 0,
        { U32(number), U32(expire_days), U32(login_delay_s), U32(count) } },
    [MSG_CHALLENGE] = { "challenge", AUTH, FRONT, 0, { U32(flags), SPAN(data, 16384) } },
    [MSG_LOGIN_OK] = { "login-ok", AUTH, FRONT, 0,
        { ID16(grant), U32(id), U32(flags), U32(expire_days), U32(login_delay_s),
          SPAN(user, CAP_NAME) } },
    [MSG_LOGIN_FAIL] = { "login-fail", AUTH, FRONT, 0, { U8(code), U32(flags) } },
    [MSG_HASH_CHECK] = { "hash-check", AUTH, HASH, 0,
        { SPAN(user, CAP_SECRET), SPAN(secret, CAP_SECRET) } },
    [MSG_HASH_RESULT] = { "hash-result", HASH, AUTH, 0, { U8(code), U32(fault) } },
    [MSG_GRANT] = { "grant", AUTH, STORE, 0,
        { ID16(grant), U32(id), U32(uid), U32(gid), U32(flags), U32(expire_days), U32(number),
          SPAN(user, CAP_NAME), SPAN(path, CAP_PATH) } },
    [MSG_OPEN] = { "open", FRONT, STORE, 0, { ID16(grant) } },
    [MSG_FETCH] = { "fetch", FRONT, STORE, 0, { SPAN(data, 4 * IPC_MAX_FDS) } },
    [MSG_COMMIT] = { "commit", FRONT, STORE, 2,
        { U32(flags), SPAN(data, CAP_MARKS), SPAN(secret, CAP_MARKS) } },
    [MSG_CLOSE] = { "close", FRONT, STORE, 0, { { K_END, 0, 0 } } },
    [MSG_OPENED] = { "opened", STORE, FRONT, 1,
        { U32(count), U64(octets), U64(legacy_octets), U32(number), SPAN(data, CAP_LISTING) } },
    [MSG_OPEN_FAIL] = { "open-fail", STORE, FRONT, 0, { U32(fault) } },
    [MSG_MESSAGE] = { "message", STORE, FRONT, IPC_MAX_FDS, { SPAN(data, 4 * IPC_MAX_FDS) } },
    [MSG_FETCH_FAIL] = { "fetch-fail", STORE, FRONT, 0, { U32(number), U32(fault) } },
    [MSG_COMMITTED] = { "committed", STORE, FRONT, 0, { U32(fault), U32(count), U32(number) } },
    [MSG_KICK] = { "kick", STORE, FRONT, 0, { { K_END, 0, 0 } } },
};

const char *msg_name(enum msg_type type)
{
    return (unsigned)type < MSG_TYPES && rows[type].name ? rows[type].name : "unknown";
}

const char *role_name(enum role role)
{
    static const char *const names[ROLE_N] = { "supervisor", "front", "auth", "hash", "store" };

    return (unsigned)role < ROLE_N ? names[role] : "unknown";
}

bool msg_permitted(enum role from, enum role to, enum msg_type type)
{
    return (unsigned)type < MSG_TYPES && rows[type].name && (rows[type].from & BIT(from)) &&
           (rows[type].to & BIT(to));
}

void msg_init(struct msg *m, enum msg_type type, uint64_t sid)
{
    memset(m, 0, sizeof *m);
    m->type = type;
    m->sid = sid;
    for (unsigned i = 0; i < IPC_MAX_FDS; i++)
        m->fds[i] = -1;
}

static unsigned fixed_octets(enum kind kind)
{
    switch (kind) {
    case K_U8:
        return 1;
    case K_U32:
    case K_SPAN:
        return 4;
    case K_U64:
        return 8;
    case K_FIXED16:
        return 16;
    default:
        return 0;
    }
}

/* Writes one field at dst, which has room octets; 0 = does not fit. */
static size_t put_field(const struct field_row *f, const struct msg *m, uint8_t *dst, size_t room)
{
    const uint8_t *at = (const uint8_t *)m + f->offset;
    size_t n = fixed_octets(f->kind);
    struct span s = { NULL, 0 };
    uint32_t u32;
    uint64_t u64;

    if (f->kind == K_SPAN)
        memcpy(&s, at, sizeof s);
    if (s.n > f->cap || n + s.n > room)
        return 0;
    switch (f->kind) {
    case K_U8:
    case K_FIXED16:
        memcpy(dst, at, n);
        break;
    case K_U32:
        memcpy(&u32, at, sizeof u32);
        le_put(dst, u32, 4);
        break;
    case K_U64:
        memcpy(&u64, at, sizeof u64);
        le_put(dst, u64, 8);
        break;
    default:
        le_put(dst, s.n, 4);
        if (s.n)
            memcpy(dst + 4, s.p, s.n);
    }
    return n + s.n;
}

size_t msg_encode(const struct msg *m, uint8_t *dst, size_t room)
{
    const struct row *row;
    size_t n = HEAD;

    if ((unsigned)m->type >= MSG_TYPES || !rows[m->type].name || room < HEAD)
        return 0;
    row = &rows[m->type];
    if (m->nfds > row->max_fds)
        return 0;
    dst[0] = IPC_VERSION;
    dst[1] = (uint8_t)m->type;
    dst[2] = (uint8_t)m->nfds;
    dst[3] = 0;
    le_put(dst + 4, m->sid, 8);
    for (const struct field_row *f = row->fields; f < row->fields + ROW_FIELDS && f->kind; f++) {
        size_t took = put_field(f, m, dst + n, room - n);

        if (took == 0)
            return 0;
        n += took;
    }
    return n;
}

/* Reads one field from the front of *in. */
static bool get_field(const struct field_row *f, struct span *in, struct msg *m)
{
    uint8_t *at = (uint8_t *)m + f->offset;
    size_t n = fixed_octets(f->kind);
    const uint8_t *src = in->p;
    struct span s;
    uint32_t u32;
    uint64_t u64;

    if (in->n < n)
        return false;
    span_take(in, n);
    switch (f->kind) {
    case K_U8:
    case K_FIXED16:
        memcpy(at, src, n);
        return true;
    case K_U32:
        u32 = (uint32_t)le_get(src, 4);
        memcpy(at, &u32, sizeof u32);
        return true;
    case K_U64:
        u64 = le_get(src, 8);
        memcpy(at, &u64, sizeof u64);
        return true;
    default:
        s.n = (size_t)le_get(src, 4);
        if (s.n > f->cap || s.n > in->n)
            return false;
        s.p = span_take(in, s.n).p;
        memcpy(at, &s, sizeof s);
        return true;
    }
}

bool msg_decode(struct span packet, struct msg *m)
{
    const uint8_t *head = packet.p;
    const struct row *row;

    if (packet.n < HEAD || head[0] != IPC_VERSION || head[1] >= MSG_TYPES || head[3] != 0)
        return false;
    row = &rows[head[1]];
    if (!row->name || head[2] > row->max_fds)
        return false;
    msg_init(m, (enum msg_type)head[1], le_get(head + 4, 8));
    span_take(&packet, HEAD);
    for (const struct field_row *f = row->fields; f < row->fields + ROW_FIELDS && f->kind; f++)
        if (!get_field(f, &packet, m))
            return false;
    m->nfds = head[2];
    return packet.n == 0;
}

/* Room for one control message of descriptors, aligned as the kernel wants it. */
union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int) * IPC_MAX_FDS)];
};

bool msg_send(int fd, const struct msg *m, struct err *e)
{
    uint8_t packet[IPC_MAX_PACKET] __attribute__((uninitialized)); /* zeroing it costs more than sending: 4 us */
    union control control;
    struct iovec iov = { packet, msg_encode(m, packet, sizeof packet) };
    struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t sent;

    if (iov.iov_len == 0)
        return err_set(e, FAULT_BAD, "message %s does not fit its row", msg_name(m->type));
    if (m->nfds) {
        struct cmsghdr *c;

        memset(&control, 0, sizeof control);
        mh.msg_control = control.room;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * m->nfds);
        c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * m->nfds);
        memcpy(CMSG_DATA(c), m->fds, sizeof(int) * m->nfds);
    }
    do
        sent = sendmsg(fd, &mh, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent == (ssize_t)iov.iov_len)
        return true;
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS))
        return err_set(e, FAULT_TEMP, "message %s would block", msg_name(m->type));
    return err_set(e, FAULT_GONE, "peer is gone: %s", strerror(errno));
}

/* Takes the descriptors out of a received header into m; the kernel closed what did not fit. */
static unsigned take_fds(struct msghdr *mh, int fds[IPC_MAX_FDS])
{
    unsigned n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        size_t count;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (n < IPC_MAX_FDS)
                fds[n++] = fd;
            else
                close(fd);
        }
    }
    return n;
}

int msg_recv(int fd, uint8_t *buf, size_t room, struct msg *m, struct err *e)
{
    union control control;
    struct iovec iov = { buf, room };
    struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
                         .msg_controllen = sizeof control.room };
    int fds[IPC_MAX_FDS];
    unsigned nfds;
    ssize_t got;
    bool lost;

    do
        got = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got <= 0) {
        err_set(e, FAULT_GONE, "peer closed the channel");
        return -1;
    }
    nfds = take_fds(&mh, fds);
    /* Descriptors that we have no room for (EMFILE) are lost, the packet is not: it arrives without any. */
    lost = (mh.msg_flags & MSG_CTRUNC) != 0;
    while (lost && nfds)
        close(fds[--nfds]);
    if ((mh.msg_flags & MSG_TRUNC) || !msg_decode(span_of(buf, (size_t)got), m) || (!lost && m->nfds != nfds)) {
        while (nfds)
            close(fds[--nfds]);
        err_set(e, FAULT_BAD, "malformed packet of %zd octets", got);
        return -1;
    }
    m->nfds = nfds;
    for (unsigned i = 0; i < nfds; i++)
        m->fds[i] = fds[i];
    return 1;
}

void msg_close_fds(struct msg *m)
{
    for (unsigned i = 0; i < IPC_MAX_FDS; i++) {
        if (m->fds[i] >= 0)
            close(m->fds[i]);
        m->fds[i] = -1;
    }
    m->nfds = 0;
}
