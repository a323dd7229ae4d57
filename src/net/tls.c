/* tls.c - the server's TLS contexts: see tls.h. RFC 8314, 9325, 7301, 6066. */
#include "net/tls.h"

#include "net/tls_bundle.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

/* AEAD with forward secrecy only (RFC 9325 §4.2). */
static const char default_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

enum { MAX_CERTIFICATES = 256, CHAIN_MAX = 16, PEM_MAX = 4 * 1024 * 1024 };

struct ticket_key {
    uint8_t name[16], aes[32], mac[32];
};

struct tls_site {
    SSL_CTX **ctx; /* one per certificate, [0] is the default */
    unsigned nctx;
    bool strict_sni, asks_certificate;
    struct ticket_key tickets[TLS_TICKET_KEYS];
    unsigned ntickets;
};

/* The last error of OpenSSL in words. */
static void last_error(char *text, size_t room)
{
    unsigned long code = ERR_peek_last_error();

    ERR_error_string_n(code, text, room);
    ERR_clear_error();
}

static bool fail(struct err *e, const char *what)
{
    char text[200];

    last_error(text, sizeof text);
    return err_set(e, FAULT_PERM, "%s: %s", what, text);
}

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

    if (!name || !name[0])
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
        !EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, site->tickets[i].aes, iv, encrypt))
        return -1;
    return !encrypt && i > 0 ? 2 : 1; /* 2: accepted, and renewed under the newest key */
}

/* The handshake goes on whatever the client's certificate is worth; EXTERNAL is offered only when it
 * verified (R4422-EXT-03). */
static int on_verify(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

static bool load_pair(SSL_CTX *ctx, const struct tls_bundle_part *part, struct err *e)
{
    BIO *chain = BIO_new_mem_buf(part->first.p, (int)part->first.n);
    BIO *key = BIO_new_mem_buf(part->second.p, (int)part->second.n);
    X509 *x = chain ? PEM_read_bio_X509_AUX(chain, NULL, NULL, NULL) : NULL;
    EVP_PKEY *pkey = key ? PEM_read_bio_PrivateKey(key, NULL, NULL, NULL) : NULL;
    bool ok = x && pkey && SSL_CTX_use_certificate(ctx, x) == 1 &&
              SSL_CTX_use_PrivateKey(ctx, pkey) == 1 && SSL_CTX_check_private_key(ctx) == 1;

    if (!x)
        fail(e, "no certificate in PEM form");
    else if (!pkey)
        fail(e, "no private key in PEM form");
    else if (!ok)
        fail(e, "certificate and key do not belong together");
    X509_free(x);
    for (int i = 0; ok && i < CHAIN_MAX; i++) {
        x = PEM_read_bio_X509(chain, NULL, NULL, NULL);
        if (!x)
            break;
        ok = SSL_CTX_add0_chain_cert(ctx, x) == 1;
    }
    ERR_clear_error();
    EVP_PKEY_free(pkey);
    BIO_free(chain);
    BIO_free(key);
    return ok;
}

/* Trust for client certificates: the CAs, and their CRL when there is one. */
static bool load_client_ca(SSL_CTX *ctx, struct span ca, struct span crl, struct err *e)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    BIO *bio = BIO_new_mem_buf(ca.p, (int)ca.n);
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    X509 *x;
    X509_CRL *list;
    unsigned n = 0;

    while (bio && names && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        X509_STORE_add_cert(store, x);
        sk_X509_NAME_push(names, X509_NAME_dup(X509_get_subject_name(x)));
        X509_free(x);
        n++;
    }
    BIO_free(bio);
    SSL_CTX_set_client_CA_list(ctx, names);
    bio = crl.n ? BIO_new_mem_buf(crl.p, (int)crl.n) : NULL;
    while (bio && (list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        X509_STORE_add_crl(store, list);
        X509_CRL_free(list);
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    }
    BIO_free(bio);
    ERR_clear_error();
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, on_verify);
    return n > 0 || err_set(e, FAULT_PERM, "no certificate in the client CA file");
}

static void set_policy(SSL_CTX *ctx, struct tls_site *site, const struct tls_options *o)
{
    SSL_CTX_set_min_proto_version(ctx, o->tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"restante", 8);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only: no state per client */
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_max_early_data(ctx, 0); /* R9325-07 */
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_sni);
    SSL_CTX_set_tlsext_servername_arg(ctx, site);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
    if (!o->tickets || site->asks_certificate) /* a ticket would outlive the CRL that it was made under */
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET), SSL_CTX_set_num_tickets(ctx, 0);
}

static bool add_context(struct tls_site *site, const struct tls_bundle_part *part,
                        const struct tls_bundle_part *end, const struct tls_options *o, struct err *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx)
        return fail(e, "SSL_CTX_new");
    site->ctx = mem_grow(site->ctx, site->nctx + 1, sizeof *site->ctx);
    site->ctx[site->nctx++] = ctx;
    set_policy(ctx, site, o);
    if (SSL_CTX_set_cipher_list(ctx, o->ciphers && o->ciphers[0] ? o->ciphers : default_ciphers) != 1)
        return fail(e, "tls.ciphers");
    if (end->first.n && !load_client_ca(ctx, end->first, end->second, e))
        return false;
    return load_pair(ctx, part, e);
}

bool tls_site_new(struct span bundle, const struct tls_options *options, struct tls_site **out, struct err *e)
{
    struct tls_site *site = mem_zero(1, sizeof *site);
    struct tls_bundle_part part = { 0 }, end = { 0 };
    struct span look = bundle;
    bool ok = true;

    site->strict_sni = options->strict_sni;
    while (tls_bundle_next(&look, &end) && !end.end)
        ;
    site->asks_certificate = end.end && end.first.n > 0;
    while (ok && tls_bundle_next(&bundle, &part) && !part.end)
        ok = site->nctx < MAX_CERTIFICATES && add_context(site, &part, &end, options, e);
    if (ok && (!part.end || site->nctx == 0))
        ok = err_set(e, FAULT_BAD, "incomplete certificate bundle");
    if (!ok)
        tls_site_free(&site);
    *out = site;
    return ok;
}

void tls_site_free(struct tls_site **sp)
{
    struct tls_site *site = *sp;

    *sp = NULL;
    if (!site)
        return;
    for (unsigned i = 0; i < site->nctx; i++)
        SSL_CTX_free(site->ctx[i]);
    free(site->ctx);
    explicit_bzero(site->tickets, sizeof site->tickets);
    free(site);
}

void tls_site_set_tickets(struct tls_site *site, struct span keys)
{
    site->ntickets = 0;
    while (keys.n >= TLS_TICKET_KEY_OCTETS && site->ntickets < TLS_TICKET_KEYS)
        memcpy(&site->tickets[site->ntickets++], span_take(&keys, TLS_TICKET_KEY_OCTETS).p,
               TLS_TICKET_KEY_OCTETS);
}

bool tls_site_asks_certificate(const struct tls_site *site)
{
    return site->asks_certificate;
}

SSL *tls_accept(struct tls_site *site, int fd)
{
    SSL *ssl = SSL_new(site->ctx[0]);

    if (!ssl)
        return NULL;
    SSL_set_app_data(ssl, site);
    SSL_set_accept_state(ssl);
    if (SSL_set_fd(ssl, fd) == 1)
        return ssl;
    SSL_free(ssl);
    return NULL;
}
