/* session_discover.c - an account that is given by a mail address: its server and its login name, found and remembered.
 *
 * DNS is asked at the first run, and again only when the server that is remembered does not answer or does not prove
 * itself (RFC 8314 §5.1, R6186-06, -09); then the domain's other servers have their turn. A target outside of the
 * domain is never taken unasked, since DNS can be forged. The login name is the whole address, or else its local part
 * (RFC 6186 §4). Does not know: connections.
 */
#include "client/session.h"

#include "base/num.h"
#include "net/idn.h"

#include <stdio.h>
#include <stdlib.h>

static const char server_fact[] = "discovered", name_fact[] = "login_name";

bool session_is_discovered(const struct session *s)
{
    return s->account->discover && *s->account->discover;
}

/* "HOST PORT 1 DOMAIN", 1 for implicit TLS. */
static bool take_fact(struct session *s, struct span fact)
{
    struct span host = span_until(&fact, ' '), number = span_until(&fact, ' '), implicit = span_until(&fact, ' ');
    uint64_t port;

    if (host.n == 0 || host.n >= sizeof s->host || !num_all_u64(number, &port) || port > UINT16_MAX ||
        !span_iis(fact, s->domain))
        return false;
    memcpy(s->host, host.p, host.n);
    s->host[host.n] = '\0';
    s->port = (uint16_t)port;
    s->tls = span_is(implicit, "1") ? DIALOG_TLS_UP : DIALOG_TLS_STLS;
    return true;
}

static bool recall(struct session *s)
{
    struct buf fact = BUF(600);
    struct err e;
    bool known = s->journal && journal_fact(s->journal, server_fact, &fact, &e) && take_fact(s, buf_span(&fact));

    buf_free(&fact);
    return known;
}

static bool set_fact(struct session *s, const char *key, const char *value, struct err *e)
{
    if (!s->journal || (journal_begin(s->journal, e) && journal_set_fact(s->journal, key, span_str(value), e) &&
                        journal_commit(s->journal, e)))
        return true;
    journal_rollback(s->journal);
    return false;
}

static bool is_current(const struct session *s, const struct srv_target *t)
{
    return s->discovered && t->port == s->port && span_iis(span_str(t->host), s->host);
}

static bool adopt(struct session *s, const struct srv_target *t, struct err *e)
{
    char text[600];

    if (s->discovered)
        snprintf(s->plan_note, sizeof s->plan_note, "%.50s port %u does not answer as it should; %.50s names another server, "
                 "%.50s port %u", s->host, s->port, s->domain, t->host, t->port);
    snprintf(s->host, sizeof s->host, "%s", t->host);
    s->port = t->port;
    s->tls = t->implicit_tls ? DIALOG_TLS_UP : DIALOG_TLS_STLS;
    s->discovered = true;
    s->remembered = false;
    snprintf(text, sizeof text, "%s %u %u %s", s->host, s->port, t->implicit_tls ? 1u : 0u, s->domain);
    return set_fact(s, server_fact, text, e);
}

/* The next one in the order of RFC 2782 that is inside of the domain and not the one that failed. */
static bool next_target(struct session *s, struct err *e)
{
    const struct srv_target *stranger = NULL;

    while (s->next_target < s->ntargets) {
        const struct srv_target *t = &s->targets[s->next_target++];

        if (t->in_domain && !is_current(s, t))
            return adopt(s, t, e);
        if (!t->in_domain && !stranger)
            stranger = t;
    }
    s->no_other = true;
    if (stranger) {
        s->work_code = 77;
        return err_set(e, FAULT_PERM, "%.60s names %.80s for its mail, which is not inside it and DNS can be forged; if "
                       "that is right, write server = \"%.80s\"", s->domain, stranger->host, stranger->host);
    }
    return true; /* the same once more, then */
}

bool session_discover(struct session *s, struct err *e)
{
    const char *at = strrchr(s->account->discover, '@');

    if (s->discovered && !s->move_on)
        return true;
    s->move_on = false;
    if (!idn_host(at ? at + 1 : s->account->discover, s->domain, e)) {
        s->work_code = 68;
        return false;
    }
    if (!s->discovered && recall(s)) {
        s->discovered = s->remembered = true;
        return true;
    }
    if (!s->targets) {
        s->targets = mem_zero(SRV_MAX, sizeof *s->targets);
        if (!srv_lookup(s->domain, getenv("RESTANTE_NAMESERVER"), s->targets, &s->ntargets, e)) {
            s->no_other = true;
            s->work_code = e->fault == FAULT_TEMP ? 75 : 68;
            if (s->discovered) /* what is remembered may come back */
                *e = (struct err){ 0 };
            return s->discovered;
        }
    }
    return next_target(s, e);
}

bool session_other_server(struct session *s)
{
    if (!session_is_discovered(s) || s->no_other)
        return false;
    s->move_on = true;
    return true;
}

void session_recall_name(struct session *s)
{
    struct buf fact = BUF(16);
    struct err e;

    if (!s->name_recalled && s->account->user_guessed && s->journal)
        s->local_recalled = journal_fact(s->journal, name_fact, &fact, &e) && span_is(buf_span(&fact), "local");
    if (!s->name_recalled)
        s->local_name = s->local_recalled;
    s->name_recalled = true;
    buf_free(&fact);
}

void session_remember_name(struct session *s)
{
    struct err e;

    if (s->name_worked && s->local_worked != s->local_recalled)
        set_fact(s, name_fact, s->local_worked ? "local" : "whole", &e); /* at worst it is found out once more */
}

bool session_other_name(struct session *s)
{
    if (!s->account->user_guessed || s->both_names || s->name_worked)
        return false;
    s->both_names = true;
    s->local_name = !s->local_name;
    return true;
}

struct span session_user(const struct session *s)
{
    struct span whole = span_str(s->account->user);
    const char *at = strrchr(s->account->user, '@');

    return s->local_name && at ? span_of(whole.p, (size_t)(at - s->account->user)) : whole;
}
