/* auth_worker.h - the auth worker: who may log in.
 *
 * It holds the users file and nothing else of value: no network, no mail. Fronts bring credentials, hash workers
 * check passwords, stores get the grants; one event loop ties them together. An attempt is found by its session
 * id, never by pointer, across anything asynchronous. Files: auth_main.c (start, supervisor), auth_site.c (what
 * follows from the configuration and the users file), auth_front.c (messages of fronts), auth_attempt.c (life
 * and end of an attempt), auth_verify.c (credentials), auth_sasl.c (SASL steps), auth_finish.c (policies, grant),
 * auth_hash.c (hash workers), auth_stores.c (which store serves which uid).
 */
#ifndef RESTANTE_SERVER_AUTH_AUTH_WORKER_H
#define RESTANTE_SERVER_AUTH_AUTH_WORKER_H

#include "auth/grants.h"
#include "auth/table.h"
#include "auth/throttle.h"
#include "auth/users_file.h"
#include "auth/verified.h"
#include "ipc/channel.h"
#include "pop3/engine.h"
#include "sasl/sasl.h"
#include "server/conf.h"

enum auth_limit {          /* value  why */
    AUTH_FRONTS = 1024,
    AUTH_HASHERS = 64,
    AUTH_ATTEMPTS = 65536, /* logins under way; a front allows far fewer connections that have not logged in */
    AUTH_QUEUE = 8192,     /* passwords waiting for a hash worker: a storm after a restart; slow ones time out */
    AUTH_STORES = 4096,
    AUTH_ERROR_MAX = 64 * 1024 /* octets of faults of one users file that are logged */
};

enum attempt_stage {
    AT_NEW,
    AT_DELAY, /* waits before its credentials are looked at */
    AT_SASL,  /* the client's turn */
    AT_HASH,  /* a hash worker's turn, or in the queue for one */
    AT_STORE, /* a store is being started */
    AT_REPLY  /* failed; the answer waits */
};

struct auth;
struct attempt;
typedef void attempt_step(struct attempt *a);

/* One login under way. Owned by auth->attempts (by sid) until attempt_drop. */
struct attempt {
    struct auth *auth;
    uint64_t sid;
    enum attempt_stage stage;
    uv_timer_t timer;
    attempt_step *after;      /* what follows the delay */
    struct net_addr addr;
    uint32_t flags;           /* msg_flag of the message that began it */
    bool sasl_in_use, apop;
    struct sasl sasl;
    const char *mech;         /* for logs */
    struct buf given, name;   /* the user as given, as prepared */
    struct buf secret;        /* password as given, then as prepared; or the digest of APOP */
    struct buf timestamp;     /* of APOP */
    struct buf unique, exporter, certificate;
    uint64_t began_ms;
    bool decoy;               /* it fails whatever the check says; reason is why */
    const char *reason;       /* for the log alone */
    char *user;               /* the account whose credentials were shown (as in the users file) */
    char *target;             /* the account that is logged in: the same but for masters */
    struct buf stored;        /* the stored password, while the hash workers have it to do and after */
    uint64_t request;
    struct attempt *next;     /* in the queue for hash workers */
    uint32_t uid, gid;
    struct buf path;
    uint8_t code;             /* of the answer that waits */
};

struct hasher {
    struct auth *auth;
    struct channel *channel;
    uint64_t sid, request;    /* what it works on; request 0 = idle */
};

struct auth_store {
    struct channel *channel;
    uint32_t id, uid, gid;
};

struct auth {
    uv_loop_t *loop;
    struct conf *conf;
    struct channel *super, *front[AUTH_FRONTS];
    struct hasher hasher[AUTH_HASHERS];
    struct attempt *queue, **queue_tail;
    uint32_t queued;
    uint64_t last_request;
    struct auth_store *store; /* AUTH_STORES slots by use, not by id */
    uint32_t nstore;
    struct auth_store *asked; /* uid, gid pairs that the supervisor was asked for */
    uint32_t nasked;
    struct table *attempts;   /* sid -> struct attempt * */
    struct throttle *throttle;
    struct grants *grants;
    struct verified *verified;
    struct users_file *users;
    int users_fd;             /* the users file as the supervisor opened it */
    bool users_given;
    bool users_ok;            /* a users file was read at least once */
    struct net_block *exempt;
    uint32_t nexempt;
    uint32_t mechs;           /* what the fronts were told */
    uint8_t fake_secret[32];  /* salts of users that do not exist */
    bool root, stopping;
    uint32_t own_uid, own_gid;         /* when not root: whose mail this is */
    uint32_t default_uid, default_gid; /* of users without uid; 0 = there is none */
    uv_timer_t stop_timer;
    uv_prepare_t turn;                 /* log lines leave before the loop waits */
    struct auth_store *granting;       /* the store that grants may still be on their way to; NULL = none */
};

/* auth_site.c */
void site_apply(struct auth *w, struct conf **conf, bool first); /* takes conf; reads the users file */
void site_give_users(struct auth *w, int fd); /* takes fd; -1 = the file is missing */
void site_look(struct auth *w);                                  /* has the users file changed? */
void site_tell_mechs(struct auth *w, struct channel *front);
bool site_exempt(const struct auth *w, const struct net_addr *addr);
const struct users_entry *site_find(const struct auth *w, struct span name);
bool site_is_master(const struct auth *w, const struct users_entry *entry);

/* auth_front.c */
void auth_on_front(void *ctx, struct channel *ch, struct msg *m);
void auth_front_gone(void *ctx, struct channel *ch, const struct err *why);
void auth_front_drop(struct auth *w, uint32_t id); /* its attempts and sessions end */

/* auth_attempt.c */
struct attempt *attempt_new(struct auth *w, const struct msg *m);
struct attempt *attempt_find(struct auth *w, uint64_t sid);
void attempt_drop(struct attempt *a); /* frees; a is invalid afterwards */
void attempt_fail(struct attempt *a, enum resp_code code, const char *reason);
void attempt_after(struct attempt *a, attempt_step *step); /* step, as soon as the throttle lets it */
void attempt_passed(struct attempt *a);                    /* the throttle may forget */
void attempt_timer(struct attempt *a, uint64_t ms, uv_timer_cb cb);

/* auth_verify.c */
bool verify_prepare(const struct auth *w, bool sasl, struct span in, struct buf *out);
const char *verify_bar(const struct attempt *a, const struct users_entry *entry, bool plaintext);
void verify_password(struct attempt *a);
void verify_apop(struct attempt *a);
void verify_hashed(struct attempt *a, bool right, bool broken);

/* auth_sasl.c */
void sasl_start(struct attempt *a, struct span data);
void sasl_continue(struct attempt *a, struct span data);

/* auth_finish.c */
void finish_verified(struct attempt *a, const struct users_entry *entry); /* credentials were right */
void finish_with_store(struct attempt *a);                               /* its store is there */

/* auth_hash.c */
bool hash_ask(struct attempt *a, struct span stored);
void hash_forget(struct attempt *a);
void hash_attach(struct auth *w, uint32_t id, int fd);

/* auth_stores.c */
struct auth_store *stores_find(struct auth *w, uint32_t uid, uint32_t gid);
void stores_ask(struct attempt *a);
void stores_attach(struct auth *w, const struct msg *m, int fd);
void stores_answer(struct auth *w, const struct msg *m);
bool stores_grant(struct auth *w, struct auth_store *store, const struct msg *grant);
void stores_flush(void *auth); /* every grant is on its way before what follows is */

/* auth_main.c */
void auth_maybe_exit(struct auth *w);

#endif
