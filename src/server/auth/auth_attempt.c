/* auth_attempt.c - the life of a login attempt: begun, delayed, failed, dropped.
 *
 * Every end of an attempt passes here; failures of credentials wait as the throttle says, others answer at once.
 * Does not know: how credentials are checked.
 */
#include "server/auth/auth_worker.h"

#include "base/log.h"

#include <stdlib.h>

enum { NAME_CAP = 1024, SECRET_CAP = 8192 };

static void on_closed(uv_handle_t *h)
{
    struct attempt *a = h->data;

    free(a);
}

struct attempt *attempt_find(struct auth *w, uint64_t sid)
{
    struct table_key key = { sid, 0 };
    struct attempt **at = table_find(w->attempts, &key);

    return at ? *at : NULL;
}

void attempt_drop(struct attempt *a)
{
    struct auth *w = a->auth;
    struct table_key key = { a->sid, 0 };

    hash_forget(a);
    table_drop(w->attempts, &key);
    if (a->sasl_in_use)
        sasl_wipe(&a->sasl);
    buf_free(&a->given);
    buf_free(&a->name);
    buf_wipe(&a->secret);
    buf_wipe(&a->stored);
    buf_free(&a->timestamp);
    buf_wipe(&a->unique);
    buf_wipe(&a->exporter);
    buf_free(&a->certificate);
    buf_free(&a->path);
    free(a->user);
    free(a->target);
    uv_close((uv_handle_t *)&a->timer, on_closed);
    auth_maybe_exit(w);
}

struct attempt *attempt_new(struct auth *w, const struct msg *m)
{
    struct table_key key = { m->sid, 0 };
    struct attempt *a = attempt_find(w, m->sid), **at;
    bool fresh;

    if (a)
        attempt_drop(a); /* a front speaks for its own sessions: a new login replaces the one before */
    if (w->stopping || table_count(w->attempts) >= AUTH_ATTEMPTS)
        return NULL;
    a = mem_zero(1, sizeof *a);
    a->auth = w;
    a->sid = m->sid;
    a->flags = m->flags;
    memcpy(a->addr.b, m->addr, sizeof a->addr.b);
    a->given.cap = a->name.cap = NAME_CAP;
    a->secret.cap = a->stored.cap = a->path.cap = a->certificate.cap = SECRET_CAP;
    a->timestamp.cap = a->unique.cap = a->exporter.cap = NAME_CAP;
    a->began_ms = uv_now(w->loop);
    uv_timer_init(w->loop, &a->timer);
    a->timer.data = a;
    at = table_make(w->attempts, &key, &fresh);
    *at = a;
    return a;
}

void attempt_timer(struct attempt *a, uint64_t ms, uv_timer_cb cb)
{
    uv_timer_start(&a->timer, cb, ms, 0);
}

/* Who tries what, for the throttle. "bob" and "bob@default.domain" are one. */
static struct throttle_try try_of(const struct attempt *a)
{
    struct throttle_try try = { a->addr, buf_span(&a->name), { NULL, 0 } };
    struct span domain = span_str(a->auth->conf->users.default_domain);

    if (!try.user.n)
        try.user = buf_span(&a->given);
    if (domain.n && try.user.n > domain.n + 1 && try.user.p[try.user.n - domain.n - 1] == '@' &&
        span_ieq(span_of(try.user.p + try.user.n - domain.n, domain.n), domain))
        try.user.n -= domain.n + 1;
    if (!a->apop)
        try.secret = buf_span(&a->secret);
    return try;
}

static bool throttled(const struct attempt *a)
{
    return a->auth->conf->auth.throttle && !site_exempt(a->auth, &a->addr);
}

static void answer(struct attempt *a)
{
    struct auth *w = a->auth;
    enum scram_hash hash;
    struct msg m;
    bool plus;

    msg_init(&m, MSG_LOGIN_FAIL, a->sid);
    m.code = a->code;
    /* RFC 9266 §4.1: a binding serves one exchange; another try needs another connection. */
    if (a->sasl_in_use && sasl_is_scram(a->sasl.mech, &hash, &plus) && plus)
        m.flags |= MSGF_CLOSE;
    channel_send(w->front[a->sid >> 48], &m);
    attempt_drop(a);
}

static void on_answer(uv_timer_t *timer)
{
    answer(timer->data);
}

void attempt_fail(struct attempt *a, enum resp_code code, const char *reason)
{
    struct auth *w = a->auth;
    uint64_t now = uv_now(w->loop), due = 0;
    char addr[NET_ADDR_TEXT];

    net_addr_text(&a->addr, addr);
    event(LOG_INFO, "login-failed", F_SID(a->sid), F_SPAN("user", buf_span(&a->given)),
          F_STR("mech", a->mech), F_STR("addr", addr), F_STR("reason", reason));
    hash_forget(a);
    uv_timer_stop(&a->timer);
    a->code = (uint8_t)code;
    if (code == RC_AUTH && throttled(a)) {
        struct throttle_try try = try_of(a);

        due = a->began_ms + throttle_failed(w->throttle, &try, now);
    }
    buf_wipe(&a->secret);
    a->stage = AT_REPLY;
    if (due > now)
        attempt_timer(a, due - now, on_answer);
    else
        answer(a);
}

static void on_delayed(uv_timer_t *timer)
{
    struct attempt *a = timer->data;

    a->after(a);
}

void attempt_after(struct attempt *a, attempt_step *step)
{
    struct throttle_try try = try_of(a);
    uint32_t ms = throttled(a) ? throttle_before(a->auth->throttle, &try, uv_now(a->auth->loop)) : 0;

    if (ms == UINT32_MAX) {
        attempt_fail(a, RC_SYS_TEMP, "too-many-tries-waiting");
        return;
    }
    a->stage = AT_DELAY;
    a->after = step;
    if (ms)
        attempt_timer(a, ms, on_delayed);
    else
        step(a);
}

void attempt_passed(struct attempt *a)
{
    struct throttle_try try = try_of(a);

    throttle_passed(a->auth->throttle, &try, uv_now(a->auth->loop));
}
