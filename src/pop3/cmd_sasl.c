/* cmd_sasl.c - AUTH and the lines of an exchange (RFC 5034 §4): Base64, cancelling, the empty challenge.
 * Does not know: mechanisms from inside, who may log in.
 */
#include "base/base64.h"
#include "pop3/command.h"
#include "pop3/engine_impl.h"

/* The exchange ends without an outcome: no [AUTH], it is no matter of credentials (R3206-04). */
static struct reply give_up(struct engine *e, enum text_id text)
{
    bool close = e->asked && mechs[e->mech].binding; /* RFC 9266 §4.1, as after a failure */

    e->aborted = e->asked;
    state_set(e, close ? ST_CLOSED : ST_AUTH);
    return reply_bad(RC_NONE, text);
}

/* Hands the client's message on. */
static struct reply ask(struct engine *e, bool has_data, struct span data)
{
    enum request_kind kind = e->asked ? REQ_SASL_MORE : REQ_SASL;

    e->asked = true;
    engine_ask(e, (struct request){ .kind = kind, .mech = e->mech, .has_data = has_data, .data = data });
    return reply_later();
}

static bool decode(struct engine *e, struct span text, struct span *data)
{
    size_t n = 0;

    if (BASE64_DECODED(text.n) > LIMIT_SASL_LINE || !base64_get(text, e->scratch, &n))
        return false;
    *data = span_of(e->scratch, n);
    return true;
}

/* AUTH without argument: no RFC has it, old Outlook sends it (C16). */
static struct reply list_mechs(const struct engine *e)
{
    struct reply r = reply_ok(TEXT_MECHS);

    r.list = LISTING_MECHS;
    for (unsigned i = 0; i < MECH_N; i++)
        if (login_mech_allowed(e, (enum mech_id)i))
            return r;
    return reply_err(RC_NONE, TEXT_NO_MECH);
}

/* Is the lack of TLS all that stands in the way? Then RFC 3206 §5 calls it [AUTH]: a refusal by policy. */
static bool needs_tls(const struct engine *e, enum mech_id mech)
{
    const struct mech *m = &mechs[mech];

    if (e->link->tls || !(e->link->mechs & MECH_BIT(mech)) || m->binding || m->certificate)
        return false;
    return e->link->auth_needs_tls || m->plaintext;
}

struct reply cmd_auth(struct engine *e, const struct call *c)
{
    enum mech_id mech;
    struct span data = { NULL, 0 };

    if (!c->has_a)
        return list_mechs(e);
    mech = mech_find(c->a);
    if (mech == MECH_NONE)
        return reply_bad(RC_NONE, TEXT_NO_MECH);
    if (!login_mech_allowed(e, mech))
        return needs_tls(e, mech) ? reply_bad(RC_AUTH, TEXT_NEEDS_TLS) : reply_bad(RC_NONE, TEXT_NO_MECH);
    if (c->has_b && !span_is(c->b, "=") && !decode(e, c->b, &data)) /* "=": present but empty */
        return reply_bad(RC_NONE, TEXT_BAD_BASE64);
    e->mech = mech;
    state_set(e, ST_SASL);
    if (!c->has_b && mechs[mech].client_first)
        return (struct reply){ .verdict = REPLY_READY };
    return ask(e, c->has_b, data); /* LOGIN takes an initial response as the user's name (XLOGIN-01) */
}

struct reply sasl_line(struct engine *e, struct span line)
{
    struct span data = { NULL, 0 };

    if (span_is(line, "*"))
        return give_up(e, TEXT_CANCELLED);
    if (++e->rounds > LIMIT_SASL_ROUNDS)
        return give_up(e, TEXT_MALFORMED);
    if (!decode(e, line, &data)) /* "=" here as well: R5034-09 */
        return give_up(e, TEXT_BAD_BASE64);
    return ask(e, true, data);
}
