/* mech.h - the SASL mechanisms that POP3 sessions may use here, as data.
 *
 * One row per mechanism: its name on the wire (RFC 5034 §3), who speaks first and what it needs of the
 * connection. The engine decides by this table what CAPA lists and what AUTH may enter; the auth worker
 * and the fronts speak of mechanisms by their index. Does not know: how a mechanism works.
 */
#ifndef RESTANTE_POP3_MECH_H
#define RESTANTE_POP3_MECH_H

#include "base/span.h"

enum mech_id {
    MECH_SCRAM_SHA_256_PLUS,
    MECH_SCRAM_SHA_256,
    MECH_SCRAM_SHA_1_PLUS,
    MECH_SCRAM_SHA_1,
    MECH_EXTERNAL,
    MECH_PLAIN,
    MECH_LOGIN,
    MECH_N,
    MECH_NONE = 255
};

#define MECH_BIT(id) (1u << (id))

struct mech {
    const char *name;
    bool client_first; /* may carry an initial response; without one the server sends "+ " */
    bool plaintext;    /* reveals the password: TLS, or an address that is trusted */
    bool binding;      /* -PLUS: TLS with a usable channel binding; one try per connection (RFC 9266 §4.1) */
    bool certificate;  /* EXTERNAL: a verified client certificate on this connection */
};

extern const struct mech mechs[MECH_N];

/* The mechanism of that name in any case of letters (RFC 5034 §5), or MECH_NONE. */
enum mech_id mech_find(struct span name);

#endif
