/* capa.h - what CAPA says (RFC 2449 §5, §6), by the present state of the connection.
 *
 * Whatever is available before login is announced after it too, but for STLS (R2449-CAPA-03).
 * Does not know: who asked, multi-line framing.
 */
#ifndef RESTANTE_POP3_CAPA_H
#define RESTANTE_POP3_CAPA_H

#include "pop3/engine.h"

/* Line i without its end, at most LIMIT_REPLY_LINE - 2 octets at dst; 0 = not announced now. False in *more:
 * there is no line i and none behind it. */
size_t capa_line(const struct engine *e, uint32_t i, uint8_t *dst, bool *more);

#endif
