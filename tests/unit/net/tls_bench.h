/* tls_bench.h - our client against a server of OpenSSL over a socket pair; what the ClientHello said is kept. */
#ifndef RESTANTE_TESTS_TLS_BENCH_H
#define RESTANTE_TESTS_TLS_BENCH_H

#include "certs.h"
#include "net/tls_client.h"

#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the server is like. */
struct server {
    const struct identity *identity;
    int min, max;     /* versions; 0 = any */
    const char *alpn; /* answered to whatever was offered; NULL = no answer */
    bool asks;        /* for a client certificate */
    bool early_data;  /* announces 0-RTT */
    const char *ciphers;
};

struct hello {
    unsigned count;
    char sni[256], alpn[64];
    bool early_data, psk;
    size_t compressions;
};

struct bench {
    const struct server *about;
    SSL_CTX *ctx;
    SSL *server;
    struct tls_client *client;
    int fds[2];
    struct hello hello;
    enum tls_io io; /* of the client's handshake */
    struct err e;
    bool server_up;
};

static inline int bench_hello(SSL *ssl, int *alert, void *arg)
{
    struct hello *h = arg;
    const unsigned char *p;
    size_t n;

    (void)alert;
    h->count++;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) && n > 5)
        snprintf(h->sni, sizeof h->sni, "%.*s", (int)(n - 5), (const char *)p + 5);
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &p, &n) && n > 3)
        snprintf(h->alpn, sizeof h->alpn, "%.*s", (int)(n - 3), (const char *)p + 3);
    h->early_data |= SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_early_data, &p, &n) == 1;
    h->psk |= SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &p, &n) == 1;
    h->compressions = SSL_client_hello_get0_compression_methods(ssl, &p);
    return SSL_CLIENT_HELLO_SUCCESS;
}

static inline int bench_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
                             unsigned in_n, void *arg)
{
    const struct server *s = arg;

    (void)ssl;
    (void)in;
    (void)in_n;
    if (!s->alpn)
        return SSL_TLSEXT_ERR_NOACK;
    *out = (const unsigned char *)s->alpn;
    *n = (unsigned char)strlen(s->alpn);
    return SSL_TLSEXT_ERR_OK;
}

static inline int bench_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

static inline void bench_server(struct bench *b, const struct server *s)
{
    b->ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_security_level(b->ctx, 0);
    SSL_CTX_set_min_proto_version(b->ctx, s->min);
    SSL_CTX_set_max_proto_version(b->ctx, s->max);
    if (s->ciphers)
        assert_int_equal(SSL_CTX_set_cipher_list(b->ctx, s->ciphers), 1);
    if (s->identity) {
        assert_int_equal(SSL_CTX_use_certificate(b->ctx, s->identity->x), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(b->ctx, s->identity->key), 1);
    }
    if (s->asks)
        SSL_CTX_set_verify(b->ctx, SSL_VERIFY_PEER, bench_any);
    if (s->early_data)
        SSL_CTX_set_max_early_data(b->ctx, 16384);
    SSL_CTX_set_client_hello_cb(b->ctx, bench_hello, &b->hello);
    SSL_CTX_set_alpn_select_cb(b->ctx, bench_alpn, (void *)s);
    b->server = SSL_new(b->ctx);
    SSL_set_fd(b->server, b->fds[0]);
    SSL_set_accept_state(b->server);
}

/* Both sides until the client is done or has failed, then once more the server's. */
static inline void bench_begin(struct bench *b, const struct server *s, const struct tls_client_conf *conf)
{
    int rc = 0, turns = 0;

    *b = (struct bench){ .about = s, .io = TLS_IO_FAILED };
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b->fds), 0);
    bench_server(b, s);
    if (!tls_client_new(conf, b->fds[1], &b->client, &b->e))
        return;
    do {
        b->io = tls_client_handshake(b->client, &b->e);
        rc = SSL_do_handshake(b->server);
        if (rc != 1 && SSL_get_error(b->server, rc) == SSL_ERROR_SSL && b->io == TLS_IO_WANT_READ)
            b->io = tls_client_handshake(b->client, &b->e); /* it gets the alert */
        ERR_clear_error();
    } while ((b->io == TLS_IO_WANT_READ || b->io == TLS_IO_WANT_WRITE) && ++turns < 50);
    b->server_up = rc == 1 || SSL_do_handshake(b->server) == 1;
    ERR_clear_error();
}

static inline void bench_end(struct bench *b)
{
    if (b->client)
        tls_client_free(&b->client);
    SSL_free(b->server);
    SSL_CTX_free(b->ctx);
    for (int i = 0; i < 2; i++)
        if (b->fds[i] >= 0)
            close(b->fds[i]);
    assert_int_equal(ERR_peek_error(), 0);
}

#endif
