/* mdlist.h - the messages of a Maildir, read while other programs move them about.
 *
 * A list holds the names of new/ and cur/. Reading a directory while files in it are renamed may miss a file
 * or show it twice; mdlist_scan reads until nothing changed meanwhile, or, when it never stops changing,
 * until nothing that was seen once is missing (MD-11). Does not know: sizes on the wire, UIDLs.
 */
#ifndef RESTANTE_STORE_MDLIST_H
#define RESTANTE_STORE_MDLIST_H

#include "base/buf.h"
#include "mail/mdname.h"
#include "store/mddir.h"

#include <sys/stat.h>

struct md_msg {
    uint64_t when; /* for the order; the mtime where the name tells no time (then timed is false) */
    uint64_t size, ino, dev;
    int64_t mtime_ns;
    uint64_t octets, legacy_octets;
    uint32_t usec;
    uint32_t name_at, uid_at; /* in text */
    uint32_t links;           /* names it has; while scanning: readings in a row that missed it */
    uint16_t flags;           /* enum drop_msg_flag */
    uint8_t name_octets, base_octets, uid_octets;
    uint8_t sub; /* MD_NEW or MD_CUR */
    bool timed;
    bool known;  /* its size on the wire stood in the index */
    bool gone;
    bool refused; /* is no readable regular file: reported and left out */
};

struct mdlist {
    struct buf text; /* names and UIDLs; each name ends with a NUL */
    struct md_msg *v;
    uint32_t n, room;
    int64_t new_mtime_ns, cur_mtime_ns;
    bool unsure; /* something was left out or in that the next look may find otherwise, though nothing changes */
};

void mdlist_init(struct mdlist *l);
void mdlist_free(struct mdlist *l);

/* Reads the names, sorted by base. Nothing is known of the files yet. */
bool mdlist_scan(struct mdlist *l, const struct mddir *d, struct err *e);

/* mdlist_scan and a look at every file: what vanished meanwhile is searched for under its new name, what is
 * no regular file is left out with an event (MD-15), a file seen under two names stands once. */
bool mdlist_load(struct mdlist *l, const struct mddir *d, struct err *e);

const char *mdlist_name(const struct mdlist *l, const struct md_msg *m);
struct span mdlist_name_span(const struct mdlist *l, const struct md_msg *m);
struct span mdlist_base(const struct mdlist *l, const struct md_msg *m);
struct span mdlist_uid(const struct mdlist *l, const struct md_msg *m);

/* Looks at one file. Sets gone when it is not there under this name, refused when it is none to list. False for
 * troubles that are not the message's own: then the maildrop cannot be opened. */
bool mdlist_look(struct mdlist *l, const struct mddir *d, struct md_msg *m, struct err *e);

/* A new message at the end, nothing known of it but its name; NULL when the list is full. */
struct md_msg *mdlist_add(struct mdlist *l, enum md_sub sub, struct span name);

/* Gives m another name. False when the list is full. */
bool mdlist_rename(struct mdlist *l, struct md_msg *m, enum md_sub sub, struct span name);

/* Sets the mtime, and what depends on it. */
void mdlist_set_mtime(struct md_msg *m, int64_t mtime_ns);

/* The first message with this base in a list sorted by base, else n. */
uint32_t mdlist_find(const struct mdlist *l, struct span base);

/* Sorts by arrival (MD-14) and drops what is marked gone or refused. */
void mdlist_sort(struct mdlist *l);

int64_t md_mtime_ns(const struct stat *st);

#endif
