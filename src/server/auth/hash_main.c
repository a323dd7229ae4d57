/* hash_main.c - restante-hash: compares one password with one hash at a time, and holds nothing.
 *
 * A blocking loop over two descriptors: the supervisor's (3) and auth's. Memory is capped for good, processor
 * time for each request: a hash that would hang is killed by the kernel, and the supervisor starts another
 * worker. Does not know: users, who asks, what follows.
 */
#include "auth/password.h"
#include "base/log.h"
#include "server/auth/worker_start.h"
#include "server/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MEMORY_MAX = 768 * 1024 * 1024, /* the costliest yescrypt that password.c lets through takes 256 MiB */
    CPU_GRACE_S = 2
};

struct hash_worker {
    int auth; /* -1 = none at present */
    uint32_t timeout_s;
    uint8_t *packet;
};

/* The libraries load what they need while files can still be opened. */
static void warm_up(const struct conf *conf)
{
    struct scram_keys keys = { .iterations = 1, .salt_n = 1 };
    struct err e;

    (void)conf;
    if (!scram_keys_derive(SCRAM_SHA_256, span_str("x"), &keys) ||
        !scram_keys_derive(SCRAM_SHA_1, span_str("x"), &keys)) {
        err_set(&e, FAULT_TEMP, "OpenSSL has no SHA");
        event(LOG_ERROR, "worker-failed", F_STR("what", "crypto"), F_ERR(&e));
        exit(70);
    }
}

static void cap_memory(void)
{
#ifndef __SANITIZE_ADDRESS__ /* its shadow memory is terabytes of address space */
    struct rlimit memory = { MEMORY_MAX, MEMORY_MAX };

    setrlimit(RLIMIT_AS, &memory);
#endif
}

/* The soft limit counts from the process's birth: it is moved ahead of what has been used so far. */
static void cap_time(const struct hash_worker *w)
{
    struct rusage used;
    struct rlimit cpu;

    if (getrusage(RUSAGE_SELF, &used) != 0 || getrlimit(RLIMIT_CPU, &cpu) != 0)
        return;
    cpu.rlim_cur = (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + w->timeout_s + CPU_GRACE_S;
    setrlimit(RLIMIT_CPU, &cpu);
}

static void drop_auth(struct hash_worker *w)
{
    if (w->auth >= 0)
        close(w->auth);
    w->auth = -1;
}

static void check(struct hash_worker *w, const struct msg *m)
{
    enum password_verdict verdict;
    struct msg answer;
    struct err e;

    cap_time(w);
    verdict = password_check(m->user, m->secret);
    msg_init(&answer, MSG_HASH_RESULT, m->sid);
    answer.code = verdict == PASSWORD_RIGHT;
    answer.fault = verdict == PASSWORD_BROKEN ? FAULT_BAD : FAULT_NONE;
    if (!msg_send(w->auth, &answer, &e))
        drop_auth(w);
}

static void serve_auth(struct hash_worker *w)
{
    struct err e;
    struct msg m;
    int got = msg_recv(w->auth, w->packet, IPC_MAX_PACKET, &m, &e);

    if (got > 0 && msg_permitted(ROLE_AUTH, ROLE_HASH, m.type) && m.type == MSG_HASH_CHECK)
        check(w, &m);
    else if (got != 0)
        drop_auth(w); /* gone or malformed: the supervisor brings another */
    if (got > 0)
        msg_close_fds(&m);
    explicit_bzero(w->packet, 16384); /* where the longest request lies */
}

/* The descriptor of a MSG_PEER becomes ours. */
static void take_peer(struct hash_worker *w, struct msg *m)
{
    if (m->role != ROLE_AUTH || m->nfds != 1)
        return;
    drop_auth(w);
    w->auth = m->fds[0];
    m->fds[0] = -1;
}

static bool serve_super(struct hash_worker *w)
{
    struct conf *conf = NULL;
    struct err e;
    struct msg m;
    int got = msg_recv(WORKER_SUPERVISOR_FD, w->packet, IPC_MAX_PACKET, &m, &e);

    if (got == 0)
        return true;
    if (got < 0 || m.type == MSG_STOP)
        return false;
    if (m.type == MSG_PEER)
        take_peer(w, &m);
    if (m.type == MSG_CONF && worker_conf(&m, &conf, &e)) {
        w->timeout_s = conf->auth.timeout_s;
        log_open("hash", 2, (enum log_level)conf->log.level);
        conf_free(&conf);
    }
    msg_close_fds(&m);
    return true;
}

static void serve(struct hash_worker *w)
{
    for (;;) {
        struct pollfd fds[2] = { { WORKER_SUPERVISOR_FD, POLLIN, 0 }, { w->auth, POLLIN, 0 } };

        if (poll(fds, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return;
        }
        if (fds[1].revents) /* first: a stop lets the request in hand be answered */
            serve_auth(w);
        if (fds[0].revents && !serve_super(w))
            return;
    }
}

int main(void)
{
    struct hash_worker w = { .auth = -1 };
    struct worker_start start = { .no_files = true };
    struct msg ready;
    struct err e;

    sandbox_signals();
    log_open("hash", 2, LOG_INFO);
    worker_start(&start, warm_up);
    cap_memory();
    w.packet = mem_new(IPC_MAX_PACKET);
    w.timeout_s = start.conf->auth.timeout_s;
    log_open("hash", 2, (enum log_level)start.conf->log.level);
    for (uint32_t i = 0; i < start.npeer; i++)
        take_peer(&w, &start.peer[i]);
    worker_start_free(&start);
    msg_init(&ready, MSG_READY, 0);
    if (msg_send(WORKER_SUPERVISOR_FD, &ready, &e))
        serve(&w);
    drop_auth(&w);
    free(w.packet);
    return 0;
}
