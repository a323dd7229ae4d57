/* store_main.c - restante-store: starts, takes its orders from the supervisor on descriptor 3, stops.
 *
 * Does not know: sessions (store_sessions.c), grants (store_grants.c).
 */
#include "server/store/store_worker.h"

#include "base/log.h"
#include "ipc/loop_log.h"
#include "server/sandbox.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUPERVISOR_FD = 3, CONF_MAX = 16 * 1024 * 1024, TICK_MS = 1000 };

static void die(const char *what, const struct err *e)
{
    event(LOG_ERROR, "worker-failed", F_STR("what", what), F_ERR(e));
    exit(70);
}

static void on_auth(void *ctx, struct channel *ch, struct msg *m)
{
    (void)ch;
    if (m->type == MSG_GRANT)
        grant_put(ctx, m);
}

static void auth_gone(void *ctx, struct channel *ch, const struct err *why)
{
    struct store_worker *w = ctx;

    (void)ch;
    w->auth = NULL;
    event(LOG_INFO, "peer-gone", F_STR("peer", "auth"), F_ERR(why));
}

static void take_conf(struct store_worker *w, struct msg *m)
{
    struct err e = { FAULT_BAD, "unreadable" };
    struct buf b = BUF(CONF_MAX);
    struct span text = m->data;
    struct conf *conf = NULL;

    if (m->nfds) {
        struct stat st;
        uint8_t *dst;

        if (fstat(m->fds[0], &st) != 0 || !(dst = buf_reserve(&b, (size_t)st.st_size + 1)) ||
            pread(m->fds[0], dst, (size_t)st.st_size, 0) != st.st_size)
            die("conf", &e);
        text = span_of(dst, (size_t)st.st_size);
    }
    if (!conf_parse_text(text, &conf, &e))
        die("conf", &e);
    buf_free(&b);
    conf_free(&w->conf);
    w->conf = conf;
    log_open("store", 2, (enum log_level)conf->log.level);
}

static void take_peer(struct store_worker *w, struct msg *m)
{
    static const struct channel_ops front_ops = { store_on_front, store_front_gone };
    static const struct channel_ops auth_ops = { on_auth, auth_gone };
    int fd = m->fds[0];

    if (m->nfds != 1)
        return;
    m->fds[0] = -1;
    if (m->role == ROLE_AUTH) {
        channel_close(&w->auth);
        w->auth = channel_open(w->loop, fd, ROLE_STORE, ROLE_AUTH, m->id, &auth_ops, w);
    } else if (m->role == ROLE_FRONT && m->id < STORE_FRONTS) {
        struct err why = { FAULT_GONE, "replaced" };

        if (w->front[m->id]) { /* a new front of that number: the old one's sessions end */
            struct channel *old = w->front[m->id];

            store_front_gone(w, old, &why);
            channel_close(&old);
        }
        w->front[m->id] = channel_open(w->loop, fd, ROLE_STORE, ROLE_FRONT, m->id, &front_ops, w);
        channel_batch(w->front[m->id], NULL);
    } else {
        close(fd);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct store_worker *w = timer->data;
    struct msg m;

    grants_expire(w);
    if (w->warm)
        warm_drain(w->warm);
    if (w->nsessions || w->ngrants || uv_now(w->loop) - w->idle_since_ms < STORE_IDLE_MS)
        return;
    w->idle_since_ms = uv_now(w->loop);
    msg_init(&m, MSG_IDLE, 0);
    channel_send(w->super, &m);
}

/* Each maildrop that is remembered may take a descriptor; most of them are for sessions. */
static struct warm_limits warm_limits(void)
{
    struct warm_limits limits = { 0, 0 };
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 4 * WARM_MAILDROPS)
        limits.maildrops = (uint32_t)files.rlim_cur / 4;
    return limits;
}

static void go(struct store_worker *w, struct msg *m)
{
    struct err e = { FAULT_NONE, "" };
    struct rlimit files;
    struct msg ready;

    if (w->ready)
        return;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    umask(077);
    if (!sandbox_enter(NULL, m->uid, m->gid, &e))
        die("sandbox", &e);
    w->warm = warm_new(warm_limits());
    w->ready = true;
    msg_init(&ready, MSG_READY, 0);
    channel_send(w->super, &ready);
}

static void on_super(void *ctx, struct channel *ch, struct msg *m)
{
    struct store_worker *w = ctx;

    (void)ch;
    if (m->type == MSG_CONF) {
        take_conf(w, m);
    } else if (m->type == MSG_PEER) {
        take_peer(w, m);
    } else if (m->type == MSG_GO) {
        go(w, m);
    } else if (m->type == MSG_STOP) {
        w->stopping = true; /* a commit that runs is finished and answered */
        store_maybe_exit(w);
    }
}

static void super_gone(void *ctx, struct channel *ch, const struct err *why)
{
    struct store_worker *w = ctx;

    (void)ch;
    (void)why;
    w->super = NULL;
    w->stopping = true; /* orphaned: finish commits, then leave */
    store_maybe_exit(w);
}

int main(void)
{
    static const struct channel_ops super_ops = { on_super, super_gone };
    struct store_worker *w = mem_zero(1, sizeof *w);

    sandbox_signals();
    setenv("UV_THREADPOOL_SIZE", "8", 1);
    log_open("store", 2, LOG_INFO);
    w->loop = uv_default_loop();
    w->ops = &store_maildir;
    loop_log_start(w->loop, &w->turn);
    w->idle_since_ms = uv_now(w->loop);
    w->tick.data = w;
    uv_timer_init(w->loop, &w->tick);
    uv_timer_start(&w->tick, on_tick, TICK_MS, TICK_MS);
    w->super = channel_open(w->loop, SUPERVISOR_FD, ROLE_STORE, ROLE_SUPERVISOR, 0, &super_ops, w);
    uv_run(w->loop, UV_RUN_DEFAULT);
    return 0;
}
