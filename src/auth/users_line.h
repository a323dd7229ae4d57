/* users_line.h - one line of the users file: taking it apart, saying what is wrong with it.
 * Does not know: the table, the file.
 */
#ifndef RESTANTE_AUTH_USERS_LINE_H
#define RESTANTE_AUTH_USERS_LINE_H

#include "auth/users.h"

enum { USERS_LINE_MAX = 16384, USERS_FIELDS = 8, USERS_UNKNOWN = 16 };

enum users_field { UF_NAME, UF_PASSWORD, UF_UID, UF_GID, UF_GECOS, UF_HOME, UF_SHELL, UF_EXTRA };

/* Where faults go. unknown: extra fields that have been warned about, once each. */
struct users_report {
    bool good_only;          /* faults are passed over: the good lines make a table */
    const char *path;
    struct buf *out; /* may be NULL */
    uint32_t line;
    bool failed;
    struct span unknown[USERS_UNKNOWN];
    uint32_t nunknown;
};

/* "PATH:LINE: text" as an error or as a warning. */
void users_error(struct users_report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void users_warn(struct users_report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Splits at colons; the last field keeps its own. Returns the number of fields. */
size_t users_line_split(struct span line, struct span fields[USERS_FIELDS]);

/* Is the line nothing but blanks, or a comment? */
bool users_line_empty(struct span line);

/* The next word of an extra field; empty at the end. */
struct span users_line_word(struct span *extra);

/* Fills entry from a line without its end. Strings point into the line, which is cut up by NULs for it:
 * line[n] must be writable. False after an error was reported. The name is as it stands there. */
bool users_line_parse(char *line, size_t n, struct users_entry *entry, struct users_report *r);

#endif
