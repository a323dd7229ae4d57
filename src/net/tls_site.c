/* tls_site.c - the server's TLS contexts, made from what the supervisor read: see tls.h. RFC 8314, 9325.
 * Does not know: connections (tls.c).
 */
#include "net/tls_impl.h"

#include "net/tls_bundle.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>

/* AEAD with forward secrecy only (RFC 9325 §4.2). */
static const char default_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

/* The suite that every implementation has (RFC 8446 §9.1) and that costs least comes first. */
static const char suites13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

enum { MAX_CERTIFICATES = 256, CHAIN_MAX = 16, PEM_MAX = 4 * 1024 * 1024 };

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
    tls_ask_certificate(ctx);
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
    SSL_CTX_set_read_ahead(ctx, 1); /* a record in one read; the buffer goes when it is empty */
    tls_set_callbacks(ctx, site);
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
    if (SSL_CTX_set_ciphersuites(ctx, suites13) != 1)
        return fail(e, "suites of TLS 1.3");
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
    site->socket = tls_socket_method();
    site->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (!site->socket || !site->ticket_cipher)
        ok = fail(e, "AES-256-CBC");
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
    BIO_meth_free(site->socket);
    EVP_CIPHER_free(site->ticket_cipher);
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
