/* auth_verify.c - are these credentials right? Passwords (PASS, PLAIN, LOGIN) and APOP.
 *
 * Whatever is wrong - no such user, disabled, wrong place, no TLS - the same work is done and the same answer
 * given: a hash worker computes a hash of the usual cost and its result is ignored (RFC 4422 §3.6, RFC 3206 §8).
 * Does not know: SASL messages, what happens after a success.
 */
#include "server/auth/auth_worker.h"

#include "auth/password.h"
#include "base/log.h"
#include "base/secret.h"
#include "sasl/prep.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { MD5_OCTETS = 16 };

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

static bool has_high(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= 0x80)
            return true;
    return false;
}

/* SASL names are UTF-8 always (RFC 5034 §4); those of USER and PASS where "UTF8 USER" is on (RFC 6856 §2.2). Else
 * octets above 0x7F are refused, or compared as they are where the administrator allows it. */
bool verify_prepare(const struct auth *w, bool sasl, struct span in, struct buf *out)
{
    if (sasl || w->conf->auth.utf8_user || !has_high(in))
        return sasl_prep(in, PREP_QUERY, out);
    return w->conf->auth.legacy_8bit && in.n && !has_control(in) && buf_put_span(out, in);
}

static bool in_nets(const char *nets, const struct net_addr *addr)
{
    struct span rest = span_str(nets);

    while (rest.n) {
        struct span net = span_until(&rest, ',');
        struct net_block block;
        char text[NET_ADDR_TEXT];

        snprintf(text, sizeof text, "%.*s", (int)(net.n < sizeof text ? net.n : 0), (const char *)net.p);
        if (net_block_parse(text, &block) && net_block_has(&block, addr))
            return true;
    }
    return false;
}

/* Why this account may not log in like this, whatever the credentials; NULL = it may. */
const char *verify_bar(const struct attempt *a, const struct users_entry *entry, bool plaintext)
{
    if (!entry)
        return a->name.n ? "unknown-user" : "bad-name";
    if (entry->flags & USERS_DISABLED)
        return "disabled";
    if ((entry->flags & USERS_REQUIRE_TLS) && !(a->flags & MSGF_TLS))
        return "needs-tls";
    if ((entry->flags & USERS_APOP) && !a->apop)
        return "apop-only";
    if (!(entry->flags & USERS_APOP) && a->apop)
        return "no-apop";
    if (entry->allow_nets && !in_nets(entry->allow_nets, &a->addr))
        return "address-not-allowed";
    if (plaintext && !(a->flags & (MSGF_TLS | MSGF_TRUSTED)))
        return "plaintext";
    return NULL;
}

/* The password in the form that the account's hash was made of replaces the one given. */
static bool prepare_secret(struct attempt *a, const struct users_entry *entry)
{
    struct buf prepared = BUF(8192);
    bool ok;

    if (entry && (entry->flags & USERS_RAW_PASSWORD))
        return !has_control(buf_span(&a->secret));
    ok = verify_prepare(a->auth, a->sasl_in_use, buf_span(&a->secret), &prepared);
    if (ok) {
        buf_wipe(&a->secret);
        ok = buf_put_span(&a->secret, buf_span(&prepared));
    }
    buf_wipe(&prepared);
    return ok;
}

/* What a password is checked against: the password field, or the SCRAM keys of an account without one. */
static bool put_stored(const struct users_entry *entry, struct buf *out)
{
    if (entry->password)
        return buf_put_str(out, entry->password);
    if (entry->scram[SCRAM_SHA_256])
        return buf_put_str(out, "{SCRAM-SHA-256}") && buf_put_str(out, entry->scram[SCRAM_SHA_256]);
    return entry->scram[SCRAM_SHA_1] && buf_put_str(out, "{SCRAM-SHA-1}") &&
           buf_put_str(out, entry->scram[SCRAM_SHA_1]);
}

static bool put_decoy(const struct auth *w, struct buf *out)
{
    const struct users_summary *s = users_summary(users_file_table(w->users));
    const struct users_entry *typical = s->typical;

    for (size_t i = 0; i < SCRAM_HASHES && !typical; i++)
        typical = s->typical_scram[i];
    return typical && put_stored(typical, out);
}

/* Hashed a short while ago with the same record: the same answer without a hash worker. Only for right ones; so nothing
 * but the right password is quicker than others. */
static bool is_cached(const struct attempt *a, const struct users_entry *entry, struct span stored)
{
    struct auth *w = a->auth;
    struct verified_try try = { span_str(entry->name), stored, buf_span(&a->secret) };
    uint64_t life_ms = (uint64_t)w->conf->auth.cache_s * 1000;

    return life_ms && verified_has(w->verified, &try, uv_now(w->loop), life_ms);
}

static void remember(const struct attempt *a)
{
    struct verified_try try = { span_str(a->user), buf_span(&a->stored), buf_span(&a->secret) };

    if (a->auth->conf->auth.cache_s)
        verified_put(a->auth->verified, &try, uv_now(a->auth->loop));
}

void verify_password(struct attempt *a)
{
    struct auth *w = a->auth;
    const struct users_entry *entry = a->name.n ? site_find(w, buf_span(&a->name)) : NULL;
    struct buf stored = BUF(8192);
    bool prepared = prepare_secret(a, entry);

    a->reason = verify_bar(a, entry, true);
    if (!a->reason && !prepared)
        a->reason = "bad-password-text";
    if (!a->reason && entry->broken_password) {
        attempt_fail(a, RC_SYS_TEMP, "password-scheme");
        return;
    }
    if (!a->reason && !put_stored(entry, &stored))
        a->reason = "no-password";
    a->decoy = a->reason != NULL;
    if (entry && !a->user)
        a->user = mem_str(entry->name);
    if (a->decoy && !put_decoy(w, &stored))
        attempt_fail(a, RC_AUTH, a->reason);
    else if (!a->decoy && is_cached(a, entry, buf_span(&stored)))
        finish_verified(a, entry);
    else if (!hash_ask(a, buf_span(&stored)))
        attempt_fail(a, RC_SYS_TEMP, "hash-queue-full");
    buf_wipe(&stored);
}

void verify_hashed(struct attempt *a, bool right, bool broken)
{
    if (a->decoy) {
        attempt_fail(a, RC_AUTH, a->reason);
    } else if (broken) {
        attempt_fail(a, RC_SYS_TEMP, "password-scheme");
    } else if (!right) {
        attempt_fail(a, RC_AUTH, "wrong-password");
    } else {
        remember(a);
        finish_verified(a, site_find(a->auth, span_str(a->user)));
    }
}

/* RFC 1939 §7 with RFC 6856 §2.2: MD5 over the timestamp and the secret as a stored string. */
static bool apop_digest(struct span timestamp, struct span secret, uint8_t digest[MD5_OCTETS])
{
    struct buf text = BUF(16384), prepared = BUF(8192);
    unsigned n = 0;
    bool ok = sasl_prep(secret, PREP_STORED, &prepared) && buf_put_span(&text, timestamp) &&
              buf_put_span(&text, buf_span(&prepared)) &&
              EVP_Digest(text.p, text.n, digest, &n, EVP_md5(), NULL) == 1 && n == MD5_OCTETS;

    buf_wipe(&text);
    buf_wipe(&prepared);
    return ok;
}

void verify_apop(struct attempt *a)
{
    const struct users_entry *entry = a->name.n ? site_find(a->auth, buf_span(&a->name)) : NULL;
    const char *bar = verify_bar(a, entry, false);
    struct span secret = span_str("not a password");
    uint8_t digest[EVP_MAX_MD_SIZE];
    bool right;

    if (!bar && (!entry->password || password_scheme_of(span_str(entry->password), &secret) != PASSWORD_PLAIN))
        bar = "no-apop";
    right = apop_digest(buf_span(&a->timestamp), secret, digest) &&
            secret_eq(span_of(digest, MD5_OCTETS), buf_span(&a->secret));
    explicit_bzero(digest, sizeof digest);
    if (bar || !right) {
        attempt_fail(a, RC_AUTH, bar ? bar : "wrong-digest");
        return;
    }
    a->user = mem_str(entry->name);
    finish_verified(a, entry);
}
