/* store_worker.h - a store worker: opens, locks, serves and commits maildrops of one uid for the fronts.
 *
 * It has no network and no passwords. It serves a session only to the front that auth's grant names, once, within
 * ten seconds. Work that may wait for a disk (open, commit) runs in helper threads, one at a time per session;
 * handing out a message, and opening a maildrop that is as it was when last seen, is done at once. Files: store_main.c (start, orders), store_grants.c, store_sessions.c,
 * store_fetch.c.
 */
#ifndef RESTANTE_SERVER_STORE_WORKER_H
#define RESTANTE_SERVER_STORE_WORKER_H

#include "base/buf.h"
#include "ipc/channel.h"
#include "server/conf.h"
#include "store/store.h"
#include "store/warm.h"

#include <uv.h>

enum { STORE_FRONTS = 256, STORE_BUCKETS = 4096, GRANTS_MAX = 65536, GRANT_LIFE_MS = 10000,
       LOCK_RETRY_MS = 40, STORE_IDLE_MS = 300000 };

struct grant {
    struct grant *next;
    uint8_t id[GRANT_OCTETS];
    uint32_t front;
    uint64_t sid, expires_ms;
    char *user, *path;
    struct store_policy policy;
    bool takeover;
};

struct work;  /* an open or a commit under way: store_sessions.c */
struct retry; /* a wait for a lock */

/* A session is idle nearly all its life: what it needs only now and then stands elsewhere. */
struct session {
    struct session *next;       /* in its bucket */
    struct store_worker *worker;
    uint64_t sid;
    struct grant *grant;        /* whom it serves: path, user, policy */
    struct drop *drop;
    struct work *work;          /* in a helper thread now; NULL = none */
    struct retry *retry;        /* waits for the maildrop's lock; NULL = does not */
    uint64_t give_up_ms;        /* waiting for the lock until then */
    uint32_t front;
    bool closing;               /* the front left: close when the work is done */
};

struct store_worker {
    uv_loop_t *loop;
    struct channel *super, *auth;
    struct channel *front[STORE_FRONTS];
    struct conf *conf;
    const struct store_ops *ops;
    struct warm *warm;          /* what is known of maildrops opened before; NULL = cannot be */
    struct grant *grants[STORE_BUCKETS];
    uint32_t ngrants;
    struct session *sessions[STORE_BUCKETS];
    uint32_t nsessions, nbusy;
    uv_timer_t tick;
    uv_prepare_t turn; /* log lines leave before the loop waits */
    uint64_t idle_since_ms;
    bool ready, stopping;
};

/* store_grants.c */
void grant_put(struct store_worker *w, const struct msg *m);
struct grant *grant_take(struct store_worker *w, const uint8_t id[GRANT_OCTETS], uint32_t front, uint64_t sid);
void grant_free(struct grant *g);
void grants_expire(struct store_worker *w);

/* store_sessions.c */
void session_reply(struct session *s, struct msg *m); /* unless its front has left */
void store_on_front(void *ctx, struct channel *ch, struct msg *m);
void store_front_gone(void *ctx, struct channel *ch, const struct err *why);
void store_maybe_exit(struct store_worker *w);

/* store_fetch.c */
void session_fetch(struct session *s, const struct msg *m);

#endif
