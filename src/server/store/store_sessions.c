/* store_sessions.c - sessions of a store worker: open, commit, close, and the wait for a lock.
 *
 * A session ends without UPDATE unless its front asked for the commit; a commit that has begun is finished even
 * when the front dies meanwhile (R1939-QUIT-05). Does not know: how maildrops lie on disk, how
 * messages are handed out (store_fetch.c).
 */
#include "server/store/store_worker.h"

#include "base/log.h"
#include "store/index.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MARKS_MAX = INDEX_MAX_COUNT / 8 + 8 };
enum { WORK_OPEN, WORK_COMMIT };

struct work {
    uv_work_t req;
    int kind;
    struct session *session_ref;
    bool ok; /* its result */
    struct err err;
    struct store_commit commit;
    struct buf deleted, retrieved;
};

struct retry {
    uv_timer_t timer;
    struct session *session_ref;
};

static struct session **bucket_of(struct store_worker *w, uint64_t sid)
{
    return &w->sessions[(sid ^ sid >> 20 ^ sid >> 48) % STORE_BUCKETS];
}

static struct session *session_find(struct store_worker *w, uint64_t sid, uint32_t front)
{
    for (struct session *s = *bucket_of(w, sid); s; s = s->next)
        if (s->sid == sid && s->front == front)
            return s;
    return NULL;
}

void session_reply(struct session *s, struct msg *m)
{
    if (!s->closing && s->front < STORE_FRONTS)
        channel_send(s->worker->front[s->front], m);
}

static void on_retry_closed(uv_handle_t *h)
{
    free(h->data);
}

static void retry_stop(struct session *s)
{
    if (!s->retry)
        return;
    uv_timer_stop(&s->retry->timer);
    uv_close((uv_handle_t *)&s->retry->timer, on_retry_closed);
    s->retry = NULL;
}

/* Forgets s; its maildrop is closed and its lock is free before this returns. */
static void session_end(struct session *s)
{
    struct store_worker *w = s->worker;
    struct session **at = bucket_of(w, s->sid);

    while (*at && *at != s)
        at = &(*at)->next;
    if (*at)
        *at = s->next;
    w->nsessions--;
    if (w->nsessions == 0)
        w->idle_since_ms = uv_now(w->loop);
    w->ops->close(&s->drop);
    grant_free(s->grant);
    retry_stop(s);
    free(s);
    store_maybe_exit(w);
}

static struct work *work_new(struct session *s, int kind)
{
    struct work *work = mem_zero(1, sizeof *work);

    work->req.data = work;
    work->kind = kind;
    work->session_ref = s;
    work->deleted = work->retrieved = BUF(MARKS_MAX);
    return work;
}

static void work_free(struct work *work)
{
    buf_free(&work->deleted);
    buf_free(&work->retrieved);
    free(work);
}

static void do_work(uv_work_t *req)
{
    struct work *work = req->data;
    struct session *s = work->session_ref;
    const struct store_ops *ops = s->worker->ops;

    if (work->kind == WORK_OPEN)
        work->ok = ops->open(s->grant->path, &s->grant->policy, &s->drop, &work->err);
    else
        work->ok = ops->commit(s->drop, &work->commit, &work->err);
}

static void work_done(uv_work_t *req, int status);

static void begin(struct work *work)
{
    struct session *s = work->session_ref;

    s->work = work;
    s->worker->nbusy++;
    uv_queue_work(s->worker->loop, &work->req, do_work, work_done);
}

/* The listing goes in the message, or as a descriptor where it is long. */
static bool put_listing(struct session *s, struct msg *m, struct err *e)
{
    const struct store_ops *ops = s->worker->ops;
    uint8_t head[INDEX_HEADER_OCTETS];
    struct span brief = ops->brief ? ops->brief(s->drop) : span_of(NULL, 0), header = brief;
    struct index_header h;
    uint64_t octets = brief.n;
    int fd = -1;

    if (!brief.n) {
        if (!ops->listing(s->drop, &fd, &octets, e))
            return false;
        header = span_of(head, pread(fd, head, sizeof head, 0) == sizeof head ? sizeof head : 0);
    }
    if (header.n < INDEX_HEADER_OCTETS || octets > UINT32_MAX || !index_get_header(header.p, octets, &h))
        return err_set(e, FAULT_TEMP, "listing of %s is malformed", s->grant->path);
    m->data = brief;
    m->fds[0] = fd;
    m->nfds = fd >= 0;
    m->octets = h.octets;
    m->legacy_octets = h.legacy_octets;
    m->number = (uint32_t)octets;
    return true;
}

/* Tells the front what it may know of an open maildrop. */
static bool send_opened(struct session *s, struct err *e)
{
    struct msg m;

    msg_init(&m, MSG_OPENED, s->sid);
    m.count = s->worker->ops->count(s->drop);
    if (m.count && !put_listing(s, &m, e))
        return false;
    session_reply(s, &m);
    return true;
}

static void open_failed(struct session *s, const struct err *e)
{
    struct msg m;

    if (e->fault != FAULT_IN_USE)
        event(LOG_ERROR, "open-failed", F_SID(s->sid), F_STR("user", s->grant->user), F_ERR(e),
              F_STR("fault", fault_name(e->fault)));
    msg_init(&m, MSG_OPEN_FAIL, s->sid);
    m.fault = e->fault == FAULT_GONE ? FAULT_PERM : e->fault;
    session_reply(s, &m);
    session_end(s);
}

static void begin_open(struct session *s);

static void on_retry(uv_timer_t *timer)
{
    struct retry *retry = timer->data;
    struct session *s = retry->session_ref;

    retry_stop(s);
    begin_open(s);
}

/* Another session has the lock: ask it to leave if that is the policy, and try again for a short while. */
static void wait_for_lock(struct session *s)
{
    struct store_worker *w = s->worker;

    if (s->grant->takeover)
        for (unsigned i = 0; i < STORE_BUCKETS; i++)
            for (struct session *o = w->sessions[i]; o; o = o->next)
                if (o != s && o->drop && !o->work && strcmp(o->grant->path, s->grant->path) == 0) {
                    struct msg m;

                    msg_init(&m, MSG_KICK, o->sid);
                    session_reply(o, &m);
                }
    s->retry = mem_zero(1, sizeof *s->retry);
    s->retry->session_ref = s;
    uv_timer_init(w->loop, &s->retry->timer);
    s->retry->timer.data = s->retry;
    uv_timer_start(&s->retry->timer, on_retry, LOCK_RETRY_MS, 0);
}

static void open_done(struct session *s, bool ok, struct err *e)
{
    if (s->closing) {
        session_end(s);
    } else if (!ok && e->fault == FAULT_IN_USE && uv_now(s->worker->loop) < s->give_up_ms) {
        wait_for_lock(s);
    } else if (!ok || !send_opened(s, e)) {
        open_failed(s, e);
    }
}

/* At once, when the maildrop is as it was when last seen; else in a helper thread. */
static void begin_open(struct session *s)
{
    const struct store_ops *ops = s->worker->ops;
    struct err e = { FAULT_NONE, "" };
    enum store_warm answer =
        ops->open_warm ? ops->open_warm(s->grant->path, &s->grant->policy, &s->drop, &e) : STORE_COLD;

    if (answer == STORE_COLD)
        begin(work_new(s, WORK_OPEN));
    else
        open_done(s, answer == STORE_OPENED, &e);
}

static void commit_done(struct session *s, const struct work *work)
{
    struct msg m;

    if (!work->ok)
        event(LOG_ERROR, "commit-failed", F_SID(s->sid), F_STR("user", s->grant->user), F_ERR(&work->err),
              F_U64("removed", work->commit.removed), F_U64("failed", work->commit.failed));
    else if (work->commit.removed)
        event(LOG_INFO, "update", F_SID(s->sid), F_STR("user", s->grant->user),
              F_U64("removed", work->commit.removed));
    msg_init(&m, MSG_COMMITTED, s->sid);
    m.fault = work->ok ? FAULT_NONE : work->err.fault == FAULT_PERM ? FAULT_PERM : FAULT_TEMP;
    m.count = work->commit.removed;
    m.number = work->commit.failed;
    s->worker->ops->close(&s->drop); /* the lock is free before the client reads the reply */
    session_reply(s, &m);
    session_end(s);
}

static void work_done(uv_work_t *req, int status)
{
    struct work *work = req->data;
    struct session *s = work->session_ref;

    s->worker->nbusy--;
    s->work = NULL;
    if (status < 0) {
        work->ok = false;
        err_set(&work->err, FAULT_TEMP, "work cancelled");
    }
    if (work->kind == WORK_OPEN)
        open_done(s, work->ok, &work->err);
    else
        commit_done(s, work);
    work_free(work);
}

static void on_open(struct store_worker *w, uint32_t front, const struct msg *m)
{
    struct grant *g = grant_take(w, m->grant, front, m->sid);
    struct session *s, **bucket = bucket_of(w, m->sid);
    struct msg fail;

    if (!g) { /* auth sent it before the front could know of it: it is in our other socket */
        channel_drain(w->auth);
        g = grant_take(w, m->grant, front, m->sid);
    }
    if (!g || session_find(w, m->sid, front) || w->stopping || !w->ready) { /* !ready: still with root's rights */
        event(LOG_WARNING, "grant-refused", F_SID(m->sid), F_U64("front", front));
        grant_free(g);
        msg_init(&fail, MSG_OPEN_FAIL, m->sid);
        fail.fault = FAULT_TEMP;
        channel_send(w->front[front], &fail);
        return;
    }
    s = mem_zero(1, sizeof *s);
    s->worker = w;
    s->sid = m->sid;
    s->front = front;
    s->grant = g;
    g->policy.warm = w->warm;
    s->give_up_ms = uv_now(w->loop) + w->conf->mail.lock_wait_ms;
    s->next = *bucket;
    *bucket = s;
    w->nsessions++;
    begin_open(s);
}

/* Marks arrive in the message, or in descriptors when they are long; each must be as long as the snapshot. */
static bool take_marks(struct buf *b, struct span inline_marks, int fd, size_t n)
{
    uint8_t *dst = buf_reserve(b, n + 1);

    if (!dst)
        return false;
    if (fd < 0 && inline_marks.n == n) {
        memcpy(dst, inline_marks.p, n);
        b->n = n;
    } else if (fd >= 0 && pread(fd, dst, n + 1, 0) == (ssize_t)n) {
        b->n = n;
    }
    return b->n == n;
}

static bool has_mark(const struct buf *marks)
{
    for (size_t i = 0; i < marks->n; i++)
        if (marks->p[i])
            return true;
    return false;
}

static void on_commit(struct session *s, const struct msg *m)
{
    size_t n = (s->worker->ops->count(s->drop) + 7u) / 8u;
    struct work *work = work_new(s, WORK_COMMIT);

    if (!take_marks(&work->deleted, m->data, m->fds[0], n) ||
        !take_marks(&work->retrieved, m->secret, m->fds[1], n)) {
        err_set(&work->err, FAULT_TEMP, "marks of the wrong length");
        commit_done(s, work);
        work_free(work);
        return;
    }
    if (m->flags & MSGF_READ_ONLY) { /* a public maildrop: nothing is removed */
        memset(work->deleted.p, 0, n);
        memset(work->retrieved.p, 0, n);
    }
    work->commit = (struct store_commit){ work->deleted.p, work->retrieved.p, 0, 0 };
    if (has_mark(&work->deleted) || (s->grant->policy.mark_seen && has_mark(&work->retrieved))) {
        begin(work);
        return;
    }
    work->ok = true; /* a poll: there is nothing that could wait for a disk */
    commit_done(s, work);
    work_free(work);
}

static void on_close(struct session *s)
{
    s->closing = true;
    if (!s->work) /* else when the work is done */
        session_end(s);
}

void store_on_front(void *ctx, struct channel *ch, struct msg *m)
{
    struct store_worker *w = ctx;
    struct session *s;

    if (m->type == MSG_OPEN) {
        on_open(w, channel_id(ch), m);
        return;
    }
    s = session_find(w, m->sid, channel_id(ch));
    if (!s)
        return; /* closed already: a late message of an ended session */
    if (m->type == MSG_CLOSE)
        on_close(s);
    else if (s->work || !s->drop)
        return; /* one thing at a time: only a front out of step asks now */
    else if (m->type == MSG_FETCH)
        session_fetch(s, m);
    else if (m->type == MSG_COMMIT)
        on_commit(s, m);
}

void store_front_gone(void *ctx, struct channel *ch, const struct err *why)
{
    struct store_worker *w = ctx;
    uint32_t front = channel_id(ch);

    if (front < STORE_FRONTS && w->front[front] == ch)
        w->front[front] = NULL;
    event(LOG_INFO, "peer-gone", F_STR("peer", "front"), F_U64("id", front), F_ERR(why));
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        struct session *next;

        for (struct session *s = w->sessions[i]; s; s = next) {
            next = s->next;
            if (s->front == front && !s->closing)
                on_close(s); /* no QUIT, no UPDATE */
        }
    }
}

void store_maybe_exit(struct store_worker *w)
{
    if (!w->stopping || w->nbusy || w->nsessions)
        return;
    for (uint32_t i = 0; i < STORE_FRONTS; i++)
        channel_flush(w->front[i]);
    uv_stop(w->loop);
}
