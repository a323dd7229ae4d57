/* mdrecall.h - the messages of a maildrop from an earlier listing and the names that were touched since.
 *
 * In place of a scan: only the touched names are looked at, all others are taken as they were listed.
 * Does not know: where the names come from, UIDLs, policies.
 */
#ifndef RESTANTE_STORE_MDRECALL_H
#define RESTANTE_STORE_MDRECALL_H

#include "store/mdlist.h"
#include "store/mdview.h"
#include "store/warm.h"

enum mdrecall {
    MDRECALL_SAME,    /* the listing says what is there */
    MDRECALL_CHANGED, /* but for the records in gone and the messages in fresh */
    MDRECALL_ODD      /* cannot be told from the names alone: scan */
};

struct mddelta {
    struct mdlist fresh; /* by arrival; sizes on the wire are known of those that were only renamed */
    uint32_t *gone;      /* numbers of records, rising */
    uint32_t ngone;
    bool plain; /* each record that stays has the UIDL that its base gives, whatever others there are */
};

/* Odd are: two files of one base, a file with several names, one that was written to under a name it has no more,
 * one that is no message, a listing that cannot be read. The delta is filled in any case. */
enum mdrecall mdrecall(struct mddelta *delta, const struct mddir *d, const struct mdview *view,
                       const struct warm_names *names);
void mddelta_free(struct mddelta *delta);

/* All messages there are now, by arrival. False when the listing cannot be read. */
bool mdrecall_all(struct mdlist *l, const struct mddelta *delta, const struct mdview *view);

#endif
