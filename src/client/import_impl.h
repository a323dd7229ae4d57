/* import_impl.h - inside of the importers: one reading of one text; included by import*.c and export.c alone. */
#ifndef RESTANTE_CLIENT_IMPORT_IMPL_H
#define RESTANTE_CLIENT_IMPORT_IMPL_H

#include "client/import.h"

enum { READING_ACCOUNTS = 16, READING_FAULTS = 50 };

/* The first line of our own format is this, the version and the account's name. */
#define EXPORT_HEAD "restante-journal"
enum { EXPORT_VERSION = 1 };

struct reading_account {
    struct span user, host;
    bool is_wanted;
};

struct reading {
    const struct import_want *want;
    import_take *take;
    void *ctx;
    struct buf *report;
    bool delivers; /* the second pass: the text is known to be good */
    bool is_stopped;
    uint64_t line, faults;
    struct reading_account account[READING_ACCOUNTS]; /* those the text names */
    size_t accounts, wanted;
};

typedef void reading_format(struct reading *r, struct span text);

reading_format read_restante, read_fetchmail, read_getmail, read_mpop, read_thunderbird;

/* The next line without its end (LF or CRLF); false behind the last one, and once a taker has had enough. */
bool reading_line(struct reading *r, struct span *text, struct span *line);

/* Names a fault of the current line. */
__attribute__((format(printf, 2, 3))) void reading_fault(struct reading *r, const char *fmt, ...);

/* A message of an account (both spans NULL where the format knows none), seen at a time or 0. */
void reading_seen(struct reading *r, struct span user, struct span host, struct span uid, int64_t at);

/* Hands an entry on. */
void reading_give(struct reading *r, struct entry *entry);

#endif
