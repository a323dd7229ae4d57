/* idn.h - names of hosts as DNS, TLS and certificates know them: U-labels become A-labels (RFC 5890, UTS #46).
 *
 * What a person writes is converted once, where it is read; all behind that dials, asks and compares ASCII only
 * (R9525-02). Does not know: what the name is for.
 */
#ifndef RESTANTE_NET_IDN_H
#define RESTANTE_NET_IDN_H

#include "base/err.h"

#include <stddef.h>

enum { IDN_HOST = 256 };

/* UTF-8 to ASCII, without a dot at the end; an IP literal stays as it is. FAULT_BAD with a text for people when the
 * name is none: labels that are empty, too long or begin with "-", characters that no host name may have. */
bool idn_host(const char *name, char host[IDN_HOST], struct err *e);

#endif
