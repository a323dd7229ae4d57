/* identity.h - the octets of a message that say which message it is: all but the header fields that servers on mbox
 * folders write into messages after delivery (Status, X-Status, X-UID, X-UIDL, X-IMAP, X-IMAPbase, X-Keywords,
 * Content-Length, Lines).
 *
 * A message whose size changes under the same unique-id may be the same message with a new Status field (GNU mailutils,
 * UW) or another message; a digest of these octets tells them apart. Correct for any split of the input. Pure.
 * Does not know: digests, what is stored (everything, as it was sent).
 */
#ifndef RESTANTE_MAIL_IDENTITY_H
#define RESTANTE_MAIL_IDENTITY_H

#include "base/span.h"

enum { IDENTITY_NAME = 16 };

struct identity {
    enum { IDENTITY_START, IDENTITY_KEEP, IDENTITY_DROP, IDENTITY_BODY } at; /* START: at the beginning of a line */
    bool dropping; /* the field so far: a folded line belongs to it */
    uint8_t name[IDENTITY_NAME];
    size_t n;
};

#define IDENTITY_INIT ((struct identity){ IDENTITY_START, false, { 0 }, 0 })

typedef void identity_put(void *ctx, struct span run);

/* Octets as sent (lines end CRLF); those that count go to put. */
void identity_feed(struct identity *f, struct span in, identity_put *put, void *ctx);

/* At the end of the message: what was held back. */
void identity_end(struct identity *f, identity_put *put, void *ctx);

#endif
