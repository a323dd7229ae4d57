/* client.c - the client's mechanisms: see client.h.
 *
 * PLAIN, LOGIN, CRAM-MD5 and EXTERNAL are GNU SASL's. SCRAM (RFC 5802, 7677) is made here, because GNU SASL's client never
 * says "y" (it fails when it has binding data and the mechanism is none of -PLUS, R5802-19), and so that every number of
 * the server is bounded before it is used (R5802-12). OAUTHBEARER (RFC 7628 §3.1) and XOAUTH2 are lines of text.
 * Does not know: Base64 of POP3's lines, POP3.
 */
#include "sasl/client.h"

#include "base/base64.h"
#include "base/num.h"
#include "base/text.h"
#include "sasl/prep.h"

#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

enum flavour { FLAVOUR_GSASL, FLAVOUR_SCRAM, FLAVOUR_OAUTHBEARER, FLAVOUR_XOAUTH2 };

enum { NONCE = 18, HASH = EVP_MAX_MD_SIZE };

struct sasl_client {
    const struct sasl_client_conf *conf;
    Gsasl *lib;
    Gsasl_session *session;
    enum flavour flavour;
    char name[32];
    unsigned steps;
    const EVP_MD *md;         /* SCRAM's, as all that follows */
    struct buf password;      /* prepared */
    struct buf first, binding; /* client-first; gs2-header and binding data */
    size_t bare, nonce;       /* where client-first-bare and its "r=" begin in first */
    uint8_t signature[HASH];  /* what the server has to show */
    bool proven;
    bool refused, token_rejected; /* by an OAuth error challenge; a fresh token may help */
    char why[400];
};

static bool no(struct sasl_client *c, const char *why)
{
    snprintf(c->why, sizeof c->why, "%s", why);
    return false;
}

/* size: GNU SASL's signature */
static int on_property(Gsasl *lib, Gsasl_session *session, Gsasl_property property)
{
    (void)lib;
    (void)session;
    (void)property;
    return GSASL_NO_CALLBACK;
}

struct sasl_client *sasl_client_new(const struct sasl_client_conf *conf, struct err *e)
{
    struct sasl_client *c = mem_zero(1, sizeof *c);
    int rc = gsasl_init(&c->lib);

    if (rc != GSASL_OK) {
        err_set(e, FAULT_TEMP, "GNU SASL: %s", gsasl_strerror(rc));
        free(c);
        return NULL;
    }
    gsasl_callback_set(c->lib, on_property);
    c->conf = conf;
    c->first = c->binding = c->password = BUF(SASL_CLIENT_MESSAGE);
    return c;
}

/* GNU SASL frees its copy of the password without wiping it. */
static void end(struct sasl_client *c)
{
    char *copy = c->session ? (char *)gsasl_property_fast(c->session, GSASL_PASSWORD) : NULL;

    if (copy)
        explicit_bzero(copy, strlen(copy));
    if (c->session)
        gsasl_finish(c->session);
    c->session = NULL;
    buf_wipe(&c->password);
    buf_free(&c->first);
    buf_wipe(&c->binding);
    explicit_bzero(c->signature, sizeof c->signature);
}

void sasl_client_free(struct sasl_client **c)
{
    if (!*c)
        return;
    end(*c);
    gsasl_done((*c)->lib);
    free(*c);
    *c = NULL;
}

static bool put_property(struct sasl_client *c, Gsasl_property property, struct span value)
{
    char *text = mem_strn(value);
    bool ok = gsasl_property_set(c->session, property, text) == GSASL_OK;

    explicit_bzero(text, value.n);
    free(text);
    return ok;
}

static bool ends_in_plus(const char *name)
{
    return strlen(name) > 5 && strcmp(name + strlen(name) - 5, "-PLUS") == 0;
}

/* What divides the fields of OAuth's messages must not come in with them. */
static bool is_visible(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return true;
}

static bool is_visible_name(const char *s)
{
    for (; *s; s++)
        if ((uint8_t)*s < ' ' || *s == 0x7f)
            return false;
    return true;
}

/* GNU SASL knows more; what is said here of bounds, bindings and secrets holds for these. */
static bool known(const char *name)
{
    static const char *const names[] = { "PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL", "OAUTHBEARER", "XOAUTH2",
                                         "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static const char *authzid(const struct sasl_client_conf *conf)
{
    return conf->authzid ? conf->authzid : "";
}

static bool is_oauth(const struct sasl_client *c)
{
    return c->flavour == FLAVOUR_OAUTHBEARER || c->flavour == FLAVOUR_XOAUTH2;
}

static bool usable(struct sasl_client *c, const char *name)
{
    const struct sasl_client_conf *conf = c->conf;

    if (!known(name))
        return no(c, "unknown mechanism");
    if (strcmp(name, "EXTERNAL") == 0)
        return conf->has_certificate || no(c, "EXTERNAL needs a client certificate");
    if (is_oauth(c)) {
        if (!conf->tls)
            return no(c, "tokens are sent inside TLS only");
        if (conf->token.n == 0)
            return no(c, "there is no token: set token-command");
        return (is_visible(conf->token) && is_visible_name(conf->user) && is_visible_name(authzid(conf))) ||
               no(c, "the token or the user's name holds octets that no token may hold");
    }
    if (conf->password.n == 0)
        return no(c, "there is no password");
    if (memchr(conf->password.p, 0, conf->password.n))
        return no(c, "the password holds a NUL");
    if (ends_in_plus(name) && conf->binding_exporter.n == 0 && conf->binding_unique.n == 0)
        return no(c, "no channel binding on this connection");
    return true;
}

static bool begin_gsasl(struct sasl_client *c)
{
    const struct sasl_client_conf *conf = c->conf;
    int rc = gsasl_client_start(c->lib, c->name, &c->session);

    if (rc != GSASL_OK)
        return no(c, rc == GSASL_UNKNOWN_MECHANISM ? "unknown mechanism" : gsasl_strerror(rc));
    return put_property(c, GSASL_AUTHID, span_str(conf->user)) && put_property(c, GSASL_PASSWORD, conf->password) &&
           put_property(c, GSASL_SERVICE, span_str("pop")) &&
           put_property(c, GSASL_HOSTNAME, span_str(conf->host ? conf->host : "")) &&
           (!*authzid(conf) || put_property(c, GSASL_AUTHZID, span_str(conf->authzid)));
}

/* RFC 5801 §4: "," and "=" have other meanings there. */
static bool put_saslname(struct buf *out, struct span name)
{
    for (const uint8_t *p = name.p; p < name.p + name.n; p++)
        if (!(*p == ',' ? buf_put_str(out, "=2C") : *p == '=' ? buf_put_str(out, "=3D") : buf_put(out, p, 1)))
            return false;
    return true;
}

/* RFC 7628 §3.1: gs2 header with the identity to act for (the token says who we are), then pairs between 0x01; XOAUTH2
 * has neither header nor host, and its user is the mailbox. */
static bool oauth_message(struct sasl_client *c, struct buf *out)
{
    const struct sasl_client_conf *conf = c->conf;

    if (c->flavour == FLAVOUR_XOAUTH2)
        return buf_printf(out, "user=%s\001auth=Bearer ", conf->user) && buf_put_span(out, conf->token) &&
               buf_put(out, "\001\001", 2);
    return buf_put_str(out, "n,a=") && put_saslname(out, span_str(*authzid(conf) ? conf->authzid : conf->user)) &&
           buf_printf(out, ",\001host=%s\001port=%u\001auth=Bearer ", conf->host ? conf->host : "", (unsigned)conf->port) &&
           buf_put_span(out, conf->token) && buf_put(out, "\001\001", 2);
}

static bool step(struct sasl_client *c, struct span in, struct buf *out)
{
    char *made = NULL;
    size_t n = 0;
    int rc = gsasl_step(c->session, (const char *)in.p, in.n, &made, &n);
    bool ok = (rc == GSASL_OK || rc == GSASL_NEEDS_MORE) && buf_put(out, made ? made : "", n);

    if (made) {
        explicit_bzero(made, n);
        gsasl_free(made);
    }
    return ok || no(c, gsasl_strerror(rc));
}

/* "y" tells a server that does offer -PLUS that somebody hid it from us (R5802-19). Where -PLUS is offered and the user
 * wants the other, "y" would make the server fail us: "n". Before TLS 1.3 tls-unique is the type to use, from there on it
 * does not exist (R9266-01, -02). */
static bool scram_header(struct sasl_client *c, struct span *data)
{
    const struct sasl_client_conf *conf = c->conf;
    bool has = conf->binding_unique.n || conf->binding_exporter.n;
    const char *flag = has && !conf->server_offers_plus ? "y," : "n,";

    *data = span_of("", 0);
    if (ends_in_plus(c->name)) {
        *data = conf->binding_unique.n ? conf->binding_unique : conf->binding_exporter;
        flag = conf->binding_unique.n ? "p=tls-unique," : "p=tls-exporter,";
    }
    return buf_put_str(&c->first, flag) &&
           (!*authzid(conf) || (buf_put_str(&c->first, "a=") && put_saslname(&c->first, span_str(conf->authzid)))) &&
           buf_put_str(&c->first, ",");
}

static bool scram_begin(struct sasl_client *c, struct buf *out)
{
    uint8_t raw[NONCE], text[BASE64_ENCODED(NONCE)];
    struct buf user = BUF(SASL_CLIENT_MESSAGE);
    struct span data;
    bool ok;

    /* Before the first word is said: where SCRAM cannot carry the password, another mechanism may. */
    if (!sasl_prep(c->conf->password, PREP_STORED, &c->password))
        return no(c, "the password holds characters that SCRAM cannot carry");
    if (RAND_bytes(raw, NONCE) != 1)
        return no(c, "there is no randomness");
    base64_put(text, span_of(raw, NONCE));
    if (!sasl_prep(span_str(c->conf->user), PREP_QUERY, &user))
        return no(c, "the user's name holds characters that SCRAM cannot carry");
    ok = scram_header(c, &data) && buf_put_span(&c->binding, buf_span(&c->first)) && buf_put_span(&c->binding, data);
    c->bare = c->first.n;
    ok = ok && buf_put_str(&c->first, "n=") && put_saslname(&c->first, buf_span(&user)) && buf_put_str(&c->first, ",");
    c->nonce = c->first.n;
    ok = ok && buf_put_str(&c->first, "r=") && buf_put(&c->first, text, sizeof text) &&
         buf_put_span(out, buf_span(&c->first));
    buf_free(&user);
    return ok || no(c, "the user's name is too long");
}

/* Which hash, when it is SCRAM. */
static bool scram_hash(struct sasl_client *c)
{
    bool one = strcmp(c->name, "SCRAM-SHA-1") == 0 || strcmp(c->name, "SCRAM-SHA-1-PLUS") == 0;
    bool two = strcmp(c->name, "SCRAM-SHA-256") == 0 || strcmp(c->name, "SCRAM-SHA-256-PLUS") == 0;

    c->md = two ? EVP_sha256() : EVP_sha1();
    return one || two;
}

bool sasl_client_start(void *ctx, struct span name, struct buf *initial, bool *has_initial)
{
    struct sasl_client *c = ctx;

    end(c);
    c->steps = 0;
    c->proven = c->refused = c->token_rejected = false;
    c->why[0] = '\0';
    if (name.n >= sizeof c->name)
        return no(c, "unknown mechanism");
    for (size_t i = 0; i < name.n; i++)
        c->name[i] = (char)ascii_upper(name.p[i]);
    c->name[name.n] = '\0';
    c->flavour = strcmp(c->name, "OAUTHBEARER") == 0 ? FLAVOUR_OAUTHBEARER
                 : strcmp(c->name, "XOAUTH2") == 0   ? FLAVOUR_XOAUTH2
                 : scram_hash(c)                     ? FLAVOUR_SCRAM
                                                     : FLAVOUR_GSASL;
    if (!usable(c, c->name))
        return false;
    *has_initial = strcmp(c->name, "LOGIN") != 0 && strcmp(c->name, "CRAM-MD5") != 0;
    if (is_oauth(c))
        return oauth_message(c, initial) || no(c, "the token is too long");
    if (c->flavour == FLAVOUR_SCRAM)
        return scram_begin(c, initial);
    if (!begin_gsasl(c))
        return c->why[0] ? false : no(c, "GNU SASL refuses the account's names");
    return !*has_initial || step(c, span_of("", 0), initial);
}

/* The one iteration count: the server may not make us work for ever, nor spare a thief the work. */
static bool scram_count(struct sasl_client *c, struct span digits)
{
    uint32_t least = c->conf->min_iterations ? c->conf->min_iterations : SASL_CLIENT_MIN_ITERATIONS;
    uint64_t count;

    if (num_all_saturating(digits, &count) && count >= least && count <= SASL_CLIENT_MAX_ITERATIONS)
        return true;
    for (size_t i = 0; i < digits.n; i++)
        if (!ascii_digit(digits.p[i]))
            return no(c, "the server's iteration count is no number");
    snprintf(c->why, sizeof c->why, "iteration count %.*s is not within %u to %d", (int)(digits.n < 20 ? digits.n : 20),
             (const char *)digits.p, least, SASL_CLIENT_MAX_ITERATIONS);
    return false;
}

struct first_answer {
    struct span nonce; /* with its "r=" */
    uint8_t salt[BASE64_DECODED(BASE64_ENCODED(SASL_CLIENT_SALT))];
    size_t salt_n;
    int count;
};

/* r=nonce,s=salt,i=count in this order; what follows is an extension (R5802-08, -12). */
static bool scram_parse(struct sasl_client *c, struct span message, struct first_answer *a)
{
    struct span own = span_of(c->first.p + c->nonce, c->first.n - c->nonce), salt, count;
    uint64_t n;

    a->nonce = span_until(&message, ',');
    salt = span_until(&message, ',');
    count = span_until(&message, ',');
    if (a->nonce.n <= own.n || memcmp(a->nonce.p, own.p, own.n) != 0)
        return no(c, "the server's nonce does not continue ours: the answer is not to this login");
    if (salt.n < 2 || memcmp(salt.p, "s=", 2) != 0 || count.n < 2 || memcmp(count.p, "i=", 2) != 0)
        return no(c, "the server's message is malformed");
    if (salt.n - 2 > BASE64_ENCODED(SASL_CLIENT_SALT))
        return no(c, "the server's salt is too long");
    if (!base64_get(span_of(salt.p + 2, salt.n - 2), a->salt, &a->salt_n) || a->salt_n == 0)
        return no(c, "the server's salt is malformed");
    count = span_of(count.p + 2, count.n - 2);
    if (!scram_count(c, count) || !num_all_u64(count, &n))
        return false;
    a->count = (int)n;
    return true;
}

static bool hmac(const EVP_MD *md, const uint8_t *key, struct span text, uint8_t out[HASH])
{
    unsigned n;

    return HMAC(md, key, EVP_MD_get_size(md), text.p, text.n, out, &n) != NULL;
}

/* The proof of ours, and the signature that the server will have to show. */
static bool scram_keys(struct sasl_client *c, const struct first_answer *a, struct span signed_text, uint8_t proof[HASH])
{
    int size = EVP_MD_get_size(c->md);
    uint8_t salted[HASH], client[HASH], stored[HASH], server[HASH], mine[HASH];
    bool ok;

    ok = PKCS5_PBKDF2_HMAC((const char *)c->password.p, (int)c->password.n, a->salt, (int)a->salt_n, a->count, c->md, size, salted) == 1 &&
         hmac(c->md, salted, span_str("Client Key"), client) && hmac(c->md, salted, span_str("Server Key"), server) &&
         EVP_Digest(client, (size_t)size, stored, NULL, c->md, NULL) == 1 && hmac(c->md, stored, signed_text, mine) &&
         hmac(c->md, server, signed_text, c->signature);
    for (int i = 0; ok && i < size; i++)
        proof[i] = client[i] ^ mine[i];
    buf_wipe(&c->password);
    explicit_bzero(salted, sizeof salted);
    explicit_bzero(client, sizeof client);
    explicit_bzero(stored, sizeof stored);
    explicit_bzero(server, sizeof server);
    return ok;
}

static bool put_base64(struct buf *out, struct span in)
{
    uint8_t *dst = buf_reserve(out, BASE64_ENCODED(in.n));

    if (dst)
        out->n += base64_put(dst, in);
    return dst != NULL;
}

/* client-final: c=binding,r=nonce,p=proof */
static bool scram_answer(struct sasl_client *c, struct span challenge, struct buf *out)
{
    struct first_answer a = { .count = 0 };
    struct buf text = BUF(4 * SASL_CLIENT_MESSAGE), final = BUF(3 * SASL_CLIENT_MESSAGE);
    uint8_t proof[HASH];
    bool ok;

    if (!scram_parse(c, challenge, &a))
        return false;
    ok = buf_put_str(&final, "c=") && put_base64(&final, buf_span(&c->binding)) && buf_put_str(&final, ",") &&
         buf_put_span(&final, a.nonce) && buf_put(&text, c->first.p + c->bare, c->first.n - c->bare) &&
         buf_put_str(&text, ",") && buf_put_span(&text, challenge) && buf_put_str(&text, ",") &&
         buf_put_span(&text, buf_span(&final)) && scram_keys(c, &a, buf_span(&text), proof) &&
         buf_put_str(&final, ",p=") && put_base64(&final, span_of(proof, (size_t)EVP_MD_get_size(c->md))) &&
         buf_put_span(out, buf_span(&final));
    buf_free(&text);
    buf_free(&final);
    return ok || (!c->why[0] && no(c, "SCRAM cannot be computed"));
}

/* server-final: v=signature */
static bool scram_verify(struct sasl_client *c, struct span challenge)
{
    uint8_t shown[BASE64_DECODED(BASE64_ENCODED(HASH))];
    struct span field = span_until(&challenge, ',');
    size_t size = (size_t)EVP_MD_get_size(c->md), n = 0;

    c->proven = field.n > 2 && field.n <= 2 + BASE64_ENCODED(size) && memcmp(field.p, "v=", 2) == 0 &&
                base64_get(span_of(field.p + 2, field.n - 2), shown, &n) && n == size &&
                CRYPTO_memcmp(shown, c->signature, size) == 0;
    if (field.n > 2 && memcmp(field.p, "e=", 2) == 0) /* R5802-14: not a lie, a refusal */
        return no(c, "the server rejects the login (user or password)");
    return c->proven || no(c, "the server could not prove that it knows the password");
}

static bool scram_step(struct sasl_client *c, struct span challenge, struct buf *out)
{
    switch (c->first.n ? ++c->steps : 0) {
    case 1:
        if (scram_answer(c, challenge, out))
            return true;
        c->steps = 2; /* there is no signature that could be shown */
        return false;
    case 2:
        return scram_verify(c, challenge);
    default:
        c->proven = false;
        return no(c, "the server goes on after the end of the exchange");
    }
}

static bool says(struct span text, const char *word)
{
    return text.p && memmem(text.p, text.n, word, strlen(word)) != NULL;
}

/* The server refuses the token and says why in JSON; the answer ends the exchange (R7628-07, XOA2-03). A fresh token is
 * of use unless the reason is another one (RFC 6750 §3.1). */
static bool oauth_error(struct sasl_client *c, struct span challenge, struct buf *response)
{
    struct buf clean = BUF(sizeof c->why - 1);
    struct span json = span_of(challenge.p, challenge.n < SASL_CLIENT_MESSAGE ? challenge.n : SASL_CLIENT_MESSAGE);

    if (c->refused)
        return no(c, "the server goes on after it refused the token");
    c->refused = true;
    c->token_rejected = !json.n || !(says(json, "insufficient_scope") || says(json, "invalid_request"));
    text_put_clean(&clean, json, 120);
    if (clean.n)
        memcpy(c->why, clean.p, clean.n);
    c->why[clean.n] = '\0';
    buf_free(&clean);
    return c->flavour == FLAVOUR_XOAUTH2 || buf_put(response, "\001", 1);
}

bool sasl_client_step(void *ctx, struct span challenge, struct buf *response)
{
    struct sasl_client *c = ctx;

    if (is_oauth(c))
        return oauth_error(c, challenge, response);
    if (challenge.n > SASL_CLIENT_MESSAGE)
        return no(c, "the server's message is too long");
    if (c->flavour == FLAVOUR_SCRAM)
        return scram_step(c, challenge, response);
    if (!c->session)
        return no(c, "no exchange was begun");
    return step(c, challenge, response);
}

bool sasl_client_complete(void *ctx)
{
    struct sasl_client *c = ctx;

    if (is_oauth(c) && c->refused)
        return false;
    if (c->flavour == FLAVOUR_SCRAM && !c->proven)
        return no(c, "the server did not prove that it knows the password");
    end(c); /* copies of the secret are not kept any longer */
    return true;
}

const char *sasl_client_why(const struct sasl_client *c)
{
    return c->why;
}

bool sasl_client_token_rejected(const struct sasl_client *c)
{
    return c->token_rejected;
}
