/* settings.h - the client's configuration: accounts and what is wished for them.
 *
 * ~/.config/restante/config in libconfuse syntax, one typed row per setting (settings_rows.c): parser, "config check",
 * "config show", --help and the manual page come from the rows. All faults are reported at once with file:line.
 * A file that holds a secret must be the user's own and 0600. Does not know: libconfuse (settings_file.c).
 */
#ifndef RESTANTE_CLIENT_SETTINGS_H
#define RESTANTE_CLIENT_SETTINGS_H

#include "base/buf.h"
#include "base/err.h"
#include "client/sink.h"

enum tls_mode {
    TLS_MODE_IMPLICIT,
    TLS_MODE_STLS,
    TLS_MODE_NONE,
    TLS_MODE_AUTO /* implicit, then STLS; never none */
};
enum keep_kind { KEEP_ALL, KEEP_NONE, KEEP_DAYS, KEEP_NEWEST, KEEP_UNTIL };
enum ternary { CHOICE_AUTO, CHOICE_YES, CHOICE_NO };

struct keep {
    enum keep_kind kind;
    uint32_t days;   /* KEEP_DAYS: since the message was first seen */
    uint32_t newest; /* KEEP_NEWEST */
    uint64_t octets; /* KEEP_UNTIL: target = percent of octets: the oldest stored go until the total is below */
    uint32_t percent;
};

struct account {
    char *name;    /* [A-Za-z0-9._-], 1..64, not starting with a dot */
    char *server;  /* host, pop://, pops://, pop3://, pop3s:// URL (RFC 2384), or "" with discover */
    char *host;    /* derived */
    uint16_t port; /* derived: 995, or 110 for STLS and none */
    char *user, *authzid;
    bool user_guessed;     /* derived: user was not set, it is the mail address of discover */
    uint32_t tls;        /* enum tls_mode */
    char *auth;          /* "auto", "user", "apop", or a SASL mechanism name */
    bool plaintext_auth; /* permits passwords without TLS; warned about (R8314-C-05) */
    char *password;      /* in the file: the file must be 0600 */
    char *password_command, *password_file, *token_command;
    bool netrc; /* look into ~/.netrc */
    char *ca_file, *crl_file, *certificate, *key, *tls_min;
    uint32_t verify; /* enum tls_verify of net/tls_client.h: full | pin | off */
    char **pins;
    uint32_t npins;
    char *proxy;                       /* socks5://[user:password@]host:port */
    uint32_t family;                   /* 0 any, 4, 6 */
    char *discover;                    /* mail address or domain for SRV discovery, "" = none */
    char *deliver;                     /* as written */
    enum sink_kind sink;               /* derived */
    char *sink_target;                 /* derived, "~" expanded */
    char *recipient, *sender, *folder; /* folder: below the Maildir, "{account}" expanded, Maildir++ ".name" */
    uint32_t line_ends;                /* 0 lf, 1 as-sent */
    bool received_line, size_fields;
    struct keep keep;      /* default: all */
    uint64_t skip_larger;  /* octets; 0 = no limit */
    uint64_t max_message;  /* octets, default 4 GiB: a server that sends for ever is stopped */
    uint64_t disk_reserve; /* octets that must stay free, default 64 MiB */
    char *filter_command;  /* gets TOP; exit 0 fetch, 1 delete unseen, 2 skip (mpop's codes) */
    uint32_t filter_lines;
    uint32_t interval_s;                          /* --daemon; 0 = default of the file */
    uint32_t connect_s, reply_s, read_s, total_s; /* deadlines (XCL-06); total_s 0 = none */
    uint32_t retries, quarantine_after;
    uint64_t window;              /* octets of messages in flight, default 4 MiB */
    uint32_t checkpoint_messages; /* QUIT and log in again after so many; 0 = never */
    uint32_t drain;               /* enum ternary: further sessions until nothing new comes */
    uint32_t uidl; /* enum ternary: auto = digest identity when the server lacks it; no = always digest */
    uint32_t pipelining, capa; /* enum ternary */
    bool lf_dot_ends, apop_after_stls, one_line_auth;
    uint32_t forget_days, forget_listings; /* grace for vanished unique-ids: 30 days and 5 listings */
    bool enabled;
    uint32_t line; /* where it stands in the file */
};

struct settings {
    char *file, *state_dir; /* state_dir default $XDG_STATE_HOME/restante or ~/.local/state/restante */
    struct account *account;
    uint32_t naccount;
    struct account *defaults;      /* the section of that name: what accounts of the command line begin with */
    uint32_t interval_s, parallel; /* parallel: accounts at a time, default 16 */
    bool holds_secret;
};

/* No accounts, all defaults. */
struct settings *settings_new(void);

/* $XDG_CONFIG_HOME/restante/config or ~/.config/restante/config; the caller's to free. */
char *settings_default_file(void);

/* Reads and checks. False: report holds all faults, "FILE:LINE: account \"work\": keep: …; …". Warnings too. */
bool settings_read(const char *path, struct settings **settings, struct buf *report);
void settings_free(struct settings **settings);
const struct account *settings_find(const struct settings *settings, const char *name);

/* Configuration for one account from the command line: restante fetch --server URL --user U --deliver … */
bool settings_add(struct settings *settings, const char *name, const char *const *pairs, struct buf *report);

bool settings_show(const struct settings *settings, bool only_changed, struct buf *out);
bool settings_describe(bool as_man, struct buf *out);
bool settings_sample(struct buf *out);

bool keep_parse(const char *text, struct keep *keep, struct err *e);
void keep_print(const struct keep *keep, char text[64]);

/* pop://[user[;AUTH=mech]@]host[:port] (RFC 2384) and the forms that curl's users write. */
struct pop_url {
    char host[256], user[256], auth[32];
    uint16_t port;
    bool has_port, has_user, implicit_tls;
};
bool pop_url_parse(const char *text, struct pop_url *url, struct err *e);

#endif
