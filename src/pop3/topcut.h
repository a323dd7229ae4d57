/* topcut.h - how much of a stored message TOP sends: the header, the blank line, the first lines of the body
 * (RFC 1939 §7).
 *
 * The header ends at the first empty line; a line of blanks is not empty (R5322-03). A message without an empty
 * line is all header (R1939-TOP-08). Lines are those that are sent: LF ends one, a bare CR does not. Correct for
 * any split of the input. Does not know: stuffing, sizes.
 */
#ifndef RESTANTE_POP3_TOPCUT_H
#define RESTANTE_POP3_TOPCUT_H

#include "base/span.h"

struct topcut {
    uint64_t lines; /* of the body, still to come */
    bool in_header; /* no empty line yet */
    bool done;      /* nothing more of the message is wanted */
    uint8_t seen;   /* of the present line: 0 nothing, 1 one CR, 2 more than that */
};

#define TOPCUT_START(n) ((struct topcut){ .lines = (n), .in_header = true })

/* Takes what belongs to TOP from the front of *in; sets t->done when the rest does not. */
struct span topcut_take(struct topcut *t, struct span *in);

#endif
