/* cmd_user.c - restantectl user add, passwd, disable, enable, delete, list.
 * Does not know: the users file's format (auth/users.h), how passwords are hashed (auth/password.h).
 */
#include "admin/ctl.h"
#include "admin/secret_input.h"
#include "base/text.h"
#include "auth/password.h"
#include "auth/users.h"
#include "base/num.h"
#include "sasl/prep.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { OUTPUT_MAX = 256 * 1024 * 1024, STORED_MAX = 2048, NAME_OCTETS = 255 };

/* The name in the form that logins are compared in; NULL and a message when it can be no name. */
static char *take_name(const struct cli *ctl)
{
    const char *given = ctl->args.words[0];
    struct buf name = BUF(NAME_OCTETS);
    char *text = NULL;

    if (sasl_prep(span_str(given), PREP_STORED, &name))
        text = mem_strn(buf_span(&name));
    else
        ctl_fail(EX_DATAERR, "\"%.100s\" can be no user name; use up to %d octets of UTF-8 text", given,
                 NAME_OCTETS);
    buf_free(&name);
    return text;
}

static bool get_secret(const struct cli *ctl, const char *name, struct buf *secret, struct err *e)
{
    char prompt[400];

    if (args_get(&ctl->args, "generate"))
        return secret_generate(secret) || err_set(e, FAULT_TEMP, "no room for a password");
    if (args_get(&ctl->args, "password-stdin"))
        return secret_from_line(0, secret, e);
    snprintf(prompt, sizeof prompt, "New password for %s: ", name);
    return secret_ask(prompt, secret, e);
}

/* The stored forms of a password, NUL-terminated in the buffers. */
struct stored {
    struct buf password, sha1;
};

static void stored_free(struct stored *s)
{
    buf_wipe(&s->password);
    buf_wipe(&s->sha1);
}

/* SCRAM-SHA-256 serves every way to log in. But where accounts have another hash and none has SCRAM keys, a new one
 * follows them: else SCRAM would be announced to all, and clients that prefer it could not log in to the others. */
static enum password_scheme usual_scheme(const struct conf *conf)
{
    enum password_scheme scheme = PASSWORD_SCRAM_SHA_256;
    struct buf report = BUF(65536);
    const struct users_summary *s;
    struct users *table = NULL;
    struct span rest;

    if (users_load(conf->users.file, &table, &report)) {
        s = users_summary(table);
        if (s->typical && s->scram[SCRAM_SHA_256] == 0)
            scheme = password_scheme_of(span_str(s->typical->password), &rest);
        users_free(&table);
    }
    buf_free(&report);
    return scheme == PASSWORD_PLAIN || scheme == PASSWORD_UNKNOWN ? PASSWORD_SCRAM_SHA_256 : scheme;
}

static bool hash(const struct cli *ctl, const struct conf *conf, struct span secret, struct stored *out,
                 struct err *e)
{
    const char *wanted = args_get(&ctl->args, "scheme");
    enum password_scheme scheme = wanted ? password_scheme_find(span_str(wanted))
                                         : usual_scheme(conf);
    bool scram = scheme == PASSWORD_SCRAM_SHA_256 || scheme == PASSWORD_SCRAM_SHA_1;
    uint32_t cost = conf->auth.scram_iterations;
    struct span rest;

    if (scheme == PASSWORD_UNKNOWN)
        return err_set(e, FAULT_BAD,
                       "unknown scheme \"%.40s\"; choose SCRAM-SHA-256, SCRAM-SHA-1, YESCRYPT, "
                       "BLF-CRYPT, SHA512-CRYPT, SHA256-CRYPT or PLAIN",
                       wanted);
    if (!password_hash(scheme, secret, scram ? cost : 0, &out->password, e) || !buf_put(&out->password, "", 1))
        return false;
    if (!args_get(&ctl->args, "with-sha1") || scheme == PASSWORD_SCRAM_SHA_1)
        return true;
    if (!password_hash(PASSWORD_SCRAM_SHA_1, secret, cost, &out->sha1, e))
        return false;
    password_scheme_of(buf_span(&out->sha1), &rest);
    buf_consume(&out->sha1, out->sha1.n - rest.n); /* "{SCRAM-SHA-1}" */
    return buf_put(&out->sha1, "", 1);
}

static bool take_number(const struct cli *ctl, const char *option, uint32_t *out, struct err *e)
{
    const char *text = args_get(&ctl->args, option);
    uint64_t v;

    if (!text)
        return true;
    if (!num_all_u64(span_str(text), &v) || v >= UINT32_MAX)
        return err_set(e, FAULT_BAD, "--%s %.40s is no number; write decimal digits", option, text);
    *out = (uint32_t)v;
    return true;
}

static bool take_fields(const struct cli *ctl, struct users_entry *entry, struct err *e)
{
    const char *paths[] = { entry->home, entry->mail };

    if (!take_number(ctl, "uid", &entry->uid, e) || !take_number(ctl, "gid", &entry->gid, e) ||
        !take_number(ctl, "expire", &entry->expire_days, e))
        return false;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (paths[i] && paths[i][0] != '/')
            return err_set(e, FAULT_BAD, "\"%.100s\" is no absolute path; start it with /", paths[i]);
    if (args_get(&ctl->args, "require-tls"))
        entry->flags |= USERS_REQUIRE_TLS;
    return true;
}

static int edit_failed(enum users_change change, const char *name, const struct err *e)
{
    if (e->fault == FAULT_IN_USE && change == USERS_ADD)
        return ctl_fail(EX_CANTCREAT, "%s", e->text);
    if (e->fault == FAULT_GONE)
        return ctl_fail(EX_NOUSER, "there is no user \"%.200s\"; \"restantectl user list\" shows all", name);
    return ctl_fail_err(e);
}

/* add and passwd: everything that needs a password. */
static int set_password(struct cli *ctl, const struct conf *conf, enum users_change change,
                        struct users_entry *entry)
{
    struct buf secret = BUF(SECRET_MAX);
    struct stored stored = { BUF(STORED_MAX), BUF(STORED_MAX) };
    int code = EX_OK;
    struct err e;

    if (!get_secret(ctl, entry->name, &secret, &e) || !hash(ctl, conf, buf_span(&secret), &stored, &e)) {
        code = ctl_fail(e.fault == FAULT_BAD ? EX_DATAERR : ctl_code(e.fault), "%s", e.text);
    } else {
        entry->password = (const char *)stored.password.p;
        if (stored.sha1.n)
            entry->scram[SCRAM_SHA_1] = (const char *)stored.sha1.p;
        if (!users_edit(conf->users.file, change, entry, &e))
            code = edit_failed(change, entry->name, &e);
        else if (args_get(&ctl->args, "generate"))
            printf("%.*s\n", (int)secret.n, (const char *)secret.p);
    }
    buf_wipe(&secret);
    stored_free(&stored);
    return code;
}

static int change_user(struct cli *ctl, enum users_change change)
{
    struct conf *conf = NULL;
    struct users_entry entry;
    struct err e;
    char *name = take_name(ctl);
    int code = name ? ctl_conf(ctl, &conf) : EX_DATAERR;

    if (code == EX_OK) {
        users_entry_init(&entry);
        entry.name = name;
        entry.home = change == USERS_ADD ? args_get(&ctl->args, "home") : NULL;
        entry.mail = change == USERS_ADD ? args_get(&ctl->args, "mail") : NULL;
        if (change == USERS_ADD && !take_fields(ctl, &entry, &e))
            code = ctl_fail(EX_USAGE, "%s", e.text);
        else if (change == USERS_ADD || change == USERS_PASSWD)
            code = set_password(ctl, conf, change, &entry);
        else if (!users_edit(conf->users.file, change, &entry, &e))
            code = edit_failed(change, name, &e);
    }
    conf_free(&conf);
    free(name);
    return code;
}

static const char *scheme_of(const struct users_entry *u)
{
    struct span rest;
    enum password_scheme scheme;

    if (!u->password)
        return u->scram[SCRAM_SHA_256] || u->scram[SCRAM_SHA_1] ? "SCRAM" : "none";
    scheme = password_scheme_of(span_str(u->password), &rest);
    return scheme == PASSWORD_UNKNOWN ? "unknown" : password_scheme_name(scheme);
}

static const char *state_of(const struct users_entry *u)
{
    if (u->flags & USERS_DISABLED)
        return "disabled";
    return u->broken_password ? "broken" : "enabled";
}

static void add_number(struct grid *t, uint32_t v, bool given)
{
    char text[16] = "-";

    if (given)
        snprintf(text, sizeof text, "%u", v);
    grid_add(t, span_str(text), 10);
}

static bool list_table(const struct users *users, struct buf *out)
{
    static const char *const heads[] = { "USER", "STATE", "SCHEME", ">UID", ">GID", "MAIL", NULL };
    struct grid t = { .heads = heads };
    bool ok;

    for (uint32_t i = 0; i < users_count(users); i++) {
        const struct users_entry *u = users_at(users, i);
        const char *mail = u->mail ? u->mail : u->home ? u->home : "-";

        grid_add(&t, span_str(u->name), 64);
        grid_add(&t, span_str(state_of(u)), 10);
        grid_add(&t, span_str(scheme_of(u)), 20);
        add_number(&t, u->uid, u->uid != 0);
        add_number(&t, u->gid, u->gid != 0);
        grid_add(&t, span_str(mail), 100);
    }
    ok = grid_put(&t, out);
    grid_free(&t);
    return ok;
}

static bool json_text(struct buf *out, bool *first, const char *name, const char *text)
{
    return json_key(out, first, name) && (text ? json_put(out, span_str(text)) : buf_put_str(out, "null"));
}

static bool json_number(struct buf *out, bool *first, const char *name, int64_t v)
{
    return json_key(out, first, name) &&
           (v < 0 ? buf_put_str(out, "null") : buf_printf(out, "%lld", (long long)v));
}

static bool list_json(const struct users *users, struct buf *out)
{
    bool ok = buf_put_str(out, "[");

    for (uint32_t i = 0; i < users_count(users) && ok; i++) {
        const struct users_entry *u = users_at(users, i);
        bool none = u->expire_days == USERS_NUMBER_NONE, first = true;

        ok = buf_put_str(out, i ? ",\n {" : "\n {") && json_text(out, &first, "user", u->name) &&
             json_text(out, &first, "state", state_of(u)) && json_text(out, &first, "scheme", scheme_of(u)) &&
             json_number(out, &first, "uid", u->uid ? (int64_t)u->uid : -1) &&
             json_number(out, &first, "gid", u->gid ? (int64_t)u->gid : -1) &&
             json_text(out, &first, "home", u->home) && json_text(out, &first, "mail", u->mail) &&
             json_number(out, &first, "expire_days", none ? -1 : (int64_t)u->expire_days) &&
             json_key(out, &first, "require_tls") &&
             buf_put_str(out, u->flags & USERS_REQUIRE_TLS ? "true" : "false") &&
             json_key(out, &first, "read_only") &&
             buf_put_str(out, u->flags & USERS_READ_ONLY ? "true}" : "false}");
    }
    return ok && buf_put_str(out, "\n]\n");
}

static bool is_yes(void)
{
    char answer[8] = "";

    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

int cmd_user_add(struct cli *ctl)
{
    return change_user(ctl, USERS_ADD);
}

int cmd_user_passwd(struct cli *ctl)
{
    return change_user(ctl, USERS_PASSWD);
}

int cmd_user_disable(struct cli *ctl)
{
    return change_user(ctl, USERS_DISABLE);
}

int cmd_user_enable(struct cli *ctl)
{
    return change_user(ctl, USERS_ENABLE);
}

int cmd_user_delete(struct cli *ctl)
{
    if (!args_get(&ctl->args, "yes")) {
        if (!isatty(0))
            return ctl_fail(EX_USAGE, "no terminal to ask for confirmation; add --yes");
        fprintf(stderr, "Delete user %s? The mail stays where it is. [y/N] ", ctl->args.words[0]);
        if (!is_yes())
            return ctl_fail(EX_OK, "nothing was changed");
    }
    return change_user(ctl, USERS_DELETE);
}

int cmd_user_list(struct cli *ctl)
{
    struct buf out = BUF(OUTPUT_MAX), report = BUF(1024 * 1024);
    struct users *users = NULL;
    struct conf *conf = NULL;
    int code = ctl_conf(ctl, &conf);
    bool ok;

    if (code != EX_OK)
        return code;
    ok = users_load(conf->users.file, &users, &report);
    fprintf(stderr, "%.*s", (int)report.n, report.n ? (const char *)report.p : "");
    buf_free(&report);
    if (!ok)
        code = access(conf->users.file, R_OK) == 0 ? EX_DATAERR : EX_NOINPUT;
    conf_free(&conf);
    if (!ok)
        return code;
    ok = ctl->json ? list_json(users, &out) : list_table(users, &out);
    users_free(&users);
    return ctl_print(&out, ok);
}
