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

/* Milliseconds until the next deadline (capped), or 0 after one was missed and told. */
static int deadline(struct fetcher *f)
{
    uint64_t now = clock_mono_ms();
    uint64_t reply = (uint64_t)f->job.reply_s * 1000, read = (uint64_t)f->job.read_s * 1000, limit;
    bool waiting = f->phase != PHASE_TALK || dialog_waiting(f->dialog);
    char text[128];

    if (!waiting) {
        f->was_waiting = false;
        if (now - f->heard < NOOP_AFTER_MS)
            return (int)(NOOP_AFTER_MS - (now - f->heard));
        dialog_order(f->dialog, ORDER_NOOP, 0, 0); /* many servers hang up after a silent minute */
        return 0;
    }
    if (!f->was_waiting) {
        f->was_waiting = true;
        f->began = f->heard = f->window_from = now;
        f->window_octets = 0;
    }
    if (f->phase != PHASE_TALK) {
        limit = f->began + (uint64_t)f->job.connect_s * 1000;
    } else {
        limit = f->heard + (f->body_octets ? read : reply);
        if (now - f->window_from >= reply) {
            if (f->window_octets < reply / 1000 * TRICKLE)
                limit = now;
            f->window_from = now;
            f->window_octets = 0;
        } else if (f->window_from + reply < limit) {
            limit = f->window_from + reply;
            if (now < limit)
                return (int)(limit - now);
        }
    }
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
        struct pollfd p[2] = { { f->sock, POLLIN, 0 }, { f->link, 0, 0 } };

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
        if (p[0].revents & POLLOUT)
            fetcher_writable(f);
        more = (more || (p[0].revents & (POLLIN | POLLHUP | POLLERR))) && f->phase != PHASE_OVER && fetcher_readable(f);
        if (f->phase != PHASE_OVER && fetcher_wants_write(f))
            fetcher_writable(f);
    }
}

int main(int argc, char **argv)
{
    struct fetcher *f = mem_zero(1, sizeof *f);
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct err e = { 0 };
    bool landlocked;

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
    if (!fetcher_start(f, &e) || !cage_enter(&landlocked, &e)) {
        fetcher_end(f, FAILURE_PROTOCOL, e.text);
        _exit(70);
    }
    fcntl(f->link, F_SETFL, O_NONBLOCK);
    fetcher_begin(f);
    turn(f);
    if (f->secure)
        tls_client_shutdown(f->tls);
    fetcher_free(f);
    free(f);
    _exit(0); /* no exit handlers: they belong to a process with more rights */
}
