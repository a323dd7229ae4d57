/* auth_stores.c - which store worker serves which uid and gid, and asking for one that is not there yet.
 *
 * Does not know: grants, how stores are started.
 */
#include "server/auth/auth_worker.h"

#include "base/log.h"

#include <unistd.h>

struct auth_store *stores_find(struct auth *w, uint32_t uid, uint32_t gid)
{
    for (uint32_t i = 0; i < w->nstore; i++)
        if (w->store[i].channel && w->store[i].uid == uid && w->store[i].gid == gid)
            return &w->store[i];
    return NULL;
}

static struct auth_store *by_id(struct auth *w, uint32_t id)
{
    for (uint32_t i = 0; i < w->nstore; i++)
        if (w->store[i].id == id)
            return &w->store[i];
    return NULL;
}

static struct auth_store *asked_for(struct auth *w, uint32_t uid, uint32_t gid)
{
    for (uint32_t i = 0; i < w->nasked; i++)
        if (w->asked[i].uid == uid && w->asked[i].gid == gid)
            return &w->asked[i];
    return NULL;
}

static void forget_asked(struct auth *w, uint32_t uid, uint32_t gid)
{
    struct auth_store *asked = asked_for(w, uid, gid);

    if (asked)
        *asked = w->asked[--w->nasked];
}

/* Lets the logins go on that wait for this uid: with a store or without one. */
static void wake(struct auth *w, uint32_t uid, uint32_t gid)
{
    struct table_key key;
    uint32_t cursor = 0;
    struct attempt **at;

    forget_asked(w, uid, gid);
    while ((at = table_next(w->attempts, &cursor, &key)) != NULL) {
        struct attempt *a = *at;

        if (a->stage == AT_STORE && a->uid == uid && a->gid == gid)
            finish_with_store(a);
    }
}

static void on_late(uv_timer_t *timer)
{
    struct attempt *a = timer->data;

    forget_asked(a->auth, a->uid, a->gid);
    attempt_fail(a, RC_SYS_TEMP, "store-timeout");
}

void stores_ask(struct attempt *a)
{
    struct auth *w = a->auth;
    struct msg m;

    a->stage = AT_STORE;
    attempt_timer(a, (uint64_t)w->conf->auth.timeout_s * 1000, on_late);
    if (asked_for(w, a->uid, a->gid))
        return;
    msg_init(&m, MSG_NEED_STORE, 0);
    m.uid = a->uid;
    m.gid = a->gid;
    if (w->nasked == AUTH_STORES || !channel_send(w->super, &m)) {
        attempt_fail(a, RC_SYS_TEMP, "store-not-asked");
        return;
    }
    w->asked[w->nasked++] = (struct auth_store){ NULL, 0, a->uid, a->gid };
}

void stores_flush(void *auth)
{
    struct auth *w = auth;

    if (w->granting)
        channel_flush(w->granting->channel);
    w->granting = NULL;
}

bool stores_grant(struct auth *w, struct auth_store *store, const struct msg *grant)
{
    if (w->granting != store)
        stores_flush(w);
    w->granting = store;
    return channel_send(store->channel, grant);
}

static void on_store(void *ctx, struct channel *ch, struct msg *m)
{
    (void)ctx;
    (void)ch;
    (void)m; /* stores have nothing to say to auth: msg_permitted closes one that tries */
}

static void store_gone(void *ctx, struct channel *ch, const struct err *why)
{
    struct auth *w = ctx;
    struct auth_store *s = by_id(w, channel_id(ch));
    struct msg lost;

    event(LOG_INFO, "peer-gone", F_STR("peer", "store"), F_U64("id", channel_id(ch)), F_ERR(why));
    if (s && w->granting == s)
        w->granting = NULL; /* its grants went with it */
    else
        stores_flush(w);
    if (s && s->channel == ch)
        *s = w->store[--w->nstore];
    msg_init(&lost, MSG_LOST, 0); /* if it lives it gets a new channel */
    lost.role = ROLE_STORE;
    lost.id = channel_id(ch);
    channel_send(w->super, &lost);
}

void stores_attach(struct auth *w, const struct msg *m, int fd)
{
    static const struct channel_ops ops = { on_store, store_gone };
    struct auth_store *s = by_id(w, m->id);

    if (!s && w->nstore == AUTH_STORES) {
        close(fd);
        return;
    }
    if (!s) {
        s = &w->store[w->nstore++];
        *s = (struct auth_store){ NULL, m->id, 0, 0 };
    }
    stores_flush(w);
    channel_close(&s->channel); /* a new process of that number */
    s->uid = m->uid;
    s->gid = m->gid;
    s->channel = channel_open(w->loop, fd, ROLE_AUTH, ROLE_STORE, m->id, &ops, w);
    channel_batch(s->channel, NULL);
    wake(w, m->uid, m->gid);
}

void stores_answer(struct auth *w, const struct msg *m)
{
    struct auth_store *s = m->number ? by_id(w, m->number) : stores_find(w, m->uid, m->gid);

    if (m->number && !s)
        return; /* its channel is on its way */
    if (s && !m->number) { /* none to be had (any more): what we have is ending */
        stores_flush(w);
        channel_close(&s->channel);
        *s = w->store[--w->nstore];
    }
    wake(w, m->uid, m->gid);
}
