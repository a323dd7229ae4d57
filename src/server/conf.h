/* conf.h - the server's configuration: what every program of the server knows about its site.
 *
 * Each setting is one row of a table in conf_rows.c: name, type, default, range, reload class, one sentence.
 * Parser, "config check", "config show", the manual page and the text sent to workers come from the rows.
 * A struct conf is immutable once made and swapped whole at a reload. Does not know: libconfuse (conf_file.c).
 */
#ifndef RESTANTE_SERVER_CONF_H
#define RESTANTE_SERVER_CONF_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct strlist {
    char **v;
    uint32_t n;
};

enum conf_tls { CONF_TLS_NONE, CONF_TLS_STLS, CONF_TLS_IMPLICIT };
enum conf_sessions { CONF_EXCLUSIVE, CONF_SHARED, CONF_TAKEOVER };
enum conf_legacy { CONF_AS_IS, CONF_SURROGATE, CONF_REJECT };
enum conf_tls_version { CONF_TLS12, CONF_TLS13 };
enum conf_level { CONF_LOG_ERROR, CONF_LOG_WARNING, CONF_LOG_INFO, CONF_LOG_DEBUG };
enum conf_retr_top { CONF_TOP_COUNTS, CONF_TOP_REFUSED };

struct conf_listen {             /* listen "NAME" { … } */
    char *name;
    struct strlist address;      /* "127.0.0.1:1110", "[::]:995" */
    uint32_t tls;                /* enum conf_tls: none | stls | implicit */
    struct strlist trusted;      /* networks whose clients may send passwords without TLS */
    bool proxy;                  /* expect a PROXY header (v1 or v2) first */
    struct strlist proxy_from;   /* networks that may send one; others are closed */
    bool auth_needs_tls;         /* refuse every login without TLS, SCRAM and trusted networks included */
    uint32_t idle_s;             /* >= 600 (RFC 1939 §3) */
    uint32_t backlog;
};

struct conf_certificate {        /* certificate "NAME" { … }: further certificates chosen by SNI */
    char *name, *certificate, *key;
};

struct conf {
    char *file;                  /* where it was read from */
    char *hostname, *greeting, *implementation; /* implementation "" = not announced */
    struct conf_listen *listen;
    uint32_t nlisten;
    struct {                     /* tls { … } */
        char *certificate, *key; /* "" = no TLS */
        char *client_ca;         /* CA file for client certificates; "" = none are asked for */
        char *client_crl;
        char *ciphers;           /* TLS 1.2 list; "" = our own */
        uint32_t min_version;    /* enum conf_tls_version */
        bool strict_sni, tickets;
        uint32_t handshake_s, reload_s; /* reload_s: how often certificate files are looked at; 0 = never */
    } tls;
    struct conf_certificate *certificate;
    uint32_t ncertificate;
    struct {                     /* mail { … } */
        char *maildrop;          /* template: {user} {local} {domain} {home} */
        char *user, *group;      /* owner for users without a uid; "" = whoever runs the server */
        uint32_t min_uid;        /* smaller uids are refused (never root) */
        uint32_t sessions;       /* enum conf_sessions */
        bool create, move_to_cur, mark_seen, durable;
        uint32_t legacy_utf8;    /* enum conf_legacy */
        uint32_t expire_days;    /* UINT32_MAX ("never"), 0 = remove what was retrieved at QUIT, n days */
        uint32_t lock_wait_ms;
    } mail;
    struct {                     /* users { … } */
        char *file, *default_domain;
        struct strlist masters;  /* may log in for others with an authorization identity */
    } users;
    struct {                     /* auth { … } */
        struct strlist mechanisms; /* empty = every mechanism that all users can use */
        bool apop;
        bool utf8_user, legacy_8bit;
        uint32_t scram_iterations;
        bool throttle;
        struct strlist throttle_exempt;
        uint32_t throttle_max_s, throttle_free; /* failures without delay */
        uint32_t login_delay_s;  /* 0 = off */
        uint32_t timeout_s;
        uint32_t cache_s;        /* 0 = each password is hashed each time */
    } auth;
    struct {                     /* pop3 { … } */
        uint32_t bad_commands_before_login, bad_commands, login_tries;
        bool utf8_late, top_adds_eoh, nul_as_80;
        char *language;
        uint32_t top_when_expire_0; /* enum conf_retr_top */
    } pop3;
    struct {                     /* limits { … } */
        uint32_t connections, connections_per_address, connections_per_user, not_logged_in;
        uint32_t drain_s;        /* how long a stop waits for commands that run */
    } limits;
    struct {                     /* workers { … } */
        uint32_t fronts, hashers; /* 0 = by the number of cores */
        char *front_user, *auth_user, *chroot;
    } workers;
    struct {                     /* log { … } */
        uint32_t level;          /* enum conf_level */
    } log;
};

/* Reads and checks a file (conf_file.c; the only user of libconfuse). All faults of the file are reported,
 * one per line "FILE:LINE: what is wrong; what to do" appended to report; false when there was any. */
bool conf_read(const char *path, struct conf **conf, struct buf *report);

/* Text form for workers: lines "section.name=value" with escapes; conf_parse_text is its strict inverse. */
bool conf_put_text(const struct conf *conf, struct buf *out);
bool conf_parse_text(struct span text, struct conf **conf, struct err *e);

/* "config show": every setting with its value, in configuration syntax; defaults: only defaults. */
bool conf_show(const struct conf *conf, bool only_changed, struct buf *out);

/* A table of all settings for --help and the manual page: "section.name TYPE default sentence". */
bool conf_describe(bool as_man, struct buf *out);

struct conf *conf_defaults(void);
void conf_free(struct conf **conf);

/* Expands a maildrop template. user is "local@domain" or "local". False (FAULT_BAD) when a part is unsafe:
 * empty, ".", "..", contains "/" or NUL, or longer than 255 octets; {domain} without one uses
 * default_domain. home may be NULL. */
bool conf_maildrop(const char *templ, struct span user, const char *default_domain, const char *home,
                   struct buf *path, struct err *e);

#endif
