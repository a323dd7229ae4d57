/* sasl.c - the mechanisms' steps: PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), EXTERNAL (RFC 4422
 * App. A) and the frame of SCRAM (scram.c): see sasl.h. Does not know: Base64 of POP3, users, TLS, time.
 */
#include "sasl/sasl.h"

#include "sasl/prep.h"

enum { NAME_MAX_OCTETS = 1024, SECRET_MAX_OCTETS = 4096 };

bool sasl_is_scram(enum mech_id mech, enum scram_hash *hash, bool *plus)
{
    *hash = mech == MECH_SCRAM_SHA_256 || mech == MECH_SCRAM_SHA_256_PLUS ? SCRAM_SHA_256 : SCRAM_SHA_1;
    *plus = mech == MECH_SCRAM_SHA_256_PLUS || mech == MECH_SCRAM_SHA_1_PLUS;
    return *plus || mech == MECH_SCRAM_SHA_256 || mech == MECH_SCRAM_SHA_1;
}

void sasl_init(struct sasl *s, enum mech_id mech, const struct scram_link *link)
{
    enum scram_hash hash;
    bool plus;

    memset(s, 0, sizeof *s);
    s->mech = mech;
    s->link = *link;
    s->user.cap = s->authzid.cap = NAME_MAX_OCTETS;
    s->secret.cap = SECRET_MAX_OCTETS;
    s->challenge.cap = 2 * SCRAM_MAX_MESSAGE;
    if (sasl_is_scram(mech, &hash, &plus)) {
        s->link.plus = plus;
        scram_init(&s->scram, hash);
    }
}

void sasl_wipe(struct sasl *s)
{
    scram_wipe(&s->scram);
    buf_wipe(&s->user);
    buf_wipe(&s->authzid);
    buf_wipe(&s->secret);
    buf_wipe(&s->challenge);
}

/* Names are UTF-8 without NUL in every mechanism; too long is malformed. */
static bool put_name(struct buf *dst, struct span name)
{
    return utf8_valid(name) && !(name.n && memchr(name.p, '\0', name.n)) && buf_put_span(dst, name);
}

/* [authzid] NUL authcid NUL passwd (RFC 4616 §2). Whether the password is UTF-8 is left to the preparation:
 * accounts with hashes of raw octets exist. */
static enum sasl_next step_plain(struct sasl *s, struct span data)
{
    unsigned nuls = 0;
    struct span authzid, user;

    for (size_t i = 0; i < data.n; i++)
        nuls += data.p[i] == '\0';
    if (nuls != 2)
        return SASL_MALFORMED;
    authzid = span_until(&data, '\0');
    user = span_until(&data, '\0');
    if (!put_name(&s->authzid, authzid) || !put_name(&s->user, user) || !buf_put_span(&s->secret, data))
        return SASL_MALFORMED;
    return user.n && data.n ? SASL_CHECK : SASL_REFUSED;
}

static enum sasl_next ask(struct sasl *s, const char *text)
{
    s->challenge.n = 0;
    return buf_put_str(&s->challenge, text) ? SASL_SEND : SASL_MALFORMED;
}

static enum sasl_next step_login(struct sasl *s, struct span data)
{
    if (s->step++ == 0) {
        if (!put_name(&s->user, data))
            return SASL_MALFORMED;
        return ask(s, "Password:");
    }
    if ((data.n && memchr(data.p, '\0', data.n)) || !buf_put_span(&s->secret, data))
        return SASL_MALFORMED;
    return s->user.n && data.n ? SASL_CHECK : SASL_REFUSED;
}

static enum sasl_next of_scram(enum scram_verdict verdict, enum sasl_next ok)
{
    if (verdict == SCRAM_OK)
        return ok;
    return verdict == SCRAM_REFUSED ? SASL_REFUSED : SASL_MALFORMED;
}

static enum sasl_next step_scram(struct sasl *s, struct span data)
{
    enum sasl_next next;

    switch (s->step++) {
    case 0:
        next = of_scram(scram_first(&s->scram, &s->link, data), SASL_KEYS);
        if (next == SASL_KEYS && (!put_name(&s->user, buf_span(&s->scram.user)) ||
                                  !put_name(&s->authzid, buf_span(&s->scram.authzid))))
            return SASL_MALFORMED;
        return next;
    case 1: /* the keys have not come: nothing may be answered before the challenge */
        return SASL_MALFORMED;
    case 2:
        s->challenge.n = 0;
        next = of_scram(scram_final(&s->scram, data, &s->challenge), SASL_SEND_LAST);
        s->verified = next == SASL_SEND_LAST;
        return next;
    case 3:
        return s->verified && data.n == 0 ? SASL_VERIFIED : SASL_MALFORMED;
    default:
        return SASL_MALFORMED;
    }
}

static enum sasl_next step(struct sasl *s, struct span data)
{
    switch (s->mech) {
    case MECH_PLAIN:
        return s->step++ == 0 ? step_plain(s, data) : SASL_MALFORMED;
    case MECH_LOGIN:
        return s->step < 2 ? step_login(s, data) : SASL_MALFORMED;
    case MECH_EXTERNAL:
        if (s->step++ != 0 || !put_name(&s->authzid, data))
            return SASL_MALFORMED;
        return SASL_IDENTITY;
    case MECH_SCRAM_SHA_256_PLUS:
    case MECH_SCRAM_SHA_256:
    case MECH_SCRAM_SHA_1_PLUS:
    case MECH_SCRAM_SHA_1:
        return step_scram(s, data);
    default:
        return SASL_MALFORMED;
    }
}

enum sasl_next sasl_begin(struct sasl *s, bool has_data, struct span data)
{
    if (has_data)
        return step(s, data);
    return ask(s, s->mech == MECH_LOGIN ? "Username:" : ""); /* RFC 5034 §4: "+ " */
}

enum sasl_next sasl_more(struct sasl *s, struct span data)
{
    return step(s, data);
}

enum sasl_next sasl_keys(struct sasl *s, const struct scram_keys *keys, struct span nonce)
{
    s->step = 2;
    s->challenge.n = 0;
    if (!scram_challenge(&s->scram, keys, nonce) ||
        !buf_put_span(&s->challenge, buf_span(&s->scram.challenge)))
        return SASL_MALFORMED;
    return SASL_SEND;
}
