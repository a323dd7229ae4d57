/* conn_io.c - octets in and out of a connection: PROXY header, TLS, plain reads and writes.
 *
 * Every read and write that makes progress restarts the idle clock (R1939-GEN-20). Nothing here looks at POP3.
 * Does not know: commands, the engine's requests.
 */
#include "server/front/front.h"

#include "base/log.h"
#include "net/proxy.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum io { IO_DONE, IO_AGAIN, IO_EOF, IO_ERROR };

/* One SSL result as an io; notes what TLS waits for. */
static enum io tls_result(struct conn *c, int rc)
{
    switch (SSL_get_error(c->ssl, rc)) {
    case SSL_ERROR_NONE:
        return IO_DONE;
    case SSL_ERROR_WANT_READ:
        return IO_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        c->want_write = true;
        return IO_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return IO_EOF;
    default:
        ERR_clear_error();
        return IO_ERROR;
    }
}

static enum io read_some(struct conn *c, uint8_t *dst, size_t room, size_t *got)
{
    ssize_t n;

    if (c->ssl) {
        enum io r;

        ERR_clear_error(); /* errors of another connection must not be taken for ours */
        r = tls_result(c, SSL_read_ex(c->ssl, dst, room, got));

        c->more_input = r == IO_DONE && (SSL_has_pending(c->ssl) || *got == room);
        return r;
    }
    do
        n = recv(c->socket.fd, dst, room, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? IO_AGAIN : IO_ERROR;
    *got = (size_t)n;
    c->more_input = (size_t)n == room;
    return n == 0 ? IO_EOF : IO_DONE;
}

/* Reads once and keeps it in c->in, which holds no more than that; true when octets or an end arrived. */
static bool take_input(struct conn *c)
{
    uint8_t *room = c->front->input;
    size_t got = 0;

    if (c->eof || c->in.cap - c->in.n < FRONT_READ)
        return false;
    c->more_input = false;
    switch (read_some(c, room, FRONT_READ, &got)) {
    case IO_DONE:
        if (!buf_put(&c->in, room, got))
            return false; /* cannot happen: it has that room */
        c->octets_in += got;
        conn_touch(c);
        return true;
    case IO_EOF:
        c->eof = true;
        return true;
    case IO_ERROR:
        c->eof = true;
        c->peer_gone = true; /* what was read so far still counts (R1939-QUIT-05) */
        return true;
    default:
        return false;
    }
}

/* The last reply is all that is left to send: the end follows at once. */
static bool last_words(const struct conn *c)
{
    return c->phase == PH_POP3 && engine_want(&c->engine) == WANT_CLOSE;
}

static enum io write_some(struct conn *c, struct span s, size_t *sent)
{
    ssize_t n;

    c->socket.more = last_words(c);
    if (c->ssl) {
        ERR_clear_error();
        return tls_result(c, SSL_write_ex(c->ssl, s.p, s.n, sent));
    }
    do
        n = send(c->socket.fd, s.p, s.n, MSG_NOSIGNAL | (c->socket.more ? MSG_MORE : 0));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? IO_AGAIN : IO_ERROR;
    *sent = (size_t)n;
    return IO_DONE;
}

/* Writes from s as much as goes; the rest stays in *s. */
static void write_all(struct conn *c, struct span *s)
{
    size_t sent;

    c->want_write = false;
    while (s->n && !c->peer_gone) {
        enum io r = write_some(c, *s, &sent);

        if (r == IO_AGAIN)
            return;
        if (r != IO_DONE) {
            c->peer_gone = true;
            c->more_input = true; /* lines that arrived before the end still count: read up to it */
            return;
        }
        span_take(s, sent);
        c->octets_out += sent;
        conn_touch(c);
    }
    if (c->peer_gone)
        s->n = 0;
}

static void flush(struct conn *c)
{
    struct span rest = buf_span(&c->out);
    size_t before = rest.n;

    if (before == 0)
        return;
    write_all(c, &rest);
    buf_consume(&c->out, before - rest.n);
    if (c->peer_gone)
        c->out.n = 0;
    if (c->out.n == 0)
        buf_free(&c->out);
}

bool conn_send(struct conn *c, struct span s)
{
    if (c->out.n == 0)
        write_all(c, &s);
    if (s.n == 0 || c->peer_gone || buf_put_span(&c->out, s))
        return true;
    conn_close(c, "output-full"); /* cannot happen: nothing is made while output waits */
    return false;
}

bool conn_start_tls(struct conn *c)
{
    c->ssl = c->site->tls ? tls_accept(c->site->tls, &c->socket) : NULL;
    if (!c->ssl) {
        conn_close(c, "no-tls");
        return false;
    }
    c->phase = PH_HANDSHAKE;
    c->accepted_ms = c->begun ? uv_now(c->front->loop) : c->accepted_ms; /* STLS: its own deadline */
    conn_watch(c);
    return true;
}

/* The handshake, as far as it goes. */
static void shake(struct conn *c)
{
    const char *reason;
    char text[160];
    int rc;

    c->want_write = false;
    c->socket.more = !c->begun && tls_ends_with_us(c->ssl); /* the greeting follows */
    rc = SSL_do_handshake(c->ssl);
    if (rc == 1) {
        struct front *f = c->front;

        ERR_clear_error(); /* a client certificate that did not verify leaves its errors behind */

        counters_add(f->counters, f->id, CNT_TLS_HANDSHAKES, 1);
        counters_add(f->counters, f->id, CNT_TLS_RESUMED, SSL_session_reused(c->ssl));
        conn_touch(c);
        c->more_input = SSL_has_pending(c->ssl);
        conn_begin_pop3(c);
        return;
    }
    reason = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(text, sizeof text, "%s", reason ? reason : "connection lost");
    if (tls_result(c, rc) == IO_AGAIN) {
        conn_watch(c);
        return;
    }
    counters_add(c->front->counters, c->front->id, CNT_TLS_FAILURES, 1);
    event(LOG_INFO, "tls-failed", F_SID(c->sid), F_STR("error", text));
    conn_close(c, "tls-failed");
}

/* The header said who the client is; from here on that is its address (PP-16). */
static void after_proxy(struct conn *c, const struct proxy_header *h)
{
    struct front *f = c->front;

    if (h->has_addr) {
        bool may;

        counters_address_add(f->counters, f->id, &c->peer, -1);
        counters_add(f->counters, f->id, CNT_OPEN, -1); /* it must not count itself */
        c->peer = h->src;
        may = front_may_accept(f, &c->peer);
        counters_add(f->counters, f->id, CNT_OPEN, 1);
        counters_address_add(f->counters, f->id, &c->peer, 1);
        if (!may) {
            counters_add(f->counters, f->id, CNT_REFUSED, 1);
            conn_close(c, "too-many");
            return;
        }
    }
    if (h->unique_id.n)
        event(LOG_INFO, "proxied", F_SID(c->sid), F_SPAN("unique_id", h->unique_id),
              F_SPAN("authority", h->authority));
    c->edge_tls = h->tls;
    c->phase = PH_TLS_WAIT;
    if (!c->implicit || c->edge_tls)
        conn_begin_pop3(c);
    else
        conn_watch(c);
}

/* Reads no octet past the header: what follows belongs to POP3 or to the TLS handshake, which reads the socket
 * itself. So the octets are looked at first and taken when the header is whole. */
static void read_proxy(struct conn *c)
{
    struct front *f = c->front;
    struct proxy_header h;
    ssize_t n = recv(c->socket.fd, f->read_room, FRONT_BODY_READ, MSG_PEEK);
    enum proxy_result r;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    r = n <= 0 ? PROXY_BAD : proxy_parse(span_of(f->read_room, (size_t)n), &h);
    if (r == PROXY_MORE && (size_t)n < FRONT_BODY_READ && (uint64_t)n != c->octets_in) {
        /* Level-triggered: sleep until more arrives instead of spinning on what is there. The same octets again mean
         * that the end has come. */
        int low = (int)n + 1;

        c->octets_in = (uint64_t)n;
        setsockopt(c->socket.fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
        return;
    }
    if (r != PROXY_OK) {
        event(LOG_INFO, "proxy-refused", F_SID(c->sid));
        conn_close(c, "proxy-header");
        return;
    }
    c->octets_in = 0;
    setsockopt(c->socket.fd, SOL_SOCKET, SO_RCVLOWAT, &(int){ 1 }, sizeof(int));
    n = recv(c->socket.fd, f->read_room, h.octets, 0); /* the same octets: h's spans stay true */
    after_proxy(c, &h);
}

/* Until the peer closes: whatever it sends is of no interest any more. */
static void discard(struct conn *c)
{
    for (int i = 0; i < 4; i++) {
        ssize_t n = recv(c->socket.fd, c->front->read_room, FRONT_BODY_READ, 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            conn_close(c, "closed");
            return;
        }
    }
}

void conn_watch(struct conn *c)
{
    uint32_t events = 0;

    if (c->phase == PH_CLOSED)
        return;
    if (c->phase != PH_POP3)
        events = c->want_write ? EPOLLIN | EPOLLOUT : EPOLLIN;
    else if (!c->eof && (c->in.n < FRONT_READ || (engine_want(&c->engine) & WANT_INPUT)))
        events = EPOLLIN; /* more than that waits in the kernel: back-pressure (R2449-PIPE-03) */
    if (c->phase == PH_POP3 && (c->out.n || c->want_write))
        events |= EPOLLOUT;
    poller_want(c, events);
}

void conn_come_back(struct conn *c)
{
    poller_want(c, EPOLLIN | EPOLLOUT);
}

void conn_ready(struct conn *c, uint32_t events)
{
    switch (c->phase) {
    case PH_PROXY:
        read_proxy(c);
        return;
    case PH_TLS_WAIT: /* no SSL object before the first octet: a silent client costs nothing (S-74) */
        if (conn_start_tls(c))
            shake(c);
        return;
    case PH_HANDSHAKE:
        shake(c);
        return;
    case PH_LINGER:
        discard(c);
        return;
    case PH_POP3:
        break;
    default:
        return;
    }
    if (events & EPOLLERR) { /* what came before the error still counts */
        while (take_input(c))
            ;
        c->eof = c->peer_gone = true;
        buf_free(&c->out);
    }
    if ((events & EPOLLOUT) && c->want_write) { /* a read waited for room to write (KeyUpdate) */
        c->want_write = false;
        events |= EPOLLIN;
    }
    if (events & EPOLLOUT)
        flush(c);
    if (events & (EPOLLIN | EPOLLHUP))
        take_input(c);
    conn_run(c);
}

bool conn_read_more(struct conn *c)
{
    return c->more_input && take_input(c);
}
