/* view.h - a maildrop looked at from outside of sessions: a snapshot that takes no lock, and messages of it.
 *
 * Sessions go on meanwhile; what they remove can no longer be fetched. Does not know: output.
 */
#ifndef RESTANTE_ADMIN_VIEW_H
#define RESTANTE_ADMIN_VIEW_H

#include "admin/account.h"
#include "store/index.h"
#include "store/store.h"

struct view {
    struct account account;
    struct index_reader listing; /* open when has_listing */
    bool has_listing;
    struct drop *drop;
    uint32_t at;                 /* where the last message was found */
};

/* Becomes the owner of the user's maildrop and looks at it. EX_OK, or an exit code after a message. */
int view_open(const struct cli *ctl, const char *user, struct view *view);

/* A descriptor of the message with that UIDL. FAULT_GONE when it is gone. */
bool view_fetch(struct view *view, struct span uid, int *fd, struct err *e);

void view_close(struct view *view);

#endif
