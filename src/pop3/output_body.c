/* output_body.c - the octets of a message in a reply, up to what was announced and not one more.
 *
 * Does not know: status lines, the terminator (output.c), files.
 */
#include "pop3/engine_impl.h"

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

bool output_body(struct engine *e, struct sink *k, struct span *body)
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
