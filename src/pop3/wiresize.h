/* wiresize.h - how many octets a stored message has on the wire, by the same rules that send it.
 *
 * Lines are repaired to CRLF (a bare LF becomes CRLF; a stored CRLF stays; a bare CR is one octet), a last
 * line without line end gets one; dots that stuffing adds are not counted (RFC 1939 §3, §11, rows
 * R1939-SIZE-01..05). Pure, correct for any split. Does not know: files, RFC 6858 surrogates.
 */
#ifndef RESTANTE_POP3_WIRESIZE_H
#define RESTANTE_POP3_WIRESIZE_H

#include "pop3/stuff.h"
#include "pop3/topcut.h"

struct wiresize {
    uint64_t octets;      /* so far */
    struct stuff filter;  /* the one that sends */
    struct topcut header; /* not done: no blank line yet */
    bool repaired;        /* some line end was added or changed */
    bool dotted;          /* some line starts with a dot */
    bool header_8bit;     /* the header holds an octet above 0x7F */
};

void wiresize_init(struct wiresize *w);
void wiresize_feed(struct wiresize *w, struct span in);
/* Counts the line end that a missing final newline gets. octets is final then; the message is wire-ready
 * when neither repaired nor dotted is set. */
void wiresize_end(struct wiresize *w);

#endif
