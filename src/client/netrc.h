/* netrc.h - the password of a host in the text of a .netrc file.
 * Does not know: files.
 */
#ifndef RESTANTE_CLIENT_NETRC_H
#define RESTANTE_CLIENT_NETRC_H

#include "base/buf.h"
#include "base/err.h"

/* The first entry for the host ("machine", or "default") whose login is the user or that has none. False with
 * FAULT_GONE when there is none, with FAULT_BAD when the text is malformed. */
bool netrc_password(struct span text, const char *host, const char *user, struct buf *secret, struct err *e);

#endif
