/* fetcher.c - restante-fetch: one session with one server for the writer on descriptor 3.
 *
 * Takes its orders, closes its cage, then turns the loop until the session has ended and the writer knows. Started by
 * restante, never by hand. Deadlines: one for the handshakes, one for an answer that does not begin or trickles, one
 * for silence inside an answer (XCL-06). Does not know: files, accounts.
 */
#include "client/cage.h"
#include "client/fetcher.h"

#include "base/clock.h"
#include "base/sys.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

enum { WRITER_FD = 3, NOOP_AFTER_MS = 50000, TRICKLE = 64 /* octets a second that an answer must bring */ };
#define NOTHING_AWAITED UINT64_MAX

/* Orders of the writer. */
static void orders(struct fetcher *f)
{
    struct err e = { 0 };

    while (f->phase != PHASE_OVER && dialog_orders_room(f->dialog) > 0) {
        struct link_msg m;
        int got = link_recv(f->link, f->packet, true, &m, &e);

        if (got < 0)
            f->writer_gone = true;
        if (got <= 0)
            return;
        if (m.fd >= 0)
            close(m.fd);
        if (m.type == LINK_ORDER && m.order <= ORDER_NOOP)
            dialog_order(f->dialog, (enum dialog_order)m.order, m.number, m.octets);
        else if (m.type == LINK_QUIT)
            dialog_quit(f->dialog);
        else
            f->writer_gone = true;
    }
}

/* Every answer, and every phase before the dialog, has deadlines of its own. */
static void begin_waiting(struct fetcher *f, uint64_t awaited, uint64_t now)
{
    if (f->awaited == awaited)
        return;
    f->awaited = awaited;
    f->began = f->heard = f->window_from = now;
    f->window_octets = 0;
}

/* When the server is to have said the next octet, or enough of them. */
static uint64_t limit_of(struct fetcher *f, uint64_t now)
{
    uint64_t reply = (uint64_t)f->job.reply_s * 1000, read = (uint64_t)f->job.read_s * 1000;
    uint64_t silence = f->heard + (f->body_octets ? read : reply);

    if (f->phase != PHASE_TALK)
        return f->began + (uint64_t)f->job.connect_s * 1000;
    if (now - f->window_from >= reply) {
        if (f->window_octets < reply / 1000 * TRICKLE)
            return now;
        f->window_from = now;
        f->window_octets = 0;
    }
    return silence < f->window_from + reply ? silence : f->window_from + reply;
}

/* Milliseconds until the next deadline (capped), or 0 after one was missed and told. */
static int deadline(struct fetcher *f)
{
    uint64_t now = clock_mono_ms(), limit;
    char text[128];

    if (f->phase == PHASE_TALK && !dialog_waiting(f->dialog)) {
        f->awaited = NOTHING_AWAITED;
        if (now - f->spoke < NOOP_AFTER_MS)
            return (int)(NOOP_AFTER_MS - (now - f->spoke));
        /* many servers hang up after a silent minute */
        return dialog_order(f->dialog, ORDER_NOOP, 0, 0) ? 0 : NOOP_AFTER_MS;
    }
    begin_waiting(f, f->phase == PHASE_TALK ? PHASE_TALK + dialog_awaited(f->dialog) : f->phase, now);
    limit = limit_of(f, now);
    if (now < limit)
        return (int)(limit - now < 60000 ? limit - now : 60000);
    snprintf(text, sizeof text, "no answer in time (%s)",
             f->phase == PHASE_TALK ? dialog_stage(f->dialog) : f->phase == PHASE_PROXY ? "proxy" : "TLS handshake");
    fetcher_end(f, FAILURE_CLOSED, text);
    return 0;
}

static void turn(struct fetcher *f)
{
    bool more = false;

    while (f->phase != PHASE_OVER && !f->writer_gone) {
        int wait = deadline(f);
        bool room = f->phase == PHASE_TALK && dialog_orders_room(f->dialog) > 0;
        struct pollfd p[2] = { { f->sock, f->want_write ? 0 : POLLIN, 0 }, { f->link, 0, 0 } };

        if (f->phase == PHASE_OVER)
            break;
        if (room)
            p[1].events = POLLIN;
        if (fetcher_wants_write(f))
            p[0].events |= POLLOUT;
        if (poll(p, 2, more ? 0 : wait) < 0 && errno != EINTR)
            break;
        if (p[1].revents)
            orders(f);
        if ((p[1].revents & (POLLHUP | POLLERR)) && dialog_orders_room(f->dialog) == 0)
            break;
        more = more || (p[0].revents & (POLLIN | POLLHUP | POLLERR)) || (p[0].revents && f->want_write);
        if (p[0].revents & POLLOUT)
            fetcher_writable(f);
        more = more && f->phase != PHASE_OVER && fetcher_readable(f);
        if (f->phase != PHASE_OVER && fetcher_wants_write(f))
            fetcher_writable(f);
    }
}

/* The writer reads up to LINK_ENDED and hangs up. Were we gone before, with orders of its unread, what it has not read
 * yet would be behind an error (ECONNRESET, unix(7)), and its next order would fail. */
static void linger(struct fetcher *f)
{
    struct pollfd p = { f->link, POLLIN, 0 };
    struct link_msg m;
    struct err e;

    while (!f->writer_gone) {
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            return;
        if (link_recv(f->link, f->packet, true, &m, &e) < 0)
            return;
    }
}

/* The writer knows why (LINK_ENDED), or is gone. */
static _Noreturn void leave(struct fetcher *f)
{
    if (f->secure)
        tls_client_shutdown(f->tls);
    fetcher_free(f);
    linger(f);
    free(f);
    _exit(0); /* no exit handlers: they belong to a process with more rights */
}

int main(int argc, char **argv)
{
    struct fetcher *f = mem_zero(1, sizeof *f);
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct err e = { 0 };

    (void)argv;
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGINT, &ignore, NULL); /* a Ctrl-C at the terminal is the writer's to handle */
    f->link = WRITER_FD;
    if (argc > 1 || fcntl(WRITER_FD, F_GETFD) < 0) {
        fputs("restante-fetch is started by restante and does nothing by itself; see restante(1)\n", stderr);
        return 64;
    }
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL); /* SCRAM, APOP, CRAM-MD5 without TLS: openssl.cnf */
    tzset(); /* certificates' times go through localtime: no file can be opened later */
    if (!fetcher_start(f, &e)) {
        fetcher_end(f, e.fault == FAULT_PERM ? FAILURE_TLS_POLICY : FAILURE_CLIENT, e.text);
        leave(f);
    }
    if (!cage_enter(&e)) {
        fetcher_end(f, FAILURE_CLIENT, e.text);
        leave(f);
    }
    fcntl(f->link, F_SETFL, O_NONBLOCK);
    fetcher_begin(f);
    turn(f);
    leave(f);
}
