/* output.c - turns the reply of a session into octets, as much as there is room for.
 *
 * Everything is cut into pieces that can be made again: a status line, a line of a listing, a run of a message, the
 * terminator. A piece that did not fit goes on at the next call. Does not know: commands, sockets.
 */
#include "base/base64.h"
#include "pop3/engine_impl.h"
#include "pop3/listing.h"

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
        case OUT_BODY: more = output_body(e, &k, body); break;
        case OUT_END: more = put_end(e, &k); break;
        }
    }
    return k.n;
}
