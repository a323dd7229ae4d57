/* front_main.c - restante-front: starts, takes its orders from the supervisor on descriptor 3, reloads, stops.
 *
 * Order of a start and of a reload: MSG_CONF, MSG_TLS, MSG_TICKETS, MSG_LISTENER…, MSG_PEER…, MSG_GO. At MSG_GO the new
 * generation is swapped in whole; connections keep the one they began with. Does not know: files, other fronts.
 */
#include "server/front/front.h"

#include "base/log.h"
#include "ipc/loop_log.h"
#include "server/sandbox.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUPERVISOR_FD = 3, BUNDLE_MAX = 64 * 1024 * 1024, HEAP_SLACK = 512 * 1024 };

static const struct channel_ops auth_ops = { front_on_auth, front_auth_gone };
static const struct channel_ops store_ops = { front_on_store, front_store_gone };

static void die(const char *what, const struct err *e)
{
    event(LOG_ERROR, "worker-failed", F_STR("what", what), F_ERR(e));
    exit(70);
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    (void)events;
    if (status == 0)
        conn_accept(poll->data);
}

void front_listen(struct front_listener *l)
{
    uv_poll_start(&l->poll, UV_READABLE, on_listener);
}

static void on_listener_freed(uv_handle_t *h)
{
    free(h->data);
}

static void listener_close(struct front_listener *l)
{
    uv_poll_stop(&l->poll);
    close(l->fd);
    uv_close((uv_handle_t *)&l->poll, on_listener_freed);
}

static void add_listener(struct front *f, struct msg *m)
{
    struct front_listener *l = mem_zero(1, sizeof *l);

    l->front = f;
    l->fd = m->fds[0];
    m->fds[0] = -1;
    l->section = m->id;
    l->poll.data = l;
    uv_poll_init(f->loop, &l->poll, l->fd);
    f->listener = mem_grow(f->listener, f->nlistener + 1, sizeof(struct front_listener *));
    f->listener[f->nlistener++] = l;
}

/* Listeners of the generation before go; those that came with this one begin. */
static void swap_listeners(struct front *f)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < f->nlistener; i++) {
        if (f->listener[i]->stale) {
            listener_close(f->listener[i]);
            continue;
        }
        f->listener[kept++] = f->listener[i];
    }
    f->nlistener = kept;
    for (uint32_t i = 0; i < kept; i++) {
        f->listener[i]->active = true;
        front_listen(f->listener[i]);
    }
}

/* Everything in fd, which is closed. */
static bool read_all(int fd, struct buf *b)
{
    struct stat st;
    uint8_t *dst;
    ssize_t n = -1;

    if (fstat(fd, &st) == 0 && st.st_size >= 0 && (dst = buf_reserve(b, (size_t)st.st_size + 1)) != NULL) {
        n = pread(fd, dst, (size_t)st.st_size, 0);
        if (n > 0)
            b->n += (size_t)n;
    }
    close(fd);
    return n >= 0;
}

static void take_conf(struct front *f, struct msg *m)
{
    struct buf b = BUF(BUNDLE_MAX);
    struct err e = { FAULT_BAD, "unreadable" };
    struct span text = m->data;

    if (m->nfds) {
        if (!read_all(m->fds[0], &b))
            die("conf", &e);
        m->fds[0] = -1;
        text = buf_span(&b);
    }
    conf_free(&f->next_conf);
    if (!conf_parse_text(text, &f->next_conf, &e))
        die("conf", &e);
    buf_free(&b);
    for (uint32_t i = 0; i < f->nlistener; i++)
        f->listener[i]->stale = true;
    log_open("front", 2, (enum log_level)f->next_conf->log.level);
}

static void take_tls(struct front *f, struct msg *m)
{
    struct buf b = BUF(BUNDLE_MAX);
    struct err e = { FAULT_BAD, "no bundle" };
    const struct conf *c = f->next_conf ? f->next_conf : f->site->conf;
    struct tls_options o = { c->tls.min_version == CONF_TLS13, c->tls.strict_sni, c->tls.tickets,
                             c->tls.ciphers };

    tls_site_free(&f->next_tls);
    f->next_tls_broken = m->flags != 0;
    if (m->nfds == 0)
        return;
    if (!read_all(m->fds[0], &b) || !tls_site_new(buf_span(&b), &o, &f->next_tls, &e)) {
        event(LOG_ERROR, "tls-refused", F_ERR(&e)); /* the supervisor tested it: should not happen */
        f->next_tls_broken = true;
    }
    m->fds[0] = -1;
    buf_wipe(&b);
}

static void take_tickets(struct front *f, const struct msg *m)
{
    f->tickets_n = m->data.n < sizeof f->tickets ? m->data.n : sizeof f->tickets;
    memcpy(f->tickets, m->data.p, f->tickets_n);
    if (f->site && f->site->tls)
        tls_site_set_tickets(f->site->tls, span_of(f->tickets, f->tickets_n));
}

static void take_peer(struct front *f, struct msg *m)
{
    static const struct err replaced = { FAULT_NONE, "replaced" };
    struct channel *old_auth = f->auth, *old_store = m->id < FRONT_STORES ? f->store[m->id] : NULL;

    if (m->nfds != 1)
        return;
    if (m->role == ROLE_AUTH) {
        if (f->auth)
            front_auth_gone(f, f->auth, &replaced);
        channel_close(&old_auth);
        f->auth = channel_open(f->loop, m->fds[0], ROLE_FRONT, ROLE_AUTH, m->id, &auth_ops, f);
        channel_batch(f->auth, NULL);
        m->fds[0] = -1;
    } else if (m->role == ROLE_STORE && m->id < FRONT_STORES) {
        if (f->store[m->id])
            front_store_gone(f, f->store[m->id], &replaced);
        channel_close(&old_store);
        f->store[m->id] = channel_open(f->loop, m->fds[0], ROLE_FRONT, ROLE_STORE, m->id, &store_ops, f);
        channel_batch(f->store[m->id], NULL);
        m->fds[0] = -1;
    }
}

/* A front needs its configuration, TLS and listeners before it may begin. */
static void first_go(struct front *f, struct msg *m)
{
    struct err e = { FAULT_NONE, "" };
    const char *root = f->next_conf->workers.chroot;
    struct rlimit files;

    f->id = m->id;
    if (m->nfds && !counters_map(m->fds[0], &f->counters, &e))
        die("counters", &e);
    m->fds[0] = -1;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (!sandbox_enter(root && root[0] ? root : NULL, m->uid, m->gid, &e))
        die("sandbox", &e);
}

static void go(struct front *f, struct msg *m)
{
    struct err e = { FAULT_NONE, "" };
    struct msg ready;
    struct site *site;

    if (!f->next_conf)
        return;
    if (!f->ready)
        first_go(f, m);
    site = site_new(&f->next_conf, &f->next_tls, f->next_tls_broken, &e);
    if (!site)
        die("conf", &e);
    site_free(&f->site);
    f->site = site;
    front_set_policies(f);
    if (site->tls)
        tls_site_set_tickets(site->tls, span_of(f->tickets, f->tickets_n));
    swap_listeners(f);
    f->ready = true;
    msg_init(&ready, MSG_READY, 0);
    channel_send(f->super, &ready);
}

static void stop(struct front *f)
{
    f->stopping = true;
    for (uint32_t i = 0; i < f->nlistener; i++)
        listener_close(f->listener[i]);
    f->nlistener = 0;
    for (uint32_t i = 0; i < f->nslot; i++) {
        struct conn *c = f->conn[i];

        if (!c)
            continue;
        if (c->phase == PH_POP3) {
            engine_stop(&c->engine);
            conn_run(c);
        } else if (c->phase != PH_LINGER) {
            conn_close(c, "stopping");
        }
    }
    if (f->nopen == 0)
        uv_stop(f->loop);
}

static void on_super(void *ctx, struct channel *ch, struct msg *m)
{
    struct front *f = ctx;

    (void)ch;
    switch (m->type) {
    case MSG_CONF:
        take_conf(f, m);
        break;
    case MSG_TLS:
        take_tls(f, m);
        break;
    case MSG_TICKETS:
        take_tickets(f, m);
        break;
    case MSG_LISTENER:
        if (m->nfds == 1)
            add_listener(f, m);
        break;
    case MSG_PEER:
        take_peer(f, m);
        break;
    case MSG_GO:
        go(f, m);
        break;
    case MSG_STOP:
        stop(f);
        break;
    default:
        break;
    }
}

static void super_gone(void *ctx, struct channel *ch, const struct err *why)
{
    struct front *f = ctx;

    (void)ch;
    (void)why;
    f->super = NULL;
    uv_stop(f->loop);
}

/* Helper threads only read into rooms that the loop made: one arena serves. Fixed limits keep the heap from growing
 * with the largest allocation that ever was. */
static void set_memory(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, HEAP_SLACK);
    mallopt(M_MMAP_THRESHOLD, HEAP_SLACK);
}

int main(void)
{
    static const struct channel_ops super_ops = { on_super, super_gone };
    struct front *f = mem_zero(1, sizeof *f);

    sandbox_signals();
    set_memory();
    log_open("front", 2, LOG_INFO);
    f->loop = uv_default_loop();
    loop_log_start(f->loop, &f->turn);
    f->scratch = mem_new(FRONT_SCRATCH);
    f->read_room = mem_new(FRONT_BODY_READ);
    f->sasl = mem_new(LIMIT_SASL_LINE);
    f->input = mem_new(FRONT_READ);
    poller_start(f);
    front_limits_start(f);
    f->super = channel_open(f->loop, SUPERVISOR_FD, ROLE_FRONT, ROLE_SUPERVISOR, 0, &super_ops, f);
    uv_run(f->loop, UV_RUN_DEFAULT);
    return 0;
}
