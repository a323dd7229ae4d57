/* auth_sasl.c - carries a SASL exchange: steps of the machine (sasl.h), keys for SCRAM, names for EXTERNAL.
 *
 * Does not know: how passwords are hashed, what happens after a success.
 */
#include "server/auth/auth_worker.h"

#include "base/log.h"
#include "sasl/prep.h"

static void step(struct attempt *a, enum sasl_next next);

static void send_challenge(struct attempt *a, bool last)
{
    struct msg m;

    a->stage = AT_SASL;
    msg_init(&m, MSG_CHALLENGE, a->sid);
    m.flags = last ? MSGF_LAST_STEP : 0;
    m.data = buf_span(&a->sasl.challenge);
    if (!channel_send(a->auth->front[a->sid >> 48], &m))
        attempt_drop(a);
}

/* Keys that belong to nobody, looking like those that most accounts have. */
static bool fake_keys(struct attempt *a, enum scram_hash hash, struct scram_keys *keys)
{
    struct auth *w = a->auth;
    const struct users_entry *typical = users_summary(users_file_table(w->users))->typical_scram[hash];
    struct span name = buf_span(a->name.n ? &a->name : &a->given);

    if (!typical || !users_scram(typical, hash, keys)) {
        keys->iterations = w->conf->auth.scram_iterations;
        keys->salt_n = 16;
    }
    return scram_keys_fake(span_of(w->fake_secret, sizeof w->fake_secret), name, keys);
}

/* Keys of a password that is kept in clear: a stable salt, the work factor that unknown users show too. */
static bool clear_keys(struct attempt *a, const struct users_entry *entry, enum scram_hash hash,
                       struct scram_keys *keys)
{
    struct buf prepared = BUF(4096);
    struct span password;
    bool ok = users_clear(entry, &password) && fake_keys(a, hash, keys);

    if (ok && sasl_prep(password, PREP_STORED, &prepared))
        password = buf_span(&prepared);
    ok = ok && scram_keys_derive(hash, password, keys);
    buf_wipe(&prepared);
    return ok;
}

static void give_keys(struct attempt *a)
{
    const struct users_entry *entry = a->name.n ? site_find(a->auth, buf_span(&a->name)) : NULL;
    struct scram_keys keys = { 0 };
    uint8_t nonce[SCRAM_NONCE];
    enum scram_hash hash;
    bool plus, ok = true;

    sasl_is_scram(a->sasl.mech, &hash, &plus);
    a->reason = verify_bar(a, entry, false);
    if (!entry ||
        (!users_scram(entry, hash, &keys) &&
         !clear_keys(a, entry, hash, &keys))) { /* a barred account shows its own salt, and fails later */
        if (!a->reason)
            a->reason = "no-scram-keys";
        ok = fake_keys(a, hash, &keys);
    }
    a->decoy = a->reason != NULL;
    if (entry)
        a->user = mem_str(entry->name);
    scram_nonce(nonce);
    if (ok)
        step(a, sasl_keys(&a->sasl, &keys, span_of(nonce, sizeof nonce)));
    else
        attempt_fail(a, RC_SYS_TEMP, "crypto");
    explicit_bzero(&keys, sizeof keys);
}

/* The next identity of the certificate: "email:x" gives x with its domain in lower case, "sha256:…" itself. */
static bool next_identity(struct span *list, struct buf *identity, bool *is_email)
{
    while (list->n) {
        struct span item = span_until(list, '\0');
        bool domain = false;

        *is_email = item.n > 6 && memcmp(item.p, "email:", 6) == 0;
        if (*is_email)
            span_take(&item, 6);
        else if (item.n <= 7 || memcmp(item.p, "sha256:", 7) != 0)
            continue;
        identity->n = 0;
        for (size_t i = 0; i < item.n; i++) {
            uint8_t c = domain ? ascii_lower(item.p[i]) : item.p[i];

            domain = domain || (*is_email && c == '@');
            if (!buf_put(identity, &c, 1))
                return false;
        }
        if (identity->n)
            return true;
    }
    return false;
}

/* The account that an identity stands for: one that names it, else the one of that name which names none. */
static const struct users_entry *mapped(const struct auth *w, const struct buf *identity, bool is_email)
{
    const struct users_entry *entry = users_by_cert(users_file_table(w->users), buf_span(identity));
    struct buf name = BUF(1024);

    if (entry || !is_email)
        return entry;
    if (verify_prepare(w, true, buf_span(identity), &name))
        entry = site_find(w, buf_span(&name));
    buf_free(&name);
    return entry && !entry->cert ? entry : NULL;
}

/* The one account of the certificate; with an authorization identity that is among them, that one. */
static const struct users_entry *of_certificate(const struct attempt *a, const struct users_entry *wanted,
                                                const char **why)
{
    struct span list = buf_span(&a->certificate);
    const struct users_entry *only = NULL;
    struct buf identity = BUF(4096);
    bool is_email, several = false;

    while (next_identity(&list, &identity, &is_email)) {
        const struct users_entry *entry = mapped(a->auth, &identity, is_email);

        if (entry && entry == wanted)
            only = entry, several = false, list.n = 0;
        else if (entry && only && entry != only)
            several = true;
        else if (entry)
            only = entry;
    }
    buf_free(&identity);
    *why = several ? "certificate-of-several" : a->certificate.n ? "certificate-unmapped" : "no-certificate";
    return several ? NULL : only;
}

static void external(struct attempt *a)
{
    struct auth *w = a->auth;
    const struct users_entry *wanted = NULL, *entry;
    struct buf name = BUF(1024);
    const char *why = NULL, *bar;

    a->given.n = 0;
    if (!buf_put_span(&a->given, buf_span(&a->sasl.authzid))) {
        attempt_fail(a, RC_NONE, "malformed");
        return;
    }
    if (a->sasl.authzid.n && verify_prepare(w, true, buf_span(&a->sasl.authzid), &name))
        wanted = site_find(w, buf_span(&name));
    buf_free(&name);
    entry = of_certificate(a, wanted, &why);
    if (entry && !buf_put_str(&a->name, entry->name))
        entry = NULL;
    if (entry && !a->given.n && !buf_put_str(&a->given, entry->name))
        entry = NULL;
    bar = entry ? verify_bar(a, entry, false) : why;
    if (bar) {
        attempt_fail(a, RC_AUTH, bar);
        return;
    }
    a->user = mem_str(entry->name);
    finish_verified(a, entry);
}

/* The user has named itself: SCRAM in its first message, PLAIN and LOGIN with the password. */
static bool take_user(struct attempt *a)
{
    a->given.n = a->name.n = 0;
    if (!buf_put_span(&a->given, buf_span(&a->sasl.user)))
        return false;
    if (!verify_prepare(a->auth, true, buf_span(&a->given), &a->name))
        a->name.n = 0;
    return true;
}

static void step(struct attempt *a, enum sasl_next next)
{
    switch (next) {
    case SASL_SEND: send_challenge(a, false); return;
    case SASL_SEND_LAST:
        if (a->decoy)
            attempt_fail(a, RC_AUTH, a->reason);
        else
            send_challenge(a, true);
        return;
    case SASL_CHECK:
        if (take_user(a) && buf_put_span(&a->secret, buf_span(&a->sasl.secret)))
            attempt_after(a, verify_password);
        else
            attempt_fail(a, RC_NONE, "malformed");
        return;
    case SASL_KEYS:
        if (take_user(a))
            attempt_after(a, give_keys);
        else
            attempt_fail(a, RC_NONE, "malformed");
        return;
    case SASL_IDENTITY: external(a); return;
    case SASL_VERIFIED: finish_verified(a, site_find(a->auth, span_str(a->user))); return;
    case SASL_REFUSED: attempt_fail(a, RC_AUTH, a->reason ? a->reason : "wrong-password"); return;
    default: attempt_fail(a, RC_NONE, "malformed");
    }
}

void sasl_start(struct attempt *a, struct span data)
{
    struct scram_link link = { false, false, buf_span(&a->unique), buf_span(&a->exporter) };
    uint32_t plus = MECH_BIT(MECH_SCRAM_SHA_256_PLUS) | MECH_BIT(MECH_SCRAM_SHA_1_PLUS);

    link.plus_offered = (a->unique.n || a->exporter.n) && (a->auth->mechs & plus);
    sasl_init(&a->sasl, a->sasl.mech, &link);
    a->sasl_in_use = true;
    step(a, sasl_begin(&a->sasl, (a->flags & MSGF_HAS_DATA) != 0, data));
}

void sasl_continue(struct attempt *a, struct span data)
{
    a->began_ms = uv_now(a->auth->loop); /* the client's thinking is no delay that it has served */
    step(a, sasl_more(&a->sasl, data));
}
