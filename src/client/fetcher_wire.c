/* fetcher_wire.c - the fetcher's connection: SOCKS, then TLS, then the dialog's octets both ways.
 *
 * Reads and writes never wait for one another (R2449-PIPE-04): each is tried when poll says so, or when TLS wants the
 * one for the other. Does not know: the writer, deadlines.
 */
#include "client/fetcher.h"

#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum { READS_AT_A_TIME = 8 };

static void heard(struct fetcher *f, size_t n)
{
    f->heard = clock_mono_ms();
    f->window_octets += n;
}

/* TLS is up: its facts for the writer, channel bindings for SASL. */
static void secured(struct fetcher *f)
{
    struct buf facts = BUF(LINK_DATA);
    struct link_msg m;
    char suite[128];
    size_t n;

    tls_client_describe(f->tls, suite, sizeof suite);
    if (!tls_client_certificate(f->tls, &facts))
        facts.n = 0;
    link_init(&m, LINK_TLS);
    m.text = span_str(suite);
    m.data = buf_span(&facts);
    fetcher_tell(f, &m);
    buf_free(&facts);
    f->secure = true;
    f->sasl_conf.tls = !f->dialog_conf.unverified; /* R8314-C-04: no token for nobody knows whom */
    n = tls_binding_unique(tls_client_ssl(f->tls), f->binding_unique);
    f->sasl_conf.binding_unique = span_of(f->binding_unique, n);
    n = tls_binding_exporter(tls_client_ssl(f->tls), f->binding_exporter);
    f->sasl_conf.binding_exporter = span_of(f->binding_exporter, n);
    f->phase = PHASE_TALK;
    if (f->tls_asked)
        dialog_tls_up(f->dialog);
    f->tls_asked = false;
}

static void tls_failed(struct fetcher *f, enum tls_io io, const struct err *e)
{
    fetcher_end(f, io == TLS_IO_FAILED ? FAILURE_TLS_POLICY : FAILURE_CLOSED,
                io == TLS_IO_FAILED ? e->text : "connection closed during the TLS handshake");
}

static void handshake(struct fetcher *f)
{
    struct err e = { 0 };
    enum tls_io io;

    io = tls_client_handshake(f->tls, &e);
    f->want_write = io == TLS_IO_WANT_WRITE;
    if (io == TLS_IO_DONE)
        secured(f);
    else if (io != TLS_IO_WANT_READ && io != TLS_IO_WANT_WRITE)
        tls_failed(f, io, &e);
}

static void after_proxy(struct fetcher *f)
{
    f->phase = f->job.tls == DIALOG_TLS_UP ? PHASE_HANDSHAKE : PHASE_TALK;
    if (f->phase == PHASE_HANDSHAKE)
        handshake(f);
}

/* Octets of the server. STLS accepted: what follows on this socket is TLS. */
static void server_says(struct fetcher *f, struct span in)
{
    fetcher_trace(f, false, in);
    dialog_input(f->dialog, in);
    if (f->phase == PHASE_TALK && f->tls_asked) {
        f->phase = PHASE_HANDSHAKE;
        handshake(f);
    }
}

static void proxy_says(struct fetcher *f, struct span in)
{
    struct err e = { 0 };
    enum socks_next next = socks_input(&f->socks, &in, &f->proxy_out, &e);

    if (next == SOCKS_FAILED) { /* what passes by itself is tried again */
        fetcher_end(f, e.fault == FAULT_TEMP ? FAILURE_CLOSED : e.fault == FAULT_PERM ? FAILURE_NO_AUTH : FAILURE_PROTOCOL,
                    e.text);
    } else if (next == SOCKS_DONE && in.n && f->job.tls == DIALOG_TLS_UP) { /* TLS is the client's to begin */
        fetcher_end(f, FAILURE_TLS_POLICY, "the proxy sent octets before the TLS handshake");
    } else if (next == SOCKS_DONE) {
        after_proxy(f);
        if (in.n)
            server_says(f, in);
    }
}

/* One read; false: nothing (more) to read now. */
static bool read_some(struct fetcher *f, uint8_t *p, size_t *n)
{
    struct err e = { 0 };
    ssize_t got;

    f->want_read = f->want_write = false;
    if (f->secure) {
        enum tls_io io = tls_client_read(f->tls, p, FETCHER_READ, n, &e);

        if (io == TLS_IO_DONE)
            return true;
        if (io == TLS_IO_WANT_WRITE)
            f->want_write = true;
        else if (io == TLS_IO_CLOSED || io == TLS_IO_CUT)
            dialog_eof(f->dialog, io == TLS_IO_CLOSED);
        else if (io == TLS_IO_FAILED)
            fetcher_end(f, FAILURE_CLOSED, e.text);
        return false;
    }
    do
        got = recv(f->sock, p, FETCHER_READ, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        *n = (size_t)got;
        return true;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    if (f->phase == PHASE_PROXY)
        fetcher_end(f, FAILURE_CLOSED, "the proxy closed the connection");
    else
        dialog_eof(f->dialog, got == 0);
    return false;
}

bool fetcher_readable(struct fetcher *f)
{
    size_t n;

    for (int i = 0; i < READS_AT_A_TIME && f->phase != PHASE_OVER; i++) {
        if (f->phase == PHASE_HANDSHAKE) {
            heard(f, 0);
            handshake(f);
            if (f->phase == PHASE_HANDSHAKE)
                return false;
            continue;
        }
        if (!read_some(f, f->room, &n))
            return false;
        heard(f, n);
        if (f->phase == PHASE_PROXY) {
            proxy_says(f, span_of(f->room, n));
            continue;
        }
        server_says(f, span_of(f->room, n));
    }
    return f->phase != PHASE_OVER;
}

static struct span to_send(const struct fetcher *f)
{
    if (f->phase == PHASE_PROXY)
        return buf_span(&f->proxy_out);
    return f->phase == PHASE_TALK ? dialog_output(f->dialog) : span_of(NULL, 0);
}

bool fetcher_wants_write(const struct fetcher *f)
{
    return f->want_write || (!f->want_read && to_send(f).n > 0);
}

/* A connection that takes nothing any more is read to its end first: the server may have said why. */
static size_t write_some(struct fetcher *f, struct span out)
{
    struct err e = { 0 };
    ssize_t sent;
    size_t n = 0;

    if (f->secure) {
        enum tls_io io = tls_client_write(f->tls, out, &n, &e);

        if (io == TLS_IO_DONE)
            return n;
        f->want_read = io != TLS_IO_WANT_WRITE;
        if (io == TLS_IO_FAILED)
            fetcher_end(f, FAILURE_CLOSED, e.text);
        return 0;
    }
    do
        sent = send(f->sock, out.p, out.n, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    f->want_read = sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK;
    return sent > 0 ? (size_t)sent : 0;
}

void fetcher_writable(struct fetcher *f)
{
    struct span out;

    if (f->phase == PHASE_HANDSHAKE) {
        handshake(f);
        return;
    }
    for (out = to_send(f); out.n && f->phase != PHASE_OVER; out = to_send(f)) {
        size_t n = write_some(f, out);

        if (n == 0)
            return;
        if (f->phase == PHASE_PROXY) {
            buf_consume(&f->proxy_out, n);
        } else {
            f->spoke = clock_mono_ms();
            fetcher_trace(f, true, span_of(out.p, n));
            dialog_sent(f->dialog, n);
        }
    }
}

void fetcher_begin(struct fetcher *f)
{
    int on = 1;

    f->awaited = UINT64_MAX; /* none yet */
    setsockopt(f->sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* an order does not wait until another is acknowledged */
    if (f->job.use_proxy) {
        f->phase = PHASE_PROXY;
        socks_begin(&f->socks, &f->socks_conf, &f->proxy_out);
    } else {
        after_proxy(f);
    }
}
