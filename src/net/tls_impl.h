/* tls_impl.h - what a TLS site is, for the files that make it and use it. */
#ifndef RESTANTE_NET_TLS_IMPL_H
#define RESTANTE_NET_TLS_IMPL_H

#include "net/tls.h"

struct ticket_key {
    uint8_t name[16], aes[32], mac[32];
};

struct tls_site {
    SSL_CTX **ctx; /* one per certificate, [0] is the default */
    unsigned nctx;
    bool strict_sni, asks_certificate;
    struct ticket_key tickets[TLS_TICKET_KEYS];
    unsigned ntickets;
    BIO_METHOD *socket;
    EVP_CIPHER *ticket_cipher; /* looked up once: OpenSSL would do it for every ticket */
};

/* tls.c */
void tls_set_callbacks(SSL_CTX *ctx, struct tls_site *site);
void tls_ask_certificate(SSL_CTX *ctx);
BIO_METHOD *tls_socket_method(void); /* a BIO over struct tls_socket; NULL = no memory */

#endif
