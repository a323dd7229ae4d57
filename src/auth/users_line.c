/* users_line.c - the grammar of one account's line and of its extra fields: see users_line.h. */
#include "auth/users_line.h"

#include "auth/password.h"
#include "base/num.h"

#include <pwd.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>

static void report(struct users_report *r, const char *kind, const char *fmt, va_list ap)
{
    char text[400];

    vsnprintf(text, sizeof text, fmt, ap);
    if (r->out && !buf_printf(r->out, "%s:%u: %s%s\n", r->path, (unsigned)r->line, kind, text))
        r->out = NULL; /* full: what is there suffices to begin with */
}

void users_error(struct users_report *r, const char *fmt, ...)
{
    va_list ap;

    r->failed = true;
    va_start(ap, fmt);
    report(r, "", fmt, ap);
    va_end(ap);
}

void users_warn(struct users_report *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report(r, "warning: ", fmt, ap);
    va_end(ap);
}

size_t users_line_split(struct span line, struct span fields[USERS_FIELDS])
{
    size_t n = 0;
    bool more = true;

    memset(fields, 0, USERS_FIELDS * sizeof *fields);
    while (n < UF_EXTRA && more) {
        more = line.n && memchr(line.p, ':', line.n);
        fields[n++] = span_until(&line, ':');
    }
    if (more)
        fields[n++] = line;
    return n;
}

static bool blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

bool users_line_empty(struct span line)
{
    for (size_t i = 0; i < line.n; i++)
        if (!blank(line.p[i]))
            return line.p[0] == '#';
    return true;
}

struct span users_line_word(struct span *extra)
{
    size_t n = 0;

    while (extra->n && blank(extra->p[0]))
        span_take(extra, 1);
    while (n < extra->n && !blank(extra->p[n]))
        n++;
    return span_take(extra, n);
}

/* Makes the span a C string where it lies: the octet behind it is a separator or the line's end. */
static const char *cut(struct span s)
{
    char *p = (char *)s.p;

    p[s.n] = '\0';
    return p;
}

/* "", a number, or the name of one of the system's users or groups. */
static bool take_id(struct span s, bool group, uint32_t *id)
{
    struct passwd pw, *user = NULL;
    struct group gr, *grp = NULL;
    char name[64], room[4096];
    uint64_t v;

    if (s.n == 0)
        return true;
    if (num_all_u64(s, &v)) {
        *id = (uint32_t)v;
        return v < UINT32_MAX;
    }
    if (s.n >= sizeof name)
        return false;
    memcpy(name, s.p, s.n);
    name[s.n] = '\0';
    if (group) {
        if (getgrnam_r(name, &gr, room, sizeof room, &grp) != 0 || !grp)
            return false;
        *id = grp->gr_gid;
        return true;
    }
    if (getpwnam_r(name, &pw, room, sizeof room, &user) != 0 || !user)
        return false;
    *id = user->pw_uid;
    return true;
}

static bool path_sane(const char *path)
{
    return path[0] == '/' && !strstr(path, "/../") && !(strlen(path) >= 3 &&
           strcmp(path + strlen(path) - 3, "/..") == 0);
}

/* "maildir:PATH[:OPTIONS]": the path; an INBOX= among the options names another one (Dovecot's mail setting). */
static void take_mail(struct span value, struct users_entry *entry, struct users_report *r)
{
    struct span path;

    if (value.n < 8 || memcmp(value.p, "maildir:", 8) != 0) {
        users_error(r, "mail must be maildir:PATH; other formats are not served");
        return;
    }
    span_take(&value, 8);
    path = span_until(&value, ':');
    while (value.n) {
        struct span option = span_until(&value, ':');

        if (option.n > 6 && memcmp(option.p, "INBOX=", 6) == 0)
            path = span_of(option.p + 6, option.n - 6);
    }
    entry->mail = cut(path);
    if (memchr(path.p, '%', path.n))
        users_error(r, "mail holds a Dovecot variable (%%…); write the path out, or use mail.maildrop");
    else if (!path_sane(entry->mail) && strncmp(entry->mail, "~/", 2) != 0)
        users_error(r, "mail must be an absolute path without \"..\", or begin with ~/");
}

/* A switch alone is on; with a value it is what the value says. */
static bool is_on(struct span value, bool has_value)
{
    return !has_value || !(span_iis(value, "n") || span_iis(value, "no") || span_iis(value, "false") ||
                           span_is(value, "0"));
}

static void take_number(struct span value, uint32_t *dst, const char *what, struct users_report *r)
{
    uint64_t v;

    if (num_all_u64(value, &v) && v < USERS_NUMBER_NONE)
        *dst = (uint32_t)v;
    else
        users_error(r, "%s must be a number", what);
}

static void take_scram(struct span value, enum scram_hash hash, struct users_entry *entry,
                       struct users_report *r)
{
    struct scram_keys keys;

    if (scram_keys_parse(value, hash, &keys))
        entry->scram[hash] = cut(value);
    else
        users_error(r, "the SCRAM keys are malformed; make them anew by setting the password");
    explicit_bzero(&keys, sizeof keys);
}

static void take_nets(struct span value, struct users_entry *entry, struct users_report *r)
{
    entry->allow_nets = cut(value);
    while (value.n) {
        struct span net = span_until(&value, ',');
        struct net_block block;
        char text[NET_ADDR_TEXT];

        if (net.n == 0 || net.n >= sizeof text) {
            users_error(r, "allow_nets holds no network: write 192.0.2.0/24,2001:db8::/32");
            return;
        }
        memcpy(text, net.p, net.n);
        text[net.n] = '\0';
        if (!net_block_parse(text, &block))
            users_error(r, "allow_nets: \"%.40s\" is no network; write 192.0.2.0/24 or ::1", text);
    }
}

/* An address of the certificate, or the SHA-256 of the whole certificate. */
static void take_cert(struct span value, struct users_entry *entry, struct users_report *r)
{
    uint8_t digest[32];

    if (value.n > 7 && memcmp(value.p, "sha256:", 7) == 0) {
        if (!hex_get(span_of(value.p + 7, value.n - 7), digest, sizeof digest))
            users_error(r, "cert=sha256: must be followed by 64 hexadecimal digits");
        else
            hex_put((uint8_t *)value.p + 7, span_of(digest, sizeof digest)); /* lower case */
    } else if (!value.n || !memchr(value.p, '@', value.n)) {
        users_error(r, "cert must be an address of the certificate (user@example.org) or sha256:DIGITS");
    }
    entry->cert = cut(value);
}

enum extra_kind { X_FLAG, X_MAIL, X_SCRAM256, X_SCRAM1, X_EXPIRE, X_DELAY, X_NETS, X_CERT, X_UID, X_GID,
                  X_HOME, X_NOPASSWORD, X_IGNORED };

static const struct extra {
    const char *name;
    enum extra_kind kind;
    unsigned flag;
} extras[] = {
    { "require_tls", X_FLAG, USERS_REQUIRE_TLS },
    { "disabled", X_FLAG, USERS_DISABLED },
    { "nologin", X_FLAG, USERS_DISABLED },
    { "read_only", X_FLAG, USERS_READ_ONLY },
    { "apop", X_FLAG, USERS_APOP },
    { "raw_password", X_FLAG, USERS_RAW_PASSWORD },
    { "mail", X_MAIL, 0 },
    { "userdb_mail", X_MAIL, 0 },
    { "scram-sha-256", X_SCRAM256, 0 },
    { "scram-sha-1", X_SCRAM1, 0 },
    { "expire", X_EXPIRE, 0 },
    { "login_delay", X_DELAY, 0 },
    { "allow_nets", X_NETS, 0 },
    { "cert", X_CERT, 0 },
    { "userdb_uid", X_UID, 0 },
    { "userdb_gid", X_GID, 0 },
    { "userdb_home", X_HOME, 0 },
    { "nopassword", X_NOPASSWORD, 0 },
    { "nodelay", X_IGNORED, 0 },
    { "userdb_quota_rule", X_IGNORED, 0 },
};

static void unknown(struct span name, struct users_report *r)
{
    for (uint32_t i = 0; i < r->nunknown; i++)
        if (span_eq(r->unknown[i], name))
            return;
    if (r->nunknown == USERS_UNKNOWN)
        return;
    r->unknown[r->nunknown++] = name;
    users_warn(r, "extra field \"%.*s\" means nothing here and is ignored", (int)(name.n < 40 ? name.n : 40),
               (const char *)name.p);
}

static void take_extra(const struct extra *x, struct span value, bool has_value, struct users_entry *entry,
                       struct users_report *r)
{
    switch (x->kind) {
    case X_FLAG:
        entry->flags = is_on(value, has_value) ? entry->flags | x->flag : entry->flags & ~x->flag;
        break;
    case X_MAIL:
        take_mail(value, entry, r);
        break;
    case X_SCRAM256:
    case X_SCRAM1:
        take_scram(value, x->kind == X_SCRAM256 ? SCRAM_SHA_256 : SCRAM_SHA_1, entry, r);
        break;
    case X_EXPIRE:
        take_number(value, &entry->expire_days, "expire", r);
        break;
    case X_DELAY:
        take_number(value, &entry->login_delay_s, "login_delay", r);
        break;
    case X_NETS:
        take_nets(value, entry, r);
        break;
    case X_CERT:
        take_cert(value, entry, r);
        break;
    case X_UID:
    case X_GID:
        if (!take_id(value, x->kind == X_GID, x->kind == X_GID ? &entry->gid : &entry->uid))
            users_error(r, "%s is neither a number nor known to this system", x->name);
        break;
    case X_HOME:
        entry->home = cut(value);
        break;
    case X_NOPASSWORD: /* a login without a password does not exist here */
        if (is_on(value, has_value)) {
            entry->flags |= USERS_DISABLED;
            users_warn(r, "nopassword is not supported: the account is disabled; give it a password");
        }
        break;
    default:
        break;
    }
}

static void take_extras(struct span extra, struct users_entry *entry, struct users_report *r)
{
    for (;;) {
        struct span word = users_line_word(&extra), value, name;
        bool has_value = word.n && memchr(word.p, '=', word.n), found = false;

        if (word.n == 0)
            return;
        if (extra.n)
            span_take(&extra, 1); /* the blank behind it may become a NUL now */
        value = word;
        name = span_until(&value, '=');
        for (size_t i = 0; i < sizeof extras / sizeof extras[0] && !found; i++)
            if (span_is(name, extras[i].name)) {
                take_extra(&extras[i], value, has_value, entry, r);
                found = true;
            }
        if (!found)
            unknown(name, r);
    }
}

static void check_password(struct users_entry *entry, struct users_report *r)
{
    struct span rest;
    struct err e;

    if (!entry->password) {
        if ((entry->flags & USERS_APOP) && !(entry->flags & USERS_DISABLED))
            users_error(r, "APOP needs the password itself: write {PLAIN}secret");
        return;
    }
    if ((entry->flags & USERS_APOP) && password_scheme_of(span_str(entry->password), &rest) != PASSWORD_PLAIN)
        users_error(r, "APOP needs the password itself: write {PLAIN}secret, or remove \"apop\"");
    if (!password_usable(span_str(entry->password), &e)) {
        entry->broken_password = true;
        users_warn(r, "%s; nobody can log in with it: set a new one", e.text);
    }
}

bool users_line_parse(char *line, size_t n, struct users_entry *entry, struct users_report *r)
{
    struct span fields[USERS_FIELDS];
    bool failed = r->failed;
    size_t count;

    users_entry_init(entry);
    entry->line = r->line;
    r->failed = false;
    if (n > USERS_LINE_MAX || memchr(line, '\0', n)) {
        users_error(r, n > USERS_LINE_MAX ? "the line is longer than 16384 octets" : "the line holds a NUL");
        return false;
    }
    count = users_line_split(span_of(line, n), fields);
    if (count < 2)
        users_error(r, "no colon: an account is name:{SCHEME}hash:uid:gid:gecos:home:shell:extra");
    if (fields[UF_NAME].n == 0)
        users_error(r, "the name is empty");
    if (fields[UF_NAME].n > 255)
        users_error(r, "the name is longer than 255 octets");
    if (!take_id(fields[UF_UID], false, &entry->uid) || !take_id(fields[UF_GID], true, &entry->gid))
        users_error(r, "uid or gid is neither a number nor known to this system");
    entry->name = cut(fields[UF_NAME]);
    if (fields[UF_PASSWORD].n)
        entry->password = cut(fields[UF_PASSWORD]);
    if (fields[UF_HOME].n)
        entry->home = cut(fields[UF_HOME]);
    take_extras(fields[UF_EXTRA], entry, r);
    if (entry->home && entry->home[0] && entry->home[0] != '/')
        users_error(r, "home must be an absolute path");
    if (!r->failed)
        check_password(entry, r);
    count = r->failed;
    r->failed = failed || count;
    return !count;
}
