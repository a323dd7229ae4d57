/* mdmerge.h - a listing from an earlier one, without the records that are gone and with the few messages that came.
 *
 * One pass, in memory: what stays is copied. Only for listings in which every UIDL is the one that its base gives,
 * so that nobody's UIDL depends on who else is there. Does not know: files, why messages come and go.
 */
#ifndef RESTANTE_STORE_MDMERGE_H
#define RESTANTE_STORE_MDMERGE_H

#include "store/mdrecall.h"

struct mdmerged {
    uint8_t *memory;     /* to be freed */
    struct span listing; /* complete; in it */
    uint32_t in_new;   /* messages in new/ */
    uint64_t oldest;   /* when the first one arrived */
};

/* The delta's fresh messages have their UIDLs and sizes. False when it cannot be done this way: then the list is made
 * anew. out->memory is to be freed in any case. */
bool mdmerge(struct mdmerged *out, const struct mdview *view, const struct mddelta *delta);

#endif
