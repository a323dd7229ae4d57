/* tls_client.h - TLS towards a POP3 server: verified by default, TLS 1.2 or later, ALPN "pop3", no 0-RTT.
 *
 * RFC 8314, 9325, 9525 (names: DNS-ID and SRV-ID only, never the CN, never a URI), 6066 (SNI, not for IP literals).
 * The material (CA file, client certificate) is given as octets, since the process that speaks TLS opens no file.
 * Works on a non-blocking descriptor; the caller polls. Does not know: POP3, the event loop.
 */
#ifndef RESTANTE_NET_TLS_CLIENT_H
#define RESTANTE_NET_TLS_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "net/tls.h"

enum tls_verify {
    TLS_VERIFY_FULL,  /* chain and name */
    TLS_VERIFY_PIN,   /* a pin alone decides (self-signed servers); needs at least one pin */
    TLS_VERIFY_OFF    /* the user said so: encryption without knowing to whom; never counts as confidential */
};

struct tls_client_conf {
    const char *host;             /* reference identifier and SNI; an IP literal is compared with IP SANs */
    const char *srv_domain;       /* by discovery: also accept SRV-ID _pop3s.DOMAIN or _pop3.DOMAIN (R7817-04) */
    bool srv_implicit;            /* which of the two */
    enum tls_verify verify;
    struct span ca_pem;           /* trust anchors; must not be empty for TLS_VERIFY_FULL */
    struct span crl_pem;          /* optional */
    struct span cert_pem, key_pem;/* client certificate for this account alone (R8314-C-09), or empty */
    const char *ciphers;          /* TLS 1.2 list; NULL = ours */
    bool tls13_only;
    uint8_t (*pins)[32];          /* SHA-256 of SubjectPublicKeyInfo; when given one must match, besides verify */
    size_t npins;
};

struct tls_client;

bool tls_client_new(const struct tls_client_conf *conf, int fd, struct tls_client **t, struct err *e);
void tls_client_free(struct tls_client **t); /* the descriptor stays open */

enum tls_io { TLS_IO_DONE, TLS_IO_WANT_READ, TLS_IO_WANT_WRITE, TLS_IO_CLOSED /* close_notify */,
              TLS_IO_CUT /* the stream ended without it: truncation */, TLS_IO_FAILED };

/* A write that is TLS_IO_CUT leaves what the server said before readable; all else that is no WANT is the end.
 * e: for people, "certificate expired on 2026-01-02", "certificate is for a.example, not for b.example"… */
enum tls_io tls_client_handshake(struct tls_client *t, struct err *e);
enum tls_io tls_client_read(struct tls_client *t, void *p, size_t room, size_t *n, struct err *e);
enum tls_io tls_client_write(struct tls_client *t, struct span s, size_t *n, struct err *e);
enum tls_io tls_client_shutdown(struct tls_client *t); /* sends close_notify, does not wait for the peer's */

SSL *tls_client_ssl(struct tls_client *t); /* for tls_binding_unique, tls_binding_exporter */

/* What was negotiated, for display: "TLSv1.3 TLS_AES_256_GCM_SHA384". */
void tls_client_describe(struct tls_client *t, char *text, size_t room);

/* Facts of the server's certificate for "probe": subject, issuer, names, validity, SPKI pin ("sha256//BASE64"),
 * one "key: value" line each, cleaned. */
bool tls_client_certificate(struct tls_client *t, struct buf *out);

/* "sha256//BASE64" or 64 hex digits (colons permitted) to 32 octets. */
bool tls_pin_parse(const char *text, uint8_t pin[32]);

#endif
