/* cmd_mail.c - STAT, LIST, UIDL, RETR, TOP, DELE, RSET: the maildrop as a session sees it (RFC 1939 §5, §7).
 *
 * Message numbers are 1 .. count on the wire and 0 .. count - 1 inside. Does not know: files, how a body goes out.
 */
#include "pop3/command.h"
#include "pop3/engine_impl.h"

static bool bit(const uint8_t *bits, uint32_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}

static void set_bit(uint8_t *bits, uint32_t i)
{
    bits[i / 8] |= (uint8_t)(1u << (i % 8));
}

static bool surrogates(const struct engine *e)
{
    return e->conf->legacy_utf8 == LEGACY_SURROGATE && !e->utf8;
}

bool mail_is_deleted(const struct engine *e, uint32_t i)
{
    return bit(e->view->deleted, i);
}

uint64_t mail_octets(const struct engine *e, const struct drop_msg *msg)
{
    return surrogates(e) ? msg->legacy_octets : msg->octets;
}

static uint32_t count_left(const struct engine *e)
{
    return e->view->count - e->gone;
}

static uint64_t octets_left(const struct engine *e)
{
    return surrogates(e) ? e->view->legacy_octets - e->gone_legacy : e->view->octets - e->gone_octets;
}

/* The message that a command names, when it may be used: *i is set. */
static bool usable(const struct engine *e, const struct call *c, uint32_t *i, struct reply *no)
{
    if (c->msg == 0 || c->msg > e->view->count) {
        *no = reply_err(RC_NONE, TEXT_NO_MSG);
        return false;
    }
    *i = c->msg - 1;
    if (mail_is_deleted(e, *i)) {
        *no = reply_err(RC_NONE, TEXT_MSG_DELETED);
        return false;
    }
    return true;
}

/* The same for commands that tell something of its content: [UTF8] where the site wants it (RFC 6856 §5). */
static bool readable(struct engine *e, const struct call *c, uint32_t *i, struct reply *no)
{
    struct drop_msg msg = { 0 };

    if (!usable(e, c, i, no))
        return false;
    e->reported = true;
    if (e->utf8 || e->conf->legacy_utf8 != LEGACY_REJECT)
        return true;
    if (!e->view->get(e->view->ctx, *i, &msg)) {
        e->drop = true;
        *no = reply_later();
        return false;
    }
    if (msg.flags & DROP_MSG_NEEDS_UTF8) {
        *no = reply_err(RC_UTF8, TEXT_NEEDS_UTF8);
        return false;
    }
    return true;
}

static struct reply one(enum listing_kind list, uint32_t i)
{
    return (struct reply){ .verdict = REPLY_ONE, .list = list, .item = i };
}

/* RFC 1939 §5: nothing behind the two numbers. */
struct reply cmd_stat(struct engine *e, const struct call *c)
{
    struct reply r = reply_ok(TEXT_NUMBERS);

    (void)c;
    e->reported = true;
    r.n[0] = count_left(e);
    r.n[1] = octets_left(e);
    return r;
}

struct reply cmd_list(struct engine *e, const struct call *c)
{
    struct reply r = reply_ok(count_left(e) == 1 ? TEXT_LISTING_1 : TEXT_LISTING_N);
    uint32_t i;

    if (c->has_msg)
        return readable(e, c, &i, &r) ? one(LISTING_LIST, i) : r;
    e->reported = true;
    r.list = LISTING_LIST;
    r.n[0] = count_left(e);
    r.n[1] = octets_left(e);
    return r;
}

struct reply cmd_uidl(struct engine *e, const struct call *c)
{
    struct reply r = reply_ok(TEXT_UIDL);
    uint32_t i;

    e->reported = true;
    if (c->has_msg)
        return usable(e, c, &i, &r) ? one(LISTING_UIDL, i) : r;
    r.list = LISTING_UIDL;
    return r;
}

static struct reply send(struct engine *e, const struct call *c, bool top)
{
    struct reply no;
    uint32_t i;

    if (!readable(e, c, &i, &no))
        return no;
    e->sending = (struct sending){ .top = top, .msg = i, .stuff = STUFF_START, .cut = TOPCUT_START(c->lines) };
    engine_ask(e, (struct request){ .kind = REQ_MESSAGE, .msg = i, .top = top });
    return reply_later();
}

struct reply cmd_retr(struct engine *e, const struct call *c)
{
    e->stats.retr++;
    return send(e, c, false);
}

struct reply cmd_top(struct engine *e, const struct call *c)
{
    e->stats.top++;
    if (e->policy.expire_days == 0 && e->conf->top_refused && c->lines > 0)
        return reply_err(RC_NONE, TEXT_TOP_REFUSED); /* R1939-OPS-03 */
    return send(e, c, true);
}

void mail_open(struct engine *e, const struct drop_msg *msg)
{
    struct sending *s = &e->sending;
    struct reply r = reply_ok(s->top ? TEXT_TOP : TEXT_OCTETS);
    bool surrogate = surrogates(e) && (msg->flags & DROP_MSG_NEEDS_UTF8);

    s->active = true;
    s->announced = mail_octets(e, msg);
    s->plain = (msg->flags & DROP_MSG_WIRE_READY) && !surrogate && !s->top;
    r.n[0] = s->announced;
    engine_answer(e, r);
}

/* The message of e->sending has been sent whole. By TOP it counts only where retrieving means deleting, so that
 * TOP with a large number is no way around it (R1939-OPS-03); else TOP leaves no trace (R1939-TOP-10). */
void mail_sent(struct engine *e)
{
    if (!e->sending.top || e->policy.expire_days == 0)
        set_bit(e->view->retrieved, e->sending.msg);
}

struct reply cmd_dele(struct engine *e, const struct call *c)
{
    struct drop_msg msg = { 0 };
    struct reply no;
    uint32_t i;

    if (!usable(e, c, &i, &no))
        return no;
    if (!e->view->get(e->view->ctx, i, &msg)) {
        e->drop = true;
        return reply_later();
    }
    set_bit(e->view->deleted, i);
    e->gone++;
    e->gone_octets += msg.octets;
    e->gone_legacy += msg.legacy_octets;
    e->stats.dele++;
    return reply_ok(TEXT_DELETED);
}

struct reply cmd_rset(struct engine *e, const struct call *c)
{
    size_t n = (e->view->count + 7) / 8;

    (void)c;
    memset(e->view->deleted, 0, n);
    if (e->policy.expire_days == 0)
        memset(e->view->retrieved, 0, n); /* R1939-RSET-03 */
    e->gone = 0;
    e->gone_octets = e->gone_legacy = 0;
    return reply_ok(TEXT_RESET);
}
