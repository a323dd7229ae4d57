/* uid.h - what may be a UIDL on the wire. Does not know: how stores make them. */
#ifndef RESTANTE_POP3_UID_H
#define RESTANTE_POP3_UID_H

#include "base/span.h"

/* RFC 1939 §7: 1 to 70 octets, each 0x21 to 0x7E. */
bool uid_legal(struct span uid);

#endif
