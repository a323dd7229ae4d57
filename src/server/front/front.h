/* front.h - a front: accepts clients, speaks TLS and POP3, trusts nobody and is trusted with little.
 *
 * A front has no file system, no users file, no keys but TLS's. Who may log in it asks of the auth worker, mail it
 * gets as descriptors from store workers. One thread, one event loop; connections are found by session id, never
 * by pointer, across anything asynchronous. Files: front_main.c (start and reload), conn.c (a connection's life),
 * poller.c (which sockets are ready), conn_io.c (octets in and out, TLS), conn_run.c (driving the engine),
 * conn_login.c (auth and store dialogue), conn_fetch.c (descriptors of messages), conn_mail.c (their octets),
 * front_limits.c (time and number limits).
 */
#ifndef RESTANTE_SERVER_FRONT_H
#define RESTANTE_SERVER_FRONT_H

#include "base/buf.h"
#include "base/net_addr.h"
#include "ipc/channel.h"
#include "mail/surrogate.h"
#include "net/tls.h"
#include "pop3/engine.h"
#include "pop3/engine_impl.h"
#include "server/conf.h"
#include "server/counters.h"
#include "store/index.h"

#include <sys/epoll.h>
#include <uv.h>

enum front_limit {              /* value  why */
    FRONT_SCRATCH = 65536,      /* one write: four full TLS records */
    FRONT_READ = 16384,         /* one read */
    FRONT_BODY_READ = 65536,    /* one pread of a message */
    FRONT_INPUT_CAP = LIMIT_SASL_LINE + FRONT_READ + 64, /* an unfinished line and one read behind it */
    FRONT_WAKE_BUDGET = 512 * 1024, /* octets one connection may send before the others have their turn */
    FRONT_LINGER_MS = 2000,     /* after the last reply: read and discard until the peer closes */
    FRONT_PROXY_MS = 5000,      /* a PROXY header comes at once or not at all (PP-03 asks >= 3 s) */
    FRONT_STORES = 4096,
    FRONT_SECTIONS = 64
};

/* An intrusive list; each connection is on one list per purpose. */
struct link {
    struct link *prev, *next;
};

/* One generation of the configuration: shared by its connections, swapped whole at a reload. */
struct site {
    int refs;
    struct conf *conf;
    struct engine_conf engine;
    struct tls_site *tls;       /* NULL = none */
    struct net_block **trusted, **proxy_from; /* per listen section */
    bool tls_broken;
};

struct front_listener {
    uv_poll_t poll;
    struct front *front;
    int fd;
    uint32_t section;           /* index in conf.listen */
    bool stale, active;         /* active: of the present generation */
};

/* Whose answer a connection waits for; one request at a time. */
enum conn_wait { WAIT_NONE, WAIT_AUTH, WAIT_OPEN, WAIT_MESSAGE, WAIT_COMMIT };

enum conn_phase { PH_PROXY, PH_TLS_WAIT, PH_HANDSHAKE, PH_POP3, PH_LINGER, PH_CLOSED };

struct conn {
    struct link idle;           /* by last activity, in front->idle[section] or front->linger */
    struct link waiting;        /* not logged in, by age */
    struct link asking;         /* waits for auth or a store, by age */
    uint64_t asked_ms;
    struct front *front;
    struct site *site;
    uint32_t section;
    uint64_t sid;
    struct tls_socket socket;
    uint32_t watched;           /* what the poller looks for: EPOLLIN, EPOLLOUT; 0 = it does not know the socket */
    enum conn_phase phase;
    struct net_addr peer;
    uint64_t accepted_ms, active_ms;
    SSL *ssl;
    struct buf in, out;         /* unread input, unsent output: empty and freed while idle */
    struct engine engine;
    struct engine_link link;
    char *apop;
    struct login *login;        /* what a login needs, NULL before */
    struct body *body;          /* the message being sent, NULL else */
    struct ahead *ahead;        /* messages that will be wanted next (conn_fetch.c), NULL = none */
    uint64_t octets_in, octets_out;
    enum conn_wait wait;
    bool eof, peer_gone;        /* the peer ended its side; nothing can be sent any more */
    bool edge_tls;              /* TLS ended at a trusted proxy */
    bool want_write;            /* TLS must write before it can go on */
    bool more_input;            /* the socket or TLS may hold more than was read */
    bool logged_in;
    bool implicit;              /* implicit TLS: the engine begins after the handshake */
    bool begun;                 /* the engine runs */
};

/* Of a session after auth said yes. */
struct login {
    uint32_t store;
    uint8_t grant[GRANT_OCTETS];
    char *user;
    enum mech_id mech;
    struct engine_policy policy;
    struct index_reader listing; /* over the descriptor that the store sent */
    bool has_listing;
    bool asked;                  /* auth knows of it */
    bool granted;                /* auth said yes: it must hear of the end */
    bool opened;                 /* the store may hold a maildrop for it: it must be closed */
    struct buf challenge;        /* on its way to the client */
    const char *how;             /* "USER", "APOP" or the mechanism, for the log */
    uint8_t *marks;              /* deleted, then retrieved */
    struct drop_view view;
};

/* A message on its way: the descriptor and, after a cold read, octets that wait. */
struct body {
    int fd;
    uint64_t at, size;
    uint8_t *cold;              /* from a helper thread */
    size_t cold_n, cold_used;
    bool reading, orphan;       /* orphan: the connection is gone, the thread frees */
    int error;
    struct surrogate *surrogate; /* for a client without UTF8 when the site says so (RFC 6858), NULL else */
    struct buf converted;        /* what it made of the last read */
    size_t converted_used;
    bool surrogate_ended;
    uint64_t sid;
    struct front *front;
    uv_work_t work;
};

struct front {
    uv_loop_t *loop;
    uint32_t id;                /* number among the fronts; top 16 bits of a session id */
    struct channel *super, *auth;
    struct channel *store[FRONT_STORES];
    struct site *site;
    struct front_listener **listener;
    uint32_t nlistener;
    struct conn **conn;         /* slots; a sid is front id, generation and slot */
    uint32_t *generation;
    uint32_t nslot, *free_slot, nfree, nopen, nwaiting;
    struct link idle[FRONT_SECTIONS]; /* one per listen section */
    struct link linger;
    struct link waiting, asking;
    struct link closed;         /* not freed yet: a caller may still look at the phase */
    uv_poll_t poll;             /* the poller's set in the loop */
    int poll_fd;
    struct link aheads;         /* tables of early messages, and how many they hold or wait for */
    uint32_t nahead, ahead_most;
    uint32_t mechs;
    uint32_t expire_days, login_delay_s, per_user; /* as auth last said (MSG_MECHS) */
    bool has_policies;
    struct counters *counters;
    uv_timer_t tick;
    uv_prepare_t turn;          /* log lines leave before the loop waits */
    uint32_t ticks;
    bool freed;                 /* memory was, since the heap was last trimmed */
    bool stopping, accepting_paused;
    uint8_t *scratch;           /* FRONT_SCRATCH: output being made */
    uint8_t *sasl;              /* LIMIT_SASL_LINE: decoded SASL lines */
    uint8_t *read_room;         /* FRONT_BODY_READ: what a read brings */
    uint8_t *input;             /* FRONT_READ: what a client's socket brings, before it is kept */
    uint8_t random[512];        /* for APOP's timestamps: the first random_n octets have not been used */
    size_t random_n;
    uint8_t tickets[TLS_TICKET_KEYS * TLS_TICKET_KEY_OCTETS];
    size_t tickets_n;
    struct conf *next_conf;     /* arrived, waiting for MSG_GO */
    struct tls_site *next_tls;
    bool next_tls_broken, ready;
};

/* conn.c */
void conn_accept(struct front_listener *l);
void conn_close(struct conn *c, const char *why);   /* c is invalid afterwards, but for its phase */
void conn_free_closed(struct front *f);             /* only where no connection is at work */
void conn_finish(struct conn *c);                   /* all sent: close_notify, FIN, linger */
struct conn *conn_find(struct front *f, uint64_t sid);
void conn_wait(struct conn *c, enum conn_wait kind);  /* until an answer comes, or WAIT_NONE */
void conn_touch(struct conn *c);                    /* progress: the idle clock starts anew */
void conn_begin_pop3(struct conn *c);               /* greeting, or after STLS nothing */

/* poller.c */
void poller_start(struct front *f);
void poller_want(struct conn *c, uint32_t events);  /* EPOLLIN, EPOLLOUT; 0 = forget the socket */

/* conn_io.c */
void conn_ready(struct conn *c, uint32_t events);   /* EPOLL... of its socket */
void conn_watch(struct conn *c);
void conn_come_back(struct conn *c);                /* at once, after the others */
bool conn_send(struct conn *c, struct span s);      /* write or keep; false: c is closed */
bool conn_start_tls(struct conn *c);                /* false: c is closed */
bool conn_read_more(struct conn *c);                /* true: more input arrived without waiting */

/* conn_run.c */
void conn_run(struct conn *c);                      /* drive the engine as far as it goes; may close c */

/* conn_login.c */
bool conn_request_login(struct conn *c, const struct request *r); /* false: no auth worker */
void conn_request_commit(struct conn *c);
void conn_rest(struct conn *c);                     /* nothing asked for a while: frees what can be read again */
void conn_release(struct conn *c);                  /* close maildrop, tell auth, free c->login */
void conn_cancel_login(struct conn *c);
void conn_give_up(struct conn *c);                  /* auth or store did not answer: refuse and close */
void front_set_policies(struct front *f);
void front_on_auth(void *ctx, struct channel *ch, struct msg *m);
void front_on_store(void *ctx, struct channel *ch, struct msg *m);
void front_auth_gone(void *ctx, struct channel *ch, const struct err *why);
void front_store_gone(void *ctx, struct channel *ch, const struct err *why);

/* conn_fetch.c */
void conn_request_message(struct conn *c, const struct request *r, struct span unread); /* may close c */
void conn_messages(struct conn *c, struct msg *m);  /* MSG_MESSAGE or MSG_FETCH_FAIL; takes descriptors */
void conn_ahead_marked(struct conn *c);             /* after commands: those marked as deleted are not kept */
void conn_ahead_drop(struct conn *c);
void front_ahead_tick(struct front *f);

/* conn_mail.c */
/* Message i is to be sent; takes fd; may close c. False: not trusted, and no longer what the listing says. */
bool conn_message(struct conn *c, uint32_t i, int fd, bool trusted);
size_t conn_body_straight(struct conn *c, uint8_t *dst, size_t room); /* what is there at once; 0 = see the span */
struct span conn_body_span(struct conn *c, bool *wait, bool *end, bool *broken);
void conn_body_used(struct conn *c, size_t n);
void conn_body_close(struct conn *c);

/* front_main.c */
void front_listen(struct front_listener *l);

/* front_limits.c */
void front_limits_start(struct front *f);
void front_shed(struct front *f);                   /* too many have not logged in: the oldest go */
bool front_may_accept(struct front *f, const struct net_addr *a);

/* site.c */
struct site *site_new(struct conf **conf, struct tls_site **tls, bool tls_broken, struct err *e);
struct site *site_ref(struct site *s);
void site_free(struct site **s);
bool site_has(const struct net_block *blocks, const struct strlist *list, const struct net_addr *a);

#define CONN_OF(l, member) ((struct conn *)(void *)((char *)(l) - offsetof(struct conn, member)))

static inline void link_init(struct link *l)
{
    l->prev = l->next = l;
}

static inline void link_out(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    link_init(l);
}

static inline void link_last(struct link *list, struct link *l)
{
    l->prev = list->prev;
    l->next = list;
    list->prev->next = l;
    list->prev = l;
}

#endif
