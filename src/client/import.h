/* import.h - knowledge of what was fetched, from other programs and as text: switching downloads nothing twice.
 *
 * Formats: "restante" (our own text, one line per message: state, nth, uid percent-escaped, size, wire digest, stored
 * digest, name, dest, times; first line names version and account), "fetchmail" (.fetchids: user@host UID lines),
 * "getmail" (oldmail-*: UID NUL time), "mpop" (uidls files), "thunderbird" (popstate.dat). Imported entries
 * of other programs become SEEN. A file is read whole or not at all: every bad line is named ("FILE:LINE: …").
 * Parsers are pure and fed by a fuzzer. Does not know: SQLite (it goes through journal.h).
 */
#ifndef RESTANTE_CLIENT_IMPORT_H
#define RESTANTE_CLIENT_IMPORT_H

#include "client/journal.h"

enum import_format { IMPORT_GUESS, IMPORT_RESTANTE, IMPORT_FETCHMAIL, IMPORT_GETMAIL, IMPORT_MPOP, IMPORT_THUNDERBIRD };

enum { IMPORT_FILE_MAX = 256 * 1024 * 1024 };

struct import_want {
    enum import_format format;
    const char *user, *host; /* which account of a file that holds several; NULL = all */
    const char *file;        /* for messages */
    enum fault fault;        /* set by import_file: why it failed when the text is not to blame, else FAULT_NONE */
};

/* Calls take for each entry. False when any line is bad: report holds one line per fault. */
typedef bool import_take(void *ctx, struct entry *entry);
bool import_parse(struct span text, const struct import_want *want, import_take *take, void *ctx, struct buf *report);

/* Into a journal in one transaction; known identities are left alone. *added counts the new ones. */
bool import_file(struct journal *j, const char *path, struct import_want *want, uint64_t *added, uint64_t *known,
                 struct buf *report);

bool export_journal(struct journal *j, const char *account, int fd, struct err *e);

bool import_format_find(const char *name, enum import_format *format);

#endif
