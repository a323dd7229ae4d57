/* view.h - a maildrop looked at from outside of sessions: a snapshot, and messages of it.
 *
 * A store's snapshot keeps exclusive sessions out while it is open (store/lock.h). So it is held for moments
 * only: the listing is kept, the snapshot is closed, and opened again when a message is wanted.
 */
#ifndef RESTANTE_ADMIN_VIEW_H
#define RESTANTE_ADMIN_VIEW_H

#include "admin/account.h"
#include "store/index.h"
#include "store/store.h"

struct view {
    struct account account;
    struct index_reader listing; /* as it was at the first opening; open when has_listing */
    bool has_listing;
    struct drop *drop;       /* open at the moment, or NULL */
    struct index_reader now; /* the listing of drop */
    uint32_t at;             /* where in it the last message was found */
    uint64_t until_ms;       /* when the drop is to be let go for others */
    bool blocked;            /* a session came in between and stays */
};

/* Becomes the owner of the user's maildrop and opens it. EX_OK, or an exit code after a message. */
int view_open(const struct ctl *ctl, const char *user, struct view *view);

/* A descriptor of the message with that UIDL. FAULT_GONE when it is gone, FAULT_IN_USE when a session keeps the
 * maildrop. */
bool view_fetch(struct view *view, struct span uid, int *fd, struct err *e);

/* Lets sessions in; the next view_fetch opens the maildrop again. */
void view_rest(struct view *view);
void view_close(struct view *view);

#endif
