/* restante_bench_conn.c - connections of the generator: see restante_bench_conn.h. */
#include "restante_bench_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TICKETS = 65536 };

static bool tls_fault(struct err *e, const char *what)
{
    char text[128] = "the peer closed";
    unsigned long code = ERR_get_error();

    if (code)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return err_set(e, FAULT_TEMP, "%s: %s", what, text);
}

/* A ticket came. */
static int keep_ticket(SSL *ssl, SSL_SESSION *ticket)
{
    struct wire *w = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    if (!w->plan->resume || w->tickets_n == TICKETS)
        return 0;
    if (w->tickets_n == w->tickets_room) {
        w->tickets_room = w->tickets_room ? w->tickets_room * 2 : 64;
        w->tickets = mem_grow(w->tickets, w->tickets_room, sizeof *w->tickets);
    }
    w->tickets[w->tickets_n++] = ticket;
    return 1;
}

static bool make_tls(struct wire *w, struct err *e)
{
    w->tls = SSL_CTX_new(TLS_client_method());
    if (!w->tls)
        return tls_fault(e, "TLS");
    SSL_CTX_set_app_data(w->tls, w);
    SSL_CTX_set_mode(w->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(w->tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (w->plan->mode == MODE_DRAIN) {
        SSL_CTX_set_read_ahead(w->tls, 1);
        SSL_CTX_set_default_read_buffer_len(w->tls, IN_ROOM);
    }
    SSL_CTX_set_session_cache_mode(w->tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(w->tls, keep_ticket);
    if (w->plan->ca_file) {
        if (SSL_CTX_load_verify_locations(w->tls, w->plan->ca_file, NULL) != 1)
            return tls_fault(e, w->plan->ca_file);
        SSL_CTX_set_verify(w->tls, SSL_VERIFY_PEER, NULL);
    }
    return true;
}

bool wire_open(struct wire *w, const struct plan *plan, struct err *e)
{
    *w = (struct wire){ .plan = plan, .epoll = epoll_create1(EPOLL_CLOEXEC) };
    if (w->epoll < 0)
        return err_errno(e, "make", "an epoll");
    w->in = mem_new(IN_ROOM);
    return plan->tls == TLS_NONE || make_tls(w, e);
}

void wire_close(struct wire *w)
{
    while (w->tickets_n)
        SSL_SESSION_free(w->tickets[--w->tickets_n]);
    free(w->tickets);
    free(w->in);
    SSL_CTX_free(w->tls);
    if (w->epoll >= 0)
        close(w->epoll);
    *w = (struct wire){ .epoll = -1 };
}

/* Tells the loop what c waits for, when that has changed. */
static bool watch(struct wire *w, struct conn *c, void *owner, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = owner };
    int op = c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (c->watched == events)
        return true;
    c->watched = events;
    return epoll_ctl(w->epoll, op, c->fd, &event) == 0;
}

/* One of the many addresses that loopback has, so that the server sees many clients. */
static bool bind_source(struct wire *w, int fd)
{
    uint32_t n = w->opened % w->plan->sources;
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010001u + n) };
    int on = 1;

    return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0 &&
           bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0;
}

bool conn_open(struct wire *w, struct conn *c, void *owner, struct err *e)
{
    struct sockaddr_storage ss;
    unsigned n = net_addr_to(&w->plan->server, &ss);
    /* A POP3 server speaks first: only who does not wait for that must know when the connection stands. */
    bool first = w->plan->tls == TLS_IMPLICIT || (w->plan->mode == MODE_IDLE && w->plan->until == UNTIL_CONNECT);
    int on = 1;

    *c = (struct conn){ .fd = -1, .out = BUF(1u << 20) };
    c->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return err_errno(e, "make", "a socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (w->plan->sources && ss.ss_family == AF_INET && !bind_source(w, c->fd))
        return err_errno(e, "bind", "a source address");
    w->opened++;
    c->at = CONN_CONNECTING;
    if (connect(c->fd, (struct sockaddr *)&ss, n) != 0 && errno != EINPROGRESS)
        return err_errno(e, "connect", "to the server");
    return watch(w, c, owner, first ? EPOLLIN | EPOLLOUT : EPOLLIN) || err_errno(e, "watch", "a socket");
}

void conn_close(struct conn *c)
{
    if (c->ssl) {
        SSL_shutdown(c->ssl);
        ERR_clear_error();
    }
    SSL_free(c->ssl);
    if (c->fd >= 0)
        close(c->fd);
    buf_free(&c->out);
    *c = (struct conn){ .fd = -1, .at = CONN_CLOSED };
}

/* Each ticket is used once (RFC 8446 appendix C.4), but the last one again and again: there are servers that send no
 * new one in a resumed handshake. */
static void use_ticket(struct wire *w, SSL *ssl)
{
    bool last = w->tickets_n == 1;
    SSL_SESSION *ticket;

    if (!w->tickets_n)
        return;
    ticket = w->tickets[w->tickets_n - 1];
    if (last)
        ticket = SSL_SESSION_dup(ticket); /* OpenSSL marks what was used */
    else
        w->tickets_n--;
    SSL_set_session(ssl, ticket);
    SSL_SESSION_free(ticket);
}

bool conn_start_tls(struct wire *w, struct conn *c, struct err *e)
{
    c->ssl = SSL_new(w->tls);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1)
        return tls_fault(e, "TLS");
    SSL_set_connect_state(c->ssl);
    use_ticket(w, c->ssl);
    c->at = CONN_HANDSHAKE;
    return true;
}

static bool handshake(struct wire *w, struct conn *c, void *owner, struct err *e)
{
    int n = SSL_do_handshake(c->ssl);

    if (n == 1) {
        c->at = CONN_OPEN;
        c->resumed = SSL_session_reused(c->ssl) == 1;
        return watch(w, c, owner, EPOLLIN);
    }
    switch (SSL_get_error(c->ssl, n)) {
    case SSL_ERROR_WANT_READ: return watch(w, c, owner, EPOLLIN);
    case SSL_ERROR_WANT_WRITE: return watch(w, c, owner, EPOLLOUT);
    default: return tls_fault(e, "handshake");
    }
}

static bool connected(struct wire *w, struct conn *c, void *owner, struct err *e)
{
    int fault = 0;
    socklen_t n = sizeof fault;

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &fault, &n) != 0 || fault) {
        errno = fault ? fault : errno;
        return err_errno(e, "connect", "to the server");
    }
    if (w->plan->tls == TLS_IMPLICIT && !(w->plan->mode == MODE_IDLE && w->plan->until == UNTIL_CONNECT))
        return conn_start_tls(w, c, e);
    c->at = CONN_OPEN;
    return watch(w, c, owner, EPOLLIN);
}

/* How much of data went out now; -1: failed. */
static ssize_t send_some(struct conn *c, struct span data, struct err *e)
{
    ssize_t n;

    if (c->ssl) {
        int done = SSL_write(c->ssl, data.p, (int)data.n), why;

        if (done > 0)
            return done;
        why = SSL_get_error(c->ssl, done);
        if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ)
            return 0;
        tls_fault(e, "write");
        return -1;
    }
    n = send(c->fd, data.p, data.n, MSG_NOSIGNAL);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    err_errno(e, "write", "to the server");
    return -1;
}

static bool flush(struct wire *w, struct conn *c, void *owner, struct err *e)
{
    while (c->out.n) {
        ssize_t n = send_some(c, buf_span(&c->out), e);

        if (n < 0)
            return false;
        if (n == 0)
            return watch(w, c, owner, EPOLLIN | EPOLLOUT);
        buf_consume(&c->out, (size_t)n);
    }
    buf_free(&c->out);
    return watch(w, c, owner, EPOLLIN);
}

bool conn_go_on(struct wire *w, struct conn *c, void *owner, struct err *e)
{
    if (c->at == CONN_CONNECTING && !connected(w, c, owner, e))
        return false;
    if (c->at == CONN_HANDSHAKE)
        return handshake(w, c, owner, e);
    return c->at != CONN_OPEN || flush(w, c, owner, e);
}

enum got conn_read(struct wire *w, struct conn *c, void *owner, struct span *data, struct err *e)
{
    ssize_t n;

    if (c->ssl) {
        int done = SSL_read(c->ssl, w->in, IN_ROOM), why;

        *data = span_of(w->in, done > 0 ? (size_t)done : 0);
        if (done > 0)
            return GOT_DATA;
        why = SSL_get_error(c->ssl, done);
        if (why == SSL_ERROR_WANT_READ)
            return GOT_NOTHING;
        if (why == SSL_ERROR_WANT_WRITE)
            return watch(w, c, owner, EPOLLIN | EPOLLOUT) ? GOT_NOTHING : GOT_FAULT;
        if (why == SSL_ERROR_ZERO_RETURN)
            return GOT_END;
        tls_fault(e, "read");
        return GOT_FAULT;
    }
    n = recv(c->fd, w->in, IN_ROOM, 0);
    *data = span_of(w->in, n > 0 ? (size_t)n : 0);
    if (n > 0)
        return GOT_DATA;
    if (n == 0)
        return GOT_END;
    if (errno == EAGAIN || errno == EINTR)
        return GOT_NOTHING;
    err_errno(e, "read", "from the server");
    return GOT_FAULT;
}

bool conn_write(struct wire *w, struct conn *c, void *owner, struct span data, struct err *e)
{
    if (c->out.n)
        return buf_put_span(&c->out, data) || err_set(e, FAULT_TEMP, "the server takes no commands");
    while (data.n) {
        ssize_t n = send_some(c, data, e);

        if (n < 0)
            return false;
        if (n == 0)
            return (buf_put_span(&c->out, data) || err_set(e, FAULT_TEMP, "too much to write")) &&
                   watch(w, c, owner, EPOLLIN | EPOLLOUT);
        span_take(&data, (size_t)n);
    }
    return true;
}
