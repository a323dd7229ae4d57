/* tls.h - the server's TLS: certificates by SNI, ALPN "pop3", shared session tickets, channel bindings.
 *
 * RFC 8314 (TLS 1.2 and 1.3 only), 9325, 7301 (ALPN: an offer without "pop3" is refused), 6066 (SNI), 5929 and
 * 9266 (channel bindings). The material arrives as a bundle: what the supervisor read from the files, so that
 * no front opens a file. A tls_site is immutable but for its ticket keys and shared by many connections.
 * Does not know: sockets' event loop, POP3, where certificates are stored.
 */
#ifndef RESTANTE_NET_TLS_H
#define RESTANTE_NET_TLS_H

#include "base/buf.h"
#include "base/err.h"

#include <openssl/ssl.h>

struct tls_site;

struct tls_options {
    bool tls13_only, strict_sni, tickets;
    const char *ciphers; /* TLS 1.2 list; "" = ours */
};

enum { TLS_TICKET_KEYS = 3, TLS_TICKET_KEY_OCTETS = 80, TLS_BINDING_MAX = 64, TLS_IDENTITIES_MAX = 4096 };

/* The bundle: certificate chains and keys (PEM), the first pair is the default; then the CA file for client
 * certificates and its CRL, either may be empty. */
bool tls_bundle_add(struct buf *bundle, struct span chain_pem, struct span key_pem);
bool tls_bundle_end(struct buf *bundle, struct span client_ca_pem, struct span crl_pem);

/* Makes a site and tests each key against its certificate; false with a text for the operator. */
bool tls_site_new(struct span bundle, const struct tls_options *options, struct tls_site **site, struct err *e);
void tls_site_free(struct tls_site **site);

/* Keys for session tickets, newest first, TLS_TICKET_KEY_OCTETS each: the same in every front, so that a client
 * resumes on any of them. */
void tls_site_set_tickets(struct tls_site *site, struct span keys);

/* Does the site ask for client certificates? (only when some are accepted as login: RFC 8314 §4.2) */
bool tls_site_asks_certificate(const struct tls_site *site);

/* The socket under a connection. */
struct tls_socket {
    int fd;
    bool more; /* what is written now need not leave at once: more octets or the end follow (MSG_MORE) */
    bool end;  /* the peer's end has been read */
};

/* A server-side connection; NULL on failure. socket is lent for the life of the connection. */
SSL *tls_accept(struct tls_site *site, struct tls_socket *socket);

/* Does the handshake end with the server's octets if this step ends it? Then what the server says first can travel
 * with them. */
bool tls_ends_with_us(const SSL *ssl);

/* Can tls_binding_unique or tls_binding_exporter give something? */
bool tls_has_binding(SSL *ssl);

/* Channel bindings of an established connection; the length, 0 = that type is not available (R9266-02,
 * R7677-01). */
size_t tls_binding_unique(SSL *ssl, uint8_t dst[TLS_BINDING_MAX]);
size_t tls_binding_exporter(SSL *ssl, uint8_t dst[TLS_BINDING_MAX]);

/* Identities of a client certificate that verified: "email:…", "sha256:…", NUL-separated; 0 = none. */
size_t tls_identities(SSL *ssl, uint8_t dst[TLS_IDENTITIES_MAX]);

#endif
