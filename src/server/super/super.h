/* super.h - the supervisor: reads the configuration, binds ports, starts, wires and restarts the workers.
 *
 * It runs with the rights it was started with (root, or an ordinary user on high ports) and never parses an octet
 * from the network. Files: super_main.c (command line, signals), super_workers.c (start, death, stop),
 * super_wire.c (what each worker is told), super_listen.c (sockets), super_tls.c (certificates),
 * super_notify.c (systemd).
 */
#ifndef RESTANTE_SERVER_SUPER_H
#define RESTANTE_SERVER_SUPER_H

#include "base/net_addr.h"
#include "ipc/channel.h"
#include "server/conf.h"
#include "server/counters.h"

#include <sys/types.h>
#include <uv.h>

enum { SUPER_FRONTS = 32, SUPER_HASHERS = 32, SUPER_STORES = 1024, TICKET_LIFE_MS = 12 * 3600 * 1000 };

enum worker_state { WK_NONE, WK_STARTING, WK_READY, WK_STOPPING };

struct super_worker {
    struct super *super;
    enum role role;
    uint32_t id;               /* its number among those of its role */
    enum worker_state state;
    bool alive, told_to_stop;
    uv_process_t process;
    struct channel *channel;
    uint32_t uid, gid;         /* it becomes these; UINT32_MAX = stays */
    uint64_t started_ms, backoff_ms;
    uv_timer_t again;
    bool has_timer;
};

struct super_listener {
    struct net_addr addr;
    uint32_t section;
    int fds[SUPER_FRONTS];     /* one queue per front: SO_REUSEPORT */
};

/* What of a certificate file tells that it changed. */
struct file_stamp {
    int64_t mtime_ns, ctime_ns;
    uint64_t size, inode;
};

struct super {
    uv_loop_t *loop;
    struct conf *conf;
    char *dir;                 /* of our own executable: workers are looked for beside it */
    bool root, stopping, announced, hard;
    uint32_t nfronts, nhashers;
    struct super_worker front[SUPER_FRONTS], hasher[SUPER_HASHERS], auth, *store[SUPER_STORES];
    struct super_listener *listener;
    uint32_t nlistener;
    struct buf conf_text;      /* what workers get */
    int tls_fd;                /* sealed memfd with the bundle, -1 = no TLS */
    bool tls_broken;
    struct file_stamp *stamps;
    uint32_t nstamps;
    struct file_stamp users_stamp;
    uint8_t tickets[3 * 80];
    uint32_t ntickets;
    uint64_t tickets_ms;
    int counters_fd;
    struct counters *counters;
    uint32_t front_uid, front_gid, auth_uid, auth_gid;
    uint32_t next_store;
    uv_signal_t sig_term, sig_int, sig_hup;
    uv_timer_t tick, deadline;
    uint64_t looked_ms;
    int status;
};

/* super_workers.c */
bool super_start(struct super *s, struct err *e);
void super_stop(struct super *s);
void super_check_ready(struct super *s);
struct super_worker *super_store(struct super *s, uint32_t uid, uint32_t gid); /* starts one if need be */

/* super_wire.c */
void super_brief(struct super *s, struct super_worker *w);  /* everything a fresh worker needs, then MSG_GO */
void super_tell_users(struct super *s);                     /* the users file, opened, to auth */
void super_rebrief(struct super *s);                        /* a reload: configuration, TLS, listeners to all */
void super_on_worker(void *ctx, struct channel *ch, struct msg *m);

/* super_listen.c */
bool super_listen(struct super *s, const struct conf *conf, struct super_listener **list, uint32_t *n,
                  struct err *e);                           /* reuses sockets of s that stay */
void super_listen_swap(struct super *s, struct super_listener *list, uint32_t n);

/* super_tls.c */
bool super_load_tls(struct super *s, const struct conf *conf, struct err *e); /* keeps the old bundle on failure */
bool super_tls_changed(struct super *s);
struct file_stamp super_stamp(const char *path);
void super_new_ticket_key(struct super *s);

/* super_notify.c */
void super_notify(const char *text); /* "READY=1" … to systemd, if it listens */
uint64_t super_watchdog_ms(void);    /* how often it wants to hear; 0 = never */

#endif
