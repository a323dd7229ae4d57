/* scram.c - the SCRAM exchange, server side (RFC 5802 §5, §6, §7; RFC 7677; RFC 9266): see scram.h.
 *
 * GNU SASL's server (lib/scram/server.c, 2.2.0) was read and is not used here, for reasons that no wrapper
 * mends: it compares StoredKey with memcmp; it keeps keys as properties and message copies that are freed
 * without being wiped; its nonce cannot be given, so the RFC's examples cannot run through it; it stops at NUL
 * octets and takes malformed "=" escapes, m= in client-final and anything behind the client's nonce; and it
 * wants the keys by a synchronous callback. What would be left of it is one HMAC. Its SASLprep is used
 * (prep.c), and its client is the independent peer in tests/unit/auth/t_scram_peer.c.
 * Does not know: users, Base64 lines of POP3, TLS.
 */
#include "sasl/scram.h"

#include "base/base64.h"
#include "base/secret.h"
#include "sasl/prep.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

void scram_init(struct scram *s, enum scram_hash hash)
{
    memset(s, 0, sizeof *s);
    s->hash = hash;
    s->first.cap = s->binding.cap = s->user.cap = s->authzid.cap = SCRAM_MAX_MESSAGE;
    s->challenge.cap = SCRAM_MAX_MESSAGE + 512;
}

void scram_wipe(struct scram *s)
{
    buf_wipe(&s->first);
    buf_wipe(&s->binding);
    buf_wipe(&s->challenge);
    buf_wipe(&s->user);
    buf_wipe(&s->authzid);
    explicit_bzero(&s->keys, sizeof s->keys);
}

static bool take_text(struct span *in, const char *text)
{
    size_t n = strlen(text);

    if (in->n < n || memcmp(in->p, text, n) != 0)
        return false;
    span_take(in, n);
    return true;
}

/* saslname: "," and "=" are spelt =2C and =3D, any other "=" is an error (RFC 5802 §5.1). */
static bool unescape(struct span in, struct buf *out)
{
    while (in.n) {
        uint8_t c = in.p[0];

        if (take_text(&in, "=2C"))
            c = ',';
        else if (take_text(&in, "=3D"))
            c = '=';
        else if (c == '=' || c == '\0')
            return false;
        else
            span_take(&in, 1);
        if (!buf_put(out, &c, 1))
            return false;
    }
    return out->n != 0 && utf8_valid(buf_span(out));
}

/* c-nonce, s-nonce: the RFC's grammar says one character, its text means one or more (printable, no comma). */
static bool nonce_valid(struct span nonce)
{
    for (size_t i = 0; i < nonce.n; i++)
        if (nonce.p[i] < 0x21 || nonce.p[i] > 0x7e || nonce.p[i] == ',')
            return false;
    return nonce.n != 0;
}

/* Optional attributes "x=value" behind the fixed ones are ignored; a mandatory extension (m=) must fail (§5.1),
 * and the proof (p=) has its own place at the very end. */
static bool extensions_valid(struct span in)
{
    while (in.n) {
        bool more = memchr(in.p, ',', in.n) != NULL;
        struct span attribute = span_until(&in, ',');
        uint8_t name = attribute.n ? ascii_lower(attribute.p[0]) : 0;

        if (attribute.n < 3 || name < 'a' || name > 'z' || attribute.p[1] != '=' ||
            memchr("mp", attribute.p[0], 2) || memchr(attribute.p, '\0', attribute.n) ||
            !utf8_valid(attribute))
            return false;
        if (more && in.n == 0)
            return false; /* a comma with nothing behind it */
    }
    return true;
}

/* cb-name is letters, digits, "." and "-" (RFC 5056 §4); we know two. */
static enum scram_verdict choose_binding(struct scram *s, const struct scram_link *link, struct span type)
{
    struct span data = { NULL, 0 };

    if (!link->plus)
        return SCRAM_BINDING; /* "p" under the bare name (RFC 5802 §6) */
    if (span_is(type, "tls-exporter"))
        data = link->exporter;
    else if (span_is(type, "tls-unique"))
        data = link->unique;
    return data.n && buf_put_span(&s->binding, data) ? SCRAM_OK : SCRAM_BINDING;
}

/* gs2-header: the flag, then the authorization identity; *in is left at client-first-bare. */
static enum scram_verdict take_header(struct scram *s, const struct scram_link *link, struct span *in)
{
    struct span flag, authzid;
    size_t before = in->n;

    if (!memchr(in->p, ',', in->n))
        return SCRAM_MALFORMED;
    flag = span_until(in, ',');
    if (!in->n || !memchr(in->p, ',', in->n))
        return SCRAM_MALFORMED;
    authzid = span_until(in, ',');
    s->bare = before - in->n;
    if (authzid.n && (!take_text(&authzid, "a=") || !unescape(authzid, &s->authzid)))
        return SCRAM_MALFORMED;
    if (take_text(&flag, "p="))
        return choose_binding(s, link, flag);
    if (!span_is(flag, "n") && !span_is(flag, "y"))
        return SCRAM_MALFORMED;
    if (link->plus || (flag.p[0] == 'y' && link->plus_offered))
        return SCRAM_BINDING; /* "y" says that no -PLUS was seen: somebody removed it from our list */
    return SCRAM_OK;
}

enum scram_verdict scram_first(struct scram *s, const struct scram_link *link, struct span message)
{
    struct span in = message, name, nonce;
    enum scram_verdict verdict;

    if (message.n == 0 || message.n > SCRAM_MAX_MESSAGE || !buf_put_span(&s->first, message))
        return SCRAM_MALFORMED;
    verdict = take_header(s, link, &in);
    if (verdict != SCRAM_OK)
        return verdict;
    if (!take_text(&in, "n=") || !memchr(in.p, ',', in.n)) /* "m=" here is a mandatory extension: refused too */
        return SCRAM_MALFORMED;
    name = span_until(&in, ',');
    if (!unescape(name, &s->user) || !take_text(&in, "r="))
        return SCRAM_MALFORMED;
    if (in.n && in.p[in.n - 1] == ',')
        return SCRAM_MALFORMED;
    nonce = span_until(&in, ',');
    if (!nonce_valid(nonce) || !extensions_valid(in))
        return SCRAM_MALFORMED;
    s->nonce_n = nonce.n;
    if (!buf_put_str(&s->challenge, "r=") || !buf_put_span(&s->challenge, nonce))
        return SCRAM_MALFORMED;
    return SCRAM_OK;
}

void scram_nonce(uint8_t nonce[SCRAM_NONCE])
{
    uint8_t raw[SCRAM_NONCE / 4 * 3]; /* 18 octets: 144 random bits */

    secret_random(raw, sizeof raw);
    base64_put(nonce, span_of(raw, sizeof raw));
}

bool scram_challenge(struct scram *s, const struct scram_keys *keys, struct span nonce)
{
    uint8_t salt[BASE64_ENCODED(SCRAM_MAX_SALT)];
    int n = (int)base64_put(salt, span_of(keys->salt, keys->salt_n));

    s->keys = *keys;
    s->nonce_n += nonce.n;
    return buf_put_span(&s->challenge, nonce) &&
           buf_printf(&s->challenge, ",s=%.*s,i=%u", n, (char *)salt, (unsigned)keys->iterations);
}

/* c= must be the gs2-header that came first, and the binding data when one was chosen (§6). */
static bool binding_matches(const struct scram *s, struct span text)
{
    struct buf got = BUF(2 * SCRAM_MAX_MESSAGE);
    uint8_t *raw = buf_reserve(&got, BASE64_DECODED(text.n) + 1);
    bool ok = raw && base64_get(text, raw, &got.n) && got.n == s->bare + s->binding.n &&
              memcmp(raw, s->first.p, s->bare) == 0 &&
              secret_eq(span_of(raw + s->bare, s->binding.n), buf_span(&s->binding));

    buf_wipe(&got);
    return ok;
}

/* AuthMessage: client-first-bare "," server-first "," client-final-without-proof. */
static bool auth_message(const struct scram *s, struct span without_proof, struct buf *out)
{
    return buf_put(out, s->first.p + s->bare, s->first.n - s->bare) && buf_put_str(out, ",") &&
           buf_put_span(out, buf_span(&s->challenge)) && buf_put_str(out, ",") &&
           buf_put_span(out, without_proof);
}

/* ClientKey = proof XOR HMAC(StoredKey, AuthMessage); right when H(ClientKey) = StoredKey. */
static bool proof_right(const struct scram *s, struct span message, const uint8_t *proof)
{
    const EVP_MD *md = s->hash == SCRAM_SHA_256 ? EVP_sha256() : EVP_sha1();
    size_t octets = scram_hash_octets(s->hash);
    uint8_t key[SCRAM_MAX_HASH], hashed[SCRAM_MAX_HASH];
    bool ok = HMAC(md, s->keys.stored, (int)octets, message.p, message.n, key, NULL) != NULL;

    for (size_t i = 0; i < octets; i++)
        key[i] ^= proof[i];
    ok = ok && EVP_Digest(key, octets, hashed, NULL, md, NULL) == 1 &&
         secret_eq(span_of(hashed, octets), span_of(s->keys.stored, octets));
    explicit_bzero(key, sizeof key); /* ClientKey is as good as the password */
    return ok;
}

static bool put_server_final(const struct scram *s, struct span message, struct buf *out)
{
    const EVP_MD *md = s->hash == SCRAM_SHA_256 ? EVP_sha256() : EVP_sha1();
    size_t octets = scram_hash_octets(s->hash);
    uint8_t signature[SCRAM_MAX_HASH], text[BASE64_ENCODED(SCRAM_MAX_HASH)];

    return HMAC(md, s->keys.server, (int)octets, message.p, message.n, signature, NULL) &&
           buf_put_str(out, "v=") && buf_put(out, text, base64_put(text, span_of(signature, octets)));
}

/* client-final taken apart. */
struct final {
    struct span binding, nonce, without_proof;
    uint8_t proof[SCRAM_MAX_HASH + 4];
};

static bool final_parse(const struct scram *s, struct span message, struct final *f)
{
    const uint8_t *comma = message.n ? memrchr(message.p, ',', message.n) : NULL;
    struct span in, proof;
    size_t n;

    if (!comma || message.n > SCRAM_MAX_MESSAGE * 2)
        return false;
    f->without_proof = in = span_of(message.p, (size_t)(comma - message.p));
    proof = span_of(comma + 1, message.n - in.n - 1);
    if (!take_text(&proof, "p=") || BASE64_DECODED(proof.n) > sizeof f->proof ||
        !base64_get(proof, f->proof, &n) || n != scram_hash_octets(s->hash))
        return false;
    if (!take_text(&in, "c=") || !memchr(in.p, ',', in.n))
        return false;
    f->binding = span_until(&in, ',');
    if (!take_text(&in, "r=") || (in.n && in.p[in.n - 1] == ','))
        return false;
    f->nonce = span_until(&in, ',');
    return extensions_valid(in);
}

enum scram_verdict scram_final(struct scram *s, struct span message, struct buf *out)
{
    struct buf text = BUF(6 * SCRAM_MAX_MESSAGE);
    struct final f;
    bool ok;

    if (!final_parse(s, message, &f))
        return SCRAM_MALFORMED;
    if (!span_eq(f.nonce, span_of(s->challenge.p + 2, s->nonce_n)))
        return SCRAM_MALFORMED;
    if (!binding_matches(s, f.binding))
        return SCRAM_BINDING;
    ok = auth_message(s, f.without_proof, &text) && proof_right(s, buf_span(&text), f.proof) &&
         put_server_final(s, buf_span(&text), out);
    buf_wipe(&text);
    return ok ? SCRAM_OK : SCRAM_REFUSED;
}
