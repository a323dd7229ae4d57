/* users_file.h - the users file as the server keeps it: read again when it has changed.
 *
 * The file is looked at (one stat) at most once per second, when somebody logs in. A changed file that has
 * errors changes nothing: the table of before stays until the file is right. Does not know: logging.
 */
#ifndef RESTANTE_AUTH_USERS_FILE_H
#define RESTANTE_AUTH_USERS_FILE_H

#include "auth/users.h"

enum { USERS_LOOK_MS = 1000 };

enum users_news {
    USERS_SAME,   /* nothing new */
    USERS_NEW,    /* a new table is in place */
    USERS_BROKEN  /* the file changed and is broken or gone: the old table stays; said once per change */
};

struct users_file;

struct users_file *users_file_new(const char *path);
void users_file_free(struct users_file **f);

/* Looks at the file (force: at once, and reads it in any case). report gets faults and warnings of what was
 * read. */
enum users_news users_file_look(struct users_file *f, uint64_t now_ms, bool force, struct buf *report);

/* From now on the file is this descriptor (taken over) and not the path: the supervisor hands it over and does so
 * again at each change, so that the reader needs no right to the file itself. -1: the file is missing. */
void users_file_give(struct users_file *f, int fd);

/* The table in force: never NULL, but empty before the first success. Valid until the next look. */
const struct users *users_file_table(const struct users_file *f);
const char *users_file_path(const struct users_file *f);

#endif
