/* scram_keys.c - what a server keeps of a SCRAM password: reading, writing, deriving, inventing (scram.h).
 * Does not know: the exchange (scram.c), where keys are stored. RFC 5802 §3, RFC 7677.
 */
#include "sasl/scram.h"

#include "base/base64.h"
#include "base/num.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

size_t scram_hash_octets(enum scram_hash hash)
{
    return hash == SCRAM_SHA_256 ? 32 : 20;
}

/* Base64 of between least and most octets. */
static bool take_base64(struct span text, uint8_t *dst, size_t least, size_t most, size_t *n)
{
    uint8_t raw[SCRAM_MAX_SALT + 3];

    if (BASE64_DECODED(text.n) > sizeof raw || !base64_get(text, raw, n) || *n < least || *n > most)
        return false;
    memcpy(dst, raw, *n);
    return true;
}

bool scram_keys_parse(struct span text, enum scram_hash hash, struct scram_keys *keys)
{
    size_t octets = scram_hash_octets(hash), n;
    struct span number = span_until(&text, ','), salt = span_until(&text, ','),
                stored = span_until(&text, ',');
    uint64_t iterations;

    memset(keys, 0, sizeof *keys);
    if (!num_all_u64(number, &iterations) || number.p[0] == '0' || iterations < SCRAM_MIN_ITERATIONS ||
        iterations > SCRAM_MAX_ITERATIONS)
        return false;
    keys->iterations = (uint32_t)iterations;
    return take_base64(salt, keys->salt, 1, SCRAM_MAX_SALT, &keys->salt_n) &&
           take_base64(stored, keys->stored, octets, octets, &n) &&
           take_base64(text, keys->server, octets, octets, &n);
}

bool scram_keys_put(const struct scram_keys *keys, enum scram_hash hash, struct buf *out)
{
    size_t octets = scram_hash_octets(hash);
    uint8_t salt[BASE64_ENCODED(SCRAM_MAX_SALT)], stored[BASE64_ENCODED(SCRAM_MAX_HASH)],
        server[BASE64_ENCODED(SCRAM_MAX_HASH)];
    int salt_n = (int)base64_put(salt, span_of(keys->salt, keys->salt_n)),
        stored_n = (int)base64_put(stored, span_of(keys->stored, octets)),
        server_n = (int)base64_put(server, span_of(keys->server, octets));

    return buf_printf(out, "%u,%.*s,%.*s,%.*s", (unsigned)keys->iterations, salt_n, (char *)salt, stored_n,
                      (char *)stored, server_n, (char *)server);
}

bool scram_keys_derive(enum scram_hash hash, struct span password, struct scram_keys *keys)
{
    const EVP_MD *md = hash == SCRAM_SHA_256 ? EVP_sha256() : EVP_sha1();
    int octets = (int)scram_hash_octets(hash);
    uint8_t salted[SCRAM_MAX_HASH], client[SCRAM_MAX_HASH];
    bool ok;

    ok = password.n <= INT32_MAX &&
         PKCS5_PBKDF2_HMAC((const char *)password.p, (int)password.n, keys->salt, (int)keys->salt_n,
                           (int)keys->iterations, md, octets, salted) == 1 &&
         HMAC(md, salted, octets, (const uint8_t *)"Client Key", 10, client, NULL) &&
         HMAC(md, salted, octets, (const uint8_t *)"Server Key", 10, keys->server, NULL) &&
         EVP_Digest(client, (size_t)octets, keys->stored, NULL, md, NULL) == 1;
    explicit_bzero(salted, sizeof salted);
    explicit_bzero(client, sizeof client);
    return ok;
}

/* HMAC-SHA-256 of "label name" under the secret. */
static bool invent(struct span secret, const char *label, struct span name, uint8_t dst[32])
{
    struct buf text = BUF(8192);
    bool ok = buf_put_str(&text, label) && buf_put_span(&text, name) &&
              HMAC(EVP_sha256(), secret.p, (int)secret.n, text.p, text.n, dst, NULL);

    buf_free(&text);
    return ok;
}

bool scram_keys_fake(struct span secret, struct span name, struct scram_keys *keys)
{
    uint8_t salt[32];

    if (keys->salt_n > sizeof salt)
        keys->salt_n = sizeof salt;
    if (!invent(secret, "salt ", name, salt) || !invent(secret, "stored ", name, keys->stored) ||
        !invent(secret, "server ", name, keys->server))
        return false;
    memcpy(keys->salt, salt, keys->salt_n);
    return true;
}
