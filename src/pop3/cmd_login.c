/* cmd_login.c - USER, PASS, APOP, STLS, and what all ways to log in have in common (RFC 1939 §7, RFC 2595 §4).
 * Does not know: whether a password is right, how TLS works.
 */
#include "base/num.h"
#include "pop3/command.h"
#include "pop3/engine_impl.h"

enum { APOP_DIGEST = 16 };

/* R2595-STLS-15: passwords in clear need TLS, or an address that is trusted. */
bool login_passwords_allowed(const struct engine *e)
{
    return e->link->tls || (e->link->plaintext_ok && !e->link->auth_needs_tls);
}

bool login_mech_allowed(const struct engine *e, enum mech_id mech)
{
    const struct mech *m = &mechs[mech];

    if (!(e->link->mechs & MECH_BIT(mech)) || (e->link->auth_needs_tls && !e->link->tls))
        return false;
    if (m->plaintext && !login_passwords_allowed(e))
        return false;
    if (m->binding && !(e->link->tls && e->link->binding))
        return false;
    return !m->certificate || e->link->certificate;
}

static bool has_8bit(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] > 0x7f)
            return true;
    return false;
}

void login_forget_name(struct engine *e)
{
    memset(e->name, 0, e->name_n);
    e->name_n = 0;
}

/* A login has failed: back to AUTHORIZATION, or the end of the session. */
struct reply login_refused(struct engine *e, enum resp_code code, bool close)
{
    static const enum text_id texts[RC_N] = {
        [RC_NONE] = TEXT_MALFORMED,       [RC_IN_USE] = TEXT_IN_USE,     [RC_LOGIN_DELAY] = TEXT_LOGIN_DELAY,
        [RC_SYS_TEMP] = TEXT_SYS_TEMP,    [RC_SYS_PERM] = TEXT_SYS_PERM, [RC_AUTH] = TEXT_LOGIN_FAILED,
        [RC_UTF8] = TEXT_LOGIN_FAILED,
    };

    /* RFC 9266 §4.1: a binding serves one authentication; a failed -PLUS exchange ends the connection. */
    if (e->mech != MECH_NONE && mechs[e->mech].binding)
        close = true;
    if (++e->tries >= e->conf->login_tries && e->conf->login_tries)
        close = true;
    state_set(e, close ? ST_CLOSED : ST_AUTH);
    return reply_err(code, texts[code]);
}

/* Octets above 0x7F in a name or password may go to the auth worker only when the site takes them. */
static bool octets_allowed(const struct engine *e, struct span s)
{
    return e->conf->utf8_user || e->conf->legacy_8bit || !has_8bit(s);
}

struct reply cmd_user(struct engine *e, const struct call *c)
{
    if (!login_passwords_allowed(e))
        return reply_bad(RC_NONE, TEXT_NEEDS_TLS); /* no [AUTH] to USER: R3206-06 */
    if (c->a.n > LIMIT_NAME)
        return reply_bad(RC_NONE, TEXT_BAD_ARGS);
    memcpy(e->name, c->a.p, c->a.n);
    e->name_n = (uint8_t)c->a.n;
    return reply_ok(TEXT_USER);
}

struct reply cmd_pass(struct engine *e, const struct call *c)
{
    struct span name = span_of(e->name, e->name_n);

    if (!login_passwords_allowed(e)) /* right or wrong, the same answer: R8314-S-08 */
        return reply_bad(RC_AUTH, TEXT_NEEDS_TLS);
    if (!name.n)
        return reply_bad(RC_NONE, TEXT_USER_FIRST);
    if (!octets_allowed(e, name) || !octets_allowed(e, c->a))
        return login_refused(e, RC_AUTH, false);
    engine_ask(e, (struct request){ .kind = REQ_PASS, .name = name, .secret = c->a });
    return reply_later();
}

struct reply cmd_apop(struct engine *e, const struct call *c)
{
    if (!e->apop)
        return reply_bad(RC_NONE, TEXT_NO_APOP);
    if (e->link->auth_needs_tls && !e->link->tls)
        return reply_bad(RC_AUTH, TEXT_NEEDS_TLS);
    if (c->a.n > LIMIT_NAME || !hex_get(c->b, e->scratch, APOP_DIGEST))
        return reply_bad(RC_NONE, TEXT_BAD_ARGS);
    if (!octets_allowed(e, c->a))
        return login_refused(e, RC_AUTH, false);
    engine_ask(e, (struct request){
                      .kind = REQ_APOP, .name = c->a, .secret = span_of(e->scratch, APOP_DIGEST) });
    return reply_later();
}

struct reply cmd_stls(struct engine *e, const struct call *c)
{
    (void)c;
    if (e->link->tls)
        return reply_bad(RC_NONE, TEXT_HAVE_TLS);
    if (e->link->stls_broken)
        return reply_bad(RC_SYS_PERM, TEXT_STLS_BROKEN);
    if (!e->link->stls)
        return reply_bad(RC_NONE, TEXT_NO_STLS);
    if (e->utf8) /* RFC 6856 §2.1 lets us */
        return reply_bad(RC_NONE, TEXT_STLS_AFTER_UTF8);
    engine_ask(e, (struct request){ .kind = REQ_STLS });
    return reply_ok(TEXT_STLS);
}
