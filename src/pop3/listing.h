/* listing.h - the lines of LIST, UIDL, CAPA, AUTH and LANG, one at a time.
 *
 * No listing is ever built: output.c asks for line after line as it has room, so a client that reads slowly costs
 * one number. Does not know: rooms, the status line, the terminator.
 */
#ifndef RESTANTE_POP3_LISTING_H
#define RESTANTE_POP3_LISTING_H

#include "pop3/engine.h"
#include "pop3/reply.h"

enum listing_step {
    LISTING_LINE,  /* *n octets with CRLF are at dst */
    LISTING_SKIP,  /* there is no line for this item */
    LISTING_END,   /* no item any more */
    LISTING_BROKEN /* the listing cannot be trusted: never end it well (C31) */
};

enum listing_step listing_line(const struct engine *e, enum listing_kind kind, uint32_t item,
                               uint8_t dst[LIMIT_REPLY_LINE], size_t *n);

#endif
