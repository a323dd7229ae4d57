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

#define INDEX_FILE "restante-index"

/* Fills octets and flags of every message of a list sorted by arrival; marks gone and refused ones. False
 * for troubles of the process (no descriptors, no memory), not for those of a message. */
bool mdsnap_measure(struct mdlist *l, struct mdfind *f, bool legacy, struct err *e);

/* A descriptor of the listing, UIDLs included: the index file if it says the same already, else a new one,
 * else, where no file can be written, a memfd. */
struct mdsnap {
    int fd;
    uint64_t octets;
    bool legacy; /* in: with sizes of surrogates */
};

bool mdsnap_publish(struct mdlist *l, const struct mddir *d, struct mdsnap *snap, struct err *e);

/* After a commit: the index without the messages that were marked. A failure costs time only. */
void mdsnap_shrink(struct index_reader *r, const uint8_t *marks, const struct mddir *d);

#endif
