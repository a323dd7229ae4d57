/* auth_front.c - what fronts ask: logins, further SASL lines, cancelled logins, ended sessions.
 *
 * A front speaks for its own sessions only: the top 16 bits of every session id must be its number, or the
 * channel is closed. Does not know: how credentials are checked.
 */
#include "server/auth/auth_worker.h"

#include "base/log.h"

/* A front that does what no front does is taken for taken over. */
static void distrust(struct auth *w, struct channel *ch, const char *why)
{
    uint32_t id = channel_id(ch);

    event(LOG_ERROR, "front-distrusted", F_U64("id", id), F_STR("reason", why));
    channel_close(&w->front[id]);
    auth_front_drop(w, id);
}

static void refuse_new(struct auth *w, const struct msg *m)
{
    struct msg fail;

    msg_init(&fail, MSG_LOGIN_FAIL, m->sid);
    fail.code = RC_SYS_TEMP;
    channel_send(w->front[m->sid >> 48], &fail);
}

/* Fills what a login message brings; a field over its cap cannot occur: the message table has smaller ones. */
static bool take(struct attempt *a, const struct msg *m)
{
    return buf_put_span(&a->given, m->user) && buf_put_span(&a->secret, m->secret) &&
           buf_put_span(&a->unique, m->binding_unique) && buf_put_span(&a->exporter, m->binding_exporter) &&
           buf_put_span(&a->certificate, m->certificate);
}

static void login_pass(struct attempt *a, const struct msg *m)
{
    a->mech = "USER";
    if (!m->user.n || !m->secret.n) {
        attempt_fail(a, RC_AUTH, "empty");
        return;
    }
    if (!verify_prepare(a->auth, false, m->user, &a->name))
        a->name.n = 0; /* it cannot be anybody; the same work is done all the same */
    attempt_after(a, verify_password);
}

static void login_apop(struct attempt *a, const struct msg *m)
{
    a->mech = "APOP";
    a->apop = true;
    if (!a->auth->conf->auth.apop || !m->user.n || !buf_put_span(&a->timestamp, m->data)) {
        attempt_fail(a, RC_AUTH, "apop-off");
        return;
    }
    if (!verify_prepare(a->auth, false, m->user, &a->name))
        a->name.n = 0;
    attempt_after(a, verify_apop);
}

static void login_sasl(struct attempt *a, const struct msg *m)
{
    bool known = m->mech < MECH_N;

    a->mech = known ? mechs[m->mech].name : "unknown";
    if (!known || !(a->auth->mechs & MECH_BIT(m->mech))) {
        attempt_fail(a, RC_NONE, "mechanism-not-offered");
        return;
    }
    a->sasl.mech = (enum mech_id)m->mech;
    sasl_start(a, m->data);
}

static void on_login(struct auth *w, const struct msg *m)
{
    struct attempt *a;

    site_look(w);
    a = w->users_ok ? attempt_new(w, m) : NULL;
    if (!a || !take(a, m)) {
        if (a)
            attempt_drop(a);
        refuse_new(w, m);
        return;
    }
    if (m->type == MSG_LOGIN_PASS)
        login_pass(a, m);
    else if (m->type == MSG_LOGIN_APOP)
        login_apop(a, m);
    else
        login_sasl(a, m);
}

void auth_on_front(void *ctx, struct channel *ch, struct msg *m)
{
    struct auth *w = ctx;
    struct attempt *a;

    if (m->sid >> 48 != channel_id(ch)) {
        distrust(w, ch, "foreign-session");
        return;
    }
    switch (m->type) {
    case MSG_LOGIN_PASS:
    case MSG_LOGIN_APOP:
    case MSG_LOGIN_SASL:
        on_login(w, m);
        break;
    case MSG_SASL_MORE:
        a = attempt_find(w, m->sid);
        if (a && a->stage == AT_SASL) /* else it is late: the answer is on its way */
            sasl_continue(a, m->data);
        break;
    case MSG_LOGIN_CANCEL:
        a = attempt_find(w, m->sid);
        if (a)
            attempt_drop(a);
        break;
    case MSG_SESSION_END:
        if (m->flags & MSGF_CLOSE)
            grants_void(w->grants, m->sid);
        else
            grants_end(w->grants, m->sid);
        break;
    default: /* msg_permitted lets nothing else through */
        distrust(w, ch, "message");
    }
}

void auth_front_drop(struct auth *w, uint32_t id)
{
    struct table_key key;
    uint32_t cursor = 0;
    struct attempt **at;

    while ((at = table_next(w->attempts, &cursor, &key)) != NULL)
        if (key.a >> 48 == id)
            attempt_drop(*at);
    grants_end_front(w->grants, (uint16_t)id);
}

void auth_front_gone(void *ctx, struct channel *ch, const struct err *why)
{
    struct auth *w = ctx;
    uint32_t id = channel_id(ch);

    event(LOG_INFO, "peer-gone", F_STR("peer", "front"), F_U64("id", id), F_ERR(why));
    if (w->front[id] != ch)
        return;
    w->front[id] = NULL;
    auth_front_drop(w, id);
}
