/* client.c - the client's mechanisms: see client.h.
 *
 * GNU SASL makes the messages; what it does not bound is bounded here before it sees it (iteration count, salt, length of
 * SCRAM's first answer, R5802-12). OAUTHBEARER (RFC 7628 §3.1) and XOAUTH2 are lines of text and made here.
 * Does not know: Base64, POP3.
 */
#include "sasl/client.h"

#include "base/base64.h"
#include "base/num.h"
#include "base/text.h"

#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>

enum flavour { FLAVOUR_GSASL, FLAVOUR_OAUTHBEARER, FLAVOUR_XOAUTH2 };

struct sasl_client {
    const struct sasl_client_conf *conf;
    Gsasl *lib;
    Gsasl_session *session;
    enum flavour flavour;
    char name[32];
    unsigned steps;
    char nonce[128]; /* SCRAM: the one that we sent */
    bool scram, proven;
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

static bool put_binding(struct sasl_client *c, Gsasl_property property, struct span data)
{
    uint8_t text[BASE64_ENCODED(64) + 1];

    if (data.n == 0 || data.n > 64)
        return true;
    text[base64_put(text, data)] = '\0';
    return gsasl_property_set(c->session, property, (const char *)text) == GSASL_OK;
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

static bool usable(struct sasl_client *c, const char *name)
{
    const struct sasl_client_conf *conf = c->conf;

    if (!known(name))
        return no(c, "unknown mechanism");
    if (strcmp(name, "EXTERNAL") == 0)
        return conf->has_certificate || no(c, "EXTERNAL needs a client certificate");
    if (c->flavour != FLAVOUR_GSASL) {
        if (!conf->tls)
            return no(c, "tokens are sent inside TLS only");
        if (conf->token.n == 0)
            return no(c, "there is no token: set token-command");
        return (is_visible(conf->token) && is_visible_name(conf->user)) ||
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

/* With binding data and a mechanism without -PLUS, GNU SASL says "y": a server that does offer -PLUS then notices that
 * somebody hid it from us (R5802-19). Where -PLUS is offered and not used, "y" would make a server fail us: no data, "n".
 * Before TLS 1.3 tls-unique is the type to use, from there on it does not exist (R9266-01, -02). */
static bool put_bindings(struct sasl_client *c, bool plus)
{
    const struct sasl_client_conf *conf = c->conf;

    if (!plus && conf->server_offers_plus)
        return true;
    return conf->binding_unique.n ? put_binding(c, GSASL_CB_TLS_UNIQUE, conf->binding_unique)
                                  : put_binding(c, GSASL_CB_TLS_EXPORTER, conf->binding_exporter);
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
           (!conf->authzid || !*conf->authzid || put_property(c, GSASL_AUTHZID, span_str(conf->authzid))) &&
           put_bindings(c, ends_in_plus(c->name));
}

/* RFC 7628 §3.1: gs2 header, then pairs between 0x01; XOAUTH2 has neither header nor host. */
static bool oauth_message(struct sasl_client *c, struct buf *out)
{
    const struct sasl_client_conf *conf = c->conf;

    if (c->flavour == FLAVOUR_XOAUTH2)
        return buf_printf(out, "user=%s\001auth=Bearer ", conf->user) && buf_put_span(out, conf->token) &&
               buf_put(out, "\001\001", 2);
    if (!buf_put_str(out, "n,a="))
        return false;
    for (const char *p = conf->user; *p; p++)
        if (!(*p == ',' ? buf_put_str(out, "=2C") : *p == '=' ? buf_put_str(out, "=3D") : buf_put(out, p, 1)))
            return false;
    return buf_printf(out, ",\001host=%s\001port=%u\001auth=Bearer ", conf->host ? conf->host : "", (unsigned)conf->port) &&
           buf_put_span(out, conf->token) && buf_put(out, "\001\001", 2);
}

/* gs2-header "n,,", then n=user,r=nonce; a comma inside a name is "=2C". */
static void keep_nonce(struct sasl_client *c, struct span first)
{
    while (first.n) {
        struct span field = span_until(&first, ',');

        if (field.n > 2 && field.n < sizeof c->nonce && memcmp(field.p, "r=", 2) == 0) {
            memcpy(c->nonce, field.p, field.n);
            c->nonce[field.n] = '\0';
        }
    }
}

static bool step(struct sasl_client *c, struct span in, struct buf *out)
{
    char *made = NULL;
    size_t n = 0;
    int rc = gsasl_step(c->session, (const char *)in.p, in.n, &made, &n);
    bool fine = rc == GSASL_OK || rc == GSASL_NEEDS_MORE, ok = fine && buf_put(out, made ? made : "", n);

    if (rc == GSASL_OK && ok)
        c->proven = true; /* SCRAM ends with the server's signature, which GNU SASL has checked */
    if (c->scram && c->steps == 0 && ok)
        keep_nonce(c, span_of(made ? made : "", n));
    if (made) {
        explicit_bzero(made, n);
        gsasl_free(made);
    }
    c->steps++;
    return ok || no(c, fine                               ? "the message is too long"
                       : rc == GSASL_AUTHENTICATION_ERROR ? "the server could not prove that it knows the password"
                                                          : gsasl_strerror(rc));
}

bool sasl_client_start(void *ctx, struct span name, struct buf *initial, bool *has_initial)
{
    struct sasl_client *c = ctx;

    end(c);
    c->steps = 0;
    c->proven = c->refused = c->token_rejected = false;
    c->why[0] = c->nonce[0] = '\0';
    if (name.n >= sizeof c->name)
        return no(c, "unknown mechanism");
    for (size_t i = 0; i < name.n; i++)
        c->name[i] = (char)ascii_upper(name.p[i]);
    c->name[name.n] = '\0';
    c->flavour = strcmp(c->name, "OAUTHBEARER") == 0 ? FLAVOUR_OAUTHBEARER
                 : strcmp(c->name, "XOAUTH2") == 0   ? FLAVOUR_XOAUTH2
                                                     : FLAVOUR_GSASL;
    c->scram = strncmp(c->name, "SCRAM-", 6) == 0;
    if (!usable(c, c->name))
        return false;
    *has_initial = strcmp(c->name, "LOGIN") != 0 && strcmp(c->name, "CRAM-MD5") != 0;
    if (c->flavour != FLAVOUR_GSASL)
        return oauth_message(c, initial) || no(c, "the token is too long");
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

/* r=nonce,s=salt,i=count, before any work is done on it (R5802-08, -12). */
static bool scram_first(struct sasl_client *c, struct span challenge)
{
    size_t own = strlen(c->nonce);

    if (own == 0 || challenge.n <= own || memcmp(challenge.p, c->nonce, own) != 0 || challenge.p[own] == ',')
        return no(c, "the server's nonce does not continue ours: the answer is not to this login");
    while (challenge.n) {
        struct span field = span_until(&challenge, ',');

        if (field.n < 2 || field.p[1] != '=')
            continue;
        if (field.p[0] == 's' && field.n - 2 > BASE64_ENCODED(SASL_CLIENT_SALT))
            return no(c, "the server's salt is too long");
        if (field.p[0] == 'i' && !scram_count(c, span_of(field.p + 2, field.n - 2)))
            return false;
    }
    return true;
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

    if (c->flavour != FLAVOUR_GSASL)
        return oauth_error(c, challenge, response);
    if (!c->session)
        return no(c, "no exchange was begun");
    if (challenge.n > SASL_CLIENT_MESSAGE)
        return no(c, "the server's message is too long");
    if (c->scram && c->steps == 1 && !scram_first(c, challenge))
        return false;
    return step(c, challenge, response);
}

bool sasl_client_complete(void *ctx)
{
    struct sasl_client *c = ctx;

    if (c->flavour != FLAVOUR_GSASL)
        return !c->refused;
    return !c->scram || c->proven || no(c, "the server did not prove that it knows the password");
}

const char *sasl_client_why(const struct sasl_client *c)
{
    return c->why;
}

bool sasl_client_token_rejected(const struct sasl_client *c)
{
    return c->token_rejected;
}
