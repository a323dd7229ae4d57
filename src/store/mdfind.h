/* mdfind.h - finds a message again that was given another name, and takes messages away.
 *
 * Another program may set flags or move a message from new/ to cur/ at any time: its base stays, and size and
 * mtime tell that it is still the same message. Both must agree before anything is sent or removed: a file
 * that merely has the name is not what the client saw. Does not know: journals, marks, sessions.
 */
#ifndef RESTANTE_STORE_MDFIND_H
#define RESTANTE_STORE_MDFIND_H

#include "store/mdlist.h"

/* A message as it was seen: where, under which name, with which content. */
struct md_seen {
    enum md_sub sub;
    struct span name;
    uint64_t size;
    int64_t mtime_ns;
};

/* The names read at the first miss; kept, because what renamed one message has likely renamed many. */
struct mdfind {
    const struct mddir *dir_ref;
    struct mdlist now;
    bool loaded;
};

/* Where it is now. */
struct md_place {
    enum md_sub sub;
    char name[MDNAME_ROOM];
    struct stat st;
};

enum md_found { MD_FOUND, MD_GONE, MD_CHANGED, MD_TROUBLE };

void mdfind_init(struct mdfind *f, const struct mddir *d);
void mdfind_free(struct mdfind *f);

/* Under the name it was seen with, then by its base. MD_CHANGED: there, with other content. MD_TROUBLE: *e. */
enum md_found mdfind_place(struct mdfind *f, const struct md_seen *seen, struct md_place *place, struct err *e);

/* Opens it read-only; place tells where it was. */
enum md_found mdfind_open(struct mdfind *f, const struct md_seen *seen, struct md_place *place, int *fd,
                          struct err *e);

/* Unlinks it, with every other name of the same base that leads to the same file. MD_FOUND = was unlinked
 * now, MD_GONE = others had done it. *sub tells where. Nothing is synced. */
enum md_found mdfind_unlink(struct mdfind *f, const struct md_seen *seen, enum md_sub *sub, struct err *e);

/* Splits "new/…" or "cur/…"; false when it is neither. */
bool md_split(struct span path, struct md_seen *seen);

#endif
