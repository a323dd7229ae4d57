/* surrogate.h - the simple downgrade of RFC 6858: a message with an internationalised header as a client sees it
 * that did not say UTF8.
 *
 * Internationalised addresses become unusable ones that name the original in their display text; Subject and other
 * free text become encoded words (RFC 2047); MIME parameters and fields that cannot be shown are removed; signatures
 * stay although they break (§5). The body is untouched. Deterministic: the same octets every time, so sizes can be
 * counted by the same filter. Pure; one field is held at a time, at most SURROGATE_FIELD octets: a longer one with
 * octets above 0x7F is removed. Does not know: POP3, dot-stuffing, headers of MIME parts inside the body.
 */
#ifndef RESTANTE_MAIL_SURROGATE_H
#define RESTANTE_MAIL_SURROGATE_H

#include "base/buf.h"

enum { SURROGATE_FIELD = 65536, SURROGATE_GROWTH = 8 };

struct surrogate {
    bool in_body;
    bool dropping;      /* inside a field that is too long to be judged and holds 8-bit octets */
    bool passing;       /* inside an over-long field of ASCII so far: what was held has gone out */
    bool at_bol;
    struct buf field;   /* the field so far, with its line ends */
};

void surrogate_init(struct surrogate *s);
/* Appends to out what in becomes (as far as whole fields are known). False when out is full. */
bool surrogate_feed(struct surrogate *s, struct span in, struct buf *out);
/* The end of the message: the last field of a message without body. */
bool surrogate_end(struct surrogate *s, struct buf *out);
void surrogate_free(struct surrogate *s);

#endif
