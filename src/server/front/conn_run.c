/* conn_run.c - drives the engine of one connection: what it wants, as far as it goes.
 *
 * Output is gathered in the front's scratch buffer and leaves in as few writes as it can; while more is to come
 * the last octets are held back, so that a terminator never travels alone. A connection that has sent its budget
 * yields to the others. Does not know: sockets' readiness, other processes' messages.
 */
#include "server/front/front.h"

#include "base/log.h"

enum { HOLD_BACK = 256, PULL_ROOM = 4096 };

/* State of one turn. */
struct turn {
    struct conn *c;
    size_t made;      /* octets in the scratch buffer */
    size_t used;      /* octets of c->in that the engine took */
    size_t budget;
};

/* Sends what the turn made, all but the last hold octets; false: the connection is closed. */
static bool emit(struct turn *t, size_t hold)
{
    uint8_t *scratch = t->c->front->scratch;
    size_t n = t->made > hold ? t->made - hold : 0;

    if (n == 0)
        return true;
    if (!conn_send(t->c, span_of(scratch, n)))
        return false;
    t->made -= n;
    if (t->made)
        memmove(scratch, scratch + n, t->made);
    t->budget -= n < t->budget ? n : t->budget;
    return true;
}

enum step { STEP_AGAIN, STEP_WAIT, STEP_CLOSED };

/* Octets of a message that needs no filter, read to where they leave from. */
static bool pull_straight(struct turn *t)
{
    struct conn *c = t->c;
    uint8_t *at = c->front->scratch + t->made;
    size_t most = engine_straight(&c->engine), room = FRONT_SCRATCH - t->made, got;

    if (!most)
        return false;
    got = conn_body_straight(c, at, most < room ? most : room);
    engine_straight_put(&c->engine, span_of(at, got));
    t->made += got;
    return got != 0;
}

/* One pull of output, with message octets when the engine wants them. */
static enum step pull(struct turn *t, unsigned want)
{
    struct conn *c = t->c;
    struct span body = { NULL, 0 };
    bool wait = false, end = false, broken = false;
    size_t before, got;

    if (c->out.n)
        return STEP_WAIT; /* the socket is full: nothing is made before it has drained */
    if (FRONT_SCRATCH - t->made < PULL_ROOM) {
        if (!emit(t, HOLD_BACK))
            return STEP_CLOSED;
        if (c->out.n || t->budget == 0)
            return STEP_WAIT;
    }
    if (want & WANT_BODY) {
        if (c->peer_gone && c->login->policy.expire_days == 0) { /* retrieved would mean deleted: but it was not */
            conn_close(c, "connection-lost");
            return STEP_CLOSED;
        }
        if (pull_straight(t))
            return STEP_AGAIN;
        body = conn_body_span(c, &wait, &end, &broken);
        if (broken) {
            conn_close(c, "message-unreadable");
            return STEP_CLOSED;
        }
        if (wait)
            return STEP_WAIT;
        if (end) {
            engine_body_end(&c->engine);
            conn_body_close(c);
            return STEP_AGAIN;
        }
    }
    before = body.n;
    got = engine_pull(&c->engine, &body, c->front->scratch + t->made, FRONT_SCRATCH - t->made);
    t->made += got;
    conn_body_used(c, before - body.n);
    if (c->body && !(engine_want(&c->engine) & WANT_BODY))
        conn_body_close(c); /* TOP needs no more of the file */
    if (got == 0 && before == body.n && engine_want(&c->engine) == want)
        return STEP_WAIT;
    return STEP_AGAIN;
}

/* Hands a request on. */
static enum step request(struct turn *t)
{
    struct conn *c = t->c;
    const struct request *r = engine_request(&c->engine);

    if (c->wait != WAIT_NONE)
        return STEP_WAIT;
    switch (r->kind) {
    case REQ_STLS:
        if (!emit(t, 0))
            return STEP_CLOSED;
        if (c->out.n)
            return STEP_WAIT;
        if (c->in.n > t->used || c->peer_gone)
            event(LOG_WARNING, "stls-injection", F_SID(c->sid), F_U64("octets", c->in.n - t->used));
        t->used = 0;
        buf_wipe(&c->in); /* plaintext behind STLS never runs inside TLS (R2595-STLS-05) */
        conn_start_tls(c);
        return STEP_CLOSED;
    case REQ_MESSAGE:
        conn_request_message(c, r, span_of(c->in.p + t->used, c->in.n - t->used));
        break;
    case REQ_COMMIT:
        conn_ahead_drop(c);
        conn_request_commit(c);
        break;
    default:
        if (!conn_request_login(c, r))
            engine_refused(&c->engine, RC_SYS_TEMP, false);
    }
    return c->phase == PH_CLOSED ? STEP_CLOSED : c->wait == WAIT_NONE ? STEP_AGAIN : STEP_WAIT;
}

/* Feeds input; at its end tells the engine. */
static enum step feed(struct turn *t)
{
    struct conn *c = t->c;
    struct span in = span_of(c->in.p + t->used, c->in.n - t->used);
    size_t took = in.n ? engine_feed(&c->engine, in) : 0;

    t->used += took;
    if (engine_sasl_aborted(&c->engine))
        conn_cancel_login(c);
    conn_ahead_marked(c);
    if (took)
        return STEP_AGAIN;
    if (t->used) {
        buf_consume(&c->in, t->used);
        t->used = 0;
    }
    if (conn_read_more(c))
        return STEP_AGAIN;
    if (!c->eof)
        return STEP_WAIT;
    engine_eof(&c->engine); /* octets of an unfinished line are void (R1939-GEN-22) */
    return engine_want(&c->engine) & WANT_INPUT ? STEP_WAIT : STEP_AGAIN;
}

static enum step step(struct turn *t)
{
    unsigned want = engine_want(&t->c->engine);

    if (want & WANT_DROP) {
        conn_close(t->c, "dropped");
        return STEP_CLOSED;
    }
    if (want & (WANT_OUTPUT | WANT_BODY))
        return pull(t, want);
    if (want & WANT_REQUEST)
        return request(t);
    if (want & WANT_CLOSE) {
        if (!emit(t, 0))
            return STEP_CLOSED;
        if (t->c->out.n)
            return STEP_WAIT;
        conn_finish(t->c);
        return STEP_CLOSED;
    }
    return want & WANT_INPUT ? feed(t) : STEP_WAIT;
}

void conn_run(struct conn *c)
{
    struct turn t = { c, 0, 0, FRONT_WAKE_BUDGET };
    enum step s;

    if (c->phase != PH_POP3)
        return;
    do
        s = step(&t);
    while (s == STEP_AGAIN);
    if (s == STEP_CLOSED)
        return;
    if (!emit(&t, 0))
        return;
    if (t.used)
        buf_consume(&c->in, t.used);
    if (c->in.n == 0 && c->in.p)
        buf_free(&c->in);
    if (c->eof && c->wait == WAIT_NONE && c->out.n == 0 &&
        !(engine_want(&c->engine) & (WANT_OUTPUT | WANT_BODY | WANT_REQUEST))) {
        conn_finish(c);
        return;
    }
    /* Nobody reads this message any more. It is made to its end, for nobody, only when lines behind it wait: they may be
     * a QUIT that must be carried out (R1939-QUIT-05). */
    if (c->peer_gone && c->wait == WAIT_NONE && c->in.n == 0 && (engine_want(&c->engine) & WANT_BODY)) {
        conn_close(c, "connection-lost");
        return;
    }
    conn_watch(c);
    if (t.budget == 0 && c->out.n == 0)
        conn_come_back(c);
}
