/* users.h - the users file: the passwd-like one that Dovecot reads.
 *
 *   name:{SCHEME}hash:uid:gid:gecos:home:shell:extra extra=value …
 *
 * Shorter lines, blank lines and lines that begin with "#" are allowed. Extra fields that mean something here:
 *   scram-sha-256=iterations,salt,stored,server   scram-sha-1=…       keys beside another password scheme
 *   userdb_mail=maildir:PATH  mail=maildir:PATH                       maildrop, instead of mail.maildrop
 *   userdb_uid=N  userdb_gid=N  userdb_home=PATH                      as Dovecot: instead of the fields
 *   require_tls  disabled  nologin  read_only  apop  raw_password     see enum users_flag
 *   expire=DAYS  login_delay=SECONDS  allow_nets=NET,NET  cert=IDENTITY
 * A switch may be written alone or as name=y, name=n. Other extra fields are kept and ignored (a warning).
 *
 * A table is immutable: a changed file is a new table (users_file.h). Names are looked up in the form that
 * SASLprep gives (RFC 4013), in a hash table with a random key of its own. Does not know: passwords' schemes
 * (password.h), sessions, the wire.
 */
#ifndef RESTANTE_AUTH_USERS_H
#define RESTANTE_AUTH_USERS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/net_addr.h"
#include "base/span.h"
#include "sasl/scram.h"

enum users_flag {
    USERS_REQUIRE_TLS = 1,   /* no login outside TLS, by any mechanism */
    USERS_DISABLED = 2,      /* "disabled" or "nologin": every login fails as a wrong password does */
    USERS_READ_ONLY = 4,     /* a public maildrop: nothing is ever removed */
    USERS_APOP = 8,          /* logs in by APOP alone (RFC 1939 §13); its password is {PLAIN} */
    USERS_RAW_PASSWORD = 16  /* the hash was made from raw octets: try them where SASLprep fails (R4616-06) */
};

enum { USERS_NUMBER_NONE = UINT32_MAX, USERS_MAX_FILE = 1 << 30 };

/* One account. All strings are NUL-terminated; optional ones are NULL when absent. In a table everything is
 * borrowed from it. For users_edit a caller fills what it needs and leaves the rest zero (users_entry_init). */
struct users_entry {
    const char *name;
    const char *password;    /* "{SCHEME}…"; NULL = none: only EXTERNAL or SCRAM with scram[] */
    uint32_t uid, gid;       /* 0 = not given */
    const char *home;
    const char *mail;        /* path of the maildrop, "maildir:" taken off */
    const char *scram[SCRAM_HASHES]; /* extra fields scram-sha-…: "iterations,salt,stored,server" */
    const char *cert;        /* identity of its client certificate: "user@example.org" or "sha256:hex" */
    const char *allow_nets;  /* "192.0.2.0/24,::1" */
    unsigned flags;          /* enum users_flag */
    uint32_t expire_days;    /* USERS_NUMBER_NONE = the site's */
    uint32_t login_delay_s;  /* USERS_NUMBER_NONE = the site's */
    uint32_t line;           /* where it stands, from 1 */
    bool broken_password;    /* the password can never be checked (reported when the file was read) */
};

struct users;

void users_entry_init(struct users_entry *entry);

/* Reads the whole file. Faults go to report as lines "PATH:LINE: what is wrong; what to do" (report may be
 * NULL): all of them at once. False when any of them is an error; warnings ("PATH:LINE: warning: …") are
 * reported and the table is made all the same. To list the users: users_load, users_count, users_at. */
bool users_load(const char *path, struct users **table, struct buf *report);
/* The same from an open descriptor (read from its beginning, not closed); path is for messages. */
bool users_load_fd(int fd, const char *path, struct users **table, struct buf *report);
/* The accounts of the good lines of a faulty file: for a start, when there is no older table that could stay. NULL when
 * the file cannot be read at all. */
struct users *users_load_good(int fd, const char *path);
bool users_parse(struct span text, const char *path, struct users **table, struct buf *report);
void users_free(struct users **table);

uint32_t users_count(const struct users *table);
const struct users_entry *users_at(const struct users *table, uint32_t i); /* in the order of the file */

/* name: prepared. Looks for the exact name; else, with a default domain, "local@default_domain" and "local"
 * stand for each other (RFC 6186 §3.1 clients send either) when only one of them exists. NULL: nobody. */
const struct users_entry *users_find(const struct users *table, struct span name, const char *default_domain);

/* The account whose cert= is this identity ("user@example.org", "sha256:…"). */
const struct users_entry *users_by_cert(const struct users *table, struct span identity);

/* What all accounts have in common: decides which mechanisms can be offered. */
struct users_summary {
    uint32_t enabled;                 /* accounts that are not disabled */
    uint32_t scram[SCRAM_HASHES];     /* of these, how many have SCRAM keys of that hash */
    uint32_t apop;                    /* of these, how many use APOP */
    uint32_t expire_min, login_delay_max; /* of those that set one; USERS_NUMBER_NONE, 0 = none does */
    const struct users_entry *typical; /* its password costs what most cost; the decoy (NULL = no account) */
    const struct users_entry *typical_scram[SCRAM_HASHES]; /* its iterations and salt length are the commonest */
};
const struct users_summary *users_summary(const struct users *table);

/* The SCRAM keys of an account: from its password or its extra field. */
bool users_scram(const struct users_entry *entry, enum scram_hash hash, struct scram_keys *keys);
/* The password of an account that is kept in clear ({PLAIN}, for tests): keys can be derived from it. */
bool users_clear(const struct users_entry *entry, struct span *password);

enum users_change {
    USERS_ADD,     /* the whole entry; FAULT_IN_USE when the name exists. Makes the file (0600) if missing */
    USERS_PASSWD,  /* password and scram[]; keys of the old password are removed */
    USERS_DISABLE, /* adds "disabled" */
    USERS_ENABLE,  /* removes "disabled" and "nologin" */
    USERS_DELETE   /* removes the line */
};

/* Changes one account in the file: every other octet stays as it was. Under a lock (PATH.lock), by a temporary
 * file beside it with the same owner, mode 0600 or stricter than before, fsync, rename, fsync of the folder: a
 * crash leaves the old or the new file, whole. FAULT_GONE when the user does not exist; FAULT_BAD when a value
 * cannot be written into the file or the file is broken at that line; FAULT_IN_USE when another change runs. */
bool users_edit(const char *path, enum users_change change, const struct users_entry *entry, struct err *e);

#endif
