/* sasl.h - one SASL exchange, server side, as a pure machine (RFC 4422, RFC 5034).
 *
 * sasl_begin, then sasl_more for each line of the client; each returns what to do next. What the machine cannot
 * know it asks for: SASL_CHECK wants a password checked, SASL_KEYS wants SCRAM keys (answer: sasl_keys). It
 * never says who is logged in: that is the caller's, after the policies.
 *
 * PLAIN, LOGIN and EXTERNAL are taken apart here instead of by GNU SASL: its server side validates passwords in
 * a callback that must answer at once, and ours are checked in another process that answers later.
 * Does not know: Base64 of POP3, users, TLS, time.
 */
#ifndef RESTANTE_SASL_SASL_H
#define RESTANTE_SASL_SASL_H

#include "base/buf.h"
#include "base/span.h"
#include "pop3/mech.h"
#include "sasl/scram.h"

enum sasl_next {
    SASL_SEND,      /* send s->challenge */
    SASL_SEND_LAST, /* the same; an empty line of the client then completes (RFC 5034 §4) */
    SASL_CHECK,     /* check s->secret for s->user, who acts as s->authzid unless that is empty */
    SASL_KEYS,      /* look up s->user, then sasl_keys() */
    SASL_IDENTITY,  /* EXTERNAL: the certificate speaks; s->authzid may name whom for */
    SASL_VERIFIED,  /* SCRAM is complete: s->user has shown its password */
    SASL_MALFORMED, /* not a message of this mechanism: no matter of credentials */
    SASL_REFUSED    /* wrong credentials */
};

struct sasl {
    enum mech_id mech;
    unsigned step;
    struct scram scram;
    struct scram_link link;
    struct buf user, authzid, secret, challenge; /* as received; secret and the rest are wiped by sasl_wipe */
    bool verified;
};

/* The spans of link are kept until the exchange ends: they belong to the caller. */
void sasl_init(struct sasl *s, enum mech_id mech, const struct scram_link *link);
void sasl_wipe(struct sasl *s);

enum sasl_next sasl_begin(struct sasl *s, bool has_data, struct span data);
enum sasl_next sasl_more(struct sasl *s, struct span data);

/* nonce: fresh from scram_nonce, or fixed in tests. */
enum sasl_next sasl_keys(struct sasl *s, const struct scram_keys *keys, struct span nonce);

bool sasl_is_scram(enum mech_id mech, enum scram_hash *hash, bool *plus);

#endif
