/* sim.c - the embedder of the pure tests: see sim.h. */
#include "sim.h"

#include "base/base64.h"
#include "base/num.h"
#include "pop3/wiresize.h"
#include "sasl/prep.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum { OUT_CAP = 64 << 20, ROOM = 65536 };

/* Test code has no other way to fail from here. */
static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "sim: %s\n", what);
    abort();
}

size_t sim_random(struct sim *s, size_t limit)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(s->random >> 33) % limit;
}

void sim_surrogate(struct buf *out, struct span message)
{
    for (size_t i = 0; i < message.n; i++)
        must(message.p[i] < 0x80 ? buf_put(out, message.p + i, 1) : buf_printf(out, "=%02X", message.p[i]), "room");
}

static uint64_t size_of(struct span message)
{
    struct wiresize w;

    wiresize_init(&w);
    wiresize_feed(&w, message);
    wiresize_end(&w);
    return w.octets;
}

static void measure(struct span message, struct drop_msg *msg)
{
    struct buf legacy = BUF(OUT_CAP);
    struct wiresize w;

    wiresize_init(&w);
    wiresize_feed(&w, message);
    wiresize_end(&w);
    *msg = (struct drop_msg){ .octets = w.octets, .legacy_octets = w.octets };
    if (w.header_8bit) {
        sim_surrogate(&legacy, message);
        msg->flags = DROP_MSG_NEEDS_UTF8;
        msg->legacy_octets = size_of(buf_span(&legacy));
        buf_free(&legacy);
    }
    if (!w.repaired && !w.dotted)
        msg->flags |= DROP_MSG_WIRE_READY;
}

/* The uid lies in one place for all messages, so that who keeps it too long reads another one. */
static bool get(void *ctx, uint32_t i, struct drop_msg *msg)
{
    static char uid[32];
    struct sim *s = ctx;

    must(i < s->nmailbox, "message out of range");
    if (s->fault.kind == SIM_LISTING && s->fault.n == i + 1)
        return false;
    *msg = s->msgs[i];
    snprintf(uid, sizeof uid, "%u.sim", 1000 + i);
    msg->uid = span_str(uid);
    return true;
}

static void open_view(struct sim *s)
{
    size_t n = (s->nmailbox + 7) / 8;

    must(!s->view.deleted, "two logins");
    s->view = (struct drop_view){ .count = s->nmailbox, .get = get, .ctx = s };
    s->view.deleted = mem_zero(n, 1);
    s->view.retrieved = mem_zero(n, 1);
    s->msgs = mem_zero(s->nmailbox, sizeof *s->msgs);
    for (uint32_t i = 0; i < s->nmailbox; i++) {
        measure(s->mailbox[i], &s->msgs[i]);
        s->view.octets += s->msgs[i].octets;
        s->view.legacy_octets += s->msgs[i].legacy_octets;
    }
}

static const struct sim_user *find(const struct sim *s, struct span name)
{
    struct buf prepared = BUF(4096);
    const struct sim_user *found = NULL;

    if (sasl_prep(name, PREP_QUERY, &prepared))
        for (const struct sim_user *u = s->users; u->name; u++)
            if (span_is(buf_span(&prepared), u->name))
                found = u; /* the last one: a transcript's own record wins */
    buf_free(&prepared);
    return found;
}

/* The password is right or has been shown: policies, then the maildrop. */
static void admit(struct sim *s, const struct sim_user *u)
{
    struct engine_policy policy = { s->default_expire, s->default_delay, false };

    if (!u || u->flags & SIM_DISABLED || (u->flags & SIM_REQUIRE_TLS && !s->link.tls)) {
        engine_refused(&s->engine, RC_AUTH, false);
        return;
    }
    if (u->refused != RC_NONE) {
        engine_refused(&s->engine, u->refused, false);
        return;
    }
    if (u->has_expire)
        policy.expire_days = u->expire_days;
    if (u->has_login_delay)
        policy.login_delay_s = u->login_delay_s;
    policy.read_only = u->flags & SIM_READ_ONLY;
    open_view(s);
    engine_logged_in(&s->engine, &s->view, &policy);
}

static bool is_master(const struct sim *s, const struct sim_user *u)
{
    struct span names = span_str(s->masters ? s->masters : "");

    while (names.n)
        if (span_is(span_until(&names, ' '), u->name))
            return true;
    return false;
}

/* u has shown who it is and acts as authzid, unless that is empty. */
static void admit_as(struct sim *s, const struct sim_user *u, struct span authzid)
{
    const struct sim_user *target = authzid.n ? find(s, authzid) : u;

    admit(s, u && (target == u || (is_master(s, u) && !(u->flags & SIM_DISABLED))) ? target : NULL);
}

static void check_password(struct sim *s, struct span name, struct span authzid, struct span secret)
{
    const struct sim_user *u = find(s, name);
    struct buf prepared = BUF(65536);
    bool good = u && sasl_prep(secret, PREP_QUERY, &prepared) && span_eq(buf_span(&prepared), u->password);

    buf_free(&prepared);
    admit_as(s, good ? u : NULL, authzid);
}

static void check_apop(struct sim *s, const struct request *r)
{
    const struct sim_user *u = find(s, r->name);
    uint8_t digest[16];
    unsigned n = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    must(md && EVP_DigestInit_ex(md, EVP_md5(), NULL) && EVP_DigestUpdate(md, s->apop, strlen(s->apop)), "MD5");
    if (u)
        must(EVP_DigestUpdate(md, u->password.p, u->password.n), "MD5");
    must(EVP_DigestFinal_ex(md, digest, &n), "MD5");
    EVP_MD_CTX_free(md);
    admit(s, span_eq(r->secret, span_of(digest, n)) ? u : NULL);
}

static void end_sasl(struct sim *s)
{
    if (s->in_sasl)
        sasl_wipe(&s->sasl);
    s->in_sasl = false;
}

/* Salts and nonces are those of the examples in RFC 5802 §5 and RFC 7677 §3. */
static enum sasl_next keys_of(struct sim *s)
{
    const struct sim_user *u = find(s, buf_span(&s->sasl.user));
    struct scram_keys keys = { .iterations = 4096 };
    bool sha256 = s->sasl.scram.hash == SCRAM_SHA_256;
    struct span nonce = span_str(sha256 ? "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" : "3rfcNHYJY1ZVvWVs7j");

    must(base64_get(span_str(sha256 ? "W22ZaJ0SNY7soEsUEjb6gQ==" : "QSXCR+Q6sek8bf92"), keys.salt, &keys.salt_n),
         "salt");
    must(scram_keys_derive(s->sasl.scram.hash, u ? u->password : span_str("\x01"), &keys), "keys");
    return sasl_keys(&s->sasl, &keys, nonce);
}

static void on_sasl(struct sim *s, const struct request *r)
{
    struct scram_link link = { .plus_offered = s->link.binding };
    enum sasl_next next;

    must((r->kind == REQ_SASL) != s->in_sasl, "an exchange inside an exchange");
    if (!s->in_sasl)
        sasl_init(&s->sasl, r->mech, &link);
    next = s->in_sasl ? sasl_more(&s->sasl, r->data) : sasl_begin(&s->sasl, r->has_data, r->data);
    s->in_sasl = true;
    if (next == SASL_KEYS)
        next = keys_of(s);
    switch (next) {
    case SASL_SEND:
    case SASL_SEND_LAST: engine_challenge(&s->engine, buf_span(&s->sasl.challenge)); return;
    case SASL_CHECK:
        check_password(s, buf_span(&s->sasl.user), buf_span(&s->sasl.authzid), buf_span(&s->sasl.secret));
        break;
    case SASL_VERIFIED:
        admit_as(s, find(s, buf_span(&s->sasl.user)), buf_span(&s->sasl.authzid));
        break;
    case SASL_MALFORMED: engine_refused(&s->engine, RC_NONE, false); break;
    default: engine_refused(&s->engine, RC_AUTH, false); break;
    }
    end_sasl(s);
}

static void open_message(struct sim *s, uint32_t i)
{
    struct drop_msg msg;

    if (s->fault.kind == SIM_OPEN && s->fault.n == i + 1) {
        engine_message_failed(&s->engine, s->fault.fault);
        return;
    }
    must(get(s, i, &msg), "listing");
    buf_free(&s->surrogate);
    s->body = s->mailbox[i];
    if (s->conf.legacy_utf8 == LEGACY_SURROGATE && !engine_utf8(&s->engine) && msg.flags & DROP_MSG_NEEDS_UTF8) {
        sim_surrogate(&s->surrogate, s->body);
        s->body = buf_span(&s->surrogate);
    }
    if (s->fault.kind == SIM_SHORT && s->fault.n == i + 1)
        s->body.n -= s->body.n < 5 ? s->body.n : 5;
    if (s->fault.kind == SIM_LONG && s->fault.n == i + 1 && msg.octets >= 5)
        msg.octets -= 5, msg.legacy_octets -= 5;
    engine_message_open(&s->engine, &msg);
}

static void commit(struct sim *s)
{
    uint32_t done = 0, failed = 0;
    bool faulty = s->fault.kind == SIM_COMMIT;

    s->committed = true;
    for (uint32_t i = 0; i < s->nmailbox; i++) {
        if (!(s->view.deleted[i / 8] >> (i % 8) & 1))
            continue;
        if (faulty && done >= s->fault.n) {
            failed++;
            continue;
        }
        s->removed[i] = 1;
        done++;
    }
    engine_committed(&s->engine, failed ? s->fault.fault : FAULT_NONE, done, failed);
}

static void on_request(struct sim *s)
{
    struct request r = *engine_request(&s->engine);

    switch (r.kind) {
    case REQ_PASS: check_password(s, r.name, span_of(NULL, 0), r.secret); break;
    case REQ_APOP: check_apop(s, &r); break;
    case REQ_SASL:
    case REQ_SASL_MORE: on_sasl(s, &r); break;
    case REQ_STLS:
        s->tls_wanted = true;
        s->in.n = s->used = 0; /* nothing of the plaintext runs inside TLS */
        break;
    case REQ_MESSAGE: open_message(s, r.msg); break;
    case REQ_COMMIT: commit(s); break;
    case REQ_NONE: must(false, "no request");
    }
}

static size_t some(struct sim *s, size_t most, size_t least, size_t all)
{
    return most == 0 ? all : least + sim_random(s, most);
}

/* Octets of a message that needs no filter, past engine_pull: now and then, since both ways must come to the same. */
static bool straight(struct sim *s, struct span body, uint8_t *dst, size_t room)
{
    size_t most = engine_straight(&s->engine), n = body.n < room ? body.n : room;

    if (most == 0 || n == 0 || sim_random(s, 2) == 0)
        return false;
    n = n < most ? n : most;
    memcpy(dst, body.p, n);
    engine_straight_put(&s->engine, span_of(dst, n));
    s->out.n += n;
    span_take(&s->body, n);
    return true;
}

static void pull(struct sim *s, unsigned want)
{
    struct span body = { NULL, 0 };
    size_t room = some(s, s->style.room, 64, ROOM), before = 0, n;
    uint8_t *dst = buf_reserve(&s->out, room);

    must(dst != NULL, "too much output");
    if (want & WANT_BODY) {
        if (s->body.n == 0) {
            engine_body_end(&s->engine);
            return;
        }
        body = s->body;
        before = some(s, s->style.body, 1, body.n);
        before = body.n = before < body.n ? before : body.n;
        if (straight(s, body, dst, room))
            return;
    }
    n = engine_pull(&s->engine, &body, dst, room);
    must(n <= room && body.n <= before, "pull");
    must(n || before != body.n || engine_want(&s->engine) != want, "no progress");
    s->out.n += n;
    span_take(&s->body, before - body.n);
}

static void feed(struct sim *s)
{
    struct span in = { s->in.p + s->used, s->in.n - s->used };
    size_t took = in.n ? engine_feed(&s->engine, in) : 0;

    must(took <= in.n, "feed");
    s->used += took;
    if (engine_sasl_aborted(&s->engine))
        end_sasl(s);
}

static void go(struct sim *s)
{
    size_t before;

    while (!s->closed && !s->tls_wanted) {
        unsigned want = engine_want(&s->engine);

        if (want & WANT_DROP) {
            s->closed = s->dropped = true;
        } else if (want & (WANT_OUTPUT | WANT_BODY)) {
            pull(s, want);
        } else if (want & WANT_REQUEST) {
            on_request(s);
        } else if (want & WANT_CLOSE) {
            s->closed = true;
        } else {
            before = s->used;
            feed(s);
            if (s->used == before && engine_want(&s->engine) == WANT_INPUT)
                break;
        }
    }
    buf_consume(&s->in, s->used);
    s->used = 0;
}

void sim_start(struct sim *s)
{
    s->in = BUF(OUT_CAP);
    s->out = BUF(OUT_CAP);
    s->surrogate = BUF(OUT_CAP);
    s->random = s->style.seed;
    s->removed = mem_zero(s->nmailbox, 1);
    engine_init(&s->engine, &s->conf, &s->link, s->apop, s->scratch);
    go(s);
}

void sim_send(struct sim *s, struct span in)
{
    if (s->closed || s->tls_wanted)
        return;
    must(buf_put_span(&s->in, in), "too much input");
    go(s);
}

void sim_tls(struct sim *s)
{
    must(s->tls_wanted, "no handshake is due");
    s->tls_wanted = false;
    s->link.tls = s->link.binding = true;
    engine_tls_started(&s->engine, &s->link);
    go(s);
}

void sim_eof(struct sim *s)
{
    engine_eof(&s->engine);
    go(s);
}

void sim_free(struct sim *s)
{
    end_sasl(s);
    buf_free(&s->in);
    buf_free(&s->out);
    buf_free(&s->surrogate);
    free(s->msgs);
    free(s->view.deleted);
    free(s->view.retrieved);
    free(s->removed);
}
