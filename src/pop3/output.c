/* output.c - turns the reply of a session into octets, as much as there is room for.
 *
 * Everything is cut into pieces that can be made again: a status line, a line of a listing, a run of a message, the
 * terminator. A piece that did not fit goes on at the next call. Does not know: commands, sockets.
 */
#include "base/base64.h"
#include "pop3/engine_impl.h"
#include "pop3/listing.h"

struct sink {
    uint8_t *p;
    size_t n, room;
};

/* Puts what is left of a piece; false when the room ran out before its end. */
static bool put(struct engine *e, struct sink *k, struct span piece)
{
    size_t left = piece.n - e->out.sent, n = left < k->room - k->n ? left : k->room - k->n;

    memcpy(k->p + k->n, piece.p + e->out.sent, n);
    k->n += n;
    e->out.sent = n < left ? e->out.sent + n : 0;
    return n == left;
}

/* The reply is out. */
static void finish(struct engine *e)
{
    e->out = (struct output){ .phase = OUT_IDLE };
    e->sending.active = false;
    if (e->state == ST_GREET)
        state_set(e, ST_AUTH);
}

static void after_status(struct engine *e)
{
    if (e->sending.active)
        e->out.phase = OUT_BODY;
    else if (e->reply.verdict != REPLY_ONE && e->reply.list != LISTING_NONE)
        e->out.phase = OUT_LINES;
    else
        finish(e);
}

static bool put_status(struct engine *e, struct sink *k)
{
    uint8_t line[4 + LIMIT_REPLY_LINE];
    size_t n = 0;

    if (e->reply.verdict == REPLY_ONE) {
        memcpy(line, "+OK ", 4);
        if (listing_line(e, e->reply.list, e->reply.item, line + 4, &n) != LISTING_LINE) {
            e->drop = true;
            return false;
        }
        n += 4;
    } else {
        n = reply_encode(&e->reply, e->lang, line);
    }
    if (!put(e, k, span_of(line, n)))
        return false;
    after_status(e);
    return true;
}

/* Base64 of three octets at a time needs no memory between the pieces (RFC 5034 §4). */
static bool put_challenge(struct engine *e, struct sink *k)
{
    struct span *data = &e->out.challenge;
    size_t groups;

    if (e->out.sent == 0) {
        if (k->room - k->n < 2)
            return false;
        memcpy(k->p + k->n, "+ ", 2);
        k->n += 2;
        e->out.sent = 2;
    }
    groups = (k->room - k->n) / 4;
    if (groups > (data->n + 2) / 3)
        groups = (data->n + 2) / 3;
    k->n += base64_put(k->p + k->n, span_take(data, groups * 3 < data->n ? groups * 3 : data->n));
    if (data->n || k->room - k->n < 2)
        return false;
    memcpy(k->p + k->n, "\r\n", 2);
    k->n += 2;
    finish(e);
    return true;
}

static bool put_line(struct engine *e, struct sink *k)
{
    bool straight = e->out.sent == 0 && k->room - k->n >= LIMIT_REPLY_LINE;
    uint8_t line[LIMIT_REPLY_LINE], *at = straight ? k->p + k->n : line;
    size_t n;

    switch (listing_line(e, e->reply.list, e->out.item, at, &n)) {
    case LISTING_BROKEN:
        e->drop = true;
        return false;
    case LISTING_END:
        e->out.phase = OUT_END;
        return true;
    case LISTING_SKIP: break;
    case LISTING_LINE:
        if (straight)
            k->n += n;
        else if (!put(e, k, span_of(line, n)))
            return false;
    }
    e->out.item++;
    return true;
}

static void copy_run(const struct engine *e, uint8_t *dst, struct span run)
{
    uint8_t *nul = dst, *end = dst + run.n;

    memcpy(dst, run.p, run.n);
    if (e->conf->nul_as_80) /* one for one: the size stays true (C12) */
        while ((nul = memchr(nul, 0, (size_t)(end - nul))) != NULL)
            *nul = 0x80;
}

static size_t least(size_t a, uint64_t b)
{
    return a < b ? a : (size_t)b;
}

/* One run of the message; in is not empty, nor is the room. False: more octets than were announced. They would be
 * taken for replies: better no connection at all. */
static bool put_run(struct engine *e, struct sink *k, struct span *in)
{
    struct sending *s = &e->sending;
    uint64_t left = s->announced - s->sent;
    struct span part = { in->p, least(least(in->n, k->room - k->n), left) }, run = part;
    enum stuff_kind kind = STUFF_RUN;

    if (left == 0) {
        e->drop = true;
        return false;
    }
    if (s->plain)
        s->stuff.at_bol = part.p[part.n - 1] == '\n';
    else
        kind = stuff_next(&s->stuff, &part, &run);
    if (kind == STUFF_RUN)
        span_take(in, run.n);
    if (kind != STUFF_DOT)
        s->sent += run.n;
    copy_run(e, k->p + k->n, run);
    k->n += run.n;
    return true;
}

/* The message is through: what must stand before the terminator, and is the size as announced? */
static void close_body(struct engine *e, bool whole)
{
    struct sending *s = &e->sending;

    s->ended = true;
    s->before_end = s->stuff.at_bol ? 0 : 2;
    s->sent += s->before_end;
    if (s->sent > s->announced || (whole && s->sent != s->announced) || (s->plain && s->before_end)) {
        e->drop = true; /* a short message never ends in a good terminator: R1939-RETR-07 */
        return;
    }
    if (s->sent == s->announced)
        mail_sent(e);
    e->stats.body_octets += s->sent;
    if (s->top && whole && s->cut.in_header && s->sent && e->conf->top_adds_eoh)
        s->before_end += 2; /* quirk: Outlook Express waits for the empty line */
}

/* The bulk of it; room and what was announced are kept to, the rest is put_run's. */
static void put_many(struct engine *e, struct sink *k, struct span *in)
{
    struct sending *s = &e->sending;
    size_t dots = 0, n;

    if (s->plain || e->conf->nul_as_80)
        return;
    n = stuff_copy(&s->stuff, in, k->p + k->n, least(k->room - k->n, s->announced - s->sent), &dots);
    k->n += n;
    s->sent += n - dots;
}

/* As put_run for all of in that there is room for. */
static bool put_runs(struct engine *e, struct sink *k, struct span *in)
{
    put_many(e, k, in);
    while (in->n && k->room > k->n)
        if (!put_run(e, k, in))
            return false;
    return true;
}

/* The part of *body that TOP wants; the cut is moved over what went out, so that it can stop anywhere. */
static void put_top(struct engine *e, struct sink *k, struct span *body)
{
    struct topcut ahead = e->sending.cut;
    struct span look = { body->p, least(body->n, k->room - k->n) }, wanted = topcut_take(&ahead, &look), out;
    size_t before = wanted.n;

    if (!put_runs(e, k, &wanted))
        return;
    out = span_take(body, before - wanted.n);
    topcut_take(&e->sending.cut, &out);
    if (e->sending.cut.done)
        close_body(e, false);
}

static bool put_body(struct engine *e, struct sink *k, struct span *body)
{
    struct sending *s = &e->sending;

    if (!s->ended && body->n && k->room > k->n) {
        if (s->top)
            put_top(e, k, body);
        else
            put_runs(e, k, body);
    }
    if (!s->ended || e->drop)
        return false;
    e->out.phase = OUT_END;
    return true;
}

static bool put_end(struct engine *e, struct sink *k)
{
    static const uint8_t ends[] = "\r\n\r\n.\r\n";
    size_t skip = 4u - (e->sending.active ? e->sending.before_end : 0u);

    if (!put(e, k, span_of(ends + skip, sizeof ends - 1 - skip)))
        return false;
    finish(e);
    return true;
}

size_t output_pull(struct engine *e, struct span *body, uint8_t *dst, size_t room)
{
    struct sink k = { dst, 0, room };
    bool more = true;

    while (more && !e->drop) {
        switch (e->out.phase) {
        case OUT_IDLE: more = false; break;
        case OUT_STATUS: more = put_status(e, &k); break;
        case OUT_CHALLENGE: more = put_challenge(e, &k); break;
        case OUT_LINES: more = put_line(e, &k); break;
        case OUT_BODY: more = put_body(e, &k, body); break;
        case OUT_END: more = put_end(e, &k); break;
        }
    }
    return k.n;
}

size_t output_straight(const struct engine *e)
{
    const struct sending *s = &e->sending;

    if (e->out.phase != OUT_BODY || e->drop || !s->plain || s->ended || e->conf->nul_as_80)
        return 0;
    return least(SIZE_MAX, s->announced - s->sent);
}

void output_straight_put(struct engine *e, struct span body)
{
    if (body.n == 0 || body.n > output_straight(e))
        return;
    e->sending.sent += body.n;
    e->sending.stuff.at_bol = body.p[body.n - 1] == '\n';
}

void output_body_end(struct engine *e)
{
    if (e->sending.active && !e->sending.ended)
        close_body(e, true);
}
