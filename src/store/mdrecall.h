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
    MDRECALL_CHANGED, /* l is what is there, by arrival; sizes on the wire of new ones are not known */
    MDRECALL_ODD      /* cannot be told from the names alone: scan */
};

/* Odd are: two files of one base, a file with several names, one that was written to under a name it has no more,
 * one that is no message, a listing that cannot be read. l is filled in any case; it is to be freed. */
enum mdrecall mdrecall(struct mdlist *l, const struct mddir *d, const struct mdview *view,
                       const struct warm_names *names);

#endif
