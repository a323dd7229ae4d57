/* settings_rows.c - the table of the client's settings: one row each, and the row is the only truth.
 *
 * Parser, "config check", "config show", "config describe", the manual page and the example derive from it. A new
 * setting is a field in struct account and a row here. Table only.
 * Does not know: how values are parsed (settings_value.c), what they mean together (settings_check.c).
 */
#include "client/settings_rows.h"

static const char *const tls_words[] = { "implicit", "stls", "none", "auto", NULL };
static const char *const tls_min_words[] = { "1.2", "1.3", NULL };
static const char *const verify_words[] = { "full", "pin", "off", NULL };
static const char *const family_words[] = { "any", "", "", "", "4", "", "6", NULL };
static const char *const line_words[] = { "lf", "as-sent", NULL };
static const char *const ternary_words[] = { "auto", "yes", "no", NULL };

const struct conf_section settings_sections[SETTINGS_SECTIONS] = {
    {"",          false, "Settings outside of sections"                                                     },
    { "defaults", false, "What holds for all accounts that do not say otherwise; the same settings as there"},
    { "account",  true,  "A mailbox on a server, and what becomes of its mail"                              },
};

/* clang-format off */
/* One entry per row, so that the table reads as one: name, alias, field, default (with range or words), sentence. */
#define A(field) offsetof(struct account, field)
#define T(field) offsetof(struct settings, field)
#define TEXT(n, f, d, sentence)            { n, #f, d, sentence, NULL, A(f), 0, 0, SETTING_TEXT, false }
#define SECRET(n, f, d, sentence)          { n, #f, d, sentence, NULL, A(f), 0, 0, SETTING_TEXT, true }
#define PATH(n, f, d, sentence)            { n, #f, d, sentence, NULL, A(f), 0, 0, SETTING_PATH, false }
#define CHOICE(n, f, d, words, sentence)   { n, #f, d, sentence, words, A(f), 0, 0, SETTING_CHOICE, false }
#define WORD(n, f, d, words, sentence)     { n, #f, d, sentence, words, A(f), 0, 0, SETTING_WORD, false }
#define FLAG(n, f, d, sentence)            { n, #f, d, sentence, NULL, A(f), 0, 0, SETTING_FLAG, false }
#define NUM(n, f, d, lo, hi, sentence)     { n, #f, d, sentence, NULL, A(f), lo, hi, SETTING_NUMBER, false }
#define SIZE(n, f, d, lo, hi, sentence)    { n, #f, d, sentence, NULL, A(f), lo, hi, SETTING_SIZE, false }
#define DAYS(n, f, d, lo, hi, sentence)    { n, #f, d, sentence, NULL, A(f), lo, hi, SETTING_DAYS, false }
#define TIME(n, a, f, d, lo, hi, sentence) { n, a, d, sentence, NULL, A(f), lo, hi, SETTING_TIME, false }
#define END                                { NULL, NULL, NULL, NULL, NULL, 0, 0, 0, SETTING_TEXT, false }

#define KILO 1024ull
#define MEGA (1024 * KILO)
#define TERA (1024 * 1024 * MEGA)
enum { MINUTE = 60, DAY = 86400 };

const struct setting_row setting_top_rows[] = {
    { "interval", "interval", "5m", "pause between two rounds of --daemon",
      NULL, T(interval_s), 10, 30 * DAY, SETTING_TIME, false },
    { "parallel", "parallel", "16", "accounts that are fetched at the same time",
      NULL, T(parallel), 1, 1000, SETTING_NUMBER, false },
    { "state-dir", "state_dir", "", "folder of the journals; empty = $XDG_STATE_HOME/restante or "
      "~/.local/state/restante", NULL, T(state_dir), 0, 0, SETTING_PATH, false },
    END
};

const struct setting_row setting_account_rows[] = {
    TEXT("server", server, "",
         "host, host:port or URL (pops://host, pop://user;AUTH=mech@host:port)"),
    TEXT("discover", discover, "",
         "mail address or domain whose servers are looked up in DNS (RFC 6186), instead of server; see SERVERS"),
    TEXT("user", user, "",
         "name to log in with; empty = the mail address of discover, and if it is refused, once, what stands before its @"),
    TEXT("authzid", authzid, "",
         "name of the mailbox when it is another's; empty = the user's own"),
    SECRET("password", password, "",
         "password; the file must then be readable for its owner alone"),
    TEXT("password-command", password_command, "",
         "command for /bin/sh whose first line of output is the password"),
    PATH("password-file", password_file, "",
         "file whose first line is the password; readable for its owner alone"),
    TEXT("token-command", token_command, "",
         "command that prints an OAuth 2.0 access token, for OAUTHBEARER and XOAUTH2"),
    FLAG("netrc", netrc, "no",
         "look for the password in ~/.netrc"),

    WORD("tls", tls, "auto", tls_words,
         "TLS from the first octet (implicit), by STLS, whichever of them works (auto), or none"),
    CHOICE("tls-min", tls_min, "1.2", tls_min_words,
         "oldest TLS version that is spoken"),
    WORD("verify", verify, "full", verify_words,
         "what makes a server trustworthy: its certificate and name (full), a pin alone (pin), nothing (off); off "
         "sends no token, and a password in clear text with plaintext-auth alone"),
    { "pin", "pins", "", "SHA-256 of the server's public key, \"sha256//...\" as probe shows it; one of them must match",
      NULL, A(pins), 0, 0, SETTING_PINS, false },
    PATH("ca-file", ca_file, "",
         "CA certificates in PEM; empty = the system's"),
    PATH("crl-file", crl_file, "",
         "revocation list in PEM"),
    PATH("certificate", certificate, "",
         "certificate to show to this server when it asks, in PEM"),
    PATH("key", key, "",
         "private key of the certificate in PEM"),
    TEXT("auth", auth, "auto",
         "auto, user (USER and PASS), apop, or the name of one SASL mechanism; apop and CRAM-MD5 are never chosen by "
         "themselves"),
    FLAG("plaintext-auth", plaintext_auth, "no",
         "send the password even without TLS, for everybody on the way to read, or with verify = off, to whoever poses "
         "as the server"),
    SECRET("proxy", proxy, "",
         "socks5://[user:password@]host[:port]"),
    WORD("family", family, "any", family_words,
         "IP version: 4, 6 or any"),

    TEXT("deliver", deliver, "",
         "where mail goes: maildir:PATH, mbox:PATH, lmtp:HOST:PORT, lmtp:/SOCKET or command:LINE"),
    TEXT("folder", folder, "",
         "folder inside the Maildir; {account} stands for the account's name"),
    TEXT("recipient", recipient, "",
         "envelope recipient for LMTP and commands"),
    TEXT("sender", sender, "",
         "envelope sender for the same"),
    WORD("line-ends", line_ends, "lf", line_words,
         "line ends of what is stored: LF, or CRLF as sent"),
    FLAG("received-line", received_line, "no",
         "put one Received: line in front of each message"),
    FLAG("size-fields", size_fields, "yes",
         "put the sizes into names of Maildir files (S= and W=)"),

    { "keep", "keep", "all", "what stays on the server: all, none, \"14d\", \"newest 500\" or \"until 80% of 2G\"",
      NULL, A(keep), 0, 0, SETTING_KEEP, false },
    SIZE("skip-larger", skip_larger, "0", 0, TERA,
         "leave larger messages on the server, unread; 0 = none"),
    SIZE("max-message", max_message, "4G", 1024, TERA,
         "end of a message that never ends"),
    SIZE("disk-reserve", disk_reserve, "64M", 0, TERA,
         "free disk space that must remain"),
    TEXT("filter-command", filter_command, "",
         "command that gets the header of a new message: exit 0 fetch, 1 delete unseen, 2 leave there"),
    NUM("filter-lines", filter_lines, "0", 0, 1000000,
         "lines of the body that the filter gets besides"),

    TIME("interval", "interval_s", interval_s, "0", 0, 30 * DAY,
         "pause between two rounds of --daemon; 0 = the one that holds for all"),
    TIME("connect-timeout", "connect_timeout", connect_s, "30s", 1, 3600,
         "how long connecting may take"),
    TIME("reply-timeout", "reply_timeout", reply_s, "5m", 1, DAY,
         "how long a reply may take"),
    TIME("read-timeout", "read_timeout", read_s, "5m", 1, DAY,
         "how long the server may pause inside a reply"),
    TIME("total-timeout", "total_timeout", total_s, "0", 0, 30 * DAY,
         "how long a whole run of this account may take; 0 = as long as it goes on"),
    NUM("retries", retries, "3", 0, 1000,
         "new connections after a broken one, in the same run"),
    NUM("quarantine-after", quarantine_after, "3", 1, 1000,
         "failures after which a message is left alone, so that it does not block the others"),
    SIZE("window", window, "4M", 64 * KILO, 1024 * MEGA,
         "octets of messages asked for ahead of their arrival"),
    NUM("checkpoint-messages", checkpoint_messages, "0", 0, 10000000,
         "log out and in again after so many messages, so that deletions take effect; 0 = never"),
    WORD("drain", drain, "auto", ternary_words,
         "log in again until nothing new comes, for servers that show a part at a time"),
    WORD("uidl", uidl, "auto", ternary_words,
         "tell messages apart by UIDL; no = by their content, at the price of fetching all"),
    WORD("pipelining", pipelining, "auto", ternary_words,
         "send commands ahead of replies; auto = when the server announces it"),
    WORD("capa", capa, "auto", ternary_words,
         "ask for capabilities; no for servers that stumble over it"),
    FLAG("lf-dot-ends", lf_dot_ends, "no",
         "take a dot between bare LFs for the end of a message, for servers without CR"),
    FLAG("apop-after-stls", apop_after_stls, "no",
         "APOP with the greeting's timestamp from before STLS"),
    FLAG("one-line-auth", one_line_auth, "no",
         "send AUTH with its initial response in one line even when it is long"),
    DAYS("forget-days", forget_days, "30", 0, 3650,
         "days until a message that left the server may be forgotten"),
    NUM("forget-listings", forget_listings, "5", 1, 100000,
         "listings without it until then, at least"),
    FLAG("enabled", enabled, "yes",
         "fetch this account when none is named"),
    END
};
/* clang-format on */

static const char *name_in(const struct setting_row *rows, const char *section, size_t *i, const char **where)
{
    *where = section;
    for (; rows->name; rows++) {
        if (*i == 0)
            return rows->name;
        --*i;
        if (strcmp(rows->name, rows->alias) == 0)
            continue;
        if (*i == 0)
            return rows->alias;
        --*i;
    }
    return NULL;
}

const char *settings_name(size_t i, const char **section)
{
    const char *name = name_in(setting_top_rows, "", &i, section);

    if (!name)
        name = name_in(setting_account_rows, "account", &i, section);
    return name ? name : name_in(setting_account_rows, "defaults", &i, section);
}

const struct setting_row *setting_find(const struct setting_row *rows, const char *name)
{
    for (; rows->name; rows++)
        if (strcmp(rows->name, name) == 0 || strcmp(rows->alias, name) == 0)
            return rows;
    return NULL;
}
