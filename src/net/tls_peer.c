/* tls_peer.c - what an established TLS connection says of its peer: channel bindings and client certificates.
 *
 * RFC 5929 §3 (tls-unique), RFC 9266 (tls-exporter), RFC 7677 §4, RFC 4422 appendix A.
 * Does not know: which users exist, what a binding is used for.
 */
#include "net/tls.h"

#include "base/num.h"

#include <openssl/x509v3.h>

/* Undefined for TLS 1.3; on a resumed session only safe with the extended master secret (R7677-01). */
size_t tls_binding_unique(SSL *ssl, uint8_t dst[TLS_BINDING_MAX])
{
    bool resumed = SSL_session_reused(ssl) == 1;

    if (SSL_version(ssl) >= TLS1_3_VERSION || (resumed && SSL_get_extms_support(ssl) != 1))
        return 0;
    /* The first Finished message: the client's in a full handshake, the server's in a resumed one. */
    if (resumed == (SSL_is_server(ssl) == 1))
        return SSL_get_finished(ssl, dst, TLS_BINDING_MAX);
    return SSL_get_peer_finished(ssl, dst, TLS_BINDING_MAX);
}

size_t tls_binding_exporter(SSL *ssl, uint8_t dst[TLS_BINDING_MAX])
{
    static const char label[] = "EXPORTER-Channel-Binding";

    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
        return 0; /* RFC 9266 §4.2 */
    /* A zero-length context, which is not "no context" before TLS 1.3 (RFC 9266 §2). */
    return SSL_export_keying_material(ssl, dst, 32, label, sizeof label - 1, (const uint8_t *)"", 0, 1)
                   == 1 ? 32 : 0;
}

bool tls_has_binding(SSL *ssl)
{
    /* With either of them there is an exporter; without, the first Finished of a full handshake. */
    return SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1 || SSL_session_reused(ssl) != 1;
}

/* Appends "kind:value" and a NUL; octets below 0x21 or above 0x7E void the identity (NUL tricks, R9525-07). */
static void put_identity(struct buf *b, const char *kind, struct span value)
{
    struct buf before = *b;

    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < 0x21 || value.p[i] > 0x7e)
            return;
    if (value.n && !(buf_put_str(b, kind) && buf_put_span(b, value) && buf_put(b, "", 1)))
        b->n = before.n;
}

size_t tls_identities(SSL *ssl, uint8_t dst[TLS_IDENTITIES_MAX])
{
    X509 *x = SSL_get0_peer_certificate(ssl);
    struct buf b = BUF(TLS_IDENTITIES_MAX);
    uint8_t digest[32], hex[64];
    unsigned n = sizeof digest;
    GENERAL_NAMES *sans;
    size_t used;

    if (!x || SSL_get_verify_result(ssl) != X509_V_OK)
        return 0;
    if (X509_digest(x, EVP_sha256(), digest, &n) == 1) {
        hex_put(hex, span_of(digest, sizeof digest));
        put_identity(&b, "sha256:", span_of(hex, sizeof hex));
    }
    sans = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(sans); i++) {
        const GENERAL_NAME *san = sk_GENERAL_NAME_value(sans, i);

        if (san->type == GEN_EMAIL)
            put_identity(&b, "email:", span_of(ASN1_STRING_get0_data(san->d.rfc822Name),
                                               (size_t)ASN1_STRING_length(san->d.rfc822Name)));
    }
    GENERAL_NAMES_free(sans);
    used = b.n;
    if (used)
        memcpy(dst, b.p, used);
    buf_free(&b);
    return used;
}
