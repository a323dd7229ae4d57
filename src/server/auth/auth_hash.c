/* auth_hash.c - the hash workers: one request at a time each, the rest waits in a bounded queue.
 *
 * A request that takes longer than auth.timeout_s, waiting included, fails its login with [SYS/TEMP]. The worker
 * that has it is given up: its channel is closed, and the supervisor starts another.
 * Does not know: what is compared with what.
 */
#include "server/auth/auth_worker.h"

#include "base/log.h"

#include <stdlib.h>
#include <unistd.h>

static void pump(struct auth *w);

static struct hasher *hasher_of(struct auth *w, uint64_t request)
{
    for (uint32_t i = 0; i < AUTH_HASHERS; i++)
        if (w->hasher[i].request == request)
            return &w->hasher[i];
    return NULL;
}

static void unqueue(struct auth *w, struct attempt *a)
{
    for (struct attempt **at = &w->queue; *at; at = &(*at)->next)
        if (*at == a) {
            *at = a->next;
            if (!*at)
                w->queue_tail = at;
            w->queued--;
            return;
        }
}

void hash_forget(struct attempt *a)
{
    if (a->stage == AT_HASH)
        unqueue(a->auth, a); /* a worker that has it already finishes; nobody will miss the answer */
    a->request = 0;
}

static void on_late(uv_timer_t *timer)
{
    struct attempt *a = timer->data;
    struct auth *w = a->auth;
    struct hasher *h = hasher_of(w, a->request);

    if (h) {
        event(LOG_ERROR, "hasher-hangs", F_U64("id", h - w->hasher));
        h->request = 0;
        channel_close(&h->channel);
    }
    attempt_fail(a, RC_SYS_TEMP, h ? "hash-timeout" : "no-hash-worker");
}

static bool send_check(struct hasher *h, struct attempt *a)
{
    struct msg m;

    msg_init(&m, MSG_HASH_CHECK, a->request);
    m.user = buf_span(&a->stored);
    m.secret = buf_span(&a->secret);
    if (!channel_send(h->channel, &m))
        return false;
    h->request = a->request;
    h->sid = a->sid;
    return true;
}

static void pump(struct auth *w)
{
    for (uint32_t i = 0; i < AUTH_HASHERS && w->queue; i++) {
        struct hasher *h = &w->hasher[i];
        struct attempt *a = w->queue;

        if (h->channel && !h->request && send_check(h, a))
            unqueue(w, a);
    }
}

bool hash_ask(struct attempt *a, struct span stored)
{
    struct auth *w = a->auth;

    if (w->queued >= AUTH_QUEUE || !buf_put_span(&a->stored, stored))
        return false;
    a->stage = AT_HASH;
    a->request = ++w->last_request;
    a->next = NULL;
    *w->queue_tail = a;
    w->queue_tail = &a->next;
    w->queued++;
    attempt_timer(a, (uint64_t)w->conf->auth.timeout_s * 1000, on_late);
    pump(w);
    return true;
}

static void on_hasher(void *ctx, struct channel *ch, struct msg *m)
{
    struct hasher *h = ctx;
    struct auth *w = h->auth;
    struct attempt *a;

    (void)ch;
    if (!h->request || m->sid != h->request) {
        event(LOG_ERROR, "hasher-distrusted", F_U64("id", h - w->hasher));
        channel_close(&h->channel);
        h->request = 0;
        return;
    }
    h->request = 0;
    a = attempt_find(w, h->sid);
    if (a && a->stage == AT_HASH && a->request == m->sid) {
        uv_timer_stop(&a->timer);
        a->request = 0;
        a->stage = AT_NEW;
        verify_hashed(a, m->code == 1, m->fault != FAULT_NONE);
    }
    pump(w);
}

static void hasher_gone(void *ctx, struct channel *ch, const struct err *why)
{
    struct hasher *h = ctx;
    struct auth *w = h->auth;
    uint64_t request = h->request;
    struct attempt *a = request ? attempt_find(w, h->sid) : NULL;

    event(LOG_INFO, "peer-gone", F_STR("peer", "hash"), F_U64("id", channel_id(ch)), F_ERR(why));
    h->channel = NULL;
    h->request = 0;
    if (a && a->stage == AT_HASH && a->request == request)
        attempt_fail(a, RC_SYS_TEMP, "hash-worker-died");
}

void hash_attach(struct auth *w, uint32_t id, int fd)
{
    static const struct channel_ops ops = { on_hasher, hasher_gone };
    struct hasher *h = &w->hasher[id % AUTH_HASHERS];
    struct err why = { FAULT_GONE, "replaced" };

    if (id >= AUTH_HASHERS) {
        close(fd);
        return;
    }
    if (h->channel) {
        struct channel *old = h->channel;

        hasher_gone(h, old, &why);
        channel_close(&old);
    }
    h->auth = w;
    h->channel = channel_open(w->loop, fd, ROLE_AUTH, ROLE_HASH, id, &ops, h);
    pump(w);
}
