/* mddir.h - a Maildir as open directories, and the ways in which names change in it.
 *
 * The maildrop, tmp, new and cur are opened once, never through a symbolic link at their own place (the
 * path above them is the administrator's and may hold links); everything else is relative to those
 * descriptors. Does not know: messages, locks, policies.
 */
#ifndef RESTANTE_STORE_MDDIR_H
#define RESTANTE_STORE_MDDIR_H

#include "base/err.h"
#include "base/span.h"

enum md_sub { MD_NEW, MD_CUR, MD_TMP, MD_SUBS };

struct mddir {
    int root, sub[MD_SUBS];
    char *path; /* for error texts and events */
};

/* path is absolute and without ".." (FAULT_BAD otherwise). create: what is missing is made, 0700, parents
 * too, and made durable. */
bool mddir_open(struct mddir *d, const char *path, bool create, struct err *e);
void mddir_close(struct mddir *d);

/* The same in two steps, without the directories: the path is checked, then the root alone is opened, only to look
 * things up in it. */
bool mddir_name(struct mddir *d, const char *path, struct err *e);
bool mddir_open_root(struct mddir *d, struct err *e);
/* Closes the directories and keeps the path; opens them again. */
void mddir_rest(struct mddir *d);
bool mddir_wake(struct mddir *d, struct err *e);

const char *mddir_sub_name(enum md_sub sub); /* "new", "cur", "tmp" */

/* err_errno with the file's place in the text; name may hold any octets. */
bool mddir_fail(const struct mddir *d, struct err *e, const char *what, const char *name);

/* Renames without ever replacing a file: EEXIST when the name is taken. */
bool mddir_move(int from_dir, const char *from, int to_dir, const char *to);

/* One of our own files in the root: only a regular file is opened, never a link, never waiting. */
int mddir_open_own(const struct mddir *d, const char *name, uint64_t *octets);

/* A new file in tmp/ for what mddir_put_own will publish; its name goes to tmp_name. -1 and errno. */
enum { MDDIR_TMP_NAME = 64 };
int mddir_new_own(const struct mddir *d, char tmp_name[MDDIR_TMP_NAME]);
bool mddir_put_own(const struct mddir *d, const char *tmp_name, const char *name);
void mddir_drop_own(const struct mddir *d, const char *tmp_name);

#endif
