/* model.h - what a stored message looks like on the wire: an independent model for tests, octet by octet.
 *
 * Written from the rules and not from src/pop3: a line ends at LF, one CR right before it belongs to the end; a last
 * piece without LF is a line if it is not empty; every line goes out with CRLF, a leading dot is doubled.
 */
#ifndef RESTANTE_TESTS_MODEL_H
#define RESTANTE_TESTS_MODEL_H

#include "base/buf.h"
#include "base/span.h"

#define MODEL_ALL UINT64_MAX

/* Appends what RETR (lines = MODEL_ALL) or TOP sends, stuffed, without the terminator. Returns the octets that
 * count: those without dots of stuffing. */
uint64_t model_wire(struct buf *out, struct span stored, uint64_t lines);

#endif
