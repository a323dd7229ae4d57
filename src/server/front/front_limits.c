/* front_limits.c - limits in time and number: idle sessions, stalled handshakes, floods.
 *
 * One timer a second for all connections; the lists are ordered by age, so a tick looks only at what is due.
 * Against floods the oldest connections that have not logged in are shed when their number passes a limit: the
 * idle limit itself stays at RFC 1939's ten minutes in every state (C04). Does not know: POP3.
 */
#include "server/front/front.h"

#include "base/log.h"

#include <malloc.h>
#include <openssl/err.h>

enum { TICK_MS = 1000, TRIM_TICKS = 8, TRIM_KEEP = 512 * 1024 };

/* Silently: no reply text, no UPDATE; TLS gets its close_notify (R1939-GEN-19). */
static void expire(struct conn *c, const char *why)
{
    if (c->ssl && c->phase == PH_POP3) {
        SSL_shutdown(c->ssl);
        ERR_clear_error();
    }
    conn_close(c, why);
}

static void expire_idle(struct front *f, uint64_t now)
{
    for (uint32_t s = 0; s < FRONT_SECTIONS; s++) {
        struct link *list = &f->idle[s];

        while (list->next != list) {
            struct conn *c = CONN_OF(list->next, idle);
            uint64_t limit = (uint64_t)c->site->conf->listen[c->section].idle_s * 1000;

            if (now - c->active_ms < limit)
                break;
            if (c->wait == WAIT_AUTH || c->wait == WAIT_OPEN || c->wait == WAIT_COMMIT) {
                conn_touch(c); /* it waits for us, not we for it */
                continue;
            }
            expire(c, "idle");
        }
    }
    while (f->linger.next != &f->linger) {
        struct conn *c = CONN_OF(f->linger.next, idle);

        if (now - c->active_ms < FRONT_LINGER_MS)
            break;
        conn_close(c, "closed");
    }
}

/* Auth or a store that does not answer: the client hears of it. The connection ends, so that a late answer can never
 * be taken for that of another login. */
static void expire_asking(struct front *f, uint64_t now)
{
    while (f->asking.next != &f->asking) {
        struct conn *c = CONN_OF(f->asking.next, asking);
        const struct conf *conf = c->site->conf;
        /* The throttle may hold an answer back that long on purpose. */
        uint64_t wait_s = conf->auth.timeout_s + (conf->auth.throttle ? conf->auth.throttle_max_s : 0);

        if (now - c->asked_ms < wait_s * 1000)
            return;
        event(LOG_ERROR, "login-timeout", F_SID(c->sid), F_STR("peer", c->wait == WAIT_AUTH ? "auth" : "store"));
        conn_give_up(c);
    }
}

/* Handshakes and PROXY headers have absolute deadlines (S-72): a byte now and then does not help. */
static void expire_handshakes(struct front *f, uint64_t now)
{
    struct link *next;

    for (struct link *l = f->waiting.next; l != &f->waiting; l = next) {
        struct conn *c = CONN_OF(l, waiting);
        uint64_t limit = (uint64_t)c->site->conf->tls.handshake_s * 1000;

        next = l->next;
        if (c->phase == PH_PROXY && now - c->accepted_ms >= FRONT_PROXY_MS)
            expire(c, "proxy-timeout");
        else if (c->phase == PH_HANDSHAKE && now - c->accepted_ms >= limit)
            expire(c, "handshake-timeout");
    }
}

/* Those that were at work in the last two ticks and are not now: each is visited once or twice, then never again. */
static void rest_idle(struct front *f, uint64_t now)
{
    for (uint32_t s = 0; s < FRONT_SECTIONS; s++)
        for (struct link *l = f->idle[s].prev; l != &f->idle[s]; l = l->prev) {
            struct conn *c = CONN_OF(l, idle);

            if (now - c->active_ms > 3 * TICK_MS)
                break;
            if (now - c->active_ms >= TICK_MS)
                conn_rest(c);
        }
}

/* What ended sessions and put-away listings held lies between what is in use: the heap alone never gives it back. */
static void trim_heap(struct front *f)
{
    if (++f->ticks % TRIM_TICKS || !f->freed)
        return;
    f->freed = false;
    malloc_trim(TRIM_KEEP);
}

static void on_tick(uv_timer_t *timer)
{
    struct front *f = timer->data;
    uint64_t now = uv_now(f->loop);

    expire_asking(f, now);
    expire_idle(f, now);
    expire_handshakes(f, now);
    rest_idle(f, now);
    conn_free_closed(f);
    front_ahead_tick(f);
    trim_heap(f);
    if (f->accepting_paused && !f->stopping) {
        f->accepting_paused = false;
        for (uint32_t i = 0; i < f->nlistener; i++)
            if (f->listener[i]->active)
                front_listen(f->listener[i]);
    }
}

void front_limits_start(struct front *f)
{
    for (uint32_t s = 0; s < FRONT_SECTIONS; s++)
        link_init(&f->idle[s]);
    link_init(&f->linger);
    link_init(&f->waiting);
    link_init(&f->asking);
    link_init(&f->closed);
    link_init(&f->aheads);
    f->tick.data = f;
    uv_timer_init(f->loop, &f->tick);
    uv_timer_start(&f->tick, on_tick, TICK_MS, TICK_MS);
}

void front_shed(struct front *f)
{
    uint32_t fronts = f->site->conf->workers.fronts ? f->site->conf->workers.fronts : 1;
    uint32_t limit = (f->site->conf->limits.not_logged_in + fronts - 1) / fronts;

    while (limit && f->nwaiting > limit && f->waiting.next != &f->waiting) {
        counters_add(f->counters, f->id, CNT_SHED, 1);
        expire(CONN_OF(f->waiting.next, waiting), "shed");
    }
}

bool front_may_accept(struct front *f, const struct net_addr *a)
{
    const struct conf *c = f->site->conf;
    char addr[NET_ADDR_TEXT];

    if (c->limits.connections && counters_sum(f->counters, CNT_OPEN) >= c->limits.connections)
        return false;
    if (!c->limits.connections_per_address ||
        counters_address(f->counters, a) < c->limits.connections_per_address)
        return true;
    net_addr_text(a, addr);
    event(LOG_WARNING, "address-limit", F_STR("addr", addr));
    return false;
}
