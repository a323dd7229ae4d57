/* tls.c - the server's side of TLS connections: what OpenSSL asks during a handshake, and the socket below it.
 * RFC 8446, 7301, 6066, 5077. Does not know: how contexts are made (tls_site.c), when to read or write.
 */
#include "net/tls_impl.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

/* ALPN: "pop3" or a fatal alert; a client that offers nothing never gets here (R9325-03). */
/* size: OpenSSL's signature */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
                   unsigned inlen, void *arg)
{
    static const unsigned char ours[] = "\4pop3";

    (void)ssl;
    (void)arg;
    for (unsigned at = 0; at < inlen; at += 1u + in[at])
        if (inlen - at >= 5 && memcmp(in + at, ours, 5) == 0) {
            *out = in + at + 1;
            *outlen = 4;
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool covers(SSL_CTX *ctx, const char *name)
{
    X509 *x = SSL_CTX_get0_certificate(ctx);

    return x && X509_check_host(x, name, strlen(name),
                                X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* SNI chooses among a fixed set of contexts: no state grows with the names that clients invent. */
static int on_sni(SSL *ssl, int *alert, void *arg)
{
    struct tls_site *site = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    if (!name || !name[0] || (site->nctx == 1 && !site->strict_sni)) /* there is nothing to choose */
        return SSL_TLSEXT_ERR_NOACK;
    for (unsigned i = 0; i < site->nctx; i++)
        if (covers(site->ctx[i], name)) {
            if (i)
                SSL_set_SSL_CTX(ssl, site->ctx[i]);
            return SSL_TLSEXT_ERR_OK;
        }
    if (!site->strict_sni)
        return SSL_TLSEXT_ERR_NOACK; /* C17: clients use other names and addresses */
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Session tickets under keys that all fronts share (RFC 5077's recommended construction). */
/* size: OpenSSL's signature */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
    struct tls_site *site = SSL_get_app_data(ssl);
    unsigned i = 0;
    OSSL_PARAM params[3];

    if (!site || site->ntickets == 0)
        return 0;
    if (encrypt) {
        if (RAND_bytes(iv, 16) != 1)
            return -1;
        memcpy(name, site->tickets[0].name, 16);
    } else {
        while (i < site->ntickets && memcmp(name, site->tickets[i].name, 16) != 0)
            i++;
        if (i == site->ntickets)
            return 0; /* unknown key: full handshake */
    }
    params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, site->tickets[i].mac, 32);
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "sha256" }, 0);
    params[2] = OSSL_PARAM_construct_end();
    if (!EVP_MAC_CTX_set_params(mac, params) ||
        !EVP_CipherInit_ex(cipher, site->ticket_cipher, NULL, site->tickets[i].aes, iv, encrypt))
        return -1;
    /* 2: accepted, and a new one is made. TLS 1.3 clients use a ticket once (RFC 8446 appendix C.4): without a new one
     * every second of their connections would cost a full handshake. */
    return !encrypt && (i > 0 || SSL_version(ssl) >= TLS1_3_VERSION) ? 2 : 1;
}

/* The handshake goes on whatever the client's certificate is worth; EXTERNAL is offered only when it
 * verified (R4422-EXT-03). */
static int on_verify(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

void tls_ask_certificate(SSL_CTX *ctx)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, on_verify);
}

void tls_set_callbacks(SSL_CTX *ctx, struct tls_site *site)
{
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_sni);
    SSL_CTX_set_tlsext_servername_arg(ctx, site);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}

/* One socket call's result as OpenSSL wants it. */
static int socket_result(BIO *bio, ssize_t n, int retry)
{
    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
    return (int)n;
}

static int socket_write(BIO *bio, const char *p, int n)
{
    const struct tls_socket *s = BIO_get_data(bio);

    return socket_result(bio, send(s->fd, p, (size_t)n, MSG_NOSIGNAL | (s->more ? MSG_MORE : 0)), BIO_FLAGS_WRITE);
}

static int socket_read(BIO *bio, char *p, int n)
{
    struct tls_socket *s = BIO_get_data(bio);
    ssize_t got = recv(s->fd, p, (size_t)n, 0);

    s->end = got == 0;
    return socket_result(bio, got, BIO_FLAGS_READ);
}

static long socket_ctrl(BIO *bio, int what, long number, void *p)
{
    const struct tls_socket *s = BIO_get_data(bio);

    (void)number;
    (void)p;
    return what == BIO_CTRL_FLUSH || (what == BIO_CTRL_EOF && s->end);
}

BIO_METHOD *tls_socket_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "restante socket");

    if (m) {
        BIO_meth_set_write(m, socket_write);
        BIO_meth_set_read(m, socket_read);
        BIO_meth_set_ctrl(m, socket_ctrl);
    }
    return m;
}

SSL *tls_accept(struct tls_site *site, struct tls_socket *socket)
{
    SSL *ssl = SSL_new(site->ctx[0]);
    BIO *bio = BIO_new(site->socket);

    if (!ssl || !bio) {
        SSL_free(ssl);
        BIO_free(bio);
        return NULL;
    }
    BIO_set_data(bio, socket);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, site);
    SSL_set_accept_state(ssl);
    return ssl;
}

bool tls_ends_with_us(const SSL *ssl)
{
    OSSL_HANDSHAKE_STATE at = SSL_get_state(ssl);

    return at == TLS_ST_EARLY_DATA || at == TLS_ST_SW_SRVR_DONE;
}
