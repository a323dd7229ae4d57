/* conf_rows.c - the table of settings: one row each, and the row is the only truth.
 *
 * Parser, "config check", "config show", --help, the manual page, the sample file and the text for workers
 * derive from it. A new setting is a field in struct conf and a row here. Table only.
 * Does not know: how values are parsed (conf_value.c), what they mean together (conf_check.c).
 */
#include "server/conf/conf_rows.h"

static const char *const tls_words[] = { "none", "stls", "implicit", NULL };
static const char *const tls_min_words[] = { "1.2", "1.3", NULL };
static const char *const sessions_words[] = { "exclusive", "shared", "takeover", NULL };
static const char *const legacy_words[] = { "as-is", "surrogate", "reject", NULL };
static const char *const level_words[] = { "error", "warning", "info", "debug", NULL };
static const char *const top_words[] = { "counts", "refused", NULL };

const struct conf_section conf_sections[] = {
    {"",             false, "Settings outside of sections"                                                 },
    { "listen",      true,  "A door: addresses and what is spoken there; one section for each kind of door"},
    { "tls",         false, "TLS for all doors"                                                            },
    { "certificate", true,  "A further certificate, chosen when the client names one of its hosts (SNI)"   },
    { "mail",        false, "Where maildrops are and how sessions treat them"                              },
    { "users",       false, "Who may log in"                                                               },
    { "auth",        false, "How logins are checked and slowed down"                                       },
    { "pop3",        false, "The protocol, and quirks for odd clients"                                     },
    { "limits",      false, "Bounds that keep a flood from becoming an outage"                             },
    { "workers",     false, "The processes of the server"                                                  },
    { "log",         false, "The log"                                                                      },
};
const size_t conf_sections_n = sizeof conf_sections / sizeof *conf_sections;

/* clang-format off */
/* One line per row, so that the table reads as one: the columns are
 * section, name, reload, offset, default (with range or words), sentence. */
#define TOP(field)  offsetof(struct conf, field)
#define LIS(field)  offsetof(struct conf_listen, field)
#define CER(field)  offsetof(struct conf_certificate, field)
#define TEXT(s, n, r, o, d, sentence)            { s, n, ROW_TEXT, r, o, d, 0, 0, NULL, sentence }
#define PATH(s, n, r, o, d, sentence)            { s, n, ROW_PATH, r, o, d, 0, 0, NULL, sentence }
#define LIST(s, n, r, o, d, sentence)            { s, n, ROW_LIST, r, o, d, 0, 0, NULL, sentence }
#define FLAG(s, n, r, o, d, sentence)            { s, n, ROW_FLAG, r, o, d, 0, 0, NULL, sentence }
#define WORD(s, n, r, o, d, words, sentence)     { s, n, ROW_WORD, r, o, d, 0, 0, words, sentence }
#define NUM(s, n, r, o, d, min, max, sentence)   { s, n, ROW_NUMBER, r, o, d, min, max, NULL, sentence }
#define TIME(s, n, r, o, d, min, max, sentence)  { s, n, ROW_TIME, r, o, d, min, max, NULL, sentence }
#define TIMEMS(s, n, r, o, d, min, max, sentence) \
    { s, n, ROW_TIME_MS, r, o, d, min, max, NULL, sentence }
#define DAYS(s, n, r, o, d, min, max, sentence)  { s, n, ROW_DAYS, r, o, d, min, max, NULL, sentence }
#define LIVE ROW_LIVE
#define START ROW_RESTART

enum { DAY = 86400, CORES = 1024 };

const struct conf_row conf_rows[] = {
    TEXT("", "hostname", LIVE, TOP(hostname), "",
         "name of this server in greetings and APOP timestamps; empty = the system's own name"),
    TEXT("", "greeting", LIVE, TOP(greeting), "",
         "text of the greeting after \"+OK \"; empty = the host name and \"POP3 server ready\""),
    TEXT("", "implementation", LIVE, TOP(implementation), "Restante",
         "text that CAPA announces as IMPLEMENTATION (no version); empty = nothing"),

    LIST("listen", "address", START, LIS(address), "",
         "addresses and ports to listen on, such as \"[::]:995\" or \"192.0.2.1:110\""),
    WORD("listen", "tls", LIVE, LIS(tls), "stls", tls_words,
         "TLS at this door: from the first octet (implicit), on request (stls) or none"),
    LIST("listen", "trusted", LIVE, LIS(trusted), "127.0.0.0/8 ::1",
         "networks whose clients may send passwords without TLS"),
    FLAG("listen", "proxy", LIVE, LIS(proxy), "no",
         "expect a PROXY header, version 1 or 2, before anything else"),
    LIST("listen", "proxy_from", LIVE, LIS(proxy_from), "",
         "networks that may send a PROXY header; connections of others are closed"),
    FLAG("listen", "auth_needs_tls", LIVE, LIS(auth_needs_tls), "no",
         "refuse every login without TLS, those from trusted networks and SCRAM included"),
    TIME("listen", "idle", LIVE, LIS(idle_s), "10m", 600, DAY,
         "how long a silent session lives; RFC 1939 asks for at least 10 minutes"),
    NUM("listen", "backlog", START, LIS(backlog), "1024", 1, 65535,
        "connections that the system queues until a front takes them"),

    PATH("tls", "certificate", LIVE, TOP(tls.certificate), "",
         "certificate chain in PEM, the server's own first; empty = no TLS"),
    PATH("tls", "key", LIVE, TOP(tls.key), "",
         "private key of the certificate in PEM"),
    PATH("tls", "client_ca", LIVE, TOP(tls.client_ca), "",
         "CA certificates in PEM; when set, clients are asked for a certificate (AUTH EXTERNAL)"),
    PATH("tls", "client_crl", LIVE, TOP(tls.client_crl), "",
         "revocation list in PEM for client certificates"),
    TEXT("tls", "ciphers", LIVE, TOP(tls.ciphers), "",
         "OpenSSL cipher list for TLS 1.2; empty = only suites with forward secrecy and AEAD"),
    WORD("tls", "min", LIVE, TOP(tls.min_version), "1.2", tls_min_words,
         "oldest TLS version that is spoken"),
    FLAG("tls", "strict_sni", LIVE, TOP(tls.strict_sni), "no",
         "end the handshake when a client names a host without a certificate, instead of showing ours"),
    FLAG("tls", "tickets", LIVE, TOP(tls.tickets), "yes",
         "session tickets: clients that poll often resume without a full handshake"),
    TIME("tls", "handshake", LIVE, TOP(tls.handshake_s), "30s", 1, 600,
         "how long a handshake may take"),
    TIME("tls", "reload", LIVE, TOP(tls.reload_s), "60s", 0, DAY,
         "how often certificate files are looked at for renewal; 0 = only at SIGHUP"),

    PATH("certificate", "certificate", LIVE, CER(certificate), "",
         "certificate chain in PEM"),
    PATH("certificate", "key", LIVE, CER(key), "",
         "private key of this certificate in PEM"),

    TEXT("mail", "maildrop", LIVE, TOP(mail.maildrop), "{home}/Maildir",
         "path of a user's Maildir, made of text and {user}, {local}, {domain}, {home}"),
    TEXT("mail", "user", START, TOP(mail.user), "",
         "system user that owns the mail of users without a uid; empty = whoever runs the server"),
    TEXT("mail", "group", START, TOP(mail.group), "",
         "system group for the same; empty = the group of that user"),
    NUM("mail", "min_uid", START, TOP(mail.min_uid), "100", 1, UINT32_MAX - 1,
        "smallest uid whose mail is served; root's never is"),
    WORD("mail", "sessions", LIVE, TOP(mail.sessions), "exclusive", sessions_words,
         "second session on a maildrop: refused (exclusive), side by side (shared), ends the first (takeover)"),
    FLAG("mail", "create", LIVE, TOP(mail.create), "yes",
         "make a missing Maildir at the first login or delivery"),
    FLAG("mail", "move_to_cur", LIVE, TOP(mail.move_to_cur), "yes",
         "move messages from new/ to cur/ at login, so that other mail programs see them as not new"),
    FLAG("mail", "mark_seen", LIVE, TOP(mail.mark_seen), "no",
         "give messages that were retrieved the flag S (seen) at QUIT"),
    FLAG("mail", "durable", LIVE, TOP(mail.durable), "yes",
         "sync deletions to the disk before QUIT is answered"),
    WORD("mail", "legacy_utf8", LIVE, TOP(mail.legacy_utf8), "as-is", legacy_words,
         "messages with UTF-8 headers, to clients that did not ask for UTF8: as they are, "
         "as an ASCII surrogate (RFC 6858), or refused (RFC 6856)"),
    DAYS("mail", "expire", LIVE, TOP(mail.expire_days), "never", 0, 36500,
         "remove messages older than this at login; 0 = remove what was retrieved at QUIT"),
    TIMEMS("mail", "lock_wait", LIVE, TOP(mail.lock_wait_ms), "1s", 0, 60000,
           "how long a login waits for a maildrop that is in use before it is refused"),

    PATH("users", "file", LIVE, TOP(users.file), "users",
         "users file: lines user:{SCHEME}hash:uid:gid::home::extra"),
    TEXT("users", "default_domain", LIVE, TOP(users.default_domain), "",
         "domain of users that log in without one"),
    LIST("users", "masters", LIVE, TOP(users.masters), "",
         "users that may log in for others (authorization identity of PLAIN and SCRAM)"),

    LIST("auth", "mechanisms", LIVE, TOP(auth.mechanisms), "",
         "SASL mechanisms to offer; empty = all that some user's password record can serve"),
    FLAG("auth", "apop", LIVE, TOP(auth.apop), "no",
         "offer APOP, which needs passwords stored in clear and is weak; for very old clients"),
    FLAG("auth", "utf8_user", LIVE, TOP(auth.utf8_user), "yes",
         "take user names and passwords in UTF-8 (RFC 6856)"),
    FLAG("auth", "legacy_8bit", LIVE, TOP(auth.legacy_8bit), "no",
         "take octets that are no UTF-8 in user names and passwords as ISO 8859-1"),
    NUM("auth", "scram_iterations", LIVE, TOP(auth.scram_iterations), "15000", 4096, 10000000,
        "work factor of SCRAM passwords that are made from now on"),
    FLAG("auth", "throttle", LIVE, TOP(auth.throttle), "yes",
         "answer failed logins ever more slowly, by address and by user"),
    LIST("auth", "throttle_exempt", LIVE, TOP(auth.throttle_exempt), "",
         "networks that are never slowed down, such as a webmail host"),
    TIME("auth", "throttle_max", LIVE, TOP(auth.throttle_max_s), "15s", 1, 300,
         "longest delay of an answer"),
    NUM("auth", "throttle_free", LIVE, TOP(auth.throttle_free), "2", 0, 1000,
        "failures without any delay"),
    TIME("auth", "login_delay", LIVE, TOP(auth.login_delay_s), "0", 0, DAY,
         "shortest time between two logins of a user (LOGIN-DELAY); 0 = any"),
    TIME("auth", "timeout", LIVE, TOP(auth.timeout_s), "10s", 1, 300,
         "how long the check of a password may take"),
    TIME("auth", "cache", LIVE, TOP(auth.cache_s), "5m", 0, DAY,
         "how long a password that was right is not hashed again; a changed record counts at once; 0 = never"),

    NUM("pop3", "login_tries", LIVE, TOP(pop3.login_tries), "5", 1, 100,
        "failed logins, then the connection is closed"),
    NUM("pop3", "bad_commands_before_login", LIVE, TOP(pop3.bad_commands_before_login), "10", 1, 10000,
        "bad commands in a row before login, then the connection is closed"),
    NUM("pop3", "bad_commands", LIVE, TOP(pop3.bad_commands), "50", 1, 10000,
        "the same after login"),
    FLAG("pop3", "utf8_late", LIVE, TOP(pop3.utf8_late), "yes",
         "take the command UTF8 after login too, as Outlook sends it"),
    FLAG("pop3", "top_adds_eoh", LIVE, TOP(pop3.top_adds_eoh), "no",
         "quirk for Outlook Express: TOP ends a header that has no blank line with one"),
    FLAG("pop3", "nul_as_80", LIVE, TOP(pop3.nul_as_80), "no",
         "quirk for old Outlook: send NUL octets as octet 0x80"),
    TEXT("pop3", "language", LIVE, TOP(pop3.language), "en",
         "what a client gets that leaves the choice to us (LANG *); without LANG texts are English"),
    WORD("pop3", "top_when_expire_0", LIVE, TOP(pop3.top_when_expire_0), "counts", top_words,
         "where retrieved messages are removed at QUIT: TOP of a whole message counts as RETR, or is refused"),

    NUM("limits", "connections", LIVE, TOP(limits.connections), "20000", 1, 10000000,
        "connections in all; more are closed at once"),
    NUM("limits", "connections_per_address", LIVE, TOP(limits.connections_per_address), "0", 0, 1000000,
        "connections of one address; 0 = any number, for offices and providers share addresses"),
    NUM("limits", "connections_per_user", LIVE, TOP(limits.connections_per_user), "0", 0, 1000000,
        "sessions of one user; 0 = any number (mail.sessions decides)"),
    NUM("limits", "not_logged_in", LIVE, TOP(limits.not_logged_in), "2000", 1, 10000000,
        "connections before login; when there are more, the oldest are closed"),
    TIME("limits", "drain", LIVE, TOP(limits.drain_s), "30s", 0, 3600,
         "how long a stop waits for commands that are running"),

    NUM("workers", "fronts", START, TOP(workers.fronts), "0", 0, CORES,
        "front processes; 0 = one per core"),
    NUM("workers", "hashers", START, TOP(workers.hashers), "0", 0, CORES,
        "password hashing processes; 0 = half the cores, at least one"),
    TEXT("workers", "front_user", START, TOP(workers.front_user), "restante-front",
         "system user of fronts; used only when started as root"),
    TEXT("workers", "auth_user", START, TOP(workers.auth_user), "restante-auth",
         "system user of the auth worker and the hashers; used only when started as root"),
    PATH("workers", "chroot", START, TOP(workers.chroot), "/run/restante/empty",
         "empty folder, root of workers that need no files; used only when started as root"),

    WORD("log", "level", LIVE, TOP(log.level), "info", level_words,
         "least important events that are logged"),
};
/* clang-format on */
const size_t conf_rows_n = sizeof conf_rows / sizeof *conf_rows;

const struct conf_row *conf_row_find(const char *section, const char *name)
{
    for (size_t i = 0; i < conf_rows_n; i++)
        if (strcmp(conf_rows[i].section, section) == 0 && strcmp(conf_rows[i].name, name) == 0)
            return &conf_rows[i];
    return NULL;
}

const struct conf_section *conf_section_find(const char *name)
{
    for (size_t i = 0; i < conf_sections_n; i++)
        if (strcmp(conf_sections[i].name, name) == 0)
            return &conf_sections[i];
    return NULL;
}
