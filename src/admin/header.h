/* header.h - fields of a message's header, for people who look at a list of messages.
 * Pure. Does not know: where the message is, what may be shown on a terminal (text.h).
 */
#ifndef RESTANTE_ADMIN_HEADER_H
#define RESTANTE_ADMIN_HEADER_H

#include "base/buf.h"

/* Appends the unfolded value of the first field of that name; false when there is none. Stops at the blank
 * line, or at the end of head, which may be cut anywhere. */
bool header_field(struct span head, const char *name, struct buf *value);

/* Appends value with encoded words (RFC 2047) of UTF-8, ISO 8859-1 and US-ASCII decoded; others stay. */
bool header_decode(struct span value, struct buf *out);

#endif
