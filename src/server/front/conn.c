/* conn.c - the life of a connection in a front: accepted, admitted, begun, ended, forgotten.
 *
 * Does not know: how octets travel (conn_io.c), what the engine wants (conn_run.c), other processes (conn_login.c).
 */
#include "server/front/front.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "base/secret.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPT_PER_WAKE = 64, SLOT_BITS = 20, GENERATION_BITS = 28 };

static uint64_t sid_of(const struct front *f, uint32_t slot)
{
    uint64_t generation = f->generation[slot] & ((1u << GENERATION_BITS) - 1);

    return (uint64_t)f->id << 48 | generation << SLOT_BITS | slot;
}

struct conn *conn_find(struct front *f, uint64_t sid)
{
    uint32_t slot = (uint32_t)(sid & ((1u << SLOT_BITS) - 1));

    return slot < f->nslot && f->conn[slot] && f->conn[slot]->sid == sid ? f->conn[slot] : NULL;
}

/* A free slot, or UINT32_MAX when all numbers are in use. */
static uint32_t take_slot(struct front *f)
{
    if (f->nfree == 0) {
        uint32_t n = f->nslot ? f->nslot * 2 : 256;

        if (n > 1u << SLOT_BITS)
            return UINT32_MAX;
        f->conn = mem_grow(f->conn, n, sizeof(struct conn *));
        f->generation = mem_grow(f->generation, n, sizeof *f->generation);
        f->free_slot = mem_grow(f->free_slot, n, sizeof *f->free_slot);
        for (uint32_t i = n; i-- > f->nslot;) {
            f->conn[i] = NULL;
            /* Not from zero: a front that died had the same number, and a store may still know its sessions. */
            secret_random(&f->generation[i], sizeof f->generation[i]);
            f->free_slot[f->nfree++] = i;
        }
        f->nslot = n;
    }
    return f->free_slot[--f->nfree];
}

void conn_touch(struct conn *c)
{
    c->active_ms = uv_now(c->front->loop);
    if (c->phase != PH_LINGER) {
        link_out(&c->idle);
        link_last(&c->front->idle[c->section], &c->idle);
    }
}

void conn_wait(struct conn *c, enum conn_wait kind)
{
    c->wait = kind;
    link_out(&c->asking);
    if (kind != WAIT_AUTH && kind != WAIT_OPEN)
        return; /* a commit or a message has no limit: it is answered, or its worker ends */
    c->asked_ms = uv_now(c->front->loop);
    link_last(&c->front->asking, &c->asking);
}

/* Unpredictable octets, fetched for many connections at once; each is handed out once (a front never forks). */
static void take_random(struct front *f, uint8_t *dst, size_t n)
{
    if (f->random_n < n) {
        secret_random(f->random, sizeof f->random);
        f->random_n = sizeof f->random;
    }
    f->random_n -= n;
    memcpy(dst, f->random + f->random_n, n);
}

/* "<sid.random@host>": unlike any other ever issued (R1939-APOP-02). */
static char *make_apop(const struct conn *c)
{
    uint8_t raw[16], hex[32];
    char text[128];

    take_random(c->front, raw, sizeof raw);
    hex_put(hex, span_of(raw, sizeof raw));
    snprintf(text, sizeof text, "<%llx.%.32s@%.60s>", (unsigned long long)c->sid, (const char *)hex,
             c->site->conf->hostname);
    return mem_str(text);
}

static void set_link(struct conn *c)
{
    const struct conf_listen *l = &c->site->conf->listen[c->section];
    bool tls = c->ssl != NULL || c->edge_tls;

    c->link = (struct engine_link){
        .tls = tls,
        .stls = l->tls == CONF_TLS_STLS && c->site->tls && !tls,
        .stls_broken = l->tls == CONF_TLS_STLS && !c->site->tls,
        .plaintext_ok = site_has(c->site->trusted[c->section], &l->trusted, &c->peer),
        .auth_needs_tls = l->auth_needs_tls,
        .mechs = c->front->mechs,
    };
    c->link.binding = c->ssl && tls_has_binding(c->ssl);
    if (c->ssl && tls_site_asks_certificate(c->site->tls)) {
        uint8_t room[TLS_IDENTITIES_MAX];

        c->link.certificate = tls_identities(c->ssl, room) > 0;
    }
}

void conn_begin_pop3(struct conn *c)
{
    c->phase = PH_POP3;
    set_link(c);
    if (c->begun) {
        engine_tls_started(&c->engine, &c->link);
    } else {
        if (c->site->conf->auth.apop && (c->link.tls || !c->link.auth_needs_tls)) /* R1939-APOP-01 */
            c->apop = make_apop(c);
        engine_init(&c->engine, &c->site->engine, &c->link, c->apop, c->front->sasl);
        c->begun = true;
    }
    conn_run(c);
}

static void count_in(struct front *f, struct conn *c)
{
    counters_add(f->counters, f->id, CNT_CONNECTIONS, 1);
    counters_add(f->counters, f->id, CNT_OPEN, 1);
    counters_address_add(f->counters, f->id, &c->peer, 1);
    f->nopen++;
    f->nwaiting++;
}

static struct conn *conn_new(struct front_listener *l, int fd, const struct net_addr *peer)
{
    struct front *f = l->front;
    uint32_t slot = take_slot(f);
    struct conn *c;

    if (slot == UINT32_MAX)
        return NULL;
    c = mem_zero(1, sizeof *c);
    f->generation[slot]++;
    f->conn[slot] = c;
    c->front = f;
    c->site = site_ref(f->site);
    c->section = l->section;
    c->sid = sid_of(f, slot);
    c->socket.fd = fd;
    c->peer = *peer;
    c->in = BUF(FRONT_INPUT_CAP);
    c->out = BUF(4 * FRONT_SCRATCH);
    c->accepted_ms = c->active_ms = uv_now(f->loop);
    link_init(&c->idle);
    link_last(&f->idle[c->section], &c->idle);
    link_init(&c->asking);
    link_init(&c->waiting);
    link_last(&f->waiting, &c->waiting);
    count_in(f, c);
    return c;
}

/* One client: policy first, then its first phase. */
static void admit(struct front_listener *l, int fd, const struct net_addr *peer)
{
    struct front *f = l->front;
    const struct conf_listen *conf = &f->site->conf->listen[l->section];
    struct conn *c;

    if (conf->proxy ? !site_has(f->site->proxy_from[l->section], &conf->proxy_from, peer)
                    : !front_may_accept(f, peer)) {
        counters_add(f->counters, f->id, CNT_REFUSED, 1);
        close(fd);
        return;
    }
    c = conn_new(l, fd, peer);
    if (!c) {
        close(fd);
        return;
    }
    c->implicit = conf->tls == CONF_TLS_IMPLICIT;
    c->phase = conf->proxy ? PH_PROXY : PH_TLS_WAIT;
    if (c->phase == PH_TLS_WAIT && !c->implicit) {
        conn_begin_pop3(c);
    } else {
        conn_watch(c);
    }
    front_shed(f);
}

void conn_accept(struct front_listener *l)
{
    for (int i = 0; i < ACCEPT_PER_WAKE; i++) {
        struct sockaddr_storage ss;
        socklen_t n = sizeof ss;
        struct net_addr peer;
        int fd = accept4(l->fd, (struct sockaddr *)&ss, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
            l->front->accepting_paused = true; /* the tick begins again: no busy loop (S-81) */
            uv_poll_stop(&l->poll);
            event(LOG_ERROR, "accept-paused", F_STR("error", strerror(errno)));
        }
        if (fd < 0)
            return;
        if (net_addr_from((struct sockaddr *)&ss, &peer))
            admit(l, fd, &peer);
        else
            close(fd);
    }
}

/* The one line that sums a session up. */
static void log_session(const struct conn *c, const char *why)
{
    static const struct engine_stats none;
    const struct engine_stats *st = c->begun ? engine_stats(&c->engine) : &none;
    char addr[NET_ADDR_TEXT];

    net_addr_text(&c->peer, addr);
    event(LOG_INFO, "session", F_SID(c->sid), F_STR("addr", addr), F_U64("port", c->peer.port),
          F_STR("listen", c->site->conf->listen[c->section].name),
          F_STR("user", c->login && c->login->user ? c->login->user : ""),
          F_STR("tls", c->ssl ? SSL_get_version(c->ssl) : c->edge_tls ? "edge" : "none"),
          F_STR("cipher", c->ssl && SSL_get_cipher_name(c->ssl) ? SSL_get_cipher_name(c->ssl) : "none"),
          F_U64("commands", st->commands), F_U64("bad", st->bad), F_U64("retr", st->retr),
          F_U64("top", st->top), F_U64("dele", st->dele), F_U64("mail_octets", st->body_octets),
          F_U64("in", c->octets_in), F_U64("out", c->octets_out),
          F_U64("ms", uv_now(c->front->loop) - c->accepted_ms), F_STR("end", why));
    counters_add(c->front->counters, c->front->id, CNT_COMMANDS, st->commands);
    counters_add(c->front->counters, c->front->id, CNT_BAD_COMMANDS, st->bad);
    counters_add(c->front->counters, c->front->id, CNT_RETR, st->retr);
    counters_add(c->front->counters, c->front->id, CNT_OCTETS_IN, (int64_t)c->octets_in);
    counters_add(c->front->counters, c->front->id, CNT_OCTETS_OUT, (int64_t)c->octets_out);
}

void conn_free_closed(struct front *f)
{
    while (f->closed.next != &f->closed) {
        struct conn *c = CONN_OF(f->closed.next, idle);

        link_out(&c->idle);
        site_free(&c->site);
        free(c);
        f->freed = true;
    }
}

/* What a connection holds of the world outside it. */
static void let_go(struct conn *c)
{
    conn_cancel_login(c);
    conn_body_close(c);
    conn_ahead_drop(c);
    conn_release(c);
    buf_wipe(&c->in);
    buf_free(&c->out);
    free(c->apop);
    c->apop = NULL;
}

void conn_close(struct conn *c, const char *why)
{
    struct front *f = c->front;
    uint32_t slot = (uint32_t)(c->sid & ((1u << SLOT_BITS) - 1));

    if (c->phase == PH_CLOSED)
        return;
    if (c->phase != PH_LINGER)
        log_session(c, why);
    let_go(c);
    c->phase = PH_CLOSED;
    SSL_free(c->ssl);
    c->ssl = NULL;
    close(c->socket.fd); /* and so it leaves the poller's set */
    link_out(&c->idle);
    link_last(&f->closed, &c->idle);
    if (!c->logged_in)
        f->nwaiting--;
    link_out(&c->waiting);
    link_out(&c->asking);
    f->conn[slot] = NULL;
    f->free_slot[f->nfree++] = slot;
    f->nopen--;
    counters_add(f->counters, f->id, CNT_OPEN, -1);
    counters_address_add(f->counters, f->id, &c->peer, -1);
    if (f->stopping && f->nopen == 0)
        uv_stop(f->loop);
}

/* After the last reply: close_notify, FIN, then discard what the peer still sends. Closing a socket with unread
 * octets would send RST and could destroy the reply on its way (R1939-QUIT-08, QUIT-09). */
void conn_finish(struct conn *c)
{
    c->socket.more = true; /* the end travels with the last octets */
    if (c->ssl && !c->peer_gone)
        SSL_shutdown(c->ssl);
    ERR_clear_error();
    if (c->eof || c->peer_gone) {
        conn_close(c, "closed");
        return;
    }
    log_session(c, "closed");
    let_go(c);
    shutdown(c->socket.fd, SHUT_WR);
    c->want_write = false;
    c->phase = PH_LINGER;
    c->active_ms = uv_now(c->front->loop);
    link_out(&c->idle);
    link_last(&c->front->linger, &c->idle);
    conn_watch(c);
}
