/* mdsnap.h - makes the snapshot of a maildrop: sizes on the wire for every message, and the index file.
 *
 * A size is counted over the file, or taken from restante-index when name base, size and mtime of the file
 * are still those it was counted for. The hint W= in a name is never taken: whoever wrote it may have had
 * other rules (Dovecot's differ for a last line without line end), and a wrong one would make LIST promise
 * other octets than RETR sends (MDPP-02, C32). Counting once per message is cheap beside that.
 * Sizes of RFC 6858 surrogates are counted where the policy needs them (legacy), for 8-bit headers only.
 * Does not know: locks, sessions, UIDLs' making.
 */
#ifndef RESTANTE_STORE_MDSNAP_H
#define RESTANTE_STORE_MDSNAP_H

#include "store/index.h"
#include "store/mdfind.h"
#include "store/mdview.h"

#define INDEX_FILE "restante-index"

struct mdsnap {
    bool legacy; /* in: with sizes of surrogates */
    bool has_old;
    struct index_reader old; /* the index found, if it is whole; open from measure to publish or abandon */
    uint64_t old_octets;
    bool worthy; /* so much was counted, or so surprising, that it is worth a file for the next process */
};

/* Fills octets and flags of every message of a list sorted by arrival; marks gone and refused ones. False
 * for troubles of the process (no descriptors, no memory), not for those of a message. */
bool mdsnap_measure(struct mdsnap *snap, struct mdlist *l, struct mdfind *f, struct err *e);

/* The same for those that are not known, without a look into the index. */
bool mdsnap_count(struct mdsnap *snap, struct mdlist *l, struct mdfind *f, struct err *e);

/* The listing, UIDLs included: over the index file if it says the same already, else over a new one, else, where no
 * file can be written, over a memfd. A short one is kept in memory, and on the disk only when it took much counting:
 * writing a file costs more than counting a few small messages again. NULL on failure. */
struct mdview *mdsnap_publish(struct mdsnap *snap, struct mdlist *l, const struct mddir *d, struct err *e);

/* The same of a listing that is made already. */
struct mdview *mdsnap_publish_octets(const struct mdsnap *snap, struct span octets, const struct mddir *d,
                                     struct err *e);

/* Instead of mdsnap_publish, after a failure. */
void mdsnap_abandon(struct mdsnap *snap);

/* After a commit: the index without the messages that were marked. A failure costs time only. */
void mdsnap_shrink(const struct mdview *view, const uint8_t *marks, const struct mddir *d);

#endif
