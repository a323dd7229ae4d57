/* mdview.h - one listing of a maildrop, shared by all who show it: the sessions and what remembers it for the next.
 *
 * A listing is what it is for ever. A short one is kept in memory, a longer one in its file: the index file
 * itself, which nobody writes to once it has its name, or a sealed memfd. Counted references, from any thread.
 * Does not know: directories, locks, sessions.
 */
#ifndef RESTANTE_STORE_MDVIEW_H
#define RESTANTE_STORE_MDVIEW_H

#include "store/index.h"

enum { MDVIEW_SHORT = 64 }; /* messages: so many fit into one message to a front */

struct mdview;

/* Over a descriptor, taken over also on failure; or over the octets of a short one, copied. */
struct mdview *mdview_of_file(int fd, uint64_t octets, struct err *e);
struct mdview *mdview_of_octets(struct span listing, struct err *e);

struct mdview *mdview_share(struct mdview *v);
void mdview_leave(struct mdview **v); /* NULL-safe */

const struct index_header *mdview_header(const struct mdview *v);

/* The descriptor and its size; -1 for a short one. Borrowed. */
int mdview_file(const struct mdview *v, uint64_t *octets);

/* The octets of a short listing as a front needs them, without names; empty for others. Borrowed. */
struct span mdview_brief(const struct mdview *v);
/* All octets of a short one. */
struct span mdview_octets(const struct mdview *v);

/* Is the file what it was: an index file is its owner's, who may write to it. True for others. */
bool mdview_is_intact(const struct mdview *v);

/* A reader that borrows the view: index_reader_rest ends it, never index_reader_close. */
struct index_reader mdview_reader(const struct mdview *v);

/* Record i alone; strings is where uid and name are kept. */
struct mdview_strings {
    uint8_t text[INDEX_MAX_UID + INDEX_MAX_NAME];
};
bool mdview_get(const struct mdview *v, uint32_t i, struct index_record *rec, struct mdview_strings *strings,
                struct span *name);

#endif
