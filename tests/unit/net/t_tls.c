/* t_tls.c - the server's TLS against an OpenSSL client over a socket pair: versions, ALPN, SNI, tickets that two
 * fronts share, channel bindings equal at both ends, client certificates.
 *
 * Proves: R8314-S-05, R8314-S-11, R9325-02, R9325-03, R9325-05, R9325-07, R9325-08, R5929-01, R9266-01, R9266-02,
 * R7677-01
 */
#include "net/tls.h"

#include "base/secret.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/* A certificate for name (a subjectAltName such as "DNS:a.test"), self-signed or by issuer; PEM into the buffers. */
static void make(const char *san, struct buf *chain, struct buf *key_pem, X509 **keep, EVP_PKEY **keep_key)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    X509_EXTENSION *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    BIO *bio = BIO_new(BIO_s_mem());
    char *p;
    long n;

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const uint8_t *)san, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    X509_add_ext(x, ext, -1);
    X509_add_ext(x, ca, -1);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    PEM_write_bio_X509(bio, x);
    n = BIO_get_mem_data(bio, &p);
    assert_true(buf_put(chain, p, (size_t)n));
    (void)BIO_reset(bio);
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    n = BIO_get_mem_data(bio, &p);
    assert_true(buf_put(key_pem, p, (size_t)n));
    BIO_free(bio);
    X509_EXTENSION_free(ext);
    X509_EXTENSION_free(ca);
    if (keep)
        *keep = x, *keep_key = key;
    else
        X509_free(x), EVP_PKEY_free(key);
}

static struct tls_site *site_of(struct buf *bundle, bool strict)
{
    struct tls_options o = { .strict_sni = strict, .tickets = true, .ciphers = "" };
    struct tls_site *site = NULL;
    struct err e = { FAULT_NONE, "" };

    if (!tls_site_new(buf_span(bundle), &o, &site, &e))
        fail_msg("%s", e.text);
    return site;
}

static void bundle_of(struct buf *bundle, struct span client_ca)
{
    struct buf a = BUF(100000), ak = BUF(100000), b = BUF(100000), bk = BUF(100000);

    make("DNS:a.test", &a, &ak, NULL, NULL);
    make("DNS:b.test,DNS:*.w.test", &b, &bk, NULL, NULL);
    assert_true(tls_bundle_add(bundle, buf_span(&a), buf_span(&ak)));
    assert_true(tls_bundle_add(bundle, buf_span(&b), buf_span(&bk)));
    assert_true(tls_bundle_end(bundle, client_ca, span_of(NULL, 0)));
    buf_free(&a);
    buf_free(&ak);
    buf_free(&b);
    buf_free(&bk);
}

struct pair {
    SSL *server, *client;
    int fds[2];
    struct tls_socket socket;
};

/* Both ends until both are done or one failed; true when the connection is up. */
static bool shake(struct pair *p)
{
    int s = 0, c = 0;

    for (int i = 0; i < 20 && (s != 1 || c != 1); i++) {
        c = SSL_do_handshake(p->client);
        if (c != 1 && SSL_get_error(p->client, c) == SSL_ERROR_SSL)
            return false;
        s = SSL_do_handshake(p->server);
        if (s != 1 && SSL_get_error(p->server, s) == SSL_ERROR_SSL)
            return false;
    }
    return s == 1 && c == 1;
}

static void begin(struct pair *p, struct tls_site *site, SSL_CTX *ctx)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fds), 0);
    p->socket = (struct tls_socket){ .fd = p->fds[0] };
    p->server = tls_accept(site, &p->socket);
    p->client = SSL_new(ctx);
    SSL_set_fd(p->client, p->fds[1]);
    SSL_set_connect_state(p->client);
}

static void end(struct pair *p)
{
    /* Without this the client's session would count as broken and not be resumable. */
    SSL_set_shutdown(p->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(p->server);
    SSL_free(p->client);
    close(p->fds[0]);
    close(p->fds[1]);
    ERR_clear_error();
}

static void versions_and_alpn(void **state)
{
    static const struct { int min, max; const char *alpn; bool ok; } rows[] = {
        { TLS1_2_VERSION, TLS1_2_VERSION, NULL, true }, { TLS1_3_VERSION, TLS1_3_VERSION, NULL, true },
        { TLS1_VERSION, TLS1_1_VERSION, NULL, false }, { 0, 0, "\4pop3", true },
        { 0, 0, "\10http/1.1\4pop3", true }, { 0, 0, "\10http/1.1", false }, { 0, 0, "\4imap", false },
        { TLS1_2_VERSION, TLS1_2_VERSION, "\4imap", false },
    };
    struct buf bundle = BUF(1 << 20);
    struct tls_site *site;

    (void)state;
    bundle_of(&bundle, span_of(NULL, 0));
    site = site_of(&bundle, false);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        struct pair p;
        const unsigned char *alpn;
        unsigned n;

        SSL_CTX_set_security_level(ctx, 0);
        SSL_CTX_set_min_proto_version(ctx, rows[i].min);
        SSL_CTX_set_max_proto_version(ctx, rows[i].max);
        if (rows[i].alpn)
            SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)rows[i].alpn, (unsigned)strlen(rows[i].alpn));
        begin(&p, site, ctx);
        assert_int_equal(shake(&p), rows[i].ok);
        if (rows[i].ok && rows[i].alpn) {
            SSL_get0_alpn_selected(p.client, &alpn, &n);
            assert_true(span_is(span_of(alpn, n), "pop3"));
        }
        if (rows[i].ok) {
            assert_int_equal(SSL_get_max_early_data(p.server), 0);
            assert_null(SSL_get_current_compression(p.server));
            assert_true(SSL_CIPHER_is_aead(SSL_get_current_cipher(p.server)));
        }
        end(&p);
        SSL_CTX_free(ctx);
    }
    tls_site_free(&site);
    buf_free(&bundle);
}

static void sni(void **state)
{
    static const struct { const char *name, *want; } rows[] = {
        { "a.test", "a.test" }, { "b.test", "b.test" }, { "x.w.test", "b.test" }, { "B.TEST", "b.test" },
        { "other.test", NULL }, { NULL, "a.test" },
    };
    struct buf bundle = BUF(1 << 20);

    (void)state;
    bundle_of(&bundle, span_of(NULL, 0));
    for (int strict = 0; strict < 2; strict++) {
        struct tls_site *site = site_of(&bundle, strict);

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
            const char *want = rows[i].want ? rows[i].want : strict ? NULL : "a.test";
            struct pair p;
            X509 *x;

            begin(&p, site, ctx);
            if (rows[i].name)
                SSL_set_tlsext_host_name(p.client, rows[i].name);
            assert_int_equal(shake(&p), want != NULL);
            if (want) {
                x = SSL_get1_peer_certificate(p.client);
                assert_int_equal(X509_check_host(x, want, 0, 0, NULL), 1);
                X509_free(x);
            }
            end(&p);
            SSL_CTX_free(ctx);
        }
        tls_site_free(&site);
    }
    buf_free(&bundle);
}

static SSL_SESSION *kept;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = session;
    return 1;
}

/* A client's turn of a connection: handshake, one octet each way (tickets of TLS 1.3 come behind the handshake). */
static bool visit(struct tls_site *site, SSL_CTX *ctx, struct pair *p)
{
    char c;

    begin(p, site, ctx);
    if (kept)
        SSL_set_session(p->client, kept);
    if (!shake(p))
        return false;
    return SSL_write(p->server, "+", 1) == 1 && SSL_read(p->client, &c, 1) == 1;
}

static void tickets(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    struct buf bundle = BUF(1 << 20);
    struct tls_site *front1, *front2, *other;
    uint8_t keys[2 * TLS_TICKET_KEY_OCTETS];

    (void)state;
    bundle_of(&bundle, span_of(NULL, 0));
    front1 = site_of(&bundle, false);
    front2 = site_of(&bundle, false);
    other = site_of(&bundle, false);
    for (int v = 0; v < 2; v++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        struct pair p;

        secret_random(keys, sizeof keys);
        tls_site_set_tickets(front1, span_of(keys + TLS_TICKET_KEY_OCTETS, TLS_TICKET_KEY_OCTETS));
        tls_site_set_tickets(front2, span_of(keys, sizeof keys)); /* a newer key has come since */
        secret_random(keys, sizeof keys);
        tls_site_set_tickets(other, span_of(keys, sizeof keys));
        SSL_CTX_set_min_proto_version(ctx, versions[v]);
        SSL_CTX_set_max_proto_version(ctx, versions[v]);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
        SSL_CTX_sess_set_new_cb(ctx, keep_session);
        assert_true(visit(front1, ctx, &p));
        assert_false(SSL_session_reused(p.server));
        end(&p);
        assert_non_null(kept);
        assert_true(visit(front2, ctx, &p)); /* another front, an older key of three */
        assert_true(SSL_session_reused(p.server));
        end(&p);
        assert_true(visit(other, ctx, &p)); /* unknown key: a full handshake, no failure */
        assert_false(SSL_session_reused(p.server));
        end(&p);
        SSL_SESSION_free(kept);
        kept = NULL;
        SSL_CTX_free(ctx);
    }
    tls_site_free(&front1);
    tls_site_free(&front2);
    tls_site_free(&other);
    buf_free(&bundle);
}

static void bindings(void **state)
{
    struct buf bundle = BUF(1 << 20);
    struct tls_site *site;
    uint8_t keys[TLS_TICKET_KEY_OCTETS];

    (void)state;
    secret_random(keys, sizeof keys);
    bundle_of(&bundle, span_of(NULL, 0));
    site = site_of(&bundle, false);
    tls_site_set_tickets(site, span_of(keys, sizeof keys));
    for (int round = 0; round < 6; round++) {
        bool v13 = round % 3 == 2, ems = round % 3 != 1, resume = round >= 3;
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        uint8_t ours[TLS_BINDING_MAX], theirs[TLS_BINDING_MAX];
        struct pair p;
        size_t n;

        SSL_CTX_set_max_proto_version(ctx, v13 ? TLS1_3_VERSION : TLS1_2_VERSION);
        if (!ems)
            SSL_CTX_set_options(ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
        SSL_CTX_sess_set_new_cb(ctx, keep_session);
        assert_true(visit(site, ctx, &p));
        if (resume) {
            end(&p);
            assert_true(visit(site, ctx, &p));
            assert_true(SSL_session_reused(p.server));
        }
        n = tls_binding_exporter(p.server, ours);
        assert_int_equal(n, v13 || ems ? 32 : 0);
        if (n) {
            assert_int_equal(SSL_export_keying_material(p.client, theirs, 32, "EXPORTER-Channel-Binding", 24,
                                                        (const uint8_t *)"", 0, 1), 1);
            assert_memory_equal(ours, theirs, 32);
        }
        n = tls_binding_unique(p.server, ours);
        assert_int_equal(n > 0, !v13 && (ems || !resume));
        if (n) { /* the first Finished: the client's, in a resumed handshake the server's */
            size_t m = resume ? SSL_get_peer_finished(p.client, theirs, sizeof theirs)
                              : SSL_get_finished(p.client, theirs, sizeof theirs);

            assert_int_equal(n, m);
            assert_memory_equal(ours, theirs, n);
        }
        end(&p);
        SSL_SESSION_free(kept);
        kept = NULL;
        SSL_CTX_free(ctx);
    }
    tls_site_free(&site);
    buf_free(&bundle);
}

static void client_certificates(void **state)
{
    struct buf bundle = BUF(1 << 20), ca = BUF(100000), cak = BUF(100000), bad = BUF(100000),
               badk = BUF(100000);
    struct tls_site *site;
    X509 *x[2];
    EVP_PKEY *key[2];

    (void)state;
    make("email:bob@example.org,DNS:x", &ca, &cak, &x[0], &key[0]);
    make("email:eve@example.org", &bad, &badk, &x[1], &key[1]); /* of an unknown authority */
    bundle_of(&bundle, buf_span(&ca));
    site = site_of(&bundle, false);
    assert_true(tls_site_asks_certificate(site));
    for (int i = 0; i < 3; i++) { /* known, unknown, none */
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        uint8_t ids[TLS_IDENTITIES_MAX];
        struct pair p;
        size_t n;

        if (i < 2) {
            SSL_CTX_use_certificate(ctx, x[i]);
            SSL_CTX_use_PrivateKey(ctx, key[i]);
        }
        begin(&p, site, ctx);
        assert_true(shake(&p)); /* whatever it is worth, the handshake goes on */
        n = tls_identities(p.server, ids);
        if (i == 0) {
            assert_true(n == 7 + 64 + 1 + 6 + 15 + 1);
            assert_memory_equal(ids, "sha256:", 7);
            assert_memory_equal(ids + 72, "email:bob@example.org", 22);
        } else {
            assert_int_equal(n, 0);
        }
        end(&p);
        SSL_CTX_free(ctx);
    }
    for (int i = 0; i < 2; i++)
        X509_free(x[i]), EVP_PKEY_free(key[i]);
    tls_site_free(&site);
    buf_free(&bundle);
    buf_free(&ca);
    buf_free(&cak);
    buf_free(&bad);
    buf_free(&badk);
}

/* A key that does not belong to its certificate, torn PEM, a torn bundle: refused with a reason. */
static void bad_material(void **state)
{
    struct tls_options o = { .tickets = true, .ciphers = "" };
    struct buf a = BUF(100000), ak = BUF(100000), b = BUF(100000), bk = BUF(100000), bundle = BUF(1 << 20);
    struct tls_site *site = NULL;
    struct err e;

    (void)state;
    make("DNS:a.test", &a, &ak, NULL, NULL);
    make("DNS:b.test", &b, &bk, NULL, NULL);
    assert_true(tls_bundle_add(&bundle, buf_span(&a), buf_span(&bk)));
    assert_true(tls_bundle_end(&bundle, span_of(NULL, 0), span_of(NULL, 0)));
    assert_false(tls_site_new(buf_span(&bundle), &o, &site, &e));
    assert_null(site);
    bundle.n = 0;
    assert_true(tls_bundle_add(&bundle, span_of(a.p, a.n / 2), buf_span(&ak)));
    assert_true(tls_bundle_end(&bundle, span_of(NULL, 0), span_of(NULL, 0)));
    assert_false(tls_site_new(buf_span(&bundle), &o, &site, &e));
    bundle.n = 0;
    assert_true(tls_bundle_add(&bundle, buf_span(&a), buf_span(&ak)));
    assert_true(tls_bundle_end(&bundle, span_of(NULL, 0), span_of(NULL, 0)));
    for (size_t n = 0; n < bundle.n; n += 7)
        assert_false(tls_site_new(span_of(bundle.p, n), &o, &site, &e));
    o.ciphers = "no-such-cipher";
    assert_false(tls_site_new(buf_span(&bundle), &o, &site, &e));
    o.ciphers = "";
    assert_true(tls_site_new(buf_span(&bundle), &o, &site, &e));
    tls_site_free(&site);
    buf_free(&a);
    buf_free(&ak);
    buf_free(&b);
    buf_free(&bk);
    buf_free(&bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_and_alpn), cmocka_unit_test(sni), cmocka_unit_test(tickets),
        cmocka_unit_test(bindings), cmocka_unit_test(client_certificates), cmocka_unit_test(bad_material),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
