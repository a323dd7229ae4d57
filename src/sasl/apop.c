/* apop.c - the digest of RFC 1939 §7: MD5 of timestamp and secret. Does not know: when APOP may be used. */
#include "sasl/client.h"

#include "base/num.h"

#include <openssl/evp.h>
#include <string.h>

void sasl_apop_digest(struct span timestamp, struct span secret, char hex[33])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t digest[EVP_MAX_MD_SIZE] = { 0 };

    if (md && EVP_DigestInit_ex(md, EVP_md5(), NULL) == 1 && EVP_DigestUpdate(md, timestamp.p, timestamp.n) == 1 &&
        EVP_DigestUpdate(md, secret.p, secret.n) == 1)
        EVP_DigestFinal_ex(md, digest, NULL);
    EVP_MD_CTX_free(md);
    hex_put((uint8_t *)hex, span_of(digest, 16));
    hex[32] = '\0';
}
