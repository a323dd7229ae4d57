/* stuff.h - turns a stored message into lines for a multi-line reply: every line ends CRLF, a leading dot is
 * doubled (RFC 1939 §3).
 *
 * Returns runs of the input instead of copies. Correct for any split of the input. A bare LF becomes CRLF, a
 * stored CRLF stays, a bare CR is an octet like any other. Does not know: sizes, TOP, the final ".".
 */
#ifndef RESTANTE_POP3_STUFF_H
#define RESTANTE_POP3_STUFF_H

#include "base/span.h"

struct stuff {
    bool at_bol;   /* the next octet begins a line */
    bool after_cr; /* the last octet was CR */
};

#define STUFF_START ((struct stuff){ true, false })

enum stuff_kind {
    STUFF_RUN, /* octets of the message, as long a run as may go out as it is */
    STUFF_CR,  /* one CR that repairs a line end: counts as an octet of the message */
    STUFF_DOT  /* one dot of stuffing: does not count */
};

/* Consumes a run from the front of *in (not empty), or consumes nothing and gives the one octet that must go
 * out before the rest. Call until *in is empty. When f->at_bol is not set at the end of the message, CRLF is
 * missing. */
enum stuff_kind stuff_next(struct stuff *f, struct span *in, struct span *run);

/* The same for many runs at once: consumes from the front of *in and writes what goes out to dst, never more than
 * room octets; returns how many, *dots of them stuffing. It leaves what it cannot do fast, at least a few octets at
 * the end of in or room and perhaps all, for stuff_next. in and dst do not overlap. */
size_t stuff_copy(struct stuff *f, struct span *in, uint8_t *dst, size_t room, size_t *dots);

#endif
