/* auth_finish.c - after right credentials: for whom, under which policies, from which store; then the grant.
 *
 * The store hears of the grant before the front hears of the login: a front cannot be quicker than its right.
 * Answers here may tell that the user exists (RFC 2449 §8.1): the credentials have been shown.
 * Does not know: how credentials are checked, how stores are started.
 */
#include "server/auth/auth_worker.h"

#include "base/log.h"

#include <stdlib.h>

/* The account to be logged in: the one that showed its credentials, or for masters another (RFC 4422 §3.4.1). */
static const struct users_entry *target_of(const struct attempt *a, const struct users_entry *entry,
                                           const char **bar)
{
    const struct auth *w = a->auth;
    const struct users_entry *target = NULL;
    struct buf name = BUF(1024);

    if (!a->sasl_in_use || a->sasl.authzid.n == 0)
        return entry;
    if (verify_prepare(w, true, buf_span(&a->sasl.authzid), &name))
        target = site_find(w, buf_span(&name));
    buf_free(&name);
    if (target == entry)
        return entry;
    if (!target || !site_is_master(w, entry))
        *bar = "authzid";
    else if (target->flags & USERS_DISABLED)
        *bar = "disabled";
    else if ((target->flags & USERS_REQUIRE_TLS) && !(a->flags & MSGF_TLS))
        *bar = "needs-tls";
    return target;
}

/* Whose files these are. */
static bool find_owner(struct attempt *a, const struct users_entry *entry, struct err *e)
{
    const struct auth *w = a->auth;

    if (!w->root) { /* an ordinary user serves its own mail: it cannot become anybody */
        a->uid = w->own_uid;
        a->gid = w->own_gid;
        return true;
    }
    a->uid = entry->uid ? entry->uid : w->default_uid;
    a->gid = entry->gid ? entry->gid : w->default_gid;
    if (!a->uid || !a->gid)
        return err_set(e, FAULT_PERM, "the user has no uid or gid; set mail.user, or both in the users file");
    if (a->uid < w->conf->mail.min_uid)
        return err_set(e, FAULT_PERM, "uid %u is below mail.min_uid", (unsigned)a->uid);
    return true;
}

static bool find_path(struct attempt *a, const struct users_entry *entry, struct err *e)
{
    const struct conf *conf = a->auth->conf;

    if (!entry->mail)
        return conf_maildrop(conf->mail.maildrop, span_str(entry->name), conf->users.default_domain,
                             entry->home, &a->path, e);
    if (entry->mail[0] == '~' && !entry->home)
        return err_set(e, FAULT_PERM, "mail begins with ~/ and the user has no home");
    if (entry->mail[0] == '~' && !buf_put_str(&a->path, entry->home))
        return err_set(e, FAULT_PERM, "the path is too long");
    return buf_put_str(&a->path, entry->mail + (entry->mail[0] == '~')) ||
           err_set(e, FAULT_PERM, "the path is too long");
}

static uint32_t store_flags(const struct conf *conf, const struct users_entry *entry)
{
    static const uint32_t sessions[] = { [CONF_EXCLUSIVE] = MSGF_EXCLUSIVE,
                                         [CONF_SHARED] = MSGF_SHARED,
                                         [CONF_TAKEOVER] = MSGF_EXCLUSIVE | MSGF_TAKEOVER };
    uint32_t flags = sessions[conf->mail.sessions <= CONF_TAKEOVER ? conf->mail.sessions : CONF_EXCLUSIVE];

    flags |= conf->mail.create ? MSGF_CREATE : 0;
    flags |= conf->mail.move_to_cur ? MSGF_MOVE_TO_CUR : 0;
    flags |= conf->mail.mark_seen ? MSGF_MARK_SEEN : 0;
    flags |= conf->mail.durable ? MSGF_DURABLE : 0;
    flags |= conf->mail.legacy_utf8 == CONF_SURROGATE ? MSGF_LEGACY : 0;
    return flags | (entry->flags & USERS_READ_ONLY ? MSGF_READ_ONLY : 0);
}

static void log_ok(const struct attempt *a)
{
    char addr[NET_ADDR_TEXT];

    net_addr_text(&a->addr, addr);
    event(LOG_INFO, "login-ok", F_SID(a->sid), F_STR("user", a->target), F_STR("as", a->user),
          F_STR("mech", a->mech), F_STR("addr", addr), F_U64("uid", a->uid),
          F_U64("ms", uv_now(a->auth->loop) - a->began_ms));
}

/* The grant to the store, then the word to the front. */
static void give(struct attempt *a, const struct users_entry *entry, struct auth_store *store)
{
    struct auth *w = a->auth;
    const struct conf *conf = w->conf;
    struct msg grant, ok;

    msg_init(&grant, MSG_GRANT, a->sid);
    grants_id(w->grants, grant.grant);
    grant.id = (uint32_t)(a->sid >> 48);
    grant.uid = a->uid;
    grant.gid = a->gid;
    grant.flags = store_flags(conf, entry);
    grant.expire_days = entry->expire_days != USERS_NUMBER_NONE ? entry->expire_days
                                                                : conf->mail.expire_days;
    grant.user = span_str(entry->name);
    grant.path = buf_span(&a->path);
    if (!stores_grant(w, store, &grant)) {
        grants_end(w->grants, a->sid);
        attempt_fail(a, RC_SYS_TEMP, "store-gone");
        return;
    }
    msg_init(&ok, MSG_LOGIN_OK, a->sid);
    memcpy(ok.grant, grant.grant, sizeof ok.grant);
    ok.id = store->id;
    ok.flags = grant.flags & MSGF_READ_ONLY;
    ok.expire_days = grant.expire_days;
    ok.login_delay_s = entry->login_delay_s != USERS_NUMBER_NONE ? entry->login_delay_s
                                                                 : conf->auth.login_delay_s;
    ok.user = grant.user;
    log_ok(a);
    if (!channel_send(w->front[a->sid >> 48], &ok))
        grants_end(w->grants, a->sid);
    attempt_drop(a);
}

void finish_with_store(struct attempt *a)
{
    struct auth *w = a->auth;
    /* Looked up again: while the store started the file may have changed. */
    const struct users_entry *entry = site_find(w, span_str(a->target));
    struct auth_store *store = stores_find(w, a->uid, a->gid);
    struct grants_ask ask = { span_str(a->target), a->sid, 0, w->conf->limits.connections_per_user };

    uv_timer_stop(&a->timer);
    if (!entry || (entry->flags & USERS_DISABLED)) {
        attempt_fail(a, RC_AUTH, "disabled");
        return;
    }
    if (!store) {
        attempt_fail(a, RC_SYS_TEMP, "store-refused");
        return;
    }
    ask.delay_s = entry->login_delay_s != USERS_NUMBER_NONE ? entry->login_delay_s
                                                            : w->conf->auth.login_delay_s;
    switch (grants_begin(w->grants, &ask, uv_now(w->loop))) {
    case GRANTS_TOO_SOON:
        attempt_fail(a, RC_LOGIN_DELAY, "login-delay");
        return;
    case GRANTS_TOO_MANY:
        attempt_fail(a, RC_IN_USE, "too-many-sessions");
        return;
    default:
        give(a, entry, store);
    }
}

void finish_verified(struct attempt *a, const struct users_entry *entry)
{
    struct auth *w = a->auth;
    const char *bar = NULL;
    const struct users_entry *target;
    struct err e;

    if (!entry || (entry->flags & USERS_DISABLED)) { /* changed while the hash was computed */
        attempt_fail(a, RC_AUTH, "disabled");
        return;
    }
    target = target_of(a, entry, &bar);
    if (bar) {
        attempt_fail(a, RC_AUTH, bar);
        return;
    }
    attempt_passed(a);
    free(a->target);
    a->target = mem_str(target->name);
    if (!find_owner(a, target, &e) || !find_path(a, target, &e)) {
        event(LOG_ERROR, "login-impossible", F_SID(a->sid), F_STR("user", a->target), F_ERR(&e));
        attempt_fail(a, RC_SYS_PERM, "account");
        return;
    }
    if (stores_find(w, a->uid, a->gid))
        finish_with_store(a);
    else
        stores_ask(a);
}
