/* mdstate.h - what tells whether a maildrop is still the one that was seen, and in the state that was seen.
 *
 * Does not know: messages; a message that is changed in its place changes no directory.
 */
#ifndef RESTANTE_STORE_MDSTATE_H
#define RESTANTE_STORE_MDSTATE_H

#include "store/mddir.h"

#include <sys/stat.h>

struct md_state {
    dev_t dev[3]; /* of new/, cur/ and the root */
    ino_t ino[3];
    int64_t changed_ns[2]; /* of new/ and cur/; ctime, because an mtime can be set by anybody */
    ino_t uidl;            /* the imported UIDLs (zeros: none) */
    uint64_t uidl_octets;
    int64_t uidl_changed_ns;
    bool journal; /* an unfinished commit waits */
};

/* An open root is enough. False with errno; ESTALE when new/ or cur/ are open and were replaced since. */
bool mdstate_take(const struct mddir *d, struct md_state *state);

/* The same directories with the same imported UIDLs, and nothing to finish. */
bool mdstate_has_uids(const struct md_state *now, const struct md_state *was);
/* And with the same names in them. */
bool mdstate_is_settled(const struct md_state *now, const struct md_state *was);

/* Opens the directories of a resting maildrop again. FAULT_TEMP when others were put in their place. */
bool mdstate_wake(struct mddir *d, const struct md_state *was, struct err *e);

int64_t md_changed_ns(const struct stat *st);

#endif
