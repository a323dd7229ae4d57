/* super_wire.c - what each worker is told, and who is connected to whom.
 *
 * A fresh worker gets configuration, TLS (fronts), listeners (fronts) and a new socket pair to each worker it may
 * speak to; the other ends go to those workers and replace what they had. Fronts hear of a store before auth does,
 * so that a grant never names a store that its front does not know. Does not know: why a worker was started.
 */
#include "server/super/super.h"

#include "base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CONF_INLINE = 65536 };

static void send_fd(struct super_worker *w, struct msg *m, int fd)
{
    if (fd >= 0) {
        m->fds[0] = fd;
        m->nfds = 1;
    }
    channel_send(w->channel, m);
}

static void tell_conf(struct super *s, struct super_worker *w)
{
    struct msg m;
    int fd = -1;

    msg_init(&m, MSG_CONF, 0);
    if (s->conf_text.n <= CONF_INLINE) {
        m.data = buf_span(&s->conf_text);
    } else {
        fd = memfd_create("restante-conf", MFD_CLOEXEC);
        if (fd < 0 || write(fd, s->conf_text.p, s->conf_text.n) != (ssize_t)s->conf_text.n)
            event(LOG_ERROR, "conf-not-sent", F_STR("peer", role_name(w->role)));
    }
    send_fd(w, &m, fd);
    if (fd >= 0)
        close(fd);
}

/* The users file as we may open it: auth needs no right to any file. */
void super_tell_users(struct super *s)
{
    const char *path = s->conf->users.file;
    struct msg m;
    int fd;

    s->users_stamp = super_stamp(path);
    fd = path[0] ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
    msg_init(&m, MSG_USERS, 0);
    send_fd(&s->auth, &m, fd);
    if (fd >= 0)
        close(fd);
}

static void tell_front(struct super *s, struct super_worker *w)
{
    struct msg m;

    msg_init(&m, MSG_TLS, 0);
    m.flags = s->tls_broken;
    send_fd(w, &m, s->tls_fd);
    msg_init(&m, MSG_TICKETS, 0);
    m.data = span_of(s->tickets, (size_t)s->ntickets * 80);
    channel_send(w->channel, &m);
    for (uint32_t i = 0; i < s->nlistener; i++) {
        msg_init(&m, MSG_LISTENER, 0);
        m.id = s->listener[i].section;
        send_fd(w, &m, s->listener[i].fds[w->id]);
    }
}

static void tell_go(struct super *s, struct super_worker *w)
{
    struct msg m;

    msg_init(&m, MSG_GO, 0);
    m.id = w->id;
    m.uid = w->uid;
    m.gid = w->gid;
    send_fd(w, &m, w->role == ROLE_FRONT ? s->counters_fd : -1);
}

static void tell_peer(struct super_worker *to, const struct super_worker *of, int fd)
{
    struct msg m;

    msg_init(&m, MSG_PEER, 0);
    m.role = (uint8_t)of->role;
    m.id = of->id;
    m.uid = of->uid;
    m.gid = of->gid;
    send_fd(to, &m, fd);
}

/* A socket pair between two living workers; a hears first. */
static void join(struct super_worker *a, struct super_worker *b)
{
    struct err e;
    int fds[2];

    if (!a->alive || !b->alive)
        return;
    if (!channel_pair(fds, &e)) {
        event(LOG_ERROR, "pair-failed", F_ERR(&e));
        return;
    }
    tell_peer(a, b, fds[0]);
    tell_peer(b, a, fds[1]);
    close(fds[0]);
    close(fds[1]);
}

static void join_fronts(struct super *s, struct super_worker *w)
{
    for (uint32_t i = 0; i < s->nfronts; i++)
        join(&s->front[i], w);
}

static void join_stores(struct super *s, struct super_worker *w)
{
    for (uint32_t i = 0; i < SUPER_STORES; i++)
        if (s->store[i])
            join(w, s->store[i]);
}

void super_brief(struct super *s, struct super_worker *w)
{
    tell_conf(s, w);
    switch (w->role) {
    case ROLE_FRONT:
        tell_front(s, w);
        join_stores(s, w);
        join(w, &s->auth);
        break;
    case ROLE_AUTH:
        super_tell_users(s);
        for (uint32_t i = 0; i < s->nhashers; i++)
            join(w, &s->hasher[i]);
        join_stores(s, w);
        join_fronts(s, w);
        break;
    case ROLE_HASH:
        join(w, &s->auth);
        break;
    case ROLE_STORE: /* auth comes last: from then on a front may ask, and the store must have its orders by then */
        join_fronts(s, w);
        tell_go(s, w);
        join(w, &s->auth);
        return;
    default:
        break;
    }
    tell_go(s, w);
}

static void rebrief_one(struct super *s, struct super_worker *w)
{
    if (!w || !w->alive || w->told_to_stop)
        return;
    tell_conf(s, w);
    if (w->role == ROLE_FRONT) {
        tell_front(s, w);
        tell_go(s, w);
    }
}

void super_rebrief(struct super *s)
{
    if (s->auth.alive)
        super_tell_users(s);
    rebrief_one(s, &s->auth);
    for (uint32_t i = 0; i < s->nhashers; i++)
        rebrief_one(s, &s->hasher[i]);
    for (uint32_t i = 0; i < SUPER_STORES; i++)
        rebrief_one(s, s->store[i]);
    for (uint32_t i = 0; i < s->nfronts; i++)
        rebrief_one(s, &s->front[i]);
}

/* Auth asks for a store; the answer names it, or 0 when there is none to be had. */
static void need_store(struct super *s, const struct msg *m)
{
    struct super_worker *w = super_store(s, m->uid, m->gid);
    struct msg answer;

    msg_init(&answer, MSG_STORE_IS, 0);
    answer.number = w ? w->id : 0;
    answer.uid = m->uid;
    answer.gid = m->gid;
    channel_send(s->auth.channel, &answer);
}

/* A channel ended between two workers. When the other is dead this comes to nothing: its successor gets channels of its
 * own; when both live (a full queue, a packet refused) they get a new pair. */
static void rejoin(struct super_worker *w, const struct msg *m)
{
    struct super *s = w->super;

    if (s->stopping)
        return;
    if (m->role == ROLE_AUTH && w->role == ROLE_FRONT)
        join(w, &s->auth);
    else if (m->role == ROLE_STORE && m->id < SUPER_STORES && s->store[m->id] && !s->store[m->id]->told_to_stop)
        join(w, s->store[m->id]);
}

void super_on_worker(void *ctx, struct channel *ch, struct msg *m)
{
    struct super_worker *w = ctx;
    struct msg stop;

    (void)ch;
    if (m->type == MSG_READY) {
        if (w->state == WK_STARTING)
            w->state = WK_READY;
        super_check_ready(w->super);
    } else if (m->type == MSG_NEED_STORE && w->role == ROLE_AUTH) {
        need_store(w->super, m);
    } else if (m->type == MSG_LOST) {
        rejoin(w, m);
    } else if (m->type == MSG_IDLE && w->role == ROLE_STORE) {
        msg_init(&stop, MSG_STOP, 0);
        w->told_to_stop = true;
        channel_send(w->channel, &stop);
    }
}
