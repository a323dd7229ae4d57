/* client.h - the client's side of SASL (RFC 4422, 5034).
 *
 * PLAIN, LOGIN, CRAM-MD5, EXTERNAL, SCRAM-SHA-1/-256 with and without -PLUS, OAUTHBEARER (RFC 7628), XOAUTH2. SCRAM: iteration count, salt and message are bounded before any
 * work is done (R5802-12), the server must prove itself (R5802-13), gs2 flag "y" when binding is supported and not
 * offered (R5802-19). Secrets are wiped. Does not know: POP3's Base64 lines, where passwords come from.
 */
#ifndef RESTANTE_SASL_CLIENT_H
#define RESTANTE_SASL_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

enum { SASL_CLIENT_MIN_ITERATIONS = 4096, SASL_CLIENT_MAX_ITERATIONS = 10000000, SASL_CLIENT_SALT = 1024,
       SASL_CLIENT_MESSAGE = 8192 };

struct sasl_client_conf {
    const char *user;
    const char *authzid;          /* NULL or "" = none */
    struct span password;         /* empty: mechanisms that need one cannot start */
    struct span token;            /* OAuth 2.0 access token; empty: OAUTHBEARER, XOAUTH2 cannot start */
    const char *host;             /* for OAUTHBEARER */
    uint16_t port;
    bool tls;                     /* OAUTHBEARER, XOAUTH2 only inside TLS (R7628-01, XOA2-06) */
    bool has_certificate;         /* EXTERNAL may start */
    struct span binding_unique, binding_exporter; /* channel binding data; empty = not available */
    bool server_offers_plus;      /* some -PLUS mechanism was in the list */
    uint32_t min_iterations;      /* 0 = SASL_CLIENT_MIN_ITERATIONS */
};

struct sasl_client;

/* conf's strings are borrowed until sasl_client_free. */
struct sasl_client *sasl_client_new(const struct sasl_client_conf *conf, struct err *e);
void sasl_client_free(struct sasl_client **c);

/* These three have the shape of struct dialog_sasl (pop3/dialog.h); ctx is the sasl_client. */
bool sasl_client_start(void *c, struct span name, struct buf *initial, bool *has_initial);
bool sasl_client_step(void *c, struct span challenge, struct buf *response);
bool sasl_client_complete(void *c);

/* The reason of the last false, for people ("iteration count 4294967295 is over 10000000"). An OAuth error
 * challenge (JSON) is kept here, cleaned and cut at 8 KiB (R7628-11). */
const char *sasl_client_why(const struct sasl_client *c);

/* An OAuth error challenge said that the token is no good: worth one fresh token (R7628-10). */
bool sasl_client_token_rejected(const struct sasl_client *c);

/* APOP: RFC 1939 §7; the shape of dialog_apop_digest. */
void sasl_apop_digest(struct span timestamp, struct span secret, char hex[33]);

#endif
