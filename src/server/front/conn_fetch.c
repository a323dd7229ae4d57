/* conn_fetch.c - gets descriptors of messages from the store, several at a time and before they are asked for.
 *
 * A question to the store and its answer cost more than opening a message. So a question names, behind the message
 * the client wants, those that it will want next: the ones named by commands that lie unread in its input, else the
 * following numbers, once it has shown that it goes through them in order. What arrives early waits in a small table.
 * It is bounded for each session and for the front, and no session keeps it over a second of silence. A descriptor
 * that waited serves only while its file has the size and time of the listing.
 * Does not know: what is in a message, how it travels (conn_mail.c).
 */
#include "server/front/front.h"

#include "base/num.h"
#include "pop3/ahead.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { AHEAD = IPC_MAX_FDS, LOW = AHEAD / 4, NOT_YET = -1, MOST = 16384, REST_MS = 1000, TRUST_MS = 100 };

struct early {
    uint32_t msg;
    int fd;    /* NOT_YET: asked for */
    bool sure; /* a command names it */
    uint64_t asked_ms;
};

struct ahead {
    struct link link; /* in front->aheads */
    struct conn *conn;
    uint32_t last, run; /* the message asked for last, how many in order before it */
    uint32_t dele;      /* engine's count when the table was last held against the marks */
    unsigned n;
    struct early early[AHEAD];
};

/* Messages for one question. */
struct wish {
    size_t n;
    struct early early[AHEAD];
};

/* An eighth of the descriptors that a front may have; the others are for clients. */
static uint32_t budget(void)
{
    struct rlimit files;
    rlim_t most = getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur / 8 : 0;

    return most < MOST ? (uint32_t)most + 1 : MOST;
}

static struct ahead *table_of(struct conn *c)
{
    struct ahead *a = c->ahead;

    if (a)
        return a;
    a = c->ahead = mem_zero(1, sizeof *a);
    a->conn = c;
    a->last = UINT32_MAX;
    link_init(&a->link);
    link_last(&c->front->aheads, &a->link);
    if (!c->front->ahead_most)
        c->front->ahead_most = budget();
    return a;
}

static struct early *find(struct ahead *a, uint32_t msg)
{
    for (unsigned i = 0; i < a->n; i++)
        if (a->early[i].msg == msg)
            return &a->early[i];
    return NULL;
}

static void forget(struct ahead *a, struct early *x)
{
    if (x->fd >= 0)
        close(x->fd);
    *x = a->early[--a->n];
    a->conn->front->nahead--;
}

void conn_ahead_drop(struct conn *c)
{
    struct ahead *a = c->ahead;

    if (!a)
        return;
    while (a->n)
        forget(a, &a->early[0]);
    link_out(&a->link);
    free(a);
    c->ahead = NULL;
}

void conn_ahead_marked(struct conn *c)
{
    struct ahead *a = c->ahead;

    if (!a || a->dele == engine_stats(&c->engine)->dele)
        return;
    a->dele = engine_stats(&c->engine)->dele;
    for (unsigned i = a->n; i-- > 0;)
        if (mail_is_deleted(&c->engine, a->early[i].msg))
            forget(a, &a->early[i]);
}

void front_ahead_tick(struct front *f)
{
    uint64_t now = uv_now(f->loop);
    struct link *next;

    for (struct link *l = f->aheads.next; l != &f->aheads; l = next) {
        struct conn *c = ((struct ahead *)(void *)((char *)l - offsetof(struct ahead, link)))->conn;

        next = l->next;
        if (now - c->active_ms >= REST_MS && c->wait != WAIT_MESSAGE)
            conn_ahead_drop(c);
    }
}

static void wish_for(struct ahead *a, struct wish *w, uint32_t msg, bool sure)
{
    if (a->n + w->n == AHEAD || find(a, msg) || (w->n && w->early[0].msg == msg))
        return;
    if (w->n == 0 || a->conn->front->nahead + w->n < a->conn->front->ahead_most)
        w->early[w->n++] = (struct early){ msg, NOT_YET, sure, uv_now(a->conn->front->loop) };
}

/* What the client will want after the message it wants now. */
static void look_ahead(struct ahead *a, struct span unread, struct wish *w)
{
    const struct engine *e = &a->conn->engine;
    uint32_t msgs[AHEAD], count = a->conn->login->view.count;
    size_t n = ahead_messages(e, unread, msgs, AHEAD);
    uint32_t depth = a->run < 5 ? 1u << a->run : AHEAD;

    for (size_t i = 0; i < n; i++)
        wish_for(a, w, msgs[i], true);
    if (n || a->run == 0)
        return;
    for (uint32_t i = 1; i <= depth && i < count - a->last; i++)
        if (!mail_is_deleted(e, a->last + i))
            wish_for(a, w, a->last + i, false);
}

static bool ask(struct ahead *a, const struct wish *w)
{
    struct conn *c = a->conn;
    uint8_t numbers[4 * AHEAD];
    struct msg m;

    for (size_t i = 0; i < w->n; i++)
        le_put(numbers + 4 * i, w->early[i].msg, 4);
    msg_init(&m, MSG_FETCH, c->sid);
    m.data = span_of(numbers, 4 * w->n);
    if (!channel_send(c->front->store[c->login->store], &m))
        return false;
    memcpy(a->early + a->n, w->early, w->n * sizeof *w->early);
    a->n += (unsigned)w->n;
    c->front->nahead += (uint32_t)w->n;
    return true;
}

/* Notes that msg is wanted now. When the order is broken, what was only expected will not come. */
static void note(struct ahead *a, uint32_t msg)
{
    bool again = msg == a->last, next = msg == a->last + 1; /* of none: no number has it */

    if (!again && !next)
        for (unsigned i = a->n; i-- > 0;)
            if (!a->early[i].sure && a->early[i].msg != msg)
                forget(a, &a->early[i]);
    if (!again)
        a->run = next && a->last != UINT32_MAX ? a->run + (a->run < 8) : 0;
    a->last = msg;
}

/* Is the file behind a descriptor that waited still what the listing says? The store found it so when it opened the
 * file: after the client asked, where that is not long ago. */
static bool is_trusted(const struct front *f, const struct early *x)
{
    return x->sure && uv_now(f->loop) - x->asked_ms < TRUST_MS;
}

/* False: the file has changed while its descriptor waited. */
static bool take(struct conn *c, struct early *x, bool trusted)
{
    int fd = x->fd;
    uint32_t msg = x->msg;

    x->fd = NOT_YET;
    forget(c->ahead, x);
    return conn_message(c, msg, fd, trusted);
}

static bool ask_alone(struct ahead *a, uint32_t msg)
{
    struct wish w = { 1, { { msg, NOT_YET, true, uv_now(a->conn->front->loop) } } };

    return ask(a, &w);
}

void conn_request_message(struct conn *c, const struct request *r, struct span unread)
{
    struct ahead *a = table_of(c);
    uint32_t msg = r->msg;
    bool here = find(a, msg) != NULL;
    struct early *x;
    struct wish w = { 0 };

    note(a, msg);
    if (!here && a->n == AHEAD)
        forget(a, &a->early[0]);
    if (!here)
        wish_for(a, &w, msg, true);
    if (!here || a->n <= LOW)
        look_ahead(a, unread, &w);
    if (c->peer_gone || (w.n && !ask(a, &w) && !here)) {
        engine_message_failed(&c->engine, FAULT_TEMP);
        return;
    }
    x = find(a, msg);
    if (x->fd >= 0) {
        if (take(c, x, is_trusted(c->front, x)))
            return;
        if (!ask_alone(a, msg)) {
            engine_message_failed(&c->engine, FAULT_TEMP);
            return;
        }
    }
    conn_wait(c, WAIT_MESSAGE);
}

/* The store has no descriptor of msg for us. */
static void failed(struct conn *c, uint32_t msg, uint32_t fault)
{
    struct early *x = find(c->ahead, msg);

    if (!x || x->fd >= 0)
        return;
    forget(c->ahead, x);
    if (c->wait != WAIT_MESSAGE || engine_request(&c->engine)->msg != msg)
        return; /* asked for again when it is wanted */
    if (fault == FAULT_NONE && ask_alone(c->ahead, msg)) /* it only had no time for all */
        return;
    conn_wait(c, WAIT_NONE);
    engine_message_failed(&c->engine, fault < FAULT_N && fault != FAULT_NONE ? (enum fault)fault : FAULT_TEMP);
}

/* Messages without their descriptors: we have too many open. One alone may find room. */
static void arrived(struct conn *c, struct msg *m)
{
    for (uint32_t i = 0; i < m->data.n / 4; i++) {
        uint32_t msg = (uint32_t)le_get(m->data.p + 4 * i, 4);
        struct early *x = find(c->ahead, msg);

        if (i >= m->nfds) {
            failed(c, msg, m->data.n > 4 ? FAULT_NONE : FAULT_TEMP);
        } else if (x && x->fd == NOT_YET) {
            x->fd = m->fds[i];
            m->fds[i] = -1;
        }
    }
}

void conn_messages(struct conn *c, struct msg *m)
{
    bool wanted = c->wait == WAIT_MESSAGE;
    struct early *x;

    if (!c->ahead)
        return;
    if (m->type == MSG_MESSAGE)
        arrived(c, m);
    else
        failed(c, m->number, m->fault);
    if (!wanted)
        return;
    if (c->wait == WAIT_MESSAGE) {
        x = find(c->ahead, engine_request(&c->engine)->msg);
        if (x->fd == NOT_YET)
            return;
        conn_wait(c, WAIT_NONE);
        take(c, x, true);
    }
    conn_run(c); /* nothing happens to one that is closed */
}
