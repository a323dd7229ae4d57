/* super_workers.c - the workers' lives: started by fork and exec, restarted when they die, stopped in order.
 *
 * A dead worker costs its own sessions only: the listening sockets are ours and live on. A worker that dies again
 * and again is started with growing pauses. Stores are started when auth first needs one for a uid.
 * Does not know: what the workers say to each other.
 */
#include "server/super/super.h"

#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SUPERVISOR_FD = 3, YOUNG_MS = 5000, BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 5000,
       STOP_REST_MS = 15000 };

static bool spawn(struct super_worker *w);

/* The program of a role: beside our own executable (also in auth/ below it, as in a build tree), else installed. */
static bool program_path(const struct super *s, enum role role, char path[512])
{
    const char *name = role_name(role);

    snprintf(path, 512, "%s/restante-%s", s->dir, name);
    if (access(path, X_OK) == 0)
        return true;
    snprintf(path, 512, "%s/auth/restante-%s", s->dir, name);
    if (access(path, X_OK) == 0)
        return true;
    snprintf(path, 512, LIBEXECDIR "/restante-%s", name);
    return access(path, X_OK) == 0;
}

static void on_worker_gone(void *ctx, struct channel *ch, const struct err *why)
{
    struct super_worker *w = ctx;

    (void)ch;
    w->channel = NULL;
    if (!w->alive || w->told_to_stop || w->super->stopping)
        return;
    /* Closed or malformed while the process lives: end it, the exit callback starts another. */
    event(LOG_ERROR, "worker-lost", F_STR("worker", role_name(w->role)), F_U64("id", w->id), F_ERR(why));
    uv_process_kill(&w->process, SIGKILL);
}

static void on_again(uv_timer_t *timer)
{
    struct super_worker *w = timer->data;

    if (!w->super->stopping && !w->alive)
        spawn(w);
}

static void restart_later(struct super_worker *w)
{
    uint64_t lived = uv_now(w->super->loop) - w->started_ms;

    w->backoff_ms = lived > YOUNG_MS ? 0 : w->backoff_ms ? w->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (w->backoff_ms > BACKOFF_MAX_MS)
        w->backoff_ms = BACKOFF_MAX_MS;
    if (!w->has_timer) {
        uv_timer_init(w->super->loop, &w->again);
        w->again.data = w;
        w->has_timer = true;
    }
    uv_timer_start(&w->again, on_again, w->backoff_ms, 0);
}

static void on_store_freed(uv_handle_t *h)
{
    free(h->data);
}

/* How far a stop has come: fronts first, then those who still might owe them an answer. */
static void stop_step(struct super *s);

static void on_exit_of(uv_process_t *process, int64_t status, int sig)
{
    struct super_worker *w = process->data;
    struct super *s = w->super;
    bool wanted = w->told_to_stop || s->stopping;

    w->alive = false;
    w->state = WK_NONE;
    channel_close(&w->channel);
    event(wanted ? LOG_INFO : LOG_ERROR, wanted ? "worker-ended" : "worker-died",
          F_STR("worker", role_name(w->role)), F_U64("id", w->id), F_U64("status", status),
          F_U64("signal", sig));
    if (w->role == ROLE_FRONT && s->counters)
        counters_clear_slot(s->counters, w->id);
    if (w->role == ROLE_STORE) {
        s->store[w->id] = NULL;
        uv_close((uv_handle_t *)process, on_store_freed);
    } else {
        uv_close((uv_handle_t *)process, NULL);
        if (!s->stopping)
            restart_later(w);
    }
    if (s->stopping)
        stop_step(s);
}

static bool spawn(struct super_worker *w)
{
    static const struct channel_ops ops = { super_on_worker, on_worker_gone };
    struct super *s = w->super;
    char path[512], name[32];
    char *args[] = { name, NULL };
    uv_stdio_container_t stdio[4] = { { .flags = UV_IGNORE }, { .flags = UV_INHERIT_FD, .data.fd = 1 },
                                      { .flags = UV_INHERIT_FD, .data.fd = 2 },
                                      { .flags = UV_INHERIT_FD } };
    uv_process_options_t o = { .exit_cb = on_exit_of, .file = path, .args = args, .stdio_count = 4,
                               .stdio = stdio };
    struct err e = { FAULT_NONE, "" };
    int fds[2], rc;

    snprintf(name, sizeof name, "restante-%s", role_name(w->role));
    if (!program_path(s, w->role, path) || !channel_pair(fds, &e)) {
        event(LOG_ERROR, "worker-not-started", F_STR("worker", name), F_STR("path", path), F_ERR(&e));
        w->started_ms = uv_now(s->loop);
        if (w->role != ROLE_STORE) /* stores are started again when somebody needs one */
            restart_later(w);
        return false;
    }
    stdio[SUPERVISOR_FD].data.fd = fds[1];
    memset(&w->process, 0, sizeof w->process);
    rc = uv_spawn(s->loop, &w->process, &o);
    w->process.data = w;
    close(fds[1]);
    w->started_ms = uv_now(s->loop);
    if (rc != 0) {
        close(fds[0]);
        uv_close((uv_handle_t *)&w->process, NULL);
        event(LOG_ERROR, "worker-not-started", F_STR("worker", name), F_STR("error", uv_strerror(rc)));
        if (w->role != ROLE_STORE)
            restart_later(w);
        return false;
    }
    w->alive = true;
    w->told_to_stop = false;
    w->state = WK_STARTING;
    w->channel = channel_open(s->loop, fds[0], ROLE_SUPERVISOR, w->role, w->id, &ops, w);
    super_brief(s, w);
    return true;
}

static void prepare(struct super *s, struct super_worker *w, enum role role, uint32_t id)
{
    w->super = s;
    w->role = role;
    w->id = id;
    w->uid = role == ROLE_FRONT ? s->front_uid : s->auth_uid;
    w->gid = role == ROLE_FRONT ? s->front_gid : s->auth_gid;
}

bool super_start(struct super *s, struct err *e)
{
    bool ok;

    prepare(s, &s->auth, ROLE_AUTH, 0);
    for (uint32_t i = 0; i < s->nhashers; i++)
        prepare(s, &s->hasher[i], ROLE_HASH, i);
    for (uint32_t i = 0; i < s->nfronts; i++)
        prepare(s, &s->front[i], ROLE_FRONT, i);
    ok = spawn(&s->auth);
    for (uint32_t i = 0; ok && i < s->nhashers; i++)
        ok = spawn(&s->hasher[i]);
    for (uint32_t i = 0; ok && i < s->nfronts; i++)
        ok = spawn(&s->front[i]);
    return ok || err_set(e, FAULT_PERM, "a worker could not be started");
}

struct super_worker *super_store(struct super *s, uint32_t uid, uint32_t gid)
{
    struct super_worker *w;

    for (uint32_t i = 0; i < SUPER_STORES; i++)
        if (s->store[i] && s->store[i]->alive && !s->store[i]->told_to_stop && s->store[i]->uid == uid &&
            s->store[i]->gid == gid)
            return s->store[i];
    /* Auth checks it too, but here is the border: -1 would mean "stay root". */
    if (s->stopping || (s->root ? uid == UINT32_MAX || gid == UINT32_MAX || gid == 0 || uid < s->conf->mail.min_uid
                                : uid != geteuid()))
        return NULL;
    for (uint32_t tries = 1; tries < SUPER_STORES; tries++) {
        s->next_store = s->next_store % (SUPER_STORES - 1) + 1; /* 1 .. SUPER_STORES - 1: 0 means none */
        if (!s->store[s->next_store])
            break;
    }
    if (s->store[s->next_store])
        return NULL;
    w = mem_zero(1, sizeof *w);
    w->super = s;
    w->role = ROLE_STORE;
    w->id = s->next_store;
    w->uid = uid;
    w->gid = gid;
    s->store[w->id] = w;
    if (spawn(w))
        return w;
    s->store[w->id] = NULL; /* not freed: libuv may still hold its handle */
    return NULL;
}

void super_check_ready(struct super *s)
{
    if (s->announced || s->auth.state != WK_READY)
        return;
    for (uint32_t i = 0; i < s->nfronts; i++)
        if (s->front[i].state != WK_READY)
            return;
    s->announced = true;
    event(LOG_INFO, "ready", F_STR("version", RESTANTE_VERSION), F_U64("fronts", s->nfronts),
          F_U64("hashers", s->nhashers), F_U64("listeners", s->nlistener),
          F_STR("tls", s->tls_fd >= 0 ? "yes" : "no"));
    super_notify("READY=1");
}

static void tell_stop(struct super_worker *w)
{
    struct msg m;

    if (!w || !w->alive || w->told_to_stop)
        return;
    w->told_to_stop = true;
    msg_init(&m, MSG_STOP, 0);
    channel_send(w->channel, &m);
}

static bool any_front(const struct super *s)
{
    for (uint32_t i = 0; i < s->nfronts; i++)
        if (s->front[i].alive)
            return true;
    return false;
}

static void kill_alive(struct super_worker *w)
{
    if (w && w->alive)
        uv_process_kill(&w->process, SIGKILL);
}

static void on_deadline(uv_timer_t *timer)
{
    struct super *s = timer->data;

    event(LOG_WARNING, "stop-forced", F_STR("stage", any_front(s) ? "fronts" : "others"));
    if (any_front(s)) {
        for (uint32_t i = 0; i < s->nfronts; i++)
            kill_alive(&s->front[i]);
        uv_timer_start(&s->deadline, on_deadline, STOP_REST_MS, 0);
        return;
    }
    kill_alive(&s->auth);
    for (uint32_t i = 0; i < s->nhashers; i++)
        kill_alive(&s->hasher[i]);
    for (uint32_t i = 0; i < SUPER_STORES; i++)
        kill_alive(s->store[i]);
}

static void stop_step(struct super *s)
{
    bool others = s->auth.alive;

    if (any_front(s))
        return;
    if (!s->hard) {
        s->hard = true;
        uv_timer_start(&s->deadline, on_deadline, STOP_REST_MS, 0);
        tell_stop(&s->auth);
        for (uint32_t i = 0; i < s->nhashers; i++)
            tell_stop(&s->hasher[i]);
        for (uint32_t i = 0; i < SUPER_STORES; i++)
            tell_stop(s->store[i]);
    }
    for (uint32_t i = 0; i < s->nhashers; i++)
        others = others || s->hasher[i].alive;
    for (uint32_t i = 0; i < SUPER_STORES; i++)
        others = others || (s->store[i] && s->store[i]->alive);
    if (!others)
        uv_stop(s->loop);
}

void super_stop(struct super *s)
{
    if (s->stopping) { /* asked twice: at once */
        on_deadline(&s->deadline);
        return;
    }
    s->stopping = true;
    event(LOG_INFO, "stopping", F_U64("connections", s->counters ? counters_sum(s->counters, CNT_OPEN) : 0));
    super_notify("STOPPING=1");
    for (uint32_t i = 0; i < s->nfronts; i++)
        tell_stop(&s->front[i]);
    uv_timer_start(&s->deadline, on_deadline, (uint64_t)s->conf->limits.drain_s * 1000, 0);
    stop_step(s);
}
