/* tls_bundle.c - certificates and keys as one block of octets for the way from the supervisor to a front.
 *
 * Layout: for each pair 'C' length chain length key; then 'E' length client-ca length crl. Lengths are four
 * octets, little-endian. Does not know: what a certificate is.
 */
#include "net/tls_bundle.h"

static bool put_blob(struct buf *b, struct span s)
{
    uint8_t n[4] = { (uint8_t)s.n, (uint8_t)(s.n >> 8), (uint8_t)(s.n >> 16), (uint8_t)(s.n >> 24) };

    return buf_put(b, n, sizeof n) && buf_put_span(b, s);
}

static bool take_blob(struct span *in, struct span *s)
{
    size_t n;

    if (in->n < 4)
        return false;
    n = (size_t)in->p[0] | (size_t)in->p[1] << 8 | (size_t)in->p[2] << 16 | (size_t)in->p[3] << 24;
    span_take(in, 4);
    if (n > in->n)
        return false;
    *s = span_take(in, n);
    return true;
}

bool tls_bundle_add(struct buf *bundle, struct span chain_pem, struct span key_pem)
{
    return buf_put(bundle, "C", 1) && put_blob(bundle, chain_pem) && put_blob(bundle, key_pem);
}

bool tls_bundle_end(struct buf *bundle, struct span client_ca_pem, struct span crl_pem)
{
    return buf_put(bundle, "E", 1) && put_blob(bundle, client_ca_pem) && put_blob(bundle, crl_pem);
}

bool tls_bundle_next(struct span *in, struct tls_bundle_part *part)
{
    uint8_t tag = in->n ? in->p[0] : 0;
    struct tls_bundle_part got = { .end = tag == 'E' };

    if (tag != 'C' && tag != 'E')
        return false;
    span_take(in, 1);
    if (!take_blob(in, &got.first) || !take_blob(in, &got.second))
        return false; /* *part stays: a torn end must not look like one */
    *part = got;
    return true;
}
