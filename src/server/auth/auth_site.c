/* auth_site.c - what follows from the configuration and the users file: mechanisms, owners, exempt networks.
 *
 * Does not know: attempts.
 */
#include "server/auth/auth_worker.h"

#include "base/log.h"
#include "sasl/prep.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

static void log_faults(const struct buf *report, enum log_level level)
{
    struct span rest = buf_span(report);

    while (rest.n) {
        struct span line = span_until(&rest, '\n');

        if (line.n)
            event(level, "users-fault", F_SPAN("text", line));
    }
}

/* SCRAM is offered when somebody can use it. A client that insists on it for an account with another hash cannot
 * log in: that is why "restantectl user add" keeps to what the other accounts have, and auth.mechanisms decides
 * where accounts are mixed on purpose. */
static bool some_have(const struct users_summary *s, enum scram_hash hash)
{
    return s->scram[hash] > 0;
}

static uint32_t named(const struct conf *conf)
{
    uint32_t mask = 0;

    for (uint32_t i = 0; i < conf->auth.mechanisms.n; i++) {
        enum mech_id mech = mech_find(span_str(conf->auth.mechanisms.v[i]));

        if (mech < MECH_N)
            mask |= MECH_BIT(mech);
    }
    return mask;
}

static uint32_t choose_mechs(const struct auth *w)
{
    const struct users_summary *s = users_summary(users_file_table(w->users));
    uint32_t external = w->conf->tls.client_ca[0] ? MECH_BIT(MECH_EXTERNAL) : 0;
    uint32_t mask = MECH_BIT(MECH_PLAIN) | MECH_BIT(MECH_LOGIN) | external;

    if (w->conf->auth.mechanisms.n)
        return named(w->conf) & (external | ~MECH_BIT(MECH_EXTERNAL));
    if (some_have(s, SCRAM_SHA_256))
        mask |= MECH_BIT(MECH_SCRAM_SHA_256) | MECH_BIT(MECH_SCRAM_SHA_256_PLUS);
    if (some_have(s, SCRAM_SHA_1))
        mask |= MECH_BIT(MECH_SCRAM_SHA_1) | MECH_BIT(MECH_SCRAM_SHA_1_PLUS);
    return mask;
}

/* What CAPA says before anybody has logged in: mechanisms, and the extremes of policies that users may have of their
 * own (RFC 2449 §6.5, §6.7). */
void site_tell_mechs(struct auth *w, struct channel *front)
{
    const struct users_summary *s = users_summary(users_file_table(w->users));
    uint32_t delay = w->conf->auth.login_delay_s, days = w->conf->mail.expire_days;
    struct msg m;

    msg_init(&m, MSG_MECHS, 0);
    m.number = w->mechs;
    m.expire_days = s->expire_min < days ? s->expire_min : days;
    m.login_delay_s = s->login_delay_max > delay ? s->login_delay_max : delay;
    m.count = (s->expire_min != USERS_NUMBER_NONE ? 1u : 0u) | (s->login_delay_max != 0 ? 2u : 0u);
    channel_send(front, &m);
}

static void update_mechs(struct auth *w)
{
    w->mechs = choose_mechs(w);
    for (uint32_t i = 0; i < AUTH_FRONTS; i++)
        if (w->front[i])
            site_tell_mechs(w, w->front[i]);
}

static void look(struct auth *w, bool force)
{
    struct buf report = BUF(AUTH_ERROR_MAX);
    const char *path = users_file_path(w->users);

    switch (users_file_look(w->users, uv_now(w->loop), force, &report)) {
    case USERS_NEW:
        log_faults(&report, LOG_WARNING);
        event(LOG_INFO, "users-loaded", F_STR("file", path),
              F_U64("accounts", users_count(users_file_table(w->users))));
        w->users_ok = true;
        verified_clear(w->verified); /* no entry could be found again; this frees them */
        update_mechs(w);
        break;
    case USERS_BROKEN:
        log_faults(&report, LOG_ERROR);
        event(LOG_ERROR, "users-broken", F_STR("file", path),
              F_STR("effect", w->users_ok ? "old-accounts-stay" : "good-lines-only"));
        w->users_ok = w->users_ok || users_count(users_file_table(w->users)) > 0;
        update_mechs(w);
        break;
    default:
        break;
    }
    buf_wipe(&report);
}

void site_look(struct auth *w)
{
    look(w, false);
}

/* mail.user and mail.group as numbers; 0 = not given or not known. */
static void find_default_owner(struct auth *w)
{
    struct passwd pw, *user = NULL;
    struct group gr, *group = NULL;
    char room[8192];

    w->default_uid = w->default_gid = 0;
    if (!w->root || !w->conf->mail.user[0])
        return;
    if (getpwnam_r(w->conf->mail.user, &pw, room, sizeof room, &user) == 0 && user) {
        w->default_uid = user->pw_uid;
        w->default_gid = user->pw_gid;
    } else {
        event(LOG_ERROR, "mail-user-unknown", F_STR("user", w->conf->mail.user));
    }
    if (w->conf->mail.group[0] &&
        getgrnam_r(w->conf->mail.group, &gr, room, sizeof room, &group) == 0 && group)
        w->default_gid = group->gr_gid;
}

static void parse_exempt(struct auth *w)
{
    const struct strlist *list = &w->conf->auth.throttle_exempt;

    free(w->exempt);
    w->exempt = mem_zero(list->n, sizeof *w->exempt);
    w->nexempt = 0;
    for (uint32_t i = 0; i < list->n; i++)
        w->nexempt += net_block_parse(list->v[i], &w->exempt[w->nexempt]);
}

void site_apply(struct auth *w, struct conf **conf, bool first)
{
    bool moved = first || strcmp(w->conf->users.file, (*conf)->users.file) != 0;

    conf_free(&w->conf);
    w->conf = *conf;
    *conf = NULL;
    log_open("auth", 2, (enum log_level)w->conf->log.level);
    throttle_set(w->throttle, w->conf->auth.throttle_free, w->conf->auth.throttle_max_s * 1000);
    parse_exempt(w);
    find_default_owner(w);
    if (moved) {
        users_file_free(&w->users);
        w->users = users_file_new(w->conf->users.file);
        w->users_ok = w->conf->users.file[0] == '\0'; /* no file: nobody exists, and that is no fault */
        if (w->users_given)
            users_file_give(w->users, w->users_fd < 0 ? -1 : fcntl(w->users_fd, F_DUPFD_CLOEXEC, 0));
    }
    look(w, true);
    update_mechs(w);
}

void site_give_users(struct auth *w, int fd)
{
    if (w->users_given && w->users_fd >= 0)
        close(w->users_fd);
    w->users_fd = fd;
    w->users_given = true;
    if (!w->users)
        return; /* the start: site_apply takes it */
    users_file_give(w->users, fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0));
    look(w, true);
}

bool site_exempt(const struct auth *w, const struct net_addr *addr)
{
    for (uint32_t i = 0; i < w->nexempt; i++)
        if (net_block_has(&w->exempt[i], addr))
            return true;
    return false;
}

const struct users_entry *site_find(const struct auth *w, struct span name)
{
    return users_find(users_file_table(w->users), name, w->conf->users.default_domain);
}

bool site_is_master(const struct auth *w, const struct users_entry *entry)
{
    const struct strlist *list = &w->conf->users.masters;

    for (uint32_t i = 0; i < list->n; i++) {
        struct buf name = BUF(1024);
        bool is = sasl_prep(span_str(list->v[i]), PREP_QUERY, &name) &&
                  site_find(w, buf_span(&name)) == entry;

        buf_free(&name);
        if (is)
            return true;
    }
    return false;
}
