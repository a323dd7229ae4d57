/* account.c - from a user's name to a maildrop and its owner: see account.h.
 * Does not know: messages, maildrop formats.
 */
#include "admin/account.h"

#include "sasl/prep.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

enum { NAME_OCTETS = 1024, PATH_OCTETS = 8192 };

static int load_users(struct account *a)
{
    struct buf report = BUF(1024 * 1024);
    bool ok = users_load(a->conf->users.file, &a->users, &report);
    int code = EX_OK;

    /* Faults of lines are the business of "user list"; here only what stops us. */
    if (!ok) {
        struct span rest = buf_span(&report), line = span_until(&rest, '\n');
        bool readable = access(a->conf->users.file, R_OK) == 0;

        code = readable ? EX_CONFIG : errno == EACCES ? EX_NOPERM : EX_CONFIG;
        ctl_fail(code, "%.*s", (int)line.n, line.n ? (const char *)line.p : "users file");
    }
    buf_free(&report);
    return code;
}

static int find_user(struct account *a, const char *name)
{
    struct buf prepared = BUF(NAME_OCTETS);

    if (sasl_prep(span_str(name), PREP_QUERY, &prepared))
        a->entry = users_find(a->users, buf_span(&prepared), a->conf->users.default_domain);
    buf_free(&prepared);
    if (a->entry)
        return EX_OK;
    return ctl_fail(EX_NOUSER, "there is no user \"%.200s\"; \"restantectl user list\" shows all", name);
}

/* The owner of mail of users without ids of their own; USERS_NUMBER_NONE where nothing is said. */
static int site_owner(const struct conf *conf, uint32_t *uid, uint32_t *gid)
{
    const struct passwd *pw = *conf->mail.user ? getpwnam(conf->mail.user) : NULL;
    const struct group *gr = *conf->mail.group ? getgrnam(conf->mail.group) : NULL;

    if (*conf->mail.user && !pw)
        return ctl_fail(EX_CONFIG, "mail.user: there is no system user \"%s\"; create it", conf->mail.user);
    if (*conf->mail.group && !gr)
        return ctl_fail(EX_CONFIG, "mail.group: there is no system group \"%s\"; create it", conf->mail.group);
    *uid = pw ? pw->pw_uid : USERS_NUMBER_NONE;
    *gid = gr ? gr->gr_gid : pw ? pw->pw_gid : USERS_NUMBER_NONE;
    return EX_OK;
}

/* The same rule as the auth worker's: a session and a delivery must agree whose files these are. */
static int find_owner(struct account *a)
{
    int code = site_owner(a->conf, &a->uid, &a->gid);

    if (code != EX_OK)
        return code;
    if (a->entry->uid)
        a->uid = a->entry->uid;
    if (a->entry->gid)
        a->gid = a->entry->gid;
    if (geteuid() != 0)
        return EX_OK;
    if (a->uid == USERS_NUMBER_NONE || a->gid == USERS_NUMBER_NONE)
        return ctl_fail(EX_CONFIG,
                        "user %.200s has no uid or gid, and mail is never handled as root; set mail.user, or both "
                        "in the users file",
                        a->entry->name);
    if (a->uid < a->conf->mail.min_uid)
        return ctl_fail(EX_CONFIG, "user %.200s: uid %u is below mail.min_uid (%u); change one", a->entry->name,
                        a->uid, a->conf->mail.min_uid);
    return EX_OK;
}

static int find_maildrop(struct account *a)
{
    const char *mail = a->entry->mail, *home = a->entry->home;
    struct buf path = BUF(PATH_OCTETS);
    int code = EX_OK;
    struct err e;

    if (mail && strncmp(mail, "~/", 2) == 0 && home) {
        if (!buf_put_str(&path, home) || !buf_put_str(&path, mail + 1))
            code = ctl_fail(EX_CONFIG, "user %.200s: the maildrop's path is too long", a->entry->name);
    } else if (mail) {
        if (mail[0] != '/' || !buf_put_str(&path, mail))
            code = ctl_fail(EX_CONFIG, "user %.200s: \"%.200s\" is no absolute path; start it with /",
                            a->entry->name, mail);
    } else if (!conf_maildrop(a->conf->mail.maildrop, span_str(a->entry->name), a->conf->users.default_domain,
                              home, &path, &e)) {
        code = ctl_fail(EX_CONFIG, "user %.200s: %s", a->entry->name, e.text);
    }
    if (code == EX_OK)
        a->maildrop = mem_strn(buf_span(&path));
    buf_free(&path);
    return code;
}

int account_open(const struct cli *ctl, const char *name, struct account *account)
{
    int code;

    *account = (struct account){ 0 };
    code = ctl_conf(ctl, &account->conf);
    if (code == EX_OK)
        code = load_users(account);
    if (code == EX_OK)
        code = find_user(account, name);
    if (code == EX_OK)
        code = find_owner(account);
    return code == EX_OK ? find_maildrop(account) : code;
}

int account_become(const struct account *account)
{
    gid_t gid = account->gid;
    uid_t uid = account->uid;

    if (uid == USERS_NUMBER_NONE || (geteuid() == uid && getuid() == uid))
        return EX_OK;
    if (geteuid() != 0)
        return ctl_fail(EX_NOPERM, "the mail of %.200s belongs to uid %u; run this as root or as %u",
                        account->entry->name, account->uid, account->uid);
    if (setgroups(1, &gid) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return ctl_fail(EX_OSERR, "becoming uid %u, gid %u: %s", account->uid, account->gid, strerror(errno));
    if (setuid(0) == 0)
        return ctl_fail(EX_SOFTWARE, "root came back after it was given up; nothing was touched");
    return EX_OK;
}

void account_close(struct account *account)
{
    users_free(&account->users);
    conf_free(&account->conf);
    free(account->maildrop);
    account->maildrop = NULL;
}
