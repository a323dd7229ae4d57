/* worker_start.c - the start-up protocol on descriptor 3: see worker_start.h. */
#include "server/auth/worker_start.h"

#include "base/log.h"
#include "server/sandbox.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEERS_MAX = 8192 };

static void die(const char *what, const struct err *e)
{
    event(LOG_ERROR, "worker-failed", F_STR("what", what), F_ERR(e));
    exit(70);
}

bool worker_conf(const struct msg *m, struct conf **conf, struct err *e)
{
    struct buf text = BUF(WORKER_CONF_MAX);
    struct span s = m->data;
    struct stat st;
    uint8_t *dst;
    bool ok;

    if (m->nfds) {
        if (fstat(m->fds[0], &st) != 0 || st.st_size < 0 ||
            !(dst = buf_reserve(&text, (size_t)st.st_size + 1)) ||
            pread(m->fds[0], dst, (size_t)st.st_size, 0) != st.st_size) {
            buf_free(&text);
            return err_set(e, FAULT_BAD, "the configuration cannot be read");
        }
        s = span_of(dst, (size_t)st.st_size);
    }
    ok = conf_parse_text(s, conf, e);
    buf_free(&text);
    return ok;
}

static void keep_peer(struct worker_start *start, struct msg *m)
{
    if (m->nfds != 1 || start->npeer == PEERS_MAX)
        return;
    start->peer = mem_grow(start->peer, start->npeer + 1, sizeof *start->peer);
    start->peer[start->npeer++] = *m; /* MSG_PEER has no spans: nothing points into the packet */
    m->fds[0] = -1;
}

/* One message; true: it was MSG_GO. */
static bool take(struct worker_start *start, struct msg *m, void (*before)(const struct conf *conf))
{
    struct err e = { FAULT_NONE, "" };

    switch (m->type) {
    case MSG_CONF:
        conf_free(&start->conf);
        if (!worker_conf(m, &start->conf, &e))
            die("conf", &e);
        return false;
    case MSG_PEER:
        keep_peer(start, m);
        return false;
    case MSG_USERS:
        start->users_fd = m->fds[0];
        start->users_given = true;
        m->fds[0] = -1;
        return false;
    case MSG_STOP:
        exit(0);
    case MSG_GO:
        if (!start->conf) {
            err_set(&e, FAULT_BAD, "no configuration before go");
            die("start", &e);
        }
        if (before)
            before(start->conf);
        if (!sandbox_enter(start->no_files && start->conf->workers.chroot[0] ? start->conf->workers.chroot : NULL,
                           m->uid, m->gid, &e))
            die("sandbox", &e);
        return true;
    default:
        err_set(&e, FAULT_BAD, "unexpected %s", msg_name(m->type));
        die("start", &e);
    }
    return false;
}

void worker_start(struct worker_start *start, void (*before)(const struct conf *conf))
{
    uint8_t *packet = mem_new(IPC_MAX_PACKET);
    bool go = false;

    while (!go) {
        struct err e;
        struct msg m;
        int got = msg_recv(WORKER_SUPERVISOR_FD, packet, IPC_MAX_PACKET, &m, &e);

        if (got < 0 && e.fault == FAULT_GONE)
            exit(0);
        if (got < 0)
            die("start", &e);
        if (got == 0) { /* the descriptor came to us non-blocking: nothing to do but wait a little */
            usleep(1000);
            continue;
        }
        go = take(start, &m, before);
        msg_close_fds(&m);
    }
    free(packet);
}

void worker_start_free(struct worker_start *start)
{
    for (uint32_t i = 0; i < start->npeer; i++)
        msg_close_fds(&start->peer[i]);
    free(start->peer);
    conf_free(&start->conf);
}
