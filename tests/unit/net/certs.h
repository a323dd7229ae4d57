/* certs.h - certificates made on the spot, for the tests of TLS: authorities, servers with any names, CRLs. */
#ifndef RESTANTE_TESTS_CERTS_H
#define RESTANTE_TESTS_CERTS_H

#include "base/buf.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { HOUR = 3600, DAY = 24 * HOUR };

struct identity {
    X509 *x;
    EVP_PKEY *key;
};

struct recipe {
    const char *cn, *san;          /* san as openssl.cnf writes it; NULL = none */
    struct span raw_dns;           /* one more dNSName, any octets */
    long from, until;              /* seconds from now; until 0 = one day */
    const struct identity *issuer; /* NULL = self-signed */
    bool ca;
    long serial;
};

static inline void add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(x, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

static inline void add_raw_dns(X509 *x, struct span octets)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();

    assert_int_equal(ASN1_STRING_set(text, octets.p, (int)octets.n), 1);
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    sk_GENERAL_NAME_push(names, name);
    assert_int_equal(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0), 1);
    GENERAL_NAMES_free(names);
}

static inline struct identity certify(const struct recipe *r)
{
    struct identity made = { X509_new(), EVP_EC_gen("P-256") };
    const struct identity *issuer = r->issuer ? r->issuer : &made;

    X509_set_version(made.x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.x), r->serial ? r->serial : 1);
    X509_gmtime_adj(X509_getm_notBefore(made.x), r->from ? r->from : -HOUR);
    X509_gmtime_adj(X509_getm_notAfter(made.x), r->until ? r->until : DAY);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.x), "CN", MBSTRING_ASC, (const uint8_t *)r->cn, -1, -1, 0);
    X509_set_issuer_name(made.x, X509_get_subject_name(issuer->x));
    X509_set_pubkey(made.x, made.key);
    if (r->ca)
        add_extension(made.x, NID_basic_constraints, "critical,CA:TRUE");
    if (r->san)
        add_extension(made.x, NID_subject_alt_name, r->san);
    if (r->raw_dns.n)
        add_raw_dns(made.x, r->raw_dns);
    assert_true(X509_sign(made.x, issuer->key, EVP_sha256()) > 0);
    return made;
}

static inline void identity_free(struct identity *i)
{
    X509_free(i->x);
    EVP_PKEY_free(i->key);
    *i = (struct identity){ NULL, NULL };
}

static inline void take_bio(BIO *bio, struct buf *out)
{
    char *p;
    long n = BIO_get_mem_data(bio, &p);

    assert_true(n > 0 && buf_put(out, p, (size_t)n));
    BIO_free(bio);
}

static inline void put_certificate(const struct identity *i, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_X509(bio, i->x), 1);
    take_bio(bio, out);
}

static inline void put_key(const struct identity *i, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PrivateKey(bio, i->key, NULL, NULL, 0, NULL, NULL), 1);
    take_bio(bio, out);
}

/* A list of the authority that revokes one serial number. */
static inline void put_crl(const struct identity *ca, long serial, struct buf *out)
{
    X509_CRL *crl = X509_CRL_new();
    X509_REVOKED *one = X509_REVOKED_new();
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_TIME *at = X509_gmtime_adj(NULL, -HOUR);
    BIO *bio = BIO_new(BIO_s_mem());

    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->x));
    X509_CRL_set1_lastUpdate(crl, at);
    ASN1_INTEGER_set(number, serial);
    X509_REVOKED_set_serialNumber(one, number);
    X509_REVOKED_set_revocationDate(one, at);
    X509_CRL_add0_revoked(crl, one);
    X509_gmtime_adj(at, DAY);
    X509_CRL_set1_nextUpdate(crl, at);
    assert_true(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509_CRL(bio, crl), 1);
    take_bio(bio, out);
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(at);
    X509_CRL_free(crl);
}

static inline void pin_of(const struct identity *i, uint8_t pin[32])
{
    unsigned char *der = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(i->x), &der);

    assert_true(n > 0 && EVP_Digest(der, (size_t)n, pin, NULL, EVP_sha256(), NULL) == 1);
    OPENSSL_free(der);
}

#endif
