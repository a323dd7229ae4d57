/* auth_main.c - restante-auth: starts, takes its orders from the supervisor on descriptor 3, stops.
 *
 * Until MSG_GO it reads nothing but the supervisor's channel; the channels to fronts, stores and hash workers are
 * opened after the sandbox is closed. Does not know: logins.
 */
#include "server/auth/auth_worker.h"

#include "base/log.h"
#include "base/secret.h"
#include "ipc/loop_log.h"
#include "server/auth/worker_start.h"
#include "server/sandbox.h"

#include <stdlib.h>
#include <unistd.h>

static void attach_front(struct auth *w, uint32_t id, int fd)
{
    static const struct channel_ops ops = { auth_on_front, auth_front_gone };

    if (id >= AUTH_FRONTS) {
        close(fd);
        return;
    }
    if (w->front[id]) { /* the front of that number has died and lives again */
        channel_close(&w->front[id]);
        auth_front_drop(w, id);
    }
    w->front[id] = channel_open(w->loop, fd, ROLE_AUTH, ROLE_FRONT, id, &ops, w);
    channel_batch(w->front[id], stores_flush); /* a front is never quicker than its right */
    site_tell_mechs(w, w->front[id]);
}

/* Takes the descriptor of m. */
static void attach(struct auth *w, struct msg *m)
{
    int fd = m->fds[0];

    if (m->nfds != 1)
        return;
    m->fds[0] = -1;
    m->nfds = 0;
    if (m->role == ROLE_FRONT)
        attach_front(w, m->id, fd);
    else if (m->role == ROLE_HASH)
        hash_attach(w, m->id, fd);
    else if (m->role == ROLE_STORE)
        stores_attach(w, m, fd);
    else
        close(fd);
}

void auth_maybe_exit(struct auth *w)
{
    if (!w->stopping || table_count(w->attempts) != 0)
        return;
    for (uint32_t i = 0; i < AUTH_FRONTS; i++)
        channel_flush(w->front[i]);
    uv_stop(w->loop);
}

static void on_stop_late(uv_timer_t *timer)
{
    struct auth *w = timer->data;

    event(LOG_WARNING, "stop-late", F_U64("attempts", table_count(w->attempts)));
    uv_stop(w->loop);
}

/* Logins whose credentials are being checked are answered; those that wait for the client or for the throttle
 * end with the connection that they came by. */
static void stop(struct auth *w)
{
    struct table_key key;
    uint32_t cursor = 0;
    struct attempt **at;

    w->stopping = true;
    uv_timer_start(&w->stop_timer, on_stop_late, (uint64_t)w->conf->auth.timeout_s * 1000, 0);
    while ((at = table_next(w->attempts, &cursor, &key)) != NULL)
        if ((*at)->stage != AT_HASH && (*at)->stage != AT_STORE)
            attempt_drop(*at);
    auth_maybe_exit(w);
}

static void on_super(void *ctx, struct channel *ch, struct msg *m)
{
    struct auth *w = ctx;
    struct conf *conf = NULL;
    struct err e;

    (void)ch;
    switch (m->type) {
    case MSG_CONF:
        if (worker_conf(m, &conf, &e))
            site_apply(w, &conf, false);
        else
            event(LOG_ERROR, "conf-refused", F_ERR(&e)); /* the old one stays */
        break;
    case MSG_USERS:
        site_give_users(w, m->fds[0]);
        m->fds[0] = -1;
        break;
    case MSG_PEER:
        attach(w, m);
        break;
    case MSG_STORE_IS:
        stores_answer(w, m);
        break;
    case MSG_STOP:
        stop(w);
        break;
    default:
        break;
    }
}

static void super_gone(void *ctx, struct channel *ch, const struct err *why)
{
    struct auth *w = ctx;

    (void)ch;
    event(LOG_INFO, "peer-gone", F_STR("peer", "supervisor"), F_ERR(why));
    w->super = NULL;
    uv_stop(w->loop); /* without a supervisor nobody would replace what dies */
}

static void make(struct auth *w)
{
    w->loop = uv_default_loop();
    w->root = geteuid() == 0;
    w->own_uid = geteuid();
    w->own_gid = getegid();
    w->queue_tail = &w->queue;
    w->store = mem_zero(AUTH_STORES, sizeof *w->store);
    w->asked = mem_zero(AUTH_STORES, sizeof *w->asked);
    w->attempts = table_new(sizeof(struct attempt *), AUTH_ATTEMPTS);
    w->throttle = throttle_new();
    w->grants = grants_new();
    w->verified = verified_new();
    secret_random(w->fake_secret, sizeof w->fake_secret);
    loop_log_start(w->loop, &w->turn);
    uv_timer_init(w->loop, &w->stop_timer);
    w->stop_timer.data = w;
}

static void unmake(struct auth *w)
{
    struct table_key key;
    uint32_t cursor = 0;
    struct attempt **at;

    w->stopping = false;
    while ((at = table_next(w->attempts, &cursor, &key)) != NULL)
        attempt_drop(*at);
    for (uint32_t i = 0; i < AUTH_FRONTS; i++)
        channel_close(&w->front[i]);
    for (uint32_t i = 0; i < AUTH_HASHERS; i++)
        channel_close(&w->hasher[i].channel);
    for (uint32_t i = 0; i < w->nstore; i++)
        channel_close(&w->store[i].channel);
    channel_close(&w->super);
    uv_close((uv_handle_t *)&w->stop_timer, NULL);
    uv_close((uv_handle_t *)&w->turn, NULL);
    uv_run(w->loop, UV_RUN_DEFAULT); /* closes what is closing */
    uv_loop_close(w->loop);
    free(w->store);
    free(w->asked);
    free(w->exempt);
    table_free(&w->attempts);
    throttle_free(&w->throttle);
    grants_free(&w->grants);
    verified_free(&w->verified);
    users_file_free(&w->users);
    if (w->users_given && w->users_fd >= 0)
        close(w->users_fd);
    conf_free(&w->conf);
    explicit_bzero(w, sizeof *w);
    free(w);
}

int main(void)
{
    static const struct channel_ops super_ops = { on_super, super_gone };
    struct auth *w = mem_zero(1, sizeof *w);
    struct worker_start start = { 0 };
    struct msg ready;

    sandbox_signals();
    log_open("auth", 2, LOG_INFO);
    make(w);
    worker_start(&start, NULL);
    if (start.users_given)
        site_give_users(w, start.users_fd);
    site_apply(w, &start.conf, true);
    w->super = channel_open(w->loop, WORKER_SUPERVISOR_FD, ROLE_AUTH, ROLE_SUPERVISOR, 0, &super_ops, w);
    for (uint32_t i = 0; i < start.npeer; i++)
        attach(w, &start.peer[i]);
    worker_start_free(&start);
    msg_init(&ready, MSG_READY, 0);
    channel_send(w->super, &ready);
    uv_run(w->loop, UV_RUN_DEFAULT);
    unmake(w);
    return 0;
}
