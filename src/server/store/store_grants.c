/* store_grants.c - grants: auth's word that a session of a front may have a maildrop. Valid once, for ten seconds.
 *
 * Does not know: maildrops, sessions.
 */
#include "server/store/store_worker.h"

#include "base/secret.h"

#include <stdlib.h>

static struct grant **bucket_of(struct store_worker *w, const uint8_t id[GRANT_OCTETS])
{
    return &w->grants[(id[0] | id[1] << 8) % STORE_BUCKETS]; /* random octets: they hash themselves */
}

void grant_free(struct grant *g)
{
    if (!g)
        return;
    free(g->user);
    free(g->path);
    free(g);
}

static void set_policy(struct grant *g, const struct msg *m)
{
    g->policy = (struct store_policy){
        .sessions = m->flags & MSGF_SHARED ? STORE_SHARED : STORE_EXCLUSIVE,
        .create = m->flags & MSGF_CREATE,
        .move_to_cur = m->flags & MSGF_MOVE_TO_CUR,
        .mark_seen = m->flags & MSGF_MARK_SEEN,
        .durable = m->flags & MSGF_DURABLE,
        .need_legacy = m->flags & MSGF_LEGACY,
        .expire_days = m->expire_days,
    };
    g->takeover = m->flags & MSGF_TAKEOVER;
}

void grant_put(struct store_worker *w, const struct msg *m)
{
    struct grant **bucket = bucket_of(w, m->grant), *g;

    if (w->ngrants >= GRANTS_MAX)
        return; /* the login fails: [SYS/TEMP] */
    g = mem_zero(1, sizeof *g);
    memcpy(g->id, m->grant, sizeof g->id);
    g->front = m->id;
    g->sid = m->sid;
    g->expires_ms = uv_now(w->loop) + GRANT_LIFE_MS;
    g->user = mem_strn(m->user);
    g->path = mem_strn(m->path);
    set_policy(g, m);
    g->next = *bucket;
    *bucket = g;
    w->ngrants++;
}

struct grant *grant_take(struct store_worker *w, const uint8_t id[GRANT_OCTETS], uint32_t front, uint64_t sid)
{
    for (struct grant **at = bucket_of(w, id); *at; at = &(*at)->next) {
        struct grant *g = *at;

        if (!secret_eq(span_of(g->id, GRANT_OCTETS), span_of(id, GRANT_OCTETS)))
            continue;
        *at = g->next;
        w->ngrants--;
        g->next = NULL;
        if (g->front == front && g->sid == sid && g->expires_ms >= uv_now(w->loop))
            return g;
        grant_free(g); /* shown by the wrong front, or too late: void for everybody */
        return NULL;
    }
    return NULL;
}

void grants_expire(struct store_worker *w)
{
    for (unsigned i = 0; i < STORE_BUCKETS; i++)
        for (struct grant **at = &w->grants[i]; *at;) {
            struct grant *g = *at;

            if (g->expires_ms >= uv_now(w->loop)) {
                at = &g->next;
                continue;
            }
            *at = g->next;
            w->ngrants--;
            grant_free(g);
        }
}
