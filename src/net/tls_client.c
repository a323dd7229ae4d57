/* tls_client.c - TLS towards a server: see tls_client.h. RFC 8314, 9325, 9525, 7301, 6066.
 *
 * The server is judged inside the handshake, in place of OpenSSL's own check of the chain: so a server that is refused
 * gets an alert, and never our certificate (R8314-C-09). Does not know: sockets' waiting, POP3.
 */
#include "net/tls_client.h"

#include "base/base64.h"
#include "base/net_addr.h"
#include "base/text.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

static const char client_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM";

struct tls_client {
    const struct tls_client_conf *conf;
    SSL_CTX *ctx;
    SSL *ssl;
    bool judged;    /* the server's certificate was looked at and is good enough for conf */
    bool ended;     /* a fatal error: no more calls into OpenSSL */
    struct err why; /* the server was refused */
};

static int on_certificate(X509_STORE_CTX *store, void *arg);

static bool fail(struct err *e, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);

    if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
        reason = "what the server sends is not TLS";
    err_set(e, FAULT_PERM, "%s: %s", what, reason ? reason : "unknown error");
    ERR_clear_error();
    return false;
}

/* What a resolver would take for an address, short forms such as "127.1" too: never a name (R9525-04). */
static bool is_ip(const char *host)
{
    return strchr(host, ':') || strspn(host, "0123456789.") == strlen(host);
}

static BIO *mem_bio(struct span pem)
{
    return pem.n && pem.n < INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
}

static bool load_anchors(SSL_CTX *ctx, struct span pem, struct err *e)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    BIO *bio = mem_bio(pem);
    unsigned n = 0;
    X509 *x;

    while (bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        n += X509_STORE_add_cert(store, x) == 1;
        X509_free(x);
    }
    BIO_free(bio);
    ERR_clear_error();
    return n > 0 || err_set(e, FAULT_PERM, "there are no trust anchors: install ca-certificates or set ca-file");
}

static bool load_crls(SSL_CTX *ctx, struct span pem, struct err *e)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    BIO *bio = mem_bio(pem);
    unsigned n = 0;
    X509_CRL *crl;

    while (bio && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
        n += X509_STORE_add_crl(store, crl) == 1;
        X509_CRL_free(crl);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (n == 0)
        return err_set(e, FAULT_PERM, "the CRL file holds no CRL");
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return true;
}

/* A client certificate, for a server that asks for one (R8314-C-09). */
static bool load_own(SSL_CTX *ctx, const struct tls_client_conf *conf, struct err *e)
{
    BIO *cert = mem_bio(conf->cert_pem), *key = mem_bio(conf->key_pem.n ? conf->key_pem : conf->cert_pem);
    X509 *x = cert ? PEM_read_bio_X509(cert, NULL, NULL, NULL) : NULL, *more;
    EVP_PKEY *pkey = key ? PEM_read_bio_PrivateKey(key, NULL, NULL, (void *)"") : NULL;
    bool ok = x && pkey && SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, pkey) == 1;

    while (ok && (more = PEM_read_bio_X509(cert, NULL, NULL, NULL)))
        if (SSL_CTX_add0_chain_cert(ctx, more) != 1)
            X509_free(more);
    BIO_free(cert);
    BIO_free(key);
    X509_free(x);
    EVP_PKEY_free(pkey);
    return ok ? (ERR_clear_error(), true) : fail(e, "the client certificate or its key cannot be used");
}

static SSL_CTX *context(const struct tls_client_conf *conf, struct err *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    bool ok = ctx != NULL;

    if (!ok) {
        fail(e, "TLS");
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, conf->tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY); /* records without data, however many, hold nobody inside of a call */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    ok = SSL_CTX_set_cipher_list(ctx, conf->ciphers ? conf->ciphers : client_ciphers) == 1 || fail(e, "ciphers");
    if (ok && conf->verify == TLS_VERIFY_FULL)
        ok = load_anchors(ctx, conf->ca_pem, e) && (conf->crl_pem.n == 0 || load_crls(ctx, conf->crl_pem, e));
    if (ok && conf->cert_pem.n)
        ok = load_own(ctx, conf, e);
    if (ok)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

bool tls_client_new(const struct tls_client_conf *conf, int fd, struct tls_client **t, struct err *e)
{
    static const unsigned char alpn[] = "\4pop3";
    struct tls_client *made;
    SSL_CTX *ctx;

    if (conf->verify == TLS_VERIFY_PIN && conf->npins == 0)
        return err_set(e, FAULT_PERM, "verify = pin without a pin");
    if (!conf->host[0] || conf->host[0] == '.') /* OpenSSL would take these for "any" */
        return err_set(e, FAULT_PERM, "\"%s\" is no host name", conf->host);
    for (const char *p = conf->host; *p; p++)
        if (*p & 0x80)
            return err_set(e, FAULT_PERM, "host names that are not ASCII are written as xn--…");
    ctx = context(conf, e);
    if (!ctx)
        return false;
    made = mem_zero(1, sizeof *made);
    made->conf = conf;
    made->ctx = ctx;
    made->ssl = SSL_new(ctx);
    if (!made->ssl || SSL_set_fd(made->ssl, fd) != 1 || SSL_set_alpn_protos(made->ssl, alpn, 5) != 0 ||
        (!is_ip(conf->host) && SSL_set_tlsext_host_name(made->ssl, conf->host) != 1)) {
        tls_client_free(&made);
        return fail(e, "TLS");
    }
    SSL_CTX_set_cert_verify_callback(ctx, on_certificate, made);
    SSL_set_verify(made->ssl, SSL_VERIFY_PEER, NULL);
    SSL_set_connect_state(made->ssl);
    *t = made;
    return true;
}

void tls_client_free(struct tls_client **t)
{
    if (!*t)
        return;
    SSL_free((*t)->ssl);
    SSL_CTX_free((*t)->ctx);
    free(*t);
    *t = NULL;
}

SSL *tls_client_ssl(struct tls_client *t)
{
    return t->ssl;
}

static bool pinned(X509 *x, const struct tls_client_conf *conf)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned char *der = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    bool hit = false;

    if (n > 0 && EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL) == 1)
        for (size_t i = 0; i < conf->npins; i++)
            hit |= memcmp(conf->pins[i], digest, 32) == 0;
    OPENSSL_free(der);
    return hit;
}

/* SRV-ID (RFC 4985): otherName id-on-dnsSRV with "_service.domain". */
static bool srv_id(X509 *x, const struct tls_client_conf *conf)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.5.5.7.8.7", 1);
    char want[300];
    bool hit = false;

    snprintf(want, sizeof want, "_%s.%s", conf->srv_implicit ? "pop3s" : "pop3", conf->srv_domain);
    for (int i = 0; names && oid && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *s;

        if (name->type != GEN_OTHERNAME || OBJ_cmp(name->d.otherName->type_id, oid) != 0 ||
            name->d.otherName->value->type != V_ASN1_IA5STRING)
            continue;
        s = name->d.otherName->value->value.ia5string;
        hit |= span_ieq(span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)), span_str(want));
    }
    ASN1_OBJECT_free(oid);
    GENERAL_NAMES_free(names);
    return hit;
}

static bool named(X509 *x, const struct tls_client_conf *conf)
{
    unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;

    if (is_ip(conf->host))
        return X509_check_ip_asc(x, conf->host, 0) == 1;
    return X509_check_host(x, conf->host, strlen(conf->host), flags, NULL) == 1 || (conf->srv_domain && srv_id(x, conf));
}

static bool put_general_name(struct buf *out, const GENERAL_NAME *name)
{
    struct net_addr ip = { .b = { [10] = 0xff, 0xff } };
    char text[NET_ADDR_TEXT];
    const ASN1_STRING *s = name->type == GEN_DNS ? name->d.dNSName : name->type == GEN_IPADD ? name->d.iPAddress : NULL;
    size_t n = s ? (size_t)ASN1_STRING_length(s) : 0;

    if (n == 0 || (out->n && !buf_put_str(out, ", ")))
        return false;
    if (name->type == GEN_DNS)
        return text_put_clean(out, span_of(ASN1_STRING_get0_data(s), n), 60) > 0;
    if (n != 4 && n != 16)
        return buf_put_str(out, "?");
    memcpy(ip.b + 16 - n, ASN1_STRING_get0_data(s), n);
    net_addr_text(&ip, text);
    return buf_put_str(out, text);
}

static void names_of(const X509 *x, char *text, size_t room)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    struct buf out = BUF(room - 1);

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        put_general_name(&out, sk_GENERAL_NAME_value(names, i));
    if (out.n)
        memcpy(text, out.p, out.n);
    text[out.n] = '\0';
    buf_free(&out);
    GENERAL_NAMES_free(names);
}

static void date_of(const ASN1_TIME *time, char text[32])
{
    struct tm tm;

    if (ASN1_TIME_to_tm(time, &tm) == 1)
        snprintf(text, 32, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    else
        snprintf(text, 32, "an unreadable date");
}

/* Why a chain does not hold, in words that an owner of a mailbox can act on. */
static bool chain_broken(const X509_STORE_CTX *store, struct err *e)
{
    const X509 *x = X509_STORE_CTX_get_current_cert(store);
    const char *whose = X509_STORE_CTX_get_error_depth(store) > 0 ? "a certificate of its issuers" : "certificate";
    int code = X509_STORE_CTX_get_error(store);
    char date[32] = "";

    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        date_of(x ? X509_get0_notAfter(x) : NULL, date);
        return err_set(e, FAULT_PERM, "%s expired on %s", whose, date);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        date_of(x ? X509_get0_notBefore(x) : NULL, date);
        return err_set(e, FAULT_PERM, "%s is valid from %s on only", whose, date);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return err_set(e, FAULT_PERM, "certificate is self-signed: nobody vouches for the server");
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return err_set(e, FAULT_PERM, "certificate is issued by an authority that is not among the trusted ones");
    case X509_V_ERR_CERT_REVOKED:
        return err_set(e, FAULT_PERM, "%s is revoked", whose);
    default:
        return err_set(e, FAULT_PERM, "%s refused: %s", whose, X509_verify_cert_error_string(code));
    }
}

/* Path first, then the name, then pins (R7817-01). */
static bool trusted(struct tls_client *t, X509_STORE_CTX *store)
{
    const struct tls_client_conf *conf = t->conf;
    X509 *x = X509_STORE_CTX_get0_cert(store);
    char names[160];

    if (conf->verify == TLS_VERIFY_FULL && X509_verify_cert(store) != 1)
        return chain_broken(store, &t->why);
    if (conf->verify == TLS_VERIFY_FULL && !named(x, conf)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
        names_of(x, names, sizeof names);
        return err_set(&t->why, FAULT_PERM, "certificate is for %s, not for %s", *names ? names : "no host name",
                       conf->host);
    }
    if (conf->npins && !pinned(x, conf)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return err_set(&t->why, FAULT_PERM, "the key of the certificate is none of those that are pinned");
    }
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return true;
}

/* Once per handshake, in both versions after the server's answer to ALPN and before anything of ours. */
static int on_certificate(X509_STORE_CTX *store, void *arg)
{
    struct tls_client *t = arg;
    const unsigned char *alpn;
    unsigned n;

    SSL_get0_alpn_selected(t->ssl, &alpn, &n);
    if (n && (n != 4 || memcmp(alpn, "pop3", 4) != 0)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        err_set(&t->why, FAULT_PERM, "the server speaks another protocol (ALPN), not POP3");
        return 0;
    }
    t->judged = trusted(t, store);
    return t->judged;
}

static enum tls_io result(struct tls_client *t, int rc, struct err *e)
{
    int code = SSL_get_error(t->ssl, rc), saved = errno;
    unsigned long last = ERR_peek_last_error();

    switch (code) {
    case SSL_ERROR_WANT_READ:
        return TLS_IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_IO_CLOSED;
    default:
        break;
    }
    t->ended = true;
    if (t->why.text[0]) {
        *e = t->why;
        ERR_clear_error();
        return TLS_IO_FAILED;
    }
    if ((code == SSL_ERROR_SYSCALL && last == 0) ||
        (code == SSL_ERROR_SSL && ERR_GET_REASON(last) == SSL_R_UNEXPECTED_EOF_WHILE_READING)) {
        ERR_clear_error();
        err_set(e, FAULT_TEMP, "connection lost%s%s", saved ? ": " : "", saved ? strerror(saved) : "");
        return TLS_IO_CUT;
    }
    fail(e, "TLS");
    return TLS_IO_FAILED;
}

static enum tls_io over(struct err *e)
{
    err_set(e, FAULT_TEMP, "the TLS connection is over");
    return TLS_IO_FAILED;
}

enum tls_io tls_client_handshake(struct tls_client *t, struct err *e)
{
    int rc;

    if (t->ended)
        return over(e);
    ERR_clear_error();
    errno = 0;
    rc = SSL_do_handshake(t->ssl);
    if (rc != 1)
        return result(t, rc, e);
    if (t->judged)
        return TLS_IO_DONE;
    t->ended = true; /* a suite without certificates, which only conf->ciphers could have brought */
    err_set(e, FAULT_PERM, "the server has no certificate");
    return TLS_IO_FAILED;
}

enum tls_io tls_client_read(struct tls_client *t, void *p, size_t room, size_t *n, struct err *e)
{
    int rc;

    if (t->ended || !t->judged)
        return over(e);
    ERR_clear_error();
    errno = 0;
    rc = SSL_read_ex(t->ssl, p, room, n);
    return rc == 1 ? TLS_IO_DONE : result(t, rc, e);
}

enum tls_io tls_client_write(struct tls_client *t, struct span s, size_t *n, struct err *e)
{
    enum tls_io io;
    int rc;

    if (t->ended || !t->judged)
        return over(e);
    ERR_clear_error();
    errno = 0;
    rc = SSL_write_ex(t->ssl, s.p, s.n, n);
    io = rc == 1 ? TLS_IO_DONE : result(t, rc, e);
    if (io == TLS_IO_CUT)
        t->ended = false; /* what came before can still be read */
    return io;
}

enum tls_io tls_client_shutdown(struct tls_client *t)
{
    if (!t->ended && SSL_is_init_finished(t->ssl))
        SSL_shutdown(t->ssl);
    ERR_clear_error();
    return TLS_IO_DONE;
}

void tls_client_describe(struct tls_client *t, char *text, size_t room)
{
    snprintf(text, room, "%s %s", SSL_get_version(t->ssl), SSL_get_cipher_name(t->ssl));
}

static bool put_name(struct buf *out, const char *key, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *p = NULL;
    long n;
    bool ok;

    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
    n = BIO_get_mem_data(bio, &p);
    ok = buf_put_str(out, key);
    text_put_clean(out, span_of(p, n > 0 ? (size_t)n : 0), 200);
    ok = ok && buf_put(out, "\n", 1);
    BIO_free(bio);
    return ok;
}

static bool put_time(struct buf *out, const char *key, const ASN1_TIME *time)
{
    char date[32];

    date_of(time, date);
    return buf_printf(out, "%s%s\n", key, date);
}

bool tls_client_certificate(struct tls_client *t, struct buf *out)
{
    X509 *x = SSL_get0_peer_certificate(t->ssl);
    uint8_t digest[32], pin[BASE64_ENCODED(32)];
    unsigned char *der = NULL;
    char names[400];
    int n;

    if (!x)
        return false;
    n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    if (n <= 0 || EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL) != 1)
        memset(digest, 0, sizeof digest);
    OPENSSL_free(der);
    base64_put(pin, span_of(digest, 32));
    names_of(x, names, sizeof names);
    return put_name(out, "subject: ", X509_get_subject_name(x)) && put_name(out, "issuer: ", X509_get_issuer_name(x)) &&
           buf_printf(out, "names: %s\n", names) && put_time(out, "valid from: ", X509_get0_notBefore(x)) &&
           put_time(out, "valid until: ", X509_get0_notAfter(x)) &&
           buf_printf(out, "pin: sha256//%.*s", (int)sizeof pin, (const char *)pin);
}
