/* msgsize.h - counts a stored message: its octets on the wire and what kind of message it is.
 *
 * Reads the descriptor to its end in pieces, never the whole into memory. The count is made by the filter
 * that also decides what is sent (pop3/wiresize.h), so LIST and RETR cannot differ.
 * Does not know: names, size hints, caches.
 */
#ifndef RESTANTE_MAIL_MSGSIZE_H
#define RESTANTE_MAIL_MSGSIZE_H

#include "base/err.h"
#include "base/span.h"

struct msgsize {
    uint64_t stored; /* octets read */
    uint64_t octets; /* on the wire, before dot-stuffing */
    bool wire_ready; /* every line ends CRLF, none starts with a dot */
    bool needs_utf8; /* the header holds octets above 0x7F */
};

/* Reads from the descriptor's position. name is for the error text. */
bool msgsize_count(int fd, const char *name, struct msgsize *out, struct err *e);

/* The octets on the wire of its RFC 6858 surrogate, which differ only when needs_utf8 is set. */
bool msgsize_legacy(int fd, const char *name, uint64_t *octets, struct err *e);

/* The same as msgsize_count of bytes in memory. */
struct msgsize msgsize_of(struct span message);

#endif
