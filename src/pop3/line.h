/* line.h - cuts a client's octets into lines; an over-long line is swallowed to its end.
 *
 * A line ends at LF; one CR in front of it belongs to the end (RFC 1939 §3; a lone LF is taken, R1939-GEN-05).
 * The tail of an over-long line is never a command (R2449-LEN-03). The same lines come out whatever the
 * pieces are, and no octet is looked at twice. Does not know: what a line means.
 */
#ifndef RESTANTE_POP3_LINE_H
#define RESTANTE_POP3_LINE_H

#include "base/span.h"

struct line {
    uint32_t scanned;   /* octets at the front of the input that hold no LF */
    uint32_t swallowed; /* octets of an over-long line taken so far */
};

enum line_event {
    LINE_MORE,  /* no line end yet */
    LINE_WHOLE, /* *text is a line without its end */
    LINE_LONG,  /* the end of a line longer than limit */
    LINE_FLOOD  /* longer than LIMIT_SWALLOW: nothing sensible will follow */
};

/* limit counts the line end. *taken octets leave the front of the input; when it is 0 the same octets must be
 * offered again with more behind them. */
enum line_event line_next(struct line *l, struct span in, size_t limit, struct span *text, size_t *taken);

#endif
